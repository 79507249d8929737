//! What relevance means in numbers: the scores of held-out true pairs beside those of random ones.

use cognate_base::Monitor;
use cognate_base::random::{self, SliceRandom};
use cognate_corpus::Tokenizer;
use cognate_model::Decoder;
use cognate_ops::Device;
use cognate_statistics::interval::mean;
use cognate_statistics::{Figure, Roc, Share, roc, threshold};
use serde::{Deserialize, Serialize};

use super::relevance::{Relevance, RelevanceOptions, TokenPair, relevance};
use crate::error::Result;

/// Scores of true and random pairs. A random pair is a true pair's d2 with the d1 of another: chance makes a few of them related,
/// which lowers the areas a little.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// True pairs scored, and as many random ones.
    pub pairs: u64,
    /// Forward scores: how well they tell true from random pairs.
    pub forward: Roc,
    /// Backward scores.
    pub backward: Roc,
    /// Forward score of true pairs, mean.
    pub true_forward: Option<Figure>,
    /// Forward score of random pairs, mean.
    pub random_forward: Option<Figure>,
    /// Backward score of true pairs, mean.
    pub true_backward: Option<Figure>,
    /// Backward score of random pairs, mean.
    pub random_backward: Option<Figure>,
    /// Pairs that score lower forward are irrelevant, as [`cognate_statistics::threshold`] has it: one in twenty of the true pairs is,
    /// by construction.
    pub threshold: Option<f64>,
    /// True pairs below the threshold.
    pub true_irrelevant: Option<Share>,
    /// Random pairs below the threshold.
    pub random_irrelevant: Option<Share>,
    /// Pairs, true ones or random ones, of which a document was cut.
    pub cut: u64,
}

/// Scores true pairs and random ones made of them. None where some pair has no other document to be compared with: at least three
/// different seeds are needed.
///
/// # Errors
/// As [`relevance`].
pub fn calibrate<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    pairs: &[TokenPair],
    options: RelevanceOptions,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Option<Calibration>> {
    let Some(random) = random_pairs(pairs, seed, monitor)? else { return Ok(None) };
    let all = [pairs, &random].concat();
    let scores = relevance(model, tokenizer, &all, options, monitor)?;
    calibration(&scores[..pairs.len()], &scores[pairs.len()..], monitor)
}

/// The figures of scored pairs; none without pairs.
pub(crate) fn calibration(
    true_pairs: &[Relevance],
    random_pairs: &[Relevance],
    monitor: &dyn Monitor,
) -> Result<Option<Calibration>> {
    let of = |scores: &[Relevance], which: fn(&Relevance) -> f64| scores.iter().map(which).collect::<Vec<f64>>();
    let backward = |scores| of(scores, |score| score.backward);
    let (found, stray) = (of(true_pairs, |score| score.forward), of(random_pairs, |score| score.forward));
    let curves = roc(&found, &stray).zip(roc(&backward(true_pairs), &backward(random_pairs)));
    let Some((forward, backward_curve)) = curves else { return Ok(None) };
    let threshold = threshold(&found, &forward);
    let below = |scores: &[f64]| threshold.map(|threshold| Share::of(scores.iter().map(|&score| score < threshold)));
    Ok(Some(Calibration {
        pairs: true_pairs.len() as u64,
        forward,
        backward: backward_curve,
        true_forward: mean(&found, monitor)?,
        random_forward: mean(&stray, monitor)?,
        true_backward: mean(&backward(true_pairs), monitor)?,
        random_backward: mean(&backward(random_pairs), monitor)?,
        threshold,
        true_irrelevant: below(&found),
        random_irrelevant: below(&stray),
        cut: true_pairs.iter().chain(random_pairs).filter(|score| score.cut).count() as u64,
    }))
}

