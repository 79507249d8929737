//! Plans of a small corpus, beside what a run does, and of a model that no machine here would train.

use crate::graph::behind;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cognate_base::files::write_atomic;
use cognate_base::{Silent, Unit};
use cognate_corpus::{SharedPassage, SplitStats};
use tempfile::TempDir;

use super::*;
use crate::context::Settings;
use crate::rundir::Manifest;
use crate::runner::{NoPages, run};
use crate::stages::train::training::Trained;

/// The paper's model of 3 B parameters on a corpus of a few hundred documents.
fn large() -> (tempfile::TempDir, Recipe) {
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize| {
        format!("{{\"id\": \"{i}\", \"text\": \"document {i} has words {}\"}}\n", "of its own ".repeat(i % 50))
    };
    write_atomic(folder.path().join("d.jsonl"), (0..400).map(line).collect::<String>()).unwrap();
    let text = "name = \"large\"\n[corpus]\npaths = [\"d.jsonl\"]\nunique_share = 0.5\n[tokenize]\nvocab_size = 49_152\n[model]\n\
                layers = 26\nwidth = 3072\nheads = 24\nkv_heads = 8\nhead_width = 128\nffn = 8064\ncontext = 4096\ntied = false\n\
                [train]\nbudget_tokens = 200_000_000_000\nbatch_tokens = 8_388_608\n";
    let recipe = Recipe::parse(&folder.path().join("r.toml"), text).unwrap();
    (folder, recipe)
}

/// A plan for which no stage is done.
fn looked_at(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Plan> {
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::ZERO };
    let plan = plan_within(recipe, (DeviceKind::default(), 2), &bounds, monitor);
    assert_eq!(names(scratch.path()), 0);
    plan
}

fn names(folder: &Path) -> usize {
    fs_err::read_dir(folder).unwrap().count()
}

#[test]
fn a_large_recipe_is_planned_with_few_operations() {
    let (_folder, recipe) = large();
    let plan = looked_at(&recipe, &Silent).unwrap();
    assert!((2.8e9..3.0e9).contains(&(plan.parameters as f64)), "{}", plan.parameters);
    assert!((1e9..=calibrate::MOST_FLOPS).contains(&plan.measured_flops), "{:e}", plan.measured_flops);
    let train = plan.stages.iter().find(|row| row.stage == "train").unwrap();
    // Parameters, gradients and two moments alone are 16 bytes a parameter.
    assert!(train.memory_bytes as f64 > 16.0 * 2.8e9, "{train:?}");
    assert!(train.wall_s > 0.5 * train.flops / plan.training_flops_per_s, "{train:?}");
}

/// Interrupts when it is asked for the n-th time.
struct After(AtomicU32);

impl Monitor for After {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) <= 1
    }
}

#[test]
fn a_plan_is_interrupted_wherever_it_is() {
    let (_folder, recipe) = large();
    // While documents are read, behind the tokenizer, and before each step that is timed.
    for times in [1, 200, 401, 402, 403, 406, 408] {
        let monitor = After(AtomicU32::new(times));
        let error = looked_at(&recipe, &monitor).expect_err("interrupted");
        assert!(error.interrupted(), "{times}: {error}");
    }
}

#[test]
fn what_does_not_fit_into_the_machine_is_said() {
    let stage = |stage, memory_bytes| StagePlan { stage, memory_bytes, ..StagePlan::default() };
    let stages = [stage("train", 50_000_000_000), stage("tune", 60_000_000_000), stage("pair", 1000)];
    let note = |total, available| notes::memory_note(&stages, Some(process::Memory { total, available })).unwrap();
    let most = "tune takes most memory, about 60.0 GB";
    assert_eq!(
        note(24_000_000_000, 1),
        format!(
            "{most}, and this machine has 24.0 GB: the run would fail there (and in 1 other stages); shorten [model] or batch_tokens, \
             or take a larger machine"
        )
    );
    assert_eq!(note(64_000_000_000, 64_000_000_000), format!("{most}; this machine has 64.0 GB"));
    assert!(note(64_000_000_000, 1_000_000_000).ends_with("of which other programs hold all but 1.00 GB now"));
    assert_eq!(notes::memory_note(&stages, None).unwrap(), most);
}

