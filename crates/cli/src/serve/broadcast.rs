//! Broadcasting: each message goes to all other clients.
//!
//! What happens to a client that does not follow is for the command line to say. By default who sends waits for the others, so a fast
//! sender does not outrun them; a client that takes nothing for a while is let go, so that it does not stop the others.

use tokio::sync::watch;
use wsduo::{
    Broadcaster, CloseCode, Error, MessageReceiver, MessageWebSocket, Publication, SubscriptionControl,
    SubscriptionId, Transport,
};

/// All clients are subscribed to one topic.
const TOPIC: &str = "all";

/// All clients.
#[derive(Debug)]
pub(super) struct Hub(Broadcaster);

impl Hub {
    pub(super) fn new(control: SubscriptionControl) -> Self {
        Self(Broadcaster::with(control))
    }

    /// Serves one client until it goes, or is let go.
    pub(super) async fn serve(&self, socket: MessageWebSocket, mut stopping: watch::Receiver<()>) {
        // The name is a good one.
        let Ok(mut subscription) = self.0.subscribe(TOPIC) else { return };
        let id = subscription.id();
        let (receiver, sender) = socket.split();
        let sending = async {
            if sender.forward(&mut subscription).await.is_err() {
                // The receiver meets the same end, and sees the closing handshake through.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = self.receive(id, receiver) => {}
            // Let go, and closed.
            () = sending => {}
            _ = stopping.changed() => {
                let _ = sender.close(CloseCode::GOING_AWAY, "the server is shutting down").await;
            }
        }
    }

    /// Beside the sending: two clients may wait for each other.
    async fn receive(
        &self,
        id: SubscriptionId,
        mut receiver: MessageReceiver<Transport>,
    ) -> Result<(), Error> {
        while let Some(message) = receiver.receive().await? {
            self.0.publish(TOPIC, Publication::new(message).except(id)).await;
        }
        Ok(())
    }
}
