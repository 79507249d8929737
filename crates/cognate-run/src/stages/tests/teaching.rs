//! A run whose arms learn what others expect.

use std::path::Path;

use cognate_base::Silent;
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{PerplexityOptions, ensemble_perplexity};
use cognate_model::checkpoint::read_config;
use cognate_model::{Decoder, Ensemble};
use cognate_train::{
    Job, PlainStream, Schedule, Shape, Source, Stream, TeachConfig, Teachings, TeachingsStats, TrainConfig, teach,
    train, validation_items,
};

use serde_json::json;

use super::super::BATCH_TOKENS;
use super::super::evaluate::read_scores;
use super::finished::{Finished, corpus};
use super::{identities, work};
use crate::context::Context;
use crate::graph::preparation;
use crate::recipe::Taught;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};

/// A teacher of two layers that is at its best before its end, and students of it.
pub(super) const RECIPE: &str = r#"
name = "taught"
seeds = [0, 3]
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.04
selection_share = 0.1
contamination_words = 0
[tokenize]
vocab_size = 420
[embed]
dimensions = 32
[pair]
min_similarity = 0.4
[tune]
batch_tokens = 1024
least_pairs = 1
validate_pairs = 4
relation_pairs = 6
[generate]
max_new_tokens = 24
most_written = 100
most_unfinished = "off"
[filter]
min_words = 1
drop_unfinished = false
[model]
layers = 1
width = 32
heads = 2
context = 32
[train]
budget_tokens = 20480
batch_tokens = 512
peak_rate = 1e-2
validate_every_tokens = 1024
validate_documents = 5
[[arm]]
kind = "repetition"
[[arm]]
name = "deep"
model.layers = 2
[[arm]]
name = "student"
teachers = ["repetition", "deep"]
train.teacher_share = 0.75
train.teacher_temperature = 2.0
train.teacher_top = 8
[[arm]]
name = "mixed"
teachers = ["deep"]
synthetic.unconditional = 0.1
train.teacher_top = 500
[[arm]]
name = "swept"
teachers = "deep"
train.teacher_share = [0.0, 1.0]
train.teacher_top = 500
[[arm]]
name = "ensemble"
members = 3
[[arm]]
name = "of-ensemble"
teachers = "ensemble"
train.teacher_top = 500
"#;

#[test]
fn arms_learn_what_their_teachers_expect() {
    let finished = Finished::new(RECIPE, &[("documents.jsonl", corpus(400))], |_| {});
    let context = finished.context();
    identities::inputs_are_those_of_the_list(&context);
    work::rows_are_those_of_the_files(&context);
    each_thing_is_taught_once(&context);
    teachers_are_last_checkpoints_of_the_recipes_own_seed(&context);
    a_student_is_trained_on_what_it_is_taught(&context, 0);
    a_student_is_trained_on_what_it_is_taught(&context, 3);
    teachers_that_count_nothing_are_none(&context);
    an_ensemble_is_scored_by_its_mean_probability(&context);
    let told = "teach repetition-and-deep-t2-top8: 8 of each distribution are kept, which leaves ";
    assert!(finished.told.iter().any(|line| line.starts_with(told)), "{:?}", finished.told);
}

fn made<'a>(context: &'a Context<'_>, folder: &str) -> &'a Path {
    &context.artifact(Path::new(folder)).folder
}

