//! Cross-entropy as its formula says.

pub(crate) fn forward(losses: &mut [f64], logits: &mut [f64], targets: &[u32], vocab: usize, gradient: Option<f64>) {
    super::check(losses, logits, targets, vocab);
    for ((loss, logits), &target) in losses.iter_mut().zip(logits.chunks_exact_mut(vocab)).zip(targets) {
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|z| (z - top).exp()).sum();
        *loss = total.ln() + top - logits[target as usize];
        if let Some(scale) = gradient {
            for (j, z) in logits.iter_mut().enumerate() {
                let one = if j == target as usize { 1.0 } else { 0.0 };
                *z = scale * ((*z - top).exp() / total - one);
            }
        }
    }
}
