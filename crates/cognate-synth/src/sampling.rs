//! From logits to one token: temperature and nucleus sampling, and the token's log-probability under the model.
//!
//! With logits l over the vocabulary and temperature t, token i weighs w_i = exp((l_i − max l) / t). Nucleus sampling (Holtzman
//! et al. 2020, arXiv 1904.09751) keeps the smallest set of heaviest tokens whose share of Σw reaches `top_p`; among equal
//! weights the lower id goes first. One uniform number then picks a token by inverting the weights that are left, cumulated in
//! the order of ids. There is no randomness in here and no order of threads: the same logits and the same number give the same
//! token.
//!
//! The vocabulary is never sorted. The weights are summed by size into bins of a thirty-second of an octave; walking down the
//! bins finds the one in which the nucleus ends, and only the tokens of that bin, a few percent, are sorted.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Above this temperature the choice is all but uniform over the vocabulary: surely a slip.
const MAX_TEMPERATURE: f64 = 10.0;

/// Bits of an f32 below those that number its bin: the exponent and five bits of the fraction are left.
const BIN_SHIFT: u32 = 18;

/// Bins of weights from 0 to 1.
const BINS: usize = (1.0f32.to_bits() >> BIN_SHIFT) as usize + 1;

/// Tokens summed together, so that picking one walks over blocks first.
const BLOCK: usize = 256;

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits. 1 is the model's own distribution, 0 always takes the most probable token.
    pub temperature: f64,
    /// The share of probability that the nucleus must hold, in (0, 1]; 1 keeps every token.
    pub top_p: f64,
}

