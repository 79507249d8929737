//! `config.json`: what it says, in the words of transformers 4 and 5, and what is refused.

use std::path::Path;

use cognate_base::Format;
use cognate_base::files::write_atomic;
use serde_json::{Map, Value, json};

use super::{SpecialIds, pretty, read_small};
use crate::{Config, Error, Family, Llama3Scaling, Result};

/// Longest `config.json` that is read: real ones have some 2 KB, or some 100 KB with a list of labels.
const CONFIG_MAX: u64 = 1 << 24;

/// The token after which a model is tuned to write a related document. No other program writes the field, and none minds it.
const RELATED: &str = "related_token_id";

/// A parsed `config.json`, or an object in it; its path and the object's name with a point are for messages.
struct Fields<'a> {
    path: &'a Path,
    prefix: &'static str,
    map: Map<String, Value>,
}

impl Fields<'_> {
    fn error(&self, field: &str, reason: impl Into<String>) -> Error {
        problem(self.path, &format!("{}{field}", self.prefix), reason)
    }

    /// A field that is present and not null.
    fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn size(&self, field: &str, default: Option<usize>) -> Result<usize> {
        match (self.get(field), default) {
            (Some(value), _) => value
                .as_u64()
                .and_then(|v| usize::try_from(v).ok())
                .ok_or_else(|| self.error(field, format!("expected a whole number, found {value}"))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.error(field, "is missing")),
        }
    }

    fn number(&self, field: &str, default: f64) -> Result<f64> {
        match self.get(field) {
            Some(value) => value.as_f64().ok_or_else(|| self.error(field, format!("expected a number, found {value}"))),
            None => Ok(default),
        }
    }

    fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            Some(value) => {
                value.as_bool().ok_or_else(|| self.error(field, format!("expected true or false, found {value}")))
            }
            None => Ok(default),
        }
    }

    /// A number that must be there.
    fn required(&self, field: &str) -> Result<f64> {
        match self.get(field) {
            Some(_) => self.number(field, 0.0),
            None => Err(self.error(field, "is missing")),
        }
    }

    /// A token id, or the first of a list of them; -1 stands for none. It may lie beyond the vocabulary: whether the token is needed,
    /// who uses it knows.
    fn token(&self, field: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_array().map_or(Some(value), |list| list.first()) {
            None => Ok(None),
            Some(id) if id.as_i64() == Some(-1) => Ok(None),
            Some(id) => match id.as_u64().and_then(|id| u32::try_from(id).ok()) {
                Some(id) => Ok(Some(id)),
                None => Err(self.error(field, format!("expected a token id, found {value}"))),
            },
        }
    }

    /// Refuses `field` unless it is absent or one of `supported`.
    fn only(&self, field: &str, supported: &[Value]) -> Result<()> {
        match self.get(field) {
            Some(value) if !supported.contains(value) => {
                Err(self.error(field, format!("{value} is not supported; this decoder does {}", list(supported))))
            }
            _ => Ok(()),
        }
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}

/// Reads a configuration.
pub(crate) fn read(path: &Path) -> Result<(Config, SpecialIds)> {
    parse(path, &read_small(path, CONFIG_MAX)?)
}

/// A configuration from the bytes of the file at `path`.
pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<(Config, SpecialIds)> {
    let map = match serde_json::from_slice(text) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(problem(path, "(whole file)", "expected a JSON object")),
        Err(error) => {
            let reason = match Format::of(text) {
                Format::Json | Format::Text | Format::Unknown => format!("not JSON: {error}"),
                other => other.instead_of("JSON"),
            };
            return Err(problem(path, "(whole file)", reason));
        }
    };
    let fields = Fields { path, prefix: "", map };
    let family = family(&fields)?;
    refuse_unsupported(&fields, family)?;
    let config = dials(&fields, family)?;
    match config.check() {
        Err(Error::Config { field, value, reason }) => {
            return Err(problem(path, json_name(field), format!("{value}: {reason}")));
        }
        other => other?,
    }
    refuse_unsupported_layers(&fields, config.layers)?;
    tell_unknown(&fields);
    let [begin, end, related] = ["bos_token_id", "eos_token_id", RELATED].map(|field| fields.token(field));
    Ok((config, SpecialIds { begin: begin?, end: end?, related: related? }))
}

