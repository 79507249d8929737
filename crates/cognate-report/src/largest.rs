//! The largest report that a recipe of every kind of arm, every task and several seeds makes: its page stays small.

use cognate_statistics::Estimate;

use super::download::saved;
use super::sample::sample;
use cognate_results::*;

use super::*;

/// Points of a training curve, as a report has at most.
const TRAIN_POINTS: usize = 600;
/// As many tasks as are published, with names as long.
const TASKS: [&str; 12] = [
    "arc_easy",
    "arc_challenge",
    "piqa",
    "winogrande",
    "hellaswag",
    "sciq",
    "boolq",
    "mmlu",
    "lambada",
    "blimp",
    "triviaqa",
    "webquestions",
];
/// Measured checkpoints of a model.
const CHECKPOINTS: u64 = 20;

/// A number between 0 and 1 with all its digits.
fn digits(n: usize) -> f64 {
    (n as f64 * 0.618_033_988_749_894_9).fract()
}

/// Every kind of arm with `seeds` seeds on every task, and a row or a point for all that comes of it.
fn largest(seeds: u64) -> Report {
    let mut report = sample();
    let (arm, curve) = (report.arms[0].clone(), report.curves[0].clone());
    (report.arms, report.curves) = (Vec::new(), Vec::new());
    let by_similarity = report.by_similarity.as_mut().unwrap();
    let differences = by_similarity.arms[0].differences.clone();
    let of_arm = |arm: &&str| ArmBySimilarity { arm: (*arm).to_owned(), differences: differences.clone() };
    by_similarity.arms = ARM_KINDS.iter().filter(|arm| **arm != REPETITION).map(of_arm).collect();
    let tasks = TASKS;
    for (at, name) in ARM_KINDS.into_iter().enumerate() {
        for seed in 1..=seeds {
            let scores = tasks.iter().enumerate().map(|(task, name)| ((*name).to_owned(), score(at + task)));
            let flops = 2.6e18 + digits(at) * 1e15;
            let (arm, scores) = (Arm { name: name.to_owned(), ..arm.clone() }, scores.collect());
            report.arms.push(Arm { seed, flops, preparation_flops: flops / 3.0, tasks: scores, ..arm });
            let train = curve.train[..TRAIN_POINTS].to_vec();
            report.curves.push(Curve { arm: name.to_owned(), seed, train, ..curve.clone() });
            add_stages(&mut report, &format!("{name}, seed {seed}"));
            for (step, task) in (1..=CHECKPOINTS).flat_map(|step| tasks.iter().map(move |task| (step, *task))) {
                report.task_curves.push(point((name, seed), step, task));
            }
        }
        let answers = tasks.iter().map(|task| answer_nats(task));
        let measures = [VALIDATION, TASK_AVERAGE].into_iter().chain(tasks.iter().copied()).map(str::to_owned);
        for measure in measures.chain(answers).filter(|_| at > 0) {
            add_comparison(&mut report, (name, REPETITION), &measure, seeds);
            if ![SBP, ORACLE].contains(&name) {
                add_comparison(&mut report, (name, SBP), &measure, seeds);
            }
        }
    }
    report.count_task_curves();
    report
}

fn score(n: usize) -> TaskScore {
    let estimate = Estimate { value: digits(n), stderr: Some(digits(n + 1)) };
    let metrics = ["accuracy", "accuracy_per_character", "accuracy_per_token", "answer_nats", "answer_perplexity"]
        .map(|name| (name.to_owned(), estimate));
    TaskScore {
        metric: "accuracy_per_character".to_owned(),
        value: digits(n),
        stderr: Some(digits(n + 1)),
        n: 14_042,
        metrics: metrics.into(),
    }
}

fn point((arm, seed): (&str, u64), step: u64, task: &str) -> TaskPoint {
    let TaskScore { metric, value, stderr, n, .. } = score((step + seed) as usize);
    let (arm, task, tokens) = (arm.to_owned(), task.to_owned(), step * 600_000);
    TaskPoint {
        arm,
        seed: Some(seed),
        step: step * 12_345,
        tokens,
        flops: None,
        task,
        group: None,
        metric,
        value,
        stderr,
        n,
    }
}

/// A model's rows of the ledger, and its files.
fn add_stages(report: &mut Report, model: &str) {
    for stage in ["train", "evaluate"] {
        let entry = LedgerEntry { stage: stage.to_owned(), arm: Some(model.to_owned()), ..report.ledger[2].clone() };
        report.ledger.push(entry);
    }
    for folder in ["best", "final"] {
        for file in ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json"] {
            let path = format!("{model}/{folder}/{file}");
            report.files.push(FileRecord { stage: format!("train {model}"), path, ..report.files[1].clone() });
        }
    }
}

fn add_comparison(report: &mut Report, (arm, against): (&str, &str), measure: &str, seeds: u64) {
    report.comparisons.push(ArmComparison {
        arm: arm.to_owned(),
        against: against.to_owned(),
        measure: measure.to_owned(),
        difference: digits(1),
        low: digits(2),
        high: digits(3),
        seeds,
        documents: 14_042,
    });
    let gap = GapClosed { mean: Some(digits(4)), low: Some(digits(5)), high: Some(digits(6)), seeds };
    report.gap_closed.insert(gap_key(measure, arm), gap);
}

#[test]
fn the_largest_experiment_is_a_page_below_3_mb() {
    for (seeds, models) in [(3, 24), (5, 40)] {
        let report = largest(seeds);
        assert_eq!((report.arms.len(), report.curves.len()), (models, models));
        assert_eq!(report.task_curves.len(), models * 12 * CHECKPOINTS as usize);
        let html = page(&report);
        assert!(html.len() < 3_000_000, "{models} models: {} bytes", html.len());
        // Each task over both axes, a line for each model; what the data leave out is said.
        let section = &html[html.find("id=\"task-curves\"").unwrap()..];
        let section = &section[..section.find("</section>").unwrap()];
        assert_eq!(section.matches("<path class=\"line s").count(), 2 * 12 * models);
        assert!(html.contains("losses.csv has means of neighbouring points"));
        assert_eq!(section.contains("task-curves.csv has one of 2 checkpoints"), models == 40);
        let csv = saved(&html, "task-curves.csv").unwrap();
        assert!(csv.lines().count() <= 6_001 && csv.lines().count() > 4_800);
        let last = CHECKPOINTS * 12_345;
        assert!(
            csv.lines().filter(|line| line.contains(&format!(",{last},"))).count() == 12 * models,
            "every line's end"
        );
        let losses = saved(&html, "losses.csv").unwrap();
        assert!((7_000..12_000).contains(&losses.lines().count()), "{}", losses.lines().count());
        assert!(losses.contains("\nregularised,2,training,6000000,"), "the last point of training");
    }
}
