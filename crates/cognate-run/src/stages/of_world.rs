//! What a made corpus says of a synthesizer and of what it writes: there the right answer is known.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::PairLoss;
use cognate_pair::Pair;
use cognate_statistics::{Estimate, ratio};
use cognate_synth::{GenerateConfig, GenerateStats, Seeds, generate_told, metadata};
use cognate_worlds::{Judged, World, fingerprint};
use serde::{Deserialize, Serialize};

use super::quality::synthetic_seeds;
use super::texts::{selection_texts, unique_texts};
use crate::context::Context;
use crate::error::Result;
use crate::recipe::Author;

/// How much of what one document of a pair tells of the other a synthesizer has learned. Losses are means over pairs, in nats a document.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    /// Pairs, of one concept.
    pub(crate) pairs: u64,
    /// Pairs of which one document could not follow the other in this world, which are left out: they are false.
    pub(crate) left_out: u64,
    /// −ln P(d2), to who knows how documents are made.
    pub(crate) marginal: f64,
    /// −ln P(d2 | d1), to the same: what no predictor goes below without luck, or without having learned the concept from elsewhere.
    pub(crate) conditional: f64,
    /// The synthesizer's −ln p(d2 | d1).
    pub(crate) true_seed: f64,
    /// The same with another pair's d1.
    pub(crate) random_seed: f64,
    /// The same without d1.
    pub(crate) no_seed: f64,
    /// (marginal − true_seed) / (marginal − conditional): 1 for the perfect predictor, 0 for one that knows how documents are made and takes nothing
    /// from d1, below 0 for one that does not know that.
    pub(crate) share: Estimate,
    /// (random_seed − true_seed) / (marginal − conditional): what the right d1 is worth to the synthesizer itself.
    pub(crate) share_by_seed: Estimate,
    /// The model that tuning started from, without d1. None of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<Alone>,
}

/// A model that reads no d1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alone {
    /// Its −ln p(d2).
    pub(crate) loss: f64,
    /// (marginal − loss) / (marginal − conditional).
    pub(crate) share: Estimate,
}

