//! `model.safetensors`, whole or in shards.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cognate_base::Format;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::check_file;
use super::folder::indexed_files;
use super::index::Index;
use crate::{Config, Error, Layout, Result};

/// The head's name, which has no prefix.
const HEAD: &str = "lm_head.weight";

/// Reads all parameters of a checkpoint directory into the order of [`Layout`].
pub(crate) fn read_parameters(folder: &Path, config: &Config) -> Result<Vec<f32>> {
    let (index, paths) = indexed_files(folder)?;
    let maps = paths
        .iter()
        .map(|path| {
            check_file(path, u64::MAX)?;
            Ok(cognate_base::files::map(path)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let files: Vec<(&Path, &[u8])> = paths.iter().zip(&maps).map(|(path, map)| (path.as_path(), &map[..])).collect();
    parse_parameters(index.as_ref(), &files, config)
}

/// All parameters, in the order of [`Layout`], from the bytes of the weight files; their paths are for messages, and their names
/// for the index.
pub(crate) fn parse_parameters(index: Option<&Index>, files: &[(&Path, &[u8])], config: &Config) -> Result<Vec<f32>> {
    let opened = files.iter().map(|(path, bytes)| Ok((*path, open(path, bytes)?))).collect::<Result<Vec<_>>>()?;
    if let Some(index) = index {
        index.check(&opened)?;
    }
    check_sizes(&opened, config)?;
    config.check_memory()?;
    let layout = Layout::new(config);
    let mut values = vec![0.0; layout.len()];
    let mut missing: HashMap<&str, usize> =
        layout.tensors().iter().enumerate().map(|(i, tensor)| (tensor.name.as_str(), i)).collect();
    let mut copies = Vec::new();
    // A base model saved alone (`LlamaModel`, or an embedder made of one) has the names without their first part.
    let bare = !opened.iter().any(|(_, file)| file.names().iter().any(|name| name.starts_with("model.")));
    for (path, file) in &opened {
        let mut tensors = file.tensors();
        // They come in no fixed order; a file with two faults should name the same one each time.
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, view) in tensors {
            let prefixed = (bare && name != HEAD).then(|| format!("model.{name}"));
            let Some(index) = missing.remove(prefixed.as_deref().unwrap_or(&name)) else {
                if config.tied && name == HEAD {
                    copies.push((*path, view));
                } else if !name.ends_with("rotary_emb.inv_freq") {
                    // (Older checkpoints carry those frequencies; they follow from the configuration.)
                    let reason = format!("tensor {name} stands twice or does not belong to this architecture");
                    return Err(Error::weights(path, reason));
                }
                continue;
            };
            let tensor = &layout.tensors()[index];
            if view.shape() != tensor.shape {
                let reason =
                    format!("tensor {name} has the shape {:?}; config.json asks for {:?}", view.shape(), tensor.shape);
                return Err(Error::weights(path, reason));
            }
            convert(path, &name, &view, &mut values[tensor.range.clone()])?;
        }
    }
    if let Some(name) = missing.keys().min() {
        let mut reason = format!("tensor {name} is missing ({} in all)", missing.len());
        if *name == HEAD && missing.len() == 1 {
            reason.push_str(
                ": these are the weights of a base model, which has no head; a head tied to the embedding would need \
                 \"tie_word_embeddings\": true in config.json",
            );
        }
        return Err(Error::weights(files.last().map_or(Path::new(""), |(path, _)| path), reason));
    }
    for (path, head) in copies {
        check_copy(path, &head, config, &values[layout.embedding.clone()])?;
    }
    Ok(values)
}

/// The header of a weight file, checked: tensors fill the file without gap or overlap, and no name stands twice.
fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| match Format::of(bytes) {
        Format::Safetensors | Format::Unknown => Error::weights(path, damaged(&e)),
        other => Error::weights(path, other.instead_of("safetensors")),
    })?;
    // The library keeps the last of several entries of one name. The header lies between the eight bytes of its length and
    // the tensors' bytes, or the line above would have failed.
    let data: usize = file.iter().map(|(_, view)| view.data().len()).sum();
    let header = bytes.get(8..bytes.len().saturating_sub(data)).unwrap_or_default();
    match serde_json::Deserializer::from_slice(header).deserialize_map(Names) {
        Ok(None) => Ok(file),
        Ok(Some(name)) => Err(Error::weights(path, format!("damaged: two tensors have the name {name}"))),
        Err(e) => Err(Error::weights(path, format!("damaged or not a safetensors file: {e}"))),
    }
}

/// The first key of a JSON object that stands there twice.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Option<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut twice) = (HashSet::new(), None);
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            if seen.contains(&name) {
                twice.get_or_insert(name);
            } else {
                seen.insert(name);
            }
        }
        Ok(twice)
    }
}

