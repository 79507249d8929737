//! Pairs without their relation.

use std::collections::{BTreeMap, HashMap};

use cognate_base::Monitor;
use cognate_base::random::{self, SliceRandom};

use super::pair::Pair;
use crate::Result;

/// Pairs of which a class has a part up to which places are gone through one by one: as many steps as they are find another place.
const FEW: usize = 256;
/// Pairs between two looks at the monitor.
const STRIDE: usize = 4096;

/// A share of the pairs, drawn by chance, and the others; both in their order.
pub fn part_share(pairs: &[Pair], share: f64, seed: u64) -> (Vec<Pair>, Vec<Pair>) {
    let mut places: Vec<usize> = (0..pairs.len()).collect();
    places.shuffle(&mut random::stream(seed, "share of pairs", 0));
    places.truncate((share * pairs.len() as f64).round() as usize);
    let mut drawn = vec![false; pairs.len()];
    places.into_iter().for_each(|place| drawn[place] = true);
    let of = |wanted: bool| {
        let some = pairs.iter().zip(&drawn).filter(|(_, drawn)| **drawn == wanted);
        some.map(|(pair, _)| *pair).collect()
    };
    (of(true), of(false))
}

/// The same seeds with the same targets, each target now behind a random seed: every document is a seed and a target as often as
/// before, and nothing but chance relates the two. No document is its own target, except where there is no other. Similarities are not
/// known.
///
/// # Errors
/// When the user interrupts.
pub fn shuffle_targets(pairs: &[Pair], seed: u64, monitor: &dyn Monitor) -> Result<Vec<Pair>> {
    shuffle(pairs, seed, |document| document, monitor)
}

/// The same, but no target is of its seed's group either, by the numbers in `groups`. A pair for which there is no other target is left out.
///
/// # Errors
/// When the user interrupts.
pub fn shuffle_apart(pairs: &[Pair], groups: &[u32], seed: u64, monitor: &dyn Monitor) -> Result<Vec<Pair>> {
    let group = |document: u32| groups[document as usize];
    let mut shuffled = shuffle(pairs, seed, group, monitor)?;
    shuffled.retain(|pair| group(pair.first) != group(pair.second));
    Ok(shuffled)
}

/// Shuffles targets, so that none stands behind a seed of its class, except where there is no other.
fn shuffle(pairs: &[Pair], seed: u64, class: impl Fn(u32) -> u32, monitor: &dyn Monitor) -> Result<Vec<Pair>> {
    let seeds: Vec<u32> = pairs.iter().map(|pair| pair.first).collect();
    let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.second).collect();
    let mut stream = random::stream(seed, "random pairs", 0);
    targets.shuffle(&mut stream);
    let mut taken = Taken::of(&seeds, &targets, &class);
    for at in 0..pairs.len() {
        if at.is_multiple_of(STRIDE) {
            monitor.check()?;
        }
        let own = class(seeds[at]);
        if own != class(targets[at]) {
            continue;
        }
        // Changing places with another keeps how often each is a target; neither of the two may then stand so.
        let fits = |other: usize| own != class(targets[other]) && own != class(seeds[other]);
        let found = match taken.of_class(own) {
            Some(taken) => taken.next_free(at + 1, pairs.len()),
            None => (1..pairs.len()).map(|step| (at + step) % pairs.len()).find(|other| fits(*other)),
        };
        if let Some(other) = found {
            let moved = class(targets[other]);
            targets.swap(at, other);
            taken.add(own, other);
            taken.add(moved, at);
            if class(seeds[other]) != moved {
                taken.remove(moved, other);
            }
        }
    }
    let pair = |(first, second)| Pair { first, second, similarity: f32::NAN };
    Ok(seeds.into_iter().zip(targets).map(pair).collect())
}

/// For each class of many pairs, the places where its seeds or targets stand: with these no other of its pairs can change. Without them, a
/// class of most pairs would have nearly all places looked at for each of its pairs.
struct Taken(HashMap<u32, Places>);

/// Places, as runs of neighbouring ones: where each begins, and where the next place that is not among them is.
#[derive(Default)]
struct Places(BTreeMap<usize, usize>);

