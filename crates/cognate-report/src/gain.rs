//! The section "Where the gain is": arms beside repetition, by how similar validation documents are to the unique ones.

use cognate_results::numbers::{count, decimals, nats, signed_nats};
use cognate_results::{ArmBySimilarity, BySimilarity, Difference, Quarter, Report};

use super::charts;
use super::download::{Csv, downloads, number};
use super::html::{Cell, arm_style, both_sizes, figure, section, table};
use super::markup::Markup;

/// The section, where there is anything to tell.
pub(super) fn by_similarity(page: &mut Markup, report: &Report) {
    let Some(found) = report.by_similarity.as_ref().filter(|found| !found.arms.is_empty()) else { return };
    section(page, "similarity", "Where the gain is", |page| {
        page.leaf(
            "p",
            &[],
            "Validation documents in quarters, by the cosine of a document and the unique document nearest to it. What an arm learns from \
             relations between documents should show in the most similar quarter, on the right. What it gains in all four alike has \
             another reason, such as regularisation.",
        );
        let caption = "Difference from repetition in nats per token, below zero is better, with 95\u{a0}% intervals";
        figure(page, "wide", caption, |page| {
            both_sizes(page, |page, class, size| {
                charts::quarters(page, class, size, found, |arm| arm_style(report, arm))
            });
        });
        let range = |quarter: &Quarter| format!("{} to {}", decimals(quarter.from, 2), decimals(quarter.to, 2));
        let mut rows = vec![
            [Cell::new("documents")]
                .into_iter()
                .chain(found.quarters.iter().map(|q| Cell::new(count(q.documents))))
                .collect(),
            [Cell::new("repetition")]
                .into_iter()
                .chain(found.quarters.iter().map(|q| Cell::new(nats(q.baseline))))
                .collect(),
        ];
        for ArmBySimilarity { arm, differences } in &found.arms {
            let cell = |found: &Difference| {
                let Difference { value, low, high } = *found;
                Cell::with_detail(signed_nats(value), format!("{} to {}", signed_nats(low), signed_nats(high)))
            };
            rows.push([Cell::new(arm)].into_iter().chain(differences.iter().map(cell)).collect::<Vec<_>>());
        }
        let names: Vec<String> = found.quarters.iter().map(range).collect();
        let columns: Vec<&str> = ["similarity"].into_iter().chain(names.iter().map(String::as_str)).collect();
        table(page, "Loss of repetition in nats per token, and what each arm adds to it", &columns, &rows);
        downloads(page, &[("similarity.csv", csv(found))]);
    });
}

fn csv(found: &BySimilarity) -> Csv {
    let mut csv = Csv::new(&["arm", "quarter", "from", "to", "documents", "baseline", "difference", "low", "high"]);
    for ArmBySimilarity { arm, differences } in &found.arms {
        for (at, (quarter, difference)) in found.quarters.iter().zip(differences).enumerate() {
            let Difference { value, low, high } = *difference;
            let numbers = [quarter.from, quarter.to, quarter.documents as f64, quarter.baseline, value, low, high];
            csv.row([arm.clone(), (at + 1).to_string()].into_iter().chain(numbers.map(number)));
        }
    }
    csv
}
