//! The chart of how the cost of a message grows with connections and with its size.

use crate::section::{Found, FoundCell};
use crate::svg::{Drawing, LogScale, WIDTH, colour, time};
use wsduo_benches::echo::bytes;
use wsduo_benches::field::{Contestant, Role};

/// Ours is drawn in front, and thicker.
const OURS: &str = "#2f6fde";
const PANEL: f64 = 300.0;

/// One line: who, in which colour, dashed or not, and its points.
struct Curve<'a> {
    contestant: &'a Contestant,
    is_dashed: bool,
    points: Vec<(f64, f64)>,
}

/// The chart of the two sections on scaling, or of one of them; `None` without either.
pub(crate) fn draw(connections: Option<&Found>, sizes: Option<&Found>) -> Option<String> {
    let any = connections.or(sizes)?;
    let mut drawing = Drawing::new(
        "Server CPU time per echoed message as loads grow",
        "Lower is faster. Flat: the cost of a message does not depend on how many connections there are, or on its size while small.",
    );
    let entries: Vec<_> = any
        .contestants
        .iter()
        .enumerate()
        .map(|(index, contestant)| (contestant.name.as_str(), paint(contestant, index)))
        .collect();
    let y = drawing.legend(&entries, 78.0);
    let half = WIDTH / 2.0;
    if let Some(found) = connections {
        let of = |cell: &FoundCell| cell.load.map(|(_, connections, _)| connections);
        let title = "20-byte messages, by connections (dashed: 1 in flight, solid: 32)";
        panel(&mut drawing, found, title, (24.0, half - 16.0), y, of, grouped);
    }
    if let Some(found) = sizes {
        let of = |cell: &FoundCell| cell.load.map(|(size, ..)| size);
        let title = "One connection, by size of message";
        panel(&mut drawing, found, title, (half + 8.0, WIDTH - 20.0), y, of, bytes);
    }
    Some(drawing.finish(y + PANEL + 66.0))
}

fn paint(contestant: &Contestant, index: usize) -> &'static str {
    match contestant.role {
        Role::Ours | Role::Again => OURS,
        Role::Limit => colour(0),
        Role::Peer => colour(index.saturating_sub(1)),
    }
}

fn panel(
    drawing: &mut Drawing,
    found: &Found,
    title: &str,
    (left, right): (f64, f64),
    y: f64,
    of: impl Fn(&FoundCell) -> Option<usize>,
    label: impl Fn(usize) -> String,
) {
    let curves = curves(found, of);
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    if all().next().is_none() {
        return;
    }
    let range = |field: fn((f64, f64)) -> f64| {
        all().map(field).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((x1, x2), (y1, y2)) = (range(|point| point.0), range(|point| point.1));
    let (left_axis, top, bottom) = (left + 46.0, y + 28.0, y + 28.0 + PANEL);
    // One point alone still needs a scale.
    let across = LogScale::new((x1, x2.max(x1 * 2.0)), (left_axis + 10.0, right - 10.0));
    let up = LogScale::new((y1 * 0.8, y2 * 1.25), (bottom, top));
    drawing.text((left, y + 14.0), "head", "start", title);
    for tick in up.ticks() {
        drawing.line((left_axis, up.at(tick)), (right, up.at(tick)), "grid");
        drawing.text((left_axis - 6.0, up.at(tick) + 4.0), "soft", "end", &time(tick));
    }
    let mut labelled = f64::MIN;
    let mut values: Vec<f64> = all().map(|point| point.0).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    for value in values {
        let x = across.at(value);
        drawing.line((x, bottom), (x, bottom + 4.0), "grid");
        if x - labelled >= 48.0 {
            labelled = x;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it was a whole number before"
            )]
            drawing.text((x, bottom + 18.0), "soft", "middle", &label(value as usize));
        }
    }
    // Ours last, so that it is in front.
    let (front, back): (Vec<_>, Vec<_>) =
        curves.iter().enumerate().partition(|(_, curve)| curve.contestant.role == Role::Ours);
    for (_, curve) in back.into_iter().chain(front) {
        let index = found.contestants.iter().position(|it| it == curve.contestant).unwrap_or(0);
        let points: Vec<_> = curve.points.iter().map(|&(x, y)| (across.at(x), up.at(y))).collect();
        let width = if curve.contestant.role == Role::Ours { 2.6 } else { 1.6 };
        drawing.curve(&points, paint(curve.contestant, index), width, curve.is_dashed);
    }
}

/// For each contestant a solid curve, and where there are cells with one in flight and others, a dashed one of the former.
#[allow(clippy::cast_precision_loss, reason = "no size is 2^53")]
fn curves<'a>(found: &'a Found, of: impl Fn(&FoundCell) -> Option<usize>) -> Vec<Curve<'a>> {
    let is_one = |cell: &FoundCell| cell.load.is_some_and(|(.., in_flight)| in_flight == 1);
    // Where the number in flight is bounded by bytes, one is only the end of a curve.
    let is_split = found.cells.iter().filter_map(&of).count() > 1
        && found.cells.iter().any(|cell| {
            is_one(cell) && found.cells.iter().any(|other| !is_one(other) && of(other) == of(cell))
        });
    let mut curves = Vec::new();
    for (index, contestant) in found.contestants.iter().enumerate() {
        for is_dashed in if is_split { vec![true, false] } else { vec![false] } {
            let cells = found.cells.iter().filter(|cell| !is_split || is_one(cell) == is_dashed);
            let point = |cell: &FoundCell| Some((of(cell)? as f64, cell.findings.get(index)?.figure(0)?));
            curves.push(Curve { contestant, is_dashed, points: cells.filter_map(point).collect() });
        }
    }
    curves
}

fn grouped(number: usize) -> String {
    if number >= 1000 && number.is_multiple_of(1000) {
        format!("{},000", number / 1000)
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::section;

    #[test]
    fn one_and_many_in_flight_are_two_curves_of_the_same_numbers() {
        let mut found = section(&[[1.0; 5], [2.0; 5], [3.0; 5], [-1.0; 5]]);
        for (cell, load) in found.cells.iter_mut().zip([(20, 1, 1), (20, 10, 1), (20, 1, 32), (20, 10, 32)]) {
            cell.load = Some(load);
        }
        let curves = curves(&found, |cell| cell.load.map(|load| load.1));
        assert_eq!(curves.len(), 10);
        assert_eq!(
            (curves[0].is_dashed, curves[0].points.as_slice()),
            (true, &[(1.0, 1.0), (10.0, 2.0)][..])
        );
        assert_eq!(curves[1].points, [(1.0, 3.0)], "the failed one is missing");
    }

    #[test]
    fn there_is_no_chart_of_nothing() {
        assert_eq!(draw(None, None), None);
        assert!(draw(None, Some(&section(&[[1.0; 5]]))).unwrap().contains("by size"));
    }
}
