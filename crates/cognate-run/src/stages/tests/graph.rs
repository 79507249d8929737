//! A run with everything that a recipe can name: what each thing is made from, and what is counted of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use cognate_base::files::write_atomic;
use cognate_base::{Hash, Silent};
use cognate_corpus::Document;
use cognate_pair::{Pair, Vectors, read_pairs, read_shuffled_pairs, read_vectors, write_pairs, write_vectors};
use cognate_synth::{JudgeStats, metadata};

use super::super::evaluate::read_scores;
use super::super::held_out;
use super::super::quality::read_first;
use super::super::tasks;
use super::super::texts::unique_texts;
use super::finished::{Finished, texts};
use super::{identities, load, told, trainings, work, written};
use crate::context::Context;
use crate::device::Models;
use crate::step::{Replicate, Step};

/// Documents of the corpus that are none of a kind of their own.
const DOCUMENTS: usize = 400;

/// Records with other field names than usual, a bad one, one without text, one twice, near-copies, and texts that share a passage.
fn documents() -> String {
    let mut lines: Vec<String> = Vec::new();
    let texts = texts(DOCUMENTS);
    for (number, text) in texts.iter().enumerate() {
        let text = match number % 5 {
            // Of the words of the document before, all but two.
            4 => texts[number - 1].split(' ').skip(2).collect::<Vec<_>>().join(" "),
            _ => text.clone(),
        };
        lines.push(format!("{{\"name\": \"d{number}\", \"body\": \"{text}\"}}\n"));
    }
    lines.push(format!("{{\"name\": \"again\", \"body\": \"{}\"}}\n", texts[0]));
    lines.push("{\"name\": \"nothing\", \"body\": \" \"}\n".to_owned());
    lines.push("{\"name\": \"bad\"}\n".to_owned());
    lines.concat()
}

pub(super) const RECIPE: &str = r#"
name = "graph"
seed = 5
[corpus]
paths = ["documents.jsonl"]
id_field = "name"
text_field = "body"
on_bad_record = "skip"
validation_share = 0.05
unique_share = 0.4
selection_share = 0.15
contamination_words = 8
[tokenize]
vocab_size = 420
[embed]
dimensions = 32
[pair]
min_similarity = 0.4
neighbours = 4
near_copy = 0.5
held_out_share = 0.4
[tune]
relation_pairs = 20
batch_tokens = 512
rate = 1e-2
[generate]
oversample = 0.0
max_new_tokens = 64
most_written = 100
most_unfinished = "off"
[filter]
min_words = 5
drop_unfinished = false
judge_url = "JUDGE"
judge_model = "wise"
judge_samples = 6
[evaluate]
tasks = ["perplexity", "blimp", "webquestions"]
data_dir = "."
limit = 2
[model]
layers = 1
width = 32
heads = 2
context = 64
[train]
budget_tokens = 10240
batch_tokens = 512
peak_rate = 1e-2
validate_every_tokens = 2048
checkpoint_every_tokens = 4096
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.1
[[arm]]
name = "fading"
synthetic.related = 0.1
train.weight_decay_epochs = 0.5
order = "real-last"
[[synthetic]]
name = "strict"
by = "shuffled"
min_relevance = -50
[[arm]]
kind = "random-pairs"
synthetic_share = 0.05
[[arm]]
name = "strict"
synthetic.strict = 0.05
[[synthetic]]
name = "second"
by = "related"
seeds = "related"
oversample = 0.5
[[arm]]
name = "mixed"
synthetic = { related = 0.1, second = 0.05 }
[[arm]]
kind = "unconditional"
synthetic_share = 0.05
[[arm]]
kind = "oracle"
[[arm]]
name = "twice"
documents = "all"
max_epochs = 3
synthetic.related = 0.1
[[arm]]
kind = "related-context"
[[embedding]]
name = "given"
method = "file"
path = "vectors.parquet"
[[arm]]
name = "given-context"
contexts = "related"
embedding = "given"
[[pairs]]
name = "mine"
method = "file"
path = "pairs.parquet"
[[synthesizer]]
name = "mine"
pairs = "mine"
[[synthetic]]
name = "mine"
by = "mine"
[[arm]]
name = "given-pairs"
synthetic.mine = 0.05
[[arm]]
name = "wild"
train.peak_rate = 10
train.final_rate = 10
evaluate = false
[[arm]]
name = "continued"
init = "wild"
[[arm]]
kind = "equal-flops"
"#;

