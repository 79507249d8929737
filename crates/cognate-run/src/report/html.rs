//! The page `report.html`: its frame and its first screen. What follows below is in `sections.rs`.
//!
//! One file, readable anywhere: style and figures are inline, nothing is fetched, no script is needed or allowed.

use std::fmt::Display;

use super::answer::{Losses, answer};
use super::charts::{self, Line, LineChart, Size};
use super::data::{Arm, ORACLE, REPETITION, Report, SBP};
use super::markup::Markup;
use super::numbers::{count, decimals, flops, measure, nats, or_none, significant, tokens};
use super::sections;

/// Even a browser that finds markup in the page which should not be there must not run or fetch anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
/// Points of a line that the page draws; `report.json` has them all.
const POINTS: usize = 240;

/// A phone has room for so many columns.
const PHONE_COLUMNS: usize = 4;

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let answer = answer(report);
    let mut page = Markup::document();
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.empty("meta", &[("charset", &"utf-8")]);
            page.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
            page.empty("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
            page.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            page.empty("meta", &[("name", &"description"), ("content", &answer.headline)]);
            // Or browsers ask the server for an icon.
            page.empty("link", &[("rel", &"icon"), ("href", &"data:,")]);
            page.leaf("title", &[], format!("{} · Cognate report", report.name));
            page.style(include_str!("style.css"));
        });
        page.element("body", &[], |page| {
            page.element("main", &[], |page| {
                page.element("header", &[], |page| {
                    page.leaf("p", &[("class", &"kicker")], format!("Cognate report · {}", report.name));
                    page.leaf("h1", &[], &answer.headline);
                    paragraph_unless_empty(page, "detail", &answer.detail);
                    paragraph_unless_empty(page, "caution", &answer.caution);
                });
                arms(page, report);
                super::arms::comparisons(page, report);
                validation_figure(page, report);
                tasks(page, report);
                gap(page, report);
                sections::all(page, report);
            });
        });
    });
    page.finish()
}

/// A section with its heading.
pub(super) fn section(page: &mut Markup, id: &str, heading: &str, content: impl FnOnce(&mut Markup)) {
    page.element("section", &[("id", &id)], |page| {
        page.leaf("h2", &[], heading);
        content(page);
    });
}

/// A figure with its caption.
pub(super) fn figure(page: &mut Markup, class: &str, caption: &str, content: impl FnOnce(&mut Markup)) {
    page.element("figure", &[("class", &class)], |page| {
        content(page);
        paragraph_in(page, "figcaption", caption);
    });
}

/// A table whose first cell in each row names the row. On a phone each row of a wide table becomes a small card, in
/// which the column names stand over the values.
pub(super) fn table(page: &mut Markup, caption: &str, columns: &[&str], rows: &[Vec<Cell>]) {
    let class = if columns.len() > PHONE_COLUMNS { "cards" } else { "plain" };
    page.element("table", &[("class", &class)], |page| {
        page.leaf("caption", &[], caption);
        page.element("thead", &[], |page| {
            page.element("tr", &[], |page| {
                for column in columns {
                    page.leaf("th", &[("scope", &"col")], column);
                }
            });
        });
        page.element("tbody", &[], |page| {
            for row in rows {
                let total = row.first().is_some_and(|cell| cell.strong);
                page.element("tr", &[("class", &if total { "total" } else { "row" })], |page| {
                    for (column, cell) in columns.iter().zip(row) {
                        cell.write(page, column, *column == columns[0]);
                    }
                });
            }
        });
    });
}

/// One cell of a [`table`].
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    /// A share in 0..=1, drawn as a small bar before the number.
    bar: Option<f64>,
    /// Said smaller, below the text.
    detail: String,
    /// In the first cell: the row is a sum of the others.
    strong: bool,
}

impl Cell {
    pub(super) fn new(text: impl Display) -> Self {
        Self { text: text.to_string(), bar: None, detail: String::new(), strong: false }
    }

    pub(super) fn strong(text: impl Display) -> Self {
        Self { strong: true, ..Self::new(text) }
    }

    pub(super) fn bar(text: impl Display, share: f64) -> Self {
        Self { bar: Some(if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }), ..Self::new(text) }
    }

    pub(super) fn with_detail(text: impl Display, detail: String) -> Self {
        Self { detail, ..Self::new(text) }
    }

    fn write(&self, page: &mut Markup, column: &str, names_the_row: bool) {
        if names_the_row {
            return page.leaf("th", &[("scope", &"row")], &self.text);
        }
        page.element("td", &[("data-label", &column)], |page| match self.bar {
            None => {
                page.leaf("span", &[], &self.text);
                if !self.detail.is_empty() {
                    page.leaf("small", &[], &self.detail);
                }
            }
            Some(share) => {
                page.leaf("span", &[("class", &"bar"), ("style", &format!("--share:{share:.3}"))], &self.text);
            }
        });
    }
}

/// A paragraph, or nothing for an empty text.
pub(super) fn paragraph_unless_empty(page: &mut Markup, class: &str, text: &str) {
    if !text.is_empty() {
        page.leaf("p", &[("class", &class)], text);
    }
}

