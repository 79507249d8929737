//! Which split a document belongs to, and which of several copies stays: functions of identifiers and the seed, so that
//! neither depends on the order of files or records. What depends on all documents is drawn in `draw`.

use std::collections::HashMap;

use cognate_base::{Hash, Interrupted, Monitor, random};

use crate::document::Document;
use crate::ingest::Split;

/// What ingest remembers of a document between its two readings: hashes, never text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The identifier's hash.
    pub(crate) id: u128,
    /// The text's hash.
    pub(crate) text: u128,
    /// Its place in the seeded order of all identifiers; all documents of a group have that of the group's name.
    pub(crate) place: u64,
    /// The input file, by position, and the row in it.
    pub(crate) file: u32,
    pub(crate) row: u64,
}

impl Entry {
    pub(crate) fn of(seed: u64, document: &Document, file: u32, row: u64) -> Self {
        let Document { id, text, group, .. } = document;
        // A document without a group is one of its own, which its identifier names.
        let place = place(seed, group.as_ref().unwrap_or(id));
        Self { id: Hash::of(id).short(), text: Hash::of(text).short(), place, file, row }
    }
}

/// A document's turn in the seeded order in which a limited corpus takes its groups. Split and turn know nothing of each other.
pub(crate) fn turn(seed: u64, document: &Document) -> u64 {
    hashed(b"limit", seed, document.group.as_ref().unwrap_or(&document.id))
}

/// The place of an identifier, or of a group's name, in the seeded order of all: uniform over the 64-bit numbers.
pub(crate) fn place(seed: u64, id: &str) -> u64 {
    hashed(b"split", seed, id)
}

fn hashed(purpose: &[u8; 5], seed: u64, id: &str) -> u64 {
    let mut key = Vec::with_capacity(13 + id.len());
    key.extend_from_slice(purpose);
    key.extend_from_slice(&seed.to_le_bytes());
    key.extend_from_slice(id.as_bytes());
    Hash::of(key).prefix()
}

/// The places from 0 to 1 cut into validation, unique, oracle and selection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    validation_end: f64,
    unique_end: f64,
    oracle_end: f64,
}

impl Cuts {
    pub(crate) fn new(validation_share: f64, unique_share: f64, selection_share: f64) -> Self {
        let sum = validation_share + unique_share;
        // 0.1 + 0.7 + 0.2 is 0.9999999999999999 in binary: shares written to sum to one leave no oracle sliver.
        let unique_end = if sum > 1.0 - 1e-9 { 1.0 } else { sum };
        // Drawn from the other end, so that no other split depends on it but the oracle's.
        let oracle_end = (1.0 - selection_share).max(unique_end);
        let oracle_end = if oracle_end - unique_end < 1e-9 { unique_end } else { oracle_end };
        Self { validation_end: validation_share, unique_end, oracle_end }
    }

    pub(crate) fn split(self, place: u64) -> Split {
        match random::unit(place) {
            unit if unit < self.validation_end => Split::Validation,
            unit if unit < self.unique_end => Split::Unique,
            unit if unit < self.oracle_end => Split::Oracle,
            _ if self.oracle_end < 1.0 => Split::Selection,
            _ if self.unique_end < 1.0 => Split::Oracle,
            _ => Split::Unique,
        }
    }
}

