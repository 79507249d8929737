//! The arms beside repetition: differences and shares of the gap, with their intervals.

use super::data::{ArmComparison, Report, SBP, VALIDATION};
use super::html::{Cell, table};
use super::markup::Markup;
use super::numbers::{NONE, count, percent, signed_nats};

/// Between the two ends of an interval.
const TO: &str = " to ";

/// A table with a row for every arm that was compared, or nothing.
pub(super) fn comparisons(page: &mut Markup, report: &Report) {
    let compared: Vec<&ArmComparison> = report.comparisons.iter().filter(|found| found.measure == VALIDATION).collect();
    if compared.is_empty() {
        return;
    }
    let row = |found: &&ArmComparison| {
        let key = if found.arm == SBP { VALIDATION.to_owned() } else { format!("{VALIDATION} of {}", found.arm) };
        let gap = report.gap_closed.get(&key);
        let share = gap.and_then(|gap| gap.mean).map_or_else(|| NONE.to_owned(), percent);
        let interval = match gap.map(|gap| (gap.low, gap.high)) {
            Some((Some(low), Some(high))) => format!("{}{TO}{}", percent(low), percent(high)),
            _ => String::new(),
        };
        vec![
            Cell::new(&found.arm),
            Cell::with_detail(
                signed_nats(found.difference),
                format!("{}{TO}{}", signed_nats(found.low), signed_nats(found.high)),
            ),
            Cell::new(if found.is_significant() { "yes" } else { "no" }),
            Cell::with_detail(share, interval),
            Cell::new(found.seeds),
            Cell::new(count(found.documents)),
        ]
    };
    let rows: Vec<Vec<Cell>> = compared.iter().map(row).collect();
    let caption = "Beside repetition: difference in nats per token (below zero is better) and share of the gap closed, with \
                   95\u{a0}% intervals";
    let columns = ["arm", "difference", "significant", "gap closed", "seeds", "documents"];
    table(page, caption, &columns, &rows);
}
