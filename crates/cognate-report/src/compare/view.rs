//! A comparison for people: one page, and a table for the terminal.

use cognate_results::numbers::{NONE, decimals, nats, percent, significant};
use cognate_results::{GapClosed, TaskScore, Validation};

use super::super::download::{Csv, downloads, number};
use super::super::html::{Cell, document, section, table};
use super::super::terminal::write_wrapped;
use super::scaling::section_of_scaling;
use super::{ArmRow, Comparable, Comparison, TaskRow};

/// What a reader must know before comparing numbers, one sentence each.
fn cautions(compared: &Comparison) -> Vec<String> {
    let Some(first) = compared.runs.first() else { return Vec::new() };
    let mut said = Vec::new();
    for run in &compared.runs {
        let (label, first) = (&run.label, &first.label);
        match run.comparable {
            Comparable::Yes => {}
            Comparable::OtherTokenizer => said.push(format!(
                "{label} has another tokenizer than {first}: nats per token and perplexity cannot be compared, bits per byte \
                 can."
            )),
            Comparable::OtherValidation => said.push(format!(
                "{label} was measured on other validation documents than {first}: none of its scores can be compared with \
                 those."
            )),
            Comparable::Unknown => said.push(format!(
                "Whether {label} was measured on the same documents and tokens as {first} cannot be told: one of the two \
                 does not hold their hashes."
            )),
        }
    }
    for run in compared.runs.iter().filter(|run| !run.missing.is_empty()) {
        said.push(format!("{} is not finished. Missing: {}.", run.label, run.missing.join(", ")));
    }
    said
}

fn gap(gap: Option<GapClosed>) -> String {
    let share = gap.and_then(|gap| gap.mean).map_or_else(|| NONE.to_owned(), percent);
    match gap.and_then(|gap| gap.low.zip(gap.high)) {
        Some((low, high)) => format!("{share} ({} to {})", percent(low), percent(high)),
        None => share,
    }
}

fn label(compared: &Comparison, arm: &ArmRow) -> String {
    let several = compared.arms.iter().filter(|other| other.name == arm.name).count() > 1;
    if several { format!("{}, seed {}", arm.name, arm.seed) } else { arm.name.clone() }
}

/// The comparison as one page.
#[must_use]
pub fn comparison_page(compared: &Comparison) -> String {
    let names: Vec<&str> = compared.runs.iter().map(|run| run.label.as_str()).collect();
    let title = format!("{} runs compared: {}", names.len(), names.join(", "));
    let mut columns = vec![""];
    columns.extend(&names);
    document(&title, &title, None, |page| {
        page.leaf("p", &[("class", &"kicker")], "Cognate comparison");
        page.leaf("h1", &[], &title);
        for caution in cautions(compared) {
            page.leaf("p", &[("class", &"unfinished")], caution);
        }
        let mut rows = vec![row("share of the gap closed", compared.runs.iter().map(|run| gap(run.gap_closed)))];
        for (what, shown) in SCORES {
            rows.extend(compared.arms.iter().map(|arm| {
                let cells = arm.validation.iter().map(|scores| scores.as_ref().map_or_else(|| NONE.to_owned(), shown));
                row(&format!("{}, {what}", label(compared, arm)), cells)
            }));
        }
        table(page, "What came out, on validation documents", &columns, &rows);
        downloads(page, &[("arms.csv", arms_csv(compared))]);
        if !compared.tasks.is_empty() {
            let rows: Vec<Vec<Cell>> = compared.tasks.iter().map(|of| task_row(compared, of)).collect();
            table(page, "Scores on tasks; ± is a standard error over questions", &columns, &rows);
            downloads(page, &[("tasks.csv", tasks_csv(compared))]);
        }
        section_of_scaling(page, &compared.scaling);
        section(page, "recipe", "Where the recipes differ", |page| {
            if compared.recipe.is_empty() {
                return page.leaf("p", &[], "Nowhere: all keys have the same values.");
            }
            let keys: Vec<Vec<Cell>> = compared
                .recipe
                .iter()
                .map(|key| {
                    row(&key.key, key.values.iter().map(|value| value.clone().unwrap_or_else(|| NONE.to_owned())))
                })
                .collect();
            table(page, "Keys whose values are not the same in all recipes", &columns, &keys);
        });
    })
}

