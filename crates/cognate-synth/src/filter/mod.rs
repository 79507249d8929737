//! The stage `filter`: which synthetic documents are kept, why the others are not, and how good they are.
//!
//! | module | what lives there |
//! |---|---|
//! | this one | the reasons, and the judgement of one document by itself |
//! | `non_text` | characters that are no text |
//! | [`repetition`] | Gopher's repetition rules |
//! | `duplicates` | near-duplicates of earlier documents |
//! | `verbatim` | what stands word for word in the training documents |
//! | [`rules`] | what each rule alone would drop, of written and of real text |
//! | [`diversity`] | distinct-n, self-BLEU |
//! | [`quality`] | figures for a whole collection, beside those of real text |
//! | [`stage`] | files in, files out, counts |
//!
//! Rules, thresholds and their sources are listed in docs/filters.md.

pub mod diversity;
mod duplicates;
pub mod non_text;
pub mod quality;
pub mod repetition;
pub mod rules;
pub mod stage;
pub(crate) mod verbatim;

use cognate_base::shingles::{Shingles, bare_words};
use cognate_corpus::Document;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metadata;
use non_text::non_text;
use repetition::Thresholds;
use verbatim::{LONGEST_RUN, VerbatimIndex};

/// The share of its word 5-grams that makes a document a near-copy of its seed, where nothing else is said.
pub const NEAR_COPY: f64 = 0.5;
/// The Jaccard similarity of near-duplicates, where nothing else is said.
pub const NEAR_DUPLICATE: f64 = 0.7;

/// Words per n-gram where two texts are compared, as in Lee et al. 2022 (arXiv 2107.06499) and FineWeb.
pub(crate) const SHINGLE_WORDS: usize = 5;

/// When to drop a document. A limit that is none keeps all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterConfig {
    /// Fewest words of a document; one without any is dropped all the same.
    pub min_words: usize,
    /// Whether a document is dropped that was cut at the cap on new tokens.
    pub drop_unfinished: bool,
    /// A document is no text when a larger share of its characters is none ([`non_text::non_text`]).
    pub non_text: Option<f64>,
    /// Gopher's rules.
    pub repetition: Thresholds,
    /// A document is a near-copy of its seed when this share of its distinct word 5-grams stands in the seed.
    pub near_copy: Option<f64>,
    /// A document is verbatim when this many of its words in a row stand in one training document, its seed or any other; at most
    /// 1000, and 0 keeps all.
    pub verbatim_words: usize,
    /// A document whose forward relevance to its seed, in nats per token, is lower than this is irrelevant; none keeps all.
    pub min_relevance: Option<f64>,
    /// A document is a near-duplicate of an earlier one at this Jaccard similarity of their word 5-grams. Below 0.6 some would be
    /// missed, see docs/filters.md.
    pub near_duplicate: Option<f64>,
    /// Dropped documents kept for reading, per reason.
    pub samples: usize,
    /// Documents that the quality figures look at: the first so many.
    pub quality_documents: usize,
}

impl FilterConfig {
    /// The documented defaults.
    pub fn standard() -> Self {
        Self {
            min_words: 10,
            drop_unfinished: true,
            non_text: Some(non_text::MOST_NON_TEXT),
            repetition: Thresholds::published(),
            near_copy: Some(NEAR_COPY),
            verbatim_words: 40,
            min_relevance: None,
            near_duplicate: Some(NEAR_DUPLICATE),
            samples: 20,
            quality_documents: 10_000,
        }
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the field.
    pub fn check(&self) -> Result<()> {
        for (field, share, lowest) in [("near_copy", self.near_copy, 0.0), ("near_duplicate", self.near_duplicate, 0.6)]
        {
            if let Some(share) = share.filter(|&share| !(share > 0.0 && share >= lowest && share <= 1.0)) {
                let expected = if lowest == 0.0 { "a share above 0 and at most 1" } else { "a share from 0.6 to 1" };
                return Err(Error::setting(field, share, expected));
            }
        }
        let rules = self.repetition.0.iter().map(|(rule, &threshold)| (rule.name(), threshold));
        let shares = self.non_text.map(|share| ("non_text", share));
        if let Some((field, share)) = shares.into_iter().chain(rules).find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(Error::setting(field, share, "a share from 0 to 1"));
        }
        if self.verbatim_words > LONGEST_RUN {
            let expected = format!("at most {LONGEST_RUN}; 0 keeps all");
            return Err(Error::setting("verbatim_words", self.verbatim_words, expected));
        }
        if let Some(least) = self.min_relevance.filter(|least| !least.is_finite()) {
            return Err(Error::setting("min_relevance", least, "a number of nats per token"));
        }
        if self.quality_documents == 0 {
            return Err(Error::setting("quality_documents", 0, "at least 1"));
        }
        Ok(())
    }
}

