//! The arms beside repetition: differences and shares of the gap, with their intervals.

use super::data::{ArmComparison, Report, VALIDATION, gap_key};
use super::html::{Cell, table};
use super::markup::Markup;
use super::numbers::{NONE, count, percent, signed_nats, signed_points};

/// Between the two ends of an interval.
const TO: &str = " to ";

/// Validation: a row for every arm that was compared, or nothing.
pub(super) fn comparisons(page: &mut Markup, report: &Report) {
    let caption = "Beside repetition: difference in nats per token (below zero is better) and share of the gap closed, with \
                   95\u{a0}% intervals";
    compared(
        page,
        report,
        caption,
        "arm",
        |found| (found.measure == VALIDATION).then(|| found.arm.clone()),
        signed_nats,
    );
}

/// Tasks: a row for every task and arm that was compared, or nothing.
pub(super) fn task_comparisons(page: &mut Markup, report: &Report) {
    let caption = "Tasks beside repetition: difference in percentage points (above zero is better) and share of the gap closed, \
                   with 95\u{a0}% intervals; the task average gives every task the same weight";
    let label =
        |found: &ArmComparison| (found.measure != VALIDATION).then(|| format!("{}, {}", found.measure, found.arm));
    compared(page, report, caption, "task and arm", label, signed_points);
}

/// A table of the comparisons that have a label, or nothing.
fn compared(
    page: &mut Markup,
    report: &Report,
    caption: &str,
    first: &str,
    label: impl Fn(&ArmComparison) -> Option<String>,
    difference: fn(f64) -> String,
) {
    let row = |found: &ArmComparison| {
        let label = label(found)?;
        let gap = report.gap_closed.get(&gap_key(&found.measure, &found.arm));
        let share = gap.and_then(|gap| gap.mean).map_or_else(|| NONE.to_owned(), percent);
        let interval = match gap.map(|gap| (gap.low, gap.high)) {
            Some((Some(low), Some(high))) => format!("{}{TO}{}", percent(low), percent(high)),
            _ => String::new(),
        };
        Some(vec![
            Cell::new(label),
            Cell::with_detail(
                difference(found.difference),
                format!("{}{TO}{}", difference(found.low), difference(found.high)),
            ),
            Cell::new(if found.is_significant() { "yes" } else { "no" }),
            Cell::with_detail(share, interval),
            Cell::new(found.seeds),
            Cell::new(count(found.documents)),
        ])
    };
    let rows: Vec<Vec<Cell>> = report.comparisons.iter().filter_map(row).collect();
    if !rows.is_empty() {
        table(page, caption, &[first, "difference", "significant", "gap closed", "seeds", "documents"], &rows);
    }
}
