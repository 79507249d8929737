//! `pair`: vectors to pairs of related documents.

use std::collections::HashSet;
use std::path::Path;

use cognate_base::Monitor;
use cognate_pair::{
    PairConfig, PairStats, Pairs, Rule, UnseenStats, Vectors, exact_neighbours, exact_neighbours_apart,
    neighbours_among, neighbours_needed, part_given, part_share, read_pairs, read_pairs_among, read_shuffled_pairs,
    read_vectors, select_pairs, shuffle_apart, shuffle_targets, write_pairs,
};
use serde_json::{Value, json};

use super::cycle;
use super::derived;
use super::embed::{HELD, SELECTION};
use super::entities;
use super::groups::{Groups, with_groups};
use super::held_out::ids;
use super::made_pairs;
use super::related::{copies, vectors_of};
use super::{BATCH_TOKENS, Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::search_flops;
use crate::estimate::{Cost, Estimate, PACKED};
use crate::recipe::{self, Model, PairMethod, Recipe, TO_DOCUMENT, TO_FORM, Threshold};
use crate::rundir::Work;
use crate::step::Step;
use crate::world_files::PAIRS;

/// Text that entities are looked for in within a second, on one core.
const ENTITY_BYTES_PER_S: f64 = 8e6;

/// The set of pairs at a place of [`Recipe::pairs`].
pub(crate) struct Pair(pub(crate) usize);

impl Stage for Pair {
    fn step(&self) -> Step {
        Step::Pair(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: the least similarity by estimated precision; near-copies by their words. 3: a set has a name, and may be shuffled or given. 4: what measures
        // are pairs with documents of the selection split. 5: of documents apart by groups, strangers are among those of other groups;
        // before a tail begins, nothing stands out. 6: strangers may be of several kinds, and the nearest kind says how many lie behind a valley.
        6
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        match &recipe.pairs[self.0].method {
            PairMethod::Neighbours(embedding) => vec![Step::Embed(recipe.embedding(embedding))],
            PairMethod::Shuffled { of, .. } => vec![Step::Pair(recipe.pair_set(of))],
            PairMethod::Cycle { of, by, .. } => {
                vec![Step::Pair(recipe.pair_set(of)), Step::Tune(recipe.synthesizer(by))]
            }
            PairMethod::File(_) | PairMethod::Truth | PairMethod::Entities { .. } => vec![Step::Ingest],
            PairMethod::OneDocument { .. }
            | PairMethod::Forms { .. }
            | PairMethod::Phrases { .. }
            | PairMethod::Trees { .. } => vec![Step::Tokenize],
            PairMethod::Obfuscated { of, .. } => vec![Step::Tokenize, Step::Pair(recipe.pair_set(of))],
        }
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", recipe.seed)?;
        let pairs = &recipe.pairs[self.0];
        match &pairs.method {
            PairMethod::Neighbours(_) => {
                let mut own = serde_json::to_value(&pairs.pair).map_err(|error| Error::Io(error.into()))?;
                if let Value::Object(keys) = &mut own {
                    keys.remove("within_groups");
                }
                config.put("pair", with_groups(own, &pairs.pair))
            }
            PairMethod::Shuffled { share, .. } => {
                let mut own = json!({"method": "shuffled"});
                if *share < 1.0 {
                    own["share"] = json!(share);
                }
                config.put("pair", with_groups(own, &pairs.pair))
            }
            PairMethod::Cycle { by, keep, .. } => {
                // As much of a document as it is shown when it writes.
                let shown = recipe.seed_tokens(recipe.synthesizer(by));
                config.put("pair", json!({"method": "cycle", "keep": keep, "max_seed_tokens": shown}))
            }
            PairMethod::File(_) | PairMethod::Truth => {
                let method = if pairs.method == PairMethod::Truth { "truth" } else { "file" };
                let own = json!({"method": method, "held_out_share": pairs.pair.held_out_share});
                config.put("pair", with_groups(own, &pairs.pair))
            }
            PairMethod::OneDocument { tasks, piece_tokens } => {
                let share = pairs.pair.held_out_share;
                config.put("pair", json!({"method": tasks, "piece_tokens": piece_tokens, "held_out_share": share}))
            }
            PairMethod::Obfuscated { share, .. } => config.put("pair", json!({"method": "obfuscated", "share": share})),
            PairMethod::Entities { shared, most_documents } => {
                let recipe::Pair { neighbours, near_copy, held_out_share, .. } = &pairs.pair;
                let own = json!({
                    "method": "entity-pairs", "shared_entities": shared, "entity_documents": most_documents,
                    "neighbours": neighbours, "near_copy": near_copy, "held_out_share": held_out_share
                });
                config.put("pair", with_groups(own, &pairs.pair))
            }
            PairMethod::Forms { keywords, to_form } => {
                let direction = if *to_form { TO_FORM } else { TO_DOCUMENT };
                let share = pairs.pair.held_out_share;
                let own = json!({
                    "method": "forms", "keywords": keywords, "direction": direction, "held_out_share": share
                });
                config.put("pair", own)
            }
            PairMethod::Phrases { parts, made, .. } => {
                let share = pairs.pair.held_out_share;
                config.put("pair", json!({"method": "phrases", "parts": parts, "made": made, "held_out_share": share}))
            }
            PairMethod::Trees { words, parts, swap, made } => {
                let share = pairs.pair.held_out_share;
                let own = json!({
                    "method": "trees", "words": words, "parts": parts, "swap": swap, "made": made,
                    "held_out_share": share
                });
                config.put("pair", own)
            }
        }
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        let documents = match &recipe.pairs[self.0].method {
            PairMethod::Shuffled { of, .. } | PairMethod::Cycle { of, .. } => {
                context.texts_of(recipe.pair_set(of))[0].clone()
            }
            _ => Step::Ingest.folder(recipe),
        };
        inputs.add("the unique documents", context.artifact(&documents), "unique.jsonl.zst")?;
        inputs.add("the selection documents", context.artifact(&documents), "selection.jsonl.zst")?;
        match &recipe.pairs[self.0].method {
            PairMethod::Neighbours(embedding) => {
                let vectors = context.made(Step::Embed(recipe.embedding(embedding)));
                inputs.add("the vectors", vectors, "vectors.parquet")?;
                inputs.add("the selection's vectors", vectors, SELECTION)?;
                inputs.add("how much of them the directions hold", vectors, HELD)?;
            }
            PairMethod::Shuffled { of, .. } | PairMethod::Obfuscated { of, .. } => {
                let pairs = context.made(Step::Pair(recipe.pair_set(of)));
                inputs.add("the training pairs", pairs, "train.parquet")?;
                inputs.add("the held-out pairs", pairs, "held_out.parquet")?;
            }
            PairMethod::Cycle { of, by, .. } => {
                let of = recipe.pair_set(of);
                let pairs = context.made(Step::Pair(of));
                inputs.add("the training pairs", pairs, "train.parquet")?;
                inputs.add("the held-out pairs", pairs, "held_out.parquet")?;
                inputs.add_tokens("the tokens of the documents", &context.texts_of(of)[1], "unique")?;
                let scorer = context.made(Step::Tune(recipe.synthesizer(by)));
                inputs.add("the synthesizer that scores", scorer, "best/model.safetensors")?;
                inputs.add_tokenizer(context.artifact("tokenize"), "")?;
            }
            PairMethod::OneDocument { .. } => {
                inputs.add_tokens("the unique tokens", "tokenize", "unique")?;
                inputs.add_tokens("the selection tokens", "tokenize", "selection")?;
            }
            PairMethod::File(path) => inputs.file("the given pairs", recipe.at(path))?,
            PairMethod::Phrases { path, .. } => inputs.file("the given phrases", recipe.at(path))?,
            PairMethod::Entities { .. } | PairMethod::Forms { .. } | PairMethod::Trees { .. } => {}
            PairMethod::Truth => inputs.add("the true pairs", context.artifact("ingest"), PAIRS)?,
        }
        match recipe.texts_of(self.0) == Some(self.0) {
            true => inputs.add_tokenizer(context.artifact("tokenize"), ""),
            false => Ok(()),
        }
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        match &context.recipe.pairs[self.0].method {
            PairMethod::Neighbours(embedding) => pairs_of_neighbours(context, self.0, embedding, place.folder, monitor),
            PairMethod::Shuffled { of, share } => shuffled_pairs(context, self.0, (of, *share), place.folder, monitor),
            PairMethod::File(path) => given_pairs(context, self.0, &context.recipe.at(path), place.folder, monitor),
            PairMethod::Truth => {
                given_pairs(context, self.0, &context.artifact("ingest").path(PAIRS), place.folder, monitor)
            }
            PairMethod::Cycle { of, by, keep } => {
                let by = context.recipe.synthesizer(by);
                cycle::kept_pairs(context, self.0, (of, by, *keep), place.folder, monitor)
            }
            PairMethod::OneDocument { tasks, piece_tokens } => {
                derived::one_document(context, self.0, (tasks, *piece_tokens), place.folder, monitor)
            }
            PairMethod::Obfuscated { of, share } => {
                derived::obfuscated(context, self.0, (of, *share), place.folder, monitor)
            }
            PairMethod::Entities { shared, most_documents } => {
                entities::sharing(context, self.0, (*shared, *most_documents), place.folder, monitor)
            }
            PairMethod::Forms { keywords, to_form } => {
                made_pairs::forms(context, self.0, (*keywords, *to_form), place.folder, monitor)
            }
            PairMethod::Phrases { path, parts, made } => {
                let path = context.recipe.at(path);
                made_pairs::phrases(context, self.0, (&path, *parts, *made), place.folder, monitor)
            }
            PairMethod::Trees { words, parts, swap, made } => {
                made_pairs::trees(context, self.0, (*words, *parts, *swap, *made), place.folder, monitor)
            }
        }
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        match &recipe.pairs[self.0].method {
            PairMethod::Cycle { by, .. } => Some(&recipe.base_training(recipe.synthesizer(by)).model),
            _ => None,
        }
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let documents = estimate.pairs(self.0);
        let method = &estimate.recipe.pairs[self.0].method;
        let flops = match method {
            PairMethod::Neighbours(embedding) => estimate.search_flops(embedding),
            PairMethod::Cycle { .. } => cycle::flops(estimate, self),
            _ => 0.0,
        };
        let given = match method {
            PairMethod::File(path) => estimate.given_s(path),
            // Both sides are made into tokens.
            PairMethod::OneDocument { .. } | PairMethod::Obfuscated { .. } | PairMethod::Forms { .. } => {
                2.0 * estimate.unique_bytes() / estimate.survey.encode_bytes_per_s
            }
            PairMethod::Phrases { .. } | PairMethod::Trees { .. } => {
                estimate.made_bytes(method) / estimate.survey.encode_bytes_per_s
            }
            PairMethod::Entities { .. } => estimate.unique_bytes() / ENTITY_BYTES_PER_S,
            PairMethod::Cycle { .. } => estimate.passes_s(flops),
            PairMethod::Neighbours(_) | PairMethod::Shuffled { .. } | PairMethod::Truth => 0.0,
        };
        let own = match method {
            PairMethod::Phrases { .. } | PairMethod::Trees { .. } => {
                let bytes = estimate.made_bytes(method);
                bytes * PACKED
                    + estimate.token_bytes(bytes / estimate.survey.bytes_per_token().max(1.0), 2.0 * documents)
            }
            method if method.makes_texts() => {
                2.0 * documents
                    * (estimate.survey.bytes_per_document * PACKED + estimate.token_bytes(estimate.mean(), 1.0))
            }
            _ => 0.0,
        };
        let searched = if matches!(method, PairMethod::Neighbours(_)) { estimate.search_s(flops) } else { 0.0 };
        let wall_s = searched + given;
        Cost { documents, flops, bytes: documents * 24.0 + own, wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        let set = &estimate.recipe.pairs[self.0];
        match &set.method {
            PairMethod::Neighbours(embedding) => estimate.search_bytes(embedding, set.pair.neighbours),
            PairMethod::Cycle { by, .. } => {
                let config = estimate.config(self);
                let context = estimate.recipe.synthesizers[estimate.recipe.synthesizer(by)].tune.context;
                config.parameter_bytes() + config.scoring_bytes(BATCH_TOKENS + context) + estimate.pairs(self.0) * 64.0
            }
            PairMethod::Trees { words, .. } => *words as f64 * 200.0 + estimate.pairs(self.0) * 320.0,
            PairMethod::Phrases { path, .. } => {
                let file = fs_err::metadata(estimate.recipe.at(path)).map_or(0, |file| file.len());
                // What is compressed is unpacked, and each phrase held twice while it is parted.
                8.0 * file as f64 + estimate.pairs(self.0) * 300.0
            }
            PairMethod::Forms { .. } => {
                let words = estimate.different_words(estimate.unique_bytes()) * 100.0;
                estimate.unique_bytes() + words + estimate.pairs(self.0) * 300.0
            }
            PairMethod::Entities { .. } => {
                // The texts once more while near-copies are made out, four bytes for each of their words, and each document's entities.
                let entities = estimate.different_words(estimate.unique_bytes()) * 100.0;
                3.0 * estimate.unique_bytes() + entities + estimate.pairs(self.0) * 24.0
            }
            PairMethod::Obfuscated { .. } => {
                let words = estimate.different_words(estimate.unique_bytes()) * 100.0;
                estimate.unique_bytes() + words + estimate.pairs(self.0) * 24.0
            }
            _ => estimate.unique_bytes() + estimate.pairs(self.0) * 24.0,
        }
    }
}

/// Says at once what was found to be related.
pub(super) fn tell(label: &str, stats: &PairStats) {
    let (with_pair, documents) = (stats.documents_with_pairs, stats.documents);
    let Some(estimate) = stats.precision.estimate else {
        return tracing::warn!(
            "{label}: {with_pair} of {documents} documents have a pair. Which share of the pairs is true cannot be said: most documents have too \
             few others outside of their group to tell related ones from strangers. Give [pair] min_similarity if you know one, or \
             write within_groups = true"
        );
    };
    let percent = 100.0 * estimate;
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
pub(super) fn tell_unseen(label: &str, unseen: &UnseenStats) {
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

/// The vectors of the selection split, in the space of an embedding; none where it has none.
fn unseen_vectors(context: &Context<'_>, embedding: &str, monitor: &dyn Monitor) -> Result<Option<Vectors>> {
    let embedded = context.made(Step::Embed(context.recipe.embedding(embedding)));
    let has_rows = embedded.rows(SELECTION) > 0;
    Ok(has_rows.then(|| read_vectors(&embedded.path(SELECTION), monitor)).transpose()?)
}

/// How much of each of their documents the directions hold.
fn held(context: &Context<'_>, embedding: &str) -> Result<Vec<f32>> {
    let path = context.made(Step::Embed(context.recipe.embedding(embedding))).path(HELD);
    let damaged = |error: serde_json::Error| Error::Damaged { path: path.clone(), message: error.to_string() };
    serde_json::from_str(&fs_err::read_to_string(&path)?).map_err(damaged)
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
    let among = match &unseen {
        Some(unseen) => Some(neighbours_among(&vectors, unseen, k, monitor)?.scaled(&held(context, embedding)?)),
        None => None,
    };
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
    let mut made = Made::default();
    write(folder, &ids, &pairs, &mut made)?;
    let flops = search_flops(documents, width) + 2.0 * documents * unseen * width;
    let statistics = groups.count(json!(stats), &pairs, &label);
    made.work = Work { statistics, documents: ids.len() as u64, flops, ..Work::default() };
    Ok(made)
}

/// The training pairs of another set, a share of them without their relation. Its held-out pairs stay as they are: by these a synthesizer
/// is measured.
fn shuffled_pairs(
    context: &Context<'_>,
    at: usize,
    (of, share): (&str, f64),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let of = context.recipe.pair_set(of);
    let (ids, unique) = ids(context, of, monitor)?;
    let source = context.made(Step::Pair(of));
    let (train, held_out) = (
        read_shuffled_pairs(&source.path("train.parquet"), &ids, monitor)?,
        read_pairs(&source.path("held_out.parquet"), &ids, monitor)?,
    );
    let seed = context.recipe.seed;
    let (others, kept) = part_share(&train, share, seed);
    let mut train = match context.recipe.pairs[at].pair.within_groups {
        // A source is to have the target of another document.
        _ if context.recipe.texts_of(of).is_some() => shuffle_apart(&others, &derived::origins(&ids), seed, monitor)?,
        true => shuffle_targets(&others, seed, monitor)?,
        false => shuffle_apart(&others, Groups::of_unique(context, monitor)?.numbers(), seed, monitor)?,
    };
    let vectors = match &context.recipe.pairs[of].method {
        PairMethod::Neighbours(embedding) => Some(read_vectors(&vectors_of(context, embedding), monitor)?),
        _ => None,
    };
    for pair in &mut train {
        let found = vectors.as_ref().map(|vectors| vectors.similarity(pair.first as usize, pair.second as usize));
        pair.similarity = found.unwrap_or(0.0);
    }
    if !context.recipe.pairs[at].is_shuffled() {
        // A set of pairs has each once.
        let mut seen: HashSet<(u32, u32)> = kept.iter().map(|pair| (pair.first, pair.second)).collect();
        train.retain(|pair| seen.insert((pair.first, pair.second)));
        train.extend(kept);
        train.sort_unstable_by_key(|pair| (pair.first, pair.second));
    }
    let pairs = Pairs { train, held_out };
    let mut made = Made::default();
    write(folder, &ids, &pairs, &mut made)?;
    let measure = pairs.held_out.iter().any(|pair| pair.second as usize >= unique);
    let statistics = counts(&pairs, 0, UnseenStats { measure, ..UnseenStats::default() });
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// The pairs of a file.
fn given_pairs(context: &Context<'_>, at: usize, path: &Path, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let (ids, unique) = ids(context, at, monitor)?;
    let (mut given, passed_over) = read_pairs_among(path, &ids, monitor)?;
    given.iter_mut().filter(|pair| pair.similarity.is_nan()).for_each(|pair| pair.similarity = 0.0);
    let mut within = 0;
    if !context.recipe.pairs[at].pair.within_groups {
        let (groups, before) = (Groups::of_unique(context, monitor)?, given.len());
        given.retain(|pair| !groups.together(pair));
        within = (before - given.len()) as u64;
    }
    let share = context.recipe.pairs[at].pair.held_out_share;
    let (pairs, unseen) = part_given(unique, &given, &[], share, context.recipe.seed)?;
    let label = Step::Pair(at).label(context.recipe);
    let of_groups = if within > 0 { format!(", and {within} within a group, left out") } else { String::new() };
    tracing::info!("{label}: {} pairs, and {passed_over} of documents of other splits{of_groups}", given.len());
    tell_unseen(&label, &unseen);
    let mut made = Made::default();
    write(folder, &ids, &pairs, &mut made)?;
    let statistics = counts(&pairs, passed_over, unseen);
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}

/// What is counted of pairs that were not looked for.
pub(super) fn counts(pairs: &Pairs, passed_over: u64, unseen: UnseenStats) -> Value {
    let (train, held_out) = (pairs.train.len(), pairs.held_out.len());
    json!({"train_pairs": train, "held_out_pairs": held_out, "passed_over": passed_over, "unseen": unseen})
}

pub(super) fn write(folder: &Path, ids: &[String], pairs: &Pairs, made: &mut Made) -> Result<()> {
    write_pairs(&folder.join("train.parquet"), ids, &pairs.train)?;
    write_pairs(&folder.join("held_out.parquet"), ids, &pairs.held_out)?;
    made.rows("train.parquet", pairs.train.len() as u64);
    made.rows("held_out.parquet", pairs.held_out.len() as u64);
    Ok(())
}
