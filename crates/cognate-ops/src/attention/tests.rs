use proptest::prelude::*;

use super::{Rows, cached, cpu, reference};
use crate::testing::{close, finite_differences, numbers, numbers64};
use crate::{Cpu, Heads, Precision};

/// qk and qkv whose values agree on q and k only by chance: the op must read values from qkv and the rest from qk.
fn inputs(seed: u64, rows: usize, heads: Heads) -> (Vec<f32>, Vec<f32>) {
    (numbers(seed, rows * heads.qk_width()), numbers(seed ^ 9, rows * heads.qkv_width()))
}

#[test]
fn gradients_are_the_finite_differences() {
    let heads = Heads { query: 4, kv: 2, width: 4 };
    let (rows, starts) = (7, [0, 3, 7]);
    let (qk, qkv) = inputs(1, rows, heads);
    let (mut qk, mut qkv) = (numbers64(&qk), numbers64(&qkv));
    let dout = numbers64(&numbers(2, rows * heads.query_width()));
    let value = |qk: &[f64], qkv: &[f64]| {
        let (mut out, mut lse) = (vec![0.0; dout.len()], vec![0.0; rows * heads.query]);
        reference::forward(&mut out, &mut lse, qk, qkv, &starts, heads);
        (out.iter().zip(&dout).map(|(a, b)| a * b).sum::<f64>(), out, lse)
    };
    let (_, out, lse) = value(&qk, &qkv);
    let mut gradient = vec![0.0; qkv.len()];
    reference::backward(&mut gradient, &dout, &out, &lse, &qk, &qkv, &starts, heads);
    let (mut by_qk, mut by_v) = (Vec::new(), gradient.clone());
    for row in gradient.chunks_exact(heads.qkv_width()) {
        by_qk.extend_from_slice(&row[..heads.qk_width()]);
    }
    // qkv's own query and key parts are not read by this op.
    by_v.chunks_exact_mut(heads.qkv_width()).for_each(|row| row[..heads.qk_width()].fill(0.0));
    let fixed = qkv.clone();
    finite_differences(&mut qk, &by_qk, |qk| value(qk, &fixed).0);
    let fixed = qk.clone();
    finite_differences(&mut qkv, &by_v, |qkv| value(&fixed, qkv).0);
}

