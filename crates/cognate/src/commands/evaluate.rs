//! `evaluate` on plain files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use cognate_base::files::AtomicFile;
use cognate_corpus::{ReadOptions, Reader, Tokenizer};
use cognate_eval::tasks::{Definition, Outcome, TaskFiles, TaskOptions, TaskScores, evaluate_task};
use cognate_eval::{Perplexity, PerplexityOptions, perplexity};
use cognate_model::Decoder;
use cognate_ops::Cpu;
use serde_json::{Map, Value, json};

use super::models::tokenizer_of;
use super::{Result, device, print, print_json};
use crate::args::{EvaluateArgs, PERPLEXITY};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Endings that a task's file may have.
const ENDINGS: [&str; 5] = ["jsonl", "jsonl.zst", "jsonl.gz", "json", "parquet"];

pub(crate) fn evaluate(args: &EvaluateArgs, threads: usize, terminal: &Terminal) -> Result {
    // What is missing is said before anything is computed.
    let tasks: Vec<(Definition, TaskFiles)> = args
        .tasks
        .iter()
        .filter(|name| *name != PERPLEXITY)
        .map(|name| {
            let task = Definition::bundled(name)?;
            let files = task_files(&task, args)?;
            Ok((task, files))
        })
        .collect::<Result<_>>()?;
    let mut requests = args.requests_out.as_ref().map(AtomicFile::create).transpose()?;
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = tokenizer_of(&args.checkpoint, special)?;
    let (mut found, mut scores) = (Map::new(), BTreeMap::new());
    if args.tasks.iter().any(|name| name == PERPLEXITY) {
        let measured = documents(args, &mut model, &tokenizer, terminal)?;
        if !args.json {
            print(&lines(&measured))?;
        }
        found.extend(object(json!(measured)));
        let score = json!({
            "metric": "perplexity", "value": measured.perplexity,
            "stderr": measured.stderr.map(|nats| nats * measured.perplexity), "n": measured.documents,
        });
        scores.insert(PERPLEXITY.to_owned(), score);
    }
    let options =
        TaskOptions { shots: args.shots, limit: args.limit, seed: args.seed, batch_tokens: args.batch_tokens };
    for (task, files) in &tasks {
        let (measured, outcomes) = evaluate_task(&mut model, &tokenizer, task, files, options, terminal)?;
        if let Some(file) = &mut requests {
            write_outcomes(file, &outcomes)?;
        }
        if !args.json {
            print(&task_lines(task, &measured))?;
        }
        scores.insert(task.name().to_owned(), json!(measured));
    }
    if let Some(file) = requests {
        file.commit()?;
    }
    found.insert("tasks".to_owned(), json!(scores));
    if args.json { print_json(&found) } else { Ok(()) }
}

fn documents(
    args: &EvaluateArgs,
    model: &mut Decoder<Cpu>,
    tokenizer: &Tokenizer,
    terminal: &Terminal,
) -> Result<Perplexity> {
    let Some(path) = &args.documents else {
        return Err(Failure::setting("--documents", "not given", "the documents whose perplexity is measured"));
    };
    let reader = Reader::open(std::slice::from_ref(path), &ReadOptions::default())?;
    let documents = reader.map(|record| record.map(|(_, document)| document));
    let options = PerplexityOptions::of(tokenizer, args.batch_tokens);
    Ok(perplexity(model, tokenizer, documents, options, terminal)?)
}

/// Where a task's files are.
fn task_files(task: &Definition, args: &EvaluateArgs) -> Result<TaskFiles> {
    let shots = args.shots.unwrap_or(task.default_shots());
    let examples = (shots > 0 && !task.example_files().is_empty()).then(|| file(task.example_files(), args));
    Ok(TaskFiles { questions: file(task.files(), args)?, examples: examples.transpose()? })
}

/// The file that goes by one of some names, the first of them first.
fn file(names: &[String], args: &EvaluateArgs) -> Result<PathBuf> {
    let given = names.iter().find_map(|name| args.task_file.iter().find(|(known, _)| known == name));
    if let Some((_, path)) = given {
        return Ok(path.clone());
    }
    let ways = format!("a file for {}: --task-file {}=FILE, or --data-dir", names.join(" or "), names[0]);
    let Some(folder) = &args.data_dir else {
        return Err(Failure::setting("--data-dir", "not given", &ways));
    };
    let paths = names.iter().flat_map(|name| ENDINGS.map(|ending| folder.join(format!("{name}.{ending}"))));
    let found = paths.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        let expected = format!("a folder with {}.{{{}}}", names.join(" or "), ENDINGS.join(","));
        Failure::setting("--data-dir", folder.display(), &expected)
    })
}

/// One line a question.
fn write_outcomes(file: &mut AtomicFile, outcomes: &[Outcome]) -> Result {
    for outcome in outcomes {
        serde_json::to_writer(&mut *file, outcome).map_err(std::io::Error::from)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

fn lines(scores: &Perplexity) -> String {
    let stderr = scores.stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.4}"));
    format!(
        "documents       {}\ntokens          {}\nnats per token  {:.4}{stderr}\nperplexity      {:.3}\nbits per byte  \
          {:.4}\n",
        scores.documents, scores.tokens, scores.nats_per_token, scores.perplexity, scores.bits_per_byte
    )
}

fn task_lines(task: &Definition, scores: &TaskScores) -> String {
    let mut text = format!("{} ({} documents, {} examples before each)\n", task.name(), scores.n, scores.shots);
    for (name, figure) in &scores.metrics {
        let mark = if *name == scores.metric { '*' } else { ' ' };
        let stderr = figure.stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.4}"));
        text += &format!("{mark} {name:<24}{:.4}{stderr}\n", figure.value);
    }
    for (count, what) in [
        (scores.truncated, "prompts cut on the left: the model's context is too small for them"),
        (scores.lossy, "documents with text that the tokenizer does not give back"),
    ] {
        if count > 0 {
            text += &format!("  {count} {what}\n");
        }
    }
    text
}
