//! Which seed a document has, how much of it, and what the record says of it.

use super::*;
use crate::generate::seeds::Origins;

#[test]
fn samples_of_one_seed_stand_in_a_row_and_say_which_they_are() {
    let world = World::new();
    let three = GenerateConfig { target: Target::Documents(31), samples_per_seed: 3, ..config(7) };
    world.run(&world.out("a"), &three, &Silent).unwrap();
    for (number, document) in documents(&world.out("a")).iter().enumerate() {
        let seed = seed_of(11, number as u64 / 3, SEED_TEXTS.len());
        assert_eq!(document.metadata["seed_id"], format!("seed-{seed}"));
        assert_eq!(document.metadata["sample"], number % 3);
    }
    world.run(&world.out("b"), &config(7), &Silent).unwrap();
    assert!(documents(&world.out("b")).iter().all(|document| !document.metadata.contains_key("sample")));
}

#[test]
fn seeds_of_a_larger_vocabulary_are_refused() {
    let world = World::new();
    let small = Tokenizer::train(["x".to_owned()].into_iter(), 258).unwrap();
    assert!(small.vocab_size() < world.tokenizer.vocab_size());
    let outcome = generate_with(&mut Toy::new(2, &small), &small, &world.seeds, &world.out("a"), &config(2), &Silent);
    assert!(matches!(outcome, Err(Error::Corpus(_))), "{outcome:?}");
    assert!(!world.out("a").exists());
}

#[test]
fn records_say_where_they_come_from() {
    let world = World::new();
    let stats = world.run(&world.out("a"), &config(5), &Silent).unwrap();
    let found = documents(&world.out("a"));
    let (mut cut, mut prompt) = (0, 0);
    for (number, document) in found.iter().enumerate() {
        let seed = seed_of(11, number as u64, SEED_TEXTS.len());
        assert_eq!(document.metadata["seed_id"], format!("seed-{seed}"));
        assert_eq!(document.metadata["synthesizer"], "toy");
        assert_eq!(document.metadata["sampling"]["top_p"], 0.9);
        assert!(document.metadata["mean_log_probability"].as_f64().unwrap() < 0.0);
        let capped = metadata::unfinished(document).unwrap();
        assert!(!capped || document.metadata["tokens"] == 30);
        let encoded = world.tokenizer.encode(SEED_TEXTS[seed]).unwrap();
        let found = world.tokenizer.cut(&encoded, 12);
        cut += u64::from(found.is_some());
        prompt += found.map_or(encoded.len(), |found| found.tokens) as u64 + 2;
    }
    assert!(cut > 0, "no seed was long enough");
    assert_eq!((stats.seeds_cut, stats.prompt_tokens, stats.distinct_seeds), (cut, prompt, 5));
}

#[test]
fn long_seeds_are_cut_at_the_end_of_a_sentence_or_a_word_and_counted() {
    // Every byte is a token; fourteen fit.
    let texts = ["A dog sat. Cats sat too.", "dogs about cats", "xxxxxxxxxxxxxxxxxxxx", "a short seed"];
    let expected = ["A dog sat.", "dogs about", "xxxxxxxxxxxxxx", "a short seed"];
    let world = World::of(&texts, 258);
    let config = GenerateConfig { max_seed_tokens: 14, ..config(3) };
    let stats = world.run(&world.out("a"), &config, &Silent).unwrap();
    let prompts = config.prompts(&world.seeds, &world.tokenizer, world.tokenizer.related().unwrap());
    let (mut counts, mut cut) = ([0; 4], CutCounts::default());
    for number in 0..stats.documents {
        let seed = seed_of(11, number, 4);
        counts[seed] += 1;
        let prompt = prompts.prompt(number);
        assert_eq!(world.tokenizer.decode(&prompt[1..prompt.len() - 1]).unwrap(), expected[seed]);
        assert_eq!(prompts.prompt_tokens(number), prompt.len());
    }
    [cut.sentence, cut.word, cut.token, _] = counts;
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    assert_eq!((stats.seeds_cut_at, stats.seeds_cut), (cut, stats.documents - counts[3]));
    assert_eq!(world.run(&world.out("a"), &config, &Silent).unwrap(), stats);
}

