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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use cognate_base::Silent;
    use proptest::prelude::*;

    use super::*;

    static TRAINED: LazyLock<Tokenizer> = LazyLock::new(|| {
        let text = "the cat sat down then it went away. The cat sat on a mat.\n\nIt is there. A heading of some words.";
        Tokenizer::train(std::iter::repeat_n(text.to_owned(), 5), 340).unwrap()
    });

    fn bytes(tokens: usize) -> Cutter {
        Cutter { tokens, tokenizer: None }
    }

    fn pieces(cutter: &Cutter, text: &str) -> Vec<String> {
        let mut from = 0;
        let ends = cutter.ends(text, &Silent).unwrap();
        ends.into_iter().map(|to| text[std::mem::replace(&mut from, to)..to].to_owned()).collect()
    }

    #[test]
    fn paragraphs_come_before_sentences_and_these_before_words() {
        // 36 bytes: eleven tokens and a closing one count as twelve times three.
        let cut = |text: &str| pieces(&bytes(13), text);
        assert_eq!(
            cut("One two three.\n\nFour five.\n \nSix seven eight."),
            ["One two three.\n\nFour five.\n \n", "Six seven eight."]
        );
        assert_eq!(
            cut("A short one.\n\nThe first is longer. The second one is longer still."),
            ["A short one.\n\nThe first is longer. ", "The second one is longer still."]
        );
        assert_eq!(
            cut("a sentence that has no end and goes on, and on for ever"),
            ["a sentence that has no end and goes ", "on, and on for ever"]
        );
        assert_eq!(cut(&"x".repeat(80)), ["x".repeat(36), "x".repeat(36), "x".repeat(8)]);
        assert_eq!(cut("\u{732b}\u{5750}\u{5728}\u{57ab}\u{5b50}\u{4e0a}\u{732b}\u{5750}\u{5728}\u{57ab}\u{5b50}\u{4e0a}\u{732b}").len(), 2);
        // As long as may be, and one byte more.
        assert_eq!(cut(&format!("{} {}", "a".repeat(17), "b".repeat(18))).len(), 1);
        assert_eq!(cut(&format!("{} {}", "a".repeat(18), "b".repeat(18))).len(), 2);
    }

    #[test]
    fn a_tokenizer_counts_with_the_closing_token() {
        let text = "The cat sat on a mat. ".repeat(40);
        let all = TRAINED.encode(&text).unwrap().len();
        let exact = |tokens| pieces(&Cutter { tokens, tokenizer: Some(TRAINED.clone()) }, &text).len();
        assert_eq!((exact(all + 1), exact(all)), (1, 2));
    }

    proptest! {
        #[test]
        fn the_pieces_in_a_row_are_the_text(
            parts in prop::collection::vec("(\\PC{0,30}|[a-z ]{0,60}|[A-Z][a-z]{0,9}\\. |\n{1,3}| \r\n\t\r\n|\u{1F468}\u{200d}\u{1F469})", 0..20),
            tokens in 16usize..60,
        ) {
            let text = parts.concat();
            for cutter in [bytes(tokens), Cutter { tokens, tokenizer: Some(TRAINED.clone()) }] {
                let pieces = pieces(&cutter, &text);
                prop_assert_eq!(pieces.concat(), text.as_str());
                for piece in &pieces {
                    prop_assert!(cutter.length(piece).unwrap() <= cutter.limit(), "{:?}", piece);
                    prop_assert!(!piece.is_empty() || text.is_empty());
                }
                if cutter.length(&text).unwrap() <= cutter.limit() {
                    prop_assert_eq!(pieces.len(), 1);
                }
            }
        }
    }
}