#[test]
fn what_would_stop_the_run_at_its_start_is_in_the_plan() {
    let (folder, recipe) = large();
    let tasks = "[evaluate]\ntasks = [\"piqa\"]\ndata_dir = \"nowhere\"\n";
    let text = recipe.to_toml().unwrap();
    let text = text.split("[evaluate]").next().unwrap().to_owned() + tasks;
    let recipe = Recipe::parse(Path::new(&folder.path().join("r.toml")), &text).unwrap();
    let plan = looked_at(&recipe, &Silent).unwrap();
    let told =
        plan.warnings.iter().any(|note| note.starts_with("the run would stop at its start: ") && note.contains("piqa"));
    assert!(told, "{:?}", plan.warnings);
    assert!(plan.to_string().contains("\nwarning: the run would stop at its start: "), "{plan}");
}

#[test]
fn numbers_have_three_digits_and_a_prefix() {
    let expected = ["0", "7", "999", "1.00 k", "13.8 M", "250 G", "1.23 P", "4567 E"];
    assert_eq!(expected, [0.0, 7.0, 999.0, 999.6, 13.768e6, 2.5e11, 1.234e15, 4.567e21].map(short));
}

/// A corpus in which related documents exist, and a recipe of seconds.
fn small(more: &str) -> (TempDir, Recipe) {
    let folder = tempfile::tempdir().unwrap();
    let document = |i: usize| {
        let words = (0..30 + i % 40).map(|at| match at % 2 {
            0 => format!("topic{}x{}", i % 12, (i * 5 + at) % 9),
            _ => format!("word{}", (i * 7 + at * 13) % 180),
        });
        let text = words.collect::<Vec<_>>().join(" ");
        format!("{{\"id\": \"d{i}\", \"text\": \"{text}.\"}}\n")
    };
    // The last ten are copies of the first ones.
    let lines = (0..340).map(document).chain((0..10).map(|i| document(i).replace("\"id\": \"", "\"id\": \"copy-")));
    write_atomic(folder.path().join("d.jsonl"), lines.collect::<String>()).unwrap();
    let text = format!(
        "name = \"small\"\n[corpus]\npaths = [\"d.jsonl\"]\nvalidation_share = 0.1\nunique_share = 0.5\ncontamination_words = 0\n\
         [tokenize]\nvocab_size = 400\n[embed]\ndimensions = 16\n[pair]\nneighbours = 4\nmin_similarity = 0.0\nheld_out_share = 0.2\n\
         [model]\nlayers = 1\nwidth = 16\nheads = 2\ncontext = 128\n[train]\nbudget_tokens = 4096\nbatch_tokens = 512\n\
         [filter]\ndrop_unfinished = false\nmin_words = 0\nnon_text = \"off\"\n[generate]\nmost_unfinished = \"off\"\n\
         [[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.1\n[[arm]]\nkind = \"random-pairs\"\n\
         [[embedding]]\nname = \"other\"\ndimensions = 8\n[[pairs]]\nname = \"near\"\nembedding = \"other\"\nneighbours = 2\n\
         [[synthesizer]]\nname = \"near\"\npairs = \"near\"\nepochs = 3\nleast_pairs = 0\n[[synthetic]]\nname = \"near\"\nby = \"near\"\n\
         [[arm]]\nname = \"closer\"\nsynthetic = {{ near = 0.1 }}\n{more}"
    );
    let recipe = Recipe::parse(&folder.path().join("r.toml"), &text).unwrap();
    (folder, recipe)
}

fn measured(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Plan> {
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::from_secs(3600) };
    let plan = plan_within(recipe, (DeviceKind::default(), 2), &bounds, monitor);
    assert_eq!(names(scratch.path()), 0, "nothing stays");
    plan
}

