//! The process of the clients, which starts the server, keeps so many connections open, and tells how it went.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval, sleep, timeout};
use wsduo::{ClientTls, Compression, MessageWebSocketControl, Role, StreamWebSocketControl};

use crate::counts::COUNTS;
use crate::dice::Dice;
use crate::plan::{Cut, Plan, Style};
use crate::report::{Report, Tally};
use crate::talk::{Ending, Fault, Socket, hold, is_cut};
use crate::watching::{Sample, cpu_seconds};
use crate::{ALLOCATED, Args, Failure, stream};

/// For connections to come to their end. Idle ones may be in the middle of a keepalive interval.
const WINDING_UP: Duration = Duration::from_secs(60);

/// New connections a second, so that a run does not begin with nothing but handshakes.
const OPENINGS: u64 = 100;

/// Violations that are told one by one.
const TOLD: usize = 20;

/// Where the server is, and how to talk to it.
struct Target {
    plain: String,
    secure: String,
    tls: ClientTls,
}

/// What the server has told of itself.
#[derive(Default)]
struct Heard {
    counts: HashMap<String, u64>,
    violations: Vec<String>,
}

pub(crate) async fn run(args: &Args) -> Result<Report, Failure> {
    let seed = args.seed.unwrap_or_else(|| Dice::new(std::process::id().into()).next() ^ nanoseconds());
    println!("seed {seed}, {} connections, {} minutes", args.connections, args.minutes);
    let (mut server, mut lines) = start_server()?;
    let pid = server.id().ok_or("the server ended at once")?;
    let first = lines.next_line().await?.ok_or("the server said nothing")?;
    let target = Arc::new(Target::parse(&first)?);
    let heard = Arc::new(Mutex::new(Heard::default()));
    tokio::spawn(listen(lines, Arc::clone(&heard)));

    let (end, ending) = watch::channel(false);
    let mut tasks = start_clients(args, seed, &target, &ending);
    let samples = sample_until_the_end(args, pid, &heard).await;
    println!("winding up");
    // All receivers may be gone.
    let _ = end.send(true);
    let mut input = server.stdin.take().ok_or("the server has no standard input")?;
    tokio::io::AsyncWriteExt::write_all(&mut input, b"e").await?;
    let in_time = timeout(WINDING_UP, async { while tasks.join_next().await.is_some() {} }).await.is_ok();
    if !in_time {
        violation(&format!("{} connections did not come to their end within {WINDING_UP:?}", tasks.len()));
    }
    // The server sees the last ends a little later, and tells each second.
    sleep(Duration::from_secs(3)).await;
    let last = samples_of_both(pid, 0.0, &heard);
    let cpu = [cpu_seconds(std::process::id()), cpu_seconds(pid)];
    drop(input);
    server.wait().await?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let client =
        Tally::new("clients", COUNTS.all().into_iter().map(|(name, count)| (name.to_owned(), count)));
    let of_server = Tally::new("server", heard.counts.clone());
    Ok(Report { seed, sides: [client, of_server], samples, last, cpu, violations: violations(&heard) })
}

fn nanoseconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |time| time.as_nanos() as u64)
}

fn start_server() -> Result<(Child, Lines<BufReader<ChildStdout>>), Failure> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = server.stdout.take().ok_or("the server has no standard output")?;
    Ok((server, BufReader::new(output).lines()))
}

impl Target {
    fn parse(line: &str) -> Result<Self, Failure> {
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().ok_or("the server's first line is not as expected");
        let (plain, secure) = (format!("ws://{}", next()?), format!("wss://{}", next()?));
        let tls = ClientTls::new().add_roots(next()?.replace('|', "\n"))?.only_added_roots().prepared()?;
        Ok(Self { plain, secure, tls })
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, heard: Arc<Mutex<Heard>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = line.strip_prefix("counts ") {
            for (name, count) in counts.split(' ').filter_map(|word| word.split_once('=')) {
                heard.counts.insert(name.to_owned(), count.parse().unwrap_or_default());
            }
        } else if let Some(text) = line.strip_prefix("violation ") {
            println!("VIOLATION {text}");
            if heard.violations.len() < TOLD {
                heard.violations.push(text.to_owned());
            }
        }
    }
}

static OWN_VIOLATIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn violation(text: &str) {
    COUNTS.violations.add(1);
    println!("VIOLATION {text}");
    let mut own = OWN_VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    if own.len() < TOLD {
        own.push(text.to_owned());
    }
}

fn violations(heard: &Heard) -> Vec<String> {
    let own = OWN_VIOLATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    own.iter().chain(&heard.violations).cloned().collect()
}

fn start_clients(args: &Args, seed: u64, target: &Arc<Target>, ending: &Ending) -> JoinSet<()> {
    let mut dice = Dice::new(seed);
    let mut tasks = JoinSet::new();
    // Both sides send.
    let pace = args.connections * 1000 / args.rate.max(1) * 2;
    for index in 0..args.connections {
        let (dice, target, ending) = (dice.another(), Arc::clone(target), ending.clone());
        tasks.spawn(connect_again_and_again(dice, pace, target, ending, index * 1000 / OPENINGS));
    }
    tasks
}

