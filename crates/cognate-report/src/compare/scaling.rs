//! The gap that arms close over the size of the runs that they are of.

use cognate_results::numbers::count;
use cognate_results::{GapClosed, ORACLE, REPETITION, Report, VALIDATION, gap_key};
use serde::{Deserialize, Serialize};

use super::super::charts::{Line, LineChart, XAxis};
use super::super::download::{Csv, downloads, number};
use super::super::html::{Cell, both_sizes, figure, gap_closed, section, table};
use super::super::markup::Markup;

/// A size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Distinct real tokens of the baseline.
    UniqueTokens,
    /// Parameters of a model.
    Parameters,
}

impl Size {
    const ALL: [Self; 2] = [Self::UniqueTokens, Self::Parameters];

    fn name(self) -> &'static str {
        match self {
            Self::UniqueTokens => "unique tokens",
            Self::Parameters => "parameters",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::UniqueTokens => Self::Parameters,
            Self::Parameters => Self::UniqueTokens,
        }
    }

    fn of(self, report: &Report) -> Option<u64> {
        match self {
            Self::UniqueTokens => report.arms.iter().find(|arm| arm.name == REPETITION).map(|arm| arm.unique_tokens),
            Self::Parameters => report.cards.parameters,
        }
    }

    fn axis(self) -> XAxis {
        match self {
            Self::UniqueTokens => XAxis::UNIQUE_TOKENS,
            Self::Parameters => XAxis::PARAMETERS,
        }
    }
}

/// The gap that arms close over one size, in runs that are alike in the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The size.
    pub over: Size,
    /// The other size, which these runs have in common.
    pub at: u64,
    /// Arms that two of the runs have at least.
    pub arms: Vec<ScaledArm>,
}

/// One arm of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledArm {
    /// The arm.
    pub arm: String,
    /// What it closes, the smallest size first.
    pub points: Vec<ScaledPoint>,
}

/// One arm in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaledPoint {
    /// The run's label.
    pub run: String,
    /// Its size.
    pub size: u64,
    /// What the arm closes of the gap on validation.
    pub gap: GapClosed,
}

/// Every size over which the gap can be drawn: at least two runs differ in it, and in the other do not.
pub(super) fn scaling(reports: &[(String, &Report)]) -> Vec<Scaling> {
    let mut found = Vec::new();
    for over in Size::ALL {
        let mut at: Vec<u64> = reports.iter().filter_map(|(_, report)| over.other().of(report)).collect();
        at.sort_unstable();
        at.dedup();
        for at in at {
            let alike: Vec<&(String, &Report)> =
                reports.iter().filter(|(_, report)| over.other().of(report) == Some(at)).collect();
            let arms = arms(over, &alike);
            found.extend((!arms.is_empty()).then_some(Scaling { over, at, arms }));
        }
    }
    found
}

fn arms(over: Size, reports: &[&(String, &Report)]) -> Vec<ScaledArm> {
    let mut names: Vec<&str> = Vec::new();
    for name in reports.iter().flat_map(|(_, report)| &report.arms).map(|arm| arm.name.as_str()) {
        if !names.contains(&name) && name != REPETITION && name != ORACLE {
            names.push(name);
        }
    }
    let of = |name: &str| {
        let point = |(run, report): &&(String, &Report)| {
            let gap = report.gap_closed.get(&gap_key(VALIDATION, name)).filter(|gap| gap.mean.is_some())?;
            Some(ScaledPoint { run: run.clone(), size: over.of(report)?, gap: *gap })
        };
        let mut points: Vec<ScaledPoint> = reports.iter().filter_map(point).collect();
        points.sort_by_key(|point| point.size);
        let differ = points.first().map(|point| point.size) != points.last().map(|point| point.size);
        differ.then(|| ScaledArm { arm: name.to_owned(), points })
    };
    names.into_iter().filter_map(of).collect()
}

/// The section, where something can be drawn.
pub(super) fn section_of_scaling(page: &mut Markup, scaling: &[Scaling]) {
    if scaling.is_empty() {
        return;
    }
    section(page, "scaling", "Over the size of the runs", |page| {
        page.leaf(
            "p",
            &[],
            "What arms close of the gap, each in its own run: 0 is that run's repetition, 1 its oracle. Look below for what else differs between the \
             recipes.",
        );
        for of in scaling {
            let title = format!("Gap closed over {}, at {} {}", of.over.name(), count(of.at), of.over.other().name());
            let line = |(style, arm): (usize, &ScaledArm)| Line {
                label: Some(arm.arm.clone()),
                style: style + 1,
                faint: false,
                points: arm.points.iter().filter_map(|point| Some((point.size as f64, point.gap.mean?))).collect(),
            };
            let chart = LineChart {
                title: &title,
                description: "One line for each arm.",
                y_name: "share of the gap closed",
                lines: of.arms.iter().enumerate().map(line).collect(),
                y_also: vec![0.0],
                y_top: f64::INFINITY,
            };
            figure(page, "full", &title, |page| {
                both_sizes(page, |page, class, size| chart.draw_over(page, class, size, of.over.axis()));
            });
            let rows: Vec<Vec<Cell>> =
                of.arms.iter().flat_map(|arm| arm.points.iter().map(|point| row(arm, point))).collect();
            table(page, "In percent, with 95\u{a0}% intervals", &["arm", "run", of.over.name(), "gap closed"], &rows);
        }
        downloads(page, &[("scaling.csv", csv(scaling))]);
    });
}

