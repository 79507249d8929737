//! Pairs of a document of the corpus, the seed, and one that no model is trained on, the target.
//!
//! By these a synthesizer is measured. What a model has been trained on it knows by heart: without any seed it would find such a target
//! likely, and whatever tuning makes it forget would look like a loss. So the target is unseen; the seed is one of those that
//! documents are written from.

use std::collections::BTreeSet;

use super::Pair;
use super::precision::Bound;
use super::strangers::Strangers;
use crate::neighbours::Neighbours;

/// Unseen documents with a related one, from which on they measure: one half of them chooses a checkpoint, and with fewer than six in
/// the other an interval says nothing.
const LEAST_DOCUMENTS: usize = 12;

/// The related pairs among these documents and unseen ones, whose numbers go on behind the documents'. The definition is that of other pairs:
/// one is among the first `k` of the other, looked for in both directions, and they are similar enough; near-copies are no pairs.
/// Of an unseen document, those of `unseen` are looked at. Pairs are in the order of (first, second). Also says how many near-copies
/// were left out.
pub(super) fn related(
    neighbours: &Neighbours,
    unseen: &Neighbours,
    k: usize,
    (bound, strangers): (Bound, &Strangers),
    is_copy: impl Fn(&Pair) -> bool,
) -> (Vec<Pair>, usize) {
    let documents = neighbours.len();
    // The unseen document would be among the first k of a document that has a less similar one there.
    let floor = |document: u32| {
        let mut first = neighbours.of(document as usize).take(k);
        first.nth(k - 1).map_or(f32::NEG_INFINITY, |(_, similarity)| similarity)
    };
    let tails = strangers.tails_of(unseen);
    let (mut related, mut near_copies) = (Vec::new(), 0);
    for (at, tail) in tails.into_iter().enumerate() {
        for (rank, (document, similarity)) in unseen.of(at).enumerate() {
            if rank >= k && similarity <= floor(document) {
                continue;
            }
            let pair = Pair { first: document, second: (documents + at) as u32, similarity };
            let is_related = match bound {
                Bound::Similarity(least) => similarity >= least,
                Bound::Strangers(most) => strangers.expected_outside(document, tail, similarity) <= most,
            };
            match is_copy(&pair) {
                true => near_copies += 1,
                false if is_related => related.push(pair),
                false => {}
            }
        }
    }
    related.sort_unstable_by_key(|pair| (pair.first, pair.second));
    (related, near_copies)
}

/// Whether pairs have unseen documents enough to measure by.
pub(super) fn suffice(pairs: &[Pair]) -> bool {
    targets(pairs) >= LEAST_DOCUMENTS
}

/// How many documents are the second of a pair.
pub(super) fn targets(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.second).collect::<BTreeSet<u32>>().len()
}
