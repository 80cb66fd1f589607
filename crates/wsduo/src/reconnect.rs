//! One socket after the other: when one has ended, the next, after a wait that spares the server.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use rand::RngExt as _;
use tokio::time::Instant;
use wsduo_proto::{CloseCode, Closed, Initiator};

use crate::control::MessageWebSocketControl;
use crate::error::{Error, ErrorKind};
use crate::message_web_socket::MessageWebSocket;

/// Longer than anything lives, short enough to be added to any point in time.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// Connects, and connects again after the connection was lost or could not be made.
///
/// Each call of [`next`](Self::next) brings a fresh socket. The first one is opened at once. Before each further attempt there
/// is a wait, chosen at random between nothing and a bound: so the clients of a server that was restarted do not come back all
/// at once. The bound begins with [`first_delay`](Self::first_delay), doubles with each attempt up to
/// [`max_delay`](Self::max_delay), and begins anew once a connection was open for [`stable_after`](Self::stable_after). Where the
/// server named a time (`Retry-After`), the wait is that much longer.
///
/// It gives up for good where trying again would bring the same: at a setting or URI that cannot be used, a status 4xx other than
/// 408, 425 and 429, a certificate that is not accepted, and after the server closed with
/// [`POLICY_VIOLATION`](CloseCode::POLICY_VIOLATION) (1008).
///
/// A name that cannot be resolved and a port where nobody listens are tried again, for ever by default: the network of a machine
/// that wakes up looks just so. [`max_attempts`](Self::max_attempts) bounds it.
///
/// For a stream of bytes, turn the socket into one: [`MessageWebSocket::into_stream`].
///
/// # What is lost
/// A new socket knows nothing of the one before. What was sent before the loss may have arrived or not, and what the server
/// sent meanwhile is gone. Whether to ask for it, to send again or to begin from scratch is for the application to decide; it
/// may, for instance, number its messages and tell the server the last that it has seen.
///
/// # Examples
/// ```no_run
/// use wsduo::{MessageWebSocketControl, Reconnect};
///
/// # async fn example() -> Result<(), wsduo::Error> {
/// let mut reconnect = Reconnect::new(MessageWebSocketControl::new(), "wss://example.org/quotes");
/// let mut seen = 0;
/// loop {
///     let mut socket = reconnect.next().await?; // an error: it is of no use to go on
///     if socket.send(format!("all after {seen}")).await.is_err() {
///         continue;
///     }
///     while let Ok(Some(message)) = socket.receive().await {
///         seen += 1;
///         println!("{message:?}");
///     }
/// }
/// # }
/// ```
pub struct Reconnect {
    control: MessageWebSocketControl,
    uri: String,
    schedule: Schedule,
}

/// A wait that begins, before the next attempt to connect.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// How long it will be.
    pub delay: Duration,
    /// Why the last attempt failed; `None` where a connection had been open.
    pub error: Option<Error>,
}

type OnWait = Box<dyn FnMut(&Waiting) + Send + Sync>;

/// How the connection of a socket ended, to be written by its driver.
pub(crate) type EndNote = Arc<OnceLock<End>>;

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) at: Instant,
    pub(crate) closed: Closed,
}

impl Reconnect {
    /// Opens sockets with these settings at this URI.
    pub fn new(control: MessageWebSocketControl, uri: impl Into<String>) -> Self {
        Self { control, uri: uri.into(), schedule: Schedule::default() }
    }

