//! Small runs to ask: their documents, and a run directory with everything in it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cognate_base::Silent;
use cognate_base::files::write_atomic;
use cognate_pair::{Pair, read_shuffled_pairs};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::super::held_out::Documents;
use super::super::texts::read_texts;
use crate::context::{Context, Settings};
use crate::device::DeviceKind;
use crate::graph::behind;
use crate::recipe::Recipe;
use crate::rundir::{Artifact, Manifest, RunDir};
use crate::runner::{NoPages, run};
use crate::step::Step;

/// Texts of thirty topics, whose words make up half of each.
pub(super) fn texts(documents: usize) -> Vec<String> {
    let mut state = 4711u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"];
    let mut text = |_: usize| {
        let (topic, words) = (next(30), 24 + next(16));
        let mut word = |_: usize| if next(2) == 0 { topic * 7 + next(10) } else { next(225) };
        let words = (0..words).map(&mut word).map(|word| [syllables[word % 15], syllables[word / 15]].concat());
        words.collect::<Vec<_>>().join(" ") + "."
    };
    (0..documents).map(&mut text).collect()
}

/// The same as records.
pub(super) fn corpus(documents: usize) -> String {
    let line = |(number, text): (usize, String)| format!("{{\"id\": \"d{number}\", \"text\": \"{text}\"}}\n");
    texts(documents).into_iter().enumerate().map(line).collect()
}

/// A finished run.
pub(super) struct Finished {
    recipe: Recipe,
    settings: Settings,
    /// What it said, a line a message.
    pub(super) told: Vec<String>,
    _scratch: TempDir,
}

impl Finished {
    /// Runs a recipe beside `files`, and beside what else is put there.
    pub(super) fn new(recipe: &str, files: &[(&str, String)], put: impl FnOnce(&Path)) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write_atomic(scratch.path().join(name), text).unwrap();
        }
        put(scratch.path());
        let recipe = Recipe::parse(&scratch.path().join("recipe.toml"), recipe).unwrap();
        let settings = settings(scratch.path().join("run"), None);
        let told = told(|| run(&recipe, &settings, &NoPages, &Silent).map(drop).unwrap());
        Self { recipe, settings, told, _scratch: scratch }
    }

    /// What its last stage was given, and its own artifact.
    pub(super) fn context(&self) -> Context<'_> {
        self.context_of(&self.recipe)
    }

    /// The same for a recipe that asks for the same things otherwise.
    pub(super) fn context_of<'a>(&'a self, recipe: &'a Recipe) -> Context<'a> {
        let mut context =
            Context::new(recipe, &self.settings, RunDir::open(&self.settings.out).unwrap(), &Silent, behind);
        for step in Step::all(&self.recipe).into_iter().filter(|step| *step != Step::Report) {
            let name = step.folder(&self.recipe);
            let folder = context.run.folder(&name);
            let manifest = Manifest::read(&folder).unwrap().unwrap();
            context.finished(&name, Artifact { folder, manifest });
        }
        context
    }

    pub(super) fn recipe(&self) -> Recipe {
        self.recipe.clone()
    }
}

/// What a set's pairs are of, those that are learned, and those that measure.
pub(super) fn pairs_of(context: &Context<'_>, name: &str) -> (Documents, Vec<Pair>, Vec<Pair>) {
    let set = context.recipe.pair_set(name);
    let documents = Documents::of(context, set, &Silent).unwrap();
    let made = context.made(Step::Pair(set));
    let read = |file: &str| read_shuffled_pairs(&made.path(file), &documents.ids, &Silent).unwrap();
    let (train, held_out) = (read("train.parquet"), read("held_out.parquet"));
    (documents, train, held_out)
}

/// Texts of a set that makes its own, by their ids.
pub(super) fn made_texts(context: &Context<'_>, name: &str) -> HashMap<String, String> {
    let made = context.made(Step::Pair(context.recipe.pair_set(name)));
    let files = ["unique", "selection"].map(|split| made.path(&format!("{split}.jsonl.zst")));
    files.into_iter().flat_map(|path| read_texts(&path, &Default::default(), &Silent).unwrap()).collect()
}

/// Of a run into a folder, as far as a stage.
pub(super) fn settings(out: PathBuf, until: Option<&str>) -> Settings {
    Settings {
        out,
        reuse: None,
        until: until.map(str::to_owned),
        threads: 2,
        device: DeviceKind::default(),
        command: String::new(),
        version: String::new(),
    }
}

/// What is said while something is done, a line a message.
pub(crate) fn told(work: impl FnOnce()) -> Vec<String> {
    let messages = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Listener(messages.clone()), work);
    messages.lock().unwrap().clone()
}

struct Listener(Arc<Mutex<Vec<String>>>);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
