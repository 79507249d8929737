//! Things: what presets stand for, what is made from what, and every refusal of a graph that cannot be.

use std::path::Path;

use super::pair_methods::{Cycle, Direction, Entities, Forms, Neighbours, Phrases, Trees};
use super::{Arm, Author, Decay, Init, Order, PairMethod, Real, Recipe, RecipeError, SeedsOf, Writer};
use crate::graph::preparation;
use crate::step::{Replicate, Step};

/// A recipe but for its things.
const TABLES: &str = "name = \"asked\"\n[corpus]\npaths = [\"d.jsonl\"]\n[model]\nlayers = 2\nwidth = 32\nheads = 2\n[train]\n\
                      budget_tokens = 1_000_000\n";

const BASE: &str = "[[arm]]\nkind = \"repetition\"\n";

fn parse(things: &str) -> Result<Recipe, Box<RecipeError>> {
    Recipe::parse(Path::new("r.toml"), &format!("{TABLES}{things}"))
}

fn refusal(things: &str) -> String {
    let error = parse(things).expect_err("the recipe is refused");
    error.hint().map_or(error.to_string(), |hint| format!("{error}\nhint: {hint}"))
}

fn labels(recipe: &Recipe) -> Vec<String> {
    Step::all(recipe).iter().filter(|step| step.stage() != "evaluate").map(|step| step.label(recipe)).collect()
}

/// The recipes of docs/experiments.md, each with the question that it answers.
fn questions() -> Vec<(String, String)> {
    let page = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/experiments.md")).unwrap();
    let blocks = page.split("\n**").skip(1).filter_map(|part| {
        let (question, rest) = part.split_once("**")?;
        let (_, block) = rest.split_once("```toml\n")?;
        Some((question.to_owned(), block.split_once("```")?.0.to_owned()))
    });
    blocks.collect()
}

#[test]
fn the_questions_of_the_docs_are_recipes_and_what_they_expand_to_is_the_same_recipe() {
    let questions = questions();
    assert_eq!(questions.len(), 10);
    for (question, things) in questions {
        let recipe = parse(&things).unwrap_or_else(|error| panic!("{question}: {error}"));
        let expanded = recipe.to_toml().unwrap();
        let again = Recipe::parse(Path::new("r.toml"), &expanded).unwrap_or_else(|error| panic!("{question}: {error}"));
        assert_eq!(again, recipe, "{question}");
        assert!(!expanded.contains("kind ="), "{question}: a preset is left");
        assert_eq!(labels(&again), labels(&recipe), "{question}");
    }
}

#[test]
fn a_preset_is_what_the_docs_say_in_other_words() {
    let sbp = "[[arm]]\nkind = \"sbp\"\n";
    for (kind, words) in [
        ("random-pairs", "synthetic.shuffled = 0.25\n"),
        ("unconditional", "synthetic.unconditional = 0.25\n"),
        ("regularised", "train.weight_decay = [0.1, 0.8, 3.2]\n"),
        ("related-context", "contexts = \"related\"\n"),
        ("equal-flops", "operations_of = \"sbp\"\n"),
        ("oracle", "documents = \"all\"\n"),
    ] {
        let preset = parse(&format!("{BASE}{sbp}[[arm]]\nkind = \"{kind}\"\n")).unwrap();
        let own = parse(&format!("{BASE}{sbp}[[arm]]\nname = \"own\"\n{words}")).unwrap();
        let made = |arm: &Arm| (arm.training.clone(), arm.sweep.clone(), arm.selection_documents);
        assert_eq!(made(&own.arms[2]), made(&preset.arms[2]), "{kind}");
        let things = |recipe: &Recipe| {
            (recipe.embeddings.clone(), recipe.pairs.clone(), recipe.synthesizers.clone(), recipe.synthetic.clone())
        };
        assert_eq!(things(&own), things(&preset), "{kind}");
    }
}

#[test]
fn a_thing_says_what_its_table_does_not() {
    let recipe = parse(&format!(
        "[pair]\nneighbours = 7\n[tune]\nepochs = 5\n[generate]\ntemperature = 0.5\n[filter]\nmin_words = 9\n\
         [[pairs]]\nname = \"few\"\nneighbours = 3\n[[synthesizer]]\nname = \"few\"\npairs = \"few\"\nrate = 1e-4\n\
         [[synthetic]]\nname = \"few\"\nby = \"few\"\ntop_p = 0.75\nmin_words = 11\n{BASE}\
         [[arm]]\nname = \"a\"\nsynthetic = {{ few = 0.25, related = 0.5 }}\ntrain.weight_decay_epochs = 0.5\nmodel.layers = 3\n"
    ))
    .unwrap();
    let few = &recipe.pairs[recipe.pair_set("few")];
    let related = &recipe.pairs[recipe.pair_set("related")];
    assert_eq!((few.pair.neighbours, related.pair.neighbours), (3, 7));
    let tuned = |name: &str| &recipe.synthesizers[recipe.synthesizer(name)].tune;
    assert_eq!((tuned("few").epochs, tuned("few").rate, tuned("related").epochs), (5, 1e-4, 5));
    let corpus = |name: &str| &recipe.synthetic[recipe.corpus_of(name)];
    let sampling = corpus("few").generate.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, corpus("few").filter.min_words), (0.5, 0.75, 11));
    assert_eq!(corpus("related").filter.min_words, 9);
    let training = &recipe.arms[1].training;
    assert_eq!(training.train.decay, Decay::Epochs { weight_decay_epochs: 0.5 });
    assert_eq!((training.model.layers, recipe.arms[0].training.model.layers), (3, 2));
    assert_eq!(training.synthetic, [("few".to_owned(), 0.25), ("related".to_owned(), 0.5)]);
    // 122 steps of 8,192 tokens.
    let tokens = |name: &str| recipe.synthetic_tokens(recipe.corpus_of(name));
    assert_eq!((tokens("few"), tokens("related")), (249_856, 499_712));
}

#[test]
fn what_is_made_follows_from_what_the_arms_need() {
    let second = "[[synthesizer]]\nname = \"second\"\nbase = \"sbp\"\n[[synthetic]]\nname = \"second\"\nby = \"second\"\n\
                  seeds = \"related\"\n[[synthetic]]\nname = \"for-nobody\"\ntemperature = 0.5\n";
    let arms = "[[arm]]\nkind = \"sbp\"\n[[arm]]\nname = \"two\"\nsynthetic = { second = 0.5 }\ninit = \"repetition\"\norder = \"real-last\"\n";
    let recipe = parse(&format!("{second}{BASE}{arms}")).unwrap();
    assert_eq!(
        labels(&recipe),
        [
            "ingest",
            "tokenize",
            "embed",
            "pair",
            "train repetition",
            "tune",
            "generate",
            "filter",
            "train sbp",
            "tune second",
            "generate second",
            "filter second",
            "train two",
            "report"
        ]
    );
    let second = &recipe.synthetic[recipe.corpus_of("second")];
    assert_eq!(
        (&second.by, &second.seeds),
        (&Author::Model(Writer::Synthesizer("second".into())), &SeedsOf::Corpus("related".into()))
    );
    let two = &recipe.arms[2].training;
    assert_eq!(
        (two.order, &two.init, two.documents),
        (Order::RealLast, &Some(Init::Model(Writer::Arm("repetition".into()))), Real::Unique)
    );
    // A round needs as many seeds as it writes tokens.
    assert_eq!(recipe.synthetic_tokens(recipe.corpus_of("related")), 499_712);
    assert_eq!(
        recipe.pairs[recipe.pair_set("related")].method,
        PairMethod::Neighbours(Neighbours { embedding: "lsa".into() })
    );
}

