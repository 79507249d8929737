//! How well a score tells positives from negatives: the ROC curve and its area, and a threshold that gives up few positives.

use serde::{Deserialize, Serialize};

use crate::Z;

/// Steps of a recorded curve.
const STEPS: usize = 100;

/// A receiver operating characteristic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roc {
    /// Points (share of negatives, share of positives) at or above a falling threshold, from (0, 0) to (1, 1); of more than a
    /// hundred, evenly spread ones.
    pub points: Vec<(f64, f64)>,
    /// Area under the whole curve: the probability that a positive scores higher than a negative, ties counted half
    /// (Mann-Whitney's U over the number of pairs). 0.5 is chance.
    pub area: f64,
    /// Lower end of the area's 95 % interval.
    pub low: f64,
    /// Upper end of the area's 95 % interval.
    pub high: f64,
    /// Positives.
    pub positives: u64,
    /// Negatives.
    pub negatives: u64,
}

/// The curve of scores of positives and negatives; none without either, or with a score that is not a number.
///
/// The interval is area ± 1.96·SE, cut to 0..=1, with the standard error of Hanley and McNeil 1982: for area A and p positives, n
/// negatives, SE² = [A(1 − A) + (p − 1)(Q₁ − A²) + (n − 1)(Q₂ − A²)] / (p·n), Q₁ = A/(2 − A), Q₂ = 2A²/(1 + A). It takes all scores as
/// independent; pairs that share a document are not quite, so it is a lower bound. An area of 0 or 1 has no standard error; its open end is
/// Wilson's, for as many cases as the fewer of both are, all alike.
#[must_use]
pub fn roc(positives: &[f64], negatives: &[f64]) -> Option<Roc> {
    let (p, n) = (positives.len() as f64, negatives.len() as f64);
    if positives.is_empty() || negatives.is_empty() || positives.iter().chain(negatives).any(|score| score.is_nan()) {
        return None;
    }
    let mut scores: Vec<(f64, bool)> = positives.iter().map(|&score| (score, true)).collect();
    scores.extend(negatives.iter().map(|&score| (score, false)));
    scores.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let mut points = vec![(0.0, 0.0)];
    let (mut hits, mut alarms, mut area) = (0.0, 0.0, 0.0);
    // Equal scores make one step, so the area under a tie is half.
    for tie in scores.chunk_by(|a, b| a.0 == b.0) {
        let above = tie.iter().filter(|(_, positive)| *positive).count() as f64;
        let below = tie.len() as f64 - above;
        area += below * (hits + above / 2.0);
        hits += above;
        alarms += below;
        points.push((alarms / n, hits / p));
    }
    let area = area / (p * n);
    let (q1, q2) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let square = area * area;
    let variance = (area * (1.0 - area) + (p - 1.0) * (q1 - square) + (n - 1.0) * (q2 - square)) / (p * n);
    let half = Z * variance.max(0.0).sqrt();
    // Scores that part all pairs have no spread to go by: then the bound is Wilson's for as many cases without a failure.
    let cases = p.min(n);
    let unseen = if area == 0.0 || area == 1.0 { Z * Z / (cases + Z * Z) } else { 0.0 };
    Some(Roc {
        points: thin(points),
        area,
        low: (area - half - unseen).max(0.0),
        high: (area + half + unseen).min(1.0),
        positives: positives.len() as u64,
        negatives: negatives.len() as u64,
    })
}

/// Share of the positives that a [`threshold`] gives up.
pub const GIVEN_UP: f64 = 0.05;

/// Positives below which no [`threshold`] can give up [`GIVEN_UP`] of them: it would be less than one.
pub const FEWEST_POSITIVES: usize = (1.0 / GIVEN_UP) as usize;

/// The score below which [`GIVEN_UP`] of the positives lie, their number rounded down. None with fewer than [`FEWEST_POSITIVES`], and
/// where the scores may tell nothing: the interval of the area under their curve, `of`, does not lie above 0.5.
#[must_use]
pub fn threshold(positives: &[f64], of: &Roc) -> Option<f64> {
    let mut sorted = positives.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let given_up = (sorted.len() as f64 * GIVEN_UP) as usize;
    let tells = sorted.len() >= FEWEST_POSITIVES && of.low > 0.5;
    sorted.get(given_up).copied().filter(|_| tells)
}

/// At most [`STEPS`] + 1 points, both ends among them.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let last = points.len() - 1;
    if last <= STEPS {
        return points;
    }
    (0..=STEPS).map(|step| points[step * last / STEPS]).collect()
}

