//! What every stage of a run is given: the recipe, the run directory, the artifacts made so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor};
use cognate_corpus::Tokenizer;
use cognate_synth::filter::stage::KEPT;
use serde_json::{Map, Value, json};

use crate::device::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::recipe::{
    Contexts, GenerateMethod, GeneratePrecision, Init, PERPLEXITY, Pair, PairMethod, Real, Recipe, SeedsOf, Train,
    Training, Tune, Vectors,
};
use crate::rundir::{Artifact, Identity, RunDir, Work};
use crate::stage::{Replicate, Step, candidates, writer};
use crate::stages::documents::SPLITS;
use crate::stages::synthesis::shard_hashes;
use crate::stages::tasks;
use crate::stages::train::Trained;

/// Where and how to run: nothing here changes a result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run directory.
    pub out: PathBuf,
    /// Another run directory, whose finished stages are taken over where they are the same.
    pub reuse: Option<PathBuf>,
    /// Threads for everything.
    pub threads: usize,
    /// Where models run.
    pub device: DeviceKind,
    /// The command that was typed, for the report.
    pub command: String,
    /// The program's version, for the report.
    pub version: String,
}

/// The files of a tokenizer in an artifact: both decide what a document's tokens are.
fn add_tokenizer(
    add: &mut dyn FnMut(&str, &Artifact, &str) -> Result<()>,
    artifact: &Artifact,
    folder: &str,
) -> Result<()> {
    add("the tokenizer", artifact, &format!("{folder}tokenizer.json"))?;
    add("the tokenizer's configuration", artifact, &format!("{folder}tokenizer_config.json"))
}

/// A run in progress.
pub(crate) struct Context<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) settings: &'a Settings,
    pub(crate) run: RunDir,
    pub(crate) monitor: &'a dyn Monitor,
    done: BTreeMap<PathBuf, Artifact>,
}

/// What a stage made: the files that count, the rows of those that have rows, and what it did.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) rows: BTreeMap<String, u64>,
    pub(crate) work: Work,
}

impl Made {
    /// Adds a file or a folder.
    pub(crate) fn file(&mut self, path: impl Into<PathBuf>) {
        self.files.push(path.into());
    }

