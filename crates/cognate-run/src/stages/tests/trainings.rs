//! What arms are trained on, from what, and how: their batches and weights, made once more.

use std::path::Path;

use cognate_base::Silent;
use cognate_base::files::write_atomic;
use cognate_corpus::Tokenizer;
use cognate_model::checkpoint::read_config;
use cognate_model::{Batch, Decoder, ScoreItem, score};
use cognate_pair::{Copies, Pair, chains, exact_neighbours, read_vectors};
use cognate_train::{
    Job, PlainStream, Row, Schedule, Shape, Source, Stream, TrainConfig, related_rows, train, validation_items,
};

use super::super::BATCH_TOKENS;
use super::super::related::rows_of_related;
use super::super::texts::unique_texts;
use super::super::train::training::{Trained, check_init, sources};
use super::finished::{Finished, texts};
use crate::arms::Diet;
use crate::context::Context;
use crate::device::Model;
use crate::recipe::{Init, Recipe};
use crate::rundir::Manifest;
use crate::step::{Replicate, Step};

/// Tokens of a batch, and of a context.
const BATCH: usize = 512;
const CONTEXT: usize = 64;

/// A source: the folder and the name of its token file, its tokens, whether it comes again.
type Expected = (&'static str, &'static str, u64, bool);

/// Sources with the names by which their documents are shuffled: that of the split, or which synthetic corpus it is.
fn sources_of(context: &Context<'_>, expected: Vec<Expected>, mut rows: Option<Vec<Row>>) -> Vec<Source> {
    let mut corpora = 0;
    let mut source = |(folder, file, tokens, repeat): Expected| {
        corpora += u32::from(folder != "tokenize");
        let name = if corpora > 1 { format!("{file} {corpora}") } else { file.to_owned() };
        Source { name, file: context.tokens(Path::new(folder), file).unwrap(), rows: rows.take(), tokens, repeat }
    };
    expected.into_iter().map(&mut source).collect()
}

fn trained(context: &Context<'_>, arm: &str) -> Trained {
    context.statistics(Path::new("train").join(arm)).unwrap()
}

/// What an arm of twenty steps sees, written out; and how many tokens of real documents come last.
fn expected(context: &Context<'_>, arm: &str) -> (Vec<Expected>, u64) {
    const UNIQUE: (&str, &str) = ("tokenize", "unique");
    const RELATED: (&str, &str, u64, bool) = ("filter/related", "synthetic", 1024, false);
    let unique = |tokens: u64| (UNIQUE.0, UNIQUE.1, tokens, true);
    let half = |folder: &'static str| vec![unique(9728), (folder, "synthetic", 512, false)];
    // Of both splits as much as each holds.
    let all = |tokens: u64, repeat: bool| {
        let split = |name: &str| context.tokens("tokenize", name).unwrap().tokens();
        let of_unique = tokens * split("unique") / (split("unique") + split("oracle"));
        vec![("tokenize", "unique", of_unique, repeat), ("tokenize", "oracle", tokens - of_unique, repeat)]
    };
    match arm {
        "repetition" | "wild" | "continued" | "related-context" | "given-context" => (vec![unique(10240)], 0),
        "sbp" => (vec![unique(9216), RELATED], 0),
        // A tenth of the budget.
        "fading" => (vec![unique(9216), RELATED], 1024),
        "random-pairs" => (half("filter/shuffled"), 0),
        "strict" => (half("filter/strict"), 0),
        "unconditional" => (half("filter/unconditional"), 0),
        "given-pairs" => (half("filter/mine"), 0),
        "mixed" => (vec![unique(8704), RELATED, ("filter/second", "synthetic", 512, false)], 0),
        "oracle" => (all(10240, false), 0),
        "twice" => ([all(9216, true), vec![RELATED]].concat(), 0),
        "equal-flops" => (vec![unique(trained(context, arm).tokens)], 0),
        other => panic!("{other}"),
    }
}

