//! A checkpoint's folder: which files hold its weights, and what a folder is that is no checkpoint.

use std::path::{Path, PathBuf};

use super::index::Index;
use crate::{Error, Result};

/// The file that the weights are in, where they are in one.
const WHOLE: &str = "model.safetensors";

/// Folders that are looked into for checkpoints: a run has some hundred.
const FOLDERS_MAX: usize = 2000;
/// How deep checkpoints lie in a run: `<arm>/checkpoints/<step>`.
const DEPTH_MAX: usize = 4;
/// Checkpoints that a message names.
const NAMED_MAX: usize = 12;

/// The files that hold a checkpoint's weights: `model.safetensors`, or the shards that an index lists.
///
/// # Errors
/// When there are none, the index is damaged, or a shard is missing; the message says what there is instead.
pub fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(indexed_files(folder)?.1)
}

/// [`weight_files`], with the index where there is one.
pub(super) fn indexed_files(folder: &Path) -> Result<(Option<Index>, Vec<PathBuf>)> {
    let Some(index) = Index::read(folder)? else {
        let whole = folder.join(WHOLE);
        return if whole.exists() { Ok((None, vec![whole])) } else { Err(Error::weights(&whole, no_weights(folder))) };
    };
    let names = index.shard_names();
    let missing: Vec<&String> = names.iter().filter(|name| !folder.join(name).exists()).collect();
    if let Some(first) = missing.first() {
        return Err(index.missing(first, missing.len(), names.len()));
    }
    let files = names.iter().map(|name| folder.join(name)).collect();
    Ok((Some(index), files))
}

/// Refuses a folder without `config.json`, saying what it is.
pub(super) fn check(folder: &Path) -> Result<()> {
    if folder.join("config.json").exists() {
        return Ok(());
    }
    let reason = match fs_err::metadata(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => return Err(error.into()),
        Ok(found) if found.is_file() => {
            "is a file; expected the folder that holds config.json and the weights".to_owned()
        }
        Ok(_) => no_config(folder),
    };
    Err(Error::NoCheckpoint { path: folder.to_path_buf(), reason })
}

/// What a folder without `config.json` is.
fn no_config(folder: &Path) -> String {
    if folder.join("adapter_config.json").exists() {
        return "holds an adapter without the model that it belongs to: merge the two first (peft's merge_and_unload, then \
                save_pretrained)"
            .to_owned();
    }
    let inside = checkpoints_in(folder);
    if inside.is_empty() {
        return format!("has no config.json; expected the folder of a checkpoint, with config.json and {WHOLE}");
    }
    let mut names: Vec<String> = inside.iter().take(NAMED_MAX).map(|path| path.display().to_string()).collect();
    if inside.len() > NAMED_MAX {
        names.push(format!("and {} more", inside.len() - NAMED_MAX));
    }
    format!("is no checkpoint but holds some; give one of them:\n  {}", names.join("\n  "))
}

/// The checkpoints below a folder, finished models before those of a training's way.
fn checkpoints_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![folder.to_path_buf()];
    let mut seen = 0;
    for _ in 0..DEPTH_MAX {
        let mut next = Vec::new();
        for folder in level {
            // What cannot be read is not named: this is advice beside an error.
            let entries = std::iter::once(fs_err::read_dir(&folder)).flatten().flatten().flatten();
            let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
            next.extend(folders.take(FOLDERS_MAX.saturating_sub(seen)));
            seen += next.len();
        }
        next.sort_unstable();
        found.extend(next.iter().filter(|path| path.join("config.json").is_file()).cloned());
        level = next;
    }
    found.sort_by_key(|path| (path.parent().is_some_and(|parent| parent.ends_with("checkpoints")), path.clone()));
    found
}

/// Why a folder with `config.json` has no weights that are read.
fn no_weights(folder: &Path) -> String {
    let mut names: Vec<String> = std::iter::once(fs_err::read_dir(folder))
        .flatten()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let ending = |endings: &[&str]| names.iter().find(|name| endings.iter().any(|ending| name.ends_with(ending)));
    let torch = names.iter().find(|name| name.starts_with("pytorch_model"));
    if let Some(name) = torch.or_else(|| ending(&[".pth", ".pt", ".bin", ".ckpt"])) {
        return format!(
            "is missing. The weights are in {name}, a pickle of PyTorch, which is not read: pickles can run code. Convert it: \
             python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('{}').save_pretrained('NEW')\", then \
             copy tokenizer.json and tokenizer_config.json into NEW",
            folder.display()
        );
    }
    if let Some(name) = ending(&[".gguf", ".h5", ".msgpack", ".npz", ".onnx"]) {
        return format!(
            "is missing. {name} is of a format that is not read; expected the weights as transformers saves them"
        );
    }
    if let Some(name) = ending(&[".safetensors"]) {
        return format!(
            "is missing. {name} is not read: expected the weights in {WHOLE}, or in shards beside {WHOLE}.index.json"
        );
    }
    "is missing, and so is an index of shards: the folder has no weights".to_owned()
}
