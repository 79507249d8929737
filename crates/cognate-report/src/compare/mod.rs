//! Several runs beside each other: their arms, what closed of their gaps, and the recipe keys that differ. Runs whose numbers
//! cannot be compared are said to be so.

mod scaling;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use cognate_results::{GapClosed, Report, TaskScore, VALIDATION, Validation};
use serde::{Deserialize, Serialize};

pub use scaling::{ScaledArm, ScaledPoint, Scaling, Size};
pub use view::{comparison_page, comparison_table};

/// The validation documents of a run, by path.
const VALIDATION_FILE: &str = "ingest/validation.jsonl.zst";
/// The tokenizer of a run, by path.
const TOKENIZER_FILE: &str = "tokenize/tokenizer.json";

/// Runs compared: `comparison.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The runs, in the order asked for.
    pub runs: Vec<Compared>,
    /// Every arm that any run has.
    pub arms: Vec<ArmRow>,
    /// Every arm's score on every task that any run measured.
    #[serde(default)]
    pub tasks: Vec<TaskRow>,
    /// Recipe keys that do not have one value in all runs.
    pub recipe: Vec<KeyRow>,
    /// What arms close of the gap over the size of the runs; empty where no two differ in one size alone.
    #[serde(default)]
    pub scaling: Vec<Scaling>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// What it is called here; no two runs are called the same.
    pub label: String,
    /// The experiment's name.
    pub name: String,
    /// How its numbers stand to those of the first run.
    pub comparable: Comparable,
    /// Share of the gap closed on validation nats.
    pub gap_closed: Option<GapClosed>,
    /// Stages that are not finished, in words.
    pub missing: Vec<String>,
}

/// How a run's numbers stand to those of the first run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparable {
    /// The same validation documents, the same tokenizer.
    Yes,
    /// The same documents, in other tokens: only bits per byte can be compared.
    OtherTokenizer,
    /// Other documents: nothing can be compared.
    OtherValidation,
    /// One of the two does not say what it was measured on.
    Unknown,
}

/// One arm, in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmRow {
    /// The arm's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its scores, by run; `None` where a run has no such arm or has not finished it.
    pub validation: Vec<Option<Validation>>,
}

/// One arm on one task, in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRow {
    /// The task.
    pub task: String,
    /// The arm's name.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// What it scored, by run; `None` where a run has no such arm or did not measure it on the task.
    pub scores: Vec<Option<TaskScore>>,
}

/// One recipe key, in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRow {
    /// As `[train] budget_tokens`; of an arm `[[arm]] sbp.synthetic_share`.
    pub key: String,
    /// Its value as TOML writes it, by run; `None` where a run has none.
    pub values: Vec<Option<String>>,
}

impl Comparison {
    /// Compares reports, each with what it is called. Runs that are called the same are numbered.
    #[must_use]
    pub fn of(reports: &[(String, Report)]) -> Self {
        let mut arms: Vec<(String, u64)> = Vec::new();
        for arm in reports.iter().flat_map(|(_, report)| &report.arms) {
            let key = (arm.name.clone(), arm.seed);
            if !arms.contains(&key) {
                arms.push(key);
            }
        }
        let mut runs: Vec<Compared> = Vec::new();
        for (label, report) in reports {
            let same = reports.iter().filter(|(other, _)| other == label).count();
            let before = reports[..runs.len()].iter().filter(|(other, _)| other == label).count();
            runs.push(Compared {
                label: if same > 1 { format!("{label} ({})", before + 1) } else { label.clone() },
                name: report.name.clone(),
                comparable: comparable(&reports[0].1, report),
                gap_closed: report.gap_closed.get(VALIDATION).copied(),
                missing: report.missing.clone(),
            });
        }
        let tasks: BTreeSet<&String> =
            reports.iter().flat_map(|(_, report)| &report.arms).flat_map(|arm| arm.tasks.keys()).collect();
        let on_task = |task: &String, (name, seed): &(String, u64)| {
            let score = |(_, report): &(String, Report)| {
                let arm = report.arms.iter().find(|arm| arm.name == *name && arm.seed == *seed)?;
                arm.tasks.get(task).cloned()
            };
            let scores: Vec<Option<TaskScore>> = reports.iter().map(score).collect();
            let measured = scores.iter().any(Option::is_some);
            measured.then(|| TaskRow { task: task.clone(), arm: name.clone(), seed: *seed, scores })
        };
        let tasks = tasks.into_iter().flat_map(|task| arms.iter().filter_map(move |arm| on_task(task, arm))).collect();
        let row = |(name, seed): (String, u64)| {
            let scores = |(_, report): &(String, Report)| {
                let arm = report.arms.iter().find(|arm| arm.name == name && arm.seed == seed);
                arm.map(|arm| arm.validation)
            };
            ArmRow { validation: reports.iter().map(scores).collect(), name: name.clone(), seed }
        };
        let labelled: Vec<(String, &Report)> =
            runs.iter().zip(reports).map(|(run, (_, report))| (run.label.clone(), report)).collect();
        let scaling = scaling::scaling(&labelled);
        Self { runs, tasks, arms: arms.into_iter().map(row).collect(), recipe: differences(reports), scaling }
    }
}

fn comparable(first: &Report, other: &Report) -> Comparable {
    let same = |path: &str| {
        let hash = |report: &Report| report.files.iter().find(|file| file.path == path).map(|file| file.blake3.clone());
        Some(hash(first)? == hash(other)?)
    };
    match (same(VALIDATION_FILE), same(TOKENIZER_FILE)) {
        (Some(false), _) => Comparable::OtherValidation,
        (Some(true), Some(false)) => Comparable::OtherTokenizer,
        (Some(true), Some(true)) => Comparable::Yes,
        _ => Comparable::Unknown,
    }
}

