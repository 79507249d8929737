//! Loss curves: of all arms over training tokens and over floating-point operations, and of each arm with its training
//! loss.

use super::charts::{self, Line, LineChart, Size, XAxis};
use super::data::{Curve, Point, Report};
use super::download::{Csv, downloads, number};
use super::html::{arm_label, arm_style, both_sizes, figure, section};
use super::markup::Markup;
use super::operations::axis_note;
use crate::metrics::thinned;

/// Points of a line that a wide figure draws; `report.json` and the data behind it have them all.
const POINTS: usize = 240;
/// Points of a training curve that a small figure draws.
const PANEL_POINTS: usize = 120;
/// Points of all training curves together in `losses.csv`, about: the page stays small however many models there are. `report.json`
/// has them all.
const CSV_POINTS: usize = 10_000;

/// The validation loss of all arms over training tokens.
pub(super) fn over_tokens(page: &mut Markup, report: &Report) {
    let lines = validation_lines(report, |_, point| Some(point.tokens as f64));
    let description = "Validation loss while training; lower is better.";
    validation_figure(page, ("Validation loss over training tokens", description), XAxis::TOKENS, lines);
}

/// The section about losses.
pub(super) fn curves(page: &mut Markup, report: &Report) {
    if report.curves.is_empty() {
        return;
    }
    section(page, "curves", "Loss curves", |page| {
        over_flops(page, report);
        page.leaf(
            "p",
            &[],
            "Training loss is on what the arm is shown, repetitions included: where it falls and validation loss does \
             not follow, the model is memorising.",
        );
        let drawn: Vec<[Line; 2]> = report.curves.iter().map(|curve| curve_lines(report, curve)).collect();
        let y_also: Vec<f64> = drawn.iter().flatten().flat_map(|line| &line.points).map(|point| point.1).collect();
        page.element("div", &[("class", &"panels")], |page| {
            for (curve, lines) in report.curves.iter().zip(drawn) {
                let name = arm_label(report, &curve.arm, curve.seed);
                let chart = LineChart {
                    title: &format!("Loss of {name} over training tokens"),
                    description: "A thin line for training loss, a strong one with marks for validation loss.",
                    y_name: "nats per token",
                    lines: lines.to_vec(),
                    y_also: y_also.clone(),
                    y_top: f64::INFINITY,
                };
                page.element("figure", &[("class", &"panel")], |page| {
                    page.leaf("h3", &[], &name);
                    chart.draw(page, "panel", Size::PANEL);
                });
            }
        });
        if report.curves.iter().any(|curve| curve.train.len() > csv_points(report)) {
            page.leaf(
                "p",
                &[],
                "There are many models: losses.csv has means of neighbouring points of training, report.json each.",
            );
        }
        downloads(page, &[("losses.csv", losses_csv(report))]);
    });
}

/// The validation loss of all arms over what they cost, preparation included.
fn over_flops(page: &mut Markup, report: &Report) {
    let lines = validation_lines(report, |curve, point| report.flops_at(&curve.arm, curve.seed, point.tokens));
    if lines.iter().all(|line| line.points.is_empty()) {
        return;
    }
    let caption = format!("The same losses over floating-point operations. {}", axis_note(report));
    validation_figure(page, ("Validation loss over floating-point operations", &caption), XAxis::FLOPS, lines);
}

/// One line per curve, with one label per arm.
fn validation_lines(report: &Report, x: impl Fn(&Curve, &Point) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, curve) in report.curves.iter().enumerate() {
        let siblings = report.curves.iter().filter(|other| other.arm == curve.arm).count();
        let first = report.curves[..index].iter().all(|other| other.arm != curve.arm);
        let label = if siblings > 1 { format!("{}, {siblings} seeds", curve.arm) } else { curve.arm.clone() };
        let points = curve.validation.iter().filter_map(|point| Some((x(curve, point)?, point.nats_per_token)));
        lines.push(Line {
            label: first.then_some(label),
            style: arm_style(report, &curve.arm),
            faint: false,
            points: charts::thin(&points.collect::<Vec<_>>(), POINTS),
        });
    }
    lines
}

