//! Long documents in pieces: cut between paragraphs, where one is too long between its sentences, then between words, then between
//! characters. The pieces in a row are the text, to the last byte.
//!
//! How long a piece is, a tokenizer says. Where none is given, none exists yet: it is trained on what ingest writes. Then [`TOKEN_BYTES`]
//! bytes of UTF-8 count as a token.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
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
/// Bytes of texts up to which it is remembered how long they are, and of how many it is.
const KNOWN_BYTES: usize = 16;
const MOST_KNOWN: usize = 1 << 16;

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
    fn starts(self, text: &str) -> Box<dyn Iterator<Item = usize> + '_> {
        let starts: Box<dyn Iterator<Item = usize> + '_> = match self {
            Self::Paragraph => Box::new(paragraphs(text)),
            Self::Sentence => Box::new(text.split_sentence_bound_indices().map(|(start, _)| start)),
            Self::Space => {
                let mut behind_space = false;
                let is_start = move |(start, word): (usize, &str)| {
                    let is_space = word.trim().is_empty();
                    let found = (!is_space && behind_space).then_some(start);
                    behind_space = is_space;
                    found
                };
                Box::new(text.split_word_bound_indices().filter_map(is_start))
            }
            Self::Word => Box::new(text.split_word_bound_indices().map(|(start, _)| start)),
            Self::Character => Box::new(text.char_indices().map(|(start, _)| start)),
        };
        Box::new(starts.filter(|start| *start > 0))
    }
}

/// Where paragraphs begin: behind blank lines.
fn paragraphs(text: &str) -> impl Iterator<Item = usize> + '_ {
    let (mut at, mut behind_blank) = (0, false);
    text.split_inclusive('\n').filter_map(move |line| {
        let (start, is_blank) = (at, line.trim().is_empty());
        let found = (behind_blank && !is_blank).then_some(start);
        behind_blank = is_blank;
        at += line.len();
        found
    })
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
        let mut pieces = Pieces {
            cutter: self,
            text,
            monitor,
            waiting: VecDeque::new(),
            length: 0,
            start: 0,
            ends: Vec::new(),
            known: HashMap::new(),
        };
        pieces.part(0..text.len(), Some(Level::Paragraph))?;
        while !pieces.waiting.is_empty() {
            pieces.end_one()?;
        }
        Ok(pieces.ends)
    }
}

/// The pieces of a text, made as its units come: no more of these is held than a piece has.
struct Pieces<'a> {
    cutter: &'a Cutter,
    text: &'a str,
    monitor: &'a dyn Monitor,
    /// Units that are in no piece yet. Bytes add up, so without a tokenizer these are one.
    waiting: VecDeque<Unit>,
    /// How long they are together; never more than the limit, but for a single one.
    length: usize,
    /// Where they begin.
    start: usize,
    ends: Vec<usize>,
    /// How long short texts are to the tokenizer: the characters of a text are few, and are asked for one by one.
    known: HashMap<Box<str>, usize>,
}

