//! From the URI asked for to the connection that opened: redirects and authentication around [`connect`].

use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use url::Url;
use wsduo_proto::WebSocketUri;
use wsduo_proto::handshake::{HandshakeError, Refusal};

use super::connect::{self, Answer, Opened};
use super::handshake;
use super::patience::Patience;
use super::transport::{Reached, Transport};
use crate::control::Settings;
use crate::error::{Cause, Error, ErrorKind};
use crate::status::Failure;
use crate::tls::ClientTls;

/// Opens a connection, by way of whatever the settings allow.
pub(crate) async fn open(uri: WebSocketUri, settings: &Settings) -> Result<Opened, Error> {
    let patience = Patience::new(settings.connect_timeout, settings.total_timeout);
    arrive(Journey::new(uri, settings).go(patience).await?, patience).await
}

/// Opens a connection over a transport that leads to the server: there is no other way to go on to.
pub(crate) async fn open_over(
    reached: Reached,
    uri: &WebSocketUri,
    settings: &Settings,
) -> Result<Opened, Error> {
    let patience = Patience::new(settings.connect_timeout, settings.total_timeout);
    let end = match connect::open(reached, uri, settings, &settings.tls, &settings.headers, patience).await? {
        Answer::Opened(opened) => End::Opened(opened),
        Answer::Refused(refusal, transport) => End::Refused(refusal, transport, None),
    };
    arrive(end, patience).await
}

async fn arrive(end: End, patience: Patience) -> Result<Opened, Error> {
    let (mut refusal, mut transport, why) = match end {
        End::Opened(opened) => return Ok(opened),
        End::Refused(refusal, transport, why) => (refusal, transport, why),
    };
    // The status is told in any case, and as much of the body as there is time for.
    handshake::refusal_body(&mut refusal, &mut transport, patience.deadline()).await;
    Err(refused(refusal, why))
}

fn refused(refusal: Box<Refusal>, why: Option<Why>) -> Error {
    let cause = match why {
        None => Cause::Handshake(HandshakeError::Refused(refusal)),
        Some(Why { text, failure }) => Cause::Refused { refusal, why: text, failure },
    };
    Error::new(ErrorKind::Refused, cause)
}

/// Where a journey ends.
enum End {
    Opened(Opened),
    /// With the reason why it did not go on from there, if there is one beside the status.
    Refused(Box<Refusal>, Transport, Option<Why>),
}

/// Why a journey did not go on.
struct Why {
    text: String,
    /// What that is for Windows, where it is not the status.
    failure: Option<Failure>,
}

impl Why {
    /// A challenge was not answered: the status says what happened.
    fn unanswered(text: impl Into<String>) -> Self {
        Self { text: text.into(), failure: None }
    }

    /// A redirect was not followed.
    fn not_followed(text: impl Into<String>) -> Self {
        Self { text: text.into(), failure: Some(Failure::RedirectFailed) }
    }
}

/// Where we are on the way.
pub(crate) struct Journey<'a> {
    settings: &'a Settings,
    uri: WebSocketUri,
    /// That of the settings; without what is between us and the server of the URI once that was left.
    tls: ClientTls,
    /// Those of the settings, less what must not go to this server, and the answer to its challenge.
    headers: HeaderMap,
    redirects_left: u8,
    /// Whether a challenge of this URI would be answered: once.
    may_answer: bool,
    /// The server asked for was left behind, and what is secret with it.
    has_left: bool,
}

impl<'a> Journey<'a> {
    pub(crate) fn new(uri: WebSocketUri, settings: &'a Settings) -> Self {
        Self {
            settings,
            uri,
            tls: settings.tls.clone(),
            headers: settings.headers.clone(),
            redirects_left: settings.redirects,
            may_answer: settings.credential.is_some(),
            has_left: false,
        }
    }

    async fn go(mut self, patience: Patience) -> Result<End, Error> {
        loop {
            match connect::connect(&self.uri, self.settings, &self.tls, &self.headers, patience).await? {
                Answer::Opened(opened) => return Ok(End::Opened(opened)),
                Answer::Refused(refusal, transport) => {
                    if let Err(why) = self.take_next_step(&refusal) {
                        return Ok(End::Refused(refusal, transport, why));
                    }
                }
            }
        }
    }