    /// Adds a file of records.
    pub(crate) fn rows(&mut self, path: &str, rows: u64) {
        self.files.push(PathBuf::from(path));
        self.rows.insert(path.to_owned(), rows);
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(recipe: &'a Recipe, settings: &'a Settings, run: RunDir, monitor: &'a dyn Monitor) -> Self {
        Self { recipe, settings, run, monitor, done: BTreeMap::new() }
    }

    /// A new device for models.
    pub(crate) fn device(&self) -> Result<Device> {
        self.settings.device.open(self.settings.threads)
    }

    /// Remembers a finished artifact.
    pub(crate) fn finished(&mut self, name: &Path, artifact: Artifact) {
        self.done.insert(name.to_path_buf(), artifact);
    }

    /// A finished artifact by its folder's name.
    ///
    /// # Panics
    /// When it has not been made: stages run in order.
    pub(crate) fn artifact(&self, name: impl AsRef<Path>) -> &Artifact {
        let name = name.as_ref();
        self.done.get(name).unwrap_or_else(|| panic!("{} is not made yet", name.display()))
    }

    /// A finished artifact, where there is one.
    pub(crate) fn artifact_if(&self, name: impl AsRef<Path>) -> Option<&Artifact> {
        self.done.get(name.as_ref())
    }

    /// The statistics that a stage left in its manifest.
    pub(crate) fn statistics<T: serde::de::DeserializeOwned>(&self, name: impl AsRef<Path>) -> Result<T> {
        let artifact = self.artifact(name);
        serde_json::from_value(artifact.manifest.work.statistics.clone()).map_err(|error| Error::Damaged {
            path: artifact.path(crate::rundir::MANIFEST),
            message: format!("its statistics are not those of this version: {error}"),
        })
    }

    /// Everything that the artifact of `step` depends on.
    pub(crate) fn identity(&self, step: Step) -> Result<Identity> {
        Ok(Identity {
            stage: step.stage().to_owned(),
            code: step.version(self.recipe),
            config: config(self.recipe, step)?,
            inputs: self.inputs(step)?,
        })
    }

    fn inputs(&self, step: Step) -> Result<BTreeMap<String, Hash>> {
        let mut inputs = BTreeMap::new();
        let mut add = |name: &str, artifact: &Artifact, file: &str| -> Result<()> {
            inputs.insert(name.to_owned(), artifact.hash(file)?);
            Ok(())
        };
        match step {
            Step::Ingest => {
                inputs = self.document_hashes()?;
                if self.recipe.corpus.chunk_tokens.is_some() {
                    self.add_given_tokenizer(&mut inputs)?;
                }
                return Ok(inputs);
            }
            Step::Tokenize => {
                for split in SPLITS {
                    add(&format!("the {split} documents"), self.artifact("ingest"), &format!("{split}.jsonl.zst"))?;
                }
                self.add_given_tokenizer(&mut inputs)?;
            }
            Step::Embed(at) => {
                add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                add("the selection documents", self.artifact("ingest"), "selection.jsonl.zst")?;
                add("the validation documents", self.artifact("ingest"), "validation.jsonl.zst")?;
                if let Vectors::File(path) = &self.recipe.embeddings[at].vectors {
                    inputs.insert("the given vectors".to_owned(), self.hash_of(self.recipe.at(path))?);
                }
            }
            Step::Pair(at) => {
                add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                add("the selection documents", self.artifact("ingest"), "selection.jsonl.zst")?;
                match &self.recipe.pairs[at].method {
                    PairMethod::Neighbours(_) => {
                        for needed in step.needs(self.recipe) {
                            add("the vectors", self.made(needed), "vectors.parquet")?;
                            add("the selection's vectors", self.made(needed), "selection.parquet")?;
                        }
                    }
                    PairMethod::Shuffled(_) => {
                        for needed in step.needs(self.recipe) {
                            add("the training pairs", self.made(needed), "train.parquet")?;
                            add("the held-out pairs", self.made(needed), "held_out.parquet")?;
                        }
                    }
                    PairMethod::File(path) => {
                        inputs.insert("the given pairs".to_owned(), self.hash_of(self.recipe.at(path))?);
                    }
                }
            }
            Step::Sweep { arm, candidate } => {
                self.add_training(&mut add, &self.recipe.arms[arm].sweep[candidate].training, self.recipe.seed)?;
            }
            Step::Train(model) => {
                let arm = &self.recipe.arms[model.arm];
                if arm.sweep.is_empty() {
                    self.add_training(&mut add, &arm.training, model.seed)?;
                    if let Some(other) = &arm.training.operations_of {
                        let other = Replicate { arm: self.recipe.arm(other), ..model };
                        let steps = crate::arms::equal_flops_steps(self, other, &arm.training)?;
                        inputs.insert("what the other arm cost, in steps,".to_owned(), Hash::of(steps.to_string()));
                    }
                } else if model.seed == self.recipe.seed {
                    add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                    add("the selection documents", self.artifact("ingest"), "selection.jsonl.zst")?;
                    if arm.trainings().any(|training| training.documents == Real::All) {
                        add("the oracle documents", self.artifact("ingest"), "oracle.jsonl.zst")?;
                    }
                    for (candidate, step) in arm.sweep.iter().zip(candidates(self.recipe, model.arm)) {
                        let folder = step.folder(self.recipe);
                        // A training that diverged left no model.
                        let hash = match self.statistics::<Trained>(&folder)?.diverged {
                            Some(how) => Hash::of(how),
                            None => self.artifact(folder).hash("final/model.safetensors")?,
                        };
                        inputs.insert(format!("the model of {}", candidate.name), hash);
                    }
                } else {
                    let chosen = crate::stages::sweep::chosen(self, model.arm)?;
                    self.add_training(&mut add, &arm.sweep[chosen].training, model.seed)?;
                    inputs.insert("the chosen candidate".to_owned(), Hash::of(&arm.sweep[chosen].name));
                    let own = self.made(Step::Train(Replicate::own(self.recipe, model.arm)));
                    // By what it was trained with: of the candidates no more than names stand in the configuration.
                    let hash = own.hash("final/model.safetensors")?;
                    inputs.insert("the chosen model of the recipe's own seed".to_owned(), hash);
                }
            }
            Step::Tune(at) => {
                self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?;
                self.add_tokens(&mut add, "the selection tokens", "tokenize", "selection")?;
                add("the base model", self.base_of(at), "best/model.safetensors")?;
                add("the training pairs", self.pairs_of(at), "train.parquet")?;
                add("the held-out pairs", self.pairs_of(at), "held_out.parquet")?;
            }
            Step::Generate(at) => {
                add_tokenizer(&mut add, self.artifact("tokenize"), "")?;
                match &self.recipe.synthetic[at].seeds {
                    SeedsOf::Unique => self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?,
                    SeedsOf::Corpus(name) => {
                        let seeds = Step::Filter(self.recipe.corpus_of(name)).folder(self.recipe);
                        self.add_tokens(&mut add, "the seeds' tokens", seeds, "synthetic")?;
                    }
                    SeedsOf::None => {}
                }
                add("the model that writes", self.made(writer(self.recipe, at)), "best/model.safetensors")?;
            }
            Step::Filter(at) => {
                add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                add("the validation documents", self.artifact("ingest"), "validation.jsonl.zst")?;
                self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?;
                add_tokenizer(&mut add, self.artifact("tokenize"), "")?;
                if let Step::Tune(synthesizer) = writer(self.recipe, at) {
                    self.add_tokens(&mut add, "the selection tokens", "tokenize", "selection")?;
                    add("the held-out pairs", self.pairs_of(synthesizer), "held_out.parquet")?;
                    add("the synthesizer", self.made(Step::Tune(synthesizer)), "best/model.safetensors")?;
                }
                if let SeedsOf::Corpus(name) = &self.recipe.synthetic[at].seeds {
                    add("the seeds", self.made(Step::Filter(self.recipe.corpus_of(name))), KEPT)?;
                }
                let base = Step::Train(Replicate::own(self.recipe, self.recipe.base_of(at)));
                add("the base model", self.made(base), "best/model.safetensors")?;
                inputs.extend(shard_hashes(self.made(Step::Generate(at))));
            }
            Step::Evaluate(model) => {
                add("the validation documents", self.artifact("ingest"), "validation.jsonl.zst")?;
                let arm = self.made(Step::Train(model));
                add("the model", arm, "final/model.safetensors")?;
                add("the model's configuration", arm, "final/config.json")?;
                add_tokenizer(&mut add, arm, "final/")?;
                for (task, files) in tasks::tasks(self.recipe)? {
                    for (name, path) in tasks::inputs(&task, &files) {
                        inputs.insert(name, self.hash_of(path)?);
                    }
                }
            }
            Step::Report => {}
        }
        inputs.extend(self.given_start(step)?);
        Ok(inputs)
    }

    /// What a step made.
    ///
    /// # Panics
    /// As [`Context::artifact`].
    pub(crate) fn made(&self, step: Step) -> &Artifact {
        self.artifact(step.folder(self.recipe))
    }

    /// What the synthesizer at `synthesizer` starts from.
    pub(crate) fn base_of(&self, synthesizer: usize) -> &Artifact {
        let base = self.recipe.arm(&self.recipe.synthesizers[synthesizer].base);
        self.made(Step::Train(Replicate::own(self.recipe, base)))
    }

    /// The pairs that the synthesizer at `synthesizer` learns from.
    pub(crate) fn pairs_of(&self, synthesizer: usize) -> &Artifact {
        self.made(Step::Pair(self.recipe.pair_set(&self.recipe.synthesizers[synthesizer].pairs)))
    }

    /// What a training reads.
    fn add_training(
        &self,
        add: &mut dyn FnMut(&str, &Artifact, &str) -> Result<()>,
        training: &Training,
        seed: u64,
    ) -> Result<()> {
        add_tokenizer(add, self.artifact("tokenize"), "")?;
        for split in ["validation", "unique"] {
            self.add_tokens(add, &format!("the {split} tokens"), "tokenize", split)?;
        }
        if training.documents == Real::All {
            self.add_tokens(add, "the oracle tokens", "tokenize", "oracle")?;
        }
        if let Contexts::Related(embedding) = &training.contexts {
            let vectors = self.made(Step::Embed(self.recipe.embedding(embedding)));
            add("the vectors", vectors, "vectors.parquet")?;
            add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
        }
        for (at, (corpus, _)) in training.synthetic.iter().enumerate() {
            let number = if at == 0 { String::new() } else { format!(", number {}", at + 1) };
            let filter = Step::Filter(self.recipe.corpus_of(corpus)).folder(self.recipe);
            self.add_tokens(add, &format!("the synthetic tokens{number}"), filter, "synthetic")?;
        }
        if let Some(Init::Arm(other)) = &training.init {
            let other = Replicate { arm: self.recipe.arm(other), seed };
            add("the model that it starts from", self.made(Step::Train(other)), "final/model.safetensors")?;
        }
        Ok(())
    }

    /// The files that a training of `step` starts from, where they are none of the run's.
    fn given_start(&self, step: Step) -> Result<Vec<(String, Hash)>> {
        let training = match step {
            Step::Train(model) => Some(&self.recipe.arms[model.arm].training),
            step => step.training(self.recipe),
        };
        let Some(Init::Folder(folder)) = training.and_then(|training| training.init.as_ref()) else {
            return Ok(Vec::new());
        };
        let folder = self.recipe.at(folder);
        let weights = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name == "config.json" || name.ends_with(".safetensors")
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs_err::read_dir(&folder)? {
            files.push(entry?.path());
        }
        files.retain(|path| weights(path));
        files.sort();
        let hash = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((format!("the {name} that it starts from"), self.hash_of(&path)?))
        };
        files.into_iter().map(hash).collect()
    }

