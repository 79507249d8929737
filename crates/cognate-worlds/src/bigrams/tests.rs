//! Exact inference against enumeration, samples against the formulas, and what the paper's learner recovers.

use std::collections::BTreeMap;

use cognate_base::Silent;
use cognate_statistics::mean;

use super::*;
use crate::Concept;

fn tiny() -> Config {
    Config {
        concepts: 2,
        symbols: 3,
        window: 2,
        positions: 2,
        transition_temperature: 0.3,
        position_temperature: 0.4,
        length: 4,
        ..Config::default()
    }
}

/// Every document of `length` tokens.
fn documents(symbols: u32, length: usize) -> Vec<Vec<u32>> {
    (0..length).fold(vec![Vec::new()], |documents, _| {
        documents.iter().flat_map(|d| (0..symbols).map(move |s| [d.clone(), vec![s]].concat())).collect()
    })
}

/// P(document), from the definition: by the token that was chosen at each place behind the first `window + 1`.
fn by_choices(bigram: &Bigram, document: &[u32]) -> f64 {
    let (window, symbols) = (bigram.window(), bigram.symbols());
    let mut p = 1.0;
    for (place, &token) in document.iter().enumerate() {
        p *= if place < window + 1 {
            bigram.start()[token as usize]
        } else {
            let last = document[place - 1] as usize;
            (0..window)
                .map(|t| {
                    let from = document[place - 1 - window + t] as usize;
                    bigram.attention()[last * window + t] * bigram.transitions()[from * symbols + token as usize]
                })
                .sum()
        };
    }
    p
}

#[test]
fn likelihoods_are_the_definition_and_sum_to_one() {
    let world = make(&tiny(), 3, &Silent).unwrap();
    for bigram in world.concepts() {
        let mut total = 0.0;
        for document in documents(3, 6) {
            let p = by_choices(bigram, &document);
            assert!((bigram.log_likelihood(&document).exp() - p).abs() < 1e-14, "{document:?}");
            total += p;
        }
        assert!((total - 1.0).abs() < 1e-12, "{total}");
        assert_eq!(bigram.log_likelihood(&[0, 3]), f64::NEG_INFINITY, "there is no token 3");
    }
    for (first, second) in documents(3, 5).iter().zip(documents(3, 5).iter().rev()) {
        let joint = |c: usize, d: &[u32]| by_choices(&world.concepts()[c], d) / 2.0;
        let marginal: f64 = (0..2).map(|c| joint(c, first)).sum();
        let posterior = world.log_posterior(first);
        (0..2).for_each(|c| assert!((posterior[c].exp() - joint(c, first) / marginal).abs() < 1e-13));
        let conditional: f64 = (0..2).map(|c| joint(c, second) * 2.0 * joint(c, first) / marginal).sum();
        assert!((world.log_conditional(second, first).exp() - conditional).abs() < 1e-13);
    }
}

