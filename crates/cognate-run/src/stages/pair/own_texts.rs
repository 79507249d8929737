//! Pairs with texts of their own, and the files of these texts.
//!
//! They lie beside the pairs as the corpus's lie in `ingest` and `tokenize`: a file of documents and one of tokens for what a synthesizer learns
//! from, made of unique documents where it is made of any, and for what measures it.

use std::collections::HashMap;
use std::path::Path;

use cognate_base::Unit;
use cognate_corpus::{Document, DocumentWriter, MASK, Metadata, TokenWriter, Tokenizer};
use cognate_pair::derived::{Derived, Side};
use cognate_pair::{Pair, part_derived};
use serde_json::Value;

use super::method::{Effort, Job, counts, tell_unseen};
use crate::context::Made;
use crate::error::{Error, Result};
use crate::estimate::{Estimate, PACKED};

/// The splits that pairs may be of, in the order of their numbers.
pub(crate) const SPLITS: [&str; 2] = ["unique", "selection"];

/// Texts of a split while they are written.
pub(crate) struct Texts<'a> {
    tokenizer: &'a Tokenizer,
    split: &'static str,
    documents: DocumentWriter,
    tokens: TokenWriter,
    ids: Vec<String>,
}

impl<'a> Texts<'a> {
    pub(crate) fn create(folder: &Path, split: &'static str, tokenizer: &'a Tokenizer) -> Result<Self> {
        Ok(Self {
            tokenizer,
            split,
            documents: DocumentWriter::create(folder.join(format!("{split}.jsonl.zst")))?,
            tokens: TokenWriter::create(&folder.join(split), tokenizer.vocab_size())?,
            ids: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, id: String, side: Side) -> Result<()> {
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
    pub(crate) fn finish(self, made: &mut Made) -> Result<Vec<String>> {
        made.rows(&format!("{}.jsonl.zst", self.split), self.documents.finish()?);
        let tokens = self.tokens.finish()?;
        made.rows(&format!("{}.bin", self.split), tokens.tokens);
        made.rows(&format!("{}.idx", self.split), tokens.documents);
        Ok(self.ids)
    }
}

/// The documents that texts were made of, by numbers, from the texts' ids.
pub(crate) fn origins(ids: &[String]) -> Vec<u32> {
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

/// Pairs while they are made: first those that a synthesizer learns from, then those that measure it.
pub(crate) struct Writing<'a> {
    job: Job<'a>,
    tokenizer: &'a Tokenizer,
    made: Made,
    ids: Vec<String>,
    given: Vec<Pair>,
    /// Texts of the first part.
    learned: usize,
}

impl<'a> Writing<'a> {
    pub(crate) fn new(job: &Job<'a>, tokenizer: &'a Tokenizer) -> Self {
        Self { job: *job, tokenizer, made: Made::default(), ids: Vec::new(), given: Vec::new(), learned: 0 }
    }

    /// Writes the pairs of a split, each with how the names of its two texts begin. They are made of `of` things, and each item is what one of
    /// these gives.
    pub(crate) fn part(
        &mut self,
        split: &'static str,
        of: u64,
        pairs: impl Iterator<Item = Vec<(String, Derived)>>,
    ) -> Result<()> {
        let monitor = self.job.monitor;
        let mut texts = Texts::create(self.job.folder, split, self.tokenizer)?;
        monitor.begin("pairing", Some(of), Unit::Documents);
        for (number, pairs) in pairs.enumerate() {
            monitor.check()?;
            for (name, Derived { source, target }) in pairs {
                let first = (self.ids.len() + texts.ids.len()) as u32;
                texts.push(format!("{name}source"), source)?;
                texts.push(format!("{name}target"), target)?;
                self.given.push(Pair { first, second: first + 1, similarity: 0.0 });
            }
            monitor.advance(number as u64 + 1, "");
        }
        monitor.end();
        self.ids.extend(texts.finish(&mut self.made)?);
        if split == SPLITS[0] {
            self.learned = self.ids.len();
        }
        Ok(())
    }

    /// Writes which texts are pairs, with what else was counted: what was passed over, in words, and more.
    pub(crate) fn finish(self, passed_over: u64, reason: &str, more: Option<(&str, Value)>) -> Result<Made> {
        let (job, set) = (self.job, self.job.pairs());
        if self.learned == 0 {
            return Err(Error::NothingDerived { pairs: set.name.clone(), passed_over: reason.to_owned() });
        }
        tracing::info!("{}: {} pairs{reason}", job.label(), self.given.len());
        let (pairs, unseen) = part_derived(self.learned, &self.given, set.pair.held_out_share, job.seed())?;
        tell_unseen(&job.label(), &unseen);
        let mut statistics = counts(&pairs, passed_over, unseen);
        if let Some((name, value)) = more {
            statistics[name] = value;
        }
        job.write(self.made, &self.ids, &pairs, statistics)
    }
}

/// What `made` pairs take whose texts have one to `parts` parts, of so many bytes each.
pub(crate) fn made_effort(estimate: &Estimate<'_>, made: usize, parts: usize, part_bytes: f64) -> Effort {
    let texts = 2.0 * made as f64;
    let bytes = texts * (1.0 + parts as f64) / 2.0 * part_bytes;
    let tokens = bytes / estimate.survey.bytes_per_token().max(1.0);
    let texts_bytes = bytes * PACKED + estimate.token_bytes(tokens, texts);
    Effort { wall_s: estimate.encode_s(bytes), texts_bytes, ..Effort::default() }
}