impl Taken {
    fn of(seeds: &[u32], targets: &[u32], class: impl Fn(u32) -> u32) -> Self {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for document in seeds.iter().chain(targets) {
            *counts.entry(class(*document)).or_default() += 1;
        }
        let mut taken: HashMap<u32, Places> = HashMap::new();
        counts.retain(|_, count| *count > FEW);
        for (at, (seed, target)) in seeds.iter().zip(targets).enumerate() {
            for class in [class(*seed), class(*target)] {
                if counts.contains_key(&class) {
                    taken.entry(class).or_default().add(at);
                }
            }
        }
        Self(taken)
    }

    fn of_class(&self, class: u32) -> Option<&Places> {
        self.0.get(&class)
    }

    fn add(&mut self, class: u32, at: usize) {
        if let Some(places) = self.0.get_mut(&class) {
            places.add(at);
        }
    }

    fn remove(&mut self, class: u32, at: usize) {
        if let Some(places) = self.0.get_mut(&class) {
            places.remove(at);
        }
    }
}

impl Places {
    /// The run that a place is in.
    fn run(&self, at: usize) -> Option<(usize, usize)> {
        let (begin, end) = self.0.range(..=at).next_back()?;
        (at < *end).then_some((*begin, *end))
    }

    fn add(&mut self, at: usize) {
        if self.run(at).is_some() {
            return;
        }
        let begin = at.checked_sub(1).and_then(|before| self.run(before)).map_or(at, |run| run.0);
        let end = self.0.remove(&(at + 1)).unwrap_or(at + 1);
        self.0.insert(begin, end);
    }

    fn remove(&mut self, at: usize) {
        let Some((begin, end)) = self.run(at) else { return };
        self.0.remove(&begin);
        for (begin, end) in [(begin, at), (at + 1, end)] {
            if begin < end {
                self.0.insert(begin, end);
            }
        }
    }

    /// The first place from `from` on, of `len` in a circle, that is not among them.
    fn next_free(&self, from: usize, len: usize) -> Option<usize> {
        let behind = self.run(from).map_or(from, |run| run.1);
        if behind < len {
            return Some(behind);
        }
        let first = self.run(0).map_or(0, |run| run.1);
        (first < from.min(len)).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cognate_base::random::RngExt as _;
    use cognate_base::{Silent, Unit};

    use super::*;

    /// What is meant, place by place.
    fn one_by_one(pairs: &[Pair], class: impl Fn(u32) -> u32, seed: u64) -> Vec<(u32, u32)> {
        let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.second).collect();
        targets.shuffle(&mut random::stream(seed, "random pairs", 0));
        let together = |first: u32, second: u32| class(first) == class(second);
        for at in 0..pairs.len() {
            if together(pairs[at].first, targets[at]) {
                let mut others = (1..pairs.len()).map(|step| (at + step) % pairs.len());
                let fits = |&other: &usize| {
                    !together(pairs[at].first, targets[other]) && !together(pairs[other].first, targets[at])
                };
                if let Some(other) = others.find(fits) {
                    targets.swap(at, other);
                }
            }
        }
        pairs.iter().map(|pair| pair.first).zip(targets).collect()
    }

    /// So many pairs of documents of 3,000, `share` of which are of the first group of 200.
    fn of_groups(pairs: usize, share: f64) -> (Vec<Pair>, Vec<u32>) {
        let groups: Vec<u32> = (0..3000u32)
            .map(|document| if f64::from(document) < 3000.0 * share { 0 } else { 1 + document % 199 })
            .collect();
        let document = |at: usize, salt: u64| random::stream(at as u64, "t", salt).random_range(0..3000u32);
        let pair = |at| Pair { first: document(at, 0), second: document(at, 1), similarity: 0.5 };
        ((0..pairs).map(pair).collect(), groups)
    }

    #[test]
    fn a_share_is_drawn_by_chance_and_nothing_is_lost() {
        let (pairs, _) = of_groups(400, 0.2);
        for (share, count) in [(0.0, 0), (0.3, 120), (0.5, 200), (1.0, 400)] {
            let (drawn, others) = part_share(&pairs, share, 7);
            assert_eq!((drawn.len(), others.len()), (count, 400 - count));
            // Both keep the order, so that they interleave to what was given.
            let (mut drawn, mut others) = (drawn.iter().peekable(), others.iter().peekable());
            for pair in &pairs {
                let next = if drawn.peek() == Some(&pair) { drawn.next() } else { others.next() };
                assert_eq!(next, Some(pair));
            }
        }
        let first_half =
            |seed| part_share(&pairs, 0.5, seed).0.iter().filter(|pair| pairs[..200].contains(pair)).count();
        assert!((70..=130).contains(&first_half(7)), "{}", first_half(7));
        assert_ne!(part_share(&pairs, 0.5, 7).0, part_share(&pairs, 0.5, 8).0);
    }