#[test]
fn what_everything_is_made_from_and_costs() {
    let judge = Judge::start();
    let files = [
        ("documents.jsonl", documents()),
        ("blimp.jsonl", blimp()),
        ("webquestions.jsonl", questions("test")),
        ("webquestions_train.jsonl", questions("train")),
    ];
    let recipe = RECIPE.replace("JUDGE", &judge.url());
    let finished = Finished::new(&recipe, &files, |folder| {
        write_vectors(&folder.join("vectors.parquet"), &given_vectors()).unwrap();
        write_pairs(&folder.join("pairs.parquet"), &names(), &given_pairs()).unwrap();
    });
    {
        let context = finished.context();
        work::rows_are_those_of_the_files(&context);
        work::operations_and_tokens_follow_from_what_was_read(&context);
        records_are_read_by_the_fields_that_the_recipe_names(&context);
        vectors_and_pairs_of_files_are_those_given(&context);
        shuffled_pairs_have_the_similarity_of_their_own_documents(&context);
        trainings::each_arm_is_trained_on_what_it_says(&context);
        trainings::an_arm_is_trained_as_its_keys_say(&context);
        trainings::a_training_starts_from_what_it_names(&context);
        trainings::checkpoints_are_published_without_their_optimizer(&context);
        trainings::an_arms_best_checkpoint_is_chosen_by_documents_that_no_arm_is_scored_on(&context);
        trainings::documents_share_rows_with_their_neighbours(&context);
        trainings::equal_operations_are_those_that_the_other_arm_cost(&context);
        identities::inputs_are_those_of_the_list(&context);
        written::rounds_follow_on_each_other(&context);
        written::operations_of_filters_are_those_of_scoring(&context);
        written::scores_of_relevance_are_those_of_the_kept_documents(&context);
        questions_count_beside_documents(&context);
        gains_stand_by_how_similar_their_documents_are(&context);
        the_judge_is_shown_pairs_of_each_kind(&context, &judge);
        told::the_use_of_the_seed_is_told_of_each_synthesizer_that_should(&context, &finished.told);
    }
    written::what_filters_leave_decides_what_is_told(&finished);
    trainings::neighbours_as_similar_as_copies_are_left_out(&finished);
    trainings::a_start_of_another_shape_is_refused(&finished);
    tasks_are_asked_as_the_recipe_says(&finished);
}

/// Names and texts of the unique documents.
fn unique(context: &Context<'_>) -> Vec<(String, String)> {
    unique_texts(context, &Silent).unwrap()
}

/// Those of the unique documents, and behind them those of the selection split.
fn ids(context: &Context<'_>) -> Vec<String> {
    held_out::ids(context, 0, &Silent).unwrap().0
}

fn records_are_read_by_the_fields_that_the_recipe_names(context: &Context<'_>) {
    let stats = &context.made(Step::Ingest).manifest.work.statistics;
    assert_eq!((stats["rejected"].as_u64(), stats["without_text"].as_u64()), (Some(1), Some(1)));
    assert_eq!(stats["exact_duplicates"].as_u64(), Some(1));
    assert!(stats["contaminated"].as_u64() > Some(1), "{stats}");
    let written: Vec<String> = documents().lines().map(str::to_owned).collect();
    for (id, text) in unique(context) {
        assert!(written.contains(&format!("{{\"name\": \"{id}\", \"body\": \"{text}\"}}")), "{id}");
    }
}

