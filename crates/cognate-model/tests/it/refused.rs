//! Configurations that this decoder does not compute are refused by name. "Found" marks what the loader took before these tests were
//! written (found by reading it beside transformers' `Qwen3Config`, `LlamaConfig` and rotary embeddings).

use serde_json::{Value, json};

use crate::checkpoints::{edit_config, refused};

/// The error of loading a good Qwen3 checkpoint whose config.json has `value` at `field`.
fn with(field: &str, value: Value) -> String {
    refused(|path| edit_config(path, |json| json[field] = value))
}

#[track_caller]
fn names(field: &str, value: Value, reason: &str) {
    let error = with(field, value);
    assert!(error.starts_with(&format!("/c/config.json: field {field}")), "{error}");
    assert!(error.contains(reason), "{error}");
}

/// The error for a `rope_parameters` in place of the good one, with nothing of transformers 4 beside it.
fn rope(value: Value) -> String {
    refused(|path| {
        edit_config(path, |json| {
            json["rope_scaling"] = Value::Null;
            json["rope_parameters"] = value;
        });
    })
}

#[test]
fn other_architectures() {
    assert_eq!(
        with("model_type", json!("qwen3_moe")),
        "/c/config.json: field model_type: \"qwen3_moe\" is not supported; this decoder does \"qwen3\" and \"llama\""
    );
    names("model_type", json!(3), "is missing; expected");
    // A classifier or an embedder of the same model_type has another head.
    names("architectures", json!(["Qwen3ForSequenceClassification"]), "this decoder does [\"Qwen3ForCausalLM\"]");
    names("architectures", json!(["LlamaForCausalLM"]), "this decoder does [\"Qwen3ForCausalLM\"]");
    names("auto_map", json!({"AutoModel": "modeling.Other"}), "code of its own");
}

#[test]
fn other_attention() {
    names("use_sliding_window", json!(true), "true is not supported; this decoder does false");
    names("layer_types", json!(["full_attention", "sliding_attention"]), "\"sliding_attention\" is not supported");
    // Found: neither a list of another length nor a word instead of a list was looked at.
    names("layer_types", json!(["full_attention"]), "expected a list of num_hidden_layers = 2 names");
    names("layer_types", json!("sliding_attention"), "expected a list of num_hidden_layers = 2 names");
    // Found: a window without the flag was ignored.
    names("sliding_window", json!(4096), "4096 is not supported; expected null");
    let both = refused(|path| {
        edit_config(path, |json| {
            json["sliding_window"] = json!(4096);
            json["use_sliding_window"] = json!(true);
        });
    });
    assert!(both.contains("field use_sliding_window: true"), "{both}");
    names("is_causal", json!(false), "this decoder does true");
    names("use_bidirectional_attention", json!(true), "this decoder does false");
    names("attention_chunk_size", json!(8192), "chunked attention");
    names("attn_logit_softcapping", json!(50.0), "soft-capping of attention scores");
    names("attention_multiplier", json!(0.01), "another scale is not supported");
    names("query_pre_attn_scalar", json!(256), "another scale is not supported");
    names("clip_qkv", json!(8.0), "clipping");
    names("kv_lora_rank", json!(512), "latent attention");
    for bias in ["attention_bias", "qkv_bias", "mlp_bias"] {
        names(bias, json!(true), "true is not supported; this decoder does false");
    }
}

#[test]
fn other_blocks_and_weights() {
    names("hidden_act", json!("gelu"), "\"gelu\" is not supported; this decoder does \"silu\" or \"swish\"");
    names("hidden_activation", json!("gelu_pytorch_tanh"), "this decoder does \"silu\" or \"swish\"");
    for field in
        ["num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size"]
    {
        names(field, json!(8), "mixtures of experts are not supported");
    }
    names("quantization_config", json!({"bits": 4}), "quantised weights are not supported");
    names("compression_config", json!({"bits": 4}), "quantised weights are not supported");
    names("final_logit_softcapping", json!(30.0), "soft-capping of logits");
    for factor in ["logits_scaling", "logit_scale", "embedding_multiplier", "residual_multiplier", "lm_head_multiplier"]
    {
        names(factor, json!(8.0), "8.0 is not supported; this decoder does 1.0 or 1");
    }
}

