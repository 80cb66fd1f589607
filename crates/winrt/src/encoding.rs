//! In which order the bytes of a number stand, and in which encoding text does (spec §17.5).

use bytes::{BufMut, BytesMut};

use crate::error::Error;

/// In which order the bytes of a number stand.
///
/// **The default is `BigEndian`**, the order of networks. The original's documents name no default and its
/// samples always set it: set it too, on both sides, and nothing can differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ByteOrder {
    /// The lowest byte first.
    LittleEndian = 0,
    /// The highest byte first.
    #[default]
    BigEndian = 1,
}

/// How text becomes bytes: without a length before it, a mark of byte order or an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum UnicodeEncoding {
    /// UTF-8; a code unit is one byte. The default.
    #[default]
    Utf8 = 0,
    /// UTF-16, the lower byte of a code unit first; a code unit is two bytes.
    Utf16LE = 1,
    /// UTF-16, the higher byte of a code unit first; a code unit is two bytes.
    Utf16BE = 2,
}

impl UnicodeEncoding {
    /// How many bytes a code unit has.
    pub(crate) fn bytes_per_unit(self) -> usize {
        match self {
            Self::Utf8 => 1,
            Self::Utf16LE | Self::Utf16BE => 2,
        }
    }

    /// How many code units this text has.
    pub(crate) fn code_units(self, text: &str) -> usize {
        match self {
            Self::Utf8 => text.len(),
            Self::Utf16LE | Self::Utf16BE => text.encode_utf16().count(),
        }
    }

    /// How many bytes this text becomes.
    pub(crate) fn measure(self, text: &str) -> usize {
        self.code_units(text).saturating_mul(self.bytes_per_unit())
    }

    /// Appends the text.
    pub(crate) fn encode(self, text: &str, bytes: &mut BytesMut) {
        match self {
            Self::Utf8 => bytes.extend_from_slice(text.as_bytes()),
            Self::Utf16LE => text.encode_utf16().for_each(|unit| bytes.put_u16_le(unit)),
            Self::Utf16BE => text.encode_utf16().for_each(|unit| bytes.put_u16(unit)),
        }
    }

    /// The text that these bytes are. They are whole code units.
    ///
    /// # Errors
    /// [`Error::NO_UNICODE_TRANSLATION`] if they are not text.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<String, Error> {
        match self {
            Self::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(error) => Err(not_text("UTF-8", error.valid_up_to())),
            },
            Self::Utf16LE => utf16(bytes, u16::from_le_bytes),
            Self::Utf16BE => utf16(bytes, u16::from_be_bytes),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(unit);
    let mut text = String::new();
    for char in char::decode_utf16(units) {
        // What was decoded so far says where the surrogate stands.
        text.push(char.map_err(|_| not_text("UTF-16", UnicodeEncoding::Utf16LE.measure(&text)))?);
    }
    Ok(text)
}

fn not_text(encoding: &str, at: usize) -> Error {
    let message =
        format!("not {encoding} at byte {at} of the string: read_bytes gives the bytes as they are");
    Error::new(Error::NO_UNICODE_TRANSLATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes `text`, compares, and decodes it again.
    #[track_caller]
    fn check(encoding: UnicodeEncoding, text: &str, bytes: &[u8]) {
        let mut encoded = BytesMut::new();
        encoding.encode(text, &mut encoded);
        assert_eq!(encoded, bytes);
        assert_eq!(encoding.measure(text), bytes.len());
        assert_eq!(encoding.code_units(text) * encoding.bytes_per_unit(), bytes.len());
        assert_eq!(encoding.decode(bytes).unwrap(), text);
    }

    #[test]
    fn text_has_neither_length_nor_mark_nor_end() {
        check(UnicodeEncoding::Utf8, "aé😀", b"a\xc3\xa9\xf0\x9f\x98\x80");
        check(UnicodeEncoding::Utf16LE, "aé😀", b"a\0\xe9\0\x3d\xd8\x00\xde");
        check(UnicodeEncoding::Utf16BE, "aé😀", b"\0a\0\xe9\xd8\x3d\xde\x00");
        check(UnicodeEncoding::Utf16BE, "", b"");
    }

    #[test]
    fn a_mark_of_byte_order_is_text_like_any_other() {
        check(UnicodeEncoding::Utf16LE, "\u{feff}a", b"\xff\xfea\0");
    }

    #[test]
    fn what_is_not_text_says_where() {
        for (encoding, bytes, at) in [
            (UnicodeEncoding::Utf8, &b"ab\xff"[..], "UTF-8 at byte 2"),
            (UnicodeEncoding::Utf8, b"\xf0\x9f\x98", "UTF-8 at byte 0"),
            (UnicodeEncoding::Utf16LE, b"a\0\x00\xdc", "UTF-16 at byte 2"),
            (UnicodeEncoding::Utf16BE, b"\xd8\x3d\0a", "UTF-16 at byte 0"),
        ] {
            let error = encoding.decode(bytes).unwrap_err();
            assert_eq!(error.code(), Error::NO_UNICODE_TRANSLATION);
            assert!(error.message().contains(at), "{error}");
        }
    }
}