/// Why a document is dropped. The filters are tried in this order, and the first that drops decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has no words.
    Empty,
    /// It has fewer words than wanted.
    TooShort,
    /// It was cut at the cap on new tokens.
    Unfinished,
    /// The text of a special token of its synthesizer stands in it.
    SpecialToken,
    /// Its synthesizer's tokenizer cannot encode it.
    Unencodable,
    /// Too many of its characters are no text.
    NonText,
    /// It fails one of Gopher's repetition rules.
    Repetition,
    /// It copies its seed.
    NearCopy,
    /// A long run of its words stands in a training document.
    Verbatim,
    /// The synthesizer finds it hardly more likely for its seed.
    Irrelevant,
    /// It says what an earlier kept document says.
    NearDuplicate,
}

impl Reason {
    /// All reasons, in the order in which they are tried.
    pub const ALL: [Self; 11] = [
        Self::Empty,
        Self::TooShort,
        Self::Unfinished,
        Self::SpecialToken,
        Self::Unencodable,
        Self::NonText,
        Self::Repetition,
        Self::NearCopy,
        Self::Verbatim,
        Self::Irrelevant,
        Self::NearDuplicate,
    ];

    /// The reason's name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort => "too_short",
            Self::Unfinished => "unfinished",
            Self::SpecialToken => "special_token",
            Self::Unencodable => "unencodable",
            Self::NonText => "non_text",
            Self::Repetition => "repetition",
            Self::NearCopy => "near_copy",
            Self::Verbatim => "verbatim",
            Self::Irrelevant => "irrelevant",
            Self::NearDuplicate => "near_duplicate",
        }
    }

    /// The name of the setting that decides; none where nothing is to be set, and where it is one of several ([`repetition::Rule::name`]).
    pub fn setting(self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::SpecialToken | Self::Unencodable | Self::Repetition => None,
            Self::TooShort => Some("min_words"),
            Self::Unfinished => Some("drop_unfinished"),
            Self::NonText => Some("non_text"),
            Self::NearCopy => Some("near_copy"),
            Self::Verbatim => Some("verbatim_words"),
            Self::Irrelevant => Some("min_relevance"),
            Self::NearDuplicate => Some("near_duplicate"),
        }
    }
}

/// What is to happen to a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It goes.
    Drop {
        /// Why.
        reason: Reason,
        /// The repetition rule, where that is why.
        rule: Option<repetition::Rule>,
        /// The measured value and its limit, in words.
        detail: String,
    },
}

impl Verdict {
    fn drop(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Drop { reason, rule: None, detail: detail.into() }
    }
}

