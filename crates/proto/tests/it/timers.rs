//! Keepalive and deadlines, on a clock that stands still unless it is moved.

use std::time::{Duration, Instant};

use wsduo_proto::{CloseCode, Config, Connection, Delivery, Role, TimedOut};

use crate::oracle::messages;
use crate::pair::{Link, Pair, TICK};
use crate::support::{End, Seen, config, keys, text, wire};

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
fn an_idle_connection_is_pinged_after_one_to_one_and_a_half_intervals() {
    for last_byte in [0, 1, 5, 9, 10, 11, 15, 19] {
        let mut pair = pair();
        pair.advance(secs(last_byte));
        send(&mut pair, "last");
        pair.advance(secs(300));
        let mut heard = secs(last_byte);
        assert!(pair.client.pings.len() > 7);
        for ping in &pair.client.pings {
            let idle = *ping - heard;
            assert!(idle >= KEEPALIVE && idle <= KEEPALIVE * 3 / 2 + TICK, "{idle:?}");
            // The pong comes at once.
            heard = *ping;
        }
        assert_eq!(pair.client.timed_out, None);
        assert_eq!(pair.server.pings, []);
    }
}

#[test]
fn a_pong_that_takes_its_time_does_not_put_the_next_ping_off() {
    for delay in [1, 9, 11, 19, 29] {
        let mut pair = pair();
        pair.advance(KEEPALIVE - TICK);
        pair.server.outgoing = Link::Stuck;
        pair.advance(secs(delay));
        pair.server.outgoing = Link::Carries(usize::MAX);
        let pong = pair.elapsed();
        pair.advance(secs(60));
        let idle = pair.client.pings[1] - pong;
        assert!(idle >= KEEPALIVE && idle <= KEEPALIVE * 3 / 2 + TICK, "{idle:?} after {delay} s");
    }
}

#[test]
fn without_a_receive_timeout_an_unanswered_ping_does_not_end_the_keepalive() {
    let client = config(|config| config.receive_timeout = None);
    let mut pair = Pair::new(client, without_keepalive());
    pair.advance(secs(1));
    pair.client.outgoing = Link::Swallows;
    let now = pair.now;
    pair.client.end.connection.ping(now, &mut keys()).unwrap();
    pair.advance(secs(100));
    assert_eq!(pair.client.pings, [], "one is unanswered");
    send(&mut pair, "alive, without a pong");
    pair.advance(secs(100));
    assert_eq!(pair.client.pings.len(), 1);
    assert_eq!(pair.client.timed_out, None);
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
fn more_pings_do_not_put_the_receive_timeout_off() {
    let mut pair = pair();
    pair.client.outgoing = Link::Swallows;
    for _ in 0..20 {
        let (connection, now) = (&mut pair.client.end.connection, pair.now);
        let _ = connection.ping(now, &mut keys());
        pair.advance(secs(5));
    }
    assert_timed_out(&pair, TimedOut::Receive, TIMEOUT, TIMEOUT + KEEPALIVE / 2);
}

#[test]
fn what_was_heard_before_a_ping_is_no_answer_to_it() {
    let mut pair = Pair::new(without_keepalive(), without_keepalive());
    pair.advance(secs(1));
    send(&mut pair, "before");
    pair.advance(secs(1));
    pair.client.outgoing = Link::Swallows;
    let now = pair.now;
    pair.client.end.connection.ping(now, &mut keys()).unwrap();
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Receive, secs(32), secs(32) + TICK);
}

#[test]
fn silence_inside_a_frame_is_a_receive_timeout() {
    for keepalive in [None, Some(KEEPALIVE), Some(secs(10)), Some(secs(600))] {
        for begun in [0, 7, 1000] {
            let mut pair = Pair::new(config(|config| config.keepalive = keepalive), without_keepalive());
            pair.advance(secs(begun));
            send(&mut pair, "cut in the middle");
            pair.server.outgoing = Link::Carries(10);
            pair.advance(Duration::ZERO);
            pair.server.outgoing = Link::Stuck;
            pair.advance(secs(1000));
            let late = keepalive.map_or(TIMEOUT, |interval| interval / 2) + TICK;
            let earliest = secs(begun) + TIMEOUT;
            assert_timed_out(&pair, TimedOut::Receive, earliest, earliest + late);
            assert_eq!(messages(&pair.client.end.seen), []);
        }
    }
}

