//! Matrix products with a weight of shape (outputs O, inputs I), over N rows.
//!
//! - forward: out (N, O) = x (N, I) · weightᵀ, written or added
//! - input gradient: dx (N, I) = dout (N, O) · weight, written
//! - weight gradient: dweight (O, I) += doutᵀ · x, added
//!
//! f32 products accumulate in f32 inside a block of the summed dimension (at least 512 long, or all of it) and add block
//! sums in order. Bound: 2·N·O·I operations each; everything else in a training step exists to keep the time near this.
//!
//! The products themselves are the `gemm` library's; it runs single-threaded inside tasks that are cut by shape alone. Its
//! special paths for a single row or column, and for outputs of at most 16×16, sum in another order, so a product of fewer
//! than [`cpu::ROWS_MIN`] rows is padded: then a row of `out` has the same bits whatever rows are computed beside it.

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// out (m, n) = a (m, k) · b (n, k)ᵀ, all row-major, on the calling thread; the same bits on every call.
///
/// # Panics
/// When a slice's length does not fit its shape.
pub fn matmul_nt(out: &mut [f32], a: &[f32], b: &[f32], m: usize, n: usize, k: usize) {
    assert_eq!((out.len(), a.len(), b.len()), (m * n, m * k, n * k), "matmul_nt ({m}, {n}, {k})");
    // SAFETY: the assertion puts every element inside its slice, and `out` is borrowed exclusively.
    unsafe {
        cpu::product(
            (n, m, k),
            cpu::Target { start: out.as_mut_ptr(), column: n as isize, add: false },
            cpu::Operand { start: b.as_ptr(), row: k as isize, column: 1 },
            cpu::Operand { start: a.as_ptr(), row: 1, column: k as isize },
        );
    }
}
