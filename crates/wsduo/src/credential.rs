//! A user's name and password, and what is said with them to a server or a proxy.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};

/// A user's name and password. Its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    user: String,
    password: String,
}

impl Credential {
    /// A name and a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The answer to the challenges of a 401 or 407, as the value of `Authorization` or `Proxy-Authorization`.
    ///
    /// `challenge` names the header that holds them, `method` and `target` are those of the request to be repeated.
    ///
    /// # Errors
    /// None of the challenges is of a scheme known here, or the credential cannot be said in it.
    pub(crate) fn answer(
        &self,
        headers: &HeaderMap,
        challenge: &HeaderName,
        _method: &str,
        _target: &str,
    ) -> Result<HeaderValue, Error> {
        let is_basic = |value: &HeaderValue| {
            value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
        };
        if headers.get_all(challenge).iter().any(is_basic) {
            return self.basic();
        }
        Err(Error::text(ErrorKind::Refused, "the server asks for no scheme of authentication known here"))
    }

    /// The answer of the scheme Basic (RFC 7617).
    ///
    /// # Errors
    /// The user's name has a colon.
    pub(crate) fn basic(&self) -> Result<HeaderValue, Error> {
        if self.user.contains(':') {
            let text =
                format!("the user name {:?} has a colon, which Basic authentication cannot say", self.user);
            return Err(Error::text(ErrorKind::InvalidInput, text));
        }
        let encoded = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|error| {
            Error::source(ErrorKind::InvalidInput, "the credential fits no header", error)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}
