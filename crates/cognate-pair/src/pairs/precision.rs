//! From which similarity on pairs are true: an estimate of their share, and the least similarity at which a named share holds.
//!
//! There are two ways to know. Where the similarities of neighbours have **two hills**, the lower one is strangers: its flank, carried on
//! as the exponential that it is between its half height and the valley, says how many of them lie beyond. Where there is one hill, true pairs
//! and strangers overlap, and what a similarity means depends on the documents: a pair **stands out** where few strangers are to be
//! expected so near to either (`strangers`).

use cognate_statistics::quantile::nearest;
use serde::{Deserialize, Serialize};

use super::pair::Pair;
use super::similarities::{BIN, BINS, LOW};
use super::strangers::Strangers;
use crate::neighbours::Neighbours;

/// How often the lower of two hills must be as high as the valley between them.
const DEPTH: f64 = 2.0;
/// By how many standard errors a hill must be higher than a dent beside it, for the dent to be none of chance.
const DENT: f64 = 4.0;
/// Share of the documents that must have a pair, for the pairs to be a relation of the corpus and not an exception in it.
const FEWEST_DOCUMENTS: f64 = 0.05;
/// Width of the bins that hills are looked for in.
const STEP: f64 = 0.005;
/// Least width of the kernel that smooths them.
const NARROWEST: f64 = 0.005;

/// By what pairs were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Rule {
    /// A least similarity that was given.
    Given,
    /// A least similarity behind the valley between two hills.
    TwoHills {
        /// Where the valley is.
        valley: f64,
    },
    /// Pairs at whose similarity no more strangers are to be expected than so many.
    StandingOut {
        /// Strangers to be expected so near to either document, at most.
        strangers: f64,
        /// The valley of two hills, before which no pair lies; none of one hill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        valley: Option<f64>,
    },
    /// No similarity gives the wanted share: the least similarity is the one that one in a thousand random pairs exceeds.
    OneHill,
}

/// How many of the chosen pairs are true, by estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// The rule that chose.
    #[serde(flatten)]
    pub rule: Rule,
    /// The share that was wanted.
    pub wanted: f64,
    /// The share of true pairs among the chosen ones, by estimate; none where most documents have too few neighbours to say how similar
    /// strangers are, as in a corpus of few groups whose documents are no pairs with each other.
    pub estimate: Option<f64>,
    /// For each bin of the histogram of neighbours, the estimated share of true ones among neighbours that are at least as similar as its
    /// lower end; none where there are no neighbours, or where the estimate is none.
    pub from_bin: Vec<Option<f64>>,
}

/// What pairs are: at least so similar, and with no more strangers to be expected so near, where that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) least: f32,
    pub(super) strangers: Option<f64>,
}

impl Bound {
    /// A least similarity alone.
    pub(super) fn similarity(least: f32) -> Self {
        Self { least, strangers: None }
    }

    /// Whether two documents are a pair.
    pub(super) fn lets(self, similarity: f32, expected: impl FnOnce() -> f64) -> bool {
        similarity >= self.least && self.strangers.is_none_or(|most| expected() <= most)
    }
}

/// A bound at which the wanted share holds, with the rule and the estimate; none where there is none.
pub(super) fn choose(
    documents: usize,
    similarities: &[f32],
    links: &[Pair],
    strangers: &Strangers,
    wanted: f64,
) -> Option<(Bound, Rule, f64)> {
    let enough_from = |least: f64| {
        let similar = links.iter().filter(|link| f64::from(link.similarity) >= least);
        are_enough(documents, similar.map(|link| (link.first, link.second)))
    };
    // A hill of a few documents is an exception, and says nothing of the others.
    let hills = Hills::of(similarities).filter(|hills| enough_from(hills.valley));
    if let Some(hills) = &hills {
        let start = bin_of(hills.valley);
        let bins = (start..(1.0 / STEP) as usize + 1).map(|bin| bin as f64 * STEP);
        for least in bins {
            let Some(share) = hills.true_share(similarities, least).filter(|share| *share >= wanted) else { continue };
            if enough_from(least) {
                return Some((Bound::similarity(least as f32), Rule::TwoHills { valley: hills.valley }, share));
            }
            break;
        }
    }
    // What lies before a valley is strangers, however few of them one document has.
    standing_out(documents, links, hills.map(|hills| hills.valley), strangers, wanted)
}

/// Whether so many of the documents have a pair that pairs are no exception.
fn are_enough(documents: usize, pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    let mut with_pair = vec![false; documents];
    for (first, second) in pairs {
        with_pair[first as usize] = true;
        with_pair[second as usize] = true;
    }
    with_pair.into_iter().filter(|&has| has).count() as f64 >= FEWEST_DOCUMENTS * documents as f64
}

