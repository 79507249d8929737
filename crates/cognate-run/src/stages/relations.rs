//! `embed` and `pair`: documents to vectors to pairs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::{
    Copies, LsaConfig, Pair, PairConfig, PairStats, Pairs, Rule, Vectors, chains, exact_neighbours,
    exact_neighbours_apart, lsa, neighbours_needed, part_given, read_pairs, read_pairs_among, read_shuffled_pairs,
    read_vectors, select_pairs, shuffle_apart, shuffle_targets, write_pairs, write_vectors,
};
use cognate_train::{Row, related_rows};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::{self, Embed, PairMethod, Recipe, Threshold};
use crate::rundir::Work;
use crate::stage::Step;
use crate::stages::groups::Groups;
use crate::stages::quality::unique_texts;

/// The stage `embed`, of the embedding at `at`.
pub(crate) fn embed_stage(context: &Context<'_>, at: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let texts = read_texts(&context.artifact("ingest").path("unique.jsonl.zst"), &ReadOptions::default(), monitor)?;
    let embedding = &context.recipe.embeddings[at];
    let documents = texts.len() as u64;
    let (vectors, statistics, flops) = match &embedding.vectors {
        recipe::Vectors::Lsa => {
            let (vectors, stats) = lsa(&texts, &lsa_config(context.recipe, &embedding.embed), monitor)?;
            // Sparse products of the matrix with its directions and 32 more, twelve times; the rest is small beside them.
            let flops = 12.0 * 2.0 * stats.weights as f64 * (stats.dimensions as f64 + 32.0);
            (vectors, json!(stats), flops)
        }
        recipe::Vectors::File(path) => (given_vectors(&context.recipe.at(path), &texts)?, json!({}), 0.0),
    };
    write_vectors(&folder.join("vectors.parquet"), &vectors)?;
    let mut made = Made::default();
    made.rows("vectors.parquet", documents);
    made.work = Work { statistics, documents, flops, ..Work::default() };
    Ok(made)
}

/// The vectors of a file, for these documents and in their order.
fn given_vectors(path: &Path, texts: &[(String, String)]) -> Result<Vectors> {
    let given = read_vectors(path)?;
    let places: HashMap<&str, usize> = given.ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let mut vectors = Vectors { ids: Vec::new(), width: given.width, data: Vec::new() };
    for (id, _) in texts {
        let Some(at) = places.get(id.as_str()) else {
            return Err(Error::NoVector { path: path.to_path_buf(), id: id.clone() });
        };
        vectors.ids.push(id.clone());
        vectors.data.extend_from_slice(given.row(*at));
    }
    Ok(vectors)
}

/// The embedder as the recipe wants it.
pub(crate) fn lsa_config(recipe: &Recipe, embed: &Embed) -> LsaConfig {
    LsaConfig {
        dimensions: embed.dimensions,
        seed: recipe.seed,
        min_documents: embed.min_documents,
        max_document_share: embed.max_document_share,
        max_terms: embed.max_terms,
    }
}

/// Identifiers and texts of a document file. Bad records that are passed over are named in warnings.
///
/// # Errors
/// When a document cannot be read, or the user interrupts.
pub fn read_texts(path: &Path, options: &ReadOptions, monitor: &dyn Monitor) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::open(&[PathBuf::from(path)], options, monitor)?;
    let texts = reader.by_ref().map(|record| Ok(record.map(|(_, document)| (document.id, document.text))?)).collect();
    reader.rejected().iter().for_each(|record| tracing::warn!("{}: passed over: {}", record.origin, record.reason));
    texts
}

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
    let vectors = read_vectors(&vectors_of(context, embedding))?;
    let neighbours = exact_neighbours(&vectors, pair.neighbours, monitor)?;
    let of = |first: usize| neighbours.of(first).map(move |(second, similarity)| (first as u32, second, similarity));
    let links = (0..neighbours.len()).flat_map(of);
    let copies = copies(context, pair, monitor)?;
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

/// Operations of the search for the neighbours of `documents` vectors of `width` numbers: every pair of them is multiplied once.
pub(crate) fn search_flops(documents: f64, width: f64) -> f64 {
    documents.powi(2) * width
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

/// The near-copies among the unique documents.
fn copies(context: &Context<'_>, pair: &recipe::Pair, monitor: &dyn Monitor) -> Result<Copies> {
    let Some(similarity) = pair.near_copy.get() else { return Ok(Copies::none()) };
    let texts = read_texts(&context.artifact("ingest").path("unique.jsonl.zst"), &ReadOptions::default(), monitor)?;
    let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    Ok(Copies::of(&texts, similarity, monitor)?)
}

/// Says at once what was found to be related.
fn tell(label: &str, stats: &PairStats) {
    let percent = 100.0 * stats.precision.estimate;
    let (with_pair, documents) = (stats.documents_with_pairs, stats.documents);
    match stats.precision.rule {
        Rule::OneHill => tracing::warn!(
            "{label}: this corpus has no usable relation: no similarity tells related documents from strangers, and of the pairs that were \
             taken {percent:.0} % are true by estimate. Change [embed], or give [pair] min_similarity if you know better"
        ),
        _ => tracing::info!(
            "{label}: {with_pair} of {documents} documents have a pair; {percent:.0} % of the pairs are true by estimate"
        ),
    }
}

/// Where the vectors of an embedding lie.
fn vectors_of(context: &Context<'_>, embedding: &str) -> PathBuf {
    context.made(Step::Embed(context.recipe.embedding(embedding))).path("vectors.parquet")
}

/// The stage `pair`, of the set at `at`.
pub(crate) fn pair_stage(context: &Context<'_>, at: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    match &context.recipe.pairs[at].method {
        PairMethod::Neighbours(embedding) => pairs_of_neighbours(context, at, embedding, folder, monitor),
        PairMethod::Shuffled(of) => shuffled_pairs(context, at, of, folder, monitor),
        PairMethod::File(path) => given_pairs(context, at, &context.recipe.at(path), folder, monitor),
    }
}

