//! Faults of a network that loopback cannot have: in a network namespace of their own, which knows no other network. Skipped,
//! with the reason, where the system permits none.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use tokio::time::timeout;
use wsduo::WebErrorStatus as Status;
use wsduo::{Error, ErrorKind, HResult, Listener, MessageWebSocketControl, Proxy};

/// Names the network namespace outside, to a test that was started again inside of one.
const OUTSIDE: &str = "WSDUO_TEST_OUTSIDE";

/// By far more than anything here takes.
const BOUND: Duration = Duration::from_secs(10);

fn namespace() -> String {
    std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
}

/// Runs a command; what it said, where it failed.
fn run(line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output();
    let output = output.map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Whether this is to go on here: in a namespace of its own. Otherwise the test of this name is run again in one.
fn is_inside(test: &str) -> bool {
    if let Ok(outside) = std::env::var(OUTSIDE) {
        // Nothing may be set up in the network of the machine.
        assert_ne!(outside, namespace());
        return true;
    }
    if let Err(reason) = run("unshare -rn ip link set lo up") {
        eprintln!("skipped: no network namespace here: {reason}");
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again.arg("-rn").arg(program).args(["--exact", "--nocapture", test]).env(OUTSIDE, namespace());
    let output = again.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    eprint!("{}", said[1]);
    false
}

fn set_up(lines: &[&str]) -> bool {
    for line in lines {
        if let Err(reason) = run(line) {
            eprintln!("skipped: {reason}");
            return false;
        }
    }
    true
}

fn control() -> MessageWebSocketControl {
    MessageWebSocketControl::new().proxy(Proxy::none())
}

fn in_runtime<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(BOUND, future).await.expect("takes too long") })
}

#[track_caller]
fn check(error: &Error, kind: ErrorKind, status: Status, hresult: u32, said: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!((error.web_error_status(), error.hresult()), (status, HResult(hresult)), "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

/// An interface behind which packets vanish: its neighbours have addresses and do not exist.
const BLACK_HOLES: [&str; 8] = [
    "ip link set lo up",
    "ip link add hole type veth peer name nobody",
    "ip address add 10.77.0.1/24 dev hole",
    "ip link set nobody up",
    "ip link set hole up",
    "ip neighbour add 10.77.0.2 lladdr 02:00:00:00:00:02 dev hole",
    "ip neighbour add 10.77.0.3 lladdr 02:00:00:00:00:03 dev hole",
    "ip neighbour add 10.77.0.4 lladdr 02:00:00:00:00:04 dev hole",
];

#[test]
fn four_black_holes_do_not_keep_from_the_fifth_address() {
    if !is_inside("four_black_holes_do_not_keep_from_the_fifth_address")
        || !set_up(&BLACK_HOLES)
        || !set_up(&["ip neighbour add 10.77.0.5 lladdr 02:00:00:00:00:05 dev hole"])
    {
        return;
    }
    let holes: Vec<IpAddr> = (2..6).map(|last| [10, 77, 0, last].into()).collect();
    in_runtime(async {
        let listener = Listener::bind("10.77.0.1:0").await.unwrap();
        let address = listener.local_address().unwrap();
        let serving = async {
            let request = listener.accept().await.request().await.unwrap();
            request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
        };
        let all = holes.iter().copied().chain([address.ip()]);
        let direct = control().resolve("five.example", address.port(), all);
        let uri = format!("ws://five.example:{}/", address.port());
        let (client, _server) = tokio::join!(direct.connect(&uri), serving);
        assert_eq!(client.unwrap().information().remote_address(), Some(address));

        let dead = control().resolve("dead.example", 80, holes.iter().copied());
        let error = dead.total_connect_timeout(Duration::from_secs(1)).connect("ws://dead.example/").await;
        let said = "cannot connect to dead.example:80 by any of 4 addresses, the last: 10.77.0.";
        check(&error.unwrap_err(), ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2, said);
    });
}

#[test]
fn a_network_or_host_that_cannot_be_reached_is_told_as_such() {
    if !is_inside("a_network_or_host_that_cannot_be_reached_is_told_as_such")
        || !set_up(&["ip link set lo up", "ip route add unreachable 10.78.0.0/16"])
    {
        return;
    }
    in_runtime(async {
        for (uri, said) in [
            (
                "ws://10.79.0.1/",
                "cannot connect to 10.79.0.1:80: there is no route to its network; check the",
            ),
            ("ws://10.78.0.1/", "cannot connect to 10.78.0.1:80: there is no route to the host; check its"),
        ] {
            let error = control().connect(uri).await.unwrap_err();
            check(&error, ErrorKind::Connect, Status::ServerUnreachable, 0x8007_2F84, said);
        }
        // The way to a proxy is no other way.
        let proxied = control().proxy(Proxy::new("http://10.79.0.1:3128").unwrap());
        let error = proxied.connect("ws://server.example/").await.unwrap_err();
        let said =
            "cannot use the proxy http://10.79.0.1:3128: cannot connect to 10.79.0.1:3128: there is no";
        check(&error, ErrorKind::Proxy, Status::ServerUnreachable, 0x8007_2F84, said);
    });
}

#[test]
fn a_connection_whose_cable_is_pulled_is_given_up() {
    if !is_inside("a_connection_whose_cable_is_pulled_is_given_up") || !set_up(&["ip link set lo up"]) {
        return;
    }
    in_runtime(async {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_address().unwrap();
        let serving = async {
            let request = listener.accept().await.request().await.unwrap();
            request.accept_message(&MessageWebSocketControl::new()).await.unwrap()
        };
        let impatient =
            control().keepalive(Duration::from_millis(200)).receive_timeout(Duration::from_millis(400));
        let uri = format!("ws://{address}/");
        let (client, _server) = tokio::join!(impatient.connect(&uri), serving);
        let mut client = client.unwrap();
        // Nobody hears of it: neither end gets a FIN or a reset.
        run("ip link set lo down").unwrap();
        let error = client.receive().await.unwrap_err();
        check(&error, ErrorKind::TimedOut, Status::Timeout, 0x8007_2EE2, "");
    });
}
