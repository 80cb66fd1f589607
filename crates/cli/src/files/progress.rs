//! How far a transfer is: a bar for people, events for programs.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::receive::Transferred;
use crate::exit::Failure;
use crate::terminal::{self, Escaped};

/// How often programs are told.
const INTERVAL: Duration = Duration::from_millis(100);

const WITH_SIZE: &str =
    "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta}";
const WITHOUT_SIZE: &str = "{msg} {spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed}";

/// What is shown of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// A bar where standard error is a terminal, and a line for each file.
    People,
    /// One JSON event a line.
    Json,
    /// Failures alone.
    Nothing,
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

/// How far the transfer of one file is.
#[derive(Debug)]
pub(crate) struct Progress {
    show: Show,
    way: Way,
    name: String,
    /// Which file of how many, where there are several.
    count: Option<(usize, usize)>,
    bar: ProgressBar,
    begun: Instant,
    bytes: u64,
    size: Option<u64>,
    told: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(show: Show, way: Way, name: &str, count: Option<(usize, usize)>) -> Self {
        Self {
            show,
            way,
            name: name.to_owned(),
            count,
            bar: ProgressBar::hidden(),
            begun: Instant::now(),
            bytes: 0,
            size: None,
            told: None,
        }
    }

    /// For a server, which tells of the end alone.
    pub(crate) fn nothing() -> Self {
        Self::new(Show::Nothing, Way::Sent, "", None)
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes begin to flow.
    pub(crate) fn begin(&mut self, offset: u64, size: Option<u64>) {
        (self.bytes, self.size, self.begun) = (offset, size, Instant::now());
        match self.show {
            Show::People => {
                // On anything but a terminal it stays hidden.
                self.bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
                let template = if size.is_some() { WITH_SIZE } else { WITHOUT_SIZE };
                if let Ok(style) = ProgressStyle::with_template(template) {
                    self.bar.set_style(style);
                }
                let count = self.count.map(|(number, of)| format!("[{number}/{of}] ")).unwrap_or_default();
                self.bar.set_message(format!("{count}{}", plain(&self.name)));
                self.bar.set_position(offset);
                // What was there before does not count for the rate.
                self.bar.reset_eta();
            }
            Show::Json => {
                event(&json!({ "event": "started", "name": self.name, "size": size, "offset": offset }));
            }
            Show::Nothing => {}
        }
    }

    /// So many bytes more.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
        match self.show {
            Show::People => self.bar.set_position(self.bytes),
            Show::Json => {
                let now = Instant::now();
                if self.told.is_none_or(|told| now - told >= INTERVAL) {
                    self.told = Some(now);
                    event(&json!({
                        "event": "progress",
                        "name": self.name,
                        "bytes": self.bytes,
                        "size": self.size,
                    }));
                }
            }
            Show::Nothing => {}
        }
    }

    /// The file is there.
    pub(crate) fn finished(&self, transferred: &Transferred) {
        let Transferred { size, sha256, offset } = *transferred;
        let time = self.begun.elapsed();
        match self.show {
            Show::People => {
                self.bar.finish_and_clear();
                let verb = match self.way {
                    Way::Sent => "sent",
                    Way::Received => "received",
                };
                terminal::note(&format!("{verb} {}", describe(&self.name, transferred, time)));
            }
            Show::Json => event(&json!({
                "event": "finished",
                "name": self.name,
                "size": size,
                "offset": offset,
                "sha256": sha256.to_string(),
                "seconds": time.as_secs_f64(),
            })),
            Show::Nothing => {}
        }
    }

    /// It will not be.
    pub(crate) fn failed(&self, failure: &Failure) {
        self.bar.finish_and_clear();
        if self.show == Show::Json {
            failed(Some(&self.name), failure);
        }
    }
}

/// Tells programs of a failure.
pub(crate) fn failed(name: Option<&str>, failure: &Failure) {
    event(&json!({
        "event": "error",
        "name": name,
        "kind": failure.kind(),
        "message": failure.to_string(),
        "exit_code": failure.code(),
    }));
}

/// A file that has arrived, in one line.
pub(crate) fn describe(name: &str, transferred: &Transferred, time: Duration) -> String {
    let Transferred { size, sha256, offset } = transferred;
    let there = match offset {
        0 => String::new(),
        offset => format!(" ({} were there)", BinaryBytes(*offset)),
    };
    let time = if time < Duration::from_secs(60) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        HumanDuration(time).to_string()
    };
    format!("{}, {}{there} in {time}, SHA-256 {sha256} checked", plain(name), BinaryBytes(*size))
}

/// A name for a terminal.
fn plain(name: &str) -> String {
    anstream::adapter::strip_str(&Escaped(name).to_string()).to_string()
}

/// Whoever has stopped reading events wants the file all the same.
fn event(event: &Value) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{}", terminal::harmless_json(&event.to_string()));
    let _ = stdout.flush();
}
