//! The three products of a weight, as operands of one parallel product.

use super::pack::Operand;
use super::product::{Target, parallel};
use crate::cpu::Cpu;

pub(crate) fn forward(cpu: &Cpu, out: &mut [f32], x: &[f32], weight: &[f32], inputs: usize, outputs: usize, add: bool) {
    let rows = super::check_forward(out, x, weight, inputs, outputs);
    let target = Target { start: out.as_mut_ptr(), stride: outputs, add };
    // SAFETY: the check puts every operand's numbers inside its slice, and out is borrowed exclusively.
    unsafe { parallel(cpu, (rows, outputs, inputs), target, Operand::rows(x, inputs), Operand::rows(weight, inputs)) }
}

pub(crate) fn input_gradient(cpu: &Cpu, dx: &mut [f32], dout: &[f32], weight: &[f32], inputs: usize, outputs: usize) {
    let rows = super::check_input_gradient(dx, dout, weight, inputs, outputs);
    let target = Target { start: dx.as_mut_ptr(), stride: inputs, add: false };
    let (left, right) = (Operand::rows(dout, outputs), Operand::columns(weight, inputs));
    // SAFETY: as in `forward`.
    unsafe { parallel(cpu, (rows, inputs, outputs), target, left, right) }
}

pub(crate) fn weight_gradient(cpu: &Cpu, dweight: &mut [f32], dout: &[f32], x: &[f32], inputs: usize, outputs: usize) {
    let rows = super::check_weight_gradient(dweight, dout, x, inputs, outputs);
    let target = Target { start: dweight.as_mut_ptr(), stride: inputs, add: true };
    let (left, right) = (Operand::columns(dout, outputs), Operand::columns(x, inputs));
    // SAFETY: as in `forward`.
    unsafe { parallel(cpu, (outputs, inputs, rows), target, left, right) }
}