/// The keys of all recipes whose values are not the same everywhere.
fn differences(reports: &[(String, Report)]) -> Vec<KeyRow> {
    let flat: Vec<BTreeMap<String, String>> = reports
        .iter()
        .map(|(_, report)| {
            let mut keys = BTreeMap::new();
            // A recipe that is no TOML differs as a whole.
            match report.recipe.parse::<toml::Table>() {
                Ok(table) => flatten("", &table, &mut keys),
                Err(_) => drop(keys.insert("the whole recipe".to_owned(), report.recipe.clone())),
            }
            keys
        })
        .collect();
    let all: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let row =
        |key: &String| KeyRow { key: key.clone(), values: flat.iter().map(|keys| keys.get(key).cloned()).collect() };
    all.into_iter().map(row).filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
}

fn flatten(table: &str, values: &toml::Table, out: &mut BTreeMap<String, String>) {
    for (key, value) in values {
        match value {
            toml::Value::Table(inner) if table.is_empty() => flatten(&format!("[{key}]"), inner, out),
            toml::Value::Array(items) if items.iter().all(toml::Value::is_table) && !items.is_empty() => {
                for (at, item) in items.iter().filter_map(toml::Value::as_table).enumerate() {
                    let named = item.get("name").or(item.get("kind")).and_then(toml::Value::as_str);
                    let name = named.map_or_else(|| at.to_string(), str::to_owned);
                    for (inner, value) in item {
                        out.insert(format!("[[{key}]] {name}.{inner}"), value.to_string());
                    }
                }
            }
            value => {
                let label = if table.is_empty() { key.clone() } else { format!("{table} {key}") };
                out.insert(label, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    fn changed(change: impl Fn(&mut Report)) -> Report {
        let mut report = sample();
        change(&mut report);
        report
    }

    fn three() -> Comparison {
        let second = changed(|report| {
            report.arms.remove(2);
            report.gap_closed.clear();
            report.recipe = report.recipe.replace("neighbours = 8", "neighbours = 4");
            report.recipe = report.recipe.replace("synthetic_share = 0.25", "synthetic_share = 0.125");
            report.files[2].blake3 = "ab".repeat(32);
            report.missing = vec!["train oracle".to_owned()];
        });
        let third = changed(|report| {
            report.files[1].blake3 = "cd".repeat(32);
            let metrics = BTreeMap::new();
            let score =
                TaskScore { metric: "accuracy".to_owned(), value: 0.4567, stderr: Some(0.0321), n: 40, metrics };
            report.arms[1].tasks.insert("sciq".to_owned(), score);
        });
        Comparison::of(&[("quick".to_owned(), sample()), ("b".to_owned(), second), ("quick".to_owned(), third)])
    }

    #[test]
    fn runs_are_compared_arm_by_arm_and_key_by_key() {
        let compared = three();
        let labels: Vec<&str> = compared.runs.iter().map(|run| run.label.as_str()).collect();
        assert_eq!(labels, ["quick (1)", "b", "quick (2)"]);
        let found: Vec<Comparable> = compared.runs.iter().map(|run| run.comparable).collect();
        assert_eq!(found, [Comparable::Yes, Comparable::OtherTokenizer, Comparable::OtherValidation]);
        assert_eq!(compared.runs[1].gap_closed, None);
        let oracle = compared.arms.iter().find(|arm| arm.name == "oracle").unwrap();
        assert_eq!(oracle.validation.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        let keys: Vec<(&str, [Option<&str>; 2])> =
            compared.recipe.iter().map(|row| (row.key.as_str(), [0, 1].map(|at| row.values[at].as_deref()))).collect();
        assert_eq!(
            keys,
            [
                ("[[arm]] sbp.synthetic_share", [Some("0.25"), Some("0.125")]),
                ("[pair] neighbours", [Some("8"), Some("4")])
            ]
        );
        // A task that one run measured has a row, and no other.
        let scores: Vec<bool> = compared.tasks[0].scores.iter().map(Option::is_some).collect();
        assert_eq!(
            (compared.tasks.len(), compared.tasks[0].arm.as_str(), scores),
            (1, "sbp", vec![false, false, true])
        );
        assert!(comparison_page(&compared).contains("<span>0.457</span><small>± 0.032</small>"));
        let row = |table: String| table.lines().find(|line| line.starts_with("sciq, sbp, accuracy")).map(str::to_owned);
        let row = row(comparison_table(&compared)).unwrap();
        assert_eq!(row.split_whitespace().skip(3).collect::<Vec<_>>(), ["–", "–", "0.457"]);
        let unknown = changed(|report| report.files.clear());
        assert_eq!(comparable(&sample(), &unknown), Comparable::Unknown);
        let json = serde_json::to_string(&compared).unwrap();
        assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap().recipe, compared.recipe);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let compared = three();
        let table = comparison_table(&compared);
        let page = comparison_page(&compared).replace('\u{a0}', " ");
        for said in [
            "b has another tokenizer than quick (1): nats per token and perplexity cannot be compared, bits per byte can.",
            "quick (2) was measured on other validation documents than quick (1): none of its scores can be compared with \
             those.",
            "b is not finished. Missing: train oracle.",
        ] {
            assert!(page.contains(said), "{said}\n{page}");
            assert!(table.replace('\n', " ").contains(said), "{said}\n{table}");
        }
        assert!(!page.contains("<script") && page.matches("<h1").count() == 1);
        let row = table.lines().find(|line| line.starts_with("gap closed")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["gap", "closed", "23", "%", "–", "23", "%"], "{table}");
        let row = table.lines().find(|line| line.starts_with("oracle")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["oracle", "4.871", "–", "4.871"], "{table}");
    }
}
