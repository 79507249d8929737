//! Row copies as plain loops.

pub(crate) fn gather(out: &mut [f64], table: &[f64], rows: &[u32], width: usize) {
    for (out, &row) in out.chunks_exact_mut(width).zip(rows) {
        out.copy_from_slice(&table[row as usize * width..][..width]);
    }
}

pub(crate) fn scatter(out: &mut [f64], x: &[f64], rows: &[u32], width: usize) {
    out.fill(0.0);
    for (x, &row) in x.chunks_exact(width).zip(rows) {
        out[row as usize * width..][..width].copy_from_slice(x);
    }
}

pub(crate) fn gather_backward(dtable: &mut [f64], dx: &[f64], rows: &[u32], width: usize) {
    for (dx, &row) in dx.chunks_exact(width).zip(rows) {
        for (total, d) in dtable[row as usize * width..][..width].iter_mut().zip(dx) {
            *total += d;
        }
    }
}
