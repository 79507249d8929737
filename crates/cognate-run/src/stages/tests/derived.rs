//! A run whose pairs have texts of their own, and whose synthesizers start from each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cognate_base::Silent;
use cognate_corpus::{MASK, Tokenizer};
use cognate_pair::{Pair, read_pairs};

use super::super::held_out::Documents;
use super::super::texts::{selection_texts, unique_texts};
use super::super::train::equal_flops::flops_per_step;
use super::super::train::training::Trained;
use super::finished::{Finished, made_texts, pairs_of};
use super::{Step, identities, work};
use crate::context::Context;
use crate::step::Replicate;

/// Sentences of a document, by its number: most have ten, some two, some one.
fn sentences(number: usize) -> usize {
    match number % 10 {
        8 => 2,
        9 => 1,
        _ => 10,
    }
}

fn kind(number: usize) -> &'static str {
    match sentences(number) {
        1 => "one",
        2 => "two",
        _ => "ten",
    }
}

/// Documents `KIND-NUMBER` of sentences of twelve words.
fn corpus(documents: usize) -> String {
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"];
    let mut state = 4711u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut word = |topic: usize| {
        let number = if next(2) == 0 { topic * 7 + next(10) } else { next(225) };
        [syllables[number % 15], syllables[number / 15]].concat()
    };
    let mut sentence = |topic: usize| {
        let words: Vec<String> = (0..12).map(|_| word(topic)).collect();
        format!("The {}.", words.join(" "))
    };
    let mut document = |number: usize| {
        let sentences: Vec<String> = (0..sentences(number)).map(|_| sentence(number % 30)).collect();
        format!("{{\"id\": \"{}-{number}\", \"text\": \"{}\"}}\n", kind(number), sentences.join(" "))
    };
    (0..documents).map(&mut document).collect()
}

pub(super) const RECIPE: &str = r#"
name = "derived"
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.3
selection_share = 0.15
contamination_words = 0
[tokenize]
vocab_size = 560
[embed]
dimensions = 32
[pair]
min_similarity = 0.3
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
min_words = 1
drop_unfinished = false
[model]
layers = 1
width = 32
heads = 2
context = 400
[train]
budget_tokens = 12288
batch_tokens = 1024
peak_rate = 1e-2
validate_every_tokens = 6144
validate_documents = 10
[[pairs]]
name = "reordered"
method = "reorder"
[[pairs]]
name = "next"
method = "next-sentences"
[[pairs]]
name = "masked"
method = "masked-span"
[[pairs]]
name = "each"
method = "all"
piece_tokens = 120
[[pairs]]
name = "nonsense"
method = "obfuscated"
share = 0.5
[[pairs]]
name = "unordered"
method = "shuffled"
of = "reordered"
[[synthesizer]]
name = "first"
pairs = "reordered"
[[synthesizer]]
name = "second"
base = "first"
pairs = "next"
[[synthesizer]]
name = "third"
base = "second"
pairs = "masked"
[[synthesizer]]
name = "fourth"
base = "third"
pairs = "each"
[[synthesizer]]
name = "fifth"
base = "fourth"
pairs = "nonsense"
[[synthesizer]]
name = "control"
pairs = "unordered"
[[synthetic]]
name = "chained"
by = "fifth"
[[synthetic]]
name = "restored"
by = "first"
[[synthetic]]
name = "control"
by = "control"
[[arm]]
kind = "repetition"
[[arm]]
name = "sbp"
synthetic = { chained = 0.05, restored = 0.05 }
[[arm]]
name = "unrelated"
synthetic.control = 0.05
[[arm]]
name = "denoised"
train.objective = "mixture-of-denoisers"
train.s_share = 0.25
train.x_share = 0.25
[report]
subject = "sbp"
"#;

#[test]
fn pairs_have_texts_of_their_own_and_synthesizers_start_from_each_other() {
    let finished = Finished::new(RECIPE, &[("documents.jsonl", corpus(500))], |_| {});
    let context = finished.context();
    identities::inputs_are_those_of_the_list(&context);
    pairs_of_made_texts_are_made_from_these(&context);
    steps_that_are_others_cost_what_their_own_keys_come_to(&context);
    work::rows_are_those_of_the_files(&context);
    each_kind_of_document_is_paired_or_passed_over_by_name(&context);
    pairs_that_measure_are_of_documents_that_nothing_learns_from(&context);
    texts_are_made_of_the_documents_that_their_names_say(&context);
    tokens_are_those_of_the_texts(&context);
    a_third_of_the_pieces_is_for_each_task(&context);
    obfuscated_pairs_are_those_of_the_other_set(&context);
    shuffled_pairs_are_of_the_same_texts(&context);
    a_synthesizer_starts_from_the_one_that_it_names(&context);
    a_mixture_of_denoisers_is_learned(&context);
    let told = "pair reordered: ";
    assert!(
        finished.told.iter().any(|line| line.starts_with(told) && line.contains("with too few sentences for reorder"))
    );
}

