//! Which entities of which document a text is about: every two of a document, then every three, and after all of these each again.
//!
//! What is wanted may be less than there is. So documents take turns: the first two entities of each come before the second two of any, and so on.
//! In which order a document's come is drawn.

use cognate_base::random::{self, SliceRandom};

/// What one text is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// The document's place.
    pub(super) document: usize,
    /// The places of two or three of its entities, in the document's order.
    pub(super) entities: Vec<usize>,
    /// How often the same was asked before.
    pub(super) round: u64,
}

/// All relations of all documents, by number.
pub(super) struct Relations {
    seed: u64,
    /// Documents by how many entities they have, those with most first, and these numbers.
    documents: Vec<(usize, usize)>,
    pairs: Turns,
    triples: Turns,
}

/// The turns that documents take at the one or the other.
struct Turns {
    /// How many entities a relation has.
    of: usize,
    /// How many relations there are in all turns before each, and in all.
    before: Vec<u64>,
}

impl Relations {
    /// Those of documents with so many entities.
    pub(super) fn of(entities: &[usize], seed: u64) -> Self {
        let mut documents: Vec<(usize, usize)> = entities.iter().copied().enumerate().collect();
        documents.shuffle(&mut random::stream(seed, "entigraph documents", 0));
        documents.sort_by_key(|(_, entities)| std::cmp::Reverse(*entities));
        let [pairs, triples] = [2, 3].map(|of| Turns::of(of, &documents));
        Self { seed, documents, pairs, triples }
    }

    /// How many two and how many three entities there are.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.pairs.all(), self.triples.all())
    }

    /// The relation of a number. There must be one.
    pub(super) fn relation(&self, number: u64) -> Relation {
        let (pairs, triples) = self.counts();
        let (round, within) = (number / (pairs + triples), number % (pairs + triples));
        let (turns, within) = if within < pairs { (&self.pairs, within) } else { (&self.triples, within - pairs) };
        // The last turn that begins at or before it.
        let turn = turns.before.partition_point(|before| *before <= within) - 1;
        let (document, entities) = self.documents[(within - turns.before[turn]) as usize];
        let mut order: Vec<u32> = (0..combinations(entities, turns.of) as u32).collect();
        order.shuffle(&mut random::stream(self.seed, turns.purpose(), document as u64));
        Relation { document, entities: combination(entities, turns.of, u64::from(order[turn])), round }
    }
}

impl Turns {
    fn of(of: usize, documents: &[(usize, usize)]) -> Self {
        let mut before = vec![0];
        let mut left = documents;
        let mut sum = 0;
        for turn in 0.. {
            left = &left[..left.partition_point(|(_, entities)| combinations(*entities, of) > turn)];
            if left.is_empty() {
                break;
            }
            sum += left.len() as u64;
            before.push(sum);
        }
        Self { of, before }
    }

    fn all(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    fn purpose(&self) -> &'static str {
        if self.of == 2 { "entigraph pairs" } else { "entigraph triples" }
    }
}

/// How many subsets of `of` a set of `n` has, for 2 and 3.
fn combinations(n: usize, of: usize) -> u64 {
    let n = n as u64;
    match of {
        2 => n * n.saturating_sub(1) / 2,
        _ => n * n.saturating_sub(1) * n.saturating_sub(2) / 6,
    }
}

/// The `rank`-th of these subsets, in the order of their first, then their second members.
fn combination(n: usize, of: usize, mut rank: u64) -> Vec<usize> {
    let (mut chosen, mut from) = (Vec::with_capacity(of), 0);
    for left in (1..of).rev() {
        loop {
            let with_it = if left == 1 { (n - from - 1) as u64 } else { combinations(n - from - 1, left) };
            if rank < with_it {
                break;
            }
            rank -= with_it;
            from += 1;
        }
        chosen.push(from);
        from += 1;
    }
    chosen.push(from + rank as usize);
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_two_come_once_before_any_three_and_all_again_after_that() {
        // Twice none, and others with one, ten, three and three pairs; of three entities one triple, of five ten.
        let entities = [0, 2, 5, 1, 3, 3];
        let relations = Relations::of(&entities, 7);
        let (pairs, triples) = relations.counts();
        assert_eq!((pairs, triples), (1 + 10 + 3 + 3, 10 + 1 + 1));
        let all: Vec<Relation> = (0..2 * (pairs + triples)).map(|number| relations.relation(number)).collect();
        for relation in &all {
            let known = entities[relation.document];
            assert!(relation.entities.is_sorted() && relation.entities.iter().all(|entity| *entity < known));
        }
        let (first, again) = all.split_at(all.len() / 2);
        assert!(first[..pairs as usize].iter().all(|relation| relation.entities.len() == 2 && relation.round == 0));
        assert!(first[pairs as usize..].iter().all(|relation| relation.entities.len() == 3));
        let different: BTreeSet<(usize, &Vec<usize>)> =
            first.iter().map(|relation| (relation.document, &relation.entities)).collect();
        assert_eq!(different.len(), first.len());
        assert!(first.iter().zip(again).all(|(one, other)| *other == Relation { round: 1, ..one.clone() }));
        // Each document has its first turn before any has its second.
        let turn: BTreeSet<usize> = first[..4].iter().map(|relation| relation.document).collect();
        assert_eq!(turn, BTreeSet::from([1, 2, 4, 5]));
    }

    #[test]
    fn the_order_is_drawn_by_the_seed_alone() {
        let order = |seed: u64| -> Vec<Relation> {
            let relations = Relations::of(&[6, 6, 6], seed);
            (0..45).map(|number| relations.relation(number)).collect()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let of_first = |seed| -> Vec<Vec<usize>> {
            order(seed)
                .into_iter()
                .filter(|relation| relation.document == 0)
                .map(|relation| relation.entities)
                .collect()
        };
        assert!(!of_first(1).is_sorted(), "the first entity has not all turns at first");
    }

    #[test]
    fn no_two_entities_make_no_relation() {
        assert_eq!(Relations::of(&[0, 1, 1], 3).counts(), (0, 0));
        assert_eq!(Relations::of(&[], 3).counts(), (0, 0));
        assert_eq!(Relations::of(&[2], 3).counts(), (1, 0));
    }
}
