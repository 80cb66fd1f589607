//! Measures what a connection costs in memory that does nothing, before and after it did something.
#![forbid(unsafe_code)]

use clap::Parser;
use std::thread::sleep;
use std::time::Duration;
use wsduo_benches::Error;
use wsduo_benches::deflate::{self, Connection, KEEPING, Texts};
use wsduo_benches::limit;
use wsduo_benches::load::{Kind, Plan, Service, Swarm};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::usage::Memory;

/// Time for a server to do what it does after the last byte.
const SETTLE: Duration = Duration::from_millis(300);

/// Prints the resident memory per idle connection of each server.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Servers to measure
    #[arg(required = true, value_name = "NAME=COMMAND")]
    servers: Vec<Recipe>,
    /// Connections to open
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Payload bytes of the message each connection echoes in between
    #[arg(long, default_value_t = 20)]
    size: usize,
    /// How many such messages each connection echoes
    #[arg(long, default_value_t = 1)]
    messages: usize,
    /// Offer compression, and exchange compressed texts that look like JSON
    #[arg(long)]
    deflate: bool,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    limit::check(args.connections as usize)?;
    println!(
        "Resident bytes per connection over the server before the first one: {} connections, opened, after {} \
         of {} bytes each, and what remains when all are closed.\n",
        args.connections,
        if args.messages == 1 { "one message".to_owned() } else { format!("{} messages", args.messages) },
        args.size
    );
    let mut table =
        Table::new(&["server", "base KiB", "opened B", "after traffic B", "closed B", "peak KiB"]);
    for recipe in &args.servers {
        table.row(measure(&args, recipe)?);
    }
    print!("{table}");
    Ok(())
}

fn measure(args: &Args, recipe: &Recipe) -> Result<Vec<String>, Error> {
    let server = Server::start(recipe)?;
    // The code that a connection runs is read from the file when the first one does.
    let first = Args { connections: 1, ..args.clone() };
    if args.deflate {
        compressed(&first, &server)?
    } else {
        plain(&first, &server)?
    };
    let base = resident(&server)?;
    let each =
        |resident: u64| format!("{:.0}", (resident as f64 - base as f64) / f64::from(args.connections));

    let (opened, used) = if args.deflate { compressed(args, &server)? } else { plain(args, &server)? };
    let closed = resident(&server)?;
    let peak = Memory::of(server.pid())?.peak;
    server.stop()?;
    Ok(vec![
        recipe.name.clone(),
        (base / 1024).to_string(),
        each(opened),
        each(used),
        each(closed),
        (peak / 1024).to_string(),
    ])
}

/// What is resident once all connections are open, and after they were used.
fn plain(args: &Args, server: &Server) -> Result<(u64, u64), Error> {
    let mut swarm = Swarm::open(server.address(), args.connections as usize)?;
    let opened = resident(server)?;
    swarm.exchange(&Plan {
        kind: Kind::Binary,
        size: args.size,
        in_flight: 1,
        messages: u64::from(args.connections) * args.messages as u64,
        service: Service::Echo,
    })?;
    Ok((opened, resident(server)?))
}

/// As [`plain`], with compression.
fn compressed(args: &Args, server: &Server) -> Result<(u64, u64), Error> {
    let texts = Texts::new(args.size)?;
    let mut connections = (0..args.connections)
        .map(|_| Connection::open(server.address(), &texts, KEEPING))
        .collect::<Result<Vec<_>, _>>()?;
    let opened = resident(server)?;
    deflate::exchange(&mut connections, args.messages, 1)?;
    Ok((opened, resident(server)?))
}

fn resident(server: &Server) -> Result<u64, Error> {
    sleep(SETTLE);
    Ok(Memory::of(server.pid())?.resident)
}
