//! Tasks on a small model of random weights, against sums over its logits.

use std::path::PathBuf;
use std::sync::Mutex;

use cognate_base::Silent;
use cognate_model::{Batch, Config, Decoder, Ensemble, IGNORE};
use cognate_ops::Cpu;
use tempfile::TempDir;

use super::*;

const WORDS: &str = "the cat sat on the mat and the dog ran to the cat; why did she do it? because he said so. ";

fn tokenizer() -> Tokenizer {
    Tokenizer::train([WORDS.repeat(3)].into_iter(), 300).unwrap()
}

fn model(vocab: usize, max_positions: usize, threads: usize) -> Ensemble<Cpu> {
    let config = Config {
        vocab,
        width: 32,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_width: 16,
        ffn: 64,
        max_positions,
        rope_base: 10_000.0,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: true,
    };
    Decoder::new(Cpu::new(threads).unwrap(), config, 8).unwrap().into()
}

/// ln p(continuation | prompt) and whether it is the likeliest text, from the logits of a whole forward pass.
fn by_logits(model: &mut Ensemble<Cpu>, item: &ScoreItem) -> (f64, bool) {
    let tokens = [item.prompt.as_slice(), &item.continuation].concat();
    let mut batch = Batch::new();
    batch.push(&tokens, &vec![IGNORE; tokens.len()]);
    let vocab = model.config().vocab;
    let logits = model.members_mut()[0].logits(&batch).unwrap();
    let (mut sum, mut greedy) = (0.0, true);
    for at in item.prompt.len()..tokens.len() {
        let row = &logits[(at - 1) * vocab..at * vocab];
        let own = row[tokens[at] as usize];
        sum += f64::from(own) - row.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
        greedy &= row.iter().all(|logit| *logit <= own);
    }
    (sum, greedy)
}

#[test]
fn an_ensemble_averages_probabilities_in_choices_and_answers() {
    let member = |seed: u64| {
        let config = model(300, 64, 1).config().clone();
        let mut member = Decoder::new(Cpu::new(1).unwrap(), config, seed).unwrap();
        // Random weights expect all tokens alike: larger ones do not.
        member.parameters_mut().iter_mut().for_each(|p| *p *= 3.0);
        member
    };
    let item = |prompt: &[u32], continuation: &[u32]| ScoreItem {
        prompt: prompt.to_vec(),
        continuation: continuation.to_vec(),
    };
    let questions = vec![vec![item(&[1, 2], &[3, 4, 5]), item(&[1, 2], &[6])], vec![item(&[9, 8, 7], &[7, 7])]];
    let mut all = Ensemble::new(vec![member(1), member(2), member(3)]).unwrap();
    let found = likelihoods(&mut all, &questions, 40, &Silent).unwrap();
    let rows = |member: &mut Decoder<Cpu>, item: &ScoreItem| {
        let tokens = [item.prompt.as_slice(), &item.continuation].concat();
        let mut batch = Batch::new();
        batch.push(&tokens, &vec![IGNORE; tokens.len()]);
        let logits = member.logits(&batch).unwrap();
        let softmax = |row: &[f32]| {
            let total: f64 = row.iter().map(|z| f64::from(*z).exp()).sum();
            row.iter().map(|z| f64::from(*z).exp() / total).collect::<Vec<f64>>()
        };
        logits.chunks(300).map(softmax).collect::<Vec<_>>()
    };
    for (items, found) in questions.iter().zip(&found) {
        for (item, found) in items.iter().zip(found) {
            let mut members = [member(1), member(2), member(3)].map(|mut member| rows(&mut member, item));
            let mut sum = 0.0;
            for (at, token) in item.continuation.iter().enumerate() {
                let row = item.prompt.len() + at - 1;
                sum += (members.iter().map(|rows| rows[row][*token as usize]).sum::<f64>() / 3.0).ln();
            }
            assert!((found.log_likelihood - sum).abs() < 1e-4, "{} {sum}", found.log_likelihood);
            // A mean of logits would be another number.
            let logits: f64 = item
                .continuation
                .iter()
                .enumerate()
                .map(|(at, token)| {
                    let row = item.prompt.len() + at - 1;
                    members.iter_mut().map(|rows| rows[row][*token as usize].ln()).sum::<f64>() / 3.0
                })
                .sum();
            assert!((logits - sum).abs() > 1e-2, "{logits} {sum}");
        }
    }
    // What follows is the same whether one row is asked for, or all.
    let mut cache = all.cache(1, 16, cognate_ops::Precision::F32).unwrap();
    let mut logits = Vec::new();
    all.advance(&mut cache, &[(0, &[1, 2, 3])], &mut logits).unwrap();
    let three = item(&[1, 2, 3], &[4]);
    let expected = likelihoods(&mut all, &[vec![three]], 40, &Silent).unwrap()[0][0].log_likelihood;
    assert!((f64::from(logits[4]) - expected).abs() < 1e-6);
    let total: f64 = logits.iter().map(|z| f64::from(*z).exp()).sum();
    assert!((total - 1.0).abs() < 1e-5);
    assert!(all.fed().tokens > 0 && all.fed().flops > 0.0);
}

