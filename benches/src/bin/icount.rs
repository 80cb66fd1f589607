//! Counts the instructions any server spends on a message. `icount_check` compares ours with stored figures.
#![forbid(unsafe_code)]

use clap::Parser;
use std::path::PathBuf;
use wsduo_benches::callgrind::Runs;
use wsduo_benches::load::{Kind, Plan, Service, Swarm};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::Recipe;
use wsduo_benches::{Error, callgrind};

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

impl Args {
    fn slope(&self, runs: &Runs, recipe: &Recipe) -> Result<f64, Error> {
        runs.slope(recipe, |server, messages| {
            Swarm::open(server.target(), self.connections)?.exchange(&Plan {
                kind: if self.text { Kind::Text } else { Kind::Binary },
                size: self.size,
                in_flight: self.in_flight,
                messages,
                service: if self.receive_only { Service::Sink } else { Service::Echo },
            })?;
            Ok(())
        })
    }
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    callgrind::version()?;
    let runs = Runs { short: args.short, long: args.long, keep: args.keep.clone() };
    println!(
        "User instructions per message: {} bytes, {} connections, {} in flight, slope from {} to {} messages.\n",
        args.size, args.connections, args.in_flight, args.short, args.long
    );
    let mut table = Table::new(&["server", "instructions", "lowest", "highest", "spread %"]);
    for recipe in &args.servers {
        let slopes =
            (0..args.repeat).map(|_| args.slope(&runs, recipe)).collect::<Result<Vec<f64>, Error>>()?;
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
