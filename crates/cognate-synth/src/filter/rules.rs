//! What each rule of the filters alone would drop, of written documents and of real ones side by side. A rule that drops real text of the
//! kind that is wanted does not tell bad text from good here, whatever it did where its threshold comes from.

use cognate_base::Monitor;
use cognate_corpus::Document;
use cognate_statistics::Share;
use serde::{Deserialize, Serialize};

use super::FilterConfig;
use super::non_text::non_text;
use super::quality::{Training, each, near_duplicates};
use super::repetition::all_failures;
use crate::error::Result;
use cognate_base::shingles::bare_words;

/// What one rule alone would drop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleShares {
    /// The rule, by the name of its setting: `min_words`, `non_text`, one of Gopher's, `verbatim_words`, `near_duplicate`.
    pub rule: String,
    /// The setting's value.
    pub limit: f64,
    /// Of what was written.
    pub written: Share,
    /// Of the training documents; their order is that of their identifiers. Each is held against all the others.
    pub real: Share,
}

/// The rules that are on and need neither seed nor synthesizer, on the documents that quality figures look at, and on as many training
/// documents.
pub(super) fn rule_shares(
    written: &[Document],
    training: &Training,
    config: &FilterConfig,
    monitor: &dyn Monitor,
) -> Result<Vec<RuleShares>> {
    let document = |(id, text): (&str, &str)| Document {
        id: id.to_owned(),
        text: text.to_owned(),
        group: None,
        metadata: cognate_corpus::Metadata::default(),
    };
    // Near-duplicates are the more, the more documents there are.
    let real: Vec<Document> = training.by_id().into_iter().take(written.len()).map(document).collect();
    let (written, real) = (
        counts(written, config, monitor, || verbatim(written, training, config.verbatim_words, monitor))?,
        counts(&real, config, monitor, || {
            let shared = training.index.shared_runs(config.verbatim_words, monitor)?;
            Ok(Share::of(shared.into_iter().take(real.len())))
        })?,
    );
    let both = written.into_iter().zip(real);
    Ok(both.map(|((rule, limit, written), (_, _, real))| RuleShares { rule, limit, written, real }).collect())
}

/// What each rule that looks at one text, or for near-duplicates, would drop of real documents alone: its name, its limit, and the share. Before
/// anything is written.
///
/// # Errors
/// When the monitor says so.
pub fn real_shares(
    documents: &[Document],
    config: &FilterConfig,
    monitor: &dyn Monitor,
) -> Result<Vec<(String, f64, Share)>> {
    // What stands in other documents too is looked at behind the synthesis.
    let config = FilterConfig { verbatim_words: 0, ..config.clone() };
    counts(documents, &config, monitor, || Ok(Share::default()))
}

/// The documents of which so many words in a row stand in a training document.
fn verbatim(documents: &[Document], training: &Training, words: usize, monitor: &dyn Monitor) -> Result<Share> {
    let copies = |document: &Document| training.index.longest_run(&bare_words(&document.text), words).is_some();
    Ok(Share::of(each(documents, monitor, copies)?.into_iter()))
}

/// Each rule by its name, its limit, and the documents that it would drop. Which are `verbatim` is asked for where that is looked at.
fn counts(
    documents: &[Document],
    config: &FilterConfig,
    monitor: &dyn Monitor,
    verbatim: impl FnOnce() -> Result<Share>,
) -> Result<Vec<(String, f64, Share)>> {
    let mut rules = Vec::new();
    let mut rule = |name: &str, limit: f64, share: Share| rules.push((name.to_owned(), limit, share));
    if config.min_words > 0 {
        let words = each(documents, monitor, |document| bare_words(&document.text).len())?;
        let short = words.into_iter().map(|words| words < config.min_words);
        rule("min_words", config.min_words as f64, Share::of(short));
    }
    if let Some(most) = config.non_text {
        let strays = each(documents, monitor, |document| non_text(&document.text) > most)?;
        rule("non_text", most, Share::of(strays.into_iter()));
    }
    let failed = each(documents, monitor, |document| all_failures(&document.text, &config.repetition))?;
    for (&one, &threshold) in &config.repetition.0 {
        let fails = failed.iter().map(|failures| failures.iter().any(|failure| failure.rule == one));
        rule(one.name(), threshold, Share::of(fails));
    }
    if config.verbatim_words > 0 {
        rule("verbatim_words", config.verbatim_words as f64, verbatim()?);
    }
    if let Some(similarity) = config.near_duplicate {
        rule("near_duplicate", similarity, near_duplicates(documents, similarity, monitor)?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::super::repetition::{Rule, Thresholds};
    use super::*;

    fn document(number: usize, text: &str) -> Document {
        Document {
            id: format!("d{number:02}"),
            text: text.to_owned(),
            group: None,
            metadata: cognate_corpus::Metadata::default(),
        }
    }

    #[test]
    fn each_rule_counts_whatever_the_others_say() {
        let words = |from: usize, n: usize| (from..from + n).map(|i| format!("w{i} ")).collect::<String>();
        // Two too short ones, one of which repeats itself; a twin; and four that no rule drops.
        let mut written: Vec<Document> = (0..4).map(|i| document(i, &words(100 * i, 40))).collect();
        written.extend([document(4, &words(900, 3)), document(5, "a b a b a b"), document(6, &words(0, 40))]);
        // The last one, which is not among the first seven, has the words of the fourth, those of the fifth in pieces, and those of the first two
        // that were written.
        let copies = words(3000, 30) + &words(4000, 8) + "and " + &words(4008, 8) + &words(0, 30) + &words(100, 30);
        let texts = (0..20).map(|i| {
            let text = match i {
                0..3 => "a b a b".to_owned(),
                19 => copies.clone(),
                _ => words(i * 1000, 30),
            };
            (format!("t{i:02}"), text)
        });
        let training = Training::new(texts.collect(), &Silent).unwrap();
        let config = FilterConfig {
            repetition: Thresholds([(Rule::Top2Gram, 0.5), (Rule::DuplicateLines, 0.3)].into()),
            verbatim_words: 20,
            ..FilterConfig::standard()
        };
        let shares = rule_shares(&written, &training, &config, &Silent).unwrap();
        let told: Vec<(&str, f64, u64, u64)> =
            shares.iter().map(|rule| (rule.rule.as_str(), rule.limit, rule.written.count, rule.real.count)).collect();
        // Of the training documents the first seven by their ids.
        assert!(shares.iter().all(|rule| rule.written.n == 7 && rule.real.n == 7), "{shares:?}");
        assert_eq!(
            told,
            [
                ("min_words", 10.0, 2, 3),
                ("non_text", 0.01, 0, 0),
                ("duplicate_lines", 0.3, 0, 0),
                ("top_2_gram", 0.5, 1, 3),
                // Of what was written the first two and the twin.
                ("verbatim_words", 20.0, 3, 1),
                // Of the three that are one text, two.
                ("near_duplicate", 0.7, 1, 2),
            ]
        );
        let off = FilterConfig {
            min_words: 0,
            non_text: None,
            repetition: Thresholds::default(),
            verbatim_words: 0,
            near_duplicate: None,
            ..FilterConfig::standard()
        };
        assert!(rule_shares(&written, &training, &off, &Silent).unwrap().is_empty());
    }
}
