//! What every stage of a run is given: the recipe, the run directory, the artifacts made so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor};
use cognate_corpus::Tokenizer;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::device::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::rundir::{Artifact, RunDir, Work};
use crate::step::{Step, base_of};
use crate::world_files::TRUTH;

/// Where and how to run: nothing here changes a result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The run directory.
    pub out: PathBuf,
    /// Another run directory, whose finished stages are taken over where they are the same.
    pub reuse: Option<PathBuf>,
    /// The last stage that is wanted, one of [`crate::rundir::STAGE_NAMES`]: nothing is done that it does not need. None does all.
    pub until: Option<String>,
    /// Threads for everything.
    pub threads: usize,
    /// Where models run.
    pub device: DeviceKind,
    /// The command that was typed, for the report.
    pub command: String,
    /// The program's version, for the report.
    pub version: String,
}

/// Everything that a step is made from, directly or not, and the step, in the order in which they run.
pub(crate) type Behind = fn(&Recipe, Step) -> Vec<Step>;

/// A run in progress.
pub(crate) struct Context<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) settings: &'a Settings,
    pub(crate) run: RunDir,
    pub(crate) monitor: &'a dyn Monitor,
    /// The walk of `graph.rs`, which lies above the stages.
    pub(crate) behind: Behind,
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
    pub(crate) fn new(
        recipe: &'a Recipe,
        settings: &'a Settings,
        run: RunDir,
        monitor: &'a dyn Monitor,
        behind: Behind,
    ) -> Self {
        Self { recipe, settings, run, monitor, behind, done: BTreeMap::new() }
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

    /// What a step made.
    ///
    /// # Panics
    /// As [`Context::artifact`].
    pub(crate) fn made(&self, step: Step) -> &Artifact {
        self.artifact(step.folder(self.recipe))
    }

    /// What the synthesizer at `synthesizer` starts from.
    pub(crate) fn base_of(&self, synthesizer: usize) -> &Artifact {
        self.made(base_of(self.recipe, synthesizer))
    }

    /// The pairs that the synthesizer at `synthesizer` learns from.
    pub(crate) fn pairs_of(&self, synthesizer: usize) -> &Artifact {
        self.made(Step::Pair(self.recipe.pair_set(&self.recipe.synthesizers[synthesizer].pairs)))
    }

    /// The folders of the documents that the pairs of the set at `set` name, and of their tokens: those of the corpus, or the set's own. Each
    /// holds a file for the unique documents and one for those of the selection split, or for what was made of them.
    pub(crate) fn texts_of(&self, set: usize) -> [PathBuf; 2] {
        match self.recipe.texts_of(set) {
            None => [Step::Ingest, Step::Tokenize].map(|step| step.folder(self.recipe)),
            Some(own) => [Step::Pair(own), Step::Pair(own)].map(|step| step.folder(self.recipe)),
        }
    }

    /// The recipe's paths, from the current folder.
    pub(crate) fn document_paths(&self) -> Vec<PathBuf> {
        self.recipe.corpus.paths.iter().map(|path| self.recipe.at(path)).collect()
    }
}

/// What an artifact is made from: the content of every file that its stage reads, by what people call it.
pub(crate) struct Inputs<'a> {
    context: &'a Context<'a>,
    hashes: BTreeMap<String, Hash>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(context: &'a Context<'a>) -> Self {
        Self { context, hashes: BTreeMap::new() }
    }

    pub(crate) fn into_hashes(self) -> BTreeMap<String, Hash> {
        self.hashes
    }

    /// Puts a content that is no file of an artifact.
    pub(crate) fn put(&mut self, name: &str, hash: Hash) {
        self.hashes.insert(name.to_owned(), hash);
    }

    /// Adds a file that is none of an artifact, and may have any size.
    pub(crate) fn file(&mut self, name: &str, path: impl AsRef<Path>) -> Result<()> {
        let hash = Hash::of_file_watched::<Error>(path, self.context.monitor)?;
        self.put(name, hash);
        Ok(())
    }

    /// Adds a file of an artifact.
    pub(crate) fn add(&mut self, name: &str, artifact: &Artifact, file: &str) -> Result<()> {
        self.put(name, artifact.hash(file)?);
        Ok(())
    }

    /// Adds both files of tokens that an artifact's folder holds.
    pub(crate) fn add_tokens(&mut self, name: &str, artifact: impl AsRef<Path>, prefix: &str) -> Result<()> {
        let artifact = self.context.artifact(artifact);
        self.add(name, artifact, &format!("{prefix}.bin"))?;
        self.add(&format!("{name}' index"), artifact, &format!("{prefix}.idx"))
    }

    /// Adds the files of a tokenizer in an artifact: both decide what a document's tokens are.
    pub(crate) fn add_tokenizer(&mut self, artifact: &Artifact, folder: &str) -> Result<()> {
        self.add("the tokenizer", artifact, &format!("{folder}tokenizer.json"))?;
        self.add("the tokenizer's configuration", artifact, &format!("{folder}tokenizer_config.json"))
    }

    /// Adds the recipe's documents.
    pub(crate) fn documents(&mut self) -> Result<()> {
        let files = cognate_corpus::input::expand(&self.context.document_paths(), self.context.monitor)?;
        for (i, path) in files.iter().enumerate() {
            self.file(&format!("document file {:03}", i + 1), path)?;
        }
        Ok(())
    }

    /// Adds what is true of the documents, where they are a world's.
    pub(crate) fn truth(&mut self) -> Result<()> {
        match self.context.recipe.corpus.world {
            Some(_) => self.add("the truth", self.context.artifact("ingest"), TRUTH),
            None => Ok(()),
        }
    }

    /// Adds the tokenizer that the recipe gives, where it gives one.
    pub(crate) fn given_tokenizer(&mut self) -> Result<()> {
        let recipe = self.context.recipe;
        for file in recipe.tokenize.tokenizer.iter().flat_map(|path| Tokenizer::files(&recipe.at(path))) {
            let name = file.file_name().unwrap_or_default().display();
            self.file(&format!("the given tokenizer's {name}"), &file)?;
        }
        Ok(())
    }
}

/// The resolved keys that an artifact depends on, in the recipe's own tables.
#[derive(Debug, Default)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Puts a table or a key.
    pub(crate) fn put(&mut self, name: &str, value: impl Serialize) -> Result<()> {
        self.put_without(name, value, &[])
    }

    /// Puts a table but for some of its keys.
    pub(crate) fn put_without(&mut self, name: &str, table: impl Serialize, keys: &[&str]) -> Result<()> {
        let mut table = serde_json::to_value(table).map_err(|error| Error::Io(error.into()))?;
        if let Value::Object(map) = &mut table {
            keys.iter().for_each(|key| drop(map.remove(*key)));
        }
        self.0.insert(name.to_owned(), table);
        Ok(())
    }
}
