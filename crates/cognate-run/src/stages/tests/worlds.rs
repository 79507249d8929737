//! A run on a made corpus: what it says of synthesizers and of what they write, computed once more from its files and the world.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use cognate_base::{Monitor, Unit};
use cognate_corpus::{ReadOptions, Reader};
use cognate_eval::{PairLoss, RelationOptions, relation};
use cognate_pair::{Copies, LsaConfig, PairConfig, exact_neighbours, lsa, neighbours_needed, read_pairs, select_pairs};
use cognate_statistics::ratio;
use cognate_synth::filter::stage::KEPT;
use cognate_synth::{RelevanceOptions, TokenPair, relevance};
use cognate_worlds::{Dials, Judged, Kind, Mistakes, Split, Truth, Truthfulness, World};

use super::finished::Finished;
use super::*;
use crate::stages::filter::Filtered;
use crate::stages::ingest::Ingested;
use crate::stages::of_world::{judged, learned};
use crate::stages::tasks;
use crate::world_files::{PAIRS, TRUTH, write_world};

/// People of whom half are told of once, and a synthesizer with the true pairs.
const PEOPLE: &str = r#"
name = "people"
seed = 4
[corpus.world]
name = "biographies"
people = 60
told_once = 0.5
unique_tellings = 3
oracle_tellings = 2
attributes = 3
first_names = 12
last_names = 12
[tokenize]
vocab_size = 600
[tune]
batch_tokens = 1024
epochs = 2
[filter]
min_words = 5
[model]
layers = 1
width = 32
heads = 2
context = 128
[train]
budget_tokens = 40960
batch_tokens = 1024
peak_rate = 1e-2
[[pairs]]
name = "related"
method = "truth"
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.1
[[arm]]
kind = "unconditional"
synthetic_share = 0.1
[[pairs]]
name = "reordered"
method = "reorder"
[[synthesizer]]
name = "reordered"
pairs = "reordered"
epochs = 1
[[synthetic]]
name = "reordered"
by = "reordered"
[[arm]]
name = "of-reordered"
synthetic.reordered = 0.01
control_of = "sbp"
[[synthetic]]
name = "told"
truth = 0.75
samples_per_seed = 2
top_2_gram = "off"
top_3_gram = "off"
top_4_gram = "off"
[[arm]]
name = "of-told"
synthetic.told = 0.2
[[arm]]
kind = "oracle"
max_epochs = 8
[[pairs]]
name = "half"
method = "shuffled"
share = 0.5
[[synthesizer]]
name = "half"
pairs = "half"
epochs = 1
[[synthetic]]
name = "half"
by = "half"
[[arm]]
name = "of-half"
synthetic.half = 0.01
control_of = "sbp"
[[pairs]]
name = "clean"
method = "cycle"
of = "half"
keep = 0.4
rounds = 2
[[synthesizer]]
name = "clean"
pairs = "clean"
epochs = 1
[[synthetic]]
name = "clean"
by = "clean"
[[arm]]
name = "of-clean"
synthetic.clean = 0.01
control_of = "sbp"
"#;

#[test]
fn a_run_on_people_is_measured_by_what_is_true_of_them() {
    let finished = Finished::new(PEOPLE, &[], |_| {});
    let context = finished.context();
    let dials = context.recipe.corpus.world.clone().unwrap();
    let world = World::new(&dials, context.recipe.seed, &Silent).unwrap();
    documents_and_pairs_are_the_worlds(&context, &world);
    what_was_learned_is_beside_the_best_predictor_on_the_pairs_that_measure(&context, &world);
    false_pairs_are_left_out_of_what_was_learned(&context);
    what_was_learned_is_asked_about_at_every_pair(&context);
    every_synthetic_document_is_judged_by_its_own_seed(&context, &world);
    people_told_of_once_are_asked_about_apart(&context, &dials);
    arms_stand_in_the_report_by_how_true_their_documents_are(&context);
    half_of_the_pairs_of_a_set_are_false_on_purpose(&context);
    pairs_are_kept_by_what_the_synthesizer_of_their_round_finds_back(&context);
    what_the_world_writes_is_about_the_seeds_people_and_as_true_as_the_recipe_says(&context, &world);
}

