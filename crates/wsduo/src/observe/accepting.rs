//! Accepting that fails for want of something: each failure is counted, and one a second told.

use std::io;
#[cfg(feature = "tracing")]
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "tracing")]
use std::time::{Duration, Instant};

#[cfg(feature = "tracing")]
use super::events;
#[cfg(feature = "metrics")]
use super::meters;
#[cfg(feature = "tracing")]
use crate::io::alarm::Alarm;

/// From one event to the next at least, since it fails again and again until something is let go.
#[cfg(feature = "tracing")]
const PAUSE: Duration = Duration::from_secs(1);

/// What watches a listener.
#[derive(Debug, Default)]
pub(crate) struct Accepting {
    #[cfg(feature = "tracing")]
    told: Mutex<Option<Instant>>,
}

impl Accepting {
    /// The system refused to hand out a connection, which waits.
    pub(crate) fn failed(&self, error: &io::Error) {
        #[cfg(feature = "tracing")]
        if self.is_to_be_told() {
            events::accept_failed(error, lack(error));
        }
        #[cfg(feature = "metrics")]
        meters::accept_failed(lack(error));
    }

    #[cfg(feature = "tracing")]
    fn is_to_be_told(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Alarm::now();
        let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= PAUSE);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

const IS_BSD: bool = cfg!(any(
    target_vendor = "apple",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
));

/// What there was not enough of.
fn lack(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        // ENFILE and EMFILE, which have these numbers since before there were standards; WSAEMFILE.
        Some(23 | 24) if cfg!(unix) => "descriptors",
        Some(10_024) if cfg!(windows) => "descriptors",
        // ENOBUFS; WSAENOBUFS.
        Some(105) if cfg!(target_os = "linux") => "memory",
        Some(55) if IS_BSD => "memory",
        Some(10_055) if cfg!(windows) => "memory",
        _ if error.kind() == io::ErrorKind::OutOfMemory => "memory",
        _ => "other",
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_is_told_by_the_number_of_the_error() {
        for (number, expected) in [(23, "descriptors"), (24, "descriptors"), (12, "memory"), (22, "other")] {
            assert_eq!(lack(&io::Error::from_raw_os_error(number)), expected, "{number}");
        }
    }
}
