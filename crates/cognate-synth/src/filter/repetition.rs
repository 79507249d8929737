//! The repetition rules of Gopher (Rae et al. 2021, arXiv 2112.11446, section A.1.1, table A1).
//!
//! A document fails when a share of it is repetition: lines or paragraphs that stood there before (by count and by characters),
//! the most frequent word 2-, 3- or 4-gram, or word 5- to 10-grams that stood there before. Characters are those of the words,
//! white space not counted, on both sides of each share; a character inside several repeated n-grams counts once, as the paper
//! asks. What the paper leaves open is settled thus: the first occurrence of a line, paragraph or long n-gram is no repetition
//! (as in datatrove), and the most frequent n-gram counts only if it occurs at least twice (as in RedPajama-V2): otherwise any
//! text of a dozen words would fail by having a first 4-gram.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use cognate_base::shingles::{Word, ngrams, plain_words};
use cognate_base::words::mix;

/// A rule of table A1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Share of lines that occurred before, in lines.
    DuplicateLines,
    /// Share of paragraphs that occurred before, in paragraphs.
    DuplicateParagraphs,
    /// Share of characters in lines that occurred before.
    DuplicateLineCharacters,
    /// Share of characters in paragraphs that occurred before.
    DuplicateParagraphCharacters,
    /// Share of characters in all occurrences of the most frequent word n-gram.
    #[serde(rename = "top_2_gram")]
    Top2Gram,
    /// The same for n = 3.
    #[serde(rename = "top_3_gram")]
    Top3Gram,
    /// The same for n = 4.
    #[serde(rename = "top_4_gram")]
    Top4Gram,
    /// Share of characters in word n-grams that occurred before.
    #[serde(rename = "duplicate_5_grams")]
    Duplicate5Grams,
    /// The same for n = 6.
    #[serde(rename = "duplicate_6_grams")]
    Duplicate6Grams,
    /// The same for n = 7.
    #[serde(rename = "duplicate_7_grams")]
    Duplicate7Grams,
    /// The same for n = 8.
    #[serde(rename = "duplicate_8_grams")]
    Duplicate8Grams,
    /// The same for n = 9.
    #[serde(rename = "duplicate_9_grams")]
    Duplicate9Grams,
    /// The same for n = 10.
    #[serde(rename = "duplicate_10_grams")]
    Duplicate10Grams,
}

impl Rule {
    /// All rules with their published thresholds, in the order in which they are tried. A document fails a rule when its share
    /// is *above* the threshold.
    pub const ALL: [(Self, f64); 13] = [
        (Self::DuplicateLines, 0.30),
        (Self::DuplicateParagraphs, 0.30),
        (Self::DuplicateLineCharacters, 0.20),
        (Self::DuplicateParagraphCharacters, 0.20),
        (Self::Top2Gram, 0.20),
        (Self::Top3Gram, 0.18),
        (Self::Top4Gram, 0.16),
        (Self::Duplicate5Grams, 0.15),
        (Self::Duplicate6Grams, 0.14),
        (Self::Duplicate7Grams, 0.13),
        (Self::Duplicate8Grams, 0.12),
        (Self::Duplicate9Grams, 0.11),
        (Self::Duplicate10Grams, 0.10),
    ];

    /// The rule's name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DuplicateLines => "duplicate_lines",
            Self::DuplicateParagraphs => "duplicate_paragraphs",
            Self::DuplicateLineCharacters => "duplicate_line_characters",
            Self::DuplicateParagraphCharacters => "duplicate_paragraph_characters",
            Self::Top2Gram => "top_2_gram",
            Self::Top3Gram => "top_3_gram",
            Self::Top4Gram => "top_4_gram",
            Self::Duplicate5Grams => "duplicate_5_grams",
            Self::Duplicate6Grams => "duplicate_6_grams",
            Self::Duplicate7Grams => "duplicate_7_grams",
            Self::Duplicate8Grams => "duplicate_8_grams",
            Self::Duplicate9Grams => "duplicate_9_grams",
            Self::Duplicate10Grams => "duplicate_10_grams",
        }
    }
}

