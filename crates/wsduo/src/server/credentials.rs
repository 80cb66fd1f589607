//! Who a client says it is, and how it is told that it may not enter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq;

use crate::control::append_header;
use crate::error::Error;

/// An answer that refuses a request: a status, headers and a text.
///
/// # Examples
/// ```
/// use wsduo::Denial;
/// use wsduo::http::StatusCode;
///
/// let denial = Denial::new(StatusCode::UNAUTHORIZED)
///     .header("www-authenticate", "Bearer")
///     .body("a token is needed\n");
/// ```
#[derive(Clone, Debug)]
pub struct Denial {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    pub(super) invalid: Option<Error>,
}

impl Denial {
    /// With the words of the status as its text. One that is not for refusals, below 300, is sent as 500.
    pub fn new(status: StatusCode) -> Self {
        let status = if status.as_u16() < 300 { StatusCode::INTERNAL_SERVER_ERROR } else { status };
        let body = format!("{}\n", status.canonical_reason().unwrap_or("refused"));
        Self { status, headers: HeaderMap::new(), body, invalid: None }
    }

    /// Adds a header. One that cannot be sent is reported when the denial is.
    #[must_use]
    pub fn header(mut self, name: impl TryInto<HeaderName>, value: impl TryInto<HeaderValue>) -> Self {
        if let Err(error) = append_header(&mut self.headers, name, value) {
            self.invalid.get_or_insert(error);
        }
        self
    }

    /// The text, which is plain unless there is a `Content-Type` among the headers.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }
}

impl From<StatusCode> for Denial {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

/// Whether two secrets are the same, in a time that does not tell how much of them is: for passwords and tokens that clients
/// present. It may tell whether they are of the same length.
///
/// # Examples
/// ```
/// assert!(wsduo::is_same_secret("sesame", b"sesame"));
/// assert!(!wsduo::is_same_secret("sesame", "sesamE"));
/// ```
pub fn is_same_secret(presented: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> bool {
    presented.as_ref().ct_eq(expected.as_ref()).into()
}

/// The token of `Authorization: Bearer …` (RFC 6750).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "bearer")
}

/// User and password of `Authorization: Basic …` (RFC 7617).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let bytes = BASE64.decode(authorization(headers, "basic")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (found, credentials) = values.next()?.to_str().ok()?.split_once(' ')?;
    // With two of them, something in front of us may have looked at the other.
    let is_it = values.next().is_none() && found.eq_ignore_ascii_case(scheme);
    is_it.then(|| credentials.trim_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_by_their_scheme() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            headers
        };
        assert_eq!(bearer(&with(&["bearer  a.b"])), Some("a.b"));
        assert_eq!(bearer(&with(&["Basic YTpi"])), None);
        assert_eq!(bearer(&with(&["Bearer a", "Bearer b"])), None);
        assert_eq!(bearer(&with(&[])), None);
        assert_eq!(basic(&with(&["Basic YTpiOmM="])), Some(("a".into(), "b:c".into())));
        for malformed in ["Basic", "Basic !", "Basic YQ==", "Basic /w=="] {
            assert_eq!(basic(&with(&[malformed])), None);
        }
    }
}
