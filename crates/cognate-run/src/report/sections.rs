//! The sections of the page below its first screen, from loss curves to how to repeat it.

use cognate_eval::Estimate;

use super::charts::{self, Line, LineChart, Size};
use super::data::{Curve, Example, ExampleText, LedgerEntry, Measure, Pairs, Point, Relation, Report, SBP};
use super::html::{Cell, arm_label, arm_style, both_sizes, figure, paragraph_unless_empty, section, table};
use super::markup::Markup;
use super::numbers::{
    NONE, bytes, count, counted, decimals, duration, estimated, flops, measure, nats, or_none, percent, signed_nats,
    tokens,
};
use super::quality;

/// Characters of an example that the page shows.
const EXAMPLE_CHARACTERS: usize = 1_200;
/// Points of a training curve that a small figure draws.
const POINTS: usize = 120;
/// Stages that only a run with synthetic documents needs, apart from training the arm itself.
const SYNTHESIS_STAGES: [&str; 5] = ["embed", "pair", "tune", "generate", "filter"];

/// Everything below the gap.
pub(super) fn all(page: &mut Markup, report: &Report) {
    curves(page, report);
    relation(page, report.relation.as_ref());
    pairs(page, report.pairs.as_ref());
    quality::synthetic_quality(page, report);
    examples(page, &report.examples);
    ledger(page, report);
    notes(page, &report.notes);
    section(page, "recipe", "Recipe, as resolved", |page| {
        page.leaf("pre", &[("tabindex", &"0")], report.recipe.trim_end());
    });
    environment(page, report);
}

/// A curve's points as coordinates.
pub(super) fn points(points: &[Point]) -> Vec<(f64, f64)> {
    points.iter().map(|point| (point.tokens as f64, point.nats_per_token)).collect()
}

fn curves(page: &mut Markup, report: &Report) {
    if report.curves.is_empty() {
        return;
    }
    section(page, "curves", "Loss curves", |page| {
        page.leaf(
            "p",
            &[],
            "Training loss is on what the arm is shown, repetitions included: where it falls and validation loss does \
             not follow, the model is memorising.",
        );
        let drawn: Vec<[Line; 2]> = report.curves.iter().map(|curve| curve_lines(report, curve)).collect();
        let y_also: Vec<f64> = drawn.iter().flatten().flat_map(|line| &line.points).map(|point| point.1).collect();
        page.element("div", &[("class", &"panels")], |page| {
            for (curve, lines) in report.curves.iter().zip(drawn) {
                let name = arm_label(report, &curve.arm, curve.seed);
                let chart = LineChart {
                    title: &format!("Loss of {name} over training tokens"),
                    description: "A thin line for training loss, a strong one with marks for validation loss.",
                    y_name: "nats per token",
                    lines: lines.to_vec(),
                    y_also: y_also.clone(),
                    y_top: f64::INFINITY,
                };
                page.element("figure", &[("class", &"panel")], |page| {
                    page.leaf("h3", &[], &name);
                    chart.draw(page, "panel", Size::PANEL);
                });
            }
        });
    });
}

fn curve_lines(report: &Report, curve: &Curve) -> [Line; 2] {
    let style = arm_style(report, &curve.arm);
    let line = |label: &str, faint, recorded: &[Point]| Line {
        label: Some(label.to_owned()),
        style,
        faint,
        points: charts::thin(&points(recorded), POINTS),
    };
    [line("training", true, &curve.train), line("validation", false, &curve.validation)]
}

fn relation(page: &mut Markup, relation: Option<&Relation>) {
    let Some(relation) = relation else { return };
    section(page, "relation", "What tuning taught about related documents", |page| {
        page.leaf(
            "p",
            &[],
            format!(
                "On {} of which no document was in a training pair, and which had no say in choosing the checkpoint: how \
                 well the model predicts d2 after its true seed d1, after a random document, and after nothing. A true \
                 seed that saves more than a random one is knowledge of the relation. ± is one standard error, with \
                 pairs taken as independent; pairs that share a document are not quite, so it is a lower bound.",
                counted(relation.pairs, "held-out pair", "held-out pairs")
            ),
        );
        page.element("div", &[("class", &"beside")], |page| {
            let (before, after) = (relation.before, relation.after);
            let row = |name: &str, before: Estimate, after: Estimate, shown: &dyn Fn(f64) -> String| {
                vec![
                    Cell::new(name),
                    Cell::new(estimated(before, shown)),
                    Cell::new(estimated(after, shown)),
                    Cell::new(signed_nats(after.value - before.value)),
                ]
            };
            let rows = [
                row("true seed", before.true_seed, after.true_seed, &nats),
                row("random seed", before.random_seed, after.random_seed, &nats),
                row("no seed", before.no_seed, after.no_seed, &nats),
                row("true saves over random", before.gain_over_random, after.gain_over_random, &signed_nats),
                row("true saves over none", before.gain_over_none, after.gain_over_none, &signed_nats),
            ];
            let caption =
                "−log p of d2 in nats per token (lower is better), and what the true seed saves (higher is better)";
            table(page, caption, &["what stands before d2", "before tuning", "after", "change"], &rows);
            let caption = "Outlined: before tuning. Filled: after. To the right of zero the true seed helps.";
            figure(page, "panel", caption, |page| charts::gain_bars(page, "panel", relation));
        });
    });
}

