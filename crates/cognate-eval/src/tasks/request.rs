//! Text to tokens as the reference does it (lm-evaluation-harness 0.4.13, `TemplateLM._encode_pair` and `HFLM`).
//!
//! White space at the end of a context moves to its continuation. Both together are encoded as one text, and the context alone
//! once more: its tokens are the prompt, and the continuation is what the whole has beyond as many tokens. A context without
//! text is the begin token. A request longer than the model's positions loses tokens on its left.

use cognate_corpus::{Origin, Tokenizer};
use cognate_model::ScoreItem;

use super::template::is_space;
use crate::error::{Error, Result};
use crate::rows::Rows;

/// Makes requests for one model.
#[derive(Clone, Debug)]
pub(crate) struct Encoder<'a> {
    rows: Rows<'a>,
    tokenizer: &'a Tokenizer,
    /// What the tokenizer itself puts before a text.
    prefix: Vec<u32>,
    pub(crate) max_positions: usize,
}

/// Tokens, and what had to be left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoded<T> {
    pub(crate) tokens: T,
    /// Whether the left side was cut off.
    pub(crate) truncated: bool,
    /// Whether the tokenizer does not give the text back.
    pub(crate) lossy: bool,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(rows: Rows<'a>, max_positions: usize) -> Result<Self> {
        let tokenizer = rows.tokenizer;
        Ok(Self { rows, tokenizer, prefix: tokenizer.prefix()?, max_positions })
    }

    /// The question: how likely is `continuation` after `context`?
    pub(crate) fn pair(&self, origin: &Origin, context: &str, continuation: &str) -> Result<Encoded<ScoreItem>> {
        let bare = context.trim_end_matches(is_space);
        let whole = format!("{context}{continuation}");
        let (mut prompt, continuation) = if bare.is_empty() {
            (vec![self.tokenizer.begin_of_document()], self.tokenizer.encode(&whole)?)
        } else {
            let prompt = self.tokenizer.encode(bare)?;
            let mut tokens = self.tokenizer.encode(&whole)?;
            let continuation = tokens.split_off(prompt.len().min(tokens.len()));
            ([self.prefix.as_slice(), &prompt].concat(), continuation)
        };
        let lossy = is_lossy(self.tokenizer, &whole, &[prompt.as_slice(), &continuation].concat())?;
        if continuation.is_empty() || prompt.is_empty() {
            return Err(Error::NoTokens { origin: origin.clone(), text: whole });
        }
        if continuation.len() > self.max_positions {
            let max_positions = self.max_positions;
            return Err(Error::TaskContext { origin: origin.clone(), tokens: continuation.len(), max_positions });
        }
        // The last token of the continuation takes no position.
        let excess = (prompt.len() + continuation.len()).saturating_sub(self.max_positions + 1);
        prompt.drain(..excess);
        for tokens in [&prompt, &continuation] {
            self.rows.check(tokens, || origin.to_string())?;
        }
        Ok(Encoded { tokens: ScoreItem { prompt, continuation }, truncated: excess > 0, lossy })
    }

    /// The prompt of an answer of `new_tokens` tokens that is to be written.
    pub(crate) fn prompt(&self, origin: &Origin, context: &str, new_tokens: usize) -> Result<Encoded<Vec<u32>>> {
        let mut prompt = [self.prefix.as_slice(), &self.tokenizer.encode(context)?].concat();
        let lossy = is_lossy(self.tokenizer, context, &prompt)?;
        if prompt.is_empty() {
            prompt.push(self.tokenizer.begin_of_document());
        }
        let Some(most) = self.max_positions.checked_sub(new_tokens).filter(|most| *most > 0) else {
            let max_positions = self.max_positions;
            return Err(Error::TaskContext { origin: origin.clone(), tokens: new_tokens, max_positions });
        };
        let excess = prompt.len().saturating_sub(most);
        prompt.drain(..excess);
        self.rows.check(&prompt, || origin.to_string())?;
        Ok(Encoded { tokens: prompt, truncated: excess > 0, lossy })
    }
}

