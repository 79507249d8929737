//! Long documents in pieces: cut between paragraphs, where one is too long between its sentences, then between words, then between
//! characters. The pieces in a row are the text, to the last byte.
//!
//! How long a piece is, a tokenizer says. Where none is given, none exists yet: it is trained on what ingest writes. Then [`TOKEN_BYTES`]
//! bytes of UTF-8 count as a token.

use std::collections::HashMap;

use cognate_base::Monitor;
use unicode_segmentation::UnicodeSegmentation;

use crate::document::Document;
use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// Bytes that count as a token before there is a tokenizer: fewer than one makes of text that it was trained on, but for small vocabularies, so
/// that pieces are shorter than they may be rather than longer.
pub const TOKEN_BYTES: usize = 3;

/// Cuts documents.
#[derive(Debug)]
pub struct Cutter {
    /// Tokens of a piece at most, the closing one included.
    pub tokens: usize,
    /// What counts them.
    pub tokenizer: Option<Tokenizer>,
}

/// Between what a text is cut, coarsest first.
#[derive(Clone, Copy, Debug)]
enum Level {
    Paragraph,
    Sentence,
    Space,
    Word,
    Character,
}

impl Level {
    fn finer(self) -> Option<Self> {
        Some(match self {
            Self::Paragraph => Self::Sentence,
            Self::Sentence => Self::Space,
            Self::Space => Self::Word,
            Self::Word => Self::Character,
            Self::Character => return None,
        })
    }

    /// Where the parts of a text begin, but for the first.
    fn starts(self, text: &str) -> Vec<usize> {
        let mut starts: Vec<usize> = match self {
            Self::Paragraph => paragraphs(text),
            Self::Sentence => text.split_sentence_bound_indices().map(|(start, _)| start).collect(),
            Self::Space => {
                let words = text.split_word_bound_indices();
                let mut behind_space = false;
                let is_start = |(start, word): (usize, &str)| {
                    let is_space = word.trim().is_empty();
                    let found = (!is_space && behind_space).then_some(start);
                    behind_space = is_space;
                    found
                };
                words.filter_map(is_start).collect()
            }
            Self::Word => text.split_word_bound_indices().map(|(start, _)| start).collect(),
            Self::Character => text.char_indices().map(|(start, _)| start).collect(),
        };
        starts.retain(|start| *start > 0);
        starts
    }
}

/// Where paragraphs begin: behind blank lines.
fn paragraphs(text: &str) -> Vec<usize> {
    let (mut starts, mut at, mut behind_blank) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if behind_blank && !is_blank {
            starts.push(at);
        }
        behind_blank = is_blank;
        at += line.len();
    }
    starts
}

/// A part of a text that is not cut: where it ends, and how long it is.
struct Unit {
    end: usize,
    length: usize,
}

impl Cutter {
    /// How long a text is, in what the limit is in.
    fn length(&self, text: &str) -> Result<usize> {
        match &self.tokenizer {
            Some(tokenizer) => Ok(tokenizer.encode(text)?.len()),
            None => Ok(text.len()),
        }
    }

    /// The length of a piece at most: the closing token is one of its tokens.
    fn limit(&self) -> usize {
        let tokens = self.tokens.saturating_sub(1).max(1);
        if self.tokenizer.is_some() { tokens } else { tokens * TOKEN_BYTES }
    }

    /// Where the pieces of a text end; the last one at its end. One piece where it is short enough.
    ///
    /// # Errors
    /// When the tokenizer does not take the text, or the user asked to stop.
    pub fn ends(&self, text: &str, monitor: &dyn Monitor) -> Result<Vec<usize>> {
        let mut units = Vec::new();
        self.part(text, 0, Level::Paragraph, &mut units, monitor)?;
        let (limit, mut ends, mut at, mut start) = (self.limit(), Vec::new(), 0, 0);
        while at < units.len() {
            monitor.check()?;
            let (mut to, mut length) = (at + 1, units[at].length);
            while to < units.len() && length + units[to].length <= limit {
                length += units[to].length;
                to += 1;
            }
            // A tokenizer may make more of a whole than of its parts.
            while to > at + 1 && self.length(&text[start..units[to - 1].end])? > limit {
                to -= 1;
            }
            start = units[to - 1].end;
            ends.push(start);
            at = to;
        }
        Ok(ends)
    }

    /// Adds the units of `text`, which begins at `offset` of its document.
    fn part(
        &self,
        text: &str,
        offset: usize,
        level: Level,
        units: &mut Vec<Unit>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        monitor.check()?;
        let length = self.length(text)?;
        let Some(finer) = level.finer().filter(|_| length > self.limit()) else {
            units.push(Unit { end: offset + text.len(), length });
            return Ok(());
        };
        let mut starts = level.starts(text);
        starts.push(text.len());
        let mut from = 0;
        for to in starts {
            self.part(&text[from..to], offset + from, finer, units, monitor)?;
            from = to;
        }
        Ok(())
    }
}

/// Where documents were cut, by their number among all records.
#[derive(Debug, Default)]
pub(crate) struct Cuttings(HashMap<usize, Vec<usize>>);

impl Cuttings {
    /// Documents that were cut, and the pieces of all of them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.len() as u64, self.0.values().map(|ends| ends.len() as u64).sum())
    }

    /// Remembers where a record is cut.
    pub(crate) fn add(&mut self, record: usize, ends: Vec<usize>) {
        self.0.insert(record, ends);
    }

    /// A record as the documents that it becomes; none where its text is not the one that was cut.
    pub(crate) fn parts(&self, record: usize, document: Document) -> Option<Vec<Document>> {
        let Some(ends) = self.0.get(&record) else { return Some(vec![document]) };
        let group = document.group.clone().unwrap_or_else(|| document.id.clone());
        let mut from = 0;
        let mut parts = Vec::with_capacity(ends.len());
        for (at, &to) in ends.iter().enumerate() {
            parts.push(Document {
                id: format!("{}#{}", document.id, at + 1),
                text: document.text.get(from..to)?.to_owned(),
                group: Some(group.clone()),
                metadata: document.metadata.clone(),
            });
            from = to;
        }
        (from == document.text.len()).then_some(parts)
    }
}
