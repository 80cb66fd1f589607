//! What can be watched while a connection is made.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::information::TlsInformation;

/// A step on the way to an open connection, as told to the function given to
/// [`on_connecting`](crate::MessageWebSocketControl::on_connecting).
///
/// A step that fails ends the connecting, and its error tells of it; only addresses are tried beside each other, so that
/// each tells of its failure here.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Connecting<'a> {
    /// The way leads through a proxy. Neither text has a password in it.
    #[non_exhaustive]
    ProxyChosen {
        /// The proxy, as a URI.
        proxy: &'a str,
        /// What named it: a setting, a variable of the environment, the system.
        because_of: &'a str,
    },
    /// The addresses of a host, or of the proxy, in the order in which they will be tried.
    #[non_exhaustive]
    Resolved {
        /// The host.
        host: &'a str,
        /// Its addresses, five at most.
        addresses: &'a [SocketAddr],
        /// What the look-up took.
        took: Duration,
    },
    /// An address answered, or failed to. Those that were still waiting when another answered are given up silently.
    #[non_exhaustive]
    AddressTried {
        /// The address.
        address: SocketAddr,
        /// Why there is no connection to it; `None` if there is one.
        error: Option<&'a io::Error>,
        /// What it took.
        took: Duration,
    },
    /// The proxy opened a tunnel.
    #[non_exhaustive]
    Tunnelled {
        /// The proxy, as a URI.
        proxy: &'a str,
        /// What its answer took.
        took: Duration,
    },
    /// TLS with the server is agreed.
    #[non_exhaustive]
    TlsEstablished {
        /// What was agreed.
        information: &'a TlsInformation,
        /// What it took.
        took: Duration,
    },
    /// The way to the server is there, and it is about to be asked for a WebSocket.
    #[non_exhaustive]
    Asking {
        /// For which: another than that asked for where redirects were followed. It may have secrets in its query.
        uri: &'a str,
    },
    /// The server answered the opening handshake.
    #[non_exhaustive]
    Answered {
        /// 101, unless it refused.
        status: StatusCode,
        /// All headers, as they came.
        headers: &'a HeaderMap,
        /// What it took.
        took: Duration,
    },
}

/// Whoever watches.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Tell>>);

type Tell = dyn Fn(&Connecting<'_>) + Send + Sync;

impl Observer {
    pub(crate) fn new(tell: impl Fn(&Connecting<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, step: &Connecting<'_>) {
        crate::observe::step(step);
        if let Some(tell) = &self.0 {
            tell(step);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
