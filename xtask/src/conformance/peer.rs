//! The echo server under test, from its start to its end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::shell::{Outcome, Running, command};

/// Between the start of the server and its first line.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A server that runs until this value goes away.
#[derive(Debug)]
pub(crate) struct EchoServer {
    pub(crate) url: String,
    _process: Running,
}

impl EchoServer {
    /// Starts `program` on a free loopback port, and waits for the line that names it.
    pub(crate) fn start(program: &Path) -> Outcome<Self> {
        Self::start_command(command(program).args(["127.0.0.1:0", "--deflate"]))
    }

    /// Starts a server that begins with the same line.
    pub(crate) fn start_command(command: &mut Command) -> Outcome<Self> {
        let child = command.stdout(Stdio::piped()).spawn();
        let program = command.get_program().to_string_lossy();
        let mut process = Running(child.map_err(|error| format!("cannot start {program}: {error}"))?);
        let output = process.0.stdout.take().ok_or("the echo server has no output")?;
        let (sender, receiver) = mpsc::channel();
        // The thread ends with the server. It reads on, so that the server never waits for a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Only the first line has a receiver.
                let _ = sender.send(line);
            }
        });
        let line = receiver
            .recv_timeout(START_LIMIT)
            .map_err(|_| format!("the echo server said nothing within {} seconds", START_LIMIT.as_secs()))?;
        Ok(Self { url: url(&line)?, _process: process })
    }
}

fn url(line: &str) -> Outcome<String> {
    let url = line.strip_prefix("listening on ").filter(|url| url.starts_with("ws://"));
    url.map(String::from)
        .ok_or_else(|| format!("the echo server began with `{line}`, not `listening on ws://…`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_url() {
        assert_eq!(url("listening on ws://127.0.0.1:9/").unwrap(), "ws://127.0.0.1:9/");
        assert!(url("listening on 127.0.0.1:9").is_err());
        assert!(url("ready").is_err());
    }
}
