//! Everything exact, against enumeration on worlds that are small enough.

use super::*;
use crate::Concept;
use crate::words::{symbols, text, words};
use cognate_base::Silent;

fn tiny() -> Config {
    Config {
        concepts: 3,
        entities: 2,
        properties: 3,
        symbols: 4,
        transition_temperature: 0.5,
        start_temperature: 1.0,
        identity: 0.6,
        own_entities: false,
        ..Config::default()
    }
}

/// Every document of `length` symbols.
fn documents(symbols: u32, length: usize) -> Vec<Vec<u32>> {
    (0..length).fold(vec![Vec::new()], |documents, _| {
        let longer = |document: &Vec<u32>| {
            let document = document.clone();
            (0..symbols).map(move |symbol| [document.clone(), vec![symbol]].concat()).collect::<Vec<_>>()
        };
        documents.iter().flat_map(longer).collect()
    })
}

/// P(document) as a sum over all paths of states.
fn by_paths(hmm: &Hmm, document: &[u32], start: impl Fn(usize) -> f64) -> f64 {
    fn from(hmm: &Hmm, state: usize, rest: &[u32]) -> f64 {
        if hmm.symbol(state) != rest[0] {
            return 0.0;
        }
        if rest.len() == 1 {
            return 1.0;
        }
        (0..hmm.states()).map(|next| hmm.row(state)[next] * from(hmm, next, &rest[1..])).sum()
    }
    (0..hmm.states()).map(|state| start(state) * from(hmm, state, document)).sum()
}

#[test]
fn the_forward_algorithm_sums_all_paths() {
    let world = make(&tiny(), 7, &Silent).unwrap();
    for hmm in world.concepts() {
        let mut total = 0.0;
        for document in documents(4, 5) {
            let exact = by_paths(hmm, &document, |state| hmm.start_of(state));
            let found = hmm.log_likelihood(&document).exp();
            assert!((found - exact).abs() <= 1e-14, "{document:?}: {found} {exact}");
            total += found;
        }
        assert!((total - 1.0).abs() < 1e-12, "{total}");
    }
}

#[test]
fn posteriors_and_conditionals_follow_from_the_definition() {
    let world = make(&tiny(), 8, &Silent).unwrap();
    let documents = documents(4, 4);
    let joint = |document: &[u32], concept: usize| {
        let hmm = &world.concepts()[concept];
        by_paths(hmm, document, |state| hmm.start_of(state)) / 3.0
    };
    for (first, second) in documents.iter().zip(documents.iter().rev().skip(7).step_by(3)) {
        let marginal: f64 = (0..3).map(|c| joint(first, c)).sum();
        if marginal == 0.0 {
            assert_eq!(world.log_marginal(first), f64::NEG_INFINITY);
            continue;
        }
        assert!((world.log_marginal(first) - marginal.ln()).abs() < 1e-12);
        let posterior = world.log_posterior(first);
        for (c, log_p) in posterior.iter().enumerate() {
            assert!((log_p.exp() - joint(first, c) / marginal).abs() < 1e-13);
        }
        let conditional: f64 = (0..3).map(|c| joint(second, c) * 3.0 * joint(first, c) / marginal).sum();
        assert!((world.log_conditional(second, first).exp() - conditional).abs() < 1e-13);
    }
}