/// Refuses sizes that these files cannot fill, before anything is allocated for them: a config.json of a few bytes may ask for a
/// terabyte. At least two bytes a parameter; at least nine tensors a layer, of which four suffice here so that a file from
/// which one is missing is told which.
fn check_sizes(files: &[(&Path, SafeTensors<'_>)], config: &Config) -> Result<()> {
    let tensors: usize = files.iter().map(|(_, file)| file.len()).sum();
    let bytes: usize = files.iter().flat_map(|(_, file)| file.iter()).map(|(_, view)| view.data().len()).sum();
    let parameters = config.parameters();
    if parameters <= bytes / 2 && config.layers <= tensors / 4 {
        return Ok(());
    }
    let reason = format!(
        "config.json asks for {parameters} parameters in {} layers; found {tensors} tensors of {bytes} bytes in all",
        config.layers
    );
    Err(Error::weights(files.last().map_or(Path::new(""), |(path, _)| path), reason))
}

/// Refuses a head that is stored although it is tied to the embedding, unless the two are the same: which of them the model was
/// trained with cannot be known.
fn check_copy(path: &Path, head: &TensorView<'_>, config: &Config, embedding: &[f32]) -> Result<()> {
    let shape = [config.vocab, config.width];
    if head.shape() != shape {
        let reason = format!("tensor lm_head.weight has the shape {:?}; config.json asks for {shape:?}", head.shape());
        return Err(Error::weights(path, reason));
    }
    let mut values = vec![0.0; embedding.len()];
    convert(path, HEAD, head, &mut values)?;
    if values != embedding {
        let reason = "tensor lm_head.weight differs from model.embed_tokens.weight, although config.json says \
                      tie_word_embeddings; expected one of the two, or \"tie_word_embeddings\": false";
        return Err(Error::weights(path, reason));
    }
    Ok(())
}

fn damaged(error: &safetensors::SafeTensorError) -> String {
    format!("damaged or not a safetensors file: {error}")
}

/// Little-endian numbers of `view` as f32.
fn convert(path: &Path, name: &str, view: &TensorView<'_>, out: &mut [f32]) -> Result<()> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => {
            let (numbers, _) = bytes.as_chunks::<4>();
            out.iter_mut().zip(numbers).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
        }
        Dtype::BF16 => {
            let (numbers, _) = bytes.as_chunks::<2>();
            out.iter_mut().zip(numbers).for_each(|(to, from)| *to = bf16::from_le_bytes(*from).to_f32());
        }
        Dtype::F16 => {
            let (numbers, _) = bytes.as_chunks::<2>();
            out.iter_mut().zip(numbers).for_each(|(to, from)| *to = f16::from_le_bytes(*from).to_f32());
        }
        other => {
            let reason = format!("tensor {name} has the type {other:?}; expected F32, BF16 or F16");
            return Err(Error::weights(path, reason));
        }
    }
    match out.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(Error::weights(
            path,
            format!("tensor {name} holds {} at element {at}: the weights are damaged", out[at]),
        )),
        None => Ok(()),
    }
}

/// Writes named f32 tensors as one safetensors file, with `metadata` in its header.
///
/// # Errors
/// When writing fails.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [f32])>,
    metadata: &[(&str, &str)],
) -> Result<()> {
    let views = tensors
        .map(|(name, shape, values)| {
            // In memory as on disk: this crate's targets are little-endian, which `bytes` relies on.
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes(values));
            view.map(|view| (name, view)).map_err(|e| Error::weights(path, e.to_string()))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    match safetensors::serialize_to_file(views, Some(metadata), path) {
        Ok(()) => Ok(()),
        Err(safetensors::SafeTensorError::IoError(e)) => {
            Err(Error::Io(std::io::Error::new(e.kind(), format!("{}: cannot write: {e}", path.display()))))
        }
        Err(e) => Err(Error::weights(path, e.to_string())),
    }
}

#[cfg(target_endian = "big")]
compile_error!("safetensors files are little-endian, and this crate writes numbers as they stand in memory");

fn bytes(values: &[f32]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// Named f32 tensors, and the metadata of the file that holds them.
pub type Tensors = (HashMap<String, Vec<f32>>, HashMap<String, String>);

/// Named f32 tensors and metadata of a file that [`write_tensors`] wrote.
///
/// # Errors
/// When the file is missing or damaged, or a tensor is not f32.
pub fn read_tensors(path: &Path) -> Result<Tensors> {
    let map = cognate_base::files::map(path)?;
    let file = SafeTensors::deserialize(&map).map_err(|e| Error::weights(path, damaged(&e)))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let mut values = vec![0.0; view.data().len() / 4];
        if view.dtype() != Dtype::F32 {
            return Err(Error::weights(path, format!("tensor {name} has the type {:?}; expected F32", view.dtype())));
        }
        convert(path, &name, &view, &mut values)?;
        tensors.insert(name, values);
    }
    let (_, header) = SafeTensors::read_metadata(&map).map_err(|e| Error::weights(path, damaged(&e)))?;
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}