#[test]
fn what_a_plan_measures_is_what_the_run_does() {
    let (folder, recipe) = small("");
    let plan = measured(&recipe, &Silent).unwrap();
    let settings = Settings {
        out: folder.path().join("run"),
        reuse: None,
        until: None,
        threads: 2,
        device: DeviceKind::default(),
        command: String::new(),
        version: String::new(),
    };
    run(&recipe, &settings, &NoPages, &Silent).unwrap();
    let steps = Step::all(&recipe);
    assert_eq!(steps.len(), plan.stages.len());
    let mut compared = [0; 4];
    for (step, row) in steps.iter().zip(&plan.stages).filter(|(step, _)| **step != Step::Report) {
        let manifest = Manifest::read(&settings.out.join(step.folder(&recipe))).unwrap().unwrap();
        let label = step.label(&recipe);
        match step {
            Step::Ingest | Step::Tokenize | Step::Embed(_) | Step::Pair(_) => {
                assert_eq!(row.estimated, ["memory_bytes"], "{label}");
                assert_eq!((row.tokens, row.flops), (manifest.work.tokens, manifest.work.flops), "{label}");
                assert_eq!(row.bytes, manifest.files.iter().map(|file| file.bytes).sum::<u64>(), "{label}");
                let pairs = manifest.files.iter().find(|file| file.path == "train.parquet").and_then(|file| file.rows);
                assert_eq!(row.documents, pairs.unwrap_or(manifest.work.documents), "{label}");
                compared[0] += 1;
            }
            Step::Tune(_) => {
                assert_eq!(row.estimated, ["flops", "bytes", "wall_s", "memory_bytes"], "{label}");
                assert_eq!((row.documents, row.tokens), (manifest.work.documents, manifest.work.tokens), "{label}");
                let trained: Trained = serde_json::from_value(manifest.work.statistics).unwrap();
                let told = format!(
                    "{label}: {} training pairs, {} tokens in {} steps",
                    row.documents, row.tokens, trained.steps
                );
                assert!(plan.notes.iter().any(|note| note.starts_with(&told)), "{told}: {:#?}", plan.notes);
                compared[1] += 1;
            }
            Step::Evaluate(_) => {
                assert_eq!((row.documents, row.tokens), (manifest.work.documents, manifest.work.tokens), "{label}");
                compared[2] += 1;
            }
            Step::Train(_) => {
                assert_eq!(row.tokens, manifest.work.tokens, "{label}");
                assert!(!row.estimated.contains(&"tokens") && row.estimated.contains(&"wall_s"), "{row:?}");
                compared[3] += 1;
            }
            _ => assert!(row.estimated.contains(&"tokens"), "{label}: {row:?}"),
        }
    }
    // Two embeddings, three sets of pairs, three synthesizers, four arms.
    assert_eq!(compared, [7, 3, 4, 4]);
    let ingest = plan.ingest.as_ref().unwrap();
    assert_eq!((ingest.read, ingest.exact_duplicates), (350, 10));
    let told = |start: &str| plan.warnings.iter().chain(&plan.notes).any(|note| note.starts_with(start));
    assert!(told("dropped: 0 without text, 10 exact duplicates, 0 contaminated"), "{:#?}", plan.notes);
    assert!(told(
        "~ marks an estimate; other figures follow from the recipe, or were measured: `ingest`, `tokenize`, `embed` and `pair`"
    ));
    // Budgets so small are told.
    assert!(told("repetition: each token of the unique text is seen 0."), "{:#?}", plan.notes);
    let table = plan.to_string();
    let line = |label: &str| table.lines().find(|line| line.trim_start().starts_with(label)).unwrap().to_owned();
    assert!(line("pair ").matches('~').count() == 1 && line("tune ").matches('~').count() == 4, "{table}");
}

#[test]
fn the_passages_that_documents_are_dropped_for_are_told() {
    let ingest = IngestStats {
        contaminated: 3,
        selection: SplitStats { documents: 57, bytes: 0 },
        shared_passages: vec![SharedPassage { passage: "all rights are reserved".to_owned(), documents: 2 }],
        ..IngestStats::default()
    };
    assert_eq!(
        notes::dropped(&ingest),
        "dropped: 0 without text, 0 exact duplicates, 3 contaminated (5.0 % of the documents outside of validation share [corpus] \
         contamination_words with a validation document, most often \"all rights are reserved\" (2)); 0 records rejected"
    );
}

#[test]
fn where_there_is_no_time_all_is_estimated_and_said_to_be() {
    let (_folder, recipe) = small("");
    let plan = looked_at(&recipe, &Silent).unwrap();
    assert_eq!((plan.measured_s > 1.0, plan.ingest), (false, None));
    let of = |stage: &str| plan.stages.iter().find(|row| row.stage == stage).unwrap();
    assert_eq!(of("ingest").estimated, ["documents", "bytes", "wall_s", "memory_bytes"]);
    assert_eq!(of("pair").documents, of("tune").documents);
    assert!(of("tune").estimated.contains(&"documents") && of("evaluate").estimated.contains(&"tokens"));
    assert!(
        plan.notes[0].starts_with("~ marks an estimate; no stage was done to measure more, since `ingest` would take")
    );
    assert!(plan.notes.iter().any(|note| note.starts_with("tune: at most ~")), "{:#?}", plan.notes);
}

