//! Rows of related documents, as in In-Context Pretraining (Shi et al. 2023, arXiv 2310.10638): what stands before a document in
//! its context is one that it has to do with.

use std::collections::VecDeque;

use cognate_corpus::TokenFile;

use crate::source::len_tokens;
use crate::{Piece, Row};

/// Cuts chains of related documents, by their numbers in `file`, into rows of `context` tokens. A document that a row's end cuts goes on
/// in the next row. What is left at a chain's end is less than a row: such ends stand behind each other in rows of their own, each in a
/// segment of its own, so no attention reaches from one chain into another. The last of these rows is filled up with the first ends
/// again: every row has `context` tokens, and fewer than `context` tokens come twice.
///
/// # Panics
/// When `context` is 0.
pub fn related_rows(file: &TokenFile, chains: &[Vec<u32>], context: usize) -> Vec<Row> {
    assert!(context > 0, "a context has room for a token");
    let (mut rows, mut ends) = (Vec::new(), Vec::new());
    for chain in chains {
        let whole = |&document: &u32| Piece { document, from: 0, to: file.len(document as usize) };
        let mut rest: VecDeque<Piece> = chain.iter().map(whole).filter(|piece| piece.to > 0).collect();
        let mut left = len_tokens(&rest);
        while left >= context {
            rows.push(vec![take(&mut rest, context)]);
            left -= context;
        }
        if left > 0 {
            ends.push(rest);
        }
    }
    let mut left = ends.iter().map(len_tokens).sum::<usize>().next_multiple_of(context);
    let mut row = Row::new();
    for mut end in ends.iter().cycle().cloned() {
        while left > 0 && !end.is_empty() {
            let segment = take(&mut end, (left - 1) % context + 1);
            left -= len_tokens(&segment);
            row.push(segment);
            if left.is_multiple_of(context) {
                rows.push(std::mem::take(&mut row));
            }
        }
        if left == 0 {
            break;
        }
    }
    rows
}

/// Takes the first `tokens` tokens away, or all where there are fewer.
fn take(rest: &mut VecDeque<Piece>, tokens: usize) -> Vec<Piece> {
    let (mut taken, mut room) = (Vec::new(), tokens);
    while room > 0
        && let Some(mut piece) = rest.pop_front()
    {
        let to = piece.to.min(piece.from + room);
        room -= to - piece.from;
        taken.push(Piece { to, ..piece });
        if to < piece.to {
            piece.from = to;
            rest.push_front(piece);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::train::tests::token_file;
    use crate::{PlainStream, Source, Stream};

    fn file(lengths: &[usize]) -> (tempfile::TempDir, TokenFile) {
        token_file(&lengths.iter().map(|&len| vec![7; len]).collect::<Vec<_>>())
    }

    fn piece(document: u32, from: usize, to: usize) -> Piece {
        Piece { document, from, to }
    }

    #[test]
    fn a_row_holds_one_chain_in_its_order_or_the_ends_of_several() {
        // Tokens of documents 0 to 4, their ends included.
        let (_folder, file) = file(&[4, 3, 3, 12, 2]);
        assert_eq!(
            related_rows(&file, &[vec![2, 0, 1], vec![4, 3]], 5),
            [
                vec![vec![piece(2, 0, 3), piece(0, 0, 2)]],
                vec![vec![piece(0, 2, 4), piece(1, 0, 3)]],
                vec![vec![piece(4, 0, 2), piece(3, 0, 3)]],
                vec![vec![piece(3, 3, 8)]],
                // The only end, and one of its tokens again.
                vec![vec![piece(3, 8, 12)], vec![piece(3, 8, 9)]],
            ]
        );
        assert_eq!(
            related_rows(&file, &[vec![1], vec![2, 4], vec![0], vec![3]], 6),
            [
                vec![vec![piece(3, 0, 6)]],
                vec![vec![piece(3, 6, 12)]],
                vec![vec![piece(1, 0, 3)], vec![piece(2, 0, 3)]],
                vec![vec![piece(4, 0, 2)], vec![piece(0, 0, 4)]],
            ]
        );
        // A corpus of less than a row.
        let twice = vec![vec![piece(4, 0, 2)], vec![piece(4, 0, 2)], vec![piece(4, 0, 1)]];
        assert_eq!(related_rows(&file, &[vec![4]], 5), [twice]);
        assert_eq!(related_rows(&file, &[], 5), Vec::<Row>::new());
    }

    #[test]
    fn an_empty_document_is_in_no_row() {
        let (_folder, file) = file(&[2, 0, 3, 0]);
        assert_eq!(related_rows(&file, &[vec![1, 0, 1, 2], vec![3]], 5), [vec![vec![piece(0, 0, 2), piece(2, 0, 3)]]]);
        assert_eq!(related_rows(&file, &[vec![3], vec![1, 0]], 2), [vec![vec![piece(0, 0, 2)]]]);
        assert_eq!(related_rows(&file, &[vec![3]], 2), Vec::<Row>::new());
    }

    proptest! {
        #[test]
        fn rows_are_full_and_fill_batches_without_being_cut(
            chains in prop::collection::vec(prop::collection::vec(1usize..30, 1..6), 1..8), context in 2usize..20, whole in 1usize..4, seed in 0u64..9,
        ) {
            let lengths = chains.concat();
            let (_folder, file) = file(&lengths);
            let mut numbers = 0..lengths.len() as u32;
            let chains: Vec<Vec<u32>> = chains.iter().map(|chain| numbers.by_ref().take(chain.len()).collect()).collect();
            let rows = related_rows(&file, &chains, context);
            let of = |document: u32| chains.iter().position(|chain| chain.contains(&document));
            for row in &rows {
                prop_assert_eq!(len_tokens(row.iter().flatten()), context);
                for segment in row {
                    prop_assert!(segment.windows(2).all(|two| of(two[0].document) == of(two[1].document)));
                }
            }
            let total = file.tokens() as usize;
            prop_assert_eq!(rows.len(), total.div_ceil(context));
            // Three epochs and a part of a batch more.
            let batch = whole * context;
            let steps = (3 * total / batch + 1) as u64;
            let stream = |batch_tokens: usize| {
                let tokens = steps * batch_tokens as u64;
                let source = Source { name: "u".into(), file: file.clone(), rows: Some(rows.clone()), tokens, repeat: true };
                PlainStream::new(vec![source], steps, batch_tokens, context, 0, seed).unwrap()
            };
            let aligned = stream(batch);
            prop_assert_eq!(aligned.cut_rows(), 0);
            let mut filled = cognate_model::Batch::new();
            for step in 0..steps {
                aligned.fill(step, &mut filled);
                prop_assert_eq!(filled.len(), batch);
                let starts: Vec<usize> = filled.segments().map(|segment| segment.start).collect();
                prop_assert!((0..batch).step_by(context).all(|start| starts.contains(&start)), "{:?}", starts);
            }
            // A token more a batch: each batch but the last that does not end with a row cuts one.
            let cut = (1..steps as usize).filter(|step| step * (batch + 1) % context != 0).count();
            prop_assert_eq!(stream(batch + 1).cut_rows(), cut as u64);
        }
    }
}
