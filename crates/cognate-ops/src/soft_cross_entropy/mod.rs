//! Cross-entropy of logits z (M, V) against a mixture of the next token and of what teachers expect, in nats:
//!
//! loss = (1 − α) · −log p(y)  +  α · T² · ( −Σ_i q_i log p_T(i)  −  r · log P_T(rest) ).
//!
//! p is softmax(z), and p_T softmax(z / T). Of a teacher's distribution, taken at the same T, the K likeliest tokens i are known with their
//! probabilities q_i; r = 1 − Σ q_i is spread over all others, and P_T(rest) is what the model gives these together. So the second part is
//! the cross-entropy of two distributions over K + 1 outcomes: what is not known of the teacher asks nothing of the model. T² keeps the
//! gradient's size the same at every T (Hinton et al. 2015, 1503.02531, section 2).
//!
//! The logits are replaced by d(s · Σ loss)/dz_j = s · ((1 − α)(p(j) − [j = y]) + α T (p_T(j) − c_j)), where c_j is q_j for the K tokens,
//! and r · p_T(j) / P_T(rest) for others. Bound: bytes, two reads and two writes of (M, V).

use crate::operands::{has_rows, shapes};

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// What a teacher expects of some rows, and how much it counts.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    /// The next tokens (M).
    pub(crate) targets: &'a [u32],
    /// K.
    pub(crate) top: usize,
    /// The likeliest tokens (M, K), all of a row different.
    pub(crate) ids: &'a [u32],
    /// Their probabilities (M, K); those of a row sum to at most 1.
    pub(crate) probabilities: &'a [T],
    /// α.
    pub(crate) share: T,
    /// T.
    pub(crate) temperature: T,
}

fn check<T>(losses: &[T], logits: &[T], vocab: usize, rows: Rows<'_, T>) {
    let Rows { targets, top, ids, probabilities, .. } = rows;
    shapes!("soft_cross_entropy":
        targets [losses.len()], logits [losses.len(), vocab], ids [losses.len(), top], probabilities [losses.len(), top],
    );
    has_rows("soft_cross_entropy", "the vocabulary", vocab, 1, targets);
    has_rows("soft_cross_entropy", "the vocabulary", vocab, 1, ids);
}

/// `count` rows of `top` of the known tokens from the row `first` on.
pub(crate) fn ids(ids: &[u32], first: usize, count: usize, top: usize) -> &[u32] {
    let range = first.checked_mul(top).and_then(|start| Some(start..start.checked_add(count.checked_mul(top)?)?));
    range.and_then(|range| ids.get(range)).unwrap_or_else(|| {
        panic!("soft_cross_entropy: ids has {} numbers, expected {count} rows of {top} from row {first} on", ids.len())
    })
}
