//! A made corpus in a recipe: what it resolves to, and what cannot be.

use cognate_worlds::{Dials, Mistakes, Truthfulness};

use super::super::pair_methods::Truth;
use super::super::{Author, PairMethod, SeedsOf};
use super::{LEAST, parse, refused};

/// The least recipe of a world.
fn of_world(world: &str) -> String {
    LEAST.replace("paths = [\"documents.jsonl\"]", &format!("world = {{ {world} }}"))
}

#[test]
fn a_world_has_its_own_splits_tasks_and_pairs() {
    let text = format!(
        "{}[[pairs]]\nname = \"related\"\nmethod = \"truth\"\n",
        of_world("name = \"biographies\", people = 100, told_once = 0.5, unique_tellings = 3, oracle_tellings = 10")
    );
    let recipe = parse(&text).unwrap();
    let Some(Dials::Biographies(dials)) = &recipe.corpus.world else { panic!("another world") };
    assert_eq!((dials.people, dials.attributes), (100, 6));
    // 50 · 1 + 50 · 3 unique documents, 1,000 of the oracle, 100 each of the others.
    let corpus = &recipe.corpus;
    let shares = [corpus.validation_share, corpus.unique_share, corpus.selection_share];
    assert_eq!(shares, [100.0 / 1400.0, 200.0 / 1400.0, 100.0 / 1400.0]);
    assert_eq!((corpus.contamination_words, corpus.paths.len()), (0, 0));
    assert_eq!(recipe.evaluate.tasks, ["perplexity", "extraction_once", "extraction_several"]);
    assert_eq!(recipe.pairs[recipe.pair_set("related")].method, PairMethod::Truth(Truth {}));
    // Written out, it is the same.
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap().to_toml().unwrap(), recipe.to_toml().unwrap());
    let ginc = parse(&of_world("name = \"ginc\"")).unwrap();
    assert_eq!(ginc.evaluate.tasks, ["perplexity", "in_context"]);
    let alone = parse(&format!("{}[evaluate]\ntasks = [\"perplexity\"]\n", of_world("name = \"ginc\""))).unwrap();
    assert_eq!(alone.evaluate.tasks, ["perplexity"]);
    assert_eq!(parse(&of_world("name = \"bigrams\"")).unwrap().evaluate.tasks, ["perplexity"]);
}

#[test]
fn what_cannot_be_of_a_world() {
    let paths = "paths = [\"documents.jsonl\"]";
    let first = |from: &str, to: &str| refused(from, to).lines().next().unwrap().to_owned();
    for (world, expected) in [
        ("name = \"ginc\", concepts = 0", "concepts: expected a whole number from 1 to 10000, found 0"),
        ("name = \"ginc\", concept = 3", "`ginc` has no dial `concept`; the nearest is `concepts`"),
        ("name = \"gincs\"", "the nearest world is \"ginc\""),
        ("concepts = 3", "it has no `name`"),
        ("name = \"ginc\", identity = 1.5", "identity: expected a number from 0 to 1, found 1.5"),
        ("name = \"ginc\", length = -3", "`length` is neither a number of at least 0 nor a flag"),
        ("name = \"bigrams\", length = 5", "length: expected at least 14, two more than the window, found 5"),
        ("name = \"biographies\", told_once = 1.0", "told_once: expected a share that leaves somebody"),
        ("name = \"biographies\", people = 900, first_names = 5, last_names = 5", "people: expected at most 62"),
    ] {
        let found = refused(paths, &format!("world = {{ {world} }}"));
        assert!(
            found.starts_with("recipes/r.toml:4: [corpus] world = ") && found.contains(expected),
            "{world}: {found}"
        );
    }
    let world = "world = { name = \"ginc\" }";
    assert_eq!(
        first(paths, &format!("{world}\n{paths}")),
        "recipes/r.toml:5: [corpus] paths = [\"documents.jsonl\"]: expected no `paths` beside `world`"
    );
    for key in ["limit = 3", "chunk_tokens = 64", "validation_share = 0.1", "contamination_words = 13"] {
        let found = first(paths, &format!("{world}\n{key}"));
        assert!(found.contains(&format!("[corpus] {key}: expected no `")), "{found}");
    }
    // A document of 64 symbols and its closing token.
    let short = LEAST.replace(paths, world).replace("heads = 2", "heads = 2\ncontext = 64");
    let error = parse(&short).unwrap_err();
    let found = format!("{error} {}", error.hint().unwrap_or_default());
    assert!(found.contains("a document has 65 tokens at least, and the model's context is 64"), "{found}");
    let found = first("[train]", "[[pairs]]\nname = \"related\"\nmethod = \"truth\"\n[train]");
    assert!(found.contains("method = \"truth\": expected [corpus] world beside it"), "{found}");
}

