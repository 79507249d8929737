//! The tokenizer: reproducible, lossless, and not to be fooled by what a text says.

use std::sync::LazyLock;

use cognate_corpus::{END_OF_DOCUMENT, Error, LARGEST_VOCABULARY, RELATED, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Folder, prose};

pub(crate) static TRAINED: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::train(texts().into_iter(), 700).unwrap());

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
fn a_vocabulary_larger_than_any_of_use() {
    let error = Tokenizer::train(texts().into_iter(), LARGEST_VOCABULARY + 1).unwrap_err();
    assert_eq!(error.to_string(), "a vocabulary of 4194305 tokens is too large: expected 4194304 at most");
}

/// Merges learned from words of up to 256 bytes are those of earlier versions and of the library's own training.
#[test]
fn the_merges_are_those_of_the_library() {
    use tokenizers::models::TrainerWrapper;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    let alphabet = ByteLevel::alphabet().into_iter().collect();
    let trainer = BpeTrainer::builder().vocab_size(700 - 2).min_frequency(2).initial_alphabet(alphabet);
    let mut trainer = TrainerWrapper::from(trainer.show_progress(false).build());
    let mut library = tokenizers::Tokenizer::new(BPE::default());
    library.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    library.train(&mut trainer, texts().into_iter()).unwrap();
    let merges = |json: &str| -> Value { serde_json::from_str::<Value>(json).unwrap()["model"]["merges"].take() };
    let (found, expected) = (merges(&TRAINED.to_json()), merges(&library.to_string(false).unwrap()));
    assert_eq!(expected.as_array().unwrap().len(), 700 - 258);
    assert_eq!(found, expected);
}

#[test]
fn text_without_spaces_is_learned_from_in_time_that_grows_with_its_length() {
    // A hundred thousand characters in one word; in one piece they would take minutes.
    let mut state = 1u64;
    let text: String = (0..100_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from_u32(0x4e00 + ((state >> 33) % 700) as u32).unwrap()
        })
        .collect();
    let tokenizer = Tokenizer::train([text.clone()].into_iter(), 2000).unwrap();
    assert_eq!(tokenizer.vocab_size(), 2000);
    let tokens = tokenizer.encode(&text).unwrap();
    assert!(tokens.len() < 150_000, "characters of three bytes became tokens: {}", tokens.len());
    assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
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
        assert_eq!(TRAINED.decode(&ids).unwrap(), text);
    }
    assert_eq!(TRAINED.decode(&[0, 1]).unwrap(), "", "the reserved tokens themselves have no text");
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
        prop_assert_eq!(TRAINED.decode(&ids).unwrap(), text);
    }

    #[test]
    fn a_batch_is_its_texts(texts in prop::collection::vec(any::<String>(), 0..6)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let alone: Vec<Vec<u32>> = texts.iter().map(|text| TRAINED.encode(text).unwrap()).collect();
        prop_assert_eq!(TRAINED.encode_batch(&texts).unwrap(), alone);
    }
}

/// A `tokenizer.json` as other people write them: no token of ours, another end token, and settings for inference. `<unk>` is token 0,
/// `</s>` token 1.
pub(crate) fn foreign() -> Value {
    let mut json: Value = serde_json::from_str(&TRAINED.to_json()).unwrap();
    json["added_tokens"] = json!([added(0, "<unk>", true), added(1, "</s>", true)]);
    let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
    for (ours, theirs) in [(END_OF_DOCUMENT, "<unk>"), (RELATED, "</s>")] {
        let id = vocabulary.remove(ours).unwrap();
        vocabulary.insert(theirs.to_owned(), id);
    }
    json
}

