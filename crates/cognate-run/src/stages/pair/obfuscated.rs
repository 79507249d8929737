//! The pairs of another set, with words replaced by nonsense words.

use std::path::Path;

use cognate_pair::Pairs;
use cognate_pair::derived::{Obfuscation, Side};
use serde_json::json;

use super::method::{Effort, Job, Method, PAIR_BYTES};
use super::own_texts::{SPLITS, Texts};
use crate::context::Made;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::Obfuscated;
use crate::stages::texts::texts_in;
use crate::step::Step;

impl Method for Obfuscated {
    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        vec![Step::Tokenize, Step::Pair(recipe.pair_set(&self.of))]
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor) = (job.context, job.monitor);
        let tokenizer = context.tokenizer()?;
        let source = job.source(&self.of)?;
        let pairs =
            Pairs { train: job.read(&source, "train.parquet")?, held_out: job.read(&source, "held_out.parquet")? };
        let texts = |split: &str| texts_in(context, Path::new("ingest"), split, monitor);
        let texts = [texts(SPLITS[0])?, texts(SPLITS[1])?];
        let all = || texts.iter().flatten().map(|(_, text)| text.as_str());
        let obfuscation = Obfuscation::of(all(), self.share, job.seed(), monitor)?;
        let (mut made, mut ids, mut running) = (Made::default(), Vec::new(), (0, 0));
        for (split, texts) in SPLITS.into_iter().zip(&texts) {
            let mut out = Texts::create(job.folder, split, &tokenizer)?;
            for (id, text) in texts {
                monitor.check()?;
                let (words, replaced) = obfuscation.count(text);
                running = (running.0 + words, running.1 + replaced);
                out.push(format!("{id}#obfuscated"), Side::Text(obfuscation.apply(text)))?;
            }
            ids.extend(out.finish(&mut made)?);
        }
        let (distinct, replaced) = obfuscation.distinct();
        tracing::info!(
            "{}: {} pairs; {replaced} of {distinct} distinct words are nonsense, {} of {} running ones",
            job.label(),
            pairs.train.len(),
            running.1,
            running.0
        );
        let mut statistics = source.counts(&pairs);
        statistics["words"] = json!({
            "distinct": distinct, "distinct_replaced": replaced, "running": running.0, "running_replaced": running.1
        });
        job.write(made, &ids, &pairs, statistics)
    }

    fn cost(&self, estimate: &Estimate<'_>, set: usize) -> Effort {
        let wall_s = estimate.encode_s(2.0 * estimate.unique_bytes());
        Effort { wall_s, texts_bytes: estimate.texts_bytes(estimate.pairs(set)), ..Effort::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        estimate.unique_bytes() + estimate.words_bytes() + estimate.pairs(set) * PAIR_BYTES
    }

    fn told(&self) -> Option<String> {
        let percent = (1000.0 * self.share).round() / 10.0;
        Some(format!(
            "The pairs of the set {}, with {percent} % of the different words replaced by nonsense words, one for one.",
            self.of
        ))
    }
}