fn write(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    cognate_base::files::write_atomic(&path, content).unwrap();
    path
}

const OPTIONS: TaskOptions = TaskOptions { shots: None, limit: None, seed: 3, batch_tokens: 200 };

fn run(
    model: &mut Ensemble<Cpu>,
    tokenizer: &Tokenizer,
    task: &str,
    path: &Path,
    options: TaskOptions,
) -> Result<(TaskScores, Vec<Outcome>)> {
    let files = TaskFiles { questions: path.to_path_buf(), examples: None };
    evaluate_task(model, tokenizer, &Definition::bundled(task).unwrap(), &files, options, &Silent)
}

const PIQA: &str = "{\"goal\": \"the cat\", \"sol1\": \"sat on the mat\", \"sol2\": \"sat on the dog\", \"label\": 0}\n\
                    {\"goal\": \"why\", \"sol1\": \"because\", \"sol2\": \"because he said so.\", \"label\": 1}\n\n\
                    {\"goal\": \"she\", \"sol1\": \"é\", \"sol2\": \"did it\", \"label\": 0}\n";

#[test]
fn likelihoods_are_sums_over_the_logits_however_prefixes_are_shared() {
    let mut model = model(300, 64, 2);
    let item = |prompt: &[u32], continuation: &[u32]| ScoreItem {
        prompt: prompt.to_vec(),
        continuation: continuation.to_vec(),
    };
    let greedy = {
        let mut batch = Batch::new();
        batch.push(&[5, 6, 7], &[IGNORE; 3]);
        let logits = model.members_mut()[0].logits(&batch).unwrap();
        (0..300u32).max_by(|a, b| logits[600 + *a as usize].total_cmp(&logits[600 + *b as usize])).unwrap()
    };
    let questions = vec![
        // One prompt; continuations of several lengths, with a common beginning, one of them the other's beginning.
        vec![
            item(&[5, 6, 7], &[8]),
            item(&[5, 6, 7], &[8, 9, 10]),
            item(&[5, 6, 7], &[8, 9]),
            item(&[5, 6, 7], &[greedy]),
        ],
        // Other prompts, one continuation; nothing in common; a prompt that goes on where the other's continuation does.
        vec![item(&[1, 2, 3, 4], &[20, 21]), item(&[1, 2, 9], &[20, 21])],
        vec![item(&[30], &[31, 32]), item(&[40, 41], &[42])],
        vec![item(&[50, 51], &[52, 53]), item(&[50, 51, 52], &[53, 54, 55])],
        vec![item(&[60], &[61])],
        Vec::new(),
    ];
    let found = likelihoods(&mut model, &questions, 1000, &Silent).unwrap();
    let mut greedy = 0;
    for (items, found) in questions.iter().zip(&found) {
        assert_eq!(items.len(), found.len());
        for (item, found) in items.iter().zip(found) {
            let (sum, is_greedy) = by_logits(&mut model, item);
            // f32 logits of order 1 on two paths through the model: some units in the last place each.
            assert!((found.log_likelihood - sum).abs() < 2e-5, "{item:?}: {found:?} against {sum}");
            assert_eq!(found.greedy, is_greedy, "{item:?}");
            greedy += usize::from(is_greedy);
        }
    }
    assert!(greedy >= 1);
    for batch_tokens in [1, 12] {
        assert_eq!(likelihoods(&mut model, &questions, batch_tokens, &Silent).unwrap(), found, "{batch_tokens}");
    }
}

