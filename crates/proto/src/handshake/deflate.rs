//! The negotiation of permessage-deflate (RFC 7692 §5 and §7.1): what to offer, and how offer and answer are judged.
//!
//! | parameter | in an offer | in an answer |
//! | --- | --- | --- |
//! | `server_no_context_takeover` | the server must not keep its window | it does not; required if it was asked for |
//! | `client_no_context_takeover` | the client will not keep its window | the client must not keep its window |
//! | `server_max_window_bits=N` | the server's window must not exceed N bits | it does not; required if it was asked for |
//! | `client_max_window_bits` | the client can limit its window | never without a value |
//! | `client_max_window_bits=N` | the same, and it will not exceed N bits anyway | the client's window must not exceed N bits |
//!
//! What an endpoint can receive is a hard limit, for it costs the endpoint's memory: a client offers nothing that goes
//! beyond it, a server declines an offer that would. What it sends is its own affair, and gives way to the peer.
//!
//! # Windows of 8 bits
//!
//! Such a window can be inflated, but zlib cannot compress with it. So a server declines an offer that asks for
//! `server_max_window_bits=8`: that is cheap, and the client's next offer may do. A client has no such choice, it could
//! only fail the connection when the server answers `client_max_window_bits=8`. But it need not compress: each message
//! may be sent as it is (RFC 7692 §6), and such a message fits any window. So the client agrees, and
//! [`DeflateAgreement::may_compress`] is false from then on; what the server sends may still be compressed.

use std::fmt;

use super::error::{Excerpt, HandshakeError};
use super::headers::Extension;

/// The name in `Sec-WebSocket-Extensions`.
const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The smallest window there is: 256 bytes.
const MIN_WINDOW_BITS: u8 = 8;

/// The smallest window that we can compress with.
const MIN_SEND_WINDOW_BITS: u8 = 9;

/// The largest window there is, 32 KiB, and the one to expect if nothing is said.
const MAX_WINDOW_BITS: u8 = 15;

/// What an endpoint wants of permessage-deflate: the settings negotiation needs.
///
/// ```
/// use wsduo_proto::handshake::DeflateSettings;
/// use wsduo_proto::handshake::headers::parse_extensions;
///
/// let client = DeflateSettings { receive_window_bits: 12, ..DeflateSettings::default() };
/// let offer = client.offer();
/// assert_eq!(offer, "permessage-deflate; client_max_window_bits; server_max_window_bits=12");
///
/// let server = DeflateSettings { receive_context_takeover: false, ..DeflateSettings::default() };
/// let (_, answer) = server.accept(&parse_extensions(&offer)?).expect("nothing speaks against it");
/// assert_eq!(answer, "permessage-deflate; client_no_context_takeover; server_max_window_bits=12");
///
/// let agreement = client.judge(&parse_extensions(&answer)?)?.expect("the server accepted");
/// assert_eq!((agreement.receive_window_bits, agreement.send_context_takeover), (12, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateSettings {
    /// Largest window we compress with, in bits: 9 to 15. Default 15. A value beyond counts as the nearest one.
    pub send_window_bits: u8,
    /// Largest window the peer may compress with, in bits: 8 to 15. Default 15. A value beyond counts as the nearest
    /// one. It is what we must keep to inflate, and a hard limit.
    pub receive_window_bits: u8,
    /// Whether we keep the window from one message to the next when we compress. Default true.
    pub send_context_takeover: bool,
    /// Whether the peer may keep its window, and so makes us keep ours. Default true. False is a hard limit.
    pub receive_context_takeover: bool,
}

impl Default for DeflateSettings {
    fn default() -> Self {
        Self {
            send_window_bits: MAX_WINDOW_BITS,
            receive_window_bits: MAX_WINDOW_BITS,
            send_context_takeover: true,
            receive_context_takeover: true,
        }
    }
}

/// What both ends agreed on, from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    /// Largest window we may compress with, in bits: 9 to 15; or 8, and then we
    /// [may not compress](Self::may_compress). Never 8 on a server.
    pub send_window_bits: u8,
    /// Largest window the peer compresses with, in bits: 8 to 15.
    pub receive_window_bits: u8,
    /// Whether we may keep the window from one message to the next when we compress.
    pub send_context_takeover: bool,
    /// Whether the peer may keep its window, and so we must keep ours.
    pub receive_context_takeover: bool,
}

impl DeflateAgreement {
    /// Whether we may compress what we send. If not, because the server limits us to a window of 8 bits, each message
    /// must be sent as it is, with RSV1 clear; see [the module](self).
    pub fn may_compress(&self) -> bool {
        self.send_window_bits >= MIN_SEND_WINDOW_BITS
    }
}

