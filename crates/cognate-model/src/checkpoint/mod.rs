//! Checkpoints: Hugging Face directories of `Qwen3ForCausalLM` and `LlamaForCausalLM`, read and written.

mod config_json;
mod folder;
mod index;
mod weights;

use std::path::Path;

use cognate_base::files::{AtomicFolder, write_atomic};
use cognate_ops::Device;
use serde_json::json;

use crate::{Config, Decoder, Error, Result};
use index::Index;

pub use folder::weight_files;
pub use weights::{Tensors, read_tensors, write_tensors};

/// Token ids that a checkpoint's `config.json` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialIds {
    /// The token before a document, where there is one.
    pub begin: Option<u32>,
    /// The token after a document (the first, where there are several).
    pub end: Option<u32>,
    /// The token after which the model was tuned to write a related document (`related_token_id`, which only tuning writes).
    pub related: Option<u32>,
}

/// The tokenizer that goes with a checkpoint.
#[derive(Clone, Debug)]
pub struct TokenizerFiles {
    /// Content of `tokenizer.json`.
    pub json: String,
    /// Content of `tokenizer_config.json`, an object; the longest input is added to it.
    pub config: serde_json::Value,
    /// The token before a document.
    pub begin_of_document: u32,
    /// The token after a document.
    pub end_of_document: u32,
    /// The token after which the model is tuned to write a related document; none for a model that is not.
    pub related: Option<u32>,
}

/// Reads a checkpoint's configuration.
///
/// # Errors
/// When there is no `config.json` (what the folder is instead is said), it does not parse, or asks for what this decoder does not do
/// (named).
pub fn read_config(folder: &Path) -> Result<(Config, SpecialIds)> {
    folder::check(folder)?;
    config_json::read(&folder.join("config.json"))
}

/// A file in memory: the path that messages name, and its content.
pub type File<'a> = (&'a Path, &'a [u8]);

/// Reads a checkpoint whose files are in memory: `config.json`, and `model.safetensors` or an index and the shards that
/// [`shard_names`] gives for it. The values come in the order of [`Layout`](crate::Layout). What [`Decoder::load`] does, without
/// the files.
///
/// # Errors
/// As [`Decoder::load`].
pub fn parse(
    config: File<'_>,
    index: Option<File<'_>>,
    weights: &[File<'_>],
) -> Result<(Config, SpecialIds, Vec<f32>)> {
    let (config, special) = config_json::parse(config.0, config.1)?;
    let index = index.map(|(path, text)| Index::parse(path, text)).transpose()?;
    let values = weights::parse_parameters(index.as_ref(), weights, &config)?;
    Ok((config, special, values))
}

/// The names of the shards that a `model.safetensors.index.json` lists, each once, in order; all are names of files beside it.
///
/// # Errors
/// When it does not parse, lists nothing, or names a file elsewhere.
pub fn shard_names(index: File<'_>) -> Result<Vec<String>> {
    Ok(Index::parse(index.0, index.1)?.shard_names())
}

/// The content of a file that is read whole, of up to `size_max` bytes.
fn read_small(path: &Path, size_max: u64) -> Result<Vec<u8>> {
    check_file(path, size_max)?;
    Ok(fs_err::read(path)?)
}

/// Refuses what is not an ordinary file (opening a pipe would wait for ever) and what is longer than `size_max` bytes.
fn check_file(path: &Path, size_max: u64) -> Result<()> {
    let found = fs_err::metadata(path)?;
    if !found.is_file() {
        return Err(Error::weights(path, "is not a file"));
    }
    if found.len() > size_max {
        return Err(Error::weights(path, format!("has {} bytes; expected {size_max} at most", found.len())));
    }
    Ok(())
}

impl<D: Device> Decoder<D> {
    /// Opens a checkpoint directory: `config.json` and `model.safetensors`, whole or in shards; f32, bf16 or f16.
    ///
    /// # Errors
    /// When a file is missing or damaged, a tensor is missing, superfluous, of another shape or not finite, or the
    /// configuration asks for what this decoder does not do. Every message names the file.
    pub fn load(device: D, folder: &Path) -> Result<(Self, SpecialIds)> {
        let (config, special) = read_config(folder)?;
        let values = weights::read_parameters(folder, &config)?;
        Ok((Self::with_parameters(device, config, &values)?, special))
    }

    /// Writes a checkpoint directory that transformers opens: configuration, f32 weights, and the tokenizer where given.
    /// The directory appears whole or not at all; one that stands there is replaced. `more` adds files to it.
    ///
    /// # Errors
    /// When writing fails.
    pub fn save(
        &self,
        folder: &Path,
        tokenizer: Option<&TokenizerFiles>,
        more: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let made = AtomicFolder::create(folder)?;
        let path = made.path();
        let special = SpecialIds {
            begin: tokenizer.map(|tokenizer| tokenizer.begin_of_document),
            end: tokenizer.map(|tokenizer| tokenizer.end_of_document),
            related: tokenizer.and_then(|tokenizer| tokenizer.related),
        };
        config_json::write(&path.join("config.json"), &self.config, special)?;
        let values = self.parameters();
        let tensors = self.layout.tensors();
        let views = tensors.iter().map(|t| (t.name.as_str(), &t.shape[..], &values[t.range.clone()]));
        write_tensors(&path.join("model.safetensors"), views, &[("format", "pt")])?;
        let generation = json!({ "bos_token_id": special.begin, "eos_token_id": special.end, "do_sample": true });
        write_atomic(path.join("generation_config.json"), pretty(&generation))?;
        if let Some(tokenizer) = tokenizer {
            write_atomic(path.join("tokenizer.json"), &tokenizer.json)?;
            let mut config = tokenizer.config.clone();
            config["model_max_length"] = self.config.max_positions.into();
            write_atomic(path.join("tokenizer_config.json"), pretty(&config))?;
        }
        more(path)?;
        made.commit()?;
        Ok(())
    }
}

/// Indented JSON with a new line at the end.
fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