/// The most strangers at which the wanted share holds, among links behind the valley where there is one.
fn standing_out(
    documents: usize,
    links: &[Pair],
    valley: Option<f64>,
    strangers: &Strangers,
    wanted: f64,
) -> Option<(Bound, Rule, f64)> {
    let behind = valley.map_or(f32::NEG_INFINITY, |valley| valley as f32);
    let mut expected: Vec<(f64, u32, u32)> = links
        .iter()
        .filter(|link| link.similarity >= behind)
        .map(|link| (strangers.expected(link.first, link.second, link.similarity), link.first, link.second))
        .filter(|link| link.0.is_finite())
        .collect();
    expected.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Links are counted once, strangers in both directions.
    let false_pairs = strangers.false_pairs(behind);
    let share = |at: usize| 1.0 - false_pairs(expected[at].0) / (2 * (at + 1)) as f64;
    let last = (0..expected.len()).rev().find(|&at| share(at) >= wanted)?;
    let most = expected[last].0;
    let enough = are_enough(documents, expected[..=last].iter().map(|&(_, first, second)| (first, second)));
    let bound = Bound { least: behind, strangers: Some(most) };
    enough.then_some((bound, Rule::StandingOut { strangers: most, valley }, share(last)))
}

/// The estimated share of true neighbours among those at least as similar as the lower end of each bin of the histogram.
pub(super) fn from_bins(similarities: &[f32], k: usize, strangers: &Strangers) -> Vec<Option<f64>> {
    let hills = Hills::of(similarities);
    (0..BINS).map(|bin| share(hills.as_ref(), similarities, k, LOW + bin as f32 * BIN, strangers)).collect()
}

/// The share of true pairs among given ones, by how the strangers of their documents fall off and by the hills; none where neither is known.
pub(super) fn share_of(similarities: &[f32], k: usize, least: f32, strangers: &Strangers) -> Option<f64> {
    let hills = Hills::of(similarities);
    let known = hills.is_some() || strangers.are_known();
    known.then(|| share(hills.as_ref(), similarities, k, least, strangers).unwrap_or(0.0))
}

/// The share of true ones among the similarities of at least `least`; none where there are none, or where strangers are not known.
fn share(hills: Option<&Hills>, similarities: &[f32], k: usize, least: f32, strangers: &Strangers) -> Option<f64> {
    if let Some(hills) = hills {
        return hills.true_share(similarities, f64::from(least));
    }
    let all = beyond(similarities, f64::from(least));
    (all > 0 && strangers.are_known())
        .then(|| (1.0 - strangers.false_neighbours(least, k) / all as f64).clamp(0.0, 1.0))
}

/// Similarities of all documents to those of their first `k` neighbours that can be their pairs, ascending.
pub(super) fn similarities(neighbours: &Neighbours, k: usize, is_copy: impl Fn(&Pair) -> bool) -> Vec<f32> {
    let of = |first: usize| {
        let pair = move |(second, similarity)| Pair { first: first as u32, second, similarity };
        neighbours.of(first).take(k).map(pair)
    };
    let pairs = (0..neighbours.len()).flat_map(of).filter(|pair| !is_copy(pair));
    let mut all: Vec<f32> = pairs.map(|pair| pair.similarity).collect();
    all.sort_unstable_by(f32::total_cmp);
    all
}

/// How many of the ascending similarities are at least so large.
fn beyond(sorted: &[f32], least: f64) -> usize {
    sorted.len() - sorted.partition_point(|&s| f64::from(s) < least)
}

fn bin_of(similarity: f64) -> usize {
    (similarity.max(0.0) / STEP).floor() as usize
}

/// Two hills and the valley between them.
#[derive(Debug, PartialEq)]
struct Hills {
    valley: f64,
    /// ln of the density of strangers behind the lower hill: height + slope · s.
    height: f64,
    slope: f64,
}

