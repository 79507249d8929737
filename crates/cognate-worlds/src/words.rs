//! Symbols as words: the delimiter is `/`, the others are letters in lower case and then runs of different letters.

use crate::{Error, Result};

/// The word of every symbol: `/`, `a` … `z`, then two different letters in alphabetical order (`ab`, `ac`, …), then three, and so on,
/// as the data set's own.
pub fn words(symbols: usize) -> Vec<String> {
    let mut words = vec!["/".to_owned()];
    let mut longest: Vec<String> = vec![String::new()];
    while words.len() < symbols && longest[0].len() < 26 {
        let longer = |word: &String| {
            let letters = ('a'..='z').filter(|letter| !word.contains(*letter));
            letters.map(|letter| format!("{word}{letter}")).collect::<Vec<_>>()
        };
        longest = longest.iter().flat_map(longer).collect();
        words.extend(longest.iter().take(symbols - words.len()).cloned());
    }
    words.truncate(symbols);
    words
}

/// A document's text: its symbols' words with a space between.
pub fn text(document: &[u32], words: &[String]) -> String {
    let mut text = String::with_capacity(2 * document.len());
    for (place, &symbol) in document.iter().enumerate() {
        if place > 0 {
            text.push(' ');
        }
        text.push_str(&words[symbol as usize]);
    }
    text
}

/// The symbols of a text; white space of any kind parts words.
///
/// # Errors
/// [`Error::UnknownWord`] for the first word that is none of `words`.
pub fn symbols(text: &str, words: &[String]) -> Result<Vec<u32>> {
    let numbers: std::collections::HashMap<&str, u32> =
        words.iter().enumerate().map(|(number, word)| (word.as_str(), number as u32)).collect();
    let symbol = |(place, word): (usize, &str)| {
        let unknown = || Error::UnknownWord { place: place + 1, word: word.to_owned() };
        numbers.get(word).copied().ok_or_else(unknown)
    };
    text.split_whitespace().enumerate().map(symbol).collect()
}

/// The symbols of those words of a text that are the world's, and how many others it has.
pub(crate) fn known_symbols(text: &str, words: &[String]) -> (Vec<u32>, usize) {
    let numbers: std::collections::HashMap<&str, u32> =
        words.iter().enumerate().map(|(number, word)| (word.as_str(), number as u32)).collect();
    let found: Vec<Option<u32>> = text.split_whitespace().map(|word| numbers.get(word).copied()).collect();
    let unknown = found.iter().filter(|symbol| symbol.is_none()).count();
    (found.into_iter().flatten().collect(), unknown)
}
