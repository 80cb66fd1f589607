//! The task of an open socket: it receives, tells the handlers, and closes.
//!
//! There is one for each connection, begun when it opens. It ends with the connection; once the last handle
//! is dropped, no later than the closing handshake.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use wsduo::{CloseCode, Closed, HResult, MessagePart, MessageReceiver, MessageSender, MessageWebSocket};

use crate::core::Core;
use crate::enums::MessageWebSocketReceiveMode;
use crate::error::Error;
use crate::events::{Received, WebSocketClosedEventArgs};
use crate::input::End;

/// A transport of any kind.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for T {}

/// What becomes of what arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    /// Messages go to handlers; pieces of them up to this size of the whole, if there is a limit.
    Messages(MessageWebSocketReceiveMode, Option<usize>),
    /// Bytes wait to be read.
    Bytes,
}

/// How receiving came to its end.
enum Outcome {
    /// Closed, by the peer.
    Closed,
    /// Failed of this; the code goes with it.
    Failed(Error, Option<CloseCode>),
    /// Closed, by us.
    Left(Option<Closed>),
}

/// Opens the socket: from here on it receives.
///
/// # Errors
/// [`Error::ABORT`] if it was closed meanwhile.
pub(crate) fn open<T: Transport>(
    core: &Arc<Core>,
    socket: MessageWebSocket<T>,
    delivery: Delivery,
) -> Result<(), Error> {
    let (receiver, sender) = socket.split();
    core.opened(Arc::new(sender.clone()))?;
    let unfinished = Unfinished { core: Some(Arc::clone(core)) };
    tokio::spawn(run(unfinished, Arc::clone(core), receiver, sender, delivery));
    Ok(())
}

async fn run<T: Transport>(
    mut unfinished: Unfinished,
    core: Arc<Core>,
    mut receiver: MessageReceiver<T>,
    sender: MessageSender<T>,
    delivery: Delivery,
) {
    let outcome = match delivery {
        Delivery::Messages(mode, limit) => messages(&core, &mut receiver, &sender, mode, limit).await,
        Delivery::Bytes => bytes(&core, &mut receiver, &sender).await,
    };
    let failure = match &outcome {
        Outcome::Failed(error, _) => Some(error.clone()),
        Outcome::Closed | Outcome::Left(_) => None,
    };
    let closed = receiver.closed();
    // The descriptor goes with these, before anybody is told.
    core.ended(failure.clone());
    drop((receiver, sender));

    core.input.end(match (&outcome, &failure) {
        (Outcome::Left(_), _) => End::Closed,
        (_, Some(failure)) => End::Failed(failure.clone()),
        _ => End::Clean,
    });
    if let Some(failure) = failure
        && let Delivery::Messages(..) = delivery
    {
        core.tell(core.received.raise(&core, &Received::error(failure))).await;
    }
    let args = match outcome {
        Outcome::Closed => told(closed),
        Outcome::Failed(_, code) => {
            let args = told(closed);
            WebSocketClosedEventArgs { code: code.map_or(args.code, CloseCode::number), ..args }
        }
        Outcome::Left(closed) => told(closed.filter(|closed| closed.clean)),
    };
    core.tell(core.closed.raise(&core, &args)).await;
    unfinished.core = None;
    core.forget_handlers();
}

/// The task, begun or not: should its runtime go, nobody may wait for the socket any more, and nothing may keep it.
struct Unfinished {
    core: Option<Arc<Core>>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            let error = Error::new(
                Error::ABORT,
                "the connection is gone: the runtime in which the socket connected was shut down",
            );
            core.ended(Some(error.clone()));
            core.input.end(End::Failed(error));
            core.forget_handlers();
        }
    }
}

fn told(closed: Option<Closed>) -> WebSocketClosedEventArgs {
    let (code, reason) = closed.map_or((CloseCode::ABNORMAL, String::new()), |it| (it.code, it.reason));
    WebSocketClosedEventArgs { code: code.number(), reason }
}

impl Core {
    /// Waits for handlers after the end, as long as there is a handle.
    async fn tell(&self, handling: impl Future<Output = bool>) {
        tokio::select! {
            biased;
            _ = handling => {}
            () = self.released_and_waited() => {}
        }
    }

    /// The last handle is gone, and who runs had some time more.
    async fn released_and_waited(&self) {
        self.released().await;
        tokio::time::sleep(AFTER_RELEASE).await;
    }
}

/// How long handlers may go on running once the connection is over and no handle is left.
const AFTER_RELEASE: std::time::Duration = std::time::Duration::from_secs(10);

