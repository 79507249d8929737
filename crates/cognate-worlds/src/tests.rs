//! Every world by its one interface: splits, pairs, truth, judgements, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Silent, Unit};
use serde_json::{Value, json};

use super::*;

fn small(name: &str) -> Dials {
    let documents = json!({
        "name": name, "unique_documents": 60, "oracle_documents": 9, "validation_documents": 5,
        "selection_documents": 7, "length": 30, "partners": 3,
    });
    let people = json!({
        "name": name, "people": 40, "oracle_tellings": 2, "first_names": 10, "last_names": 12, "unique_tellings": 3,
    });
    serde_json::from_value(if name == "biographies" { people } else { documents }).unwrap()
}

fn worlds() -> impl Iterator<Item = (&'static str, World)> {
    Dials::WORLDS.into_iter().map(|(name, ..)| (name, World::new(&small(name), 3).unwrap()))
}

fn truth_of(world: &World) -> Truth {
    let told = |split: Split| (split, world.documents(split).map(|document| Told::of(&document)).collect());
    Truth::new(world, Split::ALL.into_iter().map(told).collect())
}

/// Writes a truth file, changed.
fn written(folder: &Path, world: &World, change: impl FnOnce(&mut Value)) -> PathBuf {
    let mut value = serde_json::to_value(truth_of(world)).unwrap();
    change(&mut value);
    let path = folder.join("truth.json");
    cognate_base::files::write_atomic(&path, value.to_string()).unwrap();
    path
}

#[test]
fn pairs_are_of_one_concept_both_ways_and_within_what_may_be_paired() {
    for (name, world) in worlds() {
        let documents: Vec<(Split, Document)> = [Split::Unique, Split::Selection]
            .into_iter()
            .flat_map(|split| world.documents(split).map(move |document| (split, document)))
            .collect();
        let pairs = world.pairs(&Silent).unwrap();
        let set: BTreeSet<(u32, u32)> = pairs.iter().copied().collect();
        assert_eq!(set.len(), pairs.len(), "{name}: no pair comes twice");
        for &(first, second) in &pairs {
            let ((of_first, first_document), (of_second, second_document)) =
                (&documents[first as usize], &documents[second as usize]);
            assert_ne!(first, second);
            assert_eq!(first_document.concept, second_document.concept, "{name}");
            assert!(set.contains(&(second, first)), "{name}");
            assert!((of_first, of_second) != (&Split::Selection, &Split::Selection), "{name}");
        }
        if name == "biographies" {
            // 30 people with 3 tellings and 10 with one; one telling of each in selection.
            assert_eq!(pairs.len(), 30 * 6 + 2 * (30 * 3 + 10));
        } else {
            // Three partners each, where there are so many.
            for number in 0..documents.len() as u32 {
                let fellows = documents[..60].iter().enumerate().filter(|(other, (_, document))| {
                    *other != number as usize && document.concept == documents[number as usize].1.concept
                });
                let found = pairs.iter().filter(|(first, _)| *first == number).count();
                assert!(found >= fellows.count().min(3), "{name} {number}: {found}");
            }
        }
    }
}

#[test]
fn a_world_follows_from_its_dials_and_seed_and_its_splits_are_of_the_asked_size() {
    for (name, world) in worlds() {
        let again = World::new(&small(name), 3).unwrap();
        let other = World::new(&small(name), 4).unwrap();
        let mut ids = BTreeSet::new();
        for split in Split::ALL {
            let documents: Vec<Document> = world.documents(split).collect();
            assert_eq!(documents, again.documents(split).collect::<Vec<_>>());
            assert_ne!(documents, other.documents(split).collect::<Vec<_>>(), "{name} {split:?}");
            assert_eq!(documents.len(), world.count(split), "{name} {split:?}");
            assert!(documents.iter().all(|document| ids.insert(document.id.clone())), "{name}: ids differ");
        }
        if name != "biographies" {
            assert_eq!(Split::ALL.map(|split| world.count(split)), [60, 9, 5, 7], "{name}");
        }
        assert_ne!(fingerprint(world.dials(), 3), fingerprint(world.dials(), 4));
    }
}

