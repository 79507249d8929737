//! What is asked and what is answered, as bytes: OpenAI's `/v1/completions`, without a network. Answers of `/v1/chat/completions` are read too.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Once;

use cognate_base::random::{self, Rng};
use cognate_corpus::Tokenizer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::error::Fault;
use super::key::Discretion;
use super::lenient::standard_json;
use super::workers::Question;
use crate::generate::{Finish, GenerateConfig};
use crate::sampling::Sampling;

/// What makes a token impossible, in every server's own words.
const NEVER: f64 = -100.0;

/// Bytes of an answer to any question, without what its tokens take.
const BASE_BYTES: usize = 1 << 20;
/// Bytes that a drawn token takes in an answer: its text four times, as text, token, and key of the likeliest ones, with every byte escaped.
const TOKEN_BYTES: usize = 16 << 10;
/// Bytes of an answer, whatever was asked for.
const MOST_ANSWER_BYTES: usize = 256 << 20;
/// Bytes of text that a token has, on an average that no text reaches: the longest tokens in use are rows of as many spaces.
const TOKEN_TEXT_BYTES: usize = 256;

/// Said once: a server may call its model what it likes.
static OTHER_MODEL: Once = Once::new();

/// A document that the server wrote; a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// The document's number.
    pub(crate) number: u64,
    /// Its text, as the server decoded it.
    pub(crate) text: String,
    /// Drawn tokens, the closing end-of-document token included.
    pub(crate) tokens: u64,
    /// Why it ended.
    pub(crate) finish: Finish,
    /// Nats per token, to six decimals, over the tokens that the server gave one for; none where it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mean_log_probability: Option<f64>,
}

/// A document to ask for.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    prompt_tokens: usize,
    max_new_tokens: usize,
    model: String,
    /// What a server writes that shows the closing token.
    closing: Option<String>,
    body: Map<String, Value>,
}

/// What all requests of a generation share.
#[derive(Clone, Debug)]
pub(super) struct Asking<'a> {
    config: &'a GenerateConfig,
    model: &'a str,
    /// The token that may not be drawn.
    related: u32,
    closing: Option<String>,
}

impl<'a> Asking<'a> {
    /// With the special tokens of the synthesizer's tokenizer; `related` stands before a document and never in one.
    pub(super) fn new(config: &'a GenerateConfig, model: &'a str, tokenizer: &Tokenizer, related: u32) -> Self {
        let end = tokenizer.end_of_document();
        let closing = tokenizer.special_tokens().into_iter().find(|(id, _)| *id == end).map(|(_, text)| text);
        Self { config, model, related, closing }
    }
}

/// The field that only some servers know: whether special tokens are left out of the text. It is asked for since a server may have another
/// default.
const SKIP_SPECIAL_TOKENS: &str = "skip_special_tokens";

/// The seed of document `number`'s draws: 31 bits, which every server takes (llama.cpp's has 32 bits, and all ones mean none).
pub(crate) fn request_seed(seed: u64, number: u64) -> u64 {
    random::stream(seed, "endpoint-seed", number).next_u64() >> 33
}

