//! Which token ends a document, and which begins it.

use cognate_corpus::{Error, Tokenizer};
use serde_json::{Value, json};

use crate::support::{Folder, line};
use crate::tokenizers::{TRAINED, added, foreign};

/// A tokenizer whose usual names are ordinary tokens, as the tags of HTML are in Gemma: its special tokens are `<stop>` (2), `<go>` (3)
/// and `<pad>` (4).
fn tagged() -> Value {
    let mut json = foreign();
    let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
    let mut tokens = vec![added(0, "<unk>", true), added(1, "</s>", false)];
    for (id, name) in [(2, "<stop>"), (3, "<go>"), (4, "<pad>")] {
        let byte = vocabulary.iter().find(|(_, other)| **other == json!(id)).unwrap().0.clone();
        vocabulary.remove(&byte);
        vocabulary.insert(name.to_owned(), json!(id));
        tokens.push(added(id, name, true));
    }
    json["model"]["merges"] = json!([]);
    json["added_tokens"] = json!(tokens);
    json
}

/// Loads a tokenizer with files beside it, as it is given for a corpus and as a checkpoint's own: the begin and the end token, or the
/// complaint. Both must answer alike.
fn frame(tokenizer: &Value, beside: &[(&str, Value)]) -> Result<(u32, u32), String> {
    let folder = Folder::new();
    let path = folder.write("tokenizer.json", tokenizer.to_string());
    for (name, content) in beside {
        folder.write(name, content.to_string());
    }
    let answer = |tokenizer: Result<Tokenizer, Error>| {
        let tokenizer = tokenizer.map_err(|error| folder.message(&error))?;
        Ok((tokenizer.begin_of_document(), tokenizer.end_of_document()))
    };
    let (corpus, checkpoint) = (Tokenizer::load(&path), Tokenizer::of_checkpoint(&folder.path("")));
    if let Ok(tokenizer) = &checkpoint {
        assert!(
            matches!(tokenizer.related(), Err(Error::NoRelatedToken)),
            "nothing is added to a checkpoint's tokenizer"
        );
    }
    let found = answer(corpus);
    assert_eq!(found, answer(checkpoint));
    found
}

#[test]
fn the_files_beside_a_tokenizer_are_asked_in_their_order() {
    let config = |value| ("tokenizer_config.json", value);
    let map = |value| ("special_tokens_map.json", value);
    let model = |value| ("config.json", value);
    let generation = |value| ("generation_config.json", value);
    let stop = json!({"eos_token": "<stop>", "bos_token": "<go>"});
    let pad = json!({"eos_token": "<pad>", "bos_token": "<pad>"});
    let ids = json!({"eos_token_id": 4, "bos_token_id": 4});
    let found = |beside: &[(&str, Value)]| frame(&tagged(), beside).unwrap();
    assert_eq!(found(&[config(stop.clone()), map(pad.clone()), model(ids.clone())]), (3, 2));
    assert_eq!(found(&[config(json!({"model_max_length": 8})), map(stop.clone()), model(ids.clone())]), (3, 2));
    assert_eq!(found(&[map(stop.clone()), model(ids)]), (3, 2));
    assert_eq!(
        found(&[model(json!({"eos_token_id": 2, "bos_token_id": 3})), generation(json!({"eos_token_id": 4}))]),
        (3, 2)
    );
    assert_eq!(found(&[model(json!({"bos_token_id": 3})), generation(json!({"eos_token_id": [2, 4]}))]), (3, 2));
    // Each token on its own: what one file leaves open another may say.
    assert_eq!(found(&[config(json!({"eos_token": "<stop>"})), map(pad.clone())]), (4, 2));
    assert_eq!(found(&[config(json!({"bos_token": "<go>"})), map(pad.clone())]), (3, 4));
    // Said to be none: the end token begins a document.
    assert_eq!(
        found(&[
            config(json!({"bos_token": null, "eos_token": "<stop>"})),
            map(pad),
            model(json!({"bos_token_id": 3}))
        ]),
        (2, 2)
    );
    assert_eq!(found(&[config(json!({"eos_token": "<stop>"}))]), (2, 2));
    // As objects, with how they are stripped.
    assert_eq!(
        found(&[map(json!({"eos_token": {"content": "<stop>", "lstrip": false}, "bos_token": {"content": "<go>"}}))]),
        (3, 2)
    );
}

#[test]
fn only_special_tokens_count_unless_they_are_named() {
    // </s> (1) is an ordinary token, and so is number 300.
    let ids = |ids: Value| frame(&tagged(), &[("config.json", ids)]);
    assert_eq!(ids(json!({"eos_token_id": [1, 300, 2], "bos_token_id": 300})), Ok((2, 2)));
    let advice = "name the right one as eos_token in a tokenizer_config.json beside the tokenizer.json";
    let refused =
        "DIR/tokenizer.json cannot serve as the tokenizer: none of its special tokens is known to end a document";
    assert_eq!(
        ids(json!({"eos_token_id": 1})).unwrap_err(),
        format!("{refused}; config.json has eos_token_id 1, the token \"</s>\", which is not special; {advice}")
    );
    assert_eq!(
        ids(json!({"eos_token_id": 5000})).unwrap_err(),
        format!("{refused}; config.json has eos_token_id 5000, which is no token; {advice}")
    );
    assert_eq!(frame(&tagged(), &[]).unwrap_err(), format!("{refused}; {advice}"));
    // A text file declares it.
    assert_eq!(frame(&tagged(), &[("tokenizer_config.json", json!({"eos_token": "</s>"}))]), Ok((1, 1)));
    let folder = Folder::new();
    folder.write("tokenizer_config.json", json!({"eos_token": "</s>"}).to_string());
    let declared = Tokenizer::load(&folder.write("tokenizer.json", tagged().to_string())).unwrap();
    assert!(!declared.encode("a </s> b").unwrap().contains(&1), "its name in a text stays text");
}

