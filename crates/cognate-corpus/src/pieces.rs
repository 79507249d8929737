//! Long documents in pieces: cut between paragraphs, where one is too long between its sentences, then between words, then between
//! characters. The pieces in a row are the text, to the last byte.
//!
//! How long a piece is, a tokenizer says. Where none is given, none exists yet: it is trained on what ingest writes. Then [`TOKEN_BYTES`]
//! bytes of UTF-8 count as a token.

use std::collections::HashMap;
use std::sync::Arc;

use cognate_base::Monitor;
use unicode_segmentation::UnicodeSegmentation;

use crate::document::Document;
use crate::error::Result;
use crate::tokenizer::Tokenizer;
use crate::watched::watched;

/// Bytes that count as a token before there is a tokenizer: fewer than one makes of text that it was trained on, but for small vocabularies, so
/// that pieces are shorter than they may be rather than longer.
pub const TOKEN_BYTES: usize = 3;
/// Bytes that a token stands for at most on average over a text: the longest ones of published vocabularies are runs of 128 spaces. A text of
/// more is too long, and is not encoded to know it.
const LONGEST_TOKEN: usize = 256;
/// Bytes from which on encoding a text takes longer than anybody should wait to be heard.
const WATCHED_BYTES: usize = 64 << 10;

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
    /// How long a text is, in what the limit is in; for one that is far too long no more than that it is.
    fn length(&self, text: &str, monitor: &dyn Monitor) -> Result<usize> {
        let Some(tokenizer) = &self.tokenizer else { return Ok(text.len()) };
        if text.len() / LONGEST_TOKEN > self.limit() {
            return Ok(usize::MAX);
        }
        if text.len() < WATCHED_BYTES {
            return Ok(tokenizer.encode(text)?.len());
        }
        let (tokenizer, text) = (tokenizer.clone(), text.to_owned());
        Ok(watched(monitor, move || tokenizer.encode(&text))??.len())
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
        self.part(text, 0, Some(Level::Paragraph), &mut units, monitor)?;
        let (limit, mut ends, mut at, mut start) = (self.limit(), Vec::new(), 0, 0);
        while at < units.len() {
            monitor.check()?;
            let (mut to, mut length) = (at + 1, units[at].length);
            while to < units.len() && length.saturating_add(units[to].length) <= limit {
                length += units[to].length;
                to += 1;
            }
            // A tokenizer may make more of a whole than of its parts.
            while to > at + 1 && self.length(&text[start..units[to - 1].end], monitor)? > limit {
                to -= 1;
            }
            start = units[to - 1].end;
            ends.push(start);
            at = to;
        }
        Ok(ends)
    }

    /// Adds the units of `text`, which begins at `offset` of its document and is cut at `level` where it is too long; a character is not cut.
    fn part(
        &self,
        text: &str,
        offset: usize,
        level: Option<Level>,
        units: &mut Vec<Unit>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        monitor.check()?;
        let length = self.length(text, monitor)?;
        let Some(level) = level.filter(|_| length > self.limit()) else {
            units.push(Unit { end: offset + text.len(), length });
            return Ok(());
        };
        let mut starts = level.starts(text);
        starts.push(text.len());
        let mut from = 0;
        for to in starts {
            self.part(&text[from..to], offset + from, level.finer(), units, monitor)?;
            from = to;
        }
        Ok(())
    }
}

/// Where documents were cut, by their number among all records.
#[derive(Debug, Default)]
pub(crate) struct Cuttings(HashMap<usize, Arc<[usize]>>);

impl Cuttings {
    /// Documents that were cut, and the pieces of all of them.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.0.len() as u64, self.0.values().map(|ends| ends.len() as u64).sum())
    }

    /// Remembers where a record is cut.
    pub(crate) fn add(&mut self, record: usize, ends: Vec<usize>) {
        self.0.insert(record, ends.into());
    }

    /// A record as the documents that it becomes; none where its text is not the one that was cut.
    pub(crate) fn parts(&self, record: usize, document: Document) -> Option<Parts> {
        let ends = self.0.get(&record).cloned();
        if let Some(ends) = &ends {
            let fits = ends.iter().all(|end| document.text.is_char_boundary(*end));
            if !fits || ends.last() != Some(&document.text.len()) {
                return None;
            }
        }
        Some(Parts { document: Some(document), ends, at: 0 })
    }
}

