//! `trees`: sentences of a made language and the same in another word order and other words (He et al. 2022, arXiv 2212.09864): the leaves of
//! a random binary tree, and those of the tree with branches exchanged, each word in the place of one other.

use std::collections::HashSet;

use cognate_base::Monitor;
use cognate_base::random::{self, Rng};

use super::nonsense::nonsense;
use super::{Derived, Side};
use crate::Result;

/// Words between two looks at the monitor.
const STRIDE: usize = 4096;

/// Two made languages.
#[derive(Clone, Debug)]
pub struct Trees {
    /// The words of the one, each with that of the other.
    words: Vec<(String, String)>,
    parts: usize,
    swap: f64,
    seed: u64,
}

/// A tree over the leaves from a first one on.
enum Tree {
    Leaf(usize),
    Branches(Box<Self>, Box<Self>),
}

impl Tree {
    /// Of `leaves` leaves, at least one: the first branch has any number of them, all numbers alike.
    fn drawn(first: usize, leaves: usize, random: &mut impl Rng) -> Self {
        if leaves == 1 {
            return Self::Leaf(first);
        }
        let left = 1 + (random.next_u64() % (leaves as u64 - 1)) as usize;
        let (one, other) = (Self::drawn(first, left, random), Self::drawn(first + left, leaves - left, random));
        Self::Branches(Box::new(one), Box::new(other))
    }

    /// Its leaves in their order, with the branches of each node exchanged with probability `swap`.
    fn leaves(&self, swap: f64, random: &mut impl Rng, out: &mut Vec<usize>) {
        match self {
            Self::Leaf(at) => out.push(*at),
            Self::Branches(one, other) => {
                let exchanged = random::unit(random.next_u64()) < swap;
                let (one, other) = if exchanged { (other, one) } else { (one, other) };
                one.leaves(swap, random, out);
                other.leaves(swap, random, out);
            }
        }
    }
}

impl Trees {
    /// Of `words` words each, all of them nonsense. A sentence has two to `parts` words; the branches of a node are exchanged with probability
    /// `swap`.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn new(words: usize, parts: usize, swap: f64, seed: u64, monitor: &dyn Monitor) -> Result<Self> {
        let (mut taken, mut random) = (HashSet::new(), random::stream(seed, "words of trees", 0));
        let mut word = || nonsense(&mut taken, &mut random, |_| false);
        let pair = |at: usize| {
            if at.is_multiple_of(STRIDE) {
                monitor.check()?;
            }
            Ok((word(), word()))
        };
        let words = (0..words).map(pair).collect::<Result<_>>()?;
        Ok(Self { words, parts, swap, seed })
    }

    /// Other trees for each set of dials: what one set learns, another does not measure.
    fn purpose(&self) -> String {
        format!("trees {} {} {}", self.words.len(), self.parts, self.swap)
    }

    /// The pair of a number.
    #[must_use]
    pub fn pair(&self, number: u64) -> Derived {
        let mut random = random::stream(self.seed, &self.purpose(), number);
        let leaves = 2 + (random.next_u64() % (self.parts.max(2) as u64 - 1)) as usize;
        let words: Vec<&(String, String)> =
            (0..leaves).map(|_| &self.words[(random.next_u64() % self.words.len() as u64) as usize]).collect();
        let mut order = Vec::with_capacity(leaves);
        Tree::drawn(0, leaves, &mut random).leaves(self.swap, &mut random, &mut order);
        let source: Vec<&str> = words.iter().map(|word| word.0.as_str()).collect();
        let target: Vec<&str> = order.iter().map(|at| words[*at].1.as_str()).collect();
        Derived { source: Side::Text(source.join(" ")), target: Side::Text(target.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use cognate_base::Silent;

    use super::*;

    fn texts(pair: Derived) -> (Vec<String>, Vec<String>) {
        match (pair.source, pair.target) {
            (Side::Text(source), Side::Text(target)) => {
                let words = |text: String| text.split(' ').map(str::to_owned).collect();
                (words(source), words(target))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_one_for_one_and_of_two_languages() {
        let trees = Trees::new(500, 12, 0.3, 4, &Silent).unwrap();
        let sides: BTreeSet<&String> = trees.words.iter().flat_map(|(one, other)| [one, other]).collect();
        assert_eq!(sides.len(), 1000);
        let other: BTreeMap<&str, &str> =
            trees.words.iter().map(|(one, other)| (one.as_str(), other.as_str())).collect();
        let mut lengths = BTreeSet::new();
        for number in 0..300 {
            let (source, mut target) = texts(trees.pair(number));
            lengths.insert(source.len());
            let mut mapped: Vec<&str> = source.iter().map(|word| other[word.as_str()]).collect();
            mapped.sort_unstable();
            target.sort_unstable();
            assert_eq!(mapped, target);
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), (2..=12).collect::<Vec<_>>());
        assert_eq!(trees.pair(7), Trees::new(500, 12, 0.3, 4, &Silent).unwrap().pair(7));
        assert_ne!(trees.pair(7), Trees::new(500, 12, 0.3, 5, &Silent).unwrap().pair(7));
    }

    /// Of two leaves there is one node, so its branches are exchanged as often as is asked for.
    #[test]
    fn branches_are_exchanged_as_often_as_asked() {
        for swap in [0.0, 0.2, 1.0] {
            let trees = Trees::new(5000, 2, swap, 1, &Silent).unwrap();
            let exchanged = (0..2000).filter(|number| {
                let (source, target) = texts(trees.pair(*number));
                let first = trees.words.iter().find(|(one, _)| *one == source[0]).unwrap();
                // Twice the same word tells nothing.
                target[0] != first.1 || swap == 1.0 && source[0] == source[1]
            });
            let share = exchanged.count() as f64 / 2000.0;
            assert!((share - swap).abs() < 4.0 * (swap * (1.0 - swap) / 2000.0).sqrt() + 1e-3, "{swap}: {share}");
        }
    }

    /// Exchanging whole branches keeps what stands together in one of them together: with three leaves, (ab)c can become c(ab), not acb.
    #[test]
    fn what_is_exchanged_are_branches_and_not_words() {
        let mut orders = BTreeMap::<Vec<usize>, usize>::new();
        let mut random = random::stream(3, "test", 0);
        for _ in 0..4000 {
            let mut out = Vec::new();
            let tree = Tree::Branches(Box::new(Tree::drawn(0, 2, &mut random)), Box::new(Tree::Leaf(2)));
            tree.leaves(0.5, &mut random, &mut out);
            *orders.entry(out).or_default() += 1;
        }
        let found: Vec<&[usize]> = orders.keys().map(Vec::as_slice).collect();
        assert_eq!(found, [&[0, 1, 2][..], &[1, 0, 2], &[2, 0, 1], &[2, 1, 0]]);
        assert!(orders.values().all(|often| (800..1200).contains(often)), "{orders:?}");
    }
}
