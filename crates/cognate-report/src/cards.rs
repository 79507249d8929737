//! Cards: `README.md` for the synthetic corpus and for each checkpoint, with the metadata that the Hugging Face Hub reads,
//! and the page's section about the corpus. Every number comes from the report.
//!
//! Fields and values of the headers: <https://huggingface.co/docs/hub/datasets-cards>, <https://huggingface.co/docs/hub/model-cards>.

use cognate_results::numbers::{self, count, decimals, nats, percent, significant, tokens};
use cognate_results::{Arm, Checkpoint, REPETITION, Report, Synthesis};
use serde_json::{Map, Value, json};

use super::answer::answer;
use super::html::{Cell, section, table, unfinished};
use super::markup::Markup;

/// The file of the kept synthetic documents, beside the corpus's card.
const DOCUMENTS: &str = "synthetic.jsonl.zst";

/// The page's section about the synthetic corpus; nothing where none was written.
pub(super) fn section_of_corpus(page: &mut Markup, report: &Report) {
    let Some(facts) = corpus_facts(report) else { return };
    section(page, "card", "Data card of the synthetic corpus", |page| {
        let rows: Vec<Vec<Cell>> = facts.iter().map(|(name, text)| vec![Cell::new(name), Cell::text(text)]).collect();
        table(page, "What it is, where it comes from, what it is for", &["", ""], &rows);
    });
}

/// What there is to know of the synthetic corpus, by what is asked.
fn corpus_facts(report: &Report) -> Option<Vec<(&'static str, String)>> {
    let synthesis = report.cards.synthesis.as_ref()?;
    let quality = &report.synthetic_quality;
    let kept = quality.kept_documents as f64 / quality.generated_documents.max(1) as f64;
    let unique = report.cards.splits.iter().find(|split| split.name == "unique");
    let seeds = unique.map_or_else(
        || "the unique split".to_owned(),
        |split| format!("{} documents of the unique split", count(split.documents)),
    );
    let mut dropped: Vec<String> = quality
        .dropped
        .iter()
        .filter(|drop| drop.documents > 0)
        .map(|drop| format!("{} {}", count(drop.documents), drop.reason))
        .collect();
    if dropped.is_empty() {
        dropped.push("none".to_owned());
    }
    let (writer, what) = match synthesis.method.as_str() {
        "endpoint" => ("a completion server", "written by a language model. No person wrote or read them"),
        "entigraph" => (
            "a model behind a server, about two or three of its entities",
            "written by a language model. No person wrote or read them",
        ),
        "world" => ("the made corpus' world", "made up by the world of a made corpus, as true as it was asked to be"),
        _ => ("the run's own synthesizer", "written by a language model. No person wrote or read them"),
    };
    let mut facts = vec![
        (
            "what",
            format!(
                "{} documents of {} tokens in all, {what}.",
                count(quality.kept_documents),
                tokens(quality.kept_tokens)
            ),
        ),
        (
            "written from",
            format!("{seeds}: each from one seed document, whose id stands in its metadata (seed_id). By {writer}."),
        ),
        ("sampling", sampling(synthesis)),
        (
            "filters",
            format!(
                "kept {} of {} ({}); dropped: {}",
                count(quality.kept_documents),
                count(quality.generated_documents),
                percent(kept),
                dropped.join(", ")
            ),
        ),
        (
            "fields",
            "id, text, metadata (seed_id, synthesizer, sampling settings, tokens, finish_reason, scores)".to_owned(),
        ),
        ("licence", license(report)),
        ("language", if report.cards.languages.is_empty() { "the recipe does not say".to_owned() } else { report.cards.languages.join(", ") }),
        (
            "for",
            "pretraining language models beside the documents that it was written from, and research on that".to_owned(),
        ),
        (
            "not for",
            "anything that takes its statements for true: names, numbers, citations and claims are made up. What is private, \
             biased or wrong in the seeds may come back in it."
                .to_owned(),
        ),
    ];
    let place = format!("{}/{DOCUMENTS}", quality.name);
    if let Some(file) = report.files.iter().find(|file| file.path.ends_with(&place)) {
        facts.push(("BLAKE3", format!("{DOCUMENTS}: {}", file.blake3)));
    }
    Some(facts)
}

