//! What all handles of one socket share: its settings, its handlers, its state and its connection.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use wsduo::{BoxFuture, Bytes, CloseCode, Message, MessageSender, MessageType, MessageWebSocketInformation};

use crate::error::Error;
use crate::events::{Received, WebSocketClosedEventArgs};
use crate::handlers::{EventToken, Handlers};
use crate::input::{End, Input};
use crate::platform::Platform;
use crate::server::Pending;
use crate::settings::Settings;
use crate::validation::WebSocketServerCustomValidationRequestedEventArgs;

/// Longest close reason in bytes: a control frame less the two bytes of the code (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) platform: Platform,
    pub(crate) received: Handlers<Received>,
    pub(crate) closed: Handlers<WebSocketClosedEventArgs>,
    pub(crate) validation: Handlers<WebSocketServerCustomValidationRequestedEventArgs>,
    pub(crate) input: Input,
    pub(crate) is_output_closed: AtomicBool,
    state: Mutex<State>,
    /// What the task that receives, or the one that connects, is wanted to do.
    wish: watch::Sender<Wish>,
    guard: Mutex<Weak<Guard>>,
}

/// What every handle owns: when the last is dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) core: Arc<Core>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// It was once told to connect: handlers are what they are.
    was_begun: bool,
    settings: Settings,
    connection: Option<Arc<dyn Sending>>,
    /// Why the connection ended, unless it was closed.
    failure: Option<Error>,
    /// What was last known of the connection.
    information: Option<MessageWebSocketInformation>,
    /// The type of the message that is sent in frames and not ended.
    in_frames: Option<MessageType>,
    /// The request of a client that waits to be accepted.
    pending: Option<Pending>,
    /// What failed the latest connect.
    refusal: Option<wsduo::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not connected, or not yet after a failure.
    Created,
    Connecting,
    Open,
    /// Closed on this side; the closing handshake may be under way.
    Closed,
    /// Closed by the peer, or failed.
    Ended,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) close: Option<(CloseCode, String)>,
    /// No handle is left: handlers that still run are not waited for.
    pub(crate) released: bool,
}

/// A connection that sends, of whatever transport.
pub(crate) trait Sending: Send + Sync {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), wsduo::Error>>;
    /// Queues a part: what comes behind it is done in the same poll.
    fn feed_part(
        &self,
        message_type: MessageType,
        bytes: Bytes,
        is_complete: bool,
    ) -> BoxFuture<'_, Result<(), wsduo::Error>>;
    fn flush(&self) -> BoxFuture<'_, Result<(), wsduo::Error>>;
    fn information(&self) -> MessageWebSocketInformation;
}

impl<T> Sending for MessageSender<T>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    fn send(&self, message: Message) -> BoxFuture<'_, Result<(), wsduo::Error>> {
        Box::pin(Self::send(self, message))
    }

    fn feed_part(
        &self,
        message_type: MessageType,
        bytes: Bytes,
        is_complete: bool,
    ) -> BoxFuture<'_, Result<(), wsduo::Error>> {
        Box::pin(async move { Self::feed_part(self, message_type, &bytes, is_complete).await })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), wsduo::Error>> {
        Box::pin(Self::flush(self))
    }

    fn information(&self) -> MessageWebSocketInformation {
        Self::information(self)
    }
}