/// The identifier `id`, or `id~1`, `id~2` …: the first that `ingest` draws into `split`, with these shares of validation, unique and selection, in
/// a corpus without groups and limit. So whoever makes documents for a split can have them there. None where the split has no share.
///
/// # Errors
/// When the user interrupts: for a narrow share many are tried.
pub fn id_in_split(
    id: &str,
    split: Split,
    seed: u64,
    [validation, unique, selection]: [f64; 3],
    monitor: &dyn Monitor,
) -> Result<Option<String>, Interrupted> {
    let cuts = Cuts::new(validation, unique, selection);
    let share = match split {
        Split::Validation => cuts.validation_end,
        Split::Unique => cuts.unique_end - cuts.validation_end,
        Split::Oracle => cuts.oracle_end - cuts.unique_end,
        Split::Selection => 1.0 - cuts.oracle_end,
    };
    // A narrower one would take minutes.
    if share < 1e-9 {
        return Ok(None);
    }
    for name in std::iter::once(id.to_owned()).chain((1u64..).map(|n| format!("{id}~{n}"))) {
        monitor.check()?;
        if cuts.split(place(seed, &name)) == split {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Of the documents that `takes_part` lets through by their position, those that repeat another one's text, each with the
/// one that stays: that of the first split (in the order of [`Split::ALL`]), then with the lowest place, then identifier. So a text that
/// has a copy in validation stays there, and only there.
///
/// Without groups, splits follow each other in the order of places, and the lowest place decides.
pub(crate) fn exact_duplicates(
    entries: &[Entry],
    takes_part: impl Fn(usize) -> bool,
    split: impl Fn(u64) -> Split,
) -> HashMap<usize, usize> {
    let rank = |entry: &Entry| (split(entry.place) as u8, entry.place, entry.id);
    let mut kept: HashMap<u128, usize> = HashMap::with_capacity(entries.len());
    let mut duplicates = HashMap::new();
    for (i, entry) in entries.iter().enumerate().filter(|(i, _)| takes_part(*i)) {
        let stays = kept.entry(entry.text).or_insert(i);
        if *stays == i {
            continue;
        }
        if rank(entry) < rank(&entries[*stays]) {
            duplicates.insert(*stays, i);
            *stays = i;
        } else {
            duplicates.insert(i, *stays);
        }
    }
    // A copy that stayed for a while may have been named by others: point everyone at the one that stays for good.
    for keeper in duplicates.values_mut() {
        *keeper = kept[&entries[*keeper].text];
    }
    duplicates
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identifier_is_found_that_is_drawn_into_a_split() {
        let shares = [0.1, 0.3, 0.0];
        for split in [Split::Validation, Split::Unique, Split::Oracle] {
            for number in 0..50 {
                let id = id_in_split(&format!("d{number}"), split, 7, shares, &Silent).unwrap().unwrap();
                assert_eq!(Cuts::new(0.1, 0.3, 0.0).split(place(7, &id)), split);
                assert_eq!(id.split('~').next(), Some(&*format!("d{number}")));
            }
        }
        assert_eq!(id_in_split("d", Split::Selection, 7, shares, &Silent), Ok(None), "it has no share");
        assert_eq!(id_in_split("d", Split::Oracle, 7, [0.1, 0.7, 0.2], &Silent), Ok(None), "nothing is left for it");
    }

    #[test]
    fn the_cuts_are_where_the_shares_say() {
        let at = |unit: f64| (unit * u64::MAX as f64) as u64;
        let cuts = Cuts::new(0.1, 0.3, 0.2);
        for (unit, split) in [
            (0.0, Split::Validation),
            (0.0999, Split::Validation),
            (0.1001, Split::Unique),
            (0.3999, Split::Unique),
            (0.4001, Split::Oracle),
            (0.7999, Split::Oracle),
            (0.8001, Split::Selection),
            (1.0, Split::Selection),
        ] {
            assert_eq!(cuts.split(at(unit)), split, "{unit}");
        }
        assert_eq!(Cuts::new(0.1, 0.3, 0.0).split(u64::MAX), Split::Oracle);
        assert_eq!(Cuts::new(0.1, 0.7, 0.2).split(u64::MAX), Split::Selection);
        assert_eq!(Cuts::new(0.1, 0.7, 0.2).split(at(0.7999)), Split::Unique, "no sliver is the oracle's");
        assert_eq!(Cuts::new(0.1, 0.9, 0.0).split(u64::MAX), Split::Unique);
        assert_eq!(Cuts::new(0.3, 0.7, 0.0).split(u64::MAX), Split::Unique);
    }

    #[test]
    fn shares_are_met_on_many_documents() {
        let cuts = Cuts::new(0.05, 0.25, 0.0);
        let n = 100_000;
        let mut counts = [0u32; 3];
        for i in 0..n {
            counts[cuts.split(place(7, &format!("doc-{i}"))) as usize] += 1;
        }
        // Five binomial standard deviations: sqrt(n p (1 - p)) is 69, 137 and 145 documents.
        for (count, expected, bound) in [(counts[0], 5_000, 345), (counts[1], 25_000, 685), (counts[2], 70_000, 725)] {
            assert!(count.abs_diff(expected) < bound, "{counts:?}");
        }
    }

    #[test]
    fn seeds_give_unrelated_splits() {
        let cuts = Cuts::new(0.5, 0.5, 0.0);
        let same = (0..10_000).filter(|i| {
            let id = format!("doc-{i}");
            cuts.split(place(1, &id)) == cuts.split(place(2, &id))
        });
        assert!(same.count().abs_diff(5_000) < 250);
    }

    proptest! {
        #[test]
        fn the_copy_that_stays_does_not_depend_on_the_order(texts in prop::collection::vec(0u8..6, 1..40), rotation in 0usize..40) {
            let entries: Vec<Entry> = texts
                .iter()
                .enumerate()
                .map(|(i, text)| {
                    let (id, text) = (format!("id-{i}"), format!("text {text}"));
                    Entry::of(3, &Document { id, text, group: None, metadata: Default::default() }, 0, i as u64)
                })
                .collect();
            let mut moved = entries.clone();
            moved.rotate_left(rotation % entries.len());
            moved.reverse();
            let stays = |entries: &[Entry]| {
                let duplicates = exact_duplicates(entries, |_| true, |place| Cuts::new(0.2, 0.3, 0.2).split(place));
                for (copy, keeper) in &duplicates {
                    assert_eq!(entries[*copy].text, entries[*keeper].text);
                    assert!(!duplicates.contains_key(keeper));
                    assert!(entries[*keeper].place < entries[*copy].place);
                }
                let mut ids: Vec<u128> =
                    (0..entries.len()).filter(|i| !duplicates.contains_key(i)).map(|i| entries[i].id).collect();
                ids.sort_unstable();
                ids
            };
            let first = stays(&entries);
            prop_assert_eq!(&first, &stays(&moved));
            let distinct: std::collections::HashSet<u8> = texts.iter().copied().collect();
            prop_assert_eq!(first.len(), distinct.len());
        }
    }
}
