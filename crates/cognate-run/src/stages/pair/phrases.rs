//! Phrases that a file gives, each with what says the same, strung together.

use cognate_corpus::Records;
use cognate_pair::derived::{Derived, parted, strung};
use cognate_pair::{LEAST_MEASURING, measuring};
use serde_json::{Value, json};

use super::method::{Effort, Job, Method};
use super::own_texts::{SPLITS, Writing, made_effort};
use crate::context::{Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::Phrases;
use crate::step::Step;

/// The fields of a file of phrases.
const SIDES: [&str; 2] = ["source", "target"];
/// Bytes of a phrase, on average.
const PHRASE_BYTES: f64 = 20.0;

impl Method for Phrases {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Tokenize]
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        inputs.file("the given phrases", context.recipe.at(&self.path))
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let mut all = self.read(job)?;
        all.sort_unstable();
        all.dedup();
        let share = job.pairs().pair.held_out_share;
        // What measures is of phrases that are learned nowhere, and of several.
        let several = if share > 0.0 { LEAST_MEASURING } else { 1 };
        if all.len() < 2 * several {
            let (pairs, path) = (job.pairs().name.clone(), job.context.recipe.at(&self.path));
            return Err(Error::FewPhrases { pairs, path, found: all.len(), least: 2 * several });
        }
        let held = measuring(share, all.len()).min(all.len() - several);
        let (learned, held_out) = parted(&all, held, job.seed());
        let tokenizer = job.context.tokenizer()?;
        let mut writing = Writing::new(job, &tokenizer);
        for (split, phrases, made) in
            [(SPLITS[0], &learned, self.made), (SPLITS[1], &held_out, measuring(share, self.made))]
        {
            let named = |(number, pair): (usize, Derived)| vec![(format!("phrases-{split}-{number}#"), pair)];
            let pairs = strung(phrases, made, self.parts, job.seed()).enumerate().map(named);
            writing.part(split, made as u64, pairs)?;
        }
        let counted = json!({"learned": learned.len(), "held_out": held_out.len()});
        writing.finish(0, &format!(", of {} different phrases", all.len()), Some(("phrases", counted)))
    }

    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        made_effort(estimate, self.made, self.parts, PHRASE_BYTES)
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        let file = fs_err::metadata(estimate.recipe.at(&self.path)).map_or(0, |file| file.len());
        // What is compressed is unpacked, and each phrase held twice while it is parted.
        8.0 * file as f64 + estimate.pairs(set) * 300.0
    }

    fn told(&self) -> Option<String> {
        Some(format!("Given phrases that say the same, up to {} strung together.", self.parts))
    }

    fn more(&self) -> &'static str {
        "raise made"
    }
}

impl Phrases {
    /// The phrases of the file, each with what says the same.
    fn read(&self, job: &Job<'_>) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for record in Records::open(&job.context.recipe.at(&self.path))? {
            job.monitor.check()?;
            let record = record?;
            let side = |field: &'static str| match record.fields.get(field) {
                Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
                other => Err(Error::Phrase {
                    origin: record.origin.to_string(),
                    field,
                    found: other.map_or_else(|| "missing".to_owned(), |value| format!("{value}")),
                }),
            };
            let [source, target] = SIDES.map(side);
            all.push((source?, target?));
        }
        Ok(all)
    }
}
