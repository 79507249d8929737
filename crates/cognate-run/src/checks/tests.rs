//! Runs with a fault that a late stage would stop for: they stop before anything is trained.

use crate::graph::behind;
use std::path::PathBuf;

use cognate_base::Silent;
use cognate_base::files::write_atomic;
use tempfile::TempDir;

use super::*;
use crate::context::Settings;
use crate::device::DeviceKind;
use crate::recipe::Recipe;
use crate::runner::{NoPages, run};

/// A folder with a corpus and what a recipe of it says beside the least.
struct Bench {
    folder: TempDir,
    recipe: String,
}

impl Bench {
    /// A corpus in which related documents exist, each of some 30 words.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let document = |i: usize| {
            let words = (0..30).map(|at| match at % 2 {
                0 => format!("topic{}x{}", i % 12, (i * 5 + at) % 9),
                _ => format!("word{}", (i * 7 + at * 13) % 180),
            });
            let text = words.collect::<Vec<_>>().join(" ");
            format!("{{\"id\": \"d{i}\", \"text\": \"{text}.\"}}\n")
        };
        write_atomic(folder.path().join("d.jsonl"), (0..400).map(document).collect::<String>()).unwrap();
        let recipe = "name = \"tiny\"\n[corpus]\npaths = [\"d.jsonl\"]\nvalidation_share = 0.1\nunique_share = 0.5\n\
                      contamination_words = 0\n[tokenize]\nvocab_size = 400\n[embed]\ndimensions = 16\n[pair]\nneighbours = 4\nmin_similarity = 0.0\nmax_similarity = 1.5\n\
                      held_out_share = 0.2\n[model]\nlayers = 1\nwidth = 16\nheads = 2\ncontext = 128\n[train]\nbudget_tokens = 4096\n\
                      batch_tokens = 512\npeak_rate = 1e-2\n[[arm]]\nkind = \"repetition\"\n"
            .to_owned();
        Self { folder, recipe }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        write_atomic(self.path(name), content).unwrap();
    }

    fn with(mut self, more: &str) -> Self {
        self.recipe.push_str(more);
        self
    }

    fn recipe(&self) -> Recipe {
        Recipe::parse(&self.path("r.toml"), &self.recipe).unwrap()
    }

    fn settings(&self) -> Settings {
        Settings {
            out: self.path("out"),
            reuse: None,
            until: None,
            threads: 1,
            device: DeviceKind::default(),
            command: String::new(),
            version: String::new(),
        }
    }

    fn run(&self) -> Result<()> {
        run(&self.recipe(), &self.settings(), &NoPages, &Silent).map(drop)
    }

    /// What the run stops with; nothing was trained, and `last` (where it is not empty) was done before.
    fn stops_after(&self, last: &str) -> String {
        let error = self.run().expect_err("the fault stops it");
        let done = |stage: &str| self.path(&format!("out/{stage}/manifest.json")).exists();
        assert!(!self.path("out/train/repetition").exists(), "trained before it stopped: {error}");
        assert!(done("ingest") != last.is_empty() && (last.is_empty() || done(last)), "{error}");
        error.to_string()
    }
}

const ARC: &str = "[evaluate]\ntasks = [\"arc_easy\"]\ndata_dir = \"tasks\"\n";

fn question(answer: &str) -> String {
    format!(
        "{{\"id\": \"q\", \"question\": \"Which?\", \"choices\": {{\"text\": [\"{answer}\", \"no\"], \"label\": [\"A\", \"B\"]}}, \
         \"answerKey\": \"A\"}}\n"
    )
}

#[test]
fn questions_that_are_missing_or_none_stop_a_run_at_its_start() {
    let bench = Bench::new().with(ARC);
    assert!(bench.stops_after("").contains("expected a folder with arc_easy"));
    bench.write("tasks/arc_easy.jsonl", &(question("yes") + "{\"question\": 7}\n"));
    let error = bench.stops_after("");
    assert!(error.contains("arc_easy.jsonl:2: "), "{error}");
}

