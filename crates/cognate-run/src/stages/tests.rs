//! What the stages of a small run measured, computed once more from its files: of which pairs, documents and checkpoints.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use cognate_base::{Hash, Silent};
use cognate_corpus::ReadOptions;
use cognate_eval::{Perplexity, PerplexityOptions, RelationOptions, perplexity, relation};
use cognate_model::{Decoder, ScoreItem, score};
use cognate_pair::{Lsa, Pair, PairStats, read_pairs, read_vectors};
use cognate_synth::generate::files::shards;
use cognate_synth::{RelevanceOptions, Seeds, Target, TokenPair, calibrate, generate, metadata};
use cognate_train::{PairTokens, Point};

use super::BATCH_TOKENS;
use super::embed::lsa_config;
use super::evaluate::read_scores;
use super::filter::Filtered;
use super::generate::generate_config;
use super::held_out::{Documents, HeldOut, one_of_each_target};
use super::quality::read_first;
use super::related::nearest;
use super::texts::unique_texts;
use super::train::training::Trained;
use crate::context::Context;
use crate::device::Model;
use crate::recipe::Init;
use crate::step::{Replicate, Step};

mod costs;
mod derived;
pub(super) mod finished;
mod given;
mod graph;
mod identities;
mod made_pairs;
mod sweeps;
mod teaching;
mod told;
mod trainings;
mod work;
mod worlds;
mod written;

use finished::{Finished, corpus};

/// A run of seconds that overfits: its base model and its synthesizer are best long before their ends.
const RECIPE: &str = r#"
name = "small"
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.1
contamination_words = 0
[tokenize]
vocab_size = 420
[embed]
dimensions = 32
[pair]
min_similarity = 0.4
max_similarity = 0.999
held_out_share = 0.4
[tune]
batch_tokens = 1024
epochs = 10
rate = 1e-2
[filter]
min_words = 5
[model]
layers = 1
width = 32
heads = 2
context = 128
[train]
budget_tokens = 122880
batch_tokens = 1024
peak_rate = 1e-2
final_rate = 1e-2
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.05
"#;

/// All of one run, which takes longer than what is asked of it.
#[test]
fn a_small_run_measures_what_it_says() {
    let finished = Finished::new(RECIPE, &[("documents.jsonl", corpus(1200))], |_| {});
    let context = finished.context();
    work::rows_are_those_of_the_files(&context);
    work::operations_and_tokens_follow_from_what_was_read(&context);
    the_checkpoint_is_chosen_by_pairs_that_the_relation_is_not_measured_on(&context);
    what_measures_is_a_unique_document_and_one_that_no_model_has_seen(&context);
    relevance_is_calibrated_on_pairs_that_chose_no_checkpoint(&context);
    documents_are_written_by_the_checkpoint_that_was_chosen(&context);
    similarity_to_the_seed_is_that_of_each_kept_document(&context);
    a_model_is_scored_as_its_training_ended(&context);
    let pairs = &context.made(Step::Pair(0)).manifest.work.statistics;
    let percent = 100.0 * pairs["precision"]["estimate"].as_f64().unwrap();
    let of = format!("{} of {}", pairs["documents_with_pairs"], pairs["documents"]);
    let told = format!(
        "pair: {of} documents have a pair; {percent:.0} % of the pairs are true by estimate: nearer than strangers are, which may be less than you \
         mean by related"
    );
    assert!(finished.told.contains(&told), "{told}: {:?}", finished.told);
    told::pairs_of_one_hill_are_no_relation(&context);
    drop(context);
    what_a_training_is_given_to_start_from_is_part_of_it(&finished);
}

fn load(context: &Context<'_>, checkpoint: &Path) -> Model {
    Decoder::load(context.device().unwrap(), checkpoint).unwrap().0
}

/// Held-out pairs: those that choose the synthesizer's checkpoint, and those that the chosen one is measured on.
fn held_out(context: &Context<'_>, documents: &Documents) -> (Vec<Pair>, Vec<Pair>) {
    let HeldOut { choosing, measuring, .. } =
        HeldOut::of(context, context.recipe.synthesizer("related"), documents).unwrap();
    assert!(choosing.len() >= 4 && measuring.len() >= 4, "{} and {} pairs", choosing.len(), measuring.len());
    (choosing, measuring)
}

fn tune() -> &'static Path {
    Path::new("tune/related")
}

