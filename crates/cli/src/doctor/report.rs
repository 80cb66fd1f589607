//! The lines of a report, written as the stages end.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use wsduo::http::{HeaderMap, header};
use wsduo::{Connecting, ErrorKind, TlsInformation};

use super::certificate::Certificate;
use crate::exit::{self, Failure};
use crate::terminal;

const LABEL: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Resolve,
    Connect,
    Tunnel,
    Tls,
    Answer,
    Ping,
    Close,
}

impl Stage {
    fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tunnel => "tunnel",
            Self::Tls => "TLS",
            Self::Answer => "answer",
            Self::Ping => "ping",
            Self::Close => "close",
        }
    }
}

/// What was found so far. Each finding is written at once.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) json: bool,
    pub(crate) stage: Stage,
    pub(crate) since: Instant,
    /// Why there is no proxy, until the first line has said so or told of one.
    pub(crate) no_proxy: Option<String>,
    pub(crate) proxy: Option<String>,
    /// Whether the next server is one of `wss`.
    pub(crate) is_secure: bool,
    /// What is offered beside the request itself.
    pub(crate) offers: String,
    /// Why the address tried last is not connected.
    pub(crate) last_refusal: Option<io::ErrorKind>,
    /// The server's own certificate.
    pub(crate) certificate: Option<Certificate>,
    /// The first failure of standard output: a report that nobody gets need not go on.
    pub(crate) broken: Option<io::Error>,
}

impl Report {
    /// Takes note of a step, and tells it.
    pub(crate) fn step(&mut self, step: &Connecting<'_>) {
        match step {
            Connecting::ProxyChosen { proxy, because_of, .. } => {
                self.no_proxy = None;
                self.proxy = Some((*proxy).to_owned());
                let event = json!({ "event": "proxy", "proxy": proxy, "because": because_of });
                self.line(&event, "proxy", &format!("{proxy} ({because_of})"));
                self.enter(Stage::Resolve);
            }
            Connecting::Resolved { host, addresses, took, .. } => {
                self.tell_no_proxy();
                let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                let event =
                    json!({ "event": "resolve", "host": host, "addresses": addresses, "ms": millis(*took) });
                self.line(&event, "resolve", &format!("{host} → {} ({})", addresses.join(", "), ms(*took)));
                self.enter(Stage::Connect);
            }
            Connecting::AddressTried { address, error, took, .. } => {
                let why = error.map(ToString::to_string);
                let event = json!({
                    "event": "connect", "address": address.to_string(), "error": why, "ms": millis(*took),
                });
                let text = match why {
                    None => format!("{address} in {}", ms(*took)),
                    Some(why) => format!("{address} failed after {}: {why}", ms(*took)),
                };
                self.line(&event, "connect", &text);
                self.last_refusal = error.map(io::Error::kind);
                if error.is_none() {
                    self.enter(if self.proxy.is_some() { Stage::Tunnel } else { self.behind_transport() });
                }
            }
            Connecting::Tunnelled { proxy, took, .. } => {
                let event = json!({ "event": "tunnel", "proxy": proxy, "ms": millis(*took) });
                self.line(&event, "tunnel", &format!("through {proxy} in {}", ms(*took)));
                self.enter(self.behind_transport());
            }
            Connecting::TlsEstablished { information, took, .. } => {
                self.tell_no_proxy();
                self.tls(information, *took);
                self.certificates(&information.certificates);
            }
            Connecting::Asking { uri, .. } => {
                self.tell_no_proxy();
                let request = format!("GET {}", without_query(uri));
                let event = json!({ "event": "request", "request": request, "offers": self.offers });
                self.line(&event, "request", &format!("{request}, offering {}", self.offers));
                self.enter(Stage::Answer);
            }
            Connecting::Answered { status, headers, took, .. } => {
                let shown: Vec<_> = headers.iter().map(|(name, value)| header_line(name, value)).collect();
                let event = json!({
                    "event": "answer", "status": status.as_u16(), "headers": shown, "ms": millis(*took),
                });
                self.line(&event, "answer", &format!("{status} in {}", ms(*took)));
                if !self.json {
                    for header in shown {
                        self.line(&Value::Null, "  header", &header);
                    }
                }
                self.is_secure |= leads_to_tls(headers);
                self.enter(Stage::Resolve);
            }
            _ => {}
        }
    }

    fn tls(&mut self, information: &TlsInformation, took: Duration) {
        let TlsInformation { version, cipher_suite, alpn, server_name, certificate_errors, .. } = information;
        let errors: Vec<_> = certificate_errors.iter().map(ToString::to_string).collect();
        let event = json!({
            "event": "tls", "version": version, "cipher_suite": cipher_suite, "alpn": alpn,
            "server_name": server_name, "certificate_errors": errors, "ms": millis(took),
        });
        let alpn = alpn.as_ref().map_or("no ALPN".to_owned(), |alpn| format!("ALPN {alpn}"));
        let ignored =
            if errors.is_empty() { String::new() } else { format!("; ignored: {}", errors.join(", ")) };
        self.line(&event, "TLS", &format!("{version}, {cipher_suite}, {alpn} in {}{ignored}", ms(took)));
    }

