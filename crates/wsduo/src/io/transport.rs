//! What a socket made by this crate runs on: TCP or a transport of the caller's, with or without TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::control::Settings;
use crate::dialling::{BoxedStream, ReadWrite};

/// The transport of sockets that [`connect`](crate::MessageWebSocket::connect) and [`Listener`](crate::Listener) make.
#[derive(Debug)]
pub struct Transport {
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    /// In one box, so that no word is needed to tell it from TCP.
    Boxed(Box<Boxed>),
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is boxed as a whole, and most are TLS")]
enum Boxed {
    Other(Other),
    #[cfg(feature = "__tls")]
    Tls(Tls),
}

/// TLS on another transport, and what is known of it beside what the session knows.
#[cfg(feature = "__tls")]
#[derive(Debug)]
pub(crate) struct Tls {
    stream: tokio_rustls::TlsStream<Transport>,
    /// What is wrong with the server's certificate and was ignored.
    pub(crate) certificate_errors: Vec<crate::CertificateError>,
    /// The name that a client asked for. A server finds it in the session.
    asked_for: Option<Box<str>>,
}

#[cfg(feature = "__tls")]
impl Tls {
    pub(crate) fn session(&self) -> &rustls::CommonState {
        self.stream.get_ref().1
    }

    pub(crate) fn server_name(&self) -> Option<String> {
        match &self.stream {
            tokio_rustls::TlsStream::Client(_) => self.asked_for.as_deref().map(Into::into),
            tokio_rustls::TlsStream::Server(stream) => stream.get_ref().1.server_name().map(Into::into),
        }
    }
}

/// A stream of unknown type.
struct Other {
    /// Never locked: the mutex lets a transport be shared where its stream could not be.
    stream: Mutex<Box<dyn ReadWrite>>,
    is_write_vectored: bool,
}

/// A transport on which nothing was said yet, and what is known of its ends.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) transport: Transport,
    pub(crate) local_address: Option<SocketAddr>,
    pub(crate) remote_address: Option<SocketAddr>,
}

impl Reached {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        let (local_address, remote_address) = (stream.local_addr().ok(), stream.peer_addr().ok());
        Self { transport: Transport::tcp(stream), local_address, remote_address }
    }

    pub(crate) fn other(stream: BoxedStream) -> Self {
        Self { transport: Transport::other(stream), local_address: None, remote_address: None }
    }
}

impl Transport {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self { stream: Stream::Tcp(stream) }
    }

    pub(crate) fn other(stream: BoxedStream) -> Self {
        let is_write_vectored = stream.inner.is_write_vectored();
        let other = Other { stream: Mutex::new(stream.inner), is_write_vectored };
        Self { stream: Stream::Boxed(Box::new(Boxed::Other(other))) }
    }

    #[cfg(feature = "__tls")]
    pub(crate) fn tls(
        stream: impl Into<tokio_rustls::TlsStream<Transport>>,
        certificate_errors: Vec<crate::CertificateError>,
        asked_for: Option<Box<str>>,
    ) -> Self {
        let tls = Tls { stream: stream.into(), certificate_errors, asked_for };
        Self { stream: Stream::Boxed(Box::new(Boxed::Tls(tls))) }
    }

    /// Sets what the settings say of an accepted connection, where it is TCP. A socket that refuses is about to report why.
    pub(crate) fn tune(&self, settings: &Settings) {
        match &self.stream {
            Stream::Tcp(tcp) => {
                if let Some(no_delay) = settings.no_delay {
                    let _ = tcp.set_nodelay(no_delay);
                }
                if let Some(size) = settings.dialling.socket.send_buffer_size {
                    let _ = SockRef::from(tcp).set_send_buffer_size(size as usize);
                }
            }
            Stream::Boxed(boxed) => match &**boxed {
                Boxed::Other(_) => {}
                #[cfg(feature = "__tls")]
                Boxed::Tls(tls) => tls.stream.get_ref().0.tune(settings),
            },
        }
    }

    #[cfg(feature = "__tls")]
    pub(crate) fn tls_parts(&self) -> Option<&Tls> {
        let Stream::Boxed(boxed) = &self.stream else { return None };
        match &**boxed {
            Boxed::Other(_) => None,
            Boxed::Tls(tls) => Some(tls),
        }
    }
}

impl Other {
    fn get(&mut self) -> Pin<&mut dyn ReadWrite> {
        Pin::new(&mut **self.stream.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Other").finish_non_exhaustive()
    }
}

/// Calls the same method on whichever stream there is.
macro_rules! delegate {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match &mut $self.get_mut().stream {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Boxed(boxed) => match &mut **boxed {
                Boxed::Other(other) => other.get().$method($($argument),*),
                #[cfg(feature = "__tls")]
                Boxed::Tls(tls) => Pin::new(&mut tls.stream).$method($($argument),*),
            },
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Boxed(boxed) => match &**boxed {
                Boxed::Other(other) => other.is_write_vectored,
                #[cfg(feature = "__tls")]
                Boxed::Tls(tls) => tls.stream.is_write_vectored(),
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Listener, MessageWebSocketControl};

    #[tokio::test]
    async fn an_accepted_connection_has_the_settings_of_its_control() {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("ws://{}/", listener.local_address().unwrap());
        let client = tokio::spawn(async move { crate::MessageWebSocket::connect(&uri).await });
        let request = listener.accept().await.request().await.unwrap();
        let control = MessageWebSocketControl::new().no_delay(false).send_buffer_size(50_000);
        let socket = request.accept_message(&control).await.unwrap();
        let _client = client.await.unwrap().unwrap();
        let Stream::Tcp(tcp) = &socket.inner.driver.transport().stream else { panic!("not TCP") };
        assert!(!tcp.nodelay().unwrap());
        // Linux doubles it.
        assert!((50_000..=100_000).contains(&SockRef::from(tcp).send_buffer_size().unwrap()));
    }
}
