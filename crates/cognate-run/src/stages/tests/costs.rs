//! What each stage says beforehand that it takes, beside figures that are worked out by hand from a corpus of round numbers.

use cognate_model::Config;
use cognate_pair::{lsa_bytes, neighbours_bytes, neighbours_needed};
use cognate_synth::{filter_bytes, generate_bytes};
use cognate_train::{teaching_bytes, training_bytes};
use tempfile::TempDir;

use crate::estimate::{Cost, Estimate, Measured, Size, Speed, Survey, needed_memory};
use crate::graph::whole_flops;
use crate::recipe::pair_methods::Truth;
use crate::recipe::{GeneratePrecision, PairMethod, Recipe};
use crate::stages::pair::method;
use crate::step::{Replicate, Step};

/// Of 1000 documents 500 are unique, 200 for choices and 100 for validation. Each has 1200 bytes, 200 words and 300 tokens.
const RECIPE: &str = r#"
name = "costs"
seeds = [0, 7]
[corpus]
paths = ["d"]
validation_share = 0.1
unique_share = 0.5
selection_share = 0.2
[tokenize]
vocab_size = 500
[embed]
dimensions = 64
[pair]
neighbours = 4
[model]
layers = 1
width = 8
heads = 1
context = 400
[train]
budget_tokens = 100_000
batch_tokens = 1000
validate_every_tokens = 20_000
validate_documents = 50
keep_checkpoints = 3
[tune]
batch_tokens = 1500
epochs = 2
context = 480
max_pairs = 1000
validate_pairs = 50
relation_pairs = 30
[generate]
oversample = 0.5
max_new_tokens = 120
max_seed_tokens = 160
slots = 7
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.1
[[arm]]
kind = "related-context"
[[arm]]
kind = "random-pairs"
synthetic_share = 0.1
[[synthesizer]]
name = "related"
validate_every_tokens = 100_000
[[synthetic]]
name = "strict"
by = "shuffled"
min_relevance = 0.0
[[arm]]
name = "strict"
synthetic.strict = 0.1
[[arm]]
kind = "unconditional"
synthetic_share = 0.1
[[arm]]
name = "rates"
train.peak_rate = [1e-4, 1e-3, 1e-2]
train.budget_tokens = 50_000
other_budget = true
selection_documents = 150
[[embedding]]
name = "given"
method = "file"
path = "given"
[[arm]]
name = "given-context"
contexts = "related"
embedding = "given"
[[pairs]]
name = "mine"
method = "file"
path = "given"
[[synthesizer]]
name = "mine"
pairs = "mine"
max_pairs = 200
validate_pairs = 1000
relation_pairs = 1000
[[synthetic]]
name = "mine"
by = "mine"
[[arm]]
name = "of-mine"
synthetic.mine = 0.1
"#;

/// Bytes of the vectors and of the pairs that are given.
const GIVEN_BYTES: u64 = 10_000_000;

fn survey() -> Survey {
    Survey {
        documents: 1000.0,
        // A limit leaves 500 out.
        all_documents: 1500.0,
        file_bytes: 2.5e6,
        bytes_per_document: 1200.0,
        tokens_per_document: 300.0,
        sampled_tokens: vec![300],
        vocabulary: 500,
        encode_bytes_per_s: 3e6,
        cut_bytes_per_s: 6e6,
        train_bytes_per_s: 2e6,
        whole: true,
    }
}

fn speed() -> Speed {
    Speed {
        threads: 3,
        training_flops_per_s: 2e9,
        update_s: 1e-6,
        prompt_flops_per_s: 3e9,
        writing_flops_per_s: 5e8,
        measured_flops: 0.0,
    }
}

fn recipe(text: &str) -> (TempDir, Recipe) {
    let folder = tempfile::tempdir().unwrap();
    fs_err::File::create(folder.path().join("given")).unwrap().set_len(GIVEN_BYTES).unwrap();
    let recipe = Recipe::parse(&folder.path().join("r.toml"), text).unwrap();
    (folder, recipe)
}

/// What is expected of a stage: documents, tokens, operations, bytes on disk, seconds, and bytes of memory.
#[track_caller]
fn takes(estimate: &Estimate<'_>, step: Step, expected: [f64; 6]) {
    let stage = step.stage_of();
    let Cost { documents, tokens, flops, bytes, wall_s, .. } = stage.cost(estimate);
    let found = [documents, tokens, flops, bytes, wall_s, stage.memory(estimate)];
    for (at, (found, expected)) in found.into_iter().zip(expected).enumerate() {
        let what = ["documents", "tokens", "flops", "bytes", "seconds", "memory"][at];
        let near = (found - expected).abs() <= 1e-9 * expected.abs();
        assert!(near, "{}: {found} {what}, by hand {expected}", step.label(estimate.recipe));
    }
}

