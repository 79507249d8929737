//! What the loss is measured on while a model is trained.

use cognate_base::random::{self, SliceRandom};
use cognate_corpus::TokenFile;
use cognate_model::ScoreItem;

/// Documents to measure the loss on, drawn once, in pieces of `context` tokens as training sees them.
pub fn validation_items(file: &TokenFile, documents: usize, context: usize, begin: u32, seed: u64) -> Vec<ScoreItem> {
    let mut order: Vec<usize> = (0..file.documents()).collect();
    order.shuffle(&mut random::stream(seed, "validation documents", 0));
    order.truncate(documents);
    order.sort_unstable();
    let mut items = Vec::new();
    for document in order {
        let tokens = file.document(document);
        for (i, piece) in tokens.chunks(context).enumerate() {
            let before = if i == 0 { begin } else { tokens[i * context - 1] };
            items.push(ScoreItem { prompt: vec![before], continuation: piece.to_vec() });
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use cognate_corpus::TokenWriter;

    use super::*;

    #[test]
    fn validation_pieces_hold_every_token_once() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("t");
        let mut writer = TokenWriter::create(&prefix, 100).unwrap();
        writer.push(&[5, 6, 7, 8, 9, 0]).unwrap();
        writer.push(&[4, 0]).unwrap();
        writer.finish().unwrap();
        let items = validation_items(&TokenFile::open(&prefix).unwrap(), 2, 4, 0, 1);
        let item =
            |prompt: u32, continuation: &[u32]| ScoreItem { prompt: vec![prompt], continuation: continuation.to_vec() };
        assert_eq!(items, [item(0, &[5, 6, 7, 8]), item(8, &[9, 0]), item(0, &[4, 0])]);
    }
}
