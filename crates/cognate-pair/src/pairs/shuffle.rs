//! Pairs without their relation.

use cognate_base::random::{self, SliceRandom};

use super::Pair;

/// The same seeds with the same targets, each target now behind a random seed: every document is a seed and a target as often as
/// before, and nothing but chance relates the two. No document is its own target, except where there is no other. Similarities are not
/// known.
pub fn shuffle_targets(pairs: &[Pair], seed: u64) -> Vec<Pair> {
    shuffle(pairs, seed, |first, second| first == second)
}

/// The same, but no target is of its seed's group either, by the numbers in `groups`. A pair for which there is no other target is left out.
pub fn shuffle_apart(pairs: &[Pair], groups: &[u32], seed: u64) -> Vec<Pair> {
    let together = |first: u32, second: u32| groups[first as usize] == groups[second as usize];
    let mut shuffled = shuffle(pairs, seed, together);
    shuffled.retain(|pair| !together(pair.first, pair.second));
    shuffled
}

/// Shuffles targets, so that none stands behind a seed that it may not be `together` with, except where there is no other.
fn shuffle(pairs: &[Pair], seed: u64, together: impl Fn(u32, u32) -> bool) -> Vec<Pair> {
    let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.second).collect();
    let mut stream = random::stream(seed, "random pairs", 0);
    targets.shuffle(&mut stream);
    for at in 0..pairs.len() {
        if together(pairs[at].first, targets[at]) {
            // Changing places with another keeps how often each is a target; neither of the two may then stand so.
            let other = (1..pairs.len()).map(|step| (at + step) % pairs.len());
            let mut fitting = other.filter(|&other| {
                !together(pairs[at].first, targets[other]) && !together(pairs[other].first, targets[at])
            });
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
        // Groups of twenty documents: a twentieth of random targets would be of the seed's own.
        let groups: Vec<u32> = (0..=200).map(|document| document / 20).collect();
        let group = |document: u32| groups[document as usize];
        let apart = shuffle_apart(&pairs, &groups, 3);
        assert_eq!((seeds(&apart), targets(&apart)), (seeds(&pairs), targets(&pairs)), "there is a place for each");
        assert!(apart.iter().all(|pair| group(pair.first) != group(pair.second)));
        assert!(shuffled.iter().any(|pair| group(pair.first) == group(pair.second)));
        assert_eq!(shuffle_apart(&pairs, &[0; 201], 3), [], "all are of one group");
        pairs.truncate(2);
        assert_eq!(numbers(&shuffle_targets(&pairs, 3)), numbers(&pairs), "two documents have no other partner");
    }
}
