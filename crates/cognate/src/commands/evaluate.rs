//! `evaluate` on plain files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use cognate_base::files::AtomicFile;
use cognate_corpus::{Reader, Tokenizer};
use cognate_eval::replm::{self, Asked, FILES, NEAREST, REPLM, ReplmFiles, ReplmOptions};
use cognate_eval::tasks::{Definition, TaskFiles, TaskOptions, TaskScores, evaluate_task, file_in, file_names};
use cognate_eval::{DocumentScore, Perplexity, PerplexityOptions, ensemble_perplexity};
use cognate_model::Decoder;
use cognate_run::device::Models;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::curves;
use super::documents::read_options;
use super::shared::{Result, device, print, print_json};
use crate::args::{EvaluateArgs, PERPLEXITY};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) fn evaluate(args: &EvaluateArgs, threads: usize, terminal: &Terminal) -> Result {
    // What is missing is said before anything is computed.
    let tasks = tasks(args)?;
    if args.documents.is_none() && args.tasks.iter().any(|name| name == PERPLEXITY) {
        return Err(Failure::setting("--documents", "not given", "the documents whose perplexity is measured"));
    }
    let replm = replm_asked(args, terminal)?;
    let job = Job { args, tasks, replm, threads, terminal };
    match (&args.checkpoint, &args.all_checkpoints) {
        (_, Some(folder)) => curves::evaluate_all(&job, folder),
        (Some(checkpoint), None) => {
            let mut requests = args.requests_out.as_ref().map(AtomicFile::create).transpose()?;
            let found = job.measure(checkpoint, requests.as_mut(), !args.json)?;
            if let Some(file) = requests {
                file.commit()?;
            }
            if args.json { print_json(&found) } else { Ok(()) }
        }
        (None, None) => Err(Failure::setting("--checkpoint", "not given", "a checkpoint, or --all-checkpoints")),
    }
}

/// The tasks that are asked for, each once, and where their files are.
fn tasks(args: &EvaluateArgs) -> Result<Vec<(Definition, TaskFiles)>> {
    let mut tasks: Vec<(Definition, TaskFiles)> = Vec::new();
    for name in args.tasks.iter().filter(|name| ![PERPLEXITY, REPLM].contains(&name.as_str())) {
        if tasks.iter().any(|(task, _)| task.name() == name) {
            continue;
        }
        let task = Definition::bundled(name)?;
        let files = task_files(&task, args)?;
        tasks.push((task, files));
    }
    let of_replm = if args.tasks.iter().any(|name| name == REPLM) { &FILES[..] } else { &[] };
    let known = || {
        let of_tasks = tasks.iter().flat_map(|(task, _)| task.files().iter().chain(task.example_files()));
        of_tasks.map(String::as_str).chain(of_replm.iter().copied())
    };
    if let Some((name, path)) = args.task_file.iter().find(|(name, _)| known().all(|known| known != name)) {
        let names: Vec<&str> = known().collect();
        let expected = match names.as_slice() {
            [] => "a task that takes files in --tasks".to_owned(),
            names => format!("NAME to be a file of these tasks: {}", names.join(", ")),
        };
        return Err(Failure::setting("--task-file", format_args!("{name}={}", path.display()), &expected));
    }
    Ok(tasks)
}

/// What is measured, and how.
pub(super) struct Job<'a> {
    pub(super) args: &'a EvaluateArgs,
    tasks: Vec<(Definition, TaskFiles)>,
    /// What documents are asked about their relations.
    replm: Option<Asked>,
    threads: usize,
    terminal: &'a Terminal,
}

