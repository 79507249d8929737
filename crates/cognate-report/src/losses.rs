//! Loss curves: of all arms over training tokens and over floating-point operations, and of each arm with its training
//! loss.

use cognate_results::{Curve, ORACLE, Point, REPETITION, Report, SBP, thinned};

use super::answer::losses_are_first;
use super::charts::{self, Focus, Line, LineChart, Size, XAxis};
use super::download::{Csv, downloads, number};
use super::html::{arm_label, arm_style, both_sizes, figure, section};
use super::lowest;
use super::markup::Markup;
use super::operations::axis_note;

/// Points of a line that a wide figure draws; `report.json` and the data behind it have them all.
const POINTS: usize = 240;
/// Points of a training curve that a small figure draws.
const PANEL_POINTS: usize = 120;
/// Points of all training curves together in `losses.csv`, about: the page stays small however many models there are. `report.json`
/// has them all.
const CSV_POINTS: usize = 7_900;

/// The validation loss of all arms over training tokens.
pub(super) fn over_tokens(page: &mut Markup, report: &Report) {
    let lines = validation_lines(report, |_, point| Some(point.tokens as f64));
    let description = "Validation loss while training; lower is better.";
    validation_figure(page, report, ("Validation loss over training tokens", description), XAxis::TOKENS, lines);
}

/// The section about losses.
pub(super) fn curves(page: &mut Markup, report: &Report) {
    if report.curves.is_empty() {
        return;
    }
    section(page, "curves", "Loss curves", |page| {
        if !losses_are_first(report) {
            over_tokens(page, report);
        }
        over_flops(page, report);
        lowest::risen(page, report);
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
    validation_figure(page, report, ("Validation loss over floating-point operations", &caption), XAxis::FLOPS, lines);
}

/// One line per curve, with one label per arm.
fn validation_lines(report: &Report, x: impl Fn(&Curve, &Point) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (index, curve) in report.curves.iter().enumerate() {
        let first = report.curves[..index].iter().all(|other| other.arm != curve.arm);
        let points = curve.validation.iter().filter_map(|point| Some((x(curve, point)?, point.nats_per_token)));
        lines.push(Line {
            label: first.then(|| curve.arm.clone()),
            style: arm_style(report, &curve.arm),
            faint: false,
            points: charts::thin(&points.collect::<Vec<_>>(), POINTS),
        });
    }
    lines
}

fn validation_figure(page: &mut Markup, report: &Report, (title, caption): (&str, &str), x: XAxis, lines: Vec<Line>) {
    let is_control = |curve: &Curve| ![REPETITION, SBP, ORACLE].contains(&curve.arm.as_str());
    let may_leave: Vec<bool> = report.curves.iter().map(is_control).collect();
    let focus = charts::focus(&lines, &may_leave);
    let names: Vec<&str> = lines.iter().filter_map(|line| line.label.as_deref()).collect();
    let description = format!("One line per arm: {}.", names.join("; "));
    let caption = format!("{caption}{}{}", seeds_note(report, &names), cut_note(report, &focus));
    let chart = LineChart {
        title,
        description: &description,
        y_name: "validation loss, nats per token",
        lines,
        y_also: Vec::new(),
        y_top: focus.top,
    };
    figure(page, "full", &caption, |page| {
        both_sizes(page, |page, class, size| chart.draw_over(page, class, size, x));
    });
}

/// That an arm has a line for each of its seeds, where it has several.
fn seeds_note(report: &Report, arms: &[&str]) -> String {
    let seeds = |arm: &str| report.curves.iter().filter(|curve| curve.arm == arm).count();
    let most = arms.iter().map(|arm| seeds(arm)).max().unwrap_or(0);
    let fewer: Vec<String> =
        arms.iter().filter(|arm| seeds(arm) < most).map(|arm| format!("{arm} {}", seeds(arm))).collect();
    match (most, fewer.as_slice()) {
        (0 | 1, _) => String::new(),
        (seeds, []) => format!(" Every arm has {seeds} lines, one for each seed."),
        (seeds, fewer) => format!(" A line for each seed: an arm has {seeds} ({} alone).", fewer.join(", ")),
    }
}

/// What the plot leaves out.
fn cut_note(report: &Report, focus: &Focus) -> String {
    if focus.top.is_infinite() {
        return String::new();
    }
    let mut left: Vec<&str> = report
        .curves
        .iter()
        .zip(&focus.leaves)
        .filter(|(_, leaves)| **leaves)
        .map(|(curve, _)| curve.arm.as_str())
        .collect();
    left.dedup();
    let left = match left.as_slice() {
        [] => String::new(),
        left => format!(" The plot is cut off where {} leaves it, far above all others.", left.join(" or ")),
    };
    format!(" The steep start is cut off; the curves of each arm show it.{left}")
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
    use super::super::download::saved;
    use super::super::page;
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn captions_say_how_many_lines_an_arm_has_and_which_leave() {
        let mut report = sample();
        let names = ["repetition", "sbp", "oracle"];
        assert_eq!(seeds_note(&report, &names), "");
        let again = |curve: &Curve| Curve { seed: 2, ..curve.clone() };
        report.curves.extend(report.curves.iter().map(again).collect::<Vec<_>>());
        assert_eq!(seeds_note(&report, &names), " Every arm has 2 lines, one for each seed.");
        report.curves.pop();
        assert_eq!(seeds_note(&report, &names), " A line for each seed: an arm has 2 (oracle 1 alone).");
        let mut long = report.curves[0].clone();
        long.arm = "equal-flops".to_owned();
        long.validation.last_mut().unwrap().nats_per_token = 40.0;
        report.curves.push(long);
        let html = page(&report);
        assert_eq!(
            html.matches("is cut off where equal-flops leaves it").count(),
            1,
            "over tokens; it was not counted otherwise"
        );
        assert!(!html.contains("2 seeds</text>"));
    }

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

    #[test]
    fn many_steps_become_few_means() {
        let train: Vec<Point> = (1..=10).map(|i| Point { tokens: i, nats_per_token: i as f64 }).collect();
        let thinned: Vec<(u64, f64)> =
            thinned(&train, 4).iter().map(|point| (point.tokens, point.nats_per_token)).collect();
        assert_eq!(thinned, [(3, 2.0), (6, 5.0), (9, 8.0), (10, 10.0)]);
    }
}