impl Sampling {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`] for a temperature outside [0, 10] or a `top_p` outside (0, 1], NaN included.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=MAX_TEMPERATURE).contains(&self.temperature) {
            let expected = "a number from 0 (always the most probable token) to 10";
            return Err(Error::setting("temperature", self.temperature, expected));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::setting("top_p", self.top_p, "a share above 0 and at most 1 (1 keeps every token)"));
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
}

impl Sampler {
    /// A sampler for checked settings.
    ///
    /// # Errors
    /// As [`Sampling::check`].
    pub fn new(sampling: Sampling) -> Result<Self> {
        sampling.check()?;
        Ok(Self { sampling, weights: Vec::new(), bins: Vec::new(), border: Vec::new() })
    }

    /// Draws one token. `logits` holds one number per token of the vocabulary, `uniform` lies in [0, 1). A token in `never` is
    /// not drawn (it still counts in the denominator of the log-probability); at least one token must remain.
    ///
    /// # Errors
    /// When a logit is NaN or infinite.
    pub fn draw(&mut self, logits: &[f32], never: &[u32], uniform: f64) -> Result<Drawn, BadLogit> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(BadLogit { token: token as u32, value: logits[token] });
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let plain_total = weigh(&mut self.weights, logits, highest, 1.0);
        let token = if self.sampling.temperature == 0.0 {
            most_probable(logits, never)
        } else {
            let total = self.restrict(logits, never, highest, plain_total);
            if self.sampling.top_p < 1.0 {
                self.keep_nucleus(self.sampling.top_p * total);
            }
            self.pick(uniform)
        };
        let log_probability = f64::from(logits[token as usize]) - f64::from(highest) - plain_total.ln();
        Ok(Drawn { token, log_probability })
    }

    /// Turns the weights of temperature 1 over the whole vocabulary into those at the set temperature over the allowed tokens;
    /// returns their sum.
    fn restrict(&mut self, logits: &[f32], never: &[u32], highest: f32, plain_total: f64) -> f64 {
        // Where a banned token is the highest, the others are measured from their own highest: they must not all underflow.
        let banned_highest = never.iter().any(|&id| logits.get(id as usize) == Some(&highest));
        let top = if banned_highest { logits[most_probable(logits, never) as usize] } else { highest };
        let mut total = plain_total;
        if self.sampling.temperature != 1.0 || banned_highest {
            total = weigh(&mut self.weights, logits, top, self.sampling.temperature);
        }
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
    let scale = (1.0 / temperature) as f32;
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
        Sampling { temperature, top_p }
    }

    fn sampler(temperature: f64, top_p: f64) -> Sampler {
        Sampler::new(settings(temperature, top_p)).unwrap()
    }

    /// The nucleus with its shares, heaviest first: everything in f64, everything sorted.
    fn reference(logits: &[f32], never: &[u32], sampling: Sampling) -> Vec<(u32, f64)> {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut all: Vec<(u32, f64)> = (0..logits.len() as u32)
            .filter(|id| !never.contains(id))
            .map(|id| (id, (f64::from(logits[id as usize] - highest) / sampling.temperature).exp()))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let total: f64 = all.iter().map(|(_, w)| w).sum();
        let mut mass = 0.0;
        let mut nucleus = Vec::new();
        for (id, weight) in all {
            if mass >= sampling.top_p * total {
                break;
            }
            mass += weight;
            nucleus.push((id, weight));
        }
        nucleus.iter().map(|&(id, weight)| (id, weight / mass)).collect()
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
        for good in [settings(0.0, 1.0), settings(1.0, 0.9), settings(10.0, 1e-9)] {
            good.check().unwrap();
        }
    }

    #[test]
    fn greedy_takes_the_lowest_id_among_the_highest_allowed() {
        let drawn = sampler(0.0, 0.9).draw(&[1.0, 3.0, 3.0, 2.0], &[], 0.99).unwrap();
        assert_eq!(drawn.token, 1);
        assert_eq!(sampler(0.0, 0.9).draw(&[1.0, 3.0, 3.0, 2.0], &[1], 0.0).unwrap().token, 2);
        let total: f64 = [1.0f64, 3.0, 3.0, 2.0].iter().map(|l| (l - 3.0).exp()).sum();
        assert!((drawn.log_probability + total.ln()).abs() < 1e-6);
    }

    #[test]
    fn equal_tokens_enter_the_nucleus_by_lower_id() {
        // Ten equal tokens and top_p 0.3: exactly tokens 0, 1, 2 (3/10 of the mass), for every uniform number.
        let mut sampler = sampler(1.0, 0.3);
        let tokens: Vec<u32> = (0..30).map(|i| sampler.draw(&[0.5; 10], &[], i as f64 / 30.0).unwrap().token).collect();
        assert_eq!(tokens.iter().max(), Some(&2));
        assert_eq!((tokens[0], tokens[9], tokens[10], tokens[29]), (0, 0, 1, 2));
    }

    #[test]
    fn a_broken_logit_is_named() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bad = sampler(1.0, 0.9).draw(&[0.0, value, 0.0], &[], 0.5).unwrap_err();
            assert_eq!((bad.token, bad.value.to_bits()), (1, value.to_bits()));
        }
    }

    #[test]
    fn a_banned_token_is_never_drawn_even_when_it_weighs_all() {
        for (temperature, top_p) in [(1.0, 1.0), (1.0, 0.5), (0.1, 0.9), (0.0, 1.0)] {
            let mut sampler = sampler(temperature, top_p);
            for i in 0..50 {
                let drawn = sampler.draw(&[60.0, 1.0, 2.0], &[0], i as f64 / 50.0).unwrap();
                assert_ne!(drawn.token, 0);
                assert!(drawn.log_probability < -50.0, "the denominator holds the banned token");
            }
        }
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
                counts[sampler.draw(&logits, &[], random::unit(noise.next_u64())).unwrap().token as usize] += 1;
            }
            let expected = reference(&logits, &[], settings(temperature, top_p));
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
            let drawn = sampler(temperature, top_p).draw(&logits, &[], uniform).unwrap();
            let total: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
            let log_probability = f64::from(logits[drawn.token as usize]) - total.ln();
            prop_assert!((drawn.log_probability - log_probability).abs() < 2e-6);

            let mut nucleus = reference(&logits, &[], settings(temperature, top_p));
            nucleus.sort_by_key(|&(id, _)| id);
            // The drawn token's stretch of the cumulated shares holds the uniform number. Weights are f32 (3e-7 each), and the
            // nucleus may end one token apart when its mass meets top_p within that: hence the slack, relative to 1.
            let mut low = 0.0;
            let found = nucleus.iter().find_map(|&(id, share)| {
                let stretch = (low, low + share);
                low += share;
                (id == drawn.token).then_some(stretch)
            });
            let slack = 1e-4;
            match found {
                Some((low, high)) => prop_assert!(low - slack <= uniform && uniform <= high + slack, "{low} {uniform} {high}"),
                None => {
                    let wider = settings(temperature, (top_p * 1.00001).min(1.0));
                    prop_assert!(reference(&logits, &[], wider).iter().any(|&(id, _)| id == drawn.token));
                }
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
