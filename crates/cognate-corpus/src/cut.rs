//! Where a document is cut that is too long for a prompt: at the end of a sentence, otherwise of a word, otherwise of a token.
//!
//! Ends of sentences and words are those of Unicode's text segmentation (UAX #29); a line's end ends a sentence there. A cut loses
//! at most half of the tokens that would fit: where no sentence ends in their second half, a word's end serves, and where no word
//! does, the last token that fits.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::tokenizer::Tokenizer;

/// Tokens behind those that fit that are looked at: a stop ends a sentence or does not by what follows it.
const AHEAD: usize = 16;

/// What a cut text ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// A sentence, a line or a paragraph.
    Sentence,
    /// A word, or a mark between words.
    Word,
    /// Whatever the last token that fits holds.
    Token,
}

/// What is left of a text that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Tokens that are kept, from the first.
    pub tokens: usize,
    /// What they end with.
    pub at: Boundary,
}

/// How many texts were cut where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutCounts {
    /// At the end of a sentence, a line or a paragraph.
    pub sentence: u64,
    /// At the end of a word.
    pub word: u64,
    /// Between two tokens.
    pub token: u64,
}

impl CutCounts {
    /// Counts one more.
    pub fn add(&mut self, boundary: Boundary) {
        *match boundary {
            Boundary::Sentence => &mut self.sentence,
            Boundary::Word => &mut self.word,
            Boundary::Token => &mut self.token,
        } += 1;
    }
}

impl Tokenizer {
    /// Where to cut a document's tokens, its closing token not among them, so that at most `most` are left; none where they fit.
    /// White space at the cut is left out where a token's end allows it.
    pub fn cut(&self, tokens: &[u32], most: usize) -> Option<Cut> {
        let ahead = tokens.get(..most + 1).map(|_| &tokens[..tokens.len().min(most + AHEAD)])?;
        let (text, mut ends) = self.ends(ahead);
        ends.retain(|end| end.tokens > most / 2 && end.tokens <= most);
        // The text's own end is none: there it was cut to be looked at.
        let sentences = text.split_sentence_bound_indices().map(|(start, _)| start).collect();
        let words = || text.split_word_bound_indices().map(|(start, _)| start).collect();
        if let Some(tokens) = last_end(&text, &ends, sentences) {
            return Some(Cut { tokens, at: Boundary::Sentence });
        }
        Some(match last_end(&text, &ends, words()) {
            Some(tokens) => Cut { tokens, at: Boundary::Word },
            None => Cut { tokens: most, at: Boundary::Token },
        })
    }

    /// The text of some tokens, and the tokens that end between two characters of it. A decoder that changes its mind about earlier
    /// text ends the list.
    pub(crate) fn ends(&self, tokens: &[u32]) -> (String, Vec<End>) {
        let (mut text, mut ends) = (String::new(), Vec::new());
        let mut pieces = self.pieces();
        for (at, &id) in tokens.iter().enumerate() {
            match pieces.step(id) {
                Ok(None) => {}
                Ok(Some(piece)) => {
                    text.push_str(&piece);
                    ends.push(End { tokens: at + 1, byte: text.len() });
                }
                Err(_) => break,
            }
        }
        (text, ends)
    }
}

/// The end of a token in the text.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// Tokens up to it.
    pub(crate) tokens: usize,
    /// Bytes of the text up to it.
    pub(crate) byte: usize,
}

