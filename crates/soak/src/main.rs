//! A server and many clients of wsduo that do everything at random for as long as is asked for.
//!
//! Two processes, so that the memory of each is seen alone: the one that is started is the clients and starts the server.
//! Every message has a number and a checksum. What is lost, repeated, moved or damaged is a violation, and so is an end that
//! was not planned, memory that grows, and anything left when all connections have ended.

#![forbid(unsafe_code)]

mod body;
mod client;
mod counts;
mod dice;
mod plan;
mod report;
mod server;
mod stream;
mod talk;
mod watching;
mod whole;

use std::process::ExitCode;

use clap::Parser;
use peak_alloc::PeakAlloc;

/// Counts what is allocated: resident memory alone cannot tell a leak from what the allocator keeps.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

type Failure = Box<dyn std::error::Error>;

/// Exchanges messages at random between a server and many clients, and looks for loss, damage and leaks.
#[derive(Debug, Parser)]
struct Args {
    /// How long; fractions are fine
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Connections at a time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    /// Messages a second of all clients and the server together, more or less
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Repeats the choices of another run, though not its timing
    #[arg(long)]
    seed: Option<u64>,
    /// Most KiB a minute by which memory, allocated and resident, may grow in the second half of a run of five minutes or more
    #[arg(long, default_value_t = 512.0)]
    bound: f64,
    /// Be the server of another process
    #[arg(long, hide = true)]
    server: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: &Args) -> Result<ExitCode, Failure> {
    if args.server {
        server::run().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = client::run(args).await?;
    println!("{report}");
    let failures = report.failures(args.bound);
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    println!("{}", if failures.is_empty() { "passed" } else { "failed" });
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
