//! The messages of `wsduo.files.v1`, as `docs/files-protocol.md` describes them.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::exit::beginning;

/// The subprotocol.
pub(crate) const SUBPROTOCOL: &str = "wsduo.files.v1";

/// Largest message, which is one of bytes.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;

/// Largest text message.
const MAX_CONTROL: usize = 64 << 10;

/// Sizes are below this, so that any JSON parser reads them exactly.
pub(crate) const MAX_SIZE: u64 = 1 << 53;

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Control {
    Put {
        name: String,
        #[serde(default)]
        resume: bool,
        #[serde(default)]
        overwrite: bool,
    },
    Get {
        name: String,
        #[serde(flatten)]
        have: Have,
    },
    Ready {
        #[serde(flatten)]
        have: Have,
        #[serde(default)]
        complete: bool,
    },
    Data {
        offset: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    End {
        size: u64,
        sha256: Digest,
    },
    Done,
    List,
    Entry {
        name: String,
        size: u64,
    },
    Listed,
    Error {
        code: Code,
        #[serde(default)]
        message: String,
    },
}

/// What a receiver has of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Have {
    #[serde(default)]
    pub(crate) offset: u64,
    /// Of these bytes. Without it the sender begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<Digest>,
}

/// What went wrong at the other end, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Code {
    Exists,
    NotFound,
    BadName,
    ReadOnly,
    WriteOnly,
    Busy,
    TooLarge,
    Permission,
    NoSpace,
    Io,
    Mismatch,
    Changed,
    Protocol,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

impl Code {
    /// The code of a failure of the system.
    pub(crate) fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Self::NoSpace,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Permission,
            Kind::NotFound | Kind::NotADirectory => Self::NotFound,
            Kind::AlreadyExists | Kind::IsADirectory => Self::Exists,
            _ => Self::Io,
        }
    }

    /// Whether the trouble is of the one who tells of it, and not of what it was sent.
    pub(crate) fn is_own_trouble(self) -> bool {
        matches!(self, Self::Permission | Self::NoSpace | Self::Io | Self::Changed)
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "a SHA-256 has 64 lower-case hexadecimal digits";
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(WANTED),
        };
        if text.len() != 64 {
            return Err(WANTED);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(digest))
    }
}

impl Control {
    /// Reads a text message.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_CONTROL {
            return Err(format!(
                "a control message has {} bytes; at most {MAX_CONTROL} are allowed",
                text.len()
            ));
        }
        let control: Self = serde_json::from_str(text)
            // The text of the error may hold what the peer chose.
            .map_err(|error| {
                format!("a control message cannot be read: {}", beginning(&error.to_string()))
            })?;
        let sizes = match &control {
            Self::Get { have, .. } | Self::Ready { have, .. } => [have.offset, 0],
            Self::Data { offset, size } => [*offset, size.unwrap_or(0)],
            Self::End { size, .. } | Self::Entry { size, .. } => [*size, 0],
            _ => [0, 0],
        };
        if sizes.iter().any(|size| *size >= MAX_SIZE) {
            return Err("a control message has a size of 2^53 or more".into());
        }
        Ok(control)
    }

    /// What a text message looks like.
    pub(crate) fn to_text(&self) -> String {
        // There is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its name, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Put { .. } => "put",
            Self::Get { .. } => "get",
            Self::Ready { .. } => "ready",
            Self::Data { .. } => "data",
            Self::End { .. } => "end",
            Self::Done => "done",
            Self::List => "list",
            Self::Entry { .. } => "entry",
            Self::Listed => "listed",
            Self::Error { .. } => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn digest() -> Digest {
        Digest::try_from(SHA256.to_owned()).unwrap()
    }

    /// Reads as this, and is written so.
    #[track_caller]
    fn check(text: &str, control: &Control) {
        let text = text.replace("SHA256", SHA256);
        assert_eq!(Control::parse(&text).as_ref(), Ok(control));
        assert_eq!(control.to_text(), text);
    }

    #[test]
    fn what_is_said_of_a_wrong_message_is_short_whatever_it_holds() {
        let text = format!(r#"{{"type":"{}"}}"#, "\u{9b}".repeat(MAX_CONTROL / 4));
        let said = Control::parse(&text).unwrap_err();
        assert!(said.len() < 2000 && !said.contains(char::is_control), "{} bytes", said.len());
    }

    #[test]
    fn controls_are_what_the_page_says() {
        let name = "a.jpg".to_owned();
        check(
            r#"{"type":"put","name":"a.jpg","resume":true,"overwrite":false}"#,
            &Control::Put { name: name.clone(), resume: true, overwrite: false },
        );
        check(
            r#"{"type":"get","name":"a.jpg","offset":7,"sha256":"SHA256"}"#,
            &Control::Get { name: name.clone(), have: Have { offset: 7, sha256: Some(digest()) } },
        );
        check(
            r#"{"type":"ready","offset":0,"complete":false}"#,
            &Control::Ready { have: Have::default(), complete: false },
        );
        check(r#"{"type":"data","offset":0,"size":70000}"#, &Control::Data { offset: 0, size: Some(70_000) });
        check(r#"{"type":"data","offset":0}"#, &Control::Data { offset: 0, size: None });
        check(r#"{"type":"end","size":1,"sha256":"SHA256"}"#, &Control::End { size: 1, sha256: digest() });
        check(r#"{"type":"done"}"#, &Control::Done);
        check(r#"{"type":"list"}"#, &Control::List);
        check(r#"{"type":"entry","name":"a.jpg","size":3}"#, &Control::Entry { name, size: 3 });
        check(r#"{"type":"listed"}"#, &Control::Listed);
        check(
            r#"{"type":"error","code":"no-space","message":"full"}"#,
            &Control::Error { code: Code::NoSpace, message: "full".into() },
        );
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_ignored() {
        let put = Control::parse(r#"{"name":"a","mode":"0644","type":"put"}"#).unwrap();
        assert_eq!(put, Control::Put { name: "a".into(), resume: false, overwrite: false });
        let get = Control::parse(r#"{"type":"get","name":"a","x":[1]}"#).unwrap();
        assert_eq!(get, Control::Get { name: "a".into(), have: Have::default() });
        let error = Control::parse(r#"{"type":"error","code":"on-fire"}"#).unwrap();
        assert_eq!(error, Control::Error { code: Code::Other, message: String::new() });
    }

    #[test]
    fn what_is_not_a_control_is_refused_on_one_harmless_line() {
        let deep = "[".repeat(10_000);
        let long = format!(r#"{{"type":"done","x":"{}"}}"#, "x".repeat(MAX_CONTROL));
        for text in [
            "",
            "null",
            "{}",
            "[]",
            r#"{"type":"delete","name":"a"}"#,
            r#"{"type":"put"}"#,
            r#"{"type":"put","name":7}"#,
            "{\"type\":\"\u{9b}31m\"}",
            r#"{"type":"data","offset":-1}"#,
            r#"{"type":"data","offset":1.5}"#,
            r#"{"type":"data","offset":9007199254740992}"#,
            r#"{"type":"data","offset":0,"size":18446744073709551616}"#,
            r#"{"type":"end","size":0,"sha256":"E3"}"#,
            &deep,
            &long,
        ] {
            let problem = Control::parse(text).unwrap_err();
            assert!(!problem.contains(char::is_control), "{problem:?}");
        }
        assert!(Digest::try_from(SHA256.to_uppercase()).is_err());
        assert!(Digest::try_from("é".repeat(32)).is_err());
    }
}
