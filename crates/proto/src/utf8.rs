//! UTF-8, checked as it arrives (RFC 6455 §8.1).

/// The bytes cannot be the beginning of valid UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

/// Checks text that comes in chunks, which may be cut inside a character.
///
/// Each byte is looked at once, and the first byte that cannot belong is refused with the chunk it came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    /// The bytes of a character that is not complete; none of them may be outside `..len`.
    partial: [u8; 4],
    len: u8,
}

/// A chunk that was found valid: what it completes and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidChunk<'a> {
    /// The character that an earlier chunk began.
    pub completed: Option<char>,
    /// The whole characters after it.
    pub text: &'a str,
}

impl Utf8Validator {
    /// Whether no character is left incomplete.
    pub const fn is_complete(&self) -> bool {
        self.len == 0
    }

    /// The bytes of the incomplete character.
    pub fn partial(&self) -> &[u8] {
        &self.partial[..usize::from(self.len)]
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// [`InvalidUtf8`] as soon as no continuation could make the text valid.
    pub fn push<'a>(&mut self, chunk: &'a [u8]) -> Result<ValidChunk<'a>, InvalidUtf8> {
        let (completed, rest) = self.complete(chunk)?;
        let (whole, begun) = rest.split_at(rest.len() - incomplete_suffix(rest));
        let text = simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?;
        if !begun.is_empty() {
            self.begin(begun)?;
        }
        Ok(ValidChunk { completed, text })
    }

    /// Adds to the incomplete character, if there is one, until it is complete or `chunk` is used up.
    fn complete<'a>(&mut self, chunk: &'a [u8]) -> Result<(Option<char>, &'a [u8]), InvalidUtf8> {
        let mut rest = chunk;
        while self.len > 0 {
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            // `begin` and this loop leave room: four bytes are always complete or invalid.
            self.partial[usize::from(self.len)] = byte;
            self.len += 1;
            match std::str::from_utf8(&self.partial[..usize::from(self.len)]) {
                Ok(character) => {
                    self.len = 0;
                    return Ok((character.chars().next(), rest));
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        Ok((None, rest))
    }

    fn begin(&mut self, begun: &[u8]) -> Result<(), InvalidUtf8> {
        match std::str::from_utf8(begun) {
            Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => {}
            _ => return Err(InvalidUtf8),
        }
        self.partial[..begun.len()].copy_from_slice(begun);
        self.len = begun.len() as u8; // at most three, by `incomplete_suffix`
        Ok(())
    }
}

/// How many bytes at the end of `bytes` begin a character that needs more, going by its first byte alone.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    for (back, &byte) in bytes.iter().rev().take(3).enumerate() {
        let needed = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if needed > back + 1 { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole text, or the number of chunks taken before the refusal.
    fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<String, usize> {
        let mut validator = Utf8Validator::default();
        let mut text = String::new();
        for (i, chunk) in chunks.into_iter().enumerate() {
            let valid = validator.push(chunk).map_err(|_| i)?;
            text.extend(valid.completed);
            text.push_str(valid.text);
        }
        if validator.is_complete() { Ok(text) } else { Err(usize::MAX) }
    }

    #[test]
    fn text_may_be_cut_anywhere() {
        let text = "aé€😀\u{10ffff}\u{0}zß";
        for cut in 0..=text.len() {
            let (a, b) = text.as_bytes().split_at(cut);
            assert_eq!(run([a, b]).as_deref(), Ok(text), "cut at {cut}");
        }
        assert_eq!(run(text.as_bytes().chunks(1)).as_deref(), Ok(text));
    }

    #[test]
    fn a_bad_byte_is_refused_when_it_arrives() {
        // The position of the first byte that no text can hold there.
        for (bytes, at) in [
            (&b"a\x80"[..], 1),
            (b"\xc0\xaf", 0),
            (b"\xc1", 0),
            (b"\xe0\x80\x80", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xf0\x8f", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xf5", 0),
            (b"\xff", 0),
            (b"\xe2\x82a", 2),
            (b"\xc3\xc3", 1),
        ] {
            assert_eq!(run(bytes.chunks(1)), Err(at), "{bytes:x?} byte by byte");
            assert_eq!(run([bytes]), Err(0), "{bytes:x?} whole");
        }
    }

    #[test]
    fn an_unfinished_character_is_not_complete() {
        assert_eq!(run([&b"\xe2\x82"[..]]), Err(usize::MAX));
        assert_eq!(run([&b"\xe2\x82"[..], &b""[..], &b"\xac"[..]]).as_deref(), Ok("€"));
    }

    #[test]
    fn it_agrees_with_the_standard_library_on_every_short_sequence() {
        // Every sequence of up to three of the bytes that mark a boundary of the grammar.
        const BYTES: [u8; 22] = [
            0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
            0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
        ];
        for a in BYTES {
            for b in BYTES {
                for c in BYTES {
                    for d in [0x41, 0x80, 0xbf, 0xf0] {
                        let bytes = [a, b, c, d];
                        let expected = std::str::from_utf8(&bytes).is_ok();
                        assert_eq!(run([&bytes[..]]).is_ok(), expected, "{bytes:x?} whole");
                        assert_eq!(run(bytes.chunks(1)).is_ok(), expected, "{bytes:x?} byte by byte");
                        assert_eq!(run(bytes.chunks(3)).is_ok(), expected, "{bytes:x?} in threes");
                    }
                }
            }
        }
    }
}
