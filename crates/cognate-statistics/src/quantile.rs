//! Quantiles of sorted values, in the two ways in which they are asked for: one of the values, or a number between two of them.
//!
//! [`crate::interval::quantile`] gives one with its interval.

/// The value at the nearest rank, 0 ≤ `share` ≤ 1: of n values that ascend, that at rank (n − 1)·`share`, rounded.
///
/// # Panics
/// Where there are no values.
pub fn nearest<T: Copy>(sorted: &[T], share: f64) -> T {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The smallest value that `percent` of the values do not exceed, 0 ≤ `percent` ≤ 100: of n values that ascend, that at rank
/// ⌈n·`percent`/100⌉ from 1 on, counted in whole numbers.
///
/// # Panics
/// Where there are no values.
pub fn not_exceeded<T: Copy>(sorted: &[T], percent: usize) -> T {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

/// A number between the two nearest values, 0 ≤ `share` ≤ 1, by linear interpolation at rank (n − 1)·`share` of n values that ascend
/// (definition 7 of Hyndman and Fan 1996, The American Statistician 50(4), 361–365).
///
/// # Panics
/// Where there are no values.
pub fn interpolated(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(interpolated(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(interpolated(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!((interpolated(&[1.0, 2.0, 4.0], 0.0), interpolated(&[1.0, 2.0, 4.0], 1.0)), (1.0, 4.0));
    }

    #[test]
    fn the_nearest_is_one_of_the_values() {
        let values = [1, 2, 4, 8];
        assert_eq!([0.0, 0.16, 0.17, 0.5, 0.83, 0.84, 1.0].map(|share| nearest(&values, share)), [1, 1, 2, 4, 4, 8, 8]);
        assert_eq!(nearest(&[0.5f32], 0.9), 0.5);
    }

    #[test]
    fn what_is_not_exceeded_is_the_smallest_such_value() {
        let values: Vec<u64> = (1..=100).collect();
        // In floating point, 100 · 0.07 is above 7.
        assert_eq!([0, 7, 50, 99, 100].map(|percent| not_exceeded(&values, percent)), [1, 7, 50, 99, 100]);
        assert_eq!(not_exceeded(&values[..10], 25), 3);
        assert_eq!(not_exceeded(&[3], 5), 3);
    }
}
