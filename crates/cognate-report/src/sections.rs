//! The sections of the page below its first screen, from loss curves to how to repeat it, in their order.

use cognate_results::numbers::{NONE, bytes, count, counted, decimals};
use cognate_results::{Example, ExampleText, Report};

use super::download::{Csv, downloads};
use super::html::{Cell, list, section, table};
use super::markup::Markup;
use super::{arms, cards, charts, curves, doses, gain, ledger, losses, made, members, pairs, quality, tasks};

/// Characters of an example that the page shows.
const EXAMPLE_CHARACTERS: usize = 1_200;

/// Everything below the first screen and the tables of arms.
pub(super) fn all(page: &mut Markup, report: &Report) {
    losses::curves(page, report);
    gain::by_similarity(page, report);
    doses::section_of_doses(page, report);
    members::section_of_members(page, report);
    tasks::tasks(page, report);
    curves::task_curves(page, report);
    arms::controls(page, report);
    if !report.notes.is_empty() {
        section(page, "notes", "Before you trust it", |page| list(page, &report.notes));
    }
    made::section_of_world(page, report);
    quality::synthetic_quality(page, report);
    examples(page, report);
    pairs::pairs(page, report);
    pairs::relations(page, report);
    ledger::ledger(page, report);
    cards::section_of_corpus(page, report);
    section(page, "recipe", "Recipe, as resolved", |page| {
        page.leaf("pre", &[("tabindex", &"0")], report.recipe.trim_end());
    });
    environment(page, report);
}

fn examples(page: &mut Markup, report: &Report) {
    let examples: &[Example] = &report.examples;
    if examples.is_empty() {
        return;
    }
    section(page, "examples", "Examples: seed, synthetic, true neighbour", |page| {
        page.leaf(
            "p",
            &[],
            "The synthesizer was given only the seed. The true neighbour is what stands beside it in the corpus.",
        );
        if report.has_several() {
            page.leaf("p", &[], format!("Synthetic documents of the corpus {}.", report.synthetic_quality.name));
        }
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
