//! Differences between models on the same documents, by the paired bootstrap.
//!
//! Documents are drawn with replacement, each with what all models made of it (Efron and Tibshirani 1993, chapter 13): most of the
//! spread between documents is common to the models and falls out of the difference, which two separate standard errors
//! do not know.
//!
//! Where an arm is several models that differ in their seed alone, seeds are drawn with replacement too, the same ones for every
//! arm, and then documents, the same ones for every model: every seed has seen every document, so both factors are drawn for
//! themselves and not one inside the other (the pigeonhole bootstrap, Owen 2007, Annals of Applied Statistics 1(2), 386–411, which
//! shows its variance to be too large rather than too small where both factors are many). Few seeds are another matter: n of them,
//! drawn with replacement, vary by (n − 1)/n of what they should, so an interval over two or three is too narrow.

use cognate_base::random::{self, Rng};
use serde::{Deserialize, Serialize};

use crate::quantile::interpolated;

/// Two results are not of the same documents.
#[derive(Debug, thiserror::Error)]
#[error("the results are not of the same documents: {problem}")]
pub struct Unpaired {
    /// What differs.
    problem: String,
}

/// A mean difference, second minus first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean over the documents.
    pub mean: f64,
    /// Standard deviation of the resampled means.
    pub stderr: f64,
    /// Lower end of the percentile interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Documents.
    pub n: u64,
}

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// How often; at least 2.
    pub resamples: usize,
    /// Share of the resampled means inside the interval, such as 0.95.
    pub confidence: f64,
    /// Decides the draws.
    pub seed: u64,
}

/// Compares what two models made of the same documents: (document, value) in the same order, as two result files of one task
/// have them.
///
/// # Errors
/// When the documents are not the same, or are fewer than two.
///
/// # Panics
/// When there are fewer than two resamples, or the confidence is not between 0 and 1.
pub fn paired<Id: PartialEq + std::fmt::Debug>(
    first: &[(Id, f64)],
    second: &[(Id, f64)],
    resampling: Resampling,
) -> Result<Difference, Unpaired> {
    let Resampling { resamples, confidence, seed } = resampling;
    assert!(resamples >= 2 && confidence > 0.0 && confidence < 1.0, "{resampling:?}");
    if first.len() != second.len() || first.len() < 2 {
        let problem = format!("{} documents against {}; expected as many, and at least 2", first.len(), second.len());
        return Err(Unpaired { problem });
    }
    if let Some((a, b)) = first.iter().zip(second).find(|(a, b)| a.0 != b.0) {
        return Err(Unpaired { problem: format!("document {:?} stands where the other has {:?}", a.0, b.0) });
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b.1 - a.1).collect();
    let n = differences.len();
    let mut means: Vec<f64> = (0..resamples)
        .map(|resample| {
            let mut stream = random::stream(seed, "bootstrap", resample as u64);
            let total: f64 = (0..n).map(|_| differences[draw(&mut stream, n)]).sum();
            total / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let centre = means.iter().sum::<f64>() / resamples as f64;
    let variance = means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / (resamples - 1) as f64;
    let tail = (1.0 - confidence) / 2.0;
    Ok(Difference {
        mean: differences.iter().sum::<f64>() / n as f64,
        stderr: variance.sqrt(),
        low: interpolated(&means, tail),
        high: interpolated(&means, 1.0 - tail),
        n: n as u64,
    })
}

/// A number below `n`, each as likely as any other.
fn draw(stream: &mut impl Rng, n: usize) -> usize {
    // `unit` is below 1, and its product with a whole number of less than 2^53 below that number.
    (random::unit(stream.next_u64()) * n as f64) as usize
}

/// Means of several arms, as measured and as resampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Means {
    /// Of each arm, over all seeds and documents.
    measured: Vec<f64>,
    /// The same of each resample.
    resampled: Vec<Vec<f64>>,
    confidence: f64,
}

/// A statistic of the arms' means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistic {
    /// As measured.
    pub value: f64,
    /// Ends of the percentile interval; none where a resample has no such value, as a ratio over a difference that is not surely
    /// above zero.
    pub interval: Option<(f64, f64)>,
}

