//! The negotiation of permessage-deflate: the rules of RFC 7692 §7.1, and each known way to break one.

use proptest::prelude::*;
use wsduo_proto::handshake::headers::{MAX_ELEMENTS, MAX_PARAMS, parse_extensions};
use wsduo_proto::handshake::{DeflateAgreement, DeflateSettings, HandshakeError};

const NAME: &str = "permessage-deflate";

const DEFAULT: DeflateSettings = DeflateSettings {
    send_window_bits: 15,
    receive_window_bits: 15,
    send_context_takeover: true,
    receive_context_takeover: true,
};

fn windows(send_window_bits: u8, receive_window_bits: u8) -> DeflateSettings {
    DeflateSettings { send_window_bits, receive_window_bits, ..DEFAULT }
}

fn takeover(send_context_takeover: bool, receive_context_takeover: bool) -> DeflateSettings {
    DeflateSettings { send_context_takeover, receive_context_takeover, ..DEFAULT }
}

/// `params` behind the name of the extension.
fn deflate(params: &str) -> String {
    if params.is_empty() { NAME.to_owned() } else { format!("{NAME}; {params}") }
}

/// An agreement in short: windows of sending and receiving, with `!` where the context is dropped.
fn short(agreement: DeflateAgreement) -> String {
    let side = |bits, kept| format!("{bits}{}", if kept { "" } else { "!" });
    let send = side(agreement.send_window_bits, agreement.send_context_takeover);
    format!("{send} {}", side(agreement.receive_window_bits, agreement.receive_context_takeover))
}

/// Expects a server to answer `offers` with the parameters and the agreement in `expected`.
#[track_caller]
fn accepts(server: DeflateSettings, offers: &str, expected: (&str, &str)) {
    let (agreement, answer) = server.accept(&parse_extensions(offers).expect(offers)).expect(offers);
    assert_eq!((answer, short(agreement)), (deflate(expected.0), expected.1.to_owned()), "{offers}");
}

#[track_caller]
fn declines(server: DeflateSettings, offers: &str) {
    assert_eq!(server.accept(&parse_extensions(offers).expect(offers)), None, "{offers}");
}

/// Expects a client to take an answer with these parameters.
#[track_caller]
fn agrees(client: DeflateSettings, params: &str, expected: &str) {
    let answer = parse_extensions(&deflate(params)).expect(params);
    assert_eq!(client.judge(&answer).map(|found| found.map(short)), Ok(Some(expected.to_owned())));
}

/// Expects a client to fail the handshake over an answer with these parameters.
#[track_caller]
fn fails(client: DeflateSettings, params: &str, expected: &str) {
    let answer = parse_extensions(&deflate(params)).expect(params);
    let error = client.judge(&answer).expect_err(params).to_string();
    assert_eq!(error, format!("server accepted permessage-deflate {expected}"));
}

// ---- RFC 7692 §7.1.3 ----

#[test]
fn simplest_offer_and_simplest_answer() {
    accepts(DEFAULT, "permessage-deflate", ("", "15 15"));
    agrees(DEFAULT, "", "15 15");
}

#[test]
fn offer_of_a_smaller_server_window() {
    assert_eq!(windows(15, 10).offer(), deflate("client_max_window_bits; server_max_window_bits=10"));
    accepts(DEFAULT, &windows(15, 10).offer(), ("server_max_window_bits=10", "10 15"));
    agrees(windows(15, 10), "server_max_window_bits=10", "15 10");
}

#[test]
fn offer_with_something_to_fall_back_on() {
    let offers = |bits| {
        let first = deflate(&format!("client_max_window_bits; server_max_window_bits={bits}"));
        format!("{first}, {}", deflate("client_max_window_bits"))
    };
    accepts(DEFAULT, &offers(10), ("server_max_window_bits=10", "10 15"));
    // The first is one that we cannot take, so it is the second.
    accepts(DEFAULT, &offers(8), ("", "15 15"));
}

// ---- the offer ----

