//! How a server compresses, from its command line.

/// Offered or agreed to by a client whose messages refer to none before them.
pub const FORGETTING: &str = "client_no_context_takeover";

/// What `--deflate` asks for.
#[derive(Clone, Copy, Debug)]
pub struct Deflate {
    /// 1 to 9; 6 unless given.
    pub level: u8,
    /// Whether a reply may refer to those before it.
    pub keeps_context: bool,
}

impl Deflate {
    /// `None` without `--deflate`.
    ///
    /// # Panics
    /// If the level is no number.
    pub fn from_arguments() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().collect();
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        let level = arguments.iter().skip_while(|argument| *argument != "--level").nth(1);
        has("--deflate").then(|| Self {
            level: level.map_or(6, |level| level.parse().expect("a level of 1 to 9")),
            keeps_context: !has("--no-context-takeover"),
        })
    }

    /// What the server answers to the request `head`, whose offer is one that the measuring programs make.
    pub fn agreement(self, head: &str) -> &'static str {
        match (self.keeps_context, !head.contains(FORGETTING)) {
            (true, true) => "permessage-deflate",
            (true, false) => "permessage-deflate; client_no_context_takeover",
            (false, _) => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        }
    }
}