#[test]
fn stages_take_what_a_small_corpus_comes_to() {
    let (_folder, recipe) = recipe(RECIPE);
    let (survey, speed, measured) = (survey(), speed(), Measured::default());
    let estimate = Estimate { recipe: &recipe, survey: &survey, measured: &measured, speed: &speed, whole_flops };
    let of = |step, expected| takes(&estimate, step, expected);
    let model: Config = estimate.config(&*Step::Train(Replicate::own(&recipe, 0)).stage_of());
    assert_eq!((model.vocab, model.width, model.max_positions), (500, 8, 480));
    let (weights, bytes) = (model.parameters() as f64, model.parameters() as f64 * 4.0);
    assert_eq!(model.parameter_bytes(), bytes);

    // 1.2 MB packed to 0.35; 1.8 MB are read twice at 20 MB/s and cut at 6 MB/s, 2.5 MB are hashed at 500 MB/s. Of 1500 documents 150
    // bytes, of 100 with 200 words 30 a word.
    let s = 0.18 + 0.3 + 0.005;
    of(Step::Ingest, [1000.0, 0.0, 0.0, 420_000.0, s, 225_000.0 + 600_000.0]);

    // Two bytes a token and 20 a document. Of 200,000 words 20 times the root are different.
    let different = 20.0 * 200_000f64.sqrt();
    of(Step::Tokenize, [1000.0, 300_000.0, 0.0, 620_000.0, 0.4 + 0.3, different * 200.0]);

    // 600,000 bytes have an entry for each 9. Each is multiplied and added 12 times, in 64 + 32 directions. Three threads.
    let (entries, terms) = (600_000.0 / 9.0, 20.0 * 100_000f64.sqrt());
    let flops = 24.0 * entries * 96.0;
    let embedder = 600_000.0 + lsa_bytes(500.0, terms, entries, 64.0);
    of(Step::Embed(recipe.embedding("lsa")), [500.0, 0.0, flops, 128_000.0, flops / 3e9, embedder]);
    // Those of a file are read at 50 MB/s.
    of(Step::Embed(recipe.embedding("given")), [500.0, 0.0, 0.0, 128_000.0, 0.2, embedder]);

    // Four neighbours in both directions, of 24 bytes each. Every pair of 64 numbers once, at 50 G/s a thread. The texts and four
    // bytes for each of their words show near-copies.
    let search = 500.0 * 500.0 * 64.0;
    let search_s = search / 150e9;
    let search_bytes = |k| neighbours_bytes(500.0, 64.0, neighbours_needed(k, 500) as f64) + 600_000.0 + 400_000.0;
    let set = |name| Step::Pair(recipe.pair_set(name));
    of(set("related"), [4000.0, 0.0, search, 96_000.0, search_s, search_bytes(4)]);
    of(set("shuffled"), [4000.0, 0.0, 0.0, 96_000.0, 0.0, 696_000.0]);
    of(set("mine"), [4000.0, 0.0, 0.0, 96_000.0, 0.2, 696_000.0]);

    // A document is seen up to its half, on average; five times 50 of the validation documents are measured, and as many that choose. Four checkpoints with two
    // moments. Each of 100 steps updates every weight. The order of the data takes 16 bytes a document.
    let train = |name| Step::Train(Replicate::own(&recipe, recipe.arm(name)));
    let (flops, validated) = (model.training_flops(1e5, 1e5, 150.0), model.forward_flops(150_000.0, 150_000.0, 150.0));
    let s = (flops + validated) / 2e9 + 100.0 * weights * 1e-6;
    let memory = training_bytes(&model, 1000, 400);
    let documents = 1e5 / 300.0;
    let plain = [documents, 1e5, flops, 12.0 * bytes, s, memory + 16.0 * documents];
    for name in ["repetition", "sbp", "strict", "of-mine"] {
        of(train(name), plain);
    }
    // Related documents are seen up to half of the context, and searched for.
    let flops = model.training_flops(1e5, 1e5, 200.0);
    let validated = model.forward_flops(150_000.0, 150_000.0, 200.0);
    let s = (flops + validated) / 2e9 + 100.0 * weights * 1e-6 + search_s;
    let memory = memory + 16.0 * documents + search_bytes(4);
    for name in ["related-context", "given-context"] {
        of(train(name), [documents, 1e5, flops + search, 12.0 * bytes, s, memory]);
    }

    // Half the budget: 50 steps, and two measurements.
    let arm = recipe.arm("rates");
    let (flops, validated) = (model.training_flops(5e4, 5e4, 150.0), model.forward_flops(60_000.0, 60_000.0, 150.0));
    let s = (flops + validated) / 2e9 + 50.0 * weights * 1e-6;
    let documents = 5e4 / 300.0;
    let memory = training_bytes(&model, 1000, 400) + 16.0 * documents;
    let half = [documents, 5e4, flops, 12.0 * bytes, s, memory];
    (0..3).for_each(|candidate| of(Step::Sweep { arm, candidate }, half));
    // The choice scores 150 documents with three models, and takes one of them: the best and the last weights. Another seed is trained.
    let flops = model.forward_flops(135_000.0, 135_000.0, 150.0);
    of(train("rates"), [150.0, 135_000.0, flops, 2.0 * bytes, flops / 2e9, bytes]);
    let [documents, tokens, flops, disk, s, _] = half;
    of(Step::Train(Replicate { arm, seed: 7 }), [documents, tokens, flops, disk, s, bytes]);

    // 1000 of 4000 pairs, twice, of two documents of 240 tokens that fit into the context. Of a pair the second half comes out of the
    // head, and a token sees half of it.
    let tune = |name| Step::Tune(recipe.synthesizer(name));
    let flops = model.training_flops(960_000.0, 480_000.0, 240.0);
    // 4000 pairs over 500 documents are four in each direction: 800 of the selection split's documents. 50 are measured every 100,000
    // tokens, and 30 twice; each after three seeds.
    let tokens = 3.0 * (9.6 * 50.0 + 2.0 * 30.0) * 480.0;
    let checks = model.forward_flops(tokens, tokens / 2.0, 240.0);
    let s = (flops + checks) / 2e9 + 640.0 * weights * 1e-6;
    let memory = training_bytes(&model, 1500, 480) + 96_000.0;
    of(tune("related"), [1000.0, 960_000.0, flops, 12.0 * bytes, s, memory]);
    // 200 pairs, and half of the 800 choose, 20 times where nothing else is said.
    let flops = model.training_flops(192_000.0, 96_000.0, 240.0);
    let tokens = 3.0 * (20.0 * 400.0 + 2.0 * 400.0) * 480.0;
    let checks = model.forward_flops(tokens, tokens / 2.0, 240.0);
    let s = (flops + checks) / 2e9 + 128.0 * weights * 1e-6;
    of(tune("mine"), [200.0, 192_000.0, flops, 12.0 * bytes, s, memory]);

    // A tenth of the budget and half of it more, in documents of 120 tokens after seeds of 160.
    let corpus = |name| recipe.corpus_of(name);
    let reading = model.forward_flops(125.0 * 160.0, 125.0, 80.0);
    let writing = model.forward_flops(15_000.0, 15_000.0, 220.0);
    let memory = generate_bytes(&model, 7, 160, 120, GeneratePrecision::F32.into());
    let s = reading / 3e9 + writing / 5e8;
    let generate = |name| Step::Generate(corpus(name));
    let written = [125.0, 15_000.0, reading + writing, 15_000.0 * 4.0 * 0.35, s, memory];
    for name in ["related", "strict", "mine"] {
        of(generate(name), written);
    }
    let writing = model.forward_flops(15_000.0, 15_000.0, 60.0);
    let reading = model.forward_flops(0.0, 125.0, 0.0);
    let s = reading / 3e9 + writing / 5e8;
    of(generate("unconditional"), [125.0, 15_000.0, reading + writing, 21_000.0, s, memory]);

    // Relevance takes four texts a document that is written, which are three times the tokens of both. It is calibrated on six of each
    // of the 30 pairs.
    let filter = |name| Step::Filter(corpus(name));
    let scored = model.forward_flops(4.0 * 125.0 * 210.0, 4.0 * 125.0 * 210.0, 105.0);
    let calibrated = |pairs: f64| model.forward_flops(6.0 * pairs * 600.0, 6.0 * pairs * 600.0, 300.0);
    let kept = 10_000.0 / 300.0;
    let disk = 10_000.0 * 4.0 * 0.35 + 10_000.0 * 2.0 + kept * 20.0;
    // Of each document 80 words.
    let filters = filter_bytes(600_000.0, 100_000.0, 125.0, 80.0);
    let scoring = model.scoring_bytes(4096 + 480);
    let memory = (bytes + scoring + embedder).max(filters + scoring);
    let related = |pairs| {
        let flops = scored + calibrated(pairs);
        [kept, 10_000.0, flops, disk, kept / 2000.0 + flops / 2e9, memory]
    };
    of(filter("related"), related(30.0));
    of(filter("strict"), [kept, 10_000.0, scored, disk, kept / 2000.0 + scored / 2e9, filters]);
    for name in ["shuffled", "unconditional"] {
        of(filter(name), [kept, 10_000.0, 0.0, disk, kept / 2000.0, filters]);
    }
    // Where more may choose than there are, half of the 800 do, and the others measure.
    of(filter("mine"), related(400.0));

    let flops = model.forward_flops(30_000.0, 30_000.0, 150.0);
    let memory = model.scoring_bytes(4096 + 480);
    of(Step::Evaluate(Replicate::own(&recipe, 0)), [100.0, 30_000.0, flops, 1e3, flops / 2e9, memory]);
    of(Step::Report, [0.0, 0.0, 0.0, 3e5, 1.0, 20e6]);
}