impl Job {
    /// The request for document `number`, whose prompt is `prompt`.
    pub(super) fn new(asking: &Asking<'_>, number: u64, prompt: &[u32]) -> Self {
        let &Asking { config, model, related, .. } = asking;
        let Sampling { temperature, top_p, top_k, min_p, repetition_penalty } = config.sampling;
        let fields = [
            ("model", json!(model)),
            // As token ids: the server's tokenizer has no say, so no token is added and none is spelt otherwise.
            ("prompt", json!(prompt)),
            ("n", json!(1)),
            ("stream", json!(false)),
            ("max_tokens", json!(config.max_new_tokens)),
            ("temperature", json!(temperature)),
            ("top_p", json!(top_p)),
            ("seed", json!(request_seed(config.seed, number))),
            ("logprobs", json!(1)),
            ("logit_bias", json!({related.to_string(): NEVER})),
            // Said when off too: llama.cpp's server has a top-k and a min-p of its own, vLLM's those of generation_config.json.
            ("top_k", if top_k == 0 { json!(-1) } else { json!(top_k) }),
            ("min_p", json!(min_p)),
            (SKIP_SPECIAL_TOKENS, json!(true)),
        ];
        // llama.cpp's names are others: there it reaches back 64 tokens unless all are asked for.
        let penalty = [
            ("repetition_penalty", json!(repetition_penalty)),
            ("repeat_penalty", json!(repetition_penalty)),
            ("repeat_last_n", json!(-1)),
        ];
        let penalty = penalty.into_iter().filter(|_| repetition_penalty != 1.0);
        Self {
            number,
            prompt_tokens: prompt.len(),
            max_new_tokens: config.max_new_tokens,
            model: model.to_owned(),
            closing: asking.closing.clone(),
            body: fields.into_iter().chain(penalty).map(|(name, value)| (name.to_owned(), value)).collect(),
        }
    }
}

/// What a completion says of itself. All else is read over, and lists are folded while they are read: an answer takes no more memory than
/// its bytes.
#[derive(Debug, Deserialize)]
pub(crate) struct Completion {
    #[serde(default)]
    choices: Option<FirstChoice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    model: Option<String>,
    /// What some servers send instead, with status 200.
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Completion {
    /// Why its choice ended, as it says.
    pub(crate) fn finish_reason(&mut self) -> Option<String> {
        self.choice()?.finish_reason.take()
    }

    /// The choice that counts.
    fn choice(&mut self) -> Option<&mut Choice> {
        self.choices.as_mut()?.0.as_mut()
    }
}

/// Of a list of choices the first that has the index 0, or else the first; none of an empty list.
#[derive(Debug)]
struct FirstChoice(Option<Choice>);

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    text: Option<String>,
    /// In the place of a text, where a chat was asked for.
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<LogProbabilities>,
}

/// What a chat answers.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
}

impl Choice {
    fn take_text(&mut self) -> Option<String> {
        self.text.take().or_else(|| self.message.take()?.content)
    }
}

impl<'de> Deserialize<'de> for FirstChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        folded(deserializer, Self(None), |Self(kept), choice: Choice| {
            let is_named = |choice: &Choice| choice.index == Some(0);
            Self(match kept {
                Some(kept) if is_named(&kept) || !is_named(&choice) => Some(kept),
                _ => Some(choice),
            })
        })
    }
}

/// The log-probabilities of the drawn tokens in nats, as vLLM and SGLang (`token_logprobs`) or llama.cpp (`content`) give them.
#[derive(Debug, Deserialize)]
struct LogProbabilities {
    #[serde(default)]
    token_logprobs: Option<Sum<Option<f64>>>,
    #[serde(default)]
    content: Option<Sum<TokenLogProbability>>,
}

#[derive(Debug, Deserialize)]
struct TokenLogProbability {
    #[serde(default)]
    logprob: Option<f64>,
}

impl From<TokenLogProbability> for Option<f64> {
    fn from(token: TokenLogProbability) -> Self {
        token.logprob
    }
}

/// The sum of a list's numbers, and how many there are; what is none is passed over.
#[derive(Debug)]
struct Sum<T> {
    sum: f64,
    count: u64,
    of: PhantomData<T>,
}

impl<T> Default for Sum<T> {
    fn default() -> Self {
        // The zero that no other number is changed by.
        Self { sum: -0.0, count: 0, of: PhantomData }
    }
}

impl<'de, T: Deserialize<'de> + Into<Option<f64>>> Deserialize<'de> for Sum<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        folded(deserializer, Self::default(), |so_far, found: T| match found.into() {
            Some(number) => Self { sum: so_far.sum + number, count: so_far.count + 1, of: PhantomData },
            None => so_far,
        })
    }
}

