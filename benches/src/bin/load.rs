//! Loads one server with messages and says what came of it.
#![forbid(unsafe_code)]

use clap::Parser;
use std::time::Instant;
use wsduo_benches::figures::{nanoseconds_each, per_second};
use wsduo_benches::load::{Kind, Latency, Outcome, Plan, Service, Swarm};
use wsduo_benches::server::Target;
use wsduo_benches::usage::{Cpu, Memory};
use wsduo_benches::{Error, server};

/// Sends messages to an echo server over raw frames, checks each reply, and prints rates and costs.
#[derive(Debug, Parser)]
struct Args {
    /// The server: ws://HOST:PORT/
    url: String,
    /// Connections to open
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages a connection sends ahead of the replies
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    in_flight: u64,
    /// Payload bytes of a message
    #[arg(long, default_value_t = 20)]
    size: usize,
    /// Messages in total, exactly
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Messages before the measurement, beyond those in total
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Send text messages
    #[arg(long, conflicts_with_all = ["binary", "receive_only"])]
    text: bool,
    /// Send binary messages (the default)
    #[arg(long)]
    binary: bool,
    /// The server counts binary messages and answers a text message with the count of its connection
    #[arg(long)]
    receive_only: bool,
    /// Open this many connections, send nothing, and hold them until standard input ends
    #[arg(long, value_name = "N", conflicts_with_all = ["connections", "messages", "receive_only"])]
    idle: Option<usize>,
    /// Process of the server, to print its CPU time and memory
    #[arg(long, value_name = "P")]
    pid: Option<u32>,
}

impl Args {
    fn plan(&self, messages: u64) -> Plan {
        Plan {
            kind: if self.text { Kind::Text } else { Kind::Binary },
            size: self.size,
            in_flight: self.in_flight,
            messages,
            service: if self.receive_only { Service::Sink } else { Service::Echo },
        }
    }
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let target = server::target(&args.url)?;
    if let Some(count) = args.idle {
        return hold(&args, target, count);
    }
    let mut swarm = Swarm::open(target, args.connections)?;
    if args.warm_up > 0 {
        swarm.exchange(&args.plan(args.warm_up))?;
    }
    let before = args.pid.map(Cpu::of).transpose()?;
    let outcome = swarm.exchange(&args.plan(args.messages))?;
    print_outcome(&outcome);
    if let (Some(pid), Some(before)) = (args.pid, before) {
        print_cpu(Cpu::of(pid)? - before, outcome.messages, "message");
        print_memory(pid)?;
    }
    Ok(())
}

/// Opens connections, tells what that cost, and keeps them.
fn hold(args: &Args, target: Target, count: usize) -> Result<(), Error> {
    let before = args.pid.map(Cpu::of).transpose()?;
    let start = Instant::now();
    let swarm = Swarm::open(target, count)?;
    println!(
        "{count} connections, {:.0} handshakes/s one after the other",
        per_second(count as u64, start.elapsed())
    );
    if let (Some(pid), Some(before)) = (args.pid, before) {
        print_cpu(Cpu::of(pid)? - before, count as u64, "handshake");
        print_memory(pid)?;
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(swarm);
    Ok(())
}

fn print_outcome(outcome: &Outcome) {
    let Outcome { messages, bytes, elapsed, latency } = *outcome;
    println!("{messages} messages, {bytes} payload bytes each way, {:.3} s", elapsed.as_secs_f64());
    println!(
        "{:.0} messages/s, {:.1} MB/s each way",
        per_second(messages, elapsed),
        per_second(bytes, elapsed) / 1e6
    );
    if let Some(Latency { p50, p99 }) = latency {
        println!("latency p50 {p50:.1?}, p99 {p99:.1?}");
    }
}

fn print_cpu(cpu: Cpu, count: u64, unit: &str) {
    let [user, system, total] = [cpu.user, cpu.system, cpu.total].map(|time| nanoseconds_each(time, count));
    println!("server CPU {total:.0} ns per {unit} (user {user:.0}, system {system:.0})");
}

fn print_memory(pid: u32) -> Result<(), Error> {
    let memory = Memory::of(pid)?;
    println!("server RSS {} KiB, peak {} KiB", memory.resident / 1024, memory.peak / 1024);
    Ok(())
}
