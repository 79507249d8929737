//! Which files went in and came out, what is not there yet, and what cards need to know.

use cognate_corpus::IngestStats;
use cognate_results::{CardFacts, FileRecord, Split, Synthesis};

use super::Assembly;
use crate::error::Result;
use crate::recipe::{Author, GenerateMethod, Synthetic, max_positions};
use crate::rundir::FileEntry;
use crate::stages::ingest::SPLITS;
use crate::stages::tokenized::Tokenized;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};

impl Assembly<'_> {
    /// The stages that are not finished, in words.
    pub(crate) fn missing(&self) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for step in Step::all(self.recipe).into_iter().filter(|step| *step != Step::Report) {
            if self.artifact(step.folder(self.recipe))?.is_none() {
                missing.push(step.label(self.recipe));
            }
        }
        Ok(missing)
    }

    /// What went in, then the files of every finished stage that somebody may want to compare.
    pub(super) fn files(&self) -> Result<Vec<FileRecord>> {
        let mut files = Vec::new();
        if let Some(ingest) = self.artifact("ingest")? {
            files.extend(ingest.manifest.identity.inputs.iter().map(|(name, hash)| FileRecord {
                stage: "input".to_owned(),
                path: name.clone(),
                blake3: hash.to_string(),
                size_bytes: None,
                rows: None,
            }));
        }
        for step in Step::all(self.recipe).into_iter().filter(|step| *step != Step::Report) {
            let folder = step.folder(self.recipe);
            let Some(artifact) = self.artifact(&folder)? else { continue };
            let told = artifact.manifest.files.iter().filter(|file| is_told(step, file));
            files.extend(told.map(|file| FileRecord {
                stage: step.label(self.recipe),
                path: format!("{}/{}", folder.display(), file.path),
                blake3: file.hash.to_string(),
                size_bytes: Some(file.bytes),
                rows: file.rows,
            }));
        }
        Ok(files)
    }

    /// What cards say.
    pub(super) fn card_facts(&self) -> Result<CardFacts> {
        let (recipe, report) = (self.recipe, &self.recipe.report);
        let ingested: Option<IngestStats> = self.statistics("ingest")?;
        let tokenized: Option<Tokenized> = self.statistics("tokenize")?;
        let splits = ingested
            .map(|stats| [stats.validation, stats.unique, stats.oracle, stats.selection].map(|split| split.documents));
        let tokens = tokenized
            .map(|stats| [stats.validation, stats.unique, stats.oracle, stats.selection].map(|split| split.tokens));
        let split = |(at, documents): (usize, u64)| Split {
            name: SPLITS[at].to_owned(),
            documents,
            tokens: tokens.map(|tokens| tokens[at]),
        };
        let mut synthesis = None;
        if let Some(corpus) = self.subject_corpus()
            && self.artifact(Step::Filter(corpus).folder(recipe))?.is_some()
        {
            let Synthetic { by, generate, .. } = &recipe.synthetic[corpus];
            let method = match (by, generate.method) {
                (Author::World(_), _) => "world",
                (Author::Server, _) | (_, GenerateMethod::Entigraph) => "entigraph",
                (Author::Model(_), GenerateMethod::Model) => "model",
                (Author::Model(_), GenerateMethod::Endpoint) => "endpoint",
            };
            synthesis = Some(Synthesis {
                method: method.to_owned(),
                temperature: generate.sampling.temperature,
                top_p: generate.sampling.top_p,
                max_new_tokens: generate.max_new_tokens as u64,
                seed: recipe.seed,
            });
        }
        let mut parameters = None;
        for at in 0..recipe.arms.len() {
            let own = Step::Train(Replicate::own(recipe, at));
            let trained: Option<Trained> = self.statistics_of(Some(own))?;
            parameters = parameters.or(trained.map(|trained| trained.parameters as u64));
        }
        Ok(CardFacts {
            license: report.license.clone(),
            languages: report.languages(),
            splits: splits.into_iter().flatten().enumerate().map(split).collect(),
            synthesis,
            parameters,
            context_tokens: max_positions(recipe) as u64,
        })
    }
}

/// Documents, pairs, vectors, tokens, weights and scores; not what stands beside weights, nor what was dropped.
fn is_told(step: Step, file: &FileEntry) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    match step {
        Step::Train(_) | Step::Sweep { .. } | Step::Tune(_) => name == "model.safetensors",
        _ => !name.starts_with("dropped") && !name.starts_with("rejected") && name != "generate.json",
    }
}
