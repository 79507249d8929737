//! Checkpoints as other people's programs leave them: what is read, and what is said of the rest.

use std::path::Path;

use cognate_model::checkpoint::{TokenizerFiles, read_config, weight_files, write_tensors};
use cognate_model::{Config, Decoder};
use cognate_ops::Cpu;
use serde_json::json;

use crate::checkpoints::{edit_config, refused};
use crate::{batch, decoder, small};

fn cpu() -> Cpu {
    Cpu::new(1).unwrap()
}

/// A folder with a checkpoint of `config`, and the checkpoint.
fn saved(config: Config) -> (tempfile::TempDir, std::path::PathBuf, Decoder<Cpu>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let model = decoder(cpu(), config, 1);
    model.save(&path, None, |_| Ok(())).unwrap();
    (folder, path, model)
}

/// Writes the weights again, under other names; a tensor without a new name is left out.
fn rename(path: &Path, model: &Decoder<Cpu>, name: impl Fn(&str) -> Option<String>) {
    let values = model.parameters();
    let tensors = model.layout().tensors().iter();
    let renamed: Vec<_> = tensors.filter_map(|tensor| Some((name(&tensor.name)?, tensor))).collect();
    let views = renamed.iter().map(|(name, tensor)| (name.as_str(), &tensor.shape[..], &values[tensor.range.clone()]));
    write_tensors(&path.join("model.safetensors"), views, &[]).unwrap();
}

fn bare(name: &str) -> Option<String> {
    Some(name.strip_prefix("model.").unwrap_or(name).to_owned())
}

#[test]
fn a_base_model_without_the_prefix_is_read() {
    for (config, architecture) in [(small(true, true), "Qwen3Model"), (small(false, false), "LlamaModel")] {
        let (_folder, path, model) = saved(config);
        rename(&path, &model, bare);
        assert_eq!(Decoder::load(cpu(), &path).unwrap().0.parameters(), model.parameters());
        edit_config(&path, |json| json["architectures"] = json!([architecture]));
        assert_eq!(Decoder::load(cpu(), &path).unwrap().0.parameters(), model.parameters());
    }
    // Without a head of its own, and with names of both kinds.
    let (_folder, path, model) = saved(small(false, false));
    rename(&path, &model, |name| if name == "lm_head.weight" { None } else { bare(name) });
    let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
    assert!(
        error.contains("tensor lm_head.weight is missing (1 in all): these are the weights of a base model"),
        "{error}"
    );
    rename(&path, &model, |name| if name == "model.norm.weight" { bare(name) } else { Some(name.to_owned()) });
    let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
    assert!(error.contains("tensor norm.weight stands twice or does not belong"), "{error}");
}

#[test]
fn new_rows_are_the_mean_and_change_nothing_else() {
    for (qk_norm, tied) in [(true, true), (false, false), (true, false)] {
        let config = small(qk_norm, tied);
        let (old, width) = (config.vocab, config.width);
        let before = decoder(cpu(), config.clone(), 1);
        let (tensors, values) = (before.layout().tensors().to_vec(), before.parameters());
        let mut grown = decoder(cpu(), config, 1).with_rows(old + 3).unwrap();
        assert_eq!(grown.config().vocab, old + 3);
        let after = grown.parameters();
        assert_eq!(after.len(), grown.config().parameters());
        for (tensor, now) in tensors.iter().zip(grown.layout().tensors()) {
            assert_eq!(tensor.name, now.name);
            let (was, is) = (&values[tensor.range.clone()], &after[now.range.clone()]);
            assert_eq!(was, &is[..was.len()], "{}", tensor.name);
            let table = tensor.name.ends_with("embed_tokens.weight") || tensor.name == "lm_head.weight";
            assert_eq!(is.len() - was.len(), if table { 3 * width } else { 0 }, "{}", tensor.name);
            for (at, value) in is[was.len()..].iter().enumerate() {
                let column = was.iter().skip(at % width).step_by(width);
                let mean = column.map(|value| f64::from(*value)).sum::<f64>() / old as f64;
                assert!((f64::from(*value) - mean).abs() < 1e-7, "{} {at}", tensor.name);
            }
        }
        // Old tokens are predicted as before, but for the little that new ones take.
        let tokens = batch(&[9, 4], old as u32);
        let mut before = before;
        let losses = before.losses(&tokens).unwrap();
        for (was, is) in losses.iter().zip(grown.losses(&tokens).unwrap()) {
            assert!((-1e-6..0.04).contains(&(is - was)), "{was} {is}");
        }
    }
}

#[test]
fn a_tuned_checkpoint_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let files = |related| TokenizerFiles {
        json: "{}".into(),
        config: json!({}),
        begin_of_document: 0,
        end_of_document: 0,
        related,
    };
    let model = decoder(cpu(), small(true, true), 1);
    for related in [None, Some(5)] {
        model.save(&path, Some(&files(related)), |_| Ok(())).unwrap();
        assert_eq!(read_config(&path).unwrap().1.related, related);
    }
}

#[test]
fn special_tokens_beyond_the_embedding_are_not_asked_about_here() {
    let (_folder, path, _) = saved(small(false, true));
    edit_config(&path, |json| {
        json["bos_token_id"] = json!(-1);
        json["eos_token_id"] = json!([200_000, 2]);
    });
    let special = read_config(&path).unwrap().1;
    assert_eq!((special.begin, special.end), (None, Some(200_000)));
    for wrong in [json!(-2), json!("2"), json!(1.5), json!(u64::MAX)] {
        let error = refused(|path| edit_config(path, |json| json["eos_token_id"] = wrong.clone()));
        assert_eq!(error, format!("/c/config.json: field eos_token_id: expected a token id, found {wrong}"));
    }
}

