//! A run whose pairs are documents and their forms, given phrases, sentences of made languages, and documents that share entities; and a
//! corpus that two synthesizers write in turn.

use std::collections::{BTreeMap, BTreeSet};

use cognate_base::Silent;
use cognate_pair::Pair;

use super::super::texts::{selection_texts, unique_texts};
use super::finished::{Finished, made_texts, pairs_of};
use super::{Step, identities, work};
use crate::context::Context;
use crate::recipe::{Recipe, SeedsOf};

/// Documents of six sentences, in most of which two of their topic's names stand. Of every ten, the last has one word of its own, and no form.
fn corpus(documents: usize) -> String {
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"];
    let mut state = 17u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let word = |number: usize| [syllables[number % 15], syllables[number / 15 % 15]].concat();
    let name = |topic: usize, nth: usize| {
        let word = format!("{}{}", word(topic * 3 + nth), syllables[topic % 15]);
        format!("{}{}", word[..1].to_uppercase(), &word[1..])
    };
    let mut document = |number: usize| {
        if number % 10 == 9 {
            return format!("{{\"id\": \"short-{number}\", \"text\": \"the w{number}\"}}\n");
        }
        let topic = number % 25;
        let mut sentence = |at: usize| {
            let words: Vec<String> = (0..6).map(|_| word(next(225))).collect();
            format!("the {} of {} near {}.", words.join(" "), name(topic, at % 3), name((topic + 1) % 25, 2))
        };
        let sentences: Vec<String> = (0..6).map(&mut sentence).collect();
        format!("{{\"id\": \"long-{number}\", \"text\": \"{}\"}}\n", sentences.join(" "))
    };
    (0..documents).map(&mut document).collect()
}

/// Phrases `a7 b7` of one and `c7` of another language.
fn phrases(n: usize) -> String {
    (0..n).map(|at| format!("{{\"source\": \"a{at} b{at}\", \"target\": \"c{at}\", \"more\": null}}\n")).collect()
}

pub(super) const RECIPE: &str = r#"
name = "made"
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.4
selection_share = 0.2
contamination_words = 0
[tokenize]
vocab_size = 512
[embed]
dimensions = 32
[pair]
min_similarity = 0.1
neighbours = 4
[tune]
validate_pairs = 4
relation_pairs = 6
validate_every_tokens = 1_000_000
batch_tokens = 1024
rate = 1e-2
least_pairs = 1
[generate]
oversample = 0.0
max_new_tokens = 48
most_written = 100
most_unfinished = "off"
[filter]
drop_unfinished = false
near_duplicate = "off"
[model]
layers = 1
width = 32
heads = 2
context = 400
[train]
budget_tokens = 6144
batch_tokens = 1024
peak_rate = 1e-2
validate_every_tokens = 6144
validate_documents = 10
[[pairs]]
name = "writing-forms"
method = "forms"
keywords = 5
direction = "to-form"
[[pairs]]
name = "reading-forms"
method = "forms"
keywords = 5
[[pairs]]
name = "phrases"
method = "phrases"
path = "phrases.jsonl"
parts = 3
made = 60
held_out_share = 0.8
[[pairs]]
name = "trees"
method = "trees"
words = 40
parts = 5
made = 80
held_out_share = 0.05
[[pairs]]
name = "entities"
method = "entity-pairs"
shared_entities = 3
entity_documents = 60
neighbours = 6
[[synthesizer]]
name = "writing"
pairs = "writing-forms"
[[synthesizer]]
name = "reading"
pairs = "reading-forms"
[[synthesizer]]
name = "translating"
pairs = "phrases"
[[synthesizer]]
name = "speaking"
base = "translating"
pairs = "trees"
[[synthesizer]]
name = "joining"
base = "speaking"
pairs = "entities"
[[synthetic]]
name = "rewritten"
by = ["writing", "reading"]
[[synthetic]]
name = "joined"
by = "joining"
[[arm]]
kind = "repetition"
[[arm]]
name = "sbp"
synthetic = { rewritten = 0.05, joined = 0.05 }
[report]
subject = "sbp"
"#;

