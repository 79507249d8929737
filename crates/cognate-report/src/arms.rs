//! The arms beside repetition, and the controls beside sbp: differences and shares of the gap, with their intervals.

use super::data::{ArmComparison, REPETITION, Report, SBP, VALIDATION, answer_nats, gap_key, is_in_nats};
use super::download::{Csv, downloads, number};
use super::html::{Cell, list, section, table};
use super::markup::Markup;
use super::numbers::{NONE, count, percent, signed_nats, signed_points};

/// Between the two ends of an interval.
const TO: &str = " to ";

/// What a difference on validation documents is, and in what.
const NATS: &str = "difference in nats per token (below zero is better)";
/// What a difference on tasks is, and in what.
const POINTS: &str = "difference in percentage points (above zero is better)";
/// What a difference on right answers is, and in what.
const ANSWERS: &str = "of right answers in the mean −ln p of a question, in nats (below zero is better)";
/// What is said of the mean of all tasks.
const AVERAGE: &str = "the task average gives every task the same weight";

/// Validation: a row for every arm that was compared with repetition, or nothing.
pub(super) fn beside_repetition(page: &mut Markup, report: &Report) {
    let table = Table {
        caption: &format!("Beside repetition: {NATS} and share of the gap closed, with 95\u{a0}% intervals"),
        columns: ("arm", "documents"),
        file: "comparisons.csv",
        against: REPETITION,
        of_tasks: false,
    };
    table.write(page, report);
}

/// Tasks: a row for every task and arm that was compared with repetition, or nothing.
pub(super) fn tasks_beside_repetition(page: &mut Markup, report: &Report) {
    let table = Table {
        caption: &format!(
            "Tasks beside repetition: {POINTS}, {ANSWERS}, and share of the gap in points closed, with 95\u{a0}% intervals; {AVERAGE}"
        ),
        columns: ("task and arm", "items"),
        file: "task-comparisons.csv",
        against: REPETITION,
        of_tasks: true,
    };
    table.write(page, report);
}

/// Controls beside sbp, on validation and on tasks, or nothing.
fn beside_sbp(page: &mut Markup, report: &Report) {
    let validation = Table {
        caption: &format!("Controls beside sbp: {NATS}, with 95\u{a0}% intervals"),
        columns: ("arm", "documents"),
        file: "beside-sbp.csv",
        against: SBP,
        of_tasks: false,
    };
    validation.write(page, report);
    let tasks = Table {
        caption: &format!("Controls beside sbp on tasks: {POINTS}, {ANSWERS}, with 95\u{a0}% intervals; {AVERAGE}"),
        columns: ("task and arm", "items"),
        file: "tasks-beside-sbp.csv",
        against: SBP,
        of_tasks: true,
    };
    tasks.write(page, report);
}

/// The section on arms that are neither repetition nor sbp nor the oracle, or nothing where there is none.
pub(super) fn controls(page: &mut Markup, report: &Report) {
    if report.controls.is_empty() && report.comparisons.iter().all(|found| found.against != SBP) {
        return;
    }
    section(page, "controls", "Controls", |page| {
        page.leaf(
            "p",
            &[],
            "A control lacks one thing that sbp has. Where it is as good as sbp, what it lacks is not what helped; where it is better, \
             there is a better way.",
        );
        beside_sbp(page, report);
        list(page, &report.controls);
    });
}

/// The difference in nats of right answers that belongs to the one in a task's score.
fn answers(report: &Report, score: &ArmComparison) -> Cell {
    let wanted = (&score.arm, &score.against, &answer_nats(&score.measure));
    let mut all = report.comparisons.iter();
    all.find(|found| (&found.arm, &found.against, &found.measure) == wanted)
        .map_or_else(|| Cell::new(NONE), |found| difference(found, signed_nats))
}

/// A difference over its interval.
fn difference(found: &ArmComparison, shown: fn(f64) -> String) -> Cell {
    Cell::with_detail(shown(found.difference), format!("{}{TO}{}", shown(found.low), shown(found.high)))
}

