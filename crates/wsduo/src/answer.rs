//! What a server answers to an opening handshake, as its settings have it.

use http::HeaderMap;
use wsduo_proto::handshake::{DeflateAgreement, Request};

use crate::control::Settings;
use crate::error::{Error, ErrorKind};

/// What is agreed to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) subprotocol: Option<String>,
    pub(crate) compression: Option<DeflateAgreement>,
    /// The value of `Sec-WebSocket-Extensions`.
    pub(crate) extensions: Option<String>,
    /// The application's headers of the response.
    pub(crate) headers: HeaderMap,
}

impl Answer {
    /// `subprotocol` and `headers` are what the application chose for this request; the settings supply the rest.
    pub(crate) fn new(
        request: &Request,
        settings: &Settings,
        subprotocol: Option<String>,
        mut headers: HeaderMap,
    ) -> Self {
        let subprotocol = subprotocol.or_else(|| {
            settings.subprotocols.iter().find(|name| request.subprotocols.contains(name)).cloned()
        });
        for (name, value) in &settings.headers {
            headers.append(name, value.clone());
        }
        let compression = settings.compression.and_then(|it| it.negotiation().accept(&request.extensions));
        let (compression, extensions) = compression.unzip();
        Self { subprotocol, compression, extensions, headers }
    }
    /// # Errors
    /// [`ErrorKind::Handshake`] with the reason for a 400: no subprotocol was agreed.
    pub(crate) fn check_subprotocol(&self, settings: &Settings) -> Result<(), Error> {
        if self.subprotocol.is_some() {
            return Ok(());
        }
        let known = settings.subprotocols.join(", ");
        let text = format!("the client offers no subprotocol of this server: {known}");
        Err(Error::text(ErrorKind::Handshake, text))
    }
}
