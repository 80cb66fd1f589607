//! Measures wsduo beside its peers and writes a report with charts. `cargo xtask bench` builds what it needs and calls it.
//!
//! The work is a list of [`sections`]; a [`section`] is a list of cells that all of the [field](wsduo_benches::field) do in turns; what was found is kept
//! in a file, [`report`]ed, [`summary`] first, and drawn as a [`chart`] and a [`scaling_chart`].
#![forbid(unsafe_code)]

mod chart;
mod facts;
mod report;
mod scaling_chart;
mod section;
mod sections;
mod summary;
mod svg;

use clap::Parser;
use facts::Facts;
use report::Run;
use section::Found;
use sections::Pace;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;
use wsduo_benches::echo::Load;
use wsduo_benches::field::Field;
use wsduo_benches::server::Recipe;
use wsduo_benches::{Error, limit};

/// Measures wsduo beside its peers, in turns and in one run, and writes a report and charts
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// A few typical cells and short measurements: some minutes instead of forty
    #[arg(long)]
    quick: bool,
    /// These sections only [default: all, or with --cells the first]
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(sections::NAMES))]
    sections: Vec<String>,
    /// These loads instead of the sections' own, where a section consists of loads
    #[arg(long, value_delimiter = ',', value_name = "SIZExCONNECTIONSxIN_FLIGHT")]
    cells: Vec<Load>,
    /// These peers only [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    peers: Vec<String>,
    /// A server of any other kind that echoes: it prints `listening on ws://HOST:PORT/` first and ends on SIGTERM
    #[arg(long = "guest", value_name = "NAME=COMMAND")]
    guests: Vec<Recipe>,
    /// Measurements of each in each cell, of which the medians count; fewer than five prove nothing [default: 9, with --quick 5]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: Option<u8>,
    /// Seconds of one measurement [default: 0.15, with --quick 0.08]
    #[arg(long)]
    seconds: Option<f64>,
    /// Where the report, the charts and the figures are written
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    out: PathBuf,
    /// Writes them into the repository too: docs/benchmarks.md and docs/assets
    #[arg(long)]
    publish: bool,
    /// Measures nothing and writes report and charts of an earlier run again, from its figures.json
    #[arg(long, value_name = "FILE")]
    draw: Option<PathBuf>,
    /// The root of the sources
    #[arg(long, hide = true, default_value = ".")]
    root: PathBuf,
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let run = match &args.draw {
        Some(file) => {
            let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?
        }
        None => measure(&args)?,
    };
    println!("\n{}", run.summary());
    fs::create_dir_all(&args.out)?;
    let place = |name: &str| args.out.join(name);
    if args.draw.is_none() {
        fs::write(place("figures.json"), serde_json::to_string(&run)?)?;
    }
    write(&run, &place("report.md"), &args.out, ["chart.svg", "scaling.svg"])?;
    println!("written: {}", place("report.md").display());
    if args.publish {
        let docs = args.root.join("docs");
        fs::create_dir_all(docs.join("assets"))?;
        let charts = ["assets/benchmarks.svg", "assets/benchmarks-scaling.svg"];
        write(&run, &docs.join("benchmarks.md"), &docs, charts)?;
        println!("published: docs/benchmarks.md with docs/{} and docs/{}", charts[0], charts[1]);
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Run, Error> {
    limit::raise()?;
    let programs = std::env::current_exe()?;
    let folder = programs.parent().ok_or("this program is in no folder")?;
    let field = Rc::new(Field::new(folder, &args.peers, &args.guests)?);
    let pace = Pace {
        quick: args.quick,
        rounds: args.rounds.map_or(if args.quick { 5 } else { 9 }, usize::from),
        seconds: args.seconds.unwrap_or(if args.quick { 0.08 } else { 0.15 }),
        loads: args.cells.clone(),
    };
    let mut facts = Facts::gather(command_line(), &args.root);
    facts.add(
        "measured",
        format!("medians of {} rounds of {} s for each server in each cell", pace.rounds, pace.seconds),
    );
    println!("{facts}");
    let names: Vec<&str> = match (args.sections.is_empty(), args.cells.is_empty()) {
        (false, _) => args.sections.iter().map(String::as_str).collect(),
        (true, true) => sections::NAMES.to_vec(),
        (true, false) => sections::NAMES[..1].to_vec(),
    };
    let begin = Instant::now();
    let mut found: Vec<Found> = Vec::new();
    for name in names {
        let section =
            sections::section(name, &field, &pace).ok_or_else(|| format!("no section is called {name}"))?;
        found.push(section.measure(|heading, contestants, cell| {
            let seconds = begin.elapsed().as_secs();
            println!("{:>3}:{:02} {}", seconds / 60, seconds % 60, report::line(heading, contestants, cell));
        }));
    }
    facts.add("took", format!("{:.0} minutes", (begin.elapsed().as_secs_f64() / 60.0).ceil()));
    facts.finish();
    Ok(Run { facts, sections: found })
}

/// Writes a report, and the charts that it shows below `folder`.
fn write(run: &Run, report: &Path, folder: &Path, [chart, scaling]: [&str; 2]) -> Result<(), Error> {
    let of = |name: &str| run.sections.iter().find(|section| section.heading.name == name);
    let charts = [
        (chart, of("echo").and_then(chart::draw)),
        (scaling, scaling_chart::draw(of("connections"), of("sizes"))),
    ];
    for (name, svg) in charts {
        match svg {
            Some(svg) => fs::write(folder.join(name), svg)?,
            // What an earlier run left would be taken for this one's.
            None => fs::remove_file(folder.join(name)).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?,
        }
    }
    Ok(fs::write(report, run.markdown(chart, scaling))?)
}

/// What was typed, without what `cargo xtask` adds.
fn command_line() -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        if word == "--root" || word == "--out" {
            arguments.next();
        } else {
            words.push(word);
        }
    }
    words.join(" ")
}