/// How documents were drawn.
fn sampling(synthesis: &Synthesis) -> String {
    if synthesis.method == "world" {
        return format!("none: the world draws what it says, seed {}", synthesis.seed);
    }
    format!(
        "temperature {}, nucleus {}, at most {} new tokens, seed {}",
        significant(synthesis.temperature, 3),
        significant(synthesis.top_p, 3),
        count(synthesis.max_new_tokens),
        synthesis.seed
    )
}

fn license(report: &Report) -> String {
    match &report.cards.license {
        Some(license) => format!("{license}, as the recipe says of the documents that it was written from"),
        None => "the recipe does not say: that of the documents that it was written from".to_owned(),
    }
}

/// The dataset card; `None` where no synthetic document was kept.
#[must_use]
pub fn dataset(report: &Report) -> Option<String> {
    let facts = corpus_facts(report)?;
    let name = format!("{}: synthetic documents", report.name);
    let mut header = common(report, &["synthetic", "cognate"]);
    header.insert("pretty_name".to_owned(), json!(name));
    header.insert("task_categories".to_owned(), json!(["text-generation"]));
    header.insert("size_categories".to_owned(), json!([size_category(report.synthetic_quality.kept_documents)]));
    header.insert("annotations_creators".to_owned(), json!(["no-annotation"]));
    header.insert("language_creators".to_owned(), json!(["machine-generated"]));
    // What else lies in the folder, dropped documents among it, is no part of the data.
    let data_files = json!([{"split": "train", "path": DOCUMENTS}]);
    header.insert("configs".to_owned(), json!([{"config_name": "default", "data_files": data_files}]));
    let mut out = begin(&header, &name, report);
    out.push_str("| | |\n|---|---|\n");
    for (name, text) in &facts {
        out.push_str(&format!("| {name} | {} |\n", escaped(text)));
    }
    out.push_str("\n## What it was worth\n\n");
    out.push_str(&said(report));
    if !report.synthetic_quality.figures.is_empty() {
        out.push_str("\n## What the documents are like\n\nWith 95 % intervals.\n\n| figure | whose | value | interval | n |\n|---|---|---|---|---|\n");
        for figure in report.synthetic_quality.figures.iter().chain(&report.synthetic_quality.pair_figures) {
            for value in &figure.of {
                let shown = |number: f64| numbers::measure(number, &figure.unit);
                out.push_str(&format!(
                    "| {} | {} | {} | {} to {} | {} |\n",
                    escaped(&figure.name),
                    escaped(&value.whose),
                    shown(value.value),
                    shown(value.low),
                    shown(value.high),
                    count(value.n)
                ));
            }
        }
    }
    out.push_str(&how_made(report));
    Some(finish(out))
}

/// The card of a checkpoint.
#[must_use]
pub fn model(report: &Report, checkpoint: Checkpoint<'_>) -> String {
    let (name, tag) = match checkpoint {
        Checkpoint::Final(arm) => (format!("{}: {}", report.name, label(report, arm)), "pretraining"),
        Checkpoint::Best(arm) => (format!("{}: {}, best step", report.name, label(report, arm)), "pretraining"),
        Checkpoint::Synthesizer => (format!("{}: synthesizer", report.name), "data-synthesis"),
    };
    let mut header = common(report, &["cognate", tag]);
    header.insert("library_name".to_owned(), json!("transformers"));
    header.insert("pipeline_tag".to_owned(), json!("text-generation"));
    if let Checkpoint::Final(arm) = checkpoint {
        header.insert("model-index".to_owned(), json!([{"name": name, "results": results(report, arm)}]));
    }
    let mut out = begin(&header, &name, report);
    out.push_str(&match checkpoint {
        Checkpoint::Final(arm) => about_arm(arm, true),
        Checkpoint::Best(arm) => about_arm(arm, false),
        Checkpoint::Synthesizer => about_synthesizer(report),
    });
    if let Some(parameters) = report.cards.parameters {
        out.push_str(&format!(
            "\n{} parameters, at most {} tokens of context.\n",
            count(parameters),
            count(report.cards.context_tokens)
        ));
    }
    out.push_str(
        "\n## Use\n\nThe folder opens with `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` of \
         transformers. A document begins after `<|endoftext|>` and ends with it.\n",
    );
    if let Checkpoint::Final(arm) = checkpoint {
        out.push_str(&scores(report, arm));
    }
    out.push_str(
        "\n## Limits\n\nA base model: it continues text, follows no instructions, and states what is false as readily as what \
         is true. What is private, biased or wrong in its training documents may come back. It was trained to compare ways of \
         training at this size; nothing was done to make it safe for people to rely on.\n",
    );
    out.push_str(&how_made(report));
    finish(out)
}

