//! Memory over the time of a transfer, to look at.

use crate::transfer::Outcome;
use std::fmt::Write as _;

/// How many moments are shown.
const MOMENTS: usize = 20;

/// Columns that the longest bar takes, which stands for [`FULL`].
const BAR: u64 = 32;

/// What must not be exceeded: 8 MiB.
const FULL: u64 = 8 << 20;

/// Twenty lines: how much of the time has passed, and the memory of both ends in KiB, with a bar of which 32 columns are 8 MiB.
pub fn text(sender: &[u64], receiver: &[u64]) -> String {
    let mut out = String::from("  time   sender                                      receiver\n");
    for (index, (sender, receiver)) in moments(sender).zip(moments(receiver)).enumerate() {
        let percent = (index + 1) * 100 / MOMENTS;
        let (left, right) = (bar(sender), bar(receiver));
        // Writing to a string cannot fail.
        let _ =
            writeln!(out, "{percent:>4} %  {:>7} {left:<33}  {:>7} {right}", sender / 1024, receiver / 1024);
    }
    out
}

/// The highest value of each twentieth of the time.
fn moments(samples: &[u64]) -> impl Iterator<Item = u64> + '_ {
    (0..MOMENTS).map(|moment| {
        let at = |moment: usize| moment * samples.len() / MOMENTS;
        let (start, end) = (at(moment), at(moment + 1).max(at(moment) + 1));
        samples.iter().take(end).skip(start).max().copied().unwrap_or(0)
    })
}

fn bar(bytes: u64) -> String {
    let full = bytes * BAR / FULL;
    if full > BAR { "#".repeat(32) + "+" } else { "#".repeat(usize::try_from(full).unwrap_or(0)) }
}

/// A small chart for each transfer, one below the other, with a line at 8 MiB.
pub fn svg(curves: &[(String, &Outcome)]) -> String {
    const WIDTH: u64 = 640;
    const HEIGHT: u64 = 120;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n",
        WIDTH + 20,
        (HEIGHT + 40) * curves.len() as u64
    );
    for (index, (name, outcome)) in curves.iter().enumerate() {
        let top = (HEIGHT + 40) * index as u64 + 20;
        // The chart ends a quarter above the line.
        let y = |bytes: u64| top + HEIGHT - (bytes.min(FULL * 5 / 4) * HEIGHT / (FULL * 5 / 4));
        let _ = writeln!(
            out,
            "<text x=\"10\" y=\"{}\">{name}: sender blue, receiver red, 8 MiB grey</text>",
            top - 5
        );
        let _ = writeln!(out, "<path d=\"M10 {0}H{1}\" stroke=\"grey\"/>", y(FULL), WIDTH + 10);
        let _ = writeln!(
            out,
            "<path d=\"M10 {top}V{0}H{1}\" stroke=\"black\" fill=\"none\"/>",
            top + HEIGHT,
            WIDTH + 10
        );
        for (samples, colour) in [(&outcome.sender.curve, "blue"), (&outcome.receiver.curve, "red")] {
            let x = |at: usize| 10 + at as u64 * WIDTH / samples.len().max(1) as u64;
            let points: Vec<String> =
                samples.iter().enumerate().map(|(at, &bytes)| format!("{},{}", x(at), y(bytes))).collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" stroke=\"{colour}\" fill=\"none\"/>",
                points.join(" ")
            );
        }
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_twentieth_shows_its_highest_value() {
        let samples: Vec<u64> = (0..100).map(|i| if i % 5 == 3 { i << 10 } else { 0 }).collect();
        let shown: Vec<u64> = moments(&samples).map(|bytes| bytes >> 10).collect();
        assert_eq!((shown[0], shown[19], shown.len()), (3, 98, 20));
        assert!(moments(&[]).all(|bytes| bytes == 0));
    }

    #[test]
    fn a_bar_ends_at_eight_mebibytes() {
        assert_eq!((bar(FULL).len(), bar(FULL * 2).len(), bar(0).len()), (32, 33, 0));
        assert!(text(&[1024], &[2048]).contains("      1"));
    }
}
