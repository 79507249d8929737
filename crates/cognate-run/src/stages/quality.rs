//! What `filter` measures with the models and the embedder of the run: relevance, similarity, perplexity.
//!
//! The stages' crates do not know each other; here their figures come together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::random::{self, Rng};
use cognate_corpus::{Document, ReadOptions, Reader, Tokenizer};
use cognate_eval::{PerplexityOptions, perplexity};
use cognate_model::Decoder;
use cognate_pair::{Lsa, Pair, Vectors, read_pairs, read_pairs_among};
use cognate_statistics::interval::mean;
use cognate_statistics::{Estimate, Figure, Share};
use cognate_synth::filter::stage::KEPT;
use cognate_synth::{
    Calibration, Copied, NEAR_COPY, Relevance, RelevanceOptions, TextPair, TokenPair, calibrate, metadata,
    pair_overlap, relevance, relevance_of_texts,
};
use serde::{Deserialize, Serialize};

use super::BATCH_TOKENS;
use super::embed::lsa_config;
use super::generate::seeds_of;
use super::held_out::{Documents, HeldOut, draw, one_of_each_target};
use super::texts::{read_texts, texts_in, unique_texts};
use crate::context::Context;
use crate::device::Model;
use crate::error::Result;
use crate::recipe::pair_methods::Neighbours;
use crate::recipe::{self, Embed, PairMethod, Recipe, SeedsOf};
use crate::step::{Replicate, Step, writer};

/// Documents whose perplexity is measured, of each kind.
const PERPLEXITY_DOCUMENTS: usize = 300;
/// Documents embedded together.
const EMBEDDED_AT_ONCE: usize = 512;

/// Figures beside those of the filter itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// What scores of relevance mean; none where too few pairs were held out.
    pub(crate) calibration: Option<Calibration>,
    pub(crate) similarity: Similarity,
    /// True neighbours that are near-copies of their seed.
    pub(crate) neighbour_copying: Share,
    /// How much of a true neighbour is made of pieces of its seed.
    pub(crate) neighbour_copied: Copied,
    /// The base model's perplexity on kept documents, and on validation documents; `n` counts documents.
    pub(crate) perplexity_kept: Option<Figure>,
    pub(crate) perplexity_validation: Option<Figure>,
}

/// Cosine similarity to the seed, by the embedder that made the pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Similarity {
    /// Of kept documents.
    pub(crate) synthetic: Option<Figure>,
    /// Of true neighbours: high by construction, since similarity is what made them pairs.
    pub(crate) neighbours: Option<Figure>,
    /// Of random documents.
    pub(crate) random: Option<Figure>,
}

/// The tuned model, which says how related two documents are.
pub(crate) struct Synthesizer {
    /// Its place.
    at: usize,
    model: Model,
    tokenizer: Tokenizer,
    options: RelevanceOptions,
    /// Scores by the synthetic document's id: a further round of generation filters the earlier documents again.
    known: HashMap<String, Option<Relevance>>,
    /// Operations spent on scoring.
    pub(crate) flops: f64,
}

impl Synthesizer {
    /// The synthesizer at `at`, which sees as much of a seed as it writes from.
    pub(crate) fn load(context: &Context<'_>, at: usize, max_seed_tokens: usize) -> Result<Self> {
        let tokenizer = context.tokenizer()?;
        let (model, _) = Decoder::load(context.device()?, &context.made(Step::Tune(at)).path("best"))?;
        let options = RelevanceOptions::of(&tokenizer, max_seed_tokens, BATCH_TOKENS)?;
        Ok(Self { at, model, tokenizer, options, known: HashMap::new(), flops: 0.0 })
    }

