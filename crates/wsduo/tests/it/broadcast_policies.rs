//! What happens to the messages of a receiver that does not take them: every policy, counted to the message.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use wsduo::{
    Broadcaster, ErrorKind, PreparedMessage, Publication, Published, SlowConsumer, Subscription,
    SubscriptionControl,
};
use wsduo_testing::poll_at_most;

use crate::support::{kind, poll_once, settle, soon, waits};

const TOPIC: &str = "quotes";

fn three(policy: SlowConsumer) -> SubscriptionControl {
    SubscriptionControl::new().slow_consumer(policy).max_messages(3)
}

fn keyed(key: &str, text: &str) -> Publication {
    Publication::new(text).key(key)
}

fn text(message: &PreparedMessage) -> String {
    String::from_utf8(message.as_bytes().to_vec()).unwrap()
}

/// All that waits.
async fn take_all(subscription: &mut Subscription) -> Vec<String> {
    let mut taken = Vec::new();
    while subscription.queued() > 0 {
        taken.push(text(&soon(subscription.next()).await.unwrap()));
    }
    taken
}

async fn publish_numbers(broadcaster: &Broadcaster, numbers: std::ops::Range<usize>) -> Vec<Published> {
    let mut published = Vec::new();
    for number in numbers {
        published.push(soon(broadcaster.publish(TOPIC, number.to_string())).await);
    }
    published
}

