//! From logits to one token, and the token's log-probability under the model.
//!
//! In the order and with the definitions of Hugging Face transformers 5.24 (`generation/logits_process.py`, and
//! `_get_logits_processor` in `generation/utils.py` for the order), all but temperature and nucleus off by default:
//!
//! 1. repetition penalty r (Keskar et al. 2019, arXiv 1909.05858): the logit l of a token that stands in the prompt or was drawn
//!    before becomes l / r where l ≥ 0 and l · r where l < 0, however often it stands there;
//! 2. temperature t: token i weighs w_i = exp((l_i − max l) / t); 0 takes the highest logit, and nothing below applies;
//! 3. top-k (Fan et al. 2018, arXiv 1805.04833): the k highest logits stay, and those equal to the k-th;
//! 4. nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751): of what is left, the smallest set of heaviest tokens whose share
//!    of Σw reaches `top_p`; among equal weights the lower id goes first;
//! 5. min-p (Nguyen et al. 2024, arXiv 2407.01082): the tokens that weigh at least `min_p` times the heaviest.
//!
//! One uniform number then picks a token by inverting the weights that are left, cumulated in the order of ids. There is no
//! randomness in here and no order of threads: the same logits and the same number give the same token.
//!
//! The vocabulary is never sorted. The weights are summed by size into bins of a thirty-second of an octave; walking down the
//! bins finds the one in which the nucleus ends, and only the tokens of that bin, a few percent, are sorted.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Above this temperature the choice is all but uniform over the vocabulary: surely a slip.
const MAX_TEMPERATURE: f64 = 10.0;

/// Above this repetition penalty a token comes at most once: surely a slip.
const MAX_REPETITION_PENALTY: f64 = 10.0;

/// Bits of an f32 below those that number its bin: the exponent and five bits of the fraction are left.
const BIN_SHIFT: u32 = 18;

/// Bins of weights from 0 to 1.
const BINS: usize = (1.0f32.to_bits() >> BIN_SHIFT) as usize + 1;

/// Tokens summed together, so that picking one walks over blocks first.
const BLOCK: usize = 256;

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Divides the logits. 1 is the model's own distribution, 0 always takes the most probable token.
    pub temperature: f64,
    /// The share of probability that the nucleus must hold, in (0, 1]; 1 keeps every token.
    pub top_p: f64,
    /// How many of the most probable tokens stay; 0 keeps every token, and so does a number beyond the vocabulary.
    #[serde(default, skip_serializing_if = "keeps_all")]
    pub top_k: usize,
    /// The share of the heaviest token's probability that a token must have to stay, in [0, 1]; 0 keeps every token.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_p: f64,
    /// Divides the logits above 0, and multiplies those below, of tokens that the prompt or the document holds already; 1 leaves
    /// them, below 1 they are preferred.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repetition_penalty: f64,
}

