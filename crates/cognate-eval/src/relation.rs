//! What a synthesizer has learned about relations: −log p(d2 | ·) with the true d1, with a random d1, and with none.
//!
//! The three contexts are `[end] d1 [related]`, `[end] d1' [related]` with d1' another pair's first document, and `[end]` alone.
//! Scored are the tokens of d2 and its closing end-of-document token, the same ones in all three, so the differences are paired.
//! Pairs with the same d2 are one sample of the standard errors, since their losses are nearly the same. Pairs that share a seed are
//! taken as independent.

use std::collections::{HashMap, HashSet};

use cognate_base::Monitor;
use cognate_base::random::{self, SliceRandom};
use cognate_corpus::Tokenizer;
use cognate_model::{Decoder, ScoreItem, score};
use cognate_ops::Device;
use cognate_statistics::{Estimate, ratio};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::progress::Part;
use crate::rows::Rows;

/// How pairs are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationOptions {
    /// A longer d1 is cut as generation cuts a seed: [`Tokenizer::cut`].
    pub max_seed_tokens: usize,
    /// Decides which d1 is whose random one.
    pub seed: u64,
    /// Tokens per batch. Changes the speed, never the result.
    pub batch_tokens: usize,
}

/// Nats per token of d2, under three contexts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Pairs scored.
    pub pairs: u64,
    /// Scored tokens of d2, closing end-of-document tokens included; the same under each context.
    pub tokens: u64,
    /// After the true d1.
    pub true_seed: Estimate,
    /// After another pair's d1.
    pub random_seed: Estimate,
    /// After nothing.
    pub no_seed: Estimate,
    /// `random_seed` − `true_seed`: what the relation is worth. Paired standard error.
    pub gain_over_random: Estimate,
    /// `no_seed` − `true_seed`. Paired standard error.
    pub gain_over_none: Estimate,
    /// Pairs whose true d1 was cut.
    pub seeds_cut: u64,
    /// Pairs whose d2 was cut to fit the context; their end is not scored.
    pub targets_cut: u64,
}

impl Relation {
    /// Whether the true seed may save nothing: whether the interval of 95 % of its gain over a random seed, or over none, reaches down to 0.
    pub fn is_nothing(&self) -> bool {
        [self.gain_over_random, self.gain_over_none].into_iter().any(|gain| gain.interval().0 <= 0.0)
    }
}

/// The loss of a pair's d2 in nats, its closing token included, under three contexts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairLoss {
    /// After the true d1.
    pub true_seed: f64,
    /// After another pair's d1.
    pub random_seed: f64,
    /// After nothing.
    pub no_seed: f64,
}

/// Scores pairs (d1, d2) of token sequences, together and each; a closing end-of-document token on either may be there or not.
///
/// # Errors
/// When the tokenizer has no related-document token, no pair has another seed to compare with, the context is too short, a loss is
/// not a number, or the monitor interrupts.
pub fn relation<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    pairs: &[(Vec<u32>, Vec<u32>)],
    options: RelationOptions,
    monitor: &dyn Monitor,
) -> Result<(Relation, Vec<PairLoss>)> {
    let max_positions = model.config().max_positions;
    let related = tokenizer.related()?;
    let rows = Rows { tokenizer, rows: model.config().vocab };
    rows.check(&[tokenizer.begin_of_document(), tokenizer.end_of_document(), related], || "a pair's frame".to_owned())?;
    for (pair, (d1, d2)) in pairs.iter().enumerate() {
        rows.check(d1, || format!("the first document of pair {pair}"))?;
        rows.check(d2, || format!("the second document of pair {pair}"))?;
    }
    let part = Part::begin(monitor, "compare true, random and no related document");
    let mut scorer = |items: &[ScoreItem]| {
        let nats = score(model, items, options.batch_tokens, &part)?;
        part.finish_one();
        Ok(nats)
    };
    let kept = |d1: &[u32]| tokenizer.cut(d1, options.max_seed_tokens).map_or(d1.len(), |cut| cut.tokens);
    let frame = Frame {
        begin_of_document: tokenizer.begin_of_document(),
        end_of_document: tokenizer.end_of_document(),
        related,
        kept: &kept,
        max_positions,
    };
    measure(&mut scorer, pairs, options.seed, &frame)
}

