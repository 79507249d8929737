//! Per-head RMSNorm of queries and keys (QK-norm, Henry et al. 2020; as Qwen3 places it) followed by rotary position
//! embedding (Su et al. 2021), in one pass over the first H + K heads of a row of qkv.
//!
//! For a head y (E numbers): z = y · r · weight, r = 1 / √(mean(y²) + ε), or z = y without norm; then for i < E/2 and angle
//! a = position · frequency_i: out_i = z_i cos a − z_{i+E/2} sin a, out_{i+E/2} = z_{i+E/2} cos a + z_i sin a (halves, the
//! convention of Llama's and Qwen3's published weights). Backward rotates by −a, then is RMSNorm's.
//! r (N, H+K) is kept for backward. Bound: bytes, one read and one write of (N, (H+K)·E) each way.

use crate::Heads;
use crate::operands::shapes;

pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// What forward and backward read alike.
fn check<T>(norm: Option<(&[T], &[T])>, positions: &[u32], table: &RopeTable, heads: Heads) {
    heads.check();
    if let Some((norm_q, norm_k)) = norm {
        shapes!("rope": norm_q [heads.width], norm_k [heads.width]);
    }
    let (half, most) = (table.frequencies.len(), positions.iter().max());
    assert!(2 * half == heads.width, "rope: a table for heads of {}, heads of {}", 2 * half, heads.width);
    assert!(
        most.is_none_or(|&position| (position as usize) < table.positions()),
        "rope: positions hold {}, the table has {}",
        most.unwrap_or(&0),
        table.positions(),
    );
}

fn check_forward<T>(
    qk: &[T],
    inv_rms: &[T],
    qkv: &[T],
    norm: Option<(&[T], &[T])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
) {
    check(norm, positions, table, heads);
    shapes!("rope": qk [positions.len(), heads.qk_width()], inv_rms [positions.len(), heads.query + heads.kv]);
    shapes!("rope": qkv [positions.len(), heads.qkv_width()]);
}

fn check_backward<T>(
    dqkv: &[T],
    dnorm: Option<&[T]>,
    qkv: &[T],
    inv_rms: &[T],
    norm: Option<(&[T], &[T])>,
    positions: &[u32],
    table: &RopeTable,
    heads: Heads,
) {
    check(norm, positions, table, heads);
    assert_eq!(dnorm.is_some(), norm.is_some(), "rope_backward: dnorm is there where norm is");
    if let Some(dnorm) = dnorm {
        shapes!("rope_backward": dnorm [2, heads.width]);
    }
    shapes!("rope_backward": dqkv [positions.len(), heads.qkv_width()], qkv [positions.len(), heads.qkv_width()]);
    shapes!("rope_backward": inv_rms [positions.len(), heads.query + heads.kv]);
}

/// Frequencies of the rotation, and cosines and sines of every position up to a limit.
#[derive(Clone, Debug)]
pub struct RopeTable {
    frequencies: Vec<f64>,
    /// For each position E/2 cosines, then E/2 sines.
    table: Vec<f32>,
}

impl RopeTable {
    /// A table for positions below `positions`; `frequencies` (E/2) are in radians a position.
    pub fn new(frequencies: Vec<f64>, positions: usize) -> Self {
        let mut table = Self { frequencies, table: Vec::new() };
        table.extend(positions);
        table
    }

    /// Frequencies base^(−2i/E) for i < E/2.
    pub fn frequencies(base: f64, head_width: usize) -> Vec<f64> {
        (0..head_width / 2).map(|i| base.powf(-2.0 * i as f64 / head_width as f64)).collect()
    }

    /// Number of positions that the table covers.
    pub fn positions(&self) -> usize {
        self.table.len() / (2 * self.frequencies.len()).max(1)
    }

    /// Makes the table cover positions below `positions`.
    pub fn extend(&mut self, positions: usize) {
        for position in self.positions()..positions {
            // Angles in f64: at position 10^5 an f32 angle would be off by 0.004.
            self.table.extend(self.frequencies.iter().map(|f| (position as f64 * f).cos() as f32));
            self.table.extend(self.frequencies.iter().map(|f| (position as f64 * f).sin() as f32));
        }
    }

    /// Cosines and sines (E/2 each) of a position.
    pub(crate) fn at(&self, position: u32) -> (&[f32], &[f32]) {
        let half = self.frequencies.len();
        let start = position as usize * 2 * half;
        self.table[start..start + 2 * half].split_at(half)
    }

    /// Cosine and sine of pair `i` at a position, in f64.
    pub(crate) fn exact(&self, position: u32, i: usize) -> (f64, f64) {
        let angle = f64::from(position) * self.frequencies[i];
        (angle.cos(), angle.sin())
    }
}