fn the_checkpoint_is_chosen_by_pairs_that_the_relation_is_not_measured_on(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let (choosing, measured) = held_out(context, &documents);
    let tokenizer = context.tokenizer().unwrap();
    let tokens = |number: u32| documents.tokens(number);
    let item = |frame: &PairTokens, pair: &Pair| frame.item(tokens(pair.first), tokens(pair.second));
    let trained: Trained = context.statistics(tune()).unwrap();
    let mut best = load(context, &context.artifact(tune()).path("best"));

    // What the checkpoint was chosen by is its loss on the second documents of the choosing pairs, after the first.
    let frame = PairTokens {
        begin_of_document: tokenizer.begin_of_document(),
        related: tokenizer.related().unwrap(),
        context: context.recipe.tune.context,
    };
    let mut nats = |pairs: &[Pair]| {
        let items: Vec<ScoreItem> = pairs.iter().map(|pair| item(&frame, pair)).collect();
        let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
        score(&mut best, &items, BATCH_TOKENS, &Silent).unwrap().iter().sum::<f64>() / tokens as f64
    };
    let recorded = trained.best_nats.unwrap();
    // By what they save over random seeds and over none: not by the lowest loss.
    let by = |of: fn(&Point) -> Option<f64>| {
        let points = trained.curve.iter().filter(|point| of(point).is_some());
        points.max_by(|a, b| of(a).partial_cmp(&of(b)).unwrap()).unwrap()
    };
    let chosen = by(Point::seed_gain);
    assert_eq!((trained.best_step, Some(recorded)), (chosen.step, chosen.validation_nats));
    assert_eq!(trained.best_gain, chosen.seed_gain());
    assert!(trained.best_gain > Some(0.0), "where nothing is gained, the lowest loss chooses");
    assert_ne!(
        chosen.step,
        by(|point| point.validation_nats.map(|nats| -nats)).step,
        "the two rules cannot be told apart"
    );
    assert!((nats(&choosing) - recorded).abs() < 1e-9, "{} {recorded}", nats(&choosing));
    let numbers: Vec<(u32, u32)> = choosing.iter().map(|pair| (pair.first, pair.second)).collect();
    let seeds = HeldOut::of(context, 0, &documents).unwrap().all.into_iter().map(|pair| pair.first);
    let contrast = frame.contrast(tokens, &numbers, seeds, context.recipe.seed).unwrap();
    for (items, recorded) in
        [(&contrast.random_seed, chosen.random_seed_nats), (&contrast.no_seed, chosen.no_seed_nats)]
    {
        let mut best = load(context, &context.artifact(tune()).path("best"));
        let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
        let nats = score(&mut best, items, BATCH_TOKENS, &Silent).unwrap().iter().sum::<f64>() / tokens as f64;
        assert!((nats - recorded.unwrap()).abs() < 1e-9, "{nats} {recorded:?}");
    }
    assert!((nats(&measured) - recorded).abs() > 1e-4, "the two parts cannot be told apart");
    // Tuning began from the best of the base model.
    let start = |checkpoint: &str| {
        let mut base = load(context, &context.base_of(0).path(checkpoint));
        let items: Vec<ScoreItem> = choosing.iter().map(|pair| item(&frame, pair)).collect();
        let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
        score(&mut base, &items, BATCH_TOKENS, &Silent).unwrap().iter().sum::<f64>() / tokens as f64
    };
    let began = trained.curve[0].validation_nats.unwrap();
    assert!((start("best") - began).abs() < 1e-9 && (start("final") - began).abs() > 1e-4, "{began}");

    // The relation is that of the other pairs.
    let options = RelationOptions {
        max_seed_tokens: context.recipe.generate.max_seed_tokens,
        seed: context.recipe.seed,
        batch_tokens: BATCH_TOKENS,
    };
    let texts = |pairs: &[Pair]| -> Vec<(Vec<u32>, Vec<u32>)> {
        pairs.iter().map(|pair| (tokens(pair.first), tokens(pair.second))).collect()
    };
    let found = trained.relation.unwrap();
    assert_eq!(found.after, relation(&mut best, &tokenizer, &texts(&measured), options, &Silent).unwrap().0);
    assert_ne!(found.after, relation(&mut best, &tokenizer, &texts(&choosing), options, &Silent).unwrap().0);
    let mut base = load(context, &context.base_of(0).path("best"));
    assert_eq!(found.before, relation(&mut base, &tokenizer, &texts(&measured), options, &Silent).unwrap().0);
}

