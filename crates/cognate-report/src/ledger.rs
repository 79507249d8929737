//! What it cost: every stage, and every arm with what belongs to it.

use cognate_results::numbers::{NONE, bytes, count, duration, flops, or_none, percent, tokens};
use cognate_results::{Arm, LedgerEntry, Report, SBP};

use super::answer::listed;
use super::download::{Csv, downloads, number};
use super::html::{Cell, paragraph_unless_empty, section, table};
use super::markup::Markup;

/// Stages that only a run with synthetic documents needs, apart from training the arm itself.
const SYNTHESIS_STAGES: [&str; 5] = ["embed", "pair", "tune", "generate", "filter"];

/// The way to the documents that all sbp arms have in common, whatever their share of them.
fn synthesis(report: &Report) -> impl Iterator<Item = &LedgerEntry> {
    let of_sbp = |entry: &&LedgerEntry| entry.arm.as_deref().is_none_or(|arm| arm == SBP);
    report.ledger.iter().filter(|entry| SYNTHESIS_STAGES.contains(&entry.stage.as_str())).filter(of_sbp)
}

/// The arm that a stage worked for. Synthesis that names none is the first sbp arm's, where a synthesizer was tuned for it; `None`
/// where arms share a stage.
fn owner<'a>(report: &Report, entry: &'a LedgerEntry) -> Option<&'a str> {
    let related =
        || report.ledger.iter().any(|other| other.arm.is_none() && matches!(&*other.stage, "tune" | "generate"));
    let synthesis = SYNTHESIS_STAGES.contains(&entry.stage.as_str());
    entry.arm.as_deref().or_else(|| (synthesis && related()).then_some(SBP))
}

/// The section.
pub(super) fn ledger(page: &mut Markup, report: &Report) {
    if report.ledger.is_empty() {
        return;
    }
    section(page, "ledger", "What it cost", |page| {
        paragraph_unless_empty(page, "", &synthesis_cost(report));
        let columns = [
            "stage",
            "time",
            "share of time",
            "compute",
            "share of compute",
            "share of its arm's compute",
            "tokens",
            "documents",
            "peak memory",
        ];
        let caption = "Wall time, floating-point operations, tokens, documents and memory of every stage. Finding pairs, \
                       tuning, generating and filtering belong to the sbp arm where there is one; controls have stages \
                       of their own after embedding and pairing, which they share with it.";
        table(page, caption, &columns, &stage_rows(report));
        arm_costs(page, report);
        downloads(page, &[("ledger.csv", ledger_csv(report))]);
    });
}

