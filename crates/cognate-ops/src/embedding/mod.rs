//! Rows of a table by number: token embedding, and picking the scored rows for the head.
//!
//! - gather: out[i] = table[rows[i]]
//! - scatter: out[rows[i]] = x[i], all other rows 0; rows distinct
//! - gather backward: dtable[rows[i]] += dx[i], in the order of i; rows may repeat
//!
//! Bound: bytes, one read and one write of (N, D).

use crate::operands::{has_rows, shapes};

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

fn check_gather<T>(out: &[T], x: &[T], rows: &[u32], width: usize) {
    shapes!("gather": out [rows.len(), width]);
    has_rows("gather", "x", x.len(), width, rows);
}

/// That rows are distinct is asserted where they are counted.
fn check_scatter<T>(out: &[T], x: &[T], rows: &[u32], width: usize) {
    shapes!("scatter": x [rows.len(), width]);
    has_rows("scatter", "out", out.len(), width, rows);
}

fn check_gather_backward<T>(dtable: &[T], dx: &[T], rows: &[u32], width: usize) {
    shapes!("gather_backward": dx [rows.len(), width]);
    has_rows("gather_backward", "dtable", dtable.len(), width, rows);
}
