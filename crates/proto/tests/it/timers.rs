//! Keepalive and deadlines, on a clock that stands still unless it is moved.

use std::time::{Duration, Instant};

use wsduo_proto::{CloseCode, Config, TimedOut};

use crate::oracle::messages;
use crate::pair::{Link, Pair, TICK};
use crate::support::{End, Seen, config, keys, text};

const KEEPALIVE: Duration = Duration::from_secs(20);
const TIMEOUT: Duration = Duration::from_secs(30);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn without_keepalive() -> Config {
    config(|config| config.keepalive = None)
}

/// A client with the defaults; a server that leaves time to it.
fn pair() -> Pair {
    Pair::new(Config::default(), without_keepalive())
}

fn send(pair: &mut Pair, message: &str) {
    pair.server.end.connection.send(message.into(), &mut keys()).expect("open");
}

#[track_caller]
fn assert_timed_out(pair: &Pair, expected: TimedOut, earliest: Duration, latest: Duration) {
    let Some((at, timed_out)) = pair.client.timed_out else {
        panic!("no timeout after {:?}", pair.elapsed());
    };
    assert_eq!(timed_out, expected);
    assert!((earliest..=latest).contains(&at), "after {at:?}, not {earliest:?} to {latest:?}");
}

#[test]
fn no_ping_while_traffic_flows() {
    let mut pair = pair();
    for _ in 0..40 {
        pair.advance(secs(19));
        send(&mut pair, "busy");
    }
    assert_eq!(pair.client.pings, []);
    assert_eq!(pair.client.end.seen.len(), 39);
}

#[test]
fn both_ends_may_keep_the_connection_alive() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.advance(secs(1000));
    assert_eq!((pair.client.timed_out, pair.server.timed_out), (None, None));
}

#[test]
fn without_keepalive_an_idle_connection_asks_for_nothing() {
    let mut pair = Pair::new(without_keepalive(), without_keepalive());
    pair.advance(secs(1));
    assert_eq!(pair.client.end.connection.next_look(), None);
    send(&mut pair, "hello");
    pair.advance(secs(3600));
    assert_eq!(pair.client.end.connection.next_look(), None);
    assert!(!pair.client.end.connection.wants_look());
    assert_eq!((pair.client.timed_out, pair.server.timed_out), (None, None));
    assert_eq!(pair.client.end.seen, [text("hello")]);
}

#[test]
fn an_idle_connection_never_runs_into_the_receive_timeout() {
    let short = || {
        config(|config| {
            config.keepalive = Some(secs(60));
            config.receive_timeout = Some(secs(1));
        })
    };
    let mut pair = Pair::new(short(), short());
    pair.advance(secs(3600));
    assert_eq!((pair.client.timed_out, pair.server.timed_out), (None, None));
}

#[test]
fn silence_after_a_ping_is_a_receive_timeout() {
    let mut pair = pair();
    pair.client.outgoing = Link::Swallows;
    pair.advance(secs(200));
    let ping = pair.client.pings[0];
    assert_timed_out(&pair, TimedOut::Receive, ping + TIMEOUT, ping + TIMEOUT + TICK);
    let closed = pair.client.end.connection.closed().unwrap();
    assert_eq!(closed.code, CloseCode::ABNORMAL);
}

#[test]
fn output_that_is_taken_slowly_is_not_a_send_timeout() {
    let mut pair = Pair::new(without_keepalive(), without_keepalive());
    pair.client.end.connection.send("slowly!".into(), &mut keys()).unwrap();
    while pair.client.end.connection.has_output() {
        pair.client.outgoing = Link::Stuck;
        pair.advance(secs(29));
        pair.client.outgoing = Link::Carries(1);
        pair.advance(Duration::ZERO);
    }
    assert_eq!(pair.client.timed_out, None);
    assert_eq!(pair.server.end.seen, [text("slowly!")]);
}

#[test]
fn the_send_timeout_counts_from_the_last_progress() {
    let mut pair = Pair::new(without_keepalive(), without_keepalive());
    pair.client.end.connection.send("stuck later".into(), &mut keys()).unwrap();
    pair.client.outgoing = Link::Stuck;
    pair.advance(secs(20));
    pair.client.outgoing = Link::Carries(1);
    pair.advance(Duration::ZERO);
    pair.client.outgoing = Link::Stuck;
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Send, secs(50), secs(80));
}

#[test]
fn data_does_not_put_the_close_timeout_off() {
    let mut pair = pair();
    pair.server.end.connection.send("x".repeat(10_000).into(), &mut keys()).unwrap();
    pair.server.outgoing = Link::Carries(1);
    pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Close, secs(10), secs(10));
}

#[test]
fn no_ping_once_closing() {
    let mut pair = Pair::new(
        config(|config| {
            config.keepalive = Some(secs(1));
            config.close_timeout = secs(100);
        }),
        without_keepalive(),
    );
    pair.client.outgoing = Link::Swallows;
    pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(50));
    assert_eq!((&pair.client.pings[..], pair.client.timed_out), (&[][..], None));
}

#[test]
fn a_long_sleep_of_the_machine_is_no_fault_of_an_idle_peer() {
    let mut pair = pair();
    pair.advance(secs(5));
    pair.now += secs(36_000);
    pair.advance(secs(100));
    assert_eq!(pair.client.timed_out, None);
    assert_eq!(pair.client.pings[0], secs(36_005));
}