#[tokio::test(start_paused = true)]
async fn the_oldest_make_room_and_are_counted() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::DropOldest));
    let mut slow = broadcaster.subscribe(TOPIC).unwrap();
    let mut quick = broadcaster.subscribe(TOPIC).unwrap();
    for number in 0..10 {
        let published = soon(broadcaster.publish(TOPIC, number.to_string())).await;
        let dropped = usize::from(number >= 3);
        assert_eq!((published.receivers, published.dropped, published.disconnected), (2, dropped, 0));
        assert_eq!(take_all(&mut quick).await, [number.to_string()]);
    }
    assert_eq!((slow.dropped(), quick.dropped(), broadcaster.statistics().dropped), (7, 0, 7));
    assert_eq!(take_all(&mut slow).await, ["7", "8", "9"]);
    assert_eq!((slow.queued(), slow.queued_bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_as_messages_are_and_a_larger_message_waits_alone() {
    let control = SubscriptionControl::new().slow_consumer(SlowConsumer::DropOldest).max_bytes(10);
    let broadcaster = Broadcaster::with(control);
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    for message in ["aaaa", "bbbb", "cc", "d"] {
        soon(broadcaster.publish(TOPIC, message)).await;
    }
    assert_eq!((subscription.queued_bytes(), subscription.dropped()), (7, 1));
    let large = "x".repeat(11);
    assert_eq!(soon(broadcaster.publish(TOPIC, large.clone())).await.dropped, 3);
    assert_eq!(take_all(&mut subscription).await, [large]);
}

#[tokio::test(start_paused = true)]
async fn of_each_key_the_newest_waits_in_the_place_of_the_first() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::LatestOnly));
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    for (key, price) in [("A", "A1"), ("B", "B1"), ("A", "A2"), ("C", "C1"), ("B", "B2"), ("A", "A3")] {
        soon(broadcaster.publish(TOPIC, keyed(key, price))).await;
    }
    assert_eq!(subscription.dropped(), 3);
    assert_eq!(text(&soon(subscription.next()).await.unwrap()), "A3");
    // One that was taken has no place any more.
    soon(broadcaster.publish(TOPIC, keyed("A", "A4"))).await;
    // No place is left for a fourth key: the oldest goes.
    assert_eq!(soon(broadcaster.publish(TOPIC, keyed("D", "D1"))).await.dropped, 1);
    assert_eq!(take_all(&mut subscription).await, ["C1", "A4", "D1"]);
    assert_eq!((subscription.dropped(), broadcaster.statistics().dropped), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn without_keys_the_newest_of_each_topic_waits() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::LatestOnly));
    let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
    subscription.add("news").unwrap();
    for (topic, message) in [(TOPIC, "1"), ("news", "a"), (TOPIC, "2"), ("news", "b"), (TOPIC, "3")] {
        soon(broadcaster.publish(topic, message)).await;
    }
    assert_eq!(take_all(&mut subscription).await, ["3", "b"]);
    assert_eq!(subscription.dropped(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_let_go_and_the_others_are_not() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::Disconnect));
    let mut slow = broadcaster.subscribe(TOPIC).unwrap();
    let mut quick = broadcaster.subscribe_with(TOPIC, SubscriptionControl::new()).unwrap();
    let published = publish_numbers(&broadcaster, 0..5).await;
    let told = published.iter().map(|it| (it.receivers, it.dropped, it.disconnected)).collect::<Vec<_>>();
    assert_eq!(told, [(2, 0, 0), (2, 0, 0), (2, 0, 0), (1, 4, 1), (1, 0, 0)]);
    for _ in 0..2 {
        // The one that found no room is among the four.
        assert_eq!(soon(slow.next()).await.unwrap_err().dropped, 4);
    }
    assert!(slow.is_too_slow() && slow.queued() == 0);
    assert_eq!(take_all(&mut quick).await, ["0", "1", "2", "3", "4"]);
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.dropped, statistics.disconnected, statistics.queued), (4, 1, 8));
    assert_eq!((statistics.published, broadcaster.subscribers(TOPIC)), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn publishing_waits_for_room_and_goes_on_when_there_is_some() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
    let mut slow = broadcaster.subscribe(TOPIC).unwrap();
    let mut other = broadcaster.subscribe_with(TOPIC, SubscriptionControl::new()).unwrap();
    publish_numbers(&broadcaster, 0..3).await;
    let mut publishing = Box::pin(broadcaster.publish(TOPIC, "3"));
    assert!(waits(&mut publishing));
    // All or nobody: the order is the same everywhere.
    assert_eq!((slow.queued(), other.queued()), (3, 3));
    assert_eq!(text(&soon(slow.next()).await.unwrap()), "0");
    assert_eq!(soon(publishing).await.receivers, 2);
    assert_eq!(take_all(&mut slow).await, ["1", "2", "3"]);
    assert_eq!(take_all(&mut other).await, ["0", "1", "2", "3"]);
    assert_eq!(broadcaster.statistics().dropped, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_waited_for_in_vain_is_let_go_and_the_publisher_told() {
    let timeout = Duration::from_secs(7);
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait).wait_timeout(timeout));
    let mut stuck = [broadcaster.subscribe(TOPIC).unwrap(), broadcaster.subscribe(TOPIC).unwrap()];
    let mut other = broadcaster.subscribe_with(TOPIC, SubscriptionControl::new()).unwrap();
    publish_numbers(&broadcaster, 0..3).await;
    let started = Instant::now();
    let published = soon(broadcaster.publish(TOPIC, "3")).await;
    // Both were waited for at the same time.
    assert_eq!(started.elapsed(), timeout);
    assert_eq!((published.receivers, published.dropped, published.disconnected), (1, 8, 2));
    for stuck in &mut stuck {
        assert_eq!(soon(stuck.next()).await.unwrap_err().dropped, 4);
    }
    assert_eq!(take_all(&mut other).await, ["0", "1", "2", "3"]);
    let statistics = broadcaster.statistics();
    assert_eq!((statistics.dropped, statistics.disconnected), (8, 2));
    // Nobody is waited for any more.
    soon(broadcaster.publish(TOPIC, "4")).await;
    assert_eq!(started.elapsed(), timeout);
}

