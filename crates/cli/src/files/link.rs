//! A connection that speaks `wsduo.files.v1`: says and hears its messages, and is tended while something else is done.

use std::time::Duration;

use tokio::task::JoinError;
use wsduo::{
    Bytes, CloseCode, Closed, Error, Message, MessageReceiver, MessageSender, MessageWebSocket,
    MessageWebSocketControl, Transport,
};

use super::protocol::{Control, MAX_MESSAGE};
use super::trouble::Trouble;

/// How long a peer may take nothing, or leave a ping unanswered: long enough for a disk that is in trouble, or for whoever
/// looks at the beginning of what comes out of a pipe.
const PATIENCE: Duration = Duration::from_secs(60);

/// How soon a silent peer is asked whether it is there: until it is given up, its file cannot be resumed.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long the peer is given to take our last words.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of every connection.
pub(crate) fn control(control: MessageWebSocketControl) -> MessageWebSocketControl {
    control
        .max_message_size(MAX_MESSAGE)
        .keepalive(KEEPALIVE)
        .receive_timeout(PATIENCE)
        .send_timeout(PATIENCE)
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Any text message but an error.
    Control(Control),
    Bytes(Bytes),
}

impl Heard {
    /// It was not what had to come.
    pub(crate) fn unexpected(&self, wanted: &str) -> Trouble {
        match self {
            Self::Control(control) => Trouble::unexpected(control.kind(), wanted),
            Self::Bytes(_) => Trouble::unexpected("a binary message", wanted),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    receiver: MessageReceiver<Transport>,
    sender: MessageSender<Transport>,
    stage: Stage,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Idle,
    /// There is a request: what goes wrong now is the answer.
    Asked,
    /// After `data` and before `done`: what goes wrong now ends the connection.
    Data,
}

impl Link {
    pub(crate) fn new(socket: MessageWebSocket) -> Self {
        let (receiver, sender) = socket.split();
        Self { receiver, sender, stage: Stage::Idle }
    }

    /// For sending and closing beside what the link does.
    pub(crate) fn sender(&self) -> MessageSender<Transport> {
        self.sender.clone()
    }

    /// A request has come so far.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Says something.
    pub(crate) async fn say(&mut self, control: &Control) -> Result<(), Trouble> {
        self.sender.send(control.to_text()).await.map_err(Trouble::Lost)
    }

    /// Queues something that is followed by more.
    pub(crate) async fn queue(&mut self, control: &Control) -> Result<(), Trouble> {
        self.sender.feed(control.to_text()).await.map_err(Trouble::Lost)
    }

    /// Waits for the next message; `None` if the connection was closed.
    ///
    /// # Errors
    /// An `error` of the peer is one.
    pub(crate) async fn next(&mut self) -> Result<Option<Heard>, Trouble> {
        match self.receiver.receive().await.map_err(Trouble::Lost)? {
            Some(Message::Binary(bytes)) => Ok(Some(Heard::Bytes(bytes))),
            Some(Message::Text(text)) => match Control::parse(&text).map_err(Trouble::Broken)? {
                Control::Error { code, message } => Err(Trouble::Told(code, message)),
                control => Ok(Some(Heard::Control(control))),
            },
            None => Ok(None),
        }
    }

    /// Waits for the next message, which has to come.
    pub(crate) async fn hear(&mut self) -> Result<Heard, Trouble> {
        match self.next().await? {
            Some(heard) => Ok(heard),
            None => Err(self.receiver.closed().map_or_else(
                || Trouble::Broken("the connection ended without a reason".into()),
                Trouble::Closed,
            )),
        }
    }

    /// Does something while nothing but an error may come. Pings are answered meanwhile.
    pub(crate) async fn tend<R>(
        &mut self,
        work: impl Future<Output = Result<R, Trouble>>,
    ) -> Result<R, Trouble> {
        let result = tokio::select! {
            biased;
            result = work => result,
            heard = self.hear() => return Err(match heard {
                Ok(heard) => heard.unexpected("nothing"),
                Err(trouble) => trouble,
            }),
        };
        match result {
            // The peer may have said why before it went.
            Err(Trouble::Lost(error)) => Err(self.last_words().await.unwrap_or(Trouble::Lost(error))),
            result => result,
        }
    }

    /// [`tend`](Self::tend) for what blocks.
    pub(crate) async fn tend_blocking<R: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> Result<R, Trouble> + Send + 'static,
    ) -> Result<R, Trouble> {
        self.tend(joined(tokio::task::spawn_blocking(work))).await
    }

    async fn last_words(&mut self) -> Option<Trouble> {
        loop {
            if let Err(trouble) = self.hear().await {
                return Some(trouble).filter(|trouble| !matches!(trouble, Trouble::Lost(_)));
            }
        }
    }

    /// Tells the peer what went wrong, and closes the connection unless it can go on: whether it can.
    pub(crate) async fn fail(&mut self, trouble: &Trouble) -> bool {
        let is_end = self.stage == Stage::Data || trouble.ends_connection();
        // Where nothing was asked, what went wrong here is no concern of the peer.
        let concerns_peer = is_end || self.stage == Stage::Asked;
        self.stage = Stage::Idle;
        let telling = async {
            if let Some(control) = trouble.to_tell().filter(|_| concerns_peer) {
                self.sender.send(control.to_text()).await?;
            }
            if is_end {
                self.sender.close(trouble.close_code(), "").await?;
            }
            Ok::<_, Error>(())
        };
        let told = matches!(tokio::time::timeout(LEAVE_TIMEOUT, telling).await, Ok(Ok(())));
        told && !is_end
    }

    /// Takes leave.
    ///
    /// # Errors
    /// If the connection failed.
    pub(crate) async fn close(&mut self) -> Result<Closed, Trouble> {
        self.sender.close(CloseCode::NORMAL, "").await.map_err(Trouble::Lost)
    }
}

/// Waits for a thread, of which a handle or a reference to one is given.
pub(crate) async fn joined<R>(
    work: impl Future<Output = Result<Result<R, Trouble>, JoinError>>,
) -> Result<R, Trouble> {
    match work.await {
        Ok(result) => result,
        Err(error) => Err(Trouble::System("cannot go on".into(), error.into())),
    }
}
