//! The three products as triple loops.

pub(crate) fn forward(out: &mut [f64], x: &[f64], weight: &[f64], inputs: usize, outputs: usize, add: bool) {
    super::check_forward(out, x, weight, inputs, outputs);
    for (out, x) in out.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
        for (out, weight) in out.iter_mut().zip(weight.chunks_exact(inputs)) {
            let sum: f64 = x.iter().zip(weight).map(|(a, b)| a * b).sum();
            *out = if add { *out + sum } else { sum };
        }
    }
}

pub(crate) fn input_gradient(dx: &mut [f64], dout: &[f64], weight: &[f64], inputs: usize, outputs: usize) {
    super::check_input_gradient(dx, dout, weight, inputs, outputs);
    for (dx, dout) in dx.chunks_exact_mut(inputs).zip(dout.chunks_exact(outputs)) {
        dx.fill(0.0);
        for (dout, weight) in dout.iter().zip(weight.chunks_exact(inputs)) {
            for (dx, weight) in dx.iter_mut().zip(weight) {
                *dx += dout * weight;
            }
        }
    }
}

pub(crate) fn weight_gradient(dweight: &mut [f64], dout: &[f64], x: &[f64], inputs: usize, outputs: usize) {
    super::check_weight_gradient(dweight, dout, x, inputs, outputs);
    for (dout, x) in dout.chunks_exact(outputs).zip(x.chunks_exact(inputs)) {
        for (dweight, dout) in dweight.chunks_exact_mut(inputs).zip(dout) {
            for (dweight, x) in dweight.iter_mut().zip(x) {
                *dweight += dout * x;
            }
        }
    }
}