fn each_thing_is_taught_once(context: &Context<'_>) {
    let recipe = context.recipe;
    let named: Vec<(&str, &Taught)> = recipe.teachings.iter().map(|one| (one.name.as_str(), &one.of)).collect();
    let unconditional = Taught::Synthetic("unconditional".into());
    assert_eq!(
        named,
        [
            ("repetition-and-deep-t2-top8", &Taught::Unique),
            ("deep-top500", &Taught::Unique),
            ("deep-of-unconditional-top500", &unconditional),
            ("ensemble-top500", &Taught::Unique),
        ]
    );
    let taught = |arm: &str| recipe.teachings_of(&recipe.arms[recipe.arm(arm)].trainings().last().unwrap().clone());
    // What is learned of the unique split by the same teachers is one thing.
    assert_eq!((taught("student"), taught("mixed"), taught("swept")), (vec![0], vec![1, 2], vec![1]));
    let tokens: u64 = context.tokens("tokenize", "unique").unwrap().tokens();
    let stats: TeachingsStats = context.statistics("teach/deep-top500").unwrap();
    // A head as large as the vocabulary is all of it.
    assert_eq!((stats.tokens, stats.top, stats.rest), (tokens, context.tokenized().unwrap().vocabulary, 0.0));
    let step = context.made(Step::Teach(0));
    let shapes =
        ["repetition", "deep"].map(|arm| read_config(&made(context, &format!("train/{arm}")).join("final")).unwrap().0);
    let tokens = tokens as f64;
    let mean = (tokens / context.tokens("tokenize", "unique").unwrap().documents() as f64).min(32.0);
    let flops: f64 = shapes.iter().map(|shape| shape.forward_flops(tokens, tokens, mean / 2.0)).sum();
    assert_eq!(step.manifest.work.flops, flops);
}

fn teachers_are_last_checkpoints_of_the_recipes_own_seed(context: &Context<'_>) {
    let load =
        |folder: &str| Decoder::load(context.device().unwrap(), &context.run.folder(Path::new(folder))).unwrap().0;
    let tokenizer = context.tokenizer().unwrap();
    let (begin, vocab) = (tokenizer.begin_of_document(), tokenizer.vocab_size());
    let again = |teachers: &[&str], (text, file): (&str, &str), temperature: f64, top: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut models: Vec<_> = teachers.iter().map(|folder| load(folder)).collect();
        let config = TeachConfig { context: 32, begin, temperature, top, vocab };
        let text = context.tokens(Path::new(text), file).unwrap();
        teach(&mut models, &text, config, (folder.path(), "again"), &Silent).unwrap();
        ["ids", "probabilities"].map(|part| fs_err::read(folder.path().join(format!("again-{part}.bin"))).unwrap())
    };
    let kept = |teaching: &str| {
        let folder = made(context, &format!("teach/{teaching}"));
        ["ids", "probabilities"].map(|part| fs_err::read(folder.join(format!("taught-{part}.bin"))).unwrap())
    };
    let trained: Trained = context.statistics("train/deep").unwrap();
    assert!(trained.best_step < trained.steps, "its best checkpoint is not its last");
    let unique = ("tokenize", "unique");
    let both = ["train/repetition/final", "train/deep/final"];
    assert!(again(&both, unique, 2.0, 8) == kept("repetition-and-deep-t2-top8"));
    assert!(again(&["train/deep/final"], unique, 1.0, 500) == kept("deep-top500"));
    assert!(
        again(&["train/deep/final"], ("filter/unconditional", "synthetic"), 1.0, 500)
            == kept("deep-of-unconditional-top500")
    );
    let members = ["train/repetition/final", "train/ensemble-seed-1000003/final", "train/ensemble-seed-2000006/final"];
    assert!(again(&members, unique, 1.0, 500) == kept("ensemble-top500"), "all members teach");
    // What could be mistaken for it gives something else.
    for (wrong, temperature) in [
        ("train/deep/best", 1.0),
        ("train/deep-seed-3/final", 1.0),
        ("train/deep/final", 1.1),
        ("train/repetition/final", 1.0),
    ] {
        assert!(again(&[wrong], unique, temperature, 500) != kept("deep-top500"), "{wrong} at {temperature}");
    }
}