async fn connect_again_and_again(mut dice: Dice, pace: u64, target: Arc<Target>, ending: Ending, delay: u64) {
    let mut end = ending.clone();
    let mut wait = delay;
    loop {
        let pause = sleep(Duration::from_millis(wait));
        // The sender of the end lives as long as this.
        tokio::select! {
            () = pause => {}
            _ = end.wait_for(|ending| *ending) => return,
        }
        let plan = Plan::random(&mut dice, pace);
        if let Err(text) = one(&plan, &mut dice, &target, ending.clone()).await {
            violation(&format!("client: {text} ({plan})"));
        }
        wait = dice.below(500);
    }
}

async fn one(plan: &Plan, dice: &mut Dice, target: &Target, ending: Ending) -> Result<(), String> {
    let opening = open(plan, dice.another(), target);
    // Some are given up while they open.
    let opened = if matches!(plan.cut, Cut::Client | Cut::Reset) && dice.one_in(4) {
        match timeout(Duration::from_micros(dice.below(4000)), opening).await {
            Ok(opened) => opened,
            Err(_) => {
                COUNTS.cut.add(1);
                return Ok(());
            }
        }
    } else {
        opening.await
    };
    match opened {
        Ok(socket) => {
            COUNTS.opened.add(1);
            hold(socket, plan, Role::Client, ending).await
        }
        Err(Fault::Connection(error)) if plan.may_be_cut() && is_cut(&error) => {
            COUNTS.cut.add(1);
            Ok(())
        }
        Err(Fault::Connection(error)) => Err(format!("cannot connect: {:?}: {error}", error.kind())),
        Err(Fault::Violation(text)) => Err(format!("cannot connect: {text}")),
    }
}

async fn open(plan: &Plan, mut dice: Dice, target: &Target) -> Result<Socket, Fault> {
    let secure = dice.one_in(2);
    let compression = dice.one_in(2).then(|| compression(&mut dice));
    let base = if secure { &target.secure } else { &target.plain };
    COUNTS.tls.add(u64::from(secure));
    COUNTS.compressed.add(u64::from(compression.is_some()));
    let address = base.split("//").nth(1).unwrap_or_default();
    let tcp = TcpStream::connect(address).await?;
    // Both fail only if the connection is gone, which shows.
    let _ = tcp.set_nodelay(true);
    if plan.cut == Cut::Reset {
        let _ = tcp.set_zero_linger();
    }
    let uri = format!("{base}{plan}");
    if plan.style == Style::Stream {
        let control = StreamWebSocketControl::new().tls(target.tls.clone()).compression(compression);
        let control = stream::framing(plan, Role::Client, control);
        return Ok(Socket::Bytes(control.connect_over(tcp, &uri).await?));
    }
    let control = MessageWebSocketControl::new().tls(target.tls.clone()).compression(compression);
    Ok(Socket::Messages(control.connect_over(tcp, &uri).await?))
}

fn compression(dice: &mut Dice) -> Compression {
    let bits = |dice: &mut Dice| 9 + dice.below(7) as u8;
    Compression::new()
        .level(1 + dice.below(9) as u8)
        .threshold(dice.below(200) as usize)
        .window_bits(bits(dice), bits(dice))
        .context_takeover(dice.one_in(2), dice.one_in(2))
}

/// Samples of both processes, each second, until the time is over or somebody interrupts.
async fn sample_until_the_end(args: &Args, pid: u32, heard: &Arc<Mutex<Heard>>) -> Vec<[Sample; 2]> {
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(args.minutes * 60.0);
    let mut samples = Vec::new();
    let mut second = interval(Duration::from_secs(1));
    while Instant::now() < end {
        tokio::select! {
            _ = second.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let now = begin.elapsed().as_secs_f64();
        let Some(both) = samples_of_both(pid, now, heard) else {
            violation("the server is gone");
            break;
        };
        samples.push(both);
        if samples.len() % 60 == 0 {
            println!(
                "minute {:.0}: {} received, {} clean, {} cut, {} violations; KiB {} and {}, of which allocated {} and {}",
                now / 60.0,
                COUNTS.received.get(),
                COUNTS.clean.get(),
                COUNTS.cut.get(),
                COUNTS.violations.get(),
                both[0].resident,
                both[1].resident,
                both[0].allocated,
                both[1].allocated
            );
        }
    }
    samples
}

fn samples_of_both(pid: u32, second: f64, heard: &Arc<Mutex<Heard>>) -> Option<[Sample; 2]> {
    let own = Handle::current().metrics().num_alive_tasks() as u64;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let told = |name: &str| heard.counts.get(name).copied().unwrap_or_default();
    let allocated = ALLOCATED.current_usage() as u64 / 1024;
    Some([
        Sample::of(std::process::id(), second, own, allocated)?,
        Sample::of(pid, second, told("tasks"), told("allocated"))?,
    ])
}