    /// The requests to which these answers lead, and why it goes no further if that is so.
    #[cfg(feature = "__fuzzing")]
    pub(crate) fn steps(
        mut self,
        answers: impl IntoIterator<Item = Refusal>,
    ) -> (Vec<(WebSocketUri, HeaderMap)>, Option<Error>) {
        let mut requests = Vec::new();
        for answer in answers {
            if let Err(why) = self.take_next_step(&answer) {
                return (requests, Some(refused(Box::new(answer), why)));
            }
            requests.push((self.uri.clone(), self.headers.clone()));
        }
        (requests, None)
    }

    /// Goes where the refusal points.
    ///
    /// # Errors
    /// Nowhere, with the reason if there is one beside the status.
    fn take_next_step(&mut self, refusal: &Refusal) -> Result<(), Option<Why>> {
        match refusal.status {
            StatusCode::UNAUTHORIZED => self.answer_challenge(refusal),
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => self.follow(refusal),
            _ => Err(None),
        }
    }

    fn answer_challenge(&mut self, refusal: &Refusal) -> Result<(), Option<Why>> {
        let Some(credential) = &self.settings.credential else { return Err(None) };
        if self.has_left {
            return Err(Some(Why::unanswered(
                "a redirect led here, and the credential is for another server",
            )));
        }
        if !self.may_answer {
            return Err(Some(Why::unanswered("the credential was not accepted")));
        }
        let answer = credential.answer(&refusal.headers, &WWW_AUTHENTICATE, "GET", self.uri.resource_name());
        let answer = answer.map_err(|error| Some(Why::unanswered(error.to_string())))?;
        self.headers.insert(AUTHORIZATION, answer);
        self.may_answer = false;
        Ok(())
    }

    fn follow(&mut self, refusal: &Refusal) -> Result<(), Option<Why>> {
        if self.settings.redirects == 0 {
            return Err(None);
        }
        let Some(left) = self.redirects_left.checked_sub(1) else {
            let text = format!("{} redirects were followed, the limit", self.settings.redirects);
            return Err(Some(Why::not_followed(text)));
        };
        let location = refusal.headers.get(LOCATION);
        let location =
            location.ok_or_else(|| Some(Why::not_followed("the redirect does not say where to")))?;
        let next = resolve(&self.uri, location.as_bytes()).map_err(|why| Some(Why::not_followed(why)))?;
        if self.uri.is_secure() && !next.is_secure() {
            let text = "a redirect from wss to ws is not followed".into();
            return Err(Some(Why { text, failure: Some(Failure::ToInsecure) }));
        }
        if !self.has_left && origin(&next) == origin(&self.uri) {
            // Another resource may ask for another answer, or for none.
            if !self.may_answer && self.settings.credential.is_some() {
                self.headers.remove(AUTHORIZATION);
                self.headers.extend(
                    self.settings.headers.get(AUTHORIZATION).map(|value| (AUTHORIZATION, value.clone())),
                );
                self.may_answer = true;
            }
        } else {
            #[cfg(unix)]
            if self.settings.dialling.unix_socket.is_some() {
                let text = "a redirect away from the server behind a Unix socket is not followed";
                return Err(Some(Why::not_followed(text)));
            }
            self.has_left = true;
            self.tls = self.settings.tls.for_others();
            // As `append_header` marks them, and callers.
            let sensitive = self.headers.iter().filter(|(_, value)| value.is_sensitive());
            let sensitive: Vec<_> = sensitive.map(|(name, _)| name.clone()).collect();
            for name in sensitive {
                self.headers.remove(name);
            }
        }
        self.redirects_left = left;
        self.uri = next;
        Ok(())
    }
}

fn origin(uri: &WebSocketUri) -> (bool, &str, u16) {
    (uri.is_secure(), uri.host(), uri.port())
}