async fn messages<T: Transport>(
    core: &Arc<Core>,
    receiver: &mut MessageReceiver<T>,
    sender: &MessageSender<T>,
    mode: MessageWebSocketReceiveMode,
    limit: Option<usize>,
) -> Outcome {
    let mut pieces = Pieces::default();
    loop {
        let part = tokio::select! {
            biased;
            (code, reason) = core.close_wished() => return leave(sender, code, &reason).await,
            part = next(receiver, mode) => part,
        };
        let part = match part {
            Ok(Some(part)) => part,
            Ok(None) => return Outcome::Closed,
            Err(error) => return Outcome::Failed(error.into(), None),
        };
        if let Some(limit) = limit
            && mode == MessageWebSocketReceiveMode::PartialMessage
            && pieces.exceed(&part, limit)
        {
            return too_large(sender, limit).await;
        }
        let received = Received::message(part.message_type, part.bytes, part.is_complete);
        let mut handling = pin!(core.received.raise(core, &received));
        let wish = tokio::select! {
            biased;
            _ = receiver.tend(handling.as_mut()) => None,
            wish = core.close_wished() => Some(wish),
        };
        if let Some((code, reason)) = wish {
            return leave_beside(core, sender, (code, &reason), handling).await;
        }
    }
}

/// The size of a message that comes in pieces.
#[derive(Default)]
struct Pieces {
    len: usize,
}

impl Pieces {
    fn exceed(&mut self, part: &MessagePart, limit: usize) -> bool {
        self.len += part.bytes.len();
        let exceeds = self.len > limit;
        if part.is_complete {
            self.len = 0;
        }
        exceeds
    }
}

async fn next<T: Transport>(
    receiver: &mut MessageReceiver<T>,
    mode: MessageWebSocketReceiveMode,
) -> Result<Option<MessagePart>, wsduo::Error> {
    if mode == MessageWebSocketReceiveMode::PartialMessage {
        return receiver.receive_part().await;
    }
    let message = receiver.receive().await?;
    Ok(message.map(|message| {
        let message_type = message.message_type();
        MessagePart { bytes: message.into_bytes(), message_type, is_complete: true }
    }))
}

async fn bytes<T: Transport>(
    core: &Arc<Core>,
    receiver: &mut MessageReceiver<T>,
    sender: &MessageSender<T>,
) -> Outcome {
    let mut mid_message = false;
    loop {
        let part = tokio::select! {
            biased;
            (code, reason) = core.close_wished() => return leave(sender, code, &reason).await,
            part = async {
                receiver.tend(core.input.room()).await;
                receiver.receive_part().await
            } => part,
        };
        match part {
            Ok(Some(part)) => {
                mid_message = !part.is_complete;
                core.input.push(part.bytes);
            }
            Ok(None) if mid_message => {
                // WININET_E_CONNECTION_ABORTED
                let code = HResult(0x8007_2EFE);
                let text = "the connection was closed in the middle of a message; what arrived is not all";
                return Outcome::Failed(Error::new(code, text), None);
            }
            Ok(None) => return Outcome::Closed,
            Err(error) => return Outcome::Failed(error.into(), None),
        }
    }
}

/// Closes the connection. No handler runs.
async fn leave<T: Transport>(sender: &MessageSender<T>, code: CloseCode, reason: &str) -> Outcome {
    Outcome::Left(sender.close(code, reason).await.ok())
}

/// Closes the connection while a handler runs, and waits for both; for the handler only while there is a
/// handle.
async fn leave_beside<T: Transport>(
    core: &Core,
    sender: &MessageSender<T>,
    (code, reason): (CloseCode, &str),
    handling: impl Future<Output = bool>,
) -> Outcome {
    let mut handling = pin!(handling);
    let mut closing = pin!(sender.close(code, reason));
    let closed = tokio::select! {
        biased;
        _ = &mut handling => return Outcome::Left(closing.await.ok()),
        closed = &mut closing => closed.ok(),
    };
    core.tell(handling).await;
    Outcome::Left(closed)
}

/// The message that comes in pieces is larger than it may be.
async fn too_large<T: Transport>(sender: &MessageSender<T>, limit: usize) -> Outcome {
    let text = format!("a message is larger than the {limit} bytes allowed; raise max_message_size");
    let _ = sender.close(CloseCode::TOO_BIG, &text).await;
    // WININET_E_INVALID_SERVER_RESPONSE, as a message received whole that is too large.
    Outcome::Failed(Error::new(HResult(0x8007_2F78), text), Some(CloseCode::TOO_BIG))
}
