//! What a reader should know of arms that are trained otherwise than repetition: the weight decay's choice, and the contexts.

use super::Assembly;
use crate::error::Result;
use crate::recipe::Arm;
use crate::stages::related::Packing;
use crate::stages::train::sweep::Sweep;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};

impl Assembly<'_> {
    /// Sentences about the arm at `at`, where it is finished and there is something to say.
    pub(super) fn training_notes(&self, at: usize, arm: &Arm) -> Result<Vec<String>> {
        let (name, mut notes) = (self.report_name(arm), Vec::new());
        for model in Replicate::of(self.recipe, at) {
            let Some(trained) = self.statistics::<Trained>(Step::Train(model).folder(self.recipe))? else { continue };
            if let Some(sweep) = trained.sweep.as_ref().filter(|_| model.seed == self.recipe.seed) {
                notes.push(sweep_note(name, sweep, self.recipe.seeds.len() > 1));
            }
            if let Some(taken) = trained.taken.filter(|_| trained.sweep.is_none()) {
                notes.push(format!(
                    "The arm {} has the same training as the stage {}: it is that model, and was not trained again.",
                    self.report_label(model),
                    taken.from
                ));
            }
            if let Some(packing) = trained.packing.filter(|_| model.seed == self.recipe.seed) {
                notes.push(packing_note(name, &packing));
            }
        }
        Ok(notes)
    }
}

fn sweep_note(arm: &str, sweep: &Sweep, seeds: bool) -> String {
    let tried: Vec<String> = sweep
        .candidates
        .iter()
        .map(|tried| {
            let error = tried.stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.4}"));
            let reused = tried
                .reused
                .as_ref()
                .map_or_else(String::new, |stage| format!(", the model of {stage}, not trained again"));
            let loss = match (tried.nats_per_token, &tried.diverged) {
                (Some(nats), _) => format!("{nats:.4}"),
                (None, Some(how)) => format!("diverged: {how}"),
                (None, None) => "no loss".to_owned(),
            };
            format!("{} ({loss}{error}{reused})", tried.name)
        })
        .collect();
    let mut note = format!(
        "The arm {arm} chose by nats per token on {} documents of the selection split, on which no arm is trained or scored: of {} it took {}.",
        sweep.documents,
        tried.join(", "),
        sweep.chosen
    );
    if sweep.left_out > 0 {
        note.push_str(&format!(
            " {} more were drawn and left out, because they share a passage with what it was trained on.",
            sweep.left_out
        ));
    }
    let ends = [sweep.candidates.first(), sweep.candidates.last()];
    if ends.into_iter().flatten().any(|end| end.name == sweep.chosen) {
        note.push_str(" That is the first or the last one that was tried: one beyond it may be better.");
    }
    if seeds {
        note.push_str(" It was chosen with the recipe's own seed, for all seeds.");
    }
    note
}

fn packing_note(arm: &str, packing: &Packing) -> String {
    let Packing { documents, chains, contexts, alone, repeated_tokens, cut_rows, .. } = *packing;
    let mut note = format!(
        "The arm {arm} saw its {documents} documents in {contexts} contexts, cut from {chains} chains of related documents; {alone} \
         contexts hold text of one document only."
    );
    if let Some(tokens @ 1..) = repeated_tokens {
        note.push_str(&format!(" {tokens} tokens come twice an epoch, to fill its last row."));
    }
    if let Some(cut @ 1..) = cut_rows {
        note.push_str(&format!(
            " [train] batch_tokens is no multiple of [model] context: in the whole training, {cut} rows were cut where a batch ended, and \
             attention did not reach back over that."
        ));
    }
    note.push_str(
        " In the ledger, embedding has a row of its own, and the search for neighbours is in this arm's training.",
    );
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::train::sweep::Candidate;

    #[test]
    fn a_sweep_says_what_was_tried_what_was_reused_and_what_lies_at_its_end() {
        let candidate = |name: &str, nats_per_token: f64, reused: Option<&str>| Candidate {
            name: name.to_owned(),
            nats_per_token: Some(nats_per_token),
            stderr: Some(0.0123),
            reused: reused.map(str::to_owned),
            diverged: None,
        };
        let mut sweep = Sweep {
            documents: 320,
            left_out: 0,
            candidates: vec![
                candidate("weight-decay-0.1", 4.5, Some("train repetition")),
                candidate("weight-decay-0.8", 4.25, None),
                candidate("weight-decay-3.2", 4.375, None),
            ],
            chosen: "weight-decay-0.8".to_owned(),
        };
        assert_eq!(
            sweep_note("regularised", &sweep, false),
            "The arm regularised chose by nats per token on 320 documents of the selection split, on which no arm is trained or scored: of \
             weight-decay-0.1 (4.5000 ± 0.0123, the model of train repetition, not trained again), weight-decay-0.8 (4.2500 ± 0.0123), \
             weight-decay-3.2 (4.3750 ± 0.0123) it took weight-decay-0.8."
        );
        (sweep.chosen, sweep.left_out) = ("weight-decay-3.2".to_owned(), 7);
        let note = sweep_note("regularised", &sweep, true);
        for expected in [
            " 7 more were drawn and left out, because they share a passage",
            " That is the first or the last one that was tried: one beyond it may be better.",
            " It was chosen with the recipe's own seed, for all seeds.",
        ] {
            assert!(note.contains(expected), "{note}");
        }
        sweep.chosen = "weight-decay-0.1".to_owned();
        assert!(sweep_note("r", &sweep, false).ends_with("one beyond it may be better."));
    }

    #[test]
    fn packing_says_what_comes_twice_and_what_is_cut() {
        let whole = Packing {
            documents: 9,
            chains: 3,
            contexts: 5,
            alone: 1,
            repeated_tokens: Some(0),
            cut_rows: Some(0),
            search_flops: 0.0,
        };
        let note = packing_note("r", &whole);
        assert!(
            note.starts_with(
                "The arm r saw its 9 documents in 5 contexts, cut from 3 chains of related documents; 1 contexts hold"
            ),
            "{note}"
        );
        assert!(!note.contains("twice") && !note.contains("batch"), "{note}");
        let note = packing_note("r", &Packing { repeated_tokens: Some(7), cut_rows: Some(40), ..whole });
        assert!(
            note.contains(" 7 tokens come twice an epoch") && note.contains(" 40 rows were cut where a batch ended"),
            "{note}"
        );
    }
}
