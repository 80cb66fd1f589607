//! Exchanges of byte streams with other libraries, both ways: our examples and the scripts in `xtask/interop`.
//!
//! As a client we download and upload files with their server; as a server we send back what their client sends. Each script
//! takes the same words, so that a further exchange is one function here and one word there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::conformance::peer::EchoServer;
use crate::examples;
use crate::packages::{self, NODE_WS};
use crate::shell::{Outcome, command, root, run_within, target_directory};

/// MiB of an exchange, unless it is said otherwise.
pub(crate) const DEFAULT_MIB: u32 = 64;

const PYTHON_PACKAGE: &str = "websockets==17.4";

/// How their side sends; the scripts say what each means.
const HOWS: [&str; 4] = ["whole", "fragments", "small", "text"];

/// More than any exchange needs on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Until a server has written what it got.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// A library of others, with the script that makes it a peer.
struct Peer {
    /// With its version.
    name: &'static str,
    interpreter: PathBuf,
    script: PathBuf,
    /// Where Node looks for packages.
    node_path: Option<PathBuf>,
}

/// Our side.
struct Ours {
    upload: PathBuf,
    download: PathBuf,
    echo_server: PathBuf,
}

/// The files of the exchanges.
struct Files {
    binary: PathBuf,
    text: PathBuf,
    received: PathBuf,
}

/// Exchanges `mib` MiB each way and each how with every peer.
pub(crate) fn run_all(mib: u32) -> Outcome {
    let folder = target_directory()?.join("interop");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let peers = [python(&folder)?, node(&folder)?];
    let built = examples::build_all()?;
    let ours = |name: &str| {
        let found = built.iter().find(|example| example.name == name);
        found.map(|example| example.executable.clone()).ok_or_else(|| format!("there is no example {name}"))
    };
    let ours =
        Ours { upload: ours("upload")?, download: ours("download")?, echo_server: ours("echo_server")? };
    let files = Files::make(&folder, mib)?;
    for peer in &peers {
        as_client(&ours, peer, &files)?;
        as_server(&ours, peer, &files)?;
    }
    Ok(())
}

/// Our client and their server.
fn as_client(ours: &Ours, peer: &Peer, files: &Files) -> Outcome {
    for how in HOWS {
        let server = peer.server(files.to_send(how), &files.received)?;
        let mut download = command(&ours.download);
        download.arg(&files.received).arg(format!("{}{how}", server.url));
        exchange(peer, &format!("our client downloads, {how}"), &mut download)?;
        files.check(files.to_send(how))?;
    }
    let server = peer.server(&files.binary, &files.received)?;
    let mut upload = command(&ours.upload);
    upload.arg(&files.binary).arg(format!("{}receive", server.url));
    exchange(peer, "our client uploads, one message in frames of 64 KiB", &mut upload)?;
    files.check(&files.binary)
}

/// Their client and our server, which sends back what it gets. Their side compares.
fn as_server(ours: &Ours, peer: &Peer, files: &Files) -> Outcome {
    let server = EchoServer::start_command(command(&ours.echo_server).args(["127.0.0.1:0", "--stream"]))?;
    for how in HOWS {
        let mut client = peer.command("client");
        client.arg(&server.url).arg(files.to_send(how)).arg(how);
        exchange(peer, &format!("our server sends back, {how}"), &mut client)?;
    }
    Ok(())
}

fn exchange(peer: &Peer, what: &str, command: &mut Command) -> Outcome {
    let begin = Instant::now();
    run_within(command, LIMIT).map_err(|error| format!("{}, {what}: {error}", peer.name))?;
    println!("{:<20}{what:<55}{:>6.1} s", peer.name, begin.elapsed().as_secs_f64());
    Ok(())
}

fn python(folder: &Path) -> Outcome<Peer> {
    let interpreter = packages::python(folder, &[PYTHON_PACKAGE])?;
    let script = root().join("xtask/interop/peer.py");
    Ok(Peer { name: PYTHON_PACKAGE, interpreter, script, node_path: None })
}

fn node(folder: &Path) -> Outcome<Peer> {
    let node_path = Some(packages::node(folder, NODE_WS)?);
    let script = root().join("xtask/interop/peer.js");
    Ok(Peer { name: NODE_WS, interpreter: "node".into(), script, node_path })
}

impl Peer {
    fn command(&self, role: &str) -> Command {
        let mut command = command(&self.interpreter);
        command.arg(&self.script).arg(role);
        if let Some(path) = &self.node_path {
            command.env("NODE_PATH", path);
        }
        command
    }

    fn server(&self, sent: &Path, received: &Path) -> Outcome<EchoServer> {
        EchoServer::start_command(self.command("server").arg(sent).arg(received))
    }
}

impl Files {
    fn make(folder: &Path, mib: u32) -> Outcome<Self> {
        let files = Self {
            binary: folder.join("binary"),
            text: folder.join("text"),
            received: folder.join("received"),
        };
        let len = (mib as usize) << 20;
        // Bytes that repeat late, so that anything lost or moved shows.
        let noise: Vec<u8> = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        // Characters of one to four bytes; an eighth, because text takes longest.
        let mut text = String::with_capacity(len);
        for number in 0_u32.. {
            if text.len() >= len / 8 {
                break;
            }
            text.push_str(&format!("{number} aé€😀\n"));
        }
        for (path, content) in [(&files.binary, &*noise), (&files.text, text.as_bytes())] {
            fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(files)
    }

    fn to_send(&self, how: &str) -> &Path {
        if how == "text" { &self.text } else { &self.binary }
    }

    /// Whether what was received is what was sent; forgets it. A server may answer our close frame before it has written all.
    fn check(&self, sent: &Path) -> Outcome {
        let content = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let sent_bytes = content(sent)?;
        let end = Instant::now() + WRITE_LIMIT;
        let same = loop {
            let same = content(&self.received)? == sent_bytes;
            if same || Instant::now() > end {
                break same;
            }
            sleep(Duration::from_millis(50));
        };
        // The next exchange makes it anew, or fails.
        let _ = fs::remove_file(&self.received);
        if same { Ok(()) } else { Err(format!("what was received is not {}", sent.display())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_by_their_bytes() {
        let folder = target_directory().unwrap().join("interop-test");
        fs::create_dir_all(&folder).unwrap();
        let files = Files::make(&folder, 1).unwrap();
        assert!(fs::read(&files.text).unwrap().len() >= 1 << 17);
        fs::copy(&files.binary, &files.received).unwrap();
        assert!(files.check(&files.binary).is_ok());
        assert!(files.check(&files.binary).unwrap_err().contains("received"), "it is gone");
        fs::remove_dir_all(folder).unwrap();
    }
}
