//! Published tasks: every model's figures, and the arms beside repetition.

use cognate_results::numbers::{NONE, count, decimals, measure, significant};
use cognate_results::{Report, TaskScore};
use cognate_statistics::Estimate;

use super::arms::tasks_beside_repetition;
use super::download::{Csv, downloads, number};
use super::html::{Cell, arm_label, section, table};
use super::markup::Markup;

/// The section on tasks, or nothing where none were measured.
pub(super) fn tasks(page: &mut Markup, report: &Report) {
    let mut rows = Vec::new();
    for arm in &report.arms {
        for (name, score) in &arm.tasks {
            let value = |value: f64| {
                if score.metric.starts_with("accuracy") || score.metric.starts_with("exact_match") {
                    format!("{}\u{a0}%", decimals(value * 100.0, 1))
                } else {
                    measure(value, "")
                }
            };
            let error = score.stderr.map_or_else(String::new, |error| format!("± {}", value(error)));
            rows.push(vec![
                Cell::new(format!("{name}, {}", arm_label(report, &arm.name, arm.seed))),
                Cell::new(&score.metric),
                Cell::with_detail(value(score.value), error),
                shown_perplexity(perplexity(score)),
                Cell::new(count(score.n)),
            ]);
        }
    }
    if rows.is_empty() {
        return;
    }
    section(page, "tasks", "Tasks", |page| {
        let caption = "Scores on tasks, and the perplexity of right answers: of LAMBADA a word, elsewhere a token; ± is a standard \
                       error over questions. report.json has every metric";
        table(page, caption, &["task and arm", "metric", "score", "perplexity", "items"], &rows);
        tasks_beside_repetition(page, report);
        downloads(page, &[("tasks.csv", csv(report))]);
    });
}

/// The perplexity of a task's right answers; nothing where answers are written.
fn perplexity(score: &TaskScore) -> Option<Estimate> {
    ["perplexity", "answer_perplexity"].iter().find_map(|name| score.metrics.get(*name)).copied()
}

fn shown_perplexity(found: Option<Estimate>) -> Cell {
    let Some(found) = found else { return Cell::new(NONE) };
    let shown = |value: f64, digits| if value < 1e6 { significant(value, digits) } else { format!("{value:.2e}") };
    let error = found.stderr.map_or_else(String::new, |error| format!("± {}", shown(error, 2)));
    Cell::with_detail(shown(found.value, 4), error)
}

fn csv(report: &Report) -> Csv {
    let columns = ["task", "arm", "seed", "metric", "value", "stderr", "perplexity", "perplexity_stderr", "items"];
    let mut csv = Csv::new(&columns);
    for arm in &report.arms {
        for (name, score) in &arm.tasks {
            let perplexity = perplexity(score);
            csv.row([
                name.clone(),
                arm.name.clone(),
                arm.seed.to_string(),
                score.metric.clone(),
                number(score.value),
                number(score.stderr),
                number(perplexity.map(|found| found.value)),
                number(perplexity.and_then(|found| found.stderr)),
                score.n.to_string(),
            ]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::download::saved;
    use super::super::sample::sample;
    use super::*;
    use cognate_results::{ArmComparison, GapClosed, REPETITION, SBP, VALIDATION, answer_nats};

    #[test]
    fn tasks_stand_beside_repetition_in_points_and_leave_validation_alone() {
        let mut report = sample();
        let perplexity = Estimate { value: 92.53, stderr: Some(3.12) };
        let metrics = BTreeMap::from([("answer_perplexity".to_owned(), perplexity)]);
        let metric = "accuracy_per_character".to_owned();
        let score = TaskScore { metric, value: 0.28, stderr: Some(0.01), n: 400, metrics };
        report.arms[1].tasks.insert("hellaswag".into(), score);
        let found = |measure: &str, difference: f64| ArmComparison {
            arm: SBP.into(),
            against: REPETITION.into(),
            measure: measure.into(),
            difference,
            low: difference - 0.02,
            high: difference + 0.02,
            seeds: 2,
            documents: 400,
        };
        report.comparisons = vec![found(VALIDATION, -0.251), found("hellaswag", 0.031), found("task average", -0.004)];
        report.comparisons.push(found(&answer_nats("hellaswag"), -0.1234));
        let gap = GapClosed { mean: Some(0.42), low: Some(0.3), high: Some(0.5), seeds: 2 };
        report.gap_closed.insert("hellaswag".into(), gap);
        // Where some resamples have no gap, a share says nothing.
        report
            .gap_closed
            .insert("task average".into(), GapClosed { mean: Some(-0.65), low: None, high: None, seeds: 2 });
        let page = super::super::page(&report).replace('\u{a0}', " ");
        let section = &page[page.find("id=\"tasks\"").unwrap()..];
        let section = &section[..section.find("</section>").unwrap()];
        for expected in [
            "28.0 %",
            "± 1.0 %",
            "hellaswag, sbp",
            "+3.1",
            "+1.1 to +5.1",
            "42 %",
            "task average, sbp",
            "−0.4",
            "92.53",
            "± 3.1",
        ] {
            assert!(section.contains(expected), "{expected}: {section}");
        }
        assert!(!section.contains("0.251") && !section.contains("−25.1"));
        let csv = saved(&page, "tasks.csv").unwrap();
        assert!(csv.contains("\nhellaswag,sbp,1,accuracy_per_character,0.28,0.01,92.53,3.12,400"), "{csv}");
        // Nats stand in the row of their task, and nothing in that of the average.
        let row = |name: &str| {
            let from = &section[section.rfind(name).unwrap()..];
            from[..from.find("</tr>").unwrap()].to_owned()
        };
        assert!(row("hellaswag, sbp").contains("<span>−0.123</span><small>−0.143 to −0.103</small>"), "{section}");
        assert!(row("task average, sbp").contains("data-label=\"right answers\"><span>–</span>"), "{section}");
        assert!(!section.contains("answer nats") && !section.contains("−65"), "{section}");
        let csv = saved(&page, "task-comparisons.csv").unwrap();
        assert!(
            csv.contains("\nhellaswag answer nats,sbp,repetition,-0.1234,") && !csv.contains("\nvalidation"),
            "{csv}"
        );
        let before = &page[..page.find("id=\"tasks\"").unwrap()];
        assert!(!before.contains("hellaswag,"));
    }
}
