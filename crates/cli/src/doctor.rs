//! `wsduo doctor`: one connection, stage by stage, and what is wrong with it.

mod advice;
mod certificate;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use wsduo::http::Uri;
use wsduo::{CloseCode, ErrorKind, MessageSender, MessageWebSocketInformation, Transport};

use crate::exit::{self, Failure};
use crate::ping;
use crate::plan::Doctor;
use crate::signals::Signals;
use report::{Report, Stage, ms};

/// How long a pong may take, unless the command line bounds the stages.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Fewer days than that until a certificate expires are worth a word.
const FEW_DAYS: i64 = 15;

pub(crate) fn run(plan: &Doctor) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Io("cannot start", error))?;
    let result = runtime.block_on(examine(plan));
    // A look-up may be under way, and would be waited for.
    runtime.shutdown_background();
    result
}

async fn examine(plan: &Doctor) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let report = Shared(Arc::new(Mutex::new(begun(plan))));
    let result = tokio::select! {
        result = go_through(plan, &report) => result,
        signal = signals.next() => return Err(Failure::Signal(signal)),
    };
    let mut report = report.lock();
    match &result {
        Ok(()) => {
            let advice = well(plan, &report);
            report.verdict(None, &advice, 0);
        }
        Err(failure) => {
            report.failed(failure);
            let advice::Advice { problem, advice } = advice::on(failure, plan, &report);
            report.verdict(Some(&problem), &advice, failure.code());
        }
    }
    match report.broken.take() {
        Some(error) => Err(error.into()),
        None => result.map_err(|failure| Failure::Reported(Box::new(failure))),
    }
}

/// The report, which the steps of connecting write to as well.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Report>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begun(plan: &Doctor) -> Report {
    let mut offers = "permessage-deflate".to_owned();
    if !plan.subprotocols.is_empty() {
        offers += &format!(", the subprotocols {}", plan.subprotocols.join(", "));
    }
    let is_secure = plan.client.url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:"));
    #[cfg(unix)]
    let stage = if plan.client.unix_socket.is_some() { Stage::Connect } else { Stage::Resolve };
    #[cfg(not(unix))]
    let stage = Stage::Resolve;
    Report {
        json: plan.json,
        stage,
        since: Instant::now(),
        no_proxy: Some(why_no_proxy(plan, is_secure)),
        proxy: None,
        is_secure,
        offers,
        last_refusal: None,
        certificate: None,
        broken: None,
    }
}

/// Why there is no proxy, should there be none.
fn why_no_proxy(plan: &Doctor, is_secure: bool) -> String {
    #[cfg(unix)]
    if plan.client.unix_socket.is_some() {
        return "--unix-socket".to_owned();
    }
    if plan.client.proxy.is_some() {
        return "--proxy none".to_owned();
    }
    let is_set = |name: &str| {
        [name.to_owned(), name.to_lowercase()]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()))
    };
    let own = if is_secure { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    if std::env::var_os("REQUEST_METHOD").is_some() {
        "REQUEST_METHOD is set, so this is a CGI program and the environment is not asked".to_owned()
    } else if is_set(own) || is_set("ALL_PROXY") {
        "NO_PROXY excepts the host".to_owned()
    } else {
        format!("neither {own} nor ALL_PROXY is set")
    }
}

async fn go_through(plan: &Doctor, report: &Shared) -> Result<(), Failure> {
    let watching = report.clone();
    let control = plan.control.clone().on_connecting(move |step| watching.lock().step(step));
    let socket = control.connect(&plan.client.url).await.map_err(Failure::Connecting)?;
    tell_agreed(&socket.information(), plan, &mut report.lock());
    let (receiver, sender) = socket.split();
    report.lock().enter(Stage::Ping);
    // What the peer sends meanwhile is dropped; should it close, that is told.
    tokio::select! {
        pinged = try_ping(&sender, plan, report) => pinged?,
        ended = ping::drop_messages(receiver) => ended?,
    }
    report.lock().enter(Stage::Close);
    let closed = sender.close(CloseCode::NORMAL, "").await.map_err(Failure::Open)?;
    let event = json!({ "event": "close", "code": closed.code.number(), "clean": closed.clean });
    report.lock().line(&event, "close", &closed.to_string());
    exit::judge(closed).map(drop)
}

async fn try_ping(sender: &MessageSender<Transport>, plan: &Doctor, report: &Shared) -> Result<(), Failure> {
    let limit = plan.client.connect_timeout.or(plan.client.timeout).unwrap_or(PING_TIMEOUT);
    match tokio::time::timeout(limit, sender.ping()).await {
        Ok(Ok(time)) => {
            let event = json!({ "event": "ping", "ms": time.as_secs_f64() * 1e3 });
            report.lock().line(&event, "ping", &ms(time));
            Ok(())
        }
        Ok(Err(error)) if error.kind() != ErrorKind::TimedOut => Err(Failure::Open(error)),
        _ => Err(Failure::NoPong),
    }
}

/// What the server took of what was offered.
fn tell_agreed(information: &MessageWebSocketInformation, plan: &Doctor, report: &mut Report) {
    let agreement = information.compression().map(|compression| compression.agreement);
    let event = json!({ "event": "extensions", "compression": agreement.map(|agreement| json!({
        "send_window_bits": agreement.send_window_bits,
        "receive_window_bits": agreement.receive_window_bits,
        "send_context_takeover": agreement.send_context_takeover,
        "receive_context_takeover": agreement.receive_context_takeover,
    })) });
    let text = match agreement {
        None => "none; permessage-deflate was offered".to_owned(),
        Some(agreement) => {
            let takeover = match (agreement.send_context_takeover, agreement.receive_context_takeover) {
                (true, true) => "takeover both ways",
                (true, false) => "takeover for what we send",
                (false, true) => "takeover for what we receive",
                (false, false) => "no takeover",
            };
            let (send, receive) = (agreement.send_window_bits, agreement.receive_window_bits);
            format!("permessage-deflate (windows {send}/{receive}, {takeover})")
        }
    };
    report.line(&event, "extensions", &text);
    let chosen = information.subprotocol();
    if chosen.is_some() || !plan.subprotocols.is_empty() {
        let event = json!({ "event": "subprotocol", "subprotocol": chosen });
        report.line(&event, "subprotocol", chosen.unwrap_or("none of those offered"));
    }
}

/// What to say of a connection that is well.
fn well(plan: &Doctor, report: &Report) -> String {
    let certificate = report.certificate.as_ref();
    match certificate {
        Some(_) if plan.client.insecure => {
            "all is well, but the certificate was not checked; try without --insecure".to_owned()
        }
        Some(certificate) if certificate.days_left < FEW_DAYS => {
            format!(
                "all is well, but the certificate expires on {}; renew it on the server",
                certificate.not_after
            )
        }
        _ => "all is well".to_owned(),
    }
}

/// The host of a URL, and its port, as far as they can be told.
fn place(url: &str) -> (String, u16) {
    let uri: Option<Uri> = url.parse().ok();
    let is_secure = url.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:"));
    let port = uri.as_ref().and_then(Uri::port_u16).unwrap_or(if is_secure { 443 } else { 80 });
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("the host");
    (host.to_owned(), port)
}