/// The dials, with the defaults that transformers gives each family where a field is absent.
fn dials(fields: &Fields<'_>, family: Family) -> Result<Config> {
    let heads = fields.size("num_attention_heads", None)?;
    let width = fields.size("hidden_size", None)?;
    // Null is not absent: a Qwen3 without the field has 32 key/value heads, one with null as many as query heads.
    let absent = |field: &str| family == Family::Qwen3 && !fields.map.contains_key(field);
    let kv_heads = if absent("num_key_value_heads") { 32 } else { heads };
    let head_width = match family {
        Family::Qwen3 => 128,
        Family::Llama => width / heads.max(1),
    };
    if family == Family::Llama && fields.get("head_dim").is_none() && !width.is_multiple_of(heads.max(1)) {
        return Err(
            fields.error("head_dim", format!("is missing, and hidden_size = {width} is no multiple of {heads}"))
        );
    }
    let (rope_base, rope_scaling) = rope(fields)?;
    Ok(Config {
        vocab: fields.size("vocab_size", None)?,
        width,
        layers: fields.size("num_hidden_layers", None)?,
        heads,
        kv_heads: fields.size("num_key_value_heads", Some(kv_heads))?,
        head_width: fields.size("head_dim", Some(head_width))?,
        ffn: fields.size("intermediate_size", None)?,
        max_positions: fields
            .size("max_position_embeddings", Some(if absent("max_position_embeddings") { 32768 } else { 2048 }))?,
        rope_base,
        rope_scaling,
        norm_eps: fields.number("rms_norm_eps", 1e-6)?,
        qk_norm: family == Family::Qwen3,
        tied: fields.flag("tie_word_embeddings", false)?,
    })
}

fn problem(path: &Path, field: &str, reason: impl Into<String>) -> Error {
    Error::CheckpointConfig { path: path.to_path_buf(), field: field.into(), reason: reason.into() }
}

/// The name in `config.json` of a dial of [`Config`].
fn json_name(field: &str) -> &str {
    match field {
        "vocab" => "vocab_size",
        "width" => "hidden_size",
        "layers" => "num_hidden_layers",
        "heads" => "num_attention_heads",
        "kv_heads" => "num_key_value_heads",
        "head_width" => "head_dim",
        "ffn" => "intermediate_size",
        "max_positions" => "max_position_embeddings",
        "rope_base" => "rope_theta",
        "norm_eps" => "rms_norm_eps",
        other => other,
    }
}

fn family(fields: &Fields<'_>) -> Result<Family> {
    let (family, architectures) = match fields.get("model_type").and_then(Value::as_str) {
        Some("qwen3") => (Family::Qwen3, ["Qwen3ForCausalLM", "Qwen3Model"]),
        Some("llama") => (Family::Llama, ["LlamaForCausalLM", "LlamaModel"]),
        Some(other) => {
            let reason = format!("\"{other}\" is not supported; this decoder does \"qwen3\" and \"llama\"");
            return Err(fields.error("model_type", reason));
        }
        None => return Err(fields.error("model_type", "is missing; expected \"qwen3\" or \"llama\"")),
    };
    // A classifier or an embedder shares the model_type, but its head is another.
    fields.only("architectures", &architectures.map(|architecture| json!([architecture])))?;
    Ok(family)
}

