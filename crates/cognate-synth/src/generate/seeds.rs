//! Which seed document each synthetic document starts from, and the prompt made of it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use cognate_base::random::{self, Rng};
use cognate_base::{Hash, Monitor};
use cognate_corpus::{Cut, ReadOptions, Reader, TokenFile, Tokenizer};

use super::schedule::Prompts;
use crate::error::{Error, Result};

/// The special tokens around a seed: `[end of document] d1 [related]`.
pub(crate) const SPECIAL_TOKENS: usize = 2;

/// The documents that serve as seeds: their ids and their tokens, in the same order.
#[derive(Clone, Debug)]
pub struct Seeds {
    ids: Vec<String>,
    /// Where each one's tokens stand in the token file.
    places: Vec<usize>,
    /// None where documents are written from nothing.
    tokens: Option<TokenFile>,
    without_text: u64,
}

impl Seeds {
    /// Reads the ids of a document file whose tokens are `tokens`. Documents without text, or whose text has no token, are passed over and
    /// counted: there is nothing to be related to.
    ///
    /// # Errors
    /// When the file cannot be read, holds no document with text, or another number of documents than the token file, or two of one id:
    /// records name their seed by it. When the monitor interrupts.
    pub fn open(documents: &Path, options: &ReadOptions, tokens: TokenFile, monitor: &dyn Monitor) -> Result<Self> {
        let path = PathBuf::from(documents);
        let (mut ids, mut places) = (Vec::with_capacity(tokens.documents()), Vec::with_capacity(tokens.documents()));
        let (mut known, mut read) = (HashSet::new(), 0);
        for record in Reader::open(std::slice::from_ref(&path), options, monitor)? {
            monitor.check()?;
            let (origin, document) = record?;
            // The closing end-of-document token is no text.
            if read < tokens.documents() && tokens.len(read) > 1 && !document.text.trim().is_empty() {
                if !known.insert(document.id.clone()) {
                    return Err(Error::BadSeed {
                        origin,
                        what: format!("the id {:?} stands there a second time", document.id),
                    });
                }
                ids.push(document.id);
                places.push(read);
            }
            read += 1;
        }
        if read != tokens.documents() {
            return Err(Error::SeedCount { path, documents: read, tokenized: tokens.documents() });
        }
        if ids.is_empty() {
            return Err(Error::NoSeeds { path });
        }
        let without_text = (read - ids.len()) as u64;
        if without_text > 0 {
            tracing::warn!("{}: documents without text: {without_text}; they are no seeds", path.display());
        }
        Ok(Self { ids, places, tokens: Some(tokens), without_text })
    }

    /// No seeds: documents are the model's own samples, after nothing but an end-of-document token, and name no seed.
    pub fn none() -> Self {
        Self { ids: Vec::new(), places: Vec::new(), tokens: None, without_text: 0 }
    }

    /// Documents of the file that are no seeds, since they have no text.
    pub fn without_text(&self) -> u64 {
        self.without_text
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_none()
    }

    /// Their identifiers.
    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Refuses a token file that a larger vocabulary made.
    pub(crate) fn check(&self, vocab: usize, monitor: &dyn Monitor) -> Result<()> {
        Ok(self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.check_ids(vocab, monitor))?)
    }

    /// Tells these seeds from others: a hash of their ids and tokens in order.
    pub(crate) fn fingerprint(&self, monitor: &dyn Monitor) -> Result<Hash> {
        let mut stopped = Ok(());
        let hash = Hash::of_chunks(self.ids.iter().enumerate().map_while(|(index, id)| {
            stopped = monitor.check();
            if stopped.is_err() {
                return None;
            }
            let mut tokens = Vec::new();
            self.read(index, self.len_of(index), &mut tokens);
            let mut bytes = (id.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&(tokens.len() as u64).to_le_bytes());
            bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
            Some(bytes)
        }));
        stopped?;
        Ok(hash)
    }

    /// Appends the first `kept` tokens of a seed to `out`.
    fn read(&self, index: usize, kept: usize, out: &mut Vec<u32>) {
        if let Some(tokens) = &self.tokens {
            tokens.read(self.places[index], 0..kept, out);
        }
    }

    /// Tokens of a seed, the closing end-of-document token included; 0 where there are no seeds.
    fn len_of(&self, index: usize) -> usize {
        self.tokens.as_ref().map_or(0, |tokens| tokens.len(self.places[index]))
    }
}

/// The `number`-th seed: d1 ~ Uniform(D), drawn with replacement and independently for every number.
pub(crate) fn seed_of(seed: u64, number: u64, seeds: usize) -> usize {
    let bits = random::stream(seed, "seed-order", number).next_u64();
    // The high half of a 128-bit product maps 64 bits to 0..seeds; shares differ by less than seeds / 2^64.
    ((u128::from(bits) * seeds as u128) >> 64) as usize
}

/// What each document was written from, for figures of all of them.
pub(crate) trait Origins {
    /// The place of its seed; none where it has none.
    fn place(&self, number: u64) -> Option<usize>;
    /// Where that is cut; none where it fits.
    fn cut(&self, number: u64) -> Option<Cut>;
    /// Tokens of its prompt.
    fn prompt_tokens(&self, number: u64) -> usize;
    /// Documents that are no seeds, since they have no text.
    fn without_text(&self) -> u64;
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
    pub(crate) fn cut_at(&self, index: usize) -> Option<Cut> {
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

    /// Tokens that are left of the seed at a place.
    pub(crate) fn kept(&self, index: usize) -> usize {
        self.cut_at(index).map_or_else(|| self.seed_tokens(index), |cut| cut.tokens)
    }

    /// The begin token, and after it the seed at a place, cut where it is too long, without its own closing token.
    pub(crate) fn begun(&self, index: usize) -> Vec<u32> {
        let kept = self.kept(index);
        let mut begun = Vec::with_capacity(kept + SPECIAL_TOKENS);
        begun.push(self.tokenizer.begin_of_document());
        self.seeds.read(index, kept, &mut begun);
        begun
    }

    /// The id of document `number`'s seed, where it has one.
    pub(crate) fn named_seed(&self, number: u64) -> Option<&str> {
        (!self.seeds.is_empty()).then(|| self.seed_id(number))
    }
}

impl Origins for SeedPrompts<'_> {
    fn place(&self, number: u64) -> Option<usize> {
        (!self.seeds.is_empty()).then(|| self.index(number))
    }

    fn cut(&self, number: u64) -> Option<Cut> {
        self.cut_at(self.index(number))
    }

    fn prompt_tokens(&self, number: u64) -> usize {
        self.kept(self.index(number)) + if self.seeds.is_empty() { 1 } else { SPECIAL_TOKENS }
    }

    fn without_text(&self) -> u64 {
        self.seeds.without_text()
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
