//! 95 % intervals: binomial for shares of documents, bootstrap for everything else.
//!
//! Both take units as independent. Where they share something, as synthetic documents share seeds and a model, read the intervals as
//! lower bounds of what another corpus or another synthesizer would change.

use cognate_base::random::{self, Rng};
use cognate_base::{Interrupted, Monitor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Z;

/// Resamples of the bootstrap: the 2.5 % quantile of so many is known to about half a percentage point.
const RESAMPLES: usize = 1000;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The estimate.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Independent units that it was estimated from: documents where nothing else is said.
    pub n: u64,
}

/// A count out of a number of cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Cases that have the property.
    pub count: u64,
    /// All cases.
    pub n: u64,
}

impl Share {
    /// The share, where there are cases.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.count as f64 / self.n as f64)
    }

    /// The share with its binomial interval, where there are cases.
    #[must_use]
    pub fn figure(self) -> Option<Figure> {
        wilson(self.count, self.n)
    }

    /// Of cases, each with the property or without.
    #[must_use]
    pub fn of(cases: impl Iterator<Item = bool>) -> Self {
        cases.fold(Self::default(), |share, hit| Self { count: share.count + u64::from(hit), n: share.n + 1 })
    }
}

/// Wilson's score interval (Wilson 1927) of a share of `count` out of `n`: with z = 1.96 and p = count/n,
/// (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). It holds at counts of 0 and n, where the usual one is empty.
#[must_use]
pub fn wilson(count: u64, n: u64) -> Option<Figure> {
    if n == 0 {
        return None;
    }
    let (total, square) = (n as f64, Z * Z);
    let p = count as f64 / total;
    let middle = p + square / (2.0 * total);
    let half = Z * (p * (1.0 - p) / total + square / (4.0 * total * total)).sqrt();
    let scale = 1.0 + square / total;
    // At 0 and n the formula gives the border itself, up to rounding.
    let low = if count == 0 { 0.0 } else { (middle - half) / scale };
    let high = if count == n { 1.0 } else { (middle + half) / scale };
    Some(Figure { value: p, low, high, n })
}

/// K ratios Σa/Σb over units, each unit an (a, b) for every ratio, with percentile bootstrap intervals (Efron and Tibshirani 1993,
/// chapter 13) from 1000 resamples of the units. A unit that says nothing about a ratio is (0, 0) there; a ratio that no unit says
/// anything about is `None`. The same units give the same interval: the draws depend on their number alone.
///
/// # Errors
/// When the monitor interrupts.
pub fn bootstrap<const K: usize>(
    units: &[[(f64, f64); K]],
    monitor: &dyn Monitor,
) -> Result<[Option<Figure>; K], Interrupted> {
    let resamples: Vec<[f64; K]> = (0..RESAMPLES as u64)
        .into_par_iter()
        .map(|resample| {
            monitor.check()?;
            let mut stream = random::stream(units.len() as u64, "bootstrap", resample);
            let n = units.len() as u128;
            let drawn = (0..units.len()).map(|_| &units[((u128::from(stream.next_u64()) * n) >> 64) as usize]);
            Ok(ratios(drawn))
        })
        .collect::<Result<_, Interrupted>>()?;
    let values = ratios(units.iter());
    Ok(std::array::from_fn(|k| {
        let n = units.iter().filter(|unit| unit[k].1 > 0.0).count() as u64;
        // A resample may hold no unit that says anything.
        let mut drawn: Vec<f64> = resamples.iter().map(|ratios| ratios[k]).filter(|ratio| ratio.is_finite()).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| drawn.get(((drawn.len() as f64 * share) as usize).min(drawn.len().saturating_sub(1)));
        let (low, high) = (at(0.025).copied(), at(0.975).copied());
        low.zip(high).filter(|_| n > 0).map(|(low, high)| Figure { value: values[k], low, high, n })
    }))
}

fn ratios<'a, const K: usize>(units: impl Iterator<Item = &'a [(f64, f64); K]>) -> [f64; K] {
    let mut sums = [(0.0, 0.0); K];
    for unit in units {
        for (sum, (a, b)) in sums.iter_mut().zip(unit) {
            *sum = (sum.0 + a, sum.1 + b);
        }
    }
    sums.map(|(a, b)| a / b)
}