/// An arm's batches, as [`expected`] says.
fn stream(context: &Context<'_>, arm: &str) -> PlainStream {
    let (expected, tail) = expected(context, arm);
    let steps = expected.iter().map(|(_, _, tokens, _)| tokens).sum::<u64>() / BATCH as u64;
    let rows = match arm {
        "related-context" => Some(rows_of_related(context, "lsa", CONTEXT, &Silent).unwrap().0),
        "given-context" => Some(rows_of_related(context, "given", CONTEXT, &Silent).unwrap().0),
        _ => None,
    };
    let sources = sources_of(context, expected, rows);
    let begin = context.tokenizer().unwrap().begin_of_document();
    PlainStream::ending_in_first(tail, sources, steps, BATCH, CONTEXT, begin, context.recipe.seed).unwrap()
}

pub(super) fn each_arm_is_trained_on_what_it_says(context: &Context<'_>) {
    let tokenized = context.tokenized().unwrap();
    for arm in &context.recipe.arms {
        let name = arm.name.as_str();
        let (wanted, _) = expected(context, name);
        let found = trained(context, name);
        let diet = Diet::of(&arm.training, found.tokens, (tokenized.unique.tokens, tokenized.oracle.tokens));
        let parts = |sources: Vec<Source>| -> Vec<(String, u64, u64, bool)> {
            sources.into_iter().map(|one| (one.name, one.file.tokens(), one.tokens, one.repeat)).collect()
        };
        let drawn = sources(context, &arm.training, &diet).unwrap();
        assert_eq!(parts(drawn), parts(sources_of(context, wanted, None)), "{name}");

        // Where documents are cut, and so what attends to what, follows from all of it.
        let (stream, mut batch) = (stream(context, name), Batch::new());
        let made = context.made(Step::Train(Replicate::own(context.recipe, context.recipe.arm(name))));
        let (config, _) = read_config(&made.path("final")).unwrap();
        let mut flops = 0.0;
        for step in 0..stream.steps() {
            stream.fill(step, &mut batch);
            flops += config.training_flops(batch.len() as f64, batch.scored() as f64, batch.mean_context());
        }
        let by_source = stream.tokens_by_source();
        let synthetic: u64 = by_source[by_source.len() - arm.training.synthetic.len()..].iter().sum();
        let seen = found.diet.unwrap();
        assert_eq!((seen.synthetic_tokens, found.steps), (synthetic, stream.steps()), "{name}");
        let epochs = (found.tokens - synthetic) as f64 / seen.unique_tokens as f64;
        assert!((seen.epochs - epochs).abs() < 1e-12, "{name}: {} {epochs}", seen.epochs);
        if let Some(packing) = found.packing {
            let documents = context.tokens("tokenize", "unique").unwrap().documents() as f64;
            let width = if name == "given-context" { 4.0 } else { 32.0 };
            // The vectors' search is part of the cost: each pair once, every number multiplied and added.
            assert_eq!(packing.search_flops, documents * documents * width, "{name}");
            assert_eq!(packing.cut_rows, Some(stream.cut_rows()));
            flops += packing.search_flops;
        }
        assert_eq!(made.manifest.work.flops, flops, "{name}");
    }
}

pub(super) fn equal_operations_are_those_that_the_other_arm_cost(context: &Context<'_>) {
    let flops = |folder: &str| {
        // Further rounds are no artifacts of the graph.
        let folder = context.run.folder(Path::new(folder));
        Manifest::read(&folder).unwrap().map(|manifest| manifest.work.flops)
    };
    let rounds: f64 = (2..).map_while(|round| flops(&format!("rounds/related/{round}"))).sum();
    assert!(rounds > 0.0, "there is one round alone");
    // No score drops a document of it, so those of the filter are no part.
    let made = ["embed/lsa", "pair/related", "train/repetition", "tune/related", "generate/related", "train/sbp"];
    let total = made.iter().map(|folder| flops(folder).unwrap()).sum::<f64>() + rounds;
    let (step, found) = (flops("train/repetition").unwrap() / 20.0, trained(context, "equal-flops"));
    assert!((found.steps as f64 - total / step).abs() <= 0.5, "{} steps of {step:e} for {total:e}", found.steps);
}

