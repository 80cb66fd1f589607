//! What is wrong, in words for people, and what they can try.

use std::io;

use wsduo::http::{StatusCode, Uri, header};
use wsduo::{CertificateError, Error, ErrorKind, Refusal};

use super::place;
use super::report::{Report, Stage, without_query};
use crate::exit::Failure;
use crate::plan::Doctor;

const LOG: &str = "the log of the server may say why";

/// The last line, in its two halves.
#[derive(Debug)]
pub(super) struct Advice {
    pub(super) problem: String,
    pub(super) advice: String,
}

fn advice(problem: impl Into<String>, advice: impl Into<String>) -> Advice {
    Advice { problem: problem.into(), advice: advice.into() }
}

/// What to say of this failure.
pub(super) fn on(failure: &Failure, plan: &Doctor, report: &Report) -> Advice {
    match failure {
        Failure::Connecting(error) => on_connecting(error, plan, report),
        Failure::NoPong => advice(
            "the server answers no ping",
            "its WebSocket library has to answer each one (RFC 6455 §5.5.2), unless something in between swallows them",
        ),
        Failure::Closed(closed) => advice(closed.to_string(), LOG),
        Failure::Open(error) if error.kind() == ErrorKind::TimedOut => advice(
            "the server did not answer the closing handshake",
            "others will have to wait for it as well",
        ),
        other => advice(other.to_string(), LOG),
    }
}

fn on_connecting(error: &Error, plan: &Doctor, report: &Report) -> Advice {
    let (host, port) = place(&plan.client.url);
    match error.kind() {
        ErrorKind::InvalidInput => advice(error.to_string(), "correct the command line or the environment"),
        ErrorKind::Resolve => advice(
            format!("no address is known of the name {host}"),
            format!(
                "check the name and the DNS of this machine, or give an address by --resolve {host}:{port}:ADDR"
            ),
        ),
        ErrorKind::Proxy => on_proxy(error, plan, report),
        ErrorKind::Connect => on_no_connection(error, report, &host, port),
        ErrorKind::TimedOut => on_timeout(plan, report, &host, port),
        ErrorKind::Tls | ErrorKind::CertificateRejected => on_tls(error, plan, report, &host),
        ErrorKind::Refused => match error.refusal() {
            Some(refusal) => on_refusal(refusal, plan),
            None => advice(error.to_string(), LOG),
        },
        // The library tells these apart in words alone.
        ErrorKind::Handshake if error.to_string().contains("sent TLS") => {
            advice("the port speaks TLS", format!("try {}", other_scheme(&plan.client.url)))
        }
        ErrorKind::Handshake => {
            advice(format!("this is no WebSocket server: {error}"), "check the host and the port")
        }
        _ => advice(error.to_string(), LOG),
    }
}

fn on_proxy(error: &Error, plan: &Doctor, report: &Report) -> Advice {
    let proxy = report.proxy.as_deref().unwrap_or("the proxy");
    let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
    match error.refusal().map(|refusal| refusal.status) {
        Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => {
            let is_known = plan.client.proxy.as_ref().is_some_and(|proxy| proxy.contains('@'));
            let problem = if is_known {
                format!("the proxy {proxy} does not accept this name and password")
            } else {
                format!("the proxy {proxy} wants a name and a password")
            };
            advice(problem, format!("try --proxy {scheme}://NAME:PASSWORD@{rest}"))
        }
        Some(status) => advice(
            format!("the proxy {proxy} opens no tunnel: {status}"),
            "ask those who run it to allow this host and port, or go without it by --proxy none",
        ),
        None => advice(
            format!("the proxy {proxy} cannot be used"),
            "check its address and whether it runs, or go without it by --proxy none",
        ),
    }
}

fn on_no_connection(error: &Error, report: &Report, host: &str, port: u16) -> Advice {
    if report.stage == Stage::Answer {
        let advice_text = "is it a WebSocket server, and does it want wss? Its log may say why";
        return advice("the server ended the connection instead of answering", advice_text);
    }
    match report.last_refusal {
        Some(io::ErrorKind::ConnectionRefused) => advice(
            format!("{host}:{port} refuses connections"),
            "is the server running, and is the port right?",
        ),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => advice(
            format!("there is no way to {host}"),
            "check its address, and the network and routes of this machine",
        ),
        _ => advice(error.to_string(), "check the host, the port and the network of this machine"),
    }
}

fn on_timeout(plan: &Doctor, report: &Report, host: &str, port: u16) -> Advice {
    let more = "or give it more time by --timeout";
    match (report.stage, report.proxy.as_deref()) {
        (Stage::Resolve | Stage::Connect | Stage::Tunnel, Some(proxy)) => advice(
            format!("the proxy {proxy} did not answer in time"),
            format!("check its address, go without it by --proxy none, {more}"),
        ),
        (Stage::Tls, _) => advice(
            format!("{host}:{port} did not answer in time when TLS was begun"),
            format!("if the port speaks no TLS, try {}, {more}", other_scheme(&plan.client.url)),
        ),
        (Stage::Answer, _) => advice(
            format!("{host}:{port} takes connections and does not answer the request in time"),
            format!("is it a WebSocket server, and does it want wss? Look at its log, {more}"),
        ),
        _ => advice(
            format!("{host}:{port} does not answer"),
            format!("a firewall may drop what is sent there: check the host and the port, {more}"),
        ),
    }
}