#[test]
fn seeds_must_match_their_token_file() {
    let world = World::new();
    let tokens = TokenFile::open(&world.folder.path().join("unique")).unwrap();
    let write = |name: &str, count: usize| {
        let path = world.out(name);
        let mut writer = DocumentWriter::create(&path).unwrap();
        for i in 0..count {
            writer
                .write(&Document { id: i.to_string(), text: "t".into(), group: None, metadata: Default::default() })
                .unwrap();
        }
        writer.finish().unwrap();
        path
    };
    let error = Seeds::open(&write("four.jsonl", 4), &ReadOptions::default(), tokens.clone(), &Silent).unwrap_err();
    assert!(matches!(error, Error::SeedCount { documents: 4, tokenized: 5, .. }), "{error}");
    let path = world.out("twice.jsonl");
    fs_err::write(&path, "{\"id\": \"0\", \"text\": \"t\"}\n".repeat(5)).unwrap();
    let message = Seeds::open(&path, &ReadOptions::default(), tokens, &Silent).unwrap_err().to_string();
    assert!(message.contains("twice.jsonl:2: the id \"0\" stands there a second time"), "{message}");
}

/// A document without text is no seed, wherever it stands, and no document that is written starts from it.
#[test]
fn documents_without_text_are_passed_over_and_counted() {
    let of = |texts: &[&str], name: &str| {
        let world = World::of(texts, 270);
        let stats = world.run(&world.out(name), &config(4), &Silent).unwrap();
        (stats, documents(&world.out(name)))
    };
    let (plain, expected) = of(&SEED_TEXTS, "plain");
    let with_blank = [&["", " \n"], &SEED_TEXTS[..2], &["\t"], &SEED_TEXTS[2..]].concat();
    let (stats, found) = of(&with_blank, "blank");
    assert_eq!((stats.seeds_without_text, plain.seeds_without_text), (3, 0));
    assert_eq!((stats.documents, stats.tokens, stats.distinct_seeds), (plain.documents, plain.tokens, 5));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.text, expected.text);
        let seed = |document: &Document| {
            metadata::seed_id(document).unwrap().unwrap().strip_prefix("seed-").unwrap().parse::<usize>().unwrap()
        };
        // Two blank ones stand before the first text, a third before the third.
        assert_eq!(with_blank[seed(found)], SEED_TEXTS[seed(expected)]);
    }
    let world = World::new();
    let path = world.out("blank.jsonl");
    let blank = |i: usize| format!("{{\"id\": \"{i}\", \"text\": \" \"}}\n");
    fs_err::write(&path, (0..5).map(blank).collect::<String>()).unwrap();
    let tokens = TokenFile::open(&world.folder.path().join("unique")).unwrap();
    let error = Seeds::open(&path, &ReadOptions::default(), tokens, &Silent).unwrap_err();
    assert!(error.to_string().ends_with("blank.jsonl: no seed documents to generate from"), "{error}");
}

/// What a record says of its text is what its own tokenizer says of it.
#[test]
fn records_are_marked_whose_text_holds_a_special_token() {
    let world = World::new();
    let marks = Marks::of(&world.tokenizer);
    let marked = |text: &str| {
        let mut fields = Map::new();
        marks.insert(&mut fields, text);
        fields
    };
    assert_eq!(marked("plain <|text|> of endoftext"), Map::new());
    for (text, token) in [
        ("a <|related|> b", "<|related|>"),
        ("<|endoftext|>", "<|endoftext|>"),
        ("a<|endoftext|> b<|related|>", "<|endoftext|>"),
        ("a<|related|> b<|endoftext|>", "<|related|>"),
    ] {
        assert_eq!(Value::from(marked(text)), json!({"special_token": token}), "{text}");
    }
}