#[test]
fn other_rotary_embeddings() {
    // Found: rotary embedding of a part of each head was ignored, in both places.
    names("partial_rotary_factor", json!(0.5), "0.5 is not supported");
    names("rotary_pct", json!(0.25), "0.25 is not supported");
    let within = rope(json!({"rope_type": "default", "partial_rotary_factor": 0.5}));
    assert!(within.contains("field rope_parameters.partial_rotary_factor: 0.5 is not supported"), "{within}");
    for kind in ["yarn", "dynamic", "linear", "longrope"] {
        let error = rope(json!({"rope_type": kind, "factor": 2.0}));
        let expected = format!("field rope_parameters.rope_type: \"{kind}\" is not supported; this decoder does");
        assert!(error.contains(&expected), "{error}");
        let older = refused(|path| {
            edit_config(path, |json| {
                json["rope_parameters"] = Value::Null;
                json["rope_scaling"] = json!({"type": kind, "factor": 2.0});
            });
        });
        assert!(older.contains(&format!("field rope_scaling.rope_type: \"{kind}\"")), "{older}");
    }
    // Found, all four taken for plain rotary embedding: a type that is no text, a scaling without its type, one object for each
    // kind of layer, a word in place of the object.
    assert!(rope(json!({"rope_type": 3})).contains("rope_parameters.rope_type: 3 is not supported"));
    assert!(rope(json!({"factor": 8.0})).contains("rope_parameters.factor: 8.0 is not supported with the rope_type"));
    let nested = rope(json!({"full_attention": {"rope_type": "default", "rope_theta": 1e6}}));
    assert!(nested.contains("field rope_parameters.full_attention: "), "{nested}");
    assert!(rope(json!("yarn")).contains("field rope_parameters: expected an object, found \"yarn\""));
    assert!(
        rope(json!({"rope_type": "llama3", "type": "default"})).contains("rope_type: \"default\" is not supported")
    );
    assert!(rope(json!({"rope_type": "llama3"})).contains("field rope_parameters.factor: is missing"));
    // Found: of two that differ, one was taken; transformers takes the other.
    let both =
        refused(|path| edit_config(path, |json| json["rope_scaling"] = json!({"type": "default", "rope_theta": 5.0})));
    assert!(both.contains("field rope_scaling: says something else than rope_parameters"), "{both}");
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                        "original_max_position_embeddings": 64});
    let outside = refused(|path| {
        edit_config(path, |json| {
            json["rope_parameters"] = llama3.clone();
            json["original_max_position_embeddings"] = json!(128);
        });
    });
    assert!(outside.contains("field original_max_position_embeddings: 128 differs from the 64"), "{outside}");
    let mut shrinking = llama3.clone();
    shrinking["factor"] = json!(1e-300);
    assert!(rope(shrinking).contains("factor at least 1"));
}

#[test]
fn impossible_sizes() {
    assert_eq!(
        with("num_key_value_heads", json!(3)),
        "/c/config.json: field num_key_value_heads: 3: expected a divisor of heads = 4"
    );
    names("hidden_size", json!("wide"), "expected a whole number, found \"wide\"");
    names("hidden_size", json!(-24), "expected a whole number, found -24");
    names("hidden_size", json!(24.5), "expected a whole number, found 24.5");
    names("vocab_size", json!(null), "is missing");
    names("vocab_size", json!(0), "0: expected a number from 1 to");
    names("head_dim", json!(7), "7: expected an even number");
    names("num_attention_heads", json!(0), "0: expected a number from 1 to");
    names("rms_norm_eps", json!(0), "expected a positive number");
    names("rope_theta", json!("10000"), "expected a number, found \"10000\"");
    names("tie_word_embeddings", json!("yes"), "expected true or false, found \"yes\"");
}

#[test]
fn absent_fields_have_the_values_that_transformers_gives_them() {
    // Found: a Qwen3 without head_dim had width / heads; Qwen3Config says 128. The weights here have 8, so both are refused,
    // but with the shape that was asked for.
    let head = refused(|path| edit_config(path, |json| drop(json.as_object_mut().unwrap().remove("head_dim"))));
    assert!(head.contains("config.json asks for"), "{head}");
    let kv =
        refused(|path| edit_config(path, |json| drop(json.as_object_mut().unwrap().remove("num_key_value_heads"))));
    assert!(kv.contains("field num_key_value_heads: 32: expected a divisor of heads = 4"), "{kv}");
}

#[test]
fn a_head_beside_a_tied_embedding_must_be_the_same() {
    // Found: a tied checkpoint with a head of its own was loaded, and the head thrown away.
    use cognate_model::Decoder;
    use cognate_ops::Cpu;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let cpu = || Cpu::new(1).unwrap();
    let untied = crate::decoder(cpu(), crate::small(true, false), 1);
    untied.save(&path, None, |_| Ok(())).unwrap();
    edit_config(&path, |json| json["tie_word_embeddings"] = json!(true));
    let error = Decoder::load(cpu(), &path).err().unwrap().to_string();
    assert!(error.contains("lm_head.weight differs from model.embed_tokens.weight"), "{error}");
    // The same numbers twice, as some programs write them, are one table.
    let mut values = untied.parameters();
    let table = 97 * 24;
    values.copy_within(..table, table);
    let alike = Decoder::with_parameters(cpu(), crate::small(true, false), &values).unwrap();
    alike.save(&path, None, |_| Ok(())).unwrap();
    edit_config(&path, |json| json["tie_word_embeddings"] = json!(true));
    assert_eq!(Decoder::load(cpu(), &path).unwrap().0.parameters(), values[table..]);
}