#[test]
fn lists_are_tried_in_every_combination_and_candidates_may_be_written_out() {
    let swept = "[[arm]]\nname = \"a\"\ntrain.weight_decay = [0.1, 0.4]\nsynthetic.related = [0.125, 0.25]\n";
    let recipe = parse(&format!("{BASE}{swept}")).unwrap();
    let names: Vec<&str> = recipe.arms[1].sweep.iter().map(|candidate| candidate.name.as_str()).collect();
    let expected = [
        "weight-decay-0.1-related-0.125",
        "weight-decay-0.1-related-0.25",
        "weight-decay-0.4-related-0.125",
        "weight-decay-0.4-related-0.25",
    ];
    let mut sorted = names.clone();
    sorted.sort_unstable();
    // Which list is written first is not known of a table.
    assert!(sorted == expected || names.len() == 4 && names[0].contains("related-0.125"), "{names:?}");
    let decays: Vec<Decay> = recipe.arms[1].sweep.iter().map(|candidate| candidate.training.train.decay).collect();
    assert!(decays.contains(&Decay::Plain { weight_decay: 0.4 }), "{decays:?}");
    let written = "[[arm]]\nname = \"b\"\nsweep = [{ name = \"low\", train = { peak_rate = 1e-3 } }, { train.peak_rate = 1e-2 }]\n";
    let recipe = parse(&format!("{BASE}{written}")).unwrap();
    let rates = recipe.arms[1]
        .sweep
        .iter()
        .map(|one| (one.name.clone(), one.training.train.peak_rate, one.training.train.final_rate));
    // The final rate derives from each candidate's own peak.
    assert_eq!(rates.collect::<Vec<_>>(), [("low".to_owned(), 1e-3, 5e-6), ("candidate-2".to_owned(), 1e-2, 5e-5)]);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
}

#[test]
fn a_candidate_that_another_arm_is_trained_as_is_not_trained_again() {
    let recipe = parse(&format!("{BASE}[[arm]]\nname = \"a\"\ntrain.weight_decay = [0.1, 0.4]\n")).unwrap();
    assert_eq!(
        labels(&recipe),
        ["ingest", "tokenize", "train repetition", "train a, weight-decay-0.4", "train a", "report"],
        "0.1 is what [train] has"
    );
}

#[test]
fn names_are_those_of_things_and_each_is_given_once() {
    let twice = "[[pairs]]\nname = \"p\"\n[[pairs]]\nname = \"p\"\nneighbours = 3\n";
    assert_eq!(
        refusal(&format!("{twice}{BASE}")),
        "r.toml:12: a second set of pairs is called `p`\nhint: give each a `name` of its own"
    );
    assert_eq!(
        refusal(&format!("[[synthesizer]]\nname = \"s\"\npairs = \"relate\"\n{BASE}")),
        "r.toml:12: [[synthesizer]] pairs = \"relate\": expected the name of a set of pairs; nothing defines `relate`\n\
         hint: the nearest name is `related`"
    );
    for (things, expected) in [
        ("[[synthesizer]]\nname = \"s\"\nbase = \"repetitions\"\n", "the nearest name is `repetition`"),
        ("[[synthetic]]\nname = \"c\"\nby = \"shuffle\"\n", "the nearest name is `shuffled`"),
        ("[[synthetic]]\nname = \"c\"\nseeds = \"unconditionals\"\n", "the nearest name is `unconditional`"),
        ("[[pairs]]\nname = \"p\"\nembedding = \"lsi\"\n", "the nearest name is `lsa`"),
        ("[report]\nbaseline = \"repetitions\"\n", "the nearest name is `repetition`"),
        ("[[synthetic]]\nname = \"unique\"\n", "as seeds, that is something else"),
    ] {
        let found = refusal(&format!("{things}{BASE}"));
        assert!(found.contains(expected), "{things}: {found}");
    }
    let arm = |key: &str| refusal(&format!("{BASE}[[arm]]\nname = \"a\"\n{key}\n"));
    for (key, expected) in [
        ("synthetic.relates = 0.5", "the nearest name is `related`"),
        ("init = \"repetitions\"", "the nearest name is `repetition`"),
        ("operations_of = \"repetitions\"", "the nearest name is `repetition`"),
        ("control_of = \"repetitions\"", "the nearest name is `repetition`"),
        ("train.peek_rate = 1", "the nearest known key is `peak_rate`"),
        ("tune.rate = 1", "unknown key `tune`"),
    ] {
        let found = arm(key);
        assert!(found.contains(expected), "{key}: {found}");
    }
}

#[test]
fn circles_are_printed() {
    let circle = "[[synthetic]]\nname = \"c\"\nby = \"s\"\n[[synthesizer]]\nname = \"s\"\nbase = \"a\"\n[[arm]]\nname = \"a\"\n\
                  synthetic.c = 0.5\n";
    assert_eq!(
        refusal(&format!("{circle}{BASE}")),
        "r.toml:16: things are made from each other in a circle: arm a <- synthetic c <- synthesizer s <- arm a\n\
         hint: let one of them be made from something else"
    );
    let pairs = "[[pairs]]\nname = \"p\"\nmethod = \"shuffled\"\nof = \"q\"\n[[pairs]]\nname = \"q\"\nmethod = \"shuffled\"\nof = \"p\"\n";
    assert!(refusal(&format!("{pairs}{BASE}")).contains("in a circle: pairs p <- pairs q <- pairs p"));
    let own = "[[arm]]\nname = \"a\"\ninit = \"a\"\n";
    assert!(refusal(&format!("{BASE}{own}")).contains("in a circle: arm a <- arm a"));
    let tuned = "[[synthesizer]]\nname = \"s\"\nbase = \"a\"\n[[arm]]\nname = \"a\"\ninit = \"s\"\n";
    assert!(refusal(&format!("{BASE}{tuned}")).contains("in a circle: arm a <- synthesizer s <- arm a"));
    // What a step of the baseline takes is what the operations are counted in.
    let measured = "[report]\nbaseline = \"a\"\n[[arm]]\nname = \"b\"\n[[arm]]\nname = \"c\"\noperations_of = \"b\"\n\
                    [[arm]]\nname = \"a\"\ninit = \"c\"\n";
    assert!(refusal(measured).contains("in a circle: arm c <- arm a <- arm c"), "{}", refusal(measured));
    let of_baseline = "[[arm]]\nname = \"a\"\noperations_of = \"repetition\"\n";
    assert!(parse(&format!("{BASE}{of_baseline}")).is_ok());
}

