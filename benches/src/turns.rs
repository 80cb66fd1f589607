//! Samples taken in turns, so that whatever else the machine does hits everybody alike.

use crate::Error;
use crate::figures::median;
use serde::{Deserialize, Serialize};

/// What was found of one contestant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// Of each figure, what every round brought, as far as there is one: who counts has no latency.
    Measured(Vec<Vec<f64>>),
    /// It was to be measured and was not: why.
    Failed(String),
    /// It cannot do this: why.
    Absent(String),
}

impl Finding {
    /// The median of the figure at `index`, if it was measured.
    pub fn figure(&self, index: usize) -> Option<f64> {
        Some(median(self.rounds(index).iter().copied())).filter(|it| it.is_finite())
    }

    /// What each round brought of the figure at `index`.
    pub fn rounds(&self, index: usize) -> &[f64] {
        match self {
            Self::Measured(figures) => figures.get(index).map_or(&[], Vec::as_slice),
            Self::Failed(_) | Self::Absent(_) => &[],
        }
    }
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Takes `rounds` samples of each of `contestants`, in turns; each round begins with another. One of which there is something else to
/// report is not asked again, and neither fails nor delays the others.
pub fn take<T>(
    contestants: Vec<T>,
    rounds: usize,
    mut sample: impl FnMut(&mut T) -> Result<Vec<f64>, Finding>,
) -> Vec<Finding> {
    let mut states: Vec<_> = contestants.into_iter().map(|contestant| Ok((contestant, Vec::new()))).collect();
    for round in 0..rounds {
        for turn in 0..states.len() {
            let index = (round + turn) % states.len();
            let Ok((contestant, samples)) = &mut states[index] else { continue };
            match sample(contestant) {
                Ok(figures) => samples.push(figures),
                Err(finding) => states[index] = Err(finding),
            }
        }
    }
    states
        .into_iter()
        .map(|state| state.map_or_else(|finding| finding, |(_, samples)| by_figure(&samples)))
        .collect()
}

fn by_figure(samples: &[Vec<f64>]) -> Finding {
    let figures = samples.first().map_or(0, Vec::len);
    let of = |index: usize| {
        samples.iter().map(|sample| sample[index]).filter(|figure| figure.is_finite()).collect()
    };
    Finding::Measured((0..figures).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another() {
        let mut order = String::new();
        take(vec!['a', 'b', 'c'], 3, |name| {
            order.push(*name);
            Ok(vec![])
        });
        assert_eq!(order, "abcbcacab");
    }

    #[test]
    fn rounds_are_kept_and_medians_taken_of_each_figure() {
        let mut samples = vec![vec![3.0, 1.0], vec![1.0, f64::NAN], vec![2.0, 5.0]];
        let found = take(vec![()], 3, |()| Ok(samples.remove(0))).remove(0);
        assert_eq!(found, Finding::Measured(vec![vec![3.0, 1.0, 2.0], vec![1.0, 5.0]]));
        assert_eq!([0, 1, 2].map(|index| found.figure(index)), [Some(2.0), Some(1.0), None]);
    }

    #[test]
    fn who_fails_is_named_and_does_not_stop_the_others() {
        let mut asked = 0;
        let found = take(vec!["good", "bad", "cannot"], 3, |name| match *name {
            "good" => Ok(vec![1.0]),
            "cannot" => Err(Finding::Absent("has no TLS".into())),
            _ => {
                asked += 1;
                if asked == 2 { Err(Finding::Failed("closed a connection".into())) } else { Ok(vec![7.0]) }
            }
        });
        let expected = [
            Finding::Measured(vec![vec![1.0; 3]]),
            Finding::Failed("closed a connection".into()),
            Finding::Absent("has no TLS".into()),
        ];
        assert_eq!((found.as_slice(), asked), (&expected[..], 2));
    }
}
