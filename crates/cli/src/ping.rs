//! `wsduo ping`: pings at an interval, a line for each pong, and a summary.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use wsduo::{CloseCode, ErrorKind, MessageReceiver, MessageSender, Transport};

use crate::exit::{self, Failure};
use crate::output::Output;
use crate::plan::{Ping, Style};
use crate::signals::Signals;

/// How long the peer is given to take our leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn run(plan: &Ping) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("cannot start", error))?;
    runtime.block_on(async {
        let result = ping(plan).await;
        if let Err(failure) = &result
            && plan.json
            && !failure.is_quiet()
        {
            let mut output = Output::new(Style::Json);
            output.error(failure).await?;
            output.flush().await?;
        }
        result
    })
}

async fn ping(plan: &Ping) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let socket = tokio::select! {
        socket = plan.control.connect(&plan.url) => socket.map_err(Failure::Connecting)?,
        signal = signals.next() => return Err(Failure::Signal(signal)),
    };
    let peer = match socket.information().remote_address() {
        Some(address) => address.to_string(),
        None => "the peer".to_owned(),
    };
    let (receiver, sender) = socket.split();
    let mut figures = Figures::default();
    let ended = tokio::select! {
        ended = send_pings(&sender, plan, &peer, &mut figures) => ended,
        ended = drop_messages(receiver) => ended,
        _ = signals.next() => Ok(()),
    };
    summarise(plan, &peer, &figures)?;
    ended?;
    tokio::select! {
        _ = tokio::time::timeout(LEAVE_TIMEOUT, sender.close(CloseCode::NORMAL, "")) => {}
        _ = signals.next() => {}
    }
    if figures.received == 0 && figures.sent > 0 { Err(Failure::NoPong) } else { Ok(()) }
}

async fn send_pings(
    sender: &MessageSender<Transport>,
    plan: &Ping,
    peer: &str,
    figures: &mut Figures,
) -> Result<(), Failure> {
    while plan.count != Some(figures.sent) {
        let begin = Instant::now();
        figures.sent += 1;
        let number = figures.sent;
        match sender.ping().await {
            Ok(time) => {
                let time = time.as_secs_f64() * 1000.0;
                figures.add(time);
                let pong = json!({ "event": "pong", "seq": number, "ms": time });
                say(plan, &pong, format_args!("pong from {peer}: seq={number} time={time:.3} ms"))?;
            }
            // The connection lives on; if it does not, the next ping or the receiver finds out.
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let lost = json!({ "event": "lost", "seq": number });
                say(plan, &lost, format_args!("no pong from {peer}: seq={number}"))?;
            }
            Err(error) => return Err(Failure::Open(error)),
        }
        if plan.count != Some(number)
            && let Some(next) = begin.checked_add(plan.interval)
        {
            tokio::time::sleep_until(next).await;
        }
    }
    Ok(())
}

/// What the peer has to say is not what we came for.
pub(crate) async fn drop_messages(mut receiver: MessageReceiver<Transport>) -> Result<(), Failure> {
    while receiver.receive_part().await.map_err(Failure::Open)?.is_some() {}
    // However well it closes, it is not us who wanted to end.
    Err(match receiver.closed() {
        Some(closed) => exit::judge(closed).map_or_else(|failure| failure, Failure::Closed),
        None => Failure::NoPong,
    })
}

/// What came of the pings, whatever their number: in milliseconds.
#[derive(Debug, Default)]
struct Figures {
    sent: u64,
    received: u64,
    min: f64,
    max: f64,
    sum: f64,
    sum_of_squares: f64,
}

impl Figures {
    fn add(&mut self, time: f64) {
        self.min = if self.received == 0 { time } else { self.min.min(time) };
        self.max = self.max.max(time);
        self.sum += time;
        self.sum_of_squares += time * time;
        self.received += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / self.received as f64
    }

    /// The standard deviation, as ping(8) has it.
    fn deviation(&self) -> f64 {
        (self.sum_of_squares / self.received as f64 - self.mean().powi(2)).max(0.0).sqrt()
    }

    fn loss_percent(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { 100.0 * (1.0 - self.received as f64 / self.sent as f64) }
    }
}

fn summarise(plan: &Ping, peer: &str, figures: &Figures) -> io::Result<()> {
    let Figures { sent, received, min, max, .. } = figures;
    let loss = figures.loss_percent();
    let mut event = json!({ "event": "summary", "sent": sent, "received": received, "loss_percent": loss });
    let mut text = format!("--- {peer} ---\n{sent} sent, {received} received, {loss:.0}% lost");
    if *received > 0 {
        let (mean, deviation) = (figures.mean(), figures.deviation());
        for (name, value) in [("min_ms", *min), ("avg_ms", mean), ("max_ms", *max), ("mdev_ms", deviation)] {
            event[name] = value.into();
        }
        text += &format!("\nmin/avg/max/mdev = {min:.3}/{mean:.3}/{max:.3}/{deviation:.3} ms");
    }
    say(plan, &event, text)
}

/// A line of output, at once.
fn say(plan: &Ping, event: &Value, text: impl Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    if plan.json { writeln!(stdout, "{event}") } else { writeln!(stdout, "{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_many_times() {
        let mut figures = Figures { sent: 5, ..Figures::default() };
        for time in [3.0, 1.0, 6.0, 2.0] {
            figures.add(time);
        }
        assert_eq!((figures.min, figures.mean(), figures.max), (1.0, 3.0, 6.0));
        assert!((figures.deviation() - 3.5_f64.sqrt()).abs() < 1e-9);
        assert!((figures.loss_percent() - 20.0).abs() < 1e-9);
    }
}
