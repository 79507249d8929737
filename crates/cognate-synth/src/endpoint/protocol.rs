//! What is asked and what is answered, as bytes: OpenAI's `/v1/completions`, without a network.

use std::sync::Once;

use cognate_base::random::{self, Rng};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::Fault;
use super::workers::Question;
use crate::generate::{Finish, GenerateConfig};
use crate::sampling::Sampling;

/// What a server said, as a message.
pub(crate) type Said<'a> = &'a dyn Fn(&[u8]) -> String;

/// What makes a token impossible, in every server's own words.
const NEVER: f64 = -100.0;

/// Said once: a server may call its model what it likes.
static OTHER_MODEL: Once = Once::new();

/// A document that the server wrote; a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The document's number.
    pub(super) number: u64,
    /// Its text, as the server decoded it.
    pub(super) text: String,
    /// Drawn tokens, the closing end-of-document token included.
    pub(super) tokens: u64,
    /// Why it ended.
    pub(super) finish: Finish,
    /// Nats per token, to six decimals, over the tokens that the server gave one for; none where it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mean_log_probability: Option<f64>,
}

/// A document to ask for.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) prompt_tokens: usize,
    pub(super) max_new_tokens: usize,
    pub(super) model: String,
    pub(super) body: Vec<u8>,
}

/// The seed of document `number`'s draws: 31 bits, which every server takes (llama.cpp's has 32 bits, and all ones mean none).
pub(crate) fn request_seed(seed: u64, number: u64) -> u64 {
    random::stream(seed, "endpoint-seed", number).next_u64() >> 33
}

impl Job {
    /// The request for document `number`, whose prompt is `prompt`. `related` may not be drawn.
    pub(super) fn new(config: &GenerateConfig, model: &str, related: u32, number: u64, prompt: &[u32]) -> Self {
        let mut bias = Map::new();
        bias.insert(related.to_string(), json!(NEVER));
        let Sampling { temperature, top_p, top_k, min_p, repetition_penalty } = config.sampling;
        let mut body = json!({
            "model": model,
            // As token ids: the server's tokenizer has no say, so no token is added and none is spelt otherwise.
            "prompt": prompt,
            "n": 1,
            "stream": false,
            "max_tokens": config.max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seed": request_seed(config.seed, number),
            "logprobs": 1,
            "logit_bias": bias,
            // Said when off too: llama.cpp's server has a top-k and a min-p of its own, vLLM's those of generation_config.json.
            "top_k": if top_k == 0 { json!(-1) } else { json!(top_k) },
            "min_p": min_p,
        });
        if let (true, Value::Object(fields)) = (repetition_penalty != 1.0, &mut body) {
            fields.insert("repetition_penalty".into(), repetition_penalty.into());
            // llama.cpp's names: there it reaches back 64 tokens unless all are asked for.
            fields.insert("repeat_penalty".into(), repetition_penalty.into());
            fields.insert("repeat_last_n".into(), json!(-1));
        }
        let body = body.to_string().into_bytes();
        let (prompt_tokens, max_new_tokens) = (prompt.len(), config.max_new_tokens);
        Self { number, prompt_tokens, max_new_tokens, model: model.to_owned(), body }
    }
}

/// The answer in a body, and its text. What is no JSON may be a proxy's or a cut one: asking again may help then.
pub(crate) fn completion(body: &[u8], said: Said<'_>) -> Result<(Value, String), (Fault, bool)> {
    let wrong = |what: String, transient: bool| (Fault::Answer { what, said: said(body) }, transient);
    let answer: Value =
        serde_json::from_slice(body).map_err(|error| wrong(format!("the answer is not JSON: {error}"), true))?;
    let Some(choice) = answer.pointer("/choices/0") else {
        return Err(wrong("the answer has no choices".into(), false));
    };
    let Some(text) = choice.get("text").and_then(Value::as_str) else {
        return Err(wrong("its choice has no text".into(), false));
    };
    let text = text.to_owned();
    Ok((answer, text))
}

impl Question for Job {
    type Answer = Written;

    fn number(&self) -> u64 {
        self.number
    }

    fn body(&self) -> &[u8] {
        &self.body
    }

