//! Pairs with texts of their own, for `pair`: what is made of one document, and obfuscated documents.
//!
//! Their texts lie beside the pairs as the corpus's lie in `ingest` and `tokenize`: a file of documents and one of tokens for what was made
//! of unique documents, and for what was made of those of the selection split.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use cognate_base::{Monitor, Unit};
use cognate_corpus::{Document, DocumentWriter, MASK, Metadata, TokenFile, TokenWriter, Tokenizer};
use cognate_pair::derived::{Mask, Obfuscation, PassedOver, Piece, PieceSentence, Side, Task, pieces};
use cognate_pair::{Pair, Pairs, UnseenStats, part_derived, read_pairs};
use serde_json::{Value, json};

use super::held_out::ids;
use super::pair::{counts, tell_unseen, write};
use super::texts::texts_in;
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::rundir::Work;
use crate::step::Step;

/// The splits that pairs may be of, in the order of their numbers.
const SPLITS: [&str; 2] = ["unique", "selection"];

/// Texts of a split while they are written.
pub(super) struct Texts<'a> {
    tokenizer: &'a Tokenizer,
    split: &'static str,
    documents: DocumentWriter,
    tokens: TokenWriter,
    ids: Vec<String>,
}

impl<'a> Texts<'a> {
    pub(super) fn create(folder: &Path, split: &'static str, tokenizer: &'a Tokenizer) -> Result<Self> {
        Ok(Self {
            tokenizer,
            split,
            documents: DocumentWriter::create(folder.join(format!("{split}.jsonl.zst")))?,
            tokens: TokenWriter::create(&folder.join(split), tokenizer.vocab_size())?,
            ids: Vec::new(),
        })
    }

    pub(super) fn push(&mut self, id: String, side: Side) -> Result<()> {
        let (text, mut tokens) = match side {
            Side::Text(text) => {
                let tokens = self.tokenizer.encode(&text)?;
                (text, tokens)
            }
            Side::Tokens(tokens) => (written(self.tokenizer, &tokens)?, tokens),
        };
        tokens.push(self.tokenizer.end_of_document());
        self.tokens.push(&tokens)?;
        self.documents.write(&Document { id: id.clone(), text, group: None, metadata: Metadata::default() })?;
        self.ids.push(id);
        Ok(())
    }

    /// Puts the files in place, and says what they are called.
    pub(super) fn finish(self, made: &mut Made) -> Result<Vec<String>> {
        made.rows(&format!("{}.jsonl.zst", self.split), self.documents.finish()?);
        let tokens = self.tokens.finish()?;
        made.rows(&format!("{}.bin", self.split), tokens.tokens);
        made.rows(&format!("{}.idx", self.split), tokens.documents);
        Ok(self.ids)
    }
}

/// The documents that texts were made of, by numbers, from the texts' ids.
pub(super) fn origins(ids: &[String]) -> Vec<u32> {
    let mut known: HashMap<&str, u32> = HashMap::new();
    let mut numbers = Vec::with_capacity(ids.len());
    for id in ids {
        let document = id.rsplit_once('#').map_or(id.as_str(), |(document, _)| document);
        let next = known.len() as u32;
        numbers.push(*known.entry(document).or_insert(next));
    }
    numbers
}

