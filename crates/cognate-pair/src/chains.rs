//! Documents in chains of related ones, for contexts in which each document stands behind one that it has to do with.

use crate::Pair;

/// Parts `documents` documents into chains in which each is paired with the one before it: the greedy walk of In-Context Pretraining
/// (Shi et al. 2023, arXiv 2310.10638, section 2.2). It starts at the document with the fewest pairs, which other walks reach
/// least, goes to the most similar paired document that it has not visited, and starts anew where there is none. Equals go by
/// number. Every document is in exactly one chain; one without pairs is a chain of its own. Directions of pairs do not matter.
///
/// # Panics
/// When a pair names a document that is not there.
pub fn chains(documents: usize, pairs: &[Pair]) -> Vec<Vec<u32>> {
    let mut related: Vec<Vec<(f32, u32)>> = vec![Vec::new(); documents];
    for pair in pairs {
        related[pair.first as usize].push((pair.similarity, pair.second));
        related[pair.second as usize].push((pair.similarity, pair.first));
    }
    for others in &mut related {
        others.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        // A pair that comes in both directions has one similarity.
        others.dedup_by_key(|other| other.1);
    }
    let mut starts: Vec<u32> = (0..documents as u32).collect();
    starts.sort_by_key(|&document| related[document as usize].len());
    let mut visited = vec![false; documents];
    let mut chains = Vec::new();
    for start in starts {
        if visited[start as usize] {
            continue;
        }
        let mut chain = Vec::new();
        let mut next = Some(start);
        while let Some(document) = next {
            visited[document as usize] = true;
            chain.push(document);
            let mut others = related[document as usize].iter().map(|other| other.1);
            next = others.find(|&other| !visited[other as usize]);
        }
        chains.push(chain);
    }
    chains
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(first: u32, second: u32, similarity: f32) -> Pair {
        Pair { first, second, similarity }
    }

    #[test]
    fn the_walk_starts_with_few_pairs_and_goes_to_the_nearest_unvisited() {
        // 4 has no pair, 0 has one; from 1 the nearest is 3, then 2, then 5.
        let pairs =
            [pair(0, 1, 0.3), pair(1, 2, 0.5), pair(1, 3, 0.9), pair(3, 1, 0.9), pair(2, 3, 0.4), pair(5, 2, 0.2)];
        assert_eq!(chains(6, &pairs), [vec![4], vec![0, 1, 3, 2, 5]]);
        // A star: its middle takes two of its points, the others stay alone.
        let star = [pair(0, 1, 0.3), pair(0, 2, 0.3), pair(3, 0, 0.8), pair(4, 0, 0.1)];
        assert_eq!(chains(5, &star), [vec![1, 0, 3], vec![2], vec![4]]);
        assert_eq!(chains(2, &[]), [[0], [1]]);
        assert_eq!(chains(0, &[]), Vec::<Vec<u32>>::new());
    }

    proptest! {
        #[test]
        fn every_document_is_in_one_chain_behind_one_that_it_is_paired_with(
            links in prop::collection::vec((0u32..30, 0u32..30, 0u8..9), 0..80),
        ) {
            let mut seen = std::collections::HashSet::new();
            let pairs: Vec<Pair> = links
                .into_iter()
                .filter(|(a, b, _)| a != b && seen.insert((*a.min(b), *a.max(b))))
                .map(|(a, b, tenths)| pair(a, b, f32::from(tenths) / 10.0))
                .collect();
            let chains = chains(30, &pairs);
            let mut all = chains.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..30).collect::<Vec<_>>());
            for step in chains.iter().flat_map(|chain| chain.windows(2)) {
                prop_assert!(seen.contains(&(step[0].min(step[1]), step[0].max(step[1]))), "{step:?}");
            }
            let turned: Vec<Pair> = pairs.iter().rev().map(|p| pair(p.second, p.first, p.similarity)).collect();
            prop_assert_eq!(super::chains(30, &turned), chains, "neither order nor direction matters");
        }
    }
}
