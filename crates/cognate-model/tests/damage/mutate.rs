//! The changes: to bytes, to fields of a header or a configuration, and noise.

use cognate_base::random::{ChaCha8Rng, Rng, RngExt};
use serde_json::{Map, Value, json};

use crate::forms::Files;

fn pick<'a, T>(random: &mut ChaCha8Rng, list: &'a [T]) -> &'a T {
    &list[random.random_range(0..list.len())]
}

/// One of a list, to be changed.
pub(crate) fn one<'a, T>(random: &mut ChaCha8Rng, list: &'a mut [T]) -> &'a mut T {
    let at = random.random_range(0..list.len());
    &mut list[at]
}

/// Numbers that sizes, offsets and lengths go wrong with.
const SIZES: [u64; 16] =
    [0, 1, 2, 3, 4, 5, 7, 8, 1000, 1 << 24, (1 << 24) + 1, 1 << 32, 1 << 40, 1 << 60, i64::MAX as u64, u64::MAX];

/// Bits flipped, bytes replaced, cut off, added, taken out, doubled or moved; half of it among the first 700 bytes, where headers are.
pub(crate) fn bytes(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let reach = if random.random_range(0..2) == 0 { len.min(700) } else { len };
        let at = random.random_range(0..reach);
        let end = (at + random.random_range(0..40)).min(len);
        match random.random_range(0..9) {
            0..=2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 => bytes[at] = random.next_u64() as u8,
            // A digit more or less is the smallest change that stays JSON.
            4 => bytes[at] = b'0' + random.random_range(0..10) as u8,
            5 => bytes.truncate(at),
            6 => drop(bytes.drain(at..end)),
            7 => {
                let part = bytes[at..end].to_vec();
                let to = random.random_range(0..len);
                bytes.splice(to..to, part);
            }
            _ => {
                let length = *pick(random, &SIZES);
                let n = len.min(8);
                bytes[..n].copy_from_slice(&length.to_le_bytes()[..n]);
            }
        }
    }
}

/// Some number, text or structure that does not belong.
fn value(random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..14) {
        0..=5 => json!(pick(random, &SIZES)),
        6 => json!(-(random.random_range(0..9) as i64)),
        7 => json!(pick(random, &[0.5, 1.0, -1.0, 1e-300, 1e300, 1e-45, 4.0])),
        8 => Value::Null,
        9 => json!(random.random_range(0..2) == 0),
        10 => json!(pick(random, &["", "F32", "yarn", "llama3", "full_attention", "qwen3", "llama", "\u{0}"])),
        11 => json!([pick(random, &SIZES), pick(random, &SIZES)]),
        12 => json!({"rope_type": pick(random, &["default", "llama3", "linear"]), "factor": pick(random, &SIZES)}),
        _ => {
            let mut deep = json!(1);
            for _ in 0..random.random_range(1..120) {
                deep = json!([deep]);
            }
            deep
        }
    }
}

/// Fields of the safetensors header changed; the length before it and the tensors' bytes stay right.
pub(crate) fn header(random: &mut ChaCha8Rng, weights: &mut Vec<u8>) {
    let len = u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let Value::Object(mut map) = serde_json::from_slice(&weights[8..8 + len]).unwrap() else { return };
    let mut data = weights[8 + len..].to_vec();
    for _ in 0..random.random_range(1..3) {
        change_entry(random, &mut map, &mut data);
    }
    let mut text = serde_json::to_string(&map).unwrap();
    match random.random_range(0..12) {
        // A name twice, with the same content or another.
        0 => {
            let (name, entry) = (name(random, &map), map.values().next_back().cloned().unwrap_or_default());
            text = format!("{},{}:{entry}}}", text.strip_suffix('}').unwrap(), Value::from(name));
        }
        1 => text = "[".repeat(random.random_range(1..5000)),
        2 => text = format!("{{\"a\":{}1", "{\"a\":".repeat(random.random_range(1..1000))),
        3 => text.push_str(&" ".repeat(random.random_range(0..30))),
        _ => {}
    }
    weights.clear();
    weights.extend((text.len() as u64).to_le_bytes());
    weights.extend(text.as_bytes());
    weights.extend(data);
}

fn name(random: &mut ChaCha8Rng, map: &Map<String, Value>) -> String {
    let names: Vec<&String> = map.keys().collect();
    if names.is_empty() { String::new() } else { (*pick(random, &names)).clone() }
}