#[tokio::test(start_paused = true)]
async fn each_receiver_is_waited_for_from_when_it_held_up_the_publisher() {
    let second = Duration::from_secs(1);
    // How long the late one takes to read, and whether it is kept.
    for (pause, is_kept) in [(6, true), (8, false)] {
        // Full from the beginning and read before, or empty until the publisher waits for another.
        for was_full in [true, false] {
            let broadcaster = Broadcaster::with(three(SlowConsumer::Wait).wait_timeout(7 * second));
            let mut first = broadcaster.subscribe(TOPIC).unwrap();
            publish_numbers(&broadcaster, 0..if was_full { 0 } else { 3 }).await;
            let mut late = broadcaster.subscribe(TOPIC).unwrap();
            late.add("other").unwrap();
            publish_numbers(&broadcaster, 0..if was_full { 3 } else { 0 }).await;
            let mut publishing = Box::pin(broadcaster.publish(TOPIC, "last"));
            assert!(waits(&mut publishing));

            tokio::time::advance(5 * second).await;
            take_all(&mut late).await;
            for number in 0..3 {
                soon(broadcaster.publish("other", number.to_string())).await;
            }
            assert!(waits(&mut publishing));
            tokio::time::advance(second).await;
            take_all(&mut first).await;
            assert!(waits(&mut publishing));
            let began = Instant::now();
            let reading = async {
                tokio::time::sleep(pause * second).await;
                late.next().await.is_ok()
            };
            let (published, read) = tokio::join!(soon(publishing), soon(reading));
            assert_eq!(read, is_kept, "{pause} {was_full}");
            assert_eq!(published.disconnected, usize::from(!is_kept));
            assert_eq!(began.elapsed(), pause * second);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_goes_is_not_waited_for() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
    let mut first = broadcaster.subscribe(TOPIC).unwrap();
    let (second, mut third) = (broadcaster.subscribe(TOPIC).unwrap(), broadcaster.subscribe(TOPIC).unwrap());
    publish_numbers(&broadcaster, 0..3).await;
    let mut publishing = Box::pin(broadcaster.publish(TOPIC, "last"));
    assert!(waits(&mut publishing));
    // While another one is waited for.
    drop(second);
    third.remove(TOPIC);
    let began = Instant::now();
    take_all(&mut first).await;
    assert_eq!(soon(publishing).await.receivers, 1);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn publishers_that_wait_keep_their_order_and_dropped_ones_publish_nothing() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
    let mut slow = broadcaster.subscribe(TOPIC).unwrap();
    publish_numbers(&broadcaster, 0..3).await;
    let mut publishing =
        (3..8).map(|number| Box::pin(broadcaster.publish(TOPIC, number.to_string()))).collect::<Vec<_>>();
    for publishing in &mut publishing {
        assert!(waits(publishing));
    }
    // The one whose turn it is, and one behind it.
    drop(publishing.remove(2));
    drop(publishing.remove(0));
    let receiving = async {
        let mut taken = Vec::new();
        for _ in 0..6 {
            taken.push(text(&soon(slow.next()).await.unwrap()));
            settle().await;
        }
        taken
    };
    let (taken, _) = tokio::join!(receiving, futures_util::future::join_all(publishing));
    assert_eq!(taken, ["0", "1", "2", "4", "6", "7"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_leaves_is_not_waited_for() {
    for unsubscribes in [true, false] {
        let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
        let mut slow = Some(broadcaster.subscribe(TOPIC).unwrap());
        publish_numbers(&broadcaster, 0..3).await;
        let started = Instant::now();
        let leaving = async {
            settle().await;
            if unsubscribes {
                assert!(slow.as_mut().unwrap().remove(TOPIC));
            } else {
                slow = None;
            }
        };
        let (published, ()) = tokio::join!(soon(broadcaster.publish(TOPIC, "3")), leaving);
        assert_eq!((published.receivers, published.disconnected), (0, 0));
        assert_eq!(started.elapsed(), Duration::ZERO);
        // What waited already still comes.
        if let Some(slow) = &mut slow {
            assert_eq!(take_all(slow).await, ["0", "1", "2"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_any_more_for_a_receiver_that_was_let_go_in_another_topic() {
    let timeout = Duration::from_secs(7);
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait).wait_timeout(timeout));
    let mut stuck = broadcaster.subscribe(TOPIC).unwrap();
    stuck.add("news").unwrap();
    publish_numbers(&broadcaster, 0..3).await;
    let started = Instant::now();
    let late = async {
        tokio::time::sleep(timeout / 2).await;
        soon(broadcaster.publish("news", "late")).await
    };
    let (published, late) = tokio::join!(soon(broadcaster.publish(TOPIC, "3")), late);
    assert_eq!((published.disconnected, late.disconnected, late.receivers), (1, 0, 0));
    assert_eq!(started.elapsed(), timeout);
}

#[tokio::test(start_paused = true)]
async fn what_would_wait_can_be_refused_instead() {
    let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
    let mut slow = broadcaster.subscribe(TOPIC).unwrap();
    for number in ["0", "1", "2"] {
        assert_eq!(broadcaster.try_publish(TOPIC, number).unwrap().receivers, 1);
    }
    assert_eq!(kind(broadcaster.try_publish(TOPIC, "3")), ErrorKind::Busy);
    let mut waiting = Box::pin(broadcaster.publish(TOPIC, "4"));
    assert!(waits(&mut waiting));
    assert_eq!(text(&soon(slow.next()).await.unwrap()), "0");
    // It was not its turn: another is before it.
    assert_eq!(kind(broadcaster.try_publish(TOPIC, "5")), ErrorKind::Busy);
    soon(waiting).await;
    assert_eq!(take_all(&mut slow).await, ["1", "2", "4"]);
}

#[tokio::test(start_paused = true)]
async fn publishing_dropped_at_any_poll_publishes_to_all_or_to_nobody() {
    for polls in 0.. {
        let broadcaster = Broadcaster::with(three(SlowConsumer::Wait));
        let mut slow = [broadcaster.subscribe(TOPIC).unwrap(), broadcaster.subscribe(TOPIC).unwrap()];
        publish_numbers(&broadcaster, 0..3).await;
        let taking = async {
            for slow in &mut slow {
                settle().await;
                assert_eq!(text(&slow.next().await.unwrap()), "0");
            }
        };
        let (published, ()) = tokio::join!(poll_at_most(polls, broadcaster.publish(TOPIC, "3")), taking);
        let expected: &[&str] = if published.is_some() { &["1", "2", "3"] } else { &["1", "2"] };
        for slow in &mut slow {
            assert_eq!(take_all(slow).await, expected, "{polls} polls");
        }
        // Nobody is in the way.
        assert_eq!(broadcaster.try_publish(TOPIC, "4").unwrap().receivers, 2);
        assert!(polls < 1000, "never ends");
        if published.is_some() {
            // Polled each time the other settles.
            assert!(polls > 50, "{polls} polls");
            break;
        }
    }
}

/// What a queue does, written down as plainly as can be.
struct Model {
    policy: SlowConsumer,
    items: VecDeque<(u8, String)>,
    dropped: u64,
}

impl Model {
    const MESSAGES: usize = 4;
    const BYTES: usize = 12;

    fn bytes(&self) -> usize {
        self.items.iter().map(|(_, text)| text.len() + 1).sum()
    }

    fn push(&mut self, key: u8, text: String) {
        let place = self.items.iter().position(|(other, _)| *other == key);
        if let (SlowConsumer::LatestOnly, Some(place)) = (self.policy, place) {
            self.dropped += 1;
            self.items[place].1 = text.clone();
            while self.bytes() > Self::BYTES && self.items.len() > 1 {
                let (oldest, _) = self.items.pop_front().unwrap();
                if oldest == key {
                    return self.append(key, text);
                }
                self.dropped += 1;
            }
            return;
        }
        self.append(key, text);
    }

    fn append(&mut self, key: u8, text: String) {
        while !self.items.is_empty()
            && (self.items.len() >= Self::MESSAGES || self.bytes() + text.len() + 1 > Self::BYTES)
        {
            self.items.pop_front();
            self.dropped += 1;
        }
        self.items.push_back((key, text));
    }
}

proptest! {
    #[test]
    fn lossy_queues_do_what_the_model_does(
        latest in any::<bool>(),
        steps in prop::collection::vec(prop::option::weighted(0.7, (0..6_u8, 0..10_usize)), 0..200),
    ) {
        let policy = if latest { SlowConsumer::LatestOnly } else { SlowConsumer::DropOldest };
        let control = three(policy).max_messages(Model::MESSAGES).max_bytes(Model::BYTES);
        let broadcaster = Broadcaster::with(control);
        let mut subscription = broadcaster.subscribe(TOPIC).unwrap();
        let mut model = Model { policy, items: VecDeque::new(), dropped: 0 };
        for (number, step) in steps.into_iter().enumerate() {
            if let Some((key, len)) = step {
                let text = number.to_string().repeat(10)[..len].to_owned();
                broadcaster.try_publish(TOPIC, keyed(&key.to_string(), &text)).unwrap();
                model.push(key, text);
            } else {
                let taken = match poll_once(subscription.next()) {
                    std::task::Poll::Ready(message) => Some(text(&message.unwrap())),
                    std::task::Poll::Pending => None,
                };
                prop_assert_eq!(taken, model.items.pop_front().map(|(_, text)| text));
            }
            prop_assert_eq!(subscription.queued(), model.items.len());
            prop_assert_eq!(subscription.queued_bytes(), model.bytes());
            prop_assert_eq!(subscription.dropped(), model.dropped);
        }
    }
}