/// The world that the run's documents are of; none where they were read.
fn world(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Option<World>> {
    let dials = context.recipe.corpus.world.as_ref();
    Ok(dials.map(|dials| World::new(dials, context.recipe.seed, monitor)).transpose()?)
}

/// What a synthesizer with these losses on `pairs` has learned, whose base model had those of `before`; none outside a world.
pub(crate) fn learned(
    context: &Context<'_>,
    pairs: &[Pair],
    losses: &[PairLoss],
    before: &[PairLoss],
    monitor: &dyn Monitor,
) -> Result<Option<Learned>> {
    let Some(world) = world(context, monitor)? else { return Ok(None) };
    let mut texts = unique_texts(context, monitor)?;
    texts.extend(selection_texts(context, monitor)?);
    let text = |number: u32| texts[number as usize].1.as_str();
    let mut known = Vec::with_capacity(pairs.len());
    for ((pair, loss), before) in pairs.iter().zip(losses).zip(before) {
        monitor.check()?;
        let (marginal, conditional) = world.log_probabilities(text(pair.second), text(pair.first));
        if marginal.is_finite() && conditional.is_finite() {
            let (marginal, conditional) = (-marginal, -conditional);
            known.push(Known { target: pair.second, marginal, conditional, loss: *loss, base: before.no_seed });
        }
    }
    Ok(compared(&known, (pairs.len() - known.len()) as u64))
}

/// A pair's losses, by the Bayes-optimal predictor without and with d1, and by the synthesizer.
struct Known {
    target: u32,
    marginal: f64,
    conditional: f64,
    loss: PairLoss,
    /// The base model's, without d1.
    base: f64,
}

/// Losses beside those of the Bayes-optimal predictor without and with d1. Pairs of one target are one sample. None where no d1 tells anything.
fn compared(pairs: &[Known], left_out: u64) -> Option<Learned> {
    let available: f64 = pairs.iter().map(|pair| pair.marginal - pair.conditional).sum();
    // Rounding leaves something where all documents are of one concept.
    if available <= 1e-9 * pairs.len() as f64 {
        return None;
    }
    let mut samples: BTreeMap<u32, Vec<&Known>> = BTreeMap::new();
    pairs.iter().for_each(|pair| samples.entry(pair.target).or_default().push(pair));
    let share = |gained: &dyn Fn(&Known) -> f64| {
        let unit = |sample: &Vec<&Known>| {
            let available: f64 = sample.iter().map(|pair| pair.marginal - pair.conditional).sum();
            (available, sample.iter().map(|pair| gained(pair)).sum::<f64>())
        };
        ratio(samples.values().map(unit))
    };
    let mean = |of: &dyn Fn(&Known) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    Some(Learned {
        pairs: pairs.len() as u64,
        left_out,
        marginal: mean(&|pair| pair.marginal),
        conditional: mean(&|pair| pair.conditional),
        true_seed: mean(&|pair| pair.loss.true_seed),
        random_seed: mean(&|pair| pair.loss.random_seed),
        no_seed: mean(&|pair| pair.loss.no_seed),
        share: share(&|pair| pair.marginal - pair.loss.true_seed),
        share_by_seed: share(&|pair| pair.loss.random_seed - pair.loss.true_seed),
        base: Some(Alone { loss: mean(&|pair| pair.base), share: share(&|pair| pair.marginal - pair.base) }),
    })
}

/// What the world writes of the synthetic corpus at `corpus`, which it is the author of.
pub(super) fn told(
    context: &Context<'_>,
    corpus: usize,
    seeds: &Seeds,
    folder: &Path,
    config: GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<GenerateStats> {
    let (recipe, by) = (context.recipe, &context.recipe.synthetic[corpus].by);
    let (Some(world), Author::World(truth)) = (world(context, monitor)?, by) else {
        unreachable!("what a world writes has one")
    };
    let mut texts: HashMap<String, String> = unique_texts(context, monitor)?.into_iter().collect();
    texts.extend(synthetic_seeds(context, corpus, monitor)?);
    let tell = |number: u64, seed: Option<&str>| {
        let seed = seed.and_then(|id| texts.get(id)).map_or("", String::as_str);
        world.write(seed, number, *truth)
    };
    let fingerprint = fingerprint(world.dials(), recipe.seed);
    let synthesizer =
        format!("world {fingerprint}, truth {}, mistakes {:?}", truth.truth, truth.mistakes).to_lowercase();
    let config = GenerateConfig { synthesizer, ..config };
    Ok(generate_told(&tell, &context.tokenizer()?, seeds, folder, &config, monitor)?)
}

/// What the world thinks of the documents of `file`, which are of the synthetic corpus at `corpus`; none outside a world. A document without a
/// seed is judged behind an empty one.
pub(super) fn judged(
    context: &Context<'_>,
    corpus: usize,
    file: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<Judged>> {
    let Some(world) = world(context, monitor)? else { return Ok(None) };
    let mut seeds: HashMap<String, String> = unique_texts(context, monitor)?.into_iter().collect();
    seeds.extend(synthetic_seeds(context, corpus, monitor)?);
    let mut texts = Vec::new();
    for record in Reader::open(&[file.to_path_buf()], &ReadOptions::default(), monitor)? {
        monitor.check()?;
        let (_, document) = record?;
        let seed = metadata::seed_id(&document)?.and_then(|id| seeds.get(id)).cloned().unwrap_or_default();
        texts.push((seed, document.text));
    }
    let texts = texts.iter().map(|(seed, text)| (seed.as_str(), text.as_str()));
    Ok(Some(world.judge(texts, monitor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_one_for_the_perfect_predictor_and_none_for_who_takes_nothing_from_the_seed() {
        let bayes: Vec<(f64, f64)> = (0..6).map(|n| (20.0 + f64::from(n), 12.0 + f64::from(n % 3))).collect();
        let learned = |loss: &dyn Fn(usize) -> PairLoss| {
            let known = |at: usize| Known {
                target: at as u32 / 2,
                marginal: bayes[at].0,
                conditional: bayes[at].1,
                loss: loss(at),
                base: bayes[at].0 + 2.0,
            };
            compared(&(0..6).map(known).collect::<Vec<_>>(), 2).unwrap()
        };
        let perfect = learned(&|at| PairLoss { true_seed: bayes[at].1, random_seed: bayes[at].0, no_seed: 30.0 });
        assert!((perfect.share.value - 1.0).abs() < 1e-12 && (perfect.share_by_seed.value - 1.0).abs() < 1e-12);
        assert!(perfect.share.stderr.unwrap() < 1e-9);
        assert_eq!((perfect.pairs, perfect.left_out, perfect.no_seed), (6, 2, 30.0));
        assert_eq!(compared(&[], 6), None, "nothing but false pairs");
        let loss = PairLoss { true_seed: 25.0, random_seed: 27.0, no_seed: 26.0 };
        let same = Known { target: 0, marginal: 20.0, conditional: 20.0, loss, base: 30.0 };
        assert_eq!(compared(&[same], 0), None, "one concept, of which no document tells anything");
        let deaf = learned(&|at| PairLoss { true_seed: bayes[at].0, random_seed: bayes[at].0, no_seed: bayes[at].0 });
        assert!(deaf.share.value.abs() < 1e-12 && deaf.share_by_seed.value.abs() < 1e-12);
        // By hand: losses of 25 everywhere, 27 after a random seed. Marginals sum to 135, conditionals to 78.
        let worse = learned(&|_| PairLoss { true_seed: 25.0, random_seed: 27.0, no_seed: 26.0 });
        assert!((worse.share.value - (135.0 - 150.0) / 57.0).abs() < 1e-12, "{worse:?}");
        assert!((worse.share_by_seed.value - 12.0 / 57.0).abs() < 1e-12, "{worse:?}");
        // Two nats worse than who knows how documents are made, and nothing read: six pairs of 57 nats in all.
        let base = worse.base.unwrap();
        assert!((base.share.value + 12.0 / 57.0).abs() < 1e-12 && (base.loss - 24.5).abs() < 1e-12, "{base:?}");
        // Three targets, so three samples: with available nats of 16, 19 and 22 and gains of 4 each, s² = Σ(4 − 12/57·x)²/2.
        let r = 12.0 / 57.0;
        let squares: f64 = [16.0, 19.0, 22.0].iter().map(|x| (4.0 - r * x) * (4.0 - r * x)).sum();
        let expected = (3.0 / 2.0 * squares).sqrt() / 57.0;
        assert!((worse.share_by_seed.stderr.unwrap() - expected).abs() < 1e-12, "{worse:?}");
    }
}
