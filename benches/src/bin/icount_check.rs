//! Compares instructions per message with the figures that the repository stores. `cargo xtask icount` builds what it needs and
//! calls it.
#![forbid(unsafe_code)]

use clap::Parser;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use wsduo_benches::callgrind::{self, Runs};
use wsduo_benches::deflate::{Connection, FORGETTING, Texts, exchange};
use wsduo_benches::field::{Contestant, Field, Mode, Role};
use wsduo_benches::load::{Kind, Plan, Service, Swarm};
use wsduo_benches::markdown::Table;
use wsduo_benches::server::Server;
use wsduo_benches::turns::Finding;
use wsduo_benches::{Error, figures};

/// What a figure may rise by before it is a failure: callgrind repeats itself to a tenth of that.
const ALLOWED: f64 = 0.02;
/// How often a case is measured that seems to have become worse, or is to be stored.
const TRIES: usize = 3;
const HEAD: &str = "case\tserver\tinstructions";

/// Counts user instructions per message by callgrind, and compares them with the stored ones
#[derive(Debug, Parser)]
#[command(name = "cargo xtask icount")]
struct Args {
    /// Count those of these peers too, which cannot fail
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    peers: Vec<String>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// Store what was counted
    #[arg(long)]
    store: bool,
    /// Where figures are stored
    #[arg(long, hide = true, value_name = "FILE")]
    stored: PathBuf,
}

/// What is counted.
struct Case {
    name: &'static str,
    mode: Mode,
    work: Work,
    /// Messages of the short run and the long one.
    messages: (u64, u64),
}

#[derive(Clone, Copy)]
enum Work {
    /// Size and in flight, on one connection.
    Messages(usize, u64, Service),
    /// Texts of this size, on one connection, eight in flight.
    Compressed(usize),
}

const CASES: [Case; 8] = [
    Case {
        name: "echo 20 B, 32 in flight",
        mode: Mode::Echo,
        work: Work::Messages(20, 32, Service::Echo),
        messages: (20_000, 60_000),
    },
    Case {
        name: "echo 20 B, 1 in flight",
        mode: Mode::Echo,
        work: Work::Messages(20, 1, Service::Echo),
        messages: (2_000, 6_000),
    },
    Case {
        name: "echo 512 B, 32 in flight",
        mode: Mode::Echo,
        work: Work::Messages(512, 32, Service::Echo),
        messages: (10_000, 30_000),
    },
    Case {
        name: "echo 4 KiB, 32 in flight",
        mode: Mode::Echo,
        work: Work::Messages(4 << 10, 32, Service::Echo),
        messages: (2_000, 6_000),
    },
    Case {
        name: "echo 64 KiB, 1 in flight",
        mode: Mode::Echo,
        work: Work::Messages(64 << 10, 1, Service::Echo),
        messages: (300, 900),
    },
    Case {
        name: "receive 20 B",
        mode: Mode::Sink,
        work: Work::Messages(20, 32, Service::Sink),
        messages: (50_000, 150_000),
    },
    Case {
        name: "deflate 1 KiB, level 1, context kept",
        mode: Mode::Deflate { level: 1, keeps_context: true },
        work: Work::Compressed(1024),
        messages: (512, 1536),
    },
    Case {
        name: "deflate 1 KiB, level 6, no context",
        mode: Mode::Deflate { level: 6, keeps_context: false },
        work: Work::Compressed(1024),
        messages: (512, 1536),
    },
];