/// On the default people, by the default embedding: whoever shares a name or an employer is not taken for related.
#[test]
fn pairs_of_made_people_are_as_true_as_is_wanted() {
    let dials: Dials = serde_json::from_value(serde_json::json!({"name": "biographies"})).unwrap();
    let world = World::new(&dials, 0, &Silent).unwrap();
    let (mut texts, mut people) = (Vec::new(), Vec::new());
    for document in world.documents(Split::Unique) {
        people.push(document.concept);
        texts.push((document.id, document.text));
    }
    let config = LsaConfig { dimensions: 256, seed: 0, min_documents: 2, max_document_share: 0.5, max_terms: 200_000 };
    let (vectors, _) = lsa(&texts, &config, &Silent).unwrap();
    let neighbours = exact_neighbours(&vectors, neighbours_needed(10, vectors.len()), &Silent).unwrap();
    let words: Vec<&String> = texts.iter().map(|(_, text)| text).collect();
    let copies = Copies::of(&words, 0.7, &Silent).unwrap();
    let is_true = |pair: &&Pair| people[pair.first as usize] == people[pair.second as usize];
    let all = world.pairs(&Silent).unwrap();
    let all = all.iter().filter(|(a, b)| (*a as usize) < people.len() && (*b as usize) < people.len()).count();
    for neighbours_of_each in [4, 10] {
        let config = PairConfig {
            neighbours: neighbours_of_each,
            min_similarity: None,
            precision: 0.95,
            max_similarity: 2.0,
            held_out_share: 0.0,
            seed: 0,
        };
        let (pairs, stats) = select_pairs(&vectors, &neighbours, None, &copies, &config).unwrap();
        let right = pairs.train.iter().filter(is_true).count() as f64;
        let (precision, recall) = (right / pairs.train.len() as f64, right / all as f64);
        assert!(precision >= 0.95 && recall >= 0.9, "{neighbours_of_each}: {precision} {recall}");
        assert!((stats.precision.estimate.unwrap() - precision).abs() < 0.05, "{:?}", stats.precision.estimate);
    }
}

fn documents_and_pairs_are_the_worlds(context: &Context<'_>, world: &World) {
    let ingest = context.artifact("ingest");
    let truth = Truth::read_of(&ingest.path(TRUTH), world.dials(), world.seed()).unwrap();
    for split in Split::ALL {
        let path = ingest.path(&format!("{}.jsonl.zst", split.word()));
        let reader = Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap();
        let mut found: Vec<(String, String)> =
            reader.map(|record| record.unwrap().1).map(|document| (document.id, document.text)).collect();
        let told = &truth.documents[&split];
        let mut made: Vec<(String, String)> =
            told.iter().zip(world.documents(split)).map(|(told, made)| (told.id.clone(), made.text)).collect();
        found.sort();
        made.sort();
        assert_eq!(found, made, "{split:?}");
    }
    // Of the true pairs of unique documents none is lost, and those with the selection split measure.
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let numbers = |path: &Path| -> HashSet<(u32, u32)> {
        let pairs = read_pairs(path, &documents.ids, &Silent).unwrap();
        pairs.iter().map(|pair| (pair.first, pair.second)).collect()
    };
    let made = context.artifact(Path::new("pair/related"));
    let (train, held_out) = (numbers(&made.path("train.parquet")), numbers(&made.path("held_out.parquet")));
    let all = numbers(&ingest.path(PAIRS));
    let unique = documents.unique as u32;
    assert!(train.iter().all(|(a, b)| *a < unique && *b < unique) && train.len() == 30 * 6, "{}", train.len());
    assert!(held_out.iter().all(|(a, b)| (*a < unique) != (*b < unique)) && !held_out.is_empty());
    assert!(train.is_subset(&all) && held_out.is_subset(&all));
    let ingested: Ingested = context.statistics("ingest").unwrap();
    assert_eq!(ingested.world.unwrap().pairs as usize, all.len());
}

