//! The section "How much synthetic text helps": the gap that arms of the same corpora close, over their share of it.

use cognate_results::numbers::percent;
use cognate_results::{Doses, Report};

use super::charts::{Line, LineChart, XAxis};
use super::download::{Csv, downloads, number};
use super::html::{Cell, both_sizes, figure, gap_closed, section, table};
use super::markup::Markup;

/// The section, where there are at least two doses of something.
pub(super) fn section_of_doses(page: &mut Markup, report: &Report) {
    if report.doses.is_empty() {
        return;
    }
    section(page, "doses", "How much synthetic text helps", |page| {
        page.leaf(
            "p",
            &[],
            "Arms that see the same synthetic corpora in different shares of their training tokens. At 0 stands repetition, at 1 the oracle.",
        );
        let chart = LineChart {
            title: "Gap closed over the share of synthetic tokens",
            description: "One line for each set of synthetic corpora, from repetition on.",
            y_name: "share of the gap closed",
            lines: lines(&report.doses),
            y_also: vec![0.0],
            y_top: f64::INFINITY,
        };
        figure(page, "full", "Validation loss between repetition (0) and the oracle (1).", |page| {
            both_sizes(page, |page, class, size| chart.draw_over(page, class, size, XAxis::SYNTHETIC));
        });
        let mut rows = Vec::new();
        for of in &report.doses {
            for dose in &of.arms {
                rows.push(vec![
                    Cell::new(&of.corpora),
                    Cell::new(&dose.arm),
                    Cell::new(percent(dose.share)),
                    gap_closed(&dose.gap),
                ]);
            }
        }
        let caption = "Gap closed on validation in percent, with 95\u{a0}% intervals";
        table(page, caption, &["synthetic corpora", "arm", "share of tokens", "gap closed"], &rows);
        downloads(page, &[("doses.csv", csv(&report.doses))]);
    });
}

fn lines(doses: &[Doses]) -> Vec<Line> {
    let line = |(style, of): (usize, &Doses)| {
        let points = of.arms.iter().filter_map(|dose| Some((dose.share, dose.gap.mean?)));
        Line {
            label: Some(of.corpora.clone()),
            style: style + 1,
            faint: false,
            points: std::iter::once((0.0, 0.0)).chain(points).collect(),
        }
    };
    doses.iter().enumerate().map(line).collect()
}

fn csv(doses: &[Doses]) -> Csv {
    let mut csv = Csv::new(&["corpora", "arm", "share", "gap_closed", "low", "high"]);
    for of in doses {
        for dose in &of.arms {
            csv.row([
                of.corpora.clone(),
                dose.arm.clone(),
                number(dose.share),
                number(dose.gap.mean),
                number(dose.gap.low),
                number(dose.gap.high),
            ]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;
    use cognate_results::Dose;
    use cognate_results::GapClosed;

    #[test]
    fn doses_are_drawn_from_repetition_on_and_listed() {
        let mut report = sample();
        assert!(!super::super::page(&report).contains("id=\"doses\""));
        let gap = |mean: f64| GapClosed { mean: Some(mean), low: Some(mean - 0.05), high: Some(mean + 0.05), seeds: 1 };
        let dose = |arm: &str, share, mean| Dose { arm: arm.to_owned(), share, gap: gap(mean) };
        report.doses = vec![Doses {
            corpora: "related".to_owned(),
            arms: vec![dose("little", 0.25, 0.125), dose("much", 0.75, 0.34)],
        }];
        let page = super::super::page(&report).replace('\u{a0}', " ");
        let found = &page[page.find("id=\"doses\"").unwrap()..];
        let found = &found[..found.find("</section>").unwrap()];
        for expected in ["12.5", "7.5 to 17.5", "34.0", "25 %", "75 %", "much", "related"] {
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let lines = lines(&report.doses);
        assert_eq!(lines[0].points, [(0.0, 0.0), (0.25, 0.125), (0.75, 0.34)]);
    }
}
