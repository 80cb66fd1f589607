//! A way to the server through a proxy: CONNECT here (RFC 9110 §9.3.6), SOCKS in [`socks`].

use std::net::IpAddr;

use http::{HeaderMap, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{Fault, HandshakeError, Refusal, TunnelHandshake};

use super::patience::Patience;
use super::transport::{Reached, Transport};
use super::{dial, handshake, socks};
use crate::connecting::Connecting;
use crate::control::Settings;
use crate::error::{Cause, Error, ErrorKind};
use crate::proxy::{ProxyServer, Scheme};

/// Reaches the server of `uri` through a proxy.
///
/// # Errors
/// All of them name the proxy. Their kind is [`ErrorKind::Proxy`], unless time ran out.
pub(crate) async fn through(
    proxy: &ProxyServer,
    uri: &WebSocketUri,
    settings: &Settings,
    patience: Patience,
) -> Result<Reached, Error> {
    match proxy.scheme {
        Scheme::Http | Scheme::Https => by_connect(proxy, uri, settings, patience).await,
        _ => by_socks(proxy, uri, settings, patience).await,
    }
}

async fn by_connect(
    proxy: &ProxyServer,
    uri: &WebSocketUri,
    settings: &Settings,
    patience: Patience,
) -> Result<Reached, Error> {
    let mut headers = HeaderMap::new();
    loop {
        let mut reached = to_proxy(proxy, settings, patience).await?;
        let begun = Instant::now();
        let asking = ask(&mut reached.transport, proxy, uri, &headers, settings);
        let mut refusal = match patience.within(&format!("the answer of the proxy {proxy}"), asking).await? {
            Answer::Open => {
                tell_tunnelled(proxy, settings, begun);
                return Ok(reached);
            }
            Answer::Refused(refusal) => refusal,
        };
        let is_question = refusal.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && headers.is_empty();
        let Some(credential) = proxy.credential.as_ref().filter(|_| is_question) else {
            // The status is told in any case, and as much of the body as there is time for.
            handshake::refusal_body(&mut refusal, &mut reached.transport, patience.deadline()).await;
            return Err(no_tunnel(proxy, uri, HandshakeError::Refused(refusal)));
        };
        // On a new connection: many proxies end the old one, and what is left of its body need not be waited for.
        let target = TunnelHandshake::target(uri);
        match credential.answer(&refusal.headers, &header::PROXY_AUTHENTICATE, "CONNECT", &target) {
            Ok(answer) => headers.insert(header::PROXY_AUTHORIZATION, answer),
            Err(error) => {
                let why = format!("cannot log in at the proxy {proxy}: {error}");
                return Err(Error::new(ErrorKind::Proxy, Cause::Refused { refusal, why, failure: None }));
            }
        };
    }
}

enum Answer {
    Open,
    Refused(Box<Refusal>),
}

async fn ask(
    transport: &mut Transport,
    proxy: &ProxyServer,
    uri: &WebSocketUri,
    headers: &HeaderMap,
    settings: &Settings,
) -> Result<Answer, Error> {
    let lost = |error| {
        Error::source(ErrorKind::Proxy, format!("the connection to the proxy {proxy} was lost"), error)
    };
    let (mut handshake, request) = TunnelHandshake::new(uri, headers, settings.head_limits)
        .map_err(|error| no_tunnel(proxy, uri, error))?;
    transport.write_all(&request).await.map_err(lost)?;
    transport.flush().await.map_err(lost)?;
    loop {
        // What follows the answer came through the tunnel, and is left there for whoever reads next.
        let mut byte = [0];
        if transport.read(&mut byte).await.map_err(lost)? == 0 {
            let text = format!("the proxy {proxy} ended the connection before it had answered");
            return Err(Error::ended(ErrorKind::Proxy, text));
        }
        match handshake.receive(&byte) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Answer::Open),
            Err(HandshakeError::Refused(refusal)) => return Ok(Answer::Refused(refusal)),
            Err(error) => return Err(no_tunnel(proxy, uri, error)),
        }
    }
}