fn what_was_learned_is_beside_the_best_predictor_on_the_pairs_that_measure(context: &Context<'_>, world: &World) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let (_, measuring) = held_out(context, &documents);
    let mut texts = unique_texts(context, &Silent).unwrap();
    texts.extend(crate::stages::texts::selection_texts(context, &Silent).unwrap());
    let trained: Trained = context.statistics(tune()).unwrap();
    let learned = trained.learned.unwrap();
    let tokens = |number: u32| documents.tokens(number);
    let pairs: Vec<_> = measuring.iter().map(|pair| (tokens(pair.first), tokens(pair.second))).collect();
    let options = RelationOptions {
        max_seed_tokens: context.recipe.generate.max_seed_tokens,
        seed: context.recipe.seed,
        batch_tokens: BATCH_TOKENS,
    };
    let mut best = load(context, &context.artifact(tune()).path("best"));
    let (_, losses) = relation(&mut best, &context.tokenizer().unwrap(), &pairs, options, &Silent).unwrap();
    let mut by_target: std::collections::BTreeMap<u32, (f64, f64)> = std::collections::BTreeMap::new();
    for (pair, loss) in measuring.iter().zip(&losses) {
        let text = |number: u32| texts[number as usize].1.as_str();
        let (marginal, conditional) = world.log_probabilities(text(pair.second), text(pair.first));
        assert!(conditional > marginal, "the seed tells of its person");
        let unit = by_target.entry(pair.second).or_default();
        *unit = (unit.0 + conditional - marginal, unit.1 - marginal - loss.true_seed);
    }
    let expected = ratio(by_target.values().copied());
    assert!((learned.share.value - expected.value).abs() < 1e-9, "{learned:?} {expected:?}");
    assert!((learned.share.stderr.unwrap() - expected.stderr.unwrap()).abs() < 1e-9);
    assert_eq!(learned.pairs as usize, measuring.len());
    let reordered: Trained = context.statistics("tune/reordered").unwrap();
    assert!(reordered.learned.is_none(), "of texts that were made of its documents the world knows nothing");
    let mean = losses.iter().map(|loss| loss.random_seed).sum::<f64>() / losses.len() as f64;
    assert!((learned.random_seed - mean).abs() < 1e-9);
    // Who writes from nothing is the base model, before it was tuned.
    let mut base = load(context, &context.base_of(0).path("best"));
    let (_, before) = relation(&mut base, &context.tokenizer().unwrap(), &pairs, options, &Silent).unwrap();
    let alone = learned.base.unwrap();
    let mean = before.iter().map(|loss| loss.no_seed).sum::<f64>() / before.len() as f64;
    assert!((alone.loss - mean).abs() < 1e-9 && alone.share.value < learned.share.value, "{alone:?} {learned:?}");
}

/// Pairs that were found may be false. Then no d2 follows its d1, and what that tells is no number.
fn false_pairs_are_left_out_of_what_was_learned(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let (_, mut pairs) = held_out(context, &documents);
    let loss = PairLoss { true_seed: 30.0, random_seed: 50.0, no_seed: 60.0 };
    let truth = learned(context, &pairs, &vec![loss; pairs.len()], &vec![loss; pairs.len()], &Silent).unwrap().unwrap();
    let other = pairs.iter().find(|pair| pair.second != pairs[0].second && pair.first != pairs[0].first).unwrap().first;
    pairs.push(Pair { first: other, ..pairs[0] });
    let found = learned(context, &pairs, &vec![loss; pairs.len()], &vec![loss; pairs.len()], &Silent).unwrap().unwrap();
    assert_eq!((found.left_out, truth.left_out), (1, 0));
    assert_eq!((found.share, found.conditional), (truth.share, truth.conditional));
    let false_ones = [pairs[pairs.len() - 1]];
    assert_eq!(learned(context, &false_ones, &[loss], &[loss], &Silent).unwrap(), None);
}

