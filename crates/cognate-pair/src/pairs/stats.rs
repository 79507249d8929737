//! What pair selection did, in numbers.

use cognate_statistics::quantile::nearest;
use serde::{Deserialize, Serialize};

use super::pair::Pair;
use super::precision::Precision;
use super::similarities::{Similarities, Window};

/// What [`select_pairs`](crate::select_pairs) did. Pairs are counted with direction, as they stand in the files: two
/// for each two documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairStats {
    /// Documents there are.
    pub documents: usize,
    /// Documents with at least one related document.
    pub documents_with_pairs: usize,
    /// Documents of training pairs.
    pub train_documents: usize,
    /// Documents of held-out pairs.
    pub held_out_documents: usize,
    /// Training pairs.
    pub train_pairs: usize,
    /// Held-out pairs.
    pub held_out_pairs: usize,
    /// Pairs dropped because they are near-copies.
    pub near_copies: usize,
    /// Pairs dropped because they are not similar enough.
    pub below_window: usize,
    /// Pairs dropped because only one of the two documents is held out.
    pub straddling: usize,
    /// What unseen documents gave.
    #[serde(default)]
    pub unseen: UnseenStats,
    /// Training targets of each training seed.
    pub targets_per_seed: Degrees,
    /// The window that was used; its lower end is the similarity of the least similar pair where pairs stand out by their documents.
    pub window: Window,
    /// How many of the pairs are true, by estimate, and by what they were chosen.
    pub precision: Precision,
    /// What neighbours and random pairs look like.
    pub similarities: Similarities,
}

/// Documents that no model is trained on, and their pairs with the others. None were looked at where all is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnseenStats {
    /// Unseen documents that were looked at.
    pub documents: usize,
    /// Those with at least one related document.
    pub with_pairs: usize,
    /// Those that were left out because they are near-copies of another document.
    pub near_copies: usize,
    /// Whether they are enough, so that the held-out pairs are theirs.
    pub measure: bool,
}

/// How many targets the documents that are seeds have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Degrees {
    /// The mean.
    pub mean: f64,
    /// The smallest.
    pub min: u64,
    /// The median.
    pub median: u64,
    /// 99 % are at most this.
    pub p99: u64,
    /// The largest.
    pub max: u64,
    /// Documents with 1, 2–3, 4–7, 8–15, … targets.
    pub doubling_bins: Vec<u64>,
}

impl Degrees {
    /// Of the seeds of `pairs`, which is not empty, over `documents` documents.
    pub(crate) fn of(pairs: &[Pair], documents: usize) -> Self {
        let mut degrees = vec![0_u64; documents];
        pairs.iter().for_each(|pair| degrees[pair.first as usize] += 1);
        degrees.retain(|&degree| degree > 0);
        degrees.sort_unstable();
        let at = |share: f64| nearest(&degrees, share);
        let max = at(1.0);
        let mut doubling_bins = vec![0; max.ilog2() as usize + 1];
        degrees.iter().for_each(|degree| doubling_bins[degree.ilog2() as usize] += 1);
        let mean = pairs.len() as f64 / degrees.len() as f64;
        Self { mean, min: at(0.0), median: at(0.5), p99: at(0.99), max, doubling_bins }
    }
}

/// How many documents are in `pairs`.
pub(crate) fn documents(pairs: &[Pair], documents: usize) -> usize {
    let mut is_in = vec![false; documents];
    for pair in pairs {
        is_in[pair.first as usize] = true;
        is_in[pair.second as usize] = true;
    }
    is_in.into_iter().filter(|&is_in| is_in).count()
}
