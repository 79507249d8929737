//! A run directory: one folder per stage or arm, each finished by its manifest; one writer.
//!
//! What matches is skipped, what is partial is resumed, what differs is refused.

#[cfg(test)]
#[path = "../../../cognate-base/tests/damage/json.rs"]
mod damaged_json;
mod manifest;
mod progress;
mod reuse;
mod run_dir_error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cognate_base::claim::LOCK;
use cognate_base::files::{AtomicFile, remove_partials};
use cognate_base::{Claim, Hash, process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use manifest::{FORMAT, FileEntry, Identity, MANIFEST, Manifest, Work};
pub use progress::{Progress, STAGE_NAMES, Watched};
pub use run_dir_error::RunDirError;

type Result<T, E = RunDirError> = std::result::Result<T, E>;

/// File name of the resolved recipe in a run directory.
pub const RECIPE: &str = "recipe.toml";
/// File name of the mark that a stage has begun and is not finished.
const STARTED: &str = "started.json";

/// A file that is begun to see whether files can be written, and never finished.
const PROBE: &str = "probe";

/// A run directory that this process may write into.
#[derive(Debug)]
pub struct RunDir {
    root: PathBuf,
    /// What may be taken over instead of made.
    finished_elsewhere: Option<reuse::Finished>,
    _claim: Claim,
}

/// `started.json`: a stage has begun in this folder.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    format: u32,
    fingerprint: Hash,
    #[serde(flatten)]
    identity: Identity,
}

/// How an artifact's folder stands towards what is asked for.
#[derive(Debug)]
pub enum State {
    /// Finished, and exactly this.
    Done(Box<Manifest>),
    /// To be made, or to be gone on with.
    Open(Attempt),
}

/// A stage at work in its folder.
#[derive(Debug)]
pub struct Attempt {
    folder: PathBuf,
    identity: Identity,
    seed: u64,
    spent_before_s: f64,
    since: Instant,
    peak: Peak,
}

/// Most memory that the process held during a stage.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    /// Of earlier attempts.
    before: Option<u64>,
    /// Whether the system's peak began anew with this attempt.
    own: bool,
}

impl Peak {
    /// Begins with an attempt, after earlier ones that reached `before`.
    fn begin(before: Option<u64>) -> Self {
        Self { before, own: process::forget_peak_rss() }
    }

    /// In bytes, earlier attempts included.
    fn so_far(self) -> Option<u64> {
        let now = if self.own { process::peak_rss_bytes() } else { None };
        now.max(self.before)
    }
}

/// The version of `ingest` in release 0.1.0.
const FIRST_INGEST: u32 = 3;

/// Refuses a run of the first release: there was one of each thing, in its stage's own folder.
pub(crate) fn refuse_first_release(root: &Path) -> Result<()> {
    let unnamed = ["embed", "pair", "tune", "generate", "filter"];
    let mut is_first = unnamed.iter().any(|stage| root.join(stage).join(MANIFEST).is_file());
    // One that stopped early has no more than its documents.
    if !is_first {
        // What cannot be read is told of where it is needed.
        let ingest = Manifest::read(&root.join("ingest")).ok().flatten();
        is_first = ingest.is_some_and(|manifest| manifest.identity.code <= FIRST_INGEST);
    }
    if is_first { Err(RunDirError::FirstRelease { folder: root.to_path_buf() }) } else { Ok(()) }
}

impl RunDir {
    /// Opens or makes the run directory at `root`, and claims it.
    ///
    /// # Errors
    /// When another run has it, or when it holds something that is no run.
    pub fn open(root: &Path) -> Result<Self> {
        // A lock alone is what a run leaves that was killed before it began.
        let known = [RECIPE, LOCK].iter().any(|name| root.join(name).symlink_metadata().is_ok());
        if !known && root.exists() && fs_err::read_dir(root)?.next().is_some() {
            return Err(RunDirError::NotARun { folder: root.to_path_buf() });
        }
        let claim = Claim::folder(root)?;
        refuse_first_release(root)?;
        remove_partials(root, false)?;
        Ok(Self { root: root.to_path_buf(), finished_elsewhere: None, _claim: claim })
    }