#[test]
fn a_tokenizer_without_a_token_that_is_needed_stops_a_run_at_its_start() {
    let texts = || std::iter::repeat_n("topic word of the corpus".to_owned(), 9);
    let denoised = "[[arm]]\nname = \"a\"\ntrain.objective = \"mixture-of-denoisers\"\n";
    let masked = "[[pairs]]\nname = \"p\"\nmethod = \"masked-span\"\n";
    for (more, lacks, expected) in [
        (denoised, "[R]", "the tokenizer has no special token [R], which mixture-of-denoisers needs"),
        (denoised, "<extra_id_99>", "no special token <extra_id_99>, which mixture-of-denoisers needs"),
        (masked, "<|mask|>", "no special token <|mask|>, which masked-span needs"),
    ] {
        let mut bench = Bench::new().with(more);
        bench.recipe = bench.recipe.replace("vocab_size = 400", "tokenizer = \"t.json\"");
        let tokens = bench.recipe().reserved_tokens().into_iter().map(|(token, _)| token);
        let has: Vec<String> = tokens.filter(|token| token != lacks).collect();
        Tokenizer::train_reserving(texts(), 400, &has, &Silent).unwrap().save(&bench.path("t.json")).unwrap();
        let error = bench.stops_after("");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn documents_of_one_sentence_stop_a_run_that_would_reorder_them() {
    let step = "[[pairs]]\nname = \"p\"\nmethod = \"reorder\"\n[[synthesizer]]\nname = \"s\"\npairs = \"p\"\n[[synthetic]]\nname = \"c\"\nby = \"s\"\n\
                [[arm]]\nname = \"a\"\nsynthetic.c = 0.1\n";
    let error = Bench::new().with(step).stops_after("tokenize");
    let expected = "the pairs `p`: nothing makes a pair; passed over: ";
    assert!(error.contains(expected) && error.contains(" with too few sentences for reorder. Give longer"), "{error}");
}

#[test]
fn models_that_no_machine_has_memory_for_stop_a_run_before_its_first_stage() {
    // Training and tuning fit anywhere; generating, which comes behind them, nowhere.
    let slots =
        "[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.1\n[tune]\ncontext = 1_000_000\n[generate]\nslots = 60_000\n";
    let bench = Bench::new().with(slots);
    let error = bench.run().unwrap_err().to_string();
    let expected = "generate: generating with this recipe's slots takes about ";
    assert!(error.starts_with(expected) && error.contains(" GB of memory"), "{error}");
    assert!(!bench.path("out/ingest").exists());
}

#[test]
fn an_answer_that_no_model_has_room_for_stops_a_run_behind_its_tokenizer() {
    let bench = Bench::new().with(ARC);
    bench.write("tasks/arc_easy.jsonl", &(question("yes") + &question(&"qz".repeat(400))));
    let error = bench.stops_after("tokenize");
    assert!(error.contains("arc_easy.jsonl:2: the answer takes ") && error.contains("has no room for it"), "{error}");
}

#[test]
fn questions_that_changed_since_a_model_was_measured_stop_a_run_at_its_start() {
    let bench = Bench::new().with(ARC);
    bench.write("tasks/arc_easy.jsonl", &question("yes"));
    bench.run().unwrap();
    bench.write("tasks/arc_easy.jsonl", &question("perhaps"));
    fs_err::remove_dir_all(bench.path("out/train/repetition")).unwrap();
    let error = bench.run().unwrap_err().to_string();
    assert!(error.contains("the questions of arc_easy had another content"), "{error}");
    assert!(!bench.path("out/train/repetition").exists());
}

#[test]
fn what_stands_in_the_way_of_a_late_stage_stops_a_run_at_its_start() {
    let bench = Bench::new().with("[[arm]]\nkind = \"sbp\"\n");
    for file in ["out/recipe.toml", "out/tune/related"] {
        bench.write(file, "");
    }
    assert!(bench.stops_after("").contains("tune/related is in the way: the run writes a folder there"));
    fs_err::remove_file(bench.path("out/tune/related")).unwrap();
    fs_err::create_dir(bench.path("out/report.html")).unwrap();
    assert!(bench.stops_after("").contains("report.html is in the way: the run writes a file there"));
}

#[test]
fn servers_stop_a_run_before_training() {
    let sbp = || Bench::new().with("[[arm]]\nkind = \"sbp\"\n");
    let endpoint = "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://127.0.0.1:9/v1\"\nendpoint_key_env = \"NO_SUCH_KEY_IS_SET\"\n";
    assert!(sbp().with(endpoint).stops_after("").contains("NO_SUCH_KEY_IS_SET"));
    let judge = "[filter]\njudge_url = \"http://127.0.0.1:9/v1\"\njudge_model = \"j\"\n";
    let key = "judge_key_env = \"NO_SUCH_KEY_IS_SET\"\n";
    assert!(sbp().with(judge).with(key).stops_after("").contains("NO_SUCH_KEY_IS_SET"));
    // Nothing listens on the port of "discard".
    let error = sbp().with(judge).stops_after("pair/related");
    assert!(error.contains("http://127.0.0.1:9/v1"), "{error}");
}

#[test]
fn a_corpus_too_small_for_an_arm_stops_a_run_before_training() {
    let mut bench = Bench::new().with("[[arm]]\nkind = \"oracle\"\n");
    bench.recipe = bench.recipe.replace("budget_tokens = 4096", "budget_tokens = 4096000");
    assert!(bench.stops_after("tokenize").contains("the corpus is too small for the arm `oracle`"));
}

#[test]
fn too_few_pairs_stop_a_run_before_training_and_nothing_is_lost() {
    let kept =
        "[filter]\ndrop_unfinished = false\nmin_words = 0\nnon_text = \"off\"\n[generate]\nmost_unfinished = \"off\"\n";
    let bench = |least: &str| format!("[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.1\n{kept}[tune]\n{least}");
    let mut few = Bench::new().with(&bench("least_pairs = 100_000\n"));
    let error = few.stops_after("pair/related");
    let manifest = || fs_err::read(few.path("out/pair/related/manifest.json")).unwrap();
    let (made, pairs) = (manifest(), pairs(&few));
    assert_eq!(
        error,
        format!(
            "tune: the pairs `related` are too few to tune on: {pairs} training pairs, and [tune] least_pairs = 100000 are wanted; nothing \
             was trained"
        )
    );
    assert!((20..100_000).contains(&pairs), "{pairs}");
    // As many as are wanted are enough, and the key changes nothing that was made.
    for (least, stops) in [(pairs + 1, true), (pairs, false), (0, false)] {
        few.recipe = Bench::new().with(&bench(&format!("least_pairs = {least}\n"))).recipe;
        match few.run() {
            Err(error) => assert!(stops && error.to_string().contains("too few to tune on"), "{least}: {error}"),
            Ok(()) => assert!(!stops, "{least}"),
        }
        assert_eq!(fs_err::read(few.path("out/pair/related/manifest.json")).unwrap(), made);
    }
    assert!(few.path("out/tune/related/manifest.json").exists());
}

#[test]
fn what_a_synthesizer_will_keep_of_the_pairs_is_counted_before_it_is_trained() {
    let clean = "[[arm]]\nname = \"a\"\nsynthetic.clean = 0.1\n[[pairs]]\nname = \"clean\"\nmethod = \"cycle\"\nkeep = 0.5\n\
                 [[synthesizer]]\nname = \"clean\"\npairs = \"clean\"\nleast_pairs = 100_000\n[[synthetic]]\nname = \"clean\"\nby = \"clean\"\n";
    let bench = Bench::new().with(clean);
    let error = bench.stops_after("pair/related");
    let kept = (pairs(&bench) as f64 / 2.0).round();
    assert_eq!(
        error,
        format!(
            "tune clean: the pairs `clean` are too few to tune on: {kept} training pairs, and [tune] least_pairs = 100000 are wanted; nothing \
             was trained"
        )
    );
}

#[test]
fn what_is_seldom_meant_is_told_as_soon_as_it_is_known() {
    let more = "[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.1\n[[arm]]\nkind = \"oracle\"\n[tune]\nepochs = 9\nleast_pairs = ";
    let mut bench = Bench::new().with(&format!("{more}100_000\n"));
    bench.recipe = bench.recipe.replace("context = 128", "context = 64");
    bench.stops_after("pair/related");
    let recipe = bench.recipe();
    let settings = bench.settings();
    let mut context = Context::new(&recipe, &settings, RunDir::open(&settings.out).unwrap(), &Silent, behind);
    for step in [Step::Ingest, Step::Tokenize, Step::Embed(0), Step::Pair(0)] {
        let name = step.folder(&recipe);
        let folder = context.run.folder(&name);
        let manifest = Manifest::read(&folder).unwrap().unwrap();
        context.finished(&name, crate::rundir::Artifact { folder, manifest });
    }
    let told = warnings(&context, Step::Tokenize).unwrap();
    assert!(told[0].contains("% of the documents have more than [model] context = 64 tokens"), "{told:?}");
    assert!(told[1].starts_with("repetition: each token of the unique text is seen 0."), "{told:?}");
    assert!(told[2].starts_with("sbp: ") && told.len() == 3, "an oracle's text is fresh: {told:?}");
    let told = warnings(&context, Step::Pair(0)).unwrap();
    assert!(told[0].starts_with("tune: tuning takes ") && told.len() == 1, "{told:?}");
    assert!(warnings(&context, Step::Embed(0)).unwrap().is_empty());
    let mut drawn = bench.recipe();
    drawn.synthesizers[0].tune.max_pairs = Some(10);
    context.recipe = &drawn;
    let told = warnings(&context, Step::Pair(0)).unwrap();
    assert!(told.iter().all(|told| !told.contains("training pairs, and from")), "what is drawn is wanted so: {told:?}");
    context.recipe = &recipe;
    // Of what is done nothing is said.
    bench.write("out/tune/related/manifest.json", "");
    assert!(warnings(&context, Step::Pair(0)).unwrap().is_empty());
}

/// Training pairs of a run.
fn pairs(bench: &Bench) -> u64 {
    let manifest = Manifest::read(&bench.path("out/pair/related")).unwrap().unwrap();
    let training = manifest.files.iter().find(|file| file.path == "train.parquet").unwrap();
    training.rows.unwrap()
}

#[test]
fn generation_that_finds_no_end_stops_a_run_and_nothing_is_lost() {
    let more = |filter: &str, limit: &str| {
        format!(
            "[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.1\n[filter]\nmin_words = 0\n{filter}[generate]\nmax_new_tokens = 20\n{limit}"
        )
    };
    let kept = "drop_unfinished = false\n";
    let mut endless = Bench::new().with(&more("", ""));
    let error = endless.run().unwrap_err();
    let manifest = Manifest::read(&endless.path("out/generate/related")).unwrap().unwrap();
    let wrote: GenerateStats = serde_json::from_value(manifest.work.statistics.clone()).unwrap();
    assert!(wrote.capped * 10 >= wrote.documents * 8 && wrote.ended + wrote.capped == wrote.documents, "{wrote:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "generate: {} of {} documents are unfinished: they reached [generate] max_new_tokens = 20 before their end, and [generate] \
             most_unfinished = 0.8",
            wrote.capped, wrote.documents
        )
    );
    assert!(!endless.path("out/filter").exists() && error.hint().unwrap().contains("most_unfinished = \"off\""));
    assert!(error.hint().unwrap().contains("[corpus] chunk_tokens"));
    // A recipe that keeps such documents wants them.
    endless.recipe = Bench::new().with(&more(kept, "")).recipe;
    endless.run().unwrap();
    assert_eq!(Manifest::read(&endless.path("out/generate/related")).unwrap().unwrap(), manifest);
    // What is finished is not stopped for: nothing is left to be saved.
    endless.recipe = Bench::new().with(&more(kept, "most_unfinished = 0.5\n")).recipe;
    endless.run().unwrap();
}

#[test]
fn an_arm_without_documents_to_choose_by_stops_a_run_before_training() {
    // Every document ends in 12 words that nine more have, so few that they count.
    let mut bench = Bench::new().with("[[arm]]\nkind = \"regularised\"\nselection_documents = 20\n");
    let document = |i: usize| {
        let same: String = (0..12).map(|word| format!(" g{}w{word}", i % 40)).collect();
        format!("{{\"id\": \"d{i}\", \"text\": \"w{i} x{}{same}\"}}\n", i % 7)
    };
    bench.write("d.jsonl", &(0..400).map(document).collect::<String>());
    bench.recipe = bench.recipe.replace("contamination_words = 0", "contamination_words = 8");
    // But for those of the validation split, which would have the others dropped.
    let held_out = held_out(&bench);
    let document = |i: usize| match held_out.contains(&format!("d{i}")) {
        true => format!("{{\"id\": \"d{i}\", \"text\": \"v{i} y{} z{i}\"}}\n", i % 7),
        false => document(i),
    };
    bench.write("d.jsonl", &(0..400).map(document).collect::<String>());
    let error = bench.stops_after("tokenize");
    assert!(error.contains("has no documents to choose by"), "{error}");
}

/// The documents of the validation split, which depends on identifiers alone.
fn held_out(bench: &Bench) -> Vec<String> {
    let config = cognate_corpus::IngestConfig {
        seed: 0,
        validation_share: 0.1,
        unique_share: 0.5,
        selection_share: 0.1,
        contamination_words: 0,
        contamination_documents: 10,
        limit: None,
        chunk_tokens: None,
        tokenizer: None,
        read: cognate_corpus::ReadOptions::default(),
    };
    cognate_corpus::ingest(&[bench.path("d.jsonl")], &bench.path("split"), &config, &Silent).unwrap();
    let texts =
        crate::stages::texts::read_texts(&bench.path("split/validation.jsonl.zst"), &Default::default(), &Silent)
            .unwrap();
    texts.into_iter().map(|(id, _)| id).collect()
}
