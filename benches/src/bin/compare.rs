//! Puts servers side by side: the same load for each, alternating, in one run.
#![forbid(unsafe_code)]

use clap::Parser;
use std::str::FromStr;
use wsduo_benches::Error;
use wsduo_benches::figures::{median, nanoseconds_each, per_second};
use wsduo_benches::load::{Kind, Plan, Service, Swarm};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::usage::Cpu;

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
    cells: Vec<Cell>,
    /// All sizes and numbers of connections instead of a few typical ones
    #[arg(long, conflicts_with = "cells")]
    full: bool,
    /// Measurements of each server in each cell; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long the first server is to take for one measurement
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
    fn cells(&self) -> Result<Vec<Cell>, Error> {
        if !self.cells.is_empty() {
            return Ok(self.cells.clone());
        }
        let list = if self.full { FULL } else { QUICK };
        Ok(list.split(',').map(str::parse).collect::<Result<_, _>>()?)
    }

    fn plan(&self, cell: Cell, messages: u64) -> Plan {
        Plan {
            kind: if self.text { Kind::Text } else { Kind::Binary },
            size: cell.size,
            in_flight: cell.in_flight,
            messages,
            service: if self.receive_only { Service::Sink } else { Service::Echo },
        }
    }
}

/// One load.
#[derive(Clone, Copy, Debug)]
struct Cell {
    size: usize,
    connections: usize,
    in_flight: u64,
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<u64> = text.split('x').map_while(|part| part.parse().ok()).collect();
        let &[size, connections @ 1..=u64::MAX, in_flight @ 1..=u64::MAX] = parts.as_slice() else {
            return Err("expected SIZExCONNECTIONSxIN_FLIGHT, as in 512x10x32".to_owned());
        };
        let word = |number| usize::try_from(number).map_err(|_| format!("{number} is too large"));
        Ok(Self { size: word(size)?, connections: word(connections)?, in_flight })
    }
}

/// What one measurement found.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Nanoseconds of CPU per message: user and system together, and the part of the system.
    cpu: f64,
    system: f64,
    rate: f64,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let cells = args.cells()?;
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
    ]);
    for cell in cells {
        let samples = measure(&args, &servers, cell)?;
        let medians: Vec<Sample> = samples.iter().map(|samples| middle(samples)).collect();
        for (recipe, sample) in args.servers.iter().zip(&medians) {
            table.row([
                format!("{} x {} x {}", cell.size, cell.connections, cell.in_flight),
                recipe.name.clone(),
                format!("{:.0}", sample.cpu),
                format!("{:.0}", sample.system / sample.cpu * 100.0),
                format!("{:.2}", sample.cpu / medians[0].cpu),
                format!("{:.0}", sample.rate),
                format!("{:.2}", sample.rate / medians[0].rate),
            ]);
        }
    }
    print!("{table}");
    servers.into_iter().try_for_each(Server::stop)
}

/// All samples of each server in `cell`. Each round starts with another server.
fn measure(args: &Args, servers: &[Server], cell: Cell) -> Result<Vec<Vec<Sample>>, Error> {
    let messages = calibrate(args, &servers[0], cell)?;
    let mut samples = vec![Vec::new(); servers.len()];
    for round in 0..usize::from(args.rounds) {
        for turn in 0..servers.len() {
            let index = (round + turn) % servers.len();
            samples[index].push(sample(args, &servers[index], cell, messages)?);
        }
    }
    Ok(samples)
}

/// How many messages keep `server` busy for as long as asked.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is positive and modest")]
fn calibrate(args: &Args, server: &Server, cell: Cell) -> Result<u64, Error> {
    let least = cell.connections as u64 * cell.in_flight;
    let mut messages = least;
    loop {
        let outcome = Swarm::open_over(server.is_tls(), server.address(), cell.connections)?
            .exchange(&args.plan(cell, messages))?;
        // A tenth of the time is enough to tell the rate, and less would be all start-up.
        if outcome.elapsed.as_secs_f64() >= args.seconds / 10.0 {
            return Ok(least.max((per_second(messages, outcome.elapsed) * args.seconds) as u64));
        }
        messages *= 4;
    }
}

fn sample(args: &Args, server: &Server, cell: Cell, messages: u64) -> Result<Sample, Error> {
    let mut swarm = Swarm::open_over(server.is_tls(), server.address(), cell.connections)?;
    swarm.exchange(&args.plan(cell, cell.connections as u64 * cell.in_flight))?;
    let before = Cpu::of(server.pid())?;
    let outcome = swarm.exchange(&args.plan(cell, messages))?;
    let cpu = Cpu::of(server.pid())? - before;
    Ok(Sample {
        cpu: nanoseconds_each(cpu.total, messages),
        system: nanoseconds_each(cpu.system, messages),
        rate: per_second(messages, outcome.elapsed),
    })
}

fn middle(samples: &[Sample]) -> Sample {
    let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field));
    Sample {
        cpu: of(|sample| sample.cpu),
        system: of(|sample| sample.system),
        rate: of(|sample| sample.rate),
    }
}
