//! Rows of related documents, as in In-Context Pretraining (Shi et al. 2023, arXiv 2310.10638): what stands before a document in
//! its context is one that it has to do with.

use cognate_corpus::TokenFile;

/// Cuts chains of related documents, by their numbers in `file`, into rows of whole documents: a row takes the chain's next document
/// as long as the row's tokens stay within `context`. A longer document is a row of its own. No row goes on in another chain, so
/// that two documents of one row are always neighbours in a chain, or have only neighbours between them.
///
/// Shi et al. fill every context and cut documents at its ends; here none is cut, as in every other arm.
pub fn related_rows(file: &TokenFile, chains: &[Vec<u32>], context: usize) -> Vec<Vec<u32>> {
    let mut rows = Vec::new();
    for chain in chains {
        let (mut row, mut tokens) = (Vec::new(), 0);
        for &document in chain {
            let len = file.len(document as usize);
            if tokens > 0 && tokens + len > context {
                rows.push(std::mem::take(&mut row));
                tokens = 0;
            }
            row.push(document);
            tokens += len;
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
    fn rows_are_whole_documents_of_one_chain_in_its_order() {
        // Tokens of documents 0 to 7, their ends included.
        let lengths = [4, 3, 3, 12, 2, 5, 5, 1];
        let (_folder, file) = token_file(&lengths.map(|len| vec![7; len]));
        let chains = [vec![6, 0, 5, 1], vec![2], vec![4, 3, 7]];
        let rows = related_rows(&file, &chains, 10);
        assert_eq!(rows, [vec![6, 0], vec![5, 1], vec![2], vec![4], vec![3], vec![7]]);
        assert_eq!(related_rows(&file, &chains, 100), chains);
        assert_eq!(rows.concat(), chains.concat(), "every document once, in the order of the chains");
    }
}
