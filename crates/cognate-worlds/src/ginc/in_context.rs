//! In-context learning after Xie et al.: a prompt is examples of one concept with the delimiter between them, and the last symbol of
//! the last example is to be told. Their code draws one property for a prompt in which all of its examples begin; here each example begins in a state of
//! its own.

use cognate_base::{Monitor, random};

use super::Hmm;
use crate::draws::below;
use crate::words::text;
use crate::{Concept, Mixture, Result, log_sum_exp};

/// Lengths of an example that are tried, as in the paper but for its longest.
const LENGTHS: [usize; 3] = [3, 5, 8];
/// Examples before the one to be told that are tried, as in the paper up to here.
const EXAMPLES: [usize; 6] = [0, 1, 2, 4, 8, 16];
/// Prompts of each kind. The paper has 2,500.
const PROMPTS: usize = 150;

/// A prompt with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// Examples before the last one.
    pub examples: usize,
    /// Symbols of an example.
    pub length: usize,
    /// The concept, from 0.
    pub concept: usize,
    /// The examples, each with the delimiter behind it, and the last one without its last symbol.
    pub symbols: Vec<u32>,
    /// The likeliest last symbol under the prompt's concept.
    pub answer: u32,
    /// The likeliest one to who knows the world and not the concept.
    pub bayes: u32,
}

impl Prompt {
    /// The prompt with its answer as a text, and which kind it is.
    pub fn text(&self, words: &[String]) -> (String, String) {
        let symbols = [&self.symbols[..], &[self.answer]].concat();
        (text(&symbols, words), format!("{} examples of {}", self.examples, self.length))
    }
}

/// Prompts about concepts that documents have, no longer than a document of `most` symbols.
///
/// An example begins in a hidden state that emits no delimiter, each as likely as any other, and goes on by the concept's transitions. The answer is
/// the likeliest symbol under the concept, as in the paper. A tie goes to the first symbol.
///
/// # Errors
/// When the models have no state that emits a symbol other than the delimiter, or the user interrupts.
pub fn prompts(mixture: &Mixture<Hmm>, most: usize, seed: u64, monitor: &dyn Monitor) -> Result<Vec<Prompt>> {
    let begun = |hmm: &Hmm| {
        monitor.check()?;
        from_any_symbol(hmm)
    };
    let begun = mixture.concepts().iter().map(begun).collect::<Result<Vec<_>>>()?;
    let mut prompts = Vec::new();
    for length in LENGTHS {
        for examples in EXAMPLES.into_iter().filter(|examples| examples * (length + 1) + length <= most) {
            for number in 0..PROMPTS {
                monitor.check()?;
                prompts.push(prompt(&begun, (examples, length), seed, number as u64));
            }
        }
    }
    Ok(prompts)
}

/// The model as it goes on from a state that emits no delimiter, each as likely as any other.
fn from_any_symbol(hmm: &Hmm) -> Result<Hmm> {
    let emissions: Vec<u32> = (0..hmm.states()).map(|state| hmm.symbol(state)).collect();
    let states = emissions.iter().filter(|symbol| **symbol != 0).count();
    let start = emissions.iter().map(|symbol| if *symbol == 0 { 0.0 } else { 1.0 / states as f64 }).collect();
    Hmm::new(start, hmm.transitions().to_vec(), emissions, hmm.symbols())
}

fn prompt(concepts: &[Hmm], (examples, length): (usize, usize), seed: u64, number: u64) -> Prompt {
    let mut rng = random::stream(seed, &format!("ginc prompt {examples} {length}"), number);
    let chosen = below(&mut rng, concepts.len());
    let concept = &concepts[chosen];
    let mut symbols = Vec::new();
    // ln P(the examples so far | c): they are independent given the concept.
    let mut log_likelihoods = vec![0.0; concepts.len()];
    let mut see = |example: &[u32]| {
        log_likelihoods.iter_mut().zip(concepts).for_each(|(sum, concept)| *sum += concept.log_likelihood(example));
    };
    for _ in 0..examples {
        let example = concept.sample(length, &mut rng);
        see(&example);
        symbols.extend(example);
        symbols.push(0);
    }
    let mut last = concept.sample(length, &mut rng);
    last.truncate(length - 1);
    see(&last);
    let total = log_sum_exp(&log_likelihoods);
    let mut next = vec![0.0; concept.symbols()];
    for (concept, log_likelihood) in concepts.iter().zip(&log_likelihoods) {
        let p = (log_likelihood - total).exp();
        next.iter_mut().zip(concept.next(&last)).for_each(|(sum, q)| *sum += p * q);
    }
    let answer = likeliest(&concept.next(&last));
    symbols.extend(last);
    Prompt { examples, length, concept: chosen, symbols, answer, bayes: likeliest(&next) }
}

