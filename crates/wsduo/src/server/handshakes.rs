//! The opening handshakes of a listener: how many are under way, and of whom, so that nobody who says nothing keeps out
//! everybody.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::registry::network;

/// All opening handshakes of a listener.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// What is left of the most there may be.
    slots: Arc<Semaphore>,
    per_address: usize,
    /// How many there are of each address, those included that end with a refusal on its way.
    under_way: Mutex<HashMap<IpAddr, usize>>,
}

/// One opening handshake's place among those of its listener, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    handshakes: Arc<Handshakes>,
    permit: Option<OwnedSemaphorePermit>,
    /// Whom it counts for.
    address: Option<IpAddr>,
}

impl Handshakes {
    pub(super) fn new(handshakes: usize, per_address: usize) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(handshakes));
        Arc::new(Self { slots, per_address, under_way: Mutex::default() })
    }

    /// Waits until another handshake may begin.
    pub(super) async fn slot(self: &Arc<Self>) -> Slot {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        Slot { handshakes: Arc::clone(self), permit, address: None }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Counts the handshake for this address. `false` if there are as many of it as may be.
    pub(super) fn claim(&mut self, address: IpAddr) -> bool {
        if self.address.is_some() {
            return true;
        }
        let address = network(address);
        let mut under_way = self.handshakes.under_way();
        let count = under_way.entry(address).or_default();
        if *count >= self.handshakes.per_address {
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }

    /// Most handshakes of one address.
    pub(super) fn per_address(&self) -> usize {
        self.handshakes.per_address
    }

    /// Lets another handshake begin, since this one is decided. Until its end it counts for its address, and so there is an
    /// end to the refusals that one address has us hold.
    pub(super) fn release(&mut self) {
        self.permit = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut under_way = self.handshakes.under_way();
        if let Some(count) = under_way.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_has_its_share_until_its_handshakes_are_over() {
        let handshakes = Handshakes::new(4, 1);
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let mut first = handshakes.slot().await;
        let mut second = handshakes.slot().await;
        assert!(first.claim(one) && first.claim(one), "counted once, however often it asks");
        // A /64 is one address, and one of another site has a share of its own.
        assert!(!second.claim("2001:db8::2".parse().unwrap()));
        assert!(second.claim("2001:db8:0:1::1".parse().unwrap()));
        let mut third = handshakes.slot().await;
        first.release();
        assert_eq!(handshakes.slots.available_permits(), 2);
        assert!(!third.claim(one), "a refusal on its way counts");
        drop(first);
        assert!(third.claim(one));
        drop((second, third));
        assert!(handshakes.under_way().is_empty());
        assert_eq!(handshakes.slots.available_permits(), 4);
    }
}
