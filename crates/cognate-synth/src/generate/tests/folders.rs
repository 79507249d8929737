//! A folder that is interrupted, divided, joined, damaged or somebody else's.

use super::*;

#[test]
fn a_resumed_run_is_an_undisturbed_one() {
    let world = World::new();
    let whole = world.out("whole");
    let stats = world.run(&whole, &config(6), &Silent).unwrap();
    // Killed at different steps, with another number of slots each time, with and without the saved partial work.
    for (steps, keep_partial) in [(1, true), (13, true), (13, false), (40, true), (97, false)] {
        let out = world.out(&format!("{steps}-{keep_partial}"));
        let mut interruptions = 0;
        let resumed = loop {
            let budget = steps * (1 + interruptions); // grows, since lost work would otherwise never end
            match world.run(&out, &config(6 + interruptions as usize % 3), &Stopper::after(budget)) {
                Ok(stats) => break stats,
                Err(Error::Interrupted(_)) => interruptions += 1,
                Err(error) => panic!("{error}"),
            }
            if !keep_partial {
                fs_err::remove_file(out.join("partial.jsonl")).unwrap();
            }
        };
        assert!(interruptions >= 1, "{steps}");
        assert_eq!(resumed, stats, "{steps}");
        assert_eq!(contents(&out), contents(&whole), "{steps}");
    }
}

/// The parts of a generation, each interrupted and resumed, hold its documents number by number, and joined they are its files.
#[test]
fn parts_are_the_documents_of_the_whole() {
    let world = World::new();
    let all = GenerateConfig {
        target: Target::Documents(50),
        first_document: 3,
        samples_per_seed: 2,
        shard_documents: 5,
        ..config(7)
    };
    let stats = world.run(&world.out("whole"), &all, &Silent).unwrap();
    assert_eq!(stats.documents, 50);
    let whole = documents(&world.out("whole"));
    let mut parts = Vec::new();
    for index in [2, 0, 1, 3] {
        let part = GenerateConfig { shard: Some(Part { index, of: 4 }), ..all.clone() };
        let out = world.out(&format!("part-{index}"));
        assert!(matches!(world.run(&out, &part, &Stopper::after(6)), Err(Error::Interrupted(_))));
        let stats = world.run(&out, &part, &Silent).unwrap();
        let expected: Vec<Document> =
            (3..53).zip(&whole).filter(|(number, _)| number % 4 == index).map(|(_, d)| d.clone()).collect();
        assert_eq!((documents(&out), stats.documents), (expected.clone(), expected.len() as u64), "{index}");
        let other = GenerateConfig { shard: Some(Part { index, of: 5 }), ..all.clone() };
        match world.run(&out, &other, &Silent) {
            Err(Error::OtherSettings { field, .. }) => assert_eq!(field, "shard"),
            other => panic!("{other:?}"),
        }
        parts.push(out);
    }
    assert_eq!(join::join(&parts, &world.out("joined"), &Silent).unwrap(), 50);
    assert_eq!(contents(&world.out("joined")), contents(&world.out("whole")));
    assert_eq!(world.run(&world.out("joined"), &all, &Silent).unwrap(), stats, "joined, it counts as the whole");
    let refused = |folders: &[PathBuf]| join::join(folders, &world.out("no"), &Silent).unwrap_err().to_string();
    assert!(refused(&parts[..3]).contains("one of 4 parts, and 3 folders"), "{}", refused(&parts[..3]));
    assert!(refused(&[&parts[..3], &parts[..1]].concat()).contains("part 2/4 too"));
    assert!(refused(&[world.out("whole")]).contains("no part of a generation"));
    assert!(!world.out("no").exists());
    fs_err::remove_file(files::shards(&parts[1]).unwrap().pop().unwrap()).unwrap();
    let message = refused(&parts);
    assert!(
        message.contains("it ends where")
            && message.ends_with("finish this part first, with the command that began it; nothing was written"),
        "{message}"
    );
    assert!(!world.out("no").exists());
    // A token target cannot be divided: the other parts' lengths are not known.
    let tokens = GenerateConfig { shard: Some(Part { index: 0, of: 4 }), ..config(7) };
    assert!(tokens.check().unwrap_err().to_string().starts_with("shard = 0/4: expected target_documents"));
}

#[test]
fn saved_work_is_not_done_again() {
    let world = World::new();
    let out = world.out("a");
    let mut toy = Toy::new(4, &world.tokenizer);
    let mut run = |monitor: &dyn Monitor| {
        let before = toy.calls;
        let outcome = generate_with(&mut toy, &world.tokenizer, &world.seeds, &out, &config(4), monitor);
        (outcome.is_ok(), toy.calls - before)
    };
    let (done, first) = run(&Stopper::after(150));
    assert!(!done && first == 150);
    let (done, second) = run(&Silent);
    let mut fresh = Toy::new(4, &world.tokenizer);
    generate_with(&mut fresh, &world.tokenizer, &world.seeds, &world.out("b"), &config(4), &Silent).unwrap();
    // Only what stood unfinished in the four slots (at most 30 tokens each) is drawn twice.
    assert!(done && first + second <= fresh.calls + 30, "{first} + {second} against {}", fresh.calls);
    assert_eq!(run(&Silent), (true, 0), "a finished generation is left as it is");
}