/// Judges one document by itself, by its seed's text where that is known, and by all training documents. Near-duplicates are found
/// later, among documents.
///
/// # Errors
/// When the document's metadata has a field of the wrong type.
pub(crate) fn judge(
    document: &Document,
    seed: Option<&str>,
    training: &VerbatimIndex,
    config: &FilterConfig,
) -> Result<Verdict> {
    let bare = bare_words(&document.text);
    let words = bare.len();
    if words == 0 {
        return Ok(Verdict::drop(Reason::Empty, "no words"));
    }
    if words < config.min_words {
        return Ok(Verdict::drop(Reason::TooShort, format!("{words} words, at least {}", config.min_words)));
    }
    if config.drop_unfinished && metadata::unfinished(document)? {
        return Ok(Verdict::drop(Reason::Unfinished, "cut at the cap on new tokens"));
    }
    if let Some(token) = metadata::special_token(document)? {
        return Ok(Verdict::drop(Reason::SpecialToken, format!("the special token {token} stands in it")));
    }
    if let Some(problem) = metadata::unencodable(document)? {
        return Ok(Verdict::drop(Reason::Unencodable, problem));
    }
    let share = non_text(&document.text);
    if let Some(most) = config.non_text.filter(|&most| share > most) {
        let detail = format!("{share:.3} of its characters are no text, at most {most}");
        return Ok(Verdict::drop(Reason::NonText, detail));
    }
    if let Some(repetition::Failure { rule, share, threshold }) =
        repetition::repetition(&document.text, &config.repetition)
    {
        let detail = format!("{} {share:.3}, at most {threshold}", rule.name());
        return Ok(Verdict::Drop { reason: Reason::Repetition, rule: Some(rule), detail });
    }
    if let (Some(limit), Some(seed)) = (config.near_copy, seed) {
        let copied = containment(&document.text, seed);
        if copied >= limit {
            let detail = format!("{copied:.3} of its word 5-grams stand in its seed, below {limit}");
            return Ok(Verdict::drop(Reason::NearCopy, detail));
        }
    }
    if config.verbatim_words > 0
        && let Some(run) = training.longest_run(&bare, config.verbatim_words)
    {
        let detail = format!("{run} words in a row stand in a training document, below {}", config.verbatim_words);
        return Ok(Verdict::drop(Reason::Verbatim, detail));
    }
    Ok(Verdict::Keep)
}

