//! Streams and buffers: what readers read from and writers write to (`Windows.Storage.Streams`).

use bytes::Bytes;

use crate::operation::AsyncOperation;

/// How a read ends and how far it may reach (spec §7). Flags: they combine by `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InputStreamOptions(pub u32);

impl InputStreamOptions {
    /// A read is complete with all bytes asked for, or at the end of the stream.
    pub const NONE: Self = Self(0);
    /// A read is complete with one byte or more.
    pub const PARTIAL: Self = Self(1);
    /// More bytes than asked for may be fetched ahead.
    pub const READ_AHEAD: Self = Self(2);
}

/// Bytes with a length and a capacity (`IBuffer` and `Buffer`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    bytes: Bytes,
}

impl Buffer {
    /// How many bytes it holds.
    pub fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Self {
        buffer.bytes
    }
}

/// What a buffer is made of without copying more than it must.
macro_rules! from_bytes {
    ($($source:ty),*) => {
        $(impl From<$source> for Buffer {
            fn from(bytes: $source) -> Self {
                Self { bytes: bytes.into() }
            }
        })*
    };
}
from_bytes!(Bytes, Vec<u8>, String, &'static [u8], &'static str);

/// A stream to read from. A handle: sockets, readers and users may share one in an [`Arc`](std::sync::Arc).
pub trait IInputStream: Send + Sync {
    /// Reads up to `count` bytes. An empty buffer is the end of the stream.
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer>;

    /// Closes the stream: every later use of it fails with `RO_E_CLOSED`.
    fn close(&self);
}

/// A stream to write to. A handle: sockets, writers and users may share one in an [`Arc`](std::sync::Arc).
pub trait IOutputStream: Send + Sync {
    /// Writes the bytes, all of them, and tells how many they were. On a message socket they are one message.
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32>;

    /// Waits until what was written has left. `false` if it could not.
    fn flush(&self) -> AsyncOperation<bool>;

    /// Closes the stream: every later use of it fails with `RO_E_CLOSED`.
    fn close(&self);
}
