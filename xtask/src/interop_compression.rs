//! Compressed messages exchanged with other libraries, both ways and with every parameter that they can offer or accept: our
//! example `compression` and the scripts in `xtask/interop/compression`, which say what their side does.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::examples;
use crate::packages::{self, NODE_WS};
use crate::shell::{Outcome, Running, command, root, run_within, target_directory};

const PYTHON_PACKAGES: [&str; 2] = ["websockets==15.0.1", "aiohttp==3.13.2"];

/// More than the hundreds of connections of one direction take on a busy machine.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// A library of others, with the script that makes it a peer.
struct Peer {
    name: &'static str,
    /// The program and its first arguments.
    words: Vec<PathBuf>,
    /// Where Node looks for packages.
    node_path: Option<PathBuf>,
    /// The smallest window, in bits, that it can compress with.
    least_bits: u8,
}

/// Runs every exchange, or only those with the peers called `names`; any that fails is an error.
pub(crate) fn run_peers(names: &[&str]) -> Outcome {
    let folder = target_directory()?.join("interop-compression");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let peers = peers(&folder)?;
    if let Some(unknown) = names.iter().find(|name| peers.iter().all(|peer| peer.name != **name)) {
        let known: Vec<_> = peers.iter().map(|peer| peer.name).collect();
        return Err(format!("no peer is called `{unknown}`; there are {}", known.join(", ")));
    }
    let ours = examples::release("compression")?;
    let chosen = peers.iter().filter(|peer| names.is_empty() || names.contains(&peer.name));
    // A failure with one peer does not hide another.
    let failed: Vec<String> = chosen
        .flat_map(|peer| [as_client(&ours, peer, &folder), as_server(&ours, peer)])
        .filter_map(Result::err)
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Our client with every server that they can be, and then with all our settings and the first of these.
fn as_client(ours: &Path, peer: &Peer, folder: &Path) -> Outcome {
    let begin = Instant::now();
    let (urls, _servers) = start(peer.command().arg("serve"), "ready")?;
    let first = urls.first().ok_or_else(|| format!("{}: no server has started", peer.name))?;
    let own = settings(peer.least_bits);
    let lines: Vec<String> =
        urls.iter().cloned().chain(own.iter().map(|own| format!("{first} {own}"))).collect();
    let (input, output) = (folder.join("talk"), folder.join(format!("{}.client", peer.name)));
    fs::write(&input, lines.join("\n")).map_err(|error| format!("{}: {error}", input.display()))?;
    let mut talk = command(ours);
    talk.arg("talk").stdin(open(File::open(&input), &input)?).stdout(open(File::create(&output), &output)?);
    let result = run_within(&mut talk, LIMIT);
    println!(
        "{}, their server: {} connections, {:.0} s",
        peer.name,
        lines.len(),
        begin.elapsed().as_secs_f64()
    );
    result.map_err(|error| format!("{}, their server: {error}; see {}", peer.name, output.display()))
}

/// Our server with every client that they can be; what it does is asked for in the URL.
fn as_server(ours: &Path, peer: &Peer) -> Outcome {
    let (lines, _server) = start(command(ours).args(["serve", "127.0.0.1:0"]), "listening on ")?;
    let url = lines.last().and_then(|line| line.strip_prefix("listening on ")).unwrap_or_default();
    run_within(peer.command().args(["client", url]), LIMIT)
        .map_err(|error| format!("{}, their client: {error}", peer.name))
}

/// Starts a server: the lines that it writes until one begins with `last`.
fn start(command: &mut Command, last: &str) -> Outcome<(Vec<String>, Running)> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut process = Running(child.map_err(|error| format!("cannot start a server: {error}"))?);
    let output = process.0.stdout.take().ok_or("the server has no output")?;
    let mut lines = Vec::new();
    // They write nothing after that, so the pipe may be closed.
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let is_last = line.starts_with(last);
        if line.contains("ws://") {
            lines.push(line);
        }
        if is_last {
            return Ok((lines, process));
        }
    }
    Err("the server ended before it was ready".into())
}

fn open(file: std::io::Result<File>, path: &Path) -> Outcome<File> {
    file.map_err(|error| format!("{}: {error}", path.display()))
}

/// Every combination of our own settings, for a peer that compresses with windows of at least so many bits.
fn settings(least_bits: u8) -> Vec<String> {
    let mut all = Vec::new();
    for send in 9..=15 {
        for receive in least_bits..=15 {
            for takeover in ["true&receive_takeover=true", "true&receive_takeover=false"] {
                all.push(format!("send={send}&receive={receive}&send_takeover={takeover}"));
            }
            for takeover in ["false&receive_takeover=true", "false&receive_takeover=false"] {
                all.push(format!("send={send}&receive={receive}&send_takeover={takeover}"));
            }
        }
    }
    all
}

// Their side.

fn peers(folder: &Path) -> Outcome<[Peer; 3]> {
    let python = packages::python(folder, &PYTHON_PACKAGES)?;
    let node_path = packages::node(folder, NODE_WS)?;
    let scripts = root().join("xtask/interop/compression");
    let python = |name: &'static str| Peer {
        name,
        words: vec![python.clone(), scripts.join("peer.py"), name.into()],
        node_path: None,
        least_bits: 9,
    };
    let node = Peer {
        name: "ws",
        words: vec!["node".into(), scripts.join("peer.js")],
        node_path: Some(node_path),
        least_bits: 8,
    };
    Ok([python("websockets"), python("aiohttp"), node])
}

impl Peer {
    fn command(&self) -> Command {
        let mut command = command(&self.words[0]);
        command.args(&self.words[1..]);
        if let Some(path) = &self.node_path {
            command.env("NODE_PATH", path);
        }
        command
    }
}