/// Quarters of the validation documents, counted once more from the files.
fn gains_stand_by_how_similar_their_documents_are(context: &Context<'_>) {
    let recipe = context.recipe;
    let assembly = crate::assemble::Assembly { root: context.run.root(), recipe };
    let found = assembly.report(cognate_results::Environment::unknown()).unwrap().by_similarity.unwrap();
    let mut nearest = crate::stages::nearest::read(&context.made(Step::Embed(recipe.embedding("lsa"))).folder).unwrap();
    nearest.sort_by(|a, b| a.similarity.total_cmp(&b.similarity).then_with(|| a.document.cmp(&b.document)));
    let scores = |arm: usize| -> HashMap<String, (f64, f64)> {
        let made = context.made(Step::Evaluate(Replicate::own(recipe, arm)));
        let scores = crate::stages::evaluate::read_scores(&made.folder).unwrap();
        let nats = |score: &cognate_eval::DocumentScore| -score.log_likelihood - score.end_log_likelihood;
        scores.iter().map(|score| (score.document.clone(), (nats(score), (score.tokens + 1) as f64))).collect()
    };
    let mean = |scores: &HashMap<String, (f64, f64)>, part: &[crate::stages::nearest::Nearest]| {
        let of: Vec<(f64, f64)> = part.iter().map(|found| scores[&found.document]).collect();
        of.iter().map(|score| score.0).sum::<f64>() / of.iter().map(|score| score.1).sum::<f64>()
    };
    let baseline = scores(recipe.baseline().unwrap());
    assert_eq!(found.quarters.len(), 4);
    assert!(found.arms.len() > 1 && nearest[0].similarity < nearest[nearest.len() - 1].similarity - 0.1);
    for (number, quarter) in found.quarters.iter().enumerate() {
        let start = |quarter: usize| (quarter * nearest.len()).div_ceil(4);
        let part = &nearest[start(number)..start(number + 1)];
        assert_eq!(quarter.documents, part.len() as u64, "quarter {number}");
        assert_eq!((quarter.from, quarter.to), (part[0].similarity, part[part.len() - 1].similarity));
        assert!((quarter.baseline - mean(&baseline, part)).abs() < 1e-9, "quarter {number}");
        for arm in &found.arms {
            let at = if arm.arm == "sbp" { recipe.subject().unwrap() } else { recipe.arm(&arm.arm) };
            let difference = mean(&scores(at), part) - mean(&baseline, part);
            assert!((arm.differences[number].value - difference).abs() < 1e-9, "{} in quarter {number}", arm.arm);
        }
    }
}

/// Documents of the corpus that the tests give vectors and pairs.
fn names() -> Vec<String> {
    (0..DOCUMENTS).map(|number| format!("d{number}")).chain(["again".to_owned()]).collect()
}

/// Vectors of four numbers, each another.
fn given_vectors() -> Vectors {
    let ids = names();
    let angles = (0..ids.len()).map(|at| at as f32 * 0.7);
    let data = angles
        .flat_map(|angle| [0.6 * angle.cos(), 0.6 * angle.sin(), 0.8 * (2.0 * angle).cos(), 0.8 * (2.0 * angle).sin()]);
    Vectors { width: 4, data: data.collect(), ids }
}

/// Each document with the next but one, and with that after it.
fn given_pairs() -> Vec<Pair> {
    let of = |first: u32| [2, 3].map(|step| Pair { first, second: first + step, similarity: 0.5 });
    (0..DOCUMENTS as u32 - 3).flat_map(of).collect()
}

fn vectors_and_pairs_of_files_are_those_given(context: &Context<'_>) {
    let (recipe, ids) = (context.recipe, ids(context));
    let (made, given) = (context.made(Step::Embed(recipe.embedding("given"))), given_vectors());
    let [unique, selection] =
        ["vectors", "selection"].map(|name| read_vectors(&made.path(&format!("{name}.parquet")), &Silent).unwrap());
    assert_eq!([unique.ids.clone(), selection.ids.clone()].concat(), ids);
    for vectors in [unique, selection] {
        for (at, id) in vectors.ids.iter().enumerate() {
            let place = given.ids.iter().position(|other| other == id).unwrap();
            assert_eq!(vectors.row(at), given.row(place), "{id}");
        }
    }

    let made = context.made(Step::Pair(recipe.pair_set("mine")));
    let number = |pair: u32| ids.iter().position(|id| *id == format!("d{pair}")).map(|at| at as u32);
    let known: BTreeSet<(u32, u32)> =
        given_pairs().iter().filter_map(|pair| Some((number(pair.first)?, number(pair.second)?))).collect();
    let read = |name: &str| -> BTreeSet<(u32, u32)> {
        read_pairs(&made.path(name), &ids, &Silent).unwrap().iter().map(|pair| (pair.first, pair.second)).collect()
    };
    let (train, held_out) = (read("train.parquet"), read("held_out.parquet"));
    assert!(train.len() > 20 && held_out.len() > 2, "{} and {}", train.len(), held_out.len());
    assert!(train.is_disjoint(&held_out) && train.union(&held_out).all(|pair| known.contains(pair)));
    let stats = &made.manifest.work.statistics;
    assert_eq!(stats["passed_over"], given_pairs().len() - known.len());
    assert_eq!((&stats["train_pairs"], &stats["held_out_pairs"]), (&train.len().into(), &held_out.len().into()));
}

