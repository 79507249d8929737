//! Which tokens a model has a row for. A tokenizer may know more of them than the embedding has rows, or fewer: only a token that
//! occurs is asked about.

use cognate_corpus::Tokenizer;

use crate::error::{Error, Result};

/// The rows of an embedding, and the tokenizer that numbers them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    /// Rows of the embedding.
    pub(crate) rows: usize,
}

impl Rows<'_> {
    /// Refuses tokens of `item` that have no row.
    pub(crate) fn check(&self, tokens: &[u32], item: impl FnOnce() -> String) -> Result<()> {
        match tokens.iter().find(|&&id| id as usize >= self.rows) {
            None => Ok(()),
            Some(&id) => {
                let token = self.tokenizer.token(id).unwrap_or_default();
                Err(Error::NoRow { item: item(), token, id, rows: self.rows })
            }
        }
    }
}
