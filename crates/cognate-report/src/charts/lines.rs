//! Lines over training tokens or operations: loss curves.

use super::super::markup::Markup;
use super::{Axis, CHARACTER, Canvas, LINE_HEIGHT, Size, Unit, clip, spread};

/// Longest label beside a line, in characters.
const LABEL_CHARACTERS: usize = 18;
/// About so many markers sit on a line; more would hide it.
const MARKERS: usize = 7;
/// As many of a chart with more than [`CROWD`] lines, which they would hide.
const CROWD_MARKERS: usize = 3;
const CROWD: usize = 12;

/// What a chart's horizontal axis counts.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct XAxis {
    name: &'static str,
    unit: Unit,
}

impl XAxis {
    /// Tokens that a model was trained on.
    pub(in super::super) const TOKENS: Self = Self { name: "training tokens", unit: Unit::Tokens };
    /// Share of the training tokens that is synthetic.
    pub(in super::super) const SYNTHETIC: Self = Self { name: "synthetic share of training tokens", unit: Unit::Share };
    /// How much of what synthetic documents say is true.
    pub(in super::super) const TRUTH: Self = Self { name: "true share of what is said", unit: Unit::Share };
    /// Distinct real tokens.
    pub(in super::super) const UNIQUE_TOKENS: Self = Self { name: "unique tokens", unit: Unit::Tokens };
    /// Parameters of a model.
    pub(in super::super) const PARAMETERS: Self = Self { name: "parameters", unit: Unit::Tokens };
    /// Models whose probabilities are averaged.
    pub(in super::super) const MEMBERS: Self = Self { name: "members", unit: Unit::Number };
    /// Operations of training, and of what the arm needed before it and repetition does not.
    pub(in super::super) const FLOPS: Self = Self { name: "FLOP, preparation included", unit: Unit::Flops };
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(in super::super) struct Line {
    /// Stands at the line's end; `None` for a line that another one's label speaks for.
    pub(in super::super) label: Option<String>,
    /// Which dash pattern, marker and colour.
    pub(in super::super) style: usize,
    /// Drawn thin and without markers.
    pub(in super::super) faint: bool,
    /// (tokens or operations, value), in ascending order of the first.
    pub(in super::super) points: Vec<(f64, f64)>,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(in super::super) struct LineChart<'a> {
    pub(in super::super) title: &'a str,
    pub(in super::super) description: &'a str,
    /// Name of the vertical axis, with its unit.
    pub(in super::super) y_name: &'a str,
    pub(in super::super) lines: Vec<Line>,
    /// Values to show at least, apart from the lines' own: charts side by side get one scale this way.
    pub(in super::super) y_also: Vec<f64>,
    /// Values above it do not stretch the plot: lines are cut off at the next tick. Infinite to show everything.
    pub(in super::super) y_top: f64,
}

impl LineChart<'_> {
    /// Draws the chart.
    pub(in super::super) fn draw(&self, markup: &mut Markup, class: &str, size: Size) {
        self.draw_over(markup, class, size, XAxis::TOKENS);
    }

    /// Draws the chart over another horizontal axis.
    pub(in super::super) fn draw_over(&self, markup: &mut Markup, class: &str, size: Size, over: XAxis) {
        let longest = self.lines.iter().filter_map(|line| line.label.as_ref()).map(|label| label.chars().count()).max();
        let label_room = longest.map_or(10.0, |n| n.min(LABEL_CHARACTERS) as f64 * CHARACTER + 22.0);
        let horizontal = (size.margin(), size.width - label_room - (size.margin() - 42.0));
        let vertical = (size.height - 42.0, 26.0);
        let x_ticks = if size.width > 500.0 { 7.0 } else { 3.0 };
        let values = self.lines.iter().flat_map(|line| line.points.iter()).map(|point| point.1);
        let values = values.chain(self.y_also.iter().copied()).filter(|y| *y <= self.y_top);
        let y = Axis::over(values, vertical, 5.0, Unit::Number).rounded();
        // Lines leave the plot through its upper edge, which lies on a tick.
        let lines: Vec<Line> = self.lines.iter().map(|line| visible(line, y.high)).collect();
        let reached = lines.iter().flat_map(|line| line.points.iter()).map(|point| point.0);
        let x = Axis::over(reached.chain([0.0]), horizontal, x_ticks, over.unit);
        Canvas::draw(markup, class, size, (self.title, self.description), |canvas| {
            canvas.frame(&x, &y, over.name, self.y_name);
            if lines.iter().all(|line| line.points.is_empty()) {
                let middle = ((x.from + x.to) / 2.0, (y.from + y.to) / 2.0);
                canvas.text("tick", "middle", middle, "nothing was recorded");
            }
            let markers = if lines.len() > CROWD { CROWD_MARKERS } else { MARKERS };
            for line in &lines {
                draw_line(canvas, line, &x, &y, markers);
            }
            draw_labels(canvas, &lines, &x, &y);
        });
    }
}