/// Whether tokens stand for another text, white space aside (many tokenizers write a space before the first word).
pub(crate) fn is_lossy(tokenizer: &Tokenizer, text: &str, tokens: &[u32]) -> Result<bool> {
    let decoded = tokenizer.decode(tokens)?;
    Ok(!decoded.chars().filter(|c| !is_space(*c)).eq(text.chars().filter(|c| !is_space(*c))))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tokenizer() -> Tokenizer {
        let text = "the cat sat on the mat; the cat sat. ".repeat(3);
        Tokenizer::train([text].into_iter(), 290).unwrap()
    }

    fn rows(tokenizer: &Tokenizer) -> Rows<'_> {
        Rows { tokenizer, rows: tokenizer.vocab_size() }
    }

    #[test]
    fn a_token_without_a_row_is_told_where_it_occurs() {
        let tokenizer = tokenizer();
        let whole = tokenizer.encode("the cat sat").unwrap();
        let most = *whole.iter().max().unwrap();
        let fewer = Rows { tokenizer: &tokenizer, rows: most as usize };
        let encoder = Encoder::new(fewer, 100).unwrap();
        let expected = format!("q.jsonl:2: its token {:?} has the number {most}", tokenizer.token(most).unwrap());
        for error in [
            encoder.pair(&origin(), "the cat", " sat").unwrap_err(),
            encoder.prompt(&origin(), "the cat sat", 3).unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        // Others are scored: nothing is asked of tokens that do not occur.
        assert!(encoder.pair(&origin(), "x", "y").is_ok() && encoder.prompt(&origin(), "x", 3).is_ok());
    }

    fn origin() -> Origin {
        Origin { file: Path::new("q.jsonl").into(), row: 2 }
    }

    #[test]
    fn context_and_continuation_are_encoded_together() {
        let tokenizer = tokenizer();
        let encoder = Encoder::new(rows(&tokenizer), 100).unwrap();
        let encode = |text: &str| tokenizer.encode(text).unwrap();
        let item = |context: &str, continuation: &str| encoder.pair(&origin(), context, continuation).unwrap().tokens;
        let plain = ScoreItem { prompt: encode("the cat"), continuation: encode(" sat") };
        assert_eq!(item("the cat", " sat"), plain);
        // White space moves over, of any kind.
        assert_eq!(item("the cat ", "sat"), plain);
        let moved = item("the cat \u{1f}\n", "sat");
        assert_eq!(
            (moved.prompt, tokenizer.decode(&moved.continuation).unwrap()),
            (encode("the cat"), " \u{1f}\nsat".to_owned())
        );
        // A token over the seam belongs to the continuation's side as far as the counts say.
        assert_eq!(encode("the").len(), 1, "one merged token");
        let split = item("th", "e cat sat on");
        assert_eq!(split.prompt, encode("th"));
        assert_eq!(split.continuation, encode("the cat sat on")[encode("th").len()..]);
        // No context is the begin token, also where white space is all of it.
        let alone = ScoreItem { prompt: vec![tokenizer.begin_of_document()], continuation: encode(" sat") };
        assert_eq!(item("", " sat"), alone);
        assert_eq!(item(" ", "sat"), alone);
    }

    #[test]
    fn what_does_not_fit_goes_on_the_left() {
        let tokenizer = tokenizer();
        let (context, continuation) = ("the cat sat on", " the mat");
        let whole = tokenizer.encode("the cat sat on the mat").unwrap();
        let n = tokenizer.encode(continuation).unwrap().len();
        for max_positions in n..whole.len() + 2 {
            let encoder = Encoder::new(rows(&tokenizer), max_positions).unwrap();
            let Encoded { tokens, truncated, .. } = encoder.pair(&origin(), context, continuation).unwrap();
            let kept = [tokens.prompt, tokens.continuation].concat();
            assert_eq!(kept, whole[whole.len().saturating_sub(max_positions + 1)..]);
            assert_eq!(truncated, whole.len() > max_positions + 1, "{max_positions}");
        }
        let encoder = Encoder::new(rows(&tokenizer), n - 1).unwrap();
        let error = encoder.pair(&origin(), context, continuation).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("q.jsonl:2: the answer takes {n} tokens, and the model's context of ")),
            "{error}"
        );
        let error = encoder.pair(&origin(), "the cat", "").unwrap_err().to_string();
        assert!(error.starts_with("q.jsonl:2: the checkpoint's tokenizer has no token for "), "{error}");
    }

    #[test]
    fn a_prompt_leaves_room_for_the_answer() {
        let tokenizer = tokenizer();
        let whole = tokenizer.encode("the cat sat on the mat").unwrap();
        let encoder = Encoder::new(rows(&tokenizer), 6).unwrap();
        let Encoded { tokens, truncated, .. } = encoder.prompt(&origin(), "the cat sat on the mat", 3).unwrap();
        assert_eq!((tokens.as_slice(), truncated), (&whole[whole.len() - 3..], true));
        let alone = encoder.prompt(&origin(), "", 3).unwrap();
        assert_eq!((alone.tokens, alone.truncated), (vec![tokenizer.begin_of_document()], false));
        assert!(encoder.prompt(&origin(), "the", 6).is_err());
    }
}
