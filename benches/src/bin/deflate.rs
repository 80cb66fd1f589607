//! Puts servers that compress side by side: the same texts for each, alternating, in one run.
#![forbid(unsafe_code)]

use clap::Parser;
use wsduo_benches::Error;
use wsduo_benches::compressed::Work;
use wsduo_benches::deflate::Texts;
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::turns::{self, Finding};

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
            let work = Work {
                texts: &texts,
                connections,
                in_flight: args.in_flight,
                keep: args.keep,
                bytes: args.mib << 20,
            };
            let found = turns::take(servers.iter().collect(), args.rounds.into(), |server| {
                let sample = work.sample(server)?;
                Ok(vec![sample.cpu, sample.ratio])
            });
            let first = found[0].figure(0).unwrap_or(f64::NAN);
            for (recipe, finding) in args.servers.iter().zip(found) {
                let of = |index| finding.figure(index).unwrap_or(f64::NAN);
                let figures = match &finding {
                    Finding::Measured(_) => [
                        format!("{:.1}", of(0) / 1000.0),
                        format!("{:.2}", of(0) / first),
                        format!("{:.3}", of(1)),
                    ],
                    Finding::Failed(why) | Finding::Absent(why) => {
                        [format!("failed: {why}"), String::new(), String::new()]
                    }
                };
                table
                    .row([format!("{size} x {connections}"), recipe.name.clone()].into_iter().chain(figures));
            }
        }
    }
    print!("{table}");
    servers.into_iter().try_for_each(Server::stop)
}
