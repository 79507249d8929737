//! Words that no text has.

use std::collections::HashSet;

use cognate_base::random::Rng;

/// Letters of nonsense words.
const CONSONANTS: &[u8] = b"bcdfghjklmnpqrstvwxz";
const VOWELS: &[u8] = b"aeiouy";
/// Syllables of a nonsense word, at least and at most, while words of so many are free.
const SYLLABLES: (u64, u64) = (2, 4);

/// A nonsense word that is not `taken` yet, which it is then.
pub(super) fn nonsense(taken: &mut HashSet<String>, random: &mut impl Rng, is_word: impl Fn(&str) -> bool) -> String {
    let (least, most) = SYLLABLES;
    let mut tries = 0;
    loop {
        // Where the short ones are nearly all taken, longer ones are not.
        let syllables = least + random.next_u64() % (most - least + 1) + tries / 8;
        let mut letter = |letters: &[u8]| char::from(letters[(random.next_u64() % letters.len() as u64) as usize]);
        let word: String = (0..syllables).flat_map(|_| [letter(CONSONANTS), letter(VOWELS)]).collect();
        if !is_word(&word) && taken.insert(word.clone()) {
            return word;
        }
        tries += 1;
    }
}