async fn by_socks(
    proxy: &ProxyServer,
    uri: &WebSocketUri,
    settings: &Settings,
    patience: Patience,
) -> Result<Reached, Error> {
    let target = socks_target(proxy, uri, settings, patience).await?;
    let mut reached = to_proxy(proxy, settings, patience).await?;
    let begun = Instant::now();
    let asking = async {
        let transport = &mut reached.transport;
        let credential = proxy.credential.as_ref();
        let asked = match proxy.scheme {
            Scheme::Socks4 | Scheme::Socks4a => socks::v4(transport, &target, uri.port(), credential).await,
            _ => socks::v5(transport, &target, uri.port(), credential).await,
        };
        asked.map_err(|error| Error::source(ErrorKind::Proxy, no_tunnel_text(proxy, uri), error))
    };
    patience.within(&format!("the answer of the proxy {proxy}"), asking).await?;
    tell_tunnelled(proxy, settings, begun);
    Ok(reached)
}

/// What a SOCKS proxy is asked for: a name where it is to find the address, else an address.
async fn socks_target(
    proxy: &ProxyServer,
    uri: &WebSocketUri,
    settings: &Settings,
    patience: Patience,
) -> Result<socks::Target, Error> {
    let is_4 = matches!(proxy.scheme, Scheme::Socks4 | Scheme::Socks4a);
    let address = match (uri.host().parse(), proxy.scheme) {
        (Ok(address), _) => Some(address),
        (Err(_), Scheme::Socks4a | Scheme::Socks5h) => {
            return Ok(socks::Target::Name(uri.host().to_owned()));
        }
        (Err(_), _) => {
            let found = dial::look_up(uri.host(), uri.port(), &settings.dialling, patience).await?;
            found.iter().map(std::net::SocketAddr::ip).find(|address| !is_4 || address.is_ipv4())
        }
    };
    match address {
        Some(IpAddr::V6(_)) | None if is_4 => {
            let text = format!(
                "{}: SOCKS 4 knows only IPv4 addresses, and the host has none; use SOCKS 5",
                no_tunnel_text(proxy, uri)
            );
            Err(Error::text(ErrorKind::Proxy, text))
        }
        Some(address) => Ok(socks::Target::Address(address)),
        None => Ok(socks::Target::Name(uri.host().to_owned())),
    }
}

/// A connection to the proxy.
async fn to_proxy(proxy: &ProxyServer, settings: &Settings, patience: Patience) -> Result<Reached, Error> {
    let reaching = async {
        let reached = dial::dial(&proxy.host, proxy.port, settings, patience).await?;
        if proxy.scheme != Scheme::Https {
            return Ok(reached);
        }
        let tls = settings.tls.for_others();
        let securing = tls.connect(reached.transport, &proxy.host);
        let transport = patience.within("TLS", securing).await?;
        Ok(Reached { transport, ..reached })
    };
    reaching.await.map_err(|error: Error| {
        let kind = match error.kind() {
            ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Proxy,
        };
        Error::source(kind, format!("cannot use the proxy {proxy}"), error)
    })
}

fn tell_tunnelled(proxy: &ProxyServer, settings: &Settings, begun: Instant) {
    let step = Connecting::Tunnelled { proxy: &proxy.to_string(), took: begun.elapsed() };
    settings.dialling.observer.tell(&step);
}

fn no_tunnel(proxy: &ProxyServer, uri: &WebSocketUri, error: HandshakeError) -> Error {
    match error.fault() {
        Fault::Local => handshake::handshake_error(error),
        Fault::Peer => Error::new(ErrorKind::Proxy, Cause::Tunnel(no_tunnel_text(proxy, uri), error)),
    }
}

fn no_tunnel_text(proxy: &ProxyServer, uri: &WebSocketUri) -> String {
    format!("no tunnel to {} through the proxy {proxy}", TunnelHandshake::target(uri))
}
