//! A server under test, as a child process.

use crate::{Error, processors};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start or to end; a profiler may be at work meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// `name=command with arguments`: what to call a server, and how to start it.
///
/// The command is split at spaces and no shell sees it. Its first line on standard output must hold
/// `ws://HOST:PORT/` or `wss://HOST:PORT/`, and SIGTERM must end it.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What the report calls it.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("expected name=command")?;
        let command: Vec<String> = command.split_ascii_whitespace().map(str::to_owned).collect();
        if name.is_empty() || command.is_empty() {
            return Err("expected name=command".to_owned());
        }
        Ok(Self { name: name.to_owned(), command })
    }
}

/// A running server. It is killed if it is dropped without [`stop`](Self::stop).
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    is_tls: bool,
    /// Kept open, or a server that prints more than its first line would fail.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `recipe` and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started, or its first line names no address.
    pub fn start(recipe: &Recipe) -> Result<Self, Error> {
        Self::start_under(&[], recipe)
    }

    /// Starts `recipe` under another program, such as a profiler.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_under(wrapper: &[String], recipe: &Recipe) -> Result<Self, Error> {
        let mut words = wrapper.iter().chain(&recipe.command);
        let program = words.next().ok_or("no command")?;
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        processors::separate(child.id());
        let first = child.stdout.take().ok_or("no standard output".into()).and_then(first_line);
        match first.and_then(|(line, stdout)| Ok((address(&line)?, is_tls(&line), stdout))) {
            Ok((address, is_tls, stdout)) => Ok(Self { child, address, is_tls, _stdout: stdout }),
            Err(error) => {
                // It may well have ended by itself; either way there is nothing left to say.
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{}: {error}", recipe.name).into())
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it listens for TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGTERM and waits for that.
    ///
    /// # Errors
    /// If it does not end within a minute; it is killed then.
    pub fn stop(mut self) -> Result<(), Error> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(format!("process {} did not end on SIGTERM", self.pid()).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nobody is left to hear of a failure.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The first line of a server, which has a minute for it.
fn first_line(stdout: ChildStdout) -> Result<(String, BufReader<ChildStdout>), Error> {
    let (sender, receiver) = mpsc::channel();
    // It ends with the server at the latest, which whoever gives up kills.
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        // Nobody listens who has given up.
        let _ = sender.send(read.map(|_| (line, stdout)));
    });
    let read =
        receiver.recv_timeout(PATIENCE).map_err(|_| format!("it has said nothing for {PATIENCE:?}"))?;
    Ok(read?)
}

/// Whether the URL is one of TLS.
pub fn is_tls(text: &str) -> bool {
    text.contains("wss://")
}

/// The address in `listening on ws://127.0.0.1:9000/`, or in the URL alone; `wss://` does as well.
///
/// # Errors
/// If there is no such URL with a port, or its host is unknown.
pub fn address(text: &str) -> Result<SocketAddr, Error> {
    let wrong = || format!("expected a line with ws://HOST:PORT/, got {text:?}");
    let (_, rest) = text.split_once("://").ok_or_else(wrong)?;
    let authority = rest.trim().split('/').next().ok_or_else(wrong)?;
    Ok(authority.to_socket_addrs()?.next().ok_or_else(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_address() {
        let expected = "127.0.0.1:9000".parse().unwrap();
        assert_eq!(address("listening on ws://127.0.0.1:9000/\n").unwrap(), expected);
        assert_eq!(address("listening on wss://127.0.0.1:9000/\n").unwrap(), expected);
        assert!(address("error: address in use\n").is_err());
    }

    #[test]
    fn a_recipe_is_a_name_and_a_command() {
        let recipe: Recipe = "ours=target/echo_server 127.0.0.1:0".parse().unwrap();
        assert_eq!((recipe.name.as_str(), recipe.command.len()), ("ours", 2));
        assert!("target/echo_server".parse::<Recipe>().is_err());
    }
}