/// Behind [`RECIPE`]: a set of pairs by every other method, and what learns of it.
const METHODS: &str = r#"
[[pairs]]
name = "forms"
method = "forms"
keywords = 9
[[pairs]]
name = "to-forms"
method = "forms"
direction = "to-form"
[[pairs]]
name = "pieces"
method = "all"
piece_tokens = 100
[[pairs]]
name = "spans"
method = "masked-span"
piece_tokens = 1000
[[pairs]]
name = "nonsense"
method = "obfuscated"
share = 0.125
[[pairs]]
name = "phrases"
method = "phrases"
path = "given"
parts = 5
made = 100
held_out_share = 0.5
[[pairs]]
name = "trees"
method = "trees"
words = 50
parts = 5
made = 100
[[pairs]]
name = "entities"
method = "entity-pairs"
[[pairs]]
name = "cycle"
method = "cycle"
keep = 0.25
[[pairs]]
name = "half-false"
method = "shuffled"
share = 0.5
[[pairs]]
name = "of-pieces"
method = "shuffled"
of = "pieces"
"#;

fn with_methods() -> String {
    let sets = [
        "forms",
        "to-forms",
        "pieces",
        "spans",
        "nonsense",
        "phrases",
        "trees",
        "entities",
        "cycle",
        "half-false",
        "of-pieces",
    ];
    let arm = |set: &str| format!("[[arm]]\nname = \"by-{set}\"\nsynthetic.{set} = 0.1\n");
    let taught = "[[arm]]\nname = \"taught\"\nteachers = [\"repetition\", \"members\"]\ntrain.teacher_top = 5\nsynthetic.forms = 0.1\n\
                  [[arm]]\nname = \"members\"\nmembers = 3\nmodel.layers = 2\n";
    format!("{RECIPE}{METHODS}{}{taught}", sets.map(arm).concat())
}

