//! What every figure shares: scales with round ticks, the frame of a plot, labels that keep out of each other's way.
//!
//! A figure is inline SVG drawn in its own units (about one CSS pixel); the style sheet gives it colour. Whatever it is
//! given, no coordinate is NaN or infinite: points that are not finite are left out.

mod calibration;
mod histogram;
mod lines;
mod quarters;
mod roc;
mod rulers;

pub(super) use calibration::calibration;
pub(super) use histogram::similarity_histogram;
pub(super) use lines::{Focus, Line, LineChart, XAxis, focus, thin};
pub(super) use quarters::quarters;
pub(super) use roc::roc_curves;
pub(super) use rulers::{gain_bars, gap_ruler};

use cognate_results::numbers::{decimals, flops, percent, tokens, trim_zeros};

use super::markup::Markup;

/// Width of a character of the figures' 13-unit labels, on the generous side: there is no font to measure.
const CHARACTER: f64 = 7.8;
/// Room that one line of label needs.
const LINE_HEIGHT: f64 = 16.0;

/// Looks of a line: each has its marker and dashes, the style sheet its colour.
pub(super) const STYLES: usize = 12;

/// The corners of a style's marker around its point; none for a disc. From the ninth style on they begin again, and the style sheet
/// leaves them hollow.
pub(super) fn marker(style: usize) -> &'static [(f64, f64)] {
    match style % 8 {
        0 => &[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)],
        1 => &[],
        2 => &[(0.0, -4.6), (4.6, 3.6), (-4.6, 3.6)],
        3 => &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
        4 => &[(0.0, 4.6), (4.6, -3.6), (-4.6, -3.6)],
        // A cross.
        5 => &[
            (-1.6, -5.0),
            (1.6, -5.0),
            (1.6, -1.6),
            (5.0, -1.6),
            (5.0, 1.6),
            (1.6, 1.6),
            (1.6, 5.0),
            (-1.6, 5.0),
            (-1.6, 1.6),
            (-5.0, 1.6),
            (-5.0, -1.6),
            (-1.6, -1.6),
        ],
        // A bar.
        6 => &[(-2.0, -5.0), (2.0, -5.0), (2.0, 5.0), (-2.0, 5.0)],
        // An hourglass.
        _ => &[(-4.4, -4.6), (4.4, -4.6), (-4.4, 4.6), (4.4, 4.6)],
    }
}

/// Outer size of a figure, in its own units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Size {
    /// For pages wider than a phone.
    pub(super) const WIDE: Self = Self { width: 1000.0, height: 330.0 };
    /// For phones.
    pub(super) const NARROW: Self = Self { width: 360.0, height: 300.0 };
    /// For a figure that stands beside others, or alone on a phone.
    pub(super) const PANEL: Self = Self { width: 316.0, height: 232.0 };

    /// Room for the tick labels of the vertical axis. On paper and small screens a wide figure shrinks and the style
    /// sheet enlarges its letters.
    fn margin(self) -> f64 {
        if self.width > 500.0 { 58.0 } else { 42.0 }
    }
}

/// How the ticks of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// As a decimal number.
    Number,
    /// As a count of tokens.
    Tokens,
    /// As a count of floating-point operations.
    Flops,
    /// As a percentage.
    Share,
}

/// Maps values to coordinates, and knows its round ticks.
#[derive(Clone, Debug)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
    unit: Unit,
}