fn what_measures_is_a_unique_document_and_one_that_no_model_has_seen(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let split = |name: &str| -> Vec<(String, String)> {
        let path = context.artifact("ingest").path(&format!("{name}.jsonl.zst"));
        read_first(&path, usize::MAX, &Silent).unwrap().into_iter().map(|d| (d.id, d.text)).collect()
    };
    let (unique, selection) = (split("unique"), split("selection"));
    assert!(selection.len() > 20, "{}", selection.len());
    let all = HeldOut::of(context, 0, &documents).unwrap().all;
    let in_unique = |number: u32| (number as usize) < unique.len();
    assert!(all.iter().all(|pair| in_unique(pair.first) && !in_unique(pair.second)));
    // The tokens are those of the documents that are named.
    let tokenizer = context.tokenizer().unwrap();
    for pair in all.iter().take(5) {
        for (number, (id, text)) in
            [(pair.first, &unique[pair.first as usize]), (pair.second, &selection[pair.second as usize - unique.len()])]
        {
            assert_eq!(documents.ids[number as usize], *id);
            let mut tokens = tokenizer.encode(text).unwrap();
            tokens.push(tokenizer.end_of_document());
            assert_eq!(documents.tokens(number), tokens);
        }
    }
    // Related they are by an embedder that knows the unique documents alone.
    let (embedder, vectors, _) =
        Lsa::fit(&unique, &lsa_config(context.recipe, &context.recipe.embed), &Silent).unwrap();
    let (folded, held) = embedder.fold_in(&selection);
    for pair in &all {
        let at = pair.second as usize - unique.len();
        let (a, b) = (vectors.row(pair.first as usize), folded.row(at));
        let cosine = a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() * held[at];
        assert!((cosine - pair.similarity).abs() < 1e-4 && cosine > 0.39, "{cosine} {}", pair.similarity);
    }
    // All unique documents are left to learn from.
    let train = read_pairs(&context.pairs_of(0).path("train.parquet"), &documents.ids, &Silent).unwrap();
    let stats: PairStats = context.statistics("pair/related").unwrap();
    let learned: HashSet<u32> = train.iter().map(|pair| pair.first).collect();
    assert!(train.iter().all(|pair| in_unique(pair.first) && in_unique(pair.second)));
    assert_eq!((learned.len(), stats.straddling), (stats.documents_with_pairs, 0));
    assert_eq!((stats.unseen.documents, stats.unseen.measure), (selection.len(), true));
}

fn relevance_is_calibrated_on_pairs_that_chose_no_checkpoint(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let (choosing, measured) = held_out(context, &documents);
    let tokenizer = context.tokenizer().unwrap();
    let recipe = context.recipe;
    let mut synthesizer = load(context, &context.artifact(tune()).path("best"));
    let options = RelevanceOptions::of(&tokenizer, recipe.generate.max_seed_tokens, BATCH_TOKENS).unwrap();
    let mut calibrated_on = |pairs: &[Pair]| {
        let pair = |pair: &Pair| TokenPair {
            name: String::new(),
            seed: documents.tokens(pair.first),
            document: documents.tokens(pair.second),
        };
        let pairs: Vec<TokenPair> = pairs.iter().map(pair).collect();
        calibrate(&mut synthesizer, &tokenizer, &pairs, options, recipe.seed, &Silent).unwrap()
    };
    let filtered: Filtered = context.statistics("filter/related").unwrap();
    let found = filtered.measured.unwrap().calibration;
    assert!(found.is_some());
    let once = one_of_each_target(&measured);
    assert!(once.len() < measured.len(), "no document is measured after two seeds");
    assert_eq!(found, calibrated_on(&once));
    assert_ne!(found, calibrated_on(&measured));
    assert_ne!(found, calibrated_on(&choosing));
}

fn documents_are_written_by_the_checkpoint_that_was_chosen(context: &Context<'_>) {
    let (recipe, tokenizer) = (context.recipe, context.tokenizer().unwrap());
    let synthesizer = context.artifact(tune());
    assert_ne!(
        synthesizer.hash("best/model.safetensors").unwrap(),
        synthesizer.hash("final/model.safetensors").unwrap()
    );
    let unique = context.artifact("ingest").path("unique.jsonl.zst");
    let tokens = context.tokens("tokenize", "unique").unwrap();
    let seeds = Seeds::open(&unique, &ReadOptions::default(), tokens, &Silent).unwrap();
    let config = generate_config(recipe, &recipe.generate, String::new(), Target::Documents(8), 0);
    let written = |checkpoint: &str| {
        let out = tempfile::tempdir().unwrap();
        let mut model = load(context, &synthesizer.path(checkpoint));
        generate(&mut model, &tokenizer, &seeds, out.path(), &config, &Silent).unwrap();
        let first = shards(out.path()).unwrap().remove(0);
        read_first(&first, 8, &Silent).unwrap().into_iter().map(|document| document.text).collect::<Vec<_>>()
    };
    let first = shards(&context.made(Step::Generate(0)).folder).unwrap().remove(0);
    let found: Vec<String> =
        read_first(&first, 8, &Silent).unwrap().into_iter().map(|document| document.text).collect();
    assert_eq!(found, written("best"));
    assert_ne!(found, written("final"));
}

