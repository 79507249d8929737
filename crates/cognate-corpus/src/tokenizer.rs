//! The tokenizer: byte-level BPE trained here, or any `tokenizer.json`, behind one type that cannot be fooled by its
//! input.

use std::path::Path;

use cognate_base::files::write_atomic;
use rayon::prelude::*;
use serde_json::Value;
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::ModelWrapper;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, DecodeStream, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer as Inner,
};

use crate::error::{Error, Result};

/// Ends every document, and begins the context in which one is scored.
pub const END_OF_DOCUMENT: &str = "<|endoftext|>";
/// Stands between a document and the related one that the synthesizer writes.
pub const RELATED: &str = "<|related|>";

/// The names under which other people's tokenizers keep their end-of-document token; the first one present is taken.
const END_OF_DOCUMENT_NAMES: [&str; 5] = [END_OF_DOCUMENT, "<|end_of_text|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>"];

/// 256 bytes and the two reserved tokens.
const SMALLEST_VOCABULARY: usize = 258;

/// A pair of tokens that occurs once teaches nothing about the language.
const MIN_PAIR_COUNT: u64 = 2;

/// The trainer counts pairs in 32 bits with a sign; a text of this many bytes cannot overflow them.
const MOST_TRAINING_BYTES: usize = i32::MAX as usize;

/// Text of tokens that come one by one.
pub(crate) type Pieces<'a> =
    DecodeStream<'a, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Turns text into token numbers and back.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Inner,
    begin_of_document: u32,
    end_of_document: u32,
    related: Option<u32>,
    vocab_size: usize,
}

/// Token numbers that a checkpoint's `config.json` names: what counts where no `tokenizer_config.json` names the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameIds {
    /// Before a document.
    pub begin: Option<u32>,
    /// After a document.
    pub end: Option<u32>,
}

