//! The arms beside repetition, and the controls beside what they are controls of: differences, shares of the gap, cost.

use cognate_results::numbers::{NONE, count, flops, percent, signed_nats, signed_points, significant};
use cognate_results::{ArmComparison, REPETITION, Report, SBP, VALIDATION, answer_nats, gap_key, is_in_nats};

use super::download::{Csv, downloads, number};
use super::html::{Cell, list, section, table};
use super::markup::Markup;

/// Between the two ends of an interval.
const TO: &str = " to ";

/// What a difference on validation documents is, and in what.
const NATS: &str = "difference in nats per token (below zero is better)";
/// What a difference on tasks is, and in what.
const POINTS: &str = "difference in percentage points (above zero is better)";
/// What a difference on right answers is, and in what.
const ANSWERS: &str = "of right answers in the mean −ln p of a question, in nats (below zero is better)";
/// What the cost in a row is of.
const IN_ALL: &str =
    "compute in all is that of the training and of all that it needed, a synthesizer's base model among it";
/// What is said of the mean of all tasks.
const AVERAGE: &str = "the task average gives every task the same weight";

/// Validation: a row for every arm that was compared with repetition, or nothing.
pub(super) fn beside_repetition(page: &mut Markup, report: &Report) {
    let table = Table {
        caption: &format!("Beside repetition: {NATS} and share of the gap closed, with 95\u{a0}% intervals; {IN_ALL}"),
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
            "Tasks beside repetition: {POINTS}, {ANSWERS}, and share of the gap in points closed, with 95\u{a0}% intervals; {AVERAGE}; \
             {IN_ALL}"
        ),
        columns: ("task and arm", "items"),
        file: "task-comparisons.csv",
        against: REPETITION,
        of_tasks: true,
    };
    table.write(page, report);
}

/// The controls of an arm beside it, on validation and on tasks.
fn beside(page: &mut Markup, report: &Report, arm: &str) {
    let validation = Table {
        caption: &format!("Controls beside {arm}: {NATS}, with 95\u{a0}% intervals"),
        columns: ("arm", "documents"),
        file: &format!("beside-{arm}.csv"),
        against: arm,
        of_tasks: false,
    };
    validation.write(page, report);
    let tasks = Table {
        caption: &format!("Controls beside {arm} on tasks: {POINTS}, {ANSWERS}, with 95\u{a0}% intervals; {AVERAGE}"),
        columns: ("task and arm", "items"),
        file: &format!("tasks-beside-{arm}.csv"),
        against: arm,
        of_tasks: true,
    };
    tasks.write(page, report);
}

/// The arms that others are controls of: sbp, then the others as they are first told of.
fn controlled(report: &Report) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for comparison in report.comparisons.iter().filter(|found| found.against != REPETITION) {
        if !found.contains(&comparison.against.as_str()) {
            found.push(&comparison.against);
        }
    }
    found.sort_by_key(|name| *name != SBP);
    found
}

