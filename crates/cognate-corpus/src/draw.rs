//! The draw of whole groups: documents that belong together stay in one split.
//!
//! Groups are gone through in the seeded order of their names, so the draw depends on names, sizes and the seed, and not on the order of
//! files or records. A split takes every group that still fits into its share of the documents; then, if that brings it nearer to
//! its share, the smallest group that is left. Validation is filled first, then unique, then selection, from the other end of the order; the rest is
//! the oracle's, or unique's where there is no oracle.

use std::collections::HashMap;

use crate::ingest::{IngestConfig, Split};
use crate::split::Cuts;

/// Which split a place belongs to.
#[derive(Debug)]
pub(crate) enum Draw {
    /// By the place alone.
    ByPlace(Cuts),
    /// By the group that has the place.
    Groups(HashMap<u64, Split>),
}

impl Draw {
    /// The draw of the groups that have these places, one for each document.
    pub(crate) fn of_groups(places: impl Iterator<Item = u64>, config: &IngestConfig) -> Self {
        let mut sizes: HashMap<u64, u64> = HashMap::new();
        places.for_each(|place| *sizes.entry(place).or_default() += 1);
        let mut groups: Vec<Group> = sizes.into_iter().map(|(place, documents)| Group { place, documents }).collect();
        groups.sort_unstable_by_key(|group| group.place);
        let (validation, unique, selection) = (config.validation_share, config.unique_share, config.selection_share);
        // As with places: shares that are written to sum to one leave no oracle.
        let has_oracle = validation + unique + selection < 1.0 - 1e-9;
        let documents: u64 = groups.iter().map(|group| group.documents).sum();
        let mut drawn = HashMap::with_capacity(groups.len());
        fill(&mut groups, &mut drawn, Split::Validation, validation * documents as f64);
        if has_oracle {
            fill(&mut groups, &mut drawn, Split::Unique, unique * documents as f64);
        }
        groups.reverse();
        fill(&mut groups, &mut drawn, Split::Selection, selection * documents as f64);
        let rest = if has_oracle { Split::Oracle } else { Split::Unique };
        drawn.extend(groups.into_iter().map(|group| (group.place, rest)));
        Self::Groups(drawn)
    }

    /// The split of the document that has `place`, or whose group has it.
    pub(crate) fn split(&self, place: u64) -> Split {
        match self {
            Self::ByPlace(cuts) => cuts.split(place),
            // Only what was drawn is asked for, but for documents that are left out of all.
            Self::Groups(drawn) => drawn.get(&place).copied().unwrap_or(Split::Oracle),
        }
    }

    /// Whether groups were drawn.
    pub(crate) fn is_of_groups(&self) -> bool {
        matches!(self, Self::Groups(_))
    }

    /// How many; 0 where none were drawn.
    pub(crate) fn groups(&self) -> u64 {
        match self {
            Self::ByPlace(_) => 0,
            Self::Groups(drawn) => drawn.len() as u64,
        }
    }
}

/// The last turn that is within a limit of so many documents, by the turns of all of them: of the numbers of documents that whole groups
/// give, the one nearest to the limit, the lower one of two, but one group at least. None where all are within it.
///
/// A larger limit goes further in the same order, so it keeps what a smaller one keeps.
pub(crate) fn last_turn(mut turns: Vec<u64>, limit: u64) -> Option<u64> {
    if turns.len() as u64 <= limit {
        return None;
    }
    turns.sort_unstable();
    let mut within = 0;
    let mut last = None;
    for group in turns.chunk_by(|a, b| a == b) {
        let next = within + group.len() as u64;
        if last.is_some() && next.abs_diff(limit) >= limit.abs_diff(within) {
            break;
        }
        (within, last) = (next, group.first().copied());
    }
    last
}

/// Documents that stay together.
#[derive(Clone, Copy, Debug)]
struct Group {
    place: u64,
    documents: u64,
}