/// An entry of `added_tokens`.
pub(crate) fn added(id: u32, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": special})
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
    assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    let again = load(&folder, &serde_json::from_str(&tokenizer.to_json()).unwrap()).unwrap();
    assert_eq!((again.end_of_document(), again.related().unwrap(), again.vocab_size()), (1, 700, 701));
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
    let last = vocabulary.iter().find(|(_, id)| **id == json!(2)).unwrap().0.clone();
    vocabulary.insert(last, json!(700));
    assert!(complaint(&gap).contains("has the number 700 of the reserved token <|related|>"), "{}", complaint(&gap));
    // Behind the gap stands the end token, with the number that would be the next one's when what was written is read.
    let mut end = foreign();
    end["model"]["vocab"]["</s>"] = json!(700);
    let message = complaint(&end);
    assert!(message.ends_with("its token \"<|related|>\" would be 700 and not 701"), "{message}");
    let message = complaint(&json!({"version": "1.0"}));
    assert!(
        message.starts_with("DIR/foreign.json cannot serve as the tokenizer: it is no tokenizer.json (it has no model"),
        "{message}"
    );
    let mut huge = foreign();
    huge["model"]["vocab"]["huge"] = json!(4_000_000_000u32);
    assert_eq!(
        complaint(&huge),
        "DIR/foreign.json cannot serve as the tokenizer: it has a token 4000000000; expected numbers below 4194304"
    );
    let mut negative = foreign();
    negative["model"]["vocab"]["less"] = json!(-1);
    assert!(
        complaint(&negative).contains("it is no tokenizer.json (a token's number is -1"),
        "{}",
        complaint(&negative)
    );
    let mut twice = foreign();
    twice["model"]["vocab"]["twice"] = json!(5);
    assert!(complaint(&twice).contains("have one number, 5"), "{}", complaint(&twice));
    let mut template = foreign();
    template["post_processor"] = json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {}});
    assert!(
        complaint(&template).contains("cannot serve as the tokenizer: the tokenizers library gives up on it: "),
        "{}",
        complaint(&template)
    );
    let directory = folder.message(&Tokenizer::load(&folder.path("")).unwrap_err());
    assert!(directory.ends_with("it is a folder; name the tokenizer.json in it"), "{directory}");
    let missing = Tokenizer::load(&folder.path("none.json")).unwrap_err();
    assert!(folder.message(&missing).contains("DIR/none.json"), "{missing}");
}

#[test]
fn a_model_that_makes_a_reserved_token_of_text_is_found_out() {
    let folder = Folder::new();
    let json = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(1, "</s>", true)],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "</s>": 1, "ba": 2}, "unk_token": "<unk>"}});
    let tokenizer = load(&folder, &json).unwrap();
    assert_eq!(tokenizer.encode("ba ba ke").unwrap(), [2, 2, 0]);
    let error = tokenizer.encode("ba </s> ba").unwrap_err();
    assert!(matches!(&error, Error::ReservedInText { token, id: 1 } if token == "</s>"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(folder.path(name)).status().unwrap();
        assert!(made.success());
    };
    pipe("pipe.json");
    let error = Tokenizer::load(&folder.path("pipe.json")).unwrap_err();
    assert!(
        folder.message(&error).ends_with("DIR/pipe.json cannot serve as the tokenizer: it is not an ordinary file")
    );
    let path = folder.write("tokenizer.json", foreign().to_string());
    pipe("special_tokens_map.json");
    let error = Tokenizer::load(&path).unwrap_err();
    assert!(folder.message(&error).starts_with("DIR/special_tokens_map.json cannot"), "{error}");
}

#[test]
fn a_decoder_that_the_library_panics_at_is_an_error() {
    let folder = Folder::new();
    let mut json = foreign();
    json["decoder"] = json!({"type": "Strip", "content": "$", "start": 0, "stop": 900});
    let error = load(&folder, &json).unwrap().decode(&[5, 6]).unwrap_err();
    let message = folder.message(&error);
    assert!(message.starts_with("the tokenizer of DIR/foreign.json failed: index out of bounds"), "{message}");
}

#[test]
fn a_template_with_a_number_of_no_token_is_an_error() {
    let folder = Folder::new();
    let mut json = foreign();
    json["post_processor"] = json!({"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 70_000]});
    let error = load(&folder, &json).unwrap().prefix().unwrap_err();
    assert!(error.to_string().ends_with("failed: it writes 70000, which is the number of no token"), "{error}");
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

/// A repository's pointer, a server's page and half a file are told from a file of another kind, in a tokenizer and in the files beside it.
#[test]
fn what_stands_in_for_a_tokenizer_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let whole = serde_json::to_string(&foreign()).unwrap();
    let path = folder.path().join("tokenizer.json");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        for (text, said) in [
            (pointer, "a Git LFS pointer"),
            ("<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
            (&whole[..whole.len() / 2], "it is cut short"),
        ] {
            fs_err::write(&path, &whole).unwrap();
            fs_err::write(folder.path().join(file), text).unwrap();
            let message = Tokenizer::load(&path).unwrap_err().to_string();
            assert!(message.contains(file) && message.contains(said), "{message}");
        }
        fs_err::remove_file(folder.path().join(file)).unwrap();
    }
}
