//! Synthetic documents beside their seeds and true neighbours, for people: what is said about each, once, for the terminal and
//! for the page.

use cognate_results::numbers::{count, counted, decimals, nats, percent, signed_nats};
use cognate_results::{DropReason, Inspected, Inspection, Overlap, Written};

mod page;
mod text;

pub use page::{inspection_page, is_inspection_page};
pub use text::inspection_text;

/// What is shown, in a sentence.
fn summary(inspection: &Inspection) -> String {
    let drawn = counted(inspection.documents.len() as u64, "document", "documents");
    let which = if inspection.which == "synthetic" { String::new() } else { format!("{} ", inspection.which) };
    // The filter keeps so many of each reason, not all.
    let sampled = if inspection.which == "dropped" { " (the first of each reason)" } else { "" };
    let paired = if inspection.paired { ", only of seeds with a true neighbour" } else { "" };
    format!(
        "{drawn} of {} {which}synthetic documents{sampled} of {}{paired}, drawn with seed {}",
        count(inspection.of),
        inspection.name,
        inspection.seed
    )
}

/// A text beside others, with what is said about it.
struct Column<'a> {
    role: &'static str,
    id: &'a str,
    facts: Vec<String>,
    /// The text, or why there is none.
    text: Result<&'a str, &'static str>,
}

/// Seed, synthetic and, where there are pairs, true neighbour.
fn columns(inspected: &Inspected, with_neighbour: bool) -> Vec<Column<'_>> {
    let seed = match &inspected.seed {
        Some(seed) => Column { role: "seed d1", id: &seed.id, facts: Vec::new(), text: Ok(&seed.text) },
        None => absent("seed d1", "The document does not name its seed."),
    };
    let synthetic = &inspected.synthetic;
    let written =
        Column { role: "synthetic d2", id: &synthetic.id, facts: facts(synthetic), text: Ok(&synthetic.text) };
    let mut columns = vec![seed, written];
    if with_neighbour {
        columns.push(match &inspected.neighbour {
            Some(neighbour) => {
                let mut facts = vec![format!("similarity to the seed {}", decimals(neighbour.similarity, 2))];
                facts.extend(neighbour.overlap.map(shared));
                Column { role: "true neighbour d2", id: &neighbour.id, facts, text: Ok(&neighbour.text) }
            }
            None => absent("true neighbour d2", "None: no pair begins with this seed."),
        });
    }
    columns
}

fn facts(written: &Written) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(DropReason { reason, detail }) = &written.dropped {
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        facts.push(format!("dropped as {reason}{detail}"));
    }
    let scores = [("forward", written.relevance), ("backward", written.cycle)];
    let scores = scores.map(|(way, score)| score.map(|score| format!("{} {way}", signed_nats(score))));
    let scores: Vec<String> = scores.into_iter().flatten().collect();
    if !scores.is_empty() {
        facts.push(format!("relevance {}, in nats per token", scores.join(", ")));
    }
    facts.extend(written.mean_log_probability.map(|mean| format!("log-probability {} nats per token", nats(mean))));
    let end = written.finish_reason.as_deref().map(|reason| match reason {
        "eod" | "stop" => "ended by itself",
        _ => "cut at the longest length",
    });
    let tokens = written.tokens.map(|tokens| counted(tokens, "token", "tokens"));
    let length: Vec<String> = tokens.into_iter().chain(end.map(str::to_owned)).collect();
    if !length.is_empty() {
        facts.push(length.join(", "));
    }
    facts.extend(written.overlap.map(shared));
    facts
}

fn absent(role: &'static str, why: &'static str) -> Column<'static> {
    Column { role, id: "", facts: Vec::new(), text: Err(why) }
}

fn shared(overlap: Overlap) -> String {
    match overlap.share {
        Some(share) => format!(
            "{} of its words stand in the seed, at most {} in a row",
            percent(share),
            count(overlap.longest_words)
        ),
        None => "it has no words".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cognate_results::{ExampleText, Neighbour};

    use super::*;

    /// Two documents: one with everything, in hostile and wide characters too, and a dropped one that says little.
    pub(super) fn sample() -> Inspection {
        let sentence = "Shortest paths in graphs of bounded treewidth are found in linear time.";
        let whole = Inspected {
            seed: Some(ExampleText { id: "cs/0402038".to_owned(), text: [sentence; 4].join(" ") }),
            synthetic: Written {
                id: "synthetic-7".to_owned(),
                text: format!(
                    "<script>alert(1)</script> \u{1b}[31m文献検索における次元\n\n\t{}",
                    "supercalifragilistic".repeat(3)
                ),
                dropped: None,
                relevance: Some(0.398_054),
                cycle: Some(-0.366_037),
                mean_log_probability: Some(-5.042_908),
                tokens: Some(1104),
                finish_reason: Some("eod".to_owned()),
                overlap: Some(Overlap { share: Some(0.13), longest_words: 3 }),
            },
            neighbour: Some(Neighbour {
                id: "1704.01188".to_owned(),
                text: "Treewidth \u{202e}decides. ".repeat(9),
                similarity: 0.4129,
                overlap: Some(Overlap { share: Some(0.5), longest_words: 4 }),
            }),
        };
        let written = Written {
            id: "synthetic-8".to_owned(),
            text: String::new(),
            dropped: Some(DropReason { reason: "empty".to_owned(), detail: String::new() }),
            relevance: None,
            cycle: None,
            mean_log_probability: None,
            tokens: None,
            finish_reason: Some("length".to_owned()),
            overlap: None,
        };
        Inspection {
            name: "quick".to_owned(),
            which: "kept".to_owned(),
            of: 1663,
            seed: 0,
            paired: false,
            with_neighbours: true,
            documents: vec![whole, Inspected { seed: None, synthetic: written, neighbour: None }],
        }
    }

    #[test]
    fn everything_that_is_known_is_said_and_nothing_else() {
        let inspection = sample();
        let facts = |at: usize| -> Vec<Vec<String>> {
            columns(&inspection.documents[at], true).into_iter().map(|column| column.facts).collect()
        };
        let plain = |facts: &[String]| facts.join("; ").replace('\u{a0}', " ");
        assert_eq!(
            plain(&facts(0)[1]),
            "relevance +0.398 forward, −0.366 backward, in nats per token; log-probability −5.043 nats per token; 1,104 tokens, \
             ended by itself; 13 % of its words stand in the seed, at most 3 in a row"
        );
        assert_eq!(
            plain(&facts(0)[2]),
            "similarity to the seed 0.41; 50 % of its words stand in the seed, at most 4 in a row"
        );
        assert_eq!(
            facts(1),
            [vec![], vec!["dropped as empty".to_owned(), "cut at the longest length".to_owned()], vec![]]
        );
        assert_eq!(columns(&inspection.documents[0], false).len(), 2);
        let page = inspection_page(&inspection);
        assert!(is_inspection_page(&page) && !is_inspection_page("<!DOCTYPE html>\n<title>mine</title>"));
        assert_eq!(page.matches("<article>").count(), 6);
        assert!(
            page.contains("The document does not name its seed.")
                && page.contains("None: no pair begins with this seed.")
        );
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains(['\u{1b}', '\u{202e}']));
    }
}
