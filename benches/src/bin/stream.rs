//! Measures what it costs to send gigabytes from one process to another: CPU at both ends, rate, and memory.
#![forbid(unsafe_code)]

use clap::Parser;
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;
use wsduo_benches::Error;
use wsduo_benches::curve;
use wsduo_benches::figures::{median, nanoseconds_each, per_second};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::Recipe;
use wsduo_benches::transfer::{Outcome, Plan, run};

/// Prints CPU per KiB and memory of both ends of a transfer, and the CPU's ratio to the first program's.
#[derive(Debug, Parser)]
struct Args {
    /// Programs to measure, which are run as both ends; the first is what the others are compared with
    #[arg(required = true, value_name = "NAME=COMMAND")]
    programs: Vec<Recipe>,
    /// GiB of a transfer
    #[arg(long, default_value_t = 1.0)]
    gib: f64,
    /// How the bytes are sent: bytes of a write, and `one` where all writes are one message. The first program, which
    /// knows no messages, takes part in the first case alone
    #[arg(long, value_delimiter = ',', default_value = "65536:one,65536,1024")]
    cases: Vec<Case>,
    /// Transfers of each kind; the programs take turns, and medians count
    #[arg(long, default_value_t = 3)]
    rounds: u16,
    /// The programs that can send one message, besides the first
    #[arg(long, value_delimiter = ',', default_value = "wsduo")]
    one: Vec<String>,
    /// Prints memory over time of every transfer of these programs in the last round
    #[arg(long, value_delimiter = ',')]
    curve: Vec<String>,
    /// Writes those curves to a file too
    #[arg(long, value_name = "FILE")]
    svg: Option<std::path::PathBuf>,
}

/// How bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Case {
    chunk: usize,
    one_message: bool,
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (chunk, one_message) = match text.strip_suffix(":one") {
            Some(chunk) => (chunk, true),
            None => (text, false),
        };
        let chunk = chunk.parse().ok().filter(|&chunk| chunk > 0);
        Ok(Self { chunk: chunk.ok_or("expected BYTES or BYTES:one, as in 65536:one")?, one_message })
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = if self.chunk.is_multiple_of(1024) {
            format!("{} KiB", self.chunk / 1024)
        } else {
            format!("{} B", self.chunk)
        };
        if self.one_message {
            write!(f, "one message, {size} a write")
        } else {
            write!(f, "messages of {size}")
        }
    }
}

/// One kind of transfer of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell {
    program: usize,
    case: Case,
    up: bool,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size is positive and modest")]
fn main() -> Result<(), Error> {
    let args = Args::parse();
    let bytes = (args.gib * f64::from(1 << 30)) as u64;
    let cells = cells(&args);
    let mut outcomes: HashMap<Cell, Vec<Outcome>> = HashMap::new();
    for round in 0..usize::from(args.rounds) {
        for turn in 0..cells.len() {
            let cell = cells[(round + turn) % cells.len()];
            let Case { chunk, one_message } = cell.case;
            let recipe = &args.programs[cell.program];
            let outcome = run(&recipe.command, Plan { bytes, chunk, one_message, up: cell.up })
                .map_err(|error| format!("{}, {}: {error}", recipe.name, cell.case))?;
            let cpu = outcome.sender.cpu.total + outcome.receiver.cpu.total;
            eprintln!("{}: {:.0} ns/KiB", name(&args, &cell), nanoseconds_each(cpu, bytes / 1024));
            outcomes.entry(cell).or_default().push(outcome);
        }
    }
    print_table(&args, bytes, &cells, &outcomes);
    let last = |cell: &Cell| outcomes[cell].last();
    let shown = cells.iter().filter(|cell| args.curve.contains(&args.programs[cell.program].name));
    let curves: Vec<_> = shown.filter_map(|cell| Some((name(&args, cell), last(cell)?))).collect();
    for (name, outcome) in &curves {
        println!("\n{name}, {:.1} s: resident KiB over the base\n", outcome.elapsed.as_secs_f64());
        print!("{}", curve::text(&outcome.sender.curve, &outcome.receiver.curve));
    }
    if let Some(file) = &args.svg {
        std::fs::write(file, curve::svg(&curves))?;
    }
    Ok(())
}

/// What there is to measure.
fn cells(args: &Args) -> Vec<Cell> {
    let mut cells = Vec::new();
    for up in [false, true] {
        for (program, recipe) in args.programs.iter().enumerate() {
            for (index, &case) in args.cases.iter().enumerate() {
                let knows = !case.one_message || args.one.contains(&recipe.name);
                if if program == 0 { index == 0 } else { knows } {
                    cells.push(Cell { program, case, up });
                }
            }
        }
    }
    cells
}

fn name(args: &Args, cell: &Cell) -> String {
    let program = &args.programs[cell.program].name;
    let how =
        if cell.program == 0 { format!("writes of {} B", cell.case.chunk) } else { cell.case.to_string() };
    format!("{program} {}, {how}", if cell.up { "client → server" } else { "server → client" })
}

fn print_table(args: &Args, bytes: u64, cells: &[Cell], outcomes: &HashMap<Cell, Vec<Outcome>>) {
    println!(
        "{} GiB between two processes over loopback, medians of {} alternating transfers. CPU in ns per KiB, user and \
         system together; its ratio is that of both ends to {} in the same direction. Memory is \
         the most in any transfer that was resident over what it was with the connection open.\n",
        args.gib, args.rounds, args.programs[0].name
    );
    let mut table = Table::new(&[
        "transfer",
        "MB/s",
        "sender",
        "receiver",
        "both",
        "of it user",
        "ratio",
        "sender KiB",
        "receiver KiB",
    ]);
    let kib = bytes / 1024;
    for cell in cells {
        let of = |cell: &Cell, field: &dyn Fn(&Outcome) -> f64| median(outcomes[cell].iter().map(field));
        let both = |outcome: &Outcome| outcome.sender.cpu.total + outcome.receiver.cpu.total;
        let user = |outcome: &Outcome| outcome.sender.cpu.user + outcome.receiver.cpu.user;
        let each = |time: Duration| nanoseconds_each(time, kib);
        let reference = cells.iter().find(|other| other.program == 0 && other.up == cell.up);
        let of_reference =
            reference.map_or(f64::NAN, |reference| of(reference, &|outcome| each(both(outcome))));
        let peak = |end: fn(&Outcome) -> u64| outcomes[cell].iter().map(end).max().unwrap_or(0) / 1024;
        let sum = of(cell, &|outcome| each(both(outcome)));
        table.row([
            name(args, cell),
            format!("{:.0}", of(cell, &|outcome| per_second(bytes, outcome.elapsed) / 1e6)),
            format!("{:.0}", of(cell, &|outcome| each(outcome.sender.cpu.total))),
            format!("{:.0}", of(cell, &|outcome| each(outcome.receiver.cpu.total))),
            format!("{sum:.0}"),
            format!("{:.0}", of(cell, &|outcome| each(user(outcome)))),
            format!("{:.2}", sum / of_reference),
            peak(|outcome| outcome.sender.peak).to_string(),
            peak(|outcome| outcome.receiver.peak).to_string(),
        ]);
    }
    print!("{table}");
}