/// The tokens up to the last of `bounds`, in rising order, that a token ends at, or in the white space before it: the first such token.
fn last_end(text: &str, ends: &[End], bounds: Vec<usize>) -> Option<usize> {
    bounds.into_iter().rev().find_map(|bound| {
        let content = text[..bound].trim_end().len();
        let end = ends.iter().find(|end| end.byte >= content)?;
        (end.byte <= bound && content > 0).then_some(end.tokens)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words of these sentences are a token each; others are spelled, and letters beyond ASCII take several tokens.
    fn tokenizer() -> Tokenizer {
        let text =
            "the cat sat down then it went away. The cat sat on a mat. It is there. A heading of some words, one line.";
        Tokenizer::train(std::iter::repeat_n(text.to_owned(), 5), 400).unwrap()
    }

    /// What is left of `fits` and `rest` in one, and its end, where as many tokens fit as `fits` has.
    fn cut(fits: &str, rest: &str) -> (String, Boundary) {
        let tokenizer = tokenizer();
        let tokens = tokenizer.encode(&format!("{fits}{rest}")).unwrap();
        let cut = tokenizer.cut(&tokens, tokenizer.encode(fits).unwrap().len()).unwrap();
        (tokenizer.decode(&tokens[..cut.tokens]).unwrap(), cut.at)
    }

    #[test]
    fn the_last_sentence_that_fits_is_the_last_one_left() {
        let left = |fits, rest, expected: &str| assert_eq!(cut(fits, rest), (expected.into(), Boundary::Sentence));
        left("The cat sat down. Then it", " went away.", "The cat sat down.");
        left("The cat sat down.", " Then it went away.", "The cat sat down.");
        // A stop in a number or before a small letter ends nothing; what tells may stand beyond the cut.
        left("The cat sat. The cat sat. It is 3.", "14", "The cat sat. The cat sat.");
        left("The cat sat. The cat sat. It p.", " a", "The cat sat. The cat sat.");
        // A line or a paragraph ends a sentence without a stop, and the break is left out.
        left("A heading of some words\n\nthe", " cat sat", "A heading of some words");
        left("A heading of some words\n\n", "the cat sat", "A heading of some words");
        left("one line of the line\r\nthe", " cat", "one line of the line");
        left("“The cat sat?” “", "Then it went.”", "“The cat sat?”");
        left("猫坐在垫子上。它睡", "着了", "猫坐在垫子上。");
        left("Кот сел. Пот", "ом ушёл.", "Кот сел.");
    }

    #[test]
    fn without_a_sentence_a_word_and_without_a_word_a_token() {
        let line = "the cat sat on a mat then it went";
        assert_eq!(cut(&format!("{line} remark"), "able"), (line.into(), Boundary::Word));
        // A sentence that ends in the first half would leave too little.
        assert_eq!(cut(&format!("The cat. {line} re"), "mark"), (format!("The cat. {line}"), Boundary::Word));
        assert_eq!(cut(&"x".repeat(13), "xxxxxxx"), ("x".repeat(13), Boundary::Token));
        assert_eq!(cut(&" ".repeat(13), "       ").1, Boundary::Token);
        // Letters of several tokens stay whole.
        assert_eq!(cut("it sat down 猫", "坐在"), ("it sat down 猫".into(), Boundary::Word));
        let tokenizer = tokenizer();
        let tokens = tokenizer.encode("it sat down 猫坐在").unwrap();
        for (over, left) in [(5, "it sat down 猫"), (6, "it sat down 猫"), (7, "it sat down")] {
            let cut = tokenizer.cut(&tokens, tokens.len() - over).unwrap();
            assert_eq!((tokenizer.decode(&tokens[..cut.tokens]).unwrap().as_str(), cut.at), (left, Boundary::Word));
        }
    }

    #[test]
    fn what_fits_is_not_cut() {
        let tokenizer = tokenizer();
        let tokens = tokenizer.encode("The cat. The mat.").unwrap();
        assert_eq!(tokenizer.cut(&tokens, tokens.len()), None);
        assert_eq!(tokenizer.cut(&[], 1), None);
        assert!(tokenizer.cut(&tokens, 1).is_some());
    }

    proptest! {
        /// Of any text: at most what fits is left, more than half of it, and what comes far behind the cut has no say.
        #[test]
        fn a_cut_leaves_most_of_what_fits(text in "\\PC{0,60}( |\n|\\. ){0,3}\\PC{0,60}", more in "\\PC{0,40}", most in 1usize..90) {
            let tokenizer = tokenizer();
            let tokens = tokenizer.encode(&text).unwrap();
            match tokenizer.cut(&tokens, most) {
                None => prop_assert!(tokens.len() <= most),
                Some(cut) => {
                    prop_assert!(cut.tokens <= most && cut.tokens > most / 2 && tokens.len() > most);
                    if cut.at == Boundary::Token {
                        prop_assert_eq!(cut.tokens, most);
                    } else {
                        let left = tokenizer.decode(&tokens[..cut.tokens]).unwrap();
                        prop_assert!(text.starts_with(&left), "{:?} of {:?}", left, text);
                    }
                    if tokens.len() >= most + AHEAD {
                        let longer = [tokens, tokenizer.encode(&more).unwrap()].concat();
                        prop_assert_eq!(tokenizer.cut(&longer, most), Some(cut));
                    }
                }
            }
        }
    }
}
