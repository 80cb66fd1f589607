//! Counts the instructions a server spends on a message, which noise does not touch.
//!
//! A run of a few messages and one of many, each under callgrind from start to end: the difference,
//! divided by the messages it took, leaves out starting, shaking hands and ending.
#![forbid(unsafe_code)]

use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};
use wsduo_benches::Error;
use wsduo_benches::load::{Kind, Plan, Service, Swarm};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};

/// Keeps glibc from `rep movsb` and `rep stosb`: callgrind counts an instruction for each byte of those,
/// so that clearing a large buffer would look thirty times as expensive as the same with vectors.
const NO_REP: &str = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000";

/// Prints the user instructions per message of each server, by callgrind.
#[derive(Debug, Parser)]
struct Args {
    /// Servers to measure
    #[arg(required = true, value_name = "NAME=COMMAND")]
    servers: Vec<Recipe>,
    /// Connections to open
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages a connection sends ahead of the replies
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,
    /// Payload bytes of a message
    #[arg(long, default_value_t = 20)]
    size: usize,
    /// Messages of the short run
    #[arg(long, default_value_t = 20_000)]
    short: u64,
    /// Messages of the long run
    #[arg(long, default_value_t = 60_000)]
    long: u64,
    /// Pairs of runs
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    repeat: u8,
    /// Send text messages
    #[arg(long)]
    text: bool,
    /// The server counts messages instead of echoing them
    #[arg(long, conflicts_with = "text")]
    receive_only: bool,
    /// Keep the profiles in this folder, for callgrind_annotate
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    if args.long <= args.short {
        return Err("the long run must be longer than the short one".into());
    }
    println!(
        "User instructions per message: {} bytes, {} connections, {} in flight, slope from {} to {} messages.\n",
        args.size, args.connections, args.in_flight, args.short, args.long
    );
    let mut table = Table::new(&["server", "instructions", "lowest", "highest", "spread %"]);
    for recipe in &args.servers {
        let slopes = (0..args.repeat).map(|_| slope(&args, recipe)).collect::<Result<Vec<f64>, Error>>()?;
        let mean = slopes.iter().sum::<f64>() / f64::from(args.repeat);
        let (low, high) =
            slopes.iter().fold((f64::MAX, f64::MIN), |(low, high), &slope| (low.min(slope), high.max(slope)));
        let figures = [mean, low, high].map(|value| format!("{value:.1}"));
        let spread = format!("{:.2}", (high - low) / mean * 100.0);
        table.row([recipe.name.clone()].into_iter().chain(figures).chain([spread]));
    }
    print!("{table}");
    Ok(())
}

/// Instructions per message between a short and a long run.
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn slope(args: &Args, recipe: &Recipe) -> Result<f64, Error> {
    let short = instructions(args, recipe, args.short)?;
    let long = instructions(args, recipe, args.long)?;
    Ok((long as f64 - short as f64) / (args.long - args.short) as f64)
}

/// Instructions of a whole run with `messages`.
fn instructions(args: &Args, recipe: &Recipe, messages: u64) -> Result<u64, Error> {
    let folder = args.keep.clone().unwrap_or_else(std::env::temp_dir);
    let profile = folder.join(format!("callgrind.{}.{messages}.{}", recipe.name, std::process::id()));
    let result = run(args, recipe, messages, &profile).and_then(|()| total(&profile));
    if args.keep.is_none() {
        // Absent if the run failed, and then that is the error to report.
        let _ = fs::remove_file(&profile);
    }
    result
}

fn run(args: &Args, recipe: &Recipe, messages: u64, profile: &Path) -> Result<(), Error> {
    let output = format!("--callgrind-out-file={}", profile.display());
    let wrapper =
        ["env", NO_REP, "valgrind", "-q", "--tool=callgrind", "--dump-instr=no", &output].map(str::to_owned);
    let server = Server::start_under(&wrapper, recipe)?;
    let plan = Plan {
        kind: if args.text { Kind::Text } else { Kind::Binary },
        size: args.size,
        in_flight: args.in_flight,
        messages,
        service: if args.receive_only { Service::Sink } else { Service::Echo },
    };
    let mut swarm = Swarm::open(server.address(), args.connections)?;
    swarm.exchange(&plan)?;
    drop(swarm);
    server.stop()
}

/// The figure behind `totals:`, or behind `summary:` in a profile without one.
fn total(profile: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    let figure = |name| text.lines().rev().find_map(|line| line.strip_prefix(name));
    let total = figure("totals:").or_else(|| figure("summary:")).ok_or("the profile has no total")?;
    Ok(total.split_ascii_whitespace().next().ok_or("the profile has no total")?.parse()?)
}