/// The thresholds of the rules that are on; a rule without one drops nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Thresholds(pub BTreeMap<Rule, f64>);

impl Thresholds {
    /// Those of table A1.
    pub fn published() -> Self {
        Self(Rule::ALL.into())
    }
}

/// A failed rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// Which one.
    pub rule: Rule,
    /// The document's share.
    pub share: f64,
    /// The rule's threshold.
    pub threshold: f64,
}

/// The first rule that `text` fails, if any.
pub fn repetition(text: &str, thresholds: &Thresholds) -> Option<Failure> {
    failures(text, thresholds, 1).pop()
}

/// All rules that `text` fails, in their order.
pub fn all_failures(text: &str, thresholds: &Thresholds) -> Vec<Failure> {
    failures(text, thresholds, usize::MAX)
}

/// The first `most` rules that `text` fails.
fn failures(text: &str, thresholds: &Thresholds, most: usize) -> Vec<Failure> {
    let words = plain_words(text);
    let mut shares =
        Shares { text, words: &words, characters: words.iter().map(|w| w.chars).sum(), lines: None, paragraphs: None };
    if shares.characters == 0 {
        return Vec::new();
    }
    let failed = thresholds.0.iter().filter_map(|(&rule, &threshold)| {
        let share = shares.of(rule);
        (share > threshold).then_some(Failure { rule, share, threshold })
    });
    failed.take(most).collect()
}

/// Shares of one document, worked out as they are asked for.
struct Shares<'a> {
    text: &'a str,
    words: &'a [Word],
    characters: usize,
    lines: Option<Parts>,
    paragraphs: Option<Parts>,
}

/// How much of a text's lines or paragraphs stood there before.
#[derive(Clone, Copy)]
struct Parts {
    by_count: f64,
    by_characters: f64,
}

impl Shares<'_> {
    fn of(&mut self, rule: Rule) -> f64 {
        let (text, words) = (self.text, self.words);
        let characters = match rule {
            Rule::DuplicateLines => return self.lines.get_or_insert_with(|| repeated(lines(text))).by_count,
            Rule::DuplicateLineCharacters => {
                return self.lines.get_or_insert_with(|| repeated(lines(text))).by_characters;
            }
            Rule::DuplicateParagraphs => {
                return self.paragraphs.get_or_insert_with(|| repeated(paragraphs(text))).by_count;
            }
            Rule::DuplicateParagraphCharacters => {
                return self.paragraphs.get_or_insert_with(|| repeated(paragraphs(text))).by_characters;
            }
            Rule::Top2Gram => top_ngram(words, 2),
            Rule::Top3Gram => top_ngram(words, 3),
            Rule::Top4Gram => top_ngram(words, 4),
            Rule::Duplicate5Grams => repeated_ngrams(words, 5),
            Rule::Duplicate6Grams => repeated_ngrams(words, 6),
            Rule::Duplicate7Grams => repeated_ngrams(words, 7),
            Rule::Duplicate8Grams => repeated_ngrams(words, 8),
            Rule::Duplicate9Grams => repeated_ngrams(words, 9),
            Rule::Duplicate10Grams => repeated_ngrams(words, 10),
        };
        characters as f64 / self.characters as f64
    }
}

/// Lines that hold words, as the words in them.
fn lines(text: &str) -> Vec<Vec<Word>> {
    text.lines().map(plain_words).filter(|words| !words.is_empty()).collect()
}

/// Stretches of lines between blank lines.
fn paragraphs(text: &str) -> Vec<Vec<Word>> {
    let mut found = vec![Vec::new()];
    for line in text.lines() {
        let words = plain_words(line);
        match found.last_mut() {
            Some(paragraph) if !words.is_empty() => paragraph.extend(words),
            _ => found.push(Vec::new()),
        }
    }
    found.retain(|paragraph| !paragraph.is_empty());
    found
}