#[test]
fn a_folder_that_is_no_checkpoint_says_what_it_is() {
    let refused = |make: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        make(&path);
        let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
        error.replace(folder.path().to_str().unwrap(), "")
    };
    let write = |path: &Path, content: &str| {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        cognate_base::files::write_atomic(path, content).unwrap();
    };
    assert_eq!(refused(&|_| ()), "/x does not exist");
    assert!(refused(&|path| write(path, "GGUF")).starts_with("/x is a file; expected the folder"));
    let empty = refused(&|path| fs_err::create_dir(path).unwrap());
    assert_eq!(
        empty,
        "/x has no config.json; expected the folder of a checkpoint, with config.json and model.safetensors"
    );
    let adapter = refused(&|path| write(&path.join("adapter_config.json"), "{}"));
    assert!(adapter.starts_with("/x holds an adapter without the model that it belongs to: merge"), "{adapter}");
    let run = refused(&|path| {
        for checkpoint in ["sbp/checkpoints/step-00000002", "sbp/checkpoints/step-00000001", "sbp/final", "tune/best"] {
            write(&path.join(checkpoint).join("config.json"), "{}");
        }
        write(&path.join("ingest/manifest.json"), "{}");
    });
    assert_eq!(
        run,
        "/x is no checkpoint but holds some; give one of them:\n  /x/sbp/final\n  /x/tune/best\n  \
         /x/sbp/checkpoints/step-00000001\n  /x/sbp/checkpoints/step-00000002"
    );
    let training = refused(&|path| {
        (0..20).for_each(|step| write(&path.join(format!("checkpoints/step-{step:08}/config.json")), "{}"));
    });
    assert!(training.ends_with("  /x/checkpoints/step-00000011\n  and 8 more"), "{training}");
}

#[test]
fn weights_in_another_format_are_named() {
    let without = |name: &str| {
        refused(|path| {
            fs_err::remove_file(path.join("model.safetensors")).unwrap();
            if !name.is_empty() {
                cognate_base::files::write_atomic(path.join(name), "x").unwrap();
            }
        })
    };
    let nothing = without("");
    assert_eq!(nothing, "/c/model.safetensors: is missing, and so is an index of shards: the folder has no weights");
    for name in ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"] {
        let error = without(name);
        let expected = format!(
            "/c/model.safetensors: is missing. The weights are in {name}, a pickle of PyTorch, which is not read"
        );
        assert!(error.starts_with(&expected) && error.contains("save_pretrained('NEW')"), "{error}");
    }
    assert!(without("model-Q4.gguf").contains("model-Q4.gguf is of a format that is not read"));
    assert!(
        without("model.fp16.safetensors")
            .contains("model.fp16.safetensors is not read: expected the weights in model.s")
    );
}

#[test]
fn missing_shards_are_counted() {
    let (_folder, path, _) = saved(small(true, true));
    fs_err::remove_file(path.join("model.safetensors")).unwrap();
    let index = json!({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-3.safetensors"}});
    cognate_base::files::write_atomic(path.join("model.safetensors.index.json"), index.to_string()).unwrap();
    cognate_base::files::write_atomic(path.join("m-2.safetensors"), "x").unwrap();
    let error = weight_files(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("weight_map: m-1.safetensors is missing beside it (2 of 3 shards are): fetch the rest"),
        "{error}"
    );
}

#[test]
fn what_changes_the_mathematics_is_refused_by_name() {
    for (field, value) in [
        ("attention_bias", json!(true)),
        ("use_bias", json!(true)),
        ("alibi", json!(true)),
        ("parallel_attn", json!(true)),
        ("scale_embeddings", json!(true)),
        ("rope_interleaved", json!(true)),
        ("rms_norm_unit_offset", json!(true)),
        ("use_qk_norm", json!(false)),
        ("norm_type", json!("layernorm")),
        ("position_embedding_type", json!("alibi")),
        ("attn_logit_softcap", json!(50.0)),
        ("logit_soft_cap", json!(30.0)),
        ("softmax_scale", json!(0.1)),
        ("rope_local_base_freq", json!(1e4)),
        ("residual_scale", json!(0.5)),
        ("rotary_dim", json!(4)),
        ("rotary_percent", json!(0.25)),
        ("sliding_window", json!(128)),
    ] {
        let error = refused(|path| edit_config(path, |json| json[field] = value.clone()));
        assert!(error.starts_with(&format!("/c/config.json: field {field}: ")), "{error}");
    }
    // Off, or as it is here anyway.
    let (_folder, path, _) = saved(small(true, true));
    edit_config(&path, |json| {
        for field in ["attention_bias", "use_bias", "alibi", "rope_interleaved", "scale_embeddings"] {
            json[field] = json!(false);
        }
        (json["use_qk_norm"], json["norm_type"], json["rotary_percent"]) = (json!(true), json!("rmsnorm"), json!(1.0));
        (json["something"], json["torch_dtype"]) = (json!("unheard of"), json!("bfloat16"));
    });
    Decoder::load(cpu(), &path).unwrap();
}

#[test]
fn a_pointer_in_place_of_a_file_is_told() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    for (name, field) in [("config.json", "field (whole file): "), ("model.safetensors", "")] {
        let error = refused(|path| cognate_base::files::write_atomic(path.join(name), pointer).unwrap());
        assert_eq!(
            error,
            format!("/c/{name}: {field}this is a Git LFS pointer: its data was not fetched (git lfs pull)")
        );
    }
}
