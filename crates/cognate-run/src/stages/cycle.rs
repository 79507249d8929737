//! Pairs by cycle consistency, after LOCCO (Crouse et al. 2023, arXiv 2305.20018): of a set, those whose documents a synthesizer finds back
//! from each other.
//!
//! Of a pair, d2 is believed where it says from what it was written: (log p(d1 | d2) − log p(d1)) / tokens of d1. Pairs are learned in both directions,
//! so one synthesizer writes both ways, and a pair's score is the mean of both: a pair and its converse are kept or dropped together. The paper weighs
//! what its decoder proposes; here pairs are given, and kept or not.

use std::collections::BTreeMap;
use std::path::Path;

use cognate_base::Monitor;
use cognate_pair::{Pair, Pairs, UnseenStats, read_pairs};
use cognate_synth::TokenPair;
use serde_json::json;

use super::held_out::Documents;
use super::pair;
use super::quality::Synthesizer;
use crate::context::{Context, Made};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::PairMethod;
use crate::rundir::Work;
use crate::step::Step;

/// The pairs of another set that the synthesizer at `by` keeps. Its held-out pairs stay as they are.
pub(super) fn kept_pairs(
    context: &Context<'_>,
    at: usize,
    (of, by, keep): (&str, usize, f64),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let of = context.recipe.pair_set(of);
    let documents = Documents::of(context, of, monitor)?;
    let source = context.made(Step::Pair(of));
    let read = |file: &str| read_pairs(&source.path(file), &documents.ids, monitor);
    let (train, held_out) = (read("train.parquet")?, read("held_out.parquet")?);
    let links: BTreeMap<(u32, u32), ()> = train.iter().map(|pair| (ends(pair), ())).collect();
    let links: Vec<(u32, u32)> = links.into_keys().collect();
    let name = |number: u32| &documents.ids[number as usize];
    let pair = |&(first, second): &(u32, u32)| TokenPair {
        name: format!("the pair of {} and {}", name(first), name(second)),
        seed: documents.tokens(first),
        document: documents.tokens(second),
    };
    let pairs: Vec<TokenPair> = links.iter().map(pair).collect();
    let mut synthesizer = Synthesizer::load(context, by, context.recipe.seed_tokens(by))?;
    let scores = synthesizer.score_tokens(&pairs, monitor)?;
    let scores: BTreeMap<(u32, u32), f64> =
        links.into_iter().zip(scores.iter().map(|score| (score.forward + score.backward) / 2.0)).collect();
    let (train, least) = highest(train, &scores, keep);
    let pairs = Pairs { train, held_out };
    let mut made = Made::default();
    pair::write(folder, &documents.ids, &pairs, &mut made)?;
    let measure = pairs.held_out.iter().any(|pair| pair.second as usize >= documents.unique);
    let mut statistics = pair::counts(&pairs, 0, UnseenStats { measure, ..UnseenStats::default() });
    statistics["least_score"] = json!(least);
    let label = Step::Pair(at).label(context.recipe);
    tracing::info!("{label}: {} pairs are kept, with scores of at least {least:.3} nats a token", pairs.train.len());
    made.work = Work { statistics, documents: documents.ids.len() as u64, flops: synthesizer.flops, ..Work::default() };
    Ok(made)
}

/// A pair, whatever its direction.
fn ends(pair: &Pair) -> (u32, u32) {
    (pair.first.min(pair.second), pair.first.max(pair.second))
}

/// The share `keep` of the pairs, those of the highest scores, in their order, and the lowest of these. Pairs of the same two documents have one
/// score, and go together.
fn highest(train: Vec<Pair>, scores: &BTreeMap<(u32, u32), f64>, keep: f64) -> (Vec<Pair>, f64) {
    let score = |pair: &Pair| scores[&ends(pair)];
    let mut sorted: Vec<f64> = train.iter().map(score).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let count = ((keep * sorted.len() as f64).round() as usize).clamp(1, sorted.len().max(1));
    let least = sorted.get(count - 1).copied().unwrap_or(f64::NEG_INFINITY);
    (train.into_iter().filter(|pair| score(pair) >= least).collect(), least)
}

/// Operations of scoring: each link's two documents after each other and alone.
pub(super) fn flops(estimate: &Estimate<'_>, stage: &pair::Pair) -> f64 {
    let PairMethod::Cycle { of, .. } = &estimate.recipe.pairs[stage.0].method else { return 0.0 };
    let config = estimate.config(stage);
    let links = estimate.pairs(estimate.recipe.pair_set(of)) / 2.0;
    // Each text after the other and each alone: three times the tokens of both, in four sequences.
    let (sequences, tokens) = (4.0 * links, 0.75 * 2.0 * estimate.mean());
    config.forward_flops(sequences * tokens, sequences * tokens, tokens / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_the_best_links_are_kept() {
        let pair = |first, second| Pair { first, second, similarity: 0.5 };
        let train = vec![pair(0, 1), pair(1, 0), pair(0, 2), pair(2, 0), pair(3, 1), pair(1, 3)];
        let scores = BTreeMap::from([((0, 1), 0.25), ((0, 2), 0.75), ((1, 3), -0.5)]);
        let kept = |keep| highest(train.clone(), &scores, keep);
        assert_eq!(kept(0.34), (vec![train[2], train[3]], 0.75));
        assert_eq!(kept(0.67), (train[..4].to_vec(), 0.25));
        // Half of a link is none: its converse has the same score.
        assert_eq!(kept(0.5), (train[..4].to_vec(), 0.25));
        assert_eq!(kept(1e-9), (vec![train[2], train[3]], 0.75), "one is kept at least");
        assert_eq!(kept(1.0), (train.clone(), -0.5));
    }
}
