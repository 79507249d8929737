//! Pairs that are made of pieces of one document each, after STEP (Zou et al. 2020, arXiv 2004.01853).

use std::collections::BTreeMap;
use std::path::Path;

use cognate_corpus::{MASK, TokenFile, Tokenizer};
use cognate_pair::derived::{Mask, PassedOver, Piece, PieceSentence, Task, pieces};
use serde_json::{Map, Value, json};

use super::method::{Effort, Job, Method};
use super::own_texts::{SPLITS, Writing};
use crate::context::{Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::OneDocument;
use crate::stages::texts::texts_in;
use crate::step::Step;

impl Method for OneDocument {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Tokenize]
    }

    fn config(&self, _: &Recipe, own: &mut Map<String, Value>) {
        own.insert("method".to_owned(), json!(self.tasks));
    }

    fn inputs(&self, _: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        inputs.add_tokens("the unique tokens", "tokenize", "unique")?;
        inputs.add_tokens("the selection tokens", "tokenize", "selection")
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, seed) = (job.context, job.seed());
        let tokenizer = context.tokenizer()?;
        let mask = mask(&tokenizer, &self.tasks)?;
        let mut counted = Counted::default();
        let mut writing = Writing::new(job, &tokenizer);
        for split in SPLITS {
            let source = texts_in(context, Path::new("ingest"), split, job.monitor)?;
            let file = context.tokens("tokenize", split)?;
            // What measures has no document twice.
            let most = if split == SPLITS[0] { usize::MAX } else { 1 };
            let mut number = 0;
            let pairs = source.iter().enumerate().map(|(document, (id, _))| {
                let mut made = Vec::new();
                let pieces = pieces_of(&tokenizer, &file, document, self.piece_tokens);
                for (nth, piece) in pieces.into_iter().enumerate().take(most) {
                    let task = Task::of_piece(&self.tasks, number, seed);
                    number += 1;
                    match task.pair(&piece, &mask, seed, number) {
                        Err(reason) => *counted.passed_over.entry((task.word(), reason)).or_default() += 1,
                        Ok(pair) => {
                            made.push((format!("{id}#{}-{nth}-", task.word()), pair));
                            *counted.made.entry(task.word()).or_default() += 1;
                        }
                    }
                }
                made
            });
            writing.part(split, source.len() as u64, pairs)?;
        }
        let (passed_over, reasons) = counted.passed_over();
        writing.finish(passed_over, &reasons, Some(("tasks", counted.statistics())))
    }

    fn cost(&self, estimate: &Estimate<'_>, set: usize) -> Effort {
        let wall_s = estimate.encode_s(2.0 * estimate.unique_bytes());
        Effort { wall_s, texts_bytes: estimate.texts_bytes(estimate.pairs(set)), ..Effort::default() }
    }

    fn told(&self) -> Option<String> {
        let word = match self.tasks[..] {
            [task] => task.word(),
            _ => "all",
        };
        Some(format!("Pairs of pieces of one document each, by the method {word}."))
    }

    fn passed_over(&self) -> (&'static str, &'static str) {
        ("passed over, too short or of too few sentences", "pieces")
    }
}

/// What may stand in the place of masked tokens; nothing where no task masks any.
fn mask(tokenizer: &Tokenizer, tasks: &[Task]) -> Result<Mask> {
    if !tasks.contains(&Task::MaskedSpan) {
        return Ok(Mask { token: tokenizer.end_of_document(), ordinary: Vec::new() });
    }
    let missing = || Error::NoToken { token: MASK.to_owned(), wanted_by: Task::MaskedSpan.word().to_owned() };
    let token = tokenizer.special(MASK).ok_or_else(missing)?;
    let mut none = tokenizer.without_token(tokenizer.vocab_size());
    none.extend(tokenizer.special_tokens().into_iter().map(|(id, _)| id));
    none.sort_unstable();
    let ordinary = (0..tokenizer.vocab_size() as u32).filter(|id| none.binary_search(id).is_err()).collect();
    Ok(Mask { token, ordinary })
}

/// What was made of the pieces of one split.
#[derive(Default)]
struct Counted {
    made: BTreeMap<&'static str, u64>,
    passed_over: BTreeMap<(&'static str, PassedOver), u64>,
}

/// A document in pieces of whole sentences.
fn pieces_of(tokenizer: &Tokenizer, file: &TokenFile, document: usize, most: usize) -> Vec<Piece> {
    let mut tokens = file.document(document);
    tokens.pop(); // its end of document
    let sentences = tokenizer.sentences(&tokens);
    let lengths: Vec<usize> = sentences.iter().map(|sentence| sentence.tokens.len()).collect();
    let piece = |range: std::ops::Range<usize>| {
        let own = &sentences[range];
        let (start, end) = (own[0].tokens.start, own[own.len() - 1].tokens.end);
        let sentence = |sentence: &cognate_corpus::Sentence| PieceSentence {
            text: sentence.text.clone(),
            end: (sentence.tokens.end - start).min(most),
        };
        // A sentence that is longer than a piece is cut.
        let tokens = tokens[start..end.min(start + most)].to_vec();
        Piece { tokens, sentences: own.iter().map(sentence).collect() }
    };
    pieces(&lengths, most).into_iter().map(piece).collect()
}

impl Counted {
    /// How many pieces were passed over, and why, in words.
    fn passed_over(&self) -> (u64, String) {
        let all = self.passed_over.values().sum();
        let reason = |((task, reason), pieces): (&(&str, PassedOver), &u64)| {
            let why = match reason {
                PassedOver::TooFewSentences => "with too few sentences",
                PassedOver::TooShort => "too short",
            };
            format!("{pieces} {why} for {task}")
        };
        let reasons: Vec<String> = self.passed_over.iter().map(reason).collect();
        (all, if reasons.is_empty() { String::new() } else { format!("; passed over: {}", reasons.join(", ")) })
    }

    fn statistics(&self) -> Value {
        let mut tasks = json!({});
        for (task, pairs) in &self.made {
            tasks[*task]["pairs"] = json!(pairs);
        }
        for ((task, reason), pieces) in &self.passed_over {
            let name = json!(reason);
            tasks[*task][name.as_str().unwrap_or_default()] = json!(pieces);
        }
        tasks
    }
}
