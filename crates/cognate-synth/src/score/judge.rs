//! Relevance by a judge: a language model behind a completion server is asked of sampled pairs whether the second text is related
//! to the first. The prompt is in docs/filters.md, word for word.
//!
//! What it answers is taken at its word: `related` or `unrelated`, and everything else is counted as unclear and guessed at by
//! nobody.

use std::collections::HashMap;
use std::time::Duration;

use cognate_base::Monitor;
use cognate_base::random::{self, Rng, SliceRandom};
use cognate_corpus::Document;
use cognate_statistics::{Figure, Share};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::relevance::TextPair;
use crate::endpoint::ask::ask;
use crate::endpoint::key::Discretion;
use crate::endpoint::protocol::{completion, most_bytes, request_seed};
use crate::endpoint::workers::Question;
use crate::endpoint::{EndpointConfig, Fault, Key, Role};
use crate::error::{Error, Result};
use crate::metadata;

/// What is asked; `{first}` and `{second}` stand for the texts, each cut to [`TEXT_CHARACTERS`].
pub const PROMPT: &str = "\
Below are two texts. Decide whether the second is related to the first: whether it is about the same subject, or about one so \
close that a reader of the first would look for it next. How well the texts are written and whether they are true does not count.

First text:
{first}

Second text:
{second}

Answer with exactly one word in small letters, related or unrelated.
Answer:";

/// Characters that are shown of each text, about 500 tokens of English: a judge's context holds two, and more tells nothing about
/// the subject.
pub const TEXT_CHARACTERS: usize = 2000;

/// Tokens that an answer may have; both words have fewer in every tokenizer that is in use.
const ANSWER_TOKENS: usize = 8;

/// Pairs of each kind, at most: an interval of a thousandth.
const MOST_SAMPLES: usize = 1_000_000;

/// Who judges, and how many pairs.
#[derive(Clone, Debug)]
pub struct JudgeConfig {
    /// The server.
    pub server: EndpointConfig,
    /// Pairs of each kind.
    pub samples: usize,
    /// Draws the pairs.
    pub seed: u64,
}

impl JudgeConfig {
    /// Requests at a time: 600 short answers need no more.
    const CONCURRENCY: usize = 8;
    /// Longest wait for one answer.
    const TIMEOUT: Duration = Duration::from_secs(300);
    /// Requests for one pair before the command fails.
    const ATTEMPTS: u32 = 8;

    /// With the documented patience.
    pub fn new(url: String, model: String, key: Option<Key>, samples: usize, seed: u64) -> Self {
        let server = EndpointConfig {
            url,
            model,
            key,
            concurrency: Self::CONCURRENCY,
            timeout: Self::TIMEOUT,
            attempts: Self::ATTEMPTS,
            first_wait: EndpointConfig::FIRST_WAIT,
        };
        Self { server, samples, seed }
    }

    /// For one question, asked once: whether the server is there and knows the model.
    #[must_use]
    pub fn asked_once(&self) -> Self {
        Self { server: EndpointConfig { attempts: 1, ..self.server.clone() }, samples: 1, ..self.clone() }
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key of the recipe.
    pub fn check(&self) -> Result<()> {
        if !(1..=MOST_SAMPLES).contains(&self.samples) {
            return Err(Error::setting(
                "judge_samples",
                self.samples,
                format!("a whole number from 1 to {MOST_SAMPLES}"),
            ));
        }
        self.server.check_as(Role::Judge)
    }
}

/// What the judge says about pairs of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Pairs called related.
    pub related: u64,
    /// Pairs called unrelated.
    pub unrelated: u64,
    /// Answers that are neither word.
    pub unclear: u64,
    /// The unrelated among those with a clear answer, with the binomial interval; none where no answer was clear.
    pub irrelevant: Option<Figure>,
}

impl Judgement {
    fn of(answers: &[Answer]) -> Self {
        let count = |wanted| answers.iter().filter(|&&answer| answer == wanted).count() as u64;
        let (related, unrelated) = (count(Answer::Related), count(Answer::Unrelated));
        let irrelevant = Share { count: unrelated, n: related + unrelated }.figure();
        Self { related, unrelated, unclear: count(Answer::Unclear), irrelevant }
    }