#[test]
fn a_stage_that_takes_longer_than_there_is_time_is_stopped_and_estimated() {
    let (_folder, recipe) = small("");
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::ZERO };
    // It was expected to take no time at all.
    let found = rehearse(&recipe, (DeviceKind::default(), 2), &bounds, &|_, _| f64::NEG_INFINITY, &Silent).unwrap();
    assert_eq!((found.rows.len(), names(scratch.path())), (0, 0));
    assert_eq!(found.left_out.as_deref(), Some("`ingest` took longer than expected"));
    assert_eq!(found.problems, [""; 0], "the run would not stop for it");
}

/// Counts how often it is asked, how often until documents are split, and until there was something to lose.
#[derive(Default)]
struct Counting(AtomicU32, AtomicU32, AtomicU32);

impl Monitor for Counting {
    fn begin(&self, what: &str, _: Option<u64>, _: Unit) {
        if what == "ingest: splitting documents" {
            self.1.store(self.0.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }
    fn hold(&self, unsaved: bool) {
        if unsaved {
            let so_far = self.0.load(Ordering::Relaxed);
            self.2.fetch_max(so_far, Ordering::Relaxed);
            // What is lost with the process is a folder that the next plan removes.
            assert!(self.1.load(Ordering::Relaxed) > 0, "stages can be ended at any time");
        }
    }
}

#[test]
fn an_interrupted_measurement_leaves_nothing() {
    let (_folder, recipe) = small("");
    let all = Counting::default();
    measured(&recipe, &all).unwrap();
    let looks = all.0.into_inner();
    for part in 0..12 {
        let monitor = After(AtomicU32::new(1 + (looks - 1) * part / 12));
        let error = measured(&recipe, &monitor).expect_err("interrupted");
        assert!(error.interrupted(), "{part} of {looks}: {error}");
    }
}

/// Documents of a corpus of its own kind may all be short: no synthesis is needed to know that a rule would drop them.
#[test]
fn rules_that_do_not_fit_the_corpus_are_in_the_plan() {
    let strict = |words: usize| {
        format!(
            "[[synthetic]]\nname = \"strict\"\nmin_words = {words}\n[[arm]]\nname = \"s\"\nsynthetic.strict = 0.1\n"
        )
    };
    let told = |words: usize| {
        let (_folder, recipe) = small(&strict(words));
        let plan = measured(&recipe, &Silent).unwrap();
        plan.warnings.into_iter().filter(|warning| warning.contains("the rule `")).collect::<Vec<_>>()
    };
    // Documents have 30 to 69 words, as many of each.
    let [found] = &told(60)[..] else { panic!("{:#?}", told(60)) };
    let (before, behind) = found.split_once(" % of the real unique documents: ").unwrap();
    let percent: f64 = before.strip_prefix("filter strict: the rule `min_words` would drop ").unwrap().parse().unwrap();
    assert!((60.0..90.0).contains(&percent), "{found}");
    assert_eq!(behind, "[filter] min_words = 60 does not fit this corpus; loosen it, or write 0");
    assert_eq!(told(33), [""; 0], "a tenth is not much");
}

#[test]
fn what_would_stop_the_run_before_training_is_in_the_plan() {
    let told = |more: &str, start: &str, end: &str| {
        let (_folder, recipe) = small(more);
        let plan = measured(&recipe, &Silent).unwrap();
        let found = plan.warnings.iter().any(|note| note.starts_with(start) && note.contains(end));
        assert!(found, "{start}: {:#?}", plan.warnings);
        plan
    };
    let few =
        told("[tune]\nleast_pairs = 100_000\n", "the run would stop behind `pair`: tune: the pairs", "least_pairs = 0");
    assert!(
        few.ingest.is_some() && few.stages.iter().all(|row| row.stage != "pair" || row.estimated == ["memory_bytes"])
    );
    let vectors = "[[embedding]]\nname = \"lsa\"\nmethod = \"file\"\npath = \"nowhere.parquet\"\n";
    let lost = told(vectors, "the run would stop in `embed`: ", "nowhere.parquet");
    // What does not need it is measured all the same.
    let row =
        |label: &str| lost.stages.iter().find(|row| super::label(row.stage, row.arm.as_deref()) == label).unwrap();
    assert!(row("pair").estimated.len() > 1 && row("pair near").estimated == ["memory_bytes"]);
    told(
        "[[arm]]\nkind = \"oracle\"\ntrain.budget_tokens = 4_096_000\nother_budget = true\n",
        "the run would stop behind `tokenize`",
        "oracle",
    );
}

/// A tokenizer of whole words, which takes the word that ends a document for the token that does.
const WORDS: &str = "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 0, \"content\": \"<|endoftext|>\", \"single_word\": false, \
                     \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}], \"pre_tokenizer\": {\"type\": \
                     \"WhitespaceSplit\"}, \"model\": {\"type\": \"WordLevel\", \"vocab\": {\"<|endoftext|>\": 0, \"[UNK]\": 1}, \"unk_token\": \
                     \"[UNK]\"}}";

/// [`small`] with a given tokenizer that does not take the last document; before it stands one of `bytes` bytes.
fn with_bad_document(bytes: usize) -> (TempDir, Recipe) {
    let (folder, mut recipe) = small("");
    write_atomic(folder.path().join("words.json"), WORDS).unwrap();
    let path = folder.path().join("d.jsonl");
    let long = format!("{{\"id\": \"long\", \"text\": \"{}\"}}\n", "word ".repeat(bytes / 5));
    let bad = "{\"id\": \"bad\", \"text\": \"one <|endoftext|> two\"}\n";
    let lines = fs_err::read_to_string(&path).unwrap();
    write_atomic(&path, long + &lines + bad).unwrap();
    recipe.tokenize.tokenizer = Some("words.json".into());
    (folder, recipe)
}

#[test]
fn a_document_that_a_given_tokenizer_does_not_take_is_named_wherever_it_stands() {
    let (_folder, recipe) = with_bad_document(0);
    let error = measured(&recipe, &Silent).expect_err("it is in the sample").to_string();
    assert!(error.contains("d.jsonl:352") && error.contains("\"bad\""), "{error}");
    // Beyond the sample the stage stops, and pairs are there without tokens.
    let (_folder, mut recipe) = with_bad_document(2_200_000);
    let plan = measured(&recipe, &Silent).unwrap();
    let told = |plan: &Plan, stage: &str| {
        let start = format!("the run would stop in `{stage}`: ");
        plan.warnings.iter().any(|note| note.starts_with(&start) && note.contains("\"bad\""))
    };
    assert!(told(&plan, "tokenize"), "{:#?}", plan.notes);
    let row = plan.stages.iter().find(|row| row.stage == "pair").unwrap();
    assert_eq!(row.estimated, ["memory_bytes"]);
    // The same where it is to be cut.
    recipe.corpus.chunk_tokens = Some(64);
    let plan = measured(&recipe, &Silent).unwrap();
    assert!(told(&plan, "ingest"), "{:#?}", plan.notes);
}

#[test]
fn pairs_without_tokens_are_measured_where_there_is_no_time_for_tokens() {
    let (_folder, recipe) = small("");
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::from_secs(3600) };
    let expected = |_: &Measured, step: Step| if step == Step::Tokenize { f64::INFINITY } else { 0.0 };
    let found = rehearse(&recipe, (DeviceKind::default(), 2), &bounds, &expected, &Silent).unwrap();
    assert_eq!((found.pairs.len(), found.lessons.len(), found.problems.len()), (3, 0, 0), "{:?}", found.problems);
}

#[test]
fn the_machine_is_measured_before_stages_are_done() {
    let (_folder, recipe) = small("");
    let looks = Counting::default();
    measured(&recipe, &looks).unwrap();
    let [all, begun, held] = [looks.0, looks.1, looks.2].map(AtomicU32::into_inner);
    // Each timed step asks. An interruption waits for nothing but the folder to go, when all stages are done.
    assert!(all - held < 4 && begun > 350 && held > begun, "{begun} {held} {all}");
}

#[test]
fn inputs_of_any_size_are_hashed_under_the_users_eye_and_cost_their_time() {
    let (folder, mut recipe) = with_bad_document(6_000_000);
    let settings = Settings {
        out: folder.path().join("run"),
        reuse: None,
        until: None,
        threads: 1,
        device: DeviceKind::default(),
        command: String::new(),
        version: String::new(),
    };
    let looks = Counting::default();
    let run = crate::rundir::RunDir::open(&settings.out).unwrap();
    Step::Ingest.identity(&crate::context::Context::new(&recipe, &settings, run, &looks, behind)).unwrap();
    assert!(looks.0.into_inner() > 20, "a look for each of the stretches of its file");
    // A limit leaves nothing out of what is read.
    recipe.tokenize.tokenizer = None;
    let row = |recipe: &Recipe| looked_at(recipe, &Silent).unwrap().stages.swap_remove(0);
    let all = row(&recipe);
    recipe.corpus.limit = Some(3);
    let few = row(&recipe);
    assert_eq!((few.documents, few.wall_s), (3, all.wall_s));
    assert!(few.memory_bytes > 30_000_000 + 352 * 150, "{few:?}");
    // Nor does a given file cost nothing.
    let given = "[[embedding]]\nname = \"lsa\"\nmethod = \"file\"\npath = \"v.parquet\"\n";
    let (folder, recipe) = small(given);
    write_atomic(folder.path().join("v.parquet"), vec![0; 5_000_000]).unwrap();
    let plan = looked_at(&recipe, &Silent).unwrap();
    let row = plan.stages.iter().find(|row| row.stage == "embed" && row.arm.as_deref() != Some("other")).unwrap();
    assert!(row.wall_s > 0.05, "{row:?}");
}

/// Rewrites every document of a recipe of [`small`]: by its place and its line without the closing brace.
fn rewrite(folder: &TempDir, line: impl Fn(usize, &str) -> String) {
    let path = folder.path().join("d.jsonl");
    let lines = fs_err::read_to_string(&path).unwrap();
    let lines: String = lines.lines().enumerate().map(|(at, one)| line(at, &one[..one.len() - 1]) + "}\n").collect();
    write_atomic(&path, lines).unwrap();
}

fn pairs_apart(mut recipe: Recipe) -> u64 {
    recipe.pairs.iter_mut().for_each(|set| set.pair.within_groups = false);
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::from_secs(3600) };
    let found = rehearse(&recipe, (DeviceKind::default(), 2), &bounds, &|_, _| 0.0, &Silent).unwrap();
    assert_eq!(found.problems, [""; 0]);
    found.pairs[&0].0
}

