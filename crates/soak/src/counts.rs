//! What a process has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counted by all tasks of the process.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $($(#[$doc])* pub(crate) $name: Count,)*
        }

        impl Counts {
            /// All of them by name.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

counts! {
    opened,
    /// Connections that ended by a closing handshake with nothing missing.
    clean,
    /// Connections that ended without, as it was planned.
    cut,
    tls,
    compressed,
    sent,
    sent_bytes,
    received,
    received_bytes,
    pings,
    /// Futures that were dropped before they were done, and begun again.
    dropped_futures,
    violations,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter for the process.
pub(crate) static COUNTS: std::sync::LazyLock<Counts> = std::sync::LazyLock::new(Counts::default);