    fn add_tokens(
        &self,
        add: &mut dyn FnMut(&str, &Artifact, &str) -> Result<()>,
        name: &str,
        artifact: impl AsRef<Path>,
        prefix: &str,
    ) -> Result<()> {
        let artifact = self.artifact(artifact);
        add(name, artifact, &format!("{prefix}.bin"))?;
        add(&format!("{name}' index"), artifact, &format!("{prefix}.idx"))
    }

    fn add_given_tokenizer(&self, inputs: &mut BTreeMap<String, Hash>) -> Result<()> {
        if let Some(path) = &self.recipe.tokenize.tokenizer {
            for file in Tokenizer::files(&self.recipe.at(path)) {
                let name = file.file_name().unwrap_or_default().display();
                inputs.insert(format!("the given tokenizer's {name}"), self.hash_of(&file)?);
            }
        }
        Ok(())
    }

    /// The hash of a file that may have any size.
    fn hash_of(&self, path: impl AsRef<Path>) -> Result<Hash> {
        Hash::of_file_watched(path, self.monitor)
    }

    fn document_hashes(&self) -> Result<BTreeMap<String, Hash>> {
        let files = cognate_corpus::input::expand(&self.document_paths(), self.monitor)?;
        files
            .iter()
            .enumerate()
            .map(|(i, path)| Ok((format!("document file {:03}", i + 1), self.hash_of(path)?)))
            .collect()
    }

