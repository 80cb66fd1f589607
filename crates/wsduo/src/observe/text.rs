//! Text that someone else chose, made fit for a log: escaped and cut off.

use std::fmt;

/// Characters that are shown.
const LIMIT: usize = 256;

/// Shows a text on one line; nothing in it moves a cursor, changes colours or passes for a line of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for c in characters.by_ref().take(LIMIT) {
            match c {
                // Harmless where there are no quotes around it.
                '"' | '\'' => fmt::Write::write_char(f, c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// A path or URI less its query, which may hold secrets.
pub(super) fn without_query(uri: &str) -> Escaped<'_> {
    Escaped(uri.split(['?', '#']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_escaped_and_cut_off() {
        assert_eq!(Escaped("é\r\n\x1b[2J\u{202e}'").to_string(), r"é\r\n\u{1b}[2J\u{202e}'");
        assert_eq!(Escaped(&"x".repeat(LIMIT)).to_string(), "x".repeat(LIMIT));
        assert_eq!(Escaped(&"x".repeat(LIMIT + 1)).to_string(), format!("{}…", "x".repeat(LIMIT)));
    }

    #[test]
    fn a_query_is_not_shown() {
        assert_eq!(without_query("wss://a/b?token=secret#x").to_string(), "wss://a/b");
        assert_eq!(without_query("/b#secret").to_string(), "/b");
    }
}