fn label(report: &Report, arm: &Arm) -> String {
    super::html::arm_label(report, &arm.name, arm.seed)
}

fn about_arm(arm: &Arm, is_final: bool) -> String {
    let synthetic = match arm.synthetic_tokens {
        0 => String::new(),
        some => format!(", {} of them synthetic", tokens(some)),
    };
    let which = if is_final {
        "This is its last step, which the scores below are of.".to_owned()
    } else {
        let base = if arm.name == REPETITION { ", which synthesizer-tuning starts from" } else { "" };
        format!(
            "This is its step with the lowest loss on documents that choices are made by{base}. The report's scores are of its last step."
        )
    };
    format!(
        "The arm `{}` of an experiment, with seed {}: a decoder trained from scratch on {} tokens{synthetic}, and {} distinct \
         real tokens, each seen {} times on average. {which}\n",
        escaped(&arm.name),
        arm.seed,
        tokens(arm.train_tokens),
        tokens(arm.unique_tokens),
        significant(arm.epochs, 3)
    )
}

fn about_synthesizer(report: &Report) -> String {
    let mut out = "A decoder that was tuned to write a document related to the one it is given. A prompt is `<|endoftext|>`, the \
                   given document, `<|related|>`; what follows, up to `<|endoftext|>`, is the new document.\n"
        .to_owned();
    if let Some(relation) = &report.relation {
        out.push_str(&format!(
            "\nOn {} held-out pairs{}, the true seed saves {} nats per token over a random one ({} before tuning), and {} over \
             none.\n",
            count(relation.pairs),
            if relation.unseen { ", whose second documents it was never trained on" } else { "" },
            numbers::estimated(relation.after.gain_over_random, numbers::signed_nats),
            numbers::estimated(relation.before.gain_over_random, numbers::signed_nats),
            numbers::estimated(relation.after.gain_over_none, numbers::signed_nats)
        ));
    }
    out
}

/// The model index's results: validation, then tasks.
fn results(report: &Report, arm: &Arm) -> Vec<Value> {
    let result = |dataset: &str, kind: &str, metrics: Vec<Value>| {
        json!({
            "task": {"type": "text-generation"},
            "dataset": {"name": dataset, "type": kind},
            "metrics": metrics,
        })
    };
    let validation = format!("validation split of {}", report.name);
    let mut results = vec![result(
        &validation,
        "validation",
        [
            metric("perplexity", "perplexity per token", arm.validation.perplexity, arm.validation.perplexity_stderr),
            metric("bits_per_byte", "bits per byte", arm.validation.bits_per_byte, arm.validation.bits_per_byte_stderr),
        ]
        .concat(),
    )];
    for (name, score) in &arm.tasks {
        results.push(result(name, name, metric(&score.metric, &score.metric, score.value, score.stderr)));
    }
    results
}

/// A metric of the model index, and its standard error as one of its own, since an entry has no place for it.
fn metric(kind: &str, name: &str, value: f64, stderr: Option<f64>) -> Vec<Value> {
    let error = stderr.map(
        |stderr| json!({"type": format!("{kind}_stderr"), "name": format!("{name}, standard error"), "value": stderr}),
    );
    std::iter::once(json!({"type": kind, "name": name, "value": value})).chain(error).collect()
}

fn scores(report: &Report, arm: &Arm) -> String {
    let scores = arm.validation;
    let mut out = format!(
        "\n## Scores\n\nOn the validation documents of the run, which no arm saw: {} nats per token, perplexity {}, {} bits per \
         byte.{}\n",
        with_error(nats(scores.nats_per_token), scores.stderr.map(nats)),
        with_error(significant(scores.perplexity, 4), scores.perplexity_stderr.map(|error| significant(error, 2))),
        with_error(decimals(scores.bits_per_byte, 3), scores.bits_per_byte_stderr.map(|error| decimals(error, 3))),
        if scores.stderr.is_some() { " ± is a standard error over documents." } else { "" }
    );
    if !arm.tasks.is_empty() {
        out.push_str("\n| task | metric | score | standard error | items |\n|---|---|---|---|---|\n");
        for (name, score) in &arm.tasks {
            out.push_str(&format!(
                "| {} | {} | {} | {} | {} |\n",
                escaped(name),
                escaped(&score.metric),
                significant(score.value, 4),
                score.stderr.map_or_else(String::new, |error| significant(error, 2)),
                count(score.n)
            ));
        }
    }
    out.push_str(&format!("\n{}", said(report)));
    out
}

