//! Whatever is killed, and whenever: what arrived is kept, the other side says what happened, and resuming ends well.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crate::connect::noise;
use crate::files::{FileServer, check, names};
use crate::support::{Ended, Folder, LIMIT, Running, command, run};

/// Large enough to be under way when it is killed, also where the command is built for speed.
const SIZE: usize = 24 << 20;
const KILLS: usize = 10;
const PARTIAL: &str = ".big.bin.wsduo-part";

/// The two sides of a transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Client,
    Server,
}

/// Where the file goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    Up,
    Down,
}

/// A number below `end`, another one each time.
fn random(end: usize) -> usize {
    usize::try_from(RandomState::new().hash_one(0) % end as u64).unwrap()
}

/// Stands in front of a server and lets only so many bytes pass in the direction of the file.
struct Choke {
    url: String,
    /// Told when all of them have passed.
    spent: Receiver<()>,
    /// Dropped to hang up on both sides.
    _holding: Sender<()>,
}

impl Choke {
    fn new(server: &FileServer, way: Way, bytes: usize) -> Self {
        let address = server.server.url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let (tell, spent) = mpsc::channel();
        let (holding, held) = mpsc::channel::<()>();
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(address).unwrap();
            let copy = |stream: &TcpStream| stream.try_clone().unwrap();
            let (from, to) = match way {
                Way::Up => (client, server),
                Way::Down => (server, client),
            };
            let (mut back_from, mut back_to) = (copy(&to), copy(&from));
            thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let _ = std::io::copy(&mut Read::by_ref(&mut &from).take(bytes as u64), &mut &to);
            let _ = tell.send(());
            let _ = held.recv();
            for stream in [from, to] {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { url, spent, _holding: holding }
    }
}

/// Ten kills of a random side at random moments, and then no more.
fn ten_kills(
    mut server: FileServer,
    way: Way,
    partial: &str,
    complete: &str,
    arguments: impl Fn(&str) -> Vec<String>,
) {
    let mut there = 0;
    for number in 0..KILLS {
        let bytes = 1 + random(SIZE / KILLS);
        let side = if random(2) == 0 { Side::Client } else { Side::Server };
        println!("kill {number}: the {side:?} after {bytes} bytes more");
        let choke = Choke::new(&server, way, bytes);
        let mut command = command();
        command.args(arguments(&choke.url)).stdin(Stdio::null()).stdout(Stdio::null());
        let mut client = Running(command.stderr(Stdio::piped()).spawn().unwrap());
        choke.spent.recv_timeout(LIMIT).unwrap();
        match side {
            Side::Client => client.0.kill().unwrap(),
            Side::Server => server.server.process.0.kill().unwrap(),
        }
        drop(choke);
        let code = client.wait();
        let mut stderr = String::new();
        client.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        if side == Side::Server {
            // Before the connection is open, it could not connect; later, it was lost.
            assert!(matches!(code, Some(4 | 8)), "{code:?} {stderr}");
            assert!(stderr.starts_with("wsduo: ") && !stderr.contains("panic"), "{stderr}");
            assert!(code == Some(4) || stderr.contains("--resume"), "{stderr}");
            server.server.process.wait();
            server = FileServer::again(server.folder, &["--write"]);
        } else {
            assert_eq!(code, None, "{stderr}");
        }
        assert!(!fs::exists(complete).unwrap());
        // Nothing that was there gets lost.
        let now = fs::metadata(partial).map_or(0, |metadata| metadata.len());
        assert!(now >= there, "{now} bytes are there of {there}");
        there = now;
    }
    let ended = run_all(&arguments(&server.server.url));
    check(&ended, 0, "");
    let started: serde_json::Value = serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
    assert!(started["offset"].as_u64().unwrap() >= there, "{there} bytes were there: {started}");
    assert!(there > 0 && fs::read(complete).unwrap() == noise(SIZE), "the file is not the same");
    assert!(!fs::exists(partial).unwrap());
}

fn run_all(arguments: &[String]) -> Ended {
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.push("--json");
    run(&arguments, b"")
}

#[test]
fn an_upload_survives_ten_kills() {
    let from = Folder::new();
    let path = from.write_bytes("big.bin", noise(SIZE));
    let server = FileServer::start(&["--write"]);
    let (partial, complete) = (server.folder.path(PARTIAL), server.folder.path("big.bin"));
    ten_kills(server, Way::Up, &partial, &complete, |url| {
        ["send", "--resume", url, &path].map(str::to_owned).to_vec()
    });
}

#[test]
fn a_download_survives_ten_kills() {
    let to = Folder::new();
    let server = FileServer::start(&["--write"]);
    server.folder.write_bytes("big.bin", noise(SIZE));
    let folder = to.path("");
    ten_kills(server, Way::Down, &to.path(PARTIAL), &to.path("big.bin"), |url| {
        vec!["receive".into(), "--resume".into(), format!("{url}big.bin"), "-o".into(), folder.clone()]
    });
}

#[cfg(unix)]
#[test]
fn signals_keep_what_arrived() {
    use rustix::process::{Pid, Signal, kill_process};

    let from = Folder::new();
    let path = from.write_bytes("big.bin", noise(SIZE));
    for side in [Side::Client, Side::Server] {
        let server = FileServer::start(&["--write"]);
        let mut command = command();
        command.args(["send", &server.url(""), &path]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut client = Running(command.spawn().unwrap());
        let partial = server.folder.path(PARTIAL);
        while fs::metadata(&partial).map_or(0, |there| there.len()) == 0 {
            assert!(client.0.try_wait().unwrap().is_none());
            thread::sleep(Duration::from_millis(1));
        }
        match side {
            Side::Client => kill_process(Pid::from_child(&client.0), Signal::INT).unwrap(),
            Side::Server => server.server.signal(Signal::TERM),
        }
        let code = client.wait();
        assert_eq!(code, Some(if side == Side::Client { 130 } else { 8 }), "{side:?}");
        assert_eq!(server.names(), [PARTIAL]);
        let kept = fs::read(&partial).unwrap();
        assert!(!kept.is_empty() && noise(SIZE).starts_with(&kept));
        drop(server);
    }
    assert_eq!(names(&from), ["big.bin"]);
}