/// Resamples the means of arms that consist of models with the same seeds, scored on the same documents.
///
/// `weights` holds one number a document (its tokens; 1 where documents count alike), `arms` for each arm and each seed the
/// documents' totals (their nats; 1 or 0 for a right or wrong answer). An arm's mean is Σ totals / Σ weights over the documents,
/// averaged over the seeds. With one seed documents alone are drawn.
///
/// # Errors
/// When arms have other numbers of seeds or documents than each other, there are fewer than two documents, or no seed.
///
/// # Panics
/// When there are fewer than two resamples, or the confidence is not between 0 and 1.
pub fn means(weights: &[f64], arms: &[Vec<Vec<f64>>], resampling: Resampling) -> Result<Means, Unpaired> {
    let Resampling { resamples, confidence, seed } = resampling;
    assert!(resamples >= 2 && confidence > 0.0 && confidence < 1.0, "{resampling:?}");
    let (documents, seeds) = (weights.len(), arms.first().map_or(0, Vec::len));
    if let Some(other) = arms.iter().find(|arm| arm.len() != seeds || seeds == 0) {
        let problem = format!("{} seeds against {seeds}; expected as many, and at least 1", other.len());
        return Err(Unpaired { problem });
    }
    if let Some(other) = arms.iter().flatten().find(|totals| totals.len() != documents || documents < 2) {
        let problem = format!("{} documents against {documents}; expected as many, and at least 2", other.len());
        return Err(Unpaired { problem });
    }
    // How often each seed and each document is drawn.
    let mean = |seed_counts: &[f64], document_counts: &[f64]| -> Vec<f64> {
        let dot =
            |values: &[f64]| -> f64 { values.iter().zip(document_counts).map(|(value, count)| value * count).sum() };
        let (weight, drawn) = (dot(weights), seed_counts.iter().sum::<f64>());
        let total = |arm: &Vec<Vec<f64>>| -> f64 {
            let drawn = arm.iter().zip(seed_counts).filter(|(_, count)| **count > 0.0);
            drawn.map(|(totals, count)| count * dot(totals)).sum()
        };
        arms.iter().map(|arm| total(arm) / (weight * drawn)).collect()
    };
    let counts = |purpose: &str, resample: usize, n: usize| {
        let mut stream = random::stream(seed, purpose, resample as u64);
        let mut counts = vec![0.0; n];
        (0..n).for_each(|_| counts[draw(&mut stream, n)] += 1.0);
        counts
    };
    let resample = |i| mean(&counts("bootstrap seeds", i, seeds), &counts("bootstrap", i, documents));
    Ok(Means {
        measured: mean(&vec![1.0; seeds], &vec![1.0; documents]),
        resampled: (0..resamples).map(resample).collect(),
        confidence,
    })
}

impl Means {
    /// The means as measured, arm by arm.
    #[must_use]
    pub fn measured(&self) -> &[f64] {
        &self.measured
    }