#[test]
fn an_arm_starts_from_a_synthesizer() {
    let arms = "[[synthesizer]]\nname = \"tuned\"\n[[arm]]\nname = \"on\"\ninit = \"tuned\"\n[[arm]]\nname = \"preset\"\ninit = \"related\"\n";
    let recipe = parse(&format!("{BASE}{arms}")).unwrap();
    let start = |name: &str| recipe.arms[recipe.arm(name)].training.init.clone();
    let synthesizer = |name: &str| Some(Init::Model(Writer::Synthesizer(name.into())));
    assert_eq!((start("on"), start("preset")), (synthesizer("tuned"), synthesizer("related")));
    let labels = labels(&recipe);
    assert!(labels.contains(&"tune tuned".to_owned()) && labels.contains(&"tune".to_owned()), "{labels:?}");
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    let shape = "[[arm]]\nname = \"on\"\ninit = \"related\"\nmodel.layers = 3\n";
    assert!(
        refusal(&format!("{BASE}{shape}")).contains("arm `on` starts from `related`, but `related` has layers = 2")
    );
    let both = "[[synthesizer]]\nname = \"x\"\n[[arm]]\nname = \"x\"\norder = \"real-last\"\n[[arm]]\nname = \"on\"\ninit = \"x\"\n";
    let found = refusal(&format!("{BASE}{both}"));
    assert!(found.contains("and one of the two is the `init` here"), "{found}");
}

#[test]
fn synthesizers_come_before_arms_that_do_not_need_them_and_what_is_not_measured_is_trained_once() {
    let text = format!("seed = 5\nseeds = [4, 5]\n{TABLES}");
    let arms = "[[arm]]\nkind = \"oracle\"\n[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"wide\"\nmodel.layers = 3\nevaluate = false\n\
                [[synthesizer]]\nname = \"related\"\nbase = \"wide\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nname = \"deep\"\nmodel.layers = 4\n\
                evaluate = false\n[[arm]]\nname = \"on\"\nmodel.layers = 4\ninit = \"deep\"\n";
    let recipe = Recipe::parse(Path::new("r.toml"), &format!("{text}{arms}")).unwrap();
    let all = labels(&recipe);
    let at = |label: &str| all.iter().position(|other| other == label).unwrap_or_else(|| panic!("{label} in {all:?}"));
    assert!(at("tune") < at("train oracle") && at("train wide") < at("tune"), "{all:?}");
    assert!(!all.contains(&"train wide, seed 4".to_owned()), "{all:?}");
    assert!(at("train deep, seed 4") < at("train on, seed 4"), "what another seed starts from");
}

/// Pairs with texts of their own, a synthesizer that starts from another, and arms with and without spans taken out.
const NEIGHBOURS: &str = "[[pairs]]\nname = \"reordered\"\nmethod = \"reorder\"\n[[pairs]]\nname = \"each\"\nmethod = \"all\"\npiece_tokens = 64\n\
                          [[pairs]]\nname = \"nonsense\"\nmethod = \"obfuscated\"\nshare = 0.25\n[[pairs]]\nname = \"unordered\"\n\
                          method = \"shuffled\"\nof = \"each\"\n[[synthesizer]]\nname = \"second\"\nbase = \"first\"\npairs = \"nonsense\"\n\
                          [[synthesizer]]\nname = \"first\"\nbase = \"mixed\"\npairs = \"each\"\n[[synthetic]]\nname = \"c\"\nby = \"second\"\n";

#[test]
fn pairs_have_texts_of_their_own_and_a_synthesizer_may_start_from_another() {
    let arms = "[[arm]]\nname = \"mixed\"\ntrain.objective = \"mixture-of-denoisers\"\ntrain.x_share = 0.5\n[[arm]]\nname = \"a\"\nsynthetic.c = 0.5\n";
    let recipe = parse(&format!("{NEIGHBOURS}{BASE}{arms}")).unwrap();
    assert_eq!(
        labels(&recipe),
        [
            "ingest",
            "tokenize",
            "embed",
            "pair each",
            "pair",
            "pair nonsense",
            "train mixed",
            "tune first",
            "tune second",
            "train repetition",
            "generate c",
            "filter c",
            "train a",
            "report"
        ]
    );
    let piece = |name: &str| match &recipe.pairs[recipe.pair_set(name)].method {
        PairMethod::OneDocument(own) => (own.tasks.len(), own.piece_tokens),
        other => panic!("{other:?}"),
    };
    assert_eq!((piece("reordered"), piece("each")), ((1, 512), (3, 64)));
    let short = Recipe::parse(
        Path::new("r.toml"),
        &format!("{TABLES}{NEIGHBOURS}{BASE}{arms}").replace("heads = 2\n", "heads = 2\ncontext = 200\n"),
    );
    let method = short.unwrap().pairs[0].method.clone();
    assert!(matches!(&method, PairMethod::OneDocument(own) if own.piece_tokens == 198), "{method:?}");
    let of = |name: &str| recipe.texts_of(recipe.pair_set(name)).map(|set| recipe.pairs[set].name.clone());
    assert_eq!(of("unordered"), Some("each".to_owned()));
    assert_eq!((of("nonsense"), of("related")), (Some("nonsense".to_owned()), None));
    let second = recipe.synthesizer("second");
    assert_eq!(recipe.synthesizers[second].base, Writer::Synthesizer("first".into()));
    assert_eq!(recipe.arms[recipe.base_arm(second)].name, "mixed");
    assert_eq!(recipe.base_of(recipe.corpus_of("c")), Some(recipe.base_arm(second)));
    let tokens: Vec<String> = recipe.reserved_tokens().into_iter().map(|(token, _)| token).collect();
    assert_eq!((tokens.len(), tokens[0].as_str(), tokens[1].as_str()), (104, "<|mask|>", "[R]"));
    assert_eq!(parse(BASE).unwrap().reserved_tokens(), []);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    // The other way round: an arm that is plain where the table is not.
    let turned = "[[arm]]\nname = \"plain\"\ntrain.objective = \"plain\"\n";
    let table = "[train]\nobjective = \"mixture-of-denoisers\"\n";
    let recipe =
        Recipe::parse(Path::new("r.toml"), &format!("{}{BASE}{turned}", TABLES.replace("[train]\n", table))).unwrap();
    let denoised = |name: &str| recipe.arms[recipe.arm(name)].training.train.denoisers.is_some();
    assert!(denoised("repetition") && !denoised("plain"));
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
}

/// Each method with keys of its own, what it says, and what it refuses.
#[test]
fn pairs_from_entities_forms_phrases_and_trees_have_keys_of_their_own() {
    let with = |keys: &str| {
        let arm = "[[synthesizer]]\nname = \"s\"\npairs = \"p\"\n[[synthetic]]\nname = \"c\"\nby = \"s\"\n[[arm]]\nname = \"a\"\nsynthetic.c = 0.1\n";
        parse(&format!("{BASE}[[pairs]]\nname = \"p\"\n{keys}\n{arm}"))
    };
    let method = |keys: &str| {
        let recipe = with(keys).unwrap();
        let again = Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap();
        assert_eq!(again, recipe, "{keys}");
        recipe.pairs[recipe.pair_set("p")].method.clone()
    };
    let entities =
        |shared_entities, entity_documents| PairMethod::Entities(Entities { shared_entities, entity_documents });
    assert_eq!(method("method = \"entity-pairs\""), entities(2, 100));
    let keys = "shared_entities = 3\nentity_documents = 7";
    assert_eq!(method(&format!("method = \"entity-pairs\"\n{keys}")), entities(3, 7));
    let forms = |keywords, direction| PairMethod::Forms(Forms { keywords, direction });
    assert_eq!(method("method = \"forms\""), forms(24, Direction::ToDocument));
    let turned = "method = \"forms\"\nkeywords = 9\ndirection = \"to-form\"";
    assert_eq!(method(turned), forms(9, Direction::ToForm));
    let phrases = PairMethod::Phrases(Phrases { path: "p.jsonl".into(), parts: 16, made: 10_000 });
    assert_eq!(method("method = \"phrases\"\npath = \"p.jsonl\""), phrases);
    let trees = PairMethod::Trees(Trees { words: 5, parts: 6, swap: 0.5, made: 7 });
    assert_eq!(method("method = \"trees\"\nwords = 5\nparts = 6\nswap = 0.5\nmade = 7"), trees);
    for (keys, said) in [
        ("method = \"phrases\"", "`path` beside it"),
        ("method = \"trees\"\nkeywords = 3", "without method = \"forms\""),
        ("method = \"forms\"\nmade = 3", "without method = \"phrases\" or \"trees\""),
        ("method = \"entity-pairs\"\nswap = 0.1", "without method = \"trees\""),
        ("method = \"neighbours\"\nshared_entities = 3", "without method = \"entity-pairs\""),
        ("method = \"forms\"\nneighbours = 3", "`neighbours`"),
        ("method = \"entity-pairs\"\nprecision = 0.5", "`precision`"),
        ("method = \"trees\"\nparts = 1", "from 2 to 1000"),
    ] {
        let error = with(keys).unwrap_err().to_string();
        assert!(error.contains(said), "{keys}: {error}");
    }
}