#[test]
fn the_next_symbol_is_that_of_longer_documents() {
    let world = make(&tiny(), 9, &Silent).unwrap();
    for document in documents(4, 3) {
        let marginal = world.log_marginal(&document);
        if marginal == f64::NEG_INFINITY {
            assert!(world.next(&document).is_err());
            continue;
        }
        let next = world.next(&document).unwrap();
        assert!((next.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (symbol, p) in next.iter().enumerate() {
            let longer = [document.clone(), vec![symbol as u32]].concat();
            assert!((world.log_marginal(&longer).exp() - marginal.exp() * p).abs() < 1e-14);
        }
    }
}

#[test]
fn estimates_hold_what_enumeration_gives() {
    let world = make(&tiny(), 10, &Silent).unwrap();
    let documents = documents(4, 3);
    let p: Vec<f64> = documents.iter().map(|document| world.log_marginal(document).exp()).collect();
    let entropy: f64 = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
    let loss = world.loss(3, 20_000, 1, &Silent).unwrap();
    assert!((loss.value - entropy / 3.0).abs() < 4.0 * loss.stderr.unwrap(), "{loss:?} {entropy}");

    // I = Σ P(d1) P(d2 | d1) ln (P(d2 | d1) / P(d2)).
    let mut information = 0.0;
    for (first, p_first) in documents.iter().zip(&p).filter(|(_, p)| **p > 0.0) {
        for (second, p_second) in documents.iter().zip(&p).filter(|(_, p)| **p > 0.0) {
            let conditional = world.log_conditional(second, first);
            if conditional > f64::NEG_INFINITY {
                information += p_first * conditional.exp() * (conditional - p_second.ln());
            }
        }
    }
    let estimate = world.mutual_information(3, 20_000, 1, &Silent).unwrap();
    assert!((estimate.value - information).abs() < 4.0 * estimate.stderr.unwrap(), "{estimate:?} {information}");
    assert!(information > 0.0 && information < 3f64.ln());
}

#[test]
fn samples_have_the_probabilities_of_the_formula() {
    let world = make(&tiny(), 11, &Silent).unwrap();
    let n = 50_000;
    let mut counts = std::collections::BTreeMap::new();
    for number in 0..n {
        *counts.entry(world.sample(2, 5, "test", number).1).or_insert(0u32) += 1;
    }
    for document in documents(4, 2) {
        let p = world.log_marginal(&document).exp();
        let found = f64::from(counts.get(&document).copied().unwrap_or(0)) / n as f64;
        // Five standard errors: sixteen documents are looked at.
        assert!((found - p).abs() <= 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{document:?}: {found} {p}");
    }
}

#[test]
fn the_entropy_rate_of_a_chain_is_its_formula() {
    // Each state has a symbol of its own, so nothing is hidden: Σ π(s) H(row s), with π uniform for doubly stochastic rows.
    let rows = [0.7, 0.2, 0.1, 0.1, 0.7, 0.2, 0.2, 0.1, 0.7];
    let hmm = Hmm::new(vec![1.0 / 3.0; 3], rows.to_vec(), vec![0, 1, 2], 3).unwrap();
    let exact: f64 = [0.7f64, 0.2, 0.1].iter().map(|p| -p * p.ln()).sum();
    let rate = Mixture::uniform(vec![hmm]).entropy_rate(200, 400, 3, &Silent).unwrap();
    assert!((rate.value - exact).abs() < 4.0 * rate.stderr.unwrap(), "{rate:?} {exact}");
}

#[test]
fn the_world_is_that_of_the_paper() {
    let config = Config::default();
    let world = make(&config, 3, &Silent).unwrap();
    assert_eq!((world.concepts().len(), world.concepts()[0].states(), world.concepts()[0].symbols()), (5, 100, 50));
    for hmm in world.concepts() {
        for state in 0..100 {
            assert_eq!(hmm.symbol(state) == 0, state % 10 == 0, "the first property is the delimiter's, and it alone");
            // An entity stays with at least its identity's share: the sum over properties of the same entity.
            let stays: f64 = (0..10).map(|property| hmm.row(state)[state / 10 * 10 + property]).sum();
            assert!(stays >= 0.9 - 1e-12, "{stays}");
            // Doubly stochastic, being made of permutations.
            let column: f64 = (0..100).map(|from| hmm.row(from)[state]).sum();
            assert!((column - 1.0).abs() < 1e-9);
        }
    }
    assert_eq!(make(&config, 3, &Silent).unwrap(), world);
    assert_ne!(make(&config, 4, &Silent).unwrap(), world);
}

#[test]
fn entities_move_alike_in_all_concepts_unless_they_have_their_own() {
    let entity = |hmm: &Hmm| -> Vec<f64> {
        let to = |from: usize, to: usize| (0..10).map(|property| hmm.row(from * 10)[to * 10 + property]).sum();
        (0..100).map(|place| to(place / 10, place % 10)).collect()
    };
    let difference = |config: &Config| {
        let world = make(config, 3, &Silent).unwrap();
        let (a, b) = (entity(&world.concepts()[0]), entity(&world.concepts()[1]));
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    assert!(difference(&Config::default()) < 1e-12);
    assert!(difference(&Config { own_entities: true, ..Config::default() }) > 0.01);
}

#[test]
fn words_are_those_of_the_data_set() {
    let words = words(700);
    assert_eq!(words[..3], ["/", "a", "b"]);
    assert_eq!((words[26].as_str(), words[27].as_str(), words[28].as_str()), ("z", "ab", "ac"));
    assert_eq!(words[51], "az");
    assert_eq!(words[52], "ba");
    // 1 + 26 + 26·25 = 677 are of up to two letters.
    assert_eq!(words[677], "abc");
    let document = [0, 5, 699, 0];
    assert_eq!(symbols(&text(&document, &words), &words).unwrap(), document);
    assert_eq!(symbols("a  /\nzz", &words), Err(Error::UnknownWord { place: 3, word: "zz".to_owned() }));
}

#[test]
fn dials_out_of_their_range_are_named() {
    let config = Config::default;
    let wrong = [
        (Config { concepts: 0, ..config() }, "concepts"),
        (Config { properties: 1, ..config() }, "properties"),
        (Config { symbols: 1, ..config() }, "symbols"),
        (Config { entities: 4096, properties: 4096, ..config() }, "entities × properties"),
        (Config { identity: 1.5, ..config() }, "identity"),
        (Config { identity: f64::NAN, ..config() }, "identity"),
        (Config { transition_temperature: 0.0, ..config() }, "transition_temperature"),
        (Config { start_temperature: f64::INFINITY, ..config() }, "start_temperature"),
    ];
    for (config, name) in wrong {
        let Error::Dial { dial, .. } = make(&config, 0, &Silent).unwrap_err() else { panic!("{name}: another error") };
        assert_eq!(dial, name);
    }
    let rows = |p: f64| Hmm::new(vec![1.0], vec![p], vec![0], 1);
    assert!(rows(1.0).is_ok());
    assert!(matches!(rows(0.9), Err(Error::NoDistribution { .. })));
    assert!(matches!(Hmm::new(vec![0.5, 0.5], vec![1.0; 3], vec![0, 0], 1), Err(Error::Shape { found: 3, .. })));
    assert!(matches!(Hmm::new(vec![1.0], vec![1.0], vec![4], 2), Err(Error::Dial { .. })));
}
