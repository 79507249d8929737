//! Checkpoints written, read again, and damaged.

use std::path::Path;

use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Config, Decoder, Llama3Scaling};
use cognate_ops::Cpu;

use crate::{decoder, small};

fn cpu() -> Cpu {
    Cpu::new(1).unwrap()
}

fn save(model: &Decoder<Cpu>, folder: &Path) {
    let tokenizer = TokenizerFiles {
        json: "{}".into(),
        config: serde_json::json!({ "eos_token": "<|endoftext|>" }),
        begin_of_document: 0,
        end_of_document: 0,
        related: None,
    };
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
pub(crate) fn refused(damage: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    save(&decoder(cpu(), small(true, true), 1), &path);
    damage(&path);
    let Err(error) = Decoder::load(cpu(), &path) else { panic!("the damage was not noticed") };
    error.to_string().replace(folder.path().to_str().unwrap(), "")
}

pub(crate) fn edit_config(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let file = path.join("config.json");
    let mut json: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(&file).unwrap()).unwrap();
    edit(&mut json);
    cognate_base::files::write_atomic(file, json.to_string()).unwrap();
}

#[test]
fn damaged_weights_are_named() {
    let weights = |path: &Path| path.join("model.safetensors");
    let read = |path: &Path| fs_err::read(weights(path)).unwrap();
    let write = |path: &Path, bytes: &[u8]| cognate_base::files::write_atomic(weights(path), bytes).unwrap();
    assert!(refused(|path| fs_err::remove_file(weights(path)).unwrap()).contains("/c/model.safetensors"));
    assert!(
        refused(|path| fs_err::remove_file(path.join("config.json")).unwrap()).starts_with("/c has no config.json")
    );
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
    let refused = |index: &str| {
        cognate_base::files::write_atomic(path.join("model.safetensors.index.json"), index).unwrap();
        let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
        assert!(error.contains("model.safetensors.index.json"), "{error}");
        error
    };
    // "." and the empty name are the folder itself: found when they were opened and mapped as weights.
    for elsewhere in ["../model-0.safetensors", "/model-0.safetensors", "..", ".", "", "model-0.safetensors/", "a\\\\b"]
    {
        let error = refused(&index.replace("model-0.safetensors", elsewhere));
        assert!(error.contains("is not the name of a file beside it"), "{error}");
    }
    // Found by the damaged indices of tests/damage: an index that contradicts its shards was taken, as transformers takes it, although
    // one of the two is another checkpoint's.
    let moved =
        index.replace(r#""model.norm.weight":"model-2.safetensors""#, r#""model.norm.weight":"model-0.safetensors""#);
    assert!(
        refused(&moved).ends_with(
            "tensor model.norm.weight is expected in model-0.safetensors, and stands in model-2.safetensors"
        )
    );
    let unlisted = index.replace(r#","model.norm.weight":"model-2.safetensors""#, "");
    assert!(refused(&unlisted).ends_with("weight_map: tensor model.norm.weight of model-2.safetensors is not listed"));
    let more = index.replace("{\"weight_map\":{", r#"{"weight_map":{"model.more":"model-1.safetensors","#);
    assert!(refused(&more).ends_with("weight_map: tensor model.more is not in model-1.safetensors"));
    let missing = index.replace("model-1.safetensors", "model-9.safetensors");
    assert!(refused(&missing).contains("weight_map: model-9.safetensors is missing beside it (1 of 3 shards are)"));
    assert!(refused("{\"weight_map\": {}}").contains("weight_map is missing, empty or not an object"));
    assert!(refused(&"[".repeat(100_000)).contains("recursion limit exceeded"));
}

/// The header of a safetensors file, edited, with the length before it put right.
fn edit_header(path: &Path, edit: impl FnOnce(String) -> String) {
    let file = path.join("model.safetensors");
    let bytes = fs_err::read(&file).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = edit(String::from_utf8(bytes[8..8 + len].to_vec()).unwrap());
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(&bytes[8 + len..]);
    cognate_base::files::write_atomic(file, out).unwrap();
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    // Found: the library keeps the last entry of a name, so a second one that differs in its shape alone passed unseen.
    let twice = refused(|path| {
        edit_header(path, |header| {
            let start = header.find("\"model.norm.weight\"").unwrap();
            let end = start + header[start..].find('}').unwrap() + 1;
            format!("{},{}}}", header.trim_end().strip_suffix('}').unwrap(), &header[start..end])
        });
    });
    assert_eq!(twice, "/c/model.safetensors: damaged: two tensors have the name model.norm.weight");
}

#[test]
fn sizes_that_the_files_cannot_fill_are_refused_before_anything_is_allocated() {
    let sized = |fields: &[(&str, u64)]| {
        refused(|path| edit_config(path, |json| fields.iter().for_each(|(name, value)| json[*name] = (*value).into())))
    };
    // Found by reading: names and ranges of 2^24 layers, and zeros for all parameters, were made before a weight file was opened.
    let layers = sized(&[("num_hidden_layers", 1 << 24)]);
    assert!(layers.starts_with("/c/model.safetensors: config.json asks for "), "{layers}");
    let vocab = sized(&[("vocab_size", 1 << 24)]);
    assert!(vocab.contains("parameters in 2 layers; found 24 tensors of"), "{vocab}");
    assert!(
        sized(&[("num_hidden_layers", 1 << 40)]).contains("field num_hidden_layers: 1099511627776: expected a number")
    );
    // Found by reading: layers · (parameters of a block) overflows 64 bits, and wraps without a word in a release build.
    let wide = [("num_hidden_layers", 1 << 24), ("hidden_size", 1 << 24), ("intermediate_size", 1 << 24)];
    assert!(
        sized(&wide)
            .contains("field num_hidden_layers: 16777216: expected fewer: with these widths, a model of more than")
    );
}

#[test]
fn what_is_not_a_file_is_refused() {
    for name in ["config.json", "model.safetensors"] {
        let error = refused(|path| {
            fs_err::remove_file(path.join(name)).unwrap();
            fs_err::create_dir(path.join(name)).unwrap();
        });
        assert_eq!(error, format!("/c/{name}: is not a file"));
    }
}
