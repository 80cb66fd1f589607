//! A server left open with its defaults, under the attacks of THREATS.md, one after the other. During all of them a good
//! client is served, after each of them a new one is let in, and in the end the server has never needed much memory.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::time::{interval, timeout};
use wsduo::{CloseCode, Compression, Error, Message, MessageWebSocket, MessageWebSocketControl};

use crate::support::{Server, block_on};

/// The most memory that the server may ever have had resident, in KiB.
const MOST_RESIDENT: u64 = 96 << 10;

/// How long an attacker tries to write to a server that does not read any further.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long the good client waits for an echo at most. Far from what it takes: the machine may be busy.
const PROMPT: Duration = Duration::from_secs(5);

/// From one message of the good client to the next, and from one byte of the slow heads to the next.
const PACE: Duration = Duration::from_millis(5);

/// So many that each gets a byte a second.
const SLOW_HEADS: usize = 200;

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const LAST: u8 = 0x80;

/// Does something to the server, and leaves connections open.
type Attack = fn(&Server) -> Vec<TcpStream>;

#[test]
fn a_server_left_open_survives_what_is_done_to_it() {
    let server = Server::start(&["--compress"]);
    let attacks: [(&str, Attack); 10] = [
        ("empty fragments", empty_fragments),
        ("pings whose answers nobody reads", unread_pings),
        ("slow readers of large echoes", slow_readers),
        ("announced giants", announced_giants),
        ("connections that never speak", silent),
        ("connects and drops", connects_and_drops),
        ("bombs", bombs),
        ("garbage", garbage),
        ("half-closes in every stage", half_closes),
        ("resets in every stage", resets),
    ];
    let meanwhile = Meanwhile::begin(&server);
    // What an attack leaves open stays open during the others.
    let mut open = Vec::new();
    for (name, attack) in attacks {
        let echoes = meanwhile.echoes();
        open.extend(attack(&server));
        // At least one of them began after the attack did.
        while meanwhile.echoes() < echoes + 2 {
            assert!(!meanwhile.thread.is_finished(), "the good client was not served under {name}");
            std::thread::yield_now();
        }
        block_on(async {
            let newcomer = async {
                let mut client = MessageWebSocket::connect(&server.url).await?;
                client.send(name).await?;
                client.receive().await
            };
            let echo: Result<_, Error> = newcomer.await;
            assert_eq!(echo.unwrap(), Some(Message::from(name)), "after {name}");
        });
    }
    let echoes = meanwhile.end();
    let resident = most_resident(&server);
    println!("{resident} KiB at most, with {} connections open and {echoes} echoes", open.len());
    assert!(resident < MOST_RESIDENT, "{resident} KiB");
}

/// What goes on during all attacks: a good client, and heads that come a byte a second.
#[derive(Debug)]
struct Meanwhile {
    echoes: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Meanwhile {
    fn begin(server: &Server) -> Self {
        let (echoes, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (url, address) = (server.url.clone(), server.address().to_owned());
        let thread = {
            let (echoes, over) = (Arc::clone(&echoes), Arc::clone(&over));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    tokio::select! {
                        () = good(&url, &echoes, &over) => {}
                        () = slow_heads(&address) => {}
                    }
                });
            })
        };
        Self { echoes, over, thread }
    }

    fn echoes(&self) -> u64 {
        self.echoes.load(Ordering::Relaxed)
    }

    /// Lets the good client go: how many echoes it got.
    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.echoes.load(Ordering::Relaxed)
    }
}

/// A client that says something now and then, and wants an echo within reason, on one connection until the end.
async fn good(url: &str, echoes: &AtomicU64, over: &AtomicBool) {
    let mut client = MessageWebSocket::connect(url).await.unwrap();
    let mut pace = interval(PACE);
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        let text = format!("message {}", echoes.load(Ordering::Relaxed));
        let echo = timeout(PROMPT, async {
            client.send(&text).await?;
            client.receive().await
        });
        assert_eq!(echo.await.expect("an echo in time").unwrap(), Some(Message::from(text)));
        echoes.fetch_add(1, Ordering::Relaxed);
    }
    client.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(client.closed().unwrap().clean);
}

/// Heads that come a byte a second and never end. What the server has had enough of begins anew.
async fn slow_heads(address: &str) {
    let mut heads = Vec::new();
    let mut pace = interval(PACE);
    for at in (0..SLOW_HEADS).cycle() {
        pace.tick().await;
        if heads.len() <= at {
            heads.push((tokio::net::TcpStream::connect(address).await.unwrap(), 0));
        }
        let (stream, sent) = &mut heads[at];
        let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a";
        let byte = head[(*sent).min(head.len() - 1)];
        if stream.write_all(&[byte]).await.is_ok() {
            *sent += 1;
        } else {
            heads[at] = (tokio::net::TcpStream::connect(address).await.unwrap(), 0);
        }
    }
}

/// KiB that were resident at most, where the system tells.
fn most_resident(server: &Server) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.process.0.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default()
}