/// Fields whose presence alone asks for what this decoder does not do. Neither `Qwen3Config` nor `LlamaConfig` of transformers has
/// most of them, and it would ignore them; but somebody who wrote them into a file trained a model that did not.
const FOREIGN: [(&str, &str); 30] = [
    ("quantization_config", "quantised weights are not supported; expected f32, bf16 or f16"),
    ("compression_config", "quantised weights are not supported; expected f32, bf16 or f16"),
    ("num_experts", "mixtures of experts are not supported"),
    ("num_local_experts", "mixtures of experts are not supported"),
    ("n_routed_experts", "mixtures of experts are not supported"),
    ("num_experts_per_tok", "mixtures of experts are not supported"),
    ("moe_intermediate_size", "mixtures of experts are not supported"),
    ("attn_logit_softcapping", "soft-capping of attention scores is not supported"),
    ("final_logit_softcapping", "soft-capping of logits is not supported"),
    ("attention_multiplier", "scores are scaled by 1 / sqrt(head_dim); another scale is not supported"),
    ("query_pre_attn_scalar", "scores are scaled by 1 / sqrt(head_dim); another scale is not supported"),
    ("attention_chunk_size", "chunked attention is not supported"),
    ("no_rope_layers", "layers without rotary embedding are not supported"),
    ("clip_qkv", "clipping of queries, keys and values is not supported"),
    ("kv_lora_rank", "latent attention is not supported"),
    ("auto_map", "a model with code of its own is not supported"),
    ("attn_logit_softcap", "soft-capping of attention scores is not supported"),
    ("attention_logit_cap", "soft-capping of attention scores is not supported"),
    ("logit_soft_cap", "soft-capping of logits is not supported"),
    ("attention_scale", "scores are scaled by 1 / sqrt(head_dim); another scale is not supported"),
    ("softmax_scale", "scores are scaled by 1 / sqrt(head_dim); another scale is not supported"),
    ("no_rope_layer_interval", "layers without rotary embedding are not supported"),
    ("rope_local_base_freq", "rotary embeddings that differ from layer to layer are not supported"),
    ("scale_emb", "scaled embeddings are not supported"),
    ("scale_depth", "scaled residuals are not supported"),
    ("dim_model_base", "scaled logits are not supported"),
    ("residual_scale", "scaled residuals are not supported"),
    ("embedding_scale", "scaled embeddings are not supported"),
    ("rotary_dim", "rotary embedding of part of a head is not supported"),
    ("alibi_bias_max", "positions by biases (ALiBi) are not supported"),
];

/// Flags that change what is computed, and are supported where they are false.
const OFF: [&str; 17] = [
    "attention_bias",
    "qkv_bias",
    "mlp_bias",
    "use_bias",
    "add_bias_linear",
    "use_sliding_window",
    "use_bidirectional_attention",
    "alibi",
    "parallel_attn",
    "parallel_residual",
    "use_parallel_residual",
    "scale_embeddings",
    "embedding_layernorm",
    "rope_interleaved",
    "rope_interleave",
    "rms_norm_unit_offset",
    "use_mup",
];

/// Fields of transformers' configurations that change nothing in what a decoder computes: what generation starts from, labels of
/// classifiers, dropout, and how the model was made.
const HARMLESS: [&str; 74] = [
    "_attn_implementation_autoset",
    "_name_or_path",
    "add_cross_attention",
    "attention_dropout",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "max_window_layers",
    "min_length",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "rope_type",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "vocab_file",
    "_commit_hash",
];

/// Fields that are read elsewhere in this file.
const READ: [&str; 27] = [
    "architectures",
    "bos_token_id",
    "eos_token_id",
    RELATED,
    "head_dim",
    "hidden_act",
    "hidden_activation",
    "hidden_size",
    "intermediate_size",
    "is_causal",
    "layer_types",
    "max_position_embeddings",
    "model_type",
    "normalization_type",
    "norm_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "position_embedding_type",
    "qk_norm",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
];