    /// The same, and what the run directory at `other` has finished is taken over where it is what is asked for.
    ///
    /// # Errors
    /// When `other` is no run directory, or cannot be read.
    pub fn reusing(mut self, other: &Path) -> Result<Self> {
        if !other.join(RECIPE).exists() {
            return Err(RunDirError::NoRun { folder: other.to_path_buf() });
        }
        self.finished_elsewhere = Some(reuse::Finished::in_run(other)?);
        Ok(self)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An artifact's folder.
    pub fn folder(&self, name: &Path) -> PathBuf {
        self.root.join(name)
    }

    /// Refuses at once what a later stage would refuse: a finished or begun artifact with another configuration or of
    /// another code version. Inputs are not known yet.
    ///
    /// # Errors
    /// As [`RunDir::enter`].
    pub fn check_config(&self, name: &Path, stage: &str, code: u32, config: &Value, resumes: bool) -> Result<()> {
        let folder = self.folder(name);
        let (identity, verb) = match (Manifest::read(&folder)?, manifest::read_json::<Started>(&folder.join(STARTED))?)
        {
            (Some(manifest), _) => (manifest.identity, "made"),
            (None, Some(started)) if resumes => (started.identity, "begun"),
            _ => return Ok(()),
        };
        let wanted =
            Identity { stage: stage.to_owned(), code, config: config.clone(), inputs: identity.inputs.clone() };
        differs(&folder, verb, &identity, &wanted)
    }

    /// Refuses at once what would refuse a later stage its folder: something else in its place, or a folder that cannot be written to.
    ///
    /// # Errors
    /// When it is so; the message names the place.
    pub fn check_place(&self, name: &Path) -> Result<()> {
        for part in name.ancestors() {
            let folder = self.root.join(part);
            match fs_err::symlink_metadata(&folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
                Ok(_) if folder.is_dir() => {
                    // It goes again with the value.
                    AtomicFile::create(folder.join(PROBE))?;
                }
                Ok(_) => return Err(RunDirError::InTheWay { path: folder, wanted: "a folder" }),
            }
        }
        Ok(())
    }

    /// The same for a file of the directory itself.
    ///
    /// # Errors
    /// When a folder stands in its place.
    pub fn check_file(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        if path.is_dir() { Err(RunDirError::InTheWay { path, wanted: "a file" }) } else { Ok(()) }
    }

    /// Looks at `name`'s folder: done, or ready to work in. A partial folder of a stage that does not resume is
    /// emptied.
    ///
    /// # Errors
    /// When it holds something else, or something damaged.
    pub fn enter(&self, name: &Path, identity: Identity, seed: u64, resumes: bool) -> Result<State> {
        let folder = self.folder(name);
        let elsewhere = self.finished_elsewhere.as_ref().and_then(|finished| finished.find(identity.fingerprint()));
        if let Some(from) = elsewhere.filter(|_| !folder.join(MANIFEST).exists()) {
            tracing::info!("{}: taken over from {}", name.display(), from.display());
            reuse::take_over(from, &folder, |from, to| fs_err::hard_link(from, to))?;
        }
        if let Some(manifest) = Manifest::read(&folder)? {
            differs(&folder, "made", &manifest.identity, &identity)?;
            manifest.check_files(&folder)?;
            clear_marks(&folder)?;
            return Ok(State::Done(Box::new(manifest)));
        }
        let started: Option<Started> = manifest::read_json(&folder.join(STARTED))?;
        let mut before = None;
        match started {
            Some(started) if resumes => {
                differs(&folder, "begun", &started.identity, &identity)?;
                before = Progress::read(&folder)?;
                remove_partials(&folder, true)?;
            }
            // What begins anew still has cost what it has cost.
            Some(started) if started.fingerprint == identity.fingerprint() => {
                before = Progress::read(&folder)?;
                empty(&folder)?;
            }
            _ => empty(&folder)?,
        }
        fs_err::create_dir_all(&folder)?;
        let started = Started { format: FORMAT, fingerprint: identity.fingerprint(), identity };
        manifest::write_json(&folder.join(STARTED), &started)?;
        Ok(State::Open(Attempt {
            folder,
            identity: started.identity,
            seed,
            spent_before_s: before.as_ref().map_or(0.0, |progress| progress.spent_s),
            since: Instant::now(),
            peak: Peak::begin(before.and_then(|progress| progress.peak_rss_bytes)),
        }))
    }
}

/// Marks `folder`, outside of any run directory, as the place of the training that `identity` describes, and returns its fingerprint.
///
/// # Errors
/// When another training began there; the message names what differs.
pub fn begin_training(folder: &Path, identity: Identity) -> Result<Hash> {
    let path = folder.join(STARTED);
    if let Some(started) = manifest::read_json::<Started>(&path)? {
        let differences = differences(&started.identity, &identity);
        if !differences.is_empty() {
            let folder = folder.to_path_buf();
            return Err(RunDirError::OtherTraining { folder, difference: listed(differences) });
        }
    }
    let started = Started { format: FORMAT, fingerprint: identity.fingerprint(), identity };
    fs_err::create_dir_all(folder)?;
    manifest::write_json(&path, &started)?;
    Ok(started.fingerprint)
}

impl Attempt {
    /// Where the stage writes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The artifact's fingerprint.
    pub fn fingerprint(&self) -> Hash {
        self.identity.fingerprint()
    }

