//! What a word is, for every count and comparison of words.
//!
//! A *word* is a run of letters, digits and the marks that belong to them, in lower case. A combining mark belongs to the
//! character before it in every script: a vowel sign of Hindi or a stacked accent ends no word. Texts in different
//! Unicode normal forms have the same words, as have a ligature and its letters, full-width and narrow letters, and other
//! compatibility forms of letters and digits (words are in NFKC). Characters that only steer the layout, such as a soft
//! hyphen or a zero-width joiner, are passed over. Punctuation separates, an apostrophe too.
//!
//! Some scripts do not set words apart. There a word is one character with its marks, as in Unicode's own segmentation
//! (UAX #29), which leaves anything better to dictionaries: see [`Writing`].
//!
//! Words [between white space](Words::between_spaces) are the other kind: punctuation belongs to them, and case.

use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// How a word's script sets words apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// By spaces.
    Spaced,
    /// Not at all, and a character is a word or much of one: Chinese characters and kana.
    Ideographs,
    /// Not at all, and a character is a letter: Thai, Lao, Burmese, Khmer and the others whose lines only a dictionary can
    /// break (Unicode's Line_Break=SA). Words have some four of them.
    Letters,
}

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The word as it is compared.
    pub text: &'a str,
    /// Where it stands in the text, in bytes. Where compatibility forms had to be resolved, of the whole run around it.
    pub range: Range<usize>,
    /// What it is one word of.
    pub writing: Writing,
}

impl Word<'_> {
    /// FNV-1a over the word's UTF-8, mixed at the end. It never changes: kept files and figures depend on it.
    pub fn hash(&self) -> u64 {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        mix(self.text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The words of a text, in order. No iterator, because a word lives until the next one is asked for.
///
/// ```
/// let mut words = cognate_base::words::Words::of("Ça ira 2\u{d7}!");
/// assert_eq!(words.next_word().unwrap().text, "ça");
/// assert_eq!(words.next_word().unwrap().range, 4..7);
/// ```
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    kind: Kind,
    /// The piece of the text that is being cut into words.
    run: Range<usize>,
    /// Whether that is ASCII, and so one word.
    is_ascii: bool,
    /// That piece in its normal form, where it has another.
    folded: Option<String>,
    /// What is left of the piece (of `folded`, where there is that) begins here.
    at: usize,
    /// The word that was given last.
    word: String,
}

/// Which words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bare,
    BetweenSpaces,
}

impl<'a> Words<'a> {
    /// The words of `text`: runs of letters and digits, in lower case.
    pub fn of(text: &'a str) -> Self {
        Self::new(text, Kind::Bare)
    }

    /// What stands between white space in `text`, as it stands there but for the normal form (NFC). A character of a script
    /// without spaces is a word of its own here too.
    pub fn between_spaces(text: &'a str) -> Self {
        Self::new(text, Kind::BetweenSpaces)
    }

    fn new(text: &'a str, kind: Kind) -> Self {
        Self { text, kind, run: 0..0, is_ascii: false, folded: None, at: 0, word: String::new() }
    }

    /// The next word; `None` at the text's end.
    pub fn next_word(&mut self) -> Option<Word<'_>> {
        loop {
            let run = self.folded.as_deref().unwrap_or(&self.text[self.run.clone()]);
            let found = if self.is_ascii { whole(run, self.at) } else { self.kind.next_part(run, self.at) };
            if let Some((part, writing)) = found {
                self.word.clear();
                self.kind.fold_case(&run[part.clone()], &mut self.word);
                self.at = part.end;
                let range = match self.folded {
                    Some(_) => self.run.clone(),
                    None => self.run.start + part.start..self.run.start + part.end,
                };
                return Some(Word { text: &self.word, range, writing });
            }
            if !self.next_run() {
                return None;
            }
        }
    }

    /// Goes on to the next piece of the text that holds words; false where there is none.
    fn next_run(&mut self) -> bool {
        let rest = |at: usize| self.text[at..].chars().next();
        let mut start = self.run.end;
        loop {
            match rest(start) {
                Some(c) if self.kind.begins(c) => break,
                Some(c) => start += c.len_utf8(),
                None => {
                    self.run = start..start;
                    return false;
                }
            }
        }
        let (mut end, mut is_ascii) = (start, true);
        while let Some(c) = rest(end).filter(|&c| self.kind.goes_on(c)) {
            is_ascii &= c.is_ascii();
            end += c.len_utf8();
        }
        self.run = start..end;
        self.is_ascii = is_ascii;
        self.folded = if is_ascii { None } else { self.kind.normalised(&self.text[start..end]) };
        self.at = 0;
        true
    }
}

