//! `embed` and `pair`: documents to vectors to pairs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::{
    Copies, Lsa, LsaConfig, Pair, PairConfig, PairStats, Pairs, Rule, UnseenStats, Vectors, chains, exact_neighbours,
    exact_neighbours_apart, neighbours_among, neighbours_needed, part_given, read_pairs, read_pairs_among,
    read_shuffled_pairs, read_vectors, select_pairs, shuffle_apart, shuffle_targets, write_pairs, write_vectors,
};
use cognate_train::{Row, related_rows};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::groups::Groups;
use super::held_out::{ids, selection_texts};
use super::quality::unique_texts;
use super::similarity::{self, NEAREST};
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::{self, Embed, PairMethod, Recipe, Threshold};
use crate::rundir::Work;
use crate::stage::Step;

/// Vectors of the selection split, in the space of those of the unique documents.
const SELECTION: &str = "selection.parquet";

/// The stage `embed`, of the embedding at `at`. It is fitted to the unique documents alone; those of the selection split are folded in.
pub(crate) fn embed_stage(context: &Context<'_>, at: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
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
            (vectors, [unseen, validation].map(|texts| embedder.embed(&texts)), json!(stats), flops)
        }
        recipe::Vectors::File(path) => {
            let (vectors, others) = given_vectors(&context.recipe.at(path), &texts, [&unseen, &validation], monitor)?;
            (vectors, others, json!({}), 0.0)
        }
    };
    write_vectors(&folder.join("vectors.parquet"), &vectors)?;
    write_vectors(&folder.join(SELECTION), &of_unseen)?;
    let mut made = Made::default();
    made.rows("vectors.parquet", vectors.len() as u64);
    made.rows(SELECTION, of_unseen.len() as u64);
    made.rows(NEAREST, similarity::write(folder, &vectors, &of_validation, monitor)?);
    let (others, width) = (of_unseen.len() + of_validation.len(), vectors.width as f64);
    let flops = flops + 2.0 * vectors.len() as f64 * of_validation.len() as f64 * width;
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
    let vectors = read_vectors(&vectors_of(context, embedding), monitor)?;
    let neighbours = match pair.within_groups {
        true => exact_neighbours(&vectors, pair.neighbours, monitor)?,
        false => exact_neighbours_apart(
            &vectors,
            pair.neighbours,
            Groups::of_unique_if_any(context, monitor)?.numbers(),
            monitor,
        )?,
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

/// The near-copies among the unique documents, and those of the selection split that `unseen` names, which are numbered behind them.
fn copies(context: &Context<'_>, pair: &recipe::Pair, unseen: &[String], monitor: &dyn Monitor) -> Result<Copies> {
    let Some(similarity) = pair.near_copy.get() else { return Ok(Copies::none()) };
    let mut texts: Vec<String> = unique_texts(context, monitor)?.into_iter().map(|(_, text)| text).collect();
    if !unseen.is_empty() {
        let mut of_unseen: HashMap<String, String> = selection_texts(context, monitor)?.into_iter().collect();
        texts.extend(unseen.iter().map(|id| of_unseen.remove(id).unwrap_or_default()));
    }
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

/// Says at once where what measures is not unseen.
fn tell_unseen(label: &str, unseen: &UnseenStats) {
    if !unseen.measure {
        let more = match unseen.documents {
            0 => "Vectors or pairs that name the selection split's documents, where there is one, would do",
            _ => "A larger [corpus] selection_share gives more",
        };
        tracing::warn!(
            "{label}: {} of the selection split's documents have a related unique one, too few to measure by. So pairs of unique documents \
             measure, which [pair] held_out_share holds out of tuning. But the base model has been trained on their texts, and what a seed \
             is worth will look like too little. {more}",
            unseen.with_pairs
        );
    }
}

/// Where the vectors of an embedding lie.
fn vectors_of(context: &Context<'_>, embedding: &str) -> PathBuf {
    context.made(Step::Embed(context.recipe.embedding(embedding))).path("vectors.parquet")
}

/// The vectors of the selection split, in the space of an embedding; none where it has none.
fn unseen_vectors(context: &Context<'_>, embedding: &str, monitor: &dyn Monitor) -> Result<Option<Vectors>> {
    let embedded = context.made(Step::Embed(context.recipe.embedding(embedding)));
    let has_rows = embedded.rows(SELECTION) > 0;
    Ok(has_rows.then(|| read_vectors(&embedded.path(SELECTION), monitor)).transpose()?)
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
    let vectors = read_vectors(&vectors_of(context, embedding), monitor)?;
    let unseen = unseen_vectors(context, embedding, monitor)?;
    let groups = Groups::of_unique_if_any(context, monitor)?;
    let k = neighbours_needed(pair.neighbours, vectors.len());
    let neighbours = match pair.within_groups {
        true => exact_neighbours(&vectors, k, monitor)?,
        false => exact_neighbours_apart(&vectors, k, groups.numbers(), monitor)?,
    };
    // A group is whole in one split, so none of these is of a unique document's group.
    let among = unseen.as_ref().map(|unseen| neighbours_among(&vectors, unseen, k, monitor)).transpose()?;
    let of_unseen = unseen.map(|unseen| unseen.ids).unwrap_or_default();
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
    let copies = copies(context, pair, &of_unseen, monitor)?;
    let (pairs, stats) = select_pairs(&vectors, &neighbours, among.as_ref(), &copies, &config)?;
    let label = Step::Pair(at).label(context.recipe);
    tell(&label, &stats);
    tell_unseen(&label, &stats.unseen);
    let (documents, unseen, width) = (vectors.len() as f64, of_unseen.len() as f64, vectors.width as f64);
    let ids = [vectors.ids, of_unseen].concat();
    let mut made = write(folder, &ids, &pairs)?;
    let flops = search_flops(documents, width) + 2.0 * documents * unseen * width;
    let statistics = groups.count(json!(stats), &pairs, &label);
    made.work = Work { statistics, documents: ids.len() as u64, flops, ..Work::default() };
    Ok(made)
}

/// The training pairs of another set without their relation. Its held-out pairs stay as they are: by these a synthesizer is measured.
fn shuffled_pairs(context: &Context<'_>, at: usize, of: &str, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let (ids, unique) = ids(context, monitor)?;
    let of = context.recipe.pair_set(of);
    let source = context.made(Step::Pair(of));
    let (train, held_out) = (
        read_shuffled_pairs(&source.path("train.parquet"), &ids, monitor)?,
        read_pairs(&source.path("held_out.parquet"), &ids, monitor)?,
    );
    let seed = context.recipe.seed;
    let train = match context.recipe.pairs[at].pair.within_groups {
        true => shuffle_targets(&train, seed),
        false => shuffle_apart(&train, Groups::of_unique(context, monitor)?.numbers(), seed),
    };
    let mut pairs = Pairs { train, held_out };
    let vectors = match &context.recipe.pairs[of].method {
        PairMethod::Neighbours(embedding) => Some(read_vectors(&vectors_of(context, embedding), monitor)?),
        PairMethod::Shuffled(_) | PairMethod::File(_) => None,
    };
    for pair in &mut pairs.train {
        let found = vectors.as_ref().map(|vectors| vectors.similarity(pair.first as usize, pair.second as usize));
        pair.similarity = found.unwrap_or(0.0);
    }
    let mut made = write(folder, &ids, &pairs)?;
    let measure = pairs.held_out.iter().any(|pair| pair.second as usize >= unique);
    let statistics = counts(&pairs, 0, UnseenStats { measure, ..UnseenStats::default() });
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// The pairs of a file.
fn given_pairs(context: &Context<'_>, at: usize, path: &Path, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let (ids, unique) = ids(context, monitor)?;
    let (mut given, passed_over) = read_pairs_among(path, &ids, monitor)?;
    given.iter_mut().filter(|pair| pair.similarity.is_nan()).for_each(|pair| pair.similarity = 0.0);
    let mut within = 0;
    if !context.recipe.pairs[at].pair.within_groups {
        let (groups, before) = (Groups::of_unique(context, monitor)?, given.len());
        given.retain(|pair| !groups.together(pair));
        within = (before - given.len()) as u64;
    }
    let share = context.recipe.pairs[at].pair.held_out_share;
    let (pairs, unseen) = part_given(unique, &given, share, context.recipe.seed)?;
    let label = Step::Pair(at).label(context.recipe);
    let of_groups = if within > 0 { format!(", and {within} within a group, left out") } else { String::new() };
    tracing::info!("{label}: {} pairs, and {passed_over} of documents of other splits{of_groups}", given.len());
    tell_unseen(&label, &unseen);
    let mut made = write(folder, &ids, &pairs)?;
    let statistics = counts(&pairs, passed_over, unseen);
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// What is counted of pairs that were not looked for.
fn counts(pairs: &Pairs, passed_over: u64, unseen: UnseenStats) -> serde_json::Value {
    let (train, held_out) = (pairs.train.len(), pairs.held_out.len());
    json!({"train_pairs": train, "held_out_pairs": held_out, "passed_over": passed_over, "unseen": unseen})
}

fn write(folder: &Path, ids: &[String], pairs: &Pairs) -> Result<Made> {
    write_pairs(&folder.join("train.parquet"), ids, &pairs.train)?;
    write_pairs(&folder.join("held_out.parquet"), ids, &pairs.held_out)?;
    let mut made = Made::default();
    made.rows("train.parquet", pairs.train.len() as u64);
    made.rows("held_out.parquet", pairs.held_out.len() as u64);
    Ok(made)
}
