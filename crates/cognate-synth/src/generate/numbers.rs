//! Which documents a generation writes: from which number on, in which steps, and up to where.

use std::fmt;
use std::str::FromStr;

use cognate_base::Unit;
use serde_json::Value;

use super::config::GenerateConfig;

/// When a generation stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// With the first document at which the drawn tokens of all documents so far reach this.
    Tokens(u64),
    /// With this many documents. Of a [`Part`], those among them that are its own.
    Documents(u64),
}

impl Target {
    /// The setting's name and value.
    pub(crate) fn setting(self) -> (&'static str, u64) {
        match self {
            Self::Tokens(tokens) => ("target_tokens", tokens),
            Self::Documents(documents) => ("target_documents", documents),
        }
    }
}

/// One of several parts of a generation: the documents whose number is `index` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which part, from 0 on.
    pub index: u64,
    /// How many parts there are.
    pub of: u64,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err("expected I/N with I from 0 to N − 1, such as 0/4".to_owned()),
        }
    }
}

impl From<Part> for Value {
    fn from(part: Part) -> Self {
        part.to_string().into()
    }
}

/// The numbers of a generation's documents, in order, and where they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    first: u64,
    pub(crate) step: u64,
    /// The number that is not wanted any more.
    end: u64,
    /// Drawn tokens after which it is enough.
    tokens: u64,
}

impl Numbers {
    pub(crate) fn of(config: &GenerateConfig) -> Self {
        let Part { index, of } = config.shard.unwrap_or(Part { index: 0, of: 1 });
        let begin = config.first_document;
        let first = begin + (index + of - begin % of) % of;
        match config.target {
            Target::Tokens(tokens) => Self { first, step: of, end: u64::MAX, tokens },
            Target::Documents(documents) => {
                Self { first, step: of, end: begin.saturating_add(documents), tokens: u64::MAX }
            }
        }
    }

    /// `documents` documents, whatever their length.
    pub(crate) fn first_few(documents: u64) -> Self {
        Self { first: 0, step: 1, end: documents, tokens: u64::MAX }
    }

    /// Documents with `tokens` tokens in all.
    #[cfg(test)]
    pub(crate) fn until(tokens: u64) -> Self {
        Self { first: 0, step: 1, end: u64::MAX, tokens }
    }

    /// The number that follows `documents` documents.
    pub(crate) fn after(&self, documents: u64) -> u64 {
        self.first + documents * self.step
    }

    /// Whether `number` is one of them, wanted or not.
    pub(crate) fn holds(&self, number: u64) -> bool {
        number >= self.first && (number - self.first).is_multiple_of(self.step)
    }

    /// Whether the documents before `next` are enough, `tokens` being theirs.
    pub(crate) fn reached(&self, next: u64, tokens: u64) -> bool {
        next >= self.end || tokens >= self.tokens
    }

    /// What a progress bar counts, and how much of it there is.
    pub(crate) fn total(&self) -> (u64, Unit) {
        match self.end {
            u64::MAX => (self.tokens, Unit::Tokens),
            end => (end.saturating_sub(self.first).div_ceil(self.step), Unit::Documents),
        }
    }

    /// How much of [`Self::total`] is done before the document `next`, with `tokens` drawn.
    pub(crate) fn done(&self, next: u64, tokens: u64) -> u64 {
        match self.end {
            u64::MAX => tokens.min(self.tokens),
            _ => next.saturating_sub(self.first) / self.step,
        }
    }
}