fn change_entry(random: &mut ChaCha8Rng, map: &mut Map<String, Value>, data: &mut Vec<u8>) {
    let (one, other) = (name(random, map), name(random, map));
    match random.random_range(0..12) {
        0 => drop(map.remove(&one)),
        1 => drop(map.insert(one, value(random))),
        // Two entries exchanged, or one given the place of another: overlaps, gaps and wrong shapes.
        2 => {
            if let (Some(a), Some(b)) = (map.get(&one).cloned(), map.get(&other).cloned()) {
                map.insert(one, b);
                map.insert(other, a);
            }
        }
        3 => {
            if let Some(entry) = map.get(&one).cloned() {
                map.insert(other, entry);
            }
        }
        4 => {
            if let Some(entry) = map.remove(&one) {
                map.insert(pick(random, &["lm_head.weight", "x.rotary_emb.inv_freq", "x", ""]).to_string(), entry);
            }
        }
        // A tensor more, with bytes of its own that are right: the frequencies of older checkpoints, or a head.
        5 => {
            let (start, rows) = (data.len(), random.random_range(0..6usize));
            data.extend(std::iter::repeat_n(0, rows * 16));
            let entry = json!({"dtype": "F32", "shape": [rows, 4], "data_offsets": [start, start + rows * 16]});
            map.insert(pick(random, &["lm_head.weight", "x.rotary_emb.inv_freq", "model.x"]).to_string(), entry);
        }
        6 => drop(map.insert("__metadata__".into(), value(random))),
        kind => {
            let Some(entry) = map.get_mut(&one).and_then(Value::as_object_mut) else { return };
            match kind {
                7 => drop(
                    entry.insert(pick(random, &["dtype", "shape", "data_offsets", "more"]).to_string(), value(random)),
                ),
                8 => drop(entry.insert(
                    "dtype".into(),
                    json!(pick(random, &["F16", "BF16", "F64", "I32", "U8", "F4", "F8_E4M3"])),
                )),
                9 => entry.values_mut().filter_map(Value::as_array_mut).for_each(|list| list.reverse()),
                10 => {
                    let sizes = json!([pick(random, &SIZES), pick(random, &SIZES)]);
                    entry.insert(pick(random, &["shape", "data_offsets"]).to_string(), sizes);
                }
                _ => {
                    for list in entry.values_mut().filter_map(Value::as_array_mut) {
                        if let Some(number) = list.first_mut() {
                            *number = json!(pick(random, &SIZES));
                        }
                    }
                }
            }
        }
    }
}

/// Some of the stored numbers, or halves of them, replaced by any bits.
pub(crate) fn numbers(random: &mut ChaCha8Rng, weights: &mut [u8]) {
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let count = (weights.len() - header) / 2;
    // What is not finite: of f32, f16 and bf16.
    const SPECIAL: [u32; 7] =
        [0x7fc0_0000, 0x7f80_0000, 0xff80_0000, 0x7e00_7e00, 0x7c00_fc00, 0x7fc0_7fc0, 0x7f80_ff80];
    for _ in 0..random.random_range(1..60) {
        let bits = match random.random_range(0..100) {
            0 => *pick(random, &SPECIAL),
            _ => random.next_u64() as u32,
        };
        let bytes = bits.to_le_bytes();
        let at = random.random_range(0..count);
        let len = if at + 1 < count && random.random_range(0..2) == 0 { 4 } else { 2 };
        weights[header + 2 * at..][..len].copy_from_slice(&bytes[..len]);
    }
}

/// One of the files replaced by random bytes, some behind a length that fits them.
pub(crate) fn noise(random: &mut ChaCha8Rng, files: &mut Files) {
    let mut all: Vec<&mut Vec<u8>> = files.weights.iter_mut().map(|(_, bytes)| bytes).collect();
    all.push(&mut files.config);
    all.extend(&mut files.index);
    let file = one(random, &mut all);
    file.clear();
    let len = random.random_range(0..600usize);
    if random.random_range(0..2) == 0 {
        file.extend((len as u64).to_le_bytes());
        file.push(b'{');
    }
    file.extend((0..len).map(|_| random.next_u64() as u8));
}

