//! Sentences of two made languages, one of which says the same as the other.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use cognate_pair::derived::{self, Side};
use cognate_pair::measuring;

use super::method::{Effort, Job, Method};
use super::own_texts::{SPLITS, Writing, made_effort};
use crate::context::Made;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::Trees;
use crate::step::Step;

/// Bytes of a nonsense word with its space, on average.
const WORD_BYTES: f64 = 7.0;

impl Method for Trees {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Tokenize]
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let trees = derived::Trees::new(self.words, self.parts, self.swap, job.seed(), job.monitor)?;
        let measured = measuring(job.pairs().pair.held_out_share, self.made) as u64;
        let made = self.made as u64;
        let tokenizer = job.context.tokenizer()?;
        let mut writing = Writing::new(job, &tokenizer);
        let pair = |number: u64| (format!("tree-{number}#"), trees.pair(number));
        let mut learned = HashSet::new();
        let unique = (0..made).map(pair).inspect(|(_, pair)| {
            learned.insert(sum(&pair.source));
        });
        writing.part(SPLITS[0], made, unique.map(|pair| vec![pair]))?;
        // Of few words and short sentences some come twice, and there may be no others.
        let tries = made..made + 10 * measured;
        let others = tries.map(pair).filter(|(_, pair)| !learned.contains(&sum(&pair.source)));
        writing.part(SPLITS[1], measured, others.take(measured as usize).map(|pair| vec![pair]))?;
        writing.finish(0, "", None)
    }

    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        made_effort(estimate, self.made, self.parts, WORD_BYTES)
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        self.words as f64 * 200.0 + estimate.pairs(set) * 320.0
    }

    fn told(&self) -> Option<String> {
        let Self { words, parts, .. } = self;
        Some(format!(
            "Sentences of a made language and the same in another: {words} words each, one for one, up to {parts} in a sentence, with \
             branches of a random tree exchanged."
        ))
    }

    fn more(&self) -> &'static str {
        "raise made"
    }
}

/// What tells a text from others.
fn sum(side: &Side) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    match side {
        Side::Text(text) => text.hash(&mut hasher),
        Side::Tokens(tokens) => tokens.hash(&mut hasher),
    }
    hasher.finish()
}
