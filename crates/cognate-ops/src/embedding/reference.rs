//! Row copies as plain loops.

pub(crate) fn gather(out: &mut [f64], table: &[f64], rows: &[u32], width: usize) {
    super::check_gather(out, table, rows, width);
    for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
        out.copy_from_slice(&table[row as usize * width..][..width]);
    }
}

pub(crate) fn scatter(out: &mut [f64], x: &[f64], rows: &[u32], width: usize) {
    super::check_scatter(out, x, rows, width);
    out.fill(0.0);
    let mut written = vec![false; out.len() / width];
    for (x, &row) in x.chunks_exact(width).zip(rows) {
        assert!(!std::mem::replace(&mut written[row as usize], true), "scatter: row {row} twice");
        out[row as usize * width..][..width].copy_from_slice(x);
    }
}

pub(crate) fn gather_backward(dtable: &mut [f64], dx: &[f64], rows: &[u32], width: usize) {
    super::check_gather_backward(dtable, dx, rows, width);
    for (dx, &row) in dx.chunks_exact(width).zip(rows) {
        for (total, d) in dtable[row as usize * width..][..width].iter_mut().zip(dx) {
            *total += d;
        }
    }
}