#[cfg(test)]
mod tests {
    use cognate_base::random::{self, Rng as _};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_curve_by_hand() {
        let found = roc(&[0.9, 0.8, 0.4], &[0.7, 0.4, 0.1, 0.0]).unwrap();
        assert_eq!(
            found.points,
            [(0.0, 0.0), (0.0, 1.0 / 3.0), (0.0, 2.0 / 3.0), (0.25, 2.0 / 3.0), (0.5, 1.0), (0.75, 1.0), (1.0, 1.0)]
        );
        // 4 + 4 + 2½ of 12 pairs in the right order.
        assert_eq!((found.area, found.positives, found.negatives), (10.5 / 12.0, 3, 4));
    }

    /// Scores of two exponential distributions, for which Hanley and McNeil's Q₁ and Q₂ are exact: the areas of many samples spread
    /// as the standard error says. Unequal numbers, so that the two must not be exchanged.
    #[test]
    fn the_standard_error_is_the_spread_over_samples() {
        const SAMPLES: u64 = 4000;
        let mut reported = 0.0;
        let areas: Vec<f64> = (0..SAMPLES)
            .map(|sample| {
                let mut stream = random::stream(1, "roc samples", sample);
                let mut exponential = |mean: f64| -mean * (1.0 - random::unit(stream.next_u64())).ln();
                // P(x > y) = 4 / (4 + 1).
                let positives: Vec<f64> = (0..20).map(|_| exponential(4.0)).collect();
                let negatives: Vec<f64> = (0..80).map(|_| exponential(1.0)).collect();
                let found = roc(&positives, &negatives).unwrap();
                // Above, the interval may be cut at 1.
                reported += (found.area - found.low) / Z / SAMPLES as f64;
                found.area
            })
            .collect();
        let mean = areas.iter().sum::<f64>() / SAMPLES as f64;
        assert!((mean - 0.8).abs() < 0.004, "{mean}");
        let spread = (areas.iter().map(|area| (area - mean).powi(2)).sum::<f64>() / SAMPLES as f64).sqrt();
        // A standard deviation of 4,000 is known to 1.1 %; that of the formula at estimated areas is low by a percent or two.
        assert!((reported / spread - 1.0).abs() < 0.05, "{reported} against {spread}");
    }

    #[test]
    fn ends_and_nothing() {
        let perfect = roc(&[1.0, 2.0], &[0.0]).unwrap();
        // One negative without a failure: Wilson's lower bound is 1 / (1 + 1.96²).
        assert!(perfect.area == 1.0 && perfect.high == 1.0 && (perfect.low - 0.2065).abs() < 1e-4, "{perfect:?}");
        let worst = roc(&[0.0], &[1.0]).unwrap();
        assert!(worst.area == 0.0 && worst.low == 0.0 && (worst.high - 0.7935).abs() < 1e-4, "{worst:?}");
        assert_eq!(roc(&[1.0], &[1.0]).unwrap().area, 0.5);
        assert!(roc(&[], &[1.0]).is_none() && roc(&[1.0], &[]).is_none() && roc(&[f64::NAN], &[1.0]).is_none());
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        let points = roc(&many, &many).unwrap().points;
        assert_eq!((points.len(), points[0], points[STEPS]), (STEPS + 1, (0.0, 0.0), (1.0, 1.0)));
    }

    #[test]
    fn a_threshold_gives_up_one_in_twenty_where_scores_tell_something() {
        let positives: Vec<f64> = (0..59).rev().map(f64::from).collect();
        let curve =
            |shift: f64| roc(&positives, &positives.iter().map(|score| score - shift).collect::<Vec<_>>()).unwrap();
        // 59 / 20 = 2.95: two lie below.
        assert_eq!(threshold(&positives, &curve(30.0)), Some(2.0));
        // Their areas' intervals begin at 0.494 and at 0.510.
        assert_eq!([6.0, 7.0].map(|shift| threshold(&positives, &curve(shift))), [None, Some(2.0)]);
        let few = &positives[..19];
        assert_eq!(threshold(few, &roc(few, &[-1.0; 19]).unwrap()), None, "no twentieth");
        let enough = &positives[..20];
        assert_eq!(threshold(enough, &roc(enough, &[-1.0; 20]).unwrap()), Some(40.0));
    }

    proptest! {
        #[test]
        fn the_area_counts_pairs(
            positives in prop::collection::vec(0u8..9, 1..30),
            negatives in prop::collection::vec(0u8..9, 1..30),
        ) {
            let scores = |values: &[u8]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
            let found = roc(&scores(&positives), &scores(&negatives)).unwrap();
            let mut halves = 0;
            for p in &positives {
                for n in &negatives {
                    halves += if p > n { 2 } else { usize::from(p == n) };
                }
            }
            let expected = halves as f64 / 2.0 / (positives.len() * negatives.len()) as f64;
            prop_assert!((found.area - expected).abs() < 1e-12);
            prop_assert!(found.low <= found.area && found.area <= found.high);
            let mirrored = roc(&scores(&negatives), &scores(&positives)).unwrap();
            prop_assert!((mirrored.area - (1.0 - expected)).abs() < 1e-12);
        }
    }
}
