//! The tokenize stage: a document file becomes a token file, document for document.

use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Silent, Unit};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::reader::{ReadOptions, Reader};
use crate::token_file::{TokenFile, TokenWriter};
use crate::tokenizer::Tokenizer;

/// Texts encoded at a time: enough to keep the threads busy, little enough to hold in memory.
const BATCH_BYTES: usize = 4 << 20;

/// What a token file was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizeStats {
    /// Documents read and written.
    pub documents: u64,
    /// Tokens written, end-of-document tokens included.
    pub tokens: u64,
    /// Bytes of text in UTF-8.
    pub bytes: u64,
}

/// Writes `<prefix>.bin` and `<prefix>.idx` with the documents of a file, in its order: the tokens of each text, closed
/// by the end-of-document token.
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
    let mut bytes = 0;
    monitor.begin("tokenizing", Some(reader.total_bytes()), Unit::Bytes);
    loop {
        let texts = next_batch(&mut reader)?;
        if texts.is_empty() {
            break;
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (text, mut tokens) in texts.iter().zip(tokenizer.encode_batch(&texts)?) {
            tokens.push(tokenizer.end_of_document());
            writer.push(&tokens)?;
            bytes += text.len() as u64;
        }
        monitor.check()?;
        monitor.advance(reader.read_bytes(), "");
    }
    monitor.end();
    let written = writer.finish()?;
    Ok(TokenizeStats { documents: written.documents, tokens: written.tokens, bytes })
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
        let mut expected = tokenizer.encode(&document.text)?;
        expected.push(tokenizer.end_of_document());
        if tokens.document(at) != expected {
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

fn next_batch(reader: &mut Reader<'_>) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES {
        let Some(record) = reader.next() else { break };
        let text = record?.1.text;
        // An empty text counts as well, or a file of them would be one batch.
        bytes += text.len() + 64;
        texts.push(text);
    }
    Ok(texts)
}