fn shuffled_pairs_have_the_similarity_of_their_own_documents(context: &Context<'_>) {
    let (recipe, ids) = (context.recipe, ids(context));
    let (of, made) =
        (context.made(Step::Pair(recipe.pair_set("related"))), context.made(Step::Pair(recipe.pair_set("shuffled"))));
    let vectors =
        read_vectors(&context.made(Step::Embed(recipe.embedding("lsa"))).path("vectors.parquet"), &Silent).unwrap();
    let pairs = read_shuffled_pairs(&made.path("train.parquet"), &ids, &Silent).unwrap();
    let related = read_pairs(&of.path("train.parquet"), &ids, &Silent).unwrap();
    assert_eq!(made.manifest.work.statistics["train_pairs"], related.len());
    let sides = |pairs: &[Pair], of: fn(&Pair) -> u32| {
        let mut side: Vec<u32> = pairs.iter().map(of).collect();
        side.sort_unstable();
        side
    };
    for side in [|pair: &Pair| pair.first, |pair: &Pair| pair.second] {
        assert_eq!(sides(&pairs, side), sides(&related, side));
    }
    for pair in &pairs {
        let cosine: f32 =
            vectors.row(pair.first as usize).iter().zip(vectors.row(pair.second as usize)).map(|(a, b)| a * b).sum();
        assert!((pair.similarity - cosine).abs() < 1e-5, "{pair:?} {cosine}");
    }
    assert_eq!(made.hash("held_out.parquet").unwrap(), of.hash("held_out.parquet").unwrap());
}

/// Questions are read through a cache, as the same model does when it is asked again.
fn questions_count_beside_documents(context: &Context<'_>) {
    let own = Replicate::own(context.recipe, 0);
    let (made, model) = (context.made(Step::Evaluate(own)), context.made(Step::Train(own)).path("final"));
    let documents: Vec<u64> = read_scores(&made.folder).unwrap().iter().map(|score| score.tokens + 1).collect();
    let mut model = Models::from(load(context, &model));
    let scratch = tempfile::tempdir().unwrap();
    let tokenizer = context.tokenizer().unwrap();
    let scored =
        tasks::score((context.recipe, Path::new("")), &mut model, &tokenizer, scratch.path(), &Silent).unwrap();
    let work = &made.manifest.work;
    assert_eq!(work.tokens, documents.iter().sum::<u64>() + model.fed().tokens);
    let of_documents = work.flops - model.fed().flops;
    work::nearly(of_documents, work::reading(model.config(), documents));
    assert!(model.fed().flops > 0.05 * of_documents, "there are too few questions to be seen");
    assert_eq!(work.statistics["tasks"], serde_json::to_value(&scored.tasks).unwrap());
    let written = |folder: &Path| fs_err::read_to_string(folder.join(tasks::QUESTIONS)).unwrap();
    assert_eq!(written(scratch.path()), written(&made.folder));
    // The first two of each.
    assert_eq!(written(&made.folder).lines().count(), 4);
    let inputs = &made.manifest.identity.inputs;
    let file = |name: &str| Hash::of_file(context.recipe.at(Path::new(name))).unwrap();
    assert_eq!(inputs["the questions of blimp"], file("blimp.jsonl"));
    assert_eq!(inputs["the questions of webquestions"], file("webquestions.jsonl"));
    assert_eq!(inputs["the examples of webquestions"], file("webquestions_train.jsonl"));
}

fn tasks_are_asked_as_the_recipe_says(finished: &Finished) {
    let mut recipe = finished.recipe();
    let files = tasks::tasks(&recipe, None).unwrap();
    let names: Vec<(&str, bool)> = files.iter().map(|(task, files)| (task.name(), files.examples.is_some())).collect();
    assert_eq!(names, [("blimp", false), ("webquestions", true)]);
    tasks::check(&recipe, None, None, &Silent).unwrap();
    recipe.evaluate.limit = 0;
    {
        let (context, folder) = (finished.context_of(&recipe), tempfile::tempdir().unwrap());
        let model = context.made(Step::Train(Replicate::own(&recipe, 0))).path("final");
        let (mut model, tokenizer) = (Models::from(load(&context, &model)), context.tokenizer().unwrap());
        let scored =
            tasks::score((&recipe, Path::new("")), &mut model, &tokenizer, folder.path(), &Silent).unwrap().tasks;
        assert_eq!((scored["blimp"].n, scored["webquestions"].n), (5, 7), "no limit");
    }
    write_atomic(recipe.at(Path::new("blimp.jsonl")), "{\"sentence_good\": 1}\n").unwrap();
    let error = tasks::check(&recipe, None, None, &Silent).unwrap_err().to_string();
    assert!(error.contains("blimp.jsonl"), "{error}");
}

