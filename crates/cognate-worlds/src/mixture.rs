//! Concepts together: which one a document of symbols has, and what one document tells of another.

use cognate_base::random::{self, ChaCha8Rng};
use cognate_base::{Interrupted, Monitor};

use crate::draws::draw;
use cognate_statistics::{Estimate, mean};

use crate::{Error, Result, log_sum_exp};

/// A distribution over documents of symbols, whose probabilities are known exactly.
pub trait Concept {
    /// How many symbols there are.
    fn symbols(&self) -> usize;
    /// Draws a document of `length` symbols.
    fn sample(&self, length: usize, rng: &mut ChaCha8Rng) -> Vec<u32>;
    /// ln P(document); −∞ where it is impossible.
    fn log_likelihood(&self, document: &[u32]) -> f64;
    /// The distribution of the symbol that follows `document`, `[symbols]`; all 0 after an impossible one.
    fn next(&self, document: &[u32]) -> Vec<f64>;
    /// ln P(document) where a symbol is a slip with probability `slip`, and then any symbol. After a slip that the concept could not have
    /// written, it goes on from that symbol.
    fn log_likelihood_with_slips(&self, document: &[u32], slip: f64) -> f64;
}

/// Concepts over the same symbols, each with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture<C> {
    concepts: Vec<C>,
    /// ln P(c).
    log_prior: Vec<f64>,
}

impl<C: Concept> Mixture<C> {
    /// Every concept as likely as any other.
    ///
    /// # Panics
    /// Where there is no concept, or they differ in symbols.
    pub fn uniform(concepts: Vec<C>) -> Self {
        assert!(!concepts.is_empty(), "a mixture of no concepts");
        assert!(
            concepts.iter().all(|concept| concept.symbols() == concepts[0].symbols()),
            "concepts of different symbols"
        );
        let log_prior = vec![-(concepts.len() as f64).ln(); concepts.len()];
        Self { concepts, log_prior }
    }

    /// The concepts.
    pub fn concepts(&self) -> &[C] {
        &self.concepts
    }

    /// Draws document `number` of `purpose`: its concept and its symbols.
    pub fn sample(&self, length: usize, seed: u64, purpose: &str, number: u64) -> (usize, Vec<u32>) {
        let mut rng = random::stream(seed, purpose, number);
        let prior: Vec<f64> = self.log_prior.iter().map(|p| p.exp()).collect();
        let concept = draw(&prior, &mut rng);
        let document = self.concepts[concept].sample(length, &mut rng);
        (concept, document)
    }

    /// ln P(document | c) for every concept.
    pub fn log_likelihoods(&self, document: &[u32]) -> Vec<f64> {
        self.concepts.iter().map(|concept| concept.log_likelihood(document)).collect()
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

    /// P(c | document) for every concept, to a reader who allows for slips.
    pub fn posterior_with_slips(&self, document: &[u32], slip: f64) -> Vec<f64> {
        let joint = self.concepts.iter().zip(&self.log_prior);
        let joint: Vec<f64> = joint.map(|(c, p)| c.log_likelihood_with_slips(document, slip) + p).collect();
        let total = log_sum_exp(&joint);
        joint.into_iter().map(|x| (x - total).exp()).collect()
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
        for (concept, log_p) in self.concepts.iter().zip(self.log_posterior(document)) {
            next.iter_mut().zip(concept.next(document)).for_each(|(total, p)| *total += log_p.exp() * p);
        }
        Ok(next)
    }

    /// Mean −ln P(document) a symbol over `n` documents of `length` symbols: what a predictor that knows the world loses, in nats. It
    /// falls with the length towards the entropy rate, as the concept becomes known.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn loss(
        &self,
        length: usize,
        n: usize,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Estimate, Interrupted> {
        let loss = |number: u64| {
            let (_, document) = self.sample(length, seed, "mixture loss", number);
            -self.log_marginal(&document) / length as f64
        };
        estimate(n, loss, monitor)
    }

    /// The entropy rate in nats a symbol, averaged over concepts: mean −ln P(second half | first half, c) a symbol over `n` documents of
    /// `length` symbols. For a finite length it is an upper bound, which the length brings down.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn entropy_rate(
        &self,
        length: usize,
        n: usize,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Estimate, Interrupted> {
        let loss = |number: u64| {
            let (concept, document) = self.sample(length, seed, "mixture entropy rate", number);
            let concept = &self.concepts[concept];
            let half = length / 2;
            let second_half = concept.log_likelihood(&document) - concept.log_likelihood(&document[..half]);
            -second_half / (length - half) as f64
        };
        estimate(n, loss, monitor)
    }

    /// Mutual information of two documents of one concept, of `length` symbols each, in nats: mean ln P(d2 | d1) − ln P(d2) over `n`
    /// pairs. It is at most the entropy of the concept.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn mutual_information(
        &self,
        length: usize,
        n: usize,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Estimate, Interrupted> {
        let gain = |number: u64| {
            let (concept, first) = self.sample(length, seed, "mixture first of a pair", number);
            let second =
                self.concepts[concept].sample(length, &mut random::stream(seed, "mixture second of a pair", number));
            self.log_conditional(&second, &first) - self.log_marginal(&second)
        };
        estimate(n, gain, monitor)
    }
}

/// A mean over samples, by number.
fn estimate(
    n: usize,
    sample: impl Fn(u64) -> f64,
    monitor: &dyn Monitor,
) -> std::result::Result<Estimate, Interrupted> {
    let checked = |number| monitor.check().map(|()| sample(number));
    let samples = (0..n as u64).map(checked).collect::<std::result::Result<Vec<f64>, _>>()?;
    Ok(mean(samples.into_iter()))
}