impl Hills {
    /// Of similarities, ascending; none where they have one hill, or too many strangers lie behind it.
    fn of(sorted: &[f32]) -> Option<Self> {
        let (density, width) = smoothed(sorted)?;
        let n = density.len();
        let (mut left, mut right) = (density.clone(), density.clone());
        (1..n).for_each(|at| left[at] = left[at].max(left[at - 1]));
        (1..n).rev().for_each(|at| right[at - 1] = right[at - 1].max(right[at]));
        // One pair in a bin is as little as can be seen.
        let floor = 1.0 / STEP;
        let lower = |at: usize| left[at].min(right[at]);
        let depth = |at: usize| lower(at) / (density[at] + floor);
        let valley = (0..n).max_by(|&a, &b| depth(a).total_cmp(&depth(b)).then(b.cmp(&a)))?;
        if depth(valley) < DEPTH || !is_dent(lower(valley), density[valley], width) {
            return None;
        }
        let top = foot(&density, valley, width);
        let half = (top..valley).find(|&at| density[at] < density[top] / 2.0)?;
        let at = |bin: usize| (bin as f64 + 0.5) * STEP;
        let points: Vec<(f64, f64, f64)> =
            (half..valley).map(|bin| (at(bin), density[bin].max(1.0).ln(), density[bin].max(1.0))).collect();
        let (slope, height) = line(&points)?;
        (slope < 0.0).then_some(Self { valley: at(valley), height, slope })
    }

    /// The estimated share of true ones among similarities of at least `least`; none where there are none. Before the valley all are
    /// strangers.
    fn true_share(&self, sorted: &[f32], least: f64) -> Option<f64> {
        let all = beyond(sorted, least);
        let behind = (self.height + self.slope * least.max(self.valley)).exp() / -self.slope;
        let strangers = behind + all.saturating_sub(beyond(sorted, self.valley)) as f64;
        (all > 0).then(|| (1.0 - strangers / all as f64).clamp(0.0, 1.0))
    }
}

/// Whether a hill of that density is higher than what lies beside it by more than chance, both smoothed by a Gaussian kernel of that width.
fn is_dent(hill: f64, beside: f64, width: f64) -> bool {
    // Pairs whose mean has the variance that the kernel leaves. Two documents that are neighbours of each other stand there twice.
    let [hill, beside] = [hill, beside].map(|density| density * width * std::f64::consts::PI.sqrt());
    hill - beside > DENT * (hill + beside).sqrt()
}

/// The top of the hill whose foot the valley is: the first one to its left. Strangers may be of several kinds, those that share a name and those
/// that share nothing, and so have several hills; how the nearest one falls off says how many lie behind the valley.
fn foot(density: &[f64], valley: usize, width: f64) -> usize {
    let mut top = valley;
    for at in (0..valley).rev() {
        let risen = density[top] >= DEPTH * density[valley];
        if risen && is_dent(density[top], density[at], width) {
            break;
        }
        if density[at] > density[top] {
            top = at;
        }
    }
    top
}

/// The density of similarities from 0 on in steps of [`STEP`], smoothed by a Gaussian kernel of Silverman's width (1986, eq. 3.31), and that width.
fn smoothed(sorted: &[f32]) -> Option<(Vec<f64>, f64)> {
    let n = sorted.len();
    if n < 2 {
        return None;
    }
    let values = || sorted.iter().map(|&s| f64::from(s));
    let mean = values().sum::<f64>() / n as f64;
    let deviation = (values().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt();
    let at = |share: f64| f64::from(nearest(sorted, share));
    let spread = deviation.min((at(0.75) - at(0.25)) / 1.34);
    let width = (0.9 * spread * (n as f64).powf(-0.2)).max(NARROWEST);
    let bins = (1.0 / STEP).ceil() as usize + 1;
    let mut counts = vec![0.0; bins];
    sorted.iter().filter(|&&s| s >= 0.0).for_each(|&s| counts[bin_of(f64::from(s)).min(bins - 1)] += 1.0);
    let reach = (4.0 * width / STEP).ceil() as i64;
    let kernel: Vec<f64> = (-reach..=reach).map(|i| (-0.5 * (i as f64 * STEP / width).powi(2)).exp()).collect();
    let all: f64 = kernel.iter().sum::<f64>() * STEP;
    let bin = |at: usize| -> f64 {
        let weighted = (-reach..=reach).zip(&kernel).filter_map(|(i, weight)| {
            let from = at as i64 + i;
            usize::try_from(from).ok().and_then(|from| counts.get(from)).map(|count| count * weight)
        });
        weighted.sum::<f64>() / all
    };
    Some(((0..bins).map(bin).collect(), width))
}

/// Slope and height of the line through weighted points (x, y, weight); none through fewer than two places.
fn line(points: &[(f64, f64, f64)]) -> Option<(f64, f64)> {
    let weight: f64 = points.iter().map(|p| p.2).sum();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| points.iter().map(|p| p.2 * of(p)).sum::<f64>() / weight;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| p.2 * (p.0 - x).powi(2)).sum();
    let slope = points.iter().map(|p| p.2 * (p.0 - x) * (p.1 - y)).sum::<f64>() / spread;
    (weight > 0.0 && spread > 0.0).then_some((slope, y - slope * x))
}
