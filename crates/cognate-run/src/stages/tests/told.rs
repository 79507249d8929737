//! What stages say at once of what they found.

use cognate_corpus::{IngestStats, SharedPassage, SplitStats};
use cognate_eval::Relation;
use cognate_pair::{PairStats, Rule, UnseenStats};
use cognate_statistics::Estimate;

use super::super::train::training::Trained;
use super::super::{generate, ingest, pair, tune};
use super::finished::told;
use crate::context::Context;
use crate::recipe::Recipe;
use crate::step::Step;

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
    assert_eq!(said(all.clone()), lines);
    assert_eq!(said(IngestStats { cut: 0, groups: 0, ..all.clone() }), lines[1..2]);
    assert_eq!(said(IngestStats { beyond_limit: 0, groups: 0, ..all.clone() }), lines[..1]);
    let no_other = IngestStats { without_group: 0, cut: 0, beyond_limit: 0, ..all };
    assert_eq!(said(no_other.clone()), ["ingest: 40 groups, each in one split"]);
    assert_eq!(said(IngestStats { groups: 0, ..no_other }), [""; 0]);
}

#[test]
fn what_is_dropped_for_a_passage_is_told_with_its_share_of_all_that_could_be() {
    let split = |documents| SplitStats { documents, bytes: 0 };
    let stats = |contaminated| IngestStats {
        contaminated,
        shared_passages: vec![
            SharedPassage { passage: "all rights are reserved".to_owned(), documents: 2 },
            SharedPassage { passage: "see the terms".to_owned(), documents: 1 },
        ],
        validation: split(1000),
        unique: split(40),
        oracle: split(30),
        selection: split(100 - 70 - contaminated),
        ..IngestStats::default()
    };
    let said = |stats: &IngestStats| told(|| ingest::tell(stats));
    assert_eq!(
        said(&stats(5)),
        [
            "ingest: 5 of 100 documents outside of validation (5.0 %) are dropped because they share a passage with a validation document; most \
             often: \"all rights are reserved\" (2), \"see the terms\" (1)"
        ]
    );
    assert_eq!(said(&stats(0)), [""; 0]);
    // Of more, `ingest` itself has warned.
    assert_eq!(said(&stats(6)), [""; 0]);
    assert!(stats(6).is_much_contaminated() && !stats(5).is_much_contaminated());
}

#[test]
fn too_few_unseen_documents_to_measure_by_are_told_with_what_helps() {
    let said = |documents, measure| {
        told(|| {
            pair::method::tell_unseen(
                "pair",
                &UnseenStats { documents, with_pairs: 2, measure, ..UnseenStats::default() },
            )
        })
    };
    assert_eq!(said(50, true), [""; 0]);
    let [some, none] = [50, 0].map(|documents| said(documents, false).concat());
    assert!(some.starts_with("pair: 2 of the selection split's documents have a related unique one"), "{some}");
    assert!(some.ends_with("A larger [corpus] selection_share gives more"), "{some}");
    assert!(none.ends_with("where there is one, would do"), "{none}");
}

#[test]
fn whether_the_seed_is_used_is_told_with_what_it_saves() {
    let gain = |value, stderr| Estimate { value, stderr: Some(stderr) };
    let said = |over_random, over_none| {
        let other = gain(3.0, 0.1);
        let after = Relation {
            pairs: 40,
            tokens: 900,
            true_seed: other,
            random_seed: other,
            no_seed: other,
            gain_over_random: over_random,
            gain_over_none: over_none,
            seeds_cut: 0,
            targets_cut: 0,
        };
        told(|| tune::tell_use_of_seed("tune second", &after)).concat()
    };
    let clear = gain(0.1254, 0.0203);
    assert_eq!(
        said(clear, gain(0.2, 0.01)),
        "tune second: the synthesizer uses its seed: the true one saves 0.125 ± 0.020 nats per token over a random one and 0.200 ± 0.010 over \
         none (± one standard error, 40 held-out pairs)"
    );
    let not_used = "tune second: the synthesizer does not use its seed: more training, a larger model or better pairs may help. What it writes \
                    is not synthesis from related documents, and it may be chance that the true seed saves 0.125 ± 0.020 nats per token over a random \
                    one and 0.019 ± 0.010 over none (± one standard error, 40 held-out pairs)";
    assert_eq!(said(clear, gain(0.019, 0.01)), not_used);
    assert!(said(gain(-0.3, 0.01), clear).contains("does not use its seed"));
}

/// Of those of related documents, and of no control, whatever its seed saves.
pub(super) fn the_use_of_the_seed_is_told_of_each_synthesizer_that_should(context: &Context<'_>, said: &[String]) {
    let recipe = context.recipe;
    let mut controls = 0;
    for (at, synthesizer) in recipe.synthesizers.iter().enumerate() {
        let step = Step::Tune(at);
        let trained: Trained = context.statistics(step.folder(recipe)).unwrap();
        let after = trained.relation.unwrap().after;
        let label = step.label(recipe);
        let lines: Vec<&String> =
            said.iter().filter(|line| line.starts_with(&format!("{label}: the synthesizer "))).collect();
        if recipe.pairs[recipe.pair_set(&synthesizer.pairs)].is_shuffled() {
            assert!(lines.is_empty(), "{lines:?}");
            controls += 1;
        } else {
            assert!(lines.len() == 1 && lines[0].contains("does not use its seed") == after.is_nothing(), "{lines:?}");
        }
    }
    assert!(controls > 0 && controls < recipe.synthesizers.len());
}

pub(super) fn pairs_of_one_hill_are_no_relation(context: &Context<'_>) {
    let mut stats: PairStats = context.statistics("pair/related").unwrap();
    (stats.precision.rule, stats.precision.estimate) = (Rule::OneHill, Some(0.634));
    let said = told(|| pair::neighbours::tell("pair", &stats)).concat();
    assert!(said.starts_with("pair: this corpus has no usable relation") && said.contains(" 63 % are true"), "{said}");
}

#[test]
fn how_much_will_be_written_is_told_before_anything_is() {
    let text = "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 102400\nbatch_tokens = 1024\n\
                [generate]\noversample = 0.5\nmost_written = 3\n";
    let recipe = Recipe::parse(std::path::Path::new("r.toml"), text).unwrap();
    assert_eq!(
        told(|| generate::tell_need(&recipe, 0)),
        [
            "generate: 25600 tokens are needed, so 38400 are written, and more where the filters drop more than that leaves; the run stops where more \
          than 76800 would be"
        ]
    );
}
