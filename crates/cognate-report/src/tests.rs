//! The report as a whole: its page, its sentences, its closing table.

use std::collections::BTreeMap;

use cognate_results::*;
use serde_json::Value;

use super::answer::{Answer, answer};
use super::sample::{HOSTILE, sample};
use super::*;

/// A report of nothing but arms with the given names and losses, all of one seed.
pub(super) fn of_arms(losses: &[(&str, f64)]) -> Report {
    let sample = sample();
    let arm = |(name, nats): &(&str, f64)| Arm {
        name: (*name).to_owned(),
        train_tokens: 20_000_000,
        // The oracle's split holds more than its budget comes to: it counts as what was seen.
        unique_tokens: if *name == ORACLE { 70_000_000 } else { 1_000_000 },
        synthetic_tokens: if *name == SBP { 5_000_000 } else { 0 },
        validation: Validation {
            nats_per_token: *nats,
            stderr: None,
            perplexity: nats.exp(),
            perplexity_stderr: None,
            bits_per_byte: nats / 3.0,
            bits_per_byte_stderr: None,
        },
        ..sample.arms[0].clone()
    };
    let arms: Vec<Arm> = losses.iter().map(arm).collect();
    let gap_closed = BTreeMap::from([(VALIDATION.to_owned(), validation_gap(&arms))]);
    Report { gap_closed, arms, curves: Vec::new(), ..sample }
}

#[test]
fn the_gap_of_several_seeds_is_a_ratio_of_means() {
    let mut report = of_arms(&[(REPETITION, 5.0), (SBP, 4.5), (ORACLE, 4.0)]);
    let second = of_arms(&[(REPETITION, 5.25), (SBP, 5.25), (ORACLE, 4.25), ("random-pairs", 1.0)]).arms;
    report.arms.extend(second.into_iter().map(|arm| Arm { seed: 2, ..arm }));
    let lonely = Arm { seed: 3, ..report.arms[1].clone() };
    report.arms.push(lonely);
    let gap = validation_gap(&report.arms);
    assert_eq!(gap, GapClosed { mean: Some(0.25), low: None, high: None, seeds: 2 });
    assert_eq!(validation_gap(&report.arms[..2]), GapClosed { mean: None, low: None, high: None, seeds: 0 });
    report.gap_closed.insert(VALIDATION.to_owned(), gap);
    let Answer { headline, detail, caution, .. } = answer(&report);
    assert!(headline.contains("closed 25\u{a0}%"), "{headline}");
    assert!(detail.ends_with("repetition\u{a0}5.125, sbp\u{a0}4.875, oracle\u{a0}4.125."), "{detail}");
    assert_eq!(caution.replace('\u{a0}', " "), "Means over 2 seeds, without an interval.");
}

#[test]
fn the_closing_table_fits_a_terminal() {
    let table = closing_table(&sample());
    let expected = "\
arm         seed  nats/token  perplexity  bits/byte  tokens  synthetic
repetition     1       5.127       168.6      1.892  12.0 M          –
sbp            1       5.069       159.0      1.870  12.0 M     3.00 M
oracle         1       4.871       130.5      1.797  12.0 M          –

Synthetic documents closed 23 % of the gap to having 20 times as much unique
text.
The synthesizer uses its seed: the true one saves 0.251 nats per token over a
random one, 95 % interval 0.233 to 0.269.
Loss on validation documents, in nats per token (lower is better):
repetition 5.127, sbp 5.069, oracle 4.871.
One seed: nothing here tells such a difference from chance. Repetition was
better before its end: with every arm stopped at its lowest loss, sbp closes
12 % of the gap. No control arm: whether unrelated synthetic text would do the
same was not asked.
";
    assert_eq!(table, expected);
    let mut wide = sample();
    wide.arms[0].name = "an arm with a name that is far too long".to_owned();
    wide.arms[0].validation =
        Validation { nats_per_token: 1e12, perplexity: f64::MAX, bits_per_byte: 1e-9, ..wide.arms[0].validation };
    wide.arms[0].train_tokens = 999_000_000_000_000;
    for line in closing_table(&wide).lines().chain(table.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let nothing = Report { relation: None, ..of_arms(&[]) };
    assert_eq!(closing_table(&nothing), "No arm has been measured yet, so there is no answer.\n");
}

/// Checks that every tag closes in order, that attributes are quoted, and returns the names of all elements.
fn elements(html: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut all = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a loose > in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes nothing");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_owned();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        let unquoted: String = tag.split('"').step_by(2).collect();
        assert!(!unquoted.contains(" on"), "<{tag}> has a handler");
        all.push(name.clone());
        if name == "style" {
            rest = &rest[rest.find("</style>").expect("a style ends")..];
        }
        if !tag.ends_with('/') && !["meta", "link", "br"].contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, [] as [String; 0]);
    all
}

