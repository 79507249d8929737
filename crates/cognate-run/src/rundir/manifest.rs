//! `manifest.json`: what an artifact is, made from what, at what cost. Written last; its presence says "finished".

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use cognate_base::Hash;
use cognate_base::files::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run_dir_error::{RunDirError, found_bytes};

/// Version of the manifest's own fields.
pub const FORMAT: u32 = 1;
/// File name of a finished artifact's manifest.
pub const MANIFEST: &str = "manifest.json";

/// Everything that an artifact's content depends on: never a path, a device or a number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Stage name.
    pub stage: String,
    /// Version of the stage's code.
    pub code: u32,
    /// The resolved tables of the recipe that the stage reads, and the seed.
    pub config: Value,
    /// Content hashes of what it reads, by what each is.
    pub inputs: BTreeMap<String, Hash>,
}

impl Identity {
    /// BLAKE3 over the identity as canonical JSON: keys in order, no spaces.
    pub fn fingerprint(&self) -> Hash {
        let inputs = self.inputs.iter().map(|(name, hash)| (name.clone(), Value::String(hash.to_string())));
        let whole = Value::Object(
            [
                ("stage".to_owned(), Value::String(self.stage.clone())),
                ("code".to_owned(), Value::from(self.code)),
                ("config".to_owned(), self.config.clone()),
                ("inputs".to_owned(), Value::Object(inputs.collect())),
            ]
            .into_iter()
            .collect(),
        );
        let mut canonical = String::new();
        write_canonical(&whole, &mut canonical);
        Hash::of(canonical)
    }
}

/// JSON with sorted keys and no spaces. Numbers are written as serde_json does: the shortest text that reads back the
/// same.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            out.push('{');
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                write_canonical(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the artifact's folder, with `/` between folders.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its content.
    pub hash: Hash,
    /// Records in it, where it holds records.
    pub rows: Option<u64>,
}

/// What a stage did, for the manifest and the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The stage's own statistics.
    pub statistics: Value,
    /// Floating-point operations of model computations; 0 where the stage counts none.
    pub flops: f64,
    /// Tokens read or written.
    pub tokens: u64,
    /// Documents read or written.
    pub documents: u64,
}

/// A finished artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of these fields.
    pub format: u32,
    /// Hash of the identity.
    pub fingerprint: Hash,
    /// What its content depends on.
    #[serde(flatten)]
    pub identity: Identity,
    /// Seed of its random choices.
    pub seed: u64,
    /// Its files that later stages and people rely on.
    pub files: Vec<FileEntry>,
    /// What was done.
    #[serde(flatten)]
    pub work: Work,
    /// Seconds, summed over interrupted attempts.
    pub wall_s: f64,
    /// Most memory that the process held during the stage, of all attempts; `None` where the system does not tell.
    #[serde(default)]
    pub peak_rss_bytes: Option<u64>,
}

impl Manifest {
    /// Reads `folder`'s manifest, where it has one.
    ///
    /// # Errors
    /// When there is one that cannot be read or understood, or that names a file outside of its folder: whoever joins the two must
    /// come out below the folder.
    pub fn read(folder: &Path) -> Result<Option<Self>, RunDirError> {
        let path = folder.join(MANIFEST);
        let Some(manifest) = read_json::<Self>(&path)? else { return Ok(None) };
        if let Some(file) = manifest.files.iter().find(|file| !is_of_artifact(&file.path)) {
            let message = format!("it lists the file {:?}, which cannot be one of this artifact", file.path);
            return Err(RunDirError::Corrupt { path, message, folder: folder.to_path_buf() });
        }
        Ok(Some(manifest))
    }

    /// Makes the manifest appear, whole: from now on the artifact is finished.
    pub(super) fn write(&self, folder: &Path) -> Result<(), RunDirError> {
        write_json(&folder.join(MANIFEST), self)
    }

    /// The content hash of one file.
    ///
    /// # Errors
    /// When the manifest does not list it.
    pub fn hash_of(&self, folder: &Path, path: &str) -> Result<Hash, RunDirError> {
        let entry = self.files.iter().find(|entry| entry.path == path);
        entry
            .map(|entry| entry.hash)
            .ok_or_else(|| RunDirError::Unlisted { manifest: folder.join(MANIFEST), path: path.to_owned() })
    }

    /// Checks that every file is there with the size and the content it had: what was made from a damaged file would be wrong
    /// without a sign of it. Sizes come first, since they cost nothing; the contents are read once a run.
    pub(super) fn check_files(&self, folder: &Path) -> Result<(), RunDirError> {
        let damaged =
            |path, expected, found| Err(RunDirError::Damaged { path, expected, found, folder: folder.to_path_buf() });
        for entry in &self.files {
            let path = folder.join(&entry.path);
            let found = fs_err::metadata(&path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
            if found != Some(entry.bytes) {
                return damaged(path, format!("{} bytes", entry.bytes), found_bytes(found));
            }
        }
        for entry in &self.files {
            let path = folder.join(&entry.path);
            let found = Hash::of_file(&path)?;
            if found != entry.hash {
                return damaged(path, format!("content {}", entry.hash), format!("and there is {found}"));
            }
        }
        Ok(())
    }
}

/// Whether a path of a manifest leads to something below the artifact's folder, and not to the manifest itself.
fn is_of_artifact(path: &str) -> bool {
    let goes_down = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    goes_down && !path.is_empty() && path != MANIFEST
}

/// The entries for `paths`, files or folders inside `folder`, in a fixed order. Rows are those that `rows` knows.
pub(super) fn list_files(
    folder: &Path,
    paths: &[PathBuf],
    rows: &BTreeMap<String, u64>,
) -> Result<Vec<FileEntry>, RunDirError> {
    let mut files = Vec::new();
    for path in paths {
        collect(&folder.join(path), &mut files)?;
    }
    files.sort();
    files.dedup();
    let entry = |path: PathBuf| {
        let parts = path.strip_prefix(folder).unwrap_or(&path).components();
        let name = parts.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
        Ok(FileEntry {
            bytes: fs_err::metadata(&path)?.len(),
            hash: Hash::of_file(&path)?,
            rows: rows.get(&name).copied(),
            path: name,
        })
    };
    files.into_iter().map(entry).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), RunDirError> {
    if !fs_err::metadata(path)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in fs_err::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// Reads a JSON file of ours; `None` where there is no such file.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, RunDirError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let corrupt = |message: String| RunDirError::Corrupt {
        path: path.to_path_buf(),
        message,
        folder: path.parent().map(PathBuf::from).unwrap_or_default(),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(corrupt(format!("its format is {format}; this version reads {FORMAT}"))),
        None => return Err(corrupt("it has no field `format`".to_owned())),
    }
    serde_json::from_value(value).map(Some).map_err(|error| corrupt(error.to_string()))
}

/// Writes a JSON file of ours, whole or not at all.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunDirError> {
    let mut text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    text.push('\n');
    Ok(write_atomic(path, text)?)
}
