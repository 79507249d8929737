//! Validation losses that rose again: scores are of final models, and an arm may have been better on the way.

use cognate_results::numbers::{nats, signed_nats, tokens};
use cognate_results::{Curve, ORACLE, Point, REPETITION, Report, SBP, gap_closed};

use super::html::{Cell, arm_label, table};
use super::markup::Markup;

/// A rise that three decimals show.
const SHOWN: f64 = 0.0005;

/// The lowest of a curve's validation losses.
pub(super) fn lowest(curve: &Curve) -> Option<Point> {
    curve.validation.iter().copied().min_by(|a, b| a.nats_per_token.total_cmp(&b.nats_per_token))
}

/// How far a curve ends above its lowest point.
fn rise(curve: &Curve) -> Option<(Point, Point)> {
    let (lowest, last) = (lowest(curve)?, *curve.validation.last()?);
    (last.nats_per_token - lowest.nats_per_token >= SHOWN).then_some((lowest, last))
}

/// A row for every model whose loss rose again, or nothing.
pub(super) fn risen(page: &mut Markup, report: &Report) {
    let row = |curve: &Curve| {
        let (lowest, last) = rise(curve)?;
        Some(vec![
            Cell::new(arm_label(report, &curve.arm, curve.seed)),
            Cell::new(nats(lowest.nats_per_token)),
            Cell::new(tokens(lowest.tokens)),
            Cell::new(nats(last.nats_per_token)),
            Cell::new(signed_nats(last.nats_per_token - lowest.nats_per_token)),
        ])
    };
    let rows: Vec<Vec<Cell>> = report.curves.iter().filter_map(row).collect();
    if rows.is_empty() {
        return;
    }
    let caption = "Models whose validation loss rose again, on the documents that training is watched with. All scores are of final models; \
                   a lowest loss is chosen on the documents that it is measured on, and looks better than it is";
    table(page, caption, &["arm", "lowest", "after tokens", "at the end", "rise"], &rows);
}

/// The share of the gap that sbp closes where each of the three arms is taken at its lowest loss, over the seeds that all have.
fn share_at_lowest(report: &Report) -> Option<f64> {
    let of = |arm: &str, seed: u64| report.curves.iter().find(|curve| curve.arm == arm && curve.seed == seed);
    let mut sums = [0.0; 3];
    let mut seeds = 0;
    for curve in report.curves.iter().filter(|curve| curve.arm == REPETITION) {
        let three = [REPETITION, SBP, ORACLE].map(|arm| of(arm, curve.seed).and_then(lowest));
        if let [Some(repetition), Some(sbp), Some(oracle)] = three {
            seeds += 1;
            for (sum, point) in sums.iter_mut().zip([repetition, sbp, oracle]) {
                *sum += point.nats_per_token;
            }
        }
    }
    (seeds > 0).then(|| gap_closed(sums[0], sums[1], sums[2])).flatten()
}

/// What the share would be if every arm were stopped at its lowest loss, where repetition rose again; otherwise nothing.
pub(super) fn stopped_early(report: &Report) -> Option<f64> {
    let risen = report.curves.iter().filter(|curve| curve.arm == REPETITION).any(|curve| rise(curve).is_some());
    share_at_lowest(report).filter(|_| risen)
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::super::sample::sample;
    use super::*;

    fn set(report: &mut Report, arm: &str, losses: &[f64]) {
        let curve = report.curves.iter_mut().find(|curve| curve.arm == arm).unwrap();
        let point = |(at, nats): (usize, &f64)| Point { tokens: at as u64 * 1_000_000, nats_per_token: *nats };
        curve.validation = losses.iter().enumerate().map(point).collect();
    }

    #[test]
    fn an_arm_that_was_better_on_the_way_is_said_to_be() {
        let mut report = sample();
        for (arm, losses) in [(REPETITION, [6.0, 5.5, 5.25]), (SBP, [6.0, 5.25, 5.0]), (ORACLE, [6.0, 5.0, 4.5])] {
            set(&mut report, arm, &losses);
        }
        assert_eq!(stopped_early(&report), None);
        assert!(!page(&report).contains("rose again"));
        set(&mut report, REPETITION, &[6.0, 5.0, 5.75]);
        set(&mut report, SBP, &[6.0, 4.875, 5.0]);
        // (5 − 4.875) / (5 − 4.5)
        assert_eq!(stopped_early(&report), Some(0.25));
        let html = page(&report).replace('\u{a0}', " ");
        let table = &html[html.find("rose again").unwrap()..];
        let table = &table[..table.find("</table>").unwrap()];
        for expected in ["repetition", "5.000", "1.00 M", "5.750", "+0.750", ">sbp<", "+0.125"] {
            assert!(table.contains(expected), "{expected}: {table}");
        }
        assert!(!table.contains("oracle"));
        assert!(html.contains("every arm stopped at its lowest loss, sbp closes 25 %"), "{html}");
    }
}
