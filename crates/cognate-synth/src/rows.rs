//! Which tokens a synthesizer has a row for, and which of its rows have a token: a tokenizer may know more tokens than the embedding
//! has rows, or fewer.

use cognate_corpus::Tokenizer;

use crate::error::{Error, Result};

/// Refuses tokens of `item` that have no row among `rows`.
pub(crate) fn check(tokens: &[u32], rows: usize, tokenizer: &Tokenizer, item: impl FnOnce() -> String) -> Result<()> {
    match tokens.iter().find(|&&id| id as usize >= rows) {
        None => Ok(()),
        Some(&id) => Err(Error::NoRow { item: item(), token: tokenizer.token(id).unwrap_or_default(), id, rows }),
    }
}

/// Refuses a synthesizer without rows for the tokens that frame a document.
pub(crate) fn check_frame(rows: usize, tokenizer: &Tokenizer) -> Result<()> {
    let frame = [tokenizer.end_of_document(), tokenizer.related()?];
    check(&frame, rows, tokenizer, || "a document's frame".to_owned())
}