#[test]
fn the_world_writes_a_corpus_that_is_as_true_as_is_said() {
    let world = of_world("name = \"ginc\"");
    let corpus = |keys: &str| {
        let text = format!("{world}[[synthetic]]\nname = \"told\"\n{keys}\n[[synthetic]]\nname = \"plain\"\n");
        let error = |error: Box<super::super::RecipeError>| format!("{error} {}", error.hint().unwrap_or_default());
        parse(&text).map_err(error)
    };
    let recipe = corpus("truth = 0.75\nsamples_per_seed = 3\nmin_words = 7").unwrap();
    let told = &recipe.synthetic[0];
    assert_eq!(
        (&told.by, &told.seeds),
        (&Author::World(Truthfulness { truth: 0.75, mistakes: Mistakes::Independent }), &SeedsOf::Unique)
    );
    assert_eq!((told.generate.samples_per_seed, told.filter.min_words), (3, 7));
    assert_eq!((recipe.base_of(0), recipe.is_related(0)), (None, false));
    assert!(recipe.base_of(1).is_some(), "a model writes the other one");
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap().to_toml().unwrap(), recipe.to_toml().unwrap());
    let second = corpus("truth = 1\nseeds = \"plain\"\nmistakes = \"consistent\"").unwrap();
    assert_eq!(second.synthetic[0].by, Author::World(Truthfulness { truth: 1.0, mistakes: Mistakes::Consistent }));
    assert_eq!(parse(&second.to_toml().unwrap()).unwrap().synthetic, second.synthetic);
    assert_eq!(second.synthetic[0].seeds, SeedsOf::Corpus("plain".to_owned()));
    // A server that writes what models write does not write this.
    let served = world
        .replace("[train]", "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://127.0.0.1:9/v1\"\n[train]");
    let recipe = parse(&format!("{served}[[synthetic]]\nname = \"told\"\ntruth = 1\n")).unwrap();
    assert!(recipe.synthetic[0].generate.endpoint.is_none());
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap().to_toml().unwrap(), recipe.to_toml().unwrap());
    for (keys, expected) in [
        ("truth = 1.5", "expected a number from 0 to 1"),
        ("mistakes = \"consistent\"", "no `mistakes` without `truth`"),
        ("truth = 1\nmistakes = \"few\"", "independent"),
        ("truth = 1\nby = \"related\"", "no `by` beside `truth`"),
        ("truth = 1\ntemperature = 0.5", "no `temperature` beside `truth`"),
        ("truth = 1\ndrop_unfinished = true", "no `drop_unfinished` beside `truth`"),
        ("truth = 1\nmin_relevance = 0", "no `min_relevance` beside `truth`"),
        ("truth = 1\nseeds = \"nobody\"", "nothing defines `nobody`"),
        ("truth = 1\nseeds = \"told\"", "in a circle: synthetic told <- synthetic told"),
    ] {
        let found = corpus(keys).unwrap_err();
        assert!(found.contains(expected), "{keys}: {found}");
    }
    let read = refused("[train]", "[[synthetic]]\nname = \"told\"\ntruth = 1\n[train]");
    assert!(read.contains("truth = 1: expected [corpus] world beside it"), "{read}");
}
