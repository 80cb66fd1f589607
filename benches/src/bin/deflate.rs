//! Puts servers that compress side by side: the same texts for each, alternating, in one run.
#![forbid(unsafe_code)]

use clap::Parser;
use wsduo_benches::Error;
use wsduo_benches::deflate::{CYCLE, Connection, FORGETTING, KEEPING, Texts, exchange};
use wsduo_benches::figures::{median, nanoseconds_each};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::usage::Cpu;

/// Prints server CPU per message and how far each server compresses, with ratios to the first.
#[derive(Debug, Parser)]
struct Args {
    /// Servers to compare; the first is what the others are measured against
    #[arg(required = true, value_name = "NAME=COMMAND")]
    servers: Vec<Recipe>,
    /// Bytes of a text
    #[arg(long, value_delimiter = ',', default_value = "1024,16384")]
    sizes: Vec<usize>,
    /// Connections at a time
    #[arg(long, value_delimiter = ',', default_value = "1,10")]
    connections: Vec<usize>,
    /// Messages on their way on each connection
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Measurements of each server; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Do not promise the server that no message refers to those before it
    #[arg(long)]
    keep: bool,
    /// MiB of text in one measurement
    #[arg(long, default_value_t = 8)]
    mib: usize,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let servers = args.servers.iter().map(Server::start).collect::<Result<Vec<_>, _>>()?;
    println!(
        "Server CPU per compressed echo, {} in flight, medians of {} alternating measurements; ratios to {}; what a byte \
         became.\n",
        args.in_flight, args.rounds, args.servers[0].name
    );
    let mut table = Table::new(&["size x connections", "server", "CPU µs", "CPU ratio", "compressed to"]);
    for &size in &args.sizes {
        let texts = Texts::new(size)?;
        for &connections in &args.connections {
            let mut samples = vec![Vec::new(); servers.len()];
            for round in 0..usize::from(args.rounds) {
                for turn in 0..servers.len() {
                    let index = (round + turn) % servers.len();
                    let sample = sample(&args, &servers[index], &texts, size, connections)
                        .map_err(|error| format!("{}: {error}", args.servers[index].name))?;
                    samples[index].push(sample);
                }
            }
            let cpu: Vec<f64> =
                samples.iter().map(|samples| median(samples.iter().map(|sample| sample.0))).collect();
            for (index, recipe) in args.servers.iter().enumerate() {
                table.row([
                    format!("{size} x {connections}"),
                    recipe.name.clone(),
                    format!("{:.1}", cpu[index] / 1000.0),
                    format!("{:.2}", cpu[index] / cpu[0]),
                    format!("{:.3}", median(samples[index].iter().map(|sample| sample.1))),
                ]);
            }
        }
    }
    print!("{table}");
    servers.into_iter().try_for_each(Server::stop)
}

/// Nanoseconds of CPU per message, and what a byte became.
fn sample(
    args: &Args,
    server: &Server,
    texts: &Texts,
    size: usize,
    connections: usize,
) -> Result<(f64, f64), Error> {
    let offer = if args.keep { KEEPING } else { FORGETTING };
    let mut open = (0..connections)
        .map(|_| Connection::open(server.address(), texts, offer))
        .collect::<Result<Vec<_>, _>>()?;
    exchange(&mut open, CYCLE, args.in_flight)?;
    let each = ((args.mib << 20) / size.max(1) / connections.max(1)).max(CYCLE);
    let before = Cpu::of(server.pid())?;
    let ratio = exchange(&mut open, each, args.in_flight)?;
    let cpu = Cpu::of(server.pid())? - before;
    Ok((nanoseconds_each(cpu.total, (each * connections) as u64), ratio))
}