fn set(context: &Context<'_>, name: &str) -> usize {
    context.recipe.pair_set(name)
}

fn statistics<'a>(context: &'a Context<'_>, name: &str) -> &'a serde_json::Value {
    &context.made(Step::Pair(set(context, name))).manifest.work.statistics
}

/// Documents of each kind in a split.
fn kinds(texts: &[(String, String)]) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for (id, _) in texts {
        *kinds.entry(id.split('-').next().unwrap().to_owned()).or_default() += 1;
    }
    kinds
}

fn each_kind_of_document_is_paired_or_passed_over_by_name(context: &Context<'_>) {
    let (unique, selection) = (unique_texts(context, &Silent).unwrap(), selection_texts(context, &Silent).unwrap());
    let (unique, selection) = (kinds(&unique), kinds(&selection));
    assert!(unique.values().chain(selection.values()).all(|documents| *documents > 2), "{unique:?} {selection:?}");
    for (name, word, paired, too_few, too_short) in [
        ("reordered", "reorder", &["ten", "two"][..], &["one"][..], &[][..]),
        ("next", "next-sentences", &["ten"], &["one"], &["two"]),
        ("masked", "masked-span", &["ten"], &[], &["one", "two"]),
    ] {
        let of = |kinds: &BTreeMap<String, u64>, names: &[&str]| names.iter().map(|name| kinds[*name]).sum::<u64>();
        let both = |names: &[&str]| of(&unique, names) + of(&selection, names);
        let stats = statistics(context, name);
        assert_eq!(stats["train_pairs"], of(&unique, paired), "{name}");
        assert_eq!(stats["held_out_pairs"], of(&selection, paired), "{name}");
        let task = &stats["tasks"][word];
        let count = |key: &str| task[key].as_u64().unwrap_or(0);
        assert_eq!(count("pairs"), both(paired));
        assert_eq!((count("too_few_sentences"), count("too_short")), (both(too_few), both(too_short)), "{name}");
        assert_eq!(stats["passed_over"], both(too_few) + both(too_short));
        assert_eq!(stats["unseen"]["measure"], true);
    }
}

/// The training and the held-out pairs of a set, and the documents that they name.
/// The document that a text was made of.
fn origin(id: &str) -> &str {
    id.split('#').next().unwrap()
}

/// A set that is taken from another names that one's texts; one that makes texts of its own reads the documents.
fn pairs_of_made_texts_are_made_from_these(context: &Context<'_>) {
    let recipe = context.recipe;
    let read = |name: &str| context.made(Step::Pair(recipe.pair_set(name))).manifest.identity.inputs.clone();
    let documents = |step: Step, split: &str| context.made(step).hash(&format!("{split}.jsonl.zst")).unwrap();
    for (name, step) in [
        ("unordered", Step::Pair(recipe.pair_set("reordered"))),
        ("nonsense", Step::Ingest),
        ("reordered", Step::Ingest),
    ] {
        for split in ["unique", "selection"] {
            assert_eq!(read(name)[&format!("the {split} documents")], documents(step, split), "{name}");
        }
    }
}

/// An arm of equal operations has steps of its own where its batches, model or objective are not the baseline's.
fn steps_that_are_others_cost_what_their_own_keys_come_to(context: &Context<'_>) {
    let recipe = context.recipe;
    let training = |name: &str| recipe.arms[recipe.arm(name)].training.clone();
    let of = |training: &crate::recipe::Training| flops_per_step(context, training, recipe.seed).unwrap();
    let made = context.made(Step::Train(Replicate::own(recipe, 0)));
    let steps = made.manifest.work.statistics["steps"].as_f64().unwrap();
    assert_eq!(of(&training("repetition")), made.manifest.work.flops / steps, "as it was measured");
    let vocabulary = context.tokenized().unwrap().vocabulary;
    let config = crate::recipe::model_config(recipe, &recipe.model, vocabulary);
    let mut larger = training("repetition");
    larger.train.batch_tokens = 1536;
    // A token sees half of the context.
    assert_eq!(of(&larger), config.training_flops(1536.0, 1536.0, 200.0));
    let denoised = training("denoised");
    let read = 1024.0 * denoised.train.denoisers.unwrap().shares().positions();
    assert!(read > 1024.0);
    assert_eq!(of(&denoised), config.training_flops(read, read, 200.0));
}