fn tcp(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection that is open, by hand.
fn websocket(server: &Server) -> TcpStream {
    let mut stream = tcp(server);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// A masked frame, by a key of zeros, which leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(LAST | len as u8),
        len => {
            frame.push(LAST | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Writes as much as the server takes: whether that was all.
fn push(stream: &mut TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // It does not read on, or has had enough: both are its right.
            Err(_) => return false,
        }
    }
    true
}

/// Reads to the close frame, which has to come: its code.
fn close_code(mut stream: TcpStream) -> Option<u16> {
    let mut received = Vec::new();
    // A reset behind the close frame is no matter.
    let _ = stream.read_to_end(&mut received);
    let close = received.windows(4).find(|bytes| bytes[0] == LAST | CLOSE)?;
    Some(u16::from_be_bytes([close[2], close[3]]))
}

fn empty_fragments(server: &Server) -> Vec<TcpStream> {
    let mut stream = websocket(server);
    let mut wire = frame(TEXT, b"");
    wire.extend(frame(CONTINUATION, b"").repeat(200_000));
    push(&mut stream, &wire);
    assert_eq!(close_code(stream), Some(1008));
    Vec::new()
}

fn unread_pings(server: &Server) -> Vec<TcpStream> {
    let mut stream = websocket(server);
    push(&mut stream, &frame(LAST | PING, b"anything").repeat(1_000_000));
    vec![stream]
}

fn slow_readers(server: &Server) -> Vec<TcpStream> {
    let message = frame(LAST | BINARY, &vec![7; 1 << 20]);
    let slow = |_| {
        let mut stream = websocket(server);
        for _ in 0..20 {
            if !push(&mut stream, &message) {
                break;
            }
        }
        stream
    };
    (0..8).map(slow).collect()
}

fn announced_giants(server: &Server) -> Vec<TcpStream> {
    for (len, code) in [(1_u64 << 40, 1009), (1 << 62, 1009), (1 << 63, 1002), (u64::MAX, 1002)] {
        let mut stream = websocket(server);
        let mut wire = vec![LAST | BINARY, LAST | 127];
        wire.extend_from_slice(&len.to_be_bytes());
        wire.extend_from_slice(&[0; 4]);
        push(&mut stream, &wire);
        assert_eq!(close_code(stream), Some(code), "{len}");
    }
    // Within the limit, and then nothing of what was announced.
    let open = |_| {
        let mut stream = websocket(server);
        let mut wire = vec![LAST | BINARY, LAST | 127];
        wire.extend_from_slice(&(1_u64 << 20).to_be_bytes());
        wire.extend_from_slice(&[0; 5]);
        push(&mut stream, &wire);
        stream
    };
    (0..200).map(open).collect()
}

fn connects_and_drops(server: &Server) -> Vec<TcpStream> {
    for _ in 0..2_000 {
        drop(tcp(server));
    }
    Vec::new()
}

fn bombs(server: &Server) -> Vec<TcpStream> {
    block_on(async {
        let control = MessageWebSocketControl::new().compression(Compression::new());
        // 64 KiB on the wire each.
        let bomb = vec![0_u8; 64 << 20];
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(control.connect(&server.url).await.unwrap());
        }
        for client in &mut clients {
            assert!(client.information().compression().is_some());
            client.feed(&bomb).await.unwrap();
        }
        for client in &mut clients {
            assert!(client.receive().await.is_ok_and(|message| message.is_none()));
            assert_eq!(client.closed().unwrap().code.number(), 1009);
        }
    });
    Vec::new()
}

fn garbage(server: &Server) -> Vec<TcpStream> {
    let noise: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for at in 0..10 {
        let mut stream = tcp(server);
        push(&mut stream, &noise[at * 1000..]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // A reset may take the answer along; what is left of it is HTTP.
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", answer.get(..40));

        let mut stream = websocket(server);
        push(&mut stream, &noise[at * 1000..]);
        let _ = stream.read_to_end(&mut answer);
    }
    Vec::new()
}

/// A connection in each stage of its life.
fn stages(server: &Server) -> Vec<TcpStream> {
    let mut all = vec![tcp(server), websocket(server)];
    // Within the head, at the end of a line, and within the greeting of TLS.
    for head in [&b"GET / HT"[..], b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"] {
        let mut stream = tcp(server);
        push(&mut stream, head);
        all.push(stream);
    }
    let close = frame(LAST | CLOSE, &1000_u16.to_be_bytes());
    for part in [
        // Within the header of a frame, behind its first byte, in its length and in its key.
        &b"\x81"[..],
        b"\x82\xff\0\0",
        &frame(LAST | TEXT, b"whole")[..3],
        // Within the payload, of a message and of a ping.
        &frame(LAST | TEXT, b"whole")[..9],
        &frame(LAST | PING, b"whole")[..9],
        // Between two fragments.
        &frame(TEXT, b"begun"),
        // With an echo under way that nobody reads.
        &frame(LAST | BINARY, &vec![7; 1 << 20]),
        // While it closes: within the close frame, and with its answer under way.
        &close[..7],
        &close,
    ] {
        let mut stream = websocket(server);
        push(&mut stream, part);
        all.push(stream);
    }
    all
}

fn half_closes(server: &Server) -> Vec<TcpStream> {
    let all = stages(server);
    for stream in &all {
        // Where the server has closed already there is nothing to end.
        let _ = stream.shutdown(Shutdown::Write);
    }
    all
}

fn resets(server: &Server) -> Vec<TcpStream> {
    for _ in 0..20 {
        for stream in stages(server) {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            drop(stream);
        }
    }
    Vec::new()
}

fn silent(server: &Server) -> Vec<TcpStream> {
    (0..500).map(|_| tcp(server)).collect()
}
