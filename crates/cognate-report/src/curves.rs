//! Tasks over training tokens and over operations: which ability comes when, and at what cost. A chart for each task, a line for each arm.

use std::collections::HashMap;

use cognate_results::numbers::{decimals, tokens};
use cognate_results::{Report, TaskPoint};

use super::charts::{Line, LineChart, Size, XAxis};
use super::download::{Csv, downloads, number};
use super::dynamics::dynamics;
use super::html::{Cell, arm_label, arm_style, section, table};
use super::markup::Markup;
use super::operations::axis_note;

/// Rows of `task-curves.csv`, at most: the page stays small however many models there are. `report.json` has every point.
const CSV_ROWS: usize = 6_000;

/// The arms' models whose checkpoints were measured.
type Lines<'a> = [(&'a str, Option<u64>)];

/// The section of the page; nothing where no checkpoint was measured.
pub(super) fn task_curves(page: &mut Markup, report: &Report) {
    let points: Vec<&TaskPoint> = whole(report).collect();
    let tasks = distinct(points.iter().map(|point| point.task.as_str()));
    let lines = distinct(points.iter().map(|point| (point.arm.as_str(), point.seed)));
    if tasks.is_empty() {
        return;
    }
    section(page, "task-curves", "Task curves", |page| {
        page.leaf("p", &[], "Every measured checkpoint over the tokens that its model was trained on until then.");
        panels(page, report, &tasks, &lines, &OVER_TOKENS);
        let counted: Vec<&str> = tasks.iter().copied().filter(|task| OVER_FLOPS.counts(&points, task)).collect();
        if !counted.is_empty() {
            page.leaf("p", &[], format!("The same over floating-point operations. {}", axis_note(report)));
            panels(page, report, &counted, &lines, &OVER_FLOPS);
        }
        ends(page, report, &tasks, &lines);
        dynamics(page, report);
        let each = points.len().div_ceil(CSV_ROWS);
        if each > 1 {
            let told = format!(
                "There are many models: task-curves.csv has one of {each} checkpoints, the last among them, report.json each."
            );
            page.leaf("p", &[], told);
        }
        downloads(page, &[("task-curves.csv", csv(report, each))]);
    });
}

/// The points of tasks as a whole.
fn whole(report: &Report) -> impl DoubleEndedIterator<Item = &TaskPoint> {
    report.task_curves.iter().filter(|point| point.group.is_none())
}

/// What the tasks are drawn over.
struct Over {
    axis: XAxis,
    words: &'static str,
    place: fn(&TaskPoint) -> Option<f64>,
}

const OVER_TOKENS: Over =
    Over { axis: XAxis::TOKENS, words: "training tokens", place: |point| Some(point.tokens as f64) };
const OVER_FLOPS: Over = Over { axis: XAxis::FLOPS, words: "floating-point operations", place: |point| point.flops };

impl Over {
    /// Whether a point of `task` has a place.
    fn counts(&self, points: &[&TaskPoint], task: &str) -> bool {
        points.iter().any(|point| point.task == task && (self.place)(point).is_some())
    }
}

/// A chart for each task.
fn panels(page: &mut Markup, report: &Report, tasks: &[&str], lines: &Lines<'_>, over: &Over) {
    let points: Vec<&TaskPoint> = whole(report).collect();
    page.element("div", &[("class", &"panels arms")], |page| {
        for task in tasks {
            let line = |&(arm, seed): &(&str, Option<u64>)| {
                let of = points.iter().filter(|point| point.task == *task && point.arm == arm && point.seed == seed);
                let first = lines.iter().find(|line| line.0 == arm) == Some(&(arm, seed));
                Line {
                    // One label for all seeds of an arm: their lines look alike.
                    label: first.then(|| arm.to_owned()),
                    style: arm_style(report, arm),
                    faint: false,
                    points: of.filter_map(|point| Some(((over.place)(point)?, point.value))).collect(),
                }
            };
            let metric = points.iter().find(|point| point.task == *task).map_or("", |point| &point.metric);
            let chart = LineChart {
                title: &format!("{metric} on {task} over {}", over.words),
                description: "A line with marks for each arm; a mark is a checkpoint. The table below has the ends.",
                y_name: metric,
                lines: lines.iter().map(line).collect(),
                y_also: Vec::new(),
                y_top: f64::INFINITY,
            };
            page.element("figure", &[("class", &"panel")], |page| {
                page.leaf("h3", &[], task);
                chart.draw_over(page, "panel", Size::PANEL, over.axis);
            });
        }
    });
}