#[test]
fn offer_says_what_differs_from_the_default() {
    for (client, params) in [
        (DEFAULT, "client_max_window_bits"),
        (windows(9, 15), "client_max_window_bits=9"),
        (windows(12, 8), "client_max_window_bits=12; server_max_window_bits=8"),
        (takeover(false, true), "client_no_context_takeover; client_max_window_bits"),
        (takeover(true, false), "server_no_context_takeover; client_max_window_bits"),
        // Out of range counts as the nearest.
        (windows(0, 0), "client_max_window_bits=9; server_max_window_bits=8"),
        (windows(255, 255), "client_max_window_bits"),
    ] {
        assert_eq!(client.offer(), deflate(params));
    }
    assert_eq!(DeflateSettings::default(), DEFAULT);
}

// ---- the server ----

#[test]
fn server_answers_what_was_asked_for() {
    for (server, params, answer, agreement) in [
        (DEFAULT, "client_max_window_bits", "", "15 15"),
        (DEFAULT, "server_max_window_bits=15", "server_max_window_bits=15", "15 15"),
        (DEFAULT, "server_max_window_bits=\"9\"", "server_max_window_bits=9", "9 15"),
        (windows(12, 15), "server_max_window_bits=15", "server_max_window_bits=12", "12 15"),
        (windows(12, 15), "server_max_window_bits=11", "server_max_window_bits=11", "11 15"),
        (windows(12, 15), "", "server_max_window_bits=12", "12 15"),
        (windows(15, 12), "client_max_window_bits", "client_max_window_bits=12", "15 12"),
        (windows(15, 8), "client_max_window_bits=15", "client_max_window_bits=8", "15 8"),
        (windows(15, 12), "client_max_window_bits=10", "client_max_window_bits=10", "15 10"),
        (DEFAULT, "client_max_window_bits=8", "client_max_window_bits=8", "15 8"),
        (DEFAULT, "server_no_context_takeover", "server_no_context_takeover", "15! 15"),
        (DEFAULT, "client_no_context_takeover", "client_no_context_takeover", "15 15!"),
        (takeover(false, true), "", "server_no_context_takeover", "15! 15"),
        (takeover(true, false), "", "client_no_context_takeover", "15 15!"),
    ] {
        accepts(server, &deflate(params), (answer, agreement));
    }
}

#[test]
fn server_takes_the_first_offer_it_can() {
    let offers = "x-other; a=1, permessage-deflate; a, permessage-deflate; server_max_window_bits=9, \
        permessage-deflate";
    accepts(DEFAULT, offers, ("server_max_window_bits=9", "9 15"));
    let offers = "permessage-deflate, permessage-deflate; client_max_window_bits=14";
    accepts(windows(15, 14), offers, ("client_max_window_bits=14", "15 14"));
}

#[test]
fn server_declines_what_it_cannot_do() {
    declines(DEFAULT, "");
    declines(DEFAULT, "x-webkit-deflate-frame, Permessage-Deflate, permessage-bzip2");
    declines(DEFAULT, &deflate("server_max_window_bits=8"));
    declines(windows(15, 14), &deflate(""));
    declines(windows(15, 14), &deflate("client_no_context_takeover"));
}

/// Parameters that neither side may send, and what the client says of them.
const MALFORMED: [(&str, &str); 19] = [
    ("server_no_context_takeover=1", "takes no value"),
    ("client_no_context_takeover=true", "takes no value"),
    ("server_max_window_bits", "from 8 to 15 is required"),
    ("server_max_window_bits=7", "from 8 to 15 is required"),
    ("server_max_window_bits=16", "from 8 to 15 is required"),
    ("server_max_window_bits=1000", "from 8 to 15 is required"),
    ("server_max_window_bits=015", "from 8 to 15 is required"),
    ("server_max_window_bits=+9", "from 8 to 15 is required"),
    ("server_max_window_bits=1e1", "from 8 to 15 is required"),
    ("client_max_window_bits=0", "from 8 to 15 is required"),
    ("client_max_window_bits=-9", "from 8 to 15 is required"),
    ("client_max_window_bits=08", "from 8 to 15 is required"),
    ("client_max_window_bits=264", "from 8 to 15 is required"),
    ("server_no_context_takeover; server_no_context_takeover", "may appear once"),
    ("client_no_context_takeover; client_no_context_takeover", "may appear once"),
    ("server_max_window_bits=9; server_max_window_bits=9", "may appear once"),
    ("client_max_window_bits=9; client_max_window_bits=9", "may appear once"),
    ("Server_No_Context_Takeover", "there is no such parameter"),
    ("constructor; __proto__=9", "there is no such parameter"),
];

