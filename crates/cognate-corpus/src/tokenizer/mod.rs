//! The tokenizer: byte-level BPE trained here, or any `tokenizer.json`, behind one type that cannot be fooled by its
//! input.
//!
//! | module | what lives there |
//! |---|---|
//! | `file` | a `tokenizer.json` of anybody, looked at before the library sees it |
//! | `frame` | which token ends a document, and which begins it |
//! | `train` | learning the merges from a corpus |

mod file;
mod frame;
mod train;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_base::panics::caught;
use rayon::prelude::*;
use serde_json::json;
use tokenizers::models::ModelWrapper;
use tokenizers::{
    AddedToken, DecodeStream, DecoderWrapper, Model as _, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer as Inner,
};

use crate::error::{Error, Result};
use crate::watched::watched;

/// Ends every document, and begins the context in which one is scored.
pub const END_OF_DOCUMENT: &str = "<|endoftext|>";
/// Stands between a document and the related one that the synthesizer writes.
pub const RELATED: &str = "<|related|>";
/// Stands in the place of a token that is to be written. Reserved where a recipe asks for it.
pub const MASK: &str = "<|mask|>";

/// Most tokens of a vocabulary: four times as many as the largest published one (XLM-V's million) has. What is sized by a token's
/// number stays small by it.
pub const LARGEST_VOCABULARY: usize = 1 << 22;

/// Turns text into token numbers and back.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    /// Where it came from; none where it was trained here.
    path: Option<PathBuf>,
    begin: Named,
    end: Named,
    related: Option<u32>,
    vocab_size: usize,
}

/// A token by its number and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    id: u32,
    text: String,
}

/// Text of tokens that come one by one.
pub(crate) struct Pieces<'a> {
    tokenizer: &'a Tokenizer,
    stream:
        DecodeStream<'a, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>,
}

impl Pieces<'_> {
    /// The text that a token completes; none where a character is not whole yet.
    pub(crate) fn step(&mut self, id: u32) -> Result<Option<String>> {
        let stream = &mut self.stream;
        self.tokenizer.call(|| stream.step(id))
    }
}

/// Whether a token that stands before a related document is added to a tokenizer that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Related {
    Added,
    AsItIs,
}

