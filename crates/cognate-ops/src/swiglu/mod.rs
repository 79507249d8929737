//! SwiGLU (Shazeer 2020): out = silu(gate) · up, silu(g) = g · σ(g).
//!
//! gate_up (N, 2F): a row is F gates, then F ups; out (N, F). Backward writes dgate_up (N, 2F):
//! dup = dout · silu(g), dgate = dout · up · σ(g) · (1 + g · (1 − σ(g))).
//! Bound: bytes, 3 numbers an element forward, 5 backward.

use crate::operands::shapes;

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// Returns the number of rows.
fn check_forward<T>(out: &[T], gate_up: &[T], ffn: usize) -> usize {
    let rows = out.len() / ffn;
    shapes!("swiglu": out [rows, ffn], gate_up [rows, 2, ffn]);
    rows
}

/// Returns the number of rows.
fn check_backward<T>(dgate_up: &[T], dout: &[T], gate_up: &[T], ffn: usize) -> usize {
    let rows = dout.len() / ffn;
    shapes!("swiglu_backward": dout [rows, ffn], dgate_up [rows, 2, ffn], gate_up [rows, 2, ffn]);
    rows
}