impl Tokenizer {
    /// Trains byte-level BPE with GPT-2's word pattern. Token 0 is [`END_OF_DOCUMENT`], token 1 is [`RELATED`], then
    /// the 256 bytes, then the merges from the most frequent down; `vocab_size` counts them all.
    ///
    /// The result depends on the words and their counts alone, not on the order of texts or the number of threads.
    /// Texts beyond the first 2 GiB are not used. A corpus too small to fill the vocabulary gives a smaller one: see
    /// [`Tokenizer::vocab_size`].
    ///
    /// # Errors
    /// When `vocab_size` has no room for the bytes and the reserved tokens.
    pub fn train(texts: impl Iterator<Item = String> + Send, vocab_size: usize) -> Result<Self> {
        if vocab_size < SMALLEST_VOCABULARY {
            return Err(Error::VocabularyTooSmall { asked: vocab_size, least: SMALLEST_VOCABULARY });
        }
        let mut trainer = TrainerWrapper::from(
            BpeTrainer::builder()
                .vocab_size(vocab_size)
                .min_frequency(MIN_PAIR_COUNT)
                .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
                .special_tokens(vec![AddedToken::from(END_OF_DOCUMENT, true), AddedToken::from(RELATED, true)])
                .show_progress(false)
                .build(),
        );
        let mut inner = Inner::new(BPE::default());
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevelDecoder::new(false, true, true)));
        let mut bytes = 0usize;
        let mut cut = false;
        let texts = texts.take_while(|text| {
            bytes = bytes.saturating_add(text.len());
            cut = bytes > MOST_TRAINING_BYTES;
            !cut
        });
        inner.train(&mut trainer, texts).map_err(|source| Error::Tokenizer { source })?;
        let tokenizer = Self::reserving(inner).map_err(|problem| Error::Tokenizer { source: problem.into() })?;
        if tokenizer.vocab_size < vocab_size {
            tracing::warn!(asked = vocab_size, got = tokenizer.vocab_size, "the corpus cannot fill the vocabulary");
        }
        Ok(tokenizer)
    }

    /// Loads a `tokenizer.json` for a corpus of ours.
    ///
    /// The end-of-document token is the first of `<|endoftext|>`, `<|end_of_text|>`, `</s>`, `<eos>` and
    /// `<｜end▁of▁sentence｜>` that the file knows; otherwise `<|endoftext|>` is added, as [`RELATED`] is where it is
    /// missing. Truncation and padding that the file asks for are switched off: a document is encoded whole.
    ///
    /// # Errors
    /// When the file cannot be read, is no tokenizer, drops merges at random (then no two runs would agree), or leaves
    /// no free number for a reserved token. The message names the file.
    pub fn load(path: &Path) -> Result<Self> {
        let bad = |problem: String| Error::TokenizerFile { path: path.to_path_buf(), problem };
        Self::reserving(read(path)?).map_err(bad)
    }

    /// Loads the tokenizer of a checkpoint directory as it is: no token is added, since the checkpoint's embedding may have no
    /// row for one.
    ///
    /// The tokens that begin and end a document are `bos_token` and `eos_token` of `tokenizer_config.json`; without that file,
    /// those that `ids` names; without either, the end token is looked up by the names of [`Tokenizer::load`]. A tokenizer
    /// that defines no begin token begins a document with its end token.
    ///
    /// # Errors
    /// As [`Tokenizer::load`], and when no end token is defined, or one that the vocabulary does not have.
    pub fn of_checkpoint(folder: &Path, ids: FrameIds) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let bad = |problem: String| Error::TokenizerFile { path: path.clone(), problem };
        let inner = read(&path)?;
        let named = named_frame(&folder.join("tokenizer_config.json"), &inner)?;
        let (begin, end) = match named {
            Some(frame) => frame,
            None => {
                let name = |id: Option<u32>| match id {
                    Some(id) => inner.id_to_token(id).map(Some).ok_or_else(|| {
                        bad(format!("it has no token {id}, which config.json names as bos_token_id or eos_token_id"))
                    }),
                    None => Ok(None),
                };
                (name(ids.begin)?, name(ids.end)?)
            }
        };
        let end = end.or_else(|| end_by_name(&inner).map(str::to_owned)).ok_or_else(|| {
            bad("no end-of-document token is defined; name one as eos_token in tokenizer_config.json".to_owned())
        })?;
        Self::checked(inner, begin.as_deref(), &end, false).map_err(bad)
    }

    /// Loads a `tokenizer.json` as it is: without [`RELATED`] where it has none.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load_unchanged(path: &Path) -> Result<Self> {
        let bad = |problem: String| Error::TokenizerFile { path: path.to_path_buf(), problem };
        let inner = read(path)?;
        let end = end_by_name(&inner).unwrap_or(END_OF_DOCUMENT);
        Self::checked(inner, None, end, false).map_err(bad)
    }

    /// The tokens that stand between and around documents and never in one, but for the end token.
    pub fn never_inside(&self) -> Vec<u32> {
        self.related.into_iter().collect()
    }

    /// With both reserved tokens, added where they are missing.
    fn reserving(inner: Inner) -> Result<Self, String> {
        let end = end_by_name(&inner).unwrap_or(END_OF_DOCUMENT);
        Self::checked(inner, None, end, true)
    }

    /// The one way to a `Tokenizer`: reserved tokens present and unambiguous, encoding of the whole text and of text
    /// alone.
    fn checked(mut inner: Inner, begin: Option<&str>, end: &str, add_related: bool) -> Result<Self, String> {
        if let ModelWrapper::BPE(model) = inner.get_model()
            && model.dropout.is_some_and(|dropout| dropout > 0.0)
        {
            return Err("its model drops merges at random; set model.dropout to null".to_owned());
        }
        inner.with_truncation(None).map_err(|error| error.to_string())?;
        inner.with_padding(None);
        let related = (add_related || inner.token_to_id(RELATED).is_some()).then_some(RELATED);
        // For a token that is there already this only declares it special; its number stays.
        let reserved = [Some(end), begin, related].into_iter().flatten().map(|name| AddedToken::from(name, true));
        inner.add_special_tokens(reserved).map_err(|error| error.to_string())?;
        inner.set_encode_special_tokens(true);
        let vocabulary = inner.get_vocab(true);
        let number = |name: &str| {
            let id = *vocabulary.get(name).ok_or_else(|| format!("it does not take the reserved token {name}"))?;
            match vocabulary.iter().find(|(token, other)| **other == id && *token != name) {
                Some((token, _)) => {
                    Err(format!("its token {token:?} has the number {id} of the reserved token {name}"))
                }
                None => Ok(id),
            }
        };
        let end_of_document = number(end)?;
        let begin_of_document = begin.map_or(Ok(end_of_document), number)?;
        let related = related.map(number).transpose()?;
        let largest = vocabulary.values().max().copied().unwrap_or_default();
        Ok(Self { inner, begin_of_document, end_of_document, related, vocab_size: largest as usize + 1 })
    }

    /// Writes a `tokenizer.json` that `tokenizers` and `transformers` load.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(write_atomic(path, self.to_json())?)
    }

    /// The content of [`Tokenizer::save`]; equal tokenizers give equal bytes.
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer that was built or loaded can be written")
    }

    /// The tokens of a text, and of nothing else: no begin or end token is added, and the name of a reserved or special
    /// token inside the text stays text.
    ///
    /// # Errors
    /// When a loaded tokenizer cannot encode the text (a word that is not in its closed vocabulary), or its model makes
    /// a reserved token of it all the same.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|source| Error::Tokenizer { source })?;
        let ids = encoding.get_ids().to_vec();
        let reserved = [Some(self.begin_of_document), Some(self.end_of_document), self.related];
        match ids.iter().find(|id| reserved.contains(&Some(**id))) {
            None => Ok(ids),
            Some(&id) => Err(Error::ReservedInText { token: self.inner.id_to_token(id).unwrap_or_default(), id }),
        }
    }

    /// [`Tokenizer::encode`] for many texts, on rayon's threads; the result is in the order of `texts`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], for the first text in order that fails.
    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        let encoded: Vec<Result<Vec<u32>>> = texts.par_iter().map(|text| self.encode(text)).collect();
        encoded.into_iter().collect()
    }

    /// The text of some tokens; special tokens are left out, numbers without a token are ignored, and bytes that are no
    /// UTF-8 (a model may write half a character) become U+FFFD.
    ///
    /// # Panics
    /// When a loaded tokenizer's decoder fails, which none in the `tokenizers` library does.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, true).expect("the decoders of the tokenizers library do not fail")
    }

    /// Decodes token by token: a step gives the text that its token completes, none where a character is not whole yet.
    pub(crate) fn pieces(&self) -> Pieces<'_> {
        self.inner.decode_stream(true)
    }

    /// The tokens that the tokenizer itself puts before any text it is given (a begin token, with many of other people's
    /// tokenizers); none for ours.
    ///
    /// # Errors
    /// When a loaded tokenizer cannot encode a letter.
    pub fn prefix(&self) -> Result<Vec<u32>> {
        let ids = |framed| -> Result<Vec<u32>> {
            let encoding = self.inner.encode_fast("a", framed).map_err(|source| Error::Tokenizer { source })?;
            Ok(encoding.get_ids().to_vec())
        };
        let (framed, bare) = (ids(true)?, ids(false)?);
        let at = framed.windows(bare.len().max(1)).position(|window| window == bare).unwrap_or(0);
        Ok(framed[..at].to_vec())
    }

    /// Numbers and texts of all special tokens, in the order of the numbers.
    pub fn special_tokens(&self) -> Vec<(u32, String)> {
        let added = self.inner.get_added_tokens_decoder().into_iter();
        let mut special: Vec<_> =
            added.filter(|(_, token)| token.special).map(|(id, token)| (id, token.content)).collect();
        special.sort_unstable();
        special
    }

    /// The token that a document's context starts with: the end-of-document token, unless a checkpoint's tokenizer defines
    /// one of its own.
    pub fn begin_of_document(&self) -> u32 {
        self.begin_of_document
    }

    /// The token that ends every document.
    pub fn end_of_document(&self) -> u32 {
        self.end_of_document
    }

    /// The token after which a related document follows.
    ///
    /// # Errors
    /// When the tokenizer came with a checkpoint that was never tuned on pairs, and has none.
    pub fn related(&self) -> Result<u32> {
        self.related.ok_or(Error::NoRelatedToken)
    }

    /// Refuses another tokenizer than this: one in which a number stands for another token. The paths are where each came from.
    ///
    /// # Errors
    /// [`Error::OtherTokenizer`], naming the first such number.
    pub fn check_same(&self, path: &Path, other: &Self, other_path: &Path) -> Result<()> {
        let token = |tokenizer: &Self, id| tokenizer.inner.id_to_token(id);
        let ids = 0..self.vocab_size.max(other.vocab_size) as u32;
        let Some(id) = ids.into_iter().find(|&id| token(self, id) != token(other, id)) else { return Ok(()) };
        let show = |token: Option<String>| token.map_or_else(|| "none".to_owned(), |token| format!("{token:?}"));
        Err(Error::OtherTokenizer {
            first: path.to_path_buf(),
            second: other_path.to_path_buf(),
            id,
            first_token: show(token(self, id)),
            second_token: show(token(other, id)),
        })
    }

    /// The text of a token; none for a number that no token has.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The numbers below `rows` that no token has, in order: rows that fill an embedding up to a round size, and gaps.
    pub fn without_token(&self, rows: usize) -> Vec<u32> {
        let mut known = vec![false; rows];
        for id in self.inner.get_vocab(true).into_values() {
            if let Some(known) = known.get_mut(id as usize) {
                *known = true;
            }
        }
        (0..rows as u32).filter(|&id| !known[id as usize]).collect()
    }

    /// The largest token number plus one: the rows that an embedding table needs.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }
}