#[test]
fn every_method_of_pairs_takes_what_a_small_corpus_comes_to() {
    let (_folder, recipe) = recipe(&with_methods());
    let (survey, speed, measured) = (survey(), speed(), Measured::default());
    let estimate = Estimate { recipe: &recipe, survey: &survey, measured: &measured, speed: &speed, whole_flops };
    let of = |name, expected| takes(&estimate, Step::Pair(recipe.pair_set(name)), expected);
    // 600,000 bytes of unique text, whose different words take 100 bytes each. Both sides are made into tokens at 3 MB/s.
    let words = 20.0 * 100_000f64.sqrt() * 100.0;
    // Two texts a pair, each packed to 420 bytes, with two bytes for each of 300 tokens and 20 for the document; and 24 for the pair.
    let texts = 2.0 * (420.0 + 600.0 + 20.0) + 24.0;
    for name in ["forms", "to-forms"] {
        of(name, [500.0, 0.0, 0.0, 500.0 * texts, 0.4, 600_000.0 + words + 500.0 * 300.0]);
    }
    // 300 tokens are three pieces of 100, and one of 1000.
    of("pieces", [1500.0, 0.0, 0.0, 1500.0 * texts, 0.4, 600_000.0 + 1500.0 * 24.0]);
    of("spans", [500.0, 0.0, 0.0, 500.0 * texts, 0.4, 600_000.0 + 500.0 * 24.0]);
    of("nonsense", [4000.0, 0.0, 0.0, 4000.0 * texts, 0.4, 600_000.0 + words + 96_000.0]);
    // 200 texts of three phrases of 20 bytes, or of three words of 7; of four bytes a token.
    let made = |bytes: f64| 0.35 * bytes + 2.0 * bytes / 4.0 + 200.0 * 20.0 + 2400.0;
    of("phrases", [100.0, 0.0, 0.0, made(12_000.0), 0.004, 8.0 * GIVEN_BYTES as f64 + 30_000.0]);
    of("trees", [100.0, 0.0, 0.0, made(4200.0), 0.0014, 50.0 * 200.0 + 100.0 * 320.0]);
    // Looked for at 8 MB/s; the texts, and four bytes for each of their words and what is counted of them.
    of("entities", [4000.0, 0.0, 0.0, 96_000.0, 0.075, 1_200_000.0 + words + 96_000.0]);
    of("half-false", [4000.0, 0.0, 0.0, 96_000.0, 0.0, 696_000.0]);
    of("of-pieces", [1500.0, 0.0, 0.0, 36_000.0, 0.0, 636_000.0]);
    // Of 2000 links each text behind the other and alone: 900 tokens each way, in four sequences. The model, and a batch with a context more.
    let set = Step::Pair(recipe.pair_set("cycle"));
    let model = estimate.config(&*set.stage_of());
    assert_eq!((model.layers, model.width), (1, 8));
    let flops = model.forward_flops(8000.0 * 450.0, 8000.0 * 450.0, 225.0);
    let scoring = model.parameter_bytes() + model.scoring_bytes(4096 + 480);
    of("cycle", [1000.0, 0.0, flops, 24_000.0, flops / 2e9, scoring + 64_000.0]);
    let holds = needed_memory(&recipe, &*set.stage_of(), 500, true);
    assert_eq!(holds, Some(("scoring this recipe's pairs", scoring)), "what is too large is known at the start");
    // A document of the selection split each; a share of what is made, or twelve; of another set as many as there.
    let held_out = |name: &str| estimate.held_out(recipe.pair_set(name));
    assert_eq!(["forms", "pieces", "phrases", "trees", "cycle"].map(held_out), [200.0, 200.0, 50.0, 12.0, 800.0]);
    let needs = |name: &str| -> Vec<String> {
        let needs = Step::Pair(recipe.pair_set(name)).needs(&recipe);
        needs.into_iter().map(|step| step.label(&recipe)).collect()
    };
    for name in ["forms", "pieces", "phrases", "trees"] {
        assert_eq!(needs(name), ["tokenize"], "{name}");
    }
    assert_eq!((needs("entities"), needs("mine")), (vec!["ingest".to_owned()], vec!["ingest".to_owned()]));
    assert_eq!(needs("nonsense"), ["tokenize", "pair"]);
    assert_eq!(
        (needs("cycle"), needs("of-pieces")),
        (vec!["pair".to_owned(), "tune".to_owned()], vec!["pair pieces".to_owned()])
    );
}