#[test]
fn a_token_is_guessed_by_its_name_where_no_file_names_one() {
    assert_eq!(frame(&foreign(), &[]), Ok((1, 1)));
    assert_eq!(frame(&foreign(), &[("config.json", json!({"eos_token_id": 300}))]), Ok((1, 1)));
    let mut two = tagged();
    two["added_tokens"][1] = added(1, "</s>", true);
    assert_eq!(frame(&two, &[]), Ok((1, 1)));
    two["added_tokens"][2] = added(2, "<eos>", true);
    let vocabulary = two["model"]["vocab"].as_object_mut().unwrap();
    let id = vocabulary.remove("<stop>").unwrap();
    vocabulary.insert("<eos>".to_owned(), id);
    let complaint = frame(&two, &[]).unwrap_err();
    assert!(
        complaint.contains("several of its special tokens may end a document, </s> and <eos>; name"),
        "{complaint}"
    );
    let named = ("special_tokens_map.json", json!({"eos_token": "<eos>"}));
    assert_eq!(frame(&two, &[named]), Ok((2, 2)));
}

#[test]
fn files_beside_speak_of_the_tokenizer_json_alone() {
    let folder = Folder::new();
    folder.write("tokenizer_config.json", json!({"eos_token": "<unk>"}).to_string());
    let other = Tokenizer::load(&folder.write("other.json", foreign().to_string())).unwrap();
    assert_eq!(other.end_of_document(), 1);
    assert_eq!(Tokenizer::files(&folder.path("other.json")).len(), 1);
    let asked = Tokenizer::load(&folder.write("tokenizer.json", foreign().to_string())).unwrap();
    assert_eq!(asked.end_of_document(), 0);
    assert_eq!(Tokenizer::files(&folder.path("tokenizer.json")).len(), 2);
}

#[test]
fn a_saved_tokenizer_keeps_its_frame() {
    let folder = Folder::new();
    folder.write("given/tokenizer_config.json", json!({"eos_token": "<stop>", "bos_token": "<go>"}).to_string());
    let given = Tokenizer::load(&folder.write("given/tokenizer.json", tagged().to_string())).unwrap();
    let path = folder.path("saved/tokenizer.json");
    given.save(&path).unwrap();
    let again = Tokenizer::load(&path).unwrap();
    assert_eq!((again.begin_of_document(), again.end_of_document(), again.related().unwrap()), (3, 2, 700));
    given.check_same(&folder.path("given/tokenizer.json"), &again, &path).unwrap();
    folder.write("saved/tokenizer_config.json", json!({"eos_token": "<pad>"}).to_string());
    let error = given.check_same(&path, &Tokenizer::load(&path).unwrap(), &path).unwrap_err();
    assert!(
        matches!(&error, Error::OtherFrame { first_frame, second_frame, .. }
        if first_frame == "\"<go>\" and \"<stop>\"" && second_frame == "\"<pad>\" and \"<pad>\""),
        "{error}"
    );
}

#[test]
fn files_that_name_tokens_wrongly_are_named_themselves() {
    let complaint = |name: &str, content: Value| frame(&foreign(), &[(name, content)]).unwrap_err();
    let file = "cannot serve as the tokenizer:";
    assert_eq!(
        complaint("tokenizer_config.json", json!({"eos_token": "<eot>"})),
        format!("DIR/tokenizer_config.json {file} its eos_token \"<eot>\" is not in the vocabulary of tokenizer.json")
    );
    assert_eq!(
        complaint("special_tokens_map.json", json!({"bos_token": 7})),
        format!("DIR/special_tokens_map.json {file} its bos_token is 7; expected a token's text")
    );
    let message = complaint("config.json", json!([]));
    assert!(message.starts_with(&format!("DIR/config.json {file} it is not a JSON object")), "{message}");
}

#[test]
fn our_own_tokenizer_needs_no_files() {
    let folder = Folder::new();
    let path = folder.write("t.json", TRAINED.to_json());
    let loaded = Tokenizer::load(&path).unwrap();
    assert_eq!((loaded.begin_of_document(), loaded.end_of_document(), loaded.related().unwrap()), (0, 0, 1));
    assert_eq!(loaded.never_inside(), [1]);
}

#[test]
fn documents_close_with_the_token_that_the_configuration_names() {
    use cognate_base::Silent;
    use cognate_corpus::{ReadOptions, TokenFile, tokenize};

    let folder = Folder::new();
    folder.write("tokenizer_config.json", json!({"eos_token": "<stop>", "bos_token": "<go>"}).to_string());
    let tokenizer = Tokenizer::load(&folder.write("tokenizer.json", tagged().to_string())).unwrap();
    let documents = folder.write("a.jsonl", line("a", "tags </s> and <go>") + &line("b", "<stop>"));
    tokenize(&documents, &ReadOptions::default(), &tokenizer, &folder.path("a"), &Silent).unwrap();
    let tokens = TokenFile::open(&folder.path("a")).unwrap();
    let (first, second) = (tokens.document(0), tokens.document(1));
    assert_eq!((first.last(), second.last()), (Some(&2), Some(&2)));
    assert_eq!(first.iter().filter(|id| **id == 1).count(), 1, "an ordinary added token is found in a text");
    assert!(
        !first.contains(&3) && second.iter().filter(|id| **id == 2).count() == 1,
        "names of special tokens stay text"
    );
    assert_eq!(tokenizer.never_inside(), [700, 3]);
}