impl LogProbabilities {
    /// Their sum and number.
    fn known(&self) -> (f64, u64) {
        match (&self.token_logprobs, &self.content) {
            (Some(plain), _) => (plain.sum, plain.count),
            (None, Some(content)) => (content.sum, content.count),
            (None, None) => (0.0, 0),
        }
    }
}

/// What `fold` makes of a list, element by element, so that the list is never there as a whole.
fn folded<'de, D: Deserializer<'de>, T: Deserialize<'de>, S>(
    deserializer: D,
    start: S,
    fold: impl FnMut(S, T) -> S,
) -> Result<S, D::Error> {
    struct Fold<S, F, T>(S, F, PhantomData<T>);
    impl<'de, T: Deserialize<'de>, S, F: FnMut(S, T) -> S> Visitor<'de> for Fold<S, F, T> {
        type Value = S;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<S, A::Error> {
            let Self(mut so_far, mut fold, _) = self;
            while let Some(element) = elements.next_element()? {
                so_far = fold(so_far, element);
            }
            Ok(so_far)
        }
    }
    deserializer.deserialize_seq(Fold(start, fold, PhantomData))
}

/// Numbers that some servers write with a point.
#[derive(Debug, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<f64>,
    #[serde(default)]
    completion_tokens: Option<f64>,
}

/// The largest answer to a question for so many tokens.
pub(crate) fn most_bytes(tokens: usize) -> usize {
    tokens.saturating_mul(TOKEN_BYTES).saturating_add(BASE_BYTES).min(MOST_ANSWER_BYTES)
}

/// Reads a body, and takes out the text of its first choice. What is no JSON may be a proxy's or a cut one: asking again may help then.
pub(crate) fn completion(body: &[u8], discretion: &Discretion) -> Result<(Completion, String), (Fault, bool)> {
    let wrong = |what: String, transient: bool| {
        let fault = Fault::Answer { what: discretion.hide(&what), said: discretion.said(body) };
        Err((fault, transient))
    };
    let read = serde_json::from_slice(body).or_else(|error| match error.is_syntax() {
        true => serde_json::from_str(&standard_json(body)),
        false => Err(error),
    });
    let mut answer: Completion = match read {
        Ok(answer) => answer,
        Err(error) if error.is_data() => return wrong(format!("the answer is no completion: {error}"), false),
        Err(error) => return wrong(format!("the answer is not JSON: {error}"), true),
    };
    match answer.choice().map(Choice::take_text) {
        // A server that cannot just now may say so with status 200.
        None => wrong("the answer has no choices".into(), answer.error.is_some()),
        Some(None) => wrong("its choice has no text".into(), false),
        Some(Some(text)) => Ok((answer, text)),
    }
}

impl Question for Job {
    type Answer = Written;

    fn number(&self) -> u64 {
        self.number
    }

    fn body(&self) -> Vec<u8> {
        json!(self.body).to_string().into_bytes()
    }

    fn plain_body(&self) -> Option<Vec<u8>> {
        let mut body = self.body.clone();
        body.remove(SKIP_SPECIAL_TOKENS);
        Some(json!(body).to_string().into_bytes())
    }

    fn most_bytes(&self) -> usize {
        most_bytes(self.max_new_tokens)
    }