    /// The recipe's paths, from the current folder.
    pub(crate) fn document_paths(&self) -> Vec<PathBuf> {
        self.recipe.corpus.paths.iter().map(|path| self.recipe.at(path)).collect()
    }
}

/// The resolved keys that `step` depends on, in the recipe's own tables, so that a difference can be named by its key.
/// Keys that change how and not what (checkpoint intervals, slots) and paths are not among them.
pub(crate) fn config(recipe: &Recipe, step: Step) -> Result<Value> {
    let without = |table: Value, keys: &[&str]| {
        let mut table = table;
        if let Value::Object(map) = &mut table {
            keys.iter().for_each(|key| {
                map.remove(*key);
            });
        }
        table
    };
    let json = |value: serde_json::Result<Value>| value.map_err(|error| Error::Io(error.into()));
    let mut config = Map::new();
    let mut put = |name: &str, value: Value| config.insert(name.to_owned(), value);
    if !matches!(step, Step::Tokenize | Step::Filter(_) | Step::Evaluate(_) | Step::Report) {
        put("seed", json!(step.seed(recipe)));
    }
    match step {
        Step::Ingest => {
            put("corpus", without(json(serde_json::to_value(&recipe.corpus))?, &["paths"]));
        }
        Step::Tokenize => {
            let given = recipe.tokenize.tokenizer.as_ref().map(|_| "given");
            put("tokenize", json!({"vocab_size": recipe.tokenize.vocab_size, "tokenizer": given}));
        }
        Step::Embed(at) => {
            let embedding = &recipe.embeddings[at];
            match embedding.vectors {
                Vectors::Lsa => put("embed", json(serde_json::to_value(&embedding.embed))?),
                Vectors::File(_) => put("embed", json!({"method": "file"})),
            };
        }
        Step::Pair(at) => {
            let pairs = &recipe.pairs[at];
            match pairs.method {
                PairMethod::Neighbours(_) => {
                    let own = without(json(serde_json::to_value(&pairs.pair))?, &["within_groups"]);
                    put("pair", with_groups(own, &pairs.pair))
                }
                PairMethod::Shuffled(_) => put("pair", with_groups(json!({"method": "shuffled"}), &pairs.pair)),
                PairMethod::File(_) => {
                    let own = json!({"method": "file", "held_out_share": pairs.pair.held_out_share});
                    put("pair", with_groups(own, &pairs.pair))
                }
            };
        }
        Step::Sweep { .. } | Step::Train(_) => match step.training(recipe) {
            Some(training) => put_training(&mut put, recipe, training)?,
            // What an arm chose is what its candidates are, and these are inputs; how many documents it chose by is not.
            None => {
                let Step::Train(model) = step else { return Ok(Value::Object(config)) };
                let arm = &recipe.arms[model.arm];
                let candidates: Vec<&str> = arm.sweep.iter().map(|candidate| candidate.name.as_str()).collect();
                put("arm", json!({"sweep": candidates, "selection_documents": arm.selection_documents}));
            }
        },
        Step::Tune(at) => {
            let tune = json(serde_json::to_value(&recipe.synthesizers[at].tune))?;
            put("tune", without(tune, &["checkpoint_every_tokens", "least_pairs"]));
            let Train { beta1, beta2, epsilon, clip, .. } = recipe.base_training(at).train;
            put("train", json!({"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip": clip}));
            put("generate", json!({"max_seed_tokens": recipe.seed_tokens(at)}));
            put("shuffled", json!(recipe.pairs[recipe.pair_set(&recipe.synthesizers[at].pairs)].is_shuffled()));
        }
        Step::Generate(at) => {
            let own = &recipe.synthetic[at].generate;
            let generate = json(serde_json::to_value(own))?;
            let mut how = vec!["slots", "most_written", "most_unfinished", "endpoint_url", "endpoint_concurrency"];
            how.extend(["endpoint_key_env", "endpoint_timeout_s", "endpoint_attempts"]);
            if own.precision == GeneratePrecision::F32 {
                how.push("precision");
            }
            if own.method == GenerateMethod::Model {
                // What was made before there was another method was made by this one.
                how.push("method");
            }
            put("generate", without(generate, &how));
            put("synthetic_tokens", json!(recipe.synthetic_tokens(at)));
        }
        Step::Filter(at) => {
            let filter = json(serde_json::to_value(&recipe.synthetic[at].filter))?;
            let mut how = vec!["judge_url", "judge_key_env"];
            if !recipe.is_related(at) {
                // A control's documents go before no judge.
                how.extend(["judge_model", "judge_samples"]);
            }
            put("filter", without(filter, &how));
            put("synthetic_tokens", json!(recipe.synthetic_tokens(at)));
            // Of related documents more is measured.
            put("related", json!(recipe.is_related(at)));
            if let Step::Tune(synthesizer) = writer(recipe, at) {
                // They decide on which pairs relevance is calibrated.
                let Tune { validate_pairs, relation_pairs, .. } = recipe.synthesizers[synthesizer].tune;
                put("tune", json!({"validate_pairs": validate_pairs, "relation_pairs": relation_pairs}));
                put("seed", json!(recipe.seed));
            }
        }
        Step::Evaluate(_) => {
            put("evaluate", without(json(serde_json::to_value(&recipe.evaluate))?, &["data_dir"]));
            if recipe.evaluate.tasks.iter().any(|task| task != PERPLEXITY) {
                put("seed", json!(recipe.seed)); // draws examples
            }
        }
        Step::Report => {}
    }
    Ok(Value::Object(config))
}

