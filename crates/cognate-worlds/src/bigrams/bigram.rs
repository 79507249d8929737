//! One sparse contextual bigram: exact next tokens, likelihoods and Bayes loss.

use std::sync::Arc;

use cognate_base::random::ChaCha8Rng;
use cognate_base::{Interrupted, Monitor};

use crate::draws::{distribution, draw};
use crate::{Concept, Error, Result};

/// A sparse contextual bigram.
#[derive(Clone, Debug, PartialEq)]
pub struct Bigram {
    window: usize,
    start: Vec<f64>,
    /// Shared by the concepts of a world.
    transitions: Arc<[f64]>,
    attention: Vec<f64>,
    /// The positions that matter for each last token, with their weights.
    sparse: Vec<Vec<(usize, f64)>>,
}

/// Checks an array's length.
fn shape(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found && found > 0 { Ok(()) } else { Err(Error::Shape { what, expected, found }) }
}

/// The bigrams of a world, which differ in their attentions alone, as [`Bigram::new`] makes each.
///
/// # Errors
/// As [`Bigram::new`], and when the user interrupts.
pub(crate) fn sharing(
    window: usize,
    start: Vec<f64>,
    transitions: Vec<f64>,
    attentions: impl IntoIterator<Item = Vec<f64>>,
    monitor: &dyn Monitor,
) -> Result<Vec<Bigram>> {
    let (mut attentions, mut bigrams) = (attentions.into_iter(), Vec::new());
    if let Some(first) = attentions.next() {
        bigrams.push(Bigram::new(window, start, transitions, first)?);
    }
    for attention in attentions {
        monitor.check()?;
        let next = bigrams[0].attending(attention)?;
        bigrams.push(next);
    }
    Ok(bigrams)
}

impl Bigram {
    /// Of the distribution of each of the first `window + 1` tokens `[symbols]`, transitions `[symbols × symbols]`, and for each last token
    /// a distribution over the window's positions, earliest first, `[symbols × window]`.
    ///
    /// # Errors
    /// When an array has another length than the others ask for, or probabilities are negative or do not sum to 1.
    pub fn new(window: usize, start: Vec<f64>, transitions: Vec<f64>, attention: Vec<f64>) -> Result<Self> {
        let symbols = start.len();
        shape("transitions", symbols * symbols, transitions.len())?;
        distribution(|| "the start distribution".to_owned(), &start)?;
        for (from, row) in transitions.chunks_exact(symbols).enumerate() {
            distribution(|| format!("the transitions of token {from}"), row)?;
        }
        let without =
            Self { window, start, transitions: transitions.into(), attention: Vec::new(), sparse: Vec::new() };
        without.attending(attention)
    }

    /// The same start and transitions with another attention.
    fn attending(&self, attention: Vec<f64>) -> Result<Self> {
        shape("attention", self.symbols() * self.window, attention.len())?;
        for (last, row) in attention.chunks_exact(self.window).enumerate() {
            distribution(|| format!("the positions of token {last}"), row)?;
        }
        let matter = |row: &[f64]| row.iter().copied().enumerate().filter(|(_, weight)| *weight > 0.0).collect();
        let sparse = attention.chunks_exact(self.window).map(matter).collect();
        let (start, transitions) = (self.start.clone(), Arc::clone(&self.transitions));
        Ok(Self { window: self.window, start, transitions, attention, sparse })
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
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn bayes_loss(&self, most: u64, monitor: &dyn Monitor) -> std::result::Result<Option<f64>, Interrupted> {
        let symbols = self.start.len();
        let contexts = |matter: &Vec<(usize, f64)>| (symbols as u64).checked_pow(u32::try_from(matter.len()).ok()?);
        let total = self.sparse.iter().try_fold(0u64, |sum, matter| sum.checked_add(contexts(matter)?));
        if total.is_none_or(|total| total > most) {
            return Ok(None);
        }
        let mut loss = 0.0;
        for (matter, p_last) in self.sparse.iter().zip(&self.start) {
            loss += p_last * self.entropy(matter, 1.0, &vec![0.0; symbols], monitor)?;
        }
        Ok(Some(loss))
    }

    /// Σ over the tokens at the remaining positions of their probability and the entropy of what follows.
    fn entropy(
        &self,
        matter: &[(usize, f64)],
        p: f64,
        next: &[f64],
        monitor: &dyn Monitor,
    ) -> std::result::Result<f64, Interrupted> {
        let Some(((_, weight), rest)) = matter.split_first() else {
            return Ok(-p * next.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>());
        };
        monitor.check()?;
        let rows = self.transitions.chunks_exact(next.len());
        let with = |(row, p_token): (&[f64], &f64)| {
            let next: Vec<f64> = next.iter().zip(row).map(|(next, p)| next + weight * p).collect();
            self.entropy(rest, p * p_token, &next, monitor)
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
///
/// # Errors
/// When the user interrupts.
pub(super) fn stationary(
    transitions: &[f64],
    symbols: usize,
    monitor: &dyn Monitor,
) -> std::result::Result<Vec<f64>, Interrupted> {
    // Rows of a low temperature, with which it takes long to settle, are rounded to 0 nearly everywhere.
    let above_0 = |row: &[f64]| row.iter().copied().enumerate().filter(|(_, p)| *p > 0.0).collect();
    let rows: Vec<Vec<(usize, f64)>> = transitions.chunks_exact(symbols).map(above_0).collect();
    let mut start = vec![1.0 / symbols as f64; symbols];
    for _ in 0..MOST_ITERATIONS {
        monitor.check()?;
        let mut next = vec![0.0; symbols];
        for (p, row) in start.iter().zip(&rows) {
            row.iter().for_each(|&(to, x)| next[to] += p * x);
        }
        let sum: f64 = next.iter().sum();
        next.iter_mut().for_each(|p| *p /= sum);
        let moved: f64 = next.iter().zip(&start).map(|(a, b)| (a - b).abs()).sum();
        start = next;
        if moved < 1e-15 {
            break;
        }
    }
    Ok(start)
}

/// Steps of the power iteration at most.
const MOST_ITERATIONS: usize = 10_000;