fn shapes() -> impl Strategy<Value = (Heads, Vec<u32>)> {
    let heads = (prop::sample::select(vec![(1, 1), (4, 4), (4, 2), (6, 2), (3, 1)]), 1usize..20)
        .prop_map(|((query, kv), half)| Heads { query, kv, width: 2 * half });
    // Segments of 1 to 200 rows: below, at and above the block of 64 query rows.
    let starts = prop::collection::vec(1u32..200, 1..5).prop_map(|lengths| {
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |at, len| {
            *at += len;
            Some(*at)
        }));
        starts
    });
    (heads, starts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Queries, keys and values in [−1, 1].
    #[test]
    fn fast_agrees_with_the_reference((heads, starts) in shapes(), seed: u64) {
        let rows = *starts.last().unwrap() as usize;
        let (qk, qkv) = inputs(seed, rows, heads);
        let (qk64, qkv64) = (numbers64(&qk), numbers64(&qkv));
        let run = |threads| {
            let device = Cpu::new(threads).unwrap();
            let (mut out, mut lse) = (vec![0.0; rows * heads.query_width()], vec![0.0; rows * heads.query]);
            cpu::forward(&device, &mut out, &mut lse, &qk, &qkv, &starts, heads);
            let dout = numbers(seed ^ 3, out.len());
            let mut dqkv = vec![9.0; qkv.len()];
            let saved = cpu::Saved { out: &out, lse: &lse, qk: &qk, qkv: &qkv };
            cpu::backward(&device, &mut dqkv, &dout, &saved, &starts, heads);
            (out, lse, dqkv, dout)
        };
        let (out, lse, dqkv, dout) = run(2);
        let (mut out64, mut lse64) = (vec![0.0; out.len()], vec![0.0; lse.len()]);
        reference::forward(&mut out64, &mut lse64, &qk64, &qkv64, &starts, heads);
        // Weighted means of numbers in [−1, 1]; scores reach √40 and are rounded to f32.
        close(&out, &out64, 5e-6);
        close(&lse, &lse64, 5e-6);
        let mut dqkv64 = vec![0.0; qkv.len()];
        reference::backward(&mut dqkv64, &numbers64(&dout), &out64, &lse64, &qk64, &qkv64, &starts, heads);
        // Sums over up to 200 rows and 6 query heads of numbers of order 1.
        close(&dqkv, &dqkv64, 1e-4);
        prop_assert!((out, lse, dqkv, dout) == run(1));
    }

    /// Rows fed one by one, or in runs, see what whole-segment attention sees.
    #[test]
    fn cached_attention_is_attention((heads, starts) in shapes(), first in 1usize..60, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let rows = *starts.last().unwrap() as usize;
        let (qk, qkv) = inputs(seed, rows, heads);
        let (mut whole, mut lse) = (vec![0.0; rows * heads.query_width()], vec![0.0; rows * heads.query]);
        cpu::forward(&device, &mut whole, &mut lse, &qk, &qkv, &starts, heads);
        let (slots, capacity) = (starts.len() - 1, 208);
        let mut cache = vec![f32::NAN; slots * heads.kv * 2 * capacity * heads.width];
        cache.fill(0.5); // what a finished document left behind must not matter
        let mut cache64 = numbers64(&cache);
        for step in 0..200 {
            // The first `first` rows of each segment together, then one row a step.
            let mut batch: Vec<(u32, u32)> = Vec::new();
            for slot in 0..slots {
                let len = (starts[slot + 1] - starts[slot]) as usize;
                let fed = if step == 0 { 0..first.min(len) } else { (first + step - 1).min(len)..(first + step).min(len) };
                batch.extend(fed.map(|position| (slot as u32, position as u32)));
            }
            let at: Vec<usize> = batch.iter().map(|(slot, p)| (starts[*slot as usize] + p) as usize).collect();
            let pick = |x: &[f32], width: usize| -> Vec<f32> {
                at.iter().flat_map(|&row| x[row * width..(row + 1) * width].to_vec()).collect()
            };
            let (qk, qkv) = (pick(&qk, heads.qk_width()), pick(&qkv, heads.qkv_width()));
            let (slots, positions): (Vec<u32>, Vec<u32>) = batch.into_iter().unzip();
            let mut out = vec![0.0; at.len() * heads.query_width()];
            let rows = Rows { qk: &qk, qkv: &qkv, slots: &slots, positions: &positions };
            cached::forward(&device, &mut out, &mut cache, &rows, capacity, heads, Precision::F32);
            let mut out64 = vec![0.0; out.len()];
            let (qk64, qkv64) = (numbers64(&qk), numbers64(&qkv));
            let rows64 = Rows { qk: &qk64, qkv: &qkv64, slots: &slots, positions: &positions };
            reference::cached(&mut out64, &mut cache64, &rows64, capacity, heads);
            close(&out, &out64, 5e-6);
            close(&pick(&whole, heads.query_width()), &numbers64(&out), 5e-6);
        }
    }

    /// Keys and values that bfloat16 holds exactly: the half-size cache must give the bits of the full one, and rows that are fed
    /// together the bits of rows fed one by one.
    #[test]
    fn a_cache_of_half_the_size_and_rows_together_change_no_bit((heads, _) in shapes(), rows in 1usize..40, seed: u64) {
        let (mut qk, mut qkv) = inputs(seed, rows, heads);
        qk.iter_mut().chain(&mut qkv).for_each(|v| *v = (*v * 128.0).round() / 128.0);
        let (device, capacity) = (Cpu::new(2).unwrap(), 48);
        let run = |precision, at_a_time: usize| {
            // The second of two slots.
            let mut cache = vec![0.25; cached::len(2 * capacity, heads, precision)];
            let mut out = vec![0.0; rows * heads.query_width()];
            for (part, out) in out.chunks_mut(at_a_time * heads.query_width()).enumerate() {
                let fed = part * at_a_time..(part * at_a_time + at_a_time).min(rows);
                let rows = Rows {
                    qk: &qk[fed.start * heads.qk_width()..fed.end * heads.qk_width()],
                    qkv: &qkv[fed.start * heads.qkv_width()..fed.end * heads.qkv_width()],
                    slots: &vec![1; fed.len()],
                    positions: &(fed.start as u32..fed.end as u32).collect::<Vec<_>>(),
                };
                cached::forward(&device, out, &mut cache, &rows, capacity, heads, precision);
            }
            out
        };
        let one_by_one = run(Precision::F32, 1);
        for (precision, at_a_time) in [(Precision::F32, 7), (Precision::Int8, 1), (Precision::Int8, 40)] {
            prop_assert!(run(precision, at_a_time) == one_by_one, "{:?}, {} rows at a time", precision, at_a_time);
        }
    }
}
