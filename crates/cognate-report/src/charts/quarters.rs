//! Differences of arms from the baseline in quarters of the documents, side by side with their intervals.

use cognate_results::BySimilarity;
use cognate_results::numbers::decimals;

use super::super::markup::Markup;
use super::{Axis, Canvas, LINE_HEIGHT, Size, Unit, text_width};

/// Share of a quarter's width that its arms take.
const FILLED: f64 = 0.7;

/// Draws a mark with a whisker for each arm in each quarter; `style` is an arm's look.
pub(in super::super) fn quarters(
    markup: &mut Markup,
    class: &str,
    size: Size,
    found: &BySimilarity,
    style: impl Fn(&str) -> usize,
) {
    let names = legend(found, size);
    let rows = names.last().map_or(0.0, |(_, (_, row))| row + 1.0);
    let top = 26.0 + rows * LINE_HEIGHT;
    let (left, right) = (size.margin(), size.width - 12.0);
    let all = found.arms.iter().flat_map(|arm| &arm.differences).flat_map(|found| [found.value, found.low, found.high]);
    let y = Axis::over(all.chain([0.0]), (size.height - 42.0, top), 4.0, Unit::Number).rounded();
    let band = (right - left) / found.quarters.len().max(1) as f64;
    let description = format!(
        "For each quarter of the documents, from the least to the most similar, the difference of {} from repetition.",
        found.arms.iter().map(|arm| arm.arm.as_str()).collect::<Vec<_>>().join(", ")
    );
    Canvas::draw(markup, class, size, ("Gain by similarity to the training text", &description), |canvas| {
        for tick in y.ticks() {
            canvas.line("rule", (left, y.at(tick)), (right, y.at(tick)));
            canvas.text("tick", "end", (left - 8.0, y.at(tick)), &y.label(tick));
        }
        canvas.line("axis", (left, y.at(0.0)), (right, y.at(0.0)));
        canvas.text("name", "start", (2.0, 9.0), "nats per token");
        canvas.text("name", "end", (right, size.height - 9.0), "cosine with the nearest unique document");
        for (at, (x, row)) in &names {
            let arm = &found.arms[*at].arm;
            let (mark, height) = ((left + x + 5.0, 26.0 + row * LINE_HEIGHT), 26.0 + row * LINE_HEIGHT);
            canvas.marker(style(arm), mark);
            canvas.text(&format!("label s{}", style(arm)), "start", (left + x + 14.0, height), arm);
        }
        for (at, quarter) in found.quarters.iter().enumerate() {
            let from = left + band * at as f64;
            let range = format!("{}–{}", decimals(quarter.from, 2), decimals(quarter.to, 2));
            canvas.text("tick", "middle", (from + band / 2.0, y.from + 15.0), &range);
            let step = band * FILLED / found.arms.len().max(1) as f64;
            for (place, arm) in found.arms.iter().enumerate() {
                let Some(difference) = arm.differences.get(at) else { continue };
                let x = from + band * (1.0 - FILLED) / 2.0 + step * (place as f64 + 0.5);
                if difference.low.is_finite() && difference.high.is_finite() {
                    canvas.line("whisker", (x, y.at(difference.low)), (x, y.at(difference.high)));
                }
                if difference.value.is_finite() {
                    canvas.marker(style(&arm.arm), (x, y.at(difference.value)));
                }
            }
        }
    });
}

/// Where the arms' names stand: place of the arm, offset and row.
fn legend(found: &BySimilarity, size: Size) -> Vec<(usize, (f64, f64))> {
    let room = size.width - 12.0 - size.margin();
    let (mut x, mut row) = (0.0, 0.0);
    let mut placed = Vec::new();
    for (at, arm) in found.arms.iter().enumerate() {
        let width = text_width(&arm.arm) + 30.0;
        if x > 0.0 && x + width > room {
            (x, row) = (0.0, row + 1.0);
        }
        placed.push((at, (x, row)));
        x += width;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use cognate_results::{ArmBySimilarity, Difference, Quarter};

    fn found(arms: usize, value: f64) -> BySimilarity {
        let quarter =
            |at: usize| Quarter { from: at as f64 / 10.0, to: at as f64 / 10.0 + 0.1, documents: 9, baseline: 5.0 };
        let difference = |at: usize| Difference { value: value * at as f64, low: value - 0.1, high: value + 0.1 };
        let arm =
            |at: usize| ArmBySimilarity { arm: format!("arm-{at}"), differences: (0..4).map(difference).collect() };
        BySimilarity { quarters: (0..4).map(quarter).collect(), arms: (0..arms).map(arm).collect() }
    }

    fn drawn(found: &BySimilarity, size: Size) -> String {
        let mut markup = Markup::default();
        quarters(&mut markup, "wide", size, found, |_| 1);
        markup.finish()
    }

    #[test]
    fn every_arm_has_a_mark_in_every_quarter_and_one_beside_its_name() {
        for (arms, size) in [(1, Size::WIDE), (8, Size::WIDE), (8, Size::NARROW)] {
            let svg = drawn(&found(arms, -0.2), size);
            assert_eq!(svg.matches("<circle").count(), arms * 5);
            assert_eq!(svg.matches("class=\"whisker\"").count(), arms * 4);
            assert!(svg.contains(">0.30–0.40<") && svg.contains(">arm-0<"));
        }
        // In a narrow figure the names take several rows, and the plot begins below them.
        let rows = |size| legend(&found(8, 0.1), size).last().unwrap().1.1;
        assert!(rows(Size::NARROW) > rows(Size::WIDE));
    }

    #[test]
    fn nothing_that_is_no_number_is_drawn() {
        let svg = drawn(&found(2, f64::NAN), Size::WIDE);
        assert!(!svg.contains("NaN") && !svg.contains("whisker"), "{svg}");
        assert!(!drawn(&found(0, 0.1), Size::NARROW).contains("whisker"));
    }
}
