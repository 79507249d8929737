//! What the tests of several ops share: inputs, comparison, finite differences.

/// `n` numbers in [−1, 1] from a seed (splitmix64).
pub(crate) fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The same numbers in f64.
pub(crate) fn numbers64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Asserts that no element differs by more than `bound`.
#[track_caller]
pub(crate) fn close(fast: &[f32], plain: &[f64], bound: f64) {
    assert_eq!(fast.len(), plain.len());
    for (i, (a, b)) in fast.iter().zip(plain).enumerate() {
        assert!((f64::from(*a) - b).abs() <= bound, "element {i}: {a} against {b}, allowed difference {bound:e}");
    }
}

/// Asserts that `gradient` is the derivative of `value` at `x`, element by element, by central differences in f64.
///
/// With step h = 1e-5 and third derivatives of order 1 the truncation is h²/6 ≈ 2e-11 and the rounding ε/h ≈ 2e-11 times
/// the value; 1e-7 of the gradient's scale leaves room for values and derivatives of order 1000.
#[track_caller]
pub(crate) fn finite_differences(x: &mut [f64], gradient: &[f64], mut value: impl FnMut(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    const H: f64 = 1e-5;
    for i in 0..x.len() {
        let at = x[i];
        x[i] = at + H;
        let above = value(x);
        x[i] = at - H;
        let below = value(x);
        x[i] = at;
        let slope = (above - below) / (2.0 * H);
        let allowed = 1e-7 * (1.0 + slope.abs());
        assert!((slope - gradient[i]).abs() < allowed, "element {i}: differences {slope}, gradient {}", gradient[i]);
    }
}
