//! Pairs of a document of the corpus, the seed, and one that no model is trained on, the target.
//!
//! By these a synthesizer is measured. What a model has been trained on it knows by heart: without any seed it would find such a target
//! likely, and whatever tuning makes it forget would look like a loss. So the target is unseen; the seed is one of those that
//! documents are written from.

use std::collections::{BTreeMap, BTreeSet};

use super::pair::Pair;
use super::precision::Bound;
use super::strangers::Strangers;
use crate::neighbours::Neighbours;

/// Unseen documents with a related one, from which on they measure: one half of them chooses a checkpoint, and with fewer than six in
/// the other an interval says nothing.
pub const LEAST_MEASURING: usize = 12;
/// Seeds of an unseen document that count, the most similar ones. More say little that is new of it, and would leave fewer documents to
/// the pairs that are asked for.
const SEEDS: usize = 3;

/// How many of `n` made pairs, or beside so many, measure a synthesizer: this share of them, and at least [`LEAST_MEASURING`] where any do.
pub fn measuring(share: f64, n: usize) -> usize {
    if share > 0.0 { LEAST_MEASURING.max((share * n as f64).round() as usize) } else { 0 }
}

/// The related pairs among these documents and unseen ones, whose numbers go on behind the documents'. The definition is that of other pairs:
/// one is among the first `k` of the other, looked for in both directions, and they are similar enough. Of an unseen document, those of
/// `unseen` are looked at, and the [`SEEDS`] most similar of the related ones stay. One with a near-copy among them is left out: a model
/// may have been trained on its text. Pairs are in the order of (first, second). Also says how many documents were left out so.
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
        let pair = |(document, similarity)| Pair { first: document, second: (documents + at) as u32, similarity };
        if unseen.of(at).map(pair).any(|pair| is_copy(&pair)) {
            near_copies += 1;
            continue;
        }
        let is_related = |&(rank, Pair { first, similarity, .. }): &(usize, Pair)| {
            let is_first = rank < k || similarity > floor(first);
            is_first && bound.lets(similarity, || strangers.expected_outside(first, tail, similarity))
        };
        related.extend(unseen.of(at).map(pair).enumerate().filter(is_related).map(|(_, pair)| pair).take(SEEDS));
    }
    related.sort_unstable_by_key(|pair| (pair.first, pair.second));
    (related, near_copies)
}

/// Of given pairs, in their order, the [`SEEDS`] most similar of each target; of equally similar ones the first.
pub(super) fn most_similar(pairs: Vec<Pair>) -> Vec<Pair> {
    let mut of_target: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        of_target.entry(pair.second).or_default().push(at);
    }
    let mut kept: Vec<usize> = Vec::new();
    for mut of in of_target.into_values() {
        of.sort_by(|&a, &b| pairs[b].similarity.total_cmp(&pairs[a].similarity));
        kept.extend(of.into_iter().take(SEEDS));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| pairs[at]).collect()
}

/// Whether pairs have unseen documents enough to measure by.
pub(super) fn suffice(pairs: &[Pair]) -> bool {
    targets(pairs) >= LEAST_MEASURING
}

/// How many documents are the second of a pair.
pub(super) fn targets(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.second).collect::<BTreeSet<u32>>().len()
}
