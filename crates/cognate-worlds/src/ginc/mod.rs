//! GINC (Xie et al. 2021, arXiv 2111.02080): documents from a mixture of hidden Markov models. A document's concept is its model's
//! transitions.
//!
//! A hidden state is an entity and a property, `state = entity · properties + property`. The property moves by a matrix of the
//! concept, the entity by one that all concepts share. The pair emits one symbol of a memory; the first property is the delimiter, the
//! same symbol for every entity. What the paper's text leaves open is as in the authors' `generate_data.py`
//! (p-lambda/incontext-learning at 84fab21).

mod hmm;
mod mixture;
#[cfg(test)]
mod tests;
mod words;

use cognate_base::random::{self, ChaCha8Rng, Rng, SliceRandom, unit};
use serde::{Deserialize, Serialize};

use crate::error::{share, within};
use crate::{Error, Result};

pub use hmm::{Hmm, Past};
pub use mixture::Mixture;
pub use words::{symbols, text, words};

/// The dials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Hidden Markov models that documents are drawn from.
    pub concepts: usize,
    /// Values of the hidden state's first part.
    pub entities: usize,
    /// Values of its second part; the first is the delimiter's.
    pub properties: usize,
    /// Different symbols, the delimiter among them.
    pub symbols: usize,
    /// Temperature of the softmax that weighs the permutations of a transition matrix: the lower, the more one prevails.
    pub transition_temperature: f64,
    /// Temperature of the softmax that the start distribution is: the higher, the more uniform.
    pub start_temperature: f64,
    /// How far an entity stays what it is: its transitions are `identity · I + (1 − identity) · mix`.
    pub identity: f64,
    /// Whether every concept has entity transitions of its own.
    pub own_entities: bool,
}

impl Default for Config {
    /// Those of the stored data set: 10 × 10 hidden states, 50 symbols, 5 concepts to train on.
    fn default() -> Self {
        Self {
            concepts: 5,
            entities: 10,
            properties: 10,
            symbols: 50,
            transition_temperature: 0.1,
            start_temperature: 10.0,
            identity: 0.9,
            own_entities: false,
        }
    }
}

/// Most hidden states: a concept's transitions are their square in 64-bit numbers.
const MOST_STATES: usize = 4096;

impl Config {
    /// Checks every dial.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        within("concepts", self.concepts, 1, 10_000)?;
        within("entities", self.entities, 1, MOST_STATES)?;
        within("properties", self.properties, 2, MOST_STATES)?;
        within("symbols", self.symbols, 2, 1_000_000)?;
        let states = self.entities * self.properties;
        within("entities × properties", states, 2, MOST_STATES)?;
        for (dial, temperature) in
            [("transition_temperature", self.transition_temperature), ("start_temperature", self.start_temperature)]
        {
            if !(temperature > 0.0 && temperature.is_finite()) {
                return Err(Error::dial(dial, "a number above 0", temperature));
            }
        }
        share("identity", self.identity)
    }
}

/// Makes the world's concepts.
///
/// # Errors
/// When a dial is out of its range.
pub fn make(config: &Config, seed: u64) -> Result<Mixture> {
    config.check()?;
    let &Config { entities, properties, symbols, .. } = config;
    let mut memory = random::stream(seed, "ginc memory", 0);
    // Symbol 0 is the delimiter, which property 0 emits whatever the entity.
    let emissions: Vec<u32> = (0..entities * properties)
        .map(|state| if state % properties == 0 { 0 } else { below(&mut memory, symbols - 1) as u32 + 1 })
        .collect();
    let shared = entity_transitions(config, &mut random::stream(seed, "ginc entities", 0));
    let concept = |number: usize| {
        let mut rng = random::stream(seed, "ginc concept", number as u64);
        let start = softmax(entities * properties, config.start_temperature, &mut rng);
        let property = permutation_mix(properties, config.transition_temperature, &mut rng);
        let entity = if config.own_entities { entity_transitions(config, &mut rng) } else { shared.clone() };
        let transitions = product(&entity, entities, &property, properties);
        Hmm::new(start, transitions, emissions.clone(), symbols)
    };
    Ok(Mixture::uniform((0..config.concepts).map(concept).collect::<Result<_>>()?))
}

/// `identity · I + (1 − identity) · mix`.
fn entity_transitions(config: &Config, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut matrix = permutation_mix(config.entities, config.transition_temperature, rng);
    for (place, p) in matrix.iter_mut().enumerate() {
        let diagonal = place / config.entities == place % config.entities;
        *p = (1.0 - config.identity) * *p + if diagonal { config.identity } else { 0.0 };
    }
    matrix
}

/// A mix of n random permutation matrices of n elements, `[n × n]`, doubly stochastic.
fn permutation_mix(n: usize, temperature: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let weights = softmax(n, temperature, rng);
    let mut matrix = vec![0.0; n * n];
    let mut permutation: Vec<usize> = (0..n).collect();
    for weight in weights {
        permutation.shuffle(rng);
        for (row, &column) in permutation.iter().enumerate() {
            matrix[row * n + column] += weight;
        }
    }
    matrix
}

/// The softmax at a temperature of n numbers drawn uniformly from [−0.5, 0.5).
fn softmax(n: usize, temperature: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let x: Vec<f64> = (0..n).map(|_| (unit(rng.next_u64()) - 0.5) / temperature).collect();
    let total = crate::log_sum_exp(&x);
    x.into_iter().map(|x| (x - total).exp()).collect()
}

/// The Kronecker product of the entities' and the properties' transitions: both move independently.
fn product(entity: &[f64], entities: usize, property: &[f64], properties: usize) -> Vec<f64> {
    let states = entities * properties;
    let mut matrix = Vec::with_capacity(states * states);
    for from in 0..states {
        for to in 0..states {
            let entity = entity[(from / properties) * entities + to / properties];
            matrix.push(entity * property[(from % properties) * properties + to % properties]);
        }
    }
    matrix
}

/// A whole number below `n`, each as likely as any other up to 2⁻⁵³.
fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    (unit(rng.next_u64()) * n as f64) as usize
}