#[test]
fn teachers_and_ensembles_take_what_their_models_come_to() {
    let (_folder, recipe) = recipe(&with_methods());
    let (survey, speed, measured) = (survey(), speed(), Measured::default());
    let estimate = Estimate { recipe: &recipe, survey: &survey, measured: &measured, speed: &speed, whole_flops };
    // One model of a layer, and three of two layers.
    let one: Config = estimate.config(&*Step::Train(Replicate::own(&recipe, 0)).stage_of());
    let two = Config { layers: 2, ..one.clone() };
    let memory = teaching_bytes(&[one.clone(), two.clone(), two.clone(), two.clone()], 400);
    let asked = |tokens: f64| {
        [&one, &two, &two, &two].map(|model| model.forward_flops(tokens, tokens, 150.0)).iter().sum::<f64>()
    };
    // Of each token five others of two bytes, with two bytes of probability; 20 bytes a document, twice.
    let disk =
        |tokens: f64, documents: f64| tokens * 5.0 * 2.0 + documents * 20.0 + tokens * 5.0 * 2.0 + documents * 20.0;
    let teach = |at: usize| Step::Teach(at);
    let flops = asked(150_000.0);
    takes(&estimate, teach(0), [500.0, 150_000.0, flops, disk(150_000.0, 500.0), flops / 2e9, memory]);
    // A tenth of the budget, in documents of 120 tokens.
    let flops = asked(10_000.0);
    let documents = 10_000.0 / 120.0;
    takes(&estimate, teach(1), [documents, 10_000.0, flops, disk(10_000.0, documents), flops / 2e9, memory]);
    // Three models are scored one beside the other.
    let members = Step::Evaluate(Replicate::own(&recipe, recipe.arm("members")));
    let scoring = 3.0 * two.scoring_bytes(4096 + 480);
    assert_eq!(
        needed_memory(&recipe, &*members.stage_of(), 500, true),
        Some(("measuring this recipe's ensemble", scoring))
    );
    assert_eq!(
        needed_memory(&recipe, &*teach(0).stage_of(), 500, true),
        Some(("asking this recipe's teachers", memory))
    );
    // A filter holds less than the tuning before it.
    assert_eq!(needed_memory(&recipe, &*Step::Filter(0).stage_of(), 500, true), None);
    let single = Step::Evaluate(Replicate::own(&recipe, 0));
    assert_eq!(needed_memory(&recipe, &*single.stage_of(), 500, true), None, "one is the least that was trained");
    // What a notice of a costly tuning compares: pairs of 240 tokens a document, and the base's training.
    let size = Size { pairs: 1000, steps: 640, tokens: 960_000 };
    let found = crate::stages::tune::tuning_flops(&recipe, recipe.synthesizer("related"), 500, 300.0, size);
    assert_eq!(found, (one.training_flops(960_000.0, 480_000.0, 240.0), one.training_flops(1e5, 1e5, 150.0)));
}

