//! AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, over flat buffers.
//!
//! With g the scaled gradient and t the step from 1: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
//! p ← p·(1 − rate·decay) − rate · (m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε). The order (decay first) is PyTorch's.
//! The caller splits the flat buffer into runs with and without decay. f32 throughout; the corrections are f64 scalars.
//! Bound: bytes, four reads and three writes a parameter.

use crate::operands::shapes;

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// Settings of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate at this step.
    pub rate: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε, added to the root of the corrected second moment.
    pub epsilon: f64,
    /// Decay, multiplied by the rate.
    pub weight_decay: f64,
    /// Number of this update, from 1.
    pub step: u64,
    /// What gradients are multiplied by first (clipping).
    pub gradient_scale: f64,
}

fn check<T>(parameters: &[T], gradients: &[T], first_moment: &[T], second_moment: &[T]) {
    shapes!("adamw": gradients [parameters.len()], first_moment [parameters.len()], second_moment [parameters.len()]);
}