#[test]
fn a_choice_task_end_to_end() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let path = write(&folder, "piqa.jsonl", PIQA);
    let mut model = model(tokenizer.vocab_size(), 64, 2);
    let (scores, outcomes) = run(&mut model, &tokenizer, "piqa", &path, OPTIONS).unwrap();
    assert_eq!((scores.n, scores.shots, scores.truncated, scores.lossy), (3, 0, 0, 0));
    assert_eq!(outcomes.iter().map(|outcome| outcome.row).collect::<Vec<_>>(), [1, 2, 4]);
    let encoder = Encoder::new(Rows { tokenizer: &tokenizer, rows: tokenizer.vocab_size() }, 64).unwrap();
    let origin = cognate_corpus::Origin { file: path.as_path().into(), row: 1 };
    let mut right = 0.0;
    let texts = [
        ("the cat", ["sat on the mat", "sat on the dog"], 0),
        ("why", ["because", "because he said so."], 1),
        ("she", ["é", "did it"], 0),
    ];
    for ((goal, choices, gold), outcome) in texts.into_iter().zip(&outcomes) {
        let sums = choices.map(|choice| {
            let context = format!("Question: {goal}\nAnswer:");
            by_logits(&mut model, &encoder.pair(&origin, &context, &format!(" {choice}")).unwrap().tokens).0
        });
        for ((found, sum), text) in outcome.choices.iter().zip(sums).zip(choices) {
            assert!((found.log_likelihood - sum).abs() < 2e-5);
            assert_eq!(found.characters, text.chars().count());
        }
        right += f64::from(u8::from((sums[0] >= sums[1]) == (gold == 0)));
    }
    assert_eq!(scores.value, right / 3.0);
    // Neither batches nor threads change a bit, and a limit takes the first.
    let other = run(
        &mut self::model(tokenizer.vocab_size(), 64, 1),
        &tokenizer,
        "piqa",
        &path,
        TaskOptions { batch_tokens: 1, ..OPTIONS },
    );
    assert_eq!(other.unwrap().1, outcomes);
    let limited = run(&mut model, &tokenizer, "piqa", &path, TaskOptions { limit: Some(2), ..OPTIONS }).unwrap().1;
    assert_eq!(limited, outcomes[..2]);
    // Examples change the figures, the same way each time, and by the seed.
    let with = |seed| TaskOptions { shots: Some(1), seed, ..OPTIONS };
    let mut shot = |seed| run(&mut model, &tokenizer, "piqa", &path, with(seed)).unwrap().1;
    let (first, again) = (shot(3), shot(3));
    assert_eq!(first, again);
    assert_ne!(first[0].choices, outcomes[0].choices);
    assert!((4..20).any(|seed| shot(seed) != first));
}

#[test]
fn a_context_too_small_is_truncated_and_counted() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let path = write(&folder, "piqa.jsonl", PIQA);
    let mut small = model(tokenizer.vocab_size(), 16, 1);
    let (scores, _) = run(&mut small, &tokenizer, "piqa", &path, OPTIONS).unwrap();
    assert!(scores.truncated > 0, "{scores:?}");
    let mut tiny = model(tokenizer.vocab_size(), 2, 1);
    let error = run(&mut tiny, &tokenizer, "piqa", &path, OPTIONS).unwrap_err().to_string();
    assert!(error.contains("piqa.jsonl:1: the answer takes ") && error.contains("context of 2 "), "{error}");
}

