//! Related documents: near-copies among them, each one's nearest, and rows of them to train on.

use std::collections::HashMap;
use std::path::PathBuf;

use cognate_base::Monitor;
use cognate_pair::{Copies, Pair, chains, exact_neighbours, exact_neighbours_apart, read_vectors};
use cognate_train::{Row, related_rows};
use serde::{Deserialize, Serialize};

use super::groups::Groups;
use super::texts::selection_texts;
use super::texts::unique_texts;
use crate::context::Context;
use crate::error::Result;
use crate::estimate::search_flops;
use crate::recipe;
use crate::step::Step;

/// How documents were packed into rows of related ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Packing {
    pub(crate) documents: u64,
    /// Walks through the pairs.
    pub(crate) chains: u64,
    /// Stretches of a chain that attention reaches over; before rows were all of one length, a row was one.
    #[serde(alias = "rows")]
    pub(crate) contexts: u64,
    /// Contexts that hold text of one document only.
    pub(crate) alone: u64,
    /// Tokens that come twice an epoch, so that the last row is full. None where that was not counted.
    #[serde(default)]
    pub(crate) repeated_tokens: Option<u64>,
    /// Rows that a batch's end cut in the whole training. None where that was not counted.
    #[serde(default)]
    pub(crate) cut_rows: Option<u64>,
    /// Operations of the search for neighbours; none in a run of a version that did not count them.
    #[serde(default)]
    pub(crate) search_flops: f64,
}

/// The unique documents in rows of `length` tokens of related ones, by an embedding. As in In-Context Pretraining, every document's nearest neighbours count, however far
/// they are; only near-copies do not. What is cut is not known before there are batches.
pub(crate) fn rows_of_related(
    context: &Context<'_>,
    embedding: &str,
    length: usize,
    monitor: &dyn Monitor,
) -> Result<(Vec<Row>, Packing)> {
    let pair = &context.recipe.pair;
    let file = context.tokens("tokenize", "unique")?;
    let vectors = read_vectors(&vectors_of(context, embedding), monitor)?;
    let neighbours = match pair.within_groups {
        true => exact_neighbours(&vectors, pair.neighbours, monitor)?,
        false => {
            let groups = Groups::of_unique_if_any(context, monitor)?;
            exact_neighbours_apart(&vectors, pair.neighbours, groups.numbers(), monitor)?
        }
    };
    let of = |first: usize| neighbours.of(first).map(move |(second, similarity)| (first as u32, second, similarity));
    let links = (0..neighbours.len()).flat_map(of);
    let copies = copies(context, pair, &[], monitor)?;
    let pairs: Vec<Pair> = links
        .filter(|(_, _, similarity)| *similarity < pair.max_similarity as f32)
        .filter(|&(first, second, _)| !copies.are(first, second))
        .map(|(first, second, similarity)| Pair { first, second, similarity })
        .collect();
    let chains = chains(file.documents(), &pairs);
    let rows = related_rows(&file, &chains, length);
    let contexts = || rows.iter().flatten();
    let tokens: usize = contexts().flatten().map(|piece| piece.to - piece.from).sum();
    let packing = Packing {
        documents: file.documents() as u64,
        chains: chains.len() as u64,
        contexts: contexts().count() as u64,
        alone: contexts().filter(|pieces| pieces.len() == 1).count() as u64,
        repeated_tokens: Some(tokens as u64 - file.tokens()),
        cut_rows: None,
        search_flops: search_flops(vectors.len() as f64, vectors.width as f64),
    };
    Ok((rows, packing))
}

/// Each seed's most similar target; the lower number where two are equally similar.
pub(crate) fn nearest(pairs: &[Pair]) -> HashMap<u32, Pair> {
    let mut nearest: HashMap<u32, Pair> = HashMap::new();
    for pair in pairs {
        let best = nearest.entry(pair.first).or_insert(*pair);
        if pair.similarity > best.similarity {
            *best = *pair;
        }
    }
    nearest
}

/// The near-copies among the unique documents, and those of the selection split that `unseen` names, which are numbered behind them.
pub(super) fn copies(
    context: &Context<'_>,
    pair: &recipe::Pair,
    unseen: &[String],
    monitor: &dyn Monitor,
) -> Result<Copies> {
    if pair.near_copy.get().is_none() {
        return Ok(Copies::none());
    }
    let mut texts: Vec<String> = unique_texts(context, monitor)?.into_iter().map(|(_, text)| text).collect();
    if !unseen.is_empty() {
        let mut of_unseen: HashMap<String, String> = selection_texts(context, monitor)?.into_iter().collect();
        texts.extend(unseen.iter().map(|id| of_unseen.remove(id).unwrap_or_default()));
    }
    copies_of(&texts, pair, monitor)
}

/// The near-copies among these texts.
pub(super) fn copies_of(texts: &[String], pair: &recipe::Pair, monitor: &dyn Monitor) -> Result<Copies> {
    match pair.near_copy.get() {
        Some(similarity) => Ok(Copies::of(texts, similarity, monitor)?),
        None => Ok(Copies::none()),
    }
}

/// Where the vectors of an embedding lie.
pub(super) fn vectors_of(context: &Context<'_>, embedding: &str) -> PathBuf {
    context.made(Step::Embed(context.recipe.embedding(embedding))).path("vectors.parquet")
}
