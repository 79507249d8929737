//! Seeds beside what was written from them and what really stands beside them.

use std::collections::HashMap;
use std::path::PathBuf;

use cognate_base::Silent;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::{Pair, read_pairs};
use cognate_results::{Example, ExampleText};
use cognate_synth::filter::stage::KEPT;
use cognate_synth::metadata;

use super::Assembly;
use crate::error::Result;
use crate::stages::related::nearest;
use crate::stages::texts::read_texts;
use crate::step::Step;

/// Examples in a report.
const EXAMPLES: usize = 3;

impl Assembly<'_> {
    /// Kept documents from evenly spread places of the synthetic corpus, whose seeds have a true neighbour.
    pub(super) fn examples(&self) -> Result<Vec<Example>> {
        let recipe = self.recipe;
        // Beside shuffled seeds nothing really stands, and what was made of documents is no document beside another.
        let corpus = self.subject_corpus().filter(|corpus| recipe.is_related(*corpus));
        let (Some(corpus), Some(pairs)) = (corpus, self.subject_pairs()) else { return Ok(Vec::new()) };
        if recipe.texts_of(pairs).is_some() {
            return Ok(Vec::new());
        }
        let made = |step: Step| self.artifact(step.folder(recipe));
        let artifacts = (made(Step::Ingest)?, made(Step::Pair(recipe.true_set(pairs)))?, made(Step::Filter(corpus))?);
        let (Some(ingest), Some(pair), Some(filter)) = artifacts else { return Ok(Vec::new()) };
        let unique = read_texts(&ingest.path("unique.jsonl.zst"), &ReadOptions::default(), &Silent)?;
        let ids: Vec<String> = unique.iter().map(|(id, _)| id.clone()).collect();
        let nearest = nearest(&read_pairs(&pair.path("train.parquet"), &ids, &Silent)?);
        let numbers: HashMap<&str, u32> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
        let kept = filter.manifest.files.iter().find(|file| file.path == KEPT).and_then(|file| file.rows).unwrap_or(0);
        let mut chosen = Vec::new();
        let path: PathBuf = filter.path(KEPT);
        for (at, record) in Reader::open(&[path], &ReadOptions::default(), &Silent)?.enumerate() {
            let (_, document) = record?;
            // The next one is looked for from the k-th of equal parts on.
            if (at as u64) < chosen.len() as u64 * kept / EXAMPLES as u64 {
                continue;
            }
            let seed = metadata::seed_id(&document)?.and_then(|seed| numbers.get(seed)).copied();
            if let Some((seed, neighbour)) = seed.and_then(|seed| Some((seed, nearest.get(&seed)?))) {
                chosen.push((document, seed, *neighbour));
                if chosen.len() == EXAMPLES {
                    break;
                }
            }
        }
        let texts: HashMap<String, String> = unique.into_iter().collect();
        let text = |number: u32| {
            let id = ids[number as usize].clone();
            ExampleText { text: texts.get(&id).cloned().unwrap_or_default(), id }
        };
        let example = |(document, seed, neighbour): (cognate_corpus::Document, u32, Pair)| Example {
            seed: text(seed),
            synthetic: ExampleText { id: document.id, text: document.text },
            neighbour: text(neighbour.second),
            similarity: f64::from(neighbour.similarity),
            synthetic_similarity: None,
        };
        Ok(chosen.into_iter().map(example).collect())
    }
}
