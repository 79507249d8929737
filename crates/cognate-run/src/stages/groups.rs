//! Which unique documents belong together, and how many pairs are of such.

use std::collections::HashMap;

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::Pairs;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Result;
use crate::recipe::Pair;

/// The groups of the unique documents.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Of each document, in the order of the file.
    numbers: Vec<u32>,
    /// How many there are.
    groups: usize,
}

impl Groups {
    /// Reads them. A document that names no group is one of its own, which its identifier names.
    pub(crate) fn of_unique(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Self> {
        let path = context.artifact("ingest").path("unique.jsonl.zst");
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut numbers = Vec::new();
        for record in Reader::open(&[path], &ReadOptions::with_groups(), monitor)? {
            let (_, document) = record?;
            let next = known.len() as u32;
            numbers.push(*known.entry(document.group.unwrap_or(document.id)).or_insert(next));
        }
        Ok(Self { numbers, groups: known.len() })
    }

    /// The same; nothing where no document is one of several of a group.
    pub(crate) fn of_unique_if_any(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Self> {
        match context.recipe.corpus.has_groups() {
            true => Self::of_unique(context, monitor),
            false => Ok(Self::default()),
        }
    }

    /// Each document's group.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Whether two documents are of one group, as none is with a document of another split.
    pub(crate) fn together(&self, pair: &cognate_pair::Pair) -> bool {
        let of = |document: u32| self.numbers.get(document as usize);
        of(pair.first).zip(of(pair.second)).is_some_and(|(first, second)| first == second)
    }

    /// Statistics of pairs with how many of them are within a group, which is also told; as they were where no document shares its group.
    pub(crate) fn count(&self, mut statistics: Value, pairs: &Pairs, label: &str) -> Value {
        if self.groups < self.numbers.len() {
            let all = pairs.train.len() + pairs.held_out.len();
            let within = pairs.train.iter().chain(&pairs.held_out).filter(|pair| self.together(pair)).count();
            statistics["within_groups"] = json!(within);
            tracing::info!("{label}: {within} of {all} pairs are of documents of one group");
        }
        statistics
    }
}

/// What a set of pairs says of groups, where that is not what held before there was such a key.
pub(super) fn with_groups(mut own: Value, pair: &Pair) -> Value {
    if !pair.within_groups {
        own["within_groups"] = json!(false);
    }
    own
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use crate::recipe::Recipe;
    use crate::step::Step;

    /// Which of the keys of a corpus of one's own stand in the identity of a stage.
    fn said(corpus: &str, pair: &str, tune: &str, step: Step) -> Vec<&'static str> {
        let text = format!(
            "name = \"a\"\n[corpus]\npaths = [\"d\"]\n{corpus}\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
             [pair]\n{pair}\n[tune]\n{tune}\n[[pairs]]\nname = \"related\"\n[[pairs]]\nname = \"shuffled\"\n"
        );
        let recipe = Recipe::parse(Path::new("r.toml"), &text).unwrap();
        let config = step.resolved(&recipe).unwrap().to_string();
        let keys = ["group_field", "limit", "chunk_tokens", "within_groups", "max_pairs"];
        keys.into_iter().filter(|key| config.contains(&format!("\"{key}\""))).collect()
    }

    #[test]
    fn what_decides_derived_texts_and_spans_is_in_their_identity() {
        let config = |things: &str, step: Step| {
            let text = format!(
                "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
                 [[arm]]\nkind = \"repetition\"\n{things}"
            );
            step.resolved(&Recipe::parse(Path::new("r.toml"), &text).unwrap()).unwrap().to_string()
        };
        let set = |keys: &str| config(&format!("[[pairs]]\nname = \"p\"\n{keys}"), Step::Pair(0));
        let sets = [
            "method = \"reorder\"",
            "method = \"all\"",
            "method = \"masked-span\"",
            "method = \"masked-span\"\npiece_tokens = 100",
            "method = \"masked-span\"\nheld_out_share = 0.2",
            "method = \"obfuscated\"\nshare = 0.5",
            "method = \"obfuscated\"\nshare = 0.6",
            "method = \"forms\"",
            "method = \"forms\"\nkeywords = 9",
            "method = \"forms\"\ndirection = \"to-form\"",
            "method = \"forms\"\nheld_out_share = 0.2",
            "method = \"phrases\"\npath = \"p\"",
            "method = \"phrases\"\npath = \"p\"\nparts = 3",
            "method = \"phrases\"\npath = \"p\"\nmade = 3",
            "method = \"phrases\"\npath = \"p\"\nheld_out_share = 0.2",
            "method = \"trees\"",
            "method = \"trees\"\nwords = 3",
            "method = \"trees\"\nparts = 3",
            "method = \"trees\"\nswap = 0.3",
            "method = \"trees\"\nmade = 3",
            "method = \"trees\"\nheld_out_share = 0.2",
            "method = \"entity-pairs\"",
            "method = \"entity-pairs\"\nshared_entities = 3",
            "method = \"entity-pairs\"\nentity_documents = 3",
            "method = \"entity-pairs\"\nneighbours = 3",
            "method = \"entity-pairs\"\nnear_copy = 0.3",
            "method = \"entity-pairs\"\nheld_out_share = 0.2",
        ];
        let different: std::collections::BTreeSet<String> = sets.into_iter().map(set).collect();
        assert_eq!(different.len(), sets.len());
        let arm = |keys: &str| format!("[[arm]]\nname = \"b\"\nevaluate = false\ntrain.beta1 = 0.5\n{keys}");
        let trained = Step::Train(crate::step::Replicate { arm: 1, seed: 0 });
        let mixed = "train.objective = \"mixture-of-denoisers\"\n";
        let arms = ["", mixed, &format!("{mixed}train.s_share = 0.1\n")].map(|keys| config(&arm(keys), trained));
        assert!(arms[0] != arms[1] && arms[1] != arms[2]);
        assert!(!arms[0].contains("objective"), "what was trained before there was this key still fits: {}", arms[0]);
        let tokenized = |things: &str| config(things, Step::Tokenize).contains("reserved");
        assert!(tokenized(&arm(mixed)) && !tokenized(&arm("")));
        assert!(
            tokenized("[[pairs]]\nname = \"p\"\nmethod = \"all\"\n")
                && !tokenized("[[pairs]]\nname = \"p\"\nmethod = \"reorder\"\n")
        );
    }

    #[test]
    fn documents_of_one_group_are_together_and_counted() {
        let pair = |first, second| cognate_pair::Pair { first, second, similarity: 0.5 };
        // The third document is alone in its group, and the fifth is of another split.
        let groups = super::Groups { numbers: vec![0, 0, 1, 0], groups: 2 };
        assert!(groups.together(&pair(0, 1)) && groups.together(&pair(3, 1)));
        assert!(!groups.together(&pair(0, 2)) && !groups.together(&pair(2, 4)) && !groups.together(&pair(4, 4)));
        let pairs = cognate_pair::Pairs { train: vec![pair(0, 1), pair(2, 1)], held_out: vec![pair(1, 3), pair(0, 4)] };
        let mut counted = json!({});
        let told = crate::stages::tests::finished::told(|| counted = groups.count(json!({"n": 4}), &pairs, "pair"));
        assert_eq!(
            (counted.clone(), told),
            (json!({"n": 4, "within_groups": 2}), vec!["pair: 2 of 4 pairs are of documents of one group".to_owned()])
        );
        // Where every document is a group of its own, nothing is said of them.
        let alone = super::Groups { numbers: vec![0, 1, 2, 3], groups: 4 };
        let told = crate::stages::tests::finished::told(|| counted = alone.count(json!({"n": 4}), &pairs, "pair"));
        assert_eq!((counted, told), (json!({"n": 4}), Vec::new()));
    }

    /// What stands of each method in the identity of its pairs: what was made with these keys fits.
    #[test]
    fn an_identity_holds_the_keys_that_decide_and_no_others() {
        let of = |method: &str| {
            let text = format!(
                "name = \"a\"\n[corpus]\npaths = [\"d\"]\ngroup_field = \"g\"\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n\
                 [train]\nbudget_tokens = 100000\n[[arm]]\nkind = \"repetition\"\n[[pairs]]\nname = \"p\"\n{method}\n"
            );
            let recipe = Recipe::parse(Path::new("r.toml"), &text).unwrap();
            let config = Step::Pair(0).resolved(&recipe).unwrap();
            assert_eq!(config["seed"], recipe.seed);
            config["pair"].clone()
        };
        let cycle = "method = \"cycle\"\nkeep = 0.5";
        for (method, expected) in [
            (
                "",
                json!({"neighbours": 10, "min_similarity": "auto", "precision": 0.95, "near_copy": 0.7, "max_similarity": 2.0,
                       "held_out_share": 0.05}),
            ),
            (
                "within_groups = false\nmin_similarity = 0.5",
                json!({
                    "neighbours": 10, "min_similarity": 0.5, "precision": 0.95, "near_copy": 0.7, "max_similarity": 2.0,
                    "held_out_share": 0.05, "within_groups": false
                }),
            ),
            ("method = \"shuffled\"", json!({"method": "shuffled"})),
            (
                "method = \"shuffled\"\nshare = 0.5\nwithin_groups = false",
                json!({"method": "shuffled", "share": 0.5, "within_groups": false}),
            ),
            ("method = \"file\"\npath = \"x\"", json!({"method": "file", "held_out_share": 0.05})),
            (
                "method = \"file\"\npath = \"x\"\nwithin_groups = false",
                json!({"method": "file", "held_out_share": 0.05, "within_groups": false}),
            ),
            (cycle, json!({"method": "cycle", "keep": 0.5, "max_seed_tokens": 1022})),
            ("method = \"reorder\"", json!({"method": ["reorder"], "piece_tokens": 512, "held_out_share": 0.05})),
            (
                "method = \"all\"\npiece_tokens = 9",
                json!({"method": ["reorder", "next-sentences", "masked-span"], "piece_tokens": 9, "held_out_share": 0.05}),
            ),
            ("method = \"obfuscated\"\nshare = 1", json!({"method": "obfuscated", "share": 1.0})),
            (
                "method = \"entity-pairs\"\nheld_out_share = 0.5",
                json!({"method": "entity-pairs", "shared_entities": 2, "entity_documents": 100, "neighbours": 10,
                       "near_copy": 0.7, "held_out_share": 0.5}),
            ),
            (
                "method = \"forms\"",
                json!({"method": "forms", "keywords": 24, "direction": "to-document", "held_out_share": 0.05}),
            ),
            (
                "method = \"phrases\"\npath = \"x\"",
                json!({"method": "phrases", "parts": 16, "made": 10_000, "held_out_share": 0.05}),
            ),
            (
                "method = \"trees\"",
                json!({"method": "trees", "words": 1000, "parts": 16, "swap": 0.15, "made": 10_000, "held_out_share": 0.05}),
            ),
        ] {
            assert_eq!(of(method), expected, "{method}");
        }
    }

    #[test]
    fn what_was_made_before_there_were_these_keys_still_fits() {
        for step in [Step::Ingest, Step::Pair(0), Step::Pair(1), Step::Tune(0)] {
            assert_eq!(said("", "", "", step), Vec::<&str>::new(), "{step:?}");
        }
        let corpus = "group_field = \"book\"\nlimit = 5\nchunk_tokens = 64";
        assert_eq!(said(corpus, "", "", Step::Ingest), ["group_field", "limit", "chunk_tokens"]);
        for set in 0..2 {
            assert_eq!(said(corpus, "within_groups = false", "", Step::Pair(set)), ["within_groups"]);
            assert_eq!(said(corpus, "within_groups = true", "", Step::Pair(set)), Vec::<&str>::new());
        }
        assert_eq!(said("", "", "max_pairs = 7", Step::Tune(0)), ["max_pairs"]);
    }
}
