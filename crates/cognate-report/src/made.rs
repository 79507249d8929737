//! The section about a made corpus: models, synthesizers and synthetic documents beside the right answers.

use cognate_results::numbers::{NONE, count, decimals, estimated, percent, signed_nats};
use cognate_results::{JudgedCorpus, LearnedShare, Measure, PairTruth, QuestionGroup, Report, TruthPoint, World};
use cognate_statistics::Estimate;

use super::charts::{self, Line, LineChart, XAxis};
use super::download::{Csv, downloads, number};
use super::html::{Cell, arm_label, arm_style, both_sizes, figure, gap_closed, section, table};
use super::markup::Markup;

/// Points of a line that the figure draws.
const POINTS: usize = 240;

/// The section, where the corpus is a world.
pub(super) fn section_of_world(page: &mut Markup, report: &Report) {
    let Some(world) = &report.world else { return };
    section(page, "world", "What is known, because the corpus is made", |page| {
        page.leaf(
            "p",
            &[],
            format!(
                "The documents are of the world {}, so what the best predictors lose is computed and not estimated from models. \
                 docs/worlds.md says how. Nats are for a document.",
                world.name
            ),
        );
        losses(page, report, world);
        pairs(page, world);
        learned(page, world);
        written(page, world);
        questions(page, world);
        truths(page, world);
    });
}

/// Losses of all arms beside those of predictors that know the world.
fn losses(page: &mut Markup, report: &Report, world: &World) {
    let least = world.floors.last().map(|floor| floor.loss.value);
    let row = |name: String, loss: Estimate| {
        let above = least.map_or_else(|| NONE.to_owned(), |least| signed_nats(loss.value - least));
        vec![Cell::new(name), Cell::new(estimated(loss, |nats| decimals(nats, 2))), Cell::new(above)]
    };
    let mut rows: Vec<Vec<Cell>> =
        world.floors.iter().map(|floor| row(format!("a predictor {}", floor.who), floor.loss)).collect();
    rows.extend(world.losses.iter().map(|loss| row(arm_label(report, &loss.arm, loss.seed), loss.loss)));
    let caption = "Loss on the validation documents in nats a document; ± is one standard error over documents";
    table(page, caption, &["who predicts", "loss", "above the best"], &rows);
    let lines: Vec<Line> = curves(report, world);
    if lines.iter().all(|line| line.points.is_empty()) {
        return;
    }
    let chart = LineChart {
        title: "Validation loss beside what the world leaves to lose",
        description: "One line per arm, and level ones for predictors that know the world.",
        y_name: "nats a document",
        y_also: world.floors.iter().map(|floor| floor.loss.value).collect(),
        // A model that has seen nothing yet loses many times what it will.
        y_top: 2.0 * world.losses.iter().map(|loss| loss.loss.value).fold(0.0, f64::max),
        lines,
    };
    let caption = "Level lines: predictors that know the world. Nothing goes below the lowest but by luck.";
    figure(page, "full", caption, |page| {
        both_sizes(page, |page, class, size| chart.draw(page, class, size));
    });
}

/// The baseline's and every other arm's first seed, and a level line for each floor.
fn curves(report: &Report, world: &World) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut last: f64 = 0.0;
    for (at, curve) in report.curves.iter().enumerate() {
        if report.curves[..at].iter().any(|other| other.arm == curve.arm) {
            continue;
        }
        let points: Vec<(f64, f64)> = curve
            .validation
            .iter()
            .map(|point| (point.tokens as f64, point.nats_per_token * world.tokens_per_document))
            .collect();
        last = points.iter().map(|point| point.0).fold(last, f64::max);
        lines.push(Line {
            label: Some(curve.arm.clone()),
            style: arm_style(report, &curve.arm),
            faint: false,
            points: charts::thin(&points, POINTS),
        });
    }
    for floor in world.floors.iter().filter(|_| last > 0.0) {
        let points = vec![(0.0, floor.loss.value), (last, floor.loss.value)];
        lines.push(Line { label: Some(floor.who.clone()), style: 2, faint: true, points });
    }
    lines
}

