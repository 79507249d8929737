//! The good checkpoints: each family in f32, bf16, f16, and in shards of all three.

use std::path::Path;

use cognate_model::{Config, Decoder, Llama3Scaling};
use cognate_ops::Cpu;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::json;

/// A checkpoint's files. Whole where there is no index.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) config: Vec<u8>,
    pub(crate) index: Option<Vec<u8>>,
    /// Name and content of each weight file.
    pub(crate) weights: Vec<(String, Vec<u8>)>,
}

/// How many forms of [`good`] there are for each family.
pub(crate) const FORMS: usize = 4;
const SHARDS: usize = 3;

/// f32 values stored as `dtype`.
fn stored(dtype: Dtype, values: &[u8]) -> Vec<u8> {
    let numbers = values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    match dtype {
        Dtype::F32 => values.to_vec(),
        Dtype::BF16 => numbers.flat_map(|v| bf16::from_f32(v).to_le_bytes()).collect(),
        _ => numbers.flat_map(|v| f16::from_f32(v).to_le_bytes()).collect(),
    }
}

/// A weight file of the tensors of `file` whose number, in the order of their names, `choose` gives a type.
fn weights(file: &SafeTensors<'_>, choose: impl Fn(usize) -> Option<Dtype>) -> Vec<u8> {
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let chosen: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .enumerate()
        .filter_map(|(i, (name, view))| {
            choose(i).map(|dtype| (name, dtype, view.shape().to_vec(), stored(dtype, view.data())))
        })
        .collect();
    let views =
        chosen.iter().map(|(name, dtype, shape, bytes)| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

fn whole(config: &[u8], weights: Vec<u8>) -> Files {
    Files { config: config.to_vec(), index: None, weights: vec![("model.safetensors".into(), weights)] }
}

/// Tensor i stands in shard i modulo [`SHARDS`], and its type changes from one to the next of a shard.
fn sharded(config: &[u8], file: &SafeTensors<'_>) -> Files {
    let dtype = |i: usize| [Dtype::F32, Dtype::BF16, Dtype::F16][i / SHARDS % 3];
    let weights: Vec<(String, Vec<u8>)> = (0..SHARDS)
        .map(|shard| {
            let bytes = weights(file, |i| (i % SHARDS == shard).then(|| dtype(i)));
            (format!("model-0000{}-of-0000{SHARDS}.safetensors", shard + 1), bytes)
        })
        .collect();
    let mut map = serde_json::Map::new();
    for (name, bytes) in &weights {
        let shard = SafeTensors::deserialize(bytes).unwrap();
        map.extend(shard.names().into_iter().map(|tensor| (tensor.to_owned(), name.clone().into())));
    }
    let index = json!({"metadata": {"total_size": 1000}, "weight_map": map}).to_string();
    Files { config: config.to_vec(), index: Some(index.into_bytes()), weights }
}

/// Tiny checkpoints as they are saved: each family, tied and untied, plain and scaled, in each of the [`FORMS`].
pub(crate) fn good() -> Vec<Files> {
    let scaling = Llama3Scaling { factor: 8.0, low_frequency: 1.0, high_frequency: 4.0, original_positions: 64.0 };
    let family = |qwen: bool| {
        let config = Config {
            vocab: 5,
            width: 4,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head_width: 2,
            ffn: 3,
            max_positions: 16,
            rope_base: 1e4,
            rope_scaling: (!qwen).then_some(scaling),
            norm_eps: 1e-6,
            qk_norm: qwen,
            tied: qwen,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        Decoder::new(Cpu::new(1).unwrap(), config, 1).unwrap().save(&path, None, |_| Ok(())).unwrap();
        let read = |name: &str| fs_err::read(Path::new(&path).join(name)).unwrap();
        let (config, saved) = (read("config.json"), read("model.safetensors"));
        let file = SafeTensors::deserialize(&saved).unwrap();
        let half = |dtype| whole(&config, weights(&file, |_| Some(dtype)));
        let (brain, ieee, shards) = (half(Dtype::BF16), half(Dtype::F16), sharded(&config, &file));
        [whole(&config, saved.clone()), brain, ieee, shards]
    };
    [true, false].into_iter().flat_map(family).collect()
}
