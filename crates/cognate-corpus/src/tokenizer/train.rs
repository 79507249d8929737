//! Learning the merges of byte-level BPE from a corpus.

use ahash::AHashMap;
use cognate_base::{Monitor, Silent};
use compact_str::CompactString;
use rayon::prelude::*;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer as Inner};

use super::{END_OF_DOCUMENT, LARGEST_VOCABULARY, RELATED, Related, Tokenizer, file, frame};
use crate::error::{Error, Result};
use crate::watched::watched;

/// 256 bytes and the two reserved tokens.
const SMALLEST_VOCABULARY: usize = 258;

/// A pair of tokens that occurs once teaches nothing about the language.
const MIN_PAIR_COUNT: u64 = 2;

/// The trainer counts pairs in 32 bits with a sign; a text of this many bytes cannot overflow them.
const MOST_TRAINING_BYTES: usize = i32::MAX as usize;

/// Longer words are cut before anything is learned from them: a merge takes time that grows with the words it occurs in, so text
/// without spaces would cost its square. No word of a language that writes spaces is as long, and of other text one pair in
/// some hundred is lost.
const MOST_WORD_BYTES: usize = 256;

/// Texts are split into words in blocks of about so many bytes, which bounds what the splitting holds in memory.
const BLOCK_BYTES: usize = 1 << 20;

/// How far back from a block's end a space is looked for.
const LOOK_BACK_BYTES: usize = 1 << 12;

/// Bytes of texts that are counted at a time.
const BATCH_BYTES: usize = 16 << 20;

/// Words in the byte-level alphabet, with how often each occurs.
type Words = AHashMap<CompactString, u64>;

impl Tokenizer {
    /// Trains byte-level BPE with GPT-2's word pattern. Token 0 is [`END_OF_DOCUMENT`], token 1 is [`RELATED`], then
    /// the 256 bytes, then the merges from the most frequent down; `vocab_size` counts them all.
    ///
    /// The result depends on the words and their counts alone, not on the order of texts or the number of threads. Words
    /// of more than 256 bytes are learned from in pieces. Texts beyond the first 2 GiB are not used. A corpus too small to fill
    /// the vocabulary gives a smaller one: see [`Tokenizer::vocab_size`].
    ///
    /// # Errors
    /// When `vocab_size` has no room for the bytes and the reserved tokens, or is above [`LARGEST_VOCABULARY`].
    pub fn train(texts: impl Iterator<Item = String>, vocab_size: usize) -> Result<Self> {
        Self::train_watched(texts, vocab_size, &Silent)
    }

    /// [`Tokenizer::train`], which the user can interrupt at any time.
    ///
    /// # Errors
    /// As [`Tokenizer::train`], and when the user interrupts.
    pub fn train_watched(
        texts: impl Iterator<Item = String>,
        vocab_size: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        Self::train_reserving(texts, vocab_size, &[], monitor)
    }

    /// The same with further reserved tokens, which stand behind the two and before the bytes, and are counted by `vocab_size` too.
    ///
    /// # Errors
    /// As [`Tokenizer::train_watched`].
    pub fn train_reserving(
        texts: impl Iterator<Item = String>,
        vocab_size: usize,
        more: &[String],
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let least = SMALLEST_VOCABULARY + more.len();
        if vocab_size < least {
            return Err(Error::VocabularyTooSmall { asked: vocab_size, least });
        }
        if vocab_size > LARGEST_VOCABULARY {
            return Err(Error::VocabularyTooLarge { asked: vocab_size, most: LARGEST_VOCABULARY });
        }
        let words = words(texts, monitor)?;
        let reserved = reserved(more);
        let special = reserved.clone();
        let model = watched(monitor, move || learn(&words, vocab_size, special))?;
        let made = model.map_err(|error| error.to_string()).and_then(|model| {
            let mut inner = Inner::new(model);
            inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
            inner.with_decoder(Some(ByteLevelDecoder::new(false, true, true)));
            file::quietly(|| inner.add_special_tokens(reserved))?;
            Self::checked(inner, None, &frame::Frame::ours(), Related::Added)
        });
        let tokenizer = made.map_err(|problem| Error::Tokenizer { tokenizer: None, source: problem.into() })?;
        if tokenizer.vocab_size < vocab_size {
            tracing::warn!(asked = vocab_size, got = tokenizer.vocab_size, "the corpus cannot fill the vocabulary");
        }
        Ok(tokenizer)
    }
}

fn reserved(more: &[String]) -> Vec<AddedToken> {
    let all = [END_OF_DOCUMENT, RELATED].into_iter().chain(more.iter().map(String::as_str));
    all.map(|token| AddedToken::from(token, true)).collect()
}