fn row(arm: &ScaledArm, point: &ScaledPoint) -> Vec<Cell> {
    vec![Cell::new(&arm.arm), Cell::new(&point.run), Cell::new(count(point.size)), gap_closed(&point.gap)]
}

fn csv(scaling: &[Scaling]) -> Csv {
    let mut csv = Csv::new(&["over", "at", "arm", "run", "size", "gap_closed", "low", "high"]);
    for of in scaling {
        for arm in &of.arms {
            for point in &arm.points {
                csv.row([
                    of.over.name().to_owned(),
                    of.at.to_string(),
                    arm.arm.clone(),
                    point.run.clone(),
                    point.size.to_string(),
                    number(point.gap.mean),
                    number(point.gap.low),
                    number(point.gap.high),
                ]);
            }
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::sample;
    use super::super::{Comparison, comparison_page};
    use super::*;

    fn run(unique: u64, parameters: u64, sbp: f64, other: Option<f64>) -> Report {
        let mut report = sample();
        report.arms.iter_mut().filter(|arm| arm.name == REPETITION).for_each(|arm| arm.unique_tokens = unique);
        report.cards.parameters = Some(parameters);
        let gap = |mean: f64| GapClosed { mean: Some(mean), low: Some(mean - 0.05), high: Some(mean + 0.05), seeds: 1 };
        report.gap_closed.clear();
        report.gap_closed.insert(gap_key(VALIDATION, "sbp"), gap(sbp));
        if let Some(other) = other {
            let mut arm = report.arms[0].clone();
            arm.name = "random-pairs".to_owned();
            report.arms.push(arm);
            report.gap_closed.insert(gap_key(VALIDATION, "random-pairs"), gap(other));
        }
        report
    }

    #[test]
    fn arms_stand_over_the_size_in_which_runs_differ() {
        let runs = [
            ("c".to_owned(), run(900_000, 1_000_000, 0.375, Some(0.25))),
            ("a".to_owned(), run(100_000, 1_000_000, 0.125, None)),
            ("b".to_owned(), run(300_000, 1_000_000, 0.25, Some(0.625))),
            ("large".to_owned(), run(300_000, 4_000_000, 0.75, None)),
        ];
        let compared = Comparison::of(&runs);
        let shown = |of: &Scaling| -> Vec<(String, Vec<(u64, f64)>)> {
            let points =
                |arm: &ScaledArm| arm.points.iter().map(|point| (point.size, point.gap.mean.unwrap())).collect();
            of.arms.iter().map(|arm| (arm.arm.clone(), points(arm))).collect()
        };
        assert_eq!(compared.scaling.len(), 2, "{:?}", compared.scaling);
        let [over_tokens, over_parameters] = &compared.scaling[..] else { unreachable!("two") };
        assert_eq!((over_tokens.over, over_tokens.at), (Size::UniqueTokens, 1_000_000));
        assert_eq!(
            shown(over_tokens),
            [
                ("sbp".to_owned(), vec![(100_000, 0.125), (300_000, 0.25), (900_000, 0.375)]),
                ("random-pairs".to_owned(), vec![(300_000, 0.625), (900_000, 0.25)]),
            ]
        );
        assert_eq!((over_parameters.over, over_parameters.at), (Size::Parameters, 300_000));
        assert_eq!(shown(over_parameters), [("sbp".to_owned(), vec![(1_000_000, 0.25), (4_000_000, 0.75)])]);
        let page = comparison_page(&compared).replace('\u{a0}', " ");
        for expected in ["Over the size of the runs", "at 1,000,000 parameters", "32.5 to 42.5", "4,000,000", "12.5"] {
            assert!(page.contains(expected), "{expected}");
        }
        let alike = Comparison::of(&[runs[0].clone(), runs[0].clone()]);
        assert!(alike.scaling.is_empty() && !comparison_page(&alike).contains("Over the size"));
    }
}
