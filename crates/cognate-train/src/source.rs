//! What a stream of plain documents draws on: a token file, and the rows in which its documents stand.

use std::borrow::Cow;
use std::ops::Range;

use cognate_corpus::TokenFile;

use crate::{Error, Result};

/// Documents to train on, and how many of their tokens.
#[derive(Clone)]
pub struct Source {
    /// Name, for messages; each source's documents are shuffled by it.
    pub name: String,
    /// Tokenized documents.
    pub file: TokenFile,
    /// What stands together, in this order; all rows together hold every token of the file, and fewer than a context of them twice
    /// ([`crate::related_rows`] makes them). `None` where each document stands alone.
    pub rows: Option<Vec<Row>>,
    /// Tokens to take.
    pub tokens: u64,
    /// Whether documents come again once all have been seen; without it, too few tokens are an error.
    pub repeat: bool,
}

/// What is shuffled as one: segments of pieces of documents. Attention reaches back over the pieces of a segment, and not over two
/// segments.
pub type Row = Vec<Vec<Piece>>;

/// Tokens `from..to` of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its number in the file.
    pub document: u32,
    /// First token.
    pub from: usize,
    /// Behind the last token.
    pub to: usize,
}

/// Tokens of a segment.
pub(crate) fn len_tokens<'a>(segment: impl IntoIterator<Item = &'a Piece>) -> usize {
    segment.into_iter().map(|piece| piece.to - piece.from).sum()
}

/// Appends the tokens `range` of a segment, whose pieces follow each other.
pub(crate) fn read(file: &TokenFile, segment: &[Piece], range: Range<usize>, out: &mut Vec<u32>) {
    let mut start = 0;
    for &Piece { document, from, to } in segment {
        let end = start + to - from;
        if range.start < end && start < range.end {
            let part = range.start.max(start) - start + from..range.end.min(end) - start + from;
            file.read(document as usize, part, out);
        }
        start = end;
    }
}

impl Source {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.file.documents(), Vec::len)
    }

    /// A row: without rows, a whole document.
    pub(crate) fn row(&self, row: u32) -> Cow<'_, Row> {
        let alone = || vec![vec![Piece { document: row, from: 0, to: self.file.len(row as usize) }]];
        self.rows.as_ref().map_or_else(|| Cow::Owned(alone()), |rows| Cow::Borrowed(&rows[row as usize]))
    }

    /// Tokens of a row.
    pub(crate) fn row_tokens(&self, row: u32) -> usize {
        len_tokens(self.row(row).iter().flatten())
    }

    /// What a segment's first token follows: the token before it in its document, or `begin`.
    pub(crate) fn before(&self, segment: &[Piece], begin: u32) -> u32 {
        let Some(piece) = segment.first().filter(|piece| piece.from > 0) else { return begin };
        let mut token = Vec::with_capacity(1);
        self.file.read(piece.document as usize, piece.from - 1..piece.from, &mut token);
        token[0]
    }

    /// Refuses rows that do not hold every token, or as much as a context of tokens again.
    pub(crate) fn check_rows(&self, context: usize) -> Result<()> {
        let Some(rows) = &self.rows else { return Ok(()) };
        let refused = |document: usize, reason: &str| {
            Err(Error::Setting { field: "rows", value: format!("document {document}"), reason: reason.into() })
        };
        let mut pieces: Vec<Piece> = rows.iter().flatten().flatten().copied().collect();
        pieces.sort_unstable_by_key(|piece| (piece.document, piece.from));
        let (mut held, mut again) = (vec![0; self.file.documents()], 0);
        for Piece { document, from, to } in pieces {
            let document = document as usize;
            match held.get_mut(document) {
                None => return refused(document, "the file has no such document"),
                Some(held) if from < to && from <= *held && to <= self.file.len(document) => {
                    again += to.min(*held) - from;
                    *held = to.max(*held);
                }
                Some(_) => return refused(document, "a piece is not in it, or tokens before a piece are in no row"),
            }
        }
        if let Some(missing) = (0..held.len()).find(|&document| held[document] < self.file.len(document)) {
            return refused(missing, "the rows do not hold all of it");
        }
        if again >= context {
            let value = format!("{again} tokens that come twice");
            return Err(Error::Setting { field: "rows", value, reason: format!("expected fewer than {context}") });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::token_file;

    #[test]
    fn rows_hold_every_token_and_little_twice() {
        let (_folder, file) = token_file(&[vec![10, 11, 0], vec![20, 0], vec![30, 31, 32, 0]]);
        let piece = |document, from, to| Piece { document, from, to };
        let check = |rows: Vec<Vec<Piece>>| {
            let source =
                Source { name: "u".into(), file: file.clone(), rows: Some(vec![rows]), tokens: 9, repeat: true };
            source.check_rows(5).map_err(|error| error.to_string())
        };
        let all = vec![piece(2, 2, 4), piece(0, 0, 3), piece(1, 0, 2), piece(2, 0, 2)];
        assert_eq!(check(vec![all.clone()]), Ok(()));
        assert_eq!(check(vec![all.clone(), vec![piece(2, 0, 4)]]), Ok(()), "four tokens twice");
        let twice = check(vec![all.clone(), vec![piece(2, 0, 4), piece(0, 2, 3)]]).unwrap_err();
        assert_eq!(twice, "rows = 5 tokens that come twice: expected fewer than 5");
        let missing = "rows = document 1: the rows do not hold all of it";
        assert_eq!(check(vec![all[..2].to_vec(), vec![piece(2, 0, 2)]]).unwrap_err(), missing);
        let gap = "rows = document 2: a piece is not in it, or tokens before a piece are in no row";
        assert_eq!(check(vec![all[..3].to_vec()]).unwrap_err(), gap);
        assert_eq!(check(vec![all.clone(), vec![piece(2, 3, 5)]]).unwrap_err(), gap);
        assert_eq!(check(vec![all.clone(), vec![piece(2, 1, 1)]]).unwrap_err(), gap, "a piece of nothing");
        let none = "rows = document 3: the file has no such document";
        assert_eq!(check(vec![all, vec![piece(3, 0, 1)]]).unwrap_err(), none);
    }

    #[test]
    fn a_part_of_a_segment_is_read_across_its_pieces() {
        let (_folder, file) = token_file(&[vec![10, 11, 12, 13, 0], vec![20, 0], vec![30, 31, 32, 0]]);
        // 11 12 13 | 20 | 30 31 32 0
        let segment = [(0, 1, 4), (1, 0, 1), (2, 0, 4)].map(|(document, from, to)| Piece { document, from, to });
        let all = [11, 12, 13, 20, 30, 31, 32, 0];
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let mut out = vec![7];
                read(&file, &segment, from..to, &mut out);
                assert_eq!(out, [&[7], &all[from..to]].concat(), "{from}..{to}");
            }
        }
    }
}