#[test]
fn the_next_token_is_that_of_longer_documents() {
    let world = make(&tiny(), 4, &Silent).unwrap();
    for document in documents(3, 4) {
        let next = world.next(&document).unwrap();
        assert!((next.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (token, p) in next.iter().enumerate() {
            let longer = [document.clone(), vec![token as u32]].concat();
            let ratio = (world.log_marginal(&longer) - world.log_marginal(&document)).exp();
            assert!((ratio - p).abs() < 1e-13);
        }
    }
}

#[test]
fn the_bayes_loss_is_the_entropy_of_what_follows() {
    let world = make(&tiny(), 5, &Silent).unwrap();
    for bigram in world.concepts() {
        // H(four tokens) − H(three): by enumeration.
        let entropy = |length| -> f64 {
            documents(3, length).iter().map(|d| by_choices(bigram, d)).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
        };
        let exact = entropy(4) - entropy(3);
        let found = bigram.bayes_loss(1000, &Silent).unwrap().unwrap();
        assert!((found - exact).abs() < 1e-12, "{found} {exact}");
        assert_eq!(bigram.bayes_loss(26, &Silent), Ok(None), "three last tokens with nine contexts each are 27");
        assert!(bigram.bayes_loss(27, &Silent).unwrap().is_some());
        let samples: Vec<f64> = (0..20_000)
            .map(|number| {
                let Example { mut window, last, next } = bigram.example(1, number);
                window.push(last);
                -bigram.next(&window)[next as usize].ln()
            })
            .collect();
        let estimate = mean(samples.iter().copied());
        assert!((estimate.value - exact).abs() < 4.0 * estimate.stderr.unwrap(), "{estimate:?} {exact}");
    }
}

#[test]
fn samples_have_the_probabilities_of_the_formula() {
    let world = make(&tiny(), 6, &Silent).unwrap();
    let n = 100_000;
    let mut counts = BTreeMap::new();
    for number in 0..n {
        *counts.entry(world.sample(4, 2, "test", number).1).or_insert(0u32) += 1;
    }
    for document in documents(3, 4) {
        let p = world.log_marginal(&document).exp();
        let found = f64::from(counts.get(&document).copied().unwrap_or(0)) / n as f64;
        // Five standard errors: 81 documents are looked at.
        assert!((found - p).abs() <= 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{document:?}: {found} {p}");
    }
}

#[test]
fn information_between_documents_is_what_enumeration_gives() {
    let world = make(&tiny(), 7, &Silent).unwrap();
    let documents = documents(3, 4);
    let mut exact = 0.0;
    for first in &documents {
        for second in &documents {
            let conditional = world.log_conditional(second, first);
            exact += (world.log_marginal(first) + conditional).exp() * (conditional - world.log_marginal(second));
        }
    }
    let estimate = world.mutual_information(4, 20_000, 1, &Silent).unwrap();
    assert!((estimate.value - exact).abs() < 4.0 * estimate.stderr.unwrap(), "{estimate:?} {exact}");
    assert!(exact > 0.0 && exact < 2f64.ln());
}

#[test]
fn a_world_is_sparse_stationary_and_shares_its_transitions() {
    let config = Config::default();
    let world = make(&config, 1, &Silent).unwrap();
    assert_eq!(make(&config, 1, &Silent).unwrap(), world);
    assert_ne!(make(&config, 2, &Silent).unwrap(), world);
    let first = &world.concepts()[0];
    for bigram in world.concepts() {
        for row in bigram.attention().chunks_exact(config.window) {
            assert_eq!(row.iter().filter(|weight| **weight > 0.0).count(), config.positions);
        }
        assert_eq!((bigram.start(), bigram.transitions()), (first.start(), first.transitions()));
    }
    assert_ne!(world.concepts()[1].attention(), first.attention());
    for to in 0..config.symbols {
        let moved =
            (0..config.symbols).map(|from| first.start()[from] * first.transitions()[from * config.symbols + to]);
        assert!((moved.sum::<f64>() - first.start()[to]).abs() < 1e-12);
    }
}

/// A world of the learner's: one concept, tokens of different frequencies.
fn learned() -> Bigram {
    let config = Config { concepts: 1, symbols: 5, window: 8, length: 10, transition_temperature: 0.15, ..tiny() };
    make(&config, 2, &Silent).unwrap().concepts()[0].clone()
}

#[test]
fn the_gradient_is_that_of_the_squared_error() {
    let truth = learned();
    let examples: Vec<Example> = (0..7).map(|number| truth.example(3, number)).collect();
    let mut learner = LinearAttention::new(&truth);
    learner.train(&truth, Method::Gradient, 0.5, (3, 50), 1, &Silent).unwrap();
    let loss = |learner: &LinearAttention| -> f64 {
        let of = |example: &Example| {
            let mut error = learner.predict(example);
            error[example.next as usize] -= 1.0;
            error.iter().map(|x| x * x).sum::<f64>() / 2.0
        };
        examples.iter().map(of).sum::<f64>() / 7.0
    };
    let (values, attention) = learner.gradient_of(&examples);
    let h = 1e-5;
    // Squares: a central difference is exact but for rounding, 2⁻⁵² over h.
    for (gradient, is_value) in [(values, true), (attention, false)] {
        for (place, exact) in gradient.iter().enumerate() {
            let at = |change: f64| {
                let mut moved = learner.clone();
                if is_value {
                    moved.values[place] += change
                } else {
                    moved.attention[place] += change
                };
                loss(&moved)
            };
            let found = (at(h) - at(-h)) / (2.0 * h);
            assert!((found - exact).abs() < 1e-9, "{place}: {found} {exact}");
        }
    }
}

#[test]
fn the_papers_learner_recovers_transitions_and_positions_and_plain_descent_less_so() {
    let truth = learned();
    // 192,000 samples for each.
    let schedule = (1500, 128);
    let mut proximal = LinearAttention::new(&truth);
    proximal.train(&truth, Method::Proximal { l1: 0.001 }, 0.2, schedule, 1, &Silent).unwrap();
    let (positions, transitions) = proximal.distances(&truth);
    assert!(positions < 0.05 && transitions < 0.05, "{positions} {transitions}");
    let of_rate = |rate| {
        let mut plain = LinearAttention::new(&truth);
        plain.train(&truth, Method::Gradient, rate, schedule, 1, &Silent).unwrap();
        plain.distances(&truth)
    };
    let plain = [0.5, 1.0, 2.0, 4.0].map(of_rate);
    let best = plain.iter().map(|(positions, _)| *positions).fold(f64::INFINITY, f64::min);
    assert!(best > positions, "{plain:?} {positions}");
    assert!(plain[0].0 < 0.3 && plain[3].0.is_infinite(), "it learns, and diverges at the last rate: {plain:?}");
}
