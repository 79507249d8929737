//! The operations of one decoder architecture, and the only crate with `unsafe`.
//!
//! Each op has a folder: `mod.rs` states formula, shapes and bound, `reference.rs` is the formula as plain f64 loops,
//! `cpu.rs` the fast version, and `tests.rs` holds the proofs (finite differences for the reference, the reference for the
//! fast version). A [`Device`] runs them: [`Cpu`] in f32 with SIMD and threads, [`Reference`] in f64. A model that is
//! generic over the device is therefore checked by finite differences as a whole.
//!
//! Shape letters: N tokens of a batch, D width, H query heads, K key/value heads, E head width, F feed-forward width,
//! V vocabulary. Everything is row-major; a weight has the shape (outputs, inputs).
//!
//! Invariant: no result depends on the number of threads. Work is cut into tasks by the shapes alone, a task reduces in a
//! fixed order, and partial sums of tasks are added in task order.

#![expect(unsafe_code, reason = "SIMD dispatch and disjoint writes of parallel tasks live here alone")]

mod adamw;
mod attention;
mod cpu;
mod cross_entropy;
mod device;
mod embedding;
#[cfg(test)]
mod isas;
mod matmul;
mod memory;
mod norm;
mod operands;
mod pool;
mod reference;
mod rope;
mod simd;
mod soft_cross_entropy;
mod swiglu;
#[cfg(test)]
mod testing;

pub use adamw::AdamW;
pub use cpu::Cpu;
pub use device::{Device, Heads, Precision, Soft, View, ViewMut};
pub use matmul::{PackedWeight, matmul_nt};
pub use reference::Reference;
pub use rope::RopeTable;
pub use simd::{Isa, IsaError, VARIABLE as SIMD_VARIABLE, checked_isa, isa};