    /// Seconds spent so far, earlier attempts included.
    pub fn spent_s(&self) -> f64 {
        self.spent_before_s + self.since.elapsed().as_secs_f64()
    }

    /// Finishes the artifact: hashes its `files` (files or folders inside its folder) and writes the manifest.
    ///
    /// # Errors
    /// When a file cannot be read, or the manifest cannot be written; the artifact then stays partial.
    pub fn finish(self, files: &[PathBuf], rows: &BTreeMap<String, u64>, work: Work) -> Result<Manifest> {
        let manifest = Manifest {
            format: FORMAT,
            fingerprint: self.fingerprint(),
            files: manifest::list_files(&self.folder, files, rows)?,
            seed: self.seed,
            work,
            wall_s: self.spent_s(),
            peak_rss_bytes: self.peak.so_far(),
            identity: self.identity,
        };
        manifest.write(&self.folder)?;
        clear_marks(&self.folder)?;
        Ok(manifest)
    }
}

/// The content of one finished artifact, for stages that read it.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Artifact {
    /// The path of one of its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Records in one of its files; 0 where it has none.
    pub fn rows(&self, name: &str) -> u64 {
        self.manifest.files.iter().find(|file| file.path == name).and_then(|file| file.rows).unwrap_or(0)
    }

    /// The content hash of one of its files.
    ///
    /// # Errors
    /// When its manifest does not list it.
    pub fn hash(&self, name: &str) -> Result<Hash> {
        self.manifest.hash_of(&self.folder, name)
    }
}

fn clear_marks(folder: &Path) -> Result<()> {
    for name in [STARTED, progress::PROGRESS] {
        match fs_err::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses when the two identities are not the same, naming the first few differences.
fn differs(folder: &Path, verb: &'static str, was: &Identity, is: &Identity) -> Result<()> {
    let differences = differences(was, is);
    if differences.is_empty() {
        return Ok(());
    }
    Err(RunDirError::Differs { folder: folder.to_path_buf(), verb, difference: listed(differences) })
}

/// What is not the same, in words.
fn differences(was: &Identity, is: &Identity) -> Vec<String> {
    let mut differences = Vec::new();
    if was.code != is.code {
        differences.push(format!("by version {} of the {} stage, and this is version {}", was.code, is.stage, is.code));
    }
    compare(&mut Vec::new(), &was.config, &is.config, &mut differences);
    for (name, hash) in &is.inputs {
        match was.inputs.get(name) {
            Some(old) if old == hash => {}
            Some(_) => differences.push(format!("{name} had another content")),
            None => differences.push(format!("{name} did not belong to it")),
        }
    }
    differences.extend(
        was.inputs.keys().filter(|name| !is.inputs.contains_key(*name)).map(|name| format!("{name} belonged to it")),
    );
    differences
}

/// The first few of them.
fn listed(mut differences: Vec<String>) -> String {
    let more = differences.len().saturating_sub(4);
    differences.truncate(4);
    let mut listed = differences.join("; ");
    if more > 0 {
        listed.push_str(&format!("; and {more} more"));
    }
    listed
}

/// Collects `[table] key was A and is B now`, going into nested tables.
fn compare(path: &mut Vec<String>, was: &Value, is: &Value, out: &mut Vec<String>) {
    if was == is {
        return;
    }
    if let (Value::Object(was), Value::Object(is)) = (was, is) {
        let keys: std::collections::BTreeSet<_> = was.keys().chain(is.keys()).collect();
        for key in keys {
            path.push(key.clone());
            compare(path, was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null), out);
            path.pop();
        }
        return;
    }
    let shown = |value: &Value| if value.is_null() { "unset".to_owned() } else { value.to_string() };
    let key = match path.as_slice() {
        [table, rest @ ..] if !rest.is_empty() => format!("[{table}] {}", rest.join(".")),
        rest => rest.join("."),
    };
    out.push(format!("{key} was {} and is {} now", shown(was), shown(is)));
}

/// Whether a stage has begun in `folder` and is not finished.
pub fn was_begun(folder: &Path) -> bool {
    folder.join(STARTED).exists()
}