    /// The bound of the first wait. Default 1 s.
    #[must_use]
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.schedule.first_delay = delay;
        self
    }

    /// The bound that no wait exceeds, unless the server asks for it. Default 30 s.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.schedule.max_delay = delay;
        self
    }

    /// How long a connection has to have been open for the waits to begin anew. Default 60 s.
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.schedule.stable_after = time;
        self
    }

    /// How many attempts in a row may fail before [`next`](Self::next) returns the error of the last; it may be called again
    /// then. `None`: any number. Default `None`.
    #[must_use]
    pub fn max_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.schedule.max_attempts = attempts.into();
        self
    }

    /// What to do when a wait begins, such as telling the user. Default: nothing.
    #[must_use]
    pub fn on_wait(mut self, tell: impl FnMut(&Waiting) + Send + Sync + 'static) -> Self {
        self.schedule.on_wait = Some(Box::new(tell));
        self
    }

    /// Waits as long as is due, connects, and tries again until there is an open socket.
    ///
    /// Drop the socket before, or close it; how it ended is known here.
    ///
    /// # Errors
    /// Once it has given up (see [above](Self)), why, and the same again each time; [`ErrorKind::Closed`] after a 1008. After
    /// [`max_attempts`](Self::max_attempts), why the last failed.
    ///
    /// # Cancel safety
    /// Safe: dropping the future drops the attempt under way, and a wait goes on in the next call.
    pub async fn next(&mut self) -> Result<MessageWebSocket, Error> {
        loop {
            self.schedule.wait().await?;
            match self.control.connect(&self.uri).await {
                Ok(mut socket) => {
                    self.schedule.opened(socket.inner.driver.note_end());
                    return Ok(socket);
                }
                Err(error) => {
                    if self.schedule.failed(&error) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("failures", &self.schedule.failures)
            .field("given_up", &self.schedule.given_up)
            .finish_non_exhaustive()
    }
}

/// When to try again, and whether to.
struct Schedule {
    first_delay: Duration,
    max_delay: Duration,
    stable_after: Duration,
    max_attempts: Option<u32>,
    on_wait: Option<OnWait>,
    /// Connections in a row that could not be made or were not stable.
    failures: u32,
    /// Attempts that failed since a connection was open, or since that was last told.
    attempts: u32,
    wait_until: Option<Instant>,
    /// The connection handed out last: since when it is open, and how it ended.
    current: Option<(Instant, EndNote)>,
    given_up: Option<Error>,
    /// From 0 to 1; by itself, so that tests can choose.
    random: fn() -> f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
            max_attempts: None,
            on_wait: None,
            failures: 0,
            attempts: 0,
            wait_until: None,
            current: None,
            given_up: None,
            random: || rand::rng().random(),
        }
    }
}

impl Schedule {
    /// Waits until the next attempt is due.
    async fn wait(&mut self) -> Result<(), Error> {
        if let Some((since, end)) = self.current.take() {
            self.ended(since, end.get());
        }
        if let Some(error) = &self.given_up {
            return Err(error.clone());
        }
        if let Some(until) = self.wait_until {
            tokio::time::sleep_until(until).await;
            self.wait_until = None;
        }
        Ok(())
    }

    fn opened(&mut self, end: EndNote) {
        self.attempts = 0;
        self.current = Some((Instant::now(), end));
    }

    /// The connection that was open since then is over. Without a note of its end, its socket was dropped, just now as it seems.
    fn ended(&mut self, since: Instant, end: Option<&End>) {
        let at = end.map_or_else(Instant::now, |end| end.at);
        if at.saturating_duration_since(since) >= self.stable_after {
            self.failures = 0;
        }
        if let Some(End { closed, .. }) = end
            && closed.code == CloseCode::POLICY_VIOLATION
            && closed.initiator == Initiator::Peer
        {
            self.given_up = Some(Error::text(ErrorKind::Closed, format!("not connecting again: {closed}")));
        } else {
            self.put_off(at, None);
        }
    }

    /// Whether the error is to be told, instead of trying again.
    fn failed(&mut self, error: &Error) -> bool {
        if is_final(error) {
            self.given_up = Some(error.clone());
            return true;
        }
        self.attempts += 1;
        self.put_off(Instant::now(), Some(error));
        let is_last = self.max_attempts.is_some_and(|max| self.attempts >= max);
        if is_last {
            self.attempts = 0;
        }
        is_last
    }

    fn put_off(&mut self, from: Instant, error: Option<&Error>) {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let bound = self.first_delay.saturating_mul(factor).min(self.max_delay).min(FOR_EVER);
        self.failures = self.failures.saturating_add(1);
        let asked_for = error.and_then(Error::retry_after).unwrap_or_default();
        // On top of what the server asks for: others were asked the same.
        let delay = bound.mul_f64((self.random)()).saturating_add(asked_for).min(FOR_EVER);
        self.wait_until = Some(from + delay);
        if let Some(tell) = &mut self.on_wait {
            tell(&Waiting { delay, error: error.cloned() });
        }
    }
}

