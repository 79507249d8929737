//! What a synthetic document says about itself, in the `metadata` of its record.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `seed_id` | string | the document it was generated from; absent where it was written from none |
//! | `sample` | integer | which of the documents of one drawn seed it is, from 0 on; where `samples_per_seed` is more than 1. Of `entigraph`, how often the same was asked before, where it was |
//! | `entities` | list of strings | what it was to be about, where a server was asked about the seed's entities |
//! | `synthesizer` | string | fingerprint of the model that wrote it; of what a made corpus' world wrote, `world`, its fingerprint, and how true |
//! | `sampling` | object | absent where no model wrote it; `seed`, `temperature`, `top_p`, `max_seed_tokens`, `max_new_tokens`; where they are on, `top_k`, `min_p`, `repetition_penalty`; from a completion server also `method`, `model` |
//! | `mean_log_probability` | number | nats per drawn token under the untempered model; a server's own, or absent |
//! | `finish_reason` | string | `eod`: it ended itself; `cap`: it was cut |
//! | `special_token` | string | the first special token of the synthesizer's tokenizer whose text stands in it; absent where none does |
//! | `unencodable` | string | why the synthesizer's tokenizer cannot encode the text; absent where it can |
//! | `relevance` | number | (log p(d2 \| d1) − log p(d2)) / tokens, by the synthesizer; added by `filter` where it is given one |
//! | `cycle` | number | (log p(d1 \| d2) − log p(d1)) / tokens, likewise |
//! | `tokens` | integer | drawn tokens, the closing end-of-document token included |
//! | `dropped` | object | `reason` and `detail`, of a document that `filter` dropped |
//!
//! Token ids are not kept. Encoding the text again may give other tokens than were drawn (a model may spell a word in pieces that
//! the tokenizer would join, and bytes that are no UTF-8 become U+FFFD in the text); training uses the text, as other tools will.
//!
//! Documents from elsewhere may lack any of these; a field of the wrong type is an error.

use cognate_corpus::{Document, Tokenizer};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(crate) const SEED_ID: &str = "seed_id";
pub(crate) const SAMPLE: &str = "sample";
pub(crate) const ENTITIES: &str = "entities";
pub(crate) const SYNTHESIZER: &str = "synthesizer";
pub(crate) const SAMPLING: &str = "sampling";
pub(crate) const MEAN_LOG_PROBABILITY: &str = "mean_log_probability";
pub(crate) const FINISH_REASON: &str = "finish_reason";
pub(crate) const SPECIAL_TOKEN: &str = "special_token";
pub(crate) const UNENCODABLE: &str = "unencodable";
pub(crate) const RELEVANCE: &str = "relevance";
pub(crate) const CYCLE: &str = "cycle";
pub(crate) const TOKENS: &str = "tokens";
pub(crate) const DROPPED: &str = "dropped";

/// Says which of its seed's samples document `number` is, where there are several.
pub(crate) fn insert_sample(fields: &mut Map<String, Value>, number: u64, samples_per_seed: u64) {
    if samples_per_seed > 1 {
        fields.insert(SAMPLE.into(), (number % samples_per_seed).into());
    }
}

/// What a synthesizer's tokenizer says of a text: whether it is of use to those who train with it.
pub(crate) struct Marks<'a> {
    tokenizer: &'a Tokenizer,
    special_tokens: Vec<String>,
}

impl<'a> Marks<'a> {
    /// The marks that `tokenizer` leaves.
    pub(crate) fn of(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, special_tokens: tokenizer.special_tokens().into_iter().map(|(_, text)| text).collect() }
    }

    /// Marks the record of `text` where something is wrong with it; `filter` drops it then.
    pub(crate) fn insert(&self, fields: &mut Map<String, Value>, text: &str) {
        // The first in the text: which of several is told depends on the text alone.
        let found = self.special_tokens.iter().filter_map(|token| Some((text.find(token.as_str())?, token)));
        if let Some((_, token)) = found.min() {
            fields.insert(SPECIAL_TOKEN.into(), token.as_str().into());
        }
        if let Err(error) = self.tokenizer.encode(text) {
            fields.insert(UNENCODABLE.into(), error.to_string().into());
        }
    }
}