#[test]
fn the_page_is_whole_and_fetches_nothing() {
    let html = page(&sample());
    let names = elements(&html);
    for name in ["script", "img", "iframe", "object", "form"] {
        assert!(!names.iter().any(|found| found == name), "{name}");
    }
    assert_eq!(names.iter().filter(|name| *name == "h1").count(), 1);
    // Sixteen, since five figures are there in two sizes.
    assert_eq!(names.iter().filter(|name| *name == "svg").count(), 16);
    // A link saves what the page holds itself, and leads nowhere.
    let links = html.matches("<a ").count();
    assert_eq!((links, html.matches("<a download=\"").count()), (9, links));
    assert_eq!(html.matches("href=\"data:text/csv;charset=utf-8,").count(), links);
    let attributes = html.split("<pre").next().unwrap_or_default();
    for reference in ["src=", "url(", "@import", "href=\"http", "NaN", ">inf", "None", "Some("] {
        assert!(!attributes.replace("src=x", "").contains(reference), "{reference}");
    }
    let sections = html.split("<section id=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let order = [
        "curves",
        "similarity",
        "controls",
        "notes",
        "synthetic",
        "examples",
        "pairs",
        "relation",
        "ledger",
        "card",
        "recipe",
        "repeat",
    ];
    assert_eq!(sections.collect::<Vec<_>>(), order);
    assert!(html.len() < 400_000, "{} bytes", html.len());
}

/// The first screen: the sentence, then its one figure, then all the rest.
#[test]
fn the_answer_comes_first() {
    let mut report = sample();
    let gap = GapClosed { mean: Some(0.2282), low: Some(0.1), high: Some(0.35), seeds: 3 };
    report.gap_closed.insert(VALIDATION.to_owned(), gap);
    let html = page(&report);
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(place("<h1>") < place("Share of the gap closed") && place("Share of the gap closed") < place("<table"));
    assert!(html.contains("95 % interval 10\u{a0}% to 35\u{a0}%"), "the interval is in the figure");
    assert!(place("<table") < place("Validation loss over training tokens"));
    report.arms.retain(|arm| arm.name != ORACLE);
    report.gap_closed.clear();
    let html = page(&report);
    assert!(!html.contains("Share of the gap closed"));
    assert_eq!(html.matches("<title>Validation loss over training tokens").count(), 2, "drawn once, in two sizes");
    assert!(html.find("Validation loss over training tokens").unwrap() < html.find("<table").unwrap());
}

#[test]
fn an_unfinished_run_says_what_is_missing() {
    let mut report = sample();
    assert!(!page(&report).contains("not finished"));
    report.missing = vec!["train sbp".to_owned(), "evaluate sbp".to_owned()];
    let sentence = "This run is not finished. Missing: train sbp, evaluate sbp. What stands here is what exists.";
    assert!(page(&report).contains(sentence));
    assert!(closing_table(&report).replace('\n', " ").ends_with(&format!("{sentence} ")));
}

#[test]
fn no_text_becomes_markup() {
    let clean = elements(&page(&sample()));
    let mut report = sample();
    report.name = HOSTILE.to_owned();
    report.recipe = HOSTILE.to_owned();
    report.notes[0] = HOSTILE.to_owned();
    report.ledger[0].stage = HOSTILE.to_owned();
    report.ledger[2].arm = Some(HOSTILE.to_owned());
    report.examples[0].seed = ExampleText { id: HOSTILE.to_owned(), text: HOSTILE.to_owned() };
    report.synthetic_quality.dropped[0].reason = HOSTILE.to_owned();
    report.synthetic_quality.figures[0].name = HOSTILE.to_owned();
    report.synthetic_quality.figures[0].of[0].whose = HOSTILE.to_owned();
    report.synthetic_quality.pair_figures[0].interval = HOSTILE.to_owned();
    report.synthetic_quality.figures[0].unit = HOSTILE.to_owned();
    report.environment.cpu = HOSTILE.to_owned();
    report.environment.commands[0] = HOSTILE.to_owned();
    if let Some(pairs) = &mut report.pairs {
        pairs.embedder = HOSTILE.to_owned();
    }
    report.missing = vec![HOSTILE.to_owned()];
    report.files[0].path = HOSTILE.to_owned();
    report.cards.license = Some(HOSTILE.to_owned());
    report.arms[2].name = HOSTILE.to_owned();
    report.curves[2].arm = HOSTILE.to_owned();
    let html = page(&report);
    // The oracle arm is gone, and with it the gap's figure; what is missing is said in one paragraph more.
    let mut expected = clean.len() + 1;
    expected -= clean.iter().filter(|name| *name == "figure").count() - html.matches("<figure").count();
    assert!(elements(&html).len() <= expected, "elements appeared");
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains('\u{202e}') && !html.contains('\0'));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn an_empty_report_is_a_page_too() {
    let mut report = of_arms(&[]);
    report.gap_closed.clear();
    report.synthetic_quality = SyntheticQuality::default();
    report.ledger.clear();
    report.curves.clear();
    report.pairs = None;
    report.relation = None;
    report.examples.clear();
    report.notes.clear();
    report.controls.clear();
    report.environment.commands.clear();
    let html = page(&report);
    elements(&html);
    assert!(html.contains("No arm has been measured yet") && html.contains("nothing was recorded"));
    for absent in ["id=\"relation\"", "id=\"pairs\"", "id=\"examples\"", "id=\"ledger\"", "NaN"] {
        assert!(!html.contains(absent), "{absent}");
    }
}

