//! What does not stop a run and is seldom what its reader wants. `plan` says it, and a run as soon as it is known; each names the keys to
//! change.

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

/// What long documents mean, where `share` of them have more than `context` tokens although `[corpus] chunk_tokens` is `cut`.
pub(crate) fn long_documents(share: f64, context: usize, cut: Option<usize>) -> Option<String> {
    (share >= LONG).then(|| {
        let pieces = match cut {
            Some(tokens) => format!("write a lower [corpus] chunk_tokens than {tokens}"),
            None => format!("write [corpus] chunk_tokens = {context}"),
        };
        format!(
            "{:.0} % of the documents have more than [model] context = {context} tokens: training cuts them into pieces, and a synthesizer \
             seldom sees how one ends; {pieces} to have pieces that end somewhere, or raise [model] context",
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

/// What it means that `set` has only `pairs` training pairs.
pub(crate) fn few_pairs(set: &str, pairs: u64) -> Option<String> {
    (pairs < FEW_PAIRS).then(|| {
        format!(
            "{set}: {pairs} training pairs, and from fewer than {FEW_PAIRS} a synthesizer learns hardly more than the form: raise [corpus] \
             unique_share or [pair] neighbours, or lower [pair] min_similarity or precision"
        )
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

    #[test]
    fn long_documents_are_told_from_one_in_a_hundred_on() {
        assert_eq!(long_documents(0.009, 512, None), None);
        let told = long_documents(0.25, 512, None).unwrap();
        assert!(told.contains("write [corpus] chunk_tokens = 512 "), "{told}");
        let cut = long_documents(0.25, 512, Some(600)).unwrap();
        assert!(cut.contains("a lower [corpus] chunk_tokens than 600") && !cut.contains("chunk_tokens = 512"), "{cut}");
        assert!(told.starts_with("25 % of the documents have more than [model] context = 512 tokens"), "{told}");
        assert!(long_documents(0.01, 512, None).is_some());
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
        assert_eq!(few_pairs("pair", 200), None);
        let told = few_pairs("pair", 199).unwrap();
        assert!(told.starts_with("pair: 199 training pairs") && told.contains("[pair] neighbours"), "{told}");
    }

    #[test]
    fn tuning_that_costs_more_than_pretraining_is_told() {
        assert_eq!(costly_tuning("tune", 1e9, 1e9), None);
        let told = costly_tuning("tune", 2.5e9, 1e9).unwrap();
        assert!(told.starts_with("tune: tuning takes 2.5 times") && told.contains("[tune] max_pairs"), "{told}");
    }
}