fn a_student_is_trained_on_what_it_is_taught(context: &Context<'_>, seed: u64) {
    let recipe = context.recipe;
    let model = Replicate { arm: recipe.arm("student"), seed };
    let file = context.tokens("tokenize", "unique").unwrap();
    let source = Source { name: "unique".into(), file: file.clone(), rows: None, tokens: 20_480, repeat: true };
    let begin = context.tokenizer().unwrap().begin_of_document();
    let taught = Teachings::open(made(context, "teach/repetition-and-deep-t2-top8"), "taught", 8, &file).unwrap();
    let stream =
        PlainStream::new(vec![source], 40, 512, 32, begin, seed).unwrap().taught(vec![taught], 0.75, 2.0).unwrap();
    let config = TrainConfig {
        schedule: Schedule { peak_rate: 1e-2, final_rate: 1e-2 / 200.0, warmup_share: 0.05, shape: Shape::Cosine },
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip: 1.0,
        validate_every: 2,
        checkpoint_every: 40,
        keep_checkpoints: 2,
    };
    let validation = validation_items(&context.tokens("tokenize", "validation").unwrap(), 5, 32, begin, recipe.seed);
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        stream: &stream as &dyn Stream,
        validation: &validation,
        choice: &[],
        contrast: None,
        config: &config,
        folder: folder.path(),
        tokenizer: None,
        fingerprint: "",
    };
    let made = context.made(Step::Train(model));
    let (shape, _) = read_config(&made.path("final")).unwrap();
    let mut again = Decoder::new(context.device().unwrap(), shape, seed).unwrap();
    train(&mut again, &job, &Silent).unwrap();
    let kept = Decoder::load(context.device().unwrap(), &made.path("final")).unwrap().0;
    assert!(again.parameters() == kept.parameters(), "other weights, seed {seed}");
}

fn teachers_that_count_nothing_are_none(context: &Context<'_>) {
    let recipe = context.recipe;
    let swept = &recipe.arms[recipe.arm("swept")];
    let [plain, all] = &swept.sweep[..] else { panic!("two candidates") };
    // A share of 0 is repetition, and is not trained again.
    assert_eq!(plain.training, recipe.arms[recipe.arm("repetition")].training);
    assert_eq!(all.training.teachers, ["deep"]);
    let steps: Vec<String> = Step::all(recipe).into_iter().map(|step| step.label(recipe)).collect();
    let of_swept: Vec<&String> = steps.iter().filter(|label| label.starts_with("train swept, teacher")).collect();
    assert_eq!(of_swept, ["train swept, teacher-share-1.0"]);
}

fn an_ensemble_is_scored_by_its_mean_probability(context: &Context<'_>) {
    let tokenizer = context.tokenizer().unwrap();
    let documents = || {
        let path = context.artifact("ingest").path("validation.jsonl.zst");
        Reader::open(&[path], &ReadOptions::default(), &Silent)
            .unwrap()
            .map(|record| record.map(|(_, document)| document))
    };
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    for (name, folders) in [
        ("ensemble", ["ensemble", "ensemble-seed-1000003", "ensemble-seed-2000006"]),
        ("ensemble-seed-3", ["ensemble-seed-3", "ensemble-seed-1000006", "ensemble-seed-2000009"]),
    ] {
        let load = |folder: &str| {
            let folder = context.run.folder(&Path::new("train").join(folder)).join("final");
            Decoder::load(context.device().unwrap(), &folder).unwrap().0
        };
        let mut models = Ensemble::new(folders.map(load).into()).unwrap();
        let (found, each, by_members) =
            ensemble_perplexity(&mut models, &tokenizer, documents(), options, &Silent).unwrap();
        let scored: serde_json::Value = context.statistics(Path::new("evaluate").join(name)).unwrap();
        assert_eq!(
            (&scored["nats_per_token"], &scored["nats_by_members"]),
            (&json!(found.nats_per_token), &json!(by_members))
        );
        assert_eq!(read_scores(&context.artifact(Path::new("evaluate").join(name)).folder).unwrap(), each);
        let alone = folders[0].replace("ensemble", "repetition");
        let alone: serde_json::Value = context.statistics(Path::new("evaluate").join(alone)).unwrap();
        // The first is trained as repetition is.
        assert!((alone["nats_per_token"].as_f64().unwrap() - by_members[0]).abs() < 1e-9);
        assert!(by_members[2] < by_members[0], "{by_members:?}");
    }
    let recipe = context.recipe;
    let ensemble = Replicate::own(recipe, recipe.arm("ensemble"));
    let prepared: Vec<String> = preparation(recipe, ensemble).into_iter().map(|step| step.label(recipe)).collect();
    assert_eq!(prepared, ["train ensemble, seed 1000003", "train ensemble, seed 2000006"], "what it costs more");
}