/// A table of arms beside one of them.
struct Table<'a> {
    caption: &'a str,
    /// Headings of the first and the last column.
    columns: (&'a str, &'a str),
    /// Under which name its data can be saved.
    file: &'a str,
    /// The arm that the others stand beside. A share of the gap is told beside repetition alone.
    against: &'a str,
    /// Whether it is about tasks, in points and in nats of right answers, and not about validation, in nats per token.
    of_tasks: bool,
}

impl Table<'_> {
    fn is_about(&self, found: &ArmComparison) -> bool {
        found.against == self.against && (found.measure != VALIDATION) == self.of_tasks
    }

    /// What the row of a comparison is called; none for nats of right answers, which stand in the row of their task.
    fn label(&self, found: &ArmComparison) -> Option<String> {
        match (self.of_tasks, is_in_nats(&found.measure)) {
            (false, _) => Some(found.arm.clone()),
            (true, false) => Some(format!("{}, {}", found.measure, found.arm)),
            (true, true) => None,
        }
    }

    /// Writes the comparisons that it is about, or nothing.
    fn write(&self, page: &mut Markup, report: &Report) {
        let beside_repetition = self.against == REPETITION;
        let row = |found: &&ArmComparison| {
            let mut row = vec![
                Cell::new(self.label(found)?),
                difference(found, if self.of_tasks { signed_points } else { signed_nats }),
                Cell::new(if found.is_significant() { "yes" } else { "no" }),
            ];
            row.extend(self.of_tasks.then(|| answers(report, found)));
            row.extend(beside_repetition.then(|| share_of_the_gap(report, found)));
            row.extend([Cell::new(found.seeds), Cell::new(count(found.documents))]);
            Some(row)
        };
        let told = || report.comparisons.iter().filter(|found| self.is_about(found));
        let rows: Vec<Vec<Cell>> = told().filter_map(|found| row(&found)).collect();
        if rows.is_empty() {
            return;
        }
        let significant = if self.of_tasks { "difference significant" } else { "significant" };
        let mut columns = vec![self.columns.0, "difference", significant];
        columns.extend(self.of_tasks.then_some("right answers"));
        columns.extend(beside_repetition.then_some("gap closed"));
        columns.extend(["seeds", self.columns.1]);
        table(page, self.caption, &columns, &rows);
        downloads(page, &[(self.file, csv(report, told()))]);
    }
}

fn share_of_the_gap(report: &Report, found: &ArmComparison) -> Cell {
    let gap = report.gap_closed.get(&gap_key(&found.measure, &found.arm));
    // Without an interval there are resamples without a gap: on a task such a share would read as a result.
    let known = gap.filter(|gap| found.measure == VALIDATION || gap.low.is_some());
    let share = known.and_then(|gap| gap.mean).map_or_else(|| NONE.to_owned(), percent);
    let interval = match gap.map(|gap| (gap.low, gap.high)) {
        Some((Some(low), Some(high))) => format!("{}{TO}{}", percent(low), percent(high)),
        _ => String::new(),
    };
    Cell::with_detail(share, interval)
}

fn csv<'a>(report: &Report, comparisons: impl Iterator<Item = &'a ArmComparison>) -> Csv {
    let columns = [
        "measure",
        "arm",
        "against",
        "difference",
        "low",
        "high",
        "gap_closed",
        "gap_low",
        "gap_high",
        "seeds",
        "items",
    ];
    let mut csv = Csv::new(&columns);
    for found in comparisons {
        let beside_repetition = found.against == REPETITION;
        let gap = report.gap_closed.get(&gap_key(&found.measure, &found.arm)).filter(|_| beside_repetition);
        csv.row([
            found.measure.clone(),
            found.arm.clone(),
            found.against.clone(),
            number(found.difference),
            number(found.low),
            number(found.high),
            number(gap.and_then(|gap| gap.mean)),
            number(gap.and_then(|gap| gap.low)),
            number(gap.and_then(|gap| gap.high)),
            found.seeds.to_string(),
            found.documents.to_string(),
        ]);
    }
    csv
}