/// The finite points of a line at or below `top`, cut where it crosses.
fn visible(line: &Line, top: f64) -> Line {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut above: Option<(f64, f64)> = None;
    for (x, y) in line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        if y > top {
            if let Some(&(x0, y0)) = points.last().filter(|_| above.is_none()) {
                points.push((x0 + (x - x0) * (top - y0) / (y - y0), top));
            }
            above = Some((x, y));
            continue;
        }
        if let Some((x0, y0)) = above.take() {
            points.push((x0 + (x - x0) * (y0 - top) / (y0 - y), top));
        }
        points.push((x, y));
    }
    Line { points, ..line.clone() }
}

/// A line whose late values lie so many times further above the lowest than those of the lines that must stay would squeeze them.
const SQUEEZED: f64 = 2.0;

/// How far up a chart of lines reaches.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Focus {
    /// Values above it do not stretch the plot. Infinite, that is, nothing is cut, where cutting would gain little.
    pub(in super::super) top: f64,
    /// For each line, whether its end lies above.
    pub(in super::super) leaves: Vec<bool>,
}

/// Cuts the steep starts of lines off, so that their ends can be told apart: the plot reaches to the highest value after the first
/// tenth of the tokens, or at the end of a line. A line that `may_leave` is not counted where it would squeeze all others.
pub(in super::super) fn focus(lines: &[Line], may_leave: &[bool]) -> Focus {
    let finite = |line: &Line| -> Vec<(f64, f64)> {
        line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    let points: Vec<Vec<(f64, f64)>> = lines.iter().map(finite).collect();
    // Of the lines that stay, since one that goes on much longer would make all of their points early ones.
    let range_of = |staying: &[bool]| {
        let stay = || points.iter().zip(staying).filter(|(_, stays)| **stays).map(|(points, _)| points);
        let most = stay().flatten().map(|point| point.0).fold(0.0, f64::max);
        let late = stay().flat_map(|points| points.iter().filter(|point| point.0 >= most / 10.0).chain(points.last()));
        late.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.1), high.max(point.1)))
    };
    let must_stay: Vec<bool> = (0..lines.len()).map(|at| !may_leave.get(at).copied().unwrap_or(false)).collect();
    let (low, high) = range_of(&must_stay);
    let squeezes = |points: &[(f64, f64)]| {
        let starts_inside = points.iter().any(|point| point.1 <= high);
        high > low && starts_inside && points.last().is_some_and(|end| end.1 - low > SQUEEZED * (high - low))
    };
    let mut leaves: Vec<bool> =
        points.iter().zip(&must_stay).map(|(points, stays)| !stays && squeezes(points)).collect();
    let staying: Vec<bool> = leaves.iter().map(|leaves| !leaves).collect();
    let (low, high) = range_of(&staying);
    let highest = points.iter().flatten().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let top = if high > low && highest - low > 1.5 * (high - low) { high } else { f64::INFINITY };
    if top.is_infinite() {
        leaves.fill(false);
    }
    Focus { top, leaves }
}

/// At most about `most` points: means of equally many neighbours.
pub(in super::super) fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    let each = points.len().div_ceil(most.max(1)).max(1);
    let mean = |part: &[(f64, f64)]| {
        let (x, y) = part.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / part.len() as f64, y / part.len() as f64)
    };
    points.chunks(each).map(mean).collect()
}

fn draw_line(canvas: &mut Canvas<'_>, line: &Line, x: &Axis, y: &Axis, markers: usize) {
    let points: Vec<(f64, f64)> = line.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
    let class = format!("{} s{}", if line.faint { "line faint" } else { "line" }, line.style);
    if points.len() > 1 {
        canvas.path(&class, &points, false);
    }
    if line.faint && points.len() > 1 {
        return;
    }
    // From the end backwards, so that the last point, which matters most, has one; styles are staggered before it.
    let every = points.len().div_ceil(markers).max(1);
    for (index, point) in points.iter().rev().enumerate() {
        if index == 0 || (index > every / 2 && index % every == line.style % every) {
            canvas.marker(line.style, *point);
        }
    }
}