    /// A document that the server gave up may come out the next time; an answer that says something else than was asked would
    /// say it again.
    fn read(&self, body: &[u8], said: Said<'_>) -> Result<Written, (Fault, bool)> {
        let wrong = |what: String, transient: bool| (Fault::Answer { what, said: said(body) }, transient);
        let (answer, text) = completion(body, said)?;
        let choice = &answer["choices"][0];
        let finish = match choice.get("finish_reason").and_then(Value::as_str) {
            Some("stop") => Finish::Eod,
            Some("length") => Finish::Cap,
            other => {
                // What the server sends is shown without the key.
                let what = format!(
                    "finish_reason is {}, expected \"stop\" or \"length\"",
                    other.map_or("absent".into(), |word| format!("{:?}", said(word.as_bytes())))
                );
                return Err(wrong(what, true));
            }
        };
        if let Some(served) = answer.get("model").and_then(Value::as_str).filter(|served| *served != self.model) {
            OTHER_MODEL.call_once(|| {
                tracing::warn!(
                    "the server says that {} answers, and {} was asked: the records name the checkpoint given here; make sure that it serves it",
                    said(served.as_bytes()),
                    self.model
                );
            });
        }
        let counted = |name: &str| answer.get("usage").and_then(|usage| usage.get(name)).and_then(Value::as_u64);
        if let Some(counted) = counted("prompt_tokens").filter(|&counted| counted != self.prompt_tokens as u64) {
            let asked = self.prompt_tokens;
            let what = format!(
                "it counts {counted} tokens in a prompt of {asked}: it adds some, cuts some, or reads them as text"
            );
            return Err(wrong(what, false));
        }
        let log_probabilities = log_probabilities(choice);
        let tokens = match counted("completion_tokens") {
            Some(tokens) => tokens,
            None if log_probabilities.is_empty() => {
                return Err(wrong(
                    "neither usage.completion_tokens nor logprobs says how many tokens were drawn".into(),
                    false,
                ));
            }
            None => log_probabilities.len() as u64,
        };
        // A document that ended drew its end at least, whether the server counts it or not.
        let tokens = if finish == Finish::Eod { tokens.max(1) } else { tokens };
        if tokens == 0 || tokens > self.max_new_tokens as u64 {
            let what = format!("it counts {tokens} drawn tokens, of at least 1 and at most {}", self.max_new_tokens);
            return Err(wrong(what, false));
        }
        let mean_log_probability = mean(&log_probabilities);
        Ok(Written { number: self.number, text, tokens, finish, mean_log_probability })
    }
}

/// The log-probabilities of the drawn tokens in nats, as vLLM and SGLang (`token_logprobs`) or llama.cpp (`content`) give them.
fn log_probabilities(choice: &Value) -> Vec<f64> {
    let Some(given) = choice.get("logprobs") else { return Vec::new() };
    let plain = given.get("token_logprobs").and_then(Value::as_array);
    let content = given.get("content").and_then(Value::as_array);
    match (plain, content) {
        (Some(plain), _) => plain.iter().filter_map(Value::as_f64).collect(),
        (None, Some(content)) => content.iter().filter_map(|token| token.get("logprob")?.as_f64()).collect(),
        (None, None) => Vec::new(),
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
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

    fn job() -> Job {
        let config = config();
        Job::new(&config, "syn", 1, 3, &[0, 7, 8, 1])
    }

    fn read(body: Value) -> Result<Written, (String, bool)> {
        let said = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
        job().read(body.to_string().as_bytes(), &said).map_err(|(fault, transient)| (fault.to_string(), transient))
    }

    #[test]
    fn a_request_holds_what_was_set_and_switches_off_the_rest() {
        let body: Value = serde_json::from_slice(&job().body).unwrap();
        let expected = json!({
            "model": "syn", "prompt": [0, 7, 8, 1], "n": 1, "stream": false, "max_tokens": 20, "temperature": 0.8,
            "top_p": 0.9, "seed": request_seed(5, 3), "logprobs": 1, "logit_bias": {"1": -100.0}, "top_k": -1,
            "min_p": 0.0,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn what_is_on_is_asked_for_under_the_servers_names() {
        let mut config = config();
        config.sampling = Sampling { top_k: 40, min_p: 0.05, repetition_penalty: 1.1, ..config.sampling };
        let body: Value = serde_json::from_slice(&Job::new(&config, "s", 1, 3, &[0]).body).unwrap();
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
            (json!([1]), "no choices", false),
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
            assert!(
                message.contains(expected) && message.contains(&body.to_string().replace('"', "\\\"")),
                "{message}"
            );
            assert_eq!(transient, again, "{message}");
        }
        let (fault, transient) = job().read(b"{\"choices\": [", &|_: &[u8]| "cut".into()).unwrap_err();
        assert!(transient && fault.to_string().contains("not JSON"), "{fault}");
    }
}