impl fmt::Debug for dyn Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl Guard {
    /// The first handle of a new socket.
    pub(crate) fn new(platform: &Platform, settings: Settings) -> Arc<Self> {
        let core = Arc::new(Core {
            platform: platform.clone(),
            received: Handlers::default(),
            closed: Handlers::default(),
            validation: Handlers::default(),
            input: Input::default(),
            is_output_closed: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Created,
                was_begun: false,
                settings,
                connection: None,
                failure: None,
                information: None,
                in_frames: None,
                pending: None,
                refusal: None,
            }),
            wish: watch::Sender::new(Wish::default()),
            guard: Mutex::new(Weak::new()),
        });
        core.guard()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.core.release();
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle: that of the others while there are any, since handlers get one even when nobody else has one
    /// any more.
    pub(crate) fn guard(self: &Arc<Self>) -> Arc<Guard> {
        let mut known = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        known.upgrade().unwrap_or_else(|| {
            let guard = Arc::new(Guard { core: Arc::clone(self) });
            *known = Arc::downgrade(&guard);
            guard
        })
    }

    // Settings.

    pub(crate) fn read<R>(&self, read: impl FnOnce(&Settings) -> R) -> R {
        read(&self.state().settings)
    }

    /// Changes what may be changed at any time.
    pub(crate) fn write(&self, write: impl FnOnce(&mut Settings)) {
        write(&mut self.state().settings);
    }

    /// Changes what may be changed before connecting, and after it has failed.
    ///
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] at other times.
    pub(crate) fn set(&self, set: impl FnOnce(&mut Settings) -> Result<(), Error>) -> Result<(), Error> {
        let mut state = self.state();
        if state.phase != Phase::Created {
            let text = "this setting is fixed once the socket connects; set it before";
            return Err(Error::new(Error::ILLEGAL_METHOD_CALL, text));
        }
        set(&mut state.settings)
    }

    /// Changes what may be changed before connecting, and has no effect at other times.
    pub(crate) fn set_early(&self, set: impl FnOnce(&mut Settings)) {
        let mut state = self.state();
        if state.phase == Phase::Created {
            set(&mut state.settings);
        }
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket was told to connect.
    pub(crate) fn check_handlers_may_change(&self) -> Result<(), Error> {
        if self.state().was_begun {
            let text = "handlers are added and removed before the socket connects";
            return Err(Error::new(Error::ILLEGAL_METHOD_CALL, text));
        }
        Ok(())
    }

    // State.

    /// What was last known of the connection; `None` before there was one.
    pub(crate) fn information(&self) -> Option<MessageWebSocketInformation> {
        let state = self.state();
        match &state.connection {
            Some(connection) => Some(connection.information()),
            None => state.information.clone(),
        }
    }

    /// Why the latest connect failed.
    pub(crate) fn refusal(&self) -> Option<wsduo::Error> {
        self.state().refusal.clone()
    }

    /// # Errors
    /// [`Error::CLOSED`] if the socket was closed, [`Error::ILLEGAL_METHOD_CALL`] if it connects or has been
    /// connected.
    pub(crate) fn begin(&self) -> Result<Settings, Error> {
        let mut state = self.state();
        let text = match state.phase {
            Phase::Created => {
                state.phase = Phase::Connecting;
                state.was_begun = true;
                state.refusal = None;
                return Ok(state.settings.clone());
            }
            Phase::Closed => return Err(closed()),
            Phase::Connecting => "the socket is connecting already",
            Phase::Open | Phase::Ended => "a socket connects once; make a new one to connect again",
        };
        Err(Error::new(Error::ILLEGAL_METHOD_CALL, text))
    }

    /// Connecting came to nothing: it may be tried again, unless the socket was closed meanwhile.
    pub(crate) fn failed(&self, refusal: Option<wsduo::Error>) {
        let is_closed = {
            let mut state = self.state();
            if state.phase == Phase::Connecting {
                state.phase = Phase::Created;
            }
            state.refusal = refusal;
            state.phase == Phase::Closed
        };
        if is_closed {
            self.never_opened();
        }
    }

    /// # Errors
    /// [`Error::ABORT`] if the socket was closed meanwhile.
    pub(crate) fn opened(&self, connection: Arc<dyn Sending>) -> Result<(), Error> {
        let mut state = self.state();
        if state.phase != Phase::Connecting {
            return Err(aborted());
        }
        state.phase = Phase::Open;
        state.connection = Some(connection);
        Ok(())
    }

    /// The connection is over.
    pub(crate) fn ended(&self, failure: Option<Error>) {
        let connection = {
            let mut state = self.state();
            if state.phase == Phase::Open {
                state.phase = Phase::Ended;
                state.failure = failure;
            }
            let connection = state.connection.take();
            if let Some(connection) = &connection {
                state.information = Some(connection.information());
            }
            connection
        };
        drop(connection);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] before the socket was connected.
    pub(crate) fn check_was_opened(&self) -> Result<(), Error> {
        match self.phase() {
            Phase::Created | Phase::Connecting => Err(too_early()),
            Phase::Open | Phase::Closed | Phase::Ended => Ok(()),
        }
    }

    /// The connection, to send on.
    ///
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] before the socket was connected, [`Error::CLOSED`] after it was closed,
    /// by whomever, or what the connection failed of.
    pub(crate) fn sending(&self) -> Result<Arc<dyn Sending>, Error> {
        let state = self.state();
        match (state.phase, &state.connection, &state.failure) {
            (Phase::Created | Phase::Connecting, ..) => Err(too_early()),
            (Phase::Open, Some(connection), _) => Ok(Arc::clone(connection)),
            (Phase::Ended, _, Some(failure)) => Err(failure.clone()),
            _ => Err(closed()),
        }
    }

    pub(crate) fn set_pending(&self, pending: Pending) {
        self.state().pending = Some(pending);
    }

    pub(crate) fn take_pending(&self) -> Option<Pending> {
        self.state().pending.take()
    }

    /// The type of the message that is sent in frames and not ended.
    pub(crate) fn in_frames(&self) -> Option<MessageType> {
        self.state().in_frames
    }

    pub(crate) fn set_in_frames(&self, message_type: Option<MessageType>) {
        self.state().in_frames = message_type;
    }

    // Closing.

    /// Closes the socket on this side.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for a code that may not be sent or a reason that is too long, whatever the
    /// state.
    pub(crate) fn close(&self, code: u16, reason: &str) -> Result<(), Error> {
        let code = CloseCode::new(code);
        if !code.is_sendable() && (code != CloseCode::NO_STATUS || !reason.is_empty()) {
            let text = format!(
                "the close code {code} may not be sent; 1000 to 1003, 1007 to 1014 and 3000 to 4999 may, and 1005 without a reason"
            );
            return Err(Error::new(Error::INVALID_ARGUMENT, text));
        }
        if reason.len() > MAX_REASON {
            let text =
                format!("the close reason has {} bytes; a close frame holds {MAX_REASON}", reason.len());
            return Err(Error::new(Error::INVALID_ARGUMENT, text));
        }
        if self.leave() {
            self.wish.send_modify(|wish| wish.close = Some((code, reason.to_owned())));
        }
        Ok(())
    }

    /// Whether the closing was begun by this.
    fn leave(&self) -> bool {
        let before = {
            let mut state = self.state();
            let before = state.phase;
            if before != Phase::Ended {
                state.phase = Phase::Closed;
            }
            state.was_begun = true;
            before
        };
        match before {
            Phase::Created => {
                drop(self.take_pending());
                self.never_opened();
            }
            // Whoever reads does not wait for the closing handshake.
            Phase::Connecting | Phase::Open => self.input.end(End::Closed),
            Phase::Closed | Phase::Ended => {}
        }
        matches!(before, Phase::Connecting | Phase::Open)
    }

    /// It was closed before it was open: nobody will be told anything.
    pub(crate) fn never_opened(&self) {
        self.input.end(End::Closed);
        self.forget_handlers();
    }

    /// The last handle is gone.
    fn release(&self) {
        let closes = self.leave();
        self.wish.send_modify(|wish| {
            wish.released = true;
            if closes {
                wish.close = Some((CloseCode::NO_STATUS, String::new()));
            }
        });
    }

    /// Waits until the socket is wanted to be closed.
    pub(crate) async fn close_wished(&self) -> (CloseCode, String) {
        let mut wishes = self.wish.subscribe();
        let wish = wishes.wait_for(|wish| wish.close.is_some()).await.map(|wish| wish.close.clone());
        // The sender is `self`, so there is one.
        wish.ok().flatten().unwrap_or((CloseCode::NO_STATUS, String::new()))
    }

    /// Waits until no handle is left.
    pub(crate) async fn released(&self) {
        let _ = self.wish.subscribe().wait_for(|wish| wish.released).await;
    }

    pub(crate) fn forget_handlers(&self) {
        self.received.clear();
        self.closed.clear();
        self.validation.clear();
    }

    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket was told to connect.
    pub(crate) fn remove<A: Clone>(&self, handlers: &Handlers<A>, token: EventToken) -> Result<(), Error> {
        self.check_handlers_may_change()?;
        handlers.remove(token)
    }

    pub(crate) fn is_output_closed(&self) -> bool {
        self.is_output_closed.load(Ordering::Acquire)
    }
}

pub(crate) fn closed() -> Error {
    Error::new(Error::CLOSED, "the socket is closed")
}

pub(crate) fn aborted() -> Error {
    Error::new(Error::ABORT, "connecting was cancelled: the socket was closed")
}

/// # Errors
/// [`Error::ILLEGAL_METHOD_CALL`] outside of a tokio runtime, where neither timers nor tasks can be had.
pub(crate) fn check_runtime() -> Result<(), Error> {
    if tokio::runtime::Handle::try_current().is_err() {
        let text = "there is no tokio runtime here; connect and accept in a task of one, or in its block_on";
        return Err(Error::new(Error::ILLEGAL_METHOD_CALL, text));
    }
    Ok(())
}

fn too_early() -> Error {
    Error::new(Error::ILLEGAL_METHOD_CALL, "the socket is not connected yet; connect first")
}