/// `5.127 ± 0.021`.
fn with_error(value: String, error: Option<String>) -> String {
    error.map_or_else(|| value.clone(), |error| format!("{value} ± {error}"))
}

/// The report's answer.
fn said(report: &Report) -> String {
    let sentences = answer(report).parts().chain([unfinished(report)]).filter(|text| !text.is_empty());
    let said: Vec<String> = sentences.map(|text| escaped(&text)).collect();
    format!("{}\n", said.join(" "))
}

fn how_made(report: &Report) -> String {
    let mut out = format!("\n## How it was made\n\nBy cognate {}.\n", report.environment.version);
    let splits: Vec<String> =
        report.cards.splits.iter().map(|split| format!("{} {}", count(split.documents), split.name)).collect();
    if !splits.is_empty() {
        out.push_str(&format!("Documents of the corpus, by split: {}.\n", splits.join(", ")));
    }
    out.push_str(&format!("The recipe as resolved:\n\n{}\n", fenced(report.recipe.trim_end())));
    out
}

/// What every header begins with.
fn common(report: &Report, tags: &[&str]) -> Map<String, Value> {
    let mut header = Map::new();
    header.insert("license".to_owned(), json!(report.cards.license.as_deref().unwrap_or("unknown")));
    if !report.cards.languages.is_empty() {
        header.insert("language".to_owned(), json!(report.cards.languages));
    }
    header.insert("tags".to_owned(), json!(tags));
    header
}

fn begin(header: &Map<String, Value>, name: &str, report: &Report) -> String {
    let mut out = "---\n".to_owned();
    write_yaml(&mut out, header, 0);
    out.push_str(&format!("---\n\n# {}\n\n", escaped(name)));
    if !report.missing.is_empty() {
        out.push_str(&format!("**{}**\n\n", escaped(&unfinished(report))));
    }
    out
}

/// Block style, with scalars as in JSON, which YAML 1.2 reads as they are: no text can become something else.
fn write_yaml(out: &mut String, map: &Map<String, Value>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (key, value) in map {
        out.push_str(&format!("{indent}{key}:"));
        write_value(out, value, depth);
    }
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) => {
            out.push('\n');
            write_yaml(out, map, depth + 1);
        }
        Value::Array(items) => {
            out.push('\n');
            for item in items {
                out.push_str(&"  ".repeat(depth));
                out.push('-');
                match item {
                    Value::Object(map) => {
                        let mut inner = String::new();
                        write_yaml(&mut inner, map, depth + 1);
                        // The first key stands on the dash's line.
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    other => write_value(out, other, depth + 1),
                }
            }
        }
        scalar => out.push_str(&format!(" {scalar}\n")),
    }
}

/// The Hub's class of a number of documents.
fn size_category(documents: u64) -> String {
    let names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"];
    let at = names.iter().zip(3..).take_while(|(_, power)| documents >= 10_u64.pow(*power)).count();
    match at {
        0 => "n<1K".to_owned(),
        at if at == names.len() => "n>1T".to_owned(),
        at => format!("{}<n<{}", names[at - 1], names[at]),
    }
}

/// A text that Markdown and its HTML show as it is, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\u{a0}' => out.push(' '),
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '`' | '*' | '[' | ']' | '\\' | '#' => out.extend(['\\', character]),
            other => out.push(other),
        }
    }
    out
}

/// A block of code whose fence is longer than any run of backticks in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}toml\n{text}\n{fence}")
}

