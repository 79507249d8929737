//! Documents of symbols, dealt to splits: which concept each has, its text, and what the world can say of a text.

use cognate_base::random;

use crate::words::{symbols, text};
use crate::{Concept, Document, Mixture, Result, Split};

/// How documents of symbols are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Symbols of a document.
    pub length: usize,
    /// Documents of each split, in the order of [`Split::ALL`].
    pub documents: [usize; 4],
    /// Pairs, at most, that are drawn for a document.
    pub partners: usize,
}

/// A mixture of concepts, its words, and how its documents are dealt.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbols<C> {
    /// The concepts.
    pub mixture: Mixture<C>,
    /// The word of each symbol.
    pub words: Vec<String>,
    /// How documents are dealt.
    pub deal: Deal,
    /// The seed of the documents.
    pub seed: u64,
}

impl<C: Concept> Symbols<C> {
    /// How many documents a split has.
    pub fn documents(&self, split: Split) -> usize {
        self.deal.documents[split as usize]
    }

    /// The concept of document `number` of a split.
    pub fn concept(&self, split: Split, number: usize) -> u32 {
        // The concept is drawn first, so a document without symbols has it too.
        self.mixture.sample(0, self.seed, split.purpose(), number as u64).0 as u32
    }

    /// Document `number` of a split.
    pub fn document(&self, split: Split, number: usize) -> Document {
        let (concept, document) = self.mixture.sample(self.deal.length, self.seed, split.purpose(), number as u64);
        Document {
            id: format!("{}-{number:06}", split.word()),
            text: text(&document, &self.words),
            concept: concept as u32,
            statements: Vec::new(),
        }
    }

    /// ln P(second) and ln P(second | first), in nats.
    ///
    /// # Errors
    /// When a word is none of the world's.
    pub fn log_probabilities(&self, second: &str, first: &str) -> Result<(f64, f64)> {
        let (first, second) = (symbols(first, &self.words)?, symbols(second, &self.words)?);
        Ok((self.mixture.log_marginal(&second), self.mixture.log_conditional(&second, &first)))
    }
}

/// Draws pairs of documents of one concept: of two of the unique split, and of one of it and one of the selection split, each in both
/// directions, sorted. Documents are numbered through both splits, the unique one first. `partners` bounds how many are drawn for each
/// document; all are taken where it is none.
///
/// # Errors
/// When the user interrupts.
pub(crate) fn related(
    unique: &[u32],
    selection: &[u32],
    partners: Option<usize>,
    seed: u64,
    monitor: &dyn cognate_base::Monitor,
) -> std::result::Result<Vec<(u32, u32)>, cognate_base::Interrupted> {
    let concepts = unique.iter().max().map_or(0, |most| *most as usize + 1);
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); concepts];
    for (number, &concept) in unique.iter().enumerate() {
        monitor.check()?;
        members[concept as usize].push(number as u32);
    }
    let mut pairs = Vec::new();
    for (number, &concept) in unique.iter().chain(selection).enumerate() {
        monitor.check()?;
        let Some(members) = members.get(concept as usize) else { continue };
        // One more than is asked for: the document itself may be among them.
        let drawn = match partners {
            Some(partners) => {
                let mut rng = random::stream(seed, "world pairs", number as u64);
                crate::draws::some_of(members.len(), partners + 1, &mut rng)
            }
            None => (0..members.len()).collect(),
        };
        let others = drawn.into_iter().map(|place| members[place]).filter(|&other| other as usize != number);
        for other in others.take(partners.unwrap_or(usize::MAX)) {
            pairs.push((number as u32, other));
            pairs.push((other, number as u32));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    Ok(pairs)
}
