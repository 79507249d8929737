//! `next-sentences`: from the beginning of a document, what follows.

use cognate_base::random::{ChaCha8Rng, RngExt as _};

use super::{Derived, PassedOver, Piece, Side};

/// Tokens of a target, at most (section 4.2 of the paper).
const MOST: usize = 256;
/// Tokens of a target, at least: 0.3 · 256, below which the paper drops it.
const LEAST: usize = 77;

/// The first sentences of a piece, and at most 256 tokens of the sentences that follow. Where it is parted is drawn from the ends of sentences
/// behind which at least 77 tokens follow. The paper parts behind 512 tokens, which most documents of a small corpus do not have.
///
/// # Errors
/// When there is no such end, or the whole sentences that follow have too few tokens within 256.
pub fn next_sentences(piece: &Piece, random: &mut ChaCha8Rng) -> Result<Derived, PassedOver> {
    let (all, ends) = (piece.tokens.len(), piece.sentences.iter().map(|sentence| sentence.end));
    let inner: Vec<usize> = ends.filter(|end| *end < all).collect();
    if inner.is_empty() {
        return Err(PassedOver::TooFewSentences);
    }
    let possible: Vec<usize> = inner.iter().copied().filter(|end| all - end >= LEAST).collect();
    if possible.is_empty() {
        return Err(PassedOver::TooShort);
    }
    let from = possible[random.random_range(0..possible.len())];
    // Whole sentences where they fit, as far as 77 tokens are left; else it ends where 256 do.
    let last = inner.iter().copied().chain([all]).rfind(|end| *end <= from + MOST);
    let to = last.filter(|end| *end >= from + LEAST).unwrap_or(from + MOST);
    let side = |range: std::ops::Range<usize>| Side::Tokens(piece.tokens[range].to_vec());
    Ok(Derived { source: side(0..from), target: side(from..to) })
}

#[cfg(test)]
mod tests {
    use cognate_base::random;

    use super::super::tests::{piece, tokens};
    use super::*;

    #[test]
    fn the_target_follows_the_source_and_ends_with_a_sentence() {
        // Behind 40, 80, 120, 160 and 200 tokens there are 77 or more; behind 240 are 40 only.
        let piece = piece(&[40; 7]);
        let mut starts = std::collections::BTreeSet::new();
        for item in 0..200 {
            let made = next_sentences(&piece, &mut random::stream(1, "t", item)).unwrap();
            let (source, target) = (tokens(&made.source), tokens(&made.target));
            assert_eq!([source, target].concat(), &piece.tokens[..source.len() + target.len()]);
            starts.insert(source.len());
            let expected = (280 - source.len()).min(240);
            assert_eq!(target.len(), expected, "whole sentences, at most 256 tokens");
        }
        assert_eq!(starts.into_iter().collect::<Vec<_>>(), [40, 80, 120, 160, 200]);
    }

    #[test]
    fn the_bounds_are_those_of_the_paper() {
        let made = |lengths: &[usize]| next_sentences(&piece(lengths), &mut random::stream(1, "t", 0));
        let length = |lengths: &[usize]| made(lengths).map(|made| tokens(&made.target).len());
        assert_eq!(length(&[10, 77]), Ok(77));
        assert_eq!(length(&[10, 76]), Err(PassedOver::TooShort));
        assert_eq!(length(&[10, 256]), Ok(256));
        assert_eq!(length(&[10, 257]), Ok(256), "no sentence ends within, so it is cut");
        assert_eq!(length(&[10, 76, 300]).map(|tokens| tokens <= 256), Ok(true));
        // A sentence that ends with the 256th token is whole, and the one before is not the last.
        let lengths: Vec<[usize; 2]> = (0..20)
            .map(|item| next_sentences(&piece(&[10, 100, 156, 50]), &mut random::stream(1, "t", item)).unwrap())
            .map(|made| [tokens(&made.source).len(), tokens(&made.target).len()])
            .collect();
        assert!(
            lengths.contains(&[10, 256]) && lengths.iter().all(|of| [[10, 256], [110, 206]].contains(of)),
            "{lengths:?}"
        );
        assert_eq!(length(&[300]), Err(PassedOver::TooFewSentences));
        assert_eq!(length(&[]), Err(PassedOver::TooFewSentences));
    }
}