fn pairs(page: &mut Markup, pairs: Option<&Pairs>) {
    let Some(pairs) = pairs else { return };
    section(page, "pairs", "Pairs", |page| {
        page.leaf(
            "p",
            &[],
            format!(
                "Two neighbouring documents are a pair if their cosine similarity is at least {}, and at most {}, \
                 above which they count as copies of each other. Vectors: {}.",
                decimals(pairs.min_similarity, 2),
                decimals(pairs.max_similarity, 2),
                pairs.embedder
            ),
        );
        let caption = "Filled, solid outline: each document and its nearest neighbours. Dashed outline: random \
                       documents. Shaded: the similarities that make a pair.";
        figure(page, "full", caption, |page| {
            both_sizes(page, |page, class, size| charts::similarity_histogram(page, class, size, pairs));
        });
        page.element("div", &[("class", &"slim")], |page| measures(page, "Pairs, counted", &pairs.counts));
    });
}

fn measures(page: &mut Markup, caption: &str, measures: &[Measure]) {
    if measures.is_empty() {
        return;
    }
    let row = |item: &Measure| {
        let n = item.n.map_or_else(|| NONE.to_owned(), count);
        vec![Cell::new(&item.name), Cell::new(measure(item.value, &item.unit)), Cell::new(n)]
    };
    let rows: Vec<Vec<Cell>> = measures.iter().map(row).collect();
    if measures.iter().any(|item| item.n.is_some()) {
        table(page, caption, &["", "value", "measured on (n)"], &rows);
    } else {
        table(page, caption, &["", "value"], &rows);
    }
}

fn examples(page: &mut Markup, examples: &[Example]) {
    if examples.is_empty() {
        return;
    }
    section(page, "examples", "Examples: seed, synthetic, true neighbour", |page| {
        page.leaf(
            "p",
            &[],
            "The synthesizer was given only the seed. The true neighbour is what stands beside it in the corpus.",
        );
        for example in examples {
            page.element("div", &[("class", &"example")], |page| {
                example_text(page, "seed d1", "", &example.seed);
                let similarity = |value: f64| format!("similarity to the seed {}", decimals(value, 2));
                let synthetic = example.synthetic_similarity.map_or_else(String::new, similarity);
                example_text(page, "synthetic d2", &synthetic, &example.synthetic);
                example_text(page, "true neighbour d2", &similarity(example.similarity), &example.neighbour);
            });
        }
    });
}

fn example_text(page: &mut Markup, role: &str, similarity: &str, example: &ExampleText) {
    page.element("article", &[], |page| {
        page.leaf("h3", &[], role);
        page.element("p", &[("class", &"id")], |page| {
            page.leaf("code", &[], &example.id);
            if !similarity.is_empty() {
                page.text(format!(" · {similarity}"));
            }
        });
        let text = example.text.trim();
        let characters = text.chars().count();
        page.leaf("blockquote", &[("dir", &"auto")], beginning(text));
        if characters > EXAMPLE_CHARACTERS {
            let all = count(characters as u64);
            page.leaf("p", &[("class", &"id")], format!("the beginning of {all} characters"));
        }
    });
}

/// At most [`EXAMPLE_CHARACTERS`] of a text, cut between words where there are any.
fn beginning(text: &str) -> String {
    let cut = charts::clip(text, EXAMPLE_CHARACTERS);
    match cut.rfind(char::is_whitespace) {
        Some(space) if cut.len() < text.len() => format!("{} …", cut[..space].trim_end()),
        _ => cut,
    }
}