fn keeps_all(top_k: &usize) -> bool {
    *top_k == 0
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

fn one() -> f64 {
    1.0
}

fn is_one(x: &f64) -> bool {
    *x == 1.0
}

impl Sampling {
    /// Temperature and nucleus alone: all else off.
    #[must_use]
    pub fn nucleus(temperature: f64, top_p: f64) -> Self {
        Self { temperature, top_p, top_k: 0, min_p: 0.0, repetition_penalty: 1.0 }
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`] for a temperature outside [0, 10], a `top_p` outside (0, 1], a `min_p` outside [0, 1] or a
    /// `repetition_penalty` outside (0, 10], NaN included.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=MAX_TEMPERATURE).contains(&self.temperature) {
            let expected = "a number from 0 (always the most probable token) to 10";
            return Err(Error::setting("temperature", self.temperature, expected));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::setting("top_p", self.top_p, "a share above 0 and at most 1 (1 keeps every token)"));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(Error::setting("min_p", self.min_p, "a share from 0 (keeps every token) to 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty <= MAX_REPETITION_PENALTY) {
            let expected = "a number above 0 and at most 10 (1 is off, above 1 repetition is less likely)";
            return Err(Error::setting("repetition_penalty", self.repetition_penalty, expected));
        }
        Ok(())
    }
}

/// A drawn token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The token's id.
    pub token: u32,
    /// Its log-probability in nats under the model as it is: temperature 1, whole vocabulary.
    pub log_probability: f64,
}

/// A logit that is not a finite number: the model's weights or its arithmetic are broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadLogit {
    /// The first such token.
    pub token: u32,
    /// NaN or an infinity.
    pub value: f32,
}

/// Draws tokens; keeps its buffers between draws.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    weights: Vec<f32>,
    /// Sum of the weights of each bin.
    bins: Vec<f64>,
    /// The tokens of the bin in which the nucleus ends.
    border: Vec<(f32, u32)>,
    /// Logits after the repetition penalty.
    penalised: Vec<f32>,
    /// Logits in part order, to find the k-th.
    ranked: Vec<f32>,
}

impl Sampler {
    /// A sampler for checked settings.
    ///
    /// # Errors
    /// As [`Sampling::check`].
    pub fn new(sampling: Sampling) -> Result<Self> {
        sampling.check()?;
        Ok(Self {
            sampling,
            weights: Vec::new(),
            bins: Vec::new(),
            border: Vec::new(),
            penalised: Vec::new(),
            ranked: Vec::new(),
        })
    }

    /// Draws one token. `logits` holds one number per token of the vocabulary, `uniform` lies in [0, 1). A token in `never` is
    /// not drawn (it still counts in the denominator of the log-probability); at least one token must remain. `seen` are the
    /// tokens before this one, prompt and document, for the repetition penalty.
    ///
    /// # Errors
    /// When a logit is NaN or infinite.
    pub fn draw(&mut self, logits: &[f32], never: &[u32], seen: &[&[u32]], uniform: f64) -> Result<Drawn, BadLogit> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(BadLogit { token: token as u32, value: logits[token] });
        }
        let highest = highest_of(logits);
        let plain_total = weigh(&mut self.weights, logits, highest, 1.0);
        let token = if self.sampling.repetition_penalty == 1.0 {
            self.choose(logits, never, Some((highest, plain_total)), uniform)
        } else {
            let mut penalised = std::mem::take(&mut self.penalised);
            penalise(&mut penalised, logits, seen, self.sampling.repetition_penalty);
            let token = self.choose(&penalised, never, None, uniform);
            self.penalised = penalised;
            token
        };
        let log_probability = f64::from(logits[token as usize]) - f64::from(highest) - plain_total.ln();
        Ok(Drawn { token, log_probability })
    }

    /// The token that `uniform` picks. `weighed` is the highest of `logits` and the sum of the weights, where the weights are
    /// already those of `logits` at temperature 1.
    fn choose(&mut self, logits: &[f32], never: &[u32], weighed: Option<(f32, f64)>, uniform: f64) -> u32 {
        let Sampling { temperature, top_p, top_k, min_p, .. } = self.sampling;
        if temperature == 0.0 {
            return most_probable(logits, never);
        }
        let mut total = self.restrict(logits, never, weighed);
        if (1..logits.len()).contains(&top_k) {
            total = self.keep_top(top_k, logits, never);
        }
        if top_p < 1.0 {
            self.keep_nucleus(top_p * total);
        }
        if min_p > 0.0 {
            // The heaviest allowed token weighs exactly 1.
            for weight in &mut self.weights {
                *weight = if f64::from(*weight) < min_p { 0.0 } else { *weight };
            }
        }
        self.pick(uniform)
    }

    /// Makes the weights those at the set temperature over the allowed tokens; returns their sum.
    fn restrict(&mut self, logits: &[f32], never: &[u32], weighed: Option<(f32, f64)>) -> f64 {
        let highest = weighed.map_or_else(|| highest_of(logits), |(highest, _)| highest);
        // Where a banned token is the highest, the others are measured from their own highest: they must not all underflow.
        let banned_highest = never.iter().any(|&id| logits.get(id as usize) == Some(&highest));
        let top = if banned_highest { logits[most_probable(logits, never) as usize] } else { highest };
        let mut total = match weighed {
            Some((_, total)) if self.sampling.temperature == 1.0 && !banned_highest => total,
            _ => weigh(&mut self.weights, logits, top, self.sampling.temperature),
        };
        if !never.is_empty() {
            // Summed anew: subtracting a weight that is nearly everything would leave rounding errors.
            for &id in never {
                if let Some(weight) = self.weights.get_mut(id as usize) {
                    *weight = 0.0;
                }
            }
            total = sum(&self.weights);
        }
        total
    }

    /// Sets to 0 the weights of all but the `k` highest allowed logits and those equal to the k-th; returns the sum that is left.
    /// By logits, since different logits may have one weight.
    fn keep_top(&mut self, k: usize, logits: &[f32], never: &[u32]) -> f64 {
        self.ranked.clear();
        self.ranked.extend_from_slice(logits);
        for &id in never {
            if let Some(logit) = self.ranked.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let (_, &mut lowest, _) = self.ranked.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        for (weight, &logit) in self.weights.iter_mut().zip(logits) {
            *weight = if logit < lowest { 0.0 } else { *weight };
        }
        sum(&self.weights)
    }

    /// Inverts the cumulated weights, in the order of ids.
    fn pick(&self, uniform: f64) -> u32 {
        let sums: Vec<f64> = self.weights.chunks(BLOCK).map(sum).collect();
        let block = invert(sums.iter().copied(), uniform * sums.iter().sum::<f64>());
        let weights = &self.weights[block.index * BLOCK..(block.index * BLOCK + BLOCK).min(self.weights.len())];
        let within = invert(weights.iter().map(|&w| f64::from(w)), block.rest);
        (block.index * BLOCK + within.index) as u32
    }

    /// Sets to 0 all weights but the heaviest ones that together reach `wanted`.
    fn keep_nucleus(&mut self, wanted: f64) {
        self.bins.clear();
        self.bins.resize(BINS, 0.0);
        for &weight in &self.weights {
            self.bins[bin(weight)] += f64::from(weight);
        }
        let mut mass = 0.0;
        let border = (1..BINS).rev().find(|&bin| {
            let reached = mass + self.bins[bin] >= wanted;
            mass += if reached { 0.0 } else { self.bins[bin] };
            reached
        });
        // Without one, rounding has left the sum of all a little short: all are kept.
        let Some(border) = border else { return };
        self.border.clear();
        let inside = self.weights.iter().zip(0..).filter(|&(&weight, _)| bin(weight) == border);
        self.border.extend(inside.map(|(&weight, id)| (weight, id)));
        self.border.sort_unstable_by(heavier);
        let mut kept = 0;
        while kept == 0 || (mass < wanted && kept < self.border.len()) {
            mass += f64::from(self.border[kept].0);
            kept += 1;
        }
        let (lightest, last) = self.border[kept - 1];
        for (weight, id) in self.weights.iter_mut().zip(0..) {
            let keep = *weight > lightest || (*weight == lightest && id <= last);
            *weight = if keep { *weight } else { 0.0 };
        }
    }
}

/// The bin of a weight from 0 to 1: heavier weights have bins of higher numbers, or the same.
fn bin(weight: f32) -> usize {
    ((weight.to_bits() >> BIN_SHIFT) as usize).min(BINS - 1)
}

/// Heavier first, then the lower id: a total order, since ids differ.
fn heavier(a: &(f32, u32), b: &(f32, u32)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

fn highest_of(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Fills `penalised` with the logits after the repetition penalty. Finite logits stay finite.
fn penalise(penalised: &mut Vec<f32>, logits: &[f32], seen: &[&[u32]], penalty: f64) {
    penalised.clear();
    penalised.extend_from_slice(logits);
    for &id in seen.iter().copied().flatten() {
        // From the plain logit: a token that was seen twice is penalised once.
        if let Some(&logit) = logits.get(id as usize) {
            let logit = f64::from(logit);
            let less = if logit < 0.0 { logit * penalty } else { logit / penalty };
            penalised[id as usize] = less.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        }
    }
}

/// The most probable allowed token; the lowest id among equals.
fn most_probable(logits: &[f32], never: &[u32]) -> u32 {
    let mut best = None;
    for (id, &logit) in logits.iter().enumerate() {
        if best.is_none_or(|(_, highest)| logit > highest) && !never.contains(&(id as u32)) {
            best = Some((id, logit));
        }
    }
    best.map_or(0, |(id, _)| id as u32)
}

/// Where a point lies on cumulated weights.
struct Place {
    /// The first item whose cumulated weight exceeds the point; the last item of weight above 0 where rounding lets none.
    index: usize,
    /// The point, counted from that item's beginning.
    rest: f64,
}

/// Finds `point` on the cumulated `weights`.
fn invert(weights: impl Iterator<Item = f64>, point: f64) -> Place {
    let mut place = Place { index: 0, rest: point };
    let mut before = 0.0;
    for (index, weight) in weights.enumerate() {
        if weight > 0.0 {
            place = Place { index, rest: point - before };
            before += weight;
            if before > point {
                break;
            }
        }
    }
    place
}

/// Fills `weights` with exp((logit − highest) / temperature) and returns their sum.
fn weigh(weights: &mut Vec<f32>, logits: &[f32], highest: f32, temperature: f64) -> f64 {
    // Finite even for the smallest temperature: the highest logit's weight is 1, and no 0 · ∞.
    let scale = (1.0 / temperature).min(f64::from(f32::MAX)) as f32;
    weights.clear();
    weights.extend(logits.iter().map(|&logit| exp((logit - highest) * scale)));
    sum(weights)
}

/// Sum in f64 over eight interleaved lanes: a fixed order that the compiler can vectorise.
fn sum(values: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let chunks = values.chunks_exact(8);
    let tail: f64 = chunks.remainder().iter().map(|&v| f64::from(v)).sum();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(value);
        }
    }
    lanes.iter().sum::<f64>() + tail
}

/// e^x, with a relative error below 3e-7; 0 below −87, where f32 leaves its normal range. For x ≤ 0, or a banned token's little
/// above it (at most 88). Plain arithmetic without branches: it vectorises, and has the same bits on every platform.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial of degree 7 (next term below 6e-9); 2^n by the exponent bits.
#[inline]
fn exp(x: f32) -> f32 {
    /// Adding 1.5·2^23 rounds to the nearest integer, which then stands in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4; // 9 bits, so that n·LN2_HIGH is exact
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut polynomial = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        polynomial = polynomial * r + coefficient;
    }
    let result = f32::from_bits(polynomial.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < -87.0 { 0.0 } else { result }
}

#[cfg(test)]
mod tests {
    use cognate_base::random;
    use cognate_base::random::Rng;
    use proptest::prelude::*;

    use super::*;

    fn settings(temperature: f64, top_p: f64) -> Sampling {
        Sampling::nucleus(temperature, top_p)
    }

    fn sampler(temperature: f64, top_p: f64) -> Sampler {
        Sampler::new(settings(temperature, top_p)).unwrap()
    }

    /// What may be drawn, with shares, heaviest first: everything in f64, everything sorted.
    fn reference(logits: &[f32], never: &[u32], seen: &[u32], sampling: Sampling) -> Vec<(u32, f64)> {
        let penalty = |id: u32| if seen.contains(&id) { sampling.repetition_penalty } else { 1.0 };
        let score = |id: u32| match f64::from(logits[id as usize]) {
            logit if logit < 0.0 => logit * penalty(id),
            logit => logit / penalty(id),
        };
        let mut all: Vec<(u32, f64)> =
            (0..logits.len() as u32).filter(|id| !never.contains(id)).map(|id| (id, score(id))).collect();
        // Not total_cmp: 0 and −0 are equal logits.
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        if sampling.top_k > 0 && sampling.top_k < all.len() {
            let lowest = all[sampling.top_k - 1].1;
            all.retain(|&(_, score)| score >= lowest);
        }
        let highest = all[0].1;
        for (_, weight) in &mut all {
            *weight = ((*weight - highest) / sampling.temperature).exp();
        }
        let total: f64 = all.iter().map(|(_, w)| w).sum();
        let mut mass = 0.0;
        let mut nucleus = 0;
        while nucleus < all.len() && mass < sampling.top_p * total {
            mass += all[nucleus].1;
            nucleus += 1;
        }
        all.truncate(nucleus);
        all.retain(|&(_, weight)| weight >= sampling.min_p);
        let mass: f64 = all.iter().map(|(_, w)| w).sum();
        all.iter().map(|&(id, weight)| (id, weight / mass)).collect()
    }

    #[test]
    fn exp_is_as_exact_as_promised() {
        let mut worst = 0.0f64;
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            worst = worst.max((f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!((exp(-87.1), exp(-1e30), exp(f32::NEG_INFINITY)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn impossible_settings_are_refused_by_name() {
        for temperature in [-0.1, f64::NAN, f64::INFINITY, 10.1] {
            let message = settings(temperature, 0.9).check().unwrap_err().to_string();
            assert!(message.contains("temperature"), "{message}");
        }
        for top_p in [0.0, -0.5, 1.01, f64::NAN] {
            let message = settings(1.0, top_p).check().unwrap_err().to_string();
            assert!(message.contains("top_p"), "{message}");
        }
        for min_p in [-0.1, 1.1, f64::NAN] {
            let message = Sampling { min_p, ..settings(1.0, 0.9) }.check().unwrap_err().to_string();
            assert!(message.starts_with("min_p"), "{message}");
        }
        for repetition_penalty in [0.0, -1.0, 10.5, f64::NAN, f64::INFINITY] {
            let message = Sampling { repetition_penalty, ..settings(1.0, 0.9) }.check().unwrap_err().to_string();
            assert!(message.starts_with("repetition_penalty"), "{message}");
        }
        for good in [settings(0.0, 1.0), settings(1.0, 0.9), settings(10.0, 1e-9)] {
            good.check().unwrap();
        }
    }

    /// As cold as a number can be, a temperature is the greedy choice and no loss of all weights.
    #[test]
    fn the_smallest_temperatures_are_greedy() {
        for temperature in [1e-6, 1e-38, 1e-39, 1e-300, f64::MIN_POSITIVE, 5e-324] {
            for uniform in [0.0, 0.5, 0.999_999] {
                let drawn = sampler(temperature, 0.9).draw(&[1.0, 4.0, 3.999, -9.0], &[], &[], uniform).unwrap();
                assert_eq!(drawn.token, 1, "{temperature} {uniform}");
            }
        }
    }

    #[test]
    fn greedy_takes_the_lowest_id_among_the_highest_allowed() {
        let drawn = sampler(0.0, 0.9).draw(&[1.0, 3.0, 3.0, 2.0], &[], &[], 0.99).unwrap();
        assert_eq!(drawn.token, 1);
        assert_eq!(sampler(0.0, 0.9).draw(&[1.0, 3.0, 3.0, 2.0], &[1], &[], 0.0).unwrap().token, 2);
        let total: f64 = [1.0f64, 3.0, 3.0, 2.0].iter().map(|l| (l - 3.0).exp()).sum();
        assert!((drawn.log_probability + total.ln()).abs() < 1e-6);
    }

    #[test]
    fn equal_tokens_enter_the_nucleus_by_lower_id() {
        // Ten equal tokens and top_p 0.3: exactly tokens 0, 1, 2 (3/10 of the mass), for every uniform number.
        let mut sampler = sampler(1.0, 0.3);
        let tokens: Vec<u32> =
            (0..30).map(|i| sampler.draw(&[0.5; 10], &[], &[], i as f64 / 30.0).unwrap().token).collect();
        assert_eq!(tokens.iter().max(), Some(&2));
        assert_eq!((tokens[0], tokens[9], tokens[10], tokens[29]), (0, 0, 1, 2));
    }

    #[test]
    fn a_broken_logit_is_named() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = sampler(1.0, 0.9).draw(&[0.0, value, 0.0], &[], &[], 0.5).unwrap_err();
            assert_eq!((bad.token, bad.value.to_bits()), (1, value.to_bits()));
        }
    }

    #[test]
    fn a_banned_token_is_never_drawn_even_when_it_weighs_all() {
        for (temperature, top_p) in [(1.0, 1.0), (1.0, 0.5), (0.1, 0.9), (0.0, 1.0)] {
            let mut sampler = sampler(temperature, top_p);
            for i in 0..50 {
                let drawn = sampler.draw(&[60.0, 1.0, 2.0], &[0], &[], i as f64 / 50.0).unwrap();
                assert_ne!(drawn.token, 0);
                assert!(drawn.log_probability < -50.0, "the denominator holds the banned token");
            }
        }
    }

    #[test]
    fn equals_of_the_kth_stay_and_one_too_low_does_not() {
        let mut sampler = Sampler::new(Sampling { top_k: 2, ..settings(1.0, 1.0) }).unwrap();
        let drawn: std::collections::BTreeSet<u32> =
            (0..100).map(|i| sampler.draw(&[2.0, 1.0, 0.9, 1.0], &[], &[], i as f64 / 100.0).unwrap().token).collect();
        assert_eq!(drawn, [0, 1, 3].into());
        // A banned token does not take a place among the k.
        let drawn: std::collections::BTreeSet<u32> =
            (0..100).map(|i| sampler.draw(&[2.0, 1.0, 0.9, 0.8], &[0], &[], i as f64 / 100.0).unwrap().token).collect();
        assert_eq!(drawn, [1, 2].into());
    }

    #[test]
    fn the_nucleus_is_a_share_of_what_top_k_left() {
        let logits: Vec<f32> = (0..10).map(|i| 0.3 - 0.1 * i as f32).collect();
        let mut sampler = Sampler::new(Sampling { top_k: 4, ..settings(1.0, 0.5) }).unwrap();
        let drawn: std::collections::BTreeSet<u32> =
            (0..100).map(|i| sampler.draw(&logits, &[], &[], i as f64 / 100.0).unwrap().token).collect();
        // Of the four the first two hold 55 %; of all ten they hold 27 %.
        assert_eq!(drawn, [0, 1].into());
    }

    #[test]
    fn a_seen_token_is_penalised_once_on_either_side_of_zero() {
        let greedy = |logits: &[f32], seen: &[&[u32]], repetition_penalty: f64| {
            let mut sampler = Sampler::new(Sampling { repetition_penalty, ..settings(0.0, 1.0) }).unwrap();
            sampler.draw(logits, &[], seen, 0.0).unwrap()
        };
        // 4 / 1.5 = 2.67 stays above 2 after one penalty, and would not after two.
        assert_eq!(greedy(&[4.0, 2.0], &[&[0, 0], &[0]], 1.5).token, 0);
        assert_eq!(greedy(&[4.0, 3.0], &[&[], &[0]], 1.5).token, 1);
        assert_eq!(greedy(&[-2.0, -2.5], &[&[0]], 1.5).token, 1);
        assert_eq!(greedy(&[-2.5, -2.0], &[&[0]], 0.5).token, 0);
        // The log-probability is the model's own.
        let total = 4.0f64.exp() + 3.0f64.exp();
        assert!((greedy(&[4.0, 3.0], &[&[0]], 1.5).log_probability - (3.0 - total.ln())).abs() < 1e-6);
        assert_eq!(greedy(&[f32::MIN, f32::MIN], &[&[0, 9]], 10.0).token, 0, "no infinity, and no token beyond");
    }

    #[test]
    fn frequencies_follow_the_nucleus() {
        let mut noise = random::stream(5, "logits", 0);
        let logits: Vec<f32> = (0..40).map(|_| (random::unit(noise.next_u64()) * 5.0) as f32).collect();
        for (temperature, top_p) in [(1.0, 1.0), (1.0, 0.9), (0.7, 0.8), (1.6, 0.95)] {
            let mut sampler = sampler(temperature, top_p);
            let draws = 40_000;
            let mut counts = vec![0u32; logits.len()];
            for _ in 0..draws {
                counts[sampler.draw(&logits, &[], &[], random::unit(noise.next_u64())).unwrap().token as usize] += 1;
            }
            let expected = reference(&logits, &[], &[], settings(temperature, top_p));
            let square: f64 = expected
                .iter()
                .map(|&(id, share)| {
                    (f64::from(counts[id as usize]) - share * f64::from(draws)).powi(2) / (share * f64::from(draws))
                })
                .sum();
            // Chi-squared with k degrees of freedom: mean k, standard deviation √(2k); the seed is fixed, 4 deviations is generous.
            let freedom = expected.len() as f64 - 1.0;
            assert!(square < freedom + 4.0 * (2.0 * freedom).sqrt(), "{temperature} {top_p}: {square} for {freedom}");
            let outside: u32 =
                counts.iter().sum::<u32>() - expected.iter().map(|&(id, _)| counts[id as usize]).sum::<u32>();
            assert_eq!(outside, 0, "drawn outside the nucleus");
        }
    }

    proptest! {
        /// Valid range: any finite logits within ±60 (beyond that weights underflow to 0), any vocabulary from 1 token on.
        #[test]
        fn draws_agree_with_a_full_sort(
            logits in prop::collection::vec(-60.0f32..60.0, 1..700),
            coarse in any::<bool>(), // rounded logits, hence many ties
            temperature in 0.05f64..3.0,
            top_p in prop_oneof![Just(1.0), 0.01f64..1.0],
            uniform in 0.0f64..1.0,
        ) {
            let logits: Vec<f32> = logits.iter().map(|l| if coarse { (l / 8.0).round() } else { l / 8.0 }).collect();
            let drawn = sampler(temperature, top_p).draw(&logits, &[], &[], uniform).unwrap();
            let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
            let log_probability = f64::from(logits[drawn.token as usize]) - total.ln();
            prop_assert!((drawn.log_probability - log_probability).abs() < 2e-6);

            // The drawn token's stretch of the cumulated shares holds the uniform number, up to what f32 weights (3e-7 each) move it.
            // Where the nucleus' mass meets top_p within that, it may end one token apart, and all stretches move by that token's
            // share: then a nucleus of a top_p next to it fits.
            let fits = |factor: f64| {
                let mut nucleus = reference(&logits, &[], &[], settings(temperature, (top_p * factor).min(1.0)));
                nucleus.sort_by_key(|&(id, _)| id);
                let mut low = 0.0;
                nucleus.iter().any(|&(id, share)| {
                    let stretch = (low - 1e-4)..=(low + share + 1e-4);
                    low += share;
                    id == drawn.token && stretch.contains(&uniform)
                })
            };
            prop_assert!(fits(1.0) || fits(1.0 - 1e-6) || fits(1.0 + 1e-6), "{:?} at {}", drawn, uniform);
        }

        /// All settings together. Valid range as above; the logits are multiples of 1/8, so that f32 and f64 agree on every tie of
        /// the k-th logit. A penalty moves them off that grid, but equal ones equally.
        #[test]
        fn every_restriction_agrees_with_a_full_sort(
            levels in prop::collection::vec(-24i16..24, 2..500),
            temperature in 0.3f64..2.0,
            top_p in prop_oneof![Just(1.0), 0.05f64..1.0],
            top_k in prop_oneof![Just(0usize), 1usize..600],
            min_p in prop_oneof![Just(0.0), 0.0f64..0.5],
            repetition_penalty in prop_oneof![Just(1.0), 0.5f64..2.0],
            seen in prop::collection::vec(0u32..500, 0..40),
            never in prop::collection::vec(0u32..500, 0..2),
            uniform in 0.0f64..1.0,
        ) {
            let logits: Vec<f32> = levels.iter().map(|&level| f32::from(level) / 8.0).collect();
            let settings = Sampling { temperature, top_p, top_k, min_p, repetition_penalty };
            let (prompt, document) = seen.split_at(seen.len() / 2);
            let mut sampler = Sampler::new(settings).unwrap();
            let drawn = sampler.draw(&logits, &never, &[prompt, document], uniform).unwrap();
            let mut left = reference(&logits, &never, &seen, settings);
            left.sort_by_key(|&(id, _)| id);
            let mut low = 0.0;
            let found = left.iter().find_map(|&(id, share)| {
                let stretch = (low, low + share);
                low += share;
                (id == drawn.token).then_some(stretch)
            });
            // As above; a token at the edge of min_p or the nucleus may stay in one and not in the other, which moves all shares
            // by its own. Such cases are told apart by settings that are a little looser and a little tighter.
            let edge = |factor: f64| {
                let near = Sampling { top_p: (top_p * factor).min(1.0), min_p: (min_p / factor).min(1.0), ..settings };
                reference(&logits, &never, &seen, near).len()
            };
            if edge(1.0 + 1e-5) == left.len() && edge(1.0 - 1e-5) == left.len() {
                let Some((low, high)) = found else { panic!("{} is not among {left:?}", drawn.token) };
                prop_assert!(low - 1e-4 <= uniform && uniform <= high + 1e-4, "{low} {uniform} {high}");
            }
        }

        /// Bins and one sorted bin find exactly the nucleus that sorting the same weights finds.
        #[test]
        fn the_nucleus_is_that_of_a_full_sort(
            levels in prop::collection::vec(-400i16..0, 1..3000), coarse in any::<bool>(), top_p in 0.001f64..0.999,
        ) {
            // Fine steps leave a few tokens a bin, coarse ones many equal tokens.
            let logits: Vec<f32> = levels.iter().map(|&l| if coarse { f32::from(l / 50) } else { f32::from(l) / 50.0 }).collect();
            let mut sampler = sampler(1.0, top_p);
            let total = weigh(&mut sampler.weights, &logits, logits.iter().copied().fold(f32::MIN, f32::max), 1.0);
            let mut all: Vec<(f32, u32)> = sampler.weights.iter().copied().zip(0..).collect();
            all.sort_by(heavier);
            let wanted = top_p * total;
            sampler.keep_nucleus(wanted);
            let mut kept: Vec<(f32, u32)> =
                sampler.weights.iter().copied().zip(0..).filter(|&(weight, _)| weight > 0.0).collect();
            kept.sort_by(heavier);
            prop_assert_eq!(&kept[..], &all[..kept.len()]);
            let mass = |tokens: &[(f32, u32)]| tokens.iter().map(|&(weight, _)| f64::from(weight)).sum::<f64>();
            // Sums in another order: apart by rounding in f64.
            prop_assert!(mass(&kept) >= wanted * (1.0 - 1e-12));
            prop_assert!(mass(&kept[..kept.len() - 1]) < wanted * (1.0 + 1e-12));
        }
    }
}