fn on_tls(error: &Error, plan: &Doctor, report: &Report, host: &str) -> Advice {
    if error.kind() == ErrorKind::CertificateRejected {
        return advice(
            "the public key of the server is not one of those pinned",
            "if the server has a new key, give that to --pin; if not, somebody may sit in between",
        );
    }
    let (mut problems, mut advices) = (Vec::new(), Vec::new());
    for fault in error.certificate_errors() {
        let said = on_certificate(*fault, report, host);
        problems.push(said.problem);
        advices.push(said.advice);
    }
    if !problems.is_empty() {
        return advice(problems.join(", and "), advices.join(", and "));
    }
    let text = error.to_string();
    // The library tells these apart in words alone.
    if text.contains("use ws") {
        advice("the port does not speak TLS", format!("try {}", other_scheme(&plan.client.url)))
    } else if text.contains("requires a certificate of the client") {
        advice("the server wants a certificate of the client", "give one by --cert FILE and --key FILE")
    } else {
        advice(text, LOG)
    }
}

fn on_certificate(fault: CertificateError, report: &Report, host: &str) -> Advice {
    let certificate = report.certificate.as_ref();
    match fault {
        CertificateError::Expired => {
            let leaf = certificate.filter(|certificate| certificate.days_left < 0);
            match leaf {
                Some(leaf) => advice(
                    format!("the certificate expired on {}", leaf.not_after),
                    "renew it on the server, or check the clock of this machine",
                ),
                None => advice(
                    "a certificate has expired or is not valid yet",
                    "replace it on the server, or check the clock of this machine",
                ),
            }
        }
        CertificateError::InvalidName => {
            match certificate.filter(|certificate| !certificate.names.is_empty()) {
                Some(leaf) => advice(
                    format!("the certificate is not for {host} but for {}", leaf.names()),
                    "connect by a name that it is for",
                ),
                None => advice(format!("the certificate is not for {host}"), "renew it with that name in it"),
            }
        }
        CertificateError::Untrusted => advice(
            "the certificate is self-signed or its authority is not trusted here",
            "if the server is the right one, give its authority by --ca FILE",
        ),
        CertificateError::IncompleteChain => advice(
            "the issuer of the certificate is not known here",
            "have the server send its whole chain, or give its authority by --ca FILE",
        ),
        other => {
            advice(format!("the certificate of the server is not good ({other})"), "replace it on the server")
        }
    }
}

fn on_refusal(refusal: &Refusal, plan: &Doctor) -> Advice {
    let status = refusal.status;
    let path = plan.client.url.parse::<Uri>().map_or_else(|_| "/".to_owned(), |uri| uri.path().to_owned());
    let problem = format!("the server answered {status}");
    match status {
        StatusCode::UNAUTHORIZED if plan.client.user.is_some() => advice(
            problem,
            "it did not accept --user: check the name, the password and the scheme it asks for",
        ),
        StatusCode::UNAUTHORIZED => advice(
            problem,
            "it wants to know who you are: try --user NAME:PASSWORD, or -H 'Authorization: …'",
        ),
        StatusCode::FORBIDDEN => advice(
            problem,
            "it does not let you in: it may want --user, an Origin (-H 'Origin: …') or another path",
        ),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            advice(format!("{problem}: there is nothing at {path}"), "check the path of the URL")
        }
        StatusCode::UPGRADE_REQUIRED => advice(
            problem,
            "something in between may have dropped the header Upgrade, or the server wants another protocol",
        ),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            advice(problem, "it is too busy: try again later")
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            advice(problem, "it is a gateway: is the server behind it running?")
        }
        _ if status.is_redirection() => on_redirect(refusal, plan, problem),
        _ if status.is_server_error() => advice(problem, LOG),
        _ if status.is_success() => advice(
            format!("{problem}, as to a browser"),
            "check the path, and that what is in between passes the header Upgrade on",
        ),
        _ => advice(problem, "what it sent along may say why; check the path and what the server expects"),
    }
}

fn on_redirect(refusal: &Refusal, plan: &Doctor, problem: String) -> Advice {
    let location = refusal.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else {
        return advice(problem, "it does not say where to; check the path of the URL");
    };
    let location = without_query(location);
    let target = match location.strip_prefix("http") {
        Some(rest) if rest.starts_with(':') || rest.starts_with("s:") => format!("ws{rest}"),
        _ => location,
    };
    match plan.client.redirects {
        0 => advice(format!("{problem} to {target}"), "connect there, or follow it by --redirects 1"),
        n => advice(
            format!("{problem} to {target} after up to {n} redirects"),
            "connect there, or look for a loop",
        ),
    }
}

/// The same place by the other scheme: the port stays what it is, and the query untold.
fn other_scheme(url: &str) -> String {
    let (host, port) = place(url);
    let uri = url.parse::<Uri>().ok();
    let (path, has_query) = uri.as_ref().map_or(("/", false), |uri| (uri.path(), uri.query().is_some()));
    let is_secure = url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:"));
    let scheme = if is_secure { "ws" } else { "wss" };
    format!("{scheme}://{host}:{port}{path}{}", if has_query { "?…" } else { "" })
}