fn pairs(page: &mut Markup, world: &World) {
    if world.pairs.is_empty() {
        return;
    }
    let share = |part: u64, of: u64| if of == 0 { NONE.to_owned() } else { percent(part as f64 / of as f64) };
    let row = |of: &PairTruth| {
        vec![
            Cell::new(&of.name),
            Cell::new(count(of.pairs)),
            Cell::new(share(of.true_pairs, of.pairs)),
            Cell::new(count(of.named)),
            Cell::new(share(of.found, of.named)),
        ]
    };
    let rows: Vec<Vec<Cell>> = world.pairs.iter().map(row).collect();
    let caption = "Training pairs by what the world says. A pair is true where both documents have one concept";
    table(page, caption, &["set of pairs", "pairs", "true", "pairs that the world names", "found"], &rows);
}

fn learned(page: &mut Markup, world: &World) {
    if world.learned.is_empty() {
        return;
    }
    page.leaf("h3", &[], "What synthesizers have learned of the relation");
    page.leaf(
        "p",
        &[],
        "What d1 tells of d2 is what the Bayes-optimal predictor saves by it. The share learned is 1 for that predictor and 0 for one that knows \
         how documents are made and takes nothing from d1; a model that does not know that is below 0. A model that knows the concept from other \
         documents can be above 1. The share by the seed alone is what the right d1 saves the model over another pair's. The base is the model that \
         tuning started from, without d1.",
    );
    let row = |of: &LearnedShare| {
        let share = |estimate: Estimate| estimated(estimate, |value| decimals(value, 3));
        let nats = |value: f64| Cell::new(decimals(value, 2));
        vec![
            Cell::new(&of.name),
            nats(of.marginal),
            nats(of.conditional),
            nats(of.true_seed),
            nats(of.random_seed),
            nats(of.no_seed),
            Cell::new(share(of.share)),
            Cell::new(share(of.share_by_seed)),
            of.base.map_or_else(
                || Cell::new(NONE),
                |(loss, by_it)| Cell::with_detail(decimals(loss, 2), format!("share {}", share(by_it))),
            ),
            Cell::with_detail(
                count(of.pairs),
                if of.left_out > 0 { format!("{} false ones left out", count(of.left_out)) } else { String::new() },
            ),
        ]
    };
    let rows: Vec<Vec<Cell>> = world.learned.iter().map(row).collect();
    let columns = [
        "synthesizer",
        "Bayes, no d1",
        "Bayes, d1",
        "d1",
        "random d1",
        "no d1",
        "share learned",
        "by the seed",
        "its base, no d1",
        "pairs",
    ];
    let caption = "−ln p of d2 in nats a document, by the Bayes-optimal predictor and by each synthesizer; ± is one standard error over \
                   documents d2";
    table(page, caption, &columns, &rows);
}

