//! Sparse contextual bigrams (arXiv 2410.23438): the last token chooses a sparse distribution over earlier positions, and the next token
//! is drawn from the transition rows of the tokens there.
//!
//! With `window` T, x the tokens so far and k the last one: `P(next | x) = Σ_t q⁽ᵏ⁾_t P(next | x_t)`, over the T positions before the
//! last. The first T + 1 tokens are drawn from the stationary distribution of P. The paper draws one next token; here a document goes on by
//! the same rule, each token being the last one in its turn, so T + 2 tokens are the paper's. And here every concept has a q of its
//! own, while all share P: a document's concept is which earlier tokens matter.

pub(crate) mod bigram;
mod learn;
#[cfg(test)]
mod tests;

use cognate_base::Monitor;
use cognate_base::random::{self, ChaCha8Rng};

use crate::deal::Deal;
use crate::dials::Range::{Above0, Whole};
use crate::dials::{self, dials};
use crate::draws::{softmax, some_of};
use crate::limits::{MOST_BYTES, MOST_DOCUMENTS, MOST_WORK, at_most, check_partners};
use crate::{Error, Mixture, Result};

pub use bigram::Bigram;
pub use learn::{Example, LinearAttention, Method};

dials! {
    /// The dials.
    Config {
        /// Choices of earlier positions that documents are drawn from; 1 is the paper's model, in which all documents are related.
        concepts: usize = 5, Whole(1, 10_000);
        /// Different tokens.
        symbols: usize = 20, Whole(2, 4096);
        /// Positions before the last token that may matter.
        window: usize = 12, Whole(1, 4096);
        /// Positions that do matter, at most, for each last token.
        positions: usize = 2, Whole(1, 4096);
        /// Temperature of the softmax that each row of the transitions is: the lower, the more certain a next token.
        transition_temperature: f64 = 0.1, Above0(1e9);
        /// Temperature of the softmax that weighs the positions that matter: the higher, the more evenly.
        position_temperature: f64 = 1.0, Above0(1e9);
        /// Tokens of a document.
        length: usize = 64, Whole(3, 1_000_000);
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

impl Config {
    /// Checks every dial, and what they make together.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        dials::check(Self::DIALS, self)?;
        if self.positions > self.window {
            return Err(Error::dial("positions", format!("at most the window, {}", self.window), self.positions));
        }
        if self.length < self.window + 2 {
            let expected = format!("at least {}, two more than the window", self.window + 2);
            return Err(Error::dial("length", expected, self.length));
        }
        let most = (MOST_BYTES - self.shared_bytes()) / self.concept_bytes();
        at_most("concepts", self.concepts, most, "beside these symbols, window and positions")?;
        // A token is drawn from all symbols, and read under all concepts, each by the positions that matter.
        let each = (self.symbols + self.concepts) as u64;
        let shortest = self.window as u64 + 2;
        at_most(
            "positions",
            self.positions,
            MOST_WORK / (each * shortest),
            "beside these symbols, concepts and window",
        )?;
        let most = MOST_WORK / (each * self.positions as u64);
        at_most("length", self.length, most, "beside these symbols, concepts and positions")?;
        check_partners(self.partners, self.unique_documents + self.selection_documents, self.unique_documents)
    }

    /// Bytes of what all concepts share: the transitions.
    fn shared_bytes(&self) -> u64 {
        8 * (self.symbols * self.symbols) as u64
    }

    /// Bytes of a concept: start, attention, and the positions that matter.
    fn concept_bytes(&self) -> u64 {
        let (symbols, window, positions) = (self.symbols as u64, self.window as u64, self.positions as u64);
        symbols * (8 + 8 * window + 24 + 16 * positions)
    }

    /// Bytes of all that documents are drawn from.
    pub(crate) fn bytes(&self) -> f64 {
        self.shared_bytes() as f64 + self.concepts as f64 * self.concept_bytes() as f64
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
pub fn make(config: &Config, seed: u64, monitor: &dyn Monitor) -> Result<Mixture<Bigram>> {
    config.check()?;
    let mut rng = random::stream(seed, "bigrams transitions", 0);
    let mut transitions = Vec::with_capacity(config.symbols * config.symbols);
    for _ in 0..config.symbols {
        monitor.check()?;
        transitions.extend(softmax(config.symbols, config.transition_temperature, &mut rng));
    }
    let start = bigram::stationary(&transitions, config.symbols, monitor)?;
    let attention = |number: usize| -> Vec<f64> {
        let mut rng = random::stream(seed, "bigrams concept", number as u64);
        (0..config.symbols).flat_map(|_| positions(config, &mut rng)).collect()
    };
    Ok(Mixture::uniform(bigram::sharing(
        config.window,
        start,
        transitions,
        (0..config.concepts).map(attention),
        monitor,
    )?))
}

/// One q: a distribution over the window's positions of which few are not 0, `[window]`.
fn positions(config: &Config, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut row = vec![0.0; config.window];
    let places = some_of(config.window, config.positions, rng);
    for (place, weight) in places.into_iter().zip(softmax(config.positions, config.position_temperature, rng)) {
        row[place] = weight;
    }
    row
}
