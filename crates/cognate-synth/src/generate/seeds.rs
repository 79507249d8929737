//! Which seed document each synthetic document starts from, and the prompt made of it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use cognate_base::Hash;
use cognate_base::random::{self, Rng};
use cognate_corpus::{Cut, ReadOptions, Reader, TokenFile, Tokenizer};

use super::schedule::Prompts;
use crate::error::{Error, Result};

/// The special tokens around a seed: `[end of document] d1 [related]`.
pub(crate) const SPECIAL_TOKENS: usize = 2;

/// The documents that serve as seeds: their ids and their tokens, in the same order.
#[derive(Clone, Debug)]
pub struct Seeds {
    ids: Vec<String>,
    /// None where documents are written from nothing.
    tokens: Option<TokenFile>,
}

impl Seeds {
    /// Reads the ids of a document file whose tokens are `tokens`.
    ///
    /// # Errors
    /// When the file cannot be read, holds no document, or another number of documents than the token file, a document without text, or
    /// two of one id: records name their seed by it.
    pub fn open(documents: &Path, tokens: TokenFile) -> Result<Self> {
        let path = PathBuf::from(documents);
        let mut ids = Vec::with_capacity(tokens.documents());
        let mut known = HashSet::new();
        for record in Reader::open(std::slice::from_ref(&path), &ReadOptions::default())? {
            let (origin, document) = record?;
            if document.text.trim().is_empty() {
                return Err(Error::BadSeed { origin, what: format!("the document {:?} has no text", document.id) });
            }
            if !known.insert(document.id.clone()) {
                return Err(Error::BadSeed {
                    origin,
                    what: format!("the id {:?} stands there a second time", document.id),
                });
            }
            ids.push(document.id);
        }
        if ids.is_empty() {
            return Err(Error::NoSeeds { path });
        }
        if ids.len() != tokens.documents() {
            return Err(Error::SeedCount { path, documents: ids.len(), tokenized: tokens.documents() });
        }
        Ok(Self { ids, tokens: Some(tokens) })
    }

    /// No seeds: documents are the model's own samples, after nothing but an end-of-document token, and name no seed.
    pub fn none() -> Self {
        Self { ids: Vec::new(), tokens: None }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_none()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Refuses a token file that a larger vocabulary made.
    pub(crate) fn check(&self, vocab: usize) -> Result<()> {
        Ok(self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.check_ids(vocab))?)
    }

    /// Tells these seeds from others: a hash of their ids and tokens in order.
    pub(crate) fn fingerprint(&self) -> Hash {
        Hash::of_chunks(self.ids.iter().enumerate().map(|(index, id)| {
            let mut tokens = Vec::new();
            self.read(index, self.len_of(index), &mut tokens);
            let mut bytes = (id.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&(tokens.len() as u64).to_le_bytes());
            bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
            bytes
        }))
    }

    /// Appends the first `kept` tokens of a seed to `out`.
    fn read(&self, index: usize, kept: usize, out: &mut Vec<u32>) {
        if let Some(tokens) = &self.tokens {
            tokens.read(index, 0..kept, out);
        }
    }

    /// Tokens of a seed, the closing end-of-document token included; 0 where there are no seeds.
    fn len_of(&self, index: usize) -> usize {
        self.tokens.as_ref().map_or(0, |tokens| tokens.len(index))
    }
}

/// The `number`-th seed: d1 ~ Uniform(D), drawn with replacement and independently for every number.
pub(crate) fn seed_of(seed: u64, number: u64, seeds: usize) -> usize {
    let bits = random::stream(seed, "seed-order", number).next_u64();
    // The high half of a 128-bit product maps 64 bits to 0..seeds; shares differ by less than seeds / 2^64.
    ((u128::from(bits) * seeds as u128) >> 64) as usize
}

/// Makes prompts of seeds.
pub(crate) struct SeedPrompts<'a> {
    pub(crate) seeds: &'a Seeds,
    pub(crate) seed: u64,
    /// So many documents in a row start from one seed.
    pub(crate) samples_per_seed: u64,
    pub(crate) max_seed_tokens: usize,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) related: u32,
    /// The cuts found so far, by the place of the seed.
    pub(crate) cuts: RefCell<HashMap<usize, Cut>>,
}

impl SeedPrompts<'_> {
    /// The place of document `number`'s seed among the seeds.
    pub(crate) fn index(&self, number: u64) -> usize {
        seed_of(self.seed, number / self.samples_per_seed, self.seeds.len())
    }

    /// Tokens of a seed, before any cut, without its closing end-of-document token.
    fn seed_tokens(&self, index: usize) -> usize {
        self.seeds.len_of(index).saturating_sub(1)
    }

    /// Where the seed at a place is cut; none where it fits.
    fn cut_at(&self, index: usize) -> Option<Cut> {
        let length = self.seed_tokens(index);
        if length <= self.max_seed_tokens {
            return None;
        }
        if let Some(&known) = self.cuts.borrow().get(&index) {
            return Some(known);
        }
        let mut tokens = Vec::with_capacity(length);
        self.seeds.read(index, length, &mut tokens);
        let cut = self.tokenizer.cut(&tokens, self.max_seed_tokens)?;
        self.cuts.borrow_mut().insert(index, cut);
        Some(cut)
    }

    /// Where document `number`'s seed is cut; none where it fits.
    pub(crate) fn cut(&self, number: u64) -> Option<Cut> {
        self.cut_at(self.index(number))
    }

    fn kept(&self, index: usize) -> usize {
        self.cut_at(index).map_or_else(|| self.seed_tokens(index), |cut| cut.tokens)
    }

    /// Tokens of the prompt.
    pub(crate) fn prompt_tokens(&self, number: u64) -> usize {
        self.kept(self.index(number)) + if self.seeds.is_empty() { 1 } else { SPECIAL_TOKENS }
    }

    /// The end-of-document token, and after it the seed at a place, cut where it is too long, without its own closing token.
    pub(crate) fn begun(&self, index: usize) -> Vec<u32> {
        let kept = self.kept(index);
        let mut begun = Vec::with_capacity(kept + SPECIAL_TOKENS);
        begun.push(self.tokenizer.end_of_document());
        self.seeds.read(index, kept, &mut begun);
        begun
    }

    /// The id of document `number`'s seed, where it has one.
    pub(crate) fn named_seed(&self, number: u64) -> Option<&str> {
        (!self.seeds.is_empty()).then(|| self.seed_id(number))
    }
}

impl Prompts for SeedPrompts<'_> {
    fn prompt(&self, number: u64) -> Vec<u32> {
        let mut prompt = self.begun(self.index(number));
        if !self.seeds.is_empty() {
            prompt.push(self.related);
        }
        prompt
    }

    fn seed_id(&self, number: u64) -> &str {
        if self.seeds.is_empty() { "none" } else { &self.seeds.ids[self.index(number)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_uniform_and_each_draw_stands_alone() {
        let mut counts = [0u32; 8];
        for number in 0..16_000 {
            counts[seed_of(7, number, 8)] += 1;
        }
        // Binomial(16000, 1/8): mean 2000, standard deviation 42.
        assert!(counts.iter().all(|&count| (1800..2200).contains(&count)), "{counts:?}");
        assert_ne!(
            (0..20).map(|j| seed_of(7, j, 1000)).collect::<Vec<_>>(),
            (0..20).map(|j| seed_of(8, j, 1000)).collect::<Vec<_>>()
        );
        assert_eq!(seed_of(7, 5, 1), 0);
    }
}