#[test]
fn a_chain_of_writers_is_a_corpus_each() {
    let tuned = |name: &str| format!("[[synthesizer]]\nname = \"{name}\"\npairs = \"related\"\n");
    let things = ["one", "two", "three"].map(tuned).concat();
    let arm = "[[arm]]\nname = \"a\"\nsynthetic.c = 0.1\n";
    let with = |keys: &str| parse(&format!("{BASE}{things}[[synthetic]]\nname = \"c\"\n{keys}\n{arm}"));
    let recipe = with("by = [\"one\", \"two\", \"three\"]\ntemperature = 0.5").unwrap();
    let corpora: Vec<(&str, &str, &SeedsOf, f64)> = recipe
        .synthetic
        .iter()
        .map(|corpus| {
            let by = corpus.by.model().map_or("", Writer::name);
            (corpus.name.as_str(), by, &corpus.seeds, corpus.generate.sampling.temperature)
        })
        .collect();
    let from = |name: &str| SeedsOf::Corpus(name.to_owned());
    assert_eq!(
        corpora,
        [
            ("c-step-1", "one", &SeedsOf::Unique, 0.5),
            ("c-step-2", "two", &from("c-step-1"), 0.5),
            ("c", "three", &from("c-step-2"), 0.5)
        ]
    );
    // Documents on the way are asked for what documents are.
    assert!(recipe.synthetic[..2].iter().all(|corpus| corpus.filter.min_words == 10));
    // A model without seeds may be the first; nobody else may write from nothing.
    let first = with("by = [\"repetition\", \"two\"]").unwrap();
    assert_eq!((&first.synthetic[0].seeds, &first.synthetic[1].seeds), (&SeedsOf::None, &from("c-step-1")));
    for (keys, said) in [
        ("by = [\"one\", \"repetition\"]", "cannot write from seeds"),
        ("by = [\"one\", \"six\"]", "`six`"),
        ("by = [\"one\", \"two\"]\nseeds = \"c\"", "in a circle"),
    ] {
        let error = with(keys).unwrap_err().to_string();
        assert!(error.contains(said), "{keys}: {error}");
    }
}

#[test]
fn rounds_of_cycle_consistency_are_sets_and_synthesizers_of_their_own() {
    let written = "[[pairs]]\nname = \"clean\"\nmethod = \"cycle\"\nkeep = 0.5\nrounds = 3\n[[synthesizer]]\nname = \"clean\"\npairs = \"clean\"\n\
                   [[synthetic]]\nname = \"clean\"\nby = \"clean\"\n[[arm]]\nname = \"a\"\nsynthetic.clean = 0.25\n";
    let recipe = parse(&format!("{BASE}{written}")).unwrap();
    let method = |name: &str| recipe.pairs[recipe.pair_set(name)].method.clone();
    let cycle = |by: &str| PairMethod::Cycle(Cycle { of: "related".into(), by: by.into(), keep: 0.5 });
    assert_eq!(method("clean-round-1"), cycle("related"));
    assert_eq!(method("clean-round-2"), cycle("clean-round-1"));
    assert_eq!(method("clean"), cycle("clean-round-2"));
    let tuned = |name: &str| recipe.synthesizers[recipe.synthesizer(name)].pairs.clone();
    assert_eq!(["related", "clean-round-1", "clean-round-2"].map(tuned), ["related", "clean-round-1", "clean-round-2"]);
    // Pairs that wait for a synthesizer come behind it, and all others before anything is trained.
    let steps = Step::all(&recipe);
    let at = |step: Step| steps.iter().position(|other| *other == step).unwrap();
    let [related, first, second, clean] =
        ["related", "clean-round-1", "clean-round-2", "clean"].map(|name| at(Step::Pair(recipe.pair_set(name))));
    let tune = |name: &str| at(Step::Tune(recipe.synthesizer(name)));
    let base = at(Step::Train(Replicate::own(&recipe, 0)));
    assert!(related < base && base < tune("related"), "{steps:?}");
    assert!(tune("related") < first && first < tune("clean-round-1"), "{steps:?}");
    assert!(tune("clean-round-1") < second && tune("clean-round-2") < clean && clean < tune("clean"), "{steps:?}");
    assert_eq!(recipe.scorer_of(recipe.pair_set("clean")), Some(recipe.synthesizer("clean-round-2")));
    assert_eq!(recipe.scorer_of(recipe.pair_set("related")), None);
    let again = Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap();
    assert_eq!((&again.pairs, &again.synthesizers), (&recipe.pairs, &recipe.synthesizers));
    for (keys, expected) in [
        ("", "expected `keep` beside it"),
        ("keep = 0", "expected a number above 0 and at most 1"),
        ("keep = 0.5\nneighbours = 3", "no `neighbours` with method = \"cycle\""),
        ("keep = 0.5\nby = \"nobody\"", "nothing defines `nobody`"),
        ("keep = 0.5\nby = \"own\"\n[[synthesizer]]\nname = \"own\"\npairs = \"p\"", "in a circle: "),
        ("keep = 0.5\nrounds = 2\n[[pairs]]\nname = \"p-round-1\"", "a second set of pairs is called `p-round-1`"),
    ] {
        let found = refusal(&format!("{BASE}[[pairs]]\nname = \"p\"\nmethod = \"cycle\"\n{keys}\n"));
        assert!(found.contains(expected), "{keys}: {found}");
    }
    let found = refusal(&format!("{BASE}[[pairs]]\nname = \"p\"\nkeep = 0.5\n"));
    assert!(found.contains("no `keep` without method = \"cycle\""), "{found}");
}