fn validation_figure(page: &mut Markup, (title, caption): (&str, &str), x: XAxis, lines: Vec<Line>) {
    let y_top = charts::focus(&lines);
    let cut = if y_top.is_finite() { " The steep start is cut off; the curves of each arm show it." } else { "" };
    let names: Vec<&str> = lines.iter().filter_map(|line| line.label.as_deref()).collect();
    let description = format!("One line per arm: {}.", names.join("; "));
    let chart = LineChart {
        title,
        description: &description,
        y_name: "validation loss, nats per token",
        lines,
        y_also: Vec::new(),
        y_top,
    };
    figure(page, "full", &format!("{caption}{cut}"), |page| {
        both_sizes(page, |page, class, size| chart.draw_over(page, class, size, x));
    });
}

fn curve_lines(report: &Report, curve: &Curve) -> [Line; 2] {
    let style = arm_style(report, &curve.arm);
    let points = |points: &[Point]| -> Vec<(f64, f64)> {
        points.iter().map(|point| (point.tokens as f64, point.nats_per_token)).collect()
    };
    let line = |label: &str, faint, recorded: &[Point]| Line {
        label: Some(label.to_owned()),
        style,
        faint,
        points: charts::thin(&points(recorded), PANEL_POINTS),
    };
    [line("training", true, &curve.train), line("validation", false, &curve.validation)]
}

/// Points of a training curve in `losses.csv`; never fewer than are drawn.
fn csv_points(report: &Report) -> usize {
    (CSV_POINTS / report.curves.len().max(1)).max(PANEL_POINTS)
}

/// The points, with the operations up to each where they are known.
fn losses_csv(report: &Report) -> Csv {
    let mut csv = Csv::new(&["arm", "seed", "loss", "tokens", "flops_with_preparation", "nats_per_token"]);
    for curve in &report.curves {
        let train = thinned(&curve.train, csv_points(report));
        for (loss, points) in [("training", &train), ("validation", &curve.validation)] {
            for point in points {
                let flops = report.flops_at(&curve.arm, curve.seed, point.tokens);
                csv.row([
                    curve.arm.clone(),
                    curve.seed.to_string(),
                    loss.to_owned(),
                    point.tokens.to_string(),
                    number(flops.map(f64::round)),
                    number(point.nats_per_token),
                ]);
            }
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::data::SBP;
    use super::super::download::saved;
    use super::super::page;
    use super::super::sample::sample;

    #[test]
    fn what_an_arm_needed_comes_before_the_first_step() {
        let report = sample();
        let html = page(&report);
        let csv = saved(&html, "losses.csv").unwrap();
        let points = report.curves.iter().map(|curve| curve.train.len() + curve.validation.len()).sum::<usize>();
        assert_eq!(csv.lines().count(), points + 1, "every point, and the names");
        let synthesis = 110_245_000_000_000_u64;
        let row = |arm: &str, tokens: u64| {
            let start = format!("{arm},1,validation,{tokens},");
            csv.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse::<u64>().ok()).unwrap()
        };
        assert_eq!((row("sbp", 0), row("sbp", 12_000_000)), (synthesis, synthesis + 261_000_000_000_000));
        assert_eq!((row("oracle", 0), row("oracle", 6_000_000)), (0, 130_500_000_000_000));
        assert!(
            html.contains("FLOP, preparation included")
                && html.contains("Validation loss over floating-point operations")
        );
    }

    #[test]
    fn an_arm_that_was_not_measured_has_no_place_among_operations() {
        let mut report = sample();
        report.arms.retain(|arm| arm.name != SBP);
        let html = page(&report);
        let csv = saved(&html, "losses.csv").unwrap();
        assert!(csv.contains("\nsbp,1,validation,12000000,,"), "its losses stay, without operations");
        report.arms.clear();
        assert!(!page(&report).contains("Validation loss over floating-point operations"));
    }
}
