//! Causal softmax attention with grouped heads, held inside segments.
//!
//! For query head h of key/value head g = h / (H/K), rows i ≥ j of one segment: s_ij = ⟨q_i, k_j⟩ / √E,
//! p_ij = e^{s_ij − L_i}, L_i = log Σ_j e^{s_ij}, out_i = Σ_j p_ij v_j. Backward, with D_i = ⟨dout_i, out_i⟩:
//! ds_ij = p_ij (⟨dout_i, v_j⟩ − D_i) / √E, dq_i = Σ_j ds_ij k_j, dk_j = Σ_i ds_ij q_i, dv_j = Σ_i p_ij dout_i.
//!
//! Only L (N, H) is kept for backward, which computes p again (Dao et al. 2022). The CPU takes 64 query rows at a time, so
//! its scratch is 64 · segment length a thread, never T × T; a task is one segment and one key/value head, which owns its
//! rows of dk and dv. Products accumulate in f32. Bound: 4·E·T²/2 operations a head forward, 10·E·T²/2 backward.

pub(crate) mod cached;
pub(crate) mod cpu;
pub(crate) mod reference;
#[cfg(test)]
mod tests;
