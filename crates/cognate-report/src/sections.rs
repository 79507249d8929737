//! The sections of the page below its first screen, from loss curves to how to repeat it, in their order.

use cognate_statistics::Estimate;

use super::charts::{Line, LineChart, Size};
use super::data::{Example, ExampleText, Measure, Pairs, Relation, RelationPoint, Report};
use super::download::{Csv, downloads, number};
use super::html::{Cell, both_sizes, figure, list, section, table};
use super::markup::Markup;
use super::numbers::{NONE, bytes, count, counted, decimals, estimated, measure, nats, signed_nats, tokens};
use super::{arms, cards, charts, curves, gain, ledger, losses, quality, tasks};

/// Characters of an example that the page shows.
const EXAMPLE_CHARACTERS: usize = 1_200;

/// Everything below the first screen and the tables of arms.
pub(super) fn all(page: &mut Markup, report: &Report) {
    losses::curves(page, report);
    gain::by_similarity(page, report);
    tasks::tasks(page, report);
    curves::task_curves(page, report);
    arms::controls(page, report);
    if !report.notes.is_empty() {
        section(page, "notes", "Before you trust it", |page| list(page, &report.notes));
    }
    quality::synthetic_quality(page, report);
    examples(page, &report.examples);
    pairs(page, report.pairs.as_ref());
    relation(page, report.relation.as_ref());
    ledger::ledger(page, report);
    cards::section_of_corpus(page, report);
    section(page, "recipe", "Recipe, as resolved", |page| {
        page.leaf("pre", &[("tabindex", &"0")], report.recipe.trim_end());
    });
    environment(page, report);
}

/// What the second documents of held-out pairs are.
const UNSEEN: &str = "No model has been trained on d2, which is a document of the selection split.";
const SEEN: &str = "Too few documents of the selection split have a related one, so d2 was held out of tuning alone. The base model has been \
                    trained on it, finds it likely without any seed, and forgets some of it in tuning: what a seed is worth looks like \
                    too little.";

