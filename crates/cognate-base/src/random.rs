//! Randomness derived from (seed, purpose, item), never from the order in which threads come by.
//!
//! Every draw of every stage starts from [`stream`], so a result depends on neither the number of threads nor on shards.

use rand::SeedableRng;
pub use rand::{Rng, RngExt, seq::SliceRandom};
pub use rand_chacha::ChaCha8Rng;

/// An independent random stream for `item` of `purpose` under `seed`.
///
/// The 256-bit ChaCha key is the BLAKE3 hash of the three, so neighbouring seeds and items are unrelated. ChaCha8's output is
/// specified, hence the same on every platform and in every release.
pub fn stream(seed: u64, purpose: &str, item: u64) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&item.to_le_bytes());
    hasher.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

/// A number in [0, 1) with 53 random bits, from any 64 random bits.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// A normally distributed number, mean 0 and standard deviation 1 (Box and Muller 1958, one of the pair).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(rng.next_u64())).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(rng.next_u64())).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_part_and_repeat() {
        let first = |seed, purpose, item| stream(seed, purpose, item).next_u64();
        let base = first(1, "shuffle", 0);
        assert_eq!(base, first(1, "shuffle", 0));
        for other in [first(2, "shuffle", 0), first(1, "sample", 0), first(1, "shuffle", 1)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut rng = stream(7, "normal", 0);
        let n = 100_000;
        let x: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let mean = x.iter().sum::<f64>() / n as f64;
        let variance = x.iter().map(|v| v * v).sum::<f64>() / n as f64;
        // Four standard errors: 1/sqrt(n) of the mean, sqrt(2/n) of the variance.
        assert!(mean.abs() < 4.0 / (n as f64).sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt(), "{variance}");
    }

    #[test]
    fn unit_stays_below_one() {
        assert_eq!(unit(0), 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
