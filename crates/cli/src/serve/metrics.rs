//! Figures of the server for Prometheus: `GET /metrics` on an address of its own, and nothing else.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::exit::Failure;
use crate::terminal;

/// Most scrapers at once; more wait.
const CLIENTS: usize = 8;

/// How long a scraper may take for its request and the answer together.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often samples are put into their buckets, which they would otherwise wait for in memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long accepting rests after the system had nothing to spare.
const BACK_OFF: Duration = Duration::from_millis(50);

const SECONDS: &[f64] = &[0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
const DURATIONS: &[f64] = &[0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];
const BYTES: &[f64] = &[0.0, 1024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 16_777_216.0];

/// The figures, on their way to whoever asks.
#[derive(Debug)]
pub(super) struct Metrics {
    listener: TcpListener,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Begins to count, and to listen.
    pub(super) async fn listen(address: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::System(format!("cannot listen on {address} for --metrics"), error))?;
        let handle = install()?;
        wsduo::describe_metrics();
        Ok(Self { listener, handle })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers, for ever.
    pub(super) async fn serve(self) {
        let clients = Arc::new(Semaphore::new(CLIENTS));
        let loopback = self.address().is_ok_and(|address| address.ip().is_loopback());
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            let accepted = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&clients).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            tokio::select! {
                _ = upkeep.tick() => self.handle.run_upkeep(),
                (permit, accepted) = accepted => match accepted {
                    Ok((tcp, _)) => {
                        let handle = self.handle.clone();
                        tokio::spawn(async move {
                            // How it goes is the scraper's affair.
                            let _ = tokio::time::timeout(TIMEOUT, answer_one(tcp, &handle, loopback)).await;
                            drop(permit);
                        });
                    }
                    Err(_) => tokio::time::sleep(BACK_OFF).await,
                },
            }
        }
    }
}

fn install() -> Result<PrometheusHandle, Failure> {
    let buckets = |builder: PrometheusBuilder, suffix: &str, values: &[f64]| {
        builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), values)
    };
    let builder = PrometheusBuilder::new();
    buckets(builder, "_seconds", SECONDS)
        .and_then(|builder| buckets(builder, "_duration_seconds", DURATIONS))
        .and_then(|builder| buckets(builder, "_bytes", BYTES))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Failure::Io("cannot count", std::io::Error::other(error)))
}

/// One request and its answer.
async fn answer_one(tcp: TcpStream, handle: &PrometheusHandle, loopback: bool) -> Result<(), hyper::Error> {
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request, handle, loopback)));
    hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(tcp), service)
        .await
}

fn answer(request: &Request<Incoming>, handle: &PrometheusHandle, loopback: bool) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (status, body) = if loopback && !is_loopback_name(host) {
        // A page of a name that someone pointed at this machine (DNS rebinding).
        (StatusCode::FORBIDDEN, "this is for this machine alone\n".into())
    } else if request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, "there is only /metrics\n".into())
    } else if request.method() != Method::GET {
        (StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".into())
    } else {
        (StatusCode::OK, Bytes::from(handle.render()))
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let content_type = match status {
        StatusCode::OK => "text/plain; version=0.0.4; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

/// Whether a `Host` header names this machine to itself.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Tells on standard error what happens to connections, from now on; in any case, that none can be accepted.
pub(super) fn log(verbosity: u8) {
    use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // Otherwise nobody looks at what connections tell, and so they do not.
    let chosen = filter_fn(move |metadata| verbosity > 0 || metadata.name() == "accept_failed")
        .with_max_level_hint(level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // There is but one.
        .with_target(false)
        .with_ansi(terminal::colours_on_stderr());
    let chosen = Targets::new().with_target("wsduo", level).and(chosen);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(chosen));
    // Nobody else has set one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_names() {
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "127.1.2.3", "[::1]:9", "[::ffff:127.0.0.1]"]
        {
            assert!(is_loopback_name(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org:80", "localhost.evil", "10.0.0.1", "[::2]"] {
            assert!(!is_loopback_name(host), "{host}");
        }
    }
}
