//! `phrases`: phrases that say the same, strung together to pairs (He et al. 2022, arXiv 2212.09864).

use cognate_base::random::{self, Rng, SliceRandom};

use super::{Derived, Side};

/// Strings together `made` pairs of texts: a source and, in the same order, what each of its phrases is on the other side.
///
/// Phrases are dealt in rounds: each comes once, in an order drawn for the round, before any comes again. A pair has one to `parts` of them, drawn
/// evenly. Nothing of no phrases.
pub fn strung<'a>(
    phrases: &'a [(String, String)],
    made: usize,
    parts: usize,
    seed: u64,
) -> impl Iterator<Item = Derived> + 'a {
    let mut order: Vec<usize> = (0..phrases.len()).collect();
    let (mut round, mut at) = (0, usize::MAX);
    let mut next = move || {
        if at >= order.len() {
            order.sort_unstable();
            order.shuffle(&mut random::stream(seed, "phrases", round));
            (round, at) = (round + 1, 0);
        }
        at += 1;
        &phrases[order[at - 1]]
    };
    let made = if phrases.is_empty() { 0 } else { made };
    (0..made as u64).map(move |number| {
        let count = 1 + random::stream(seed, "parts of phrases", number).next_u64() % parts as u64;
        let chosen: Vec<&(String, String)> = (0..count).map(|_| next()).collect();
        let joined = |side: fn(&(String, String)) -> &str| {
            chosen.iter().map(|phrase| side(phrase).trim()).collect::<Vec<_>>().join(" ")
        };
        Derived { source: Side::Text(joined(|phrase| &phrase.0)), target: Side::Text(joined(|phrase| &phrase.1)) }
    })
}

/// Parts items, of which so many are held out, drawn once: those that are trained on, and the others, each in their order.
#[must_use]
pub fn parted<T: Clone>(items: &[T], held: usize, seed: u64) -> (Vec<T>, Vec<T>) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.shuffle(&mut random::stream(seed, "held-out phrases", 0));
    let mut held_out = vec![false; items.len()];
    for at in order.iter().take(held) {
        held_out[*at] = true;
    }
    let of = |held: bool| -> Vec<T> {
        items.iter().zip(&held_out).filter(|(_, out)| **out == held).map(|(item, _)| item.clone()).collect()
    };
    (of(false), of(true))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn phrases(n: usize) -> Vec<(String, String)> {
        (0..n).map(|at| (format!("a{at}"), format!(" b{at} "))).collect()
    }

    fn texts(pair: &Derived) -> (&str, &str) {
        match (&pair.source, &pair.target) {
            (Side::Text(source), Side::Text(target)) => (source, target),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_sides_have_the_same_phrases_in_one_order() {
        let phrases = phrases(7);
        let made: Vec<Derived> = strung(&phrases, 40, 3, 5).collect();
        assert_eq!(made.len(), 40);
        let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
        for pair in &made {
            let (source, target) = texts(pair);
            assert_eq!(source.replace('a', "b"), target);
            *lengths.entry(source.split(' ').count()).or_default() += 1;
        }
        assert_eq!(lengths.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(lengths.values().all(|often| *often > 6), "{lengths:?}");
        assert_eq!(strung(&phrases, 40, 3, 5).collect::<Vec<_>>(), made);
        assert_ne!(strung(&phrases, 40, 3, 6).collect::<Vec<_>>(), made);
    }

    #[test]
    fn every_phrase_comes_before_any_comes_again() {
        let phrases = phrases(9);
        let made: Vec<Derived> = strung(&phrases, 60, 4, 1).collect();
        let dealt: Vec<&str> = made.iter().flat_map(|pair| texts(pair).0.split(' ')).collect();
        for round in dealt.chunks_exact(9) {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 9, "{round:?}");
        }
        assert_ne!(dealt[..9], dealt[9..18], "rounds have orders of their own");
        assert_eq!(strung(&[], 5, 4, 1).count(), 0);
    }

    #[test]
    fn so_many_are_held_out_and_orders_stay() {
        let items: Vec<u32> = (0..40).collect();
        let (train, held_out) = parted(&items, 10, 2);
        assert_eq!((train.len(), held_out.len()), (30, 10));
        assert!(train.is_sorted() && held_out.is_sorted());
        assert_eq!(parted(&items, 0, 2).1, [0u32; 0]);
        assert_ne!(parted(&items, 10, 3), (train, held_out));
    }
}