fn written(page: &mut Markup, world: &World) {
    if world.written.is_empty() {
        return;
    }
    page.leaf("h3", &[], "What synthetic documents are");
    let names: Vec<&str> = ["of the kept documents"]
        .into_iter()
        .chain(world.written.iter().map(|written| written.name.as_str()))
        .collect();
    let value = |of: &JudgedCorpus, name: &str| {
        let found = of.measures.iter().find(|measure| measure.name == name);
        Cell::new(found.map_or_else(|| NONE.to_owned(), shown))
    };
    let mut found: Vec<&str> = Vec::new();
    for measure in world.written.iter().flat_map(|of| &of.measures) {
        if !found.contains(&measure.name.as_str()) {
            found.push(&measure.name);
        }
    }
    let row = |name: &&str| {
        let values = world.written.iter().map(|of| value(of, name));
        [Cell::new(name)].into_iter().chain(values).collect()
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    table(page, "Each synthetic corpus, judged by the world", &names, &rows);
    for of in world.written.iter().filter(|of| !of.calibration.is_empty()) {
        let rows: Vec<Vec<Cell>> = of
            .calibration
            .iter()
            .map(|point| {
                let cell = |value: f64| Cell::new(decimals(value, 3));
                vec![cell(point.seed), cell(point.written), cell(point.ideal), Cell::new(count(point.n))]
            })
            .collect();
        let caption = format!(
            "The corpus {}: the probability of a concept given what was written, over its probability given the seed",
            of.name
        );
        let columns =
            ["given the seed", "given what was written", "given what the world would write", "documents and concepts"];
        figure(page, "panel", &caption, |page| charts::calibration(page, "panel", &of.name, &of.calibration));
        table(page, &caption, &columns, &rows);
    }
    downloads(page, &[("world.csv", csv(world))]);
}

fn shown(measure: &Measure) -> String {
    if measure.unit == "share" {
        let n = measure.n.map_or_else(String::new, |n| format!(" of {}", count(n)));
        return format!("{}{n}", percent(measure.value));
    }
    format!("{} {}", decimals(measure.value, 3), measure.unit).trim_end().to_owned()
}

fn questions(page: &mut Markup, world: &World) {
    let Some(first) = world.questions.first() else { return };
    page.leaf("h3", &[], "Questions by group");
    let arms: Vec<&str> = first.arms.iter().map(|(arm, _)| arm.as_str()).collect();
    let columns: Vec<&str> =
        ["task and group", "who guesses", "Bayes-optimal"].into_iter().chain(arms.iter().copied()).collect();
    let row = |group: &QuestionGroup| {
        let of = |arm: &&str| {
            let found = group.arms.iter().find(|(name, _)| name == arm);
            Cell::new(found.map_or_else(|| NONE.to_owned(), |(_, value)| percent(*value)))
        };
        let head = [
            Cell::new(match group.task == group.group {
                true => group.task.clone(),
                false => format!("{}, {}", group.task, group.group),
            }),
            Cell::new(group.guessed.map_or_else(|| NONE.to_owned(), percent)),
            Cell::new(group.bayes.map_or_else(|| NONE.to_owned(), percent)),
        ];
        head.into_iter().chain(arms.iter().map(of)).collect()
    };
    let rows: Vec<Vec<Cell>> = world.questions.iter().map(row).collect();
    let numbers: Vec<u64> = world.questions.iter().map(|group| group.n).collect();
    let (least, most) = (numbers.iter().copied().min().unwrap_or(0), numbers.iter().copied().max().unwrap_or(0));
    let n = if least == most { count(most) } else { format!("{} to {}", count(least), count(most)) };
    let guesses = match world.questions.iter().any(|group| group.guessed.is_some()) {
        true => {
            ". Who guesses knows nobody, and says for each attribute what is most often right: an arm that is no better has learned no fact"
        }
        false => "",
    };
    let caption = format!("Share of questions answered right, the mean over seeds; {n} questions a group{guesses}");
    table(page, &caption, &columns, &rows);
}

/// How true synthetic documents must be: arms on what the world writes, and on what models write beside them.
fn truths(page: &mut Markup, world: &World) {
    if world.truths.is_empty() {
        return;
    }
    page.leaf("h3", &[], "How true synthetic documents must be");
    page.leaf(
        "p",
        &[],
        "Lines are arms whose synthetic documents the world itself writes, as true as it is asked to, by their share of the training tokens. A mark with \
         the name of an arm is one whose documents a model writes. Where it lies below the line of its share, it lacks more than truth.",
    );
    let chart = LineChart {
        title: "Gap closed over the true share of synthetic documents",
        description: "One line for each share of synthetic tokens, and one mark for each arm whose documents a model writes.",
        y_name: "share of the gap closed",
        lines: truth_lines(&world.truths),
        y_also: vec![0.0],
        y_top: f64::INFINITY,
    };
    figure(page, "full", "Validation loss between repetition (0) and the oracle (1).", |page| {
        both_sizes(page, |page, class, size| chart.draw_over(page, class, size, XAxis::TRUTH));
    });
    let row = |point: &TruthPoint| {
        vec![
            Cell::new(&point.arm),
            Cell::new(point.by_world.as_ref().map_or_else(|| "a model".to_owned(), |how| by_world(how))),
            Cell::new(percent(point.share)),
            Cell::new(percent(point.truth)),
            gap_closed(&point.gap),
        ]
    };
    let rows: Vec<Vec<Cell>> = world.truths.iter().map(row).collect();
    let caption = "Gap closed on validation in percent, with 95\u{a0}% intervals";
    table(page, caption, &["arm", "written by", "share of tokens", "true", "gap closed"], &rows);
    let mut csv = Csv::new(&["arm", "corpus", "written_by", "share", "truth", "gap_closed", "low", "high"]);
    for point in &world.truths {
        csv.row([
            point.arm.clone(),
            point.corpus.clone(),
            point.by_world.as_ref().map_or_else(|| "a model".to_owned(), |how| by_world(how)),
            number(point.share),
            number(point.truth),
            number(point.gap.mean),
            number(point.gap.low),
            number(point.gap.high),
        ]);
    }
    downloads(page, &[("truth.csv", csv)]);
}

/// Who wrote a corpus that the world wrote in this way.
fn by_world(how: &str) -> String {
    if how.is_empty() { "the world".to_owned() } else { format!("the world, {how}") }
}

/// A line for each share of what the world writes in one way, by truth, and a mark for each arm on what a model writes.
fn truth_lines(truths: &[TruthPoint]) -> Vec<Line> {
    let mut lines: Vec<(String, Line)> = Vec::new();
    for point in truths {
        let Some(closed) = point.gap.mean else { continue };
        let label = match point.by_world.as_deref() {
            Some("") => percent(point.share),
            Some(how) => format!("{}, {how}", percent(point.share)),
            None => point.arm.clone(),
        };
        let at = lines.iter().position(|(other, _)| *other == label).unwrap_or_else(|| {
            let line = Line { label: Some(label.clone()), style: lines.len() + 1, faint: false, points: Vec::new() };
            lines.push((label, line));
            lines.len() - 1
        });
        lines[at].1.points.push((point.truth, closed));
    }
    lines.iter_mut().for_each(|(_, line)| line.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn csv(world: &World) -> Csv {
    let mut csv = Csv::new(&["corpus", "what", "value", "unit", "n"]);
    for of in &world.written {
        for measure in &of.measures {
            csv.row([
                of.name.clone(),
                measure.name.clone(),
                number(measure.value),
                measure.unit.clone(),
                measure.n.map_or_else(String::new, |n| n.to_string()),
            ]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;
    use cognate_results::{CalibrationPoint, DocumentLoss, Floor};
    use cognate_results::{GapClosed, REPETITION, SBP};

    fn world() -> World {
        let estimate = |value: f64| Estimate { value, stderr: Some(0.5) };
        let measure = |name: &str, value: f64, n: Option<u64>| Measure {
            name: name.to_owned(),
            value,
            unit: "share".to_owned(),
            n,
        };
        World {
            name: "ginc".to_owned(),
            tokens_per_document: 10.0,
            floors: vec![
                Floor { who: "who knows the world".to_owned(), loss: estimate(48.0) },
                Floor { who: "who knows everything".to_owned(), loss: estimate(45.0) },
            ],
            losses: vec![
                DocumentLoss { arm: REPETITION.to_owned(), seed: 0, loss: estimate(51.25) },
                DocumentLoss { arm: SBP.to_owned(), seed: 0, loss: estimate(50.5) },
            ],
            learned: vec![LearnedShare {
                name: "related".to_owned(),
                pairs: 321,
                left_out: 9,
                marginal: 48.0,
                conditional: 46.5,
                true_seed: 47.25,
                random_seed: 48.5,
                no_seed: 48.25,
                share: estimate(0.512),
                share_by_seed: estimate(0.833),
                base: Some((49.75, estimate(-1.167))),
            }],
            pairs: vec![PairTruth { name: "found".to_owned(), pairs: 200, true_pairs: 150, named: 500, found: 145 }],
            written: vec![
                JudgedCorpus { name: "shuffled".to_owned(), measures: Vec::new(), calibration: Vec::new() },
                JudgedCorpus {
                    name: "related".to_owned(),
                    measures: vec![measure("share one concept", 0.625, Some(800))],
                    calibration: vec![CalibrationPoint { seed: 0.05, written: 0.125, ideal: 0.0625, n: 77 }],
                },
            ],
            questions: vec![QuestionGroup {
                task: "in_context".to_owned(),
                group: "4 examples of 5".to_owned(),
                n: 150,
                bayes: Some(0.94),
                guessed: Some(0.17),
                arms: vec![(REPETITION.to_owned(), 0.31), (SBP.to_owned(), 0.42)],
            }],
            truths: Vec::new(),
        }
    }

    #[test]
    fn arms_stand_by_how_true_their_synthetic_documents_are() {
        let point = |arm: &str, by_world: Option<&str>, share: f64, truth: f64, closed: f64| TruthPoint {
            arm: arm.to_owned(),
            corpus: arm.to_owned(),
            by_world: by_world.map(str::to_owned),
            share,
            truth,
            gap: GapClosed { mean: Some(closed), low: Some(closed - 0.05), high: Some(closed + 0.05), seeds: 3 },
        };
        let truths = vec![
            point("all-true", Some(""), 0.5, 1.0, 0.875),
            point("half-true", Some(""), 0.5, 0.51, 0.25),
            point("settled", Some("consistent"), 0.5, 0.52, 0.0625),
            point("few-true", Some(""), 0.25, 0.75, 0.125),
            point("sbp", None, 0.5, 0.75, 0.3),
        ];
        let lines = truth_lines(&truths);
        let found: Vec<(&str, &[(f64, f64)])> =
            lines.iter().map(|line| (line.label.as_deref().unwrap(), line.points.as_slice())).collect();
        assert_eq!(
            found,
            [
                ("50\u{a0}%", &[(0.51, 0.25), (1.0, 0.875)][..]),
                ("50\u{a0}%, consistent", &[(0.52, 0.0625)]),
                ("25\u{a0}%", &[(0.75, 0.125)]),
                ("sbp", &[(0.75, 0.3)])
            ]
        );
        let mut report = sample();
        report.world = Some(World { truths, ..world() });
        let page = super::super::page(&report).replace('\u{a0}', " ");
        for expected in [
            "How true synthetic documents must be",
            "87.5",
            "82.5 to 92.5",
            "51 %",
            "the world",
            "the world, consistent",
            "a model",
        ] {
            assert!(page.contains(expected), "{expected}");
        }
    }

    #[test]
    fn a_world_has_its_section_and_other_runs_have_none() {
        let mut report = sample();
        assert!(!super::super::page(&report).contains("id=\"world\""));
        report.world = Some(world());
        let page = super::super::page(&report).replace('\u{a0}', " ");
        let found = &page[page.find("id=\"world\"").unwrap()..];
        let found = &found[..found.find("</section>").unwrap()];
        for expected in [
            "a predictor who knows the world",
            "51.25 ± 0.500",
            "+6.250",
            "0.512 ± 0.500",
            "9 false ones left out",
            "75 %",
            "29 %",
            "0.833",
            "49.75",
            "share −1.167 ± 0.500",
            "62 % of 800",
            "shuffled",
            "in_context, 4 examples of 5",
            "94 %",
            "17 %",
            "who guesses",
            "42 %",
            "0.125",
            "Level lines",
        ] {
            assert!(found.contains(expected), "{expected}: {found}");
        }
        // Nats per token times ten.
        let lines = curves(&report, report.world.as_ref().unwrap());
        assert_eq!(lines.len(), 3 + 2);
        let first = report.curves[0].validation[0];
        assert_eq!(lines[0].points[0], (first.tokens as f64, first.nats_per_token * 10.0));
        assert!(
            lines[3].points.iter().all(|point| point.1 == 48.0) && lines[4].points.iter().all(|point| point.1 == 45.0)
        );
    }
}
