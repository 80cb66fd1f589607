//! Samples taken in turns, so that whatever else the machine does hits everybody alike.

use crate::Error;
use crate::figures::median;
use serde::{Deserialize, Serialize};

/// What was found of one contestant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Finding {
    /// The median of each figure, as far as there is one: who counts has no latency.
    Measured(Vec<Option<f64>>),
    /// It was to be measured and was not: why.
    Failed(String),
    /// It cannot do this: why.
    Absent(String),
}

impl Finding {
    /// The figure at `index`, if it was measured.
    pub fn figure(&self, index: usize) -> Option<f64> {
        match self {
            Self::Measured(figures) => figures.get(index).copied().flatten(),
            Self::Failed(_) | Self::Absent(_) => None,
        }
    }
}

/// Takes `rounds` samples of each of `trials`, in turns; each round begins with another. One that fails is not asked
/// again, and neither fails nor delays the others.
pub fn take<T>(
    trials: Vec<Result<T, Finding>>,
    rounds: usize,
    mut sample: impl FnMut(&mut T) -> Result<Vec<f64>, Error>,
) -> Vec<Finding> {
    let mut states: Vec<_> = trials.into_iter().map(|trial| trial.map(|trial| (trial, Vec::new()))).collect();
    for round in 0..rounds {
        for turn in 0..states.len() {
            let index = (round + turn) % states.len();
            let Ok((trial, samples)) = &mut states[index] else { continue };
            match sample(trial) {
                Ok(figures) => samples.push(figures),
                // The trial goes with it, and so its server.
                Err(error) => states[index] = Err(Finding::Failed(error.to_string())),
            }
        }
    }
    states
        .into_iter()
        .map(|state| state.map_or_else(|finding| finding, |(_, samples)| middle(&samples)))
        .collect()
}

/// The median of each figure by itself.
fn middle(samples: &[Vec<f64>]) -> Finding {
    let figures = samples.first().map_or(0, Vec::len);
    let of =
        |index: usize| Some(median(samples.iter().map(|sample| sample[index]))).filter(|it| it.is_finite());
    Finding::Measured((0..figures).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another() {
        let mut order = String::new();
        take(vec![Ok('a'), Ok('b'), Ok('c')], 3, |name| {
            order.push(*name);
            Ok(vec![])
        });
        assert_eq!(order, "abcbcacab");
    }

    #[test]
    fn medians_are_taken_of_each_figure() {
        let mut samples = vec![vec![3.0, 1.0], vec![1.0, 9.0], vec![2.0, 5.0]];
        let found = take(vec![Ok(())], 3, |()| Ok(samples.remove(0)));
        assert_eq!(found, [Finding::Measured(vec![Some(2.0), Some(5.0)])]);
    }

    #[test]
    fn who_fails_is_named_and_does_not_stop_the_others() {
        let trials = vec![
            Ok("good"),
            Err(Finding::Failed("does not start".into())),
            Ok("bad"),
            Err(Finding::Absent("x".into())),
        ];
        let mut asked = 0;
        let found = take(trials, 3, |name| {
            if *name == "good" {
                return Ok(vec![1.0]);
            }
            asked += 1;
            if asked == 2 { Err("closed a connection".into()) } else { Ok(vec![7.0]) }
        });
        let expected = [
            Finding::Measured(vec![Some(1.0)]),
            Finding::Failed("does not start".into()),
            Finding::Failed("closed a connection".into()),
            Finding::Absent("x".into()),
        ];
        assert_eq!((found.as_slice(), asked), (&expected[..], 2));
    }
}
