//! Pairs without their relation.

use cognate_base::random::{self, SliceRandom};

use super::Pair;

/// The same seeds with the same targets, each target now behind a random seed: every document is a seed and a target as often as
/// before, and nothing but chance relates the two. No document is its own target, except where there is no other. Similarities are not
/// known.
pub fn shuffle_targets(pairs: &[Pair], seed: u64) -> Vec<Pair> {
    let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.second).collect();
    let mut stream = random::stream(seed, "random pairs", 0);
    targets.shuffle(&mut stream);
    for at in 0..pairs.len() {
        if pairs[at].first == targets[at] {
            // Changing places with another keeps how often each is a target; one of the two must not become its own.
            let other = (1..pairs.len()).map(|step| (at + step) % pairs.len());
            let mut fitting =
                other.filter(|&other| targets[other] != pairs[at].first && pairs[other].first != targets[at]);
            if let Some(other) = fitting.next() {
                targets.swap(at, other);
            }
        }
    }
    pairs.iter().zip(targets).map(|(pair, second)| Pair { first: pair.first, second, similarity: f32::NAN }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_pairs_keep_every_seed_and_target_and_lose_the_relation() {
        let pair = |(first, second)| Pair { first, second, similarity: 0.5 };
        // Document i is related to i + 1, in both directions; of three documents, some are related to all others.
        let mut pairs: Vec<Pair> = (0..200).flat_map(|i| [(i, i + 1), (i + 1, i)]).map(pair).collect();
        let numbers = |pairs: &[Pair]| pairs.iter().map(|pair| (pair.first, pair.second)).collect::<Vec<_>>();
        let shuffled = shuffle_targets(&pairs, 3);
        assert_eq!(numbers(&shuffled), numbers(&shuffle_targets(&pairs, 3)));
        assert_ne!(numbers(&shuffled), numbers(&shuffle_targets(&pairs, 4)));
        let seeds = |pairs: &[Pair]| pairs.iter().map(|pair| pair.first).collect::<Vec<_>>();
        let targets = |pairs: &[Pair]| {
            let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.second).collect();
            targets.sort_unstable();
            targets
        };
        assert_eq!((seeds(&shuffled), targets(&shuffled)), (seeds(&pairs), targets(&pairs)));
        assert!(shuffled.iter().all(|pair| pair.first != pair.second && pair.similarity.is_nan()));
        // About two of 400 by chance; ten are four standard deviations more.
        let related = shuffled.iter().filter(|pair| pair.first.abs_diff(pair.second) == 1).count();
        assert!(related < 10, "{related}");
        pairs.truncate(2);
        assert_eq!(numbers(&shuffle_targets(&pairs, 3)), numbers(&pairs), "two documents have no other partner");
    }
}
