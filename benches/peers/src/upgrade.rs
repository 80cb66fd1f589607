//! Opening handshakes by hyper, for the libraries whose documentation takes them from there.

use crate::Transport;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::ready;
use std::io;

/// Serves requests of `stream`, which `upgrade` responds to; it spawns what follows the handshake.
pub async fn serve<S: Transport>(
    stream: S,
    upgrade: impl Fn(&mut Request<Incoming>) -> Option<Response<Empty<Bytes>>>,
) {
    let service = service_fn(|mut request| {
        ready(upgrade(&mut request).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData)))
    });
    // How a connection ends is of no interest.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}
