//! Held-out pairs in two parts, so that what is chosen by one part can be measured on the other.

use std::collections::{BTreeMap, BTreeSet};

use cognate_base::random::{self, SliceRandom};

use super::pair::Pair;

/// Parts held-out pairs, each part in their order: up to `most` and at most half of them, and the others, on which what was chosen by the first
/// can be measured without having been chosen for that. No target that is unseen, from number `documents` on, is in both parts; of
/// documents of the corpus, both directions of a pair go together.
pub fn part_held_out(pairs: &[Pair], documents: usize, most: usize, seed: u64) -> (Vec<Pair>, Vec<Pair>) {
    let unit = |pair: &Pair| match pair.second as usize >= documents {
        true => (pair.second, pair.second),
        false => (pair.first.min(pair.second), pair.first.max(pair.second)),
    };
    let mut sizes: BTreeMap<(u32, u32), usize> = BTreeMap::new();
    for pair in pairs {
        *sizes.entry(unit(pair)).or_default() += 1;
    }
    let mut units: Vec<_> = sizes.into_iter().collect();
    units.shuffle(&mut random::stream(seed, "validation pairs", 0));
    let mut room = most.min(pairs.len() / 2);
    let mut first = BTreeSet::new();
    for (unit, size) in units {
        if size <= room {
            room -= size;
            first.insert(unit);
        }
    }
    pairs.iter().partition(|pair| first.contains(&unit(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(numbers: &[(u32, u32)]) -> Vec<Pair> {
        numbers.iter().map(|&(first, second)| Pair { first, second, similarity: 0.5 }).collect()
    }

    #[test]
    fn both_directions_of_a_pair_are_in_one_part() {
        let mut numbers: Vec<(u32, u32)> = (0..20).flat_map(|i| [(i, i + 100), (i + 100, i)]).collect();
        numbers.push((7, 300));
        let pairs = pairs(&numbers);
        for (most, chosen) in [(10, 10), (11, 11), (1000, 20), (1, 1)] {
            let (choosing, others) = part_held_out(&pairs, 1000, most, 3);
            // One pair has one direction only, so an odd number of places is filled as far as that one goes.
            assert!(choosing.len() == chosen || choosing.len() == chosen - 1, "{most}: {}", choosing.len());
            assert_eq!(choosing.len() + others.len(), pairs.len());
            let others: Vec<(u32, u32)> = others.iter().map(|pair| (pair.first, pair.second)).collect();
            for &Pair { first, second, .. } in &choosing {
                assert!(!others.contains(&(first, second)) && !others.contains(&(second, first)), "{first} {second}");
            }
        }
        assert_eq!(part_held_out(&pairs, 1000, 10, 3), part_held_out(&pairs, 1000, 10, 3));
        assert_ne!(part_held_out(&pairs, 1000, 10, 3), part_held_out(&pairs, 1000, 10, 4));
    }

    #[test]
    fn an_unseen_target_is_in_one_part_with_all_of_its_seeds() {
        // Forty unseen documents, each behind five seeds that other targets have too.
        let numbers: Vec<(u32, u32)> = (0..40).flat_map(|i| (0..5).map(move |j| ((i + j) % 30, 30 + i))).collect();
        let (choosing, others) = part_held_out(&pairs(&numbers), 30, 100, 3);
        assert_eq!((choosing.len(), others.len()), (100, 100));
        let targets = |pairs: &[Pair]| pairs.iter().map(|pair| pair.second).collect::<BTreeSet<u32>>();
        assert!(targets(&choosing).is_disjoint(&targets(&others)));
        assert_eq!(targets(&choosing).len(), 20);
    }
}
