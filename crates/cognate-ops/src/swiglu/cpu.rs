//! SwiGLU in f32.

use crate::cpu::{Cpu, Shared, part};
use crate::simd::{exp, kernel};

/// Rows of one task.
const ROWS_TASK: usize = 64;

kernel! {
    fn forward_row<const FMA: bool>(out: &mut [f32], gate: &[f32], up: &[f32]) {
        for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
            *out = g / (1.0 + exp::<FMA>(-g)) * u;
        }
    }
}

kernel! {
    fn backward_row<const FMA: bool>(dgate: &mut [f32], dup: &mut [f32], dout: &[f32], gate: &[f32], up: &[f32]) {
        for ((((dg, du), d), g), u) in dgate.iter_mut().zip(dup).zip(dout).zip(gate).zip(up) {
            let s = 1.0 / (1.0 + exp::<FMA>(-g));
            *dg = d * u * s * (1.0 + g * (1.0 - s));
            *du = d * g * s;
        }
    }
}

pub(crate) fn forward(cpu: &Cpu, out: &mut [f32], gate_up: &[f32], ffn: usize) {
    let rows = super::check_forward(out, gate_up, ffn);
    let out = Shared::new(out);
    cpu.each(rows.div_ceil(ROWS_TASK), |i| {
        for row in part(i, ROWS_TASK, rows) {
            let (gate, up) = gate_up[row * 2 * ffn..(row + 1) * 2 * ffn].split_at(ffn);
            // SAFETY: rows of different tasks do not overlap.
            forward_row(unsafe { out.range(row * ffn..(row + 1) * ffn) }, gate, up);
        }
    });
}

pub(crate) fn backward(cpu: &Cpu, dgate_up: &mut [f32], dout: &[f32], gate_up: &[f32], ffn: usize) {
    let rows = super::check_backward(dgate_up, dout, gate_up, ffn);
    let dgate_up = Shared::new(dgate_up);
    cpu.each(rows.div_ceil(ROWS_TASK), |i| {
        for row in part(i, ROWS_TASK, rows) {
            let at = row * 2 * ffn..(row + 1) * 2 * ffn;
            let (gate, up) = gate_up[at.clone()].split_at(ffn);
            // SAFETY: rows of different tasks do not overlap.
            let (dgate, dup) = unsafe { dgate_up.range(at) }.split_at_mut(ffn);
            backward_row(dgate, dup, &dout[row * ffn..(row + 1) * ffn], gate, up);
        }
    });
}
