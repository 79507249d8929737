//! `evaluate` on plain files.

use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{Perplexity, PerplexityOptions, perplexity};
use cognate_model::Decoder;
use serde_json::{Map, Value, json};

use super::models::tokenizer_of;
use super::{Result, device, print, print_json};
use crate::args::{EvaluateArgs, Task};
use crate::terminal::Terminal;

pub(crate) fn evaluate(args: &EvaluateArgs, threads: usize, terminal: &Terminal) -> Result {
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = tokenizer_of(&args.checkpoint, special)?;
    let options = PerplexityOptions::of(&tokenizer, args.batch_tokens);
    let mut found = Map::new();
    for task in &args.tasks {
        match task {
            Task::Perplexity => {
                let reader = Reader::open(std::slice::from_ref(&args.documents), &ReadOptions::default())?;
                let documents = reader.map(|record| record.map(|(_, document)| document));
                let scores = perplexity(&mut model, &tokenizer, documents, options, terminal)?;
                if !args.json {
                    print(&lines(&scores))?;
                }
                found.extend(object(json!(scores)));
                let score = json!({
                    "metric": "perplexity", "value": scores.perplexity,
                    "stderr": scores.stderr.map(|nats| nats * scores.perplexity), "n": scores.documents,
                });
                found.insert("tasks".to_owned(), json!({"perplexity": score}));
            }
        }
    }
    if args.json { print_json(&found) } else { Ok(()) }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

fn lines(scores: &Perplexity) -> String {
    let stderr = scores.stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.4}"));
    format!(
        "documents       {}\ntokens          {}\nnats per token  {:.4}{stderr}\nperplexity      {:.3}\nbits per byte  \
          {:.4}\n",
        scores.documents, scores.tokens, scores.nats_per_token, scores.perplexity, scores.bits_per_byte
    )
}
