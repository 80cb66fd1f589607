//! A message that is compressed once for many receivers.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::compressor::{Compressor, Parameters};
use super::{History, strip_tail};
use crate::error::CommandError;
use crate::message::{Message, MessageType};

/// A message for many receivers: it is compressed once for each set of parameters that connections have agreed on, instead
/// of once for each connection. Cloning it copies nothing.
///
/// It is compressed without what any of the receivers got before, so it comes out larger than where a connection with
/// context takeover compresses it alone.
///
/// # Examples
/// ```
/// use wsduo_proto::{Message, Outgoing, PreparedMessage};
///
/// let quote = PreparedMessage::new("{\"symbol\":\"ACME\",\"price\":12.5}");
/// let outgoing = Outgoing::from(&quote);
/// assert_eq!(outgoing.len(), 30);
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    message_type: MessageType,
    bytes: Bytes,
    compressed: Arc<Mutex<Vec<Compressed>>>,
}

#[derive(Debug)]
struct Compressed {
    parameters: Parameters,
    /// `None`: it did not become shorter.
    bytes: Option<Bytes>,
}

impl PreparedMessage {
    /// Prepares a message. Nothing is compressed before it is needed.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        Self { message_type: message.message_type(), bytes: message.into_bytes(), compressed: Arc::default() }
    }

    /// The type.
    pub fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The payload, as it was before it was compressed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often it was compressed so far: once for each set of parameters that was asked for.
    pub fn times_compressed(&self) -> usize {
        self.compressed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    pub(super) fn compressed(&self, parameters: Parameters) -> Result<Option<Bytes>, CommandError> {
        // Whoever comes while it is being compressed would have to compress it too.
        let mut all = self.compressed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.iter().find(|compressed| compressed.parameters == parameters) {
            return Ok(found.bytes.clone());
        }
        let mut compressor = Compressor::take(parameters, 0, 0, &History::new(0));
        let mut out = Vec::new();
        compressor.compress(&self.bytes, &mut out).map_err(|_| CommandError::Compression)?;
        compressor.give(0, 0);
        strip_tail(&mut out);
        let bytes = (out.len() < self.bytes.len()).then(|| Bytes::from(out.into_boxed_slice()));
        all.push(Compressed { parameters, bytes: bytes.clone() });
        Ok(bytes)
    }
}