    /// A document that the server gave up may come out the next time; an answer that says something else than was asked would
    /// say it again.
    fn read(&self, body: &[u8], discretion: &Discretion) -> Result<Written, (Fault, bool)> {
        let wrong = |what: String, transient: bool| {
            let fault = Fault::Answer { what: discretion.hide(&what), said: discretion.said(body) };
            Err((fault, transient))
        };
        let (mut answer, mut text) = completion(body, discretion)?;
        if discretion.is_broken_by(&text) {
            return wrong("the answer repeats the key, and is thrown away: a document would hold it".into(), false);
        }
        let choice = answer.choice();
        let (sum, count) =
            choice.as_ref().and_then(|choice| choice.logprobs.as_ref()).map_or((0.0, 0), LogProbabilities::known);
        let finish = match choice.and_then(|choice| choice.finish_reason.take()).as_deref() {
            Some("stop") => Finish::Eod,
            Some("length") => Finish::Cap,
            other => {
                // What the server sends is shown without the key.
                let shown = other.map_or("absent".into(), |word| format!("{:?}", discretion.said(word.as_bytes())));
                return wrong(format!("finish_reason is {shown}, expected \"stop\" or \"length\""), true);
            }
        };
        if let Some(served) = answer.model.filter(|served| *served != self.model) {
            OTHER_MODEL.call_once(|| {
                tracing::warn!(
                    "the server says that {} answers, and {} was asked: the records name the checkpoint given here; make sure that it serves it",
                    discretion.said(served.as_bytes()),
                    self.model
                );
            });
        }
        let usage = answer.usage.unwrap_or(Usage { prompt_tokens: None, completion_tokens: None });
        let whole =
            |count: Option<f64>| count.filter(|count| count.fract() == 0.0 && *count >= 0.0).map(|count| count as u64);
        // None counted, where a server keeps what several prompts begin with.
        let counted = whole(usage.prompt_tokens).filter(|&counted| counted != 0);
        if let Some(counted) = counted.filter(|&counted| counted != self.prompt_tokens as u64) {
            let asked = self.prompt_tokens;
            let what = format!(
                "it counts {counted} tokens in a prompt of {asked}: it adds some, cuts some, or reads them as text"
            );
            return wrong(what, false);
        }
        let tokens = match whole(usage.completion_tokens) {
            Some(tokens) => tokens,
            None if count == 0 => {
                return wrong(
                    "neither usage.completion_tokens nor logprobs says how many tokens were drawn".into(),
                    false,
                );
            }
            None => count,
        };
        // A document that ended drew its end at least, whether the server counts it or not.
        let tokens = if finish == Finish::Eod { tokens.max(1) } else { tokens };
        if tokens == 0 || tokens > self.max_new_tokens as u64 {
            let what = format!("it counts {tokens} drawn tokens, of at least 1 and at most {}", self.max_new_tokens);
            return wrong(what, false);
        }
        if text.len() > self.max_new_tokens.saturating_mul(TOKEN_TEXT_BYTES) {
            return wrong(format!("its text has {} bytes, which {tokens} tokens do not have", text.len()), false);
        }
        if let Some(open) = self.closing.as_deref().and_then(|closing| text.strip_suffix(closing)) {
            text.truncate(open.len());
        }
        let mean_log_probability = mean(sum, count);
        Ok(Written { number: self.number, text, tokens, finish, mean_log_probability })
    }
}

