//! The tokenizer: reproducible, lossless, and not to be fooled by what a text says.

use std::sync::LazyLock;

use cognate_corpus::{END_OF_DOCUMENT, Error, FrameIds, RELATED, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Folder, prose};

static TRAINED: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::train(texts().into_iter(), 700).unwrap());

fn texts() -> Vec<String> {
    (0..400)
        .map(|i| {
            format!("{}, it's {} \u{e9}t\u{e9} \u{4f60}\u{597d}!\n\n<|related|> {i}", prose(i, 60), prose(i + 1000, 30))
        })
        .collect()
}

#[test]
fn the_vocabulary_is_laid_out_as_promised() {
    let tokenizer = &*TRAINED;
    assert_eq!((tokenizer.end_of_document(), tokenizer.related().unwrap(), tokenizer.vocab_size()), (0, 1, 700));
    let json: Value = serde_json::from_str(&tokenizer.to_json()).unwrap();
    assert_eq!(json["model"]["vocab"].as_object().unwrap().len(), 700);
    assert_eq!(json["model"]["merges"].as_array().unwrap().len(), 700 - 258);
    assert_eq!(json["model"]["vocab"]["!"], 2, "the bytes follow the reserved tokens");
    let added: Vec<(&str, bool)> = json["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| (token["content"].as_str().unwrap(), token["special"].as_bool().unwrap()))
        .collect();
    assert_eq!(added, [(END_OF_DOCUMENT, true), (RELATED, true)]);
}

#[test]
fn training_does_not_depend_on_threads_or_order() {
    let expected = TRAINED.to_json();
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool.install(|| Tokenizer::train(texts().into_iter(), 700)).unwrap();
        assert!(again.to_json() == expected, "{threads} threads");
    }
    assert!(Tokenizer::train(texts().into_iter().rev(), 700).unwrap().to_json() == expected);
}

#[test]
fn ties_are_settled_the_same_way_every_time() {
    // Few letters and small counts: almost every merge is a tie.
    let texts: Vec<String> = (0..60u64).map(|i| format!("{:b}", i * 2_654_435_761 % 4096)).collect();
    let train = || Tokenizer::train(texts.clone().into_iter(), 330).unwrap().to_json();
    let first = train();
    assert!((0..20).all(|_| train() == first));
}

#[test]
fn a_corpus_too_small_for_the_vocabulary_gives_a_smaller_one() {
    let tokenizer = Tokenizer::train(["a tiny tiny corpus".to_owned()].into_iter(), 5000).unwrap();
    assert!((259..300).contains(&tokenizer.vocab_size()), "{}", tokenizer.vocab_size());
    assert_eq!(Tokenizer::train(std::iter::empty(), 5000).unwrap().vocab_size(), 258);
}

#[test]
fn a_vocabulary_without_room_for_the_bytes() {
    let error = Tokenizer::train(texts().into_iter(), 257).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a vocabulary of 257 tokens is too small: the 256 bytes and the reserved tokens need 258"
    );
    assert_eq!(Tokenizer::train(texts().into_iter(), 258).unwrap().vocab_size(), 258);
}

#[test]
fn the_name_of_a_reserved_token_stays_text() {
    for text in [
        "<|related|>",
        "<|endoftext|>",
        "a <|related|><|endoftext|> b",
        "<|endoftext|><|endoftext|>",
        " <|related|>\n",
        "<|rel<|related|>ated|>",
    ] {
        let ids = TRAINED.encode(text).unwrap();
        assert!(ids.iter().all(|id| *id > 1), "{text}: {ids:?}");
        assert_eq!(TRAINED.decode(&ids), text);
    }
    assert_eq!(TRAINED.decode(&[0, 1]), "", "the reserved tokens themselves have no text");
}

#[test]
fn a_loaded_tokenizer_encodes_as_the_saved_one() {
    let folder = Folder::new();
    TRAINED.save(&folder.path("tokenizer.json")).unwrap();
    let loaded = Tokenizer::load(&folder.path("tokenizer.json")).unwrap();
    assert!(loaded.to_json() == TRAINED.to_json());
    for text in texts() {
        assert_eq!(loaded.encode(&text).unwrap(), TRAINED.encode(&text).unwrap());
    }
}

