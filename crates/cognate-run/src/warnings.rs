//! What does not stop a run and is seldom what its reader wants. `plan` says it, and a run as soon as it is known; each names the keys to
//! change.

use std::collections::BTreeMap;

use crate::recipe::{PairMethod, Recipe};
use crate::stages::pair::method as method_of;

/// Share of the documents from which on it is told that they are longer than the context.
const LONG: f64 = 0.01;
/// How often a token is seen below which real text is not what is scarce: up to four epochs are worth about as much as fresh text
/// (Muennighoff et al. 2023, arXiv 2305.16264).
const FEW_EPOCHS: f64 = 4.0;
/// How often a token is seen above which hardly anything is left to be learned from it: what 16 epochs leave is little (ibid.), and the
/// published experiments of repetition end far below.
const MANY_EPOCHS: f64 = 100.0;
/// Training pairs below which tuning teaches a form rather than a relation.
const FEW_PAIRS: u64 = 200;

/// What long documents mean for each context that an arm is trained with; `share_of` says which share of them has more tokens.
pub(crate) fn long_documents(recipe: &Recipe, share_of: impl Fn(usize) -> f64) -> Vec<String> {
    let told =
        |(context, key): (usize, String)| longer_than(&key, context, share_of(context), recipe.corpus.chunk_tokens);
    contexts(recipe).into_iter().filter_map(told).collect()
}

/// The contexts that arms are trained with, each with the key that says so.
fn contexts(recipe: &Recipe) -> Vec<(usize, String)> {
    let mut arms: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for arm in &recipe.arms {
        for training in arm.trainings() {
            let names = arms.entry(training.model.context).or_default();
            if names.last() != Some(&arm.name.as_str()) {
                names.push(&arm.name);
            }
        }
    }
    let key = |context: usize, names: &[&str]| match context == recipe.model.context {
        true => "[model] context".to_owned(),
        false => format!("model.context of {}", names.join(", ")),
    };
    arms.into_iter().map(|(context, names)| (context, key(context, &names))).collect()
}

/// What long documents mean, where `share` of them have more than the `context` tokens of `key` although `[corpus] chunk_tokens` is `cut`.
fn longer_than(key: &str, context: usize, share: f64, cut: Option<usize>) -> Option<String> {
    (share >= LONG).then(|| {
        let pieces = match cut {
            Some(tokens) => format!("write a lower [corpus] chunk_tokens than {tokens}"),
            None => format!("write [corpus] chunk_tokens = {context}"),
        };
        format!(
            "{:.0} % of the documents have more than {key} = {context} tokens: training cuts them into pieces, and a synthesizer \
             seldom sees how one ends; {pieces} to have pieces that end somewhere, or raise {key}",
            100.0 * share
        )
    })
}

/// What it means that `arm` sees each token of the unique text `epochs` times.
pub(crate) fn epochs(arm: &str, epochs: f64) -> Option<String> {
    if epochs > MANY_EPOCHS {
        return Some(format!(
            "{arm}: each token of the unique text is seen {epochs:.0} times, and more than {MANY_EPOCHS} teach little but the text by heart: \
             raise [corpus] unique_share, or lower [train] budget_tokens"
        ));
    }
    (epochs < FEW_EPOCHS).then(|| {
        format!(
            "{arm}: each token of the unique text is seen {epochs:.1} times, and up to {FEW_EPOCHS} are about as good as fresh text: there is \
             little to gain from synthetic text; raise [train] budget_tokens, or lower [corpus] unique_share"
        )
    })
}

/// What it means that `set`, of this method, has only `pairs` training pairs.
pub(crate) fn few_pairs(set: &str, method: &PairMethod, pairs: u64) -> Option<String> {
    let more = method_of(method).more();
    (pairs < FEW_PAIRS).then(|| {
        format!("{set}: {pairs} training pairs, and from fewer than {FEW_PAIRS} a synthesizer learns hardly more than the form: {more}")
    })
}

