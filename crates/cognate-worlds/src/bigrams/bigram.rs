//! One sparse contextual bigram: exact next tokens, likelihoods and Bayes loss.

use cognate_base::random::ChaCha8Rng;

use crate::draws::{distribution, draw};
use crate::{Concept, Error, Result};

/// A sparse contextual bigram.
#[derive(Clone, Debug, PartialEq)]
pub struct Bigram {
    window: usize,
    start: Vec<f64>,
    transitions: Vec<f64>,
    attention: Vec<f64>,
    /// The positions that matter for each last token, with their weights.
    sparse: Vec<Vec<(usize, f64)>>,
}

impl Bigram {
    /// Of the distribution of each of the first `window + 1` tokens `[symbols]`, transitions `[symbols × symbols]`, and for each last token
    /// a distribution over the window's positions, earliest first, `[symbols × window]`.
    ///
    /// # Errors
    /// When an array has another length than the others ask for, or probabilities are negative or do not sum to 1.
    pub fn new(window: usize, start: Vec<f64>, transitions: Vec<f64>, attention: Vec<f64>) -> Result<Self> {
        let symbols = start.len();
        let shapes =
            [("transitions", symbols * symbols, transitions.len()), ("attention", symbols * window, attention.len())];
        for (what, expected, found) in shapes {
            if expected != found || found == 0 {
                return Err(Error::Shape { what, expected, found });
            }
        }
        distribution(|| "the start distribution".to_owned(), &start)?;
        for (from, row) in transitions.chunks_exact(symbols).enumerate() {
            distribution(|| format!("the transitions of token {from}"), row)?;
        }
        for (last, row) in attention.chunks_exact(window).enumerate() {
            distribution(|| format!("the positions of token {last}"), row)?;
        }
        let matter = |row: &[f64]| row.iter().copied().enumerate().filter(|(_, weight)| *weight > 0.0).collect();
        let sparse = attention.chunks_exact(window).map(matter).collect();
        Ok(Self { window, start, transitions, attention, sparse })
    }

    /// Positions before the last token that may matter.
    pub fn window(&self) -> usize {
        self.window
    }

    /// The distribution μ of the first tokens, `[symbols]`.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// P: from a token (row) to the next, `[symbols × symbols]`.
    pub fn transitions(&self) -> &[f64] {
        &self.transitions
    }

    /// q: for each last token (row) the weights of the window's positions, earliest first, `[symbols × window]`.
    pub fn attention(&self) -> &[f64] {
        &self.attention
    }

    /// P(to | the tokens `past`), of which the last `window + 1` matter.
    fn probability(&self, past: &[u32], to: u32) -> f64 {
        let Some((&last, before)) = past.split_last() else { return self.start[to as usize] };
        let Some(first) = before.len().checked_sub(self.window) else { return self.start[to as usize] };
        let symbols = self.start.len();
        let weighted = |&(position, weight): &(usize, f64)| {
            weight * self.transitions[before[first + position] as usize * symbols + to as usize]
        };
        self.sparse[last as usize].iter().map(weighted).sum()
    }

    fn is_known(&self, document: &[u32]) -> bool {
        document.iter().all(|&symbol| (symbol as usize) < self.start.len())
    }

    /// The Bayes loss of the paper's setting in nats, exactly: the entropy of the token behind `window + 1` drawn from the start distribution, to
    /// who knows the model. `None` where more than `most` contexts would have to be gone through.
    pub fn bayes_loss(&self, most: u64) -> Option<f64> {
        let symbols = self.start.len();
        let contexts = |matter: &Vec<(usize, f64)>| (symbols as u64).checked_pow(u32::try_from(matter.len()).ok()?);
        let total = self.sparse.iter().try_fold(0u64, |sum, matter| sum.checked_add(contexts(matter)?))?;
        if total > most {
            return None;
        }
        let mut loss = 0.0;
        for (matter, p_last) in self.sparse.iter().zip(&self.start) {
            loss += p_last * self.entropy(matter, 1.0, &vec![0.0; symbols]);
        }
        Some(loss)
    }

    /// Σ over the tokens at the remaining positions of their probability and the entropy of what follows.
    fn entropy(&self, matter: &[(usize, f64)], p: f64, next: &[f64]) -> f64 {
        let Some(((_, weight), rest)) = matter.split_first() else {
            return -p * next.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        };
        let rows = self.transitions.chunks_exact(next.len());
        let with = |(row, p_token): (&[f64], &f64)| {
            let next: Vec<f64> = next.iter().zip(row).map(|(next, p)| next + weight * p).collect();
            self.entropy(rest, p * p_token, &next)
        };
        rows.zip(&self.start).map(with).sum()
    }
}

impl Concept for Bigram {
    fn symbols(&self) -> usize {
        self.start.len()
    }

    fn sample(&self, length: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut document: Vec<u32> = Vec::with_capacity(length);
        for _ in 0..length {
            let next: Vec<f64> = (0..self.start.len() as u32).map(|to| self.probability(&document, to)).collect();
            document.push(draw(&next, rng) as u32);
        }
        document
    }

    fn log_likelihood(&self, document: &[u32]) -> f64 {
        if !self.is_known(document) {
            return f64::NEG_INFINITY;
        }
        (0..document.len()).map(|place| self.probability(&document[..place], document[place]).ln()).sum()
    }

    fn log_likelihood_with_slips(&self, document: &[u32], slip: f64) -> f64 {
        let any = slip / self.start.len() as f64;
        let p = |place: usize| self.probability(&document[..place], document[place]);
        (0..document.len()).map(|place| ((1.0 - slip) * p(place) + any).ln()).sum()
    }

    fn next(&self, document: &[u32]) -> Vec<f64> {
        if self.log_likelihood(document) == f64::NEG_INFINITY {
            return vec![0.0; self.start.len()];
        }
        (0..self.start.len() as u32).map(|to| self.probability(document, to)).collect()
    }
}

/// The distribution that transitions `[symbols × symbols]` leave as it is. All of their entries are above 0, so there is one.
pub(super) fn stationary(transitions: &[f64], symbols: usize) -> Vec<f64> {
    let mut start = vec![1.0 / symbols as f64; symbols];
    for _ in 0..MOST_ITERATIONS {
        let mut next = vec![0.0; symbols];
        for (p, row) in start.iter().zip(transitions.chunks_exact(symbols)) {
            next.iter_mut().zip(row).for_each(|(total, x)| *total += p * x);
        }
        let sum: f64 = next.iter().sum();
        next.iter_mut().for_each(|p| *p /= sum);
        let moved: f64 = next.iter().zip(&start).map(|(a, b)| (a - b).abs()).sum();
        start = next;
        if moved < 1e-15 {
            break;
        }
    }
    start
}

/// Steps of the power iteration at most.
const MOST_ITERATIONS: usize = 10_000;