#[test]
fn lambada_counts_the_likeliest_word() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let mut model = model(tokenizer.vocab_size(), 64, 1);
    let path = write(&folder, "l.jsonl", "{\"text\": \"the cat sat on the mat\"}\n{\"text\": \"the dog ran\"}\n");
    let (scores, outcomes) = run(&mut model, &tokenizer, "lambada", &path, OPTIONS).unwrap();
    let mean = outcomes.iter().map(|outcome| outcome.choices[0].log_likelihood).sum::<f64>() / 2.0;
    assert!((scores.metrics["perplexity"].value - (-mean).exp()).abs() < 1e-9);
    let greedy = outcomes.iter().filter(|outcome| outcome.choices[0].greedy).count() as f64;
    assert_eq!((scores.metric.as_str(), scores.value), ("accuracy", greedy / 2.0));
}

#[test]
fn written_answers_are_the_likeliest_tokens() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let mut model = model(tokenizer.vocab_size(), 128, 2);
    let rows: String = ["why", "the cat", "did she do it"]
        .map(|text| format!("{{\"question\": \"{text}\", \"answers\": [\"nobody\"]}}\n"))
        .concat();
    let path = write(&folder, "w.jsonl", &rows);
    let options = TaskOptions { shots: Some(0), ..OPTIONS };
    let (scores, outcomes) = run(&mut model, &tokenizer, "webquestions", &path, options).unwrap();
    assert_eq!((scores.metric.as_str(), scores.value), ("exact_match", 0.0));
    let mut accepted = String::new();
    for (question, outcome) in ["why", "the cat", "did she do it"].iter().zip(&outcomes) {
        let mut tokens = tokenizer.encode(&format!("Question: {question}\nAnswer:")).unwrap();
        let (start, vocab) = (tokens.len(), model.config().vocab);
        let mut text = String::new();
        for _ in 0..32 {
            let mut batch = Batch::new();
            batch.push(&tokens, &vec![IGNORE; tokens.len()]);
            let logits = model.members_mut()[0].logits(&batch).unwrap();
            let last = &logits[logits.len() - vocab..];
            let best = (0..vocab).rev().max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap() as u32;
            if best == tokenizer.end_of_document() {
                break;
            }
            tokens.push(best);
            text = tokenizer.decode(&tokens[start..]).unwrap();
            if text.contains('\n') {
                break;
            }
        }
        let expected = text.split('\n').next().unwrap().trim();
        assert_eq!(outcome.answer.as_deref(), Some(expected));
        accepted += &serde_json::json!({"question": question, "answers": ["x", expected.to_uppercase()]}).to_string();
        accepted.push('\n');
    }
    // The answer that is written, in other letters, is right.
    let path = write(&folder, "accepted.jsonl", &accepted);
    assert_eq!(run(&mut model, &tokenizer, "webquestions", &path, options).unwrap().0.value, 1.0);
    let small = TaskOptions { batch_tokens: 1, ..options };
    assert_eq!(run(&mut model, &tokenizer, "webquestions", &path, small).unwrap().1.len(), 3);
}

#[test]
fn refusals() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let mut model = model(tokenizer.vocab_size(), 64, 1);
    let mut error = |task: &str, name: &str, content: &str, options: TaskOptions| {
        let path = write(&folder, name, content);
        let error = run(&mut model, &tokenizer, task, &path, options).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(error("piqa", "e.jsonl", "\n", OPTIONS), "the task `piqa` is empty: e.jsonl holds no records");
    assert!(error("piqa", "b.jsonl", "{\"goal\"", OPTIONS).starts_with("b.jsonl:1: not JSON ("));
    let label = PIQA.replace("\"label\": 1", "\"label\": 2");
    let expected = "l.jsonl:2: field \"label\": the label 2 is none of the choices 0 to 1";
    assert_eq!(error("piqa", "l.jsonl", &label, OPTIONS), expected);
    let shots = |shots| TaskOptions { shots: Some(shots), ..OPTIONS };
    assert!(
        error("piqa", "p.jsonl", PIQA, shots(3)).starts_with("p.jsonl:1: 3 examples were asked for, and p.jsonl has 2")
    );
    let blimp = "{\"sentence_good\": \"a\", \"sentence_bad\": \"b\", \"UID\": \"u\"}";
    let expected = "the task `blimp` takes at most 0 examples before a question, and 1 were asked for";
    assert_eq!(error("blimp", "m.jsonl", blimp, shots(1)), expected);
    let missing = folder.path().join("none.jsonl");
    let error = run(&mut model, &tokenizer, "piqa", &missing, OPTIONS).unwrap_err().to_string();
    assert!(error.ends_with("none.jsonl does not exist"), "{error}");
}

