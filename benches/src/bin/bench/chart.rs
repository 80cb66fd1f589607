//! The chart for the README: what others take of the processor, as multiples of ours, for each size of message.

use crate::section::{Found, FoundCell};
use crate::summary::difference;
use crate::svg::{BELOW_TITLE, Drawing, LogScale, WIDTH, colour, short};
use wsduo_benches::echo::bytes;
use wsduo_benches::field::Role;
use wsduo_benches::figures::geometric_mean;
use wsduo_benches::turns::Finding;

const LEFT: f64 = 58.0;
const RIGHT: f64 = WIDTH - 18.0;
/// Pixels of a factor of ten, in all panels alike, so that bars can be compared between them.
const DECADE: f64 = 150.0;

/// One group of bars.
#[derive(Debug, PartialEq)]
struct Group {
    size: usize,
    /// For each column: the mean ratio to ours, or `None` where one failed or was not there.
    ratios: Vec<Option<f64>>,
    noise: f64,
}

/// The chart of section `found`, the echoes; `None` if ours is not in it.
pub(crate) fn draw(found: &Found) -> Option<String> {
    let ours = found.contestants.iter().position(|it| it.role == Role::Ours)?;
    let columns: Vec<usize> = (0..found.contestants.len())
        .filter(|&index| matches!(found.contestants[index].role, Role::Limit | Role::Peer))
        .collect();
    let panels = [
        (
            "Many messages in flight on each connection",
            groups(found, ours, &columns, |in_flight| in_flight > 1),
        ),
        (
            "One message in flight (ping-pong: mostly the kernel's work)",
            groups(found, ours, &columns, |in_flight| in_flight == 1),
        ),
    ];
    let mut drawing = Drawing::new(
        "Server CPU time per echoed message, relative to wsduo",
        [
            "wsduo = 1, log scale. Bars upwards are slower than wsduo, bars downwards are faster. Grey band: noise.",
            &connections(found),
        ],
    );
    let painted: Vec<_> = columns.iter().map(|&index| colour(&found.contestants[index])).collect();
    let names = columns.iter().map(|&index| found.contestants[index].name.as_str());
    let mut y = drawing.legend(&names.zip(painted.iter().copied()).collect::<Vec<_>>(), BELOW_TITLE);
    for (title, groups) in panels.iter().filter(|(_, groups)| !groups.is_empty()) {
        drawing.text((LEFT, y + 16.0), "head", "start", title);
        let ratios = groups.iter().flat_map(|group| group.ratios.iter().copied().flatten());
        let (low, high) =
            ratios.fold((0.85_f64, 2.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        // Room for the figures at the ends of bars.
        let (low, high) = (low * 0.82, high * 1.22);
        let height = (high / low).log10() * DECADE;
        panel(&mut drawing, groups, &painted, LogScale::new((low, high), (y + 26.0 + height, y + 26.0)));
        y += height + 62.0;
    }
    Some(drawing.finish(y))
}

#[allow(clippy::cast_precision_loss, reason = "there are few groups and columns")]
fn panel(drawing: &mut Drawing, groups: &[Group], painted: &[&str], scale: LogScale) {
    let base = scale.at(1.0);
    let bottom = scale.at(0.0);
    for tick in scale.ticks() {
        drawing.line((LEFT, scale.at(tick)), (RIGHT, scale.at(tick)), "grid");
        drawing.text((LEFT - 8.0, scale.at(tick) + 4.0), "soft", "end", &format!("{}×", short(tick)));
    }
    let width = (RIGHT - LEFT) / groups.len() as f64;
    for (index, group) in groups.iter().enumerate() {
        let left = LEFT + width * index as f64;
        let noise = (scale.at(1.0 + group.noise), scale.at(1.0 / (1.0 + group.noise)));
        drawing.bar(left + 4.0, width - 8.0, noise, "class=\"noise\"");
        let step = (width - 20.0) / group.ratios.len().max(1) as f64;
        for (column, (ratio, paint)) in group.ratios.iter().zip(painted).enumerate() {
            let x = left + 10.0 + step * column as f64;
            let middle = x + step / 2.0;
            let Some(ratio) = *ratio else {
                drawing.upright((middle + 3.5, base - 6.0), "failed");
                continue;
            };
            let top = scale.at(ratio);
            drawing.bar(x + 1.0, step - 2.0, (base, top), &format!("fill=\"{paint}\" rx=\"1\""));
            let label = if ratio >= 9.95 { format!("{ratio:.0}") } else { format!("{ratio:.1}") };
            let label_y = if ratio < 1.0 { top + 10.0 } else { top - 3.0 };
            drawing.text((middle, label_y), "tiny", "middle", &label);
        }
        drawing.text((left + width / 2.0, bottom + 16.0), "", "middle", &bytes(group.size));
    }
    drawing.line((LEFT, base), (RIGHT, base), "base");
}

/// A group for each size, of the cells whose number in flight is `wanted`.
fn groups(found: &Found, ours: usize, columns: &[usize], wanted: impl Fn(u64) -> bool) -> Vec<Group> {
    let cells: Vec<(usize, &FoundCell)> = found
        .cells
        .iter()
        .filter_map(|cell| {
            let (size, _, in_flight) = cell.load?;
            (wanted(in_flight) && cell.findings.get(ours)?.figure(0).is_some()).then_some((size, cell))
        })
        .collect();
    let mut sizes: Vec<usize> = cells.iter().map(|(size, _)| *size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let group = |size| {
        let of_size: Vec<&FoundCell> =
            cells.iter().filter(|(it, _)| *it == size).map(|(_, cell)| *cell).collect();
        let figure = |cell: &FoundCell, index: usize| {
            cell.findings.get(index).and_then(|finding: &Finding| finding.figure(0))
        };
        let mean = |&column: &usize| {
            let ratios = of_size.iter().map(|cell| Some(figure(cell, column)? / figure(cell, ours)?));
            // With one of them missing, a mean would be one of other cells than its neighbours'.
            ratios.collect::<Option<Vec<f64>>>().map(geometric_mean)
        };
        let noise =
            geometric_mean(of_size.iter().map(|cell| 1.0 + difference(found, cell).unwrap_or(0.0))) - 1.0;
        Group { size, ratios: columns.iter().map(mean).collect(), noise }
    };
    sizes.into_iter().map(group).collect()
}

/// How many connections there were.
fn connections(found: &Found) -> String {
    let mut all: Vec<usize> = found.cells.iter().filter_map(|cell| Some(cell.load?.1)).collect();
    all.sort_unstable();
    all.dedup();
    let words: Vec<_> = all.iter().map(usize::to_string).collect();
    match words.as_slice() {
        [one] => format!("Measured with {one} connections."),
        words => format!("Geometric mean over what was measured with {} connections.", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::section;

    #[test]
    fn a_group_is_the_mean_over_connections() {
        let mut found = section(&[[100.0, 100.0, 50.0, 200.0, 400.0], [100.0, 100.0, 50.0, 800.0, -1.0]]);
        for cell in &mut found.cells {
            cell.load = Some((20, 1, 32));
        }
        let groups = groups(&found, 0, &[2, 3, 4], |in_flight| in_flight > 1);
        assert_eq!(groups.len(), 1);
        assert!((groups[0].ratios[1].unwrap() - 4.0).abs() < 1e-9, "{groups:?}");
        assert_eq!(groups[0].ratios[2], None);
    }

    #[test]
    fn there_is_no_chart_without_ours_and_one_panel_without_the_other() {
        let mut found = section(&[[100.0, 100.0, 50.0, 200.0, 400.0]]);
        let svg = draw(&found).unwrap();
        assert!(svg.contains("Many messages") && !svg.contains("ping-pong"), "{svg}");
        found.contestants[0].role = Role::Peer;
        assert_eq!(draw(&found), None);
    }
}
