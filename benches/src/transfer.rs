//! A transfer between two processes, and what each of them used for it.

use crate::Error;
use crate::usage::{Cpu, Memory};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What is transferred, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many bytes.
    pub bytes: u64,
    /// How many are written at a time.
    pub chunk: usize,
    /// Whether all of them are one message.
    pub one_message: bool,
    /// Whether the client sends, and so masks.
    pub up: bool,
}

/// What one end used.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// CPU time from the first byte to the last.
    pub cpu: Cpu,
    /// The most that was resident, over what was when the connection was open.
    pub peak: u64,
    /// What was resident over that, from time to time.
    pub curve: Vec<u64>,
}

/// What a transfer took.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From the first byte to the moment both ends are done.
    pub elapsed: Duration,
    /// What the end used that sent.
    pub sender: Used,
    /// What the other used.
    pub receiver: Used,
}

/// Runs `command` as server and as client, and has one send to the other. See [`end`](crate::end) for what it has to understand.
///
/// # Errors
/// If it fails, or does not say what it should.
pub fn run(command: &[String], plan: Plan) -> Result<Outcome, Error> {
    let mut server = Process::start(command, "server", plan, None)?;
    let line = server.line()?;
    let url = line.strip_prefix("listening on ").ok_or_else(|| format!("it said {line:?} first"))?;
    let mut client = Process::start(command, "client", plan, Some(url))?;
    for process in [&mut client, &mut server] {
        process.expect("ready")?;
    }
    let (sender, receiver) = if plan.up { (&mut client, &mut server) } else { (&mut server, &mut client) };
    let before = [sender.look()?, receiver.look()?];
    let done = AtomicBool::new(false);
    let pids = [sender.child.id(), receiver.child.id()];
    let (elapsed, samples) = thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(pids, &done));
        let elapsed = transfer(sender, receiver);
        done.store(true, Ordering::Relaxed);
        let samples = sampling.join().map_err(|_| "sampling failed")?;
        Ok::<_, Error>((elapsed?, samples))
    })?;
    let after = [sender.look()?, receiver.look()?];
    let used = |end: usize| {
        let base = before[end].1.resident;
        let over = |bytes: u64| bytes.saturating_sub(base);
        Used {
            cpu: after[end].0 - before[end].0,
            peak: over(after[end].1.peak),
            curve: samples.iter().map(|sample| over(sample[end])).collect(),
        }
    };
    let (sender, receiver) = (used(0), used(1));
    server.finish()?;
    client.finish()?;
    Ok(Outcome { elapsed, sender, receiver })
}

fn transfer(sender: &mut Process, receiver: &mut Process) -> Result<Duration, Error> {
    let begin = Instant::now();
    receiver.go()?;
    sender.go()?;
    receiver.expect("done")?;
    sender.expect("done")?;
    Ok(begin.elapsed())
}

/// Resident bytes of both processes, until `done`.
fn sample(pids: [u32; 2], done: &AtomicBool) -> Vec<[u64; 2]> {
    let mut samples = Vec::new();
    while !done.load(Ordering::Relaxed) {
        thread::sleep(SAMPLE_EVERY);
        if let (Ok(first), Ok(second)) = (Memory::of(pids[0]), Memory::of(pids[1])) {
            samples.push([first.resident, second.resident]);
        }
    }
    samples
}

/// One end. It is killed if it is dropped before it has ended.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(command: &[String], role: &str, plan: Plan, url: Option<&str>) -> Result<Self, Error> {
        let (program, own) = command.split_first().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(own)
            .args([role, if (role == "client") == plan.up { "send" } else { "receive" }])
            .args([plan.bytes.to_string(), plan.chunk.to_string()])
            .arg(if plan.one_message { "one" } else { "messages" })
            .args(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, input, output })
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, word: &str) -> Result<(), Error> {
        let line = self.line()?;
        if line == word { Ok(()) } else { Err(format!("expected `{word}` of an end, got {line:?}").into()) }
    }

    fn go(&mut self) -> Result<(), Error> {
        Ok(self.input.as_mut().ok_or("no standard input")?.write_all(b"go\n")?)
    }

    fn look(&self) -> Result<(Cpu, Memory), Error> {
        let pid = self.child.id();
        Ok((Cpu::of(pid)?, Memory::of(pid)?))
    }

    fn finish(mut self) -> Result<(), Error> {
        self.input = None;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("an end failed: {status}").into()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nobody is left to hear of a failure.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
