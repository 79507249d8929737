//! AdamW as its formula says.

use super::AdamW;

pub(crate) fn update(p: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64], s: &AdamW) {
    super::check(p, g, m, v);
    let (c1, c2) = (1.0 - s.beta1.powf(s.step as f64), 1.0 - s.beta2.powf(s.step as f64));
    for i in 0..p.len() {
        let g = g[i] * s.gradient_scale;
        m[i] = s.beta1 * m[i] + (1.0 - s.beta1) * g;
        v[i] = s.beta2 * v[i] + (1.0 - s.beta2) * g * g;
        p[i] = p[i] * (1.0 - s.rate * s.weight_decay) - s.rate * (m[i] / c1) / ((v[i] / c2).sqrt() + s.epsilon);
    }
}
