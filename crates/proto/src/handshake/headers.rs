//! Header values that are lists, read by their grammar: tokens, subprotocols, extensions.
//!
//! Each parser walks its text once from left to right and never looks back, so no input can make it slow.
//! Lists follow the `#rule` of HTTP (RFC 9110 §5.6.1): optional whitespace around elements, empty elements
//! skipped. Which elements a header *must* contain is decided by [`client`](super::client) and
//! [`server`](super::server).

use std::fmt;

/// Elements that one header value may list. Real ones list a handful.
pub const MAX_ELEMENTS: usize = 128;

/// Parameters that one extension may carry; permessage-deflate has four.
pub const MAX_PARAMS: usize = 32;

/// One element of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// A token, such as `permessage-deflate`.
    pub name: String,
    /// Name and value in the order they were sent; quotes are already removed.
    pub params: Vec<(String, Option<String>)>,
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, "; {name}={value}")?,
                None => write!(f, "; {name}")?,
            }
        }
        Ok(())
    }
}

/// A header value that does not follow its grammar, or lists too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header value does not follow its grammar at byte {offset}")]
pub struct Malformed {
    /// Where reading stopped.
    pub offset: usize,
}

/// Whether `text` is a token (RFC 9110 §5.6.2), the form of subprotocols and extension names.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Reads a comma-separated list of tokens, such as a `Connection` or `Sec-WebSocket-Protocol` value.
///
/// # Errors
/// If an element is not a token, or there are more than [`MAX_ELEMENTS`].
pub fn parse_tokens(text: &str) -> Result<Vec<&str>, Malformed> {
    list(text, Cursor::token)
}

/// Reads a `Sec-WebSocket-Extensions` value: `name; param; param=value; param="value", …`.
///
/// # Errors
/// If the grammar of RFC 6455 §9.1 is broken, or there are more than [`MAX_ELEMENTS`] extensions or
/// [`MAX_PARAMS`] parameters of one.
pub fn parse_extensions(text: &str) -> Result<Vec<Extension>, Malformed> {
    list(text, Cursor::extension)
}

/// Reads an `Upgrade` value: a list of `name` or `name/version` (RFC 9110 §7.8), each kept whole.
pub(super) fn parse_products(text: &str) -> Result<Vec<&str>, Malformed> {
    list(text, Cursor::product)
}

/// Whether a header byte may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn list<'a, T>(
    text: &'a str,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut cursor = Cursor { text, at: 0 };
    let mut elements = Vec::new();
    loop {
        cursor.skip_whitespace();
        if cursor.skip(b',') {
            continue;
        }
        if cursor.peek().is_none() {
            return Ok(elements);
        }
        if elements.len() == MAX_ELEMENTS {
            return Err(cursor.malformed());
        }
        elements.push(element(&mut cursor)?);
        cursor.skip_whitespace();
        if cursor.peek().is_some() && !cursor.skip(b',') {
            return Err(cursor.malformed());
        }
    }
}

