//! RMSNorm as its formula says.

pub(crate) fn forward(out: &mut [f64], inv_rms: &mut [f64], x: &[f64], weight: &[f64], eps: f64) {
    super::check_forward(out, inv_rms, x, weight);
    let width = weight.len();
    for ((out, x), inv) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inv_rms) {
        let mean = x.iter().map(|v| v * v).sum::<f64>() / width as f64;
        *inv = 1.0 / (mean + eps).sqrt();
        for i in 0..width {
            out[i] = x[i] * *inv * weight[i];
        }
    }
}

pub(crate) fn backward(dx: &mut [f64], dweight: &mut [f64], dout: &[f64], x: &[f64], inv_rms: &[f64], weight: &[f64]) {
    super::check_backward(dx, dweight, dout, x, inv_rms, weight);
    let width = weight.len();
    for (row, &inv) in inv_rms.iter().enumerate() {
        let at = row * width..(row + 1) * width;
        let (dx, dout, x) = (&mut dx[at.clone()], &dout[at.clone()], &x[at]);
        let mean = (0..width).map(|i| dout[i] * weight[i] * x[i]).sum::<f64>() / width as f64;
        for i in 0..width {
            dx[i] += inv * (dout[i] * weight[i] - x[i] * inv * inv * mean);
            dweight[i] += dout[i] * x[i] * inv;
        }
    }
}