/// A score's name, and how it is written.
type Shown = (&'static str, fn(&Validation) -> String);

/// What is shown of each arm.
const SCORES: [Shown; 3] = [
    ("nats per token", |scores| nats(scores.nats_per_token)),
    ("perplexity", |scores| significant(scores.perplexity, 4)),
    ("bits per byte", |scores| decimals(scores.bits_per_byte, 3)),
];

fn row(name: &str, cells: impl Iterator<Item = String>) -> Vec<Cell> {
    let mut row = vec![Cell::new(name)];
    row.extend(cells.map(Cell::new));
    row
}

/// `arc_easy, sbp, accuracy`, and what each run has of it.
fn task_row(compared: &Comparison, of: &TaskRow) -> Vec<Cell> {
    let cell = |score: &Option<TaskScore>| {
        let Some(score) = score else { return Cell::new(NONE) };
        let error = score.stderr.map_or_else(String::new, |error| format!("± {}", decimals(error, 3)));
        Cell::with_detail(decimals(score.value, 3), error)
    };
    let mut row = vec![Cell::new(task_label(compared, of))];
    row.extend(of.scores.iter().map(cell));
    row
}

fn task_label(compared: &Comparison, of: &TaskRow) -> String {
    let metric = of.scores.iter().flatten().next().map_or("", |score| &score.metric);
    let several = compared.arms.iter().filter(|arm| arm.name == of.arm).count() > 1;
    let seed = if several { format!(", seed {}", of.seed) } else { String::new() };
    format!("{}, {}{seed}, {metric}", of.task, of.arm)
}

fn tasks_csv(compared: &Comparison) -> Csv {
    let mut csv = Csv::new(&["run", "task", "arm", "seed", "metric", "value", "stderr", "items"]);
    for of in &compared.tasks {
        for (run, score) in compared.runs.iter().zip(&of.scores) {
            let Some(score) = score else { continue };
            csv.row([
                run.label.clone(),
                of.task.clone(),
                of.arm.clone(),
                of.seed.to_string(),
                score.metric.clone(),
                number(score.value),
                number(score.stderr),
                score.n.to_string(),
            ]);
        }
    }
    csv
}

fn arms_csv(compared: &Comparison) -> Csv {
    let mut csv = Csv::new(&["run", "arm", "seed", "nats_per_token", "perplexity", "bits_per_byte"]);
    for arm in &compared.arms {
        for (run, scores) in compared.runs.iter().zip(&arm.validation) {
            let Some(scores) = scores else { continue };
            let (nats, perplexity) = (number(scores.nats_per_token), number(scores.perplexity));
            let bits = number(scores.bits_per_byte);
            csv.row([run.label.clone(), arm.name.clone(), arm.seed.to_string(), nats, perplexity, bits]);
        }
    }
    csv
}

/// The comparison for a terminal: nats per token, the gap, where the recipes differ, and what to heed.
#[must_use]
pub fn comparison_table(compared: &Comparison) -> String {
    let mut rows = vec![cells("nats per token", compared.runs.iter().map(|run| run.label.clone()))];
    for arm in &compared.arms {
        let shown =
            |scores: &Option<Validation>| scores.map_or_else(|| NONE.to_owned(), |scores| nats(scores.nats_per_token));
        rows.push(cells(&label(compared, arm), arm.validation.iter().map(shown)));
    }
    rows.push(cells("gap closed", compared.runs.iter().map(|run| gap(run.gap_closed))));
    for of in &compared.tasks {
        let shown = |score: &Option<TaskScore>| {
            score.as_ref().map_or_else(|| NONE.to_owned(), |score| decimals(score.value, 3))
        };
        rows.push(cells(&task_label(compared, of), of.scores.iter().map(shown)));
    }
    rows.extend(
        compared.recipe.iter().map(|key| {
            cells(&key.key, key.values.iter().map(|value| value.clone().unwrap_or_else(|| NONE.to_owned())))
        }),
    );
    let mut out = String::new();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=compared.runs.len()).map(width).collect();
    for row in &rows {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let cautions = cautions(compared);
    if !cautions.is_empty() {
        out.push('\n');
    }
    for caution in cautions {
        write_wrapped(&mut out, &caution);
    }
    out.replace('\u{a0}', " ")
}

fn cells(name: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    // A table has one line a row.
    std::iter::once(name.to_owned()).chain(cells).map(|cell| cell.replace('\n', " ")).collect()
}
