//! Synthetic documents beside their seeds and true neighbours, for people: what is said about each, once, for the terminal and
//! for the page.

mod page;
mod text;

use serde::Serialize;

use super::data::ExampleText;
use super::numbers::{count, counted, decimals, nats, percent, signed_nats};

pub use page::{inspection_page, is_inspection_page};
pub use text::inspection_text;

/// Documents drawn to be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The run, or the folder or file.
    pub name: String,
    /// What was drawn from: `kept`, `dropped`, or `synthetic` where nothing was filtered.
    pub which: String,
    /// Documents there.
    pub of: u64,
    /// Seed of the draw.
    pub seed: u64,
    /// Whether only documents whose seed has a true neighbour were drawn.
    pub paired: bool,
    /// Whether pairs were there to take neighbours from.
    pub with_neighbours: bool,
    /// Those drawn, in the order in which they were written.
    pub documents: Vec<Inspected>,
}

/// One document with what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspected {
    /// d1; none where the document does not name it.
    pub seed: Option<ExampleText>,
    /// The synthetic d2.
    pub synthetic: Written,
    /// The d2 of the corpus that is most similar to d1; none where no pair begins with d1.
    pub neighbour: Option<Neighbour>,
}

/// A synthetic document and what it says about itself; what it does not say is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Written {
    /// Its id.
    pub id: String,
    /// Its whole text.
    pub text: String,
    /// Why it was filtered out.
    pub dropped: Option<DropReason>,
    /// (log p(d2 | d1) − log p(d2)) / tokens, in nats.
    pub relevance: Option<f64>,
    /// (log p(d1 | d2) − log p(d1)) / tokens, in nats.
    pub cycle: Option<f64>,
    /// Nats per drawn token.
    pub mean_log_probability: Option<f64>,
    /// Drawn tokens.
    pub tokens: Option<u64>,
    /// `eod` or `stop`: it ended itself; `cap` or `length`: it was cut.
    pub finish_reason: Option<String>,
    /// What it shares with its seed.
    pub overlap: Option<Overlap>,
}

/// Why a filter dropped a document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DropReason {
    /// The filter.
    pub reason: String,
    /// What it measured.
    pub detail: String,
}

/// What a document shares with its seed word for word, by bare words (see docs/filters.md).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Share of its words that stand in the seed too, in 0..=1; none for a text without words.
    pub share: Option<f64>,
    /// Most words in a row that stand in the seed too.
    pub longest_words: u64,
}

/// A true d2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// Its id.
    pub id: String,
    /// Its whole text.
    pub text: String,
    /// The cosine of its vector and the seed's.
    pub similarity: f64,
    /// What it shares with the seed.
    pub overlap: Option<Overlap>,
}

impl Inspection {
    /// What is shown, in a sentence.
    fn summary(&self) -> String {
        let drawn = counted(self.documents.len() as u64, "document", "documents");
        let which = if self.which == "synthetic" { String::new() } else { format!("{} ", self.which) };
        // The filter keeps so many of each reason, not all.
        let sampled = if self.which == "dropped" { " (the first of each reason)" } else { "" };
        let paired = if self.paired { ", only of seeds with a true neighbour" } else { "" };
        format!(
            "{drawn} of {} {which}synthetic documents{sampled} of {}{paired}, drawn with seed {}",
            count(self.of),
            self.name,
            self.seed
        )
    }
}

/// A text beside others, with what is said about it.
struct Column<'a> {
    role: &'static str,
    id: &'a str,
    facts: Vec<String>,
    /// The text, or why there is none.
    text: Result<&'a str, &'static str>,
}

impl Inspected {
    /// Seed, synthetic and, where there are pairs, true neighbour.
    fn columns(&self, with_neighbour: bool) -> Vec<Column<'_>> {
        let seed = match &self.seed {
            Some(seed) => Column { role: "seed d1", id: &seed.id, facts: Vec::new(), text: Ok(&seed.text) },
            None => absent("seed d1", "The document does not name its seed."),
        };
        let synthetic = &self.synthetic;
        let written =
            Column { role: "synthetic d2", id: &synthetic.id, facts: synthetic.facts(), text: Ok(&synthetic.text) };
        let mut columns = vec![seed, written];
        if with_neighbour {
            columns.push(match &self.neighbour {
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
}

impl Written {
    fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        if let Some(DropReason { reason, detail }) = &self.dropped {
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            facts.push(format!("dropped as {reason}{detail}"));
        }
        let scores = [("forward", self.relevance), ("backward", self.cycle)];
        let scores = scores.map(|(way, score)| score.map(|score| format!("{} {way}", signed_nats(score))));
        let scores: Vec<String> = scores.into_iter().flatten().collect();
        if !scores.is_empty() {
            facts.push(format!("relevance {}, in nats per token", scores.join(", ")));
        }
        facts.extend(self.mean_log_probability.map(|mean| format!("log-probability {} nats per token", nats(mean))));
        let end = self.finish_reason.as_deref().map(|reason| match reason {
            "eod" | "stop" => "ended by itself",
            _ => "cut at the longest length",
        });
        let tokens = self.tokens.map(|tokens| counted(tokens, "token", "tokens"));
        let length: Vec<String> = tokens.into_iter().chain(end.map(str::to_owned)).collect();
        if !length.is_empty() {
            facts.push(length.join(", "));
        }
        facts.extend(self.overlap.map(shared));
        facts
    }
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
            inspection.documents[at].columns(true).into_iter().map(|column| column.facts).collect()
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
        assert_eq!(inspection.documents[0].columns(false).len(), 2);
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
