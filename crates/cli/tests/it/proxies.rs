//! The way to the server: proxies of the environment and of the command line, and addresses given by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::{Ended, Server, run, run_with};

/// An HTTP proxy that opens every tunnel, and remembers what it was asked for.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let line = read_head(&mut client).lines().next().unwrap_or_default().to_owned();
                let target = line.split(' ').nth(1).unwrap().to_owned();
                seen.lock().unwrap().push(line);
                let server = TcpStream::connect(target).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                copy(client.try_clone().unwrap(), server.try_clone().unwrap());
                copy(server, client);
            }
        });
        Self { address, asked }
    }

    /// What it was asked for since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

fn read_head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Lets an echo server repeat a word.
#[track_caller]
fn echoed(variables: &[(&str, &str)], options: &[&str], url: &str) {
    let arguments = [&["-m", "hello", "--count", "1", "--insecure", url], options].concat();
    let ended = run_with(variables, &arguments, b"");
    assert_eq!((ended.code, ended.text()), (Some(0), "hello\n"), "{ended:?}");
}

#[test]
fn the_environment_names_the_proxy() {
    let proxy = Proxy::start();
    let address = &proxy.address.to_string();
    let (plain, secure) = (Server::start(&["echo"]), Server::start(&["echo", "--self-signed"]));
    let target = |server: &Server| {
        let (_, rest) = server.url.split_once("://").unwrap();
        vec![format!("CONNECT {} HTTP/1.1", rest.trim_end_matches('/'))]
    };
    echoed(&[("HTTP_PROXY", address)], &[], &plain.url);
    assert_eq!(proxy.asked(), target(&plain));
    echoed(&[("https_proxy", address)], &[], &secure.url);
    assert_eq!(proxy.asked(), target(&secure));
    echoed(&[("ALL_PROXY", address)], &[], &secure.url);
    assert_eq!(proxy.asked(), target(&secure));
    // Variables for others, and hosts that are excepted.
    echoed(&[("HTTPS_PROXY", address)], &[], &plain.url);
    echoed(&[("ALL_PROXY", address), ("NO_PROXY", "localhost,127.0.0.0/8")], &[], &plain.url);
    echoed(&[("ALL_PROXY", address)], &["--proxy", "none"], &plain.url);
    assert_eq!(proxy.asked(), [""; 0]);
    // The command line is stronger.
    echoed(&[("ALL_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "*")], &["--proxy", address], &plain.url);
    assert_eq!(proxy.asked(), target(&plain));
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "{ended:?}");
    assert!(!ended.stderr.contains("sesame"), "{ended:?}");
}

#[test]
fn a_proxy_that_fails_is_4_and_one_that_is_none_is_2() {
    let url = "ws://server.example/";
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = format!("http://me:sesame@{gone}");
    check(&run(&[url, "--proxy", &proxy], b""), 4, &format!("cannot use the proxy http://{gone}: "));
    check(&run_with(&[("HTTP_PROXY", &proxy)], &[url], b""), 4, "cannot use the proxy");
    check(
        &run_with(&[("HTTP_PROXY", "ftp://me:sesame@a")], &[url], b""),
        2,
        "the variable HTTP_PROXY has a scheme",
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            read_head(&mut client);
            let answer = "HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 9\r\n\r\n\x1b[2Jno way";
            client.write_all(answer.as_bytes()).unwrap();
        }
    });
    let ended = run(&[url, "--proxy", &address], b"");
    check(&ended, 4, "proxy answered 407 Proxy Authentication Required");
    assert!(ended.stderr.contains("\"\\u{1b}[2Jno wa"), "{ended:?}");
}

#[test]
fn addresses_can_be_given_by_hand() {
    let server = Server::start(&["echo"]);
    let port = server.url.trim_end_matches('/').rsplit(':').next().unwrap();
    let resolve = format!("server.example:{port}:127.0.0.1");
    echoed(
        &[],
        &["--resolve", &resolve, "--connect-timeout", "10s"],
        &format!("ws://server.example:{port}/"),
    );
}

#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_is_4_and_told_as_such() {
    let server = Server::start(&["echo"]);
    // How many descriptors a program holds before it connects is not for this test to know.
    let told = (6..30).any(|limit| {
        let script = format!("ulimit -n {limit}; exec {} {}", env!("CARGO_BIN_EXE_wsduo"), server.url);
        let mut command = std::process::Command::new("sh");
        let ended = command.args(["-c", &script]).stdin(std::process::Stdio::null()).output().unwrap();
        let shown = String::from_utf8(ended.stderr).unwrap();
        ended.status.code() == Some(4)
            && shown.starts_with("wsduo: cannot connect to 127.0.0.1:")
            && shown.contains("Too many open files")
            && shown.lines().count() == 1
    });
    assert!(told);
}