/// How a pair becomes a prompt and a target.
struct Frame<'a> {
    /// Stands before a document.
    begin_of_document: u32,
    /// Stands after a document.
    end_of_document: u32,
    /// Stands between d1 and d2.
    related: u32,
    /// How many tokens of a d1 stand in a prompt.
    kept: &'a dyn Fn(&[u32]) -> usize,
    /// Tokens that the model's context holds.
    max_positions: usize,
}

impl Frame<'_> {
    /// A document without its closing token.
    fn open<'d>(&self, document: &'d [u32]) -> &'d [u32] {
        document.strip_suffix(&[self.end_of_document]).unwrap_or(document)
    }

    fn prompt(&self, d1: &[u32]) -> Vec<u32> {
        [&[self.begin_of_document], &d1[..(self.kept)(d1)], &[self.related]].concat()
    }
}

/// A pair under its three contexts.
struct Question {
    true_prompt: Vec<u32>,
    random_prompt: Vec<u32>,
    target: Vec<u32>,
}

/// The loss of each continuation, in nats.
type Scorer<'a> = &'a mut dyn FnMut(&[ScoreItem]) -> Result<Vec<f64>>;

fn measure(
    scorer: Scorer<'_>,
    pairs: &[(Vec<u32>, Vec<u32>)],
    seed: u64,
    frame: &Frame<'_>,
) -> Result<(Relation, Vec<PairLoss>)> {
    let max_positions = frame.max_positions;
    let pairs: Vec<(&[u32], &[u32])> = pairs.iter().map(|(d1, d2)| (frame.open(d1), frame.open(d2))).collect();
    let others = other_seeds(&pairs, seed)?;
    let mut questions = Vec::with_capacity(pairs.len());
    let (mut seeds_cut, mut targets_cut) = (0, 0);
    for (&(d1, d2), &other) in pairs.iter().zip(&others) {
        let (true_prompt, random_prompt) = (frame.prompt(d1), frame.prompt(pairs[other].0));
        let longest = true_prompt.len().max(random_prompt.len());
        if longest > max_positions {
            return Err(Error::Context { max_positions, seed_tokens: longest - 2 });
        }
        let mut target = [d2, &[frame.end_of_document]].concat();
        let room = max_positions + 1 - longest;
        seeds_cut += u64::from(true_prompt.len() < d1.len() + 2);
        targets_cut += u64::from(target.len() > room);
        target.truncate(room);
        questions.push(Question { true_prompt, random_prompt, target });
    }
    let mut ask = |context: &dyn Fn(&Question) -> Vec<u32>| -> Result<Vec<f64>> {
        let item = |q: &Question| ScoreItem { prompt: context(q), continuation: q.target.clone() };
        let nats = scorer(&questions.iter().map(item).collect::<Vec<_>>())?;
        match nats.iter().position(|nats| !nats.is_finite()) {
            Some(pair) => Err(Error::NotFinite { item: format!("pair {pair}"), nats: nats[pair] }),
            None => Ok(nats),
        }
    };
    let true_nats = ask(&|q| q.true_prompt.clone())?;
    let random_nats = ask(&|q| q.random_prompt.clone())?;
    let no_nats = ask(&|_| vec![frame.begin_of_document])?;
    let lengths: Vec<f64> = questions.iter().map(|q| q.target.len() as f64).collect();
    let samples = samples(&pairs);
    let estimate = |nats: &dyn Fn(usize) -> f64| {
        let sum = |of: &dyn Fn(usize) -> f64, sample: &[usize]| sample.iter().map(|&i| of(i)).sum::<f64>();
        ratio(samples.iter().map(|sample| (sum(&|i| lengths[i], sample), sum(nats, sample))))
    };
    let found = Relation {
        pairs: questions.len() as u64,
        tokens: questions.iter().map(|q| q.target.len() as u64).sum(),
        true_seed: estimate(&|i| true_nats[i]),
        random_seed: estimate(&|i| random_nats[i]),
        no_seed: estimate(&|i| no_nats[i]),
        gain_over_random: estimate(&|i| random_nats[i] - true_nats[i]),
        gain_over_none: estimate(&|i| no_nats[i] - true_nats[i]),
        seeds_cut,
        targets_cut,
    };
    let losses = true_nats.iter().zip(&random_nats).zip(&no_nats);
    let each = losses.map(|((&true_seed, &random_seed), &no_seed)| PairLoss { true_seed, random_seed, no_seed });
    Ok((found, each.collect()))
}

