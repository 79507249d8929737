//! The page `report.html` and its first screen: the answer, its figure, the arms. What follows below is in `sections.rs`.

use cognate_results::numbers::{decimals, flops, nats, or_none, significant, tokens};
use cognate_results::{Arm, Report, VALIDATION};

use super::answer::{Losses, answer, drawn_gap};
use super::charts::{self, Size};
use super::download::{Csv, downloads, number};
use super::html::{Cell, document, figure, paragraph_unless_empty, table, unfinished};
use super::markup::Markup;
use super::{losses, sections};

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    document(&format!("{} · Cognate report", report.name), &answer(report).first(), None, |page| body(page, report))
}

/// The report itself: its first screen, then everything else.
pub(super) fn body(page: &mut Markup, report: &Report) {
    let answer = answer(report);
    page.element("header", &[], |page| {
        page.leaf("p", &[("class", &"kicker")], format!("Cognate report · {}", report.name));
        paragraph_unless_empty(page, "verdict", &answer.unused);
        page.leaf("h1", &[], &answer.headline);
        paragraph_unless_empty(page, "detail", &answer.used);
        paragraph_unless_empty(page, "detail", &answer.detail);
        paragraph_unless_empty(page, "caution", &answer.caution);
        paragraph_unless_empty(page, "unfinished", &unfinished(report));
    });
    gap(page, report);
    arms(page, report);
    super::arms::beside_repetition(page, report);
    sections::all(page, report);
}

fn arms(page: &mut Markup, report: &Report) {
    if report.arms.is_empty() {
        return;
    }
    let columns = [
        "arm",
        "nats per token",
        "perplexity",
        "bits per byte",
        "training tokens",
        "unique",
        "synthetic",
        "epochs",
        "compute",
        "seed",
    ];
    let row = |arm: &Arm| {
        let scores = arm.validation;
        let error = |shown: Option<String>| shown.map_or_else(String::new, |error| format!("± {error}"));
        let perplexity_error = scores.perplexity_stderr.map(|error| significant(error, 2));
        vec![
            Cell::new(&arm.name),
            Cell::with_detail(nats(scores.nats_per_token), error(scores.stderr.map(nats))),
            Cell::with_detail(significant(scores.perplexity, 4), error(perplexity_error)),
            Cell::with_detail(
                decimals(scores.bits_per_byte, 3),
                error(scores.bits_per_byte_stderr.map(|error| decimals(error, 3))),
            ),
            Cell::new(tokens(arm.train_tokens)),
            Cell::new(tokens(arm.unique_tokens)),
            Cell::new(or_none(arm.synthetic_tokens == 0, tokens(arm.synthetic_tokens))),
            Cell::new(significant(arm.epochs, 3)),
            Cell::new(flops(arm.flops)),
            Cell::new(arm.seed),
        ]
    };
    let rows: Vec<Vec<Cell>> = report.arms.iter().map(row).collect();
    table(
        page,
        "The arms: final models, scored on validation documents that none of them saw; ± is a standard error over documents",
        &columns,
        &rows,
    );
    downloads(page, &[("arms.csv", arms_csv(report))]);
}

/// The answer as a figure; validation losses where there is no gap to draw.
fn gap(page: &mut Markup, report: &Report) {
    let gap = report.gap_closed.get(VALIDATION);
    let Some((nats, share)) = drawn_gap(report) else {
        let losses = Losses::of(report);
        if [losses.repetition, losses.sbp, losses.oracle].iter().all(Option::is_some) {
            page.leaf("p", &[("class", &"absent")], "The share of the gap could not be computed for this run.");
        }
        return losses::over_tokens(page, report);
    };
    let interval = gap.and_then(|gap| gap.low.zip(gap.high));
    let whisker = if interval.is_some() { " The line across is the 95 % interval." } else { "" };
    let caption = format!(
        "Nats per token on validation documents. The gap lies between two arms with the same number of training tokens: \
         repetition, which sees the unique documents again and again, and the oracle, which sees fresh ones instead. Gap \
         closed = (repetition − sbp) / (repetition − oracle).{whisker}"
    );
    figure(page, "full", &caption, |page| {
        for (class, size) in [("wide", Size::WIDE), ("narrow", Size::NARROW)] {
            charts::gap_ruler(page, class, size.width, nats, share, interval);
        }
    });
}

fn arms_csv(report: &Report) -> Csv {
    let mut csv = Csv::new(&[
        "arm",
        "seed",
        "nats_per_token",
        "stderr",
        "perplexity",
        "perplexity_stderr",
        "bits_per_byte",
        "bits_per_byte_stderr",
        "train_tokens",
        "unique_tokens",
        "synthetic_tokens",
        "epochs",
        "flops",
        "preparation_flops",
        "base_flops",
    ]);
    for arm in &report.arms {
        let scores = arm.validation;
        csv.row([
            arm.name.clone(),
            arm.seed.to_string(),
            number(scores.nats_per_token),
            number(scores.stderr),
            number(scores.perplexity),
            number(scores.perplexity_stderr),
            number(scores.bits_per_byte),
            number(scores.bits_per_byte_stderr),
            arm.train_tokens.to_string(),
            arm.unique_tokens.to_string(),
            arm.synthetic_tokens.to_string(),
            number(arm.epochs),
            number(arm.flops),
            number(arm.preparation_flops),
            number(arm.base_flops),
        ]);
    }
    csv
}
