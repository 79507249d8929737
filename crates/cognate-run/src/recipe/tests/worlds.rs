//! A made corpus in a recipe: what it resolves to, and what cannot be.

use cognate_worlds::Dials;

use super::super::PairMethod;
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
    assert_eq!(recipe.pairs[recipe.pair_set("related")].method, PairMethod::Truth);
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