/// First and last checkpoint of each line, with their standard errors.
fn ends(page: &mut Markup, report: &Report, tasks: &[&str], lines: &Lines<'_>) {
    let value = |point: &TaskPoint| {
        let stderr = point.stderr.map_or_else(String::new, |stderr| format!(" ± {}", decimals(stderr, 4)));
        format!("{}{stderr}", decimals(point.value, 4))
    };
    let mut rows = Vec::new();
    for task in tasks {
        for &(arm, seed) in lines {
            let mut of = whole(report).filter(|point| point.task == *task && point.arm == arm && point.seed == seed);
            let Some(first) = of.next() else { continue };
            let last = of.next_back().unwrap_or(first);
            rows.push(vec![
                Cell::new(format!(
                    "{task}, {}",
                    seed.map_or_else(|| arm.to_owned(), |seed| arm_label(report, arm, seed))
                )),
                Cell::new(&last.metric),
                Cell::new(format!("{} at {}", value(first), tokens(first.tokens))),
                Cell::new(format!("{} at {}", value(last), tokens(last.tokens))),
            ]);
        }
    }
    let columns = ["task and arm", "metric", "first checkpoint", "last checkpoint"];
    table(page, "Figures ± standard errors at the ends of the lines, and training tokens", &columns, &rows);
}

/// The points of every line, of `each` so many one, counted from the line's end.
fn csv(report: &Report, each: usize) -> Csv {
    let columns =
        ["task", "arm", "seed", "step", "tokens", "flops_with_preparation", "metric", "value", "stderr", "items"];
    let mut csv = Csv::new(&columns);
    let mut behind: HashMap<_, usize> = HashMap::new();
    let mut told: Vec<&TaskPoint> = report.task_curves.iter().filter(|point| point.group.is_none()).rev().collect();
    told.retain(|point| {
        let behind = behind.entry((&point.task, &point.arm, point.seed)).or_default();
        *behind += 1;
        (*behind - 1).is_multiple_of(each)
    });
    for point in told.into_iter().rev() {
        csv.row([
            point.task.clone(),
            point.arm.clone(),
            point.seed.map_or_else(String::new, |seed| seed.to_string()),
            point.step.to_string(),
            point.tokens.to_string(),
            number(point.flops.map(f64::round)),
            point.metric.clone(),
            number(point.value),
            number(point.stderr),
            point.n.to_string(),
        ]);
    }
    csv
}

/// In the order of their first appearance.
fn distinct<T: PartialEq>(names: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::download::saved;
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn a_chart_a_task_with_a_line_an_arm_and_its_ends_with_errors() {
        let mut report = sample();
        assert!(!super::super::page(&report).contains("task-curves"));
        let point = |arm: &str, task: &str, step: u64, value: f64| TaskPoint {
            arm: arm.to_owned(),
            seed: None,
            step,
            tokens: step * 1000,
            flops: (task == "blimp").then_some(step as f64 * 1e9),
            task: task.to_owned(),
            group: None,
            metric: "accuracy".to_owned(),
            value,
            stderr: (step > 1).then_some(0.0125),
            n: 40,
        };
        for arm in ["repetition", "oracle"] {
            report.task_curves.extend([1, 2, 3].map(|step| point(arm, "blimp", step, 0.5 + step as f64 / 100.0)));
        }
        report.task_curves.push(point("repetition", "piqa", 2, 0.61));
        let page = super::super::page(&report);
        let from = page.find("id=\"task-curves\"").unwrap();
        let section = &page[from..from + page[from..].find("</section>").unwrap()];
        // Both tasks over tokens, and over operations the one whose operations are known.
        assert_eq!(section.matches("<svg").count(), 3);
        let titles: Vec<&str> = section.split("<title>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
        let over = |task: &str, what: &str| format!("accuracy on {task} over {what}");
        let expected = [
            over("blimp", "training tokens"),
            over("piqa", "training tokens"),
            over("blimp", "floating-point operations"),
        ];
        assert_eq!(titles, expected);
        let last = &section[section.rfind("<svg").unwrap()..];
        // Three billion operations at the right end, no thousands of tokens.
        assert!(last.contains(">3\u{a0}G</text>") && !last.contains(">3\u{a0}k</text>"), "{last}");
        assert!(section.contains("blimp, oracle") && section.contains("piqa, repetition"), "{section}");
        assert!(!section.contains("piqa, oracle"), "nothing was measured there");
        for expected in ["0.5100 at", "0.5300 ± 0.0125 at"] {
            assert!(section.contains(expected), "{expected} is missing in {section}");
        }
        let csv = saved(&page, "task-curves.csv").unwrap();
        assert!(csv.starts_with("task,arm,seed,step,tokens,flops_with_preparation,metric,"), "{csv}");
        assert!(csv.contains("\nblimp,oracle,,2,2000,2000000000,accuracy,0.52,0.0125,40\n"), "{csv}");
        assert!(csv.contains("\npiqa,repetition,,2,2000,,accuracy,0.61,"), "{csv}");
    }
}