#[test]
fn what_the_metadata_calls_a_group_decides_nothing_that_nobody_asked_for() {
    let (folder, mut recipe) = small("");
    rewrite(&folder, |_, line| format!("{line}, \"metadata\": {{\"group\": [\"x\"]}}"));
    recipe.corpus.chunk_tokens = Some(64);
    assert!(pairs_apart(recipe) > 50);
    // All but a few have no book; were they of one group, few pairs would be left.
    let (folder, mut recipe) = small("");
    let book = |at: usize| if at < 6 { format!(", \"book\": {}", at / 2) } else { String::new() };
    rewrite(&folder, |at, line| format!("{line}{}, \"metadata\": {{\"group\": \"en\"}}", book(at)));
    recipe.corpus.group_field = Some("book".to_owned());
    assert!(pairs_apart(recipe) > 50);
}

#[test]
fn pairs_that_are_drawn_of_many_are_not_too_few() {
    let (_folder, recipe) = small("[tune]\nmax_pairs = 20\n");
    let plan = measured(&recipe, &Silent).unwrap();
    assert!(plan.notes.iter().any(|note| note.starts_with("tune: 20 training pairs")), "{:#?}", plan.notes);
    let told = plan.warnings.iter().any(|note| note.starts_with("pair: ") && note.contains("training pairs, and from"));
    assert!(!told, "{:#?}", plan.warnings);
}

