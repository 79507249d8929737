//! A document's tokens in sentences.
//!
//! Ends of sentences are those of Unicode's text segmentation (UAX #29), where a line's end ends one too. An end inside of a token is
//! none: the sentence goes on to the next.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::tokenizer::Tokenizer;

/// A sentence of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its text, without white space around it.
    pub text: String,
    /// Its tokens among the document's, white space behind it among them.
    pub tokens: Range<usize>,
}

impl Tokenizer {
    /// The sentences of a document's tokens, its closing token not among them: one behind the other, together all of them. One without text
    /// belongs to that before it.
    pub fn sentences(&self, tokens: &[u32]) -> Vec<Sentence> {
        let (text, ends) = self.ends(tokens);
        let mut sentences: Vec<Sentence> = Vec::new();
        let (mut from, mut byte) = (0, 0);
        for bound in text.split_sentence_bound_indices().map(|(start, _)| start).skip(1) {
            // A space before the next sentence is a part of that one's first token, as most tokenizers write it.
            let content = text[..bound].trim_end().len();
            let Some(end) = ends.iter().find(|end| end.byte >= content && end.byte <= bound) else { continue };
            let own = text[byte.min(end.byte)..end.byte].trim();
            if end.tokens > from && !own.is_empty() {
                sentences.push(Sentence { text: own.to_owned(), tokens: from..end.tokens });
                (from, byte) = (end.tokens, end.byte);
            }
        }
        let rest = text[byte..].trim();
        match sentences.last_mut() {
            Some(last) if rest.is_empty() => last.tokens.end = tokens.len(),
            _ if from < tokens.len() => sentences.push(Sentence { text: rest.to_owned(), tokens: from..tokens.len() }),
            _ => {}
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokenizer() -> Tokenizer {
        let text = "the cat sat down then it went away. The cat sat on a mat. It is there. A heading of some words.";
        Tokenizer::train(std::iter::repeat_n(text.to_owned(), 5), 400).unwrap()
    }

    fn texts(text: &str) -> Vec<String> {
        let tokenizer = tokenizer();
        tokenizer.sentences(&tokenizer.encode(text).unwrap()).into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn sentences_end_where_unicode_says() {
        assert_eq!(texts("The cat sat. It is 3.14 there! Is it?"), ["The cat sat.", "It is 3.14 there!", "Is it?"]);
        assert_eq!(texts("A heading\n\nThe cat sat.\n"), ["A heading", "The cat sat."]);
        assert_eq!(texts("猫坐在垫子上。它睡着了。"), ["猫坐在垫子上。", "它睡着了。"]);
        assert_eq!(texts("  the cat"), ["the cat"]);
        assert_eq!(texts(""), [""; 0]);
    }

    proptest! {
        /// Of any text: nothing is lost, and nothing is in two sentences.
        #[test]
        fn sentences_are_all_of_a_text(parts in prop::collection::vec("[a-zé猫 ]{0,12}(\\. |! |\n| \\n\n)?", 0..12)) {
            let tokenizer = tokenizer();
            let text = parts.concat();
            let tokens = tokenizer.encode(&text).unwrap();
            let sentences = tokenizer.sentences(&tokens);
            let mut at = 0;
            for sentence in &sentences {
                prop_assert_eq!(sentence.tokens.start, at);
                prop_assert!(sentence.tokens.end > at);
                at = sentence.tokens.end;
                let own = tokenizer.decode(&tokens[sentence.tokens.clone()]).unwrap();
                prop_assert_eq!(own.trim(), sentence.text.as_str());
            }
            prop_assert_eq!(at, tokens.len());
        }
    }
}
