//! `config.json`: what it says, in the words of transformers 4 and 5, and what is refused.

use std::path::Path;

use cognate_base::files::write_atomic;
use serde_json::{Map, Value, json};

use super::{SpecialIds, pretty};
use crate::{Config, Error, Family, Llama3Scaling, Result};

/// A parsed `config.json` and its path, for messages.
struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl Fields<'_> {
    fn error(&self, field: &str, reason: impl Into<String>) -> Error {
        Error::CheckpointConfig { path: self.path.to_path_buf(), field: field.into(), reason: reason.into() }
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

    /// A token id, or the first of a list of them.
    fn token(&self, field: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let first = value.as_array().map_or(Some(value), |list| list.first());
        match first {
            None => Ok(None),
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
    let text = fs_err::read_to_string(path)?;
    let parsed = serde_json::from_str(&text);
    let map = match parsed {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(problem(path, "(whole file)", "expected a JSON object")),
        Err(error) => return Err(problem(path, "(whole file)", format!("not JSON: {error}"))),
    };
    let fields = Fields { path, map };
    let family = family(&fields)?;
    refuse_unsupported(&fields)?;
    let heads = fields.size("num_attention_heads", None)?;
    let width = fields.size("hidden_size", None)?;
    let (rope_base, rope_scaling) = rope(&fields)?;
    let config = Config {
        vocab: fields.size("vocab_size", None)?,
        width,
        layers: fields.size("num_hidden_layers", None)?,
        heads,
        kv_heads: fields.size("num_key_value_heads", Some(heads))?,
        head_width: fields.size("head_dim", Some(width / heads.max(1)))?,
        ffn: fields.size("intermediate_size", None)?,
        max_positions: fields.size("max_position_embeddings", Some(2048))?,
        rope_base,
        rope_scaling,
        norm_eps: fields.number("rms_norm_eps", 1e-6)?,
        qk_norm: family == Family::Qwen3,
        tied: fields.flag("tie_word_embeddings", false)?,
    };
    match config.check() {
        Err(Error::Config { field, value, reason }) => {
            Err(problem(path, json_name(field), format!("{value}: {reason}")))
        }
        Err(other) => Err(other),
        Ok(()) => Ok((config, SpecialIds { begin: fields.token("bos_token_id")?, end: fields.token("eos_token_id")? })),
    }
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
    match fields.get("model_type").and_then(Value::as_str) {
        Some("qwen3") => Ok(Family::Qwen3),
        Some("llama") => Ok(Family::Llama),
        Some(other) => Err(fields
            .error("model_type", format!("\"{other}\" is not supported; this decoder does \"qwen3\" and \"llama\""))),
        None => Err(fields.error("model_type", "is missing; expected \"qwen3\" or \"llama\"")),
    }
}

/// What a configuration may ask for that this decoder would silently get wrong.
fn refuse_unsupported(fields: &Fields<'_>) -> Result<()> {
    fields.only("hidden_act", &[json!("silu"), json!("swish")])?;
    for flag in ["attention_bias", "mlp_bias", "use_sliding_window"] {
        fields.only(flag, &[json!(false)])?;
    }
    if fields.get("quantization_config").is_some() {
        return Err(
            fields.error("quantization_config", "quantised weights are not supported; expected f32, bf16 or f16")
        );
    }
    for field in ["num_experts", "num_local_experts"] {
        if fields.get(field).is_some() {
            return Err(fields.error(field, "mixtures of experts are not supported"));
        }
    }
    if let Some(types) = fields.get("layer_types").and_then(Value::as_array)
        && let Some(other) = types.iter().find(|t| **t != json!("full_attention"))
    {
        return Err(
            fields.error("layer_types", format!("{other} is not supported; this decoder does \"full_attention\""))
        );
    }
    Ok(())
}

/// Base and scaling of the rotary frequencies: `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling`.
fn rope(fields: &Fields<'_>) -> Result<(f64, Option<Llama3Scaling>)> {
    let nested = ["rope_parameters", "rope_scaling"].iter().find_map(|name| {
        fields.get(name).and_then(Value::as_object).map(|map| (*name, Fields { path: fields.path, map: map.clone() }))
    });
    let base = fields.number("rope_theta", 1e4)?;
    let Some((name, nested)) = nested else { return Ok((base, None)) };
    let base = nested.number("rope_theta", base)?;
    let kind = nested.get("rope_type").or_else(|| nested.get("type")).and_then(Value::as_str).unwrap_or("default");
    let required = |field: &str| match nested.get(field) {
        Some(_) => nested.number(field, 0.0),
        None => Err(nested.error(&format!("{name}.{field}"), "is missing")),
    };
    match kind {
        "default" => Ok((base, None)),
        "llama3" => Ok((
            base,
            Some(Llama3Scaling {
                factor: required("factor")?,
                low_frequency: required("low_freq_factor")?,
                high_frequency: required("high_freq_factor")?,
                original_positions: required("original_max_position_embeddings")?,
            }),
        )),
        other => Err(fields.error(
            &format!("{name}.rope_type"),
            format!("\"{other}\" is not supported; this decoder does \"default\" and \"llama3\""),
        )),
    }
}

/// Writes a configuration; `end` is the token that begins and ends a document.
pub(crate) fn write(path: &Path, config: &Config, end: Option<u32>) -> Result<()> {
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
        "bos_token_id": end,
        "eos_token_id": end,
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
            "original_max_position_embeddings": s.original_positions as u64,
        });
        let mut parameters = scaling.clone();
        parameters["rope_theta"] = json!(config.rope_base);
        json["rope_scaling"] = scaling;
        json["rope_parameters"] = parameters;
    }
    Ok(write_atomic(path, pretty(&json))?)
}