#[test]
fn long_runs_do_not_change_how_the_rest_is_split() {
    // A regular expression that gives up after too many steps would leave the tail in one piece.
    let tail = TRAINED.encode("x ba ke li").unwrap();
    for filler in [" ", "\n", "a", "\u{4f60}"] {
        let ids = TRAINED.encode(&format!("{}\n\nx ba ke li", filler.repeat(300_000))).unwrap();
        assert!(ids.ends_with(&tail[1..]), "{filler:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_comes_back_and_never_as_a_reserved_token(
        pieces in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                "\\PC{0,8}",
                "[ \\t\\r\\n\u{a0}\u{3000}]{1,6}",
                prop::sample::select(vec!["<|related|>", "<|endoftext|>", "<|", "|>", "it's", "\u{0}", "\u{120}", "\u{fffd}"])
                    .prop_map(str::to_owned),
            ],
            0..8,
        ),
    ) {
        let text = pieces.concat();
        let ids = TRAINED.encode(&text).unwrap();
        prop_assert!(ids.iter().all(|id| *id > 1 && (*id as usize) < TRAINED.vocab_size()));
        prop_assert_eq!(TRAINED.decode(&ids), text);
    }

    #[test]
    fn a_batch_is_its_texts(texts in prop::collection::vec(any::<String>(), 0..6)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let alone: Vec<Vec<u32>> = texts.iter().map(|text| TRAINED.encode(text).unwrap()).collect();
        prop_assert_eq!(TRAINED.encode_batch(&texts).unwrap(), alone);
    }
}

/// A `tokenizer.json` as other people write them: no token of ours, another end token, and settings for inference.
fn foreign() -> Value {
    let mut json: Value = serde_json::from_str(&TRAINED.to_json()).unwrap();
    json["added_tokens"] = json!([]);
    let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
    for (ours, theirs) in [(END_OF_DOCUMENT, "<unk>"), (RELATED, "</s>")] {
        let id = vocabulary.remove(ours).unwrap();
        vocabulary.insert(theirs.to_owned(), id);
    }
    json
}

fn load(folder: &Folder, json: &Value) -> Result<Tokenizer, Error> {
    Tokenizer::load(&folder.write("foreign.json", json.to_string()))
}

#[test]
fn a_foreign_tokenizer_gets_what_it_lacks() {
    let folder = Folder::new();
    let tokenizer = load(&folder, &foreign()).unwrap();
    assert_eq!((tokenizer.end_of_document(), tokenizer.related().unwrap(), tokenizer.vocab_size()), (1, 700, 701));
    let text = "li </s> <|related|> mo";
    let ids = tokenizer.encode(text).unwrap();
    assert!(!ids.contains(&1) && !ids.contains(&700));
    assert_eq!(tokenizer.decode(&ids), text);
    let again = load(&folder, &serde_json::from_str(&tokenizer.to_json()).unwrap()).unwrap();
    assert_eq!((again.end_of_document(), again.related().unwrap(), again.vocab_size()), (1, 700, 701));

    let mut nameless = foreign();
    let vocabulary = nameless["model"]["vocab"].as_object_mut().unwrap();
    let id = vocabulary.remove("</s>").unwrap();
    vocabulary.insert("<other>".to_owned(), id);
    let tokenizer = load(&folder, &nameless).unwrap();
    assert_eq!((tokenizer.end_of_document(), tokenizer.related().unwrap(), tokenizer.vocab_size()), (700, 701, 702));
}

/// A checkpoint directory's tokenizer, with a `tokenizer_config.json` where `config` is one.
fn of_checkpoint(json: &Value, config: Option<Value>, ids: FrameIds) -> Result<Tokenizer, String> {
    let folder = Folder::new();
    folder.write("tokenizer.json", json.to_string());
    if let Some(config) = config {
        folder.write("tokenizer_config.json", config.to_string());
    }
    Tokenizer::of_checkpoint(&folder.path("."), ids).map_err(|error| folder.message(&error))
}

#[test]
fn a_checkpoints_tokenizer_gains_nothing_and_frames_documents_as_it_says() {
    let frame = |config: Option<Value>, begin, end| {
        let found = of_checkpoint(&foreign(), config, FrameIds { begin, end }).unwrap();
        assert_eq!(found.vocab_size(), 700, "no token is added");
        assert!(matches!(found.related(), Err(Error::NoRelatedToken)));
        (found.begin_of_document(), found.end_of_document())
    };
    // <unk> is token 0, </s> is token 1.
    assert_eq!(frame(Some(json!({"bos_token": "<unk>", "eos_token": "</s>"})), Some(5), Some(6)), (0, 1));
    assert_eq!(frame(Some(json!({"bos_token": null, "eos_token": {"content": "<unk>"}})), Some(5), Some(6)), (0, 0));
    assert_eq!(frame(Some(json!({})), Some(5), Some(6)), (1, 1), "the name of the end token");
    assert_eq!(frame(None, Some(0), Some(1)), (0, 1));
    assert_eq!(frame(None, None, Some(0)), (0, 0));
    assert_eq!(frame(None, None, None), (1, 1));
    // Ours has its tokens and keeps them.
    let ours: Value = serde_json::from_str(&TRAINED.to_json()).unwrap();
    let found = of_checkpoint(&ours, None, FrameIds::default()).unwrap();
    assert_eq!((found.end_of_document(), found.related().unwrap(), found.vocab_size()), (0, 1, 700));
}

