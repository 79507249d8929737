//! The pairs by which a synthesizer is chosen, measured and its relevance calibrated, and the documents that they name.

use std::collections::BTreeMap;

use cognate_base::Monitor;
use cognate_base::random::{self, SliceRandom};
use cognate_corpus::TokenFile;
use cognate_pair::{Pair, part_held_out, read_pairs};

use super::texts::texts_in;
use crate::context::Context;
use crate::error::Result;

/// The documents that pairs may name: the unique ones, and numbered behind them those of the selection split, which no model is trained
/// on. Of a set with texts of its own, what was made of them.
pub(crate) struct Documents {
    /// Their identifiers.
    pub(crate) ids: Vec<String>,
    /// How many are unique ones.
    pub(crate) unique: usize,
    files: [TokenFile; 2],
}

impl Documents {
    /// Those that the pairs of the set at `set` name.
    pub(crate) fn of(context: &Context<'_>, set: usize, monitor: &dyn Monitor) -> Result<Self> {
        let (ids, unique) = ids(context, set, monitor)?;
        let [_, tokens] = context.texts_of(set);
        Ok(Self { ids, unique, files: [context.tokens(&tokens, "unique")?, context.tokens(&tokens, "selection")?] })
    }

    /// The tokens of those that are, or were made of, unique documents.
    pub(crate) fn unique_tokens(&self) -> TokenFile {
        self.files[0].clone()
    }

    /// The tokens of a document, its end included.
    pub(crate) fn tokens(&self, number: u32) -> Vec<u32> {
        let number = number as usize;
        let [unique, selection] = &self.files;
        if number < self.unique { unique.document(number) } else { selection.document(number - self.unique) }
    }
}

/// Identifiers of the documents that the pairs of the set at `set` name: unique ones and behind them those of the selection split, and how
/// many are unique ones.
pub(crate) fn ids(context: &Context<'_>, set: usize, monitor: &dyn Monitor) -> Result<(Vec<String>, usize)> {
    let [folder, _] = context.texts_of(set);
    let mut texts = texts_in(context, &folder, "unique", monitor)?;
    let unique = texts.len();
    texts.extend(texts_in(context, &folder, "selection", monitor)?);
    Ok((texts.into_iter().map(|(id, _)| id).collect(), unique))
}

/// The held-out pairs of a synthesizer, parted.
pub(crate) struct HeldOut {
    /// All of them.
    pub(crate) all: Vec<Pair>,
    /// Those that choose its checkpoint.
    pub(crate) choosing: Vec<Pair>,
    /// Those on which the chosen one is measured, and its relevance calibrated.
    pub(crate) measuring: Vec<Pair>,
}

impl HeldOut {
    /// Those of the synthesizer at `at`.
    pub(crate) fn of(context: &Context<'_>, at: usize, documents: &Documents) -> Result<Self> {
        let (recipe, tune) = (context.recipe, &context.recipe.synthesizers[at].tune);
        let all = read_pairs(&context.pairs_of(at).path("held_out.parquet"), &documents.ids, context.monitor)?;
        let (choosing, others) = part_held_out(&all, documents.unique, tune.validate_pairs, recipe.seed);
        let measuring = draw(&others, tune.relation_pairs, recipe.seed, "relation pairs");
        Ok(Self { all, choosing, measuring })
    }
}

/// One pair of each target, the most similar, in their order: what counts pairs as independent should have no document twice.
pub(crate) fn one_of_each_target(pairs: &[Pair]) -> Vec<Pair> {
    let mut best: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        let found = best.entry(pair.second).or_insert(at);
        if pair.similarity > pairs[*found].similarity {
            *found = at;
        }
    }
    let mut kept: Vec<usize> = best.into_values().collect();
    kept.sort_unstable();
    kept.into_iter().map(|at| pairs[at]).collect()
}

/// `most` items, drawn once, in their order.
pub(crate) fn draw<T: Copy>(items: &[T], most: usize, seed: u64, purpose: &str) -> Vec<T> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.shuffle(&mut random::stream(seed, purpose, 0));
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|i| items[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_counts_once_with_its_most_similar_seed() {
        let pair = |(first, second, similarity)| Pair { first, second, similarity };
        let pairs = [(0, 9, 0.5), (1, 8, 0.4), (2, 9, 0.7), (3, 8, 0.4)].map(pair);
        assert_eq!(one_of_each_target(&pairs), [pairs[1], pairs[2]]);
    }

    #[test]
    fn a_draw_keeps_the_order_and_is_the_same_again() {
        let items: Vec<u32> = (0..100).collect();
        let drawn = draw(&items, 10, 3, "test");
        assert_eq!(drawn.len(), 10);
        assert!(drawn.is_sorted());
        assert_eq!(drawn, draw(&items, 10, 3, "test"));
        assert_eq!(draw(&items, 1000, 3, "test"), items);
    }
}