#[test]
fn a_truth_file_makes_the_same_world_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, world) in worlds() {
        let path = written(folder.path(), &world, |_| ());
        let truth = Truth::read_of(&path, &small(name), 3).unwrap();
        assert_eq!(truth, truth_of(&world), "{name}");
        let again = truth.world(&path).unwrap();
        let of = |world: &World| world.documents(Split::Validation).collect::<Vec<_>>();
        assert_eq!(of(&again), of(&world), "{name}");
        let texts: Vec<String> = of(&world).into_iter().map(|document| document.text).collect();
        // To the bit: JSON holds every 64-bit number exactly.
        assert_eq!(
            again.log_probabilities(&texts[0], &texts[1]),
            world.log_probabilities(&texts[0], &texts[1]),
            "{name}"
        );
    }
}

#[test]
fn a_truth_file_of_another_world_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&small("ginc"), 3).unwrap();
    let path = written(folder.path(), &world, |_| ());
    let told = |dials: &Dials, seed| {
        let error = Truth::read_of(&path, dials, seed).unwrap_err();
        assert!(matches!(error, TruthError::AnotherWorld { .. }), "{error}");
        error.to_string().split_once("another world: ").unwrap().1.to_owned()
    };
    assert_eq!(told(&small("ginc"), 4), "expected ginc, seed 4, found ginc, seed 3");
    assert_eq!(told(&small("bigrams"), 3), "expected bigrams, seed 3, found ginc, seed 3");
    let Dials::Ginc(mut config) = small("ginc") else { unreachable!("ginc is ginc") };
    config.concepts = 7;
    assert_eq!(told(&Dials::Ginc(config), 3), "expected ginc, seed 3, concepts = 7, found ginc, seed 3, concepts = 5");
}

#[test]
fn truth_that_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str| World::new(&small(name), 3).unwrap();
    let refused = |name: &str, change: &dyn Fn(&mut Value)| {
        let path = written(folder.path(), &made(name), change);
        let error = match Truth::read(&path) {
            Ok(truth) => truth.world(&path).unwrap_err(),
            Err(error) => error,
        };
        let message = error.to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        message[path.display().to_string().len() + 2..].to_owned()
    };
    let hmm = |value: &mut Value, part: &str, new: Value| value["parameters"]["hidden_markov"][part] = new;
    assert_eq!(
        refused("ginc", &|value| value["parameters"]["hidden_markov"]["transitions"][1][100] = json!(3.0)),
        "parameters: the transitions of state 1: expected probabilities that sum to 1, found a sum of 4"
            .replace('4', &row_sum(&made("ginc")))
    );
    assert_eq!(
        refused("ginc", &|value| value["parameters"]["hidden_markov"]["emissions"][7] = Value::Null),
        "parameters: state 7 never emits a symbol: give it one, or take it out"
    );
    assert_eq!(
        refused("ginc", &|value| hmm(value, "start", json!([]))),
        "parameters: concepts: expected 5 numbers, found 0"
    );
    assert!(
        refused("bigrams", &|value| value["parameters"]["bigrams"]["attention"][0][0] = json!(-1.0))
            .starts_with("parameters: the positions of token 0: expected probabilities")
    );
    assert_eq!(
        refused("biographies", &|value| value["parameters"]["people"]["people"][4]["name"] = json!("A B C")),
        "parameters: person 4 is not the one that the dials and the seed make"
    );
    let changed = refused("ginc", &|value| value["seed"] = json!(9));
    assert!(changed.starts_with("field \"fingerprint\" is ") && changed.ends_with("the file was changed"), "{changed}");
    assert!(refused("ginc", &|value| value["version"] = json!(99)).starts_with("version 99 of a \"cognate world\""));
    assert!(refused("ginc", &|value| value["format"] = json!("x")).contains("of a \"x\""));
    assert!(refused("ginc", &|value| *value = json!([1])).starts_with("no truth file of a world: "));
}

/// What the second concept's state 1 sums to when its first transition is 3.
fn row_sum(world: &World) -> String {
    let Kind::Ginc(world) = world.kind() else { unreachable!("ginc is ginc") };
    let mut row = world.mixture.concepts()[1].row(1).to_vec();
    row[0] = 3.0;
    row.iter().sum::<f64>().to_string()
}

