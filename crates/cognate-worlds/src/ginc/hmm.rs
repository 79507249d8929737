//! A hidden Markov model whose states each emit one symbol, and its forward algorithm.

use cognate_base::random::ChaCha8Rng;

use crate::draws::{distribution, draw};
use crate::{Concept, Error, Result};

/// A hidden Markov model: a start distribution, transitions, and the symbol of each state.
#[derive(Clone, Debug, PartialEq)]
pub struct Hmm {
    /// Probability of beginning in a state, `[states]`.
    start: Vec<f64>,
    /// Probability of going from a state (row) to another, `[states × states]`.
    transitions: Vec<f64>,
    /// The symbol of each state, `[states]`.
    emissions: Vec<u32>,
    /// The states of each symbol, `[symbols]`.
    states_of: Vec<Vec<u32>>,
}

impl Hmm {
    /// A model of `symbols` symbols.
    ///
    /// # Errors
    /// When an array has another length than the states ask for, a symbol is unknown, or probabilities are negative or do not sum
    /// to 1.
    pub fn new(start: Vec<f64>, transitions: Vec<f64>, emissions: Vec<u32>, symbols: usize) -> Result<Self> {
        let states = start.len();
        let shapes = [("transitions", states * states, transitions.len()), ("emissions", states, emissions.len())];
        for (what, expected, found) in shapes {
            if expected != found {
                return Err(Error::Shape { what, expected, found });
            }
        }
        distribution(|| "the start distribution".to_owned(), &start)?;
        for (state, row) in transitions.chunks_exact(states).enumerate() {
            distribution(|| format!("the transitions of state {state}"), row)?;
        }
        let mut states_of = vec![Vec::new(); symbols];
        for (state, &symbol) in emissions.iter().enumerate() {
            let states = states_of.get_mut(symbol as usize);
            let unknown = || Error::dial("emissions", format!("symbols from 0 to {}", symbols - 1), symbol);
            states.ok_or_else(unknown)?.push(state as u32);
        }
        Ok(Self { start, transitions, emissions, states_of })
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.start.len()
    }

    /// The probability of beginning in each state.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// The transitions, `[states × states]`, row by row.
    pub fn transitions(&self) -> &[f64] {
        &self.transitions
    }

    /// The symbol that `state` emits.
    pub fn symbol(&self, state: usize) -> u32 {
        self.emissions[state]
    }

    /// The probability of beginning in `state`.
    pub fn start_of(&self, state: usize) -> f64 {
        self.start[state]
    }

    /// The probabilities of going from `state` to each state.
    pub fn row(&self, state: usize) -> &[f64] {
        &self.transitions[state * self.states()..][..self.states()]
    }

    /// Draws the states of a document of `length` symbols.
    pub fn sample_states(&self, length: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut states: Vec<u32> = Vec::with_capacity(length);
        for _ in 0..length {
            let from = states.last().map_or(&self.start[..], |&state| self.row(state as usize));
            states.push(draw(from, rng) as u32);
        }
        states
    }
}

impl Concept for Hmm {
    fn symbols(&self) -> usize {
        self.states_of.len()
    }

    fn sample(&self, length: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
        self.sample_states(length, rng).into_iter().map(|state| self.symbol(state as usize)).collect()
    }

    /// By the forward algorithm with its sum brought to 1 at every symbol.
    ///
    /// The sums of each step are at most `states` products, so the relative error of the result's exponential is below
    /// `length · states` units of 2⁻⁵².
    fn log_likelihood(&self, document: &[u32]) -> f64 {
        let mut past = Past::new(self);
        document.iter().map(|&symbol| past.see(symbol)).sum()
    }

    fn next(&self, document: &[u32]) -> Vec<f64> {
        let mut past = Past::new(self);
        for &symbol in document {
            past.see(symbol);
        }
        past.next()
    }

    /// The hidden state goes on as if the slip had not been where its symbol may come next, and is any that emits it where it may not.
    fn log_likelihood_with_slips(&self, document: &[u32], slip: f64) -> f64 {
        let mut past = Past::new(self);
        let any = slip / self.states_of.len() as f64;
        let mut sum = 0.0;
        for &symbol in document {
            let p = past.see(symbol).exp();
            if p == 0.0 {
                past = past.anew(symbol);
            }
            sum += ((1.0 - slip) * p + any).ln();
        }
        sum
    }
}

/// What is known of the hidden state after the symbols so far.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    hmm: &'a Hmm,
    /// The possible states with their probabilities given all symbols so far; `None` before the first.
    states: Option<Vec<(u32, f64)>>,
}

impl<'a> Past<'a> {
    /// Before the first symbol.
    pub fn new(hmm: &'a Hmm) -> Self {
        Self { hmm, states: None }
    }

    /// As if the state before the next symbol's were drawn from `states`.
    ///
    /// # Errors
    /// When they are no distribution over the states.
    pub fn from_states(hmm: &'a Hmm, states: &[f64]) -> Result<Self> {
        if states.len() != hmm.states() {
            return Err(Error::Shape { what: "states", expected: hmm.states(), found: states.len() });
        }
        distribution(|| "the states".to_owned(), states)?;
        let possible = states.iter().enumerate().filter(|(_, p)| **p > 0.0);
        Ok(Self { hmm, states: Some(possible.map(|(state, &p)| (state as u32, p)).collect()) })
    }

    /// As if nothing were known but the last symbol: its states are equally likely.
    fn anew(&self, symbol: u32) -> Self {
        let possible = self.hmm.states_of.get(symbol as usize).map_or(&[][..], Vec::as_slice);
        let states = (!possible.is_empty())
            .then(|| possible.iter().map(|&state| (state, 1.0 / possible.len() as f64)).collect());
        Self { hmm: self.hmm, states }
    }

    /// Probability that the next state is `state`.
    fn reach(&self, state: u32) -> f64 {
        match &self.states {
            None => self.hmm.start[state as usize],
            Some(states) => {
                let into = |&(from, p): &(u32, f64)| p * self.hmm.row(from as usize)[state as usize];
                states.iter().map(into).sum()
            }
        }
    }

    /// Takes in a symbol, and says ln p(symbol | those before it); −∞ where it is impossible or unknown, and for everything after.
    pub fn see(&mut self, symbol: u32) -> f64 {
        let possible = self.hmm.states_of.get(symbol as usize).map_or(&[][..], Vec::as_slice);
        let mut states: Vec<(u32, f64)> = possible.iter().map(|&state| (state, self.reach(state))).collect();
        let total: f64 = states.iter().map(|(_, p)| p).sum();
        if total > 0.0 {
            states.iter_mut().for_each(|(_, p)| *p /= total);
        } else {
            states.clear();
        }
        self.states = Some(states);
        total.ln()
    }

    /// The distribution of the next symbol, `[symbols]`; all 0 after an impossible one.
    pub fn next(&self) -> Vec<f64> {
        let sum = |states: &Vec<u32>| states.iter().map(|&state| self.reach(state)).sum();
        self.hmm.states_of.iter().map(sum).collect()
    }
}
