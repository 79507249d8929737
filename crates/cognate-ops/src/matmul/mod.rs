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

use crate::operands::shapes;

pub(crate) use pack::Operand;
pub use packed::PackedWeight;
pub(crate) use product::{Target, product};

/// out (m, n) = a (m, k) · b (n, k)ᵀ, all row-major, on the calling thread; the same bits on every call.
///
/// # Panics
/// When a slice's length does not fit its shape.
pub fn matmul_nt(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    shapes!("matmul_nt": out [m, n], a [m, k], b [n, k]);
    // SAFETY: the assertion puts every element inside its slice, and `out` is borrowed exclusively.
    unsafe {
        let target = Target { start: out.as_mut_ptr(), stride: n, add: false };
        product((m, n, k), target, Operand::rows(a, k), Operand::rows(b, k));
    }
}

/// Returns the number of rows.
fn check_forward<T>(out: &[T], x: &[T], weight: &[T], inputs: usize, outputs: usize) -> usize {
    let rows = out.len() / outputs;
    shapes!("matmul": out [rows, outputs], x [rows, inputs], weight [outputs, inputs]);
    rows
}

pub(crate) fn check_pack<T>(weight: &[T], inputs: usize, outputs: usize) {
    shapes!("pack": weight [outputs, inputs]);
}

/// Returns the number of rows.
pub(crate) fn check_packed<T>(out: &[T], x: &[T], inputs: usize, outputs: usize) -> usize {
    let rows = out.len() / outputs;
    shapes!("matmul_packed": out [rows, outputs], x [rows, inputs]);
    rows
}

/// Returns the number of rows.
fn check_input_gradient<T>(dx: &[T], dout: &[T], weight: &[T], inputs: usize, outputs: usize) -> usize {
    let rows = dout.len() / outputs;
    shapes!("matmul_input_gradient": dout [rows, outputs], dx [rows, inputs], weight [outputs, inputs]);
    rows
}

/// Returns the number of rows.
fn check_weight_gradient<T>(dweight: &[T], dout: &[T], x: &[T], inputs: usize, outputs: usize) -> usize {
    let rows = dout.len() / outputs;
    shapes!("matmul_weight_gradient": dout [rows, outputs], dweight [outputs, inputs], x [rows, inputs]);
    rows
}
