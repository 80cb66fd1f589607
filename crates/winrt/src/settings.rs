//! What the properties of a control hold, and what becomes of it when a socket connects.

use std::time::Duration;

use wsduo::http::{HeaderName, HeaderValue};
use wsduo::{CertificateError, ClientTls, MessageWebSocketControl, Proxy};

use crate::certificate::Certificate;
use crate::enums::{ChainValidationResult, MessageWebSocketReceiveMode, SocketMessageType};
use crate::error::Error;
use crate::names::PasswordCredential;
use crate::platform::Platform;

/// No limit, as the original writes it.
pub(crate) const INFINITE: u32 = u32::MAX;

/// The shortest interval of unsolicited pongs; `wsduo` knows it too.
const LEAST_PONG_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) message_type: SocketMessageType,
    pub(crate) max_message_size: u32,
    pub(crate) receive_mode: MessageWebSocketReceiveMode,
    pub(crate) no_delay: bool,
    pub(crate) outbound_buffer_size: Option<u32>,
    pub(crate) server_credential: Option<PasswordCredential>,
    pub(crate) proxy_credential: Option<PasswordCredential>,
    pub(crate) protocols: Vec<String>,
    pub(crate) ignorable: Vec<ChainValidationResult>,
    pub(crate) pong_interval: Option<Duration>,
    pub(crate) client_certificate: Option<Certificate>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            message_type: SocketMessageType::Binary,
            max_message_size: INFINITE,
            receive_mode: MessageWebSocketReceiveMode::FullMessage,
            no_delay: true,
            outbound_buffer_size: None,
            server_credential: None,
            proxy_credential: None,
            protocols: Vec::new(),
            ignorable: Vec::new(),
            pong_interval: None,
            client_certificate: None,
            headers: Vec::new(),
        }
    }
}

impl Settings {
    /// The interval that is applied.
    pub(crate) fn actual_pong_interval(&self) -> Option<Duration> {
        let interval = self.pong_interval.filter(|interval| !interval.is_zero());
        interval.map(|interval| interval.max(LEAST_PONG_INTERVAL))
    }

    /// The largest message; `None` where nothing was set.
    pub(crate) fn limit(&self) -> Option<usize> {
        (self.max_message_size != INFINITE).then_some(self.max_message_size as usize)
    }

    /// What clients and servers have in common.
    pub(crate) fn common(&self, platform: &Platform) -> MessageWebSocketControl {
        let mut control = platform.control.clone();
        if let Some(limit) = self.limit() {
            control = control.max_message_size(limit);
        }
        if let Some(size) = self.outbound_buffer_size {
            control = control.send_buffer_size(size);
        }
        if !self.no_delay {
            control = control.no_delay(false);
        }
        control
    }

    /// What a client connects with, but for [TLS](Self::tls).
    pub(crate) fn client(&self, platform: &Platform) -> MessageWebSocketControl {
        let mut control = self.common(platform);
        if !self.protocols.is_empty() {
            control = control.subprotocols(&self.protocols);
        }
        for (name, value) in &self.headers {
            control = control.header(name, value);
        }
        if let Some(credential) = &self.server_credential {
            control = control.credential(credential.credential());
        }
        if let Some(credential) = &self.proxy_credential {
            let proxy = platform.proxy.clone().unwrap_or_else(Proxy::from_environment);
            control = control.proxy(proxy.credential(credential.credential()));
        } else if let Some(proxy) = &platform.proxy {
            control = control.proxy(proxy.clone());
        }
        if let Some(interval) = self.actual_pong_interval() {
            control = control.unsolicited_pong_interval(interval);
        }
        control
    }

    /// How a client checks the server, but for its handlers.
    pub(crate) fn tls(&self, platform: &Platform) -> ClientTls {
        let mut tls = platform.tls.clone();
        let ignored: Vec<CertificateError> =
            self.ignorable.iter().filter_map(|error| error.certificate_error()).collect();
        if !ignored.is_empty() {
            tls = tls.ignore(ignored);
        }
        if let Some(identity) = self.client_certificate.as_ref().and_then(Certificate::identity) {
            tls = tls.identity(identity.clone());
        }
        tls
    }

    /// Sets a header of the request, in place of one of that name.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for what is no header, or one that is not the caller's to set.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::new(Error::INVALID_ARGUMENT, text));
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return invalid("a header name has characters that a header name cannot have".into());
        };
        let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return invalid(format!("the value of the header {name} has bytes that a header cannot have"));
        };
        match name.as_str() {
            "sec-websocket-protocol" => {
                return invalid("subprotocols are offered by the control's supported_protocols".into());
            }
            "host" | "upgrade" | "connection" | "content-length" | "transfer-encoding" => {
                return invalid(format!("the header {name} belongs to the opening handshake"));
            }
            "proxy-authorization" => {
                return invalid("the proxy is answered by the control's proxy_credential".into());
            }
            other if other.starts_with("sec-websocket-") => {
                return invalid(format!("the header {name} belongs to the opening handshake"));
            }
            _ => {}
        }
        // Where the settings are printed, these are not.
        value.set_sensitive(matches!(name.as_str(), "authorization" | "cookie"));
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `wsduo` makes of them on a connection is tested there.
    #[test]
    fn options_of_the_transport_reach_the_control_of_clients_and_servers() {
        let settings =
            Settings { no_delay: false, outbound_buffer_size: Some(50_000), ..Settings::default() };
        let platform = Platform::new().proxy(Proxy::none());
        for control in [settings.client(&platform), settings.common(&platform)] {
            let shown = format!("{control:?}");
            assert!(shown.contains("no_delay: Some(false)"), "{shown}");
            assert!(shown.contains("send_buffer_size: Some(50000)"), "{shown}");
        }
        let untouched = format!("{:?}", Settings::default().client(&platform));
        assert!(!untouched.contains("no_delay: Some(false)") && untouched.contains("send_buffer_size: None"));
    }
}