fn pairs_that_measure_are_of_documents_that_nothing_learns_from(context: &Context<'_>) {
    let names = |texts: Vec<(String, String)>| texts.into_iter().map(|(id, _)| id).collect::<BTreeSet<String>>();
    let unique = names(unique_texts(context, &Silent).unwrap());
    let selection = names(selection_texts(context, &Silent).unwrap());
    for name in ["reordered", "next", "masked", "each", "unordered"] {
        let (documents, train, held_out) = pairs_of(context, name);
        let of = |number: u32| origin(&documents.ids[number as usize]).to_owned();
        assert!(!train.is_empty() && !held_out.is_empty());
        assert!(
            train.iter().all(|pair| unique.contains(&of(pair.first)) && unique.contains(&of(pair.second))),
            "{name}"
        );
        let mut measured = BTreeSet::new();
        for pair in held_out {
            assert!(of(pair.first) == of(pair.second) && selection.contains(&of(pair.second)), "{name}");
            assert!(measured.insert(of(pair.first)), "{name}: a document measures once");
        }
    }
}

fn corpus_texts(context: &Context<'_>) -> HashMap<String, String> {
    let unique = unique_texts(context, &Silent).unwrap().into_iter();
    unique.chain(selection_texts(context, &Silent).unwrap()).collect()
}

fn sorted_words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').collect();
    words.sort_unstable();
    words
}

fn texts_are_made_of_the_documents_that_their_names_say(context: &Context<'_>) {
    let documents = corpus_texts(context);
    for name in ["reordered", "next", "masked"] {
        let texts = made_texts(context, name);
        let (named, train, held_out) = pairs_of(context, name);
        for pair in train.iter().chain(&held_out) {
            let id = |number: u32| named.ids[number as usize].as_str();
            let (source, target) = (id(pair.first), id(pair.second));
            assert!(source.ends_with("-source") && target.ends_with("-target"));
            let (document, source, target) = (&documents[origin(source)], &texts[source], &texts[target]);
            match name {
                "reordered" => {
                    assert_eq!(target, document);
                    assert!(source != target && sorted_words(source) == sorted_words(target));
                    assert!(source.split_inclusive('.').all(|sentence| document.contains(sentence.trim())));
                }
                "next" => {
                    assert!(document.starts_with(&format!("{source}{target}")), "{source}|{target}");
                    assert!(source.ends_with('.') && target.ends_with('.'));
                }
                _ => {
                    assert!(source.contains(MASK) && !target.contains(MASK) && document.contains(target.as_str()));
                    assert!(!source.contains(target.as_str()), "the span is not shown");
                }
            }
        }
    }
}

fn tokens_are_those_of_the_texts(context: &Context<'_>) {
    let tokenizer = context.tokenizer().unwrap();
    let mask = tokenizer.special(MASK).unwrap();
    for name in ["reordered", "masked", "nonsense"] {
        let texts = made_texts(context, name);
        let (documents, ..) = pairs_of(context, name);
        for (number, id) in documents.ids.iter().enumerate() {
            let mut tokens = documents.tokens(number as u32);
            assert_eq!(tokens.pop(), Some(tokenizer.end_of_document()));
            match name == "masked" {
                false => assert_eq!(tokens, tokenizer.encode(&texts[id]).unwrap(), "{id}"),
                true => {
                    let masks = tokens.iter().filter(|token| **token == mask).count();
                    assert_eq!(masks, texts[id].matches(MASK).count());
                    assert_eq!(masks > 50, id.ends_with("-source"), "{masks} of {id}");
                }
            }
        }
    }
    // The name of the mask in a text is text.
    assert!(!tokenizer.encode(MASK).unwrap().contains(&mask));
    let made = Tokenizer::load(&context.artifact("tokenize").path("tokenizer.json")).unwrap();
    assert_eq!(
        (made.vocab_size(), made.special("[X]").is_some(), made.special("<extra_id_99>").is_some()),
        (560, true, true)
    );
}

fn a_third_of_the_pieces_is_for_each_task(context: &Context<'_>) {
    let tasks = &statistics(context, "each")["tasks"];
    let pieces =
        |task: &str| tasks[task].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>();
    let counts = ["reorder", "next-sentences", "masked-span"].map(pieces);
    // Of the pieces of each of the two splits.
    assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 2, "{counts:?}");
    let (documents, train, _) = pairs_of(context, "each");
    let pieces: BTreeSet<&str> = train.iter().map(|pair| documents.ids[pair.first as usize].as_str()).collect();
    assert!(pieces.iter().any(|id| id.contains("-1-source")), "long documents make several pieces");
    assert!((0..documents.ids.len()).all(|number| documents.tokens(number as u32).len() <= 121 + 100));
}

