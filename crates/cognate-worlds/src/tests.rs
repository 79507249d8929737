//! Every world by its one interface: splits, pairs, truth, judgements, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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
    Dials::WORLDS.into_iter().map(|(name, ..)| (name, World::new(&small(name), 3, &Silent).unwrap()))
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
        let again = World::new(&small(name), 3, &Silent).unwrap();
        let other = World::new(&small(name), 4, &Silent).unwrap();
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
        let again = truth.world(&path, &Silent).unwrap();
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
    let world = World::new(&small("ginc"), 3, &Silent).unwrap();
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
    let made = |name: &str| World::new(&small(name), 3, &Silent).unwrap();
    let refused = |name: &str, change: &dyn Fn(&mut Value)| {
        let path = written(folder.path(), &made(name), change);
        let error = match Truth::read(&path) {
            Ok(truth) => truth.world(&path, &Silent).unwrap_err(),
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
    let error = World::new(&lonely, 1, &Silent).unwrap().pairs(&Silent).unwrap_err();
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
    let world = World::new(&small("biographies"), 3, &Silent).unwrap();
    let shortest = world.documents(Split::Oracle).map(|d| d.text.split_whitespace().count()).min().unwrap();
    assert!(shortest >= 6 * biographies::LEAST_WORDS, "{shortest}");
}

/// Asks to stop once it was asked so often whether to go on.
struct After(AtomicUsize);

impl After {
    fn looks(looks: usize) -> Self {
        Self(AtomicUsize::new(looks))
    }
}

impl Monitor for After {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

/// How often a piece of work asks whether to go on; each time it heeds the answer.
fn looks<T>(mut work: impl FnMut(&After) -> std::result::Result<T, Error>) -> usize {
    const MANY: usize = 1 << 40;
    let counting = After::looks(MANY);
    work(&counting).map(drop).unwrap();
    let looks = MANY - counting.0.into_inner();
    for at in [0, looks / 2, looks - 1] {
        assert!(matches!(work(&After::looks(at)).map(drop), Err(Error::Interrupted(_))), "look {at} of {looks}");
    }
    looks
}

#[test]
fn every_loop_over_what_dials_size_can_be_interrupted() {
    for (name, world) in worlds() {
        let made = looks(|monitor| World::new(&small(name), 3, monitor));
        // Concepts, rows and steps of the power iteration, or people twice.
        let least = match name {
            "ginc" => 5,
            "bigrams" => 20 + 4 + 2,
            _ => 80,
        };
        assert!(made >= least, "{name}: {made} looks");
        let drawn = world.count(Split::Unique) + world.count(Split::Selection);
        // Their concepts, those of the unique split among them as members, and the partners of each.
        let paired = looks(|monitor| world.pairs(monitor));
        assert!(paired >= 2 * drawn + world.count(Split::Unique), "{name}: {paired} looks");
        let measured = looks(|monitor| world.measure(monitor));
        assert!(measured >= world.count(Split::Validation), "{name}: {measured} looks");
        if let Kind::Ginc(symbols) = world.kind() {
            let asked = looks(|monitor| ginc::prompts(&symbols.mixture, 30, 3, monitor));
            assert!(asked >= 5 + 150, "{asked} looks");
        }
        if let Kind::Bigrams(symbols) = world.kind() {
            let concept = &symbols.mixture.concepts()[0];
            // Of each last token: what stands at the first position that matters, and for each of 20 tokens there at the second.
            let exact = looks(|monitor| Ok(concept.bayes_loss(1 << 20, monitor)?));
            assert_eq!(exact, 20 * (1 + 20));
        }
        let documents: Vec<Document> = world.documents(Split::Unique).collect();
        let judged = |count: usize| {
            let texts: Vec<&str> = documents[..count].iter().map(|document| document.text.as_str()).collect();
            looks(|monitor| Ok(world.judge(texts.iter().map(|text| (*text, *text)), monitor)?))
        };
        assert_eq!(judged(30) - judged(10), 20, "{name}: once a text");
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), &world, |_| ());
        let truth = Truth::read(&path).unwrap();
        let again = |monitor: &After| match truth.world(&path, monitor) {
            Err(TruthError::Parameters { source, .. }) => Err(source),
            other => {
                other.unwrap();
                Ok(())
            }
        };
        assert!(looks(again) >= 4, "{name}");
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
        .map(|(name, ..)| serde_json::to_value(truth_of(&World::new(&small(name), 3, &Silent).unwrap())).unwrap())
        .collect();
    let inputs = damaged_json::inputs(1000);
    let mut made = 0;
    for input in 0..inputs {
        let mut random = cognate_base::random::stream(7, "truth.json", input);
        let bytes = damaged_json::damaged(&good[input as usize % good.len()], &mut random);
        fs_err::write(&path, bytes).unwrap();
        match Truth::read(&path).and_then(|truth| truth.world(&path, &Silent)) {
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

/// The ranges of single dials let each of them be large beside the others' defaults, and not beside everything.
#[test]
fn dials_that_are_too_large_together_are_refused_by_name_and_with_what_is_allowed() {
    let values = |dials: &Dials| serde_json::to_value(dials).unwrap();
    let mut refused = BTreeSet::new();
    for (name, _, dials) in Dials::WORLDS {
        let base = values(&small(name));
        let most = |dial: &Dial| match dial.range {
            Range::Whole(_, most) => Some(most),
            _ => None,
        };
        let whole: Vec<(&str, u64)> = dials.iter().filter_map(|dial| Some((dial.name, most(dial)?))).collect();
        for first in &whole {
            for second in &whole {
                for third in &whole {
                    let mut tried = base.clone();
                    for (dial, most) in [first, second, third] {
                        tried[*dial] = json!(most);
                    }
                    // Refused dial by dial, and lowered to what is said to be allowed, a world comes to be.
                    for _ in 0..whole.len() + 3 {
                        let made: Dials = serde_json::from_value(tried.clone()).unwrap();
                        let Err(Error::Dial { dial, expected, .. }) = made.check() else {
                            bounded(&made);
                            break;
                        };
                        let number = |words: &str| words.split([' ', ',']).next()?.parse::<u64>().ok();
                        let Some(most) = expected.strip_prefix("at most ").and_then(number) else { break };
                        assert!(json!(most + 1).as_u64() <= tried[dial].as_u64(), "{dial}: {expected} {tried}");
                        refused.insert((name, dial));
                        tried[dial] = json!(most);
                    }
                }
            }
        }
    }
    for expected in [
        ("ginc", "concepts"),
        ("ginc", "length"),
        ("ginc", "partners"),
        ("bigrams", "concepts"),
        ("bigrams", "length"),
        ("bigrams", "partners"),
        ("biographies", "oracle_tellings"),
        ("biographies", "selection_tellings"),
        ("biographies", "unique_tellings"),
        ("biographies", "validation_tellings"),
    ] {
        assert!(refused.contains(&expected), "{expected:?} in {refused:?}");
    }
}

/// What a world that is allowed may hold.
fn bounded(dials: &Dials) {
    assert!(dials.bytes() <= 8.0 * f64::from(1 << 30), "{dials:?}: {} bytes", dials.bytes());
    let numbered = dials.count(Split::Unique) + dials.count(Split::Selection);
    assert!(u32::try_from(numbered).is_ok(), "{dials:?}: {numbered} documents");
    assert!(dials.most_pairs() <= 500_000_000, "{dials:?}: {} pairs", dials.most_pairs());
}

#[test]
fn what_this_machine_has_no_memory_for_is_refused_before_it_is_made() {
    // A table of a terabyte and more, as the ranges alone would allow.
    let ginc = json!({"name": "ginc", "concepts": 10000, "entities": 64, "properties": 64, "length": 2});
    let dials: Dials = serde_json::from_value(ginc).unwrap();
    assert_eq!(
        dials.check().unwrap_err().to_string(),
        "concepts: expected at most 31 beside these entities, properties and symbols, found 10000"
    );
    assert!(small("ginc").written_bytes() > 3.0 * small("ginc").bytes());
    // Concepts of bigrams share their transitions.
    let world = World::new(&small("bigrams"), 3, &Silent).unwrap();
    let Kind::Bigrams(symbols) = world.kind() else { panic!("another world") };
    let [first, second] = [0, 1].map(|concept: usize| symbols.mixture.concepts()[concept].transitions().as_ptr());
    assert_eq!(first, second);
}

#[test]
fn a_large_world_has_a_smaller_one_like_it() {
    for (name, large) in [
        ("ginc", json!({"name": "ginc", "concepts": 5000})),
        ("bigrams", json!({"name": "bigrams", "concepts": 10000, "window": 30, "symbols": 50})),
        ("biographies", json!({"name": "biographies", "people": 2_000_000})),
    ] {
        let large: Dials = serde_json::from_value(large).unwrap();
        large.check().unwrap();
        let smaller = large.smaller();
        assert!(smaller.bytes() <= f64::from(64 << 20) && smaller.bytes() > f64::from(60 << 20), "{name}");
        smaller.check().unwrap();
        let Value::Object(differs) = serde_json::to_value(&smaller).unwrap() else { panic!("no table") };
        let of_large = serde_json::to_value(&large).unwrap();
        assert_eq!(differs.iter().filter(|(dial, value)| of_large[*dial] != **value).count(), 1, "{name}");
        assert_eq!(small(name).smaller(), small(name), "{name}: small enough");
    }
}
