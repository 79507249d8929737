//! Causal softmax attention with grouped heads, held inside segments.
//!
//! For query head h of key/value head g = h / (H/K), rows i ≥ j of one segment: s_ij = ⟨q_i, k_j⟩ / √E,
//! p_ij = e^{s_ij − L_i}, L_i = log Σ_j e^{s_ij}, out_i = Σ_j p_ij v_j. Backward, with D_i = ⟨dout_i, out_i⟩:
//! ds_ij = p_ij (⟨dout_i, v_j⟩ − D_i) / √E, dq_i = Σ_j ds_ij k_j, dk_j = Σ_i ds_ij q_i, dv_j = Σ_i p_ij dout_i.
//!
//! Only L (N, H) is kept for backward, which computes p again (Dao et al. 2022). The CPU takes 64 query rows at a time, so
//! its scratch is 64 · segment length a thread, never T × T; a task is one segment and one key/value head, which owns its
//! rows of dk and dv. Products accumulate in f32. Bound: 4·E·T²/2 operations a head forward, 10·E·T²/2 backward.

use crate::Heads;
use crate::operands::shapes;

pub(crate) mod cached;
pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

/// Rows of all segments.
fn last(starts: &[u32]) -> usize {
    starts.last().map_or(0, |&end| end as usize)
}

fn check_segments(starts: &[u32], heads: Heads) {
    heads.check();
    assert!(starts.is_sorted(), "attention: starts are not in order");
    assert_eq!(starts.first().unwrap_or(&0), &0, "attention: starts begin with a row other than the first");
}

fn check_forward<T>(out: &[T], lse: &[T], qk: &[T], qkv: &[T], starts: &[u32], heads: Heads) {
    check_segments(starts, heads);
    shapes!("attention": out [last(starts), heads.query_width()], lse [last(starts), heads.query]);
    shapes!("attention": qk [last(starts), heads.qk_width()], qkv [last(starts), heads.qkv_width()]);
}

fn check_backward<T>(dqkv: &[T], dout: &[T], out: &[T], lse: &[T], qk: &[T], qkv: &[T], starts: &[u32], heads: Heads) {
    check_segments(starts, heads);
    shapes!("attention_backward": dqkv [last(starts), heads.qkv_width()], dout [last(starts), heads.query_width()]);
    shapes!("attention_backward": out [last(starts), heads.query_width()], lse [last(starts), heads.query]);
    shapes!("attention_backward": qk [last(starts), heads.qk_width()], qkv [last(starts), heads.qkv_width()]);
}

/// New rows and where they belong; the rows of a slot stand together, in the order of their positions.
pub(crate) struct Rows<'a, T> {
    pub(crate) qk: &'a [T],
    pub(crate) qkv: &'a [T],
    pub(crate) slots: &'a [u32],
    pub(crate) positions: &'a [u32],
}

/// `cache` is the number of its elements, `slot` of those that a slot has.
fn check_cached<T>(out: &[T], cache: usize, slot: usize, rows: &Rows<'_, T>, capacity: usize, heads: Heads) {
    heads.check();
    let &Rows { qk, qkv, slots, positions } = rows;
    shapes!("attention_cached": positions [slots.len()], out [slots.len(), heads.query_width()]);
    shapes!("attention_cached": qk [slots.len(), heads.qk_width()], qkv [slots.len(), heads.qkv_width()]);
    assert!(
        capacity > 0 && capacity.is_multiple_of(16),
        "attention_cached: a capacity of {capacity}, expected a multiple of 16"
    );
    assert!(
        positions.iter().all(|&position| (position as usize) < capacity),
        "attention_cached: positions hold one beyond the cache's {capacity}"
    );
    assert!(
        cache.is_multiple_of(slot) && slots.iter().all(|&at| (at as usize) < cache / slot),
        "attention_cached: cache has {cache} numbers, which is not that of slots up to {:?}, each of {slot}",
        slots.iter().max(),
    );
    let runs = slots.chunk_by(|a, b| a == b);
    let mut first: Vec<u32> = runs.map(|run| run[0]).collect();
    first.sort_unstable();
    assert!(
        first.windows(2).all(|pair| pair[0] != pair[1]),
        "attention_cached: the rows of a slot do not stand together"
    );
    let ascend = slots.windows(2).zip(positions.windows(2)).all(|(slot, at)| slot[0] != slot[1] || at[0] < at[1]);
    assert!(ascend, "attention_cached: positions of a slot do not ascend");
}