fn repeated(parts: Vec<Vec<Word>>) -> Parts {
    let mut seen = HashSet::new();
    let (mut count, mut characters, mut all_characters) = (0usize, 0usize, 0usize);
    for part in &parts {
        let length: usize = part.iter().map(|word| word.chars).sum();
        all_characters += length;
        if !seen.insert(part.iter().fold(part.len() as u64, |hash, word| mix(hash ^ word.hash).wrapping_add(word.hash)))
        {
            count += 1;
            characters += length;
        }
    }
    if parts.is_empty() {
        return Parts { by_count: 0.0, by_characters: 0.0 };
    }
    Parts { by_count: count as f64 / parts.len() as f64, by_characters: characters as f64 / all_characters as f64 }
}

/// Characters within the occurrences of the most frequent n-gram, 0 where none occurs twice. Of equally frequent ones the one that
/// covers most characters counts.
fn top_ngram(words: &[Word], n: usize) -> usize {
    /// Occurrences, covered characters, and the first word that no occurrence covers yet.
    struct Seen(usize, usize, usize);
    let mut seen: HashMap<u64, Seen> = HashMap::with_capacity(words.len());
    for (start, hash) in ngrams(words, n).enumerate() {
        let Seen(times, covered, free) = seen.entry(hash).or_insert(Seen(0, 0, 0));
        *times += 1;
        *covered += words[start.max(*free)..start + n].iter().map(|word| word.chars).sum::<usize>();
        *free = start + n;
    }
    let top = seen.values().map(|&Seen(times, covered, _)| (times, covered)).max();
    top.filter(|&(times, _)| times >= 2).map_or(0, |(_, covered)| covered)
}