impl Job<'_> {
    /// Measures a checkpoint: the object that `--json` prints. Where wanted, each part goes to stdout as lines once it is known.
    pub(super) fn measure(
        &self,
        checkpoint: &Path,
        mut requests: Option<&mut AtomicFile>,
        tell: bool,
    ) -> Result<Map<String, Value>> {
        let Self { args, terminal, .. } = *self;
        let mut model = Models::from(Decoder::load(device(args.device, self.threads)?, checkpoint)?.0);
        let tokenizer = Tokenizer::of_checkpoint(checkpoint)?;
        let (mut found, mut scores) = (Map::new(), BTreeMap::new());
        if let (Some(path), true) = (&args.documents, args.tasks.iter().any(|name| name == PERPLEXITY)) {
            let (measured, documents, rejected) = perplexity_of(path, args, &mut model, &tokenizer, terminal)?;
            if let Some(file) = &mut requests {
                write_lines(file, &documents)?;
            }
            if tell {
                print(&lines(&measured, rejected))?;
            }
            found.extend(object(json!(measured)));
            found.insert("rejected".to_owned(), json!(rejected));
            scores.insert(PERPLEXITY.to_owned(), score(&measured));
        }
        let options =
            TaskOptions { shots: args.shots, limit: args.limit, seed: args.seed, batch_tokens: args.batch_tokens };
        for (task, files) in &self.tasks {
            let (measured, outcomes) = evaluate_task(&mut model, &tokenizer, task, files, options, terminal)?;
            if let Some(file) = &mut requests {
                write_lines(file, &outcomes)?;
            }
            if tell {
                print(&task_lines(task.name(), "documents", &measured))?;
            }
            scores.insert(task.name().to_owned(), json!(measured));
        }
        if let Some(asked) = &self.replm {
            let mut questions = Vec::new();
            let keep = |question| questions.extend(requests.is_some().then_some(question));
            let measured = replm::extract(&mut model, &tokenizer, asked, args.batch_tokens, keep, terminal)?;
            if let Some(file) = &mut requests {
                write_lines(file, &questions)?;
            }
            if tell {
                print(&task_lines(REPLM, "questions", &measured))?;
            }
            scores.insert(REPLM.to_owned(), json!(measured));
        }
        found.insert("tasks".to_owned(), json!(scores));
        Ok(found)
    }
}

/// The perplexity of the documents given, each of them, and how many records were none.
fn perplexity_of(
    path: &Path,
    args: &EvaluateArgs,
    model: &mut Models,
    tokenizer: &Tokenizer,
    terminal: &Terminal,
) -> Result<(Perplexity, Vec<DocumentScore>, usize)> {
    let options = PerplexityOptions::of(tokenizer, args.batch_tokens);
    let mut reader = Reader::open(&[path.to_path_buf()], &read_options(&args.read), terminal)?;
    let documents = reader.by_ref().map(|record| record.map(|(_, document)| document));
    let (found, documents, _) = ensemble_perplexity(model, tokenizer, documents, options, terminal)?;
    let rejected = reader.rejected();
    for record in &rejected {
        tracing::warn!("{}: {}", record.origin, record.reason);
    }
    Ok((found, documents, rejected.len()))
}

/// Perplexity as a task among others.
fn score(measured: &Perplexity) -> Value {
    let text = &measured.text;
    json!({
        "metric": "perplexity", "value": measured.perplexity, "stderr": measured.perplexity_stderr, "n": measured.documents,
        "metrics": {
            "perplexity": {"value": measured.perplexity, "stderr": measured.perplexity_stderr},
            "token_perplexity": text.token_perplexity, "word_perplexity": text.word_perplexity,
            "byte_perplexity": text.byte_perplexity, "bits_per_byte": text.bits_per_byte,
        },
    })
}