/// Labels to the right of the plot, each tied to its line's last point.
fn draw_labels(canvas: &mut Canvas<'_>, lines: &[Line], x: &Axis, y: &Axis) {
    let labelled: Vec<(&Line, &String, (f64, f64))> = lines
        .iter()
        .filter_map(|line| {
            let &(last_x, last_y) = line.points.last()?;
            Some((line, line.label.as_ref()?, (x.at(last_x), y.at(last_y))))
        })
        .collect();
    let wanted: Vec<f64> = labelled.iter().map(|(_, _, end)| end.1).collect();
    let placed = spread(&wanted, &vec![LINE_HEIGHT; wanted.len()], y.to - 10.0, y.from + 4.0);
    for ((line, label, end), at) in labelled.into_iter().zip(placed) {
        canvas.line("leader", (end.0 + 5.0, end.1), (x.to + 14.0, at));
        canvas.text(&format!("label s{}", line.style), "start", (x.to + 17.0, at), &clip(label, LABEL_CHARACTERS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(f64, f64)]) -> Line {
        Line { label: Some("sbp".to_owned()), style: 1, faint: false, points: points.to_vec() }
    }

    fn chart(lines: Vec<Line>, y_top: f64) -> String {
        let mut markup = Markup::default();
        let chart = LineChart { title: "t", description: "d", y_name: "nats", lines, y_also: vec![], y_top };
        chart.draw(&mut markup, "wide", Size::WIDE);
        markup.finish()
    }

    #[test]
    fn odd_lines_draw_without_odd_numbers() {
        let cases: [&[(f64, f64)]; 6] = [
            &[],
            &[(5.0, 4.0)],
            &[(0.0, 0.0), (0.0, 0.0)],
            &[(f64::NAN, 1.0), (1.0, f64::INFINITY)],
            &[(0.0, 1e-300), (1e18, 1e300)],
            &[(1.0, 4.0), (2.0, f64::NAN), (3.0, 4.0)],
        ];
        for points in cases {
            let svg = chart(vec![line(points), line(&[])], f64::INFINITY);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{points:?}: {svg}");
            let finite = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).count();
            assert_eq!(svg.contains("nothing was recorded"), finite == 0, "{points:?}");
            assert_eq!(svg.contains("<circle"), finite > 0, "{points:?}: a single point shows too");
        }
        assert!(chart(vec![], 1.0).contains("nothing was recorded"));
    }

    #[test]
    fn a_steep_start_is_cut_at_the_top() {
        let steep = line(&[(0.0, 9.0), (10.0, 5.0), (100.0, 4.0)]);
        let top = |lines: &[Line]| focus(lines, &[]).top;
        assert_eq!(top(std::slice::from_ref(&steep)), 5.0);
        assert_eq!(visible(&steep, 6.0).points, [(7.5, 6.0), (10.0, 5.0), (100.0, 4.0)]);
        let climbing = line(&[(0.0, 5.0), (10.0, 9.0), (20.0, 5.0)]);
        assert_eq!(visible(&climbing, 6.0).points, [(0.0, 5.0), (2.5, 6.0), (17.5, 6.0), (20.0, 5.0)]);
        assert_eq!(top(&[line(&[(0.0, 4.2), (100.0, 4.0)])]), f64::INFINITY, "nothing to gain");
        assert_eq!(top(&[]), f64::INFINITY);
        assert_eq!(top(&[steep, line(&[(0.0, 9.0)])]), f64::INFINITY, "no line disappears");
    }

    #[test]
    fn a_line_that_would_squeeze_all_others_leaves_where_it_may() {
        let near = line(&[(0.0, 9.0), (10.0, 5.0), (100.0, 4.0)]);
        let long = line(&[(0.0, 9.0), (10.0, 5.0), (100.0, 4.5), (200.0, 8.0), (300.0, 10.0)]);
        let lines = [near.clone(), long.clone()];
        assert_eq!(focus(&lines, &[false, true]), Focus { top: 5.0, leaves: vec![false, true] });
        assert_eq!(focus(&lines, &[false, false]).leaves, [false, false], "a line that must stay does");
        assert_eq!(visible(&long, 5.0).points.last().unwrap().1, 5.0, "it ends at the edge");
        let beside = line(&[(0.0, 9.0), (10.0, 5.5), (100.0, 5.5)]);
        assert_eq!(focus(&[near.clone(), beside], &[false, true]), Focus { top: 5.5, leaves: vec![false, false] });
        let outside = line(&[(0.0, 9.0), (100.0, 12.0)]);
        assert_eq!(focus(&[near, outside], &[false, true]).leaves, [false, false], "no line disappears");
    }

    #[test]
    fn thinning_takes_means() {
        let points: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i), f64::from(i * 2))).collect();
        assert_eq!(thin(&points, 5), [(0.5, 1.0), (2.5, 5.0), (4.5, 9.0), (6.5, 13.0), (8.5, 17.0)]);
        assert_eq!(thin(&points, 100), points);
        assert_eq!(thin(&[], 5), []);
    }
}
