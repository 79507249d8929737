//! The answer in words: every outcome has its sentence, and none claims more than the numbers.

use cognate_results::Relation;

use super::super::download::saved;
use super::super::sample::sample;
use super::super::tests::of_arms;
use super::super::{cards, closing_table, page};
use super::*;

fn headline(losses: &[(&str, f64)]) -> String {
    answer(&of_arms(losses)).headline.replace('\u{a0}', " ")
}

#[test]
fn an_arm_without_synthetic_documents_is_not_said_to_have_them() {
    let mut report = of_arms(&[(REPETITION, 5.0), (SBP, 4.77), (ORACLE, 4.0)]);
    report.arms.iter_mut().for_each(|arm| arm.synthetic_tokens = 0);
    let found = answer(&report).headline.replace('\u{a0}', " ");
    assert_eq!(found, "What sbp does otherwise closed 23 % of the gap to having 20 times as much unique text.");
}

#[test]
fn the_answer_is_said_in_words_whatever_came_out() {
    let cases: [(&[(&str, f64)], &str); 15] = [
        (
            &[(REPETITION, 5.0), (SBP, 4.77), (ORACLE, 4.0)],
            "Synthetic documents closed 23 % of the gap to having 20 times as much unique text.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 3.75), (ORACLE, 4.0)],
            "Synthetic documents closed the whole gap to having 20 times as much unique text, and more: 125 % of it.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 5.03), (ORACLE, 4.0)],
            "Synthetic documents did not help: sbp ended 0.030 nats per token worse than repetition.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 5.0), (ORACLE, 4.0)],
            "Synthetic documents made no difference: \
             sbp and repetition ended within 0.001 nats per token of each other.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 4.9997), (ORACLE, 4.0)],
            "Synthetic documents made no difference: \
             sbp and repetition ended within 0.001 nats per token of each other.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 4.9), (ORACLE, 5.2)],
            "There was no gap to close: the oracle arm was not better than repetition. \
             Synthetic documents helped: sbp ended 0.100 nats per token better than repetition.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 4.9)],
            "Synthetic documents helped: sbp ended 0.100 nats per token better than repetition. \
             There is no oracle arm, so no gap to measure.",
        ),
        (
            &[(REPETITION, 5.0), (SBP, 5.25)],
            "Synthetic documents did not help: sbp ended 0.250 nats per token worse than repetition. \
             There is no oracle arm, so no gap to measure.",
        ),
        (&[(SBP, 5.0)], "There is no repetition arm to compare sbp with, so there is no answer."),
        (&[(SBP, 5.0), (ORACLE, 4.0)], "There is no repetition arm to compare sbp with, so there is no answer."),
        (
            &[(REPETITION, 5.0)],
            "There is no sbp arm to compare with repetition, so there is no answer. [report] subject can name another arm.",
        ),
        (
            &[(REPETITION, 5.0), (ORACLE, 4.0)],
            "There is no sbp arm to compare with repetition, so there is no answer. [report] subject can name another arm.",
        ),
        (&[(ORACLE, 4.0)], "There is neither a repetition nor an sbp arm, so there is no answer."),
        (&[("random-pairs", 4.0)], "There is neither a repetition nor an sbp arm, so there is no answer."),
        (&[], "No arm has been measured yet, so there is no answer."),
    ];
    for (losses, expected) in cases {
        assert_eq!(headline(losses), expected, "{losses:?}");
    }
}

/// A report with losses and a difference between sbp and repetition whose interval is `low` to `high`.
fn compared(losses: &[(&str, f64)], low: f64, high: f64, seeds: u64) -> Report {
    let found = ArmComparison {
        arm: SBP.to_owned(),
        against: REPETITION.to_owned(),
        measure: VALIDATION.to_owned(),
        difference: (low + high) / 2.0,
        low,
        high,
        seeds,
        documents: 320,
    };
    let mut report = of_arms(losses);
    let gap = GapClosed { low: Some(0.1), high: Some(0.375), ..report.gap_closed[VALIDATION] };
    report.gap_closed.insert(VALIDATION.to_owned(), gap);
    report.comparisons.push(found);
    report
}

