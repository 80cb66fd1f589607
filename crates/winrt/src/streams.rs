//! Streams: what readers read from and writers write to (`Windows.Storage.Streams`).

use std::ops::{BitAnd, BitOr, BitOrAssign};

use crate::buffer::Buffer;
use crate::operation::AsyncOperation;

/// How a read ends and how far it may reach (spec §7). Flags: they combine by `|`. The default is
/// [`NONE`](Self::NONE).
///
/// # Examples
/// ```
/// use wsduo_winrt::InputStreamOptions;
///
/// let options = InputStreamOptions::PARTIAL | InputStreamOptions::READ_AHEAD;
/// assert!(options.contains(InputStreamOptions::PARTIAL));
/// assert_eq!(options.0, 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InputStreamOptions(
    /// The flags as a number.
    pub u32,
);

impl InputStreamOptions {
    /// A read is complete with all bytes asked for, or at the end of the stream.
    pub const NONE: Self = Self(0);
    /// A read is complete with one byte or more.
    pub const PARTIAL: Self = Self(1);
    /// More bytes than asked for may be fetched ahead.
    pub const READ_AHEAD: Self = Self(2);

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self & other == other
    }
}

impl BitOr for InputStreamOptions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for InputStreamOptions {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl BitAnd for InputStreamOptions {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A stream to read from. A handle: sockets, readers and users may share one in an [`Arc`](std::sync::Arc).
pub trait IInputStream: Send + Sync {
    /// Reads up to `count` bytes. An empty buffer is the end of the stream.
    ///
    /// The original's `ReadAsync` takes a buffer to fill and gives back a buffer that need not be the same:
    /// only the one it gives back holds the bytes. Here it takes none.
    ///
    /// # Cancel safety
    /// An operation that is dropped loses no bytes: those that came are read next.
    fn read(&self, count: u32, options: InputStreamOptions) -> AsyncOperation<Buffer>;

    /// Closes the stream: every later use of it fails with `RO_E_CLOSED`. It does not wait, and may be called
    /// again.
    fn close(&self);
}

/// A stream to write to. A handle: sockets, writers and users may share one in an [`Arc`](std::sync::Arc).
pub trait IOutputStream: Send + Sync {
    /// Writes the bytes, all of them, and tells how many they were. On a message socket they are one message.
    ///
    /// # Cancel safety
    /// An operation that is dropped leaves nothing half: the bytes are written by the operations that follow,
    /// or not at all.
    fn write(&self, buffer: Buffer) -> AsyncOperation<u32>;

    /// Waits until what was written has left. `false` if it could not.
    fn flush(&self) -> AsyncOperation<bool>;

    /// Closes the stream: every later use of it fails with `RO_E_CLOSED`. It does not wait, and may be called
    /// again.
    fn close(&self);
}
