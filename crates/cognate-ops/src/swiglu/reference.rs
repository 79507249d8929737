//! SwiGLU as its formula says.

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub(crate) fn forward(out: &mut [f64], gate_up: &[f64], ffn: usize) {
    super::check_forward(out, gate_up, ffn);
    for (out, row) in out.chunks_exact_mut(ffn).zip(gate_up.chunks_exact(2 * ffn)) {
        for i in 0..ffn {
            out[i] = row[i] * sigmoid(row[i]) * row[ffn + i];
        }
    }
}

pub(crate) fn backward(dgate_up: &mut [f64], dout: &[f64], gate_up: &[f64], ffn: usize) {
    super::check_backward(dgate_up, dout, gate_up, ffn);
    let rows = dgate_up.chunks_exact_mut(2 * ffn).zip(dout.chunks_exact(ffn)).zip(gate_up.chunks_exact(2 * ffn));
    for ((dgate_up, dout), row) in rows {
        for i in 0..ffn {
            let (gate, up, s) = (row[i], row[ffn + i], sigmoid(row[i]));
            dgate_up[i] = dout[i] * up * s * (1.0 + gate * (1.0 - s));
            dgate_up[ffn + i] = dout[i] * gate * s;
        }
    }
}