#[test]
fn texts_and_starts_that_cannot_be_are_refused() {
    let of = |name: &str| format!("[[pairs]]\nname = \"p\"\nmethod = \"obfuscated\"\nshare = 0.5\nof = \"{name}\"\n");
    let texts = "the pairs `p` are to be of documents that are related, and";
    for (things, expected) in [
        ("[[pairs]]\nname = \"p\"\nmethod = \"obfuscated\"\n".to_owned(), "expected `share` beside it"),
        ("[[pairs]]\nname = \"p\"\nmethod = \"obfuscated\"\nshare = 1.5\n".to_owned(), "a number from 0 to 1"),
        (
            "[[pairs]]\nname = \"p\"\nshare = 0.5\n".to_owned(),
            "no `share` without method = \"obfuscated\" or \"shuffled\"",
        ),
        (
            "[[pairs]]\nname = \"p\"\npiece_tokens = 50\n".to_owned(),
            "no `piece_tokens` without method = \"reorder\" or",
        ),
        (
            "[[pairs]]\nname = \"p\"\nmethod = \"reorder\"\nof = \"related\"\n".to_owned(),
            "no `of` without method = \"obfuscated\" or \"shuffled\"",
        ),
        (
            "[[pairs]]\nname = \"p\"\nmethod = \"reorder\"\nneighbours = 3\n".to_owned(),
            "no `neighbours` with method = \"reorder\"",
        ),
        ("[[pairs]]\nname = \"p\"\nmethod = \"reordered\"\n".to_owned(), "the nearest of them is"),
        (
            "[[pairs]]\nname = \"p\"\nmethod = \"shuffled\"\nof = \"shuffled\"\nshare = 0.5\n".to_owned(),
            "of the pairs `shuffled` nothing is true, so no share of them can be made false in `p`",
        ),
        (
            "[[pairs]]\nname = \"p\"\nmethod = \"cycle\"\nof = \"shuffled\"\nby = \"related\"\nkeep = 0.5\n".to_owned(),
            "of the pairs `shuffled` nothing is true, so no share of them can be kept for its truth in `p`",
        ),
        (of("nobody"), "nothing defines `nobody`"),
        (format!("{}{NEIGHBOURS}", of("each")), texts),
        (format!("{}{NEIGHBOURS}", of("unordered")), texts),
        (format!("{}{NEIGHBOURS}", of("nonsense")), texts),
        (of("shuffled"), texts),
        (
            "[[pairs]]\nname = \"p\"\nmethod = \"obfuscated\"\nshare = 0.5\nof = \"p\"\n".to_owned(),
            "in a circle: pairs p <- pairs p",
        ),
        (
            "[[synthesizer]]\nname = \"s\"\nbase = \"t\"\n[[synthesizer]]\nname = \"t\"\nbase = \"s\"\n".to_owned(),
            "in a circle: synthesizer s <- synthesizer t <- synthesizer s",
        ),
        (
            "[[synthesizer]]\nname = \"s\"\nbase = \"nobody\"\n".to_owned(),
            "expected the name of an arm; nothing defines `nobody`",
        ),
        (
            "[[synthesizer]]\nname = \"repetition\"\n[[synthesizer]]\nname = \"s\"\nbase = \"repetition\"\n".to_owned(),
            "is an arm and a synthesizer",
        ),
    ] {
        let found = refusal(&format!("{things}{BASE}[[arm]]\nname = \"mixed\"\norder = \"real-last\"\n"));
        assert!(found.contains(expected), "{things}: {found}");
    }
    let arm = |keys: &str| {
        refusal(&format!("{BASE}[[arm]]\nname = \"a\"\ntrain.objective = \"mixture-of-denoisers\"\n{keys}"))
    };
    assert!(
        arm("train.r_share = 0.5\ntrain.s_share = 0.25\n")
            .contains("at most 0.25, because r_share and s_share are 0.75 together")
    );
    assert!(arm("contexts = \"related\"\n").contains("would take spans out of rows of related documents"));
}