/// Whether the next attempt would bring the same.
fn is_final(error: &Error) -> bool {
    const WORTH_A_TRY: [StatusCode; 3] =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::CertificateRejected => true,
        _ if !error.certificate_errors().is_empty() => true,
        _ => error.refusal().is_some_and(|refusal| {
            refusal.status.is_client_error() && !WORTH_A_TRY.contains(&refusal.status)
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One whose every wait is as long as it may be.
    fn longest() -> Schedule {
        Schedule { random: || 1.0, ..Schedule::default() }
    }

    fn lost() -> Error {
        Error::text(ErrorKind::Connect, "no")
    }

    /// How long it waits.
    async fn waited(schedule: &mut Schedule) -> Duration {
        let begin = Instant::now();
        schedule.wait().await.unwrap();
        begin.elapsed()
    }

    /// A connection that is open for so long, and then ends so.
    async fn open_for(schedule: &mut Schedule, time: Duration, end: Option<(u16, Initiator)>) {
        let note = EndNote::default();
        schedule.opened(Arc::clone(&note));
        tokio::time::sleep(time).await;
        if let Some((code, initiator)) = end {
            let closed =
                Closed { code: CloseCode::new(code), reason: "why".into(), initiator, clean: code != 1006 };
            note.set(End { at: Instant::now(), closed }).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_their_bound() {
        let mut schedule = longest();
        assert_eq!(waited(&mut schedule).await, Duration::ZERO, "the first attempt");
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert!(!schedule.failed(&lost()));
            assert_eq!(waited(&mut schedule).await, seconds * SECOND);
        }
        for _ in 0..100 {
            assert!(!schedule.failed(&lost()));
        }
        assert_eq!(waited(&mut schedule).await, 30 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_anything_from_nothing_to_its_bound() {
        for (random, expected) in [((|| 0.0) as fn() -> f64, 0), (|| 0.5, 4000), (|| 1.0, 8000)] {
            let mut schedule = Schedule { random, failures: 3, ..Schedule::default() };
            schedule.failed(&lost());
            assert_eq!(waited(&mut schedule).await, Duration::from_millis(expected));
        }
        // And the real one varies.
        let mut seen = [false; 2];
        for _ in 0..1000 {
            let random = (Schedule::default().random)();
            assert!((0.0..=1.0).contains(&random));
            seen[usize::from(random > 0.5)] = true;
        }
        assert_eq!(seen, [true; 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stable_connection_lets_the_waits_begin_anew() {
        let lost_by_peer = Some((1006, Initiator::Peer));
        for (open, end, expected) in [
            (59, lost_by_peer, 8),
            (60, lost_by_peer, 1),
            (0, Some((1000, Initiator::Peer)), 8),
            (61, None, 1),
            (3, None, 8),
        ] {
            let mut schedule = longest();
            for _ in 0..3 {
                schedule.failed(&lost());
            }
            waited(&mut schedule).await;
            open_for(&mut schedule, open * SECOND, end).await;
            assert_eq!(waited(&mut schedule).await, expected * SECOND, "open for {open} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_counts_until_its_end_and_not_until_someone_asks() {
        let mut schedule = Schedule { failures: 3, ..longest() };
        open_for(&mut schedule, 10 * SECOND, Some((1006, Initiator::Peer))).await;
        tokio::time::sleep(5 * SECOND).await;
        // Not stable, and five of its eight seconds are over.
        assert_eq!(waited(&mut schedule).await, 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_violation_is_the_end() {
        let mut schedule = longest();
        open_for(&mut schedule, 100 * SECOND, Some((1008, Initiator::Peer))).await;
        for _ in 0..3 {
            let error = schedule.wait().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().contains("not connecting again") && error.to_string().contains("1008"));
        }
        // But not one that we told the peer.
        let mut schedule = longest();
        open_for(&mut schedule, 100 * SECOND, Some((1008, Initiator::Local))).await;
        assert_eq!(waited(&mut schedule).await, SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_was_dropped_goes_on() {
        let mut schedule = longest();
        schedule.failures = 4;
        schedule.failed(&lost());
        let begin = Instant::now();
        while tokio::time::timeout(SECOND, schedule.wait()).await.is_err() {}
        assert_eq!(begin.elapsed(), 16 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn after_so_many_attempts_the_last_error_is_told() {
        let mut schedule = Schedule { max_attempts: Some(3), ..longest() };
        for _ in 0..2 {
            assert_eq!([(); 3].map(|()| schedule.failed(&lost())), [false, false, true]);
        }
        assert_eq!(waited(&mut schedule).await, 30 * SECOND, "and then there is a wait all the same");
        schedule.failed(&lost());
        schedule.opened(EndNote::default());
        assert_eq!([(); 3].map(|()| schedule.failed(&lost())), [false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let mut schedule = longest();
        let tell = Arc::clone(&told);
        schedule.on_wait = Some(Box::new(move |waiting| {
            tell.lock().unwrap().push((waiting.delay, waiting.error.as_ref().map(Error::kind)));
        }));
        schedule.failed(&lost());
        waited(&mut schedule).await;
        open_for(&mut schedule, SECOND, None).await;
        waited(&mut schedule).await;
        assert_eq!(*told.lock().unwrap(), [(SECOND, Some(ErrorKind::Connect)), (2 * SECOND, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn settings_out_of_all_measure_are_no_panic() {
        let mut schedule = Schedule {
            first_delay: Duration::MAX,
            max_delay: Duration::MAX,
            stable_after: Duration::MAX,
            ..longest()
        };
        for _ in 0..50 {
            schedule.failed(&lost());
        }
        open_for(&mut schedule, SECOND, None).await;
        assert!(tokio::time::timeout(FOR_EVER / 2, schedule.wait()).await.is_err());
    }
}
