//! The tokenize stage on real files.

use std::sync::atomic::{AtomicUsize, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Error, OnBadRecord, ReadOptions, TokenFile, TokenWriter, Tokenizer, tokenize};

use crate::support::{Folder, line, prose};

fn tokenizer() -> Tokenizer {
    Tokenizer::train((0..50).map(|i| prose(i, 100)), 400).unwrap()
}

#[test]
fn documents_keep_their_order_and_end_in_their_token() {
    let folder = Folder::new();
    let tokenizer = tokenizer();
    let mut texts: Vec<String> = (0..300).map(|i| prose(i, (i as usize * 37) % 90)).collect();
    // More than one batch of texts, and texts that try to end early.
    texts[3] = "one <|endoftext|> two <|related|>".to_owned();
    texts.extend((0..12).map(|i| prose(i, 60_000)));
    let lines: String = texts.iter().enumerate().map(|(i, text)| line(&i.to_string(), text)).collect();
    let stats =
        tokenize(&folder.write("a.jsonl", lines), &ReadOptions::default(), &tokenizer, &folder.path("a"), &Silent)
            .unwrap();
    let file = TokenFile::open(&folder.path("a")).unwrap();
    assert_eq!((stats.documents as usize, file.documents()), (texts.len(), texts.len()));
    assert_eq!(stats.tokens, file.tokens());
    assert_eq!(stats.bytes as usize, texts.iter().map(String::len).sum::<usize>());
    file.check_ids(tokenizer.vocab_size(), &Silent).unwrap();
    for (i, text) in texts.iter().enumerate() {
        let tokens = file.document(i);
        let (end, body) = tokens.split_last().unwrap();
        assert_eq!(*end, tokenizer.end_of_document());
        assert!(!body.contains(end), "document {i}");
        assert!(tokenizer.decode(body).unwrap() == *text, "document {i}");
    }
}

#[test]
fn a_bad_record_leaves_no_token_file() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", line("a", "x") + "{}\n");
    let error = tokenize(&path, &ReadOptions::default(), &tokenizer(), &folder.path("out/a"), &Silent).unwrap_err();
    assert!(folder.message(&error).starts_with("DIR/a.jsonl:2: no field \"text\""), "{error}");
    assert!(folder.names("out").is_empty());
}

/// A tokenizer in the manner of T5: a Unigram model that has its end token among its pieces.
fn unigram() -> serde_json::Value {
    serde_json::json!({"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [{"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false,
            "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u{2581}", -1.0], ["a", -1.0], ["b", -1.0]]}})
}

#[test]
fn a_document_that_the_tokenizer_does_not_take_is_named_or_passed_over() {
    let folder = Folder::new();
    let tokenizer = Tokenizer::load(&folder.write("t5.json", unigram().to_string())).unwrap();
    let lines = line("a", "ab") + "\n" + &line("b", "a </s> b") + "{\"id\": 7}\n" + &line("c", "ba");
    let path = folder.write("a.jsonl", lines);
    let with = |on_bad_record, out: &str| {
        let options = ReadOptions { on_bad_record, ..ReadOptions::default() };
        tokenize(&path, &options, &tokenizer, &folder.path(out), &Silent)
    };
    let skipped = with(OnBadRecord::Skip, "out/a").unwrap();
    assert_eq!((skipped.documents, skipped.rejected, skipped.bytes), (2, 2, 4));
    let file = TokenFile::open(&folder.path("out/a")).unwrap();
    assert_eq!((file.document(0), file.document(1)), (vec![3, 4, 5, 1], vec![3, 5, 4, 1]));

    let good = folder.write("b.jsonl", line("a", "ab") + "\n" + &line("b", "a </s> b"));
    let error = tokenize(&good, &ReadOptions::default(), &tokenizer, &folder.path("out/b"), &Silent).unwrap_err();
    let expected = "DIR/b.jsonl:3: document \"b\": the tokenizer turns the text \"</s>\" inside a document into the reserved token 1";
    assert!(folder.message(&error).starts_with(expected), "{error}");
    assert_eq!(folder.names("out"), ["a.bin", "a.idx"]);
}

/// Interrupts after having been asked some times.
struct After(AtomicUsize);

impl Monitor for After {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn the_check_of_a_token_file_is_interrupted() {
    let folder = Folder::new();
    let mut writer = TokenWriter::create(&folder.path("t"), 100).unwrap();
    (0..5).for_each(|token| writer.push(&[token, 99]).unwrap());
    writer.finish().unwrap();
    let file = TokenFile::open(&folder.path("t")).unwrap();
    // It is asked for each document.
    for asked in [0, 4] {
        let result = file.check_ids(100, &After(AtomicUsize::new(asked)));
        assert!(matches!(result, Err(Error::Interrupted(_))), "{asked}");
    }
    file.check_ids(100, &After(AtomicUsize::new(5))).unwrap();
}

/// A pattern that takes minutes at one text: each of its million places is tried with all that follow.
fn endless(folder: &Folder) -> (Tokenizer, String) {
    let mut json = unigram();
    json["pre_tokenizer"] =
        serde_json::json!({"type": "Split", "pattern": {"Regex": "a+c"}, "behavior": "Isolated", "invert": false});
    (Tokenizer::load(&folder.write("t.json", json.to_string())).unwrap(), "a".repeat(1 << 20))
}

#[test]
fn the_encoding_of_one_huge_document_is_interrupted() {
    let folder = Folder::new();
    let (tokenizer, text) = endless(&folder);
    let path = folder.write("a.jsonl", line("a", &text));
    let monitor = After(AtomicUsize::new(2));
    let result = tokenize(&path, &ReadOptions::default(), &tokenizer, &folder.path("out/a"), &monitor);
    assert!(matches!(result, Err(Error::Interrupted(_))));
    assert!(folder.names("out").is_empty());
}

#[test]
fn the_training_of_a_tokenizer_is_interrupted() {
    // Words of few letters in no order: merges go on for long.
    let words = (0u64..300_000).map(|i| prose(i, 40));
    let text: String = words.collect::<Vec<_>>().join("\n");
    let stopped = |asked: usize| {
        let monitor = After(AtomicUsize::new(asked));
        (Tokenizer::train_watched([text.clone()].into_iter(), 60_000, &monitor), monitor.0.into_inner())
    };
    // While words are counted, and while merges are learned.
    for asked in [0, 20] {
        let (result, left) = stopped(asked);
        assert!(matches!(result, Err(Error::Interrupted(_))), "{asked}");
        assert_eq!(left, 0);
    }
}

struct Impatient;

impl Monitor for Impatient {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn an_interrupted_tokenization_leaves_no_token_file() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", line("a", "x"));
    let result = tokenize(&path, &ReadOptions::default(), &tokenizer(), &folder.path("out/a"), &Impatient);
    assert!(matches!(result, Err(Error::Interrupted(_))));
    assert!(folder.names("out").is_empty());
}
