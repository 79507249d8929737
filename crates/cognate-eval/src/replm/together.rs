//! What several sets of examples gave, as one answer, and what of it is right.

use std::collections::BTreeMap;

use serde::Serialize;

use super::docred::Fact;

/// Temperature of the sets' weights.
pub(super) const TEMPERATURE: f64 = 0.1;
/// The least probability of what is kept.
pub(super) const LEAST: f64 = 0.2;

/// A subject and an object that a relation is said to hold between.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Triple {
    /// The subject's name.
    pub subject: String,
    /// The object's name.
    pub object: String,
    /// How likely: the product of subject and object, each the geometric mean over its tokens; of several sets, their weighted mean.
    pub probability: f64,
}

/// The triples of all sets: the probabilities' mean, weighed by the softmax of the sets' similarities over `temperature`, in which a set without the triple
/// counts 0. Those of at least `least` are kept, the likeliest first.
pub(super) fn together<'a>(
    sets: impl Iterator<Item = (f64, &'a [Triple])> + Clone,
    temperature: f64,
    least: f64,
) -> Vec<Triple> {
    let highest = sets.clone().map(|(similarity, _)| similarity).fold(f64::NEG_INFINITY, f64::max);
    let weight = |similarity: f64| ((similarity - highest) / temperature).exp();
    let all: f64 = sets.clone().map(|(similarity, _)| weight(similarity)).sum();
    let mut found: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for (similarity, triples) in sets {
        // Written twice, it is as likely as it was once.
        let mut own: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for triple in triples {
            let known = own.entry((&triple.subject, &triple.object)).or_default();
            *known = known.max(triple.probability);
        }
        for (triple, probability) in own {
            *found.entry(triple).or_default() += probability * weight(similarity) / all;
        }
    }
    let kept = found.into_iter().filter(|(_, probability)| *probability >= least);
    let mut kept: Vec<Triple> = kept
        .map(|((subject, object), probability)| Triple {
            subject: subject.to_owned(),
            object: object.to_owned(),
            probability,
        })
        .collect();
    kept.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    kept
}

/// Which fact each triple is right about; none where it is wrong, or a likelier one is right about the same. Each fact takes the likeliest triple that is
/// left, by any of its names.
pub(super) fn right(facts: &[Fact], triples: &[Triple]) -> Vec<Option<usize>> {
    let mut matched = vec![None; triples.len()];
    for (number, fact) in facts.iter().enumerate() {
        let fits = |triple: &Triple| fact.subjects.contains(&triple.subject) && fact.objects.contains(&triple.object);
        let free = (0..triples.len()).find(|at| matched[*at].is_none() && fits(&triples[*at]));
        if let Some(at) = free {
            matched[at] = Some(number);
        }
    }
    matched
}