/// The text of tokens, with the mask's name where one is: decoding leaves out what is no text.
fn written(tokenizer: &Tokenizer, tokens: &[u32]) -> Result<String> {
    let Some(mask) = tokenizer.special(MASK) else { return Ok(tokenizer.decode(tokens)?) };
    let parts: Result<Vec<String>> =
        tokens.split(|token| *token == mask).map(|part| Ok(tokenizer.decode(part)?)).collect();
    Ok(parts?.join(MASK))
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

/// Pairs that `tasks` make of pieces of at most `piece_tokens` tokens of one document each. Of a document of the selection split, the first
/// piece alone: what measures has no document twice.
pub(super) fn one_document(
    context: &Context<'_>,
    at: usize,
    (tasks, piece_tokens): (&[Task], usize),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let mask = mask(&tokenizer, tasks)?;
    let (mut made, mut counted, mut given) = (Made::default(), Counted::default(), Vec::new());
    let (mut ids, mut unique, mut documents) = (Vec::new(), 0, 0);
    for split in SPLITS {
        let source = texts_in(context, Path::new("ingest"), split, monitor)?;
        let file = context.tokens("tokenize", split)?;
        let mut texts = Texts::create(folder, split, &tokenizer)?;
        let mut number = 0;
        monitor.begin("pairing", Some(source.len() as u64), Unit::Documents);
        for (document, (id, _)) in source.iter().enumerate() {
            monitor.check()?;
            let most = if split == "selection" { 1 } else { usize::MAX };
            for (nth, piece) in pieces_of(&tokenizer, &file, document, piece_tokens).into_iter().enumerate().take(most)
            {
                let task = Task::of_piece(tasks, number, recipe.seed);
                number += 1;
                match task.pair(&piece, &mask, recipe.seed, number) {
                    Err(reason) => *counted.passed_over.entry((task.word(), reason)).or_default() += 1,
                    Ok(pair) => {
                        let first = (ids.len() + texts.ids.len()) as u32;
                        texts.push(format!("{id}#{}-{nth}-source", task.word()), pair.source)?;
                        texts.push(format!("{id}#{}-{nth}-target", task.word()), pair.target)?;
                        given.push(Pair { first, second: first + 1, similarity: 0.0 });
                        *counted.made.entry(task.word()).or_default() += 1;
                    }
                }
            }
            monitor.advance(document as u64 + 1, "");
        }
        monitor.end();
        documents += source.len();
        ids.extend(texts.finish(&mut made)?);
        if split == "unique" {
            unique = ids.len();
        }
    }
    let label = Step::Pair(at).label(recipe);
    let (passed_over, reasons) = counted.passed_over();
    if given.iter().all(|pair| pair.first as usize >= unique) {
        return Err(Error::NothingDerived { pairs: recipe.pairs[at].name.clone(), passed_over: reasons });
    }
    tracing::info!("{label}: {} pairs, made of {documents} documents{reasons}", given.len());
    let (pairs, unseen) = part_derived(unique, &given, recipe.pairs[at].pair.held_out_share, recipe.seed)?;
    tell_unseen(&label, &unseen);
    write(folder, &ids, &pairs, &mut made)?;
    let mut statistics = counts(&pairs, passed_over, unseen);
    statistics["tasks"] = counted.statistics();
    made.work = Work { statistics, documents: documents as u64, ..Work::default() };
    Ok(made)
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

/// The pairs of another set, with `share` of the distinct words of all documents replaced by nonsense words.
pub(super) fn obfuscated(
    context: &Context<'_>,
    at: usize,
    (of, share): (&str, f64),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let of = recipe.pair_set(of);
    let (source_ids, unique) = ids(context, of, monitor)?;
    let source = context.made(Step::Pair(of));
    let read = |file: &str| read_pairs(&source.path(file), &source_ids, monitor);
    let pairs = Pairs { train: read("train.parquet")?, held_out: read("held_out.parquet")? };
    let texts = SPLITS.map(|split| texts_in(context, Path::new("ingest"), split, monitor));
    let [unique_texts, selection_texts] = texts;
    let texts = [unique_texts?, selection_texts?];
    let all = || texts.iter().flatten().map(|(_, text)| text.as_str());
    let obfuscation = Obfuscation::of(all(), share, recipe.seed, monitor)?;
    let (mut made, mut ids, mut running) = (Made::default(), Vec::new(), (0, 0));
    for (split, texts) in SPLITS.into_iter().zip(&texts) {
        let mut out = Texts::create(folder, split, &tokenizer)?;
        for (id, text) in texts {
            monitor.check()?;
            let (words, replaced) = obfuscation.count(text);
            running = (running.0 + words, running.1 + replaced);
            out.push(format!("{id}#obfuscated"), Side::Text(obfuscation.apply(text)))?;
        }
        ids.extend(out.finish(&mut made)?);
    }
    let (distinct, replaced) = obfuscation.distinct();
    let label = Step::Pair(at).label(recipe);
    tracing::info!(
        "{label}: {} pairs; {replaced} of {distinct} distinct words are nonsense, {} of {} running ones",
        pairs.train.len(),
        running.1,
        running.0
    );
    write(folder, &ids, &pairs, &mut made)?;
    let measure = pairs.held_out.iter().any(|pair| pair.second as usize >= unique);
    let mut statistics = counts(&pairs, 0, UnseenStats { measure, ..UnseenStats::default() });
    statistics["words"] = json!({
        "distinct": distinct, "distinct_replaced": replaced, "running": running.0, "running_replaced": running.1
    });
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}