#[test]
fn other_settings_are_refused_and_named() {
    let world = World::new();
    let out = world.out("a");
    world.run(&out, &config(4), &Silent).unwrap();
    let before = contents(&out);
    let cases = [
        ("target_tokens", GenerateConfig { target: Target::Tokens(1501), ..config(4) }),
        ("first_document", GenerateConfig { first_document: 1, ..config(4) }),
        ("sampling", GenerateConfig { seed: 12, ..config(4) }),
        ("sampling", GenerateConfig { max_new_tokens: 31, ..config(4) }),
        ("synthesizer", GenerateConfig { synthesizer: "other".into(), ..config(4) }),
        ("shard_documents", GenerateConfig { shard_documents: 17, ..config(4) }),
    ];
    for (expected, config) in cases {
        match world.run(&out, &config, &Silent) {
            Err(Error::OtherSettings { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(contents(&out), before);
}

/// Seeds of the same ids and lengths with other words are other seeds.
#[test]
fn other_texts_under_the_same_ids_are_refused() {
    let world = World::new();
    let out = world.out("a");
    assert!(matches!(world.run(&out, &config(4), &Stopper::after(20)), Err(Error::Interrupted(_))));
    let mut texts = SEED_TEXTS;
    texts[2] = "y";
    let other = World::of(&texts, 270);
    let lengths = |world: &World| {
        let tokens = TokenFile::open(&world.folder.path().join("unique")).unwrap();
        (0..tokens.documents()).map(|at| tokens.len(at)).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&world), lengths(&other));
    let found = World { seeds: other.seeds, ..world }.run(&out, &config(4), &Silent);
    assert!(matches!(&found, Err(Error::OtherSettings { field, .. }) if field == "seeds"), "{found:?}");
}

#[test]
fn damaged_folders_are_refused() {
    let config = || GenerateConfig { first_document: 7, ..config(4) };
    let damage = |what: &dyn Fn(&Path), expected: &str| {
        let world = World::new();
        let out = world.out("a");
        assert!(matches!(world.run(&out, &config(), &Stopper::after(300)), Err(Error::Interrupted(_))));
        assert!(files::shards(&out).unwrap().len() >= 2);
        what(&out);
        let message = world.run(&out, &config(), &Silent).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    };
    let shard = |out: &Path, index| out.join(files::shard_name(index));
    let move_shard = |out: &Path, from, to| fs_err::rename(shard(out, from), shard(out, to)).unwrap();
    damage(&|out| fs_err::remove_file(out.join("generate.json")).unwrap(), "settings that made it are unknown");
    damage(&|out| fs_err::write(out.join("generate.json"), "[1").unwrap(), "not a JSON object");
    damage(&|out| fs_err::remove_file(shard(out, 0)).unwrap(), "should come before it and is missing");
    damage(&|out| move_shard(out, 1, 0), "expected \"synthetic-7\"");
    damage(&|out| fs_err::write(out.join("partial.jsonl"), "{\"number\":").unwrap(), "line 1");
    // What an interruption left is looked at record by record.
    let change = |field: &'static str, value: Value| {
        move |out: &Path| {
            let path = out.join("partial.jsonl");
            let text = fs_err::read_to_string(&path).unwrap();
            let (first, rest) = text.split_once('\n').unwrap();
            let mut record: Value = serde_json::from_str(first).unwrap();
            record[field] = value.clone();
            fs_err::write(path, format!("{record}\n{rest}")).unwrap();
        }
    };
    let foreign = "is none of this generation";
    damage(&change("log_probability_bits", f64::NAN.to_bits().into()), foreign);
    damage(&change("tokens", json!([])), foreign);
    damage(&change("tokens", vec![7u32; config().max_new_tokens + 1].into()), foreign);
    damage(&change("number", 6.into()), foreign);
    damage(
        &|out| {
            let path = out.join("partial.jsonl");
            let text = fs_err::read_to_string(&path).unwrap();
            fs_err::write(path, format!("{0}\n{text}", text.lines().next().unwrap())).unwrap();
        },
        "comes a second time",
    );
    damage(
        &|out| {
            let bytes = fs_err::read(shard(out, 0)).unwrap();
            fs_err::write(shard(out, 0), &bytes[..bytes.len() / 2]).unwrap();
        },
        "synthetic-00000.jsonl.zst",
    );
    damage(
        &|out| {
            let kept: Vec<Document> = documents(out).into_iter().take(3).collect();
            let mut writer = DocumentWriter::create(shard(out, 0)).unwrap();
            kept.iter().for_each(|document| writer.write(document).unwrap());
            writer.finish().unwrap();
        },
        "it holds 3 documents, expected 16",
    );
}