impl Tokenizer {
    /// Loads a `tokenizer.json` for a corpus of ours: [`RELATED`] is added where it is missing.
    ///
    /// The tokens that end and begin a document are special tokens. They are named, in this order of trust, by `eos_token` and
    /// `bos_token` of the `tokenizer_config.json` beside the file; of the `special_tokens_map.json`; by `eos_token_id` and
    /// `bos_token_id` of the `config.json` and the `generation_config.json`. The files beside are asked only if the tokenizer's
    /// own file is called `tokenizer.json`. Where none names an end token, the one special token with a usual name
    /// (`<|endoftext|>`, `</s>`, ...) is taken, with a warning. A tokenizer that defines no begin token begins a document with
    /// its end token.
    ///
    /// Truncation and padding that the file asks for are switched off: a document is encoded whole.
    ///
    /// # Errors
    /// When a file cannot be read; when it is no tokenizer, is damaged, has token numbers from [`LARGEST_VOCABULARY`] on, drops
    /// merges at random (then no two runs would agree), leaves no free number for a reserved token, or would number a token otherwise
    /// once it is written and read again; and when no token ends a document. The message names the file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::read(path, Related::Added)
    }

    /// Loads the tokenizer of a checkpoint directory as it is: no token is added, since the checkpoint's embedding may have no
    /// row for one. The tokens that begin and end a document are those of [`Tokenizer::load`].
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn of_checkpoint(folder: &Path) -> Result<Self> {
        Self::load_unchanged(&folder.join("tokenizer.json"))
    }

    /// Loads a `tokenizer.json` as it is: without [`RELATED`] where it has none. The tokens that begin and end a document are those
    /// of [`Tokenizer::load`].
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load_unchanged(path: &Path) -> Result<Self> {
        Self::read(path, Related::AsItIs)
    }

    fn read(path: &Path, related: Related) -> Result<Self> {
        let inner = file::read(path)?;
        let frame = frame::of_file(path, &inner)?;
        let checked = Self::checked(inner, Some(path.to_path_buf()), &frame, related);
        checked.map_err(|problem| Error::TokenizerFile { path: path.to_path_buf(), problem })
    }

    /// The files that [`Tokenizer::load`] reads: what the tokenizer depends on.
    pub fn files(path: &Path) -> Vec<PathBuf> {
        std::iter::once(path.to_path_buf()).chain(frame::files_beside(path)).collect()
    }

    /// A `tokenizer.json` that is in memory, in a folder without other files: what [`Tokenizer::load`] does, without reading.
    /// Messages name `path`.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn parse(path: &Path, json: &[u8]) -> Result<Self> {
        let inner = file::parse(path, json)?;
        let bad = |problem| Error::TokenizerFile { path: path.to_path_buf(), problem };
        let frame = frame::Frame::guess(&inner, &[]).map_err(bad)?;
        Self::checked(inner, Some(path.to_path_buf()), &frame, Related::Added).map_err(bad)
    }

    /// The one way to a `Tokenizer`: reserved tokens present and unambiguous, encoding of the whole text and of text
    /// alone.
    fn checked(
        mut inner: Inner,
        path: Option<PathBuf>,
        frame: &frame::Frame,
        related: Related,
    ) -> Result<Self, String> {
        if let ModelWrapper::BPE(model) = inner.get_model()
            && model.dropout.is_some_and(|dropout| dropout > 0.0)
        {
            return Err("its model drops merges at random; set model.dropout to null".to_owned());
        }
        let (begin, end) = (frame.begin.as_deref(), frame.end.as_str());
        let related = (related == Related::Added || inner.token_to_id(RELATED).is_some()).then_some(RELATED);
        // For a token that is there already this only declares it special; its number stays.
        let reserved = [Some(end), begin, related].into_iter().flatten().map(|name| AddedToken::from(name, true));
        let reserved: Vec<AddedToken> = reserved.collect();
        file::quietly(|| {
            inner.with_truncation(None)?;
            inner.with_padding(None);
            inner.add_special_tokens(reserved)?;
            inner.set_encode_special_tokens(true);
            // A template that does not fit shows at any text, the empty one too.
            inner.encode_fast("", true).map(|_| ())
        })?;
        if let Some((one, other, id)) = same_number(&inner.get_vocab(false)) {
            return Err(format!("its tokens {one:?} and {other:?} have one number, {id}"));
        }
        let vocabulary = inner.get_vocab(true);
        let number = |name: &str| {
            let id = *vocabulary.get(name).ok_or_else(|| format!("it does not take the reserved token {name}"))?;
            match vocabulary.iter().find(|(token, other)| **other == id && *token != name) {
                Some((token, _)) => {
                    Err(format!("its token {token:?} has the number {id} of the reserved token {name}"))
                }
                None => Ok(Named { id, text: name.to_owned() }),
            }
        };
        let end = number(end)?;
        let begin = begin.map_or_else(|| Ok(end.clone()), number)?;
        let related = related.map(|name| number(name).map(|named| named.id)).transpose()?;
        if let Some((text, id, again)) = other_when_read_again(&inner) {
            return Err(format!(
                "its token numbers have gaps, and once written and read again its token {text:?} would be {again} and not {id}"
            ));
        }
        let largest = vocabulary.values().max().copied().unwrap_or_default();
        Ok(Self { inner: Arc::new(inner), path, begin, end, related, vocab_size: largest as usize + 1 })
    }

    /// Writes a `tokenizer.json` that `tokenizers` and `transformers` load, and beside it what [`Tokenizer::config_json`] says.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomic(path, self.to_json())?;
        if frame::is_asked_about(path) {
            let config = format!("{:#}\n", self.config_json());
            write_atomic(path.with_file_name(frame::CONFIG), config)?;
        }
        Ok(())
    }

    /// The content of [`Tokenizer::save`]; equal tokenizers give equal bytes.
    pub fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer that was built or loaded can be written")
    }

    /// What a `tokenizer_config.json` says of this tokenizer: its class, and the tokens that begin and end a document.
    ///
    /// The class is named because `AutoTokenizer` would otherwise choose one by `model_type` and replace the pre-tokenizer by that
    /// one's.
    pub fn config_json(&self) -> serde_json::Value {
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.begin.text,
            "eos_token": self.end.text,
            "clean_up_tokenization_spaces": false,
        })
    }

    /// Runs a piece of the library, which panics where a regular expression takes too many steps, a decoder cuts off more than
    /// there is, or a template names what it does not define. Only reading calls go through here, so nothing is left half done.
    fn call<T>(&self, piece: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Tokenizer {
            tokenizer: self.path.clone(),
            source,
        };
        caught(piece).map_err(|gave_up| failed(gave_up.into()))?.map_err(failed)
    }

    /// The tokens of a text, and of nothing else: no begin or end token is added, and the name of a reserved or special
    /// token inside the text stays text.
    ///
    /// # Errors
    /// When a loaded tokenizer cannot encode the text (a word that is not in its closed vocabulary, or a splitting pattern that
    /// takes too many steps), or its model makes a reserved token of it all the same.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.call(|| self.inner.encode_fast(text, false))?;
        let ids = encoding.get_ids().to_vec();
        let reserved = [Some(self.begin.id), Some(self.end.id), self.related];
        match ids.iter().find(|id| reserved.contains(&Some(**id))) {
            None => self.in_vocabulary(ids),
            Some(&id) => Err(Error::ReservedInText { token: self.inner.id_to_token(id).unwrap_or_default(), id }),
        }
    }

    /// Refuses numbers that no token has: a model or a template of a loaded tokenizer may hold any.
    fn in_vocabulary(&self, ids: Vec<u32>) -> Result<Vec<u32>> {
        match ids.iter().find(|id| **id as usize >= self.vocab_size) {
            None => Ok(ids),
            Some(id) => {
                let source = format!("it writes {id}, which is the number of no token").into();
                Err(Error::Tokenizer { tokenizer: self.path.clone(), source })
            }
        }
    }

    /// [`Tokenizer::encode`] for many texts, on rayon's threads; the result is in the order of `texts`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`], for the first text in order that fails.
    pub fn encode_batch(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        self.encode_each(texts).into_iter().collect()
    }

    /// [`Tokenizer::encode`] for each of many texts, on rayon's threads.
    fn encode_each<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Vec<Result<Vec<u32>>> {
        texts.par_iter().map(|text| self.encode(text.as_ref())).collect()
    }

    /// [`Tokenizer::encode`] for each of many texts, which may be huge: the user can interrupt at any time.
    ///
    /// # Errors
    /// When the user interrupts.
    pub(crate) fn encode_watched<T>(&self, texts: Vec<T>, monitor: &dyn Monitor) -> Result<Encoded<T>>
    where
        T: AsRef<str> + Send + Sync + 'static,
    {
        let tokenizer = self.clone();
        watched(monitor, move || {
            let encoded = tokenizer.encode_each(&texts);
            texts.into_iter().zip(encoded).collect()
        })
    }

    /// The text of some tokens; special tokens are left out, numbers without a token are ignored, and bytes that are no
    /// UTF-8 (a model may write half a character) become U+FFFD.
    ///
    /// # Errors
    /// When a loaded tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.call(|| self.inner.decode(ids, true))
    }

    /// Decodes token by token.
    pub(crate) fn pieces(&self) -> Pieces<'_> {
        Pieces { tokenizer: self, stream: self.inner.decode_stream(true) }
    }

    /// The tokens that the tokenizer itself puts before any text it is given (a begin token, with many of other people's
    /// tokenizers); none for ours.
    ///
    /// # Errors
    /// When a loaded tokenizer cannot encode a letter.
    pub fn prefix(&self) -> Result<Vec<u32>> {
        let ids =
            |framed| -> Result<Vec<u32>> { Ok(self.call(|| self.inner.encode_fast("a", framed))?.get_ids().to_vec()) };
        let (framed, bare) = (ids(true)?, ids(false)?);
        let at = framed.windows(bare.len().max(1)).position(|window| window == bare).unwrap_or(0);
        self.in_vocabulary(framed[..at].to_vec())
    }

    /// Numbers and texts of all special tokens, in the order of the numbers.
    pub fn special_tokens(&self) -> Vec<(u32, String)> {
        frame::specials(&self.inner)
    }

    /// The number of a special token; none where there is no such.
    pub fn special(&self, name: &str) -> Option<u32> {
        self.special_tokens().into_iter().find_map(|(id, text)| (text == name).then_some(id))
    }

    /// The token that a document's context starts with: the end-of-document token, unless the tokenizer defines one of its own.
    pub fn begin_of_document(&self) -> u32 {
        self.begin.id
    }

    /// The token that ends every document.
    pub fn end_of_document(&self) -> u32 {
        self.end.id
    }

    /// The tokens that stand between and around documents and never in one, but for the end token.
    pub fn never_inside(&self) -> Vec<u32> {
        let begin = (self.begin.id != self.end.id).then_some(self.begin.id);
        self.related.into_iter().chain(begin).collect()
    }

    /// The token after which a related document follows.
    ///
    /// # Errors
    /// When the tokenizer came with a checkpoint that was never tuned on pairs, and has none.
    pub fn related(&self) -> Result<u32> {
        self.related.ok_or(Error::NoRelatedToken)
    }

    /// Refuses another tokenizer than this: one in which a number stands for another token, or in which other tokens begin and end
    /// a document. The paths are where each came from.
    ///
    /// # Errors
    /// [`Error::OtherTokenizer`], naming the first such number, and [`Error::OtherFrame`].
    pub fn check_same(&self, path: &Path, other: &Self, other_path: &Path) -> Result<()> {
        let token = |tokenizer: &Self, id| tokenizer.inner.id_to_token(id);
        let ids = 0..self.vocab_size.max(other.vocab_size) as u32;
        let Some(id) = ids.into_iter().find(|&id| token(self, id) != token(other, id)) else {
            return self.check_same_frame(path, other, other_path);
        };
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

    fn check_same_frame(&self, path: &Path, other: &Self, other_path: &Path) -> Result<()> {
        if (&self.begin, &self.end) == (&other.begin, &other.end) {
            return Ok(());
        }
        let show = |tokenizer: &Self| format!("{:?} and {:?}", tokenizer.begin.text, tokenizer.end.text);
        Err(Error::OtherFrame {
            first: path.to_path_buf(),
            second: other_path.to_path_buf(),
            first_frame: show(self),
            second_frame: show(other),
        })
    }
}

