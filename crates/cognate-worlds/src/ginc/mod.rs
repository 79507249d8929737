//! GINC (Xie et al. 2021, arXiv 2111.02080): documents from a mixture of hidden Markov models. A document's concept is its model's
//! transitions.
//!
//! A hidden state is an entity and a property, `state = entity · properties + property`. The property moves by a matrix of the
//! concept, the entity by one that all concepts share. The pair emits one symbol of a memory; the first property is the delimiter, the
//! same symbol for every entity. What the paper's text leaves open is as in the authors' `generate_data.py`
//! (p-lambda/incontext-learning at 84fab21).

#[cfg(test)]
mod golden;
mod hmm;
mod in_context;
#[cfg(test)]
mod tests;

use cognate_base::Monitor;
use cognate_base::random::{self, ChaCha8Rng, SliceRandom};

use crate::deal::Deal;
use crate::dials::Range::{Above0, Flag, Share, Whole};
use crate::dials::{self, dials};
use crate::draws::{below, softmax};
use crate::limits::{MOST_BYTES, MOST_DOCUMENTS, MOST_WORK, at_most, check_partners};
use crate::{Error, Mixture, Result};

pub use hmm::{Hmm, Past};
pub use in_context::{Prompt, prompts};

dials! {
    /// The dials. Defaults of the models are those of the stored data set: 10 × 10 hidden states, 50 symbols, 5 concepts to train on.
    Config {
        /// Hidden Markov models that documents are drawn from.
        concepts: usize = 5, Whole(1, 10_000);
        /// Values of the hidden state's first part.
        entities: usize = 10, Whole(1, MOST_STATES);
        /// Values of its second part; the first is the delimiter's.
        properties: usize = 10, Whole(2, MOST_STATES);
        /// Different symbols, the delimiter among them.
        symbols: usize = 50, Whole(2, 1_000_000);
        /// Temperature of the softmax that weighs the permutations of a transition matrix: the lower, the more one prevails.
        transition_temperature: f64 = 0.1, Above0(1e9);
        /// Temperature of the softmax that the start distribution is: the higher, the more uniform.
        start_temperature: f64 = 10.0, Above0(1e9);
        /// How far an entity stays what it is: its transitions are `identity · I + (1 − identity) · mix`.
        identity: f64 = 0.9, Share;
        /// Whether every concept has entity transitions of its own.
        own_entities: bool = false, Flag;
        /// Symbols of a document.
        length: usize = 64, Whole(2, 1_000_000);
        /// Documents of the unique split.
        unique_documents: usize = 2000, Whole(2, MOST_DOCUMENTS);
        /// Documents of the oracle split.
        oracle_documents: usize = 38000, Whole(0, MOST_DOCUMENTS);
        /// Documents of the validation split.
        validation_documents: usize = 400, Whole(1, MOST_DOCUMENTS);
        /// Documents of the selection split.
        selection_documents: usize = 400, Whole(0, MOST_DOCUMENTS);
        /// Documents of its concept, at most, that each document of the unique and selection splits is drawn as a pair with.
        partners: usize = 4, Whole(1, 100_000);
    }
}

/// Most hidden states: a concept's transitions are their square in 64-bit numbers.
const MOST_STATES: u64 = 4096;

impl Config {
    /// Checks every dial, and what they make together.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        dials::check(Self::DIALS, self)?;
        let states = self.entities * self.properties;
        if states as u64 > MOST_STATES {
            return Err(Error::dial("entities × properties", Whole(2, MOST_STATES).words(), states));
        }
        let beside = "beside these entities, properties and symbols";
        at_most("concepts", self.concepts, MOST_BYTES / self.concept_bytes(), beside)?;
        // At each symbol every state that emits it is reached from every one that emits the symbol before. Those of the delimiter are the
        // entities; the others are dealt to the other symbols.
        let of_a_symbol = self.entities.max(states.div_ceil(self.symbols - 1)) as u64;
        let each = self.concepts as u64 * states as u64 * of_a_symbol;
        at_most("length", self.length, MOST_WORK / each, "beside these concepts, entities, properties and symbols")?;
        check_partners(self.partners, self.unique_documents + self.selection_documents, self.unique_documents)
    }

    /// Bytes of a concept: start, transitions, emissions, and the states of each symbol.
    fn concept_bytes(&self) -> u64 {
        let (states, symbols) = ((self.entities * self.properties) as u64, self.symbols as u64);
        8 * states * states + 16 * states + 24 * symbols
    }

    /// Bytes of all that documents are drawn from.
    pub(crate) fn bytes(&self) -> f64 {
        self.concepts as f64 * self.concept_bytes() as f64
    }

    /// How its documents are dealt.
    pub fn deal(&self) -> Deal {
        Deal {
            length: self.length,
            documents: [
                self.unique_documents,
                self.oracle_documents,
                self.validation_documents,
                self.selection_documents,
            ],
            partners: self.partners,
        }
    }
}

/// Makes the world's concepts.
///
/// # Errors
/// When a dial is out of its range, or the user interrupts.
pub fn make(config: &Config, seed: u64, monitor: &dyn Monitor) -> Result<Mixture<Hmm>> {
    config.check()?;
    let &Config { entities, properties, symbols, .. } = config;
    let mut memory = random::stream(seed, "ginc memory", 0);
    // Symbol 0 is the delimiter, which property 0 emits whatever the entity.
    let emissions: Vec<u32> = (0..entities * properties)
        .map(|state| if state % properties == 0 { 0 } else { below(&mut memory, symbols - 1) as u32 + 1 })
        .collect();
    let shared = entity_transitions(config, &mut random::stream(seed, "ginc entities", 0));
    let concept = |number: usize| {
        monitor.check()?;
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