#[test]
fn what_makes_no_pair_or_fits_no_context_is_refused_by_name() {
    let of = |value: Value| serde_json::from_value::<Dials>(value).unwrap();
    let lonely = of(json!({"name": "ginc", "concepts": 10000, "unique_documents": 2, "length": 2}));
    let error = World::new(&lonely, 1).unwrap().pairs(&Silent).unwrap_err();
    assert_eq!(error, Error::NoPair { documents: 2 });
    let once = of(json!({"name": "biographies", "told_once": 1.0}));
    let Error::Dial { dial, .. } = once.check().unwrap_err() else { panic!("another error") };
    assert_eq!(dial, "told_once");
    let crowd = of(json!({"name": "biographies", "people": 600, "first_names": 10, "last_names": 10}));
    let message = crowd.check().unwrap_err().to_string();
    assert_eq!(message, "people: expected at most 500, half of the names that there are (1000), found 600");
    assert_eq!(
        of(json!({"name": "ginc", "concepts": 0})).check().unwrap_err().to_string(),
        "concepts: expected a whole number from 1 to 10000, found 0"
    );
    for (dial, dials) in [
        ("positions", json!({"name": "bigrams", "positions": 13})),
        ("length", json!({"name": "bigrams", "length": 13})),
        ("symbols", json!({"name": "bigrams", "symbols": 1})),
        ("transition_temperature", json!({"name": "bigrams", "transition_temperature": 0.0})),
    ] {
        let Error::Dial { dial: found, .. } = of(dials).check().unwrap_err() else { panic!("{dial}") };
        assert_eq!(found, dial);
    }
    // A document of 64 symbols is 65 tokens with its closing one.
    let ginc = of(json!({"name": "ginc"}));
    assert!(ginc.check_context(65).is_ok());
    assert_eq!(ginc.check_context(64), Err(Error::Context { dial: "length", tokens: 65, context: 64 }));
    let people = of(json!({"name": "biographies"}));
    assert!(people.check_context(31).is_ok() && people.check_context(30).is_err());
    let Err(unknown) = serde_json::from_value::<Dials>(json!({"name": "ginc", "peoples": 3})) else {
        panic!("an unknown dial is taken")
    };
    assert!(unknown.to_string().contains("peoples"), "{unknown}");
}

#[test]
fn shortest_biographies_have_the_words_that_are_counted_on() {
    let world = World::new(&small("biographies"), 3).unwrap();
    let shortest = world.documents(Split::Oracle).map(|d| d.text.split_whitespace().count()).min().unwrap();
    assert!(shortest >= 6 * biographies::LEAST_WORDS, "{shortest}");
}

/// Asks to stop from the start.
struct Stop;

impl Monitor for Stop {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn pairs_and_measures_can_be_interrupted() {
    for (name, world) in worlds() {
        assert!(matches!(world.pairs(&Stop), Err(Error::Interrupted(_))), "{name}");
        assert!(matches!(world.measure(&Stop), Err(Error::Interrupted(_))), "{name}");
        let measures: BTreeMap<String, Value> =
            serde_json::from_value(serde_json::to_value(world.measure(&Silent).unwrap()).unwrap()).unwrap();
        assert!(measures.contains_key("mutual_information"), "{name}");
    }
}

/// `COGNATE_FUZZ_INPUTS` says how many.
#[test]
fn damaged_truth_is_refused_by_name_or_makes_a_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.json");
    let good: Vec<Value> = Dials::WORLDS
        .into_iter()
        .map(|(name, ..)| serde_json::to_value(truth_of(&World::new(&small(name), 3).unwrap())).unwrap())
        .collect();
    let inputs = damaged_json::inputs(1000);
    let mut made = 0;
    for input in 0..inputs {
        let mut random = cognate_base::random::stream(7, "truth.json", input);
        let bytes = damaged_json::damaged(&good[input as usize % good.len()], &mut random);
        fs_err::write(&path, bytes).unwrap();
        match Truth::read(&path).and_then(|truth| truth.world(&path)) {
            Ok(world) => {
                made += 1;
                let texts: Vec<String> = world.documents(Split::Validation).map(|document| document.text).collect();
                if let [first, second, ..] = &texts[..] {
                    world.log_probabilities(first, second);
                }
            }
            Err(error) => assert!(error.to_string().contains("truth.json"), "{input}: {error}"),
        }
    }
    assert!(made > inputs / 100 && made < inputs * 9 / 10, "{made} of {inputs} made worlds");
}