impl DeflateSettings {
    /// Client: the value of `Sec-WebSocket-Extensions`.
    ///
    /// It always allows the server to limit our window. There is one offer and nothing to fall back on, as a second one
    /// could only differ by going beyond what we can receive.
    pub fn offer(&self) -> String {
        let own = self.in_range();
        let params = Params {
            server_no_context_takeover: !own.receive_context_takeover,
            client_no_context_takeover: !own.send_context_takeover,
            server_max_window_bits: below_max(own.receive_window_bits),
            client_max_window_bits: Some(own.send_window_bits),
        };
        params.to_string()
    }

    /// Client: judges the extensions of the server's response to our [`offer`](Self::offer). `None` means that the
    /// server declined. Other extensions are not looked at.
    ///
    /// # Errors
    /// [`HandshakeError::DeflateParameter`], [`HandshakeError::DeflateParameterMissing`] or
    /// [`HandshakeError::ExtensionRepeated`] if the server may not answer so: fail the connection (RFC 7692 §7).
    pub fn judge(&self, response: &[Extension]) -> Result<Option<DeflateAgreement>, HandshakeError> {
        let mut chosen = response.iter().filter(|extension| extension.name == NAME);
        let Some(extension) = chosen.next() else {
            return Ok(None);
        };
        if chosen.next().is_some() {
            return Err(HandshakeError::ExtensionRepeated(Excerpt::new(NAME.as_bytes())));
        }
        let own = self.in_range();
        let answer = Params::read(&extension.params, None)?;
        if !own.receive_context_takeover && !answer.server_no_context_takeover {
            return Err(HandshakeError::DeflateParameterMissing(SERVER_NO_CONTEXT_TAKEOVER));
        }
        let receive_window_bits = answer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        if receive_window_bits > own.receive_window_bits {
            return Err(match answer.server_max_window_bits {
                None => HandshakeError::DeflateParameterMissing(SERVER_MAX_WINDOW_BITS),
                Some(bits) => HandshakeError::DeflateParameter {
                    seen: excerpt(SERVER_MAX_WINDOW_BITS, Some(&bits.to_string())),
                    problem: DeflateProblem::WindowBits { max: own.receive_window_bits },
                },
            });
        }
        Ok(Some(DeflateAgreement {
            // RFC 7692 §7.1.2.2: our offer was a hint, so the answer may be larger, and ours still holds.
            send_window_bits: own
                .send_window_bits
                .min(answer.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)),
            receive_window_bits,
            send_context_takeover: own.send_context_takeover && !answer.client_no_context_takeover,
            receive_context_takeover: !answer.server_no_context_takeover,
        }))
    }

    /// Server: takes the first of the client's offers that is acceptable, and gives the agreement and the value of
    /// `Sec-WebSocket-Extensions` for the response. `None` declines them all.
    ///
    /// Declined are offers that break RFC 7692 §7.1, limit us to a window of [8 bits](self), or leave the client a
    /// larger window than we can receive. The same offers always bring the same answer, with no parameter that says
    /// nothing.
    pub fn accept(&self, offers: &[Extension]) -> Option<(DeflateAgreement, String)> {
        offers.iter().filter(|offer| offer.name == NAME).find_map(|offer| self.accept_one(offer))
    }

    fn accept_one(&self, offer: &Extension) -> Option<(DeflateAgreement, String)> {
        let own = self.in_range();
        let offer = Params::read(&offer.params, Some(MAX_WINDOW_BITS)).ok()?;
        // RFC 7692 §7.1.2.2: without the parameter in the offer, we cannot limit the client's window.
        if offer.client_max_window_bits.is_none() && own.receive_window_bits < MAX_WINDOW_BITS {
            return None;
        }
        let limit = |offered: Option<u8>| offered.unwrap_or(MAX_WINDOW_BITS);
        let agreement = DeflateAgreement {
            send_window_bits: own.send_window_bits.min(limit(offer.server_max_window_bits)),
            receive_window_bits: own.receive_window_bits.min(limit(offer.client_max_window_bits)),
            send_context_takeover: own.send_context_takeover && !offer.server_no_context_takeover,
            receive_context_takeover: own.receive_context_takeover && !offer.client_no_context_takeover,
        };
        if !agreement.may_compress() {
            return None;
        }
        let answer = Params {
            server_no_context_takeover: !agreement.send_context_takeover,
            // What the client hinted at becomes binding, so that both ends may drop their window.
            client_no_context_takeover: !agreement.receive_context_takeover,
            server_max_window_bits: match offer.server_max_window_bits {
                Some(_) => Some(agreement.send_window_bits),
                None => below_max(agreement.send_window_bits),
            },
            client_max_window_bits: below_max(agreement.receive_window_bits),
        };
        Some((agreement, answer.to_string()))
    }

    fn in_range(self) -> Self {
        Self {
            send_window_bits: self.send_window_bits.clamp(MIN_SEND_WINDOW_BITS, MAX_WINDOW_BITS),
            receive_window_bits: self.receive_window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            ..self
        }
    }
}

