//! Curves as letters on a grid of characters.

use cognate_results::{short_nats, short_tokens};

/// Characters before the plot: a number and the axis.
const MARGIN: usize = 8;

/// One curve: its sign, its points as (tokens, nats).
pub(super) type Curve<'a> = (char, &'a [(f64, f64)]);

/// Draws curves over training tokens, `height` lines in all, the two axes' numbers among them; later curves lie on earlier
/// ones. Values above those that remain after the first tenth of the tokens are cut off at the top. Nothing for a room too
/// small, or without two different points.
pub(super) fn plot(curves: &[Curve<'_>], width: usize, height: usize) -> Vec<String> {
    let points = || curves.iter().flat_map(|(_, points)| points.iter().copied()).filter(is_finite);
    let most = points().map(|point| point.0).fold(0.0, f64::max);
    let late = points().filter(|point| point.0 >= most / 10.0).map(|point| point.1);
    let (low, high) = late.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    if width < MARGIN + 16 || height < 5 || most <= 0.0 || high <= low {
        return Vec::new();
    }
    let (columns, rows) = (width - MARGIN, height - 2);
    let mut grid = vec![vec![' '; columns]; rows];
    for (sign, points) in curves {
        let mut before: Option<(f64, f64)> = None;
        for point in points.iter().copied().filter(is_finite) {
            for (x, y) in between(before, point, columns as f64 / most) {
                let column = (x / most * (columns - 1) as f64).round() as usize;
                let share = (high - y) / (high - low);
                if share >= 0.0 {
                    grid[((share * (rows - 1) as f64).round() as usize).min(rows - 1)][column.min(columns - 1)] = *sign;
                }
            }
            before = Some(point);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for (row, cells) in grid.iter().enumerate() {
        let value = high - (high - low) * row as f64 / (rows - 1) as f64;
        let is_named = row == 0 || row == rows - 1 || row == rows / 2;
        let label = if is_named { short_nats(value) } else { String::new() };
        lines.push(format!("{label:>6} │{}", cells.iter().collect::<String>().trim_end()));
    }
    lines.push(format!("{:>6} └{}", "", "─".repeat(columns)));
    let (middle, end) = (short_tokens(most / 2.0), format!("{} tokens", short_tokens(most)));
    let half = columns / 2;
    let room = columns.saturating_sub(half + end.chars().count());
    let middle = if middle.chars().count() < room { middle } else { String::new() };
    lines.push(format!("{:>MARGIN$}{:<half$}{middle:<room$}{end}", "", "0"));
    lines
}

/// The way from one point to the next in steps of at most one column; the point alone where there is none before it.
fn between(before: Option<(f64, f64)>, (x, y): (f64, f64), columns_per_token: f64) -> impl Iterator<Item = (f64, f64)> {
    let (x0, y0) = before.unwrap_or((x, y));
    let steps = ((x - x0).abs() * columns_per_token).ceil().clamp(1.0, 1e4) as usize;
    let first = if before.is_none() { steps } else { 1 };
    (first..=steps).map(move |step| {
        let share = step as f64 / steps as f64;
        (x0 + (x - x0) * share, y0 + (y - y0) * share)
    })
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_letters_on_a_grid() {
        let falling = [(0.0, 9.0), (100.0, 6.0), (500.0, 5.0), (1000.0, 4.0)];
        let flat = [(0.0, 9.0), (1000.0, 5.0)];
        let drawn = plot(&[('r', &falling), ('s', &flat[1..])], 40, 9).join("\n");
        let expected = "  6.00 │   rrr
       │      rrrr
       │          rrrr
  5.00 │              rrrr             s
       │                  rrrrr
       │                       rrrrrr
  4.00 │                             rrr
       └────────────────────────────────
        0               500   1 k tokens";
        assert_eq!(drawn, expected, "{drawn}");
    }

    #[test]
    fn odd_points_and_rooms_are_no_trouble() {
        let odd = [(f64::NAN, 1.0), (1.0, f64::INFINITY), (2.0, 3.0), (3.0, -1e300), (4.0, 1e300)];
        for (width, height) in [(0, 0), (24, 5), (80, 20), (300, 3)] {
            for curves in [vec![], vec![('r', &odd[..])], vec![('r', &odd[..1]), ('s', &odd[2..3])]] {
                let lines = plot(&curves, width, height);
                assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            }
        }
    }
}
