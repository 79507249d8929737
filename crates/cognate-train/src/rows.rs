//! Rows of related documents, as in In-Context Pretraining (Shi et al. 2023, arXiv 2310.10638): what stands before a document in
//! its context is one that it has to do with.

use cognate_corpus::TokenFile;

use crate::Piece;

/// Cuts chains of related documents, by their numbers in `file`, into rows of `context` tokens; the last row of a chain is shorter, for
/// no row goes on in another chain. A document that a row's end cuts goes on in the next row.
pub fn related_rows(file: &TokenFile, chains: &[Vec<u32>], context: usize) -> Vec<Vec<Piece>> {
    let mut rows = Vec::new();
    for chain in chains {
        let (mut row, mut room) = (Vec::new(), context);
        for &document in chain {
            let (mut from, len) = (0, file.len(document as usize));
            while from < len && context > 0 {
                let to = len.min(from + room);
                row.push(Piece { document, from, to });
                room -= to - from;
                from = to;
                if room == 0 {
                    rows.push(std::mem::take(&mut row));
                    room = context;
                }
            }
        }
        if !row.is_empty() {
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::token_file;

    #[test]
    fn rows_are_full_and_hold_one_chain_in_its_order() {
        // Tokens of documents 0 to 4, their ends included.
        let lengths = [4, 3, 3, 12, 2];
        let (_folder, file) = token_file(&lengths.map(|len| vec![7; len]));
        let piece = |document, from, to| Piece { document, from, to };
        let rows = related_rows(&file, &[vec![2, 0, 1], vec![4, 3]], 5);
        assert_eq!(
            rows,
            [
                vec![piece(2, 0, 3), piece(0, 0, 2)],
                vec![piece(0, 2, 4), piece(1, 0, 3)],
                vec![piece(4, 0, 2), piece(3, 0, 3)],
                vec![piece(3, 3, 8)],
                vec![piece(3, 8, 12)]
            ]
        );
    }
}