/// The documents that a record becomes, each made when its turn comes: all of them together hold the metadata as often as there are pieces.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The record, as long as there is something left of it.
    document: Option<Document>,
    /// Where its pieces end; none where it is not cut.
    ends: Option<Arc<[usize]>>,
    /// Pieces so far.
    at: usize,
}

impl Iterator for Parts {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        let Some(ends) = &self.ends else { return self.document.take() };
        let document = self.document.as_ref()?;
        let from = self.at.checked_sub(1).map_or(0, |before| ends[before]);
        let part = Document {
            id: format!("{}#{}", document.id, self.at + 1),
            text: document.text[from..ends[self.at]].to_owned(),
            group: document.group.clone().or_else(|| Some(document.id.clone())),
            metadata: document.metadata.clone(),
        };
        self.at += 1;
        if self.at == ends.len() {
            self.document = None;
        }
        Some(part)
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

    #[test]
    fn a_text_that_is_far_too_long_is_not_encoded_and_another_one_is_under_the_users_eye() {
        /// Interrupts at once.
        struct Stop;
        impl Monitor for Stop {
            fn begin(&self, _: &str, _: Option<u64>, _: cognate_base::Unit) {}
            fn advance(&self, _: u64, _: &str) {}
            fn end(&self) {}
            fn interrupted(&self) -> bool {
                true
            }
        }
        let cutter = |tokens| Cutter { tokens, tokenizer: Some(TRAINED.clone()) };
        let far = "The cat sat. ".repeat(100_000);
        // Encoding it would ask, and be told to stop.
        assert_eq!(cutter(17).length(&far, &Stop).unwrap(), usize::MAX);
        let error = cutter(1 << 20).length(&far, &Stop).unwrap_err();
        assert!(matches!(error, crate::Error::Interrupted(_)), "{error}");
        // As many bytes as tokens of the greatest length have may be one piece.
        let most = "a".repeat(16 * LONGEST_TOKEN);
        assert_eq!(cutter(17).length(&most, &Silent).unwrap(), TRAINED.encode(&most).unwrap().len());
    }

    #[test]
    fn pieces_hold_the_metadata_one_at_a_time() {
        let metadata = serde_json::json!({"long": "m".repeat(100_000)});
        let metadata = crate::Metadata::from(metadata.as_object().unwrap().clone());
        let text = "word ".repeat(3000);
        let document = Document { id: "a".into(), text, group: None, metadata };
        let mut cuttings = Cuttings::default();
        cuttings.add(0, (1..=3000).map(|piece| 5 * piece).collect());
        // The peak of another test in this process would be taken for its own.
        let Some(before) = cognate_base::process::peak_rss_bytes() else { return };
        let parts = cuttings.parts(0, document.clone()).unwrap();
        assert!(parts.zip(1..).all(|(part, n)| part.id == format!("a#{n}") && part.text == "word "));
        let grown = cognate_base::process::peak_rss_bytes().unwrap() - before;
        assert!(grown < 150_000_000, "{grown} of the 300 MB that all would hold");
        cuttings.add(1, vec![5, 7]);
        assert!(cuttings.parts(1, document).is_none(), "another text");
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
                    prop_assert!(cutter.length(piece, &Silent).unwrap() <= cutter.limit(), "{:?}", piece);
                    prop_assert!(!piece.is_empty() || text.is_empty());
                }
                if cutter.length(&text, &Silent).unwrap() <= cutter.limit() {
                    prop_assert_eq!(pieces.len(), 1);
                }
            }
        }
    }
}