    /// Held-out pairs that had no say in choosing the checkpoint, the ones on which the relation was measured, beside random ones.
    pub(crate) fn calibrate(&mut self, context: &Context<'_>, monitor: &dyn Monitor) -> Result<Option<Calibration>> {
        let set = context.recipe.pair_set(&context.recipe.synthesizers[self.at].pairs);
        let documents = Documents::of(context, set, monitor)?;
        let pair = |pair: &Pair| TokenPair {
            name: format!(
                "the pair of {} and {}",
                documents.ids[pair.first as usize], documents.ids[pair.second as usize]
            ),
            seed: documents.tokens(pair.first),
            document: documents.tokens(pair.second),
        };
        let measuring = one_of_each_target(&HeldOut::of(context, self.at, &documents)?.measuring);
        let pairs: Vec<TokenPair> = measuring.iter().map(pair).collect();
        let tokens: usize = pairs.iter().map(|pair| pair.seed.len() + pair.document.len()).sum();
        // Four conditional and two unconditional passes over each pair's tokens.
        self.count(6 * tokens as u64, 6 * pairs.len() as u64);
        Ok(calibrate(&mut self.model, &self.tokenizer, &pairs, self.options, context.recipe.seed, monitor)?)
    }

    /// Scores documents, each of them once.
    pub(crate) fn score(
        &mut self,
        pairs: &[TextPair<'_>],
        monitor: &dyn Monitor,
    ) -> cognate_synth::Result<Vec<Option<Relevance>>> {
        let new: Vec<TextPair<'_>> = pairs.iter().filter(|pair| !self.known.contains_key(pair.name)).copied().collect();
        let found = relevance_of_texts(&mut self.model, &self.tokenizer, &new, self.options, monitor)?;
        self.count(found.iter().flatten().map(|score| score.tokens).sum(), 4 * found.iter().flatten().count() as u64);
        self.known.extend(new.iter().map(|pair| pair.name.to_owned()).zip(found));
        Ok(pairs.iter().filter_map(|pair| self.known.get(pair.name)).copied().collect())
    }

    /// Scores pairs of tokens.
    pub(crate) fn score_tokens(
        &mut self,
        pairs: &[TokenPair],
        monitor: &dyn Monitor,
    ) -> cognate_synth::Result<Vec<Relevance>> {
        let found = relevance(&mut self.model, &self.tokenizer, pairs, self.options, monitor)?;
        self.count(found.iter().map(|score| score.tokens).sum(), 4 * found.len() as u64);
        Ok(found)
    }

    /// Counts `tokens` of `sequences`, each attending to half of its own length.
    fn count(&mut self, tokens: u64, sequences: u64) {
        let tokens = tokens as f64;
        self.flops += self.model.config().forward_flops(tokens, tokens, tokens / sequences.max(1) as f64 / 2.0);
    }
}

/// Measures the kept documents in `folder`, of the corpus at `corpus`.
pub(crate) fn measure(
    context: &Context<'_>,
    corpus: usize,
    folder: &Path,
    calibration: Option<Calibration>,
    monitor: &dyn Monitor,
) -> Result<Measured> {
    let filters = &context.recipe.synthetic[corpus].filter;
    let most = filters.quality_documents;
    let texts = paired_texts(context, corpus, monitor)?;
    let ids: Vec<String> = texts.iter().map(|(id, _)| id.clone()).collect();
    let kept = read_first(&folder.join(KEPT), most, monitor)?;
    let true_pairs = true_pairs(context, corpus, &ids)?;
    let true_pairs = draw(&true_pairs, most, context.recipe.seed, "quality pairs");
    let text = |number: u32| texts[number as usize].1.as_str();
    let pair_texts: Vec<(&str, &str)> = true_pairs.iter().map(|pair| (text(pair.first), text(pair.second))).collect();
    let near_copy = filters.near_copy.get().unwrap_or(NEAR_COPY);
    let (neighbour_copying, neighbour_copied) = pair_overlap(&pair_texts, near_copy, monitor)?;
    let validation =
        read_first(&context.artifact("ingest").path("validation.jsonl.zst"), PERPLEXITY_DOCUMENTS, monitor)?;
    let mut base = context.recipe.base_of(corpus).map(|arm| Base::load(context, arm)).transpose()?;
    let mut perplexity = |documents: &[Document]| match &mut base {
        Some(base) => base.perplexity(documents, monitor),
        None => Ok(None),
    };
    Ok(Measured {
        calibration,
        similarity: similarity(context, corpus, &texts, &kept, &true_pairs, monitor)?,
        neighbour_copying,
        neighbour_copied,
        perplexity_kept: perplexity(&kept[..kept.len().min(PERPLEXITY_DOCUMENTS)])?,
        perplexity_validation: perplexity(&validation)?,
    })
}

/// The texts that the pairs of unique documents name which [`true_pairs`] has.
pub(super) fn paired_texts(
    context: &Context<'_>,
    corpus: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<(String, String)>> {
    let Some(Step::Tune(synthesizer)) = writer(context.recipe, corpus) else { return unique_texts(context, monitor) };
    let set = context.recipe.pair_set(&context.recipe.synthesizers[synthesizer].pairs);
    let [folder, _] = context.texts_of(set);
    texts_in(context, &folder, "unique", monitor)
}

/// All pairs of unique documents that the synthesizer behind the corpus at `corpus` learns from or is measured on.
pub(super) fn true_pairs(context: &Context<'_>, corpus: usize, ids: &[String]) -> Result<Vec<Pair>> {
    let Some(Step::Tune(synthesizer)) = writer(context.recipe, corpus) else { return Ok(Vec::new()) };
    let recipe = context.recipe;
    let set = recipe.true_set(recipe.pair_set(&recipe.synthesizers[synthesizer].pairs));
    let pairs = context.made(Step::Pair(set));
    let mut all = read_pairs(&pairs.path("train.parquet"), ids, context.monitor)?;
    all.extend(read_pairs_among(&pairs.path("held_out.parquet"), ids, context.monitor)?.0);
    Ok(all)
}

/// The seeds of the corpus at `corpus` that are no unique documents.
pub(super) fn synthetic_seeds(
    context: &Context<'_>,
    corpus: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<(String, String)>> {
    match (&context.recipe.synthetic[corpus].seeds, seeds_of(context, corpus)?) {
        (SeedsOf::Corpus(_), Some((documents, _))) => read_texts(&documents, &ReadOptions::default(), monitor),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn read_first(path: &Path, most: usize, monitor: &dyn Monitor) -> Result<Vec<Document>> {
    let reader = Reader::open(&[PathBuf::from(path)], &ReadOptions::default(), monitor)?;
    let read = reader.take(most).map(|record| {
        monitor.check()?;
        Ok(record?.1)
    });
    read.collect()
}

/// The embedder is fitted once more, which gives the same vectors as `embed` did: its directions are in no file.
fn similarity(
    context: &Context<'_>,
    corpus: usize,
    texts: &[(String, String)],
    kept: &[Document],
    true_pairs: &[Pair],
    monitor: &dyn Monitor,
) -> Result<Similarity> {
    let Some(embed) = embedder_behind(context.recipe, corpus) else { return Ok(Similarity::default()) };
    let (embedder, vectors, _) = Lsa::fit(texts, &lsa_config(context.recipe, embed), monitor)?;
    let numbers: HashMap<&str, usize> = texts.iter().enumerate().map(|(i, (id, _))| (id.as_str(), i)).collect();
    let (mut synthetic, mut random) = (Vec::new(), Vec::new());
    for (chunk, documents) in kept.chunks(EMBEDDED_AT_ONCE).enumerate() {
        monitor.check()?;
        let new: Vec<(String, String)> = documents.iter().map(|d| (d.id.clone(), d.text.clone())).collect();
        let (written, held) = embedder.fold_in(&new);
        for (at, document) in documents.iter().enumerate() {
            let Some(&seed) = metadata::seed_id(document)?.and_then(|id| numbers.get(id)) else { continue };
            synthetic.push(cosine(&vectors, seed, &written, at) * f64::from(held[at]));
            // Any other document.
            if texts.len() > 1 {
                let number = (chunk * EMBEDDED_AT_ONCE + at) as u64;
                let mut stream = random::stream(context.recipe.seed, "random similarity", number);
                let step = 1 + (stream.next_u64() % (texts.len() as u64 - 1)) as usize;
                random.push(f64::from(vectors.similarity(seed, (seed + step) % texts.len())));
            }
        }
    }
    let neighbours: Vec<f64> = true_pairs.iter().map(|pair| f64::from(pair.similarity)).collect();
    Ok(Similarity {
        synthetic: mean(&synthetic, monitor)?,
        neighbours: mean(&neighbours, monitor)?,
        random: mean(&random, monitor)?,
    })
}

/// The settings of the embedder that found the pairs behind the corpus at `corpus`. None where these were given, or the vectors were:
/// new documents have no vector then. None of documents with other seeds, which have none either.
fn embedder_behind(recipe: &Recipe, corpus: usize) -> Option<&Embed> {
    let PairMethod::Neighbours(Neighbours { embedding }) = &recipe.pairs_behind(corpus)?.method else { return None };
    let embedding = &recipe.embeddings[recipe.embedding(embedding)];
    (embedding.vectors == recipe::Vectors::Lsa && recipe.synthetic[corpus].seeds == SeedsOf::Unique)
        .then_some(&embedding.embed)
}

fn cosine(a: &Vectors, i: usize, b: &Vectors, j: usize) -> f64 {
    a.row(i).iter().zip(b.row(j)).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>().clamp(-1.0, 1.0)
}

/// The best model of the arm that the writer began from: what it finds likely is what real text has taught it.
struct Base {
    model: Model,
    tokenizer: Tokenizer,
}

impl Base {
    fn load(context: &Context<'_>, arm: usize) -> Result<Self> {
        let base = Step::Train(Replicate::own(context.recipe, arm));
        let (model, _) = Decoder::load(context.device()?, &context.made(base).path("best"))?;
        Ok(Self { model, tokenizer: context.tokenizer()? })
    }

    /// Perplexity with e to the power of (nats ± 1.96 standard errors); none of no documents.
    fn perplexity(&mut self, documents: &[Document], monitor: &dyn Monitor) -> Result<Option<Figure>> {
        if documents.is_empty() {
            return Ok(None);
        }
        let options = PerplexityOptions::of(&self.tokenizer, BATCH_TOKENS);
        let documents = documents.iter().cloned().map(Ok);
        let (found, _) = perplexity(&mut self.model, &self.tokenizer, documents, options, monitor)?;
        let (low, high) = Estimate { value: found.nats_per_token, stderr: found.stderr }.interval();
        Ok(Some(Figure { value: found.perplexity, low: low.exp(), high: high.exp(), n: found.documents }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// New documents have a place among the others where the embedder is our own and their seeds have one.
    #[test]
    fn an_embedder_is_behind_documents_whose_pairs_it_found() {
        let text = "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
                    [[embedding]]\nname = \"own\"\ndimensions = 9\n[[embedding]]\nname = \"given\"\nmethod = \"file\"\npath = \"v\"\n\
                    [[pairs]]\nname = \"own\"\nembedding = \"own\"\n[[pairs]]\nname = \"given\"\nembedding = \"given\"\n\
                    [[pairs]]\nname = \"forms\"\nmethod = \"forms\"\n[[synthetic]]\nname = \"again\"\nby = \"own\"\nseeds = \"own\"\n\
                    [[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"a\"\n\
                    synthetic = { own = 0.1, given = 0.1, forms = 0.1, again = 0.1, unconditional = 0.1 }\n";
        let recipe = Recipe::parse(std::path::Path::new("r.toml"), text).unwrap();
        let behind = |name: &str| embedder_behind(&recipe, recipe.corpus_of(name)).map(|embed| embed.dimensions);
        assert_eq!(["own", "given", "forms", "again", "unconditional"].map(behind), [Some(9), None, None, None, None]);
    }
}