fn relation(page: &mut Markup, relation: Option<&Relation>) {
    let Some(relation) = relation else { return };
    section(page, "relation", "What tuning taught about related documents", |page| {
        page.leaf(
            "p",
            &[],
            format!(
                "On {} that had no say in choosing the checkpoint: how well the model predicts d2 after its true seed d1, \
                 after a random document, and after nothing. A true seed that saves more than a random one is knowledge of the \
                 relation. {} ± is one standard error over the documents d2.",
                counted(relation.pairs, "held-out pair", "held-out pairs"),
                if relation.unseen { UNSEEN } else { SEEN }
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
        if !relation.curve.is_empty() {
            let caption = format!(
                "Over tuning, on the held-out pairs that chose the checkpoint: where the true seed saves most, at {} tokens.",
                tokens(relation.chosen_at)
            );
            figure(page, "panel", &caption, |page| relation_curve(relation).draw(page, "panel", Size::PANEL));
        }
        downloads(page, &[("relation.csv", relation_csv(relation))]);
    });
}

/// Losses after each kind of seed over tuning.
fn relation_curve(relation: &Relation) -> LineChart<'static> {
    let line = |label: &str, style, of: fn(&RelationPoint) -> f64| Line {
        label: Some(label.to_owned()),
        style,
        // Their labels tell them apart; markers would hide what is small.
        faint: style != 1,
        points: relation.curve.iter().map(|point| (point.tokens as f64, of(point))).collect(),
    };
    LineChart {
        title: "What the seed is worth over tuning",
        description: "Loss on d2 over the tokens of tuning, after each kind of seed.",
        y_name: "nats per token of d2",
        lines: vec![
            line("true seed", 1, |point| point.true_seed),
            line("random seed", 0, |point| point.random_seed),
            line("no seed", 2, |point| point.no_seed),
        ],
        y_also: Vec::new(),
        y_top: f64::INFINITY,
    }
}

fn relation_csv(relation: &Relation) -> Csv {
    let mut csv = Csv::new(&["model", "what", "nats_per_token", "stderr"]);
    for (model, loss) in [("before", relation.before), ("after", relation.after)] {
        for (what, estimate) in [
            ("true seed", loss.true_seed),
            ("random seed", loss.random_seed),
            ("no seed", loss.no_seed),
            ("gain over random", loss.gain_over_random),
            ("gain over none", loss.gain_over_none),
        ] {
            csv.row([model.to_owned(), what.to_owned(), number(estimate.value), number(estimate.stderr)]);
        }
    }
    csv
}

fn pairs(page: &mut Markup, pairs: Option<&Pairs>) {
    let Some(pairs) = pairs else { return };
    section(page, "pairs", "Pairs", |page| {
        page.leaf(
            "p",
            &[],
            format!(
                "Pairs are neighbouring documents, with a cosine similarity of at least {}{}. {} Vectors: {}.",
                decimals(pairs.min_similarity, 2),
                match pairs.max_similarity {
                    most if most > 1.0 => String::new(),
                    most =>
                        format!(", and below {}, from which on they count as copies of each other", decimals(most, 2)),
                },
                pairs.chosen,
                pairs.embedder
            ),
        );
        let caption = "Filled, solid outline: each document and its nearest neighbours. Dashed outline: random \
                       documents. Shaded: the similarities that make a pair. Dotted: the estimated share of true ones among \
                       neighbours at least so similar, from 0 at the floor to 1 at the top.";
        figure(page, "full", caption, |page| {
            both_sizes(page, |page, class, size| charts::similarity_histogram(page, class, size, pairs));
        });
        page.element("div", &[("class", &"slim")], |page| measures(page, "Pairs, counted", &pairs.counts));
        downloads(page, &[("similarities.csv", similarities_csv(pairs))]);
    });
}

fn similarities_csv(pairs: &Pairs) -> Csv {
    let histogram = &pairs.histogram;
    let mut csv = Csv::new(&["from", "to", "neighbours", "random"]);
    let counts = histogram.neighbours.iter().zip(&histogram.random);
    for (edges, (neighbours, random)) in histogram.edges.windows(2).zip(counts) {
        csv.row([number(edges[0]), number(edges[1]), neighbours.to_string(), random.to_string()]);
    }
    csv
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

fn environment(page: &mut Markup, report: &Report) {
    let environment = &report.environment;
    section(page, "repeat", "How to repeat it", |page| {
        if !environment.commands.is_empty() {
            page.leaf("pre", &[("tabindex", &"0")], environment.commands.join("\n"));
        }
        let mut facts = vec![format!("cognate {}", environment.version)];
        if environment.threads > 0 {
            let threads = counted(environment.threads, "thread", "threads");
            facts.push(format!("{}, {threads}", environment.device));
        }
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
        files(page, report);
        page.element("p", &[("class", &"detail")], |page| {
            page.text("Every number here stands in ");
            page.leaf("code", &[], "report.json");
            page.text(" in full precision.");
        });
    });
}

/// What went in and came out, by content.
fn files(page: &mut Markup, report: &Report) {
    if report.files.is_empty() {
        return;
    }
    page.leaf(
        "p",
        &[],
        "The same recipe, documents and version of cognate give files with these contents, whatever the number of threads. \
         Hashes are BLAKE3, as b3sum prints them; here are their beginnings, and the whole in the data.",
    );
    let mut csv = Csv::new(&["stage", "file", "rows", "size_bytes", "blake3"]);
    let mut rows = Vec::new();
    for file in &report.files {
        let or_nothing = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        csv.row([
            file.stage.clone(),
            file.path.clone(),
            or_nothing(file.rows),
            or_nothing(file.size_bytes),
            file.blake3.clone(),
        ]);
        rows.push(vec![
            Cell::new(&file.path),
            Cell::new(file.rows.map_or_else(|| NONE.to_owned(), count)),
            Cell::new(file.size_bytes.map_or_else(|| NONE.to_owned(), bytes)),
            Cell::new(file.blake3.get(..16).unwrap_or(&file.blake3)),
        ]);
    }
    table(page, "What went in, and what came out", &["file", "records", "size", "BLAKE3 begins with"], &rows);
    downloads(page, &[("files.csv", csv)]);
}