#[test]
fn malformed_parameters_are_declined_by_a_server_and_fail_a_client() {
    for (params, expected) in MALFORMED {
        declines(DEFAULT, &deflate(params));
        let answer = parse_extensions(&deflate(params)).expect(params);
        let error = DEFAULT.judge(&answer).expect_err(params).to_string();
        assert!(error.ends_with(expected), "{params}: {error}");
    }
    declines(DEFAULT, &deflate("client_max_window_bits; client_max_window_bits"));
}

// ---- the client ----

#[test]
fn client_takes_what_an_answer_may_say() {
    for (client, params, agreement) in [
        (DEFAULT, "server_max_window_bits=8", "15 8"),
        (DEFAULT, "server_max_window_bits=\"15\"", "15 15"),
        (DEFAULT, "client_max_window_bits=9", "9 15"),
        (windows(10, 15), "client_max_window_bits=12", "10 15"),
        (windows(10, 15), "", "10 15"),
        (windows(15, 10), "server_max_window_bits=9", "15 9"),
        (DEFAULT, "client_no_context_takeover", "15! 15"),
        (DEFAULT, "server_no_context_takeover", "15 15!"),
        (takeover(false, true), "", "15! 15"),
        (takeover(true, false), "server_no_context_takeover", "15 15!"),
    ] {
        agrees(client, params, agreement);
    }
}

#[test]
fn client_that_is_limited_to_a_window_of_8_bits_does_not_compress() {
    agrees(DEFAULT, "client_max_window_bits=8", "8 15");
    for (bits, may_compress) in [(8, false), (9, true), (15, true)] {
        let answer = parse_extensions(&deflate(&format!("client_max_window_bits={bits}"))).expect("grammar");
        let agreement = DEFAULT.judge(&answer).expect("a good answer").expect("an agreement");
        assert_eq!(agreement.may_compress(), may_compress);
    }
}

#[test]
fn client_fails_over_an_answer_beyond_its_limits() {
    let missing = |name| format!("without {name}, which was asked for: it must agree or decline");
    fails(windows(15, 14), "", &missing("server_max_window_bits"));
    fails(takeover(true, false), "client_no_context_takeover", &missing("server_no_context_takeover"));
    let allowed = "with \"server_max_window_bits=12\": a value from 8 to 11 is required";
    fails(windows(15, 11), "server_max_window_bits=12", allowed);
    let allowed = "with \"server_max_window_bits=9\": a value of 8 is required";
    fails(windows(15, 8), "server_max_window_bits=9", allowed);
    let allowed = "with \"client_max_window_bits\": a value from 8 to 15 is required";
    fails(DEFAULT, "client_max_window_bits", allowed);
}

#[test]
fn client_looks_at_no_other_extension() {
    assert_eq!(DEFAULT.judge(&[]), Ok(None));
    let others = parse_extensions("x-other; a=1, permessage-bzip2").expect("grammar");
    assert_eq!(DEFAULT.judge(&others), Ok(None));
    let twice = parse_extensions("permessage-deflate, x-other, permessage-deflate").expect("grammar");
    assert!(matches!(DEFAULT.judge(&twice), Err(HandshakeError::ExtensionRepeated(_))));
}

// ---- hostile peers ----