    /// Pairs asked about.
    pub fn asked(&self) -> u64 {
        self.related + self.unrelated + self.unclear
    }
}

/// What the judge says about all kinds of pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgeStats {
    /// The judge's name.
    pub model: String,
    /// Pairs of a seed and the kept document written from it.
    pub synthetic: Judgement,
    /// Pairs of a seed and a true neighbour, where those are known.
    pub neighbours: Option<Judgement>,
    /// Pairs of two training documents put together at random: chance makes a few of them related.
    pub random: Judgement,
}

/// What the judge says about pairs that need no synthesis, so that a server that is not there is known before the work begins.
#[derive(Clone, Copy, Debug)]
pub struct KnownPairs {
    neighbours: Option<Judgement>,
    random: Judgement,
}

impl KnownPairs {
    /// Asks about some of the true pairs, where they are given, and about as many pairs made at random of `texts`, the training
    /// documents.
    ///
    /// # Errors
    /// [`Error::Setting`] when the judge cannot be meant, [`Error::Endpoint`] when an answer is not to be had,
    /// [`Error::Interrupted`] when the monitor says so.
    pub fn judge(
        texts: &[&str],
        neighbours: Option<&[TextPair<'_>]>,
        config: &JudgeConfig,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        config.check()?;
        let neighbours = neighbours.map(|pairs| judge(pairs, Kind::Neighbours, config, monitor)).transpose()?;
        Ok(Self { neighbours, random: judge(&random_text_pairs(texts, config), Kind::Random, config, monitor)? })
    }

    /// Asks about some of the synthetic documents, each behind its seed; `texts` by id. Those that name no known seed are passed over.
    ///
    /// # Errors
    /// As [`Self::judge`], and when a document's metadata has a seed of the wrong type.
    pub fn beside(
        self,
        documents: &[Document],
        texts: &HashMap<&str, &str>,
        config: &JudgeConfig,
        monitor: &dyn Monitor,
    ) -> Result<JudgeStats> {
        let mut pairs = Vec::new();
        for document in documents {
            monitor.check()?;
            if let Some(&seed) = metadata::seed_id(document)?.and_then(|id| texts.get(id)) {
                pairs.push(TextPair { name: &document.id, seed, document: &document.text });
            }
        }
        let synthetic = judge(&pairs, Kind::Synthetic, config, monitor)?;
        let Self { neighbours, random } = self;
        Ok(JudgeStats { model: config.server.model.clone(), synthetic, neighbours, random })
    }
}

/// Whose pairs; numbered apart.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Synthetic,
    Neighbours,
    Random,
}

/// Asks about some of the pairs, drawn once, or about all where there are fewer.
fn judge(pairs: &[TextPair<'_>], kind: Kind, config: &JudgeConfig, monitor: &dyn Monitor) -> Result<Judgement> {
    config.check()?;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.shuffle(&mut random::stream(config.seed, "judge", kind as u64));
    order.truncate(config.samples);
    let first = kind as u64 * config.samples as u64;
    let questions = order.iter().enumerate().map(|(number, &at)| Pair::new(config, first + number as u64, &pairs[at]));
    Ok(Judgement::of(&ask(questions, &config.server, Role::Judge, config.seed, monitor)?))
}

/// Pairs of different texts, as many as the judge is asked about less those that chance makes twice the same text; none of fewer
/// than two.
fn random_text_pairs<'a>(texts: &[&'a str], config: &JudgeConfig) -> Vec<TextPair<'a>> {
    let pair = |number: usize| {
        let mut stream = random::stream(config.seed, "judge's random pair", number as u64);
        let mut below = |n: usize| (stream.next_u64() % n as u64) as usize;
        let first = below(texts.len());
        let second = (first + 1 + below(texts.len() - 1)) % texts.len();
        TextPair { name: "a random pair", seed: texts[first], document: texts[second] }
    };
    let pairs = if texts.len() < 2 { 0 } else { config.samples };
    (0..pairs).map(pair).filter(|pair| pair.seed != pair.document).collect()
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Related,
    Unrelated,
    Unclear,
}

impl Answer {
    fn of(text: &str) -> Self {
        match text.trim() {
            "related" => Self::Related,
            "unrelated" => Self::Unrelated,
            _ => Self::Unclear,
        }
    }
}