/// Documents that the loss is measured on while an arm is trained, and documents that choose its best checkpoint.
fn measured_on(context: &Context<'_>) -> [Vec<ScoreItem>; 2] {
    let begin = context.tokenizer().unwrap().begin_of_document();
    ["validation", "selection"].map(|split| {
        let file = context.tokens("tokenize", split).unwrap();
        validation_items(&file, context.recipe.train.validate_documents, CONTEXT, begin, context.recipe.seed)
    })
}

fn load(context: &Context<'_>, folder: &Path) -> Model {
    Decoder::load(context.device().unwrap(), folder).unwrap().0
}

/// One that has keys of its own is trained again from what the recipe says, to the same bits.
pub(super) fn an_arm_is_trained_as_its_keys_say(context: &Context<'_>) {
    let (recipe, stream) = (context.recipe, stream(context, "fading"));
    let made = context.made(Step::Train(Replicate::own(recipe, recipe.arm("fading"))));
    // A weight fades over half an epoch of its real text.
    let unique = context.tokens("tokenize", "unique").unwrap().tokens() as f64;
    let epochs = stream.tokens_by_source()[0] as f64 / unique;
    let config = TrainConfig {
        schedule: Schedule { peak_rate: 1e-2, final_rate: 1e-2 / 200.0, warmup_share: 0.05, shape: Shape::Cosine },
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 1.0 / (1e-2 * (20.0 / epochs) * 0.5),
        clip: 1.0,
        validate_every: 4,
        checkpoint_every: 8,
        keep_checkpoints: 2,
    };
    let (folder, [validation, choice]) = (tempfile::tempdir().unwrap(), measured_on(context));
    let job = Job {
        stream: &stream,
        validation: &validation,
        choice: &choice,
        contrast: None,
        config: &config,
        folder: folder.path(),
        tokenizer: None,
        fingerprint: "",
    };
    let (shape, _) = read_config(&made.path("final")).unwrap();
    let mut model = Decoder::new(context.device().unwrap(), shape, recipe.seed).unwrap();
    let outcome = train(&mut model, &job, &Silent).unwrap();
    assert!(model.parameters() == load(context, &made.path("final")).parameters(), "other weights");
    assert_eq!(trained(context, "fading").curve, outcome.progress.curve);
    let steps: Vec<u64> = outcome.progress.curve.iter().map(|point| point.step).collect();
    assert!(steps.ends_with(&[4, 8, 12, 16, 20]), "{steps:?}");
    // Of the checkpoints the newest two stay, and the best.
    let kept = |step: u64| made.path(&format!("checkpoints/step-{step:08}")).exists();
    assert!(kept(16) && kept(20), "{}", made.folder.display());
}

pub(super) fn a_training_starts_from_what_it_names(context: &Context<'_>) {
    let [items, _] = measured_on(context);
    let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
    let nats = |mut model: Model| {
        score(&mut model, &items, BATCH_TOKENS, &Silent).unwrap().iter().sum::<f64>() / tokens as f64
    };
    let began = |arm: &str| {
        let first = trained(context, arm).curve[0];
        assert_eq!(first.step, 0, "the first point is the start");
        first.validation_nats.unwrap()
    };
    let base = context.artifact(Path::new("train/repetition"));
    let (shape, _) = read_config(&base.path("final")).unwrap();
    let fresh = nats(Decoder::new(context.device().unwrap(), shape, context.recipe.seed).unwrap());
    assert!((began("repetition") - fresh).abs() < 1e-9);
    let wild = context.artifact(Path::new("train/wild"));
    let [last, best] = ["final", "best"].map(|name| nats(load(context, &wild.path(name))));
    assert!((began("continued") - last).abs() < 1e-9, "{last}");
    assert!(
        (last - fresh).abs() > 0.01 && (last - best).abs() > 0.01,
        "{last} {fresh} {best}: they cannot be told apart"
    );
}