#[test]
fn text_that_the_tokenizer_has_no_bytes_for_is_counted() {
    let (folder, complete) = (tempfile::tempdir().unwrap(), tokenizer());
    let path = folder.path().join("tokenizer.json");
    complete.save(&path).unwrap();
    // Without the first byte of é, in the alphabet of byte-level vocabularies.
    let mut json: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    let id = vocab.remove("Ã").unwrap();
    vocab.insert("not to be found".to_owned(), id);
    cognate_base::files::write_atomic(&path, json.to_string()).unwrap();
    let lacking = Tokenizer::load(&path).unwrap();
    let questions = write(&folder, "piqa.jsonl", PIQA);
    let mut model = model(complete.vocab_size(), 64, 1);
    assert_eq!(run(&mut model, &complete, "piqa", &questions, OPTIONS).unwrap().0.lossy, 0);
    let (scores, outcomes) = run(&mut model, &lacking, "piqa", &questions, OPTIONS).unwrap();
    assert_eq!((scores.lossy, outcomes.iter().map(|o| o.lossy).collect::<Vec<_>>()), (1, vec![false, false, true]));
    let documents = ["a cat", "é"].map(|text| {
        Ok(cognate_corpus::Document {
            id: text.to_owned(),
            text: text.to_owned(),
            group: None,
            metadata: Default::default(),
        })
    });
    let options = crate::PerplexityOptions::of(&lacking, 64);
    let (found, _) =
        crate::perplexity(&mut model.members_mut()[0], &lacking, documents.into_iter(), options, &Silent).unwrap();
    assert_eq!(found.lossy, 1);
}

/// Writes down how far it is.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Monitor for Told {
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit) {
        self.0.lock().unwrap().push(format!("{what} {total:?} {unit:?}"));
    }
    fn advance(&self, done: u64, _: &str) {
        self.0.lock().unwrap().push(done.to_string());
    }
    fn end(&self) {
        self.0.lock().unwrap().push("end".into());
    }
    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn questions_go_in_batches_of_as_many_tokens_as_allowed_the_longest_first() {
    let mut model = model(300, 64, 1);
    let question = |tokens: u32| vec![ScoreItem { prompt: (1..=tokens).collect(), continuation: vec![9] }];
    let questions = [question(2), question(8), question(4), question(4), Vec::new()];
    let told = Told::default();
    let found = likelihoods(&mut model, &questions, 8, &told).unwrap();
    // 8 | 4, 4 | 2, and the one without an item in none.
    assert_eq!(told.0.into_inner().unwrap(), ["score Some(5) Documents", "1", "3", "4", "end"]);
    assert_eq!(found, likelihoods(&mut model, &questions, 1000, &Silent).unwrap());

    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let mut model = self::model(tokenizer.vocab_size(), 128, 1);
    let lines = ["why", "the cat sat", "did she do it"]
        .map(|text| format!("{{\"question\": \"{text}\", \"answers\": [\"a\"]}}\n"));
    let files = TaskFiles { questions: write(&folder, "w.jsonl", &lines.concat()), examples: None };
    let longest = ["the cat sat", "did she do it"]
        .map(|text| tokenizer.encode(&format!("Question: {text}\nAnswer:")).unwrap().len());
    // Two of the longest with their answers of 32 tokens.
    let batch_tokens = 2 * (longest[0].max(longest[1]) + 32);
    let options = TaskOptions { shots: Some(0), batch_tokens, ..OPTIONS };
    let told = Told::default();
    let task = Definition::bundled("webquestions").unwrap();
    evaluate_task(&mut model, &tokenizer, &task, &files, options, &told).unwrap();
    assert_eq!(told.0.into_inner().unwrap(), ["webquestions Some(3) Documents", "2", "3", "end"]);
}