#[test]
fn long_parameters_are_judged_at_once_and_cut_off() {
    let long = "1".repeat(1_000_000);
    for params in [format!("server_max_window_bits={long}"), format!("{long}={long}")] {
        let hostile = parse_extensions(&deflate(&params)).expect("grammar");
        assert_eq!(DEFAULT.accept(&hostile), None);
        let error = DEFAULT.judge(&hostile).expect_err("too long").to_string();
        assert!(error.contains("…\"") && error.len() < 200, "{error}");
    }
    let name = format!("{NAME}{}", "e".repeat(1_000_000));
    assert_eq!(DEFAULT.judge(&parse_extensions(&name).expect("grammar")), Ok(None));
}

#[test]
fn as_many_bad_offers_as_there_can_be_are_declined() {
    let bad = deflate(&vec!["client_no_context_takeover"; MAX_PARAMS].join("; "));
    let mut offers = vec![bad; MAX_ELEMENTS];
    declines(DEFAULT, &offers.join(", "));
    offers[MAX_ELEMENTS - 1] = deflate("");
    accepts(DEFAULT, &offers.join(", "), ("", "15 15"));
}

fn any_settings() -> impl Strategy<Value = DeflateSettings> {
    (0..=20u8, 0..=20u8, any::<(bool, bool)>()).prop_map(|(send, receive, (keep, let_keep))| {
        DeflateSettings {
            send_context_takeover: keep,
            receive_context_takeover: let_keep,
            ..windows(send, receive)
        }
    })
}

/// What is never agreed, whatever the peer says.
fn check_limits(own: DeflateSettings, agreement: DeflateAgreement) {
    assert!((8..=own.send_window_bits.clamp(9, 15)).contains(&agreement.send_window_bits));
    assert!((8..=own.receive_window_bits.clamp(8, 15)).contains(&agreement.receive_window_bits));
    assert!(own.send_context_takeover || !agreement.send_context_takeover);
    assert!(own.receive_context_takeover || !agreement.receive_context_takeover);
}

proptest! {
    #[test]
    fn our_client_and_our_server_always_agree(client in any_settings(), server in any_settings()) {
        let offers = parse_extensions(&client.offer()).expect("our offer follows the grammar");
        let Some((servers, answer)) = server.accept(&offers) else {
            prop_assert!(client.receive_window_bits <= 8, "the only reason to decline");
            return Ok(());
        };
        let answer = parse_extensions(&answer).expect("our answer follows the grammar");
        let clients = client.judge(&answer).expect("a good answer").expect("an agreement");
        prop_assert_eq!(clients.send_window_bits, servers.receive_window_bits);
        prop_assert_eq!(clients.receive_window_bits, servers.send_window_bits);
        prop_assert_eq!(clients.send_context_takeover, servers.receive_context_takeover);
        prop_assert_eq!(clients.receive_context_takeover, servers.send_context_takeover);
        prop_assert!(servers.may_compress());
        check_limits(client, clients);
        check_limits(server, servers);
    }

    #[test]
    fn nothing_a_peer_says_goes_beyond_our_limits(
        own in any_settings(),
        lists in prop::collection::vec(
            prop::collection::vec(("(server|client)_(max_window_bits|no_context_takeover)", "|=[01]?[0-9]"), 0..5),
            1..4,
        ),
    ) {
        let list = |params: Vec<(String, String)>| {
            let params: Vec<_> = params.into_iter().map(|(name, value)| name + &value).collect();
            deflate(&params.join("; "))
        };
        let text = lists.into_iter().map(list).collect::<Vec<_>>().join(", ");
        let Ok(heard) = parse_extensions(&text) else { return Ok(()) };
        if let Some((agreement, answer)) = own.accept(&heard) {
            check_limits(own, agreement);
            prop_assert_eq!(own.accept(&heard), Some((agreement, answer)), "always the same answer");
        }
        if let Ok(Some(agreement)) = own.judge(&heard[..1]) {
            check_limits(own, agreement);
        }
    }
}
