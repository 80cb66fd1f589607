//! Measures what a connection costs in memory that does nothing, before and after it did something.
#![forbid(unsafe_code)]

use clap::Parser;
use wsduo_benches::idle::Crowd;
use wsduo_benches::markdown::Table;
use wsduo_benches::server::{Recipe, Server};
use wsduo_benches::{Error, limit};

/// Prints the resident memory per idle connection of each server.
#[derive(Debug, Parser)]
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
    let crowd = Crowd {
        connections: args.connections,
        size: args.size,
        messages: args.messages,
        deflate: args.deflate,
    };
    let mut table =
        Table::new(&["server", "base KiB", "opened B", "after traffic B", "closed B", "peak KiB"]);
    for recipe in &args.servers {
        let server = Server::start(recipe)?;
        let found = crowd.measure(&server)?;
        server.stop()?;
        table.row([
            recipe.name.clone(),
            (found.base / 1024).to_string(),
            format!("{:.0}", found.opened),
            format!("{:.0}", found.used),
            format!("{:.0}", found.closed),
            (found.peak / 1024).to_string(),
        ]);
    }
    print!("{table}");
    Ok(())
}