/// A model that writes after each of these tokens the next one, and nothing that would be likelier: each has a direction of its own.
fn chain(tokens: &[u32], head: f32) -> Ensemble<Cpu> {
    let vocab = 300;
    let config = Config { tied: false, ..model(vocab, 128, 1).config().clone() };
    let scratch = Decoder::new(Cpu::new(1).unwrap(), config.clone(), 1).unwrap();
    let mut values = vec![0.0; config.parameters()];
    let range = |name: &str| {
        let tensor = scratch.layout().tensors().iter().find(|tensor| tensor.name == name).unwrap();
        tensor.range.start
    };
    for tensor in scratch.layout().tensors().iter().filter(|tensor| tensor.name.contains("norm")) {
        values[tensor.range.clone()].fill(1.0);
    }
    let (embedding, out) = (range("model.embed_tokens.weight"), range("lm_head.weight"));
    for (at, two) in tokens.windows(2).enumerate() {
        values[embedding + two[0] as usize * config.width + at] = 1.0;
        values[out + two[1] as usize * config.width + at] = head;
    }
    Decoder::with_parameters(Cpu::new(1).unwrap(), config, &values).unwrap().into()
}

#[test]
fn an_answer_ends_with_the_document_at_a_stop_or_after_the_most_tokens() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let path = write(&folder, "w.jsonl", "{\"question\": \"q\", \"answers\": [\"zx\", \"Z.\"]}\n");
    let byte = |text: &str| *tokenizer.encode(text).unwrap().last().unwrap();
    let [colon, z, x, newline, end] = [byte("Answer:"), byte("z"), byte("x"), byte("\n"), tokenizer.end_of_document()];
    let options = TaskOptions { shots: Some(0), ..OPTIONS };
    let answer = |tokens: &[u32]| {
        let (scores, outcomes) = run(&mut chain(tokens, 1.0), &tokenizer, "webquestions", &path, options).unwrap();
        (outcomes[0].answer.clone().unwrap(), scores.value)
    };
    assert_eq!(answer(&[colon, z, x, end, z]), ("zx".to_owned(), 1.0));
    assert_eq!(answer(&[colon, z, newline, x, end]), ("z".to_owned(), 1.0));
    assert_eq!(answer(&[colon, newline, z, end]), (String::new(), 0.0));
    assert_eq!(answer(&[colon, z, x, z]), ("zx".repeat(16), 0.0));
}

