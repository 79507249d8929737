//! QK-norm and rotation as their formulas say.

use super::RopeTable;
use crate::Heads;

pub(crate) fn forward(
    qk: &mut [f64],
    inv_rms: &mut [f64],
    qkv: &[f64],
    norm: Option<(&[f64], &[f64])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
    eps: f64,
) {
    super::check_forward(qk, inv_rms, qkv, norm, positions, table, heads);
    let (count, width, half) = (heads.query + heads.kv, heads.width, heads.width / 2);
    for (row, &position) in positions.iter().enumerate() {
        for head in 0..count {
            let y = &qkv[row * heads.qkv_width() + head * width..][..width];
            let out = &mut qk[(row * count + head) * width..][..width];
            let mean = y.iter().map(|v| v * v).sum::<f64>() / width as f64;
            let inv = 1.0 / (mean + eps).sqrt();
            inv_rms[row * count + head] = inv;
            let z: Vec<f64> = match norm {
                Some((q, k)) => {
                    let weight = if head < heads.query { q } else { k };
                    y.iter().zip(weight).map(|(y, w)| y * inv * w).collect()
                }
                None => y.to_vec(),
            };
            for i in 0..half {
                let (cos, sin) = table.exact(position, i);
                out[i] = z[i] * cos - z[i + half] * sin;
                out[i + half] = z[i + half] * cos + z[i] * sin;
            }
        }
    }
}

pub(crate) fn backward(
    dqkv: &mut [f64],
    mut dnorm: Option<&mut [f64]>,
    qkv: &[f64],
    inv_rms: &[f64],
    norm: Option<(&[f64], &[f64])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
) {
    super::check_backward(dqkv, dnorm.as_deref(), qkv, inv_rms, norm, positions, table, heads);
    let (count, width, half) = (heads.query + heads.kv, heads.width, heads.width / 2);
    for (row, &position) in positions.iter().enumerate() {
        for head in 0..count {
            let at = row * heads.qkv_width() + head * width;
            let (dy, y) = (&mut dqkv[at..at + width], &qkv[at..at + width]);
            let mut dz = vec![0.0; width];
            for i in 0..half {
                let (cos, sin) = table.exact(position, i);
                dz[i] = dy[i] * cos + dy[i + half] * sin;
                dz[i + half] = dy[i + half] * cos - dy[i] * sin;
            }
            let (Some((q, k)), Some(dnorm)) = (norm, &mut dnorm) else {
                dy.copy_from_slice(&dz);
                continue;
            };
            let (weight, dweight) =
                if head < heads.query { (q, &mut dnorm[..width]) } else { (k, &mut dnorm[width..]) };
            let inv = inv_rms[row * count + head];
            let mean = (0..width).map(|i| dz[i] * weight[i] * y[i]).sum::<f64>() / width as f64;
            for i in 0..width {
                dy[i] = inv * (dz[i] * weight[i] - y[i] * inv * inv * mean);
                dweight[i] += dz[i] * y[i] * inv;
            }
        }
    }
}
