//! What a server does with a message: send it back, or count it.

/// One for each connection.
#[derive(Clone, Debug)]
pub struct Service {
    counts: bool,
    counted: u64,
}

impl Service {
    /// Counts with `--sink`, echoes without.
    pub fn from_arguments() -> Self {
        Self { counts: crate::given("--sink"), counted: 0 }
    }

    /// The reply to `message`: itself, or for a text message that asks for it the count of those before, which `text`
    /// makes a message.
    #[inline]
    pub fn reply<M>(&mut self, message: M, is_text: bool, text: impl FnOnce(String) -> M) -> Option<M> {
        if !self.counts {
            return Some(message);
        }
        if is_text {
            return Some(text(self.counted.to_string()));
        }
        self.counted += 1;
        None
    }
}