/// Documents of the selection split choose: no arm is scored on these.
pub(super) fn an_arms_best_checkpoint_is_chosen_by_documents_that_no_arm_is_scored_on(context: &Context<'_>) {
    let [_, items] = measured_on(context);
    let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
    let found = trained(context, "wild");
    let mut best = load(context, &context.artifact(Path::new("train/wild")).path("best"));
    let nats = score(&mut best, &items, BATCH_TOKENS, &Silent).unwrap().iter().sum::<f64>() / tokens as f64;
    let chosen = found.curve.iter().skip(1).min_by(|a, b| a.choice_nats.partial_cmp(&b.choice_nats).unwrap()).unwrap();
    assert_eq!((found.best_step, found.best_nats), (chosen.step, chosen.choice_nats));
    assert!((nats - chosen.choice_nats.unwrap()).abs() < 1e-9 && Some(nats) != chosen.validation_nats, "{nats}");
}

pub(super) fn checkpoints_are_published_without_their_optimizer(context: &Context<'_>) {
    let files = |folder: &Path| {
        let entries = fs_err::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // The run's cards come later.
        names.retain(|name| name != "README.md");
        names.sort();
        names
    };
    for made in ["train/repetition", "tune/related"].map(|folder| context.artifact(Path::new(folder))) {
        let trained: Trained = serde_json::from_value(made.manifest.work.statistics.clone()).unwrap();
        for (name, step) in [("final", trained.steps), ("best", trained.best_step)] {
            let checkpoint = made.path(&format!("checkpoints/step-{step:08}"));
            let published = files(&made.path(name));
            let own = ["optimizer.safetensors", "training.json"];
            let mut all = [&published[..], &own.map(str::to_owned)].concat();
            all.sort();
            assert_eq!(all, files(&checkpoint), "{name}");
            assert!(published.contains(&"model.safetensors".to_owned()) && published.len() > 3, "{published:?}");
            for file in &published {
                assert_eq!(
                    fs_err::read(checkpoint.join(file)).unwrap(),
                    fs_err::read(made.path(name).join(file)).unwrap()
                );
            }
        }
    }
    // The token that a synthesizer writes after is in its own checkpoint alone.
    let config =
        |folder: &str| fs_err::read_to_string(context.artifact(Path::new(folder)).path("final/config.json")).unwrap();
    assert_ne!(config("train/repetition"), config("tune/related"));
}

/// Each document's nearest neighbours, however far, without those as similar as `most`, and those that copy.
fn neighbours(context: &Context<'_>, most: f32) -> Vec<Pair> {
    let pair = &context.recipe.pair;
    let lsa = Step::Embed(context.recipe.embedding("lsa"));
    let vectors = read_vectors(&context.made(lsa).path("vectors.parquet"), &Silent).unwrap();
    let texts: Vec<String> = unique_texts(context, &Silent).unwrap().into_iter().map(|(_, text)| text).collect();
    let copies = Copies::of(&texts, pair.near_copy.get().unwrap(), &Silent).unwrap();
    let nearest = exact_neighbours(&vectors, 4, &Silent).unwrap();
    let mut pairs = Vec::new();
    for first in 0..texts.len() {
        for (second, similarity) in nearest.of(first) {
            let pair = Pair { first: first as u32, second, similarity };
            if similarity < most && !copies.are(pair.first, second) {
                pairs.push(pair);
            }
        }
    }
    assert!(pairs.len() + 4 < 4 * texts.len(), "there are no near-copies");
    pairs
}

pub(super) fn documents_share_rows_with_their_neighbours(context: &Context<'_>) {
    let file = context.tokens("tokenize", "unique").unwrap();
    let rows_at = |most: f32| related_rows(&file, &chains(file.documents(), &neighbours(context, most)), CONTEXT);
    let (rows, packing) = rows_of_related(context, "lsa", CONTEXT, &Silent).unwrap();
    assert!(rows == rows_at(2.0), "other rows");
    let contexts: Vec<_> = rows.iter().flatten().collect();
    let tokens: usize = contexts.iter().flat_map(|pieces| pieces.iter()).map(|piece| piece.to - piece.from).sum();
    assert_eq!((packing.documents, packing.contexts), (file.documents() as u64, contexts.len() as u64));
    assert_eq!(packing.alone, contexts.iter().filter(|pieces| pieces.len() < 2).count() as u64);
    assert!(packing.alone > 0 && packing.alone * 2 != packing.contexts, "{packing:?}");
    assert_eq!(packing.repeated_tokens, Some(tokens as u64 - file.tokens()));
    assert_eq!(packing.chains, chains(file.documents(), &neighbours(context, 2.0)).len() as u64);
    let found = trained(context, "related-context").packing.unwrap();
    assert_eq!((found.chains, found.contexts, found.alone), (packing.chains, packing.contexts, packing.alone));
}

