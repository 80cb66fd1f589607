//! A server that says over TCP what a test tells it to, and keeps what it was asked.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsduo_proto::handshake::key;

/// Agrees to a WebSocket.
pub(crate) const OPEN: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: {accept}\r\n\r\n";

/// What the server does once it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    /// Nothing: it keeps the connection and says no more.
    Keep,
    /// Sends for ever, as fast as it is read.
    Flood,
    /// Sends a byte every half a second, for ever.
    Drip,
}

/// Answers one request after the other, each on a connection of its own.
#[derive(Debug)]
pub(crate) struct HttpServer {
    /// `ws://127.0.0.1:PORT`, without a path.
    pub(crate) origin: String,
    answers: mpsc::UnboundedSender<(String, Then)>,
    heads: mpsc::UnboundedReceiver<String>,
    serving: JoinHandle<()>,
}

/// A refusal with a body of known length.
pub(crate) fn refusal(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A redirect to there.
pub(crate) fn redirect(location: &str) -> String {
    refusal("302 Found", &format!("Location: {location}\r\n"), "")
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

impl HttpServer {
    /// Answers with these in turn, and closes the connection unless it agreed.
    pub(crate) async fn answering(answers: &[String]) -> Self {
        let server = Self::silent().await;
        answers.iter().for_each(|answer| server.say(answer));
        server
    }

    /// Answers once, and goes on so.
    pub(crate) async fn answering_and_then(answer: String, then: Then) -> Self {
        let server = Self::silent().await;
        let _ = server.answers.send((answer, then));
        server
    }

    /// Answers nothing until it is told what.
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("ws://{}", listener.local_addr().unwrap());
        let (tell, heads) = mpsc::unbounded_channel();
        let (answers, mut to_answer) = mpsc::unbounded_channel::<(String, Then)>();
        let serving = tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // A client may change its mind.
                let Some(head) = request(&mut stream).await else { continue };
                let accept = header(&head, "sec-websocket-key").map(key::accept).unwrap_or_default();
                let _ = tell.send(head);
                let Some((answer, then)) = to_answer.recv().await else { return };
                let _ = stream.write_all(answer.replace("{accept}", &accept).as_bytes()).await;
                match then {
                    Then::Close => {}
                    Then::Keep => kept.push(stream),
                    Then::Flood => while stream.write_all(&[b'x'; 1000]).await.is_ok() {},
                    Then::Drip => {
                        while stream.write_all(b"x").await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(500)).await;
                        }
                    }
                }
            }
        });
        Self { origin, answers, heads, serving }
    }

    /// Answers the next request so.
    pub(crate) fn say(&self, answer: &str) {
        let then = if answer == OPEN { Then::Keep } else { Then::Close };
        let _ = self.answers.send((answer.to_owned(), then));
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The heads of the requests since this was last asked.
    pub(crate) fn take_heads(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heads.try_recv().ok()).collect()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The head of a request.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
