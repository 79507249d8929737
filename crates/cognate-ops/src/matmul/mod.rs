//! Matrix products with a weight of shape (outputs O, inputs I), over N rows.
//!
//! - forward: out (N, O) = x (N, I) · weightᵀ, written or added
//! - input gradient: dx (N, I) = dout (N, O) · weight, written
//! - weight gradient: dweight (O, I) += doutᵀ · x, added
//!
//! An output is one chain of multiply-adds over a block of the summed dimension (at most 192 long), and block sums are added in
//! order; nothing else enters, so a row of `out` has the same bits whatever rows are computed beside it and however many
//! threads compute them. Bound: 2·N·O·I operations each; everything else in a training step exists to keep the time near
//! this. `kernel.rs` has the innermost loop, `pack.rs` the order in which it reads, `product.rs` the blocks around it.

pub(crate) mod cpu;
mod int8;
mod kernel;
mod pack;
mod packed;
mod product;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

pub(crate) use pack::Operand;
pub use packed::PackedWeight;
pub(crate) use product::{Target, product};

/// out (m, n) = a (m, k) · b (n, k)ᵀ, all row-major, on the calling thread; the same bits on every call.
///
/// # Panics
/// When a slice's length does not fit its shape.
pub fn matmul_nt(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    assert_eq!((out.len(), a.len(), b.len()), (m * n, m * k, n * k), "matmul_nt ({m}, {n}, {k})");
    // SAFETY: the assertion puts every element inside its slice, and `out` is borrowed exclusively.
    unsafe {
        let target = Target { start: out.as_mut_ptr(), stride: n, add: false };
        product((m, n, k), target, Operand::rows(a, k), Operand::rows(b, k));
    }
}