/// A completion server that finds every pair related, and keeps what it was shown.
struct Judge {
    listener: SocketAddr,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Judge {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let shared = shown.clone();
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shown = shared.clone();
                std::thread::spawn(move || stream.and_then(|stream| Self::serve(stream, &shown)));
            }
        });
        Self { listener: address, shown }
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.listener)
    }

    fn serve(mut stream: TcpStream, shown: &Mutex<Vec<String>>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            let mut length = 0;
            while line != "\r\n" {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
                reader.read_line(&mut line)?;
            }
            line.clear();
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            let body: serde_json::Value = serde_json::from_slice(&body)?;
            shown.lock().unwrap().push(body["prompt"].as_str().unwrap().to_owned());
            let answer = "{\"choices\": [{\"text\": \" related\", \"finish_reason\": \"stop\"}]}";
            let head =
                format!("HTTP/1.1 200 -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.write_all((head + answer).as_bytes())?;
        }
        Ok(())
    }
}

fn the_judge_is_shown_pairs_of_each_kind(context: &Context<'_>, judge: &Judge) {
    let recipe = context.recipe;
    let shown = judge.shown.lock().unwrap();
    let texts: Vec<(&str, &str)> = shown
        .iter()
        .map(|prompt| {
            let rest = prompt.split_once("First text:\n").unwrap().1;
            let (first, rest) = rest.split_once("\n\nSecond text:\n").unwrap();
            (first, rest.rsplit_once("\n\nAnswer with").unwrap().0)
        })
        .collect();
    let shown = |first: &str, second: &str| texts.contains(&(first.trim(), second.trim()));
    let mut known: BTreeMap<String, String> = unique(context).into_iter().collect();
    let unique = known.clone();
    let ids = ids(context);
    for corpus in ["related", "second", "mine"] {
        let at = recipe.corpus_of(corpus);
        let made = context.made(Step::Filter(at));
        let kept = read_first(&made.path("synthetic.jsonl.zst"), usize::MAX, &Silent).unwrap();
        let behind = |document: &Document| known[metadata::seed_id(document).unwrap().unwrap()].clone();
        let asked = kept.iter().filter(|document| shown(&behind(document), &document.text)).count();
        let judged: JudgeStats =
            serde_json::from_value(made.manifest.work.statistics["filter"]["judge"].clone()).unwrap();
        assert_eq!((judged.synthetic.related, judged.synthetic.asked()), (6, 6), "{corpus}");
        assert_eq!(asked, 6, "{corpus}");
        assert_eq!((judged.random.related, judged.neighbours.unwrap().related), (6, 6), "{corpus}");
        if corpus == "related" {
            known.extend(kept.into_iter().map(|document| (document.id, document.text)));
        }
    }
    // Of three corpora, those two of one synthesizer are compared with the same pairs.
    let pairs = |set: &str| -> usize {
        let made = context.made(Step::Pair(recipe.pair_set(set)));
        let files = ["train.parquet", "held_out.parquet"];
        let pairs = files.into_iter().flat_map(|file| read_pairs(&made.path(file), &ids, &Silent).unwrap());
        let text = |number: u32| unique.get(&ids[number as usize]);
        let texts = pairs.filter_map(|pair| text(pair.first).zip(text(pair.second)));
        texts.filter(|(first, second)| shown(first, second)).count()
    };
    assert!(pairs("related") >= 6 && pairs("mine") >= 6, "{} {}", pairs("related"), pairs("mine"));
    // A control goes before no judge.
    for corpus in ["shuffled", "strict", "unconditional"] {
        let statistics = &context.made(Step::Filter(recipe.corpus_of(corpus))).manifest.work.statistics;
        assert!(statistics["filter"].get("judge").is_none() && statistics.get("measured").is_none(), "{corpus}");
    }
}

fn blimp() -> String {
    let pair = |number: usize| {
        format!("{{\"sentence_good\": \"bade fi {number}.\", \"sentence_bad\": \"fi bade.\", \"UID\": \"one\"}}\n")
    };
    (0..5).map(pair).collect()
}

fn questions(split: &str) -> String {
    (0..7).map(|number| format!("{{\"question\": \"bade {split} {number}?\", \"answers\": [\"fi\"]}}\n")).collect()
}