/// A run that is one word, unless it was given already.
fn whole(run: &str, at: usize) -> Option<(Range<usize>, Writing)> {
    (at < run.len()).then_some((at..run.len(), Writing::Spaced))
}

impl Kind {
    fn begins(self, c: char) -> bool {
        match self {
            Self::Bare if c.is_ascii() => c.is_ascii_alphanumeric(),
            Self::Bare => Class::of(c).has(Class::BEGINS),
            Self::BetweenSpaces => !c.is_whitespace(),
        }
    }

    fn goes_on(self, c: char) -> bool {
        match self {
            Self::Bare if c.is_ascii() => c.is_ascii_alphanumeric(),
            Self::Bare => Class::of(c).has(Class::BEGINS | Class::BELONGS),
            Self::BetweenSpaces => !c.is_whitespace(),
        }
    }

    /// A run in its normal form, where that differs.
    fn normalised(self, run: &str) -> Option<String> {
        if run.chars().all(|c| Class::of(c).has(Class::NORMAL)) {
            return None;
        }
        match self {
            Self::Bare if run.contains(is_passed_over) => {
                Some(run.chars().filter(|&c| !is_passed_over(c)).nfkc().collect())
            }
            Self::Bare => (is_nfkc_quick(run.chars()) != IsNormalized::Yes).then(|| run.nfkc().collect()),
            Self::BetweenSpaces => (is_nfc_quick(run.chars()) != IsNormalized::Yes).then(|| run.nfc().collect()),
        }
    }

    /// The first word of `run` from `at` on. Normal forms can hold what separates: one half is "1⁄2".
    fn next_part(self, run: &str, at: usize) -> Option<(Range<usize>, Writing)> {
        let mut rest = run[at..].char_indices().map(|(offset, c)| (at + offset, c)).peekable();
        let (start, first) = rest.find(|&(_, c)| self.begins(c))?;
        let writing = Class::of(first).writing();
        while let Some((end, c)) = rest.peek().copied() {
            let class = Class::of(c);
            let is_inside = class.has(Class::BELONGS)
                || (writing == Writing::Spaced && self.goes_on(c) && class.writing() == Writing::Spaced);
            if !is_inside {
                return Some((start..end, writing));
            }
            rest.next();
        }
        Some((start..run.len(), writing))
    }

    fn fold_case(self, part: &str, word: &mut String) {
        match self {
            Self::Bare if part.is_ascii() => {
                word.push_str(part);
                word.make_ascii_lowercase();
            }
            // Greek has another small sigma at a word's end.
            Self::Bare => {
                word.extend(part.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }))
            }
            Self::BetweenSpaces => word.push_str(part),
        }
    }
}

/// What a character is, as bits.
#[derive(Clone, Copy)]
struct Class(u8);

/// The classes of the first 65,536 characters, a byte each: the properties behind a class are a search each.
static CLASSES: LazyLock<Vec<Class>> =
    LazyLock::new(|| (0..=0xffff).map(|c| char::from_u32(c).map_or(Class(0), Class::looked_up)).collect());