fn obfuscated_pairs_are_those_of_the_other_set(context: &Context<'_>) {
    let (of, related) =
        (context.recipe.pair_set("related"), context.made(Step::Pair(context.recipe.pair_set("related"))));
    let ids = Documents::of(context, of, &Silent).unwrap().ids;
    let (named, train, held_out) = pairs_of(context, "nonsense");
    for (file, found) in [("train.parquet", train), ("held_out.parquet", held_out)] {
        assert_eq!(found, read_pairs(&related.path(file), &ids, &Silent).unwrap(), "{file}");
    }
    assert!(named.ids.iter().zip(&ids).all(|(own, id)| *own == format!("{id}#obfuscated")));
    let (texts, documents) = (made_texts(context, "nonsense"), corpus_texts(context));
    let mut map: HashMap<&str, &str> = HashMap::new();
    for (id, text) in &documents {
        let (plain, made) = (text.split_inclusive(' '), texts[&format!("{id}#obfuscated")].split_inclusive(' '));
        let bare = |word: &'_ str| word.trim_end_matches([' ', '.']).len();
        for (plain, made) in plain.zip(made) {
            let (plain, made) = (&plain[..bare(plain)], &made[..bare(made)]);
            assert_eq!(map.insert(plain, made).unwrap_or(made), made, "{plain}");
        }
    }
    let images: BTreeSet<&&str> = map.values().collect();
    assert_eq!(images.len(), map.len(), "one for one");
    let replaced = map.iter().filter(|(plain, made)| plain != made).count();
    assert_eq!(replaced, (0.5 * map.len() as f64).round() as usize);
    let words = &statistics(context, "nonsense")["words"];
    assert_eq!((&words["distinct"], &words["distinct_replaced"]), (&map.len().into(), &replaced.into()));
}

fn shuffled_pairs_are_of_the_same_texts(context: &Context<'_>) {
    let (documents, train, held_out) = pairs_of(context, "unordered");
    let (same, of, measured) = pairs_of(context, "reordered");
    assert_eq!(documents.ids, same.ids);
    let sides = |pairs: &[Pair]| pairs.iter().map(|pair| pair.first).collect::<Vec<_>>();
    assert_eq!(sides(&train), sides(&of));
    let of_pairs = of.len();
    let of = |number: u32| origin(&documents.ids[number as usize]);
    assert!(train.iter().all(|pair| of(pair.first) != of(pair.second)), "no source has a target of its own document");
    assert_eq!(held_out, measured);
    let unordered = set(context, "unordered");
    assert_eq!(train.len(), of_pairs);
    assert!(context.made(Step::Pair(unordered)).manifest.files.iter().all(|file| file.path.ends_with(".parquet")));
}

fn a_synthesizer_starts_from_the_one_that_it_names(context: &Context<'_>) {
    let recipe = context.recipe;
    let tuned = |name: &str| context.made(Step::Tune(recipe.synthesizer(name)));
    let base = context.made(Step::Train(Replicate::own(recipe, recipe.arm("repetition"))));
    let mut before = base.hash("best/model.safetensors").unwrap();
    for (name, pairs) in
        [("first", "reordered"), ("second", "next"), ("third", "masked"), ("fourth", "each"), ("fifth", "nonsense")]
    {
        let inputs = &tuned(name).manifest.identity.inputs;
        assert_eq!(inputs["the base model"], before, "{name}");
        let own = context.made(Step::Pair(set(context, pairs)));
        assert_eq!(inputs["the unique tokens"], own.hash("unique.bin").unwrap(), "{name}");
        let trained: Trained = context.statistics(Step::Tune(recipe.synthesizer(name)).folder(recipe)).unwrap();
        assert!(trained.relation.is_some() && trained.tokens > 0);
        before = tuned(name).hash("best/model.safetensors").unwrap();
    }
    let kept = Step::Filter(recipe.corpus_of("chained"));
    assert!(context.made(kept).manifest.work.tokens >= recipe.synthetic_tokens(recipe.corpus_of("chained")));
}

fn a_mixture_of_denoisers_is_learned(context: &Context<'_>) {
    let recipe = context.recipe;
    let trained = |name: &str| -> Trained {
        context.statistics(Step::Train(Replicate::own(recipe, recipe.arm(name))).folder(recipe)).unwrap()
    };
    let (plain, mixed) = (trained("repetition"), trained("denoised"));
    let seen = |trained: &Trained| trained.diet.unwrap().train_tokens;
    assert_eq!((seen(&plain), plain.tokens, plain.scored_tokens), (12_288, 12_288, 12_288));
    assert_eq!(seen(&mixed), 12_288);
    assert!(mixed.tokens > 12_288 && mixed.scored_tokens < 9_000, "{} {}", mixed.tokens, mixed.scored_tokens);
    let losses: Vec<f64> = mixed.curve.iter().filter_map(|point| point.train_nats).collect();
    assert!(losses[losses.len() - 1] < losses[0], "{losses:?}");
    let shares = recipe.arms[recipe.arm("denoised")].training.train.denoisers.unwrap();
    assert_eq!((shares.r_share, shares.s_share, shares.x_share), (2.0 / 7.0, 0.25, 0.25));
}