/// Rows of a recipe that counts documents as copies from the similarity of one of its pairs on.
pub(super) fn neighbours_as_similar_as_copies_are_left_out(finished: &Finished) {
    let similarities = {
        let context = finished.context();
        let mut similarities: Vec<f32> = neighbours(&context, 2.0).iter().map(|pair| pair.similarity).collect();
        similarities.sort_by(f32::total_cmp);
        similarities
    };
    let most = similarities[similarities.len() / 2];
    let mut recipe = finished.recipe();
    recipe.pair.max_similarity = f64::from(most);
    let context = finished.context_of(&recipe);
    let file = context.tokens("tokenize", "unique").unwrap();
    let (rows, packing) = rows_of_related(&context, "lsa", CONTEXT, &Silent).unwrap();
    let links = neighbours(&context, most);
    assert!(links.len() < similarities.len() && !links.is_empty());
    assert_eq!(packing.chains, chains(file.documents(), &links).len() as u64);
    assert!(rows == related_rows(&file, &chains(file.documents(), &links), CONTEXT), "other rows");
}

pub(super) fn a_start_of_another_shape_is_refused(finished: &Finished) {
    let (folder, tokenizer) = {
        let context = finished.context();
        (context.artifact(Path::new("train/repetition")).path("final"), context.tokenizer().unwrap())
    };
    let recipe = finished.recipe();
    let check = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe.clone();
        change(&mut recipe);
        let mut training = recipe.arms[0].training.clone();
        training.init = Some(Init::Folder(folder.clone()));
        check_init(&recipe, &training, Some(&tokenizer)).map_err(|error| error.to_string())
    };
    assert_eq!(check(&|_| {}), Ok(()));
    let refused = |told: &str, change: &dyn Fn(&mut Recipe)| {
        let error = check(change).unwrap_err();
        assert!(error.ends_with(told), "{error}");
    };
    refused("the recipe has layers 2, and it has 1", &|recipe| recipe.arms[0].training.model.layers = 2);
    refused("the recipe has width 64, and it has 32", &|recipe| recipe.arms[0].training.model.width = 64);
    refused("the recipe has qk_norm false, and it has true", &|recipe| recipe.arms[0].training.model.qk_norm = false);
    // The tune context is the longest: it is what the positions are for.
    refused("it has 128 positions, and the recipe needs 129", &|recipe| recipe.tune.context = 129);
    let shorter = check(&|recipe| {
        recipe.tune.context = 100;
        recipe.synthesizers.iter_mut().for_each(|synthesizer| synthesizer.tune.context = 100);
    });
    assert_eq!(shorter, Ok(()), "a model may be meant for more positions");

    let mut training = recipe.arms[0].training.clone();
    let other = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, other.path().join(path.file_name().unwrap())).unwrap();
    }
    training.init = Some(Init::Folder(other.path().to_path_buf()));
    check_init(&recipe, &training, Some(&tokenizer)).unwrap();
    let json = Tokenizer::train(texts(20).into_iter(), 300).unwrap().to_json();
    write_atomic(other.path().join("tokenizer.json"), json).unwrap();
    let error = check_init(&recipe, &training, Some(&tokenizer)).unwrap_err().to_string();
    assert!(error.contains("a model of the run's own tokenizer"), "{error}");
    // Without a tokenizer, the model's word is taken for it.
    fs_err::remove_file(other.path().join("tokenizer.json")).unwrap();
    check_init(&recipe, &training, Some(&tokenizer)).unwrap();
}
