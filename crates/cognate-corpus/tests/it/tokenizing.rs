//! The tokenize stage on real files.

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Error, ReadOptions, TokenFile, Tokenizer, tokenize};

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
    file.check_ids(tokenizer.vocab_size()).unwrap();
    for (i, text) in texts.iter().enumerate() {
        let tokens = file.document(i);
        let (end, body) = tokens.split_last().unwrap();
        assert_eq!(*end, tokenizer.end_of_document());
        assert!(!body.contains(end), "document {i}");
        assert!(tokenizer.decode(body) == *text, "document {i}");
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