    #[test]
    fn places_are_found_as_if_each_was_looked_at() {
        for (pairs, share, seed) in
            [(3000, 0.6, 1), (3000, 0.45, 2), (2000, 0.9, 3), (900, 0.3, 4), (20, 0.6, 5), (1, 0.6, 6)]
        {
            let (pairs, groups) = of_groups(pairs, share);
            let numbers = |pairs: Vec<Pair>| pairs.iter().map(|pair| (pair.first, pair.second)).collect::<Vec<_>>();
            // Classes of many pairs, which are looked up, and of few.
            for modulus in [3000, 1500, 7, 2] {
                let class = |document: u32| {
                    if modulus > 1000 { document % modulus } else { groups[document as usize] % modulus }
                };
                let found = numbers(shuffle(&pairs, seed, class, &Silent).unwrap());
                assert!(found == one_by_one(&pairs, class, seed), "{modulus} {share} {}", pairs.len());
            }
            let apart = numbers(shuffle_apart(&pairs, &groups, seed, &Silent).unwrap());
            let group = |document: u32| groups[document as usize];
            let mut expected = one_by_one(&pairs, group, seed);
            expected.retain(|pair| group(pair.0) != group(pair.1));
            assert_eq!(apart, expected);
        }
    }

    /// Counts how often it is asked, and says stop in the end.
    struct After(AtomicU64);

    impl Monitor for After {
        fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
        fn advance(&self, _: u64, _: &str) {}
        fn end(&self) {}
        fn interrupted(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) <= 1
        }
    }

    #[test]
    fn one_group_of_most_pairs_takes_no_longer_and_is_interrupted() {
        let (pairs, groups) = of_groups(60_000, 0.6);
        let class = |document: u32| groups[document as usize];
        let looked_at = std::cell::Cell::new(0u64);
        let counted = |document: u32| {
            looked_at.set(looked_at.get() + 1);
            class(document)
        };
        shuffle(&pairs, 1, counted, &Silent).unwrap();
        assert!(looked_at.get() < 20 * 60_000, "{}", looked_at.get());
        assert!(shuffle_apart(&pairs, &groups, 1, &After(AtomicU64::new(10))).is_err());
    }

    #[test]
    fn shuffled_pairs_keep_every_seed_and_target_and_lose_the_relation() {
        let pair = |(first, second)| Pair { first, second, similarity: 0.5 };
        // Document i is related to i + 1, in both directions; of three documents, some are related to all others.
        let mut pairs: Vec<Pair> = (0..200).flat_map(|i| [(i, i + 1), (i + 1, i)]).map(pair).collect();
        let numbers = |pairs: &[Pair]| pairs.iter().map(|pair| (pair.first, pair.second)).collect::<Vec<_>>();
        let shuffled = shuffle_targets(&pairs, 3, &Silent).unwrap();
        assert_eq!(numbers(&shuffled), numbers(&shuffle_targets(&pairs, 3, &Silent).unwrap()));
        assert_ne!(numbers(&shuffled), numbers(&shuffle_targets(&pairs, 4, &Silent).unwrap()));
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
        let apart = shuffle_apart(&pairs, &groups, 3, &Silent).unwrap();
        assert_eq!((seeds(&apart), targets(&apart)), (seeds(&pairs), targets(&pairs)), "there is a place for each");
        assert!(apart.iter().all(|pair| group(pair.first) != group(pair.second)));
        assert!(shuffled.iter().any(|pair| group(pair.first) == group(pair.second)));
        assert_eq!(shuffle_apart(&pairs, &[0; 201], 3, &Silent).unwrap(), [], "all are of one group");
        pairs.truncate(2);
        assert_eq!(
            numbers(&shuffle_targets(&pairs, 3, &Silent).unwrap()),
            numbers(&pairs),
            "two documents have no other partner"
        );
    }
}
