//! A form of each document and the document, or the other way round.

use std::path::Path;

use cognate_pair::derived::{self, Derived, Side};

use super::method::{Effort, Job, Method};
use super::own_texts::{SPLITS, Writing};
use crate::context::Made;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::{Direction, Forms};
use crate::stages::texts::texts_in;
use crate::step::Step;

impl Method for Forms {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Tokenize]
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor) = (job.context, job.monitor);
        let texts = |split: &str| texts_in(context, Path::new("ingest"), split, monitor);
        let texts = [texts(SPLITS[0])?, texts(SPLITS[1])?];
        let forms = derived::Forms::of(texts[0].iter().map(|(_, text)| text.as_str()), monitor)?;
        let tokenizer = context.tokenizer()?;
        let mut writing = Writing::new(job, &tokenizer);
        let mut without = 0;
        for (split, texts) in SPLITS.into_iter().zip(texts) {
            let of = texts.len() as u64;
            let pairs = texts.into_iter().map(|(id, text)| {
                let Some(form) = forms.form(&text, self.keywords) else {
                    without += 1;
                    return Vec::new();
                };
                let (source, target) = match self.direction {
                    Direction::ToForm => (text, form),
                    Direction::ToDocument => (form, text),
                };
                vec![(format!("{id}#form#"), Derived { source: Side::Text(source), target: Side::Text(target) })]
            });
            writing.part(split, of, pairs)?;
        }
        let reason = if without > 0 {
            format!("; passed over: {without} documents without two keywords")
        } else {
            String::new()
        };
        writing.finish(without, &reason, None)
    }

    fn cost(&self, estimate: &Estimate<'_>, set: usize) -> Effort {
        let wall_s = estimate.encode_s(2.0 * estimate.unique_bytes());
        Effort { wall_s, texts_bytes: estimate.texts_bytes(estimate.pairs(set)), ..Effort::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        estimate.unique_bytes() + estimate.words_bytes() + estimate.pairs(set) * 300.0
    }

    fn told(&self) -> Option<String> {
        let (given, written) = match self.direction {
            Direction::ToForm => ("The document", "its form"),
            Direction::ToDocument => ("A form of each document", "the document"),
        };
        Some(format!("{given} and {written}: a form is at most {} keywords, in their order.", self.keywords))
    }

    fn passed_over(&self) -> (&'static str, &'static str) {
        ("passed over, without two keywords", "documents")
    }
}