#[test]
fn memory_is_what_a_stage_took_beyond_what_the_process_held_and_at_least_what_it_needs() {
    let (_folder, recipe) = small("");
    let survey = corpus::survey(&recipe, &Silent).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds { parent: scratch.path().to_path_buf(), most: Duration::from_secs(3600) };
    let mut measured = rehearse(&recipe, (DeviceKind::default(), 2), &bounds, &|_, _| 0.0, &Silent).unwrap();
    let held = measured.held_bytes.unwrap();
    assert!((1_000_000..10_000_000_000).contains(&held), "{held}");
    let mut of = |beyond| {
        measured.rows.get_mut(&Step::Ingest).unwrap().memory_bytes = beyond;
        let (speed, measured) = (Speed::unknown(2), &measured);
        row(&Estimate { recipe: &recipe, survey: &survey, measured, speed: &speed, whole_flops }, Step::Ingest)
    };
    let needed = of(0).memory_bytes;
    assert!((30_000_000..31_000_000).contains(&needed), "{needed}");
    assert_eq!([of(1000).memory_bytes, of(50_000_000).memory_bytes], [needed, 80_000_000]);
    assert_eq!(of(50_000_000).estimated, ["memory_bytes"]);
    assert_eq!(rehearse::beyond(Some(100), Some(140)), 40);
    assert_eq!([rehearse::beyond(Some(140), Some(100)), rehearse::beyond(None, Some(9))], [0, 0]);
}