impl Class {
    /// A letter or digit.
    const BEGINS: u8 = 1;
    /// Never stands for itself.
    const BELONGS: u8 = 2;
    /// Stays in every composed normal form, whatever stands around it that is marked so too.
    const NORMAL: u8 = 4;
    const IDEOGRAPH: u8 = 8;
    const LETTER: u8 = 16;

    fn of(c: char) -> Self {
        CLASSES.get(c as usize).copied().unwrap_or_else(|| Self::looked_up(c))
    }

    fn looked_up(c: char) -> Self {
        let belongs = !c.is_ascii() && (is_combining_mark(c) || is_passed_over(c));
        // Unicode counts many marks as alphabetic.
        let begins = c.is_alphanumeric() && !belongs;
        let normal = !is_passed_over(c)
            && canonical_combining_class(c) == 0
            && is_nfkc_quick(std::iter::once(c)) == IsNormalized::Yes;
        let writing = match writing(c) {
            Writing::Spaced => 0,
            Writing::Ideographs => Self::IDEOGRAPH,
            Writing::Letters => Self::LETTER,
        };
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        Self(bit(begins, Self::BEGINS) | bit(belongs, Self::BELONGS) | bit(normal, Self::NORMAL) | writing)
    }

    fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }

    fn writing(self) -> Writing {
        match self.0 & (Self::IDEOGRAPH | Self::LETTER) {
            0 => Writing::Spaced,
            Self::IDEOGRAPH => Writing::Ideographs,
            _ => Writing::Letters,
        }
    }
}