#[test]
fn pairs_are_made_from_forms_phrases_trees_and_entities() {
    let files = [("documents.jsonl", corpus(400)), ("phrases.jsonl", phrases(40))];
    let finished = Finished::new(RECIPE, &files, |_| {});
    let context = finished.context();
    identities::inputs_are_those_of_the_list(&context);
    work::rows_are_those_of_the_files(&context);
    a_form_is_of_its_document_and_stands_on_the_side_that_is_asked_for(&context);
    phrases_that_measure_are_learned_nowhere(&context);
    sentences_of_made_languages_are_as_many_as_asked(&context);
    documents_that_share_entities_are_pairs(&context);
    a_chain_writes_from_what_the_one_before_wrote(&context);
    assert!(
        finished
            .told
            .iter()
            .any(|line| line.starts_with("pair writing-forms") && line.contains("without two keywords"))
    );
}

/// The source and the target of each pair, those that are learned and those that measure.
fn sides(context: &Context<'_>, name: &str) -> [Vec<(String, String)>; 2] {
    let (documents, train, held_out) = pairs_of(context, name);
    let texts = made_texts(context, name);
    let text = |number: u32| texts[&documents.ids[number as usize]].clone();
    [train, held_out].map(|pairs| pairs.iter().map(|pair| (text(pair.first), text(pair.second))).collect())
}

fn a_form_is_of_its_document_and_stands_on_the_side_that_is_asked_for(context: &Context<'_>) {
    let by_text = |texts: Vec<(String, String)>| texts.into_iter().map(|(id, text)| (text, id)).collect();
    let [unique, selection]: [BTreeMap<String, String>; 2] =
        [unique_texts(context, &Silent).unwrap(), selection_texts(context, &Silent).unwrap()].map(by_text);
    for (name, turned) in [("reading-forms", false), ("writing-forms", true)] {
        let [train, held_out] = sides(context, name);
        let long = |of: &BTreeMap<String, String>| of.values().filter(|id| id.starts_with("long")).count();
        assert_eq!((train.len(), held_out.len()), (long(&unique), long(&selection)), "{name}");
        for (pairs, of) in [(train, &unique), (held_out, &selection)] {
            for (source, target) in pairs {
                let (form, document) = if turned { (target, source) } else { (source, target) };
                assert!(of.contains_key(&document), "{name}: {document}");
                let keywords: Vec<&str> = form.split(", ").collect();
                assert_eq!(keywords.len(), 5, "{form}");
                let mut from = 0;
                for keyword in keywords {
                    from +=
                        document[from..].find(keyword).unwrap_or_else(|| panic!("{keyword} of {form} in {document}"));
                    assert_ne!(keyword, "the");
                }
            }
        }
    }
    let shorts = unique.values().chain(selection.values()).filter(|id| id.starts_with("short")).count();
    let made = context.made(Step::Pair(context.recipe.pair_set("reading-forms")));
    assert_eq!(made.manifest.work.statistics["passed_over"], shorts);
}

fn phrases_that_measure_are_learned_nowhere(context: &Context<'_>) {
    let [train, held_out] = sides(context, "phrases");
    assert_eq!((train.len(), held_out.len()), (60, 48));
    let numbers = |pairs: &[(String, String)]| -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for (source, target) in pairs {
            let of = |side: &str, mark: char| -> Vec<u32> {
                side.split(' ')
                    .filter_map(|word| word.strip_prefix(mark))
                    .map(|number| number.parse().unwrap())
                    .collect()
            };
            assert_eq!(of(source, 'a'), of(target, 'c'));
            found.extend(of(target, 'c'));
        }
        found
    };
    let (learned, measured) = (numbers(&train), numbers(&held_out));
    assert!(learned.is_disjoint(&measured));
    // Of 40, four fifths would leave fewer than twelve to learn from.
    assert_eq!((learned.len(), measured.len()), (12, 28), "every phrase comes");
}

fn sentences_of_made_languages_are_as_many_as_asked(context: &Context<'_>) {
    let [train, held_out] = sides(context, "trees");
    // Of 80, a twentieth is fewer than twelve.
    assert_eq!((train.len(), held_out.len()), (80, 12));
    let all: BTreeSet<&(String, String)> = train.iter().chain(&held_out).collect();
    assert!(all.len() > 87, "what measures is not what was learned");
    assert!(train.iter().all(|(source, target)| source.split(' ').count() == target.split(' ').count()));
}

