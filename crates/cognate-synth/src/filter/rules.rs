//! What each rule of the filters alone would drop, of written documents and of real ones side by side. A rule that drops real text of the
//! kind that is wanted does not tell bad text from good here, whatever it did where its threshold comes from.

use std::collections::BTreeMap;

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
    /// The rule, by the name of its setting: `min_words`, `non_text`, one of Gopher's, `near_duplicate`.
    pub rule: String,
    /// The setting's value.
    pub limit: f64,
    /// Of what was written.
    pub written: Share,
    /// Of the training documents; their order is that of their identifiers.
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
    let texts: BTreeMap<&String, &String> = training.texts.iter().collect();
    let document = |(id, text): (&String, &String)| Document {
        id: id.clone(),
        text: text.clone(),
        group: None,
        metadata: cognate_corpus::Metadata::default(),
    };
    // Near-duplicates are the more, the more documents there are.
    let real: Vec<Document> = texts.into_iter().take(written.len()).map(document).collect();
    let (written, real) = (counts(written, config, monitor)?, counts(&real, config, monitor)?);
    let both = written.into_iter().zip(real);
    Ok(both.map(|((rule, limit, written), (_, _, real))| RuleShares { rule, limit, written, real }).collect())
}

/// Each rule by its name, its limit, and the documents that it would drop.
fn counts(documents: &[Document], config: &FilterConfig, monitor: &dyn Monitor) -> Result<Vec<(String, f64, Share)>> {
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
        let texts =
            (0..20).map(|i| (format!("t{i:02}"), if i < 3 { "a b a b".to_owned() } else { words(i * 1000, 30) }));
        let training = Training::new(texts.collect(), &Silent).unwrap();
        let config = FilterConfig {
            repetition: Thresholds([(Rule::Top2Gram, 0.5), (Rule::DuplicateLines, 0.3)].into()),
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
                // Of the three that are one text, two.
                ("near_duplicate", 0.7, 1, 2),
            ]
        );
        let off = FilterConfig {
            min_words: 0,
            non_text: None,
            repetition: Thresholds::default(),
            near_duplicate: None,
            ..FilterConfig::standard()
        };
        assert!(rule_shares(&written, &training, &off, &Silent).unwrap().is_empty());
    }
}