/// The pairs of each d2, in the order in which these first come.
fn samples(pairs: &[(&[u32], &[u32])]) -> Vec<Vec<usize>> {
    let mut places: HashMap<&[u32], usize> = HashMap::new();
    let mut samples: Vec<Vec<usize>> = Vec::new();
    for (pair, (_, d2)) in pairs.iter().enumerate() {
        let place = *places.entry(d2).or_insert(samples.len());
        if place == samples.len() {
            samples.push(Vec::new());
        }
        samples[place].push(pair);
    }
    samples
}

/// For each pair, the pair whose d1 serves as its random one: the next in a shuffled circle whose d1 is neither the d1 of a pair with the same
/// d2, its own among them, nor that d2 (pairs stand there in both directions, and one d1 has several d2).
fn other_seeds(pairs: &[(&[u32], &[u32])], seed: u64) -> Result<Vec<usize>> {
    let n = pairs.len();
    if n == 0 {
        return Err(Error::NoOtherSeed { pair: 0, pairs: 0 });
    }
    let mut seeds: HashMap<&[u32], HashSet<&[u32]>> = HashMap::new();
    for (d1, d2) in pairs {
        seeds.entry(d2).or_default().insert(d1);
    }
    let mut circle: Vec<usize> = (0..n).collect();
    circle.shuffle(&mut random::stream(seed, "random-seed", 0));
    let mut others = vec![0; n];
    for (place, &pair) in circle.iter().enumerate() {
        let d2 = pairs[pair].1;
        let differs = |&other: &usize| !seeds[d2].contains(pairs[other].0) && pairs[other].0 != d2;
        let found = (1..n).map(|step| circle[(place + step) % n]).find(differs);
        others[pair] = found.ok_or(Error::NoOtherSeed { pair, pairs: n })?;
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_whose_interval_reaches_zero_is_nothing() {
        let estimate = |value, stderr| Estimate { value, stderr: Some(stderr) };
        let relation = |random, none| Relation {
            pairs: 9,
            tokens: 90,
            true_seed: estimate(4.0, 0.1),
            random_seed: estimate(4.2, 0.1),
            no_seed: estimate(4.1, 0.1),
            gain_over_random: random,
            gain_over_none: none,
            seeds_cut: 0,
            targets_cut: 0,
        };
        let (clear, unclear) = (estimate(0.2, 0.1), estimate(0.19, 0.1));
        assert!(!relation(clear, clear).is_nothing());
        assert!(relation(unclear, clear).is_nothing() && relation(clear, unclear).is_nothing());
        assert!(relation(estimate(-0.2, 0.01), clear).is_nothing());
        // A single pair has no interval.
        assert!(!relation(Estimate { value: 0.1, stderr: None }, clear).is_nothing());
    }

    /// Measures with d1s of six tokens at most, in a context of so many tokens.
    fn measured(scorer: Scorer<'_>, pairs: &[(Vec<u32>, Vec<u32>)], max_positions: usize) -> Result<Relation> {
        measure(
            scorer,
            pairs,
            5,
            &Frame { begin_of_document: 0, end_of_document: 0, related: 1, kept: &|d1| d1.len().min(6), max_positions },
        )
        .map(|(found, each)| {
            let mean = |of: &dyn Fn(&PairLoss) -> f64| each.iter().map(of).sum::<f64>() / found.tokens as f64;
            let of_each = [mean(&|loss| loss.true_seed), mean(&|loss| loss.random_seed), mean(&|loss| loss.no_seed)];
            let together = [found.true_seed, found.random_seed, found.no_seed].map(|estimate| estimate.value);
            assert!(of_each.iter().zip(together).all(|(a, b)| (a - b).abs() < 1e-9), "{of_each:?} {together:?}");
            found
        })
    }

    /// Pair i: d1 = 10·i + 10 and following, d2 the same tokens in reverse.
    fn pairs(n: u32, length: u32) -> Vec<(Vec<u32>, Vec<u32>)> {
        let d1 = |i: u32| (0..length).map(|k| 10 * i + 10 + k).collect::<Vec<_>>();
        (0..n).map(|i| (d1(i), d1(i).into_iter().rev().collect())).collect()
    }

    /// One nat for a token that stands in the context, three for another, and half a nat extra after a related-token.
    fn by_context(items: &[ScoreItem]) -> Result<Vec<f64>> {
        let cost = |item: &ScoreItem| {
            let token = |t| if item.prompt.contains(&t) { 1.0 } else { 3.0 };
            let extra = if item.prompt.contains(&1) { 0.5 } else { 0.0 };
            item.continuation.iter().map(|&t| token(t) + extra).sum()
        };
        Ok(items.iter().map(cost).collect())
    }

    #[test]
    fn contexts_are_told_apart() {
        let found = measured(&mut by_context, &pairs(8, 4), 100).unwrap();
        // Five tokens each, the closing one stands in every context: true 1.5; random (4·3.5 + 1.5)/5; none (4·3 + 1)/5.
        assert_eq!((found.pairs, found.tokens), (8, 40));
        assert_eq!((found.true_seed.value, found.random_seed.value, found.no_seed.value), (1.5, 3.1, 2.6));
        assert!((found.gain_over_random.value - 1.6).abs() < 1e-12 && found.gain_over_random.stderr.unwrap() < 1e-12);
        assert!((found.gain_over_none.value - 1.1).abs() < 1e-12);
        assert_eq!((found.seeds_cut, found.targets_cut), (0, 0));
    }

    #[test]
    fn pairs_with_one_second_document_are_one_sample() {
        // Every document once, and then behind two more seeds each: that tells no more of other documents.
        let once = pairs(8, 4);
        let seeds =
            |shift: usize| (0..8).map(move |i| (pairs(8, 4)[(i + shift) % 8].0.clone(), pairs(8, 4)[i].1.clone()));
        let thrice: Vec<_> = seeds(0).chain(seeds(2)).chain(seeds(3)).collect();
        let mut by_length = |items: &[ScoreItem]| -> Result<Vec<f64>> {
            Ok(items.iter().map(|item| f64::from(item.continuation[0] % 7) + 1.0).collect())
        };
        let one = measured(&mut by_length, &once, 100).unwrap();
        let three = measured(&mut by_length, &thrice, 100).unwrap();
        assert_eq!((three.pairs, three.tokens), (24, 120));
        assert!(one.true_seed.stderr.unwrap() > 0.01);
        assert!((three.true_seed.stderr.unwrap() - one.true_seed.stderr.unwrap()).abs() < 1e-12);
        assert!((three.true_seed.value - one.true_seed.value).abs() < 1e-12);
    }

    #[test]
    fn a_closing_token_may_be_there_already() {
        let closed: Vec<_> =
            pairs(8, 4).into_iter().map(|(d1, d2)| ([d1, vec![0]].concat(), [d2, vec![0]].concat())).collect();
        let found = measured(&mut by_context, &closed, 100).unwrap();
        assert_eq!(found, measured(&mut by_context, &pairs(8, 4), 100).unwrap());
    }

    #[test]
    fn long_documents_are_cut_alike_under_all_contexts() {
        let mut lengths = Vec::new();
        let mut scorer = |items: &[ScoreItem]| {
            assert!(items.iter().all(|item| item.prompt.len() + item.continuation.len() - 1 <= 12));
            lengths.push(items.iter().map(|item| item.continuation.clone()).collect::<Vec<_>>());
            by_context(items)
        };
        let found = measured(&mut scorer, &pairs(5, 9), 12).unwrap();
        // Prompts of 1 + 6 + 1; 12 + 1 − 8 = 5 tokens of d2 fit.
        assert_eq!((found.seeds_cut, found.targets_cut, found.tokens), (5, 5, 25));
        assert!(lengths[0] == lengths[1] && lengths[1] == lengths[2]);
        // What fits to the last token is not cut; a context of a prompt alone has room for the token that is only predicted.
        let fits = measured(&mut by_context, &pairs(5, 4), 10).unwrap();
        assert_eq!((fits.seeds_cut, fits.targets_cut, fits.tokens), (0, 0, 25));
        let one = measured(&mut by_context, &pairs(5, 9), 8).unwrap();
        assert_eq!((one.seeds_cut, one.targets_cut, one.tokens), (5, 5, 5));
        let error = measured(&mut by_context, &pairs(5, 9), 7).unwrap_err();
        assert!(matches!(error, Error::Context { max_positions: 7, seed_tokens: 6 }), "{error}");
    }

    #[test]
    fn a_random_seed_is_neither_the_true_one_nor_the_answer() {
        // Both directions of five pairs, each d1 with two d2.
        let documents: Vec<Vec<u32>> = (0..10).map(|i| vec![10 + i, 20 + i]).collect();
        let mut all = Vec::new();
        for i in 0..10usize {
            all.push((documents[i].as_slice(), documents[(i + 1) % 10].as_slice()));
            all.push((documents[(i + 1) % 10].as_slice(), documents[i].as_slice()));
        }
        let others = other_seeds(&all, 5).unwrap();
        for (pair, &other) in all.iter().zip(&others) {
            assert!(all[other].0 != pair.0 && all[other].0 != pair.1);
        }
        assert!(others.iter().collect::<HashSet<_>>().len() > 10, "a few seeds serve for all: {others:?}");
        // Nor one of the other true ones.
        let (a, b, c, d) = ([1].as_slice(), [2].as_slice(), [3].as_slice(), [9].as_slice());
        for seed in 0..20 {
            let others = other_seeds(&[(a, d), (b, d), (c, a)], seed).unwrap();
            assert_eq!(others[..2], [2, 2], "{seed}");
        }
        assert_eq!(others, other_seeds(&all, 5).unwrap());
        assert_ne!(others, other_seeds(&all, 6).unwrap());
    }

    #[test]
    fn without_another_seed_there_is_no_comparison() {
        let (a, b) = (vec![10], vec![11]);
        for pairs in [vec![], vec![(a.clone(), b.clone())], vec![(a.clone(), b.clone()), (b, a)]] {
            let error = measured(&mut by_context, &pairs, 100).unwrap_err();
            assert!(matches!(error, Error::NoOtherSeed { .. }), "{error}");
        }
    }

    #[test]
    fn a_loss_that_is_no_number_names_the_pair() {
        let mut scorer =
            |items: &[ScoreItem]| Ok((0..items.len()).map(|i| if i == 3 { f64::INFINITY } else { 1.0 }).collect());
        let error = measured(&mut scorer, &pairs(5, 2), 100).unwrap_err();
        assert!(error.to_string().starts_with("pair 3: the model's loss is inf"), "{error}");
    }

    #[test]
    fn the_one_seed_that_is_no_document_of_the_pair_is_found_wherever_it_stands() {
        let documents = [vec![10], vec![20], vec![30], vec![40]];
        let [a, b, c, d] = documents.each_ref().map(Vec::as_slice);
        for seed in 0..20 {
            let others = other_seeds(&[(a, b), (b, a), (c, d)], seed).unwrap();
            assert_eq!(others[..2], [2, 2], "{seed}");
        }
    }
}
