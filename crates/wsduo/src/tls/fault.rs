//! Failures of TLS in one line each: what was seen, and what to do.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError, PeerIncompatible};

use crate::error::{BadCertificate, Cause, Error, ErrorKind};

/// Which end failed to agree, as its peer calls it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer<'a> {
    /// The server of this host.
    Server(&'a str),
    Client,
}

/// What became of TLS with this peer.
pub(super) fn failure(peer: Peer<'_>, error: io::Error) -> Error {
    let (with, who) = match peer {
        Peer::Server(host) => (host, "the server"),
        Peer::Client => ("the client", "it"),
    };
    match rustls_error(&error) {
        Some(error) => of_rustls(peer, &format!("TLS with {with} failed"), error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let hint = match peer {
                Peer::Server(_) => "; is TLS spoken on this port? If not, use ws",
                Peer::Client => "",
            };
            let text =
                format!("TLS with {with} failed: {who} ended the connection before it was agreed{hint}");
            Error::ended(ErrorKind::Tls, text)
        }
        None => {
            Error::source(ErrorKind::Tls, format!("TLS with {with} failed; the connection was lost"), error)
        }
    }
}

/// The certificate of a server is not accepted.
pub(super) fn bad_certificate(host: &str, bad: BadCertificate) -> Error {
    let kind = if bad.decisive.is_some() { ErrorKind::Tls } else { ErrorKind::CertificateRejected };
    let text = format!("TLS with {host} failed: {}", bad.text);
    Error::new(kind, Cause::Certificate(BadCertificate { text, ..bad }))
}

/// What a server says when the client believes TLS to be agreed, if that is what this error of its transport is.
pub(crate) fn late_failure(error: &io::Error) -> Option<Error> {
    let error = rustls_error(error)?;
    matches!(error, rustls::Error::AlertReceived(_))
        .then(|| of_rustls(Peer::Server("it"), "TLS failed", error))
}

/// Whether the server wants a certificate of the client and got none.
pub(crate) fn wants_certificate(error: &(dyn StdError + 'static)) -> bool {
    let wanted = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
    error.downcast_ref::<rustls::Error>() == Some(&wanted)
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn of_rustls(peer: Peer<'_>, what: &str, error: &rustls::Error) -> Error {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = error
        && let Some(bad) = other.downcast_ref::<BadCertificate>()
        && let Peer::Server(host) = peer
    {
        return bad_certificate(host, bad.clone());
    }
    let why = match (error, peer) {
        (rustls::Error::AlertReceived(alert), _) => of_alert(peer, *alert),
        (rustls::Error::InvalidMessage(message), _) => of_message(peer, message),
        (rustls::Error::PeerIncompatible(why), _) => of_incompatible(why),
        (rustls::Error::NoApplicationProtocol, _) => {
            "none of the protocols offered by ALPN is spoken here; offer http/1.1".to_owned()
        }
        (rustls::Error::NoCertificatesPresented, _) => {
            "it showed no certificate, and one is required".to_owned()
        }
        (rustls::Error::InvalidCertificate(error), _) => format!("its certificate is not accepted: {error}"),
        (rustls::Error::PeerMisbehaved(how), _) => format!("it broke the rules of TLS ({how:?})"),
        (other, _) => other.to_string(),
    };
    Error::because_of(ErrorKind::Tls, format!("{what}: {why}"), error.clone())
}

fn of_alert(peer: Peer<'_>, alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let name = alert.as_str().unwrap_or("unknown");
    let hint = match (peer, alert) {
        (Peer::Server(_), AlertDescription::CertificateRequired) => {
            "it requires a certificate of the client; give it an identity"
        }
        (
            Peer::Server(_),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        ) => "it does not accept the certificate of this client; give another identity",
        (Peer::Server(_), AlertDescription::UnrecognisedName) => {
            "it has no certificate for this name; check the host"
        }
        (Peer::Server(_), AlertDescription::NoApplicationProtocol) => {
            "it speaks none of the protocols offered by ALPN, such as http/1.1"
        }
        (Peer::Server(_), AlertDescription::ProtocolVersion) => {
            "no version of TLS is common; TLS 1.2 or 1.3 is needed, or less of a minimum"
        }
        (Peer::Server(_), AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
            "no cipher suite or parameter is common; the server needs TLS of this decade"
        }
        (Peer::Server(_), _) => "the log of the server may say why",
        (
            Peer::Client,
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => "it does not accept the certificate of this server",
        (Peer::Client, _) => "the client may say why",
    };
    format!("the {} refused with the TLS alert {name} ({number}): {hint}", peer.noun())
}

fn of_message(peer: Peer<'_>, message: &InvalidMessage) -> String {
    let what = match message {
        // The head of a record is not one.
        InvalidMessage::InvalidContentType
        | InvalidMessage::UnknownProtocolVersion
        | InvalidMessage::MessageTooLarge
        | InvalidMessage::InvalidEmptyPayload => "what the peer sent is not TLS".replace("peer", peer.noun()),
        other => format!("what the {} sent is no proper TLS ({other:?})", peer.noun()),
    };
    match peer {
        Peer::Server(_) => format!("{what}; if the port speaks WebSocket without TLS, use ws"),
        Peer::Client => format!("{what}; clients of this port have to use wss"),
    }
}

fn of_incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            format!("its TLS is older than the least version allowed here ({why:?}); it has to be updated")
        }
        why => format!("there is no common ground ({why:?})"),
    }
}

impl Peer<'_> {
    fn noun(self) -> &'static str {
        match self {
            Peer::Server(_) => "server",
            Peer::Client => "client",
        }
    }
}