impl Axis {
    /// An axis over the finite ones of `values`, from coordinate `from` to coordinate `to`, with about `ticks` ticks.
    /// Its ends are the values' ends; without two different values it makes itself room.
    fn over(values: impl Iterator<Item = f64>, (from, to): (f64, f64), ticks: f64, unit: Unit) -> Self {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            // Beyond this even a difference overflows.
            .map(|value| value.clamp(-1e300, 1e300))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Closer together than a tick can tell apart in double precision.
        let room = low.abs().max(high.abs()) * 1e-6;
        if high - low <= room {
            let room = if room > 0.0 { low.abs().max(high.abs()) * 0.1 } else { 1.0 };
            (low, high) = (if low == 0.0 { 0.0 } else { low - room }, high + room);
        }
        let raw = (high - low) / ticks;
        let power = 10_f64.powf(raw.log10().floor());
        let away = |step: f64| (step / raw).ln().abs();
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|nice| nice * power).into_iter();
        let step = step.min_by(|a, b| away(*a).total_cmp(&away(*b))).unwrap_or(raw);
        Self { low, high, from, to, step, unit }
    }

    /// The same axis, its ends moved out to ticks.
    fn rounded(mut self) -> Self {
        self.low = (self.low / self.step + 1e-9).floor() * self.step;
        self.high = (self.high / self.step - 1e-9).ceil() * self.step;
        self
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.clamp(-1e300, 1e300) - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-6).ceil();
        let last = (self.high / self.step + 1e-6).floor();
        let n = (last - first).clamp(0.0, 20.0) as u32;
        (0..=n).map(|index| (first + f64::from(index)) * self.step).collect()
    }

    fn label(&self, tick: f64) -> String {
        match self.unit {
            Unit::Tokens => trim_zeros(&tokens(tick.round().max(0.0) as u64)),
            // The axis names the unit.
            Unit::Flops => trim_zeros(flops(tick).trim_end_matches("FLOP")).trim_end().to_owned(),
            Unit::Share => percent(tick),
            Unit::Number => {
                // Two and a half is the one step that needs a digit more than its power of ten.
                let exponent = self.step.log10().floor();
                let is_odd = (self.step / 10_f64.powf(exponent) - 2.5).abs() < 1e-6;
                decimals(tick, (f64::from(is_odd) - exponent).clamp(0.0, 8.0) as usize)
            }
        }
    }
}

/// Moves labels apart. `wanted` are the centres that they would like, `room` what each takes; the returned centres keep
/// the order, do not overlap and stay within `low..high` as long as all fit.
fn spread(wanted: &[f64], room: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut centres = wanted.to_vec();
    let mut edge = low;
    for &index in &order {
        centres[index] = centres[index].max(edge + room[index] / 2.0);
        edge = centres[index] + room[index] / 2.0;
    }
    let mut edge = high;
    for &index in order.iter().rev() {
        centres[index] = centres[index].min(edge - room[index] / 2.0);
        edge = centres[index] - room[index] / 2.0;
    }
    // Too many for the room: keep the order from the low end and let the last ones hang over.
    let mut edge = low;
    for &index in &order {
        if centres[index] - room[index] / 2.0 < edge - 1e-6 {
            centres[index] = edge + room[index] / 2.0;
        }
        edge = centres[index] + room[index] / 2.0;
    }
    centres
}

/// An estimate of the width of a label.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// `text`, or its beginning if it is longer than `characters`.
pub(super) fn clip(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A figure being drawn.
struct Canvas<'a> {
    markup: &'a mut Markup,
}

impl Canvas<'_> {
    /// An `<svg>` with its title and description for those who do not see it.
    fn draw(
        markup: &mut Markup,
        class: &str,
        size: Size,
        (title, description): (&str, &str),
        content: impl FnOnce(&mut Canvas<'_>),
    ) {
        let view = format!("0 0 {} {}", number(size.width), number(size.height));
        markup.element("svg", &[("class", &class), ("viewBox", &view), ("role", &"img")], |markup| {
            markup.leaf("title", &[], title);
            markup.leaf("desc", &[], description);
            content(&mut Canvas { markup });
        });
    }

    fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
        self.markup.empty("line", &[("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)]);
    }

    fn rect(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let [x, y, width, height] = [x1.min(x2), y1.min(y2), (x2 - x1).abs(), (y2 - y1).abs()].map(number);
        self.markup.empty("rect", &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)]);
    }

    /// `anchor` is SVG's: start, middle or end. `y` is the middle of the letters.
    fn text(&mut self, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
        let [x, y] = [x, y + 4.5].map(number);
        self.markup.leaf("text", &[("class", &class), ("text-anchor", &anchor), ("x", &x), ("y", &y)], text);
    }

    /// A path through `points`, closed where it encloses an area.
    fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        if points.is_empty() {
            return;
        }
        let mut d = String::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            d.push(if index == 0 { 'M' } else { 'L' });
            d.push_str(&format!("{} {}", number(x), number(y)));
        }
        if closed {
            d.push('Z');
        }
        self.markup.empty("path", &[("class", &class), ("d", &d)]);
    }

    /// A small sign that tells series apart without colour, by `style`.
    fn marker(&mut self, style: usize, (x, y): (f64, f64)) {
        let class = format!("mark s{style}");
        let shape = marker(style);
        if shape.is_empty() {
            let [x, y] = [x, y].map(number);
            return self.markup.empty("circle", &[("class", &class), ("cx", &x), ("cy", &y), ("r", &"4")]);
        }
        let points: Vec<(f64, f64)> = shape.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        self.path(&class, &points, true);
    }

    /// The ticks and names of both axes, with rules across the plot at the vertical axis's ticks.
    fn frame(&mut self, x: &Axis, y: &Axis, x_name: &str, y_name: &str) {
        for tick in y.ticks() {
            let at = y.at(tick);
            self.line("rule", (x.from, at), (x.to, at));
            self.text("tick", "end", (x.from - 8.0, at), &y.label(tick));
        }
        self.line("axis", (x.from, y.from), (x.to, y.from));
        for tick in x.ticks() {
            let at = x.at(tick);
            self.line("axis", (at, y.from), (at, y.from + 4.0));
            self.text("tick", "middle", (at, y.from + 15.0), &x.label(tick));
        }
        self.text("name", "start", (2.0, 9.0), y_name);
        self.text("name", "end", (x.to, y.from + 33.0), x_name);
    }
}