/// Names that no shard may have, and some that are those of other files or of none.
const SHARDS: [&str; 18] = [
    "../model-00001-of-00003.safetensors",
    "/model-00001-of-00003.safetensors",
    "./model-00001-of-00003.safetensors",
    "model-00001-of-00003.safetensors/",
    "model-00001-of-00003.safetensors/..",
    "model-00001-of-00003.safetensors\u{0}",
    "x/../model-00001-of-00003.safetensors",
    "x\\..\\model-00001-of-00003.safetensors",
    "/dev/zero",
    "..",
    ".",
    "",
    "/",
    "~",
    "config.json",
    "model.safetensors.index.json",
    "model-00004-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
];

/// Fields of the index replaced, removed or added; shards removed, exchanged, doubled or given another name.
pub(crate) fn index(random: &mut ChaCha8Rng, files: &mut Files) {
    let Some(text) = &mut files.index else { return };
    let Value::Object(mut map) = serde_json::from_slice(text).unwrap() else { return };
    for _ in 0..random.random_range(1..3) {
        change_index(random, &mut map);
    }
    *text = serde_json::to_vec(&map).unwrap();
    if random.random_range(0..40) == 0 {
        *text = "[".repeat(random.random_range(1..5000)).into_bytes();
    }
    if random.random_range(0..4) == 0 {
        change_shards(random, &mut files.weights);
    }
}

fn change_index(random: &mut ChaCha8Rng, map: &mut Map<String, Value>) {
    match random.random_range(0..12) {
        0 => drop(map.remove("metadata")),
        1 | 2 => drop(map.insert("metadata".into(), value(random))),
        3 => drop(map.insert(pick(random, &["weight_map", "weights", ""]).to_string(), value(random))),
        4 => drop(map.insert("metadata".into(), json!({"total_size": value(random)}))),
        kind => {
            let Some(list) = map.get_mut("weight_map").and_then(Value::as_object_mut) else { return };
            let (one, other) = (name(random, list), name(random, list));
            match kind {
                5 | 6 => drop(list.insert(one, json!(pick(random, &SHARDS)))),
                7 => drop(list.insert(one, value(random))),
                8 => drop(list.remove(&one)),
                9 => {
                    let shard = list.get(&other).cloned().unwrap_or_default();
                    list.insert(one, shard);
                }
                10 => {
                    let shard = list.remove(&one).unwrap_or_default();
                    list.insert(pick(random, &["lm_head.weight", "model.x", ""]).to_string(), shard);
                }
                // All of them in one place.
                _ => {
                    let place = json!(pick(random, &SHARDS));
                    list.values_mut().for_each(|shard| *shard = place.clone());
                }
            }
        }
    }
}

fn change_shards(random: &mut ChaCha8Rng, weights: &mut Vec<(String, Vec<u8>)>) {
    let (a, b) = (random.random_range(0..weights.len()), random.random_range(0..weights.len()));
    match random.random_range(0..4) {
        0 => drop(weights.remove(a)),
        1 => {
            let (one, other) = (weights[a].1.clone(), weights[b].1.clone());
            (weights[a].1, weights[b].1) = (other, one);
        }
        2 => weights[a].1 = weights[b].1.clone(),
        _ => weights[a].0 = pick(random, &["model.safetensors", "model-00004-of-00003.safetensors"]).to_string(),
    }
}

/// Fields that config.json may have without what we write there.
const MORE: [&str; 12] = [
    "rope_scaling",
    "rope_parameters",
    "sliding_window",
    "use_sliding_window",
    "layer_types",
    "partial_rotary_factor",
    "num_experts",
    "quantization_config",
    "is_causal",
    "mlp_bias",
    "original_max_position_embeddings",
    "pad_token_id",
];

/// Fields of config.json replaced, removed or added, also within its rotary objects.
pub(crate) fn fields(random: &mut ChaCha8Rng, config: &mut Vec<u8>) {
    let Value::Object(mut map) = serde_json::from_slice(config).unwrap() else { return };
    for _ in 0..random.random_range(1..4) {
        let field = name(random, &map);
        match random.random_range(0..8) {
            0 => drop(map.remove(&field)),
            1 => drop(map.insert(pick(random, &MORE).to_string(), value(random))),
            2 => {
                let rope = pick(random, &["rope_parameters", "rope_scaling"]);
                let Some(rope) = map.get_mut(*rope).and_then(Value::as_object_mut) else { continue };
                let inner = name(random, rope);
                rope.insert(inner, value(random));
            }
            _ => drop(map.insert(field, value(random))),
        }
    }
    *config = serde_json::to_vec(&map).unwrap();
    if random.random_range(0..20) == 0 {
        *config = "[".repeat(random.random_range(1..5000)).into_bytes();
    }
}
