//! What the original takes from Windows: here it is told.

use wsduo::{ClientTls, MessageWebSocketControl, Proxy};

/// What the original takes from Windows and offers no property for: whom to trust, which proxy, how long to
/// wait.
///
/// [`MessageWebSocket::new`](crate::MessageWebSocket::new) takes the defaults of `wsduo`, which are the trust
/// store and the proxy of the system, and the times of the original. The properties of a socket come on top
/// of what is set here.
///
/// # Examples
/// ```no_run
/// use std::time::Duration;
/// use wsduo_winrt::{MessageWebSocket, Platform};
///
/// # fn example() -> Result<(), wsduo::Error> {
/// let tls = wsduo::ClientTls::new().add_roots(std::fs::read("company.pem").unwrap_or_default())?;
/// let control = wsduo::MessageWebSocketControl::new().connect_timeout(Duration::from_secs(5));
/// let platform = Platform::new().tls(tls).control(control).proxy(wsduo::Proxy::none());
/// let socket = MessageWebSocket::with_platform(&platform);
/// # let _ = socket;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Platform {
    pub(crate) control: MessageWebSocketControl,
    pub(crate) tls: ClientTls,
    pub(crate) proxy: Option<Proxy>,
}

impl Platform {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// All settings of `wsduo`, of stream sockets too. What the properties of a socket say comes on top of
    /// it, and so do the other settings of the platform. Default: the defaults.
    ///
    /// Its largest message is the limit where
    /// [`max_message_size`](crate::MessageWebSocketControl::max_message_size) is the default of the original,
    /// which is none.
    #[must_use]
    pub fn control(self, control: MessageWebSocketControl) -> Self {
        Self { control, ..self }
    }

    /// How servers are checked: own authorities, pins. Default: against the trust store of the system.
    #[must_use]
    pub fn tls(self, tls: ClientTls) -> Self {
        Self { tls, ..self }
    }

    /// The proxy. Default: that of the environment, then that of the system.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        Self { proxy: Some(proxy), ..self }
    }
}
