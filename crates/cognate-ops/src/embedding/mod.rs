//! Rows of a table by number: token embedding, and picking the scored rows for the head.
//!
//! - gather: out[i] = table[rows[i]]
//! - scatter: out[rows[i]] = x[i], all other rows 0; rows distinct
//! - gather backward: dtable[rows[i]] += dx[i], in the order of i; rows may repeat
//!
//! Bound: bytes, one read and one write of (N, D).

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
