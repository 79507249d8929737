//! RMSNorm (Zhang and Sennrich 2019): out = x · r · weight with r = 1 / √(mean(x²) + ε), a row at a time.
//!
//! x, out (N, D), weight (D), r (N). Backward adds to dx and dweight: with g = dout · weight,
//! dx += r · (g − x · r² · mean(g · x)), dweight += Σ_rows dout · x · r.
//! Sums are f32 in 16 lanes; dweight is summed per 128 rows, then over those parts in order.
//! Bound: bytes, 2 passes over (N, D) forward (read, write), 4 backward.

use crate::operands::shapes;

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

fn check_forward<T>(out: &[T], inv_rms: &[T], x: &[T], weight: &[T]) {
    shapes!("rms_norm": out [inv_rms.len(), weight.len()], x [inv_rms.len(), weight.len()]);
}

fn check_backward<T>(dx: &[T], dweight: &[T], dout: &[T], x: &[T], inv_rms: &[T], weight: &[T]) {
    shapes!("rms_norm_backward": dweight [weight.len()], dx [inv_rms.len(), weight.len()]);
    shapes!("rms_norm_backward": dout [inv_rms.len(), weight.len()], x [inv_rms.len(), weight.len()]);
}