/// Two tokens of one number: such a vocabulary cannot be written again.
fn same_number(vocabulary: &HashMap<String, u32>) -> Option<(&str, &str, u32)> {
    let mut numbers: Vec<(u32, &str)> = vocabulary.iter().map(|(token, id)| (*id, token.as_str())).collect();
    numbers.sort_unstable();
    let pair = numbers.array_windows().find(|[(one, _), (other, _)]| one == other);
    pair.map(|[(id, one), (_, other)]| (*one, *other, *id))
}

/// The first added token whose number another reading of what is written would change, with the two numbers: the library numbers
/// those that the model lacks by counting from the model's size, in the order in which they are written, whatever the file says.
fn other_when_read_again(inner: &Inner) -> Option<(String, u32, u32)> {
    let model = inner.get_model();
    let mut added: Vec<(u32, AddedToken)> = inner.get_added_tokens_decoder().into_iter().collect();
    added.sort_unstable_by_key(|(id, _)| *id);
    let mut free = model.get_vocab_size() as u32..;
    added.into_iter().find_map(|(id, token)| {
        let again = model.token_to_id(&token.content).or_else(|| free.next())?;
        (again != id).then_some((token.content, id, again))
    })
}

/// Texts, each with its tokens or why it has none.
pub(crate) type Encoded<T> = Vec<(T, Result<Vec<u32>>)>;