fn paragraph_in(page: &mut Markup, tag: &'static str, text: &str) {
    if !text.is_empty() {
        page.leaf(tag, &[], text);
    }
}

/// `sbp`, or `sbp, seed 2` where there are several of that name.
pub(super) fn arm_label(report: &Report, name: &str, seed: u64) -> String {
    let several = report.arms.iter().filter(|arm| arm.name == name).count() > 1;
    if several { format!("{name}, seed {seed}") } else { name.to_owned() }
}

/// Dash pattern, marker and colour of an arm: the same in every figure.
pub(super) fn arm_style(report: &Report, name: &str) -> usize {
    const FIXED: [&str; 3] = [REPETITION, SBP, ORACLE];
    let fixed = FIXED.iter().position(|fixed| *fixed == name);
    fixed.unwrap_or_else(|| {
        let mut controls: Vec<&str> = report.arms.iter().map(|arm| arm.name.as_str()).collect();
        controls.retain(|control| !FIXED.contains(control));
        controls.dedup();
        let index = controls.iter().position(|control| *control == name).unwrap_or(0);
        FIXED.len() + index % 3
    })
}

/// A figure drawn twice, for wide pages and for phones: the style sheet shows one.
pub(super) fn both_sizes(page: &mut Markup, mut draw: impl FnMut(&mut Markup, &str, Size)) {
    draw(page, "wide", Size::WIDE);
    draw(page, "narrow", Size::NARROW);
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
        vec![
            Cell::new(&arm.name),
            Cell::new(nats(arm.validation.nats_per_token)),
            Cell::new(significant(arm.validation.perplexity, 4)),
            Cell::new(decimals(arm.validation.bits_per_byte, 3)),
            Cell::new(tokens(arm.train_tokens)),
            Cell::new(tokens(arm.unique_tokens)),
            Cell::new(or_none(arm.synthetic_tokens == 0, tokens(arm.synthetic_tokens))),
            Cell::new(significant(arm.epochs, 3)),
            Cell::new(flops(arm.flops)),
            Cell::new(arm.seed),
        ]
    };
    let rows: Vec<Vec<Cell>> = report.arms.iter().map(row).collect();
    table(page, "The arms: final models, scored on validation documents that none of them saw", &columns, &rows);
}

fn validation_figure(page: &mut Markup, report: &Report) {
    let mut lines: Vec<Line> = Vec::new();
    for (index, curve) in report.curves.iter().enumerate() {
        let siblings = report.curves.iter().filter(|other| other.arm == curve.arm).count();
        let first = report.curves[..index].iter().all(|other| other.arm != curve.arm);
        let label = if siblings > 1 { format!("{}, {siblings} seeds", curve.arm) } else { curve.arm.clone() };
        lines.push(Line {
            label: first.then_some(label),
            style: arm_style(report, &curve.arm),
            faint: false,
            points: charts::thin(&sections::points(&curve.validation), POINTS),
        });
    }
    let y_top = charts::focus(&lines);
    let cut = if y_top.is_finite() { " The steep start is cut off; the loss curves below show it." } else { "" };
    let names: Vec<&str> = lines.iter().filter_map(|line| line.label.as_deref()).collect();
    let description = format!("One line per arm: {}.", names.join("; "));
    let chart = LineChart {
        title: "Validation loss over training tokens",
        description: &description,
        y_name: "validation loss, nats per token",
        lines,
        y_also: Vec::new(),
        y_top,
    };
    let caption = format!("Validation loss while training; lower is better.{cut}");
    figure(page, "full", &caption, |page| both_sizes(page, |page, class, size| chart.draw(page, class, size)));
}

fn tasks(page: &mut Markup, report: &Report) {
    let mut rows = Vec::new();
    for arm in &report.arms {
        for (name, score) in &arm.tasks {
            let value = |value: f64| match score.metric.as_str() {
                "accuracy" => format!("{}\u{a0}%", decimals(value * 100.0, 1)),
                _ => measure(value, ""),
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
    if !rows.is_empty() {
        section(page, "tasks", "Tasks", |page| {
            table(page, "Scores on tasks", &["task and arm", "metric", "score", "standard error", "items"], &rows);
        });
    }
}

fn gap(page: &mut Markup, report: &Report) {
    section(page, "gap", "The gap", |page| {
        page.leaf(
            "p",
            &[],
            "The gap is the distance between two arms with the same number of training tokens: repetition, which sees \
             the unique documents again and again, and the oracle, which sees fresh documents instead. Gap closed = \
             (repetition − sbp) / (repetition − oracle), on validation nats per token.",
        );
        let losses = Losses::of(report);
        let share = report.gap_closed.get(super::VALIDATION).and_then(|gap| gap.mean);
        let (Some(repetition), Some(sbp), Some(oracle), Some(share)) =
            (losses.repetition, losses.sbp, losses.oracle, share)
        else {
            page.leaf("p", &[("class", &"absent")], "It could not be computed for this run.");
            return;
        };
        figure(page, "full", "Nats per token on validation documents, from repetition to the oracle.", |page| {
            charts::gap_ruler(page, "wide", Size::WIDE.width, [repetition, sbp, oracle], share);
            charts::gap_ruler(page, "narrow", Size::NARROW.width, [repetition, sbp, oracle], share);
        });
    });
}
