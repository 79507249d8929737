//! The section "Several models as one": the loss of arms with members over how many of these are averaged.

use cognate_results::numbers::decimals;
use cognate_results::{Members, Report};

use super::charts::{Line, LineChart, XAxis};
use super::download::{Csv, downloads, number};
use super::html::{Cell, both_sizes, figure, section, table};
use super::markup::Markup;

/// The section, where an arm has several members.
pub(super) fn section_of_members(page: &mut Markup, report: &Report) {
    if report.members.is_empty() {
        return;
    }
    section(page, "members", "Several models as one", |page| {
        page.leaf(
            "p",
            &[],
            "Models that are trained alike from different seeds, and the loss of the mean of their probabilities. Each costs a whole training: \"compute in all\" \
             has what they cost together.",
        );
        let chart = LineChart {
            title: "Validation loss over the number of members",
            description: "One line for each arm and seed.",
            y_name: "nats per token",
            lines: lines(&report.members),
            y_also: Vec::new(),
            y_top: f64::INFINITY,
        };
        figure(page, "full", "Nats per token of validation text.", |page| {
            both_sizes(page, |page, class, size| chart.draw_over(page, class, size, XAxis::MEMBERS));
        });
        let rows: Vec<Vec<Cell>> = report.members.iter().flat_map(rows).collect();
        table(page, "Validation loss by number of members", &["arm", "seed", "members", "nats per token"], &rows);
        downloads(page, &[("members.csv", csv(&report.members))]);
    });
}

fn rows(of: &Members) -> Vec<Vec<Cell>> {
    let row = |(at, nats): (usize, &f64)| {
        vec![
            Cell::new(&of.arm),
            Cell::new(of.seed.to_string()),
            Cell::new((at + 1).to_string()),
            Cell::new(decimals(*nats, 3)),
        ]
    };
    of.nats.iter().enumerate().map(row).collect()
}

fn lines(members: &[Members]) -> Vec<Line> {
    let several = |of: &Members| members.iter().filter(|other| other.arm == of.arm).count() > 1;
    let line = |(style, of): (usize, &Members)| Line {
        label: Some(if several(of) { format!("{}, seed {}", of.arm, of.seed) } else { of.arm.clone() }),
        style: style + 1,
        faint: false,
        points: of.nats.iter().enumerate().map(|(at, nats)| ((at + 1) as f64, *nats)).collect(),
    };
    members.iter().enumerate().map(line).collect()
}

fn csv(members: &[Members]) -> Csv {
    let mut csv = Csv::new(&["arm", "seed", "members", "nats_per_token"]);
    for of in members {
        for (at, nats) in of.nats.iter().enumerate() {
            csv.row([of.arm.clone(), of.seed.to_string(), (at + 1).to_string(), number(*nats)]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_stand_by_the_number_of_members() {
        let mut report = super::super::sample::sample();
        assert!(!super::super::page(&report).contains("id=\"members\""));
        report.members = vec![
            Members { arm: "three".into(), seed: 0, nats: vec![5.25, 5.125, 5.0625] },
            Members { arm: "three".into(), seed: 1, nats: vec![5.5, 5.375, 5.25] },
        ];
        let page = super::super::page(&report);
        let found = &page[page.find("id=\"members\"").unwrap()..];
        assert!(found.contains("5.062") && found.contains("three, seed 1"), "{found}");
        assert_eq!(lines(&report.members)[0].points, [(1.0, 5.25), (2.0, 5.125), (3.0, 5.0625)]);
    }
}
