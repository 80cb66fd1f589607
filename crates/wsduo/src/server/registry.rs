//! The connections of a listener: how many there are, of whom, and how all of them are told that the server ends.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How long tasks are given to notice that their connections were cut.
const CUT_TIME: Duration = Duration::from_millis(100);

/// What a server that ends asks of its connections. The later ones are the stronger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// To close.
    Close,
    /// To end at once.
    Drop,
}

/// All connections of a listener, from being accepted until the socket is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    /// [`Call`] as a number, from 1; zero while the server goes on.
    call: AtomicU8,
    /// What is left of the most connections there may be.
    slots: Semaphore,
    per_address: Option<usize>,
    seats: Mutex<Seats>,
    /// Somebody was called, or left after that.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    /// Whom to wake for each connection. A word or two for each, rather than an allocation.
    wakers: Slab<Waker>,
    /// How many connections there are of each address. Empty unless they are limited, and no longer than `wakers`.
    open: HashMap<IpAddr, usize>,
    /// Which address a connection counts for.
    addresses: HashMap<u32, IpAddr>,
}

/// One connection's place among those of its listener, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    registry: Arc<Registry>,
    index: u32,
    /// The call that was answered last, as a number.
    heeded: u8,
}

impl Registry {
    pub(crate) fn new(connections: usize, per_address: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            call: AtomicU8::new(0),
            slots: Semaphore::new(connections),
            per_address,
            seats: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Waits until there is room for another connection.
    pub(crate) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.slots.acquire().await.ok()
    }

    /// The place of a connection that has come.
    pub(crate) fn seat(self: &Arc<Self>, slot: Option<SemaphorePermit<'_>>) -> Seat {
        // Given back by the seat.
        slot.into_iter().for_each(SemaphorePermit::forget);
        self.sit()
    }

    /// A place for another connection, if there is one.
    #[cfg(feature = "hyper")]
    pub(crate) fn try_seat(self: &Arc<Self>) -> Option<Seat> {
        self.slots.try_acquire().ok()?.forget();
        Some(self.sit())
    }

    fn sit(self: &Arc<Self>) -> Seat {
        let index = self.seats().wakers.insert(Waker::noop().clone());
        Seat { registry: Arc::clone(self), index: u32::try_from(index).unwrap_or(u32::MAX), heeded: 0 }
    }

    pub(crate) fn open(&self) -> usize {
        self.seats().wakers.len()
    }

    /// Tells all connections.
    pub(crate) fn call(&self, call: Call) {
        self.call.fetch_max(call as u8 + 1, Ordering::AcqRel);
        // Woken without the lock: a waker may run anything, and what it drops may have a seat.
        let wakers: Vec<Waker> = self.seats().wakers.iter().map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
    }

    /// Has all connections close and waits for them, then ends those that are left, and returns how many that were.
    pub(crate) async fn shutdown(&self, patience: Duration) -> usize {
        self.call(Call::Close);
        if tokio::time::timeout(patience, self.empty()).await.is_ok() {
            return 0;
        }
        let left = self.open();
        self.call(Call::Drop);
        let _ = tokio::time::timeout(CUT_TIME, self.empty()).await;
        left
    }

    /// Waits until connections are asked to close.
    pub(crate) async fn called(&self) {
        self.until(|| self.call.load(Ordering::Acquire) > 0).await;
    }

    /// Waits until no connection is left.
    pub(crate) async fn empty(&self) {
        self.until(|| self.open() == 0).await;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition() {
                return;
            }
            changed.await;
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the connection for this address. `false` if there are as many of it as may be.
    pub(crate) fn claim(&self, address: IpAddr) -> bool {
        let Some(limit) = self.registry.per_address else { return true };
        let address = network(address);
        let mut seats = self.registry.seats();
        if seats.addresses.contains_key(&self.index) {
            return true;
        }
        let open = seats.open.entry(address).or_default();
        if *open >= limit {
            return false;
        }
        *open += 1;
        seats.addresses.insert(self.index, address);
        true
    }

    /// Most connections of one address.
    pub(crate) fn per_address(&self) -> usize {
        self.registry.per_address.unwrap_or(usize::MAX)
    }

    /// Whom to wake when connections are called from now on.
    pub(crate) fn watch(&self, waker: &Waker) {
        let mut waker = waker.clone();
        if let Some(known) = self.registry.seats().wakers.get_mut(self.index as usize) {
            std::mem::swap(known, &mut waker);
        }
        // The old one is dropped here, without the lock.
    }

    /// Whether there is a call that was not heeded.
    #[inline]
    pub(crate) fn is_called(&self) -> bool {
        self.registry.call.load(Ordering::Acquire) > self.heeded
    }

    /// The call, if there is a new one.
    pub(crate) fn heed(&mut self) -> Option<Call> {
        let call = self.registry.call.load(Ordering::Acquire);
        if call <= self.heeded {
            return None;
        }
        self.heeded = call;
        Some(if call > Call::Close as u8 + 1 { Call::Drop } else { Call::Close })
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let registry = &self.registry;
        let _waker = {
            let mut seats = registry.seats();
            if let Some(address) = seats.addresses.remove(&self.index)
                && let Some(open) = seats.open.get_mut(&address)
            {
                *open -= 1;
                if *open == 0 {
                    seats.open.remove(&address);
                }
            }
            seats.wakers.try_remove(self.index as usize)
        };
        registry.slots.add_permits(1);
        if registry.call.load(Ordering::Acquire) > 0 {
            registry.changed.notify_waiters();
        }
    }
}

/// Whom an address stands for: of IPv6 a site has a whole /64 to itself, and more.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_so_many_connections_and_no_more() {
        let registry = Registry::new(100, Some(2));
        let mut seats = Vec::new();
        for _ in 0..4 {
            seats.push(registry.seat(registry.slot().await));
        }
        let [a, b, c, d] = &seats[..] else { unreachable!() };
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(a.claim(one) && b.claim("::ffff:192.0.2.1".parse().unwrap()));
        assert!(!c.claim(one));
        // Counted once, however often it asks.
        assert!(a.claim(one));
        assert!(d.claim("192.0.2.2".parse().unwrap()));
        drop(seats.remove(0));
        assert!(seats[1].claim(one));
        drop(seats);
        assert!(registry.seats().open.is_empty() && registry.seats().addresses.is_empty());
    }

    #[test]
    fn a_site_of_ipv6_counts_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[tokio::test]
    async fn whoever_watches_is_woken_and_the_stronger_call_counts() {
        let registry = Registry::new(1, None);
        let mut seat = registry.seat(registry.slot().await);
        assert_eq!(seat.heed(), None);
        registry.call(Call::Close);
        assert!(seat.is_called());
        assert_eq!((seat.heed(), seat.heed()), (Some(Call::Close), None));
        registry.call(Call::Drop);
        registry.call(Call::Close);
        assert_eq!(seat.heed(), Some(Call::Drop));
        drop(seat);
        registry.empty().await;
    }
}