/// The section on arms that are neither repetition nor sbp nor the oracle, or nothing where there is none.
pub(super) fn controls(page: &mut Markup, report: &Report) {
    let controlled = controlled(report);
    if report.controls.is_empty() && controlled.is_empty() {
        return;
    }
    section(page, "controls", "Controls", |page| {
        page.leaf(
            "p",
            &[],
            "A control lacks one thing that the arm beside it has. Where it is as good as that arm, what it lacks is not what helped; \
             where it is better, there is a better way.",
        );
        for arm in controlled {
            beside(page, report, arm);
        }
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
            if beside_repetition {
                row.extend([share_of_the_gap(report, found), in_all(report, &found.arm)]);
            }
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
        if beside_repetition {
            columns.extend(["gap closed", "compute in all"]);
        }
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

/// What an arm cost, and how many times what repetition did; also without the base model, which who trains repetition has.
fn in_all(report: &Report, arm: &str) -> Cell {
    let costs = report.flops_in_all(arm).zip(report.flops_beside_repetition(arm));
    let Some((cost, without_base)) = costs else { return Cell::new(NONE) };
    let beside = report.flops_in_all(REPETITION).map_or_else(String::new, |repetition| {
        let times = |cost: f64| significant(cost / repetition, 3);
        let without = match without_base < cost {
            true => format!(", {} without the base model", times(without_base)),
            false => String::new(),
        };
        format!("{} times repetition's{without}", times(cost))
    });
    Cell::with_detail(flops(cost), beside)
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
        "flops_with_preparation",
        "flops_in_all",
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
            number(report.flops_beside_repetition(&found.arm)),
            number(report.flops_in_all(&found.arm)),
        ]);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::download::saved;
    use super::super::first_screen;
    use super::super::tests::of_arms;
    use super::*;
    use cognate_results::{Arm, ORACLE};

    /// A report of four arms, with the comparisons that are given.
    fn compared(comparisons: &[(&str, &str)]) -> Report {
        let mut report = of_arms(&[(REPETITION, 5.0), (SBP, 4.8), (ORACLE, 4.0), ("second", 4.7)]);
        report.comparisons = comparisons
            .iter()
            .map(|(arm, against)| ArmComparison {
                arm: (*arm).to_owned(),
                against: (*against).to_owned(),
                measure: VALIDATION.to_owned(),
                difference: -0.2,
                low: -0.3,
                high: -0.1,
                seeds: 1,
                documents: 320,
            })
            .collect();
        report
    }

    /// The part of a page that is the table whose caption begins so.
    fn table_of<'a>(page: &'a str, caption: &str) -> &'a str {
        let from = page.find(&format!("<caption>{caption}")).unwrap_or_else(|| panic!("{caption} is missing"));
        &page[from..from + page[from..].find("</table>").unwrap()]
    }

    #[test]
    fn controls_stand_beside_whatever_they_are_controls_of() {
        let mut report = compared(&[("shuffled", "second"), ("shuffled", SBP), (SBP, REPETITION)]);
        let task = ArmComparison { measure: "hellaswag".to_owned(), ..report.comparisons[0].clone() };
        report.comparisons.push(task);
        let page = first_screen::page(&report);
        for (caption, row) in [
            ("Controls beside sbp: ", ">shuffled<"),
            ("Controls beside second: ", ">shuffled<"),
            ("Controls beside second on tasks: ", ">hellaswag, shuffled<"),
        ] {
            assert!(table_of(&page, caption).contains(row), "{caption}");
        }
        assert!(page.find("Controls beside sbp: ") < page.find("Controls beside second: "));
        let csv = saved(&page, "beside-second.csv").unwrap();
        assert!(csv.lines().count() == 2 && csv.contains("\nvalidation,shuffled,second,"), "{csv}");
        assert!(saved(&page, "tasks-beside-second.csv").unwrap().contains("\nhellaswag,shuffled,second,"));
        assert!(!page.contains("Controls beside repetition"));
        // Without a control of sbp too, and without a note.
        let mut alone = compared(&[("shuffled", "second")]);
        alone.controls.clear();
        assert!(first_screen::page(&alone).contains("Controls beside second: "));
    }

    #[test]
    fn what_an_arm_cost_stands_beside_its_gain() {
        let mut report = compared(&[(SBP, REPETITION), ("second", REPETITION), ("second", SBP)]);
        let cost = [(2e12, 0.0), (2e12, 4e12), (2e12, 0.0), (3e12, 1e12)];
        for (arm, (flops, preparation_flops)) in report.arms.iter_mut().zip(cost) {
            (arm.flops, arm.preparation_flops, arm.base_flops) = (flops, preparation_flops, 0.0);
        }
        report.arms[1].base_flops = 1e12;
        // Of several seeds, the mean.
        let other = Arm { seed: 2, preparation_flops: 2e12, ..report.arms[3].clone() };
        report.arms.push(other);
        let page = first_screen::page(&report).replace('\u{a0}', " ");
        let table = table_of(&page, "Beside repetition: ");
        let cell = |shown: &str, times: &str| {
            format!("data-label=\"compute in all\"><span>{shown}</span><small>{times}</small>")
        };
        let with_base = cell("7.00 TFLOP", "3.50 times repetition&#39;s, 3.00 without the base model");
        let alone = cell("4.50 TFLOP", "2.25 times repetition&#39;s");
        assert!(table.contains(&with_base) && table.contains(&alone), "{table}");
        assert!(!table_of(&page, "Controls beside sbp: ").contains("compute in all"));
        let csv = saved(&page, "comparisons.csv").unwrap();
        for costs in [",1,320,6000000000000,7000000000000\n", ",1,320,4500000000000,4500000000000\n"] {
            assert!(csv.contains(costs), "{csv}");
        }
        // What was not counted is not made up.
        report.arms[1].flops = 0.0;
        let page = first_screen::page(&report);
        assert!(table_of(&page, "Beside repetition: ").contains("data-label=\"compute in all\"><span>–</span>"));
    }
}
