//! Published tasks: every model's figures, and the arms beside repetition.

use super::arms::tasks_beside_repetition;
use super::data::Report;
use super::download::{Csv, downloads, number};
use super::html::{Cell, arm_label, section, table};
use super::markup::Markup;
use super::numbers::{count, decimals, measure};

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
                Cell::new(value(score.value)),
                Cell::new(error),
                Cell::new(count(score.n)),
            ]);
        }
    }
    if rows.is_empty() {
        return;
    }
    section(page, "tasks", "Tasks", |page| {
        table(page, "Scores on tasks", &["task and arm", "metric", "score", "standard error", "items"], &rows);
        tasks_beside_repetition(page, report);
        downloads(page, &[("tasks.csv", csv(report))]);
    });
}

fn csv(report: &Report) -> Csv {
    let mut csv = Csv::new(&["task", "arm", "seed", "metric", "value", "stderr", "items"]);
    for arm in &report.arms {
        for (name, score) in &arm.tasks {
            csv.row([
                name.clone(),
                arm.name.clone(),
                arm.seed.to_string(),
                score.metric.clone(),
                number(score.value),
                number(score.stderr),
                score.n.to_string(),
            ]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::data::{ArmComparison, GapClosed, REPETITION, SBP, TaskScore, VALIDATION};
    use super::super::sample::sample;

    #[test]
    fn tasks_stand_beside_repetition_in_points_and_leave_validation_alone() {
        let mut report = sample();
        let score = TaskScore { metric: "accuracy_per_character".into(), value: 0.28, stderr: Some(0.01), n: 400 };
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
        let gap = GapClosed { mean: Some(0.42), low: None, high: None, seeds: 2 };
        report.gap_closed.insert("hellaswag".into(), gap);
        let page = super::super::page(&report).replace('\u{a0}', " ");
        let section = &page[page.find("id=\"tasks\"").unwrap()..];
        let section = &section[..section.find("</section>").unwrap()];
        for expected in
            ["28.0 %", "± 1.0 %", "hellaswag, sbp", "+3.1", "+1.1 to +5.1", "42 %", "task average, sbp", "−0.4"]
        {
            assert!(section.contains(expected), "{expected}: {section}");
        }
        assert!(!section.contains("0.251") && !section.contains("−25.1"));
        assert!(section.contains("download=\"tasks.csv\""));
        let before = &page[..page.find("id=\"tasks\"").unwrap()];
        assert!(!before.contains("hellaswag,"));
    }
}