/// What a set of pairs says of groups, where that is not what held before there was such a key.
fn with_groups(mut own: Value, pair: &Pair) -> Value {
    if !pair.within_groups {
        own["within_groups"] = json!(false);
    }
    own
}

/// All that decides a model and is no input.
fn put_training(put: &mut dyn FnMut(&str, Value) -> Option<Value>, recipe: &Recipe, training: &Training) -> Result<()> {
    let json = |value: serde_json::Result<Value>| value.map_err(|error| Error::Io(error.into()));
    // How often a checkpoint is written, and how many are kept, changes none.
    let mut train = json(serde_json::to_value(&training.train))?;
    if let Value::Object(keys) = &mut train {
        keys.remove("checkpoint_every_tokens");
        keys.remove("keep_checkpoints");
    }
    put("train", train);
    put("model", json(serde_json::to_value(&training.model))?);
    put("positions", json!(max_positions(recipe)));
    let mut arm = Map::new();
    if training.documents == Real::All {
        arm.insert("documents".to_owned(), json!("all"));
    }
    if let Some(max_epochs) = training.max_epochs {
        arm.insert("max_epochs".to_owned(), json!(max_epochs));
    }
    if !training.synthetic.is_empty() {
        let shares: Vec<f64> = training.synthetic.iter().map(|(_, share)| *share).collect();
        arm.insert("synthetic_shares".to_owned(), json!(shares));
        arm.insert("order".to_owned(), json!(training.order.word()));
    }
    if let Contexts::Related(_) = training.contexts {
        let Pair { neighbours, near_copy, max_similarity, .. } = recipe.pair;
        let own = json!({"neighbours": neighbours, "near_copy": near_copy, "max_similarity": max_similarity});
        put("pair", with_groups(own, &recipe.pair));
        arm.insert("contexts".to_owned(), json!("related"));
    }
    if training.init.is_some() {
        arm.insert("init".to_owned(), json!("given"));
    }
    if training.operations_of.is_some() {
        arm.insert("operations_of".to_owned(), json!("another arm"));
    }
    put("arm", Value::Object(arm));
    Ok(())
}

/// The longest context that any stage shows the model: the same for every arm, with synthesis or without.
pub(crate) fn max_positions(recipe: &Recipe) -> usize {
    let of_arms = recipe.arms.iter().flat_map(|arm| arm.trainings().map(|training| training.model.context));
    let of_synthesizers = recipe.synthesizers.iter().map(|synthesizer| synthesizer.tune.context);
    of_arms.chain(of_synthesizers).fold(recipe.model.context.max(recipe.tune.context), usize::max)
}