impl Pieces<'_> {
    /// Takes the units of a part of the text; where that is too long, of its parts by `level`, the last of which are characters, and stay
    /// whole.
    fn part(&mut self, part: Range<usize>, level: Option<Level>) -> Result<()> {
        self.monitor.check()?;
        let text = &self.text[part.clone()];
        let length = self.length_of(text)?;
        let Some(level) = level.filter(|_| length > self.cutter.limit()) else {
            return self.take(Unit { end: part.end, length });
        };
        let mut from = part.start;
        for to in level.starts(text).map(|start| part.start + start).chain([part.end]) {
            self.part(from..to, level.finer())?;
            from = to;
        }
        Ok(())
    }

    fn length_of(&mut self, text: &str) -> Result<usize> {
        if self.cutter.tokenizer.is_none() || text.len() > KNOWN_BYTES {
            return self.cutter.length(text, self.monitor);
        }
        if let Some(length) = self.known.get(text) {
            return Ok(*length);
        }
        let length = self.cutter.length(text, self.monitor)?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(text.into(), length);
        Ok(length)
    }

    /// Takes the next unit, behind pieces of those before where it does not fit to them.
    fn take(&mut self, unit: Unit) -> Result<()> {
        while !self.waiting.is_empty() && self.length.saturating_add(unit.length) > self.cutter.limit() {
            self.end_one()?;
        }
        self.length += unit.length;
        match self.waiting.back_mut() {
            Some(last) if self.cutter.tokenizer.is_none() => last.end = unit.end,
            _ => self.waiting.push_back(unit),
        }
        Ok(())
    }

    /// Makes a piece of as many of the waiting units as may be in one.
    fn end_one(&mut self) -> Result<()> {
        self.monitor.check()?;
        let mut to = self.waiting.len();
        // A tokenizer may make more of a whole than of its parts.
        while to > 1 {
            self.monitor.check()?;
            let whole = &self.text[self.start..self.waiting[to - 1].end];
            if self.cutter.length(whole, self.monitor)? <= self.cutter.limit() {
                break;
            }
            to -= 1;
        }
        self.start = self.waiting[to - 1].end;
        self.ends.push(self.start);
        self.waiting.drain(..to);
        self.length = self.waiting.iter().map(|unit| unit.length).sum();
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

    #[test]
    fn a_line_without_spaces_is_cut_in_the_memory_that_its_pieces_take() {
        // 24 bytes for each of its characters would be 200 MB.
        let text = "x".repeat(8 << 20);
        let Some(before) = cognate_base::process::peak_rss_bytes() else { return };
        let ends = bytes(100).ends(&text, &Silent).unwrap();
        let grown = cognate_base::process::peak_rss_bytes().unwrap() - before;
        assert_eq!(ends.len(), text.len().div_ceil(297));
        assert!(grown < 30_000_000, "{grown} bytes");
    }

    #[test]
    fn what_is_remembered_of_short_texts_is_bounded() {
        let cutter = Cutter { tokens: 17, tokenizer: Some(TRAINED.clone()) };
        let mut pieces = Pieces {
            cutter: &cutter,
            text: "",
            monitor: &Silent,
            waiting: VecDeque::new(),
            length: 0,
            start: 0,
            ends: Vec::new(),
            known: HashMap::new(),
        };
        for number in 0..MOST_KNOWN + 10 {
            let text = number.to_string();
            assert_eq!(pieces.length_of(&text).unwrap(), cutter.length(&text, &Silent).unwrap());
        }
        assert_eq!(pieces.known.len(), 10);
        assert_eq!(pieces.length_of("7").unwrap(), pieces.length_of("7").unwrap());
        pieces.length_of(&"a".repeat(KNOWN_BYTES + 1)).unwrap();
        assert_eq!(pieces.known.len(), 11, "a longer text is not remembered");
    }

    /// The pieces by their definition, from all units at once.
    fn defined(cutter: &Cutter, text: &str) -> Vec<usize> {
        fn units(cutter: &Cutter, text: &str, offset: usize, level: Option<Level>, found: &mut Vec<Unit>) {
            let length = cutter.length(text, &Silent).unwrap();
            let Some(level) = level.filter(|_| length > cutter.limit()) else {
                found.push(Unit { end: offset + text.len(), length });
                return;
            };
            let mut from = 0;
            for to in level.starts(text).chain([text.len()]) {
                units(cutter, &text[from..to], offset + from, level.finer(), found);
                from = to;
            }
        }
        let mut found = Vec::new();
        units(cutter, text, 0, Some(Level::Paragraph), &mut found);
        let (mut ends, mut at, mut start) = (Vec::new(), 0, 0);
        while at < found.len() {
            let length = |to: usize| found[at..to].iter().fold(0, |sum: usize, unit| sum.saturating_add(unit.length));
            let mut to =
                (at + 1..=found.len()).take_while(|to| *to == at + 1 || length(*to) <= cutter.limit()).last().unwrap();
            while to > at + 1 && cutter.length(&text[start..found[to - 1].end], &Silent).unwrap() > cutter.limit() {
                to -= 1;
            }
            start = found[to - 1].end;
            ends.push(start);
            at = to;
        }
        ends
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
                prop_assert_eq!(cutter.ends(&text, &Silent).unwrap(), defined(&cutter, &text));
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
