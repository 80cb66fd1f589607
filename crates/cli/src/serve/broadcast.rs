//! Broadcasting: each message goes to all other clients.
//!
//! Every client has a queue, bounded in bytes. Who sends waits for the queues of the others, so a fast sender does not
//! outrun them; a client that takes nothing for [`PATIENCE`] is let go, so that it does not stop the others.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use wsduo::{CloseCode, Error, MessageReceiver, MessageSender, MessageWebSocket, PreparedMessage, Transport};

/// What may wait in the queue of one client, in bytes. A larger message waits until the queue is empty.
const QUEUE: usize = 1 << 20;

/// What keeping a message costs beside its bytes, so that empty ones are not free.
const KEPT: usize = 64;

/// How long a full queue is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Clients>);

#[derive(Debug, Default)]
struct Clients {
    next: u64,
    queues: HashMap<u64, Queue>,
}

/// The end of a client's queue that others write to.
#[derive(Clone, Debug)]
struct Queue {
    messages: mpsc::UnboundedSender<Queued>,
    /// A permit for each byte there is room for.
    room: Arc<Semaphore>,
    /// Tells the client's own task that it is let go, whatever that is waiting for.
    let_go: Arc<Notify>,
}

#[derive(Debug)]
struct Queued {
    message: PreparedMessage,
    /// Given back once the message is the socket's.
    room: OwnedSemaphorePermit,
}

impl Hub {
    /// Serves one client until it goes, or is let go.
    pub(super) async fn serve(&self, socket: MessageWebSocket, mut stopping: watch::Receiver<()>) {
        let (messages, queued) = mpsc::unbounded_channel();
        let let_go = Arc::new(Notify::new());
        let room = Arc::new(Semaphore::new(QUEUE));
        let id = self.join(Queue { messages, room, let_go: Arc::clone(&let_go) });
        let (receiver, sender) = socket.split();
        let (code, reason) = tokio::select! {
            _ = self.receive(id, receiver) => return self.leave(id),
            never = write(&sender, queued) => match never {},
            () = let_go.notified() => (CloseCode::TRY_AGAIN_LATER, "too slow to follow"),
            _ = stopping.changed() => (CloseCode::GOING_AWAY, "the server is shutting down"),
        };
        self.leave(id);
        let _ = sender.close(code, reason).await;
    }

    async fn receive(&self, id: u64, mut receiver: MessageReceiver<Transport>) -> Result<(), Error> {
        while let Some(message) = receiver.receive().await? {
            // Compressed once for all, where that was agreed on.
            let message = PreparedMessage::new(message);
            // One for all, or those who are stuck would be waited for one after the other.
            let deadline = Instant::now() + PATIENCE;
            for (other, queue) in self.others(id) {
                if !queue.push(&message, deadline).await {
                    self.leave(other);
                    queue.let_go.notify_one();
                }
            }
        }
        Ok(())
    }

    fn join(&self, queue: Queue) -> u64 {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.next += 1;
        let id = clients.next;
        clients.queues.insert(id, queue);
        id
    }

    fn leave(&self, id: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).queues.remove(&id);
    }

    fn others(&self, id: u64) -> Vec<(u64, Queue)> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .queues
            .iter()
            .filter(|(other, _)| **other != id)
            .map(|(id, queue)| (*id, queue.clone()))
            .collect()
    }
}

impl Queue {
    /// Queues a message, if there is room before the deadline. Whether the client is still with us.
    async fn push(&self, message: &PreparedMessage, deadline: Instant) -> bool {
        let size = u32::try_from((message.as_bytes().len() + KEPT).min(QUEUE)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(size);
        let Ok(Ok(room)) = tokio::time::timeout_at(deadline, room).await else { return false };
        self.messages.send(Queued { message: message.clone(), room }).is_ok()
    }
}

/// Writes what others queue, for as long as there is somebody to write to.
async fn write(sender: &MessageSender<Transport>, mut queue: mpsc::UnboundedReceiver<Queued>) -> Infallible {
    while let Some(Queued { message, room }) = queue.recv().await {
        let mut written = sender.feed(&message).await;
        drop(room);
        // What was queued together leaves together.
        if written.is_ok() && queue.is_empty() {
            written = sender.flush().await;
        }
        if written.is_err() {
            break;
        }
    }
    // The receiver meets the same end, and sees the closing handshake through; or the client is about to be let go.
    std::future::pending().await
}