#[test]
fn a_checkpoints_tokenizer_that_frames_nothing_is_named() {
    let complaint = |json: &Value, config: Option<Value>, end| {
        of_checkpoint(json, config, FrameIds { begin: None, end }).unwrap_err()
    };
    let file = "cannot serve as the tokenizer:";
    assert_eq!(
        complaint(&foreign(), Some(json!({"eos_token": "<eot>"})), None),
        format!(
            "DIR/./tokenizer_config.json {file} its eos_token \"<eot>\" is not in the vocabulary of tokenizer.json"
        )
    );
    assert_eq!(
        complaint(&foreign(), Some(json!({"bos_token": 7})), None),
        format!("DIR/./tokenizer_config.json {file} its bos_token is 7; expected a token's text")
    );
    assert_eq!(
        complaint(&foreign(), None, Some(5000)),
        format!(
            "DIR/./tokenizer.json {file} it has no token 5000, which config.json names as bos_token_id or eos_token_id"
        )
    );
    let mut nameless = foreign();
    let vocabulary = nameless["model"]["vocab"].as_object_mut().unwrap();
    let id = vocabulary.remove("</s>").unwrap();
    vocabulary.insert("<other>".to_owned(), id);
    assert_eq!(
        complaint(&nameless, None, None),
        format!(
            "DIR/./tokenizer.json {file} no end-of-document token is defined; name one as eos_token in \
             tokenizer_config.json"
        )
    );
}

#[test]
fn a_foreign_tokenizer_does_not_shorten_pad_or_frame_documents() {
    let folder = Folder::new();
    let mut json = foreign();
    json["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<unk>"});
    json["post_processor"] = json!({"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}});
    let tokenizer = load(&folder, &json).unwrap();
    for text in ["ba ke li mo nu ra si to ba ke li mo nu", ""] {
        assert_eq!(tokenizer.encode(text).unwrap(), TRAINED.encode(text).unwrap());
    }
}

#[test]
fn tokenizer_files_that_cannot_serve() {
    let folder = Folder::new();
    let complaint = |json: &Value| folder.message(&load(&folder, json).unwrap_err());
    let mut dropout = foreign();
    dropout["model"]["dropout"] = json!(0.1);
    assert_eq!(
        complaint(&dropout),
        "DIR/foreign.json cannot serve as the tokenizer: its model drops merges at random; set model.dropout to null"
    );
    // A vocabulary with a gap: the library would number the next token by counting.
    let mut gap = foreign();
    let vocabulary = gap["model"]["vocab"].as_object_mut().unwrap();
    let last = vocabulary.iter().find(|(_, id)| **id == json!(0)).unwrap().0.clone();
    vocabulary.insert(last, json!(700));
    assert!(complaint(&gap).contains("has the number 700 of the reserved token <|related|>"), "{}", complaint(&gap));
    let message = complaint(&json!({"version": "1.0"}));
    assert!(
        message.starts_with("DIR/foreign.json cannot serve as the tokenizer: it is no tokenizer.json (Model missing"),
        "{message}"
    );
    let missing = Tokenizer::load(&folder.path("none.json")).unwrap_err();
    assert!(folder.message(&missing).contains("DIR/none.json"), "{missing}");
}

#[test]
fn a_model_that_makes_a_reserved_token_of_text_is_found_out() {
    let folder = Folder::new();
    let json = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "</s>": 1, "ba": 2}, "unk_token": "<unk>"}});
    let tokenizer = load(&folder, &json).unwrap();
    assert_eq!(tokenizer.encode("ba ba ke").unwrap(), [2, 2, 0]);
    let error = tokenizer.encode("ba </s> ba").unwrap_err();
    assert!(matches!(&error, Error::ReservedInText { token, id: 1 } if token == "</s>"), "{error}");
}

#[test]
fn the_prefix_is_what_the_tokenizer_itself_puts_before_a_text() {
    let folder = Folder::new();
    let ours = Tokenizer::train(["the cat the cat".to_owned()].into_iter(), 262).unwrap();
    assert_eq!(ours.prefix().unwrap(), [0u32; 0]);
    let mut json: Value = serde_json::from_str(&ours.to_json()).unwrap();
    let special = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    let piece = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let (begin, end, text) =
        (piece("<|related|>"), piece("<|endoftext|>"), json!({"Sequence": {"id": "A", "type_id": 0}}));
    json["post_processor"] = json!({
        "type": "TemplateProcessing", "single": [begin, text, end], "pair": [text, text],
        "special_tokens": {"<|related|>": special("<|related|>", 1), "<|endoftext|>": special("<|endoftext|>", 0)},
    });
    let path = folder.write("framed.json", json.to_string());
    assert_eq!(Tokenizer::load(&path).unwrap().prefix().unwrap(), [1]);
}