fn finish(out: String) -> String {
    out.replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{HOSTILE, sample};
    use super::*;
    use cognate_results::TaskScore;

    /// The header, read by a YAML parser.
    fn header(card: &str) -> Value {
        let yaml = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
        serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
    }

    #[test]
    fn the_dataset_card_has_the_hub_metadata_and_the_run_s_numbers() {
        let report = sample();
        let card = dataset(&report).unwrap();
        assert_eq!(
            header(&card),
            json!({
                "license": "cc0-1.0",
                "language": ["en"],
                "tags": ["synthetic", "cognate"],
                "pretty_name": "quick: synthetic documents",
                "task_categories": ["text-generation"],
                "size_categories": ["10K<n<100K"],
                "annotations_creators": ["no-annotation"],
                "language_creators": ["machine-generated"],
                "configs": [{
                    "config_name": "default",
                    "data_files": [{"split": "train", "path": "synthetic.jsonl.zst"}]
                }]
            })
        );
        for shown in [
            "| what | 15,000 documents of 3.00 M tokens",
            "2,804 documents of the unique split",
            "temperature 1.00, nucleus 0.900, at most 512 new tokens, seed 1",
            "kept 15,000 of 16,057 (93 %); dropped: 3 empty, 41 too short",
            "Synthetic documents closed 23 % of the gap",
        ] {
            assert!(card.contains(shown), "{shown}\n{card}");
        }
    }

    #[test]
    fn the_card_of_what_a_world_made_up_speaks_of_no_model() {
        let mut report = sample();
        report.cards.synthesis.as_mut().unwrap().method = "world".to_owned();
        let card = dataset(&report).unwrap();
        for shown in [
            "made up by the world of a made corpus",
            "By the made corpus' world",
            "none: the world draws what it says, seed 1",
        ] {
            assert!(card.contains(shown), "{shown}\n{card}");
        }
        assert!(!card.contains("language model. No person") && !card.contains("temperature 1.00"), "{card}");
    }

    #[test]
    fn a_model_card_scores_its_own_arm() {
        let mut report = sample();
        let score = TaskScore {
            metric: "accuracy".to_owned(),
            value: 0.425,
            stderr: Some(0.012),
            n: 1_000,
            metrics: std::collections::BTreeMap::new(),
        };
        report.arms[1].tasks.insert("sciq".to_owned(), score);
        let arm = &report.arms[1];
        let card = model(&report, Checkpoint::Final(arm));
        let header = header(&card);
        let index = &header["model-index"][0];
        assert_eq!(index["name"], "quick: sbp");
        assert_eq!(index["results"][0]["metrics"][0]["value"], arm.validation.perplexity);
        assert_eq!(index["results"][0]["metrics"][2]["value"], arm.validation.bits_per_byte);
        assert_eq!(index["results"][1]["dataset"]["name"], "sciq");
        assert_eq!(index["results"][1]["metrics"][0], json!({"type": "accuracy", "name": "accuracy", "value": 0.425}));
        let error = json!({"type": "accuracy_stderr", "name": "accuracy, standard error", "value": 0.012});
        assert_eq!(index["results"][1]["metrics"][1], error);
        assert!(card.contains("perplexity 159.0 ± 3.3, 1.870 ± 0.008 bits per byte. ± is a standard error"), "{card}");
        assert_eq!(
            (&header["library_name"], &header["pipeline_tag"]),
            (&json!("transformers"), &json!("text-generation"))
        );
        assert!(card.contains("12.0 M tokens, 3.00 M of them synthetic"), "{card}");
        let best = model(&report, Checkpoint::Best(&report.arms[0]));
        assert!(best.contains("synthesizer-tuning starts from"), "{best}");
        assert!(super::tests::header(&best).get("model-index").is_none(), "the scores are of the last step");
        let synthesizer = model(&report, Checkpoint::Synthesizer);
        assert!(synthesizer.contains("+0.251 ± 0.009 nats per token over a random one"), "{synthesizer}");
    }

    #[test]
    fn no_text_becomes_metadata_or_markup() {
        let mut report = sample();
        report.name = format!("{HOSTILE}\n---\nlicense: mit");
        report.recipe = "```\n# not a heading ````".to_owned();
        report.cards.license = None;
        report.cards.languages = vec!["no".to_owned()];
        let card = dataset(&report).unwrap();
        let header = header(&card);
        assert_eq!(header["license"], "unknown");
        assert_eq!(header["language"], json!(["no"]), "not a truth value");
        assert_eq!(header["pretty_name"], format!("{}: synthetic documents", report.name));
        assert!(!card.split_once("\n---\n").unwrap().1.contains("<script"), "{card}");
        assert!(card.contains("\n`````toml\n```\n# not a heading ````\n`````\n"), "{card}");
        report.cards.synthesis = None;
        assert_eq!(dataset(&report), None);
    }

    #[test]
    fn sizes_have_the_hub_s_names() {
        let of = [0, 999, 1_000, 9_999, 10_000, 1_000_000, 999_999_999_999, 1_000_000_000_000].map(size_category);
        assert_eq!(of, ["n<1K", "n<1K", "1K<n<10K", "1K<n<10K", "10K<n<100K", "1M<n<10M", "100B<n<1T", "n>1T"]);
    }
}