/// Each pair's d2 behind the d1 of the next pair in a shuffled circle whose d1 is neither document of this pair.
pub(crate) fn random_pairs(pairs: &[TokenPair], seed: u64, monitor: &dyn Monitor) -> Result<Option<Vec<TokenPair>>> {
    let n = pairs.len();
    let mut circle: Vec<usize> = (0..n).collect();
    circle.shuffle(&mut random::stream(seed, "random pairs", 0));
    let mut others = vec![0; n];
    for (place, &at) in circle.iter().enumerate() {
        // Where few seeds differ, the way around the circle is long for each.
        monitor.check()?;
        let pair = &pairs[at];
        let differs = |&other: &usize| pairs[other].seed != pair.seed && pairs[other].seed != pair.document;
        let Some(other) = (1..n).map(|step| circle[(place + step) % n]).find(differs) else { return Ok(None) };
        others[at] = other;
    }
    let swapped = |(pair, &other): (&TokenPair, &usize)| TokenPair {
        name: format!("{} after the seed of {}", pair.name, pairs[other].name),
        seed: pairs[other].seed.clone(),
        document: pair.document.clone(),
    };
    Ok(Some(pairs.iter().zip(&others).map(swapped).collect()))
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::super::relevance::measure;
    use super::super::relevance::tests::{OPTIONS, by_context, first_six, pair};
    use super::*;

    #[test]
    fn true_pairs_are_told_from_random_ones() {
        // Pair i: two documents with the same two tokens; a random one shares none.
        let tokens = |i: u32| (10 * i + 10..10 * i + 12).collect::<Vec<_>>();
        let pairs: Vec<TokenPair> = (0..20).map(|i| pair(&tokens(i), &[tokens(i), vec![9]].concat())).collect();
        let random = random_pairs(&pairs, 3, &Silent).unwrap().unwrap();
        assert!(pairs.iter().zip(&random).all(|(a, b)| a.document == b.document && a.seed != b.seed));
        assert_eq!(random, random_pairs(&pairs, 3, &Silent).unwrap().unwrap());
        assert_ne!(random, random_pairs(&pairs, 4, &Silent).unwrap().unwrap());
        let scored = |pairs: &[TokenPair]| measure(&mut by_context, &first_six, pairs, OPTIONS, 100, &Silent).unwrap();
        let found = calibration(&scored(&pairs), &scored(&random), &Silent).unwrap().unwrap();
        assert_eq!((found.pairs, found.forward.area, found.backward.area), (20, 1.0, 1.0));
        assert_eq!((found.true_forward.unwrap().value, found.random_forward.unwrap().value), (1.0, 0.0));
        let irrelevant = [found.true_irrelevant, found.random_irrelevant].map(|share| share.unwrap().count);
        assert_eq!((irrelevant, found.cut), ([0, 20], 0));
    }

    #[test]
    fn the_threshold_gives_up_the_stated_share_of_true_pairs() {
        let score = |forward: f64| Relevance { forward, backward: 0.0, cut: false, tokens: 1 };
        let true_pairs: Vec<Relevance> = (0..100).map(|i| score(f64::from(i))).collect();
        let random: Vec<Relevance> = (0..100).map(|i| score(f64::from(i) - 90.5)).collect();
        let found = calibration(&true_pairs, &random, &Silent).unwrap().unwrap();
        assert_eq!((found.threshold, found.true_irrelevant), (Some(5.0), Some(Share { count: 5, n: 100 })));
        // −90.5 … 4.5 lie below.
        assert_eq!(found.random_irrelevant, Some(Share { count: 96, n: 100 }));
        // Nineteen pairs have no twentieth to give up; how well scores tell them apart is known all the same.
        let few = calibration(&true_pairs[..19], &random[..19], &Silent).unwrap().unwrap();
        assert_eq!((few.threshold, few.true_irrelevant, few.random_irrelevant), (None, None, None));
        assert_eq!((few.pairs, few.forward.area), (19, 1.0));
        assert!(few.forward.low < 0.9, "{:?}", few.forward);
    }

    #[test]
    fn scores_that_may_tell_nothing_make_no_pair_irrelevant() {
        let score = |forward: f64| Relevance { forward, backward: 0.0, cut: false, tokens: 1 };
        let scores = |shift: f64| (0..100).map(|i| score(f64::from(i) + shift)).collect::<Vec<_>>();
        // Chance, a little above it, and the wrong way round.
        for (shift, tells) in [(0.0, false), (4.0, false), (-60.0, false), (30.0, true)] {
            let found = calibration(&scores(shift), &scores(0.0), &Silent).unwrap().unwrap();
            assert_eq!(found.forward.low > 0.5, tells, "{:?}", found.forward.area);
            assert_eq!(found.threshold.is_some(), tells);
            assert_eq!((found.true_irrelevant.is_some(), found.random_irrelevant.is_some()), (tells, tells));
        }
    }

    #[test]
    fn two_documents_are_too_few_to_be_random() {
        assert!(random_pairs(&[pair(&[10], &[11]), pair(&[11], &[10])], 0, &Silent).unwrap().is_none());
        assert!(random_pairs(&[], 0, &Silent).unwrap().is_some_and(|pairs| pairs.is_empty()));
    }
}
