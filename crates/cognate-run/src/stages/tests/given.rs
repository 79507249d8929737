//! Given pairs of documents that belong to groups.

use std::collections::HashMap;

use cognate_base::Silent;
use cognate_base::files::write_atomic;
use cognate_pair::{Pair, read_pairs, write_pairs};

use super::finished::{settings, told};
use crate::recipe::Recipe;
use crate::runner::NoPages;
use crate::stages::texts::read_texts;

const RECIPE: &str = r#"
name = "given"
[corpus]
paths = ["documents.jsonl"]
group_field = "book"
validation_share = 0.05
unique_share = 0.6
selection_share = 0.2
contamination_words = 0
[tokenize]
vocab_size = 420
[model]
layers = 1
width = 32
heads = 2
[train]
budget_tokens = 100_000
[tune]
least_pairs = 1
[[pairs]]
name = "mine"
method = "file"
path = "mine.parquet"
[[arm]]
kind = "repetition"
[[arm]]
name = "sbp"
synthetic.mine = 0.25
"#;

/// Three chapters a book: the first two of each are a pair, and the first of each with that of the next book.
#[test]
fn given_pairs_within_a_group_are_left_out_where_the_recipe_says_so() {
    let documents = 300;
    let book = |document: usize| document / 3;
    let ids: Vec<String> = (0..documents).map(|document| format!("d{document}")).collect();
    let text = |document: usize| -> String {
        (0..30).map(|at| format!("word{}", (document * 7 + at * 13) % 211)).collect::<Vec<_>>().join(" ")
    };
    let line = |document: usize| {
        format!("{{\"id\": \"d{document}\", \"book\": \"b{}\", \"text\": \"{}\"}}\n", book(document), text(document))
    };
    let pair = |first: usize, second: usize| Pair { first: first as u32, second: second as u32, similarity: 0.5 };
    let within: Vec<Pair> = (0..documents).step_by(3).map(|first| pair(first, first + 1)).collect();
    let across: Vec<Pair> = (0..documents - 3).step_by(3).map(|first| pair(first, first + 3)).collect();
    for is_within in [true, false] {
        let scratch = tempfile::tempdir().unwrap();
        write_atomic(scratch.path().join("documents.jsonl"), (0..documents).map(line).collect::<String>()).unwrap();
        write_pairs(&scratch.path().join("mine.parquet"), &ids, &[within.clone(), across.clone()].concat()).unwrap();
        let recipe =
            RECIPE.replace("method = \"file\"\n", &format!("method = \"file\"\nwithin_groups = {is_within}\n"));
        let recipe = Recipe::parse(&scratch.path().join("r.toml"), &recipe).unwrap();
        let out = scratch.path().join("out");
        let said = told(|| drop(crate::run(&recipe, &settings(out.clone(), Some("pair")), &NoPages, &Silent).unwrap()));
        let said =
            said.into_iter().find(|line| line.starts_with("pair mine: ") && line.contains("of other splits")).unwrap();
        let split = |name: &str| -> Vec<String> {
            let texts = read_texts(
                &out.join(format!("ingest/{name}.jsonl.zst")),
                &cognate_corpus::ReadOptions::default(),
                &Silent,
            );
            texts.unwrap().into_iter().map(|(id, _)| id).collect()
        };
        let (unique, selection) = (split("unique"), split("selection"));
        let all = [unique.clone(), selection].concat();
        let place: HashMap<&String, usize> = all.iter().enumerate().map(|(at, id)| (id, at)).collect();
        let named = |pair: &&Pair| {
            [pair.first, pair.second].map(|end| place.get(&ids[end as usize])).iter().all(Option::is_some)
        };
        // Pairs of which a document is in no split of these, or within a group and not wanted, are none.
        // Of the selection split the groups are not read: a pair of two of its documents teaches nothing.
        let is_unique = |pair: &&Pair| place.get(&ids[pair.first as usize]).is_some_and(|at| *at < unique.len());
        let (own, others) = (within.iter().filter(named).count(), across.iter().filter(named).count());
        let apart = within.iter().filter(named).filter(is_unique).count();
        let taken = others + own - if is_within { 0 } else { apart };
        let missing = within.len() + across.len() - own - others;
        let left_out = if is_within { String::new() } else { format!(", and {apart} within a group, left out") };
        assert_eq!(said, format!("pair mine: {taken} pairs, and {missing} of documents of other splits{left_out}"));
        assert!(own > 20 && others > 20, "{own} {others}");
        let train = read_pairs(&out.join("pair/mine/train.parquet"), &all, &Silent).unwrap();
        let of = |end: u32| all[end as usize][1..].parse::<usize>().unwrap() / 3;
        let together = train.iter().filter(|pair| of(pair.first) == of(pair.second)).count();
        assert_eq!(together > 0, is_within, "{together} of {}", train.len());
    }
}