fn main() -> ExitCode {
    match check(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("icount: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing became worse.
fn check(args: &Args) -> Result<bool, Error> {
    let tools = Tools::here()?;
    let programs = std::env::current_exe()?;
    let field = Field::new(programs.parent().ok_or("this program is in no folder")?, &args.peers, &[])?;
    let wanted = |contestant: &&Contestant| match contestant.role {
        Role::Ours | Role::Limit => true,
        Role::Again => false,
        Role::Peer => args.peers.contains(&contestant.name),
    };
    let contestants: Vec<_> = field.contestants.iter().filter(wanted).collect();
    let mut store = Store::read(&args.stored)?;
    let are_comparable = store.tools == tools || store.figures.is_empty();
    let mut table = Table::new(&["instructions per message", "server", "stored", "now", "difference", ""]);
    let mut failed = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(&args.case)) {
        for contestant in &contestants {
            let key = (case.name.to_owned(), contestant.name.clone());
            let old = store.figures.get(&key).copied();
            let tries = if args.store { TRIES } else { 1 };
            let counted = count(&field, case, contestant, old.filter(|_| are_comparable), tries);
            let mut row =
                vec![case.name.to_owned(), contestant.name.clone(), old.map_or("–".into(), one_digit)];
            match counted {
                Ok(new) => {
                    let verdict = Verdict::of(old, new, are_comparable, contestant.role);
                    if verdict == Verdict::Worse {
                        failed.push(case.name);
                    }
                    row.extend([
                        one_digit(new),
                        old.map_or("–".into(), |old| format!("{:+.1} %", (new / old - 1.0) * 100.0)),
                        verdict.word().to_owned(),
                    ]);
                    store.figures.insert(key, new);
                }
                Err(Finding::Absent(why)) => row.extend(["–".into(), "–".into(), why]),
                Err(why) => {
                    failed.extend((contestant.role == Role::Ours).then_some(case.name));
                    row.extend(["–".into(), "–".into(), format!("failed: {}", reason(why))]);
                }
            }
            eprintln!("{}", row.join(" | "));
            table.row(row);
        }
    }
    println!("{table}\n{tools}");
    if !are_comparable {
        println!(
            "The stored figures are of other tools, so a difference is a remark here and no failure:\n{}",
            store.tools
        );
    }
    if args.store {
        store.tools = tools;
        store.write(&args.stored)?;
        println!("Stored.");
        return Ok(true);
    }
    if !failed.is_empty() {
        println!(
            "More than {:.0} % above what is stored, or not counted: {}.",
            ALLOWED * 100.0,
            failed.join("; ")
        );
    }
    Ok(failed.is_empty())
}

/// The median of `tries` counts; or one, and the lowest of more if it is above what `old` allows.
fn count(
    field: &Field,
    case: &Case,
    contestant: &Contestant,
    old: Option<f64>,
    tries: usize,
) -> Result<f64, Finding> {
    let one = || count_once(field, case, contestant);
    if tries > 1 {
        let counts = (0..tries).map(|_| one()).collect::<Result<Vec<_>, _>>()?;
        return Ok(figures::median(counts));
    }
    let mut lowest = one()?;
    for _ in 1..TRIES {
        if old.is_none_or(|old| lowest <= old * (1.0 + ALLOWED)) {
            break;
        }
        lowest = lowest.min(one()?);
    }
    Ok(lowest)
}

fn count_once(field: &Field, case: &Case, contestant: &Contestant) -> Result<f64, Finding> {
    let recipe = field.recipe(contestant, case.mode)?;
    let (short, long) = case.messages;
    let runs = Runs { short, long, keep: None };
    let slope = runs.slope(&recipe, |server, messages| case.work.load(server, messages));
    slope.map_err(Finding::from)
}

impl Work {
    fn load(self, server: &Server, messages: u64) -> Result<(), Error> {
        match self {
            Self::Messages(size, in_flight, service) => {
                let plan = Plan { kind: Kind::Binary, size, in_flight, messages, service };
                Swarm::open(server.address(), 1)?.exchange(&plan)?;
            }
            Self::Compressed(size) => {
                let texts = Texts::new(size)?;
                let mut connections = [Connection::open(server.address(), &texts, FORGETTING)?];
                exchange(&mut connections, usize::try_from(messages)?, 8)?;
            }
        }
        Ok(())
    }
}

/// What decides, beside our sources, how many instructions there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tools {
    rustc: String,
    valgrind: String,
}

impl Tools {
    fn here() -> Result<Self, Error> {
        let valgrind = callgrind::version()?;
        let output =
            Command::new("rustc").arg("--version").output().map_err(|error| format!("rustc: {error}"))?;
        Ok(Self { rustc: String::from_utf8_lossy(&output.stdout).trim().to_owned(), valgrind })
    }
}

impl std::fmt::Display for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "# compiler: {}\n# valgrind: {}", self.rustc, self.valgrind)
    }
}

