//! `model.safetensors`, whole or in shards.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

use crate::{Config, Error, Layout, Result};

/// Reads all parameters of a checkpoint directory into the order of [`Layout`].
pub(crate) fn read_parameters(folder: &Path, config: &Config) -> Result<Vec<f32>> {
    let layout = Layout::new(config);
    let mut values = vec![0.0; layout.len()];
    let mut missing: HashMap<&str, usize> =
        layout.tensors().iter().enumerate().map(|(i, tensor)| (tensor.name.as_str(), i)).collect();
    let files = weight_files(folder)?;
    for path in &files {
        let map = cognate_base::files::map(path)?;
        let file = SafeTensors::deserialize(&map).map_err(|e| Error::weights(path, damaged(&e)))?;
        let mut tensors = file.tensors();
        // They come in no fixed order; a file with two faults should name the same one each time.
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, view) in tensors {
            let Some(index) = missing.remove(name.as_str()) else {
                if is_redundant(&name, config) {
                    continue;
                }
                let reason = format!("tensor {name} stands twice or does not belong to this architecture");
                return Err(Error::weights(path, reason));
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
        let reason = format!("tensor {name} is missing ({} in all)", missing.len());
        return Err(Error::weights(files.last().unwrap_or(&folder.join("model.safetensors")), reason));
    }
    Ok(values)
}

/// A tensor that published checkpoints carry and that holds nothing of its own.
fn is_redundant(name: &str, config: &Config) -> bool {
    name.ends_with("rotary_emb.inv_freq") || (config.tied && name == "lm_head.weight")
}

fn damaged(error: &safetensors::SafeTensorError) -> String {
    format!("damaged or not a safetensors file: {error}")
}

/// The weight files of a directory: one, or the shards that an index names.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let whole = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if whole.exists() || !index.exists() {
        return Ok(vec![whole]);
    }
    let text = fs_err::read_to_string(&index)?;
    let parsed: Value = serde_json::from_str(&text).map_err(|e| Error::weights(&index, format!("not JSON: {e}")))?;
    let Some(map) = parsed.get("weight_map").and_then(Value::as_object) else {
        return Err(Error::weights(&index, "field weight_map is missing or not an object"));
    };
    let mut names = Vec::new();
    for value in map.values() {
        match value.as_str() {
            // A shard stands beside its index: a path elsewhere is a mistake or an attack.
            Some(name) if !name.contains(['/', '\\']) && name != ".." => names.push(name),
            _ => {
                return Err(Error::weights(&index, format!("weight_map: {value} is not the name of a file beside it")));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
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