fn learn(words: &Words, vocab_size: usize, reserved: Vec<AddedToken>) -> tokenizers::Result<BPE> {
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(MIN_PAIR_COUNT)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(reserved)
        .show_progress(false)
        .build();
    let mut model = BPE::default();
    trainer.do_train(words, &mut model)?;
    Ok(model)
}

/// The words of the texts.
fn words(texts: impl Iterator<Item = String>, monitor: &dyn Monitor) -> Result<Words> {
    let mut bytes = 0usize;
    let mut texts = texts.take_while(|text| {
        bytes = bytes.saturating_add(text.len());
        bytes <= MOST_TRAINING_BYTES
    });
    let mut words = Words::new();
    loop {
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        while batch_bytes < BATCH_BYTES {
            let Some(text) = texts.next() else { break };
            // An empty text counts as well, or a corpus of them would be one batch.
            batch_bytes += text.len() + 64;
            batch.push(text);
        }
        if batch.is_empty() {
            return Ok(words);
        }
        let counted = watched(monitor, move || count(&batch))?;
        add(&mut words, counted.map_err(|source| Error::Tokenizer { tokenizer: None, source })?);
        monitor.check()?;
    }
}

fn count(texts: &[String]) -> tokenizers::Result<Words> {
    let blocks: Vec<&str> = texts.iter().flat_map(|text| blocks(text)).collect();
    let counted = blocks.par_iter().map(|block| {
        let mut words = Words::new();
        let mut split = PreTokenizedString::from(*block);
        ByteLevel::new(false, true, true).pre_tokenize(&mut split)?;
        for (word, (start, end), _) in split.get_splits(OffsetReferential::Original, OffsetType::Byte) {
            // A character of the byte-level alphabet stands for each byte.
            let mut letters = word.chars();
            for piece in pieces(&block[start..end], MOST_WORD_BYTES) {
                let piece: CompactString = letters.by_ref().take(piece.len()).collect();
                *words.entry(piece).or_default() += 1;
            }
        }
        Ok(words)
    });
    let together = |one: tokenizers::Result<Words>, other: tokenizers::Result<Words>| {
        let (one, other) = (one?, other?);
        let (mut large, small) = if one.len() < other.len() { (other, one) } else { (one, other) };
        add(&mut large, small);
        Ok(large)
    };
    counted.reduce(|| Ok(Words::new()), together)
}

fn add(words: &mut Words, more: Words) {
    for (word, count) in more {
        *words.entry(word).or_default() += count;
    }
}

/// A text in blocks that are split into words on their own. They end where GPT-2's pattern ends a word whatever follows, before a
/// single space, if there is one near.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = if rest.len() <= BLOCK_BYTES { rest.len() } else { block_end(rest) };
        let (block, after) = rest.split_at(end);
        rest = after;
        (!block.is_empty()).then_some(block)
    })
}

fn block_end(text: &str) -> usize {
    let most = text.floor_char_boundary(BLOCK_BYTES);
    let bytes = text.as_bytes();
    let single = |at: &usize| {
        let graphic = |byte: u8| byte.is_ascii_graphic();
        bytes[*at] == b' ' && graphic(bytes[at - 1]) && graphic(bytes[at + 1])
    };
    (most - LOOK_BACK_BYTES..most - 1).rev().find(single).unwrap_or(most)
}

/// A text in pieces of up to `most` bytes, each as long as whole characters allow.
fn pieces(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(most));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> Words {
        count(&[text.to_owned()]).unwrap()
    }

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let words = counted(&format!("a {} b", "\u{4f60}".repeat(200)));
        let mut lengths: Vec<(usize, u64)> = words.iter().map(|(word, n)| (word.chars().count(), *n)).collect();
        lengths.sort_unstable();
        // A space and 85 characters of three bytes are 256 bytes; 85 are 255; 30 are left.
        assert_eq!(lengths, [(1, 1), (2, 1), (90, 1), (255, 1), (256, 1)]);
        assert!(pieces("\u{4f60}\u{597d}x", 4).eq(["\u{4f60}", "\u{597d}x"]));
    }

    #[test]
    fn blocks_do_not_cut_words() {
        let sentence = "the old baker, near 12 ferries' end; ";
        let text = sentence.repeat(3 * BLOCK_BYTES / sentence.len());
        assert!(blocks(&text).count() > 2);
        let mut whole = counted(sentence);
        whole.values_mut().for_each(|n| *n = 0);
        let found = counted(&text);
        // The very first word has no space before it, and the very last space stands alone.
        let new: Vec<_> = found.keys().filter(|word| !whole.contains_key(*word)).collect();
        assert_eq!(new.len(), 1, "{new:?}");
        let without_space = text.replace(' ', "");
        assert_eq!(blocks(&without_space).collect::<String>(), without_space);
    }
}