#[test]
fn several_seeds_and_controls_are_told_apart() {
    let mut report = sample();
    let second: Vec<Arm> = report.arms.iter().map(|arm| Arm { seed: 2, ..arm.clone() }).collect();
    report.arms.extend(second);
    let second: Vec<Curve> = report.curves.iter().map(|curve| Curve { seed: 2, ..curve.clone() }).collect();
    report.curves.extend(second);
    report.arms.push(Arm { name: "random-pairs".to_owned(), ..report.arms[0].clone() });
    report.curves.push(Curve { arm: "random-pairs".to_owned(), ..report.curves[0].clone() });
    let score = TaskScore {
        metric: "accuracy".to_owned(),
        value: 0.425,
        stderr: Some(0.012),
        n: 1_000,
        metrics: BTreeMap::new(),
    };
    report.arms[1].tasks.insert("sciq".to_owned(), score);
    let html = page(&report).replace('\u{a0}', " ");
    elements(&html);
    assert_eq!(
        html.matches(">sbp</text>").count(),
        6,
        "one label per size of the two figures of losses and that of similarity"
    );
    assert!(html.contains("<h3>sbp, seed 2</h3>") && html.contains("<h3>random-pairs</h3>"));
    assert!(html.contains("line s3"), "a control has a pattern of its own");
    assert!(html.contains("sciq, sbp, seed 1") && html.contains("42.5 %") && html.contains("± 1.2 %"), "{html}");
}

#[test]
fn long_examples_are_cut_and_say_so() {
    let report = sample();
    let html = page(&report);
    let characters = report.examples[2].seed.text.trim().chars().count();
    assert!(html.contains(&format!("the beginning of 1,{:03} characters", characters - 1_000)));
    assert_eq!(html.matches("the beginning of").count(), 1);
    assert!(html.contains("the principal …</blockquote>"), "cut between words");
}

#[test]
fn the_ledger_adds_up_and_says_what_equal_budgets_leave_out() {
    let mut report = sample();
    let shown = |report: &Report| page(report).replace('\u{a0}', " ");
    let html = shown(&report);
    assert!(html.contains("were trained on the same number of tokens. That leaves out"), "{html}");
    // embed + pair + tune + generate + filter: 74.04 s; 0.041 + 0.004 + 81.2 + 29 TFLOP against 261.
    assert!(html.contains("1 min 14 s and 110 TFLOP, 42 % of the compute that training the sbp arm took."), "{html}");
    assert!(html.contains("<tr class=\"total\"><th scope=\"row\">all stages</th>"));
    assert!(html.contains("5 min 07 s") && html.contains("905 TFLOP"), "the sums");
    report.arms[2].train_tokens *= 2;
    assert!(shown(&report).contains("All arms but oracle were trained on the same number of tokens."));
    report.arms.iter_mut().filter(|arm| arm.name == SBP).for_each(|arm| arm.preparation_flops -= 1e13);
    let html = shown(&report);
    let expected = "1 min 14 s and 110 TFLOP, 10.0 TFLOP of them for scores of relevance that drop nothing: what the documents need is \
                    100 TFLOP, 38 % of the compute that training the sbp arm took.";
    assert!(html.contains(expected), "{html}");
}

/// `COGNATE_FUZZ_INPUTS` says how many.
#[test]
fn a_damaged_report_is_refused_by_name_or_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join(JSON_FILE);
    let good: Value = serde_json::to_value(sample()).unwrap();
    let inputs = damaged_json::inputs(1000);
    let mut shown = 0;
    for input in 0..inputs {
        let mut random = cognate_base::random::stream(9, JSON_FILE, input);
        fs_err::write(&path, damaged_json::damaged(&good, &mut random)).unwrap();
        match read(&path) {
            Ok(report) => {
                shown += 1;
                assert!(!(closing_table(&report) + &headline(&report)).is_empty(), "{input}");
                // Most of the time goes here.
                if input.is_multiple_of(16) {
                    assert!(page(&report).contains("<html"), "{input}");
                    drop(Comparison::of(&[("a".to_owned(), report.clone()), ("b".to_owned(), report)]));
                }
            }
            Err(error) => assert!(error.to_string().contains(JSON_FILE), "{input}: {error}"),
        }
    }
    assert!(shown > inputs / 100 && shown < inputs * 9 / 10, "{shown} of {inputs} were shown");
}