fn pairs_of_neighbours(
    context: &Context<'_>,
    at: usize,
    embedding: &str,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let pair = &context.recipe.pairs[at].pair;
    let vectors: Vectors = read_vectors(&vectors_of(context, embedding))?;
    let groups = Groups::of_unique_if_any(context, monitor)?;
    let k = neighbours_needed(pair.neighbours, vectors.len());
    let neighbours = match pair.within_groups {
        true => exact_neighbours(&vectors, k, monitor)?,
        false => exact_neighbours_apart(&vectors, k, groups.numbers(), monitor)?,
    };
    let config = PairConfig {
        neighbours: pair.neighbours,
        min_similarity: match pair.min_similarity {
            Threshold::At(similarity) => Some(similarity as f32),
            Threshold::Auto(_) => None,
        },
        precision: pair.precision,
        max_similarity: pair.max_similarity as f32,
        held_out_share: pair.held_out_share,
        seed: context.recipe.seed,
    };
    let (pairs, stats) = select_pairs(&vectors, &neighbours, &copies(context, pair, monitor)?, &config)?;
    tell(&Step::Pair(at).label(context.recipe), &stats);
    let mut made = write(folder, &vectors.ids, &pairs)?;
    let flops = search_flops(vectors.len() as f64, vectors.width as f64);
    let statistics = groups.count(json!(stats), &pairs, &Step::Pair(at).label(context.recipe));
    made.work = Work { statistics, documents: vectors.len() as u64, flops, ..Work::default() };
    Ok(made)
}

/// The training pairs of another set without their relation. Its held-out pairs stay as they are: by these a synthesizer is measured.
fn shuffled_pairs(context: &Context<'_>, at: usize, of: &str, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let ids: Vec<String> = unique_texts(context, monitor)?.into_iter().map(|(id, _)| id).collect();
    let of = context.recipe.pair_set(of);
    let source = context.made(Step::Pair(of));
    let (train, held_out) = (
        read_shuffled_pairs(&source.path("train.parquet"), &ids)?,
        read_pairs(&source.path("held_out.parquet"), &ids)?,
    );
    let seed = context.recipe.seed;
    let train = match context.recipe.pairs[at].pair.within_groups {
        true => shuffle_targets(&train, seed),
        false => shuffle_apart(&train, Groups::of_unique(context, monitor)?.numbers(), seed),
    };
    let mut pairs = Pairs { train, held_out };
    let vectors = match &context.recipe.pairs[of].method {
        PairMethod::Neighbours(embedding) => Some(read_vectors(&vectors_of(context, embedding))?),
        PairMethod::Shuffled(_) | PairMethod::File(_) => None,
    };
    for pair in &mut pairs.train {
        let found = vectors.as_ref().map(|vectors| vectors.similarity(pair.first as usize, pair.second as usize));
        pair.similarity = found.unwrap_or(0.0);
    }
    let mut made = write(folder, &ids, &pairs)?;
    made.work = Work { statistics: json!(counts(&pairs, 0)), documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// The pairs of a file.
fn given_pairs(context: &Context<'_>, at: usize, path: &Path, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let ids: Vec<String> = unique_texts(context, monitor)?.into_iter().map(|(id, _)| id).collect();
    let (mut given, passed_over) = read_pairs_among(path, &ids)?;
    given.iter_mut().filter(|pair| pair.similarity.is_nan()).for_each(|pair| pair.similarity = 0.0);
    let mut within = 0;
    if !context.recipe.pairs[at].pair.within_groups {
        let (groups, before) = (Groups::of_unique(context, monitor)?, given.len());
        given.retain(|pair| !groups.together(pair));
        within = (before - given.len()) as u64;
    }
    let share = context.recipe.pairs[at].pair.held_out_share;
    let pairs = part_given(ids.len(), &given, share, context.recipe.seed)?;
    let label = Step::Pair(at).label(context.recipe);
    let of_groups = if within > 0 { format!(", and {within} within a group, left out") } else { String::new() };
    tracing::info!(
        "{label}: {} pairs, and {passed_over} of documents that are not unique ones{of_groups}",
        given.len()
    );
    let mut made = write(folder, &ids, &pairs)?;
    made.work = Work { statistics: json!(counts(&pairs, passed_over)), documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// What is counted of pairs that were not looked for.
fn counts(pairs: &Pairs, passed_over: u64) -> serde_json::Value {
    json!({"train_pairs": pairs.train.len(), "held_out_pairs": pairs.held_out.len(), "passed_over": passed_over})
}

fn write(folder: &Path, ids: &[String], pairs: &Pairs) -> Result<Made> {
    write_pairs(&folder.join("train.parquet"), ids, &pairs.train)?;
    write_pairs(&folder.join("held_out.parquet"), ids, &pairs.held_out)?;
    let mut made = Made::default();
    made.rows("train.parquet", pairs.train.len() as u64);
    made.rows("held_out.parquet", pairs.held_out.len() as u64);
    Ok(made)
}
