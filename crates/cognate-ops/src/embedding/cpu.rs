//! Row copies in f32. The backward sum is cut by columns, so that repeated rows are added in order by one task.

use crate::cpu::{Cpu, Shared, part};

/// Rows of one task.
const ROWS_TASK: usize = 256;
/// Columns of one task of the backward sum: a whole number of cache lines.
const COLUMNS_TASK: usize = 64;

pub(crate) fn gather(cpu: &Cpu, out: &mut [f32], table: &[f32], rows: &[u32], width: usize) {
    super::check_gather(out, table, rows, width);
    let out = Shared::new(out);
    cpu.each(rows.len().div_ceil(ROWS_TASK), |i| {
        for at in part(i, ROWS_TASK, rows.len()) {
            // SAFETY: rows of different tasks do not overlap.
            let out = unsafe { out.range(at * width..(at + 1) * width) };
            out.copy_from_slice(&table[rows[at] as usize * width..][..width]);
        }
    });
}

pub(crate) fn scatter(cpu: &Cpu, out: &mut [f32], x: &[f32], rows: &[u32], width: usize) {
    super::check_scatter(out, x, rows, width);
    let all = out.len() / width;
    let mut from = vec![u32::MAX; all];
    for (i, &row) in rows.iter().enumerate() {
        assert_eq!(from[row as usize], u32::MAX, "scatter: row {row} twice");
        from[row as usize] = i as u32;
    }
    let out = Shared::new(out);
    cpu.each(all.div_ceil(ROWS_TASK), |i| {
        for row in part(i, ROWS_TASK, all) {
            // SAFETY: rows of different tasks do not overlap.
            let out = unsafe { out.range(row * width..(row + 1) * width) };
            match from[row] {
                u32::MAX => out.fill(0.0),
                at => out.copy_from_slice(&x[at as usize * width..][..width]),
            }
        }
    });
}

pub(crate) fn gather_backward(cpu: &Cpu, dtable: &mut [f32], dx: &[f32], rows: &[u32], width: usize) {
    super::check_gather_backward(dtable, dx, rows, width);
    let dtable = Shared::new(dtable);
    cpu.each(width.div_ceil(COLUMNS_TASK), |i| {
        let columns = part(i, COLUMNS_TASK, width);
        for (at, &row) in rows.iter().enumerate() {
            let start = row as usize * width;
            // SAFETY: columns of different tasks do not overlap.
            let total = unsafe { dtable.range(start + columns.start..start + columns.end) };
            let dx = &dx[at * width + columns.start..at * width + columns.end];
            total.iter_mut().zip(dx).for_each(|(total, d)| *total += d);
        }
    });
}
