//! Near-duplicates of earlier documents: MinHash with banding finds candidates, their exact Jaccard similarity decides.
//!
//! A signature holds, for each of `BANDS · ROWS` hash functions, the smallest hash of a document's word 5-grams (Broder 1997).
//! Two documents of Jaccard similarity s agree in a whole band of r rows with probability s^r, hence become candidates with
//! 1 − (1 − s^r)^b for b bands. With 32 bands of 5 rows that is 0.997 at s = 0.7 and 0.9999 at 0.75; candidates below the threshold
//! cost time only, for they are compared exactly. The first document of a cluster stays: earlier means added earlier.

use std::collections::HashMap;

use cognate_base::random::{self, Rng};

use cognate_base::shingles::Shingles;
use cognate_base::words::mix;

const BANDS: usize = 32;
const ROWS: usize = 5;

/// One hash per band.
pub(crate) type Signature = [u64; BANDS];

/// The hash functions: h(x) = (a·x + b) mod 2^64 with odd a, of mixed x. The same in every run.
#[derive(Clone, Debug)]
pub(crate) struct MinHash(Vec<(u64, u64)>);

impl MinHash {
    pub(crate) fn new() -> Self {
        let mut stream = random::stream(0, "minhash", 0);
        Self((0..BANDS * ROWS).map(|_| (stream.next_u64() | 1, stream.next_u64())).collect())
    }

    /// The signature of a set of shingles; `None` for an empty one, which resembles nothing.
    pub(crate) fn signature(&self, shingles: &Shingles) -> Option<Signature> {
        if shingles.is_empty() {
            return None;
        }
        let mut lowest = [u64::MAX; BANDS * ROWS];
        for &shingle in shingles.hashes() {
            let x = mix(u64::from(shingle) + 1);
            for (low, &(a, b)) in lowest.iter_mut().zip(&self.0) {
                *low = (*low).min(x.wrapping_mul(a).wrapping_add(b));
            }
        }
        let mut signature = [0; BANDS];
        for (band, rows) in signature.iter_mut().zip(lowest.chunks_exact(ROWS)) {
            *band = rows.iter().fold(0, |hash, &low| mix(hash ^ low).wrapping_add(low));
        }
        Some(signature)
    }
}

/// The documents seen so far. About 4 bytes per distinct word 5-gram and 400 per document.
#[derive(Debug)]
pub(crate) struct Duplicates {
    threshold: f64,
    documents: Vec<Shingles>,
    bands: Vec<HashMap<u64, Vec<u32>>>,
}

impl Duplicates {
    /// With the lowest Jaccard similarity that makes a near-duplicate.
    pub(crate) fn new(threshold: f64) -> Self {
        Self { threshold, documents: Vec::new(), bands: vec![HashMap::new(); BANDS] }
    }

    /// The first document whose similarity reaches the threshold, with the similarity: counted from 0 in the order of adding.
    pub(crate) fn find(&self, shingles: &Shingles, signature: &Signature) -> Option<(usize, f64)> {
        let mut candidates: Vec<u32> =
            self.bands.iter().zip(signature).filter_map(|(band, hash)| band.get(hash)).flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.into_iter().map(|index| index as usize).find_map(|index| {
            let similarity = self.documents[index].jaccard(shingles);
            (similarity >= self.threshold).then_some((index, similarity))
        })
    }

    /// Adds a document; returns its number.
    pub(crate) fn add(&mut self, shingles: Shingles, signature: &Signature) -> usize {
        let number = self.documents.len();
        for (band, &hash) in self.bands.iter_mut().zip(signature) {
            band.entry(hash).or_default().push(number as u32);
        }
        self.documents.push(shingles);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words `from..to` of an endless text without repetition.
    fn text(range: std::ops::Range<usize>) -> String {
        range.map(|i| format!("w{i} ")).collect()
    }

    fn probe(texts: &[String], threshold: f64) -> Vec<Option<usize>> {
        let hashes = MinHash::new();
        let mut seen = Duplicates::new(threshold);
        texts
            .iter()
            .map(|text| {
                let shingles = Shingles::of(text, 5);
                let signature = hashes.signature(&shingles)?;
                let found = seen.find(&shingles, &signature).map(|(index, _)| index);
                seen.add(shingles, &signature);
                found
            })
            .collect()
    }

    #[test]
    fn the_threshold_is_exact() {
        // Windows of 104 words have 100 shingles; shifted by s they share 100 − s of 100 + s. 0.7 lies between s = 17 and 18.
        for (shift, expected) in [(0, Some(0)), (5, Some(0)), (17, Some(0)), (18, None), (60, None)] {
            let found = probe(&[text(0..104), text(shift..104 + shift)], 0.7);
            assert_eq!(found, [None, expected], "shift {shift}");
        }
    }

    #[test]
    fn candidates_are_found_as_often_as_the_bands_promise() {
        let hashes = MinHash::new();
        let mut missed = 0;
        for i in 0..500 {
            let base = 1000 * i;
            let [a, b] = [0, 17].map(|s| Shingles::of(&text(base + s..base + 104 + s), 5));
            assert!((a.jaccard(&b) - 83.0 / 117.0).abs() < 1e-12);
            let mut seen = Duplicates::new(0.7);
            seen.add(a.clone(), &hashes.signature(&a).unwrap());
            missed += usize::from(seen.find(&b, &hashes.signature(&b).unwrap()).is_none());
        }
        // At s = 0.709 a candidate is missed with probability 0.0021, so 1 of 500 is expected; the hashes are fixed.
        assert!(missed <= 5, "{missed}");
    }

    #[test]
    fn the_earliest_is_named_and_empty_texts_resemble_nothing() {
        let found = probe(&[text(0..50), text(500..550), text(0..50), text(0..50), "--".into(), "--".into()], 0.7);
        assert_eq!(found, [None, None, Some(0), Some(0), None, None]);
    }

    #[test]
    fn hash_functions_never_change() {
        let signature = MinHash::new().signature(&Shingles::of("a b c d e f", 5)).unwrap();
        assert_eq!(signature[0], SIGNATURE_OF_A_TO_F, "kept files depend on these");
    }

    const SIGNATURE_OF_A_TO_F: u64 = 2_243_691_498_029_164_434;
}
