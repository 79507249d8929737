//! How much there is of everything, as measured, or where it was not as the look at the corpus says: documents, tokens, pairs.

use cognate_pair::measuring;

use super::Estimate;
use super::known::Size;
use crate::recipe::pair_methods::Amount;

impl Estimate<'_> {
    /// Entries of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.measured.tokenized.map_or(self.survey.vocabulary, |tokenized| tokenized.vocabulary)
    }

    /// Tokens of a unique document on average, its end among them.
    pub(crate) fn mean(&self) -> f64 {
        let unique = self.measured.tokenized.map(|tokenized| tokenized.unique).filter(|unique| unique.documents > 0);
        unique.map_or(self.survey.tokens_per_document, |unique| unique.tokens as f64 / unique.documents as f64)
    }

    pub(crate) fn unique_documents(&self) -> f64 {
        let measured = self.measured.ingest.as_ref().map(|ingest| ingest.unique.documents as f64);
        measured.unwrap_or(self.survey.documents * self.recipe.corpus.unique_share)
    }

    pub(crate) fn unique_bytes(&self) -> f64 {
        let measured = self.measured.ingest.as_ref().map(|ingest| ingest.unique.bytes as f64);
        measured.unwrap_or_else(|| self.unique_documents() * self.survey.bytes_per_document)
    }

    pub(crate) fn selection_documents(&self) -> f64 {
        let measured = self.measured.ingest.as_ref().map(|ingest| ingest.selection.documents as f64);
        measured.unwrap_or(self.survey.documents * self.recipe.corpus.selection_share)
    }

    /// Documents and tokens of the validation split.
    pub(crate) fn validation(&self) -> (f64, f64) {
        if let Some(tokenized) = self.measured.tokenized {
            return (tokenized.validation.documents as f64, tokenized.validation.tokens as f64);
        }
        let documents = self.survey.documents * self.recipe.corpus.validation_share;
        (documents, documents * self.survey.tokens_per_document)
    }

    /// What the synthesizer at `at` learns from; of pairs that were not made, at most.
    pub(crate) fn size(&self, at: usize) -> Size {
        if let Some(size) = self.measured.lessons.get(&at) {
            return *size;
        }
        let synthesizer = &self.recipe.synthesizers[at];
        let pairs = self.pairs(self.recipe.pair_set(&synthesizer.pairs));
        let pairs = synthesizer.tune.max_pairs.map_or(pairs, |most| pairs.min(most as f64));
        let half = self.mean().min(synthesizer.tune.context as f64 / 2.0);
        let tokens = pairs * f64::from(synthesizer.tune.epochs) * 2.0 * half;
        let steps = tokens / synthesizer.tune.batch_tokens as f64;
        Size { pairs: pairs.round() as u64, steps: steps.ceil() as u64, tokens: tokens.round() as u64 }
    }

    /// Held-out pairs of the set at `set`; where they were not made: each document of the selection split with as many unique ones as a
    /// unique one has in one direction.
    pub(crate) fn held_out(&self, set: usize) -> f64 {
        if let Some((_, held_out)) = self.measured.pairs.get(&set) {
            return *held_out as f64;
        }
        match self.recipe.pairs[set].method.amount() {
            Amount::Of(of, _) => self.held_out(self.recipe.pair_set(of)),
            Amount::Pieces(_) => self.selection_documents(),
            Amount::Made(made) => measuring(self.recipe.pairs[set].pair.held_out_share, made) as f64,
            Amount::Neighbours => self.pairs(set) / 2.0 / self.unique_documents().max(1.0) * self.selection_documents(),
        }
    }

    /// Training pairs of the set at `set`; where they were not made, at most: every neighbour inside the window, in both directions.
    pub(crate) fn pairs(&self, set: usize) -> f64 {
        if let Some((training, _)) = self.measured.pairs.get(&set) {
            return *training as f64;
        }
        let unique = self.unique_documents();
        match self.recipe.pairs[set].method.amount() {
            Amount::Of(of, share) => share * self.pairs(self.recipe.pair_set(of)),
            Amount::Pieces(tokens) => unique * (self.mean() / tokens as f64).max(1.0),
            Amount::Made(made) => made as f64,
            Amount::Neighbours => {
                let neighbours = self.recipe.pairs[set].pair.neighbours as f64;
                2.0 * unique * neighbours.min((unique - 1.0).max(0.0))
            }
        }
    }

    /// Tokens of the unique and of the oracle split.
    pub(crate) fn split_tokens(&self) -> (f64, f64) {
        if let Some(tokenized) = self.measured.tokenized {
            return (tokenized.unique.tokens as f64, tokenized.oracle.tokens as f64);
        }
        let corpus = &self.recipe.corpus;
        let all = self.survey.documents * self.survey.tokens_per_document;
        (
            all * corpus.unique_share,
            all * (1.0 - corpus.unique_share - corpus.validation_share - corpus.selection_share),
        )
    }
}
