//! How long connecting may take: each of its stages, and all of them together.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// How long to wait, from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a stage.
    stage: Duration,
    /// For all stages, and when that is over.
    total: Option<(Duration, Instant)>,
}

impl Patience {
    pub(crate) fn new(stage: Duration, total: Option<Duration>) -> Self {
        // A deadline beyond what the clock can tell is none.
        let total = total.and_then(|total| Some((total, Instant::now().checked_add(total)?)));
        Self { stage, total }
    }

    /// What a stage that begins now may take.
    pub(crate) fn left(&self) -> Duration {
        match self.total {
            Some((_, deadline)) => self.stage.min(deadline.saturating_duration_since(Instant::now())),
            None => self.stage,
        }
    }

    /// When all is over, if there is such a moment.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.total.map(|(_, deadline)| deadline)
    }

    /// Waits for a stage.
    ///
    /// # Errors
    /// That of the stage, or that there was no time left for it.
    pub(crate) async fn within<R>(
        &self,
        what: &str,
        stage: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let left = self.left();
        match tokio::time::timeout(left, stage).await {
            Ok(result) => result,
            Err(_) => Err(Error::text(ErrorKind::TimedOut, self.timed_out(what, left))),
        }
    }

    /// The text of a stage that took longer than `left`.
    fn timed_out(&self, what: &str, left: Duration) -> String {
        match self.total {
            Some((total, _)) if left < self.stage => {
                let spent = whole_milliseconds(left);
                format!("connecting took longer than {total:?} in all, the last {spent:?} of them for {what}")
            }
            _ => format!("{what} took longer than {left:?}"),
        }
    }
}

/// As it is to be shown: what is left of a deadline has digits that mean nothing.
pub(crate) fn whole_milliseconds(duration: Duration) -> Duration {
    u64::try_from(duration.as_millis()).map_or(duration, Duration::from_millis)
}