#[test]
fn a_likelihood_that_is_no_number_names_the_question() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let [colon, space] = ["Answer:", " sat"].map(|text| tokenizer.encode(text).unwrap());
    let tokens = [*colon.last().unwrap(), space[0]];
    let path = write(&folder, "piqa.jsonl", PIQA);
    for (head, found) in [(f32::NAN, "NaN"), (f32::MIN, "inf")] {
        let error = run(&mut chain(&tokens, head), &tokenizer, "piqa", &path, OPTIONS).unwrap_err().to_string();
        let expected = format!("piqa: {}:1: the model's loss is {found}; ", path.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn what_is_refused_of_files_is_refused_before_there_is_a_model() {
    let (folder, tokenizer) = (tempfile::tempdir().unwrap(), tokenizer());
    let check = |task: &str, content: &str, positions: Option<usize>, options: TaskOptions| {
        let files = TaskFiles { questions: write(&folder, "q.jsonl", content), examples: None };
        let models = positions.map(|positions| (&tokenizer, positions));
        let checked = check_task(models, &Definition::bundled(task).unwrap(), &files, options, &Silent);
        checked.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    };
    assert_eq!(check("piqa", PIQA, None, OPTIONS), Ok(()));
    assert_eq!(check("piqa", PIQA, Some(16), OPTIONS), Ok(()));
    let error = check("piqa", PIQA, Some(2), OPTIONS).unwrap_err();
    assert!(error.starts_with("q.jsonl:1: the answer takes ") && error.contains("context of 2 "), "{error}");
    let error = check("piqa", &PIQA.replace("\"label\": 1", "\"label\": 2"), None, OPTIONS).unwrap_err();
    assert_eq!(error, "q.jsonl:2: field \"label\": the label 2 is none of the choices 0 to 1");
    let shots = |shots| TaskOptions { shots: Some(shots), ..OPTIONS };
    assert_eq!(check("piqa", PIQA, None, shots(2)), Ok(()));
    assert!(check("piqa", PIQA, None, shots(3)).unwrap_err().starts_with("q.jsonl:1: 3 examples were asked for"));
    let web = "{\"question\": \"q\", \"answers\": [\"a\"]}";
    assert_eq!(check("webquestions", web, Some(33), shots(0)), Ok(()));
    assert!(
        check("webquestions", web, Some(32), shots(0))
            .unwrap_err()
            .starts_with("q.jsonl:1: the answer takes 32 tokens")
    );
    let blimp = "{\"sentence_good\": \"a\", \"sentence_bad\": \"b\", \"UID\": \"u\"}";
    assert_eq!(check("blimp", blimp, None, OPTIONS), Ok(()), "as many examples as it takes at most: none");
}

#[test]
fn examples_come_from_their_file_behind_the_description_and_a_limit_counts_each_group() {
    let folder = tempfile::tempdir().unwrap();
    let record = |question: &str, subject: &str| {
        let choices = ["1", "2", "3", "4"];
        serde_json::json!({"question": question, "subject": subject, "choices": choices, "answer": 2}).to_string()
            + "\n"
    };
    let asked = [record("a", "law"), record("b", "law"), record("c", "art")].concat();
    let questions = write(&folder, "mmlu.jsonl", &asked);
    let examples = write(&folder, "mmlu_dev.jsonl", &[record("e", "art"), record("f", "law")].concat());
    let task = Definition::bundled("mmlu").unwrap();
    let read = |examples: &Path, shots, limit| {
        let files = TaskFiles { questions: questions.clone(), examples: Some(examples.to_path_buf()) };
        Asked::read(&task, &files, TaskOptions { shots: Some(shots), limit, ..OPTIONS })
    };
    let one = read(&examples, 1, Some(1)).unwrap();
    assert_eq!(one.chosen, [0, 2]);
    let description =
        |subject| format!("The following are multiple choice questions (with answers) about {subject}.\n\n");
    let example = |question| format!("{question}\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: C\n\n");
    assert_eq!(one.before(0).unwrap(), description("law") + &example("f"));
    assert_eq!(one.before(2).unwrap(), description("art") + &example("e"));
    assert!(read(&examples, 2, None).unwrap().before(0).is_err());
    // Where none are asked for, nobody looks for them.
    let missing = folder.path().join("none.jsonl");
    let none = read(&missing, 0, None).unwrap();
    assert_eq!((none.chosen.as_slice(), none.before(0).unwrap()), (&[0, 1, 2][..], description("law")));
    assert!(read(&missing, 1, None).is_err());
}

#[test]
fn a_tasks_file_goes_by_the_first_of_its_names_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["mmlu".to_owned(), "other".to_owned()];
    assert_eq!(file_in(folder.path(), &names), None);
    fs_err::create_dir(folder.path().join("mmlu.jsonl")).unwrap();
    for name in ["other.parquet", "other.jsonl.gz", "mmlu.json"] {
        let path = write(&folder, name, "");
        assert_eq!(file_in(folder.path(), &names), Some(path));
    }
    assert_eq!(file_names(&names), "mmlu or other.{jsonl,jsonl.zst,jsonl.gz,json,parquet}");
}