#[test]
fn a_preset_that_is_written_stays_what_its_name_says() {
    let written = "[[pairs]]\nname = \"shuffled\"\n[[synthesizer]]\nname = \"shuffled\"\nepochs = 3\n[[arm]]\nkind = \"random-pairs\"\n";
    let recipe = parse(&format!("{BASE}{written}")).unwrap();
    let pairs = recipe.pairs_behind(recipe.corpus_of("shuffled")).unwrap();
    assert!(pairs.is_shuffled() && recipe.synthesizers[0].tune.epochs == 3, "{pairs:?}");
    // What is off in a thing and on in its table is written out.
    let free = "[generate]\ntop_k = 40\nsamples_per_seed = 2\n[[synthetic]]\nname = \"free\"\ntop_k = 0\nsamples_per_seed = 1\n";
    let longer = "[[arm]]\nkind = \"unconditional\"\n[[arm]]\nname = \"a\"\nsynthetic.free = 0.5\n";
    let recipe = parse(&format!("{free}{}{longer}", BASE.replace("\n[[", "\nmodel.context = 2048\n[["))).unwrap();
    assert_eq!(recipe.synthetic[recipe.corpus_of("free")].generate.sampling.top_k, 0);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let arm = |keys: &str| refusal(&format!("{BASE}[[arm]]\nname = \"a\"\n{keys}\n"));
    for (keys, expected) in [
        (
            "synthetic = { related = 0.75, shuffled = 0.5 }",
            "the synthetic shares add up to 1.25, which is more than the whole budget",
        ),
        (
            "train.weight_decay = [0.1, 0.4]\ntrain.weight_decay_epochs = 1",
            "`weight_decay` is swept, and stands here once more",
        ),
        ("train.weight_decay = 0.2\ntrain.weight_decay_epochs = 1", "no `weight_decay` beside it"),
        ("train.weight_decay = [0.1]", "a sweep has at least two candidates"),
        ("train.weight_decay = [0.1, 0.1]", "each candidate once"),
        ("train.budget_tokens = 2_000_000", "arm `a` has another budget than `repetition`"),
        ("sweep = [{ train.beta1 = 0.5 }, { tune = 1 }]", "unknown key `tune` in [[arm]] sweep"),
        (
            "sweep = [{ train.beta1 = 0.5 }, { train.beta1 = 0.6 }]\ntrain.beta2 = [0.5, 0.6]",
            "either `sweep` or lists of values",
        ),
        (
            "sweep = [{ name = \"x\", train.beta1 = 0.5 }, { name = \"x\", train.beta1 = 0.6 }]",
            "two candidates of a sweep are called `x`",
        ),
        ("synthetic_share = [0.1, 0.2]", "no `synthetic_share` in an arm without a kind"),
        (
            "train.beta1 = 0.7\nsweep = [{ train.beta1 = 0.5 }, { train.beta1 = 0.6 }]",
            "`train.beta1` stands here, and each candidate of `sweep` has its own",
        ),
        (
            "train.weight_decay = 0.7\nsweep = [{ train.weight_decay_epochs = 0.5 }, { train.weight_decay = 0.6 }]",
            "`train.weight_decay` stands here, and each candidate of `sweep` has its own",
        ),
        (
            "synthetic.related = 0.7\nsweep = [{ synthetic.related = 0.5 }, { synthetic.related = 0.6 }]",
            "`synthetic.related` stands here, and each candidate of `sweep` has its own",
        ),
        (
            "sweep = [{ train.beta1 = 0.5 }, { train.beta1 = 0.5 }]",
            "the candidates `candidate-1` and `candidate-2` of arm `a` are the same",
        ),
        ("sweep = [{ train.beta1 = [0.5, 0.6] }, { train.beta1 = 0.7 }]", "a candidate has one value of each key"),
        (
            "sweep = [{ train = { weight_decay = 1, weight_decay_epochs = 1 } }, {}]",
            "which say the same in other words",
        ),
        (
            "train = { beta1 = [0.1,0.2,0.3,0.4,0.5], beta2 = [0.1,0.2,0.3,0.4,0.5], clip = [1,2,3,4,5] }",
            "a sweep has 125 candidates",
        ),
        (
            "selection_documents = 5\norder = \"real-last\"",
            "no `selection_documents` in an arm that chooses from nothing",
        ),
        (
            "synthetic.related = 1\ntrain.weight_decay_epochs = 0.5",
            "sees no real text, whose epochs `weight_decay_epochs` counts",
        ),
        (
            "order = \"real-last\"\ncontrol_of = \"long\"\n[[arm]]\nname = \"long\"\ntrain.budget_tokens = 2_000_000\nother_budget = true\n",
            "arm `a` is a control of `long`, and has another budget than that arm",
        ),
        ("synthetic.nobody = 0", "nothing defines `nobody`"),
        ("control_of = \"a\"\norder = \"real-last\"", "expected another arm"),
        ("operations_of = \"repetition\"\nsynthetic.related = 0.5", "has `operations_of` beside documents"),
        ("embedding = \"lsa\"", "no `embedding` without contexts = \"related\""),
        (
            "documents = \"all\"\nsynthetic.related = 0.5\norder = \"real-last\"",
            "\"mixed\" where all documents are seen",
        ),
        ("order = \"random\"", "the nearest of them is"),
        ("init = \"repetition\"\nmodel.layers = 3", "`repetition` has layers = 2"),
        ("init = \"repetition\"\nmodel.rope_base = 10000.0", "`repetition` has rope_base = 500000, and it has 10000"),
        ("init = \"repetition\"\nmodel.norm_eps = 1e-5", "`repetition` has norm_eps = 0.000001, and it has 0.00001"),
        ("init = \"repetition\"\nmodel.qk_norm = false", "`repetition` has qk_norm = true, and it has false"),
    ] {
        let found = arm(keys);
        assert!(found.contains(expected), "{keys}: {found}");
    }
    let more = "train.budget_tokens = 2_000_000\nother_budget = true\n";
    assert!(parse(&format!("{BASE}[[arm]]\nname = \"a\"\n{more}")).is_ok(), "it says so");
    for (things, expected) in [
        (
            "[[synthetic]]\nname = \"c\"\nby = \"repetition\"\nseeds = \"unique\"\n",
            "was tuned on no pairs, so it cannot write from seeds",
        ),
        (
            "[[synthetic]]\nname = \"c\"\nby = \"related\"\nseeds = \"none\"\n",
            "was tuned on pairs, so it writes from seeds",
        ),
        ("[[pairs]]\nname = \"p\"\nmethod = \"file\"\n", "expected `path` beside it"),
        ("[[pairs]]\nname = \"p\"\npath = \"x\"\n", "no `path` without method = \"file\""),
        ("[[embedding]]\nname = \"e\"\nmethod = \"file\"\n", "expected `path` beside it"),
        (
            "[[synthesizer]]\nname = \"repetition\"\n[[synthetic]]\nname = \"c\"\nby = \"repetition\"\n",
            "is an arm and a synthesizer",
        ),
        (
            "[[arm]]\nname = \"related\"\norder = \"real-last\"\n[[synthetic]]\nname = \"c\"\n",
            "`related` is an arm and a synthesizer",
        ),
        ("[corpus2]\n", "unknown table"),
    ] {
        let found = refusal(&format!("{things}{BASE}"));
        assert!(found.contains(expected), "{things}: {found}");
    }
    for (arm, expected) in [
        (
            "kind = \"regularised\"\nweight_decays = [0.1, 0.2]\ntrain.weight_decay = [0.3, 0.4]",
            "`weight_decays` stands beside a list of weight decays in `train`",
        ),
        (
            "kind = \"regularised\"\nsweep = [{ train.beta1 = 0.5 }, { train.beta1 = 0.6 }]",
            "has a list of weight decays, and cannot have `sweep` too",
        ),
        ("kind = \"regularised\"\ntrain.weight_decay = 7", "`weight_decay` is swept, and stands here once more"),
        ("kind = \"sbp\"\nsweep = [{ synthetic.related = 0.1 }, { synthetic.related = 0.5 }]", "which says it already"),
        (
            "kind = \"sbp\"\nsynthetic_share = [0.5, 0.75]\n[[arm]]\nkind = \"random-pairs\"",
            "that of the first `sbp` arm is a sweep",
        ),
    ] {
        let found = refusal(&format!("{BASE}[[arm]]\n{arm}\n"));
        assert!(found.contains(expected), "{arm}: {found}");
    }
    let rates = parse(&format!("{BASE}[[arm]]\nkind = \"regularised\"\ntrain.peak_rate = [1e-3, 1e-2]\n")).unwrap();
    assert_eq!(rates.arms[1].sweep.len(), 6, "three decays with each of two rates");
    let kind = refusal(&format!("{BASE}[[arm]]\nkind = \"sbp\"\nsynthetic.related = 0.5\n"));
    assert!(kind.contains("no `synthetic` in an arm of kind \"sbp\", which says it already"), "{kind}");
}

#[test]
fn teachers_are_arms_whose_expectations_are_written_once() {
    let arms = "[[arm]]\nname = \"a\"\nteachers = [\"repetition\", \"b\"]\ndocuments = \"all\"\n[[arm]]\nname = \"b\"\nmodel.layers = 3\n\
                [[arm]]\nname = \"c\"\nteachers = \"b\"\nsynthetic.related = 0.5\n[[arm]]\nname = \"d\"\nteachers = \"b\"\ntrain.teacher_temperature = 2\n\
                [[arm]]\nname = \"e\"\nteachers = \"c\"\n[[arm]]\nname = \"f\"\nteachers = \"b\"\ntrain.teacher_share = 0.25\n";
    let recipe = parse(&format!("{BASE}{arms}")).unwrap();
    let names: Vec<&str> = recipe.teachings.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["repetition-and-b", "repetition-and-b-of-oracle", "b", "b-of-related", "b-t2", "c"]);
    // How much they count is no part of what they expect.
    let of = |arm: &str| recipe.teachings_of(&recipe.arms[recipe.arm(arm)].training);
    assert_eq!((of("c"), of("d"), of("f"), of("b")), (vec![2, 3], vec![4], vec![2], vec![]));
    let all = labels(&recipe);
    let at = |label: &str| all.iter().position(|other| other == label).unwrap_or_else(|| panic!("{label} in {all:?}"));
    assert!(at("train b") < at("teach b") && at("teach b") < at("train c") && at("train c") < at("teach c"));
    assert!(at("filter") < at("teach b-of-related") && at("teach c") < at("train e"));
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    let swept = "[[arm]]\nname = \"s\"\nteachers = \"repetition\"\ntrain.teacher_share = [0, 0.5]\n";
    let recipe = parse(&format!("{BASE}{swept}")).unwrap();
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    for (keys, expected) in [
        ("teachers = \"nobody\"", "nothing defines `nobody`"),
        ("teachers = \"a\"", "in a circle: arm a <- arm a"),
        ("teachers = []", "expected a list of at least one name"),
        ("teachers = [\"repetition\", \"repetition\"]", "expected each teacher once"),
        ("train.teacher_share = 0.5", "an arm has `train.teacher_share`, and no `teachers`"),
        ("teachers = \"repetition\"\ntrain.teacher_share = 0", "arm `a` is the same as arm `repetition`"),
        (
            "teachers = \"repetition\"\ncontexts = \"related\"",
            "expected no `teachers` where documents follow each other",
        ),
        (
            "teachers = \"repetition\"\ntrain.objective = \"mixture-of-denoisers\"",
            "expected no `teachers` where documents",
        ),
        (
            "teachers = \"long\"\n[[arm]]\nname = \"long\"\nmodel.context = 512\n",
            "arm `a` has model.context = 1024, and its teacher `long` was trained with 512",
        ),
        (
            "teachers = \"spans\"\n[[arm]]\nname = \"spans\"\ntrain.objective = \"mixture-of-denoisers\"\n",
            "would be taught by `spans`, which takes spans out",
        ),
        ("members = 2\noperations_of = \"repetition\"", "has `members` and `operations_of`"),
        ("members = 65", "a whole number from 1 to 64"),
        ("teachers = \"repetition\"\ntrain.teacher_temperature = 0", "expected a number above 0 and at most 10"),
    ] {
        let found = refusal(&format!("{BASE}[[arm]]\nname = \"a\"\n{keys}\n"));
        assert!(found.contains(expected), "{keys}: {found}");
    }
}

