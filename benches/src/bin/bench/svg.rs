//! The little of SVG that the charts need: a card that is legible on light and on dark pages, logarithmic axes, a legend.

use std::fmt::Write as _;
use wsduo_benches::figures::shown;

/// Width of every chart, which READMEs show unscaled.
pub(crate) const WIDTH: f64 = 860.0;

/// Distinct for colour-blind readers too, and strong enough on white and on near-black. The first is for the bare loop.
const COLOURS: [&str; 9] =
    ["#8b949e", "#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#8c6bd8", "#b5a100", "#2f6fde"];

/// That of `index` in a legend; one too many begins again.
pub(crate) fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Values of several powers on a stretch of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogScale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl LogScale {
    /// `low` is drawn at `from`, `high` at `to`.
    pub(crate) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to }
    }

    /// Where `value` is drawn; one beyond an end is drawn there.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let part = (value.clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        self.from + (self.to - self.from) * part
    }

    /// Round values to label between the ends: 1, 2 and 5 of each power of ten, or the powers alone if that would be many.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high / self.low > 300.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (-3..=12).map(|power| 10_f64.powi(power));
        let ticks = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        ticks.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
    }
}

/// A drawing under its title.
#[derive(Debug)]
pub(crate) struct Drawing {
    body: String,
}

impl Drawing {
    pub(crate) fn new(title: &str, subtitle: &str) -> Self {
        let mut drawing = Self { body: String::new() };
        drawing.text((24.0, 34.0), "title", "start", title);
        drawing.text((24.0, 54.0), "soft", "start", subtitle);
        drawing
    }

    /// `class` is one of those of the style below; `anchor` is `start`, `middle` or `end`.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    pub(crate) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" class=\"{class}\"/>"));
    }

    /// A rectangle between two heights.
    pub(crate) fn bar(&mut self, x: f64, width: f64, (y1, y2): (f64, f64), paint: &str) {
        let (top, height) = (y1.min(y2), (y1 - y2).abs().max(0.8));
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {paint}/>"
        ));
    }

    /// A line through points, with a dot at each.
    pub(crate) fn curve(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashed: bool) {
        let dashes = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>",
            path.join(" ")
        ));
        for (x, y) in points {
            self.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{colour}\"/>",
                width + 0.8
            ));
        }
    }

    /// Names with their colours in a row, or in two where one has no room, from height `y` on. Returns the height below.
    pub(crate) fn legend(&mut self, entries: &[(&str, &str)], y: f64) -> f64 {
        let (mut x, mut y) = (24.0, y);
        for (name, colour) in entries {
            #[allow(clippy::cast_precision_loss, reason = "a name has few letters")]
            let width = 32.0 + 6.7 * name.chars().count() as f64;
            if x + width > WIDTH - 16.0 {
                (x, y) = (24.0, y + 20.0);
            }
            self.bar(x, 12.0, (y - 10.0, y + 1.0), &format!("fill=\"{colour}\" rx=\"2\""));
            self.text((x + 17.0, y), "", "start", name);
            x += width;
        }
        y + 14.0
    }

    /// The whole picture.
    pub(crate) fn finish(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
             font-family=\"system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif\" font-size=\"12\">\n\
             <style>\n\
             .card {{ fill: #ffffff; stroke: #d0d7de }} text {{ fill: #1f2328 }} .soft {{ fill: #59636e }}\n\
             .title {{ font-size: 17px; font-weight: 600 }} .head {{ font-size: 13px; font-weight: 600 }} .tiny {{ font-size: 10px }}\n\
             .grid {{ stroke: #d8dee4; stroke-width: 1 }} .base {{ stroke: #1f2328; stroke-width: 1.6 }} .noise {{ fill: #8b949e; opacity: .28 }}\n\
             @media (prefers-color-scheme: dark) {{\n\
             .card {{ fill: #0d1117; stroke: #3d444d }} text {{ fill: #f0f6fc }} .soft {{ fill: #9198a1 }}\n\
             .grid {{ stroke: #2a313a }} .base {{ stroke: #f0f6fc }}\n\
             }}\n\
             </style>\n\
             <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\"/>\n{}</svg>\n",
            WIDTH - 1.0,
            height - 1.0,
            self.body
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// A time in nanoseconds as people say it.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..999.5 => format!("{} ns", short(nanoseconds)),
        ..999_500.0 => format!("{} µs", short(nanoseconds / 1e3)),
        ..999_500_000.0 => format!("{} ms", short(nanoseconds / 1e6)),
        _ => format!("{} s", short(nanoseconds / 1e9)),
    }
}

/// Without zeros behind the point.
pub(crate) fn short(value: f64) -> String {
    let text = shown(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratios_are_equally_far_apart() {
        let scale = LogScale::new((0.5, 8.0), (100.0, 0.0));
        let at = |value| (scale.at(value) * 1000.0).round() / 1000.0;
        assert_eq!([0.5, 1.0, 2.0, 8.0].map(at), [100.0, 75.0, 50.0, 0.0]);
        assert_eq!([0.1, 80.0].map(at), [100.0, 0.0]);
    }

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(LogScale::new((0.5, 8.0), (0.0, 1.0)).ticks(), [0.5, 1.0, 2.0, 5.0]);
        let many = LogScale::new((90.0, 1e8), (0.0, 1.0)).ticks();
        assert_eq!(many, [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8]);
    }

    #[test]
    fn times_are_said_in_their_unit() {
        assert_eq!([200.0, 1000.0, 2e4, 1e6, 5e9].map(time), ["200 ns", "1 µs", "20 µs", "1 ms", "5 s"]);
    }

    #[test]
    fn text_cannot_become_markup() {
        let mut drawing = Drawing::new("a < b", "c & d");
        drawing.text((0.0, 0.0), "", "start", "<script>");
        let svg = drawing.finish(100.0);
        assert!(svg.contains("a &lt; b") && svg.contains("c &amp; d") && !svg.contains("<script>"));
    }
}