/// A coordinate: one decimal, and always a number that SVG can read.
fn number(value: f64) -> String {
    let value = if value.is_finite() { value.clamp(-1e5, 1e5) } else { 0.0 };
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, ticks: f64, unit: Unit) -> Vec<String> {
        let axis = Axis::over([low, high].into_iter(), (0.0, 100.0), ticks, unit);
        axis.ticks().into_iter().map(|tick| axis.label(tick).replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(4.02, 5.31, 5.0, Unit::Number), ["4.25", "4.50", "4.75", "5.00", "5.25"]);
        assert_eq!(labels(0.0, 12_000_000.0, 6.0, Unit::Tokens), ["0", "2 M", "4 M", "6 M", "8 M", "10 M", "12 M"]);
        assert_eq!(labels(0.0, 5e15, 2.0, Unit::Flops), ["0", "2.5 P", "5 P"]);
        assert_eq!(labels(0.0, 0.4, 4.0, Unit::Share), ["0 %", "10 %", "20 %", "30 %", "40 %"]);
        assert_eq!(labels(-3.0, 3.0, 3.0, Unit::Number), ["−2", "0", "2"]);
    }

    #[test]
    fn an_axis_over_anything_is_finite() {
        let odd = [f64::NAN, f64::INFINITY, 0.0, 1.0, -1.0, 1e-300, 1e15, 1e15 + 1.0, f64::MAX, f64::MIN];
        for low in odd {
            for high in odd {
                for axis in [
                    Axis::over([low, high].into_iter(), (0.0, 100.0), 5.0, Unit::Number),
                    Axis::over([low, high].into_iter(), (0.0, 100.0), 5.0, Unit::Number).rounded(),
                ] {
                    let ticks = axis.ticks();
                    assert!((1..=20).contains(&ticks.len()), "{low} {high}: {ticks:?}");
                    for tick in ticks {
                        let at = axis.at(tick);
                        assert!((-1.0..=101.0).contains(&at), "{low} {high}: tick {tick} at {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn labels_keep_their_order_and_their_distance() {
        let rooms = [16.0; 4];
        let placed = spread(&[50.0, 49.0, 51.0, 99.0], &rooms, 0.0, 100.0);
        assert!(placed[1] < placed[0] && placed[0] < placed[2] && placed[2] < placed[3], "{placed:?}");
        for (a, b) in [(1, 0), (0, 2), (2, 3)] {
            assert!(placed[b] - placed[a] >= 16.0 - 1e-9, "{placed:?}");
        }
        assert!(placed[3] <= 92.0, "{placed:?}");
        assert_eq!(spread(&[30.0, 60.0], &[16.0; 2], 0.0, 100.0), [30.0, 60.0], "what fits is not moved");
        let crowded = spread(&[5.0; 9], &[16.0; 9], 0.0, 100.0);
        assert!(crowded.windows(2).all(|pair| pair[1] - pair[0] >= 16.0 - 1e-9), "{crowded:?}");
    }

    #[test]
    fn coordinates_are_numbers() {
        let shown = [f64::NAN, f64::NEG_INFINITY, 1e9, -0.01, 12.34, 5.0].map(number);
        assert_eq!(shown, ["0", "0", "100000", "0", "12.3", "5"]);
    }

    #[test]
    fn long_names_are_clipped() {
        assert_eq!(clip("repetition", 10), "repetition");
        assert_eq!(clip("related-context", 8), "related…");
    }
}
