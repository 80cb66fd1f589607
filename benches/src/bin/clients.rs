//! Puts clients side by side: what receiving and sending a message costs each.
#![forbid(unsafe_code)]

use clap::Parser;
use wsduo_benches::Error;
use wsduo_benches::client::Errand;
use wsduo_benches::figures::shown;
use wsduo_benches::markdown::Table;
use wsduo_benches::server::Recipe;
use wsduo_benches::turns::{self, Finding};

/// How many bytes a measurement moves, and how many messages at most.
const BYTES: u64 = 512 << 20;
const MESSAGES: u64 = 1_000_000;

/// Prints the CPU time of each client per message received and sent, and messages per second, with ratios to the first.
#[derive(Debug, Parser)]
struct Args {
    /// Clients to compare: started as COMMAND client URL send|receive SIZE MESSAGES
    #[arg(required = true, value_name = "NAME=COMMAND")]
    clients: Vec<Recipe>,
    /// Payload sizes
    #[arg(long, value_delimiter = ',', default_values_t = [20, 512, 4096, 65_536, 1_048_576])]
    sizes: Vec<usize>,
    /// Measurements of each client in each cell; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let mut table = Table::new(&["size", "way", "client", "CPU ns", "CPU ratio", "messages/s"]);
    for size in &args.sizes {
        for sends in [false, true] {
            let messages = (BYTES / (*size as u64).max(1)).clamp(1, MESSAGES);
            let errand = Errand { sends, size: *size, messages };
            let trials = args.clients.iter().collect();
            let found = turns::take(trials, args.rounds.into(), |recipe| Ok(errand.measure(recipe)?));
            let first = found.first().and_then(|finding| finding.figure(0)).unwrap_or(f64::NAN);
            for (recipe, finding) in args.clients.iter().zip(&found) {
                let figure = |index| finding.figure(index).unwrap_or(f64::NAN);
                let cpu = match finding {
                    Finding::Failed(why) | Finding::Absent(why) => why.clone(),
                    Finding::Measured(_) => shown(figure(0)),
                };
                table.row([
                    size.to_string(),
                    if sends { "send" } else { "receive" }.to_owned(),
                    recipe.name.clone(),
                    cpu,
                    shown(figure(0) / first),
                    shown(figure(1)),
                ]);
            }
        }
    }
    print!("{table}");
    Ok(())
}
