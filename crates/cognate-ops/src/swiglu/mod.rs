//! SwiGLU (Shazeer 2020): out = silu(gate) · up, silu(g) = g · σ(g).
//!
//! gate_up (N, 2F): a row is F gates, then F ups; out (N, F). Backward writes dgate_up (N, 2F):
//! dup = dout · silu(g), dgate = dout · up · σ(g) · (1 + g · (1 − σ(g))).
//! Bound: bytes, 3 numbers an element forward, 5 backward.

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