/// Characters without a shape that stand inside words: the soft hyphen, joiners and non-joiners, marks of direction, the
/// word joiner, the byte order mark. The zero-width space is none: it separates.
fn is_passed_over(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How the script of a letter sets words apart. Digits make numbers in every script.
fn writing(c: char) -> Writing {
    match c {
        '\0'..='\u{dff}' => Writing::Spaced,
        '\u{2e80}'..='\u{2fdf}' // radicals
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{303c}' // repetition, numerals
        | '\u{3041}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' // kana, bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Chinese characters
        | '\u{ff66}'..='\u{ff9f}' // narrow kana
        | '\u{1b000}'..='\u{1b16f}' // historic kana
        | '\u{20000}'..='\u{3ffff}' => Writing::Ideographs,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Burmese and its extensions
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' | '\u{aa80}'..='\u{aadf}' // Tai Le, Lue, Tham, Viet
        | '\u{116d0}'..='\u{116ff}' | '\u{11700}'..='\u{1174f}' // Burmese extended, Ahom
            if !c.is_numeric() => Writing::Letters,
        _ => Writing::Spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut words: Words<'_>) -> Vec<String> {
        std::iter::from_fn(|| words.next_word().map(|word| word.text.to_owned())).collect()
    }

    fn bare(text: &str) -> Vec<String> {
        all(Words::of(text))
    }

    #[test]
    fn words_are_lower_case_runs_of_letters_and_digits() {
        assert_eq!(
            bare("The CAT's 2nd--life_of, ÜBER-Größe"),
            ["the", "cat", "s", "2nd", "life", "of", "über", "größe"]
        );
        assert_eq!(bare("ΟΔΟΣ οδός"), ["οδοσ", "οδόσ"]);
        assert!(bare(" .,;\n\u{1F600} \u{301} ≠").is_empty());
    }

    #[test]
    fn marks_belong_to_the_word_in_every_script() {
        for text in
            ["हिन्दी", "தமிழ்", "বাংলা", "മലയാളം", "עִבְרִית", "العَرَبِيَّة", "e\u{301}te\u{301}", "ꦗꦮ", "བོད", "മല\u{200d}യ"]
        {
            assert_eq!(bare(text).len(), 1, "{text}: {:?}", bare(text));
            assert_eq!(bare(&format!("{text}, {text}")).len(), 2, "{text}");
        }
        // A letter with its marks, in scripts that set no words apart; digits make a number.
        assert_eq!(bare("ที่นี่ ๑๒๓"), ["ที่", "นี่", "๑๒๓"]);
        assert_eq!(bare("မြန်မာ"), ["မြ", "န်", "မာ"]);
        assert_eq!(bare("か\u{3099}く"), ["が", "く"]);
    }

    #[test]
    fn characters_that_only_steer_the_layout_are_passed_over() {
        assert_eq!(bare("co\u{ad}operate می\u{200c}خواهم a\u{2060}\u{301}"), ["cooperate", "میخواهم", "á"]);
        assert_eq!(bare("zero\u{200b}width"), ["zero", "width"]);
        assert_eq!(bare("\u{feff}first"), ["first"]);
    }

    #[test]
    fn compatibility_forms_are_the_letters_that_they_show() {
        assert_eq!(bare("eﬃcient ＡＢＣ１２ ｶﾞ x² ½ ⅳ"), ["efficient", "abc12", "ガ", "x2", "1", "2", "iv"]);
        // Symbols that hold letters stay symbols.
        assert_eq!(bare("Foo™ 5℃"), ["foo", "5"]);
    }

    #[test]
    fn writing_without_spaces_gives_its_characters() {
        assert_eq!(bare("深層x学習、カナ。"), ["深", "層", "x", "学", "習", "カ", "ナ"]);
        let mut words = Words::of("犬a ก");
        let mut next = || words.next_word().map(|word| (word.range, word.writing));
        assert_eq!(next(), Some((0..3, Writing::Ideographs)));
        assert_eq!(next(), Some((3..4, Writing::Spaced)));
        assert_eq!(next(), Some((5..8, Writing::Letters)));
        assert_eq!(next(), None);
    }

    #[test]
    fn every_character_gives_the_same_words_in_every_normal_form() {
        let has_forms = |c: &char| {
            let forms = [c.to_string(), format!("{c}\u{301}"), format!("a{c}")];
            forms.iter().any(|text| !text.nfc().eq(text.chars()) || !text.nfd().eq(text.chars()))
        };
        for c in ('\0'..=char::MAX).filter(has_forms) {
            // Between letters, behind one, before one, alone; a mark behind it could compose with it.
            for text in [format!("{c}"), format!("a{c}b"), format!("a{c}\u{301}"), format!("ก{c}漢"), format!("- {c}b")]
            {
                let (words, plain) = (bare(&text), all(Words::between_spaces(&text)));
                for other in [text.nfc().collect::<String>(), text.nfd().collect()] {
                    assert_eq!(bare(&other), words, "{text:?} {other:?}");
                    assert_eq!(all(Words::between_spaces(&other)), plain, "{text:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn words_between_spaces_keep_case_and_punctuation() {
        assert_eq!(all(Words::between_spaces("  Well-known, -- yes.\u{a0}\n")), ["Well-known,", "--", "yes."]);
        assert_eq!(all(Words::between_spaces("हिन्दी, ที่a。漢字")), ["हिन्दी,", "ที่", "a。", "漢", "字"]);
        assert_eq!(all(Words::between_spaces("ﬁ™ e\u{301}")), ["ﬁ™", "é"]);
    }

    #[test]
    fn ranges_say_where_words_stand() {
        let text = "Ab, größer ﬁx 漢字 e\u{301}a";
        let mut words = Words::of(text);
        let found: Vec<&str> = std::iter::from_fn(|| words.next_word().map(|word| &text[word.range])).collect();
        assert_eq!(found, ["Ab", "größer", "ﬁx", "漢", "字", "e\u{301}a"]);
    }

    #[test]
    fn hashes_never_change() {
        let hash = |text| Words::of(text).next_word().unwrap().hash();
        assert_eq!(hash("cognate"), hash("COGNATE"));
        assert_eq!(hash("cognate"), mix(0x70e5_f9da_f61a_79ce));
    }
}
