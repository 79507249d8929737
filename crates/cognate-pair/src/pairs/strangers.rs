//! How similar strangers are: of a pair of documents, how many unrelated ones would be as similar by chance.
//!
//! Every document has its own strangers: one that lies in the middle of the corpus has more and nearer ones than one at its edge
//! (hubness, Radovanović et al. 2010), so one similarity means different things for different documents. The nearest neighbours may be
//! related; those behind them, from rank [`FIRST`] to rank [`LAST`], are taken for strangers, and how they thin out says how many would be
//! nearer still. In t = −ln(1 − s), which has no end as s goes to 1, the number of strangers beyond t falls off as exp(−t/σ) (the tail of
//! Weissman 1978; σ is the maximum-likelihood estimate of Hill 1975 with the ranks before [`FIRST`] censored). What comes out is
//! counted like the E-value of a sequence search (Karlin and Altschul 1990): strangers to be expected at that similarity or beyond.

use crate::neighbours::Neighbours;

/// Ranks that are taken for strangers: from the one to the other, counted from 1. Related documents are fewer than the first.
const FIRST: usize = 20;
/// The rank at which the tail begins.
pub(crate) const LAST: usize = 50;
/// Share of the documents that may be looked at as neighbours: beyond it, the tail is no tail.
const MOST_OF_ALL: usize = 3;

/// The tail of one document's similarities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// Where it begins, in t.
    from: f64,
    /// How fast it falls off, in t.
    scale: f64,
}

impl Tail {
    /// That of a document by its neighbours from the one rank to the other; none where it has too few.
    fn of(neighbours: &Neighbours, document: usize, (first, last): (usize, usize)) -> Option<Self> {
        let t: Vec<f64> = neighbours.of(document).take(last).map(|(_, s)| stretched(s)).collect();
        if t.len() < last || last <= first {
            return None;
        }
        let from = t[last - 1];
        let seen: f64 = t[first - 1..].iter().map(|t| t - from).sum();
        let censored = (first - 1) as f64 * (t[first - 1] - from);
        // Documents that are all alike have no tail; so small a scale leaves none of them a stranger.
        let scale = ((seen + censored) / (last - first) as f64).max(1e-9);
        Some(Self { from, scale })
    }

    /// Strangers that are to be expected at `similarity` or beyond. Before the tail begins there are more than can be said.
    fn beyond(self, similarity: f32, last: usize) -> f64 {
        let t = stretched(similarity) - self.from;
        if t < 0.0 { f64::INFINITY } else { last as f64 * (-t / self.scale).exp() }
    }
}

/// The strangers of each document.
#[derive(Debug)]
pub(crate) struct Strangers {
    /// None for a document with too few neighbours to say.
    tails: Vec<Option<Tail>>,
    /// Neighbours that each document has.
    found: Vec<usize>,
    /// The ranks that were used.
    ranks: (usize, usize),
    /// Of pairs of strangers by one of the two, the share that are so by the other as well.
    mutual: f64,
}

/// Documents that a document's neighbours are found among, itself counted, in the lower quartile of the documents that have any. That is all of
/// these, but for documents whose row of `k` is not full: nothing but the documents of other groups can be theirs.
fn candidates(found: &[usize], k: usize) -> usize {
    let present = found.iter().filter(|&&found| found > 0).count();
    let mut of_each: Vec<usize> =
        found.iter().filter(|&&found| found > 0).map(|&found| if found < k { found + 1 } else { present }).collect();
    of_each.sort_unstable();
    of_each.get(present / 4).copied().unwrap_or(0)
}

/// −ln(1 − s).
fn stretched(similarity: f32) -> f64 {
    -(1.0 - f64::from(similarity).min(0.9999)).ln()
}

impl Strangers {
    /// Neighbours to search for, so that their tails can be looked at, in a corpus of `documents`.
    pub(crate) fn ranks(documents: usize) -> usize {
        LAST.min(documents / MOST_OF_ALL).max(1)
    }