/// Moves groups into `split`, about so many `documents` of them.
fn fill(groups: &mut Vec<Group>, drawn: &mut HashMap<u64, Split>, split: Split, documents: f64) {
    let mut room = documents;
    groups.retain(|group| {
        // A share of n documents is n, whatever binary makes of it.
        let fits = group.documents as f64 <= room + 1e-6;
        if fits {
            room -= group.documents as f64;
            drawn.insert(group.place, split);
        }
        !fits
    });
    let smallest = groups.iter().enumerate().min_by_key(|(_, group)| group.documents);
    if let Some((at, group)) = smallest.filter(|(_, group)| (group.documents as f64) < 2.0 * room) {
        drawn.insert(group.place, split);
        groups.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reader::ReadOptions;

    fn config(validation_share: f64, unique_share: f64, selection_share: f64) -> IngestConfig {
        IngestConfig {
            seed: 0,
            validation_share,
            unique_share,
            selection_share,
            contamination_words: 0,
            contamination_documents: 10,
            limit: None,
            chunk_tokens: None,
            tokenizer: None,
            read: ReadOptions::default(),
        }
    }

    /// Documents of each split, of groups of these sizes, whose places are scattered.
    fn counts(sizes: &[u64], config: &IngestConfig) -> [u64; 4] {
        let place = |group: usize| (group as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let places = sizes.iter().enumerate().flat_map(|(group, size)| (0..*size).map(move |_| place(group)));
        let draw = Draw::of_groups(places, config);
        assert_eq!(draw.groups(), sizes.len() as u64);
        let mut counts = [0; 4];
        sizes.iter().enumerate().for_each(|(group, size)| counts[draw.split(place(group)) as usize] += size);
        counts
    }

    #[test]
    fn groups_of_one_meet_their_shares() {
        assert_eq!(counts(&[1; 1000], &config(0.1, 0.3, 0.2)), [100, 300, 400, 200]);
        assert_eq!(counts(&[1; 1000], &config(0.1, 0.7, 0.2)), [100, 700, 0, 200], "no sliver is the oracle's");
        assert_eq!(counts(&[1; 1000], &config(0.1, 0.9, 0.0)), [100, 900, 0, 0]);
        assert_eq!(counts(&[1; 10], &config(0.06, 0.34, 0.0)), [1, 3, 6, 0], "the nearest number");
    }

    #[test]
    fn a_limit_takes_whole_groups_to_the_nearest_number() {
        // In the order of turns: groups of 3, 1, 5 and 2.
        let turns = vec![7, 9, 3, 7, 3, 9, 3, 7, 5, 7, 7];
        let within = |limit| last_turn(turns.clone(), limit).map(|last| turns.iter().filter(|&&t| t <= last).count());
        let found: Vec<Option<usize>> = (1..12).map(within).collect();
        // 6 is nearer to 4 than to 9, and 10 is as near to 9 as to 11.
        let expected = [3, 3, 3, 4, 4, 4, 9, 9, 9, 9].map(Some).into_iter().chain([None]);
        assert_eq!(found, expected.collect::<Vec<_>>());
        assert_eq!(last_turn(Vec::new(), 1), None);
    }

    #[test]
    fn a_group_that_is_too_large_for_a_split_leaves_it_to_others() {
        // A book of 600 chapters among 400 of one.
        let sizes: Vec<u64> = [600].into_iter().chain([1; 400]).collect();
        assert_eq!(counts(&sizes, &config(0.1, 0.2, 0.1)), [100, 200, 600, 100]);
        assert_eq!(counts(&sizes, &config(0.1, 0.8, 0.1)), [100, 800, 0, 100]);
        // None fits, and the smallest would be further from the share than none.
        assert_eq!(counts(&[50, 50, 50, 50], &config(0.1, 0.5, 0.0)), [0, 100, 100, 0]);
        // The smallest is nearer than none.
        assert_eq!(counts(&[50, 50, 50, 50], &config(0.2, 0.5, 0.0)), [50, 100, 50, 0]);
    }

    proptest! {
        #[test]
        fn shares_are_met_to_half_a_group(
            sizes in prop::collection::vec(1u64..30, 30..200), validation in 0.02f64..0.4, unique in 0.02f64..0.4, selection in 0.0f64..0.2,
        ) {
            let counts = counts(&sizes, &config(validation, unique, selection));
            let all: u64 = sizes.iter().sum();
            prop_assert_eq!(counts.iter().sum::<u64>(), all);
            for (count, share) in [(counts[0], validation), (counts[1], unique), (counts[3], selection)] {
                prop_assert!((count as f64 - share * all as f64).abs() <= 15.0, "{:?}", counts);
            }
        }
    }
}