/// A position in a header value.
struct Cursor<'a> {
    text: &'a str,
    /// Everything before it is ASCII, so it never falls inside a character.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_whitespace(&mut self) {
        while self.skip(b' ') || self.skip(b'\t') {}
    }

    fn malformed(&self) -> Malformed {
        Malformed { offset: self.at }
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        while self.peek().is_some_and(is_token_byte) {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed()) } else { Ok(&self.text[start..self.at]) }
    }

    fn product(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        self.token()?;
        if self.skip(b'/') {
            self.token()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn extension(&mut self) -> Result<Extension, Malformed> {
        let mut extension = Extension { name: self.token()?.to_owned(), params: Vec::new() };
        loop {
            self.skip_whitespace();
            if !self.skip(b';') {
                return Ok(extension);
            }
            if extension.params.len() == MAX_PARAMS {
                return Err(self.malformed());
            }
            self.skip_whitespace();
            extension.params.push(self.param()?);
        }
    }

    fn param(&mut self) -> Result<(String, Option<String>), Malformed> {
        let name = self.token()?.to_owned();
        self.skip_whitespace();
        if !self.skip(b'=') {
            return Ok((name, None));
        }
        self.skip_whitespace();
        let value = if self.skip(b'"') { self.quoted_token()? } else { self.token()?.to_owned() };
        Ok((name, Some(value)))
    }

    /// The rest of a quoted string. RFC 6455 §9.1: once unescaped, it must be a token as well.
    fn quoted_token(&mut self) -> Result<String, Malformed> {
        let mut value = String::new();
        while !self.skip(b'"') {
            // A backslash stands for the byte behind it (RFC 9110 §5.6.4).
            self.skip(b'\\');
            match self.peek() {
                Some(byte) if is_token_byte(byte) => value.push(char::from(byte)),
                _ => return Err(self.malformed()),
            }
            self.at += 1;
        }
        if value.is_empty() { Err(self.malformed()) } else { Ok(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tokens(text: &str, expected: &[&str]) {
        assert_eq!(parse_tokens(text).as_deref(), Ok(expected));
    }

    /// Expects the extensions in `text` to be written as `expected` in plain form.
    #[track_caller]
    fn extensions(text: &str, expected: &[&str]) {
        let found: Vec<_> = parse_extensions(text).expect(text).iter().map(Extension::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn list_of_tokens() {
        tokens("", &[]);
        tokens("a", &["a"]);
        tokens("a,b", &["a", "b"]);
        tokens(" keep-alive \t,\tUpgrade ", &["keep-alive", "Upgrade"]);
        tokens("!#$%&'*+-.^_`|~", &["!#$%&'*+-.^_`|~"]);
    }

    #[test]
    fn empty_list_elements_are_skipped() {
        tokens(", ,a,,b, ", &["a", "b"]);
        tokens(",,,", &[]);
    }

    #[test]
    fn list_of_something_else_is_malformed() {
        for text in ["a b", "a;b", "a=b", "\"a\"", "a/b", "(a)", "é", "aé", "a,é", "a\0"] {
            assert!(parse_tokens(text).is_err(), "{text}");
        }
        assert_eq!(parse_tokens("ab, c d"), Err(Malformed { offset: 6 }));
    }

    #[test]
    fn products_keep_their_version() {
        assert_eq!(
            parse_products("h2c, websocket/13,websocket"),
            Ok(vec!["h2c", "websocket/13", "websocket"])
        );
        assert!(parse_products("websocket/").is_err());
    }

    #[test]
    fn extension_params_with_and_without_value() {
        extensions("permessage-deflate", &["permessage-deflate"]);
        extensions("a;b;c=1 ; d = \"2\" , e", &["a; b; c=1; d=2", "e"]);
        extensions("foo, , bar; baz=2", &["foo", "bar; baz=2"]);
        extensions("a; b=\"\\x\\y\"", &["a; b=xy"]);
        assert_eq!(
            parse_extensions("a; b=\"1\"; c").unwrap()[0].params,
            [("b".to_owned(), Some("1".to_owned())), ("c".to_owned(), None)]
        );
    }

    #[test]
    fn offer_garbage() {
        for text in [
            ";",
            "a;",
            "a;;b",
            "a;=1",
            "a; b=",
            "a; b=\"",
            "a; b=\"1",
            "a; b=\"\"",
            "a; b=\"1 2\"",
            "a; b=\"\\\"\"",
            "a; b=\"1\"x",
            "a; b=\"\\",
            "a b",
            "=",
            "a=1",
            "a; b=é",
            "a; b=\"é\"",
            "a; b=\"\\é\"",
        ] {
            assert!(parse_extensions(text).is_err(), "{text}");
        }
        extensions("constructor; __proto__=toString", &["constructor; __proto__=toString"]);
    }

    #[test]
    fn offer_redos_backslash() {
        assert!(parse_extensions(&format!("a; b=\"{}", "\\c".repeat(500_000))).is_err());
        assert!(parse_extensions(&format!("a; b=\"{}", "\\".repeat(500_000))).is_err());
    }

    #[test]
    fn protocol_redos() {
        let spaces = " ".repeat(500_000);
        assert!(parse_tokens(&format!("a{spaces}b")).is_err());
        tokens(&format!("a{spaces},b"), &["a", "b"]);
        tokens(&",".repeat(500_000), &[]);
    }

    #[test]
    fn lists_are_bounded() {
        let list = |n| vec!["a"; n].join(",");
        assert!(parse_tokens(&list(MAX_ELEMENTS)).is_ok());
        assert!(parse_tokens(&list(MAX_ELEMENTS + 1)).is_err());
        assert!(parse_extensions(&list(MAX_ELEMENTS + 1)).is_err());
        let params = |n| format!("a{}", ";b".repeat(n));
        assert!(parse_extensions(&params(MAX_PARAMS)).is_ok());
        assert!(parse_extensions(&params(MAX_PARAMS + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a;=,\" \\\\\té\\PC]*") {
            let _ = (parse_tokens(&text), parse_products(&text));
            if let Ok(found) = parse_extensions(&text) {
                let written: Vec<_> = found.iter().map(Extension::to_string).collect();
                proptest::prop_assert_eq!(parse_extensions(&written.join(", ")), Ok(found));
            }
        }
    }
}