#[test]
fn members_are_trained_from_seeds_of_their_own_for_what_is_measured_or_teaches() {
    let text = format!("seed = 5\nseeds = [4, 5]\n{TABLES}");
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"three\"\nmembers = 3\n[[arm]]\nname = \"on\"\ninit = \"unseen\"\norder = \"real-last\"\n\
                [[arm]]\nname = \"unseen\"\nmembers = 2\norder = \"synthetic-first\"\nevaluate = false\n[[arm]]\nname = \"swept\"\nmembers = 2\ntrain.beta1 = [0.5, 0.6]\n";
    let recipe = Recipe::parse(Path::new("r.toml"), &format!("{text}{arms}")).unwrap();
    let own = |arm: &str| Replicate::own(&recipe, recipe.arm(arm));
    let members = |arm: &str| own(arm).members(&recipe).iter().map(|one| one.label(&recipe)).collect::<Vec<_>>();
    assert_eq!(members("three"), ["three", "three, seed 1000008", "three, seed 2000011"]);
    assert_eq!(members("repetition"), ["repetition"]);
    let trained: Vec<String> = labels(&recipe).into_iter().filter(|label| label.starts_with("train")).collect();
    let of =
        |name: &str| trained.iter().filter(|label| label.starts_with(&format!("train {name}"))).collect::<Vec<_>>();
    assert_eq!(
        of("three"),
        [
            "train three, seed 4",
            "train three",
            "train three, seed 1000007",
            "train three, seed 2000010",
            "train three, seed 1000008",
            "train three, seed 2000011"
        ]
    );
    // What goes on from such an arm goes on from its first member.
    assert_eq!(of("unseen"), ["train unseen, seed 4", "train unseen"]);
    // The choice comes before members that are trained as it says.
    let at = |label: &str| {
        trained.iter().position(|other| other == label).unwrap_or_else(|| panic!("{label} in {trained:?}"))
    };
    assert!(at("train swept") < at("train swept, seed 1000008"), "{trained:?}");
    let costs = |arm: &str| {
        let steps = preparation(&recipe, own(arm)).into_iter().map(|step| step.label(&recipe));
        steps.filter(|label| label.starts_with("train")).collect::<Vec<_>>()
    };
    assert_eq!(costs("three"), ["train three, seed 1000008", "train three, seed 2000011"]);
    assert_eq!(costs("on"), ["train unseen"]);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    // A baseline of several pays for them as every arm does.
    let baseline = "[[arm]]\nkind = \"repetition\"\nmembers = 2\n[[arm]]\nkind = \"sbp\"\n";
    let recipe = parse(baseline).unwrap();
    let steps: Vec<String> =
        preparation(&recipe, Replicate::own(&recipe, 0)).into_iter().map(|step| step.label(&recipe)).collect();
    assert_eq!(steps, ["train repetition, seed 1000003"]);
    let again = "[[arm]]\nname = \"one\"\nmembers = 1\n";
    assert!(refusal(&format!("{BASE}{again}")).contains("is the same as arm `repetition`"));
}

/// What the first release resolved its recipes to, as its reports hold it.
#[test]
fn recipes_of_older_runs_are_read() {
    for (experiment, arms) in [("001-quick", 3), ("002-quick-controls", 8)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments").join(experiment).join("report.json");
        let report: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
        let recipe = Recipe::parse(Path::new("old.toml"), report["recipe"].as_str().unwrap()).unwrap();
        assert_eq!((recipe.arms.len(), recipe.tokenize.vocab_size), (arms, Some(2048)), "{experiment}");
    }
}

/// Every recipe that is shipped, and the committed ones of experiments.
#[test]
fn recipes_of_the_project_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut folders = vec![root.join("recipes"), root.join("experiments")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs_err::read_to_string(&path).unwrap();
                let recipe = Recipe::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(Recipe::parse(&path, &recipe.to_toml().unwrap()).unwrap(), recipe, "{}", path.display());
                read += 1;
            }
        }
    }
    assert!(read > 12, "{read}");
}

/// What is on the way is filtered as forms where its writer has learned to write some; the table's own keys hold. Fewer tokens of them are needed.
#[test]
fn forms_on_the_way_are_filtered_as_forms_and_needed_by_their_length() {
    let set = |name: &str, direction: &str| {
        format!(
            "[[pairs]]\nname = \"{name}\"\nmethod = \"forms\"\nkeywords = 10\ndirection = \"{direction}\"\n[[synthesizer]]\nname = \"{name}\"\npairs = \"{name}\"\n"
        )
    };
    let sets = set("to", "to-form") + &set("from", "to-document");
    let arm = "[[arm]]\nname = \"a\"\nsynthetic.c = 0.5\n";
    let corpus = "[[synthetic]]\nname = \"c\"\nby = [\"to\", \"from\"]\nmax_new_tokens = 100\nnear_copy = 0.25\n";
    let recipe = parse(&format!("{BASE}{sets}{corpus}{arm}")).unwrap();
    let [step, last] = ["c-step-1", "c"].map(|name| recipe.corpus_of(name));
    let filter = |at: usize| &recipe.synthetic[at].filter;
    assert_eq!(
        (filter(step).min_words, filter(step).near_copy.get(), filter(step).near_duplicate.get()),
        (0, Some(0.25), None)
    );
    assert!(filter(step).repetition.duplicate_10_grams.get().is_none() && filter(step).non_text.get().is_none());
    assert_eq!((filter(last).min_words, filter(last).near_duplicate.get().is_some()), (10, true));
    // Ten keywords of four tokens each, beside documents of a hundred.
    assert_eq!(recipe.synthetic_tokens(step), (recipe.synthetic_tokens(last) as f64 * 0.4).ceil() as u64);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
}

