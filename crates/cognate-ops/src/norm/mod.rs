//! RMSNorm (Zhang and Sennrich 2019): out = x · r · weight with r = 1 / √(mean(x²) + ε), a row at a time.
//!
//! x, out (N, D), weight (D), r (N). Backward adds to dx and dweight: with g = dout · weight,
//! dx += r · (g − x · r² · mean(g · x)), dweight += Σ_rows dout · x · r.
//! Sums are f32 in 16 lanes; dweight is summed per 128 rows, then over those parts in order.
//! Bound: bytes, 2 passes over (N, D) forward (read, write), 4 backward.

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