fn likeliest(probabilities: &[f64]) -> u32 {
    let mut best = 0;
    for (symbol, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = symbol;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::super::{Config, make};
    use super::*;

    /// Two concepts over three symbols: after `a` the first goes to `b`, the second to `a` again; `b` goes back to `a`.
    fn mixture() -> Mixture<Hmm> {
        let hmm = |after_a: [f64; 3]| {
            let transitions = [[0.0, 0.5, 0.5], after_a, [0.0, 1.0, 0.0]].concat();
            Hmm::new(vec![0.2, 0.4, 0.4], transitions, vec![0, 1, 2], 3).unwrap()
        };
        Mixture::uniform(vec![hmm([0.0, 0.1, 0.9]), hmm([0.0, 0.9, 0.1])])
    }

    #[test]
    fn a_prompt_is_examples_of_its_concept_and_bayes_learns_from_them() {
        let prompts = prompts(&mixture(), 200, 3, &Silent).unwrap();
        assert_eq!(prompts.len(), 18 * PROMPTS);
        let right = |examples: usize| {
            let of = prompts.iter().filter(|prompt| prompt.examples == examples && prompt.length == 3);
            let right: Vec<bool> = of.map(|prompt| prompt.answer == prompt.bayes).collect();
            right.iter().filter(|right| **right).count() as f64 / right.len() as f64
        };
        for prompt in &prompts {
            assert_eq!(prompt.symbols.len(), prompt.examples * (prompt.length + 1) + prompt.length - 1);
            let parts: Vec<&[u32]> = prompt.symbols.chunks(prompt.length + 1).collect();
            for (number, part) in parts.iter().enumerate() {
                let is_last = number == prompt.examples;
                assert!(is_last || part[prompt.length] == 0, "a delimiter behind each example: {:?}", prompt.symbols);
                assert_ne!(part[0], 0, "no example begins with one: {:?}", prompt.symbols);
            }
        }
        let concepts: std::collections::BTreeSet<usize> = prompts.iter().map(|prompt| prompt.concept).collect();
        assert_eq!(concepts.len(), 2);
        assert!(right(0) < 0.95 && right(16) > 0.99, "{} {}", right(0), right(16));
    }

    #[test]
    fn the_answer_is_the_likeliest_under_the_concept_and_the_prediction_that_of_all() {
        let begun: Vec<Hmm> = mixture().concepts().iter().map(|hmm| from_any_symbol(hmm).unwrap()).collect();
        for number in 0..200 {
            let found = prompt(&begun, (1, 3), 5, number);
            // By enumeration: P(c) ∝ P(example | c) P(last two | c).
            let (example, last) = (&found.symbols[..3], &found.symbols[4..]);
            let weight = |c: usize| (begun[c].log_likelihood(example) + begun[c].log_likelihood(last)).exp();
            let p = |symbol: u32| -> f64 {
                let longer = [last, &[symbol]].concat();
                (0..2).map(|c| begun[c].log_likelihood(example).exp() * begun[c].log_likelihood(&longer).exp()).sum()
            };
            assert!((0..3).all(|symbol| p(symbol) <= p(found.bayes) + 1e-12), "{found:?}");
            assert!(weight(found.concept) > 0.0, "{found:?}");
            assert_eq!(found.answer, likeliest(&begun[found.concept].next(last)), "{found:?}");
        }
    }

    #[test]
    fn no_prompt_is_longer_than_a_document() {
        let world = make(&Config::default(), 1, &Silent).unwrap();
        let found = prompts(&world, 8, 1, &Silent).unwrap();
        assert!(!found.is_empty() && found.iter().all(|prompt| prompt.symbols.len() < 8));
        assert!(found.iter().any(|prompt| prompt.examples == 1) && found.iter().all(|prompt| prompt.examples <= 1));
    }
}
