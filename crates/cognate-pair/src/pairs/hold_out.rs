//! Which documents are held out.
//!
//! Held out by document: a pair with one document on each side is lost. Independent documents at a share p would keep
//! only p² of the pairs for measuring and lose 2·p·(1 − p); so whole neighbourhoods are taken instead. From random
//! start documents, about [`REGIONS`] regions grow, each time by the document that has the largest share of its own
//! pairs inside, until the share of the documents is reached. Several regions rather than one, because one would be a
//! single topic.
//!
//! Documents that are near-copies of each other, directly or through others, are never divided: a synthesizer must not
//! be measured on a text whose copy it was trained on.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use cognate_base::random::{SliceRandom, stream};

use super::pair::Pair;

/// Regions that the held-out documents are taken from, where the corpus is large enough.
const REGIONS: usize = 16;
/// Documents of a region, at least: the smaller a region, the more of its pairs lead out of it.
const REGION_DOCUMENTS_MIN: usize = 16;

/// For each of `documents`, whether it is held out. `related` and `near_copies` name each two documents once. At most
/// `share` of the related documents are held out (but two at least), and usually just about so many.
pub(crate) fn hold_out(documents: usize, related: &[Pair], near_copies: &[Pair], share: f64, seed: u64) -> Vec<bool> {
    if share == 0.0 {
        return vec![false; documents];
    }
    let units = units(documents, near_copies);
    let graph = Graph::new(&units, related);
    let sizes = sizes(&units, related);
    let all: usize = sizes.iter().sum();
    let mut left = ((all as f64 * share).round() as usize).clamp(2, all);
    let region = left.div_ceil(REGIONS).max(REGION_DOCUMENTS_MIN);
    let mut starts: Vec<u32> = (0..documents as u32).collect();
    starts.shuffle(&mut stream(seed, "pair.hold_out", 0));
    let mut held = vec![false; sizes.len()];
    for start in starts {
        let start = units[start as usize];
        if left < 2 {
            break;
        }
        if sizes[start as usize] > 0 && !held[start as usize] && sizes[start as usize] <= left {
            left -= grow(&graph, &sizes, &mut held, start, region.min(left));
        }
    }
    units.iter().map(|&unit| held[unit as usize]).collect()
}

/// For each document, the number of its group of near-copies: that of the group's first document.
fn units(documents: usize, near_copies: &[Pair]) -> Vec<u32> {
    fn root(parents: &mut [u32], mut of: u32) -> u32 {
        while parents[of as usize] != of {
            parents[of as usize] = parents[parents[of as usize] as usize];
            of = parents[of as usize];
        }
        of
    }
    let mut parents: Vec<u32> = (0..documents as u32).collect();
    for pair in near_copies {
        let (a, b) = (root(&mut parents, pair.first), root(&mut parents, pair.second));
        parents[a.max(b) as usize] = a.min(b);
    }
    (0..documents as u32).map(|document| root(&mut parents, document)).collect()
}

/// For each unit, how many of its documents have a pair.
fn sizes(units: &[u32], related: &[Pair]) -> Vec<usize> {
    let mut has_pair = vec![false; units.len()];
    related.iter().flat_map(|pair| [pair.first, pair.second]).for_each(|document| has_pair[document as usize] = true);
    let mut sizes = vec![0; units.len()];
    for (&unit, has_pair) in units.iter().zip(has_pair) {
        sizes[unit as usize] += usize::from(has_pair);
    }
    sizes
}

/// For each unit, the other units that it has pairs with, once for each pair.
struct Graph {
    offsets: Vec<usize>,
    others: Vec<u32>,
}

impl Graph {
    fn new(units: &[u32], related: &[Pair]) -> Self {
        let mut links: Vec<(u32, u32)> = Vec::with_capacity(2 * related.len());
        for pair in related {
            let (a, b) = (units[pair.first as usize], units[pair.second as usize]);
            if a != b {
                links.extend([(a, b), (b, a)]);
            }
        }
        links.sort_unstable();
        let mut offsets = vec![0; units.len() + 1];
        links.iter().for_each(|link| offsets[link.0 as usize + 1] += 1);
        (0..units.len()).for_each(|unit| offsets[unit + 1] += offsets[unit]);
        Self { offsets, others: links.into_iter().map(|link| link.1).collect() }
    }

    fn others(&self, unit: u32) -> &[u32] {
        &self.others[self.offsets[unit as usize]..self.offsets[unit as usize + 1]]
    }
}

/// A unit at the border of a region.
struct Border {
    unit: u32,
    inside: usize,
    links: usize,
}

impl Border {
    /// The larger share of links inside comes first, then the more links, then the lower number.
    fn key(&self, other: &Self) -> Ordering {
        let share = (self.inside as u128 * other.links as u128).cmp(&(other.inside as u128 * self.links as u128));
        share.then(self.inside.cmp(&other.inside)).then(other.unit.cmp(&self.unit))
    }
}

impl Ord for Border {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key(other)
    }
}

impl PartialOrd for Border {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Border {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Border {}

/// Grows a region of at most `room` documents from `start` (more only if `start` alone is larger), marks its units, and
/// returns its number of documents.
fn grow(graph: &Graph, sizes: &[usize], held: &mut [bool], start: u32, room: usize) -> usize {
    let mut documents = 0;
    let mut inside = std::collections::HashMap::new();
    let mut border = BinaryHeap::from([Border { unit: start, inside: 0, links: 1 }]);
    while let Some(Border { unit, .. }) = border.pop() {
        // A unit is pushed again whenever its share grows; only its last, best entry is met unmarked.
        if held[unit as usize] || (unit != start && documents + sizes[unit as usize] > room) {
            continue;
        }
        held[unit as usize] = true;
        documents += sizes[unit as usize];
        if documents >= room {
            break;
        }
        for &other in graph.others(unit).iter().filter(|&&other| !held[other as usize]) {
            let count = inside.entry(other).or_insert(0);
            *count += 1;
            border.push(Border { unit: other, inside: *count, links: graph.others(other).len() });
        }
    }
    documents
}
