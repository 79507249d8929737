//! `reorder`: from a document's sentences in another order, the document.

use cognate_base::random::{ChaCha8Rng, SliceRandom};

use super::{Derived, PassedOver, Piece, Side};

/// The sentences of a piece in an order drawn at random that is not their own, with single spaces between them, and the piece as it is. The
/// shuffled side is the source, as the paper says (section 3.1); the released code has them the other way round.
///
/// # Errors
/// When there are not two different sentences.
pub fn reorder(piece: &Piece, random: &mut ChaCha8Rng) -> Result<Derived, PassedOver> {
    let own: Vec<&str> = piece.sentences.iter().map(|sentence| sentence.text.as_str()).collect();
    if own.iter().all(|text| *text == own[0]) {
        return Err(PassedOver::TooFewSentences);
    }
    let mut order = own.clone();
    // There are at least two texts, so half of all orders or more are others.
    while order == own {
        order.shuffle(random);
    }
    Ok(Derived { source: Side::Text(order.join(" ")), target: Side::Tokens(piece.tokens.clone()) })
}

#[cfg(test)]
mod tests {
    use cognate_base::random;

    use super::super::tests::{piece, tokens};
    use super::*;

    fn source(derived: &Derived) -> &str {
        match &derived.source {
            Side::Text(text) => text,
            Side::Tokens(_) => panic!("tokens"),
        }
    }

    #[test]
    fn the_source_is_shuffled_and_the_target_is_the_document() {
        let piece = piece(&[3, 4, 2]);
        let mut seen = std::collections::BTreeSet::new();
        for item in 0..200 {
            let made = reorder(&piece, &mut random::stream(1, "t", item)).unwrap();
            assert_eq!(tokens(&made.target), &piece.tokens[..]);
            let mut sentences: Vec<&str> = source(&made).split_inclusive(". ").map(str::trim).collect();
            seen.insert(source(&made).to_owned());
            sentences.sort_unstable();
            assert_eq!(sentences, ["Sentence 0.", "Sentence 1.", "Sentence 2."]);
        }
        // Of six orders all but its own.
        assert_eq!(seen.len(), 5);
        assert!(!seen.contains("Sentence 0. Sentence 1. Sentence 2."));
    }

    #[test]
    fn one_sentence_or_the_same_again_has_no_other_order() {
        let refused = |piece: &Piece| reorder(piece, &mut random::stream(1, "t", 0)).unwrap_err();
        let mut same = piece(&[3, 4]);
        same.sentences[1].text = same.sentences[0].text.clone();
        for piece in [piece(&[5]), piece(&[]), same] {
            assert_eq!(refused(&piece), PassedOver::TooFewSentences);
        }
    }
}
