//! Curves over floating-point operations: where a point lies, and what a reader should know of the axis.

use cognate_results::Report;

/// Where the line of an arm with synthetic documents begins.
const SYNTHESIS: &str = "for synthetic documents embedding, pairing, tuning, generating and filtering (the base model that tuning starts from \
     is the repetition arm's and does not count)";
/// Where the lines of the other arms begin that needed something.
const OTHERS: &str = "for a chosen weight decay the other trainings that it was chosen from, and scoring them; for related contexts embedding \
     and the search for neighbours";
/// How an arm's operations lie between its tokens.
const EVENLY: &str = "Operations are spread evenly over an arm's tokens.";

/// Sentences about the axis, for a caption.
pub(super) fn axis_note(report: &Report) -> String {
    let prepared = || report.arms.iter().filter(|arm| arm.preparation_flops > 0.0);
    let written = prepared().any(|arm| arm.synthetic_tokens > 0).then_some(SYNTHESIS);
    let others = prepared().any(|arm| arm.synthetic_tokens == 0).then_some(OTHERS);
    let needed: Vec<&str> = written.into_iter().chain(others).collect();
    if needed.is_empty() {
        return EVENLY.to_owned();
    }
    format!(
        "A line begins at what its arm needed before its own training and repetition does not, whether or not another arm needed it \
         too: {}. What an arm chose from counts for it, repetition too. {EVENLY}",
        needed.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn the_axis_says_what_lines_begin_at_and_only_of_arms_that_are_there() {
        let mut report = sample();
        let said =
            |report: &Report| ["tuning, generating", "weight decay"].map(|words| axis_note(report).contains(words));
        assert_eq!(said(&report), [true, false]);
        report.arms[0].preparation_flops = 1.0;
        assert_eq!(said(&report), [true, true]);
        report.arms[1].preparation_flops = 0.0;
        assert_eq!(said(&report), [false, true]);
        report.arms[0].preparation_flops = 0.0;
        assert_eq!(axis_note(&report), EVENLY);
    }
}