/// What is wrong with a parameter of permessage-deflate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeflateProblem {
    /// There is no such parameter.
    Unknown,
    /// It is there more than once.
    Repeated,
    /// It has a value, and must have none.
    UnexpectedValue,
    /// It is not a number of bits that is allowed here.
    WindowBits {
        /// The largest one allowed; the smallest is 8.
        max: u8,
    },
}

impl fmt::Display for DeflateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such parameter"),
            Self::Repeated => f.write_str("this parameter may appear once"),
            Self::UnexpectedValue => f.write_str("this parameter takes no value"),
            Self::WindowBits { max: MIN_WINDOW_BITS } => f.write_str("a value of 8 is required"),
            Self::WindowBits { max } => write!(f, "a value from {MIN_WINDOW_BITS} to {max} is required"),
        }
    }
}

/// The parameters of an offer or an answer.
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Without a value, which only an offer may be, it is 15: no limit comes to the same as the largest.
    client_max_window_bits: Option<u8>,
}

impl Params {
    /// `client_default` is what `client_max_window_bits` means without a value; `None` if it must have one.
    fn read(params: &[(String, Option<String>)], client_default: Option<u8>) -> Result<Self, HandshakeError> {
        let mut read = Self::default();
        for (name, value) in params {
            let value = value.as_deref();
            let result = match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER => set_flag(&mut read.server_no_context_takeover, value),
                CLIENT_NO_CONTEXT_TAKEOVER => set_flag(&mut read.client_no_context_takeover, value),
                SERVER_MAX_WINDOW_BITS => set_bits(&mut read.server_max_window_bits, value, None),
                CLIENT_MAX_WINDOW_BITS => set_bits(&mut read.client_max_window_bits, value, client_default),
                _ => Err(DeflateProblem::Unknown),
            };
            result.map_err(|problem| HandshakeError::DeflateParameter {
                seen: excerpt(name, value),
                problem,
            })?;
        }
        Ok(read)
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            write!(f, "; {SERVER_NO_CONTEXT_TAKEOVER}")?;
        }
        if self.client_no_context_takeover {
            write!(f, "; {CLIENT_NO_CONTEXT_TAKEOVER}")?;
        }
        match self.client_max_window_bits {
            // Only offers say this: in an answer it would say nothing, and so is left out.
            Some(MAX_WINDOW_BITS) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}")?,
            Some(bits) => write!(f, "; {CLIENT_MAX_WINDOW_BITS}={bits}")?,
            None => {}
        }
        match self.server_max_window_bits {
            Some(bits) => write!(f, "; {SERVER_MAX_WINDOW_BITS}={bits}"),
            None => Ok(()),
        }
    }
}

fn set_flag(flag: &mut bool, value: Option<&str>) -> Result<(), DeflateProblem> {
    if std::mem::replace(flag, true) {
        return Err(DeflateProblem::Repeated);
    }
    if value.is_some() { Err(DeflateProblem::UnexpectedValue) } else { Ok(()) }
}

fn set_bits(bits: &mut Option<u8>, value: Option<&str>, default: Option<u8>) -> Result<(), DeflateProblem> {
    if bits.is_some() {
        return Err(DeflateProblem::Repeated);
    }
    let read = value.map_or(default, window_bits);
    *bits = Some(read.ok_or(DeflateProblem::WindowBits { max: MAX_WINDOW_BITS })?);
    Ok(())
}

/// RFC 7692 §7.1.2: a decimal number from 8 to 15, without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    // u8::from_str would take a sign as well.
    if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|bits| (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).contains(bits))
}

/// A limit that says something.
fn below_max(bits: u8) -> Option<u8> {
    (bits < MAX_WINDOW_BITS).then_some(bits)
}

/// The parameter as it was sent.
fn excerpt(name: &str, value: Option<&str>) -> Excerpt {
    match value {
        Some(value) => Excerpt::new(format!("{name}={value}").as_bytes()),
        None => Excerpt::new(name.as_bytes()),
    }
}
