//! Cross-entropy of logits (M, V) and targets (M): loss = log Σ_j e^{z_j} − z_target, in nats.
//!
//! With a gradient scale s the logits are replaced by d(s·Σ loss)/dz_j = s·(softmax(z)_j − [j = target]), in place: nothing
//! of size (M, V) is kept besides. Sums are f32 in 16 lanes. Bound: bytes, two reads and one write of (M, V).

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
