use proptest::prelude::*;

use super::{RopeTable, cpu, reference};
use crate::testing::{close, finite_differences, numbers, numbers64};
use crate::{Cpu, Heads};

const EPS: f64 = 1e-6;
const HEADS: Heads = Heads { query: 3, kv: 1, width: 6 };

fn positions(rows: usize) -> Vec<u32> {
    (0..rows).map(|i| (i * 7 % 40) as u32).collect()
}

#[test]
fn gradients_are_the_finite_differences() {
    let rows = 3;
    let table = RopeTable::new(RopeTable::frequencies(100.0, HEADS.width), 40);
    let positions = positions(rows);
    let mut qkv = numbers64(&numbers(1, rows * HEADS.qkv_width()));
    let mut weights = numbers64(&numbers(2, 2 * HEADS.width));
    let upstream = numbers64(&numbers(3, rows * HEADS.qk_width()));
    for normed in [true, false] {
        let value = |qkv: &[f64], weights: &[f64]| {
            let (mut qk, mut inv) = (vec![0.0; upstream.len()], vec![0.0; rows * 4]);
            let norm = normed.then(|| weights.split_at(HEADS.width));
            reference::forward(&mut qk, &mut inv, qkv, norm, &positions, &table, HEADS, EPS);
            (qk.iter().zip(&upstream).map(|(a, b)| a * b).sum::<f64>(), inv)
        };
        let inv = value(&qkv, &weights).1;
        let mut dqkv = vec![0.0; qkv.len()];
        for row in 0..rows {
            dqkv[row * HEADS.qkv_width()..][..HEADS.qk_width()]
                .copy_from_slice(&upstream[row * HEADS.qk_width()..][..HEADS.qk_width()]);
        }
        let mut dweights = vec![0.0; weights.len()];
        let norm = normed.then(|| weights.split_at(HEADS.width));
        let dnorm = normed.then_some(&mut dweights[..]);
        reference::backward(&mut dqkv, dnorm, &qkv, &inv, norm, &positions, &table, HEADS);
        let fixed = weights.clone();
        finite_differences(&mut qkv, &dqkv, |qkv| value(qkv, &fixed).0);
        let fixed = qkv.clone();
        finite_differences(&mut weights, &dweights, |weights| value(&fixed, weights).0);
    }
}

#[test]
fn a_rotation_keeps_the_angle_between_positions() {
    // ⟨R(p)x, R(q)y⟩ depends on p − q alone: the property that rotary embedding exists for.
    let heads = Heads { query: 1, kv: 1, width: 8 };
    let table = RopeTable::new(RopeTable::frequencies(10.0, 8), 200);
    let qkv = numbers64(&numbers(5, heads.qkv_width()));
    let score = |p: u32, q: u32| {
        let rows: Vec<f64> = qkv.iter().chain(&qkv).copied().collect();
        let (mut qk, mut inv) = (vec![0.0; 32], vec![0.0; 4]);
        reference::forward(&mut qk, &mut inv, &rows, None, &[p, q], &table, heads, EPS);
        qk[..8].iter().zip(&qk[24..]).map(|(a, b)| a * b).sum::<f64>()
    };
    assert!((score(3, 10) - score(103, 110)).abs() < 1e-12);
    assert!((score(3, 10) - score(3, 11)).abs() > 1e-3);
}

/// An f32 angle would be off by 0.004 at this position.
#[test]
fn angles_are_exact_at_far_positions() {
    let (base, width, position) = (1e4, 8, 100_003);
    let table = RopeTable::new(RopeTable::frequencies(base, width), position + 1);
    let (cos, sin) = table.at(position as u32);
    for i in 0..width / 2 {
        let angle = position as f64 * base.powf(-2.0 * i as f64 / width as f64);
        // Half a unit in the last place of numbers up to 1.
        assert!((f64::from(cos[i]) - angle.cos()).abs() <= 3.1e-8, "pair {i}");
        assert!((f64::from(sin[i]) - angle.sin()).abs() <= 3.1e-8, "pair {i}");
    }
}

proptest! {
    /// Inputs in [−1, 1], positions below 40.
    #[test]
    fn fast_agrees_with_the_reference(rows in 1usize..200, half in 2usize..40, normed: bool, seed: u64) {
        let heads = Heads { query: 4, kv: 2, width: 2 * half };
        let device = Cpu::new(2).unwrap();
        let table = RopeTable::new(RopeTable::frequencies(1e4, heads.width), 40);
        let positions = positions(rows);
        let qkv = numbers(seed, rows * heads.qkv_width());
        let (wq, wk) = (numbers(seed ^ 1, heads.width), numbers(seed ^ 2, heads.width));
        let (qkv64, wq64, wk64) = (numbers64(&qkv), numbers64(&wq), numbers64(&wk));
        let norm = normed.then_some((&wq[..], &wk[..]));
        let norm64 = normed.then_some((&wq64[..], &wk64[..]));
        let (mut qk, mut inv) = (vec![0.0; rows * heads.qk_width()], vec![0.0; rows * 6]);
        let (mut qk64, mut inv64) = (vec![0.0; rows * heads.qk_width()], vec![0.0; rows * 6]);
        cpu::forward(&device, &mut qk, &mut inv, &qkv, norm, &positions, &table, heads, EPS as f32);
        reference::forward(&mut qk64, &mut inv64, &qkv64, norm64, &positions, &table, heads, EPS);
        // Numbers of order 1 to 10 (1/rms of four numbers in [−1, 1]) and half a dozen roundings.
        close(&qk, &qk64, 1e-5);
        let mut dqkv = numbers(seed ^ 3, qkv.len());
        let mut dqkv64 = numbers64(&dqkv);
        let (mut dn, mut dn64) = (vec![0.0; 2 * heads.width], vec![0.0; 2 * heads.width]);
        cpu::backward(&device, &mut dqkv, normed.then_some(&mut dn[..]), &qkv, &inv, norm, &positions, &table, heads);
        reference::backward(
            &mut dqkv64, normed.then_some(&mut dn64[..]), &qkv64, &inv64, norm64, &positions, &table, heads,
        );
        // r³ amplifies: r reaches 10 for the shortest heads.
        close(&dqkv, &dqkv64, 3e-4);
        close(&dn, &dn64, 2e-6 * (10 + rows) as f64);
    }
}