/// Where a `Location` points, seen from `base` (RFC 9110 §10.2.2).
///
/// # Errors
/// Why it is nowhere to go to. A secret in it is not told.
fn resolve(base: &WebSocketUri, location: &[u8]) -> Result<WebSocketUri, String> {
    let is_no_uri = |_| "the redirect does not lead to a URI".to_owned();
    let location = std::str::from_utf8(location).map_err(|_| "the redirect does not lead to a URI")?;
    let mut url = Url::parse(&base.to_string()).and_then(|base| base.join(location)).map_err(is_no_uri)?;
    // Servers that know nothing of WebSockets redirect to http.
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => {
            return Err(format!(
                "a redirect to {} is not followed; only ws, wss, http and https are",
                other.escape_debug()
            ));
        }
    };
    url.set_fragment(None);
    let Some((_, rest)) = url.as_str().split_once("://") else {
        return Err("the redirect leads to no host".into());
    };
    WebSocketUri::parse(&format!("{scheme}://{rest}"))
        .map_err(|error| format!("the redirect leads to no WebSocket: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn leads(base: &str, location: &str, expected: &str) {
        let next = resolve(&base.parse().unwrap(), location.as_bytes()).unwrap();
        assert_eq!(next.to_string(), expected, "{location}");
    }

    #[track_caller]
    fn leads_nowhere(location: impl AsRef<[u8]>, why: &str) {
        let error = resolve(&"ws://a.example/b/c".parse().unwrap(), location.as_ref()).unwrap_err();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("secret") && !error.contains(char::is_control), "{error}");
    }

    #[test]
    fn a_location_is_resolved_against_the_uri_it_came_from() {
        let base = "wss://a.example:8443/b/c?d=e";
        leads(base, "/x?y", "wss://a.example:8443/x?y");
        leads(base, "x", "wss://a.example:8443/b/x");
        leads(base, "../x", "wss://a.example:8443/x");
        leads(base, "?x", "wss://a.example:8443/b/c?x");
        leads(base, "//b.example/x", "wss://b.example/x");
        leads(base, "wss://B.example", "wss://b.example/");
        leads(base, "wss://[::1]:9/", "wss://[::1]:9/");
        leads(base, "", "wss://a.example:8443/b/c?d=e");
        leads(base, "/x#fragment", "wss://a.example:8443/x");
    }

    #[test]
    fn http_is_taken_for_the_websocket_scheme_that_corresponds_to_it() {
        leads("ws://a.example/", "https://a.example/x", "wss://a.example/x");
        leads("ws://a.example/", "HTTP://a.example:80/x", "ws://a.example/x");
        leads("ws://a.example/", "https://a.example:80/x", "wss://a.example:80/x");
        leads("ws://a.example/", "http://a.example:443/x", "ws://a.example:443/x");
    }

    #[test]
    fn a_redirect_to_anything_else_leads_nowhere() {
        leads_nowhere("file:///etc/passwd", "redirect to file is not followed");
        leads_nowhere("data:text/plain,secret", "redirect to data is not followed");
        leads_nowhere("javascript:secret", "redirect to javascript is not followed");
        leads_nowhere("ftp://a.example/", "redirect to ftp is not followed");
        leads_nowhere("ws://", "not lead to a URI");
        leads_nowhere("ws://a.example:99999/secret", "not lead to a URI");
        leads_nowhere("ws://user:secret@a.example/", "user name or password");
        leads_nowhere(b"\xff", "not lead to a URI");
    }
    proptest::proptest! {
        #[test]
        fn any_location_leads_somewhere_or_nowhere(
            location in "(ws|wss|http|https|file|)(:|://|//|/|)(a|[::1]|user:secret@a|)(:[0-9]{1,6}|)[/?#.]{0,3}\\PC{0,9}",
        ) {
            match resolve(&"ws://a.example/b".parse().unwrap(), location.as_bytes()) {
                Ok(next) => proptest::prop_assert_eq!(next.to_string().parse(), Ok(next)),
                Err(why) => {
                    proptest::prop_assert!(!why.contains("secret") && !why.contains(char::is_control), "{}", why);
                }
            }
        }
    }
}