/// The stored figures.
#[derive(Debug, Default, PartialEq)]
struct Store {
    tools: Tools,
    /// By case and server.
    figures: BTreeMap<(String, String), f64>,
}

impl Store {
    /// Nothing if there is no such file.
    fn read(file: &Path) -> Result<Self, Error> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text).map_err(|error| format!("{}: {error}", file.display()).into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", file.display()).into()),
        }
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let mut store = Self::default();
        for line in text.lines().filter(|line| *line != HEAD) {
            if let Some(remark) = line.strip_prefix("# ") {
                match remark.split_once(": ") {
                    Some(("compiler", value)) => value.clone_into(&mut store.tools.rustc),
                    Some(("valgrind", value)) => value.clone_into(&mut store.tools.valgrind),
                    _ => {}
                }
                continue;
            }
            let wrong = || format!("expected CASE, SERVER and a number with tabs between, got {line:?}");
            let &[case, server, figure] = line.split('\t').collect::<Vec<_>>().as_slice() else {
                return Err(wrong().into());
            };
            let figure = figure.parse().map_err(|_| wrong())?;
            store.figures.insert((case.to_owned(), server.to_owned()), figure);
        }
        Ok(store)
    }

    fn write(&self, file: &Path) -> Result<(), Error> {
        let mut text = format!("# Written by `cargo xtask icount --store`.\n{}{HEAD}\n", self.tools);
        for ((case, server), figure) in &self.figures {
            text += &format!("{case}\t{server}\t{figure:.1}\n");
        }
        Ok(fs::write(file, text)?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There was nothing to compare with.
    New,
    Same,
    Better,
    /// A failure.
    Worse,
    /// More, but of a peer, or with other tools.
    Remark,
}

impl Verdict {
    fn of(old: Option<f64>, new: f64, are_comparable: bool, role: Role) -> Self {
        let Some(old) = old else { return Self::New };
        if new > old * (1.0 + ALLOWED) {
            if are_comparable && role == Role::Ours { Self::Worse } else { Self::Remark }
        } else if new < old * (1.0 - ALLOWED) {
            Self::Better
        } else {
            Self::Same
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "",
            Self::Better => "better: store it",
            Self::Worse => "WORSE",
            Self::Remark => "more",
        }
    }
}

fn reason(finding: Finding) -> String {
    match finding {
        Finding::Failed(why) | Finding::Absent(why) => why,
        Finding::Measured(_) => String::new(),
    }
}

fn one_digit(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_more_of_ours_with_the_same_tools_is_a_failure() {
        let of = |new, are_comparable, role| Verdict::of(Some(100.0), new, are_comparable, role);
        assert_eq!(of(102.1, true, Role::Ours), Verdict::Worse);
        assert_eq!(of(101.9, true, Role::Ours), Verdict::Same);
        assert_eq!(of(97.0, true, Role::Ours), Verdict::Better);
        assert_eq!(of(150.0, false, Role::Ours), Verdict::Remark);
        assert_eq!(of(150.0, true, Role::Peer), Verdict::Remark);
        assert_eq!(Verdict::of(None, 150.0, true, Role::Ours), Verdict::New);
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let tools = Tools { rustc: "rustc 1.95.0 (abc: 2026)".into(), valgrind: "valgrind-3.24.0".into() };
        let figures = BTreeMap::from([(("echo 20 B, 32 in flight".into(), "wsduo".into()), 384.1)]);
        let store = Store { tools, figures };
        let file = std::env::temp_dir().join(format!("icount.{}.tsv", std::process::id()));
        store.write(&file).unwrap();
        let read = Store::read(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(read.unwrap(), store);
        assert_eq!(Store::read(&file).unwrap(), Store::default(), "no file is no figures");
        assert!(Store::parse("a case\twsduo\tmany").unwrap_err().to_string().contains("many"));
    }

    #[test]
    fn no_two_cases_have_the_same_name() {
        let mut names = CASES.map(|case| case.name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
