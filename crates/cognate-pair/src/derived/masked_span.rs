//! `masked-span`: from a document with a masked span, the span.

use cognate_base::random::{ChaCha8Rng, RngExt as _};

use super::{Derived, PassedOver, Piece, Side};

/// Tokens of a span, at least.
const LEAST: usize = 100;
/// Tokens of a span, below this.
const BELOW: usize = 256;
/// Of a span's tokens, the share that becomes the mask.
const MASKED: f64 = 0.8;
/// The share that becomes a random token; what is left stays.
const RANDOM: f64 = 0.1;

/// What stands in the place of tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// The mask.
    pub token: u32,
    /// The tokens that a random one is drawn from; not empty.
    pub ordinary: Vec<u32>,
}

/// A piece in which one span is masked, and the span. Its length is uniform from 100 to 255 tokens, its place too; a shorter piece than 256
/// tokens takes the lengths below its own, so that something is left to write it from. Each token of the span on its own is the mask (80 %), a random one (10 %) or itself (10 %), as section
/// 3.1 of the paper says. Its released code never comes to the random ones.
///
/// # Errors
/// When the piece has no more than 100 tokens.
pub fn masked_span(piece: &Piece, mask: &Mask, random: &mut ChaCha8Rng) -> Result<Derived, PassedOver> {
    let all = piece.tokens.len();
    if all <= LEAST {
        return Err(PassedOver::TooShort);
    }
    let length = random.random_range(LEAST..BELOW.min(all));
    let from = random.random_range(0..=all - length);
    let mut source = piece.tokens.clone();
    for token in &mut source[from..from + length] {
        let chance = random.random::<f64>();
        if chance < MASKED {
            *token = mask.token;
        } else if chance < MASKED + RANDOM {
            *token = mask.ordinary[random.random_range(0..mask.ordinary.len())];
        }
    }
    Ok(Derived { source: Side::Tokens(source), target: Side::Tokens(piece.tokens[from..from + length].to_vec()) })
}

#[cfg(test)]
mod tests {
    use cognate_base::random;

    use super::super::tests::{piece, tokens};
    use super::*;

    fn mask() -> Mask {
        Mask { token: 9_000, ordinary: (10_000..20_000).collect() }
    }

    #[test]
    fn eight_of_ten_tokens_of_the_span_are_masked_and_one_is_random() {
        let piece = piece(&[600]);
        let (mut counts, mut lengths, mut firsts) = ([0usize; 3], Vec::new(), Vec::new());
        for item in 0..2000 {
            let made = masked_span(&piece, &mask(), &mut random::stream(1, "t", item)).unwrap();
            let (source, target) = (tokens(&made.source), tokens(&made.target));
            assert_eq!(source.len(), 600);
            let from = target[0] as usize;
            assert_eq!(target, &piece.tokens[from..from + target.len()], "the target is what stood there");
            for (at, token) in source.iter().enumerate() {
                let kind = match token {
                    9_000 => 0,
                    10_000.. => 1,
                    _ => 2,
                };
                match (from..from + target.len()).contains(&at) {
                    true => counts[kind] += 1,
                    false => assert_eq!(*token, at as u32, "nothing beside the span changes"),
                }
            }
            lengths.push(target.len());
            firsts.push(from as f64 / (600 - target.len()) as f64);
        }
        let all = counts.iter().sum::<usize>() as f64;
        // Of 350,000 tokens: a standard error below 0.0007.
        for (count, share) in counts.iter().zip([0.8, 0.1, 0.1]) {
            assert!((*count as f64 / all - share).abs() < 0.004, "{counts:?}");
        }
        assert_eq!((*lengths.iter().min().unwrap(), *lengths.iter().max().unwrap()), (100, 255));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let lengths: Vec<f64> = lengths.iter().map(|length| *length as f64).collect();
        // Four standard errors of 2,000 draws.
        assert!((mean(&lengths) - 177.5).abs() < 4.1 && (mean(&firsts) - 0.5).abs() < 0.027);
    }

    #[test]
    fn a_short_piece_keeps_something_beside_its_span() {
        let made = |tokens| masked_span(&piece(&[tokens]), &mask(), &mut random::stream(1, "t", 0));
        assert_eq!(made(100), Err(PassedOver::TooShort));
        assert_eq!(made(0), Err(PassedOver::TooShort));
        assert_eq!(tokens(&made(101).unwrap().target).len(), 100);
        for item in 0..200 {
            let made = masked_span(&piece(&[130]), &mask(), &mut random::stream(1, "t", item)).unwrap();
            assert!((100..130).contains(&tokens(&made.target).len()));
        }
    }
}
