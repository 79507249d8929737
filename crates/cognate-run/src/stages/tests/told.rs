//! What stages say at once of what they found.

use cognate_corpus::IngestStats;
use cognate_pair::{PairStats, Rule, UnseenStats};

use super::super::{ingest, pair};
use super::finished::told;
use crate::context::Context;

#[test]
fn what_was_cut_left_out_and_grouped_is_told_where_there_is_any() {
    let said = |stats: IngestStats| told(|| ingest::tell(&stats));
    let all = IngestStats {
        read: 100,
        cut: 3,
        pieces: 11,
        without_text: 5,
        beyond_limit: 20,
        groups: 40,
        without_group: 7,
        ..IngestStats::default()
    };
    let lines = [
        "ingest: 3 documents are cut into 11 pieces",
        "ingest: 75 documents are taken, and 20 left out by [corpus] limit",
        "ingest: 40 groups, each in one split; 7 documents without [corpus] group_field, each a group of its own",
    ];
    assert_eq!(said(all), lines);
    assert_eq!(said(IngestStats { cut: 0, groups: 0, ..all }), lines[1..2]);
    assert_eq!(said(IngestStats { beyond_limit: 0, groups: 0, ..all }), lines[..1]);
    let no_other = IngestStats { without_group: 0, cut: 0, beyond_limit: 0, ..all };
    assert_eq!(said(no_other), ["ingest: 40 groups, each in one split"]);
    assert_eq!(said(IngestStats { groups: 0, ..no_other }), [""; 0]);
}

#[test]
fn too_few_unseen_documents_to_measure_by_are_told_with_what_helps() {
    let said = |documents, measure| {
        told(|| pair::tell_unseen("pair", &UnseenStats { documents, with_pairs: 2, measure, ..UnseenStats::default() }))
    };
    assert_eq!(said(50, true), [""; 0]);
    let [some, none] = [50, 0].map(|documents| said(documents, false).concat());
    assert!(some.starts_with("pair: 2 of the selection split's documents have a related unique one"), "{some}");
    assert!(some.ends_with("A larger [corpus] selection_share gives more"), "{some}");
    assert!(none.ends_with("where there is one, would do"), "{none}");
}

pub(super) fn pairs_of_one_hill_are_no_relation(context: &Context<'_>) {
    let mut stats: PairStats = context.statistics("pair/related").unwrap();
    (stats.precision.rule, stats.precision.estimate) = (Rule::OneHill, Some(0.634));
    let said = told(|| pair::tell("pair", &stats)).concat();
    assert!(said.starts_with("pair: this corpus has no usable relation") && said.contains(" 63 % are true"), "{said}");
}