/// What [`REPLM`] asks, where it is asked for.
fn replm_asked(args: &EvaluateArgs, terminal: &Terminal) -> Result<Option<Asked>> {
    if !args.tasks.iter().any(|name| name == REPLM) {
        return Ok(None);
    }
    let shots = args.shots.unwrap_or(ReplmOptions::SHOTS);
    if !(1..=NEAREST).contains(&shots) {
        let expected = format!("from 1 to {NEAREST} for {REPLM}, which draws examples from so many");
        return Err(Failure::setting("--shots", shots, &expected));
    }
    let [questions, examples, relations] = FILES;
    let options = ReplmOptions { sets: args.sets, shots, limit: args.limit, seed: args.seed };
    let there = |name: &str| given(name, args).or_else(|| json_in(args.data_dir.as_deref()?, name));
    let needed = |name: &str| {
        there(name).ok_or_else(|| {
            let ways = format!("--task-file {name}=FILE, or --data-dir with {name}.json");
            Failure::setting("--tasks", REPLM, &ways)
        })
    };
    let files = ReplmFiles { questions: needed(questions)?, examples: needed(examples)?, relations: there(relations) };
    Ok(Some(Asked::read(&files, options, terminal)?))
}

/// The file given under a name.
fn given(name: &str, args: &EvaluateArgs) -> Option<PathBuf> {
    args.task_file.iter().find(|(known, _)| known == name).map(|(_, path)| path.clone())
}

fn json_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(format!("{name}.json"));
    path.is_file().then_some(path)
}

/// Where a task's files are.
fn task_files(task: &Definition, args: &EvaluateArgs) -> Result<TaskFiles> {
    let shots = args.shots.unwrap_or(task.default_shots());
    let examples = (shots > 0 && !task.example_files().is_empty()).then(|| file(task.example_files(), args));
    Ok(TaskFiles { questions: file(task.files(), args)?, examples: examples.transpose()? })
}

/// The file that goes by one of some names, the first of them first.
fn file(names: &[String], args: &EvaluateArgs) -> Result<PathBuf> {
    if let Some(path) = names.iter().find_map(|name| given(name, args)) {
        return Ok(path);
    }
    let ways = format!("a file for {}: --task-file {}=FILE, or --data-dir", names.join(" or "), names[0]);
    let Some(folder) = &args.data_dir else {
        return Err(Failure::setting("--data-dir", "not given", &ways));
    };
    let missing = || Failure::setting("--data-dir", folder.display(), &format!("a folder with {}", file_names(names)));
    file_in(folder, names).ok_or_else(missing)
}

/// One line of JSON each.
pub(super) fn write_lines(file: &mut AtomicFile, rows: &[impl Serialize]) -> Result {
    for row in rows {
        serde_json::to_writer(&mut *file, row).map_err(std::io::Error::from)?;
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

fn lines(scores: &Perplexity, rejected: usize) -> String {
    let text = &scores.text;
    let mut out = format!("documents               {}\ntokens                  {}\n", scores.documents, scores.tokens);
    for (name, value, stderr, digits) in [
        ("nats per token", scores.nats_per_token, scores.stderr, 4),
        ("perplexity", scores.perplexity, scores.perplexity_stderr, 3),
        ("bits per byte", scores.bits_per_byte, scores.bits_per_byte_stderr, 4),
        ("text: token perplexity", text.token_perplexity.value, text.token_perplexity.stderr, 3),
        ("text: word perplexity", text.word_perplexity.value, text.word_perplexity.stderr, 3),
        ("text: byte perplexity", text.byte_perplexity.value, text.byte_perplexity.stderr, 4),
        ("text: bits per byte", text.bits_per_byte.value, text.bits_per_byte.stderr, 4),
    ] {
        let stderr = stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.digits$}"));
        out += &format!("{name:<24}{value:.digits$}{stderr}\n");
    }
    for (count, what) in [
        (scores.windowed, "documents longer than the model's context, scored in windows"),
        (scores.lossy, "documents that the tokenizer does not give back"),
        (rejected as u64, "records that are no documents, left out"),
    ] {
        if count > 0 {
            out += &format!("{count} {what}\n");
        }
    }
    out
}

fn task_lines(task: &str, what: &str, scores: &TaskScores) -> String {
    let mut text = format!("{task} ({} {what}, {} examples before each)\n", scores.n, scores.shots);
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
