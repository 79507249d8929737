//! Checkpoints written, read again, and damaged.

use std::path::Path;

use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Config, Decoder, Llama3Scaling};
use cognate_ops::Cpu;
use proptest::prelude::*;

use crate::{decoder, small};

fn cpu() -> Cpu {
    Cpu::new(1).unwrap()
}

fn save(model: &Decoder<Cpu>, folder: &Path) {
    let tokenizer = TokenizerFiles { tokenizer_json: "{}".into(), end_of_document: (0, "<|endoftext|>".into()) };
    model.save(folder, Some(&tokenizer), |_| Ok(())).unwrap();
}

#[test]
fn a_saved_model_loads_to_the_same_bits() {
    let scaling = Llama3Scaling { factor: 8.0, low_frequency: 1.0, high_frequency: 4.0, original_positions: 64.0 };
    let configs = [
        small(true, true),
        small(false, false),
        Config { rope_scaling: Some(scaling), rope_base: 5e5, ..small(false, true) },
    ];
    for config in configs {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let model = decoder(cpu(), config.clone(), 1);
        save(&model, &path);
        save(&model, &path); // replaces what stands there
        let (loaded, special) = Decoder::load(cpu(), &path).unwrap();
        assert_eq!(loaded.config(), &config);
        assert_eq!(loaded.parameters(), model.parameters());
        assert_eq!((special.begin, special.end), (Some(0), Some(0)));
        let mut names: Vec<_> =
            fs_err::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let expected =
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
        assert_eq!(names, expected);
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// The error of loading after `damage` to a good checkpoint.
fn refused(damage: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    save(&decoder(cpu(), small(true, true), 1), &path);
    damage(&path);
    let Err(error) = Decoder::load(cpu(), &path) else { panic!("the damage was not noticed") };
    error.to_string().replace(folder.path().to_str().unwrap(), "")
}

fn edit_config(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let file = path.join("config.json");
    let mut json: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(&file).unwrap()).unwrap();
    edit(&mut json);
    cognate_base::files::write_atomic(file, json.to_string()).unwrap();
}

#[test]
fn what_this_decoder_does_not_do_is_refused_by_name() {
    let refused = |field: &str, value: serde_json::Value| refused(|path| edit_config(path, |json| json[field] = value));
    use serde_json::json;
    assert_eq!(
        refused("hidden_act", json!("gelu")),
        "/c/config.json: field hidden_act: \"gelu\" is not supported; this decoder does \"silu\" or \"swish\""
    );
    assert_eq!(
        refused("model_type", json!("qwen3_moe")),
        "/c/config.json: field model_type: \"qwen3_moe\" is not supported; this decoder does \"qwen3\" and \"llama\""
    );
    assert!(refused("use_sliding_window", json!(true)).contains("field use_sliding_window: true is not supported"));
    assert!(refused("layer_types", json!(["full_attention", "sliding_attention"])).contains("sliding_attention"));
    assert!(refused("quantization_config", json!({"bits": 4})).contains("quantised weights are not supported"));
    assert!(refused("rope_parameters", json!({"rope_type": "yarn"})).contains("rope_parameters.rope_type: \"yarn\""));
    assert!(refused("attention_bias", json!(true)).contains("field attention_bias: true is not supported"));
    assert!(refused("num_experts", json!(8)).contains("mixtures of experts are not supported"));
    assert_eq!(
        refused("num_key_value_heads", json!(3)),
        "/c/config.json: field num_key_value_heads: 3: expected a divisor of heads = 4"
    );
    assert_eq!(
        refused("hidden_size", json!("wide")),
        "/c/config.json: field hidden_size: expected a whole number, found \"wide\""
    );
    assert!(refused("vocab_size", json!(null)).contains("field vocab_size: is missing"));
}

#[test]
fn damaged_weights_are_named() {
    let weights = |path: &Path| path.join("model.safetensors");
    let read = |path: &Path| fs_err::read(weights(path)).unwrap();
    let write = |path: &Path, bytes: &[u8]| cognate_base::files::write_atomic(weights(path), bytes).unwrap();
    assert!(refused(|path| fs_err::remove_file(weights(path)).unwrap()).contains("/c/model.safetensors"));
    assert!(refused(|path| fs_err::remove_file(path.join("config.json")).unwrap()).contains("/c/config.json"));
    let truncated = refused(|path| write(path, &read(path)[..5000]));
    assert!(truncated.starts_with("/c/model.safetensors: damaged or not a safetensors file:"), "{truncated}");
    let huge = refused(|path| {
        let mut bytes = read(path);
        bytes[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
        write(path, &bytes);
    });
    assert!(huge.contains("header"), "{huge}");
    let not_finite = refused(|path| {
        let mut bytes = read(path);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        write(path, &bytes);
    });
    assert!(not_finite.contains("holds NaN at element"), "{not_finite}");
    let other_shape = refused(|path| edit_config(path, |json| json["intermediate_size"] = 41.into()));
    assert!(
        other_shape.contains("mlp.down_proj.weight has the shape [24, 40]; config.json asks for [24, 41]"),
        "{other_shape}"
    );
    let fewer = refused(|path| edit_config(path, |json| json["num_hidden_layers"] = 1.into()));
    assert!(fewer.contains("model.layers.1."), "{fewer}");
    let more = refused(|path| edit_config(path, |json| json["num_hidden_layers"] = 3.into()));
    assert!(more.contains("tensor model.layers.2.input_layernorm.weight is missing (11 in all)"), "{more}");
}

#[test]
fn shards_and_half_precision_load() {
    use half::bf16;
    use safetensors::tensor::{Dtype, TensorView};
    let folder = tempfile::tempdir().unwrap();
    let model = decoder(cpu(), small(true, true), 2);
    save(&model, folder.path().join("c").as_path());
    let path = folder.path().join("c");
    fs_err::remove_file(path.join("model.safetensors")).unwrap();
    let values = model.parameters();
    let rounded: Vec<f32> = values.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    let mut map = serde_json::Map::new();
    for (shard, half) in model.layout().tensors().chunks(9).enumerate() {
        let name = format!("model-{shard}.safetensors");
        let bytes: Vec<Vec<u8>> = half
            .iter()
            .map(|t| values[t.range.clone()].iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect())
            .collect();
        let views =
            half.iter().zip(&bytes).map(|(t, b)| (&t.name, TensorView::new(Dtype::BF16, t.shape.clone(), b).unwrap()));
        safetensors::serialize_to_file(views, None, &path.join(&name)).unwrap();
        map.extend(half.iter().map(|t| (t.name.clone(), name.clone().into())));
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    cognate_base::files::write_atomic(path.join("model.safetensors.index.json"), &index).unwrap();
    assert_eq!(Decoder::load(cpu(), &path).unwrap().0.parameters(), rounded);
    let hostile = index.replace("model-0.safetensors", "../model-0.safetensors");
    cognate_base::files::write_atomic(path.join("model.safetensors.index.json"), hostile).unwrap();
    let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
    assert!(error.contains("is not the name of a file beside it"), "{error}");
}

/// A tiny checkpoint's weight file, written once.
fn tiny() -> &'static (tempfile::TempDir, Vec<u8>, Config) {
    static TINY: std::sync::OnceLock<(tempfile::TempDir, Vec<u8>, Config)> = std::sync::OnceLock::new();
    TINY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Config { vocab: 5, width: 4, layers: 1, heads: 2, kv_heads: 1, head_width: 2, ffn: 3, ..small(true, true) };
        save(&decoder(cpu(), config.clone(), 1), &folder.path().join("c"));
        let bytes = fs_err::read(folder.path().join("c/model.safetensors")).unwrap();
        (folder, bytes, config)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    /// Bytes changed, cut off or added anywhere: an error or finite weights, never a panic and never a huge allocation.
    #[test]
    fn a_damaged_weight_file_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in prop::option::of(any::<prop::sample::Index>()),
        more in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let (folder, good, config) = tiny();
        let mut bytes = good.clone();
        for (at, value) in edits {
            // Half of the edits fall into the header, where the interesting fields are.
            let at = if value % 2 == 0 { at.index(700) } else { at.index(bytes.len()) };
            bytes[at] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        bytes.extend(more);
        let path = folder.path().join("c");
        cognate_base::files::write_atomic(path.join("model.safetensors"), &bytes).unwrap();
        if let Ok((model, _)) = Decoder::load(cpu(), &path) {
            prop_assert!(model.parameters().iter().all(|v| v.is_finite()));
            prop_assert_eq!(model.config(), config);
        }
    }
}