    /// Of all neighbours that were found, [`LAST`] of them where there are so many.
    pub(crate) fn of(neighbours: &Neighbours) -> Self {
        let found: Vec<usize> = (0..neighbours.len()).map(|document| neighbours.of(document).count()).collect();
        let last = Self::ranks(candidates(&found, neighbours.k)).min(neighbours.k);
        let first = FIRST.min(last.div_ceil(2)).max(1);
        let tails: Vec<Option<Tail>> =
            (0..neighbours.len()).map(|document| Tail::of(neighbours, document, (first, last))).collect();
        let mut both = (0u64, 0u64);
        for document in 0..neighbours.len() {
            for (other, _) in neighbours.of(document).take(last).skip(first) {
                both.1 += 1;
                let back = neighbours.of(other as usize).take(last).any(|(id, _)| id as usize == document);
                both.0 += u64::from(back);
            }
        }
        let mutual = if both.1 == 0 { 1.0 } else { both.0 as f64 / both.1 as f64 };
        Self { tails, found, ranks: (first, last), mutual }
    }

    /// Whether most documents that have neighbours have enough of them to say how similar strangers are.
    pub(crate) fn are_known(&self) -> bool {
        let present = self.found.iter().filter(|&&found| found > 0).count();
        2 * self.tails.iter().flatten().count() > present
    }

    /// Strangers of `document` that are to be expected at `similarity` or beyond; none where too little is known of it.
    fn beyond(&self, document: usize, similarity: f32) -> Option<f64> {
        Some(self.tails[document]?.beyond(similarity, self.ranks.1))
    }

    /// The tails of documents outside the corpus, by their neighbours in it.
    pub(crate) fn tails_of(&self, outside: &Neighbours) -> Vec<Option<Tail>> {
        (0..outside.len()).map(|document| Tail::of(outside, document, self.ranks)).collect()
    }

    /// As [`expected`](Self::expected), of a document and one outside the corpus.
    pub(crate) fn expected_outside(&self, document: u32, outside: Option<Tail>, similarity: f32) -> f64 {
        let of_outside = outside.map_or(f64::INFINITY, |tail| tail.beyond(similarity, self.ranks.1));
        self.beyond(document as usize, similarity).unwrap_or(f64::INFINITY).max(of_outside)
    }

    /// Strangers to be expected so near to either of two documents, the larger number of the two: a pair stands out only if it does
    /// for both. Infinite where too little is known of one.
    pub(crate) fn expected(&self, first: u32, second: u32, similarity: f32) -> f64 {
        let of = |document: u32| self.beyond(document as usize, similarity).unwrap_or(f64::INFINITY);
        of(first).max(of(second))
    }

    /// Pairs of strangers of at least the similarity `least`, counted in both directions, of which no more than so many are to be expected at
    /// either document: a function of that number.
    pub(crate) fn false_pairs(&self, least: f32) -> impl Fn(f64) -> f64 {
        // At a document there are as many as are expected, and no more than lie behind the least similarity.
        let mut most: Vec<f64> = self.tails.iter().flatten().map(|tail| tail.beyond(least, self.ranks.1)).collect();
        most.sort_unstable_by(f64::total_cmp);
        let sums: Vec<f64> = std::iter::once(0.0)
            .chain(most.iter().scan(0.0, |sum, most| {
                *sum += most;
                Some(*sum)
            }))
            .collect();
        let mutual = self.mutual;
        move |expected| {
            let fewer = most.partition_point(|most| *most < expected);
            (sums[fewer] + (most.len() - fewer) as f64 * expected) * mutual
        }
    }

    /// Neighbours among the first `k` of all documents that are strangers at `similarity` or beyond; all of them, of a document of which
    /// too little is known.
    pub(crate) fn false_neighbours(&self, similarity: f32, k: usize) -> f64 {
        let of = |document| {
            self.beyond(document, similarity).unwrap_or(f64::INFINITY).min(k.min(self.found[document]) as f64)
        };
        (0..self.tails.len()).map(of).sum()
    }
}
