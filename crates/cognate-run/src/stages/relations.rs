//! `embed` and `pair`: documents to vectors to pairs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::{
    Copies, LsaConfig, Pair, PairConfig, PairStats, Rule, Vectors, chains, exact_neighbours, lsa, neighbours_needed,
    read_vectors, select_pairs, write_pairs, write_vectors,
};
use cognate_train::{Row, related_rows};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, Made};
use crate::error::Result;
use crate::recipe::{EmbedMethod, Recipe, Threshold};
use crate::rundir::Work;

/// The stage `embed`.
pub(crate) fn embed_stage(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let embed = &context.recipe.embed;
    let texts = read_texts(&context.artifact("ingest").path("unique.jsonl.zst"), &ReadOptions::default(), monitor)?;
    let (vectors, stats) = match embed.method {
        EmbedMethod::Lsa => lsa(&texts, &lsa_config(context.recipe), monitor)?,
    };
    write_vectors(&folder.join("vectors.parquet"), &vectors)?;
    let documents = texts.len() as u64;
    let mut made = Made::default();
    made.rows("vectors.parquet", documents);
    // Sparse products of the matrix with its directions and 32 more, twelve times; the rest is small beside them.
    let flops = 12.0 * 2.0 * stats.weights as f64 * (stats.dimensions as f64 + 32.0);
    made.work = Work { statistics: json!(stats), documents, flops, ..Work::default() };
    Ok(made)
}

/// The embedder as the recipe wants it.
pub(crate) fn lsa_config(recipe: &Recipe) -> LsaConfig {
    let embed = &recipe.embed;
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

/// The unique documents in rows of related ones. As in In-Context Pretraining, every document's nearest neighbours count, however far
/// they are; only near-copies do not. What is cut is not known before there are batches.
pub(crate) fn rows_of_related(context: &Context<'_>, monitor: &dyn Monitor) -> Result<(Vec<Row>, Packing)> {
    let pair = &context.recipe.pair;
    let file = context.tokens("tokenize", "unique")?;
    let vectors = read_vectors(&context.artifact("embed").path("vectors.parquet"))?;
    let neighbours = exact_neighbours(&vectors, pair.neighbours, monitor)?;
    let of = |first: usize| neighbours.of(first).map(move |(second, similarity)| (first as u32, second, similarity));
    let links = (0..neighbours.len()).flat_map(of);
    let copies = copies(context, monitor)?;
    let pairs: Vec<Pair> = links
        .filter(|(_, _, similarity)| *similarity < pair.max_similarity as f32)
        .filter(|&(first, second, _)| !copies.are(first, second))
        .map(|(first, second, similarity)| Pair { first, second, similarity })
        .collect();
    let chains = chains(file.documents(), &pairs);
    let rows = related_rows(&file, &chains, context.recipe.model.context);
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
fn copies(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Copies> {
    let Some(similarity) = context.recipe.pair.near_copy.get() else { return Ok(Copies::none()) };
    let texts = read_texts(&context.artifact("ingest").path("unique.jsonl.zst"), &ReadOptions::default(), monitor)?;
    let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    Ok(Copies::of(&texts, similarity, monitor)?)
}

/// Says at once what was found to be related.
fn tell(stats: &PairStats) {
    let percent = 100.0 * stats.precision.estimate;
    let (with_pair, documents) = (stats.documents_with_pairs, stats.documents);
    match stats.precision.rule {
        Rule::OneHill => tracing::warn!(
            "pair: this corpus has no usable relation: no similarity tells related documents from strangers, and of the pairs that were \
             taken {percent:.0} % are true by estimate. Change [embed], or give [pair] min_similarity if you know better"
        ),
        _ => tracing::info!(
            "pair: {with_pair} of {documents} documents have a pair; {percent:.0} % of the pairs are true by estimate"
        ),
    }
}

/// The stage `pair`.
pub(crate) fn pair_stage(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let pair = &context.recipe.pair;
    let vectors: Vectors = read_vectors(&context.artifact("embed").path("vectors.parquet"))?;
    let neighbours = exact_neighbours(&vectors, neighbours_needed(pair.neighbours, vectors.len()), monitor)?;
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
    let (pairs, stats) = select_pairs(&vectors, &neighbours, &copies(context, monitor)?, &config)?;
    tell(&stats);
    write_pairs(&folder.join("train.parquet"), &vectors.ids, &pairs.train)?;
    write_pairs(&folder.join("held_out.parquet"), &vectors.ids, &pairs.held_out)?;
    let mut made = Made::default();
    made.rows("train.parquet", pairs.train.len() as u64);
    made.rows("held_out.parquet", pairs.held_out.len() as u64);
    let flops = search_flops(vectors.len() as f64, vectors.width as f64);
    made.work = Work { statistics: json!(stats), documents: vectors.len() as u64, flops, ..Work::default() };
    Ok(made)
}