/// What it means that tuning takes `tuning` operations and the training of its base `pretraining`.
pub(crate) fn costly_tuning(synthesizer: &str, tuning: f64, pretraining: f64) -> Option<String> {
    (tuning > pretraining).then(|| {
        format!(
            "{synthesizer}: tuning takes {:.1} times the operations of pretraining its base: lower [tune] epochs, [tune] max_pairs or [pair] neighbours",
            tuning / pretraining
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::pair_methods::{Neighbours, Trees};

    #[test]
    fn long_documents_are_told_from_one_in_a_hundred_on() {
        let told = |share, cut| longer_than("[model] context", 512, share, cut);
        assert_eq!(told(0.009, None), None);
        assert!(told(0.01, None).is_some());
        let cut = told(0.25, Some(600)).unwrap();
        let told = told(0.25, None).unwrap();
        assert!(told.contains("write [corpus] chunk_tokens = 512 "), "{told}");
        assert!(cut.contains("a lower [corpus] chunk_tokens than 600") && !cut.contains("chunk_tokens = 512"), "{cut}");
        assert!(told.starts_with("25 % of the documents have more than [model] context = 512 tokens"), "{told}");
    }

    #[test]
    fn each_context_that_an_arm_is_trained_with_is_looked_at() {
        let text = "name = \"a\"\n[corpus]\npaths = [\"d\"]\nvalidation_share = 0.1\nunique_share = 0.2\nselection_share = 0.1\n\
                    [tokenize]\nvocab_size = 420\n[model]\nlayers = 1\nwidth = 32\nheads = 2\ncontext = 128\n[train]\nbudget_tokens = 10240\n\
                    [[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"short\"\nmodel.context = 32\n[[arm]]\nname = \"swept\"\n\
                    model.context = [32, 64]\n";
        let recipe = Recipe::parse(std::path::Path::new("recipe.toml"), text).unwrap();
        // A quarter of the documents has 50 tokens, and the others 20.
        let told = long_documents(&recipe, |context| if context < 50 { 0.25 } else { 0.0 });
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(
            told.starts_with("25 % of the documents have more than model.context of short, swept = 32 tokens"),
            "{told}"
        );
        assert!(told.ends_with("or raise model.context of short, swept"), "{told}");
        let told = long_documents(&recipe, |_| 0.5);
        assert!(
            told.len() == 3 && told[2].contains("[model] context = 128") && told[1].contains("of swept = 64"),
            "{told:?}"
        );
    }

    #[test]
    fn epochs_are_told_outside_of_four_to_a_hundred() {
        for fine in [4.0, 20.0, 100.0] {
            assert_eq!(epochs("a", fine), None);
        }
        let few = epochs("sbp", 3.9).unwrap();
        assert!(
            few.starts_with("sbp: ") && few.contains("seen 3.9 times") && few.contains("raise [train] budget_tokens"),
            "{few}"
        );
        let many = epochs("sbp", 100.5).unwrap();
        assert!(many.contains("seen 100 times") && many.contains("raise [corpus] unique_share"), "{many}");
    }

    #[test]
    fn fewer_than_two_hundred_pairs_are_told() {
        let neighbours = PairMethod::Neighbours(Neighbours { embedding: "lsa".to_owned() });
        assert_eq!(few_pairs("pair", &neighbours, 200), None);
        let trees = PairMethod::Trees(Trees { words: 2, parts: 2, swap: 0.0, made: 199 });
        assert!(few_pairs("pair trees", &trees, 199).unwrap().ends_with("raise made"));
        let told = few_pairs("pair", &neighbours, 199).unwrap();
        assert!(told.starts_with("pair: 199 training pairs") && told.contains("[pair] neighbours"), "{told}");
    }

    #[test]
    fn tuning_that_costs_more_than_pretraining_is_told() {
        assert_eq!(costly_tuning("tune", 1e9, 1e9), None);
        let told = costly_tuning("tune", 2.5e9, 1e9).unwrap();
        assert!(told.starts_with("tune: tuning takes 2.5 times") && told.contains("[tune] max_pairs"), "{told}");
    }
}