/// The mean of values with its bootstrap interval; none of no values.
///
/// # Errors
/// When the monitor interrupts.
pub fn mean(values: &[f64], monitor: &dyn Monitor) -> Result<Option<Figure>, Interrupted> {
    let units: Vec<[(f64, f64); 1]> = values.iter().map(|&value| [(value, 1.0)]).collect();
    Ok(bootstrap(&units, monitor)?[0])
}

/// A quantile of values, 0 < `share` < 1: the smallest that `share` of them do not exceed. The interval is that of order statistics,
/// with ranks n·p ± 1.96·√(n·p·(1 − p)) from the binomial distribution (Conover 1999, section 3.2). None of no values.
#[must_use]
pub fn quantile(values: &[u64], share: f64) -> Option<Figure> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let n = sorted.len();
    let at = |rank: f64| sorted.get((rank.ceil().max(1.0) as usize).min(n).checked_sub(1)?).map(|&value| value as f64);
    let (middle, half) = (n as f64 * share, Z * (n as f64 * share * (1.0 - share)).sqrt());
    Some(Figure { value: at(middle)?, low: at(middle - half)?, high: at(middle + half)?, n: n as u64 })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cognate_base::{Silent, Unit};

    use super::*;

    /// Wants to stop from the look of this number on.
    struct StopAt(u64, AtomicU64);

    impl Monitor for StopAt {
        fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
        fn advance(&self, _: u64, _: &str) {}
        fn end(&self) {}
        fn interrupted(&self) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed) >= self.0
        }
    }

    #[test]
    fn every_resample_can_be_interrupted() {
        let found = |at: u64| mean(&[1.0, 2.0, 3.0], &StopAt(at, AtomicU64::new(0)));
        assert!([0, 1, RESAMPLES as u64 - 1].into_iter().all(|at| found(at).is_err()));
        assert!(found(RESAMPLES as u64).is_ok());
    }

    #[test]
    fn wilson_at_published_values() {
        // Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
        for (count, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(count, n).unwrap();
            assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{count}/{n}: {found:?}");
        }
        assert_eq!(wilson(20, 20).unwrap().high, 1.0);
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn the_bootstrap_covers_the_mean_about_as_often_as_it_says() {
        // 300 samples of 60 uniform numbers: 95 % is 285; the percentile interval of 60 is a little short.
        let covered = (0..300)
            .filter(|&sample| {
                let mut stream = random::stream(4, "test", sample);
                let values: Vec<f64> = (0..60).map(|_| random::unit(stream.next_u64())).collect();
                let found = mean(&values, &Silent).unwrap().unwrap();
                found.low <= 0.5 && 0.5 <= found.high
            })
            .count();
        assert!((272..=296).contains(&covered), "{covered}");
    }

    #[test]
    fn quantiles_by_hand() {
        let values: Vec<u64> = (1..=100).rev().collect();
        // 50 ± 9.8: ranks 41 and 60.
        assert_eq!(quantile(&values, 0.5), Some(Figure { value: 50.0, low: 41.0, high: 60.0, n: 100 }));
        assert_eq!(quantile(&[7], 0.25), Some(Figure { value: 7.0, low: 7.0, high: 7.0, n: 1 }));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn ratios_are_of_sums_and_units_may_be_silent() {
        let units = [[(1.0, 2.0), (0.0, 0.0)], [(3.0, 10.0), (0.0, 0.0)], [(0.0, 0.0), (0.0, 0.0)]];
        let [ratio, none] = bootstrap(&units, &Silent).unwrap();
        let ratio = ratio.unwrap();
        assert_eq!((ratio.value, ratio.n, none), (4.0 / 12.0, 2, None));
        assert_eq!((ratio.low, ratio.high), (0.3, 0.5));
        assert_eq!(bootstrap::<1>(&[], &Silent).unwrap(), [None]);
        let same = mean(&[2.0; 40], &Silent).unwrap().unwrap();
        assert_eq!((same.value, same.low, same.high, same.n), (2.0, 2.0, 2.0, 40));
        assert_eq!(bootstrap(&units, &Silent).unwrap(), bootstrap(&units, &Silent).unwrap());
    }
}