#[test]
fn an_interval_that_holds_zero_is_no_significant_difference() {
    let losses = [(REPETITION, 5.0), (SBP, 4.77), (ORACLE, 4.0)];
    let said = |low: f64, high: f64, seeds: u64| {
        let Answer { headline, caution, .. } = answer(&compared(&losses, low, high, seeds));
        (headline.replace('\u{a0}', " "), caution.replace('\u{a0}', " "))
    };
    let (headline, caution) = said(-0.5, 0.04, 1);
    assert_eq!(
        headline,
        "No significant difference between sbp and repetition: −0.230 nats per token, 95 % interval −0.500 to +0.040."
    );
    assert_eq!(
        caution,
        "One seed: the interval covers the choice of 320 validation documents alone, not what another seed would give, nor \
         another split, synthesizer or synthetic corpus. No control arm: whether unrelated synthetic text would do the same was \
         not asked."
    );
    // An oracle that is worse by chance leaves open whether there is a gap.
    let mut report = compared(&[(REPETITION, 5.0), (SBP, 4.9), (ORACLE, 5.1)], -0.2, 0.1, 2);
    let oracle = ArmComparison { arm: ORACLE.to_owned(), low: -0.1, high: 0.3, ..report.comparisons[0].clone() };
    report.comparisons.push(oracle);
    report.gap_closed.insert(VALIDATION.to_owned(), GapClosed { mean: None, low: None, high: None, seeds: 2 });
    let open = "Whether there was a gap to close is not known: there is no significant difference between oracle and repetition. No ";
    assert!(answer(&report).headline.starts_with(open), "{}", answer(&report).headline);
    report.comparisons[1].low = 0.05;
    assert!(answer(&report).headline.starts_with("There was no gap to close: "), "{}", answer(&report).headline);
    assert_eq!(said(0.0, 0.2, 1).0.split(':').next(), Some("No significant difference between sbp and repetition"));
    let (headline, caution) = said(-0.4, -0.06, 3);
    assert_eq!(
        headline,
        "Synthetic documents closed 23 % of the gap to having 20 times as much unique text (95 % interval 10 % to 38 %)."
    );
    assert!(caution.starts_with("Intervals cover the choice of 3 seeds and 320 validation documents, "), "{caution}");
    let worse = answer(&compared(&[(REPETITION, 5.0), (SBP, 5.03), (ORACLE, 4.0)], 0.01, 0.05, 3)).headline;
    assert!(worse.starts_with("Synthetic documents did not help: sbp ended 0.030"), "{worse}");
    let none = answer(&compared(&[(REPETITION, 5.0), (SBP, 4.9), (ORACLE, 5.2)], -0.2, 0.1, 2)).headline;
    assert!(none.contains("No significant difference between sbp and repetition: "), "{none}");
    let page = page(&compared(&losses, -0.5, 0.04, 1)).replace('\u{a0}', " ");
    assert!(page.contains("data-label=\"significant\"><span>no</span></td>"), "{page}");
    assert!(page.contains("<small>10 % to 38 %</small>"));
}

#[test]
fn the_answer_sets_sbp_beside_its_controls() {
    let losses = [(REPETITION, 5.0), (SBP, 4.77), ("random-pairs", 4.8), ("regularised", 4.5), (ORACLE, 4.0)];
    let with = |controls: &[(&str, f64, f64)]| {
        let mut report = compared(&losses, -0.4, -0.06, 3);
        for (arm, low, high) in controls {
            let found = ArmComparison {
                arm: (*arm).to_owned(),
                against: SBP.to_owned(),
                difference: (low + high) / 2.0,
                low: *low,
                high: *high,
                ..report.comparisons[0].clone()
            };
            let task = ArmComparison { measure: "hellaswag".to_owned(), low: -0.2, high: -0.1, ..found.clone() };
            report.comparisons.extend([found, task]);
        }
        report
    };
    let said = |controls: &[(&str, f64, f64)]| answer(&with(controls)).headline.replace('\u{a0}', " ");
    let closed = "Synthetic documents closed 23 % of the gap to having 20 times as much unique text \
                  (95 % interval 10 % to 38 %)";
    let (better, alike, worse) = ((-0.3, -0.2), (-0.1, 0.05), (0.1, 0.2));
    let control = |name: &'static str, (low, high): (f64, f64)| (name, low, high);
    assert_eq!(said(&[]), format!("{closed}."));
    assert_eq!(
        said(&[control("random-pairs", worse), control("related-context", worse)]),
        format!("{closed}; sbp was better than random-pairs and related-context.")
    );
    assert_eq!(
        said(&[control("random-pairs", alike)]),
        format!("{closed}; sbp was not significantly different from random-pairs.")
    );
    let all = [
        control("random-pairs", alike),
        control("unconditional", alike),
        control("regularised", better),
        control("related-context", worse),
        control("equal-flops", worse),
        control("second", worse),
    ];
    assert_eq!(
        said(&all),
        format!(
            "{closed}; sbp was worse than regularised, not significantly different from random-pairs and unconditional, and \
             better than related-context, equal-flops and second."
        )
    );
    assert!(!answer(&with(&all)).caution.contains("No control arm"));
    // The tables beside repetition and beside sbp are two, each with its own data.
    let page = page(&with(&all)).replace('\u{a0}', " ");
    let (repetition, sbp) = (page.find("Beside repetition: ").unwrap(), page.find("Controls beside sbp: ").unwrap());
    assert!(repetition < sbp);
    assert!(!page[repetition..sbp].contains(">related-context<"), "{}", &page[repetition..sbp]);
    assert!(page[sbp..].contains(">related-context<"));
    assert!(page[sbp..].contains("−0.300 to −0.200"));
    let csv = saved(&page, "beside-sbp.csv").unwrap();
    assert_eq!(csv.lines().count(), 1 + all.len());
    assert!(csv.contains("\nvalidation,regularised,sbp,-0.25,-0.3,-0.2,,,,3,320"), "{csv}");
    assert_eq!(saved(&page, "comparisons.csv").unwrap().lines().count(), 2);
}