/// Tells of fields that nothing is known of: transformers heeds none of them either, but whoever wrote them may have meant something.
fn tell_unknown(fields: &Fields<'_>) {
    let read_elsewhere = ["sliding_window", "use_qk_norm"];
    let known = |name: &str| {
        READ.contains(&name)
            || HARMLESS.contains(&name)
            || OFF.contains(&name)
            || FACTORS.contains(&name)
            || read_elsewhere.contains(&name)
            || FOREIGN.iter().any(|(foreign, _)| *foreign == name)
    };
    let unknown: Vec<&str> = fields.map.keys().map(String::as_str).filter(|name| !known(name)).collect();
    if !unknown.is_empty() {
        tracing::warn!("{}: not heeded: {}", fields.path.display(), unknown.join(", "));
    }
}

/// Factors that are supported where they are 1.
const FACTORS: [&str; 8] = [
    "partial_rotary_factor",
    "rotary_pct",
    "embedding_multiplier",
    "residual_multiplier",
    "logits_scaling",
    "logit_scale",
    "lm_head_multiplier",
    "rotary_percent",
];

/// What a configuration may ask for that this decoder would silently get wrong.
fn refuse_unsupported(fields: &Fields<'_>, family: Family) -> Result<()> {
    for field in ["hidden_act", "hidden_activation"] {
        fields.only(field, &[json!("silu"), json!("swish")])?;
    }
    for flag in OFF {
        fields.only(flag, &[json!(false)])?;
    }
    for flag in ["qk_norm", "use_qk_norm"] {
        fields.only(flag, &[json!(family == Family::Qwen3)])?;
    }
    for kind in ["norm_type", "normalization_type"] {
        fields.only(kind, &[json!("rmsnorm"), json!("rms_norm"), json!("RMSNorm"), json!("rms")])?;
    }
    fields.only("position_embedding_type", &[json!("rope"), json!("rotary"), json!("rope_llama")])?;
    fields.only("is_causal", &[json!(true)])?;
    for (field, reason) in FOREIGN {
        if fields.get(field).is_some() {
            return Err(fields.error(field, reason));
        }
    }
    for field in FACTORS {
        fields.only(field, &[json!(1.0), json!(1)])?;
    }
    // Programs differ in what they make of a window when nothing says whether it is used.
    if let Some(window) = fields.get("sliding_window")
        && fields.get("use_sliding_window").is_none()
    {
        let reason = format!("{window} is not supported; expected null, or \"use_sliding_window\": false beside it");
        return Err(fields.error("sliding_window", reason));
    }
    Ok(())
}

/// Refuses layers of other kinds than full attention.
fn refuse_unsupported_layers(fields: &Fields<'_>, layers: usize) -> Result<()> {
    let Some(value) = fields.get("layer_types") else { return Ok(()) };
    let Some(types) = value.as_array().filter(|types| types.len() == layers) else {
        return Err(fields.error("layer_types", format!("expected a list of num_hidden_layers = {layers} names")));
    };
    match types.iter().find(|kind| **kind != json!("full_attention")) {
        Some(other) => {
            let reason = format!("{other} is not supported; this decoder does \"full_attention\"");
            Err(fields.error("layer_types", reason))
        }
        None => Ok(()),
    }
}

/// Base and scaling of the rotary frequencies.
type Rope = (f64, Option<Llama3Scaling>);

/// [`Rope`], from `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of transformers 4. Where both stand, as
/// in what we write, they must say the same: transformers 5 takes the second, other programs the first.
fn rope(fields: &Fields<'_>) -> Result<Rope> {
    let base = fields.number("rope_theta", 1e4)?;
    let new = rope_object(fields, "rope_parameters", "rope_parameters.", base)?;
    let old = rope_object(fields, "rope_scaling", "rope_scaling.", base)?;
    let rope = match (new, old) {
        (Some(new), Some(old)) if new != old => {
            return Err(fields.error("rope_scaling", "says something else than rope_parameters; expected one of them"));
        }
        (Some(rope), _) | (None, Some(rope)) => rope,
        (None, None) => (base, None),
    };
    // transformers takes this number, where it stands outside, in place of the one inside.
    if let (Some(outside), Some(scaling)) = (fields.get("original_max_position_embeddings"), rope.1)
        && outside.as_f64() != Some(scaling.original_positions)
    {
        let reason = format!("{outside} differs from the {} beside the scaling factors", scaling.original_positions);
        return Err(fields.error("original_max_position_embeddings", reason));
    }
    Ok(rope)
}

