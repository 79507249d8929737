//! `model.safetensors.index.json`: which shard holds each tensor.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use safetensors::SafeTensors;
use serde_json::Value;

use super::read_small;
use crate::{Error, Result};

/// Longest index that is read: 64 MiB, some 500,000 tensors.
const INDEX_MAX: u64 = 1 << 26;

/// A parsed index; its path is for messages.
pub(crate) struct Index {
    path: PathBuf,
    /// From a tensor's name to its shard's.
    shards: BTreeMap<String, String>,
}

impl Index {
    /// The index of a directory, where its weights are in shards.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("model.safetensors.index.json");
        if folder.join("model.safetensors").exists() || !path.exists() {
            return Ok(None);
        }
        let text = read_small(&path, INDEX_MAX)?;
        Self::parse(&path, &text).map(Some)
    }

    /// An index from the bytes of the file at `path`.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let parsed: Value = serde_json::from_slice(text).map_err(|e| Error::weights(path, format!("not JSON: {e}")))?;
        let Some(map) = parsed.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
            return Err(Error::weights(path, "field weight_map is missing, empty or not an object"));
        };
        let mut shards = BTreeMap::new();
        for (tensor, value) in map {
            let Some(shard) = value.as_str().filter(|name| stands_beside(name)) else {
                return Err(Error::weights(path, format!("weight_map: {value} is not the name of a file beside it")));
            };
            shards.insert(tensor.clone(), shard.to_owned());
        }
        Ok(Self { path: path.to_path_buf(), shards })
    }

    /// The names of the shards, each once, in order.
    pub(crate) fn shard_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.shards.values().cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The error for `missing` of `all` shards that are not there, the first of them `shard`.
    pub(crate) fn missing(&self, shard: &str, missing: usize, all: usize) -> Error {
        let reason =
            format!("weight_map: {shard} is missing beside it ({missing} of {all} shards are): fetch the rest");
        Error::weights(&self.path, reason)
    }

    /// Refuses shards that hold other tensors than the index says: a shard of another checkpoint, or an index of one.
    pub(crate) fn check(&self, files: &[(&Path, SafeTensors<'_>)]) -> Result<()> {
        let refuse = |reason: String| Err(Error::weights(&self.path, format!("weight_map: {reason}")));
        let mut unseen = self.shards.clone();
        for (path, file) in files {
            let here = path.file_name().unwrap_or_default().to_string_lossy();
            let mut names = file.names();
            names.sort_unstable();
            for tensor in names {
                match self.shards.get(tensor) {
                    Some(shard) if *shard == here => unseen.remove(tensor),
                    Some(shard) => {
                        return refuse(format!("tensor {tensor} is expected in {shard}, and stands in {here}"));
                    }
                    None => return refuse(format!("tensor {tensor} of {here} is not listed")),
                };
            }
        }
        match unseen.first_key_value() {
            Some((tensor, shard)) => refuse(format!("tensor {tensor} is not in {shard}")),
            None => Ok(()),
        }
    }
}

/// Whether a shard's name is one of a file beside its index: a path elsewhere is a mistake or an attack.
fn stands_beside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let alone = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    alone && !name.contains(['/', '\\', '\0'])
}
