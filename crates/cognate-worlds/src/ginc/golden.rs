//! The authors' own models and documents: our likelihoods against those of `tools/reference/ginc.py`.

use serde::Deserialize;

use super::*;
use crate::Concept;

#[derive(Deserialize)]
struct World {
    symbols: usize,
    memory: Vec<u32>,
    concepts: Vec<Stored>,
    documents: Vec<Document>,
}

#[derive(Deserialize)]
struct Stored {
    start: Vec<f64>,
    property: Vec<f64>,
    entity: Vec<f64>,
}

#[derive(Deserialize)]
struct Document {
    concept: usize,
    symbols: Vec<u32>,
    log_likelihoods: Vec<Option<f64>>,
}

#[test]
fn likelihoods_of_the_published_documents_are_those_of_an_independent_forward_pass() {
    let world: World = serde_json::from_str(include_str!("../../../../testdata/golden/ginc/world.json")).unwrap();
    let hmm = |stored: &Stored| {
        let transitions = product(&stored.entity, 10, &stored.property, 10);
        Hmm::new(stored.start.clone(), transitions, world.memory.clone(), world.symbols).unwrap()
    };
    let mixture = Mixture::uniform(world.concepts.iter().map(hmm).collect());
    let mut possible = 0;
    for (number, document) in world.documents.iter().enumerate() {
        let found = mixture.log_likelihoods(&document.symbols);
        for (concept, (found, expected)) in found.iter().zip(&document.log_likelihoods).enumerate() {
            match expected {
                Some(expected) => {
                    possible += 1;
                    assert!((found - expected).abs() < 1e-9, "{number} under {concept}: {found} {expected}");
                }
                None => assert_eq!(*found, f64::NEG_INFINITY, "{number} under {concept}"),
            }
        }
        let posterior = mixture.log_posterior(&document.symbols);
        let likeliest = (0..5).max_by(|a, b| posterior[*a].total_cmp(&posterior[*b])).unwrap();
        assert_eq!(likeliest, document.concept, "{number}");
    }
    assert!(possible >= 20, "{possible} are possible");
    // Theirs has the shape of ours: the same memory for all, the delimiter first.
    assert!(world.memory.iter().enumerate().all(|(state, symbol)| (state % 10 == 0) == (*symbol == 0)));
    assert_eq!(mixture.concepts()[0].symbols(), 50);
}