/// A pair to ask about.
struct Pair {
    number: u64,
    body: Vec<u8>,
}

impl Pair {
    fn new(config: &JudgeConfig, number: u64, pair: &TextPair<'_>) -> Self {
        let body = json!({
            "model": config.server.model,
            "prompt": prompt(pair.seed, pair.document),
            "n": 1,
            "stream": false,
            "max_tokens": ANSWER_TOKENS,
            "temperature": 0,
            "seed": request_seed(config.seed, number),
            // A model that goes on after its answer is not held against it.
            "stop": ["\n"],
        });
        Self { number, body: body.to_string().into_bytes() }
    }
}

impl Question for Pair {
    type Answer = Answer;

    fn number(&self) -> u64 {
        self.number
    }

    fn body(&self) -> Vec<u8> {
        self.body.clone()
    }

    fn most_bytes(&self) -> usize {
        most_bytes(ANSWER_TOKENS)
    }

    fn read(&self, body: &[u8], discretion: &Discretion) -> Result<Answer, (Fault, bool)> {
        completion(body, discretion).map(|(_, text)| Answer::of(&text))
    }
}

/// The prompt about two texts. Put in at once: what one text holds is not replaced by the other.
fn prompt(first: &str, second: &str) -> String {
    let (before, rest) = PROMPT.split_once("{first}").unwrap_or((PROMPT, ""));
    let (between, after) = rest.split_once("{second}").unwrap_or((rest, ""));
    [before, beginning(first), between, beginning(second), after].concat()
}

fn beginning(text: &str) -> &str {
    let text = text.trim();
    text.char_indices().nth(TEXT_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_words_are_answers() {
        for (text, answer) in [
            (" related", Answer::Related),
            ("unrelated\n", Answer::Unrelated),
            ("", Answer::Unclear),
            ("Related", Answer::Unclear),
            ("related.", Answer::Unclear),
            ("not related", Answer::Unclear),
            ("related unrelated", Answer::Unclear),
        ] {
            assert_eq!(Answer::of(text), answer, "{text:?}");
        }
    }

    #[test]
    fn shares_are_of_the_clear_answers() {
        let answers = [Answer::Related, Answer::Unclear, Answer::Unrelated, Answer::Related, Answer::Related];
        let found = Judgement::of(&answers);
        let figure = found.irrelevant.unwrap();
        assert_eq!((found.related, found.unrelated, found.unclear, found.asked()), (3, 1, 1, 5));
        assert_eq!((figure.value, figure.n), (0.25, 4));
        assert!(figure.low < 0.25 && figure.high > 0.25);
        assert_eq!(Judgement::of(&[Answer::Unclear]).irrelevant, None);
    }

    #[test]
    fn the_prompt_holds_both_texts_from_their_beginning_and_is_the_one_in_docs() {
        let long = "é".repeat(TEXT_CHARACTERS + 1);
        let asked = prompt(" a {second} text ", &long);
        let expected = PROMPT.replace("{second}", &long[..2 * TEXT_CHARACTERS]).replace("{first}", "a {second} text");
        assert_eq!(asked, expected);
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filters.md");
        let page = fs_err::read_to_string(page).unwrap();
        assert!(page.contains(&format!("```text\n{PROMPT}\n```\n")), "docs/filters.md has another prompt");
    }

    #[test]
    fn random_pairs_are_of_different_texts() {
        let config = JudgeConfig::new("http://127.0.0.1:9".into(), "m".into(), None, 50, 3);
        let pairs = random_text_pairs(&["a", "b", "c"], &config);
        assert!(pairs.len() == 50 && pairs.iter().all(|pair| pair.seed != pair.document));
        assert!(["a", "b", "c"].iter().all(|text| pairs.iter().any(|pair| pair.seed == *text)));
        assert!(random_text_pairs(&["a"], &config).is_empty() && random_text_pairs(&[], &config).is_empty());
        for samples in [0, MOST_SAMPLES + 1, usize::MAX] {
            let none = JudgeConfig { samples, ..config.clone() };
            let message = none.check().unwrap_err().to_string();
            assert!(message.starts_with(&format!("judge_samples = {samples}")), "{message}");
        }
    }
}