#[test]
fn every_method_of_pairs_tells_what_its_pairs_are() {
    let (_folder, recipe) = recipe(&with_methods());
    let told = |name: &str| method(&recipe.pairs[recipe.pair_set(name)].method).told();
    assert_eq!(told("related"), None, "similarities say more");
    for (name, expected) in [
        ("mine", "Given pairs: nothing is known of them but their numbers."),
        ("shuffled", "The pairs of the set related, their second documents shuffled: nothing but chance relates them."),
        (
            "half-false",
            "The pairs of the set related, 50 % of them with the second document of another: so many are false on purpose.",
        ),
        ("cycle", "Of the pairs of the set related the 25 % that the synthesizer related finds back best."),
        ("forms", "A form of each document and the document: a form is at most 9 keywords, in their order."),
        ("to-forms", "The document and its form: a form is at most 24 keywords, in their order."),
        ("pieces", "Pairs of pieces of one document each, by the method all."),
        ("spans", "Pairs of pieces of one document each, by the method masked-span."),
        (
            "nonsense",
            "The pairs of the set related, with 12.5 % of the different words replaced by nonsense words, one for one.",
        ),
        ("phrases", "Given phrases that say the same, up to 5 strung together."),
        (
            "trees",
            "Sentences of a made language and the same in another: 50 words each, one for one, up to 5 in a sentence, with branches of a \
             random tree exchanged.",
        ),
        (
            "entities",
            "Documents that name 2 entities in common, runs of words with capitals, of those that at most 100 documents name.",
        ),
    ] {
        assert_eq!(told(name).as_deref(), Some(expected));
    }
    let truth = PairMethod::Truth(Truth {});
    let (_, estimated) = (method(&truth).needs(&recipe), method(&truth).told());
    assert_eq!(
        estimated.as_deref(),
        Some("The pairs that the world says are true: each of two documents with one concept.")
    );
    let of = |name: &str| method(&recipe.pairs[recipe.pair_set(name)].method);
    for (name, passed_over, more) in [
        ("related", "passed over, of documents of other splits", "or lower [pair] min_similarity or precision"),
        ("mine", "passed over, of documents of other splits", "raise [corpus] unique_share, or give more"),
        ("forms", "passed over, without two keywords", "raise [corpus] unique_share, or give more"),
        ("pieces", "passed over, too short or of too few sentences", "raise [corpus] unique_share, or give more"),
        ("entities", "near-copies, and so no pairs", "or lower shared_entities"),
        ("phrases", "passed over, of documents of other splits", "raise made"),
        ("trees", "passed over, of documents of other splits", "raise made"),
    ] {
        assert_eq!(of(name).passed_over().0, passed_over, "{name}");
        assert!(of(name).more().ends_with(more), "{name}: {}", of(name).more());
    }
    assert_eq!(
        [of("forms").passed_over().1, of("pieces").passed_over().1, of("mine").passed_over().1],
        ["documents", "pieces", "pairs"]
    );
}