/// The share of `text`'s distinct word 5-grams that `seed` has too.
pub(crate) fn containment(text: &str, seed: &str) -> f64 {
    Shingles::of(text, SHINGLE_WORDS).contained_in(&Shingles::of(seed, SHINGLE_WORDS))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::repetition::Rule;
    use super::*;

    fn document(text: &str) -> Document {
        Document { id: "d".into(), text: text.into(), group: None, metadata: Default::default() }
    }

    fn words(range: std::ops::Range<usize>) -> String {
        range.map(|i| format!("w{i} ")).collect()
    }

    fn reason(document: &Document, seed: Option<&str>) -> Option<Reason> {
        reason_by(&FilterConfig::standard(), document, seed)
    }

    fn reason_by(config: &FilterConfig, document: &Document, seed: Option<&str>) -> Option<Reason> {
        let training = VerbatimIndex::new(&[&words(1000..1100)], &cognate_base::Silent).unwrap();
        match judge(document, seed, &training, config).unwrap() {
            Verdict::Keep => None,
            Verdict::Drop { reason, detail, .. } => {
                assert!(!detail.is_empty());
                Some(reason)
            }
        }
    }

    #[test]
    fn each_reason_at_its_limit() {
        assert_eq!(reason(&document(""), None), Some(Reason::Empty));
        assert_eq!(reason(&document(" -- …\n"), None), Some(Reason::Empty));
        assert_eq!(reason(&document(&words(0..9)), None), Some(Reason::TooShort));
        assert_eq!(reason(&document(&words(0..10)), None), None);
        let mut capped = document(&words(0..50));
        capped.metadata.insert("finish_reason".into(), json!("cap"));
        assert_eq!(reason(&capped, None), Some(Reason::Unfinished));
        let mut special = document(&words(0..50));
        special.metadata.insert("special_token".into(), json!("<|related|>"));
        assert_eq!(reason(&special, None), Some(Reason::SpecialToken));
        let mut foreign = document(&words(0..50));
        foreign.metadata.insert("unencodable".into(), json!("no token for it"));
        assert_eq!(reason(&foreign, None), Some(Reason::Unencodable));
        // Of 100 characters one may be none, and no more.
        let page = |strays: usize| document(&format!("{:x<100}", words(0..11) + &"\0".repeat(strays)));
        assert_eq!(page(1).text.chars().count(), 100);
        assert_eq!((reason(&page(1), None), reason(&page(2), None)), (None, Some(Reason::NonText)));
        assert_eq!(reason(&document(&words(0..20).repeat(2)), None), Some(Reason::Repetition));
        // 44 words have 40 5-grams; 24 words shared are 20 of them.
        assert_eq!(reason(&document(&words(0..44)), Some(&words(20..100))), Some(Reason::NearCopy));
        assert_eq!(reason(&document(&words(0..44)), Some(&words(21..100))), None);
        // Case and punctuation do not hide a copy.
        let shouted = words(0..44).to_uppercase().replace(' ', ", ");
        assert_eq!(reason(&document(&shouted), Some(&words(0..44))), Some(Reason::NearCopy));
        // Of 200 words 40 in a row stand in a training document that is not the seed; 39 do, twice.
        let long = words(0..160) + &words(1030..1070);
        assert_eq!(reason(&document(&long), Some(&words(300..400))), Some(Reason::Verbatim));
        let shorter = words(0..160) + &words(1030..1069) + &words(200..201) + &words(1000..1039);
        assert_eq!(reason(&document(&shorter), None), None);
    }

    #[test]
    fn each_rule_can_be_moved_and_switched_off() {
        let standard = FilterConfig::standard;
        let short = document(&words(0..4));
        assert_eq!(reason_by(&FilterConfig { min_words: 4, ..standard() }, &short, None), None);
        assert_eq!(reason_by(&FilterConfig { min_words: 0, ..standard() }, &document("--"), None), Some(Reason::Empty));
        let mut capped = document(&words(0..50));
        capped.metadata.insert("finish_reason".into(), json!("cap"));
        assert_eq!(reason_by(&FilterConfig { drop_unfinished: false, ..standard() }, &capped, None), None);
        let strays = document(&format!("{}{}", words(0..50), "\0".repeat(100)));
        for (non_text, expected) in [(Some(0.2), Some(Reason::NonText)), (Some(0.9), None), (None, None)] {
            assert_eq!(reason_by(&FilterConfig { non_text, ..standard() }, &strays, None), expected);
        }
        // Twice the same twenty words: half of each long n-gram's characters stood there before.
        let twice = document(&words(0..20).repeat(2));
        let only = |threshold| Thresholds([(Rule::Duplicate7Grams, threshold)].into());
        for (repetition, expected) in
            [(only(0.4), Some(Reason::Repetition)), (only(0.6), None), (Thresholds::default(), None)]
        {
            assert_eq!(reason_by(&FilterConfig { repetition, ..standard() }, &twice, None), expected);
        }
        let copy = document(&words(0..44));
        for (near_copy, expected) in [(Some(0.9), Some(Reason::NearCopy)), (None, None)] {
            let config = FilterConfig { near_copy, ..standard() };
            assert_eq!(reason_by(&config, &copy, Some(&words(0..44))), expected);
        }
    }

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let standard = FilterConfig::standard;
        standard().check().unwrap();
        for (field, config) in [
            ("near_copy", FilterConfig { near_copy: Some(0.0), ..standard() }),
            ("near_copy", FilterConfig { near_copy: Some(1.1), ..standard() }),
            ("near_copy", FilterConfig { near_copy: Some(f64::NAN), ..standard() }),
            ("non_text", FilterConfig { non_text: Some(-0.1), ..standard() }),
            ("top_2_gram", FilterConfig { repetition: Thresholds([(Rule::Top2Gram, 1.5)].into()), ..standard() }),
            ("verbatim_words", FilterConfig { verbatim_words: 1001, ..standard() }),
            ("min_relevance", FilterConfig { min_relevance: Some(f64::NAN), ..standard() }),
            ("near_duplicate", FilterConfig { near_duplicate: Some(0.5), ..standard() }),
            ("near_duplicate", FilterConfig { near_duplicate: Some(f64::NAN), ..standard() }),
            ("quality_documents", FilterConfig { quality_documents: 0, ..standard() }),
        ] {
            let message = config.check().unwrap_err().to_string();
            assert!(message.starts_with(field), "{message}");
        }
    }

    #[test]
    fn names_are_the_serialized_ones() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
