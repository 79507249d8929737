//! `embed`: documents to vectors.

use std::collections::HashMap;
use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::ReadOptions;
use cognate_pair::{Lsa, LsaConfig, Vectors, read_vectors, write_vectors};
use serde_json::json;

use super::nearest::{self, NEAREST};
use super::texts::read_texts;
use super::texts::selection_texts;
use super::texts::unique_texts;
use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Cost, ENTRY_BYTES, Estimate};
use crate::recipe::{self, Recipe};
use crate::rundir::Work;
use crate::step::Step;

/// Vectors of the selection split, in the space of those of the unique documents.
pub(super) const SELECTION: &str = "selection.parquet";
/// How much of each of their documents the embedder's directions hold, in their order ([`Lsa::fold_in`]); 1 of given vectors.
pub(super) const HELD: &str = "held.json";
/// Operations per second of the sparse products that embedding consists of, per thread.
const FLOPS_PER_S: f64 = 1e9;

/// The embedding at a place of [`Recipe::embeddings`].
pub(crate) struct Embed(pub(crate) usize);

impl Stage for Embed {
    fn step(&self) -> Step {
        Step::Embed(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: marks belong to words, and words are compared in one normal form. 3: the selection split has vectors too.
        3
    }

    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Ingest]
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", recipe.seed)?;
        let embedding = &recipe.embeddings[self.0];
        match embedding.vectors {
            recipe::Vectors::Lsa => config.put("embed", &embedding.embed),
            recipe::Vectors::File(_) => config.put("embed", json!({"method": "file"})),
        }
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let splits = context.artifact("ingest");
        inputs.add("the unique documents", splits, "unique.jsonl.zst")?;
        inputs.add("the selection documents", splits, "selection.jsonl.zst")?;
        inputs.add("the validation documents", splits, "validation.jsonl.zst")?;
        if let recipe::Vectors::File(path) = &context.recipe.embeddings[self.0].vectors {
            inputs.file("the given vectors", context.recipe.at(path))?;
        }
        Ok(())
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, self.0, place.folder, monitor)
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let embedding = &estimate.recipe.embeddings[self.0];
        let (documents, d) = (estimate.unique_documents(), embedding.embed.dimensions as f64);
        let flops = match embedding.vectors {
            recipe::Vectors::Lsa => 12.0 * 2.0 * estimate.unique_bytes() / ENTRY_BYTES * (d + 32.0),
            recipe::Vectors::File(_) => 0.0,
        };
        let given = match &embedding.vectors {
            recipe::Vectors::Lsa => 0.0,
            recipe::Vectors::File(path) => estimate.given_s(path),
        };
        let wall_s = flops / (FLOPS_PER_S * estimate.speed.threads as f64) + given;
        Cost { documents, flops, bytes: documents * d * 4.0, wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        estimate.embedding_bytes(&estimate.recipe.embeddings[self.0].embed)
    }
}

/// Embeds. The embedder is fitted to the unique documents alone; those of the selection split are folded in.
fn work(context: &Context<'_>, at: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let texts = unique_texts(context, monitor)?;
    let unseen = selection_texts(context, monitor)?;
    let validation =
        read_texts(&context.artifact("ingest").path("validation.jsonl.zst"), &ReadOptions::default(), monitor)?;
    let embedding = &context.recipe.embeddings[at];
    let (vectors, [of_unseen, of_validation], statistics, flops) = match &embedding.vectors {
        recipe::Vectors::Lsa => {
            let (embedder, vectors, stats) = Lsa::fit(&texts, &lsa_config(context.recipe, &embedding.embed), monitor)?;
            // Sparse products of the matrix with its directions and 32 more, twelve times; the rest is small beside them.
            let flops = 12.0 * 2.0 * stats.weights as f64 * (stats.dimensions as f64 + 32.0);
            (vectors, [unseen, validation].map(|texts| embedder.fold_in(&texts)), json!(stats), flops)
        }
        recipe::Vectors::File(path) => {
            let (vectors, others) = given_vectors(&context.recipe.at(path), &texts, [&unseen, &validation], monitor)?;
            let whole = |vectors: Vectors| (vectors.len(), vectors);
            let others = others.map(whole).map(|(rows, vectors)| (vectors, vec![1.0; rows]));
            (vectors, others, json!({}), 0.0)
        }
    };
    write_vectors(&folder.join("vectors.parquet"), &vectors)?;
    let ((of_unseen, held), of_validation) = (of_unseen, of_validation);
    write_vectors(&folder.join(SELECTION), &of_unseen)?;
    let text = serde_json::to_string(&held).map_err(|error| Error::Io(error.into()))?;
    write_atomic(folder.join(HELD), text + "\n")?;
    let mut made = Made::default();
    made.rows(HELD, held.len() as u64);
    made.rows("vectors.parquet", vectors.len() as u64);
    made.rows(SELECTION, of_unseen.len() as u64);
    made.rows(NEAREST, nearest::write(folder, &vectors, &of_validation, monitor)?);
    let (others, width) = (of_unseen.len() + of_validation.0.len(), vectors.width as f64);
    let flops = flops + 2.0 * vectors.len() as f64 * of_validation.0.len() as f64 * width;
    made.work = Work { statistics, documents: (vectors.len() + others) as u64, flops, ..Work::default() };
    Ok(made)
}

/// The vectors of a file: those of `texts`, all of them and in their order, and those of `others` that are there.
fn given_vectors(
    path: &Path,
    texts: &[(String, String)],
    others: [&[(String, String)]; 2],
    monitor: &dyn Monitor,
) -> Result<(Vectors, [Vectors; 2])> {
    let given = read_vectors(path, monitor)?;
    let places: HashMap<&str, usize> = given.ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let none = || Vectors { ids: Vec::new(), width: given.width, data: Vec::new() };
    let mut vectors = none();
    let add = |vectors: &mut Vectors, id: &str| {
        let row = given.row(*places.get(id)?);
        vectors.ids.push(id.to_owned());
        vectors.data.extend_from_slice(row);
        Some(())
    };
    for (id, _) in texts {
        add(&mut vectors, id).ok_or_else(|| Error::NoVector { path: path.to_path_buf(), id: id.clone() })?;
    }
    let of_others = others.map(|texts| {
        let mut vectors = none();
        texts.iter().for_each(|(id, _)| add(&mut vectors, id).unwrap_or_default());
        vectors
    });
    Ok((vectors, of_others))
}

/// The embedder as the recipe wants it.
pub(crate) fn lsa_config(recipe: &Recipe, embed: &recipe::Embed) -> LsaConfig {
    LsaConfig {
        dimensions: embed.dimensions,
        seed: recipe.seed,
        min_documents: embed.min_documents,
        max_document_share: embed.max_document_share,
        max_terms: embed.max_terms,
    }
}
