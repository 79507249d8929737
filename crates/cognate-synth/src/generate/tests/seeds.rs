//! Which seed a document has, how much of it, and what the record says of it.

use super::*;

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
        assert_eq!(world.tokenizer.decode(&prompt[1..prompt.len() - 1]), expected[seed]);
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
            writer.write(&Document { id: i.to_string(), text: "t".into(), metadata: Map::new() }).unwrap();
        }
        writer.finish().unwrap();
        path
    };
    let error = Seeds::open(&write("four.jsonl", 4), tokens.clone()).unwrap_err();
    assert!(matches!(error, Error::SeedCount { documents: 4, tokenized: 5, .. }), "{error}");
    let empty = Seeds::open(&write("none.jsonl", 0), tokens.clone()).unwrap_err();
    assert!(empty.to_string().ends_with("none.jsonl: no seed documents to generate from"), "{empty}");
    for (name, lines, expected) in [
        ("blank.jsonl", [("0", "t"), ("1", " \n")], "blank.jsonl:2: the document \"1\" has no text"),
        ("twice.jsonl", [("0", "t"), ("0", "u")], "twice.jsonl:2: the id \"0\" stands there a second time"),
    ] {
        let path = world.out(name);
        let line = |(id, text): (&str, &str)| format!("{}\n", serde_json::json!({"id": id, "text": text}));
        fs_err::write(&path, lines.map(line).concat()).unwrap();
        let message = Seeds::open(&path, tokens.clone()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