fn ledger(page: &mut Markup, report: &Report) {
    if report.ledger.is_empty() {
        return;
    }
    let sum = |of: fn(&LedgerEntry) -> f64| report.ledger.iter().map(of).sum::<f64>();
    let (wall_s, operations) = (sum(|entry| entry.wall_s), sum(|entry| entry.flops));
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let row = |entry: &LedgerEntry| {
        let name = entry.arm.as_ref().map_or_else(|| entry.stage.clone(), |arm| format!("{} · {arm}", entry.stage));
        let (time, compute) = (share(entry.wall_s, wall_s), share(entry.flops, operations));
        vec![
            Cell::new(name),
            Cell::new(duration(entry.wall_s)),
            Cell::bar(percent(time), time),
            Cell::new(or_none(entry.flops == 0.0, flops(entry.flops))),
            Cell::bar(or_none(entry.flops == 0.0, percent(compute)), compute),
            Cell::new(or_none(entry.tokens == 0, tokens(entry.tokens))),
            Cell::new(or_none(entry.documents == 0, count(entry.documents))),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = report.ledger.iter().map(row).collect();
    rows.push(vec![
        Cell::strong("all stages"),
        Cell::new(duration(wall_s)),
        Cell::new(""),
        Cell::new(or_none(operations == 0.0, flops(operations))),
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
    ]);
    section(page, "ledger", "What it cost", |page| {
        paragraph_unless_empty(page, "", &synthesis_cost(report));
        let columns = ["stage", "time", "share of time", "compute", "share of compute", "tokens", "documents"];
        table(page, "Wall time, floating-point operations, tokens and documents of every stage", &columns, &rows);
    });
}

/// What equal token budgets leave out: the way to the synthetic documents, against training the sbp arm.
fn synthesis_cost(report: &Report) -> String {
    // What names an arm was made for a control.
    let synthesis = |entry: &&LedgerEntry| entry.arm.is_none() && SYNTHESIS_STAGES.contains(&entry.stage.as_str());
    let synthesis = report.ledger.iter().filter(synthesis);
    let (wall_s, cost) = synthesis.fold((0.0, 0.0), |sum, entry| (sum.0 + entry.wall_s, sum.1 + entry.flops));
    let training = report.arms.iter().find(|arm| arm.name == SBP).map_or(0.0, |arm| arm.flops);
    let budgets = || report.arms.iter().map(|arm| arm.train_tokens);
    let (least, most) = (budgets().min().unwrap_or(0), budgets().max().unwrap_or(0));
    // Whole steps: budgets may differ by a part of one.
    let equal = if most - least <= most / 100 {
        "All arms were trained on the same number of tokens."
    } else {
        "The arms were not trained on the same number of tokens."
    };
    if cost == 0.0 || training <= 0.0 {
        return equal.to_owned();
    }
    format!(
        "{equal} That leaves out what only synthetic documents need, from embedding to filtering: {} and {}, {} of the \
         compute that training the sbp arm took.",
        duration(wall_s),
        flops(cost),
        percent(cost / training)
    )
}

fn notes(page: &mut Markup, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    section(page, "notes", "Before you trust it", |page| {
        page.element("ul", &[], |page| {
            for note in notes {
                page.leaf("li", &[], note);
            }
        });
    });
}

fn environment(page: &mut Markup, report: &Report) {
    let environment = &report.environment;
    section(page, "repeat", "How to repeat it", |page| {
        if !environment.commands.is_empty() {
            page.leaf("pre", &[("tabindex", &"0")], environment.commands.join("\n"));
        }
        let threads = counted(environment.threads, "thread", "threads");
        let mut facts = vec![format!("cognate {}", environment.version), format!("{}, {threads}", environment.device)];
        if !environment.cpu.is_empty() {
            facts.push(environment.cpu.clone());
        }
        if let Some(peak) = environment.peak_rss_bytes {
            facts.push(format!("peak memory {}", bytes(peak)));
        }
        let mut seeds: Vec<u64> = report.arms.iter().map(|arm| arm.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
        if !seeds.is_empty() {
            facts.push(format!("{} {}", if seeds.len() == 1 { "seed" } else { "seeds" }, seeds.join(", ")));
        }
        page.leaf("p", &[], format!("{}.", facts.join(" · ")));
        page.element("p", &[("class", &"detail")], |page| {
            page.text("Every number here stands in ");
            page.leaf("code", &[], "report.json");
            page.text(" in full precision.");
        });
    });
}