#[test]
fn a_slow_transfer_with_the_pong_stuck_behind_it_survives() {
    let mut pair = pair();
    send(&mut pair, &"x".repeat(10_000));
    pair.server.outgoing = Link::Carries(2);
    let now = pair.now;
    let number = pair.client.end.connection.ping(now, &mut keys()).unwrap();
    pair.advance(secs(600));
    assert_eq!(pair.client.timed_out, None);
    // The pong comes after the message and is still known.
    assert_eq!(pair.client.end.seen[1], Seen::Pong(number));
}

#[test]
fn a_slow_upload_with_the_ping_stuck_behind_it_survives() {
    let mut pair = pair();
    pair.client.outgoing = Link::Carries(2);
    let upload = "x".repeat(10_000);
    pair.client.end.connection.send((&upload).into(), &mut keys()).unwrap();
    pair.advance(secs(600));
    assert_eq!(pair.client.timed_out, None);
    assert_eq!(pair.server.end.seen, [text(&upload)]);
}

#[test]
fn a_slow_reader_with_the_ping_in_the_buffers_before_it_survives_as_long_as_it_reads() {
    let mut pair = pair();
    let now = pair.now;
    pair.client.end.connection.ping(now, &mut keys()).unwrap();
    // The buffers between take the ping, and the peer empties them slowly without coming to it.
    pair.client.outgoing = Link::Stuck;
    pair.client.end.connection.send((&"x".repeat(10_000)).into(), &mut keys()).unwrap();
    pair.client.end.write_some(1000);
    for _ in 0..40 {
        pair.advance(secs(10));
        pair.client.end.write_some(100);
    }
    assert_eq!(pair.client.timed_out, None);
    let stopped = pair.elapsed();
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Send, stopped + TIMEOUT - secs(10), stopped + TIMEOUT + secs(20));
}

#[test]
fn output_that_is_not_taken_is_a_send_timeout() {
    for keepalive in [None, Some(KEEPALIVE), Some(secs(100))] {
        for begun in [0, 1, 29, 31, 1000, 1049] {
            let client = config(|config| {
                config.keepalive = keepalive;
                config.receive_timeout = None;
            });
            let mut pair = Pair::new(client, without_keepalive());
            pair.advance(secs(begun));
            pair.client.outgoing = Link::Stuck;
            pair.client.end.connection.send("stuck".into(), &mut keys()).unwrap();
            pair.advance(secs(500));
            let earliest = secs(begun) + TIMEOUT;
            assert_timed_out(&pair, TimedOut::Send, earliest, earliest + keepalive.unwrap_or(TICK));
        }
    }
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
fn a_close_that_is_not_answered_times_out() {
    for begun in [0, 3, 1000] {
        for link in [Link::Swallows, Link::Stuck] {
            for client in [Config::default(), without_keepalive()] {
                let mut pair = Pair::new(client, without_keepalive());
                pair.advance(secs(begun));
                pair.client.outgoing = link;
                pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
                pair.advance(secs(100));
                assert_timed_out(&pair, TimedOut::Close, secs(begun + 10), secs(begun + 10));
            }
        }
    }
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
fn a_close_frame_of_the_peer_leaves_time_for_what_is_queued_and_the_answer() {
    let mut pair = pair();
    pair.client.outgoing = Link::Carries(1);
    pair.client.end.connection.send("x".repeat(50).into(), &mut keys()).unwrap();
    pair.server.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(9));
    assert_eq!(pair.server.end.seen, [text(&"x".repeat(50)), Seen::Closed]);
    assert!(pair.server.end.connection.closed().is_some_and(|closed| closed.clean));
}

#[test]
fn an_answer_that_is_not_taken_times_out() {
    let mut pair = pair();
    pair.client.outgoing = Link::Stuck;
    pair.server.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Close, secs(10), secs(10));
    assert!(pair.client.end.connection.closed().is_some_and(|closed| !closed.clean));
}

#[test]
fn a_connection_that_has_ended_lingers_for_a_second_after_the_last_byte() {
    let mut pair = pair();
    pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(100));
    assert_timed_out(&pair, TimedOut::Close, secs(1), secs(1) + TICK);
    assert!(pair.client.end.connection.closed().is_some_and(|closed| closed.clean));
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
fn a_failed_connection_lingers_for_a_second() {
    let mut pair = pair();
    pair.client.end.receive_frames("83 00");
    pair.advance(secs(10));
    assert_timed_out(&pair, TimedOut::Close, secs(1), secs(1) + TICK);
}

