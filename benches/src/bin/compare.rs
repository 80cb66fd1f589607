//! Puts servers side by side: the same load for each, alternating, in one run.
#![forbid(unsafe_code)]

use clap::Parser;
use wsduo_benches::Error;
use wsduo_benches::echo::{Load, Work};
use wsduo_benches::load::{Kind, Service};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::turns::{self, Finding};

const QUICK: &str = "20x1x1,20x10x32,512x10x32,4096x10x32,65536x1x32";
const FULL: &str = "20x1x1,20x10x1,20x100x1,20x1x32,20x10x32,20x100x32,512x10x1,512x10x32,4096x10x1,\
                    4096x10x32,65536x10x1,65536x10x32,1048576x1x1,1048576x10x4";

/// Prints server CPU per message and messages per second of each server, with ratios to the first.
#[derive(Debug, Parser)]
struct Args {
    /// Servers to compare; the first is what the others are measured against
    #[arg(required = true, value_name = "NAME=COMMAND")]
    servers: Vec<Recipe>,
    /// Loads, as SIZExCONNECTIONSxIN_FLIGHT [default: a few typical ones]
    #[arg(long, value_delimiter = ',', value_name = "CELL")]
    cells: Vec<Load>,
    /// All sizes and numbers of connections instead of a few typical ones
    #[arg(long, conflicts_with = "cells")]
    full: bool,
    /// Measurements of each server in each cell; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long one measurement is to take
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// Send text messages
    #[arg(long)]
    text: bool,
    /// The servers count messages instead of echoing them
    #[arg(long, conflicts_with = "text")]
    receive_only: bool,
}

impl Args {
    fn cells(&self) -> Result<Vec<Load>, Error> {
        if !self.cells.is_empty() {
            return Ok(self.cells.clone());
        }
        let list = if self.full { FULL } else { QUICK };
        Ok(list.split(',').map(str::parse).collect::<Result<_, _>>()?)
    }

    fn work(&self, load: Load) -> Work {
        Work {
            load,
            kind: if self.text { Kind::Text } else { Kind::Binary },
            service: if self.receive_only { Service::Sink } else { Service::Echo },
            seconds: self.seconds,
        }
    }
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let loads = args.cells()?;
    let servers = args.servers.iter().map(Server::start).collect::<Result<Vec<_>, _>>()?;
    println!(
        "Server CPU per message and messages per second, medians of {} alternating measurements; ratios to {}.\n",
        args.rounds, args.servers[0].name
    );
    let mut table = Table::new(&[
        "size x connections x in flight",
        "server",
        "CPU ns",
        "of it system %",
        "CPU ratio",
        "messages/s",
        "rate ratio",
        "p50 µs",
        "p99 µs",
    ]);
    for load in loads {
        let found = measure(&args.work(load), &servers, args.rounds.into());
        let [cpu, rate] = [0, 2].map(|index| found[0].figure(index).unwrap_or(f64::NAN));
        for (recipe, finding) in args.servers.iter().zip(&found) {
            let of = |index| finding.figure(index).unwrap_or(f64::NAN);
            let figures = match finding {
                Finding::Measured(_) => vec![
                    format!("{:.0}", of(0)),
                    format!("{:.0}", of(1) / of(0) * 100.0),
                    format!("{:.2}", of(0) / cpu),
                    format!("{:.0}", of(2)),
                    format!("{:.2}", of(2) / rate),
                    format!("{:.1}", of(3)),
                    format!("{:.1}", of(4)),
                ],
                Finding::Failed(why) | Finding::Absent(why) => vec![format!("failed: {why}")],
            };
            table.row([load.to_string(), recipe.name.clone()].into_iter().chain(figures));
        }
    }
    print!("{table}");
    servers.into_iter().try_for_each(Server::stop)
}

/// CPU, system time, rate and latencies of each server.
fn measure(work: &Work, servers: &[Server], rounds: usize) -> Vec<Finding> {
    let calibrated = servers.iter().map(|server| (server, work.calibrate(server).map_err(Finding::from)));
    turns::take(calibrated.collect(), rounds, |(server, messages)| {
        let messages = messages.as_ref().map_err(Finding::clone)?;
        let sample = work.sample(server, *messages)?;
        let [p50, p99] = sample
            .latency
            .map_or([f64::NAN; 2], |latency| [latency.p50, latency.p99].map(|time| time.as_secs_f64() * 1e6));
        Ok(vec![sample.cpu, sample.system, sample.rate, p50, p99])
    })
}