    /// A statistic with its interval; none where the measured means have no such value.
    pub fn statistic(&self, of: impl Fn(&[f64]) -> Option<f64>) -> Option<Statistic> {
        let value = of(&self.measured)?;
        let resampled: Option<Vec<f64>> = self.resampled.iter().map(|means| of(means)).collect();
        let interval = resampled.map(|mut values| {
            values.sort_by(f64::total_cmp);
            let tail = (1.0 - self.confidence) / 2.0;
            (interpolated(&values, tail), interpolated(&values, 1.0 - tail))
        });
        Some(Statistic { value, interval })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESAMPLING: Resampling = Resampling { resamples: 2000, confidence: 0.95, seed: 4 };

    fn numbered(values: impl Iterator<Item = f64>) -> Vec<(usize, f64)> {
        values.enumerate().collect()
    }

    #[test]
    fn a_constant_difference_has_no_spread_however_documents_differ() {
        let first = numbered((0..50).map(|i| f64::from(i * i)));
        let second = numbered((0..50).map(|i| f64::from(i * i) + 0.25));
        let found = paired(&first, &second, RESAMPLING).unwrap();
        assert_eq!(found, Difference { mean: 0.25, stderr: 0.0, low: 0.25, high: 0.25, n: 50 });
        assert_eq!(paired(&second, &first, RESAMPLING).unwrap().mean, -0.25);
    }

    #[test]
    fn the_spread_is_that_of_the_mean() {
        let mut noise = random::stream(1, "test", 0);
        let differences: Vec<f64> = (0..400).map(|_| 0.1 + random::normal(&mut noise)).collect();
        let first = numbered(differences.iter().map(|_| 3.0));
        let second = numbered(differences.iter().map(|difference| 3.0 + difference));
        let found = paired(&first, &second, RESAMPLING).unwrap();
        let mean = differences.iter().sum::<f64>() / 400.0;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 399.0;
        let stderr = (variance / 400.0).sqrt();
        assert!((found.mean - mean).abs() < 1e-12);
        // 2000 resamples know a standard deviation to 1.6 %; four of that.
        assert!((found.stderr / stderr - 1.0).abs() < 0.065, "{found:?} {stderr}");
        // Normal means: 1.96 standard errors on each side; an end of 2000 resamples is known to 0.06 standard errors.
        assert!(((found.mean - found.low) / stderr - 1.96).abs() < 0.24, "{found:?}");
        assert!(((found.high - found.mean) / stderr - 1.96).abs() < 0.24, "{found:?}");
        assert_eq!(found, paired(&first, &second, RESAMPLING).unwrap());
        assert_ne!(found, paired(&first, &second, Resampling { seed: 5, ..RESAMPLING }).unwrap());
    }

    #[test]
    fn other_documents_are_no_pairs() {
        let first = numbered([1.0, 2.0, 3.0].into_iter());
        let error = |second: &[(usize, f64)]| paired(&first, second, RESAMPLING).unwrap_err().to_string();
        assert_eq!(
            error(&first[..2]),
            "the results are not of the same documents: 3 documents against 2; expected as many, and at least 2"
        );
        let error = error(&[(0, 1.0), (2, 1.0), (1, 1.0)]);
        assert_eq!(error, "the results are not of the same documents: document 1 stands where the other has 2");
        assert!(paired(&first[..1], &first[..1], RESAMPLING).is_err());
    }

    /// Two arms whose models share documents of very different difficulty; the second is better by 0.1 on average, by another
    /// amount for each seed (standard deviation `between`) and each document (standard deviation `within`).
    fn arms(seeds: usize, documents: usize, between: f64, within: f64) -> (Vec<f64>, Vec<Vec<Vec<f64>>>) {
        let mut noise = random::stream(7, "test", 0);
        let weights: Vec<f64> = (0..documents).map(|i| 10.0 + (i % 90) as f64).collect();
        let difficulty: Vec<f64> = (0..documents).map(|_| 5.0 + random::normal(&mut noise)).collect();
        let mut arm = |gain: f64, between: f64| -> Vec<Vec<f64>> {
            let mut model = || {
                let shift = gain + between * random::normal(&mut noise);
                let nats = |(w, d): (&f64, &f64)| w * (d - shift + within * random::normal(&mut noise));
                weights.iter().zip(&difficulty).map(nats).collect()
            };
            (0..seeds).map(|_| model()).collect()
        };
        let arms = vec![arm(0.0, 0.0), arm(0.1, between)];
        (weights, arms)
    }

    fn difference(weights: &[f64], arms: &[Vec<Vec<f64>>]) -> Statistic {
        means(weights, arms, RESAMPLING).unwrap().statistic(|m| Some(m[1] - m[0])).unwrap()
    }

    #[test]
    fn one_seed_is_the_paired_bootstrap_over_documents() {
        let (_, arms) = arms(1, 300, 0.0, 0.3);
        let alike = vec![1.0; 300];
        let found = difference(&alike, &arms);
        let list = |arm: usize| numbered(arms[arm][0].iter().copied());
        let paired = paired(&list(0), &list(1), RESAMPLING).unwrap();
        assert!((found.value - paired.mean).abs() < 1e-12);
        let (low, high) = found.interval.unwrap();
        assert!((low - paired.low).abs() < 1e-9 && (high - paired.high).abs() < 1e-9, "{found:?} {paired:?}");
    }

    #[test]
    fn what_seeds_differ_by_and_what_documents_differ_by_both_widen_the_interval() {
        let half = |statistic: Statistic| statistic.interval.map(|(low, high)| (high - low) / 2.0).unwrap();
        // Documents alone: the spread of difficulty is common to both arms and does not count.
        let (weights, quiet) = arms(30, 400, 0.0, 0.3);
        let documents = half(difference(&weights, &quiet));
        // 1.96 · 0.3 · √2 / √(30 · 400) for documents that count alike; tokens make it about 1.15 times as much, and drawing both factors
        // counts what is left over, the part of seed and document together, up to three times in the variance (Owen 2007).
        let least = 1.96 * 0.3 * 2f64.sqrt() / 12_000f64.sqrt();
        assert!(documents > least && documents < 2.2 * least, "{documents} {least}");
        // Seeds: 1.96 · 0.05 · √(1/30) on top, to 13 % as 30 draws know a standard deviation, twice that here.
        let (weights, loud) = arms(30, 400, 0.05, 0.3);
        let seeds = half(difference(&weights, &loud));
        let expected = (documents.powi(2) + (1.96 * 0.05 / 30f64.sqrt()).powi(2)).sqrt();
        assert!((seeds / expected - 1.0).abs() < 0.26, "{seeds} {expected}");
        assert_eq!(difference(&weights, &loud), difference(&weights, &loud));
    }

    #[test]
    fn long_documents_count_for_their_tokens() {
        let arms = vec![vec![vec![10.0, 400.0]], vec![vec![20.0, 400.0]]];
        let found = means(&[10.0, 100.0], &arms, RESAMPLING).unwrap();
        assert_eq!(found.measured(), [410.0 / 110.0, 420.0 / 110.0]);
    }

    #[test]
    fn a_statistic_that_a_resample_has_not_got_has_no_interval() {
        let (weights, arms) = arms(2, 50, 0.0, 0.02);
        let means = means(&weights, &arms, RESAMPLING).unwrap();
        let ratio = |least: f64| move |m: &[f64]| (m[0] - m[1] > least).then_some(m[0] / m[1]);
        let measured = means.measured()[0] - means.measured()[1];
        assert!(means.statistic(ratio(0.5 * measured)).unwrap().interval.is_some());
        assert_eq!(means.statistic(ratio(0.99 * measured)).map(|found| found.interval), Some(None));
        assert_eq!(means.statistic(|_| None), None);
    }

    #[test]
    fn arms_of_other_shapes_are_no_pairs() {
        let one = vec![vec![1.0, 2.0, 3.0]];
        let error = |weights: &[f64], second: Vec<Vec<f64>>| {
            means(weights, &[one.clone(), second], RESAMPLING).unwrap_err().to_string()
        };
        let start = "the results are not of the same documents: ";
        assert_eq!(error(&[1.0; 3], vec![]), format!("{start}0 seeds against 1; expected as many, and at least 1"));
        let expected = format!("{start}2 documents against 3; expected as many, and at least 2");
        assert_eq!(error(&[1.0; 3], vec![vec![1.0, 2.0]]), expected);
        assert!(means(&[1.0], &[vec![vec![1.0]]], RESAMPLING).is_err());
        assert!(means(&[1.0; 3], &[vec![]], RESAMPLING).is_err());
    }

    #[test]
    fn two_documents_and_two_resamples_are_enough() {
        let (first, second) = (numbered([1.0, 5.0].into_iter()), numbered([2.0, 9.0].into_iter()));
        let spreads = (0..9).map(|seed| {
            let resampling = Resampling { resamples: 2, confidence: 0.5, seed };
            let found = paired(&first, &second, resampling).unwrap();
            assert_eq!((found.mean, found.n), (2.5, 2));
            // Two means d apart: their standard deviation is d / √2, and the middle half of what lies between them d / 2.
            assert!((found.stderr - (found.high - found.low) * 2f64.sqrt()).abs() < 1e-12, "{found:?}");
            found.stderr
        });
        // Each of the two draws of a resample gives 1 or 4, so means are 1, 2.5 or 4.
        assert!(spreads.into_iter().any(|spread| spread > 1.0));
    }
}