fn similarity_to_the_seed_is_that_of_each_kept_document(context: &Context<'_>) {
    let texts = unique_texts(context, &Silent).unwrap();
    let vectors = read_vectors(&context.made(Step::Embed(0)).path("vectors.parquet"), &Silent).unwrap();
    let (embedder, _, _) = Lsa::fit(&texts, &lsa_config(context.recipe, &context.recipe.embed), &Silent).unwrap();
    let rows: HashMap<&str, usize> = vectors.ids.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let kept = read_first(&context.made(Step::Filter(0)).path("synthetic.jsonl.zst"), usize::MAX, &Silent).unwrap();
    let similarities: Vec<f64> = kept
        .iter()
        .map(|document| {
            // Alone, so that no other document's vector can be taken for its own.
            let (own, held) = embedder.fold_in(&[(document.id.clone(), document.text.clone())]);
            let seed = vectors.row(rows[metadata::seed_id(document).unwrap().unwrap()]);
            own.row(0).iter().zip(seed).map(|(a, b)| f64::from(a * b)).sum::<f64>() * f64::from(held[0])
        })
        .collect();
    let distinct = similarities.windows(2).filter(|two| (two[0] - two[1]).abs() > 1e-3).count();
    assert!(kept.len() > 10 && distinct > kept.len() / 2, "{similarities:?}");
    let filtered: Filtered = context.statistics("filter/related").unwrap();
    let found = filtered.measured.as_ref().unwrap().similarity.synthetic.unwrap();
    let mean = similarities.iter().sum::<f64>() / similarities.len() as f64;
    assert_eq!(found.n, kept.len() as u64);
    assert!((found.value - mean).abs() < 1e-5, "{} {mean}", found.value);
}

fn a_model_is_scored_as_its_training_ended(context: &Context<'_>) {
    let tokenizer = context.tokenizer().unwrap();
    let documents = read_first(&context.artifact("ingest").path("validation.jsonl.zst"), usize::MAX, &Silent).unwrap();
    let scored = |checkpoint: &str| {
        let mut model = load(context, &context.base_of(0).path(checkpoint));
        let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
        perplexity(&mut model, &tokenizer, documents.iter().cloned().map(Ok), options, &Silent).unwrap()
    };
    let evaluated = Step::Evaluate(Replicate { arm: 0, seed: context.recipe.seed }).folder(context.recipe);
    let found: Perplexity = context.statistics(&evaluated).unwrap();
    let ((of_final, each), (of_best, _)) = (scored("final"), scored("best"));
    assert!(of_best.nats_per_token < of_final.nats_per_token - 1e-3, "this recipe no longer overfits");
    assert_eq!(found, of_final);
    assert_eq!(read_scores(&context.artifact(&evaluated).folder).unwrap(), each);
    // What was generated, however, came of the best: what the base had memorised, it would only repeat.
    let filtered: Filtered = context.statistics("filter/related").unwrap();
    assert_eq!(filtered.measured.as_ref().unwrap().perplexity_validation.unwrap().value, of_best.perplexity);
    assert_eq!(Step::Tune(0).folder(context.recipe), tune());
}

#[test]
fn the_nearest_is_the_most_similar_and_the_first_of_equals() {
    let pair = |first, second, similarity| Pair { first, second, similarity };
    let pairs = [pair(1, 4, 0.5), pair(1, 2, 0.75), pair(3, 5, 0.25), pair(1, 9, 0.75), pair(1, 7, 0.5)];
    let found = nearest(&pairs);
    assert_eq!((found.len(), found[&1], found[&3]), (2, pairs[1], pairs[2]));
}

/// A checkpoint that is none of the run's: its configuration and weights decide what comes of it, and nothing else of its folder.
fn what_a_training_is_given_to_start_from_is_part_of_it(finished: &Finished) {
    let (mut recipe, base, own) = {
        let context = finished.context();
        let own = Step::Train(Replicate::own(context.recipe, 1)).identity(&context).unwrap();
        (context.recipe.clone(), context.artifact("train/repetition").path("best"), own)
    };
    recipe.arms[1].training.init = Some(Init::Folder(base.clone()));
    let identity = Step::Train(Replicate::own(&recipe, 1)).identity(&finished.context_of(&recipe)).unwrap();
    let added: BTreeMap<&String, &Hash> =
        identity.inputs.iter().filter(|(name, _)| !own.inputs.contains_key(*name)).collect();
    let hash = |file: &str| Hash::of(fs_err::read(base.join(file)).unwrap());
    let expected =
        ["config.json", "model.safetensors"].map(|file| (format!("the {file} that it starts from"), hash(file)));
    assert_eq!(added, expected.iter().map(|(name, hash)| (name, hash)).collect());
}