fn stage_rows(report: &Report) -> Vec<Vec<Cell>> {
    let sum = |of: fn(&LedgerEntry) -> f64| report.ledger.iter().map(of).sum::<f64>();
    let (wall_s, operations) = (sum(|entry| entry.wall_s), sum(|entry| entry.flops));
    let row = |entry: &LedgerEntry| {
        let name = entry.arm.as_ref().map_or_else(|| entry.stage.clone(), |arm| format!("{} · {arm}", entry.stage));
        let (time, compute) = (share(entry.wall_s, wall_s), share(entry.flops, operations));
        let of_arm = owner(report, entry).map(|arm| share(entry.flops, cost(report, arm).1));
        vec![
            Cell::new(name),
            Cell::new(duration(entry.wall_s)),
            Cell::bar(percent(time), time),
            Cell::new(or_none(entry.flops == 0.0, flops(entry.flops))),
            Cell::bar(or_none(entry.flops == 0.0, percent(compute)), compute),
            Cell::new(of_arm.map_or_else(|| NONE.to_owned(), |share| or_none(entry.flops == 0.0, percent(share)))),
            Cell::new(or_none(entry.tokens == 0, tokens(entry.tokens))),
            Cell::new(or_none(entry.documents == 0, count(entry.documents))),
            Cell::new(entry.peak_rss_bytes.map_or_else(|| NONE.to_owned(), bytes)),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = report.ledger.iter().map(row).collect();
    let peak = report.ledger.iter().map(|entry| entry.peak_rss_bytes).max().flatten();
    rows.push(vec![
        Cell::strong("all stages"),
        Cell::new(duration(wall_s)),
        Cell::new(""),
        Cell::new(or_none(operations == 0.0, flops(operations))),
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
        Cell::new(peak.map_or_else(|| NONE.to_owned(), bytes)),
    ]);
    rows
}

/// Seconds and operations of all stages that worked for an arm.
fn cost(report: &Report, arm: &str) -> (f64, f64) {
    let own = report.ledger.iter().filter(|entry| owner(report, entry) == Some(arm));
    own.fold((0.0, 0.0), |sum, entry| (sum.0 + entry.wall_s, sum.1 + entry.flops))
}

/// A row per arm: what synthesis, training and evaluation took of it.
fn arm_costs(page: &mut Markup, report: &Report) {
    let mut arms: Vec<&str> = Vec::new();
    for arm in report.ledger.iter().filter_map(|entry| owner(report, entry)) {
        if !arms.contains(&arm) {
            arms.push(arm);
        }
    }
    let row = |arm: &&str| {
        let (wall_s, operations) = cost(report, arm);
        let part = |wanted: &dyn Fn(&str) -> bool| {
            let own = report.ledger.iter().filter(|entry| owner(report, entry) == Some(*arm) && wanted(&entry.stage));
            let (time, compute) = own.fold((0.0, 0.0), |sum, entry| (sum.0 + entry.wall_s, sum.1 + entry.flops));
            let shares = format!("{} of time", percent(share(time, wall_s)));
            let shown = or_none(compute == 0.0, percent(share(compute, operations)));
            Cell::with_detail(shown, if time > 0.0 { shares } else { String::new() })
        };
        vec![
            Cell::new(arm),
            Cell::new(duration(wall_s)),
            Cell::new(or_none(operations == 0.0, flops(operations))),
            part(&|stage| SYNTHESIS_STAGES.contains(&stage)),
            part(&|stage| stage == "train"),
            part(&|stage| stage == "evaluate"),
        ]
    };
    let rows: Vec<Vec<Cell>> = arms.iter().map(row).collect();
    if !rows.is_empty() {
        let columns = ["arm", "time", "compute", "synthesis", "training", "evaluation"];
        table(page, "What each arm cost, and which shares of its compute and time went where", &columns, &rows);
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// What equal token budgets leave out: the way to the synthetic documents, against training the sbp arm.
fn synthesis_cost(report: &Report) -> String {
    let (wall_s, cost) = synthesis(report).fold((0.0, 0.0), |sum, entry| (sum.0 + entry.wall_s, sum.1 + entry.flops));
    let sbp = report.arms.iter().find(|arm| arm.name == SBP).filter(|arm| arm.flops > 0.0);
    let equal = equal_budgets(report);
    let Some(sbp) = sbp.filter(|_| cost > 0.0) else { return equal };
    // An arm that chose from several trainings was prepared by these too, which are no part of synthesis.
    let documents_need = sbp.preparation_flops.min(cost);
    // Of all that was counted, what no document depends on.
    let scores = cost - documents_need;
    let needed = if scores > cost * 1e-6 {
        let (scores, needed) = (flops(scores), flops(documents_need));
        format!(", {scores} of them for scores of relevance that drop nothing: what the documents need is {needed}")
    } else {
        String::new()
    };
    format!(
        "{equal} That leaves out what only synthetic documents need, from embedding to filtering: {} and {}{needed}, {} of the compute \
         that training the sbp arm took.",
        duration(wall_s),
        flops(cost),
        percent(documents_need / sbp.flops)
    )
}

/// Which arms were trained on as many tokens as the first one.
fn equal_budgets(report: &Report) -> String {
    let budget = report.arms.first().map_or(0, |arm| arm.train_tokens);
    // Whole steps: budgets may differ by a part of one.
    let differs = |arm: &&Arm| arm.train_tokens.abs_diff(budget) > budget / 100;
    let mut others: Vec<&str> = report.arms.iter().filter(differs).map(|arm| arm.name.as_str()).collect();
    others.dedup();
    match others.as_slice() {
        [] => "All arms were trained on the same number of tokens.".to_owned(),
        others => format!("All arms but {} were trained on the same number of tokens.", listed(others)),
    }
}

fn ledger_csv(report: &Report) -> Csv {
    let mut csv = Csv::new(&["stage", "arm", "wall_s", "flops", "tokens", "documents", "peak_rss_bytes"]);
    for entry in &report.ledger {
        csv.row([
            entry.stage.clone(),
            entry.arm.clone().unwrap_or_default(),
            number(entry.wall_s),
            number(entry.flops),
            entry.tokens.to_string(),
            entry.documents.to_string(),
            entry.peak_rss_bytes.map_or_else(String::new, |peak| peak.to_string()),
        ]);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn a_controls_synthesis_is_not_sbps() {
        let mut report = sample();
        let operations = |report: &Report| synthesis(report).map(|entry| entry.flops).sum::<f64>();
        let before = operations(&report);
        assert!(before > 0.0);
        let generate = report.ledger.iter().find(|entry| entry.stage == "generate").unwrap().clone();
        report.ledger.push(LedgerEntry { arm: Some("random-pairs".into()), ..generate });
        assert_eq!(operations(&report), before);
    }

    #[test]
    fn embedding_alone_makes_no_sbp_arm() {
        let mut report = sample();
        let embed = report.ledger.iter().position(|entry| entry.stage == "embed").unwrap();
        assert_eq!(owner(&report, &report.ledger[embed]), Some(SBP));
        report.ledger.retain(|entry| !matches!(&*entry.stage, "tune" | "generate"));
        assert_eq!(owner(&report, &report.ledger[embed]), None);
    }
}