fn read<'a, T>(
    document: &'a Document,
    field: &'static str,
    expected: &'static str,
    convert: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>> {
    let Some(value) = document.metadata.get(field) else { return Ok(None) };
    match convert(value) {
        Some(converted) => Ok(Some(converted)),
        None => Err(Error::Metadata { id: document.id.clone(), field, found: value.to_string(), expected }),
    }
}

/// The seed's id, where it is known.
pub fn seed_id(document: &Document) -> Result<Option<&str>> {
    read(document, SEED_ID, "a string", Value::as_str)
}

/// Drawn tokens, where they are known.
pub fn tokens(document: &Document) -> Result<Option<u64>> {
    read(document, TOKENS, "a whole number", Value::as_u64)
}

/// Forward relevance in nats per token, where it is known.
pub fn relevance(document: &Document) -> Result<Option<f64>> {
    read(document, RELEVANCE, "a number", Value::as_f64)
}

/// Backward relevance in nats per token, where it is known.
pub fn cycle(document: &Document) -> Result<Option<f64>> {
    read(document, CYCLE, "a number", Value::as_f64)
}

/// Mean log-probability in nats per token, where it is known.
pub fn mean_log_probability(document: &Document) -> Result<Option<f64>> {
    read(document, MEAN_LOG_PROBABILITY, "a number", Value::as_f64)
}

/// How the document ended, where it says so: `eod` or `cap`, or what completion servers say, `stop` or `length`.
pub fn finish_reason(document: &Document) -> Result<Option<&str>> {
    let convert = |value| Value::as_str(value).filter(|reason| matches!(*reason, "eod" | "stop" | "cap" | "length"));
    read(document, FINISH_REASON, "\"eod\" or \"cap\"", convert)
}

/// Whether the document was cut at the cap on new tokens; one that says nothing was not.
pub fn unfinished(document: &Document) -> Result<bool> {
    Ok(matches!(finish_reason(document)?, Some("cap" | "length")))
}

/// The special token whose text stands in the document, where it says so.
pub fn special_token(document: &Document) -> Result<Option<&str>> {
    read(document, SPECIAL_TOKEN, "a string", Value::as_str)
}

/// Why the synthesizer's tokenizer cannot encode the document, where it says so.
pub fn unencodable(document: &Document) -> Result<Option<&str>> {
    read(document, UNENCODABLE, "a string", Value::as_str)
}

/// Refuses a document that has a field of another type than ours.
pub(crate) fn check(document: &Document) -> Result<()> {
    seed_id(document)?;
    tokens(document)?;
    relevance(document)?;
    finish_reason(document)?;
    special_token(document)?;
    unencodable(document)?;
    Ok(())
}

/// Reason and detail, where a filter dropped the document.
pub fn dropped(document: &Document) -> Result<Option<(&str, &str)>> {
    read(document, DROPPED, "an object with `reason` and `detail`", |value| {
        Some((value.get("reason")?.as_str()?, value.get("detail")?.as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(field: &str, value: Value) -> Document {
        Document {
            id: "d".into(),
            text: String::new(),
            group: None,
            metadata: [(field.to_owned(), value)].into_iter().collect(),
        }
    }

    #[test]
    fn absent_fields_are_unknown_and_wrong_ones_are_errors() {
        let other = document("other", json!(1));
        assert_eq!(seed_id(&other).unwrap(), None);
        assert_eq!(tokens(&other).unwrap(), None);
        assert_eq!(mean_log_probability(&other).unwrap(), None);
        assert!(!unfinished(&other).unwrap());
        assert!(unfinished(&document(FINISH_REASON, json!("cap"))).unwrap());
        let errors = [
            seed_id(&document(SEED_ID, json!(3))).unwrap_err(),
            tokens(&document(TOKENS, json!(1.5))).unwrap_err(),
            mean_log_probability(&document(MEAN_LOG_PROBABILITY, json!("x"))).unwrap_err(),
            unfinished(&document(FINISH_REASON, json!("eos"))).unwrap_err(),
            special_token(&document(SPECIAL_TOKEN, json!(true))).unwrap_err(),
            unencodable(&document(UNENCODABLE, json!([]))).unwrap_err(),
            check(&document(RELEVANCE, json!("near"))).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().starts_with("document d: metadata field"), "{error}");
        }
    }
}