/// The library's tokenizer in a file.
fn read(path: &Path) -> Result<Inner> {
    let json = fs_err::read(path)?;
    Inner::from_bytes(&json).map_err(|error| Error::TokenizerFile {
        path: path.to_path_buf(),
        problem: format!("it is no tokenizer.json ({error})"),
    })
}

/// The first of the usual names of an end-of-document token that a tokenizer knows.
fn end_by_name(inner: &Inner) -> Option<&'static str> {
    END_OF_DOCUMENT_NAMES.into_iter().find(|name| inner.token_to_id(name).is_some())
}

/// The texts of the begin and end tokens that a `tokenizer_config.json` defines; none where there is no such file.
fn named_frame(path: &Path, inner: &Inner) -> Result<Option<(Option<String>, Option<String>)>> {
    let bad = |problem: String| Error::TokenizerFile { path: path.to_path_buf(), problem };
    let json = match fs_err::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let config: Value = serde_json::from_slice(&json).map_err(|error| bad(format!("it is not JSON ({error})")))?;
    let token = |field: &str| {
        // A plain text, or an object that holds it with how it is stripped.
        let text = match &config[field] {
            Value::Null => return Ok(None),
            Value::Object(token) => token.get("content").and_then(Value::as_str),
            other => other.as_str(),
        };
        match text {
            Some(text) if inner.token_to_id(text).is_some() => Ok(Some(text.to_owned())),
            Some(text) => Err(bad(format!("its {field} {text:?} is not in the vocabulary of tokenizer.json"))),
            None => Err(bad(format!("its {field} is {}; expected a token's text", config[field]))),
        }
    };
    Ok(Some((token("bos_token")?, token("eos_token")?)))
}
