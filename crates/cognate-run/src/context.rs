//! What every stage of a run is given: the recipe, the run directory, the artifacts made so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor, Silent};
use cognate_corpus::Tokenizer;
use cognate_ops::Cpu;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::recipe::{ArmKind, GenerateMethod, GeneratePrecision, PERPLEXITY, Pair, Recipe, Synthesis, Train};
use crate::rundir::{Artifact, Identity, RunDir, Work};
use crate::stage::{Step, candidates, weight_decays};
use crate::stages::synthesis::shard_hashes;
use crate::stages::tasks;
use crate::stages::train::Trained;

/// Where and how to run: nothing here changes a result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run directory.
    pub out: PathBuf,
    /// Threads for everything.
    pub threads: usize,
    /// Where models run.
    pub device: DeviceKind,
    /// The command that was typed, for the report.
    pub command: String,
    /// The program's version, for the report.
    pub version: String,
}

/// The kinds of devices. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
}

impl DeviceKind {
    /// The device's name in flags and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
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
    pub(crate) fn device(&self) -> Result<Cpu> {
        match self.settings.device {
            DeviceKind::Cpu => Ok(Cpu::new(self.settings.threads)?),
        }
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
            Step::Ingest => return self.document_hashes(),
            Step::Tokenize => {
                for split in ["validation", "unique", "oracle"] {
                    add(&format!("the {split} documents"), self.artifact("ingest"), &format!("{split}.jsonl.zst"))?;
                }
                if let Some(path) = &self.recipe.tokenize.tokenizer {
                    for file in Tokenizer::files(&self.recipe.at(path)) {
                        let name = file.file_name().unwrap_or_default().display();
                        inputs.insert(format!("the given tokenizer's {name}"), Hash::of_file(&file)?);
                    }
                }
            }
            Step::Embed => add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?,
            Step::Pair => {
                add("the vectors", self.artifact("embed"), "vectors.parquet")?;
                add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
            }
            Step::Sweep { .. } => self.add_training(&mut add)?,
            Step::Train(model) => {
                self.add_training(&mut add)?;
                let kind = &self.recipe.arms[model.arm].kind;
                match *kind {
                    ArmKind::Repetition => {}
                    ArmKind::RelatedContext => {
                        add("the vectors", self.artifact("embed"), "vectors.parquet")?;
                        add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                    }
                    ArmKind::Regularised { .. } if model.seed == self.recipe.seed => {
                        add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                        add("the oracle documents", self.artifact("ingest"), "oracle.jsonl.zst")?;
                        for (weight_decay, step) in candidates(self.recipe, model.arm) {
                            let name = format!("the model of weight decay {weight_decay}");
                            let folder = step.folder(self.recipe);
                            // A training that diverged left no model.
                            let hash = match self.statistics::<Trained>(&folder)?.diverged {
                                Some(how) => Hash::of(how),
                                None => self.artifact(folder).hash("final/model.safetensors")?,
                            };
                            inputs.insert(name, hash);
                        }
                    }
                    ArmKind::Regularised { .. } => {
                        let chosen = crate::stages::regularised::chosen(self, model.arm)?;
                        inputs.insert("the chosen weight decay".to_owned(), Hash::of(chosen.to_string()));
                    }
                    ArmKind::EqualFlops => {
                        let steps = crate::arms::equal_flops_steps(self, model.seed)?;
                        inputs.insert("what the sbp arm cost, in steps,".to_owned(), Hash::of(steps.to_string()));
                    }
                    ArmKind::Oracle { .. } => self.add_tokens(&mut add, "the oracle tokens", "tokenize", "oracle")?,
                    ArmKind::Sbp { .. } | ArmKind::RandomPairs { .. } | ArmKind::Unconditional { .. } => {
                        if let Some(filter) = self.filter_of(kind) {
                            self.add_tokens(&mut add, "the synthetic tokens", &filter, "synthetic")?;
                        }
                    }
                }
            }
            Step::Tune(_) => {
                self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?;
                add("the base model", self.base(), "best/model.safetensors")?;
                add("the training pairs", self.artifact("pair"), "train.parquet")?;
                add("the held-out pairs", self.artifact("pair"), "held_out.parquet")?;
            }
            Step::Generate(synthesis) if synthesis.is_tuned() => {
                self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?;
                add(
                    "the synthesizer",
                    self.artifact(Step::Tune(synthesis).folder(self.recipe)),
                    "best/model.safetensors",
                )?;
            }
            Step::Generate(_) => {
                add_tokenizer(&mut add, self.artifact("tokenize"), "")?;
                add("the base model", self.base(), "best/model.safetensors")?;
            }
            Step::Filter(synthesis) => {
                add("the unique documents", self.artifact("ingest"), "unique.jsonl.zst")?;
                add("the validation documents", self.artifact("ingest"), "validation.jsonl.zst")?;
                self.add_tokens(&mut add, "the unique tokens", "tokenize", "unique")?;
                add_tokenizer(&mut add, self.artifact("tokenize"), "")?;
                if synthesis.is_tuned() {
                    let tune = self.artifact(Step::Tune(synthesis).folder(self.recipe));
                    add("the held-out pairs", self.artifact("pair"), "held_out.parquet")?;
                    add("the synthesizer", tune, "best/model.safetensors")?;
                }
                add("the base model", self.base(), "best/model.safetensors")?;
                inputs.extend(shard_hashes(self.artifact(Step::Generate(synthesis).folder(self.recipe))));
            }
            Step::Evaluate(model) => {
                add("the validation documents", self.artifact("ingest"), "validation.jsonl.zst")?;
                let arm = self.artifact(Step::Train(model).folder(self.recipe));
                add("the model", arm, "final/model.safetensors")?;
                add_tokenizer(&mut add, arm, "final/")?;
                for (task, files) in tasks::tasks(self.recipe)? {
                    for (name, path) in tasks::inputs(&task, &files) {
                        inputs.insert(name, Hash::of_file(path)?);
                    }
                }
            }
            Step::Report => {}
        }
        Ok(inputs)
    }

    /// The folder of the synthetic tokens that an arm is trained on; none where it is trained on none.
    pub(crate) fn filter_of(&self, kind: &ArmKind) -> Option<PathBuf> {
        let (synthesis, _) = kind.synthetic()?;
        let folder = Step::Filter(synthesis).folder(self.recipe);
        self.artifact_if(&folder).map(|_| folder)
    }

    /// The repetition arm's artifact: what tuning starts from.
    pub(crate) fn base(&self) -> &Artifact {
        let base = self.recipe.repetition();
        let base = base.unwrap_or_else(|| panic!("a recipe with synthesis has an arm of kind repetition"));
        self.artifact(&base.name)
    }

    /// What every training reads.
    fn add_training(&self, add: &mut dyn FnMut(&str, &Artifact, &str) -> Result<()>) -> Result<()> {
        add_tokenizer(add, self.artifact("tokenize"), "")?;
        for split in ["validation", "unique"] {
            self.add_tokens(add, &format!("the {split} tokens"), "tokenize", split)?;
        }
        Ok(())
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

    fn document_hashes(&self) -> Result<BTreeMap<String, Hash>> {
        let files = cognate_corpus::input::expand(&self.document_paths(), &Silent)?;
        files
            .iter()
            .enumerate()
            .map(|(i, path)| Ok((format!("document file {:03}", i + 1), Hash::of_file(path)?)))
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
    let training = |train: &Train| {
        let train = json(serde_json::to_value(train))?;
        Ok::<_, Error>(without(train, &["checkpoint_every_tokens", "keep_checkpoints"]))
    };
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
        Step::Embed => {
            put("embed", json(serde_json::to_value(&recipe.embed))?);
        }
        Step::Pair => {
            put("pair", json(serde_json::to_value(&recipe.pair))?);
        }
        Step::Train(model) => {
            let arm = json(serde_json::to_value(&recipe.arms[model.arm]))?;
            put("train", training(&recipe.train)?);
            if recipe.arms[model.arm].kind == ArmKind::RelatedContext {
                let Pair { neighbours, near_copy, max_similarity, .. } = recipe.pair;
                put(
                    "pair",
                    json!({"neighbours": neighbours, "near_copy": near_copy, "max_similarity": max_similarity}),
                );
            }
            put("arm", without(arm, &["name"]));
            put("model", json(serde_json::to_value(&recipe.model))?);
            put("positions", json!(max_positions(recipe)));
        }
        Step::Sweep { arm, decay } => {
            // All that a candidate differs from repetition in.
            let weight_decay = weight_decays(&recipe.arms[arm].kind)[decay];
            put("train", training(&Train { weight_decay, ..recipe.train.clone() })?);
            put("arm", json!({"kind": ArmKind::Repetition.word()}));
            put("model", json(serde_json::to_value(&recipe.model))?);
            put("positions", json!(max_positions(recipe)));
        }
        Step::Tune(synthesis) => {
            let tune = json(serde_json::to_value(&recipe.tune))?;
            put("tune", without(tune, &["checkpoint_every_tokens"]));
            put_control(&mut put, synthesis);
        }
        Step::Generate(synthesis) => {
            let generate = json(serde_json::to_value(&recipe.generate))?;
            let mut how = vec!["slots", "most_written", "endpoint_url", "endpoint_concurrency", "endpoint_key_env"];
            how.extend(["endpoint_timeout_s", "endpoint_attempts"]);
            if recipe.generate.precision == GeneratePrecision::F32 {
                how.push("precision");
            }
            if recipe.generate.method == GenerateMethod::Model {
                // What was made before there was another method was made by this one.
                how.push("method");
            }
            put("generate", without(generate, &how));
            put("synthetic_tokens", json!(recipe.synthetic_tokens(synthesis)));
            put_control(&mut put, synthesis);
        }
        Step::Filter(synthesis) => {
            let filter = json(serde_json::to_value(&recipe.filter))?;
            let mut how = vec!["judge_url", "judge_key_env"];
            if synthesis != Synthesis::Related {
                // A control's documents go before no judge.
                how.extend(["judge_model", "judge_samples"]);
            }
            put("filter", without(filter, &how));
            put("synthetic_tokens", json!(recipe.synthetic_tokens(synthesis)));
            put_control(&mut put, synthesis);
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

/// Which control a stage works for: what is made for another is another thing.
fn put_control(put: &mut dyn FnMut(&str, Value) -> Option<Value>, synthesis: Synthesis) {
    if let Some(control) = synthesis.control() {
        put("control", json!(control));
    }
}

/// The longest context that any stage shows the model: the same for every arm, with synthesis or without.
pub(crate) fn max_positions(recipe: &Recipe) -> usize {
    recipe.model.context.max(recipe.tune.context)
}