fn mean(sum: f64, count: u64) -> Option<f64> {
    let mean = sum / count as f64;
    // Six decimals, as the records of the local decoder; no numbers have no mean.
    mean.is_finite().then(|| (mean * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Target;

    fn config() -> GenerateConfig {
        GenerateConfig {
            seed: 5,
            first_document: 0,
            target: Target::Tokens(100),
            shard: None,
            samples_per_seed: 1,
            sampling: Sampling::nucleus(0.8, 0.9),
            precision: cognate_ops::Precision::F32,
            max_new_tokens: 20,
            max_seed_tokens: 10,
            slots: 1,
            shard_documents: 10,
            synthesizer: "s".into(),
        }
    }

    fn job_of(config: &GenerateConfig) -> Job {
        let tokenizer = Tokenizer::train(std::iter::once("a".to_owned()), 258).unwrap();
        Job::new(&Asking::new(config, "syn", &tokenizer, 1), 3, &[0, 7, 8, 1])
    }

    fn read_bytes(body: &[u8]) -> Result<Written, (String, bool)> {
        let read = job_of(&config()).read(body, &Discretion::default());
        read.map_err(|(fault, transient)| (fault.to_string(), transient))
    }

    fn read(body: Value) -> Result<Written, (String, bool)> {
        read_bytes(body.to_string().as_bytes())
    }

    #[test]
    fn a_request_holds_what_was_set_and_switches_off_the_rest() {
        let body: Value = serde_json::from_slice(&job_of(&config()).body()).unwrap();
        let expected = json!({
            "model": "syn", "prompt": [0, 7, 8, 1], "n": 1, "stream": false, "max_tokens": 20, "temperature": 0.8,
            "top_p": 0.9, "seed": request_seed(5, 3), "logprobs": 1, "logit_bias": {"1": -100.0}, "top_k": -1,
            "min_p": 0.0, "skip_special_tokens": true,
        });
        assert_eq!(body, expected);
        // For a server that knows only what all know.
        let mut plain = expected;
        plain.as_object_mut().unwrap().remove("skip_special_tokens");
        assert_eq!(serde_json::from_slice::<Value>(&job_of(&config()).plain_body().unwrap()).unwrap(), plain);
    }

    #[test]
    fn what_is_on_is_asked_for_under_the_servers_names() {
        let mut config = config();
        config.sampling = Sampling { top_k: 40, min_p: 0.05, repetition_penalty: 1.1, ..config.sampling };
        let body: Value = serde_json::from_slice(&job_of(&config).body()).unwrap();
        assert_eq!((&body["top_k"], &body["min_p"]), (&json!(40), &json!(0.05)));
        assert_eq!((&body["repetition_penalty"], &body["repeat_penalty"]), (&json!(1.1), &json!(1.1)));
        assert_eq!(body["repeat_last_n"], -1);
    }

    #[test]
    fn request_seeds_differ_by_document_and_recipe_and_fit_31_bits() {
        let seeds: Vec<u64> = (0..1000).map(|number| request_seed(5, number)).collect();
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), 1000);
        assert!(seeds.iter().all(|&seed| seed < 1 << 31) && seeds.iter().any(|&seed| seed > 1 << 30));
        assert_ne!(request_seed(5, 3), request_seed(6, 3));
    }

    #[test]
    fn answers_of_the_three_servers_are_read() {
        let plain = json!({
            "choices": [{"text": " a b", "finish_reason": "stop", "logprobs": {"token_logprobs": [-1.0, -2.0, -0.5]}}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 3},
        });
        let expected = Written {
            number: 3,
            text: " a b".into(),
            tokens: 3,
            finish: Finish::Eod,
            mean_log_probability: Some(-1.166667),
        };
        assert_eq!(read(plain).unwrap(), expected);
        // llama.cpp's; the end-of-document token has no number here.
        let content = json!({
            "choices": [{"text": "a", "finish_reason": "length", "logprobs": {"content": [{"logprob": -3.0}]}}],
            "usage": {"completion_tokens": 20},
        });
        let read_content = read(content).unwrap();
        assert_eq!((read_content.finish, read_content.mean_log_probability), (Finish::Cap, Some(-3.0)));
        // Without log-probabilities, and an end that the server does not count.
        let bare = json!({
            "choices": [{"text": "", "finish_reason": "stop", "logprobs": null}], "usage": {"completion_tokens": 0},
        });
        let bare = read(bare).unwrap();
        assert_eq!((bare.tokens, bare.mean_log_probability), (1, None));
        // Without usage the log-probabilities count.
        let counted =
            json!({"choices": [{"text": "", "finish_reason": "stop", "logprobs": {"token_logprobs": [-1, -2]}}]});
        assert_eq!(read(counted).unwrap().tokens, 2);
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_refused_by_name() {
        let choice = |text: Value, finish: Value| json!([{"text": text, "finish_reason": finish}]);
        let usage = |prompt: u64, completion: u64| json!({"prompt_tokens": prompt, "completion_tokens": completion});
        let cases = [
            (json!({"choices": []}), "no choices", false),
            (json!([1]), "no completion", false),
            (json!({"choices": "none"}), "no completion", false),
            (json!({"error": {"message": "model is overloaded", "code": 503}}), "no choices", true),
            (json!({"choices": [{"finish_reason": "stop"}]}), "no text", false),
            (json!({"choices": choice(json!("a"), json!("abort")), "usage": usage(4, 2)}), "\"abort\"", true),
            (
                json!({"choices": choice(json!("a"), json!(null)), "usage": usage(4, 2)}),
                "finish_reason is absent",
                true,
            ),
            (
                json!({"choices": choice(json!("a"), json!("stop")), "usage": usage(5, 2)}),
                "5 tokens in a prompt of 4",
                false,
            ),
            (json!({"choices": choice(json!("a"), json!("stop"))}), "how many tokens", false),
            (json!({"choices": choice(json!("a"), json!("length")), "usage": usage(4, 0)}), "0 drawn tokens", false),
            (json!({"choices": choice(json!("a"), json!("length")), "usage": usage(4, 21)}), "21 drawn tokens", false),
        ];
        for (body, expected, again) in cases {
            let (message, transient) = read(body.clone()).unwrap_err();
            assert!(message.contains(expected), "{message}\nexpected: {expected}");
            assert_eq!(transient, again, "{message}");
        }
        let (message, transient) = read_bytes(b"{\"choices\": [").unwrap_err();
        assert!(transient && message.contains("not JSON"), "{message}");
        let long = json!({"choices": choice(json!("x".repeat(20 * TOKEN_TEXT_BYTES + 1)), json!("stop")), "usage": usage(4, 20)});
        assert!(read(long).unwrap_err().0.contains("which 20 tokens do not have"));
    }

    #[test]
    fn a_closing_token_that_the_server_shows_is_cut_off_and_another_stays() {
        let text = |text: &str, finish: &str| {
            let answer =
                json!({"choices": [{"text": text, "finish_reason": finish}], "usage": {"completion_tokens": 5}});
            read(answer).unwrap().text
        };
        assert_eq!(text(" a b<|endoftext|>", "stop"), " a b");
        assert_eq!(text(" a b<|endoftext|>", "length"), " a b");
        assert_eq!(text("<|endoftext|>", "stop"), "");
        // What `filter` drops: a second one, one in the middle, another special token.
        for other in ["a<|endoftext|> b", "a<|related|>", "a<|related|> b"] {
            assert_eq!(text(other, "stop"), other);
        }
        assert_eq!(text("a<|endoftext|><|endoftext|>", "stop"), "a<|endoftext|>");
    }

    #[test]
    fn what_servers_write_beside_the_standard_is_read() {
        let body = |text: &str, rest: &str| {
            format!(
                r#"{{"choices": [{{"text": {text}, "finish_reason": "stop", "logprobs": {rest}}}], "usage": {{"prompt_tokens": 4.0, "completion_tokens": 3.0}}}}"#
            )
        };
        let found = read_bytes(body("\"a\"", r#"{"token_logprobs": [-1.0, NaN, -Infinity]}"#).as_bytes()).unwrap();
        assert_eq!((found.tokens, found.mean_log_probability), (3, Some(-1.0)));
        let found = read_bytes(body(r#""a \ud83d b""#, "null").as_bytes()).unwrap();
        assert_eq!(found.text, "a \u{fffd} b");
        assert!(read_bytes(format!("\u{feff}{}", body("\"a\"", "null")).as_bytes()).is_ok());
        // Another choice first, and none of the prompt's tokens counted.
        let several = json!({
            "choices": [{"index": 1, "text": "b", "finish_reason": "stop"}, {"index": 0, "text": "a", "finish_reason": "length"}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 3},
        });
        let found = read(several).unwrap();
        assert_eq!((found.text.as_str(), found.finish), ("a", Finish::Cap));
        // The first of those that have no index, or that index twice.
        for [first, second] in [[json!(null), json!(2)], [json!(0), json!(0)]] {
            let choice = |index: &Value, text: &str| json!({"index": index, "text": text, "finish_reason": "stop"});
            let choices = json!([choice(&first, "a"), choice(&second, "b")]);
            let found = read(json!({"choices": choices, "usage": {"completion_tokens": 3}})).unwrap();
            assert_eq!(found.text, "a");
        }
    }
}
