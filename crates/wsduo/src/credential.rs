//! A user's name and password, and what is said with them to a server or a proxy.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_auth::digest::Algorithm;
use http_auth::{ChallengeParser, ChallengeRef, DigestClient, PasswordParams};

use crate::error::{Error, ErrorKind};

/// A user's name and password, for HTTP authentication. Its `Debug` does not show the password.
///
/// It answers challenges of the schemes Digest (RFC 7616; SHA-512-256, SHA-256 and MD5) and Basic (RFC 7617), of several
/// the strongest. It is not sent before it is asked for. Basic says the password openly: to anyone between, without TLS.
///
/// # Examples
/// ```no_run
/// use wsduo::{Credential, MessageWebSocketControl};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let control = MessageWebSocketControl::new().credential(Credential::new("ada", "secret"));
/// let socket = control.connect("wss://example.org/chat").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    user: String,
    password: String,
}

/// A challenge that can be answered.
enum Challenge {
    Basic,
    Digest(DigestClient),
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
        method: &str,
        target: &str,
    ) -> Result<HeaderValue, Error> {
        match strongest(headers, challenge) {
            Some(Challenge::Digest(digest)) => self.digest(digest, method, target),
            Some(Challenge::Basic) => self.basic(),
            None => Err(Error::text(
                ErrorKind::Refused,
                "no scheme of authentication known here is asked for; Basic and Digest are known",
            )),
        }
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
        header_value(&format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password))))
    }

    /// The answer of the scheme Digest (RFC 7616), with a nonce of our own.
    fn digest(&self, mut digest: DigestClient, method: &str, target: &str) -> Result<HeaderValue, Error> {
        let params = PasswordParams {
            username: &self.user,
            password: &self.password,
            uri: target,
            method,
            body: None,
        };
        // Where the body has to be vouched for as well (`auth-int`): it is empty.
        let answer = digest
            .respond(&params)
            .or_else(|_| digest.respond(&PasswordParams { body: Some(b""), ..params }))
            .map_err(|_| Error::text(ErrorKind::Refused, "the Digest challenge cannot be answered"))?;
        header_value(&answer)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The strongest of the challenges that can be answered, and of equals the first (RFC 9110 §11.6.1).
fn strongest(headers: &HeaderMap, name: &HeaderName) -> Option<Challenge> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    // What does not follow the grammar ends its header, not the search.
    let challenges = values.flat_map(|value| ChallengeParser::new(value).map_while(Result::ok));
    let ranked = challenges.filter_map(|challenge| rank(&challenge));
    ranked.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, challenge)| challenge)
}

fn rank(challenge: &ChallengeRef<'_>) -> Option<(u8, Challenge)> {
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        return Some((0, Challenge::Basic));
    }
    let digest = DigestClient::try_from(challenge).ok()?;
    let rank = match digest.algorithm() {
        Algorithm::Md5 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512Trunc256 => 3,
        _ => return None,
    };
    Some((rank, Challenge::Digest(digest)))
}

fn header_value(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text)
        .map_err(|error| Error::source(ErrorKind::InvalidInput, "the credential fits no header", error))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    proptest::proptest! {
        #[test]
        fn any_challenge_is_answered_or_refused(
            scheme in "(Digest |digest |Basic |Negotiate |)",
            params in proptest::collection::vec(
                "(realm=|nonce=|qop=|algorithm=|opaque=|stale=|userhash=|charset=|,| |)\"?(auth|auth-int|MD5|SHA-256|true|[ -~]{0,9})\"?",
                0..8,
            ),
            user in "\\PC{0,9}",
        ) {
            let mut headers = HeaderMap::new();
            let value = format!("{scheme}{}", params.join(", "));
            headers.insert(WWW_AUTHENTICATE, HeaderValue::try_from(value).unwrap());
            let credential = Credential::new(user, "sesame");
            match credential.answer(&headers, &WWW_AUTHENTICATE, "GET", "/") {
                Ok(answer) => proptest::prop_assert!(answer.is_sensitive()),
                Err(error) => proptest::prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }
    }
}