/// What the object `name` says, where it stands; `base` is the one outside of it.
fn rope_object(fields: &Fields<'_>, name: &str, prefix: &'static str, base: f64) -> Result<Option<Rope>> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let Some(map) = value.as_object() else {
        return Err(fields.error(name, format!("expected an object, found {value}")));
    };
    let inner = Fields { path: fields.path, prefix, map: map.clone() };
    let base = inner.number("rope_theta", base)?;
    inner.only("partial_rotary_factor", &[json!(1.0), json!(1)])?;
    let kinds: Vec<&Value> = ["rope_type", "type"].into_iter().filter_map(|field| inner.get(field)).collect();
    let supported = [json!("default"), json!("llama3")];
    if let Some(other) = kinds.iter().find(|kind| !supported.contains(kind) || *kind != &kinds[0]) {
        let reason = format!("{other} is not supported; this decoder does \"default\" and \"llama3\"");
        return Err(inner.error("rope_type", reason));
    }
    let scaled = kinds.first().is_some_and(|kind| **kind == json!("llama3"));
    const SCALING: [&str; 4] = ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"];
    const PLAIN: [&str; 4] = ["rope_theta", "partial_rotary_factor", "rope_type", "type"];
    // A field that is not known, or one of a scaling that is not named, is the sign of another kind of rotary embedding
    // (one object for each kind of layer, sections for images, a factor of attention).
    let known = |field: &str| PLAIN.contains(&field) || (scaled && SCALING.contains(&field));
    if let Some((field, value)) = inner.map.iter().find(|(field, value)| !known(field) && !value.is_null()) {
        let kind = if scaled { "llama3" } else { "default" };
        return Err(inner.error(field, format!("{value} is not supported with the rope_type \"{kind}\"")));
    }
    if !scaled {
        return Ok(Some((base, None)));
    }
    let scaling = Llama3Scaling {
        factor: inner.required("factor")?,
        low_frequency: inner.required("low_freq_factor")?,
        high_frequency: inner.required("high_freq_factor")?,
        original_positions: inner.required("original_max_position_embeddings")?,
    };
    Ok(Some((base, Some(scaling))))
}

/// Writes a configuration; `special` are the tokens that begin and end a document, and the one that the model is tuned to write related
/// documents after.
pub(crate) fn write(path: &Path, config: &Config, special: SpecialIds) -> Result<()> {
    let (architecture, model_type) = match config.family() {
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3"),
        Family::Llama => ("LlamaForCausalLM", "llama"),
    };
    let mut json = json!({
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": config.vocab,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        // Both spellings: transformers 4 and llama.cpp read rope_theta and rope_scaling, transformers 5 rope_parameters.
        "rope_theta": config.rope_base,
        "rope_parameters": { "rope_type": "default", "rope_theta": config.rope_base },
        "tie_word_embeddings": config.tied,
        "hidden_act": "silu",
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": special.begin,
        "eos_token_id": special.end,
        "dtype": "float32",
        "torch_dtype": "float32",
        "use_cache": true,
    });
    if let Some(s) = config.rope_scaling {
        let scaling = json!({
            "rope_type": "llama3",
            "factor": s.factor,
            "low_freq_factor": s.low_frequency,
            "high_freq_factor": s.high_frequency,
            "original_max_position_embeddings": whole(s.original_positions),
        });
        let mut parameters = scaling.clone();
        parameters["rope_theta"] = json!(config.rope_base);
        json["rope_scaling"] = scaling;
        json["rope_parameters"] = parameters;
    }
    if let Some(related) = special.related {
        json[RELATED] = json!(related);
    }
    Ok(write_atomic(path, pretty(&json))?)
}

/// A number without its point where it has no fraction: transformers expects a whole number of positions.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number < 1e15 { json!(number as u64) } else { json!(number) }
}
