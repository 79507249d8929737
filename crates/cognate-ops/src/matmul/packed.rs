//! A weight whose panels are packed once for many products: what decoding multiplies by at every token.
//!
//! With a row per sequence, packing a weight costs more than multiplying by it. The panels hold the same numbers as the ones that
//! a product packs for itself, so the outputs have the same bits. Bound: one read of the panels, or 2·N·O·I operations.

use super::int8::Int8Weight;
use super::kernel::tile;
use super::pack::Operand;
use super::product::{Line, Target, pack_shared, rows_by_columns, short_by_panels};
use crate::Precision;
use crate::cpu::Cpu;
use crate::memory::prefer_huge_pages;

/// Rows up to which tasks are columns of the output: each task reads its own part of the panels, once.
const ROWS_SHORT: usize = 216;

/// A weight (outputs O, inputs I) in the order in which products read it.
pub struct PackedWeight(Packed);

enum Packed {
    F32(Panels),
    Int8(Int8Weight),
}

impl PackedWeight {
    /// Packs `weight` (O, I) on all threads.
    pub(crate) fn new(cpu: &Cpu, weight: &[f32], inputs: usize, outputs: usize, precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => Packed::F32(Panels::new(cpu, weight, inputs, outputs)),
            Precision::Int8 => Packed::Int8(Int8Weight::new(cpu, weight, inputs, outputs)),
        })
    }

    /// out (N, O) = x (N, I) · weightᵀ, written or added.
    pub(crate) fn forward(&self, cpu: &Cpu, out: &mut [f32], x: &[f32], add: bool) {
        match &self.0 {
            Packed::F32(weight) => weight.forward(cpu, out, x, add),
            Packed::Int8(weight) => weight.forward(cpu, out, x, add),
        }
    }
}

/// Right panels: all columns of one block of I, then of the next.
struct Panels {
    panels: Vec<Line>,
    inputs: usize,
    outputs: usize,
}

impl Panels {
    fn new(cpu: &Cpu, weight: &[f32], inputs: usize, outputs: usize) -> Self {
        super::check_pack(weight, inputs, outputs);
        let t = tile();
        let len = outputs.next_multiple_of(t.lanes) * inputs;
        let mut panels = Vec::with_capacity(len.div_ceil(16));
        prefer_huge_pages(panels.spare_capacity_mut());
        Line::extend(&mut panels, len);
        // SAFETY: the check puts every number of the operand inside its slice.
        unsafe {
            pack_shared(cpu, t, Line::numbers_mut(&mut panels, len), Operand::rows(weight, inputs), 0..outputs, inputs)
        };
        Self { panels, inputs, outputs }
    }

    /// The same bits as [`super::cpu::forward`].
    fn forward(&self, cpu: &Cpu, out: &mut [f32], x: &[f32], add: bool) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let rows = super::check_packed(out, x, inputs, outputs);
        let target = Target { start: out.as_mut_ptr(), stride: outputs, add };
        let (shape, left, t) = ((rows, outputs, inputs), Operand::rows(x, inputs), tile());
        let panels = Line::numbers(&self.panels, outputs.next_multiple_of(t.lanes) * inputs);
        // SAFETY: the check puts every operand's numbers inside its slice, and out is borrowed exclusively.
        unsafe {
            if rows <= ROWS_SHORT {
                short_by_panels(cpu, t, shape, target, left, panels);
            } else {
                rows_by_columns(cpu, t, shape, target, left, panels);
            }
        }
    }
}
