//! Streams take the same memory whatever passes through them, however slow their reader is. A program of its own, because it
//! counts what the whole process allocates.

#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use std::future::Future;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Mutex;
use wsduo::{
    Broadcaster, Framing, MessageWebSocketControl, Publication, Role, SlowConsumer, StreamWebSocket,
    StreamWebSocketControl, SubscriptionControl,
};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// One at a time, or each would count the memory of the others.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What both ends, the transport between them and the buffers of this test may take together, over what they take when the streams
/// are opened. Of it, 256 KiB are the thread's read buffer, and as much is its write buffer, which exists twice while it grows.
const BOUND: usize = 2 << 20;

/// Far more than [`BOUND`]. Without optimisation, masking takes its time.
const TRANSFER: usize = if cfg!(debug_assertions) { 16 << 20 } else { 256 << 20 };

/// Longer than all timeouts together.
const STOPPED: Duration = Duration::from_secs(600);

const ROLES: [(Role, Role); 2] = [(Role::Client, Role::Server), (Role::Server, Role::Client)];

/// The most that was allocated at once while `future` ran, over what was before.
async fn peak<F: Future>(future: F) -> (usize, F::Output) {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let output = future.await;
    (ALLOCATED.peak_usage().saturating_sub(before), output)
}

async fn send(mut stream: StreamWebSocket<DuplexStream>, write: usize) {
    let bytes = vec![7; write];
    for _ in 0..TRANSFER / write {
        stream.write_all(&bytes).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn count<T: AsyncRead + AsyncWrite + Unpin>(mut stream: StreamWebSocket<T>, buffer: usize) -> usize {
    let mut buffer = vec![0; buffer];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return total,
            n => total += n,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn memory_does_not_grow_with_what_passes_through() {
    let _alone = ALONE.lock().await;
    let kinds = [
        (Framing::OneMessage, usize::MAX, 64 << 10),
        // A frame far larger than any buffer.
        (Framing::OneMessage, usize::MAX, 256 << 10),
        (Framing::MessagePerWrite, 64 << 10, 64 << 10),
        (Framing::MessagePerWrite, 64 << 10, 1 << 10),
    ];
    for (framing, frame_size, write) in kinds {
        for (sender, receiver) in ROLES {
            for buffer in [64 << 10, 1000] {
                let control = StreamWebSocketControl::new().framing(framing).frame_size(frame_size);
                let (near, far) = duplex(64 << 10);
                let (near, far) =
                    (control.from_transport(near, sender), control.from_transport(far, receiver));
                let (peak, (_, total)) =
                    peak(async { tokio::join!(send(near, write), count(far, buffer)) }).await;
                let what =
                    format!("{framing:?}, writes of {write}, read {buffer} at a time, as a {sender:?}");
                assert_eq!(total, TRANSFER, "{what}");
                assert!(peak < BOUND, "{peak} bytes: {what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_stops_the_writer_and_takes_no_memory() {
    let _alone = ALONE.lock().await;
    for (sender, receiver) in ROLES {
        // The keepalive is on at both ends, and must not take the peer for dead while it cannot even get a ping.
        let control = StreamWebSocketControl::new().send_timeout(None);
        let (near, far) = duplex(64 << 10);
        let mut near = control.from_transport(near, sender);
        let mut far = control.from_transport(far, receiver);
        let bytes = vec![7; 10_000];
        let mut written = 0;
        let writing = async {
            loop {
                written += near.write(&bytes).await.unwrap();
            }
        };
        let (peak, ended) = peak(tokio::time::timeout(STOPPED, writing)).await;
        assert!(ended.is_err(), "it waits");
        assert!(peak < BOUND / 2, "{peak} bytes with nobody reading, as a {sender:?}");
        // 128 KiB and what was begun are queued, the rest is in the transport.
        assert!(written <= (128 << 10) + bytes.len() + (64 << 10), "{written}");
        let mut read = vec![0; written];
        let (flushed, all) = tokio::join!(near.flush(), far.read_exact(&mut read));
        assert_eq!((flushed.unwrap(), all.unwrap()), ((), written));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_its_pongs_and_takes_no_memory() {
    let _alone = ALONE.lock().await;
    for (sender, receiver) in ROLES {
        // The reader takes at most so many bytes a second.
        let (near, far) = duplex(4 << 10);
        let mut near =
            StreamWebSocketControl::new().framing(Framing::OneMessage).from_transport(near, sender);
        let (mut slow, pinging) = MessageWebSocketControl::new().from_transport(far, receiver).split();
        let (mut read, mut answered) = (0, 0);
        let all = async {
            let bytes = vec![7; 64 << 10];
            let writing = async {
                loop {
                    near.write_all(&bytes).await.unwrap();
                }
            };
            let reading = async {
                loop {
                    read += slow.receive_part().await.unwrap().unwrap().bytes.len();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            let pinging = async {
                loop {
                    pinging.ping().await.unwrap();
                    answered += 1;
                }
            };
            tokio::join!(writing, reading, pinging)
        };
        let (peak, ended) = peak(tokio::time::timeout(STOPPED, all)).await;
        assert!(ended.is_err());
        assert!(peak < BOUND, "{peak} bytes as a {sender:?}");
        // A pong waits for what was queued before the ping came: some 130 KiB, half a minute.
        assert!(read > 1 << 20 && answered >= 10, "{read} bytes, {answered} pings as a {sender:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_thousand_receivers_is_in_memory_once() {
    const RECEIVERS: usize = 1000;
    const WAITING: usize = 64;
    const MESSAGE: usize = 16 << 10;
    let _alone = ALONE.lock().await;
    for policy in [SlowConsumer::DropOldest, SlowConsumer::LatestOnly, SlowConsumer::Disconnect] {
        let control =
            SubscriptionControl::new().slow_consumer(policy).max_messages(WAITING).max_bytes(2 << 20);
        let broadcaster = Broadcaster::with(control);
        let before = ALLOCATED.current_usage();
        let (peak, subscriptions) = peak(async {
            let subscriptions =
                (0..RECEIVERS).map(|_| broadcaster.subscribe("all").unwrap()).collect::<Vec<_>>();
            for number in 0..3 * WAITING {
                let message = Publication::new(vec![7; MESSAGE]).key(number.to_string());
                broadcaster.publish("all", message).await;
            }
            subscriptions
        })
        .await;
        // The payloads once; for each receiver its queue, and a place for each message: in the map of keys 41 bytes, of which a
        // map that is changed all the time has up to four times as many as it needs.
        let place = if policy == SlowConsumer::LatestOnly { 8 + 4 * 41 } else { 8 };
        let bound = (WAITING + 1) * (MESSAGE + 1000) + RECEIVERS * (1500 + WAITING * place);
        assert!(peak < bound, "{policy:?}: {peak} bytes of {bound}");
        let statistics = broadcaster.statistics();
        let missed = if policy == SlowConsumer::Disconnect { WAITING + 1 } else { 2 * WAITING };
        assert_eq!(statistics.dropped, (RECEIVERS * missed) as u64);
        if policy == SlowConsumer::Disconnect {
            // Nothing is kept for those who were let go.
            let kept = ALLOCATED.current_usage().saturating_sub(before);
            assert!(kept < RECEIVERS * 1500, "{kept} bytes");
        }
        drop(subscriptions);
        let kept = ALLOCATED.current_usage().saturating_sub(before);
        assert!(kept < 10_000, "{policy:?}: {kept} bytes");
    }
}
