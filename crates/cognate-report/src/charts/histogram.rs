//! Similarity of neighbours against that of random documents, on the same bins.

use cognate_results::numbers::decimals;
use cognate_results::{Pairs, SimilarityHistogram};

use super::super::markup::Markup;
use super::{Axis, Canvas, LINE_HEIGHT, Size, Unit, spread, text_width};

/// Draws both histograms, each as shares of its own total, and the window of similarities that makes a pair.
pub(in super::super) fn similarity_histogram(markup: &mut Markup, class: &str, size: Size, pairs: &Pairs) {
    let histogram = &pairs.histogram;
    let bins = bins(histogram);
    let series = [
        ("neighbours", 1, shares(&histogram.neighbours[..bins])),
        ("random documents", 0, shares(&histogram.random[..bins])),
    ];
    let top = 26.0 + 2.0 * LINE_HEIGHT;
    let x_ticks = if size.width > 500.0 { 8.0 } else { 4.0 };
    let edges = histogram.edges.iter().copied();
    let x = Axis::over(edges, (size.margin(), size.width - 12.0), x_ticks, Unit::Number);
    let heights = series.iter().flat_map(|(_, _, shares)| shares.iter().copied());
    let y = Axis::over(heights.chain([0.0]), (size.height - 42.0, top), 4.0, Unit::Share).rounded();
    let description = format!(
        "Two histograms of cosine similarity over {bins} bins. Pairs are taken between {} and {}.",
        decimals(pairs.min_similarity, 2),
        decimals(pairs.max_similarity, 2)
    );
    let title = "Similarity of nearest neighbours and of random documents";
    Canvas::draw(markup, class, size, (title, &description), |canvas| {
        draw_window(canvas, pairs, &x, &y);
        canvas.frame(&x, &y, "cosine similarity", "share of each kind");
        let mut peaks = Vec::new();
        for (name, style, shares) in &series {
            let outline = outline(&histogram.edges[..if bins == 0 { 0 } else { bins + 1 }], shares, &x, &y);
            if outline.is_empty() {
                continue;
            }
            canvas.path(&format!("area s{style}"), &outline, true);
            canvas.path(&format!("line s{style}"), &outline, false);
            peaks.push((*name, *style, peak(&outline)));
        }
        draw_precision(canvas, histogram, bins, &x, (size.height - 42.0, top));
        if peaks.is_empty() {
            let middle = ((x.from + x.to) / 2.0, (y.from + y.to) / 2.0);
            canvas.text("tick", "middle", middle, "nothing was recorded");
        }
        draw_names(canvas, &peaks, &x, y.to - 0.5 * LINE_HEIGHT);
    });
}

/// Bins that both series and the borders have; 0 where a border is not finite or not above the one before.
fn bins(histogram: &SimilarityHistogram) -> usize {
    let ascending = histogram.edges.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = histogram.edges.iter().all(|edge| edge.is_finite());
    let borders = if ascending && finite { histogram.edges.len().saturating_sub(1) } else { 0 };
    borders.min(histogram.neighbours.len()).min(histogram.random.len())
}

/// Each count over their sum; empty where there is nothing to share.
fn shares(counts: &[u64]) -> Vec<f64> {
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    if total > 0.0 { counts.iter().map(|count| *count as f64 / total).collect() } else { Vec::new() }
}

/// The steps of a histogram, from the floor to the floor, empty bins at both ends left out.
fn outline(edges: &[f64], shares: &[f64], x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    let Some(first) = shares.iter().position(|share| *share > 0.0) else { return Vec::new() };
    let last = shares.iter().rposition(|share| *share > 0.0).unwrap_or(first);
    let mut points = vec![(x.at(edges[first]), y.at(0.0))];
    for bin in first..=last {
        points.push((x.at(edges[bin]), y.at(shares[bin])));
        points.push((x.at(edges[bin + 1]), y.at(shares[bin])));
    }
    points.push((x.at(edges[last + 1]), y.at(0.0)));
    points
}

/// The middle of the highest step.
fn peak(outline: &[(f64, f64)]) -> (f64, f64) {
    let highest = outline.windows(2).filter(|pair| (pair[0].1 - pair[1].1).abs() < 1e-9).min_by(|a, b| {
        a[0].1.total_cmp(&b[0].1) // up is less
    });
    highest.map_or((0.0, 0.0), |pair| ((pair[0].0 + pair[1].0) / 2.0, pair[0].1))
}