    /// A chain of certificates, the server's own first.
    pub(crate) fn certificates(&mut self, chain: &[Vec<u8>]) {
        for (index, der) in chain.iter().enumerate() {
            let certificate = Certificate::read(der);
            let (event, text) = match &certificate {
                Some(certificate) => (certificate.event(), certificate.describe()),
                None => {
                    let text = format!("{} bytes that cannot be read", der.len());
                    (json!({ "event": "certificate", "fault": text }), text)
                }
            };
            self.line(&event, "  certificate", &text);
            if index == 0 {
                self.certificate = certificate;
            }
        }
    }

    /// A stage failed. What it said, unless the answer has been shown already.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        self.tell_no_proxy();
        let mut message = failure.to_string();
        let mut label = self.stage.label();
        if let Failure::Connecting(error) = failure {
            if let (ErrorKind::Refused, Some(refusal)) = (error.kind(), error.refusal()) {
                let body = String::from_utf8_lossy(&refusal.body);
                if body.trim().is_empty() && !self.json {
                    return;
                }
                (label, message) = ("  body", exit::beginning(body.trim()));
            }
            if matches!(error.kind(), ErrorKind::Tls | ErrorKind::CertificateRejected) {
                (self.stage, label) = (Stage::Tls, Stage::Tls.label());
            }
        }
        let took = self.since.elapsed();
        let event = json!({
            "event": "failed", "stage": label.trim().to_lowercase(), "kind": failure.kind(), "message": message,
            "ms": millis(took),
        });
        let after = if label == "  body" { String::new() } else { format!("failed after {}: ", ms(took)) };
        self.line(&event, label, &format!("{after}{message}"));
        if let Failure::Connecting(error) = failure {
            self.certificates(error.certificates());
        }
    }

    /// The last line.
    pub(crate) fn verdict(&mut self, problem: Option<&str>, advice: &str, exit_code: u8) {
        let event = json!({
            "event": "verdict", "ok": problem.is_none(), "problem": problem, "advice": advice, "exit_code": exit_code,
        });
        if self.json {
            return self.line(&event, "", "");
        }
        let (style, text) = match problem {
            None => (GOOD, advice.to_owned()),
            Some(problem) => (BAD, format!("{problem}; {advice}")),
        };
        let text = terminal::harmless_line(&text);
        let written = writeln!(anstream::stdout(), "{style}{text}{style:#}");
        self.keep(written);
    }

    /// A line of either style, at once.
    pub(crate) fn line(&mut self, event: &Value, label: &str, text: &str) {
        let written = if self.json {
            writeln!(io::stdout(), "{}", terminal::harmless_json(&event.to_string()))
        } else {
            let text = terminal::harmless_line(text);
            writeln!(anstream::stdout(), "{LABEL}{label:<14}{LABEL:#}{text}")
        };
        self.keep(written);
    }

    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.broken.get_or_insert(error);
        }
    }

    fn behind_transport(&self) -> Stage {
        if self.is_secure { Stage::Tls } else { Stage::Answer }
    }

    fn tell_no_proxy(&mut self) {
        if let Some(why) = self.no_proxy.take() {
            let event = json!({ "event": "proxy", "proxy": null, "because": why });
            self.line(&event, "proxy", &format!("none ({why})"));
        }
    }
}

/// A header as it came. Cookies are secrets, as the query of a `Location` may be, and reports are shown around.
fn header_line(name: &header::HeaderName, value: &header::HeaderValue) -> String {
    if name == header::SET_COOKIE {
        return format!("{name}: …");
    }
    let value = String::from_utf8_lossy(value.as_bytes());
    if name == header::LOCATION {
        return format!("{name}: {}", without_query(&value));
    }
    format!("{name}: {value}")
}

fn leads_to_tls(headers: &HeaderMap) -> bool {
    let location = headers.get(header::LOCATION).map(header::HeaderValue::as_bytes);
    location.is_some_and(|location| location.starts_with(b"https:") || location.starts_with(b"wss:"))
}

/// A URI, of which the query may be a secret.
pub(super) fn without_query(uri: &str) -> String {
    uri.split_once('?').map_or_else(|| uri.to_owned(), |(before, _)| format!("{before}?…"))
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

pub(crate) fn ms(took: Duration) -> String {
    let digits = if took < Duration::from_millis(10) { 2 } else { 0 };
    format!("{:.digits$} ms", millis(took))
}
