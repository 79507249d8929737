//! Cross-entropy of logits (M, V) and targets (M): loss = log Σ_j e^{z_j} − z_target, in nats.
//!
//! With a gradient scale s the logits are replaced by d(s·Σ loss)/dz_j = s·(softmax(z)_j − [j = target]), in place: nothing
//! of size (M, V) is kept besides. Sums are f32 in 16 lanes. Bound: bytes, two reads and one write of (M, V).

use crate::operands::shapes;

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

fn check<T>(losses: &[T], logits: &[T], targets: &[u32], vocab: usize) {
    shapes!("cross_entropy": targets [losses.len()], logits [losses.len(), vocab]);
    let most = targets.iter().max();
    assert!(
        most.is_none_or(|&target| (target as usize) < vocab),
        "cross_entropy: targets hold {}, the vocabulary has {vocab}",
        most.unwrap_or(&0),
    );
}

/// `count` of `targets` from `first` on.
pub(crate) fn targets(targets: &[u32], first: usize, count: usize) -> &[u32] {
    let part = first.checked_add(count).and_then(|end| targets.get(first..end));
    part.unwrap_or_else(|| {
        panic!(
            "cross_entropy: targets has {} numbers, expected {count} from {first} on, one for each of losses",
            targets.len()
        )
    })
}