#[test]
fn a_lost_transport_leaves_nothing_to_wait_for() {
    let start = Instant::now();
    let mut end = End::new(Role::Client, Config::default(), start);
    end.connection.ping(start, &mut keys()).unwrap();
    end.receive_frames("81 05 'he'");
    end.connection.look_at_clock(start, &mut keys()).unwrap();
    assert!(end.connection.next_look().is_some());
    end.connection.receive_end();
    assert!(!end.connection.wants_look());
    assert_eq!(end.connection.next_look(), None);
    assert_eq!(end.connection.look_at_clock(start + secs(100), &mut keys()), Ok(()));
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

#[test]
fn timeouts_without_end_are_no_timeouts() {
    let for_ever = || {
        config(|config| {
            config.keepalive = Some(Duration::MAX);
            config.receive_timeout = Some(Duration::MAX);
            config.send_timeout = Some(Duration::MAX);
            config.close_timeout = Duration::MAX;
        })
    };
    let mut pair = Pair::new(for_ever(), for_ever());
    let now = pair.now;
    pair.client.end.connection.ping(now, &mut keys()).unwrap();
    pair.client.outgoing = Link::Stuck;
    pair.advance(secs(10));
    pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(1000));
    assert_eq!((pair.client.timed_out, pair.server.timed_out), (None, None));
}

#[test]
fn a_frame_that_begins_long_before_the_next_look_still_times_out_soon() {
    let mut config = Config::default();
    config.keepalive = Some(Duration::from_secs(3600));
    let now = Instant::now();
    let mut connection = Connection::new(Role::Client, config.into(), now);
    connection.look_at_clock(now, &mut keys()).unwrap();
    assert!(connection.next_look().is_some_and(|next| next > now + Duration::from_secs(60)));
    assert!(!connection.wants_look());

    let mut begun = wire("82 05 'h'");
    assert_eq!(connection.receive(&mut begun, Delivery::Whole).1, None);
    connection.heard();
    assert!(connection.wants_look());
    connection.look_at_clock(now, &mut keys()).unwrap();
    assert_eq!(connection.next_look(), Some(now + Duration::from_secs(30)));
}

#[test]
fn an_unsolicited_pong_leaves_at_every_interval_whatever_else_is_said() {
    let client = config(|config| {
        config.keepalive = None;
        config.unsolicited_pong = Some(secs(5));
    });
    let mut pair = Pair::new(client, without_keepalive());
    for _ in 0..30 {
        pair.advance(secs(1));
        send(&mut pair, "busy");
    }
    let expected: Vec<_> = (1..=6).map(|n| secs(5 * n)).collect();
    assert_eq!(pair.client.pings, expected, "they are pongs");
    assert_eq!((pair.client.timed_out, pair.server.timed_out), (None, None));
    assert_eq!(pair.server.end.seen, [], "nobody is told");
}

#[test]
fn unsolicited_pongs_and_keepalive_pings_go_side_by_side() {
    let client = config(|config| {
        config.keepalive = Some(secs(20));
        config.unsolicited_pong = Some(secs(20));
    });
    let mut pair = Pair::new(client, without_keepalive());
    pair.advance(secs(100));
    // A look may bring both.
    assert!((5..=10).contains(&pair.client.pings.len()), "{:?}", pair.client.pings);
    // And a peer that is gone is found all the same.
    pair.client.outgoing = Link::Swallows;
    pair.advance(secs(100));
    assert_eq!(pair.client.timed_out.map(|(_, what)| what), Some(TimedOut::Receive));
}

#[test]
fn unsolicited_pongs_do_not_pile_up_before_a_peer_that_does_not_read() {
    let client = config(|config| {
        config.keepalive = None;
        config.send_timeout = None;
        config.unsolicited_pong = Some(secs(1));
    });
    let mut pair = Pair::new(client, without_keepalive());
    pair.client.outgoing = Link::Stuck;
    pair.advance(secs(1000));
    assert_eq!(pair.client.pings.len(), 1);
    assert_eq!(pair.client.end.connection.queued(), 6);
}

#[test]
fn no_unsolicited_pong_leaves_while_closing() {
    let client = config(|config| {
        config.unsolicited_pong = Some(secs(1));
        config.close_timeout = secs(50);
    });
    let mut pair = Pair::new(client, without_keepalive());
    pair.server.outgoing = Link::Stuck;
    pair.client.end.connection.close(CloseCode::NORMAL, "").unwrap();
    pair.advance(secs(40));
    assert_eq!(pair.client.pings, []);
}