fn documents_that_share_entities_are_pairs(context: &Context<'_>) {
    let unique = unique_texts(context, &Silent).unwrap();
    let documents = unique.len();
    let all: Vec<(String, String)> = unique.into_iter().chain(selection_texts(context, &Silent).unwrap()).collect();
    let names = |number: u32| -> BTreeSet<&str> {
        let words = all[number as usize].1.split([' ', '.']);
        words.filter(|word| word.chars().next().is_some_and(char::is_uppercase)).collect()
    };
    let (named, train, held_out) = pairs_of(context, "entities");
    assert!(named.ids.iter().eq(all.iter().map(|(id, _)| id)));
    assert!(train.len() > 50 && held_out.len() > 12, "{} {}", train.len(), held_out.len());
    for pair in train.iter().chain(&held_out) {
        assert!(names(pair.first).intersection(&names(pair.second)).count() >= 3);
    }
    assert!(train.iter().all(|pair| (pair.second as usize) < documents && (pair.first as usize) < documents));
    assert!(held_out.iter().all(|pair| (pair.second as usize) >= documents && (pair.first as usize) < documents));
    let converse = |pair: &Pair| train.iter().any(|other| (other.first, other.second) == (pair.second, pair.first));
    assert!(train.iter().all(converse));
}

fn a_chain_writes_from_what_the_one_before_wrote(context: &Context<'_>) {
    let recipe = context.recipe;
    let corpus = |name: &str| recipe.corpus_of(name);
    let inputs = |step: Step| context.made(step).manifest.identity.inputs.clone();
    let tuned = |name: &str| context.made(Step::Tune(recipe.synthesizer(name))).hash("best/model.safetensors").unwrap();
    let (first, second) = (Step::Generate(corpus("rewritten-step-1")), Step::Generate(corpus("rewritten")));
    assert_eq!(inputs(first)["the model that writes"], tuned("writing"));
    assert_eq!(inputs(second)["the model that writes"], tuned("reading"));
    let kept = context.made(Step::Filter(corpus("rewritten-step-1")));
    assert_eq!(inputs(second)["the seeds' tokens"], kept.hash("synthetic.bin").unwrap());
    assert_eq!(recipe.synthetic[corpus("rewritten-step-1")].seeds, SeedsOf::Unique);
    assert!(!recipe.synthetic.iter().any(|other| other.name == "joined-step-1"));
    // A form is not asked for what a document is, but for what the corpus' own table says.
    let filters = |name: &str| {
        let filter = &recipe.synthetic[corpus(name)].filter;
        (filter.min_words, filter.near_copy.get().is_some(), filter.repetition.top_2_gram.get().is_some())
    };
    assert_eq!((filters("rewritten-step-1"), filters("rewritten")), ((0, false, false), (10, true, true)));
    let again = Recipe::parse(std::path::Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap();
    assert_eq!((again.synthetic, again.pairs), (recipe.synthetic.clone(), recipe.pairs.clone()));
}

#[test]
fn a_file_of_phrases_is_refused_by_record_and_field() {
    let scratch = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("{\"source\": \"a\", \"target\": \"b\"}\n{\"source\": \"a\"}\n", ["phrases.jsonl:2", "`target` is missing"]),
        ("{\"source\": 7, \"target\": \"b\"}\n", ["phrases.jsonl:1", "`source` is 7"]),
        ("{\"source\": \" \", \"target\": \"b\"}\n", ["phrases.jsonl:1", "`source` is \" \""]),
        ("", ["0 different phrases", "expected 24 at least"]),
        ("{\"source\": \"a\", \"target\": \"b\"}\n", ["1 different phrases", "held_out_share = 0"]),
    ] {
        for (name, text) in [("documents.jsonl", corpus(400)), ("phrases.jsonl", text.to_owned())] {
            cognate_base::files::write_atomic(scratch.path().join(name), text).unwrap();
        }
        let recipe = Recipe::parse(&scratch.path().join("r.toml"), RECIPE).unwrap();
        let settings = super::finished::settings(scratch.path().join("out"), Some("pair"));
        let error = crate::run(&recipe, &settings, &crate::runner::NoPages, &Silent).unwrap_err().to_string();
        assert!(said.iter().all(|part| error.contains(part)), "{error}");
    }
    // As many as are needed are enough.
    for (n, is_enough) in [(23, false), (24, true)] {
        let scratch = tempfile::tempdir().unwrap();
        for (name, text) in [("documents.jsonl", corpus(400)), ("phrases.jsonl", phrases(n))] {
            cognate_base::files::write_atomic(scratch.path().join(name), text).unwrap();
        }
        let recipe = Recipe::parse(&scratch.path().join("r.toml"), RECIPE).unwrap();
        let settings = super::finished::settings(scratch.path().join("out"), Some("pair"));
        assert_eq!(crate::run(&recipe, &settings, &crate::runner::NoPages, &Silent).is_ok(), is_enough, "{n}");
    }
}