#[test]
fn one_seed_is_never_called_significant() {
    let answer = answer(&sample());
    assert!(answer.caution.starts_with("One seed: nothing here tells such a difference from chance."));
    assert!(!page(&sample()).to_lowercase().contains("significan"));
    let mut others = sample();
    others.arms[0].seed = 7;
    let answer = super::answer(&others);
    assert_eq!(answer.headline, "The arms were trained with different seeds, so they cannot be compared.");
    assert_eq!(answer.caution, "");
}

#[test]
fn a_gap_that_was_not_computed_is_not_made_up() {
    let mut report = sample();
    report.gap_closed.insert(VALIDATION.to_owned(), GapClosed { mean: None, low: None, high: None, seeds: 1 });
    let said = answer(&report).headline;
    assert!(said.ends_with("The share of the gap was not computed."), "{said}");
    assert!(page(&report).contains("The share of the gap could not be computed for this run."));
    report.gap_closed.clear();
    assert!(answer(&report).headline.contains("closed 23"), "without an entry it is computed from the arms");
}

#[test]
fn a_synthesizer_that_makes_nothing_of_its_seed_is_called_so_first() {
    let mut report = sample();
    let before = answer(&report);
    assert_eq!(before.unused, "");
    report.relation.as_mut().unwrap().unused = true;
    let said = answer(&report);
    let verdict = "The synthesizer does not use its seed: ";
    assert!(said.unused.starts_with(verdict) && said.used.is_empty(), "{said:?}");
    assert_eq!((&said.headline, &said.caution), (&before.headline, &before.caution));
    // Before what came out, on the page, in its description, in a terminal and on a card.
    let html = page(&report);
    let description = &html[html.find("name=\"description\"").unwrap()..];
    assert!(description[..description.find('>').unwrap()].contains(&format!("content=\"{verdict}")), "{html}");
    let body = &html[html.find("<body").unwrap()..];
    assert!(body.find(verdict).unwrap() < body.find("<h1>").unwrap());
    let all = [closing_table(&report), super::super::headline(&report), cards::dataset(&report).unwrap()];
    for text in all.map(|text| text.replace('\n', " ")) {
        assert!(text.find(verdict).unwrap() < text.find("Synthetic documents closed").unwrap(), "{text}");
    }
}

#[test]
fn what_a_synthesizer_makes_of_its_seed_is_said_behind_what_came_out() {
    let mut report = sample();
    let used = |report: &Report| answer(report).used.replace('\u{a0}', " ");
    let over_random = "The synthesizer uses its seed: the true one saves 0.251 nats per token over a random one, 95 % interval 0.233 to \
                       0.269.";
    assert_eq!(used(&report), over_random);
    let html = page(&report).replace('\u{a0}', " ");
    let place = |text: &str| html.find(text).unwrap();
    assert!(place("</h1>") < place(over_random) && place(over_random) < place("Loss on validation documents"));
    // The gain is the smaller one.
    report.relation.as_mut().unwrap().after.gain_over_none = Estimate { value: 0.1, stderr: Some(0.01) };
    assert!(used(&report).contains("saves 0.100 nats per token over none, 95 % interval 0.080 to 0.120."));
    report.further_relations = vec![report.relation.clone().unwrap()];
    assert!(used(&report).starts_with("The synthesizer related uses its seed: "));
    // Whatever may be chance, or is not known, is not said.
    let relation = report.relation.clone().unwrap();
    for (value, stderr) in [(0.01, Some(0.01)), (0.1, None)] {
        let mut other = relation.clone();
        other.after.gain_over_random = Estimate { value, stderr };
        report.relation = Some(other);
        assert_eq!(used(&report), "");
    }
    for (unused, control) in [(true, false), (false, true)] {
        report.relation = Some(Relation { unused, control, ..relation.clone() });
        assert_eq!(used(&report), "");
    }
}