/// Asks to stop once a piece of work has begun, or it was asked so often whether to go on; and counts.
struct Stop {
    begun: &'static str,
    left: AtomicUsize,
    advanced: AtomicUsize,
}

impl Stop {
    const NEVER: usize = 1 << 40;

    fn at(begun: &'static str, left: usize) -> Self {
        Self { begun, left: left.into(), advanced: 0.into() }
    }
}

impl Monitor for Stop {
    fn begin(&self, what: &str, _: Option<u64>, _: Unit) {
        if what == self.begun {
            self.left.store(0, Ordering::Relaxed);
            self.advanced.store(0, Ordering::Relaxed);
        }
    }
    fn advance(&self, _: u64, _: &str) {
        self.advanced.fetch_add(1, Ordering::Relaxed);
    }
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn documents_of_a_world_are_written_no_further_once_the_user_interrupts() {
    let dials: Dials = serde_json::from_value(serde_json::json!({"name": "ginc", "unique_documents": 50})).unwrap();
    let world = World::new(&dials, 4, &Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for split in ["documents of unique", "documents of oracle", "documents of selection"] {
        let monitor = Stop::at(split, Stop::NEVER);
        let error = write_world(&world, &folder.path().join("w"), &monitor).unwrap_err();
        assert!(error.interrupted(), "{error}");
        assert_eq!(monitor.advanced.into_inner(), 0, "{split}: documents beyond the signal");
    }
    assert!(!crate::error::Error::from(cognate_worlds::Error::NoPair { documents: 2 }).interrupted());
}

fn what_was_learned_is_asked_about_at_every_pair(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let (_, pairs) = held_out(context, &documents);
    let losses = vec![PairLoss { true_seed: 30.0, random_seed: 50.0, no_seed: 60.0 }; pairs.len()];
    let looks = |pairs: &[Pair]| {
        let monitor = Stop::at("", Stop::NEVER);
        learned(context, pairs, &losses[..pairs.len()], &losses[..pairs.len()], &monitor).unwrap();
        Stop::NEVER - monitor.left.into_inner()
    };
    assert_eq!(looks(&pairs) - looks(&[]), pairs.len());
    // Where the world is made, and behind the last pair.
    for looks in [0, looks(&[]) / 2, looks(&pairs) - 1] {
        let error = learned(context, &pairs, &losses, &losses, &Stop::at("", looks)).unwrap_err();
        assert!(error.interrupted(), "{error}");
        let kept = context.artifact(Path::new("filter/related")).path(KEPT);
        let error = judged(context, 0, &kept, &Stop::at("", looks)).unwrap_err();
        assert!(error.interrupted(), "{error}");
    }
}

fn every_synthetic_document_is_judged_by_its_own_seed(context: &Context<'_>, world: &World) {
    let Kind::Biographies(people) = world.kind() else { panic!("another world") };
    let seeds: HashMap<String, String> = unique_texts(context, &Silent).unwrap().into_iter().collect();
    for (name, has_seeds) in [("filter/related", true), ("filter/unconditional", false), ("filter/told", true)] {
        let made = context.artifact(Path::new(name));
        let reader = Reader::open(&[made.path(KEPT)], &ReadOptions::default(), &Silent).unwrap();
        let (mut statements, mut texts) = (0, Vec::new());
        for document in reader.map(|record| record.unwrap().1) {
            let seed = metadata::seed_id(&document).unwrap().map(|id| seeds[id].as_str());
            assert_eq!(seed.is_some(), has_seeds, "{name}");
            statements += people.read(&document.text).statements.len() as u64;
            texts.push((seed.unwrap_or_default(), document.text));
        }
        let filtered: Filtered = context.statistics(name).unwrap();
        let Some(Judged::Biographies(judged)) = filtered.judged else { panic!("{name}: not judged") };
        let judge = texts.iter().map(|(seed, text)| (*seed, text.as_str()));
        assert_eq!(Judged::Biographies(judged), world.judge(judge, &Silent).unwrap(), "{name}");
        // How often the seed's person is told of says whose seed it was, whatever is written.
        let told = |seed: &str| people.read(seed).person.map(|person| people.config().tellings(person, Split::Unique));
        let count = |tellings: Option<usize>| texts.iter().filter(|(seed, _)| told(seed) == tellings).count() as u64;
        let parts = [judged.once, judged.several, judged.unseeded].map(|part| part.documents);
        assert_eq!(parts, [count(Some(1)), count(Some(3)), count(None)], "{name}");
        assert!(if has_seeds { parts[0] > 5 && parts[1] > 5 } else { parts[2] > 10 }, "{name}: {parts:?}");
        let all = judged.all();
        assert_eq!(all.true_statements + all.false_statements + all.about_nobody, statements, "{name}");
    }
}

fn arms_stand_in_the_report_by_how_true_their_documents_are(context: &Context<'_>) {
    let assembly = crate::assemble::Assembly { root: context.run.root(), recipe: context.recipe };
    let report = assembly.report(cognate_results::Environment::unknown()).unwrap();
    let truths = report.world.unwrap().truths;
    let mut expected = Vec::new();
    for (arm, corpus, by_world, share) in [
        ("sbp", "related", None, 0.1),
        ("unconditional", "unconditional", None, 0.1),
        ("of-reordered", "reordered", None, 0.01),
        ("of-told", "told", Some(String::new()), 0.2),
        ("of-half", "half", None, 0.01),
        ("of-clean", "clean", None, 0.01),
    ] {
        let filtered: Filtered = context.statistics(Path::new("filter").join(corpus)).unwrap();
        let Some(Judged::Biographies(judged)) = filtered.judged else { panic!("not judged") };
        let all = judged.all();
        let said = all.true_statements + all.false_statements + all.about_nobody;
        let gap = report.gap_closed[&cognate_results::gap_key(cognate_results::VALIDATION, arm)];
        let truth = all.true_statements as f64 / said as f64;
        let (arm, corpus) = (arm.to_owned(), corpus.to_owned());
        // Of what states nothing it is not known how true it is.
        let point = cognate_results::TruthPoint { arm, corpus, by_world, share, truth, gap };
        expected.extend((said > 0).then_some(point));
    }
    assert!(expected.iter().any(|point| point.by_world.is_some() && (point.truth - 0.75).abs() < 0.05));
    assert_eq!(truths, expected);
}

fn pairs_are_kept_by_what_the_synthesizer_of_their_round_finds_back(context: &Context<'_>) {
    let recipe = context.recipe;
    let documents = Documents::of(context, recipe.pair_set("half"), &Silent).unwrap();
    let read = |set: &str, part: &str| {
        let made = context.made(Step::Pair(recipe.pair_set(set)));
        read_pairs(&made.path(part), &documents.ids, &Silent).unwrap()
    };
    let given = read("half", "train.parquet");
    let tokenizer = context.tokenizer().unwrap();
    let mut kept_before = Vec::new();
    for (set, by) in [("clean-round-1", "half"), ("clean", "clean-round-1")] {
        let synthesizer = context.made(Step::Tune(recipe.synthesizer(by)));
        let mut model = load(context, &synthesizer.path("best"));
        let pair = |pair: &Pair| TokenPair {
            name: String::new(),
            seed: documents.tokens(pair.first),
            document: documents.tokens(pair.second),
        };
        let pairs: Vec<TokenPair> = given.iter().map(pair).collect();
        let options = RelevanceOptions::of(&tokenizer, recipe.generate.max_seed_tokens, BATCH_TOKENS).unwrap();
        let scores = relevance(&mut model, &tokenizer, &pairs, options, &Silent).unwrap();
        let mut scored: Vec<(f64, Pair)> =
            given.iter().zip(scores).map(|(pair, score)| ((score.forward + score.backward) / 2.0, *pair)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let kept = read(set, "train.parquet");
        // A pair and its converse have one score, so one more may stay.
        let count = (0.4 * given.len() as f64).round() as usize;
        assert!((count..=count + 1).contains(&kept.len()), "{set}: {} of {}", kept.len(), given.len());
        let ends = |pair: &Pair| (pair.first, pair.second);
        let mut expected: Vec<(u32, u32)> = scored[..kept.len()].iter().map(|(_, pair)| ends(pair)).collect();
        expected.sort_unstable();
        let mut found: Vec<(u32, u32)> = kept.iter().map(ends).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{set}");
        assert_eq!(read(set, "held_out.parquet"), read("half", "held_out.parquet"));
        let made = context.made(Step::Pair(recipe.pair_set(set)));
        assert!(made.manifest.work.flops > 0.0, "scoring costs operations");
        assert_ne!(found, kept_before, "each round scores anew");
        kept_before = found;
    }
    // The synthesizer behind them learned from the last round's.
    let tuned = context.made(Step::Tune(recipe.synthesizer("clean")));
    let pairs = context.made(Step::Pair(recipe.pair_set("clean"))).hash("train.parquet").unwrap();
    assert!(tuned.manifest.identity.inputs.values().any(|hash| *hash == pairs));
}

fn half_of_the_pairs_of_a_set_are_false_on_purpose(context: &Context<'_>) {
    let documents = Documents::of(context, 0, &Silent).unwrap();
    let read = |set: &str, part: &str| {
        let made = context.made(Step::Pair(context.recipe.pair_set(set)));
        read_pairs(&made.path(part), &documents.ids, &Silent).unwrap()
    };
    let person = |number: u32| documents.ids[number as usize].split('-').nth(1).unwrap().parse::<usize>().unwrap();
    let pairs = read("half", "train.parquet");
    let (kept, changed): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(|pair| pair.similarity == 1.0);
    // Of 180 pairs half are kept, and few of the others come twice or relate by chance.
    assert_eq!(kept.len(), 90);
    assert!((85..=90).contains(&changed.len()), "{}", changed.len());
    let related = |pairs: &[&Pair]| pairs.iter().filter(|pair| person(pair.first) == person(pair.second)).count();
    assert_eq!(related(&kept), 90);
    assert!(related(&changed) < 12, "{}", related(&changed));
    assert_eq!(read("half", "held_out.parquet"), read("related", "held_out.parquet"), "what measures is true");
    // Where true pairs are asked for, they are those of the set that it was made of.
    let true_of = |corpus: &str| {
        let corpus = context.recipe.corpus_of(corpus);
        crate::stages::quality::true_pairs(context, corpus, &documents.ids[..documents.unique]).unwrap()
    };
    assert_eq!(true_of("half"), true_of("related"));
    assert_eq!(true_of("clean"), true_of("related"));
    // It is no control: what it learned of its seed is measured.
    assert!(context.recipe.is_related(context.recipe.corpus_of("half")));
    let filtered: Filtered = context.statistics("filter/half").unwrap();
    assert!(filtered.measured.is_some());
}

fn what_the_world_writes_is_about_the_seeds_people_and_as_true_as_the_recipe_says(
    context: &Context<'_>,
    world: &World,
) {
    let corpus = context.recipe.corpus_of("told");
    let made = context.made(Step::Generate(corpus));
    let (seeds, tokenizer) = (unique_texts(context, &Silent).unwrap(), context.tokenizer().unwrap());
    let seeds: HashMap<String, String> = seeds.into_iter().collect();
    let (mut number, mut tokens) = (0, 0);
    let truth = Truthfulness { truth: 0.75, mistakes: Mistakes::Independent };
    for shard in shards(&made.folder).unwrap() {
        for record in Reader::open(&[shard], &ReadOptions::default(), &Silent).unwrap() {
            let document = record.unwrap().1;
            let seed = metadata::seed_id(&document).unwrap().unwrap();
            assert_eq!(document.text, world.write(&seeds[seed], number, truth), "document {number}");
            tokens += tokenizer.encode(&document.text).unwrap().len() as u64 + 1;
            assert!(metadata::mean_log_probability(&document).unwrap().is_none());
            let by = document.metadata["synthesizer"].as_str().unwrap();
            assert!(by.starts_with("world ") && by.ends_with("truth 0.75, mistakes independent"), "{by}");
            number += 1;
        }
    }
    // A quarter more than the arm's fifth of the budget, and no operation for it.
    let work = &made.manifest.work;
    assert_eq!((work.documents, work.tokens, work.flops), (number, tokens, 0.0));
    assert!((10_240..10_240 + 200).contains(&tokens), "{tokens}");
    let filtered: Filtered = context.statistics("filter/told").unwrap();
    let Some(Judged::Biographies(judged)) = filtered.judged else { panic!("not judged") };
    let all = judged.all();
    assert_eq!((all.same_person, all.about_nobody, all.unread), (all.documents, 0, 0));
    let statements = (all.true_statements + all.false_statements) as f64;
    let share = all.true_statements as f64 / statements;
    assert!((share - 0.75).abs() < 4.0 * (0.75 * 0.25 / statements).sqrt(), "{share}");
    assert!(filtered.measured.is_none(), "no synthesizer scores it");
    // Its arm trains on it, and pays for no model that writes.
    let arm = Step::Train(Replicate::own(context.recipe, context.recipe.arm("of-told")));
    let tokens = context.artifact(Path::new("filter/told")).hash("synthetic.bin").unwrap();
    assert!(context.made(arm).manifest.identity.inputs.values().any(|hash| *hash == tokens));
    let behind = crate::graph::behind(context.recipe, arm);
    assert!(!behind.iter().any(|step| matches!(step, Step::Tune(_) | Step::Train(_)) && *step != arm), "{behind:?}");
}

fn people_told_of_once_are_asked_about_apart(context: &Context<'_>, dials: &Dials) {
    let Dials::Biographies(config) = dials else { panic!("another world") };
    let ingest = context.artifact("ingest");
    let asked = tasks::tasks(context.recipe, Some(&ingest.folder)).unwrap();
    let names: Vec<&str> = asked.iter().map(|(task, _)| task.name()).collect();
    assert_eq!(names, ["extraction_once", "extraction_several"]);
    let statistics: serde_json::Value = context.statistics("ingest").unwrap();
    for (once, (task, files)) in [true, false].into_iter().zip(&asked) {
        let text = fs_err::read_to_string(&files.questions).unwrap();
        let mut answers: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for line in text.lines() {
            let question: serde_json::Value = serde_json::from_str(line).unwrap();
            let answer = question["text"].as_str().unwrap().rsplit_once(' ').unwrap().1;
            let of_attribute = answers.entry(question["attribute"].to_string()).or_default();
            *of_attribute.entry(answer.to_owned()).or_default() += 1;
            let person = question["person"].as_u64().unwrap() as usize;
            assert_eq!(config.tellings(person, Split::Unique) == 1, once, "{line}");
        }
        // Three facts are told of who is told of once; of the others up to six.
        let asked = text.lines().count();
        assert!(if once { (30..=90).contains(&asked) } else { (90..=180).contains(&asked) }, "{asked}");
        // Who knows nobody says of each attribute what is most often right.
        let guessed: u64 = answers.values().map(|of_attribute| of_attribute.values().max().unwrap()).sum();
        let questions = &statistics["world"]["questions"][task.name()];
        assert_eq!((&questions["n"], &questions["guessed"]), (&asked.into(), &guessed.into()), "{statistics}");
    }
    // They are inputs of what measures, and are scored.
    let made = context.made(Step::Evaluate(Replicate::own(context.recipe, 1)));
    assert!(made.manifest.identity.inputs.contains_key("the questions of extraction_once"));
    let scored = &made.manifest.work.statistics["tasks"];
    assert!(scored["extraction_once"]["n"].as_u64().unwrap() >= 30 && scored["extraction_several"].is_object());
    assert_eq!(tasks::tasks(context.recipe, None).unwrap().len(), 0, "before there is a world, nothing is asked");
}
