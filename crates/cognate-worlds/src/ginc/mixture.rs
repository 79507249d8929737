//! Concepts together: which one a document has, and what one document tells of another.

use cognate_base::random;

use super::hmm::draw;
use super::{Hmm, Past};
use crate::{Error, Estimate, Result, log_sum_exp};

/// Hidden Markov models over the same symbols, each with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    concepts: Vec<Hmm>,
    /// ln P(c).
    log_prior: Vec<f64>,
}

impl Mixture {
    /// Every concept as likely as any other.
    ///
    /// # Panics
    /// Where there is no concept, or they differ in symbols.
    pub fn uniform(concepts: Vec<Hmm>) -> Self {
        assert!(!concepts.is_empty(), "a mixture of no concepts");
        assert!(concepts.iter().all(|hmm| hmm.symbols() == concepts[0].symbols()), "concepts of different symbols");
        let log_prior = vec![-(concepts.len() as f64).ln(); concepts.len()];
        Self { concepts, log_prior }
    }

    /// The models.
    pub fn concepts(&self) -> &[Hmm] {
        &self.concepts
    }

    /// Draws document `number` of `purpose`: its concept and its symbols.
    pub fn sample(&self, length: usize, seed: u64, purpose: &str, number: u64) -> (usize, Vec<u32>) {
        let mut rng = random::stream(seed, purpose, number);
        let prior: Vec<f64> = self.log_prior.iter().map(|p| p.exp()).collect();
        let concept = draw(&prior, &mut rng);
        let hmm = &self.concepts[concept];
        let states = hmm.sample(length, &mut rng);
        (concept, states.into_iter().map(|state| hmm.symbol(state as usize)).collect())
    }

    /// ln P(document | c) for every concept.
    pub fn log_likelihoods(&self, document: &[u32]) -> Vec<f64> {
        self.concepts.iter().map(|hmm| hmm.log_likelihood(document)).collect()
    }

    /// ln P(document) = ln Σ P(document | c) P(c).
    pub fn log_marginal(&self, document: &[u32]) -> f64 {
        log_sum_exp(&self.joint(document))
    }

    /// ln P(c | document) for every concept. The prior where the document is impossible under all.
    pub fn log_posterior(&self, document: &[u32]) -> Vec<f64> {
        let joint = self.joint(document);
        let total = log_sum_exp(&joint);
        if total == f64::NEG_INFINITY {
            return self.log_prior.clone();
        }
        joint.into_iter().map(|x| x - total).collect()
    }

    /// ln P(second | first) = ln Σ P(second | c) P(c | first): two documents are independent given their concept.
    pub fn log_conditional(&self, second: &[u32], first: &[u32]) -> f64 {
        let likelihoods = self.log_likelihoods(second);
        let posterior = self.log_posterior(first);
        log_sum_exp(&likelihoods.iter().zip(posterior).map(|(likelihood, p)| likelihood + p).collect::<Vec<_>>())
    }

    fn joint(&self, document: &[u32]) -> Vec<f64> {
        self.log_likelihoods(document).into_iter().zip(&self.log_prior).map(|(likelihood, p)| likelihood + p).collect()
    }

    /// The distribution of the symbol that follows `document`, `[symbols]`.
    ///
    /// # Errors
    /// When the document is impossible.
    pub fn next(&self, document: &[u32]) -> Result<Vec<f64>> {
        let mut next = vec![0.0; self.concepts[0].symbols()];
        if self.log_marginal(document) == f64::NEG_INFINITY {
            return Err(Error::dial("document", "one that the world can write", "an impossible one"));
        }
        for (hmm, log_p) in self.concepts.iter().zip(self.log_posterior(document)) {
            let mut past = Past::new(hmm);
            document.iter().for_each(|&symbol| {
                past.see(symbol);
            });
            next.iter_mut().zip(past.next()).for_each(|(total, p)| *total += log_p.exp() * p);
        }
        Ok(next)
    }

    /// Mean −ln P(document) a symbol over `n` documents of `length` symbols: what a predictor that knows the world loses, in nats. It
    /// falls with the length towards the entropy rate, as the concept becomes known.
    pub fn loss(&self, length: usize, n: usize, seed: u64) -> Estimate {
        let loss = |number| {
            let (_, document) = self.sample(length, seed, "ginc loss", number);
            -self.log_marginal(&document) / length as f64
        };
        Estimate::of(&(0..n as u64).map(loss).collect::<Vec<_>>())
    }

    /// The entropy rate in nats a symbol, averaged over concepts: mean −ln P(second half | first half, c) a symbol over `n` documents of
    /// `length` symbols. For a finite length it is an upper bound, which the length brings down.
    pub fn entropy_rate(&self, length: usize, n: usize, seed: u64) -> Estimate {
        let loss = |number| {
            let (concept, document) = self.sample(length, seed, "ginc entropy rate", number);
            let hmm = &self.concepts[concept];
            let half = length / 2;
            let second_half = hmm.log_likelihood(&document) - hmm.log_likelihood(&document[..half]);
            -second_half / (length - half) as f64
        };
        Estimate::of(&(0..n as u64).map(loss).collect::<Vec<_>>())
    }

    /// Mutual information of two documents of one concept, of `length` symbols each, in nats: mean ln P(d2 | d1) − ln P(d2) over `n`
    /// pairs. It is at most the entropy of the concept.
    pub fn mutual_information(&self, length: usize, n: usize, seed: u64) -> Estimate {
        let gain = |number: u64| {
            let (concept, first) = self.sample(length, seed, "ginc first of a pair", number);
            let hmm = &self.concepts[concept];
            let states = hmm.sample(length, &mut random::stream(seed, "ginc second of a pair", number));
            let second: Vec<u32> = states.into_iter().map(|state| hmm.symbol(state as usize)).collect();
            self.log_conditional(&second, &first) - self.log_marginal(&second)
        };
        Estimate::of(&(0..n as u64).map(gain).collect::<Vec<_>>())
    }
}