/// Characters within occurrences of n-grams that began earlier in the text.
fn repeated_ngrams(words: &[Word], n: usize) -> usize {
    let mut seen = HashSet::with_capacity(words.len());
    let (mut characters, mut free) = (0, 0);
    for (start, hash) in ngrams(words, n).enumerate() {
        if !seen.insert(hash) {
            characters += words[start.max(free)..start + n].iter().map(|word| word.chars).sum::<usize>();
            free = start + n;
        }
    }
    characters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Option<Rule> {
        repetition(text, &Thresholds::published()).map(|failure| failure.rule)
    }

    /// `count` different words of four letters.
    fn fresh(from: usize, count: usize) -> String {
        (from..from + count).map(|i| format!("{i:04} ")).collect()
    }

    #[test]
    fn ordinary_and_tiny_texts_pass() {
        assert_eq!(rule(&fresh(0, 200)), None);
        for text in ["", " \n\n ", "word", "one two three four five"] {
            assert_eq!(rule(text), None, "{text:?}");
        }
    }

    #[test]
    fn lines_by_count() {
        // 4 of 10 short lines repeat; the long first one keeps their characters low.
        let mut lines = vec![fresh(0, 400)];
        lines.extend((0..5).map(|i| format!("item{i}")));
        lines.extend((0..4).map(|i| format!("item{i}")));
        assert_eq!(rule(&lines.join("\n")), Some(Rule::DuplicateLines));
        lines.truncate(9); // 3 of 9: still above 0.30
        assert_eq!(rule(&lines.join("\n")), Some(Rule::DuplicateLines));
        lines.truncate(8); // 2 of 8
        assert_eq!(rule(&lines.join("\n")), None);
    }

    #[test]
    fn paragraphs_by_count() {
        // Every paragraph has a line of its own, so that lines repeat in at most 3 of 14 cases.
        let mut paragraphs: Vec<String> = (0..3).map(|i| format!("a{i}")).collect();
        paragraphs.extend((0..3).map(|i| format!("a{i}")));
        paragraphs.push((0..30).map(|i| fresh(i * 10, 10)).collect::<Vec<_>>().join("\n"));
        assert_eq!(rule(&paragraphs.join("\n\n")), Some(Rule::DuplicateParagraphs));
        assert_eq!(rule(&paragraphs[1..].join("\n\n")), Some(Rule::DuplicateParagraphs)); // 2 of 6
        assert_eq!(rule(&paragraphs[2..].join("\n\n")), None); // 1 of 5
    }

    #[test]
    fn line_and_paragraph_characters() {
        // One long line of 30 words twice among 5 lines of 10: by characters 30 of 110, by count 1 of 7.
        let long = fresh(500, 30);
        let mut lines: Vec<String> = (0..5).map(|i| fresh(i * 10, 10)).collect();
        lines.extend([long.clone(), long.clone()]);
        let failure = repetition(&lines.join("\n"), &Thresholds::published()).unwrap();
        assert_eq!(failure.rule, Rule::DuplicateLineCharacters);
        assert!((failure.share - 30.0 / 110.0).abs() < 1e-12);
        // The same 30 words twice, broken into lines at different places: the paragraph repeats, no line does.
        let halves = |at: usize| format!("{}\n{}", fresh(500, at), fresh(500 + at, 30 - at));
        let text = [lines[..5].join("\n\n"), halves(10), halves(20)].join("\n\n");
        assert_eq!(rule(&text), Some(Rule::DuplicateParagraphCharacters));
    }

    #[test]
    fn top_ngrams() {
        let text = |gram: &str, times: usize, fill: usize| {
            (0..times).map(|i| format!("{gram} {}", fresh(i * fill, fill))).collect::<String>()
        };
        // k words of 4 letters, then `fill` new ones: the share is k / (k + fill).
        let share = |gram, fill| {
            repetition(&text(gram, 20, fill), &Thresholds::published()).map(|f| (f.rule, (f.share * 1e6).round()))
        };
        assert_eq!(share("wwww xxxx", 7), Some((Rule::Top2Gram, 222_222.0)));
        assert_eq!(share("wwww xxxx", 8), None); // exactly 0.20 does not fail
        // A 3-gram contains two 2-grams of the same frequency; 2 of its 3 words are below their threshold at 3/15.
        assert_eq!(share("wwww xxxx yyyy", 12), Some((Rule::Top3Gram, 200_000.0)));
        assert_eq!(share("wwww xxxx yyyy zzzz", 20), Some((Rule::Top4Gram, 166_667.0)));
        assert_eq!(share("wwww xxxx yyyy zzzz", 21), None);
    }

    #[test]
    fn overlapping_occurrences_count_once() {
        let words = plain_words("ab ab ab ab cd");
        assert_eq!(top_ngram(&words, 2), 8);
        assert_eq!(repeated_ngrams(&words, 2), 6); // the second and third "ab ab" share a word
        assert_eq!(top_ngram(&plain_words("a b c d"), 2), 0);
    }

    #[test]
    fn repeated_long_ngrams() {
        // Four runs of n words, each twice, with new words between, `all` words together: the share is 4n / all, and no single
        // n-gram is frequent enough for the top rules.
        let text = |n: usize, all: usize| {
            let runs = (0..8).map(|i| format!("{}{}", fresh(5000 + 100 * (i % 4), n), fresh(i, 1)));
            format!("{}{}", runs.collect::<String>(), fresh(100, all - 8 * n - 8))
        };
        for (n, expected) in [
            (5, Rule::Duplicate5Grams),
            (6, Rule::Duplicate6Grams),
            (7, Rule::Duplicate7Grams),
            (8, Rule::Duplicate8Grams),
            (9, Rule::Duplicate9Grams),
            (10, Rule::Duplicate10Grams),
        ] {
            // Just above the n-gram's own threshold, at or below those of all shorter ones.
            let threshold = Rule::ALL.iter().find(|(rule, _)| *rule == expected).unwrap().1;
            let all = (4.0 * n as f64 / threshold - 1e-9).floor() as usize;
            assert_eq!(rule(&text(n, all)), Some(expected), "{n} of {all}");
            assert_eq!(rule(&text(n, all + 1)), None, "{n} of {}", all + 1);
        }
    }

    #[test]
    fn names_are_the_serialized_ones() {
        for (rule, _) in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        }
    }
}
