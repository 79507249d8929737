//! The tokenize stage: a document file becomes a token file, document for document.

use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Silent, Unit};
use serde::{Deserialize, Serialize};

use crate::document::Origin;
use crate::error::{Error, Result};
use crate::reader::{OnBadRecord, ReadOptions, Reader};
use crate::token_file::{TokenFile, TokenWriter};
use crate::tokenizer::Tokenizer;

/// Texts encoded at a time: enough to keep the threads busy, little enough to hold in memory.
const BATCH_BYTES: usize = 4 << 20;

/// Documents passed over that are named one by one; the others are counted.
const NAMED: u64 = 20;

/// What a token file was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizeStats {
    /// Documents read and written.
    pub documents: u64,
    /// Records passed over: no documents, or none that the tokenizer takes.
    #[serde(default)]
    pub rejected: u64,
    /// Tokens written, end-of-document tokens included.
    pub tokens: u64,
    /// Bytes of text in UTF-8.
    pub bytes: u64,
}

/// Writes `<prefix>.bin` and `<prefix>.idx` with the documents of a file, in its order: the tokens of each text, closed
/// by the end-of-document token. With [`OnBadRecord::Skip`], records that are no documents and documents that the tokenizer does not
/// take are passed over, named and counted; the token file then has fewer documents than the file.
///
/// # Errors
/// When a record is bad, a text cannot be encoded, a file cannot be read or written, or the user interrupts; nothing
/// then stands at the prefix.
pub fn tokenize(
    documents: &Path,
    options: &ReadOptions,
    tokenizer: &Tokenizer,
    prefix: &Path,
    monitor: &dyn Monitor,
) -> Result<TokenizeStats> {
    let mut reader = Reader::open(&[PathBuf::from(documents)], options, monitor)?;
    let mut writer = TokenWriter::create(prefix, tokenizer.vocab_size())?;
    let (mut bytes, mut rejected) = (0, 0);
    let mut pass_over = |origin: &Origin, problem: String| {
        rejected += 1;
        if rejected <= NAMED {
            tracing::warn!("{origin}: passed over: {problem}");
        }
    };
    monitor.begin("tokenizing", Some(reader.total_bytes()), Unit::Bytes);
    loop {
        let texts = next_batch(&mut reader)?;
        for record in reader.rejected() {
            pass_over(&record.origin, record.reason.to_string());
        }
        if texts.is_empty() {
            break;
        }
        for (text, tokens) in tokenizer.encode_watched(texts, monitor)? {
            let mut tokens = match (tokens, options.on_bad_record) {
                (Ok(tokens), _) => tokens,
                (Err(problem), OnBadRecord::Skip) => {
                    pass_over(&text.origin, format!("document {:?}: {problem}", text.id));
                    continue;
                }
                (Err(problem), OnBadRecord::Stop) => {
                    return Err(Error::Untokenizable { origin: text.origin, id: text.id, problem: Box::new(problem) });
                }
            };
            tokens.push(tokenizer.end_of_document());
            writer.push(&tokens)?;
            bytes += text.text.len() as u64;
        }
        monitor.check()?;
        monitor.advance(reader.read_bytes(), "");
    }
    monitor.end();
    let written = writer.finish()?;
    Ok(TokenizeStats { documents: written.documents, rejected, tokens: written.tokens, bytes })
}

/// Documents at the beginning of a file whose tokens are made again: another vocabulary shows in the first words.
const COMPARED: usize = 16;

/// Refuses a token file that another tokenizer made, or that was made of other documents than those of the file `documents`: the
/// first 16 of them are encoded again. `path` is where the tokenizer came from.
///
/// # Errors
/// [`Error::OtherTokens`], naming the files and the first document that differs; and when the documents cannot be read.
pub fn check_tokens(
    documents: &Path,
    options: &ReadOptions,
    tokens: &TokenFile,
    tokenizer: &Tokenizer,
    path: &Path,
) -> Result<()> {
    let reader = Reader::open(&[PathBuf::from(documents)], options, &Silent)?;
    for (at, record) in reader.take(COMPARED.min(tokens.documents())).enumerate() {
        let (_, document) = record?;
        // A text that cannot be encoded has no tokens in any file.
        let expected = tokenizer.encode(&document.text).ok().map(|mut expected| {
            expected.push(tokenizer.end_of_document());
            expected
        });
        if Some(tokens.document(at)) != expected {
            return Err(Error::OtherTokens {
                tokens: tokens.path().to_path_buf(),
                id: document.id,
                tokenizer: path.to_path_buf(),
                documents: documents.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// A document that waits for its tokens.
struct Text {
    origin: Origin,
    id: String,
    text: String,
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

fn next_batch(reader: &mut Reader<'_>) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let Some(record) = reader.next() else { break };
        let (origin, document) = record?;
        // An empty text counts as well, or a file of them would be one batch.
        bytes += document.text.len() + 64;
        texts.push(Text { origin, id: document.id, text: document.text });
    }
    Ok(texts)
}