/// Shades the similarities that make a pair, and names both ends above the plot.
fn draw_window(canvas: &mut Canvas<'_>, pairs: &Pairs, x: &Axis, y: &Axis) {
    let to =
        if pairs.max_similarity > 1.0 { String::new() } else { format!("to {}", decimals(pairs.max_similarity, 2)) };
    let ends = [
        (pairs.min_similarity, format!("pairs from {}", decimals(pairs.min_similarity, 2))),
        (pairs.max_similarity, to),
    ];
    let inside = |value: f64| x.at(value.clamp(x.low, x.high));
    if ends.iter().any(|(value, _)| !value.is_finite()) {
        return;
    }
    let row = y.to - 1.7 * LINE_HEIGHT;
    canvas.rect("window", (inside(ends[0].0), y.from), (inside(ends[1].0), row + 10.0));
    let wanted: Vec<f64> = ends.iter().map(|(value, _)| inside(*value)).collect();
    let widths: Vec<f64> = ends.iter().map(|(_, label)| text_width(label) + 8.0).collect();
    for ((wanted, at), (_, label)) in wanted.iter().zip(spread(&wanted, &widths, x.from, x.to + 12.0)).zip(&ends) {
        canvas.line("border", (*wanted, y.from), (*wanted, row + 10.0));
        canvas.text("tick", "middle", (at, row), label);
    }
}

/// The estimated share of true neighbours, from 0 at the floor to 1 at the top.
fn draw_precision(
    canvas: &mut Canvas<'_>,
    histogram: &SimilarityHistogram,
    bins: usize,
    x: &Axis,
    (floor, top): (f64, f64),
) {
    let shares = histogram.precision.iter().take(bins).enumerate();
    let known = shares.filter_map(|(bin, share)| Some((bin, share.filter(|share| (0.0..=1.0).contains(share))?)));
    let points: Vec<(f64, f64)> =
        known.map(|(bin, share)| (x.at(histogram.edges[bin]), floor + share * (top - floor))).collect();
    // What lies between two of one height, as before and behind the rise, is a straight line without being named.
    let same = |at: usize| [at - 1, at + 1].iter().all(|&other| (points[at].1 - points[other].1).abs() < 0.5);
    let points: Vec<(f64, f64)> =
        (0..points.len()).filter(|&at| at == 0 || at + 1 == points.len() || !same(at)).map(|at| points[at]).collect();
    if points.len() > 1 {
        canvas.path("line s2", &points, false);
    }
}

/// Names the histograms in one row above the plot, each tied to its peak.
fn draw_names(canvas: &mut Canvas<'_>, peaks: &[(&str, usize, (f64, f64))], x: &Axis, row: f64) {
    let wanted: Vec<f64> = peaks.iter().map(|(_, _, peak)| peak.0).collect();
    let widths: Vec<f64> = peaks.iter().map(|(name, _, _)| text_width(name) + 14.0).collect();
    for ((name, style, peak), at) in peaks.iter().zip(spread(&wanted, &widths, x.from, x.to + 12.0)) {
        canvas.line("leader", (at, row + 9.0), (peak.0, peak.1 - 2.0));
        canvas.text(&format!("label s{style}"), "middle", (at, row), name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(edges: &[f64], neighbours: &[u64], random: &[u64]) -> Pairs {
        Pairs {
            name: String::new(),
            embedder: String::new(),
            min_similarity: 0.5,
            max_similarity: 0.95,
            chosen: String::new(),
            counts: vec![],
            histogram: SimilarityHistogram {
                precision: vec![Some(0.2), None, Some(1.0)],
                edges: edges.to_vec(),
                neighbours: neighbours.to_vec(),
                random: random.to_vec(),
            },
        }
    }

    fn draw(pairs: &Pairs) -> String {
        let mut markup = Markup::default();
        similarity_histogram(&mut markup, "wide", Size::WIDE, pairs);
        markup.finish()
    }

    #[test]
    fn each_histogram_is_a_share_of_its_own_total() {
        assert_eq!(shares(&[1, 3, 0]), [0.25, 0.75, 0.0]);
        assert_eq!(shares(&[0, 0]), [] as [f64; 0]);
        let svg = draw(&pairs(&[0.0, 0.5, 1.0], &[10, 30], &[9_000, 1_000]));
        assert_eq!(svg.matches("class=\"area").count(), 2);
        assert!(
            svg.contains("75\u{a0}%") && svg.contains(">neighbours<") && svg.contains(">random documents<"),
            "{svg}"
        );
    }

    #[test]
    fn odd_histograms_draw_without_odd_numbers() {
        let cases = [
            pairs(&[], &[], &[]),
            pairs(&[0.0, 1.0], &[0], &[0]),
            pairs(&[0.0, 1.0], &[7], &[0]),
            pairs(&[0.0], &[1, 2], &[3]),
            pairs(&[0.0, 0.5, 0.5], &[1, 2], &[2, 1]),
            pairs(&[f64::NAN, 1.0], &[1], &[1]),
            pairs(&[-1.0, 0.0, 1.0], &[u64::MAX, 1], &[1, u64::MAX]),
            Pairs { min_similarity: f64::NAN, ..pairs(&[0.0, 1.0], &[7], &[2]) },
        ];
        for case in &cases {
            let svg = draw(case);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{case:?}: {svg}");
        }
        assert!(draw(&cases[1]).contains("nothing was recorded"));
        assert_eq!(draw(&cases[2]).matches("class=\"area").count(), 1);
    }
}