#[test]
fn a_synthesizer_may_have_a_shape_of_its_own() {
    let written = "[[synthesizer]]\nname = \"big\"\nmodel.layers = 3\nmodel.width = 64\nrate = 0.5\n[[synthetic]]\nname = \"c\"\nby = \"big\"\n\
                   [[arm]]\nname = \"a\"\nsynthetic.c = 0.25\n";
    let recipe = parse(&format!("{BASE}{written}")).unwrap();
    let base = &recipe.arms[recipe.arm("big-base")];
    assert_eq!((base.evaluate, base.training.model.layers, base.training.model.width), (false, 3, 64));
    let explicit = written.replace("model.layers = 3\nmodel.width = 64", "base = \"big-base\"");
    let explicit = format!(
        "{BASE}{explicit}[[arm]]\nname = \"big-base\"\nkind = \"repetition\"\nevaluate = false\nmodel.layers = 3\nmodel.width = 64\n"
    );
    assert_eq!(parse(&explicit).unwrap(), recipe, "the same as with an arm that is written");
    let big = recipe.synthesizer("big");
    assert_eq!(
        (&recipe.synthesizers[big].base, recipe.synthesizers[big].tune.rate),
        (&Writer::Arm("big-base".into()), 0.5)
    );
    assert_eq!(recipe.baseline(), Some(recipe.arm("repetition")));
    assert_eq!(recipe.arms[recipe.arm("a")].training.model, recipe.model, "the final model has the recipe's shape");
    assert!(labels(&recipe).contains(&"train big-base".to_owned()), "{:?}", labels(&recipe));
    assert_eq!(Recipe::parse(Path::new("r.toml"), &recipe.to_toml().unwrap()).unwrap(), recipe);
    // A control of the same shape has the same base, and another shape another one.
    let control = "[[synthesizer]]\nname = \"shuffled\"\nmodel.width = 64\nmodel.layers = 3\n[[synthesizer]]\nname = \"deep\"\nmodel.layers = 9\n";
    let both = format!(
        "{written}{control}[[synthetic]]\nname = \"deep\"\n[[arm]]\nname = \"b\"\nsynthetic = {{ shuffled = 0.1, deep = 0.1 }}\n"
    );
    let both = parse(&format!("{BASE}{both}")).unwrap();
    let base = |name: &str| both.synthesizers[both.synthesizer(name)].base.name().to_owned();
    assert_eq!(["big", "shuffled", "deep"].map(base), ["big-base", "big-base", "deep-base"]);
    assert_eq!(Recipe::parse(Path::new("r.toml"), &both.to_toml().unwrap()).unwrap(), both);
    let swept =
        "[[arm]]\nkind = \"repetition\"\nsweep = [{ name = \"a\", model = { width = 64 } }, { name = \"b\" }]\n";
    let message = parse(&format!("{swept}{written}")).unwrap_err().to_string();
    assert!(message.contains("chooses its shape itself"), "{message}");
    for (changed, said) in [
        (written.replace("rate = 0.5", "base = \"repetition\""), "no `base` beside `model`"),
        (written.replace("model.layers = 3", "model.layers = [2, 3]"), "only an arm chooses between several"),
        (written.replace("model.layers = 3", "model.layer = 3"), "unknown key `layer`"),
        (written.replace("name = \"a\"", "name = \"big-base\""), "a second arm is called `big-base`"),
    ] {
        let message = parse(&format!("{BASE}{changed}")).unwrap_err().to_string();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn hints_are_of_use() {
    let refused = |written: &str| {
        let error = parse(&format!("{BASE}{written}")).unwrap_err();
        format!("{error}\n{}", error.hint().unwrap_or_default())
    };
    let seeds = refused("[[synthetic]]\nname = \"c\"\nseeds = \"uniq\"\n");
    assert!(seeds.contains("the nearest name is `unique`"), "{seeds}");
    let twice = refused("[[arm]]\nname = \"a\"\ntrain.weight_decay = [0.1, 0.1]\n");
    assert!(
        twice.contains("or a list of at least two different ones") && twice.contains("each candidate once"),
        "{twice}"
    );
    let shares = refused("[[arm]]\nkind = \"sbp\"\nsynthetic.related = 0.5\n");
    assert!(shares.contains("synthetic = { … }: expected no `synthetic`"), "{shares}");
    let text = TABLES.replace("[corpus]\n", "[corpus]\nselection_share = 0\n");
    let swept = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"a\"\ntrain.weight_decay = [0.1, 0.4]\n";
    let error = Recipe::parse(Path::new("r.toml"), &format!("{text}{swept}")).unwrap_err();
    assert!(error.hint().unwrap().ends_with("raise selection_share in [corpus], or remove it"), "{error}");
}

#[test]
fn a_set_of_pairs_stands_for_a_synthesizer_and_a_corpus_of_its_name() {
    let set = "[[pairs]]\nname = \"strict\"\nprecision = 0.99\n";
    let arm = "[[arm]]\nname = \"a\"\nsynthetic.strict = 0.25\n";
    let short = parse(&format!("{set}{BASE}{arm}")).unwrap();
    let synthesizer = "[[synthesizer]]\nname = \"strict\"\npairs = \"strict\"\n";
    let corpus = "[[synthetic]]\nname = \"strict\"\nby = \"strict\"\n";
    assert_eq!(short, parse(&format!("{set}{synthesizer}{corpus}{BASE}{arm}")).unwrap());
    // What is written of the one or the other holds.
    let cool = parse(&format!("{set}[[synthetic]]\nname = \"strict\"\ntemperature = 0.5\n{BASE}{arm}")).unwrap();
    assert_eq!(cool.synthesizers, short.synthesizers);
    assert_eq!(cool.synthetic[0].generate.sampling.temperature, 0.5);
    let slow = parse(&format!("{set}[[synthesizer]]\nname = \"strict\"\nepochs = 9\n{BASE}{arm}")).unwrap();
    assert_eq!((slow.synthesizers[0].pairs.as_str(), slow.synthesizers[0].tune.epochs), ("strict", 9));
    assert_eq!(slow.synthetic, short.synthetic);
    // A name of its own that is no set's: related ones, as ever.
    let other = parse(&format!("[[synthetic]]\nname = \"mine\"\n{BASE}[[arm]]\nname = \"a\"\nsynthetic.mine = 0.25\n"))
        .unwrap();
    assert_eq!(
        (other.pairs[0].name.as_str(), other.synthetic[0].by.model().map(Writer::name)),
        ("related", Some("related"))
    );
    // Others may start from it.
    let next = "[[synthesizer]]\nname = \"next\"\nbase = \"strict\"\n";
    let further = "[[arm]]\nname = \"further\"\ninit = \"strict\"\n";
    let long = parse(&format!("{set}{synthesizer}{next}{BASE}{further}")).unwrap();
    let started = parse(&format!("{set}{next}{BASE}{further}")).unwrap();
    assert_eq!(started.arms, long.arms);
    let named = |recipe: &Recipe, name: &str| recipe.synthesizers.iter().find(|one| one.name == name).cloned().unwrap();
    for name in ["strict", "next"] {
        assert_eq!(named(&started, name), named(&long, name));
    }
    assert_eq!(named(&started, "next").base, Writer::Synthesizer("strict".into()));
    let own = parse(&format!("{set}[[synthesizer]]\nname = \"strict\"\nbase = \"strict\"\n{BASE}{arm}")).unwrap_err();
    assert!(own.to_string().contains("in a circle: synthesizer strict <- synthesizer strict"), "{own}");
    // An arm and a set with one name could both write.
    let arm = "[[arm]]\nname = \"strict\"\ntrain.beta1 = 0.5\n";
    for written in ["", "[[synthetic]]\nname = \"c\"\nby = \"strict\"\n"] {
        let shares = if written.is_empty() { "strict" } else { "c" };
        let text = format!("{set}{written}{BASE}{arm}[[arm]]\nname = \"a\"\nsynthetic.{shares} = 0.25\n");
        let message = parse(&text).unwrap_err().to_string();
        assert!(message.contains("`strict` is an arm and a synthesizer (or a set of pairs"), "{message}");
    }
}
