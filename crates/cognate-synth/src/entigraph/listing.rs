//! The entities of every document, asked for once: `entities.list`, a line a document in their order. While they come, `entities-journal.list`
//! holds the lists that have arrived, in the order of arrival: killed at any point, a restart asks for the others alone. What could not be read is in
//! the finished file only, so that another call asks again. No reader of documents takes files of this name.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cognate_base::files::write_atomic;
use cognate_base::{Monitor, Unit};
use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::prompts::{entities, messages};
use crate::endpoint::key::Discretion;
use crate::endpoint::protocol::{completion, most_bytes, request_seed};
use crate::endpoint::workers::{Asker, Question, Workers};
use crate::endpoint::{EndpointConfig, Fault, PATIENCE, Role};
use crate::error::{Error, Result};

/// The finished file.
pub const ENTITIES_FILE: &str = "entities.list";
const JOURNAL: &str = "entities-journal.list";
/// Tokens of an answer, at most: a summary, and a hundred names.
const ANSWER_TOKENS: usize = 2048;
/// Documents without a readable answer from which on, where they are more than half of those that a call asked about, the rest is not asked for.
const MOST_UNREADABLE: usize = 10;

/// What is known of a document; a line of both files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    /// Its place among the documents.
    number: u64,
    /// Its identifier.
    id: String,
    /// What it names; none where no answer could be read.
    pub(super) entities: Option<Vec<String>>,
}

/// What is asked about.
pub(super) struct Documents<'a> {
    pub(super) ids: &'a [String],
    /// The text of the document at a place.
    pub(super) text: &'a dyn Fn(usize) -> Result<String>,
}

/// The entities of all documents, at most `most` of each: those in the folder, and of the others what `endpoint` answers.
pub(super) fn listed(
    documents: &Documents<'_>,
    folder: &Path,
    (most, seed): (usize, u64),
    endpoint: &EndpointConfig,
    monitor: &dyn Monitor,
) -> Result<Vec<Listed>> {
    let path = folder.join(ENTITIES_FILE);
    if path.exists() {
        return read_listed(&path, documents.ids);
    }
    let mut journal = Journal::open(folder, documents.ids)?;
    let mut unreadable = BTreeMap::new();
    if journal.found.len() < documents.ids.len() {
        monitor.begin("entities", Some(documents.ids.len() as u64), Unit::Documents);
        let outcome = ask(documents, &mut journal, (most, seed), endpoint, monitor);
        monitor.end();
        unreadable = outcome?;
    }
    let has_two = |listed: &Listed| listed.entities.as_ref().is_some_and(|entities| entities.len() > 1);
    if !journal.found.values().any(has_two) {
        // Another call may be answered better.
        return Err(none(endpoint, unreadable.len(), documents.ids.len()));
    }
    journal.found.append(&mut unreadable);
    let all: Vec<Listed> = journal.found.into_values().collect();
    let mut lines = Vec::new();
    for one in &all {
        lines.extend(line(one)?);
    }
    write_atomic(&path, lines)?;
    fs_err::remove_file(journal.path)?;
    Ok(all)
}

/// A finished file of the documents with these identifiers.
pub(super) fn read_listed(path: &Path, ids: &[String]) -> Result<Vec<Listed>> {
    let found = read_lines(&fs_err::read(path)?, path, ids)?;
    if found.len() != ids.len() {
        let what = format!("it has {} documents, and there are {}", found.len(), ids.len());
        return Err(Error::Damaged { path: path.to_owned(), what });
    }
    Ok(found.into_values().collect())
}

/// Asks for the entities of one sentence: whether a server is there and knows the model. What it lists does not matter.
pub(super) fn ask_once(endpoint: &EndpointConfig, monitor: &dyn Monitor) -> Result<()> {
    let endpoint = EndpointConfig { attempts: 1, concurrency: 1, ..endpoint.clone() };
    let workers = Workers::start(Asker::new(&endpoint, Role::Writer, 0)?, 1)?;
    workers.send(Listing::new(0, 1, "Ada wrote to Charles.", (2, 0), &endpoint.model))?;
    loop {
        monitor.check()?;
        if let Some(outcome) = workers.receive(PATIENCE)? {
            return Ok(outcome.map(drop)?);
        }
    }
}

fn ask(
    documents: &Documents<'_>,
    journal: &mut Journal,
    (most, seed): (usize, u64),
    endpoint: &EndpointConfig,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<u64, Listed>> {
    let workers = Workers::start(Asker::new(endpoint, Role::Writer, seed)?, endpoint.concurrency)?;
    let question = |number: usize, attempt: u32| -> Result<Listing> {
        Ok(Listing::new(number, attempt, &(documents.text)(number)?, (most, seed), &endpoint.model))
    };
    let is_unasked = |number: &usize| !journal.found.contains_key(&(*number as u64));
    let mut unasked = (0..documents.ids.len()).filter(is_unasked).collect::<Vec<_>>().into_iter();
    let mut out = 0;
    let (before, mut unreadable) = (journal.found.len(), BTreeMap::new());
    loop {
        if let Err(stop) = monitor.check() {
            // What has arrived is paid for.
            while let Some(outcome) = workers.receive(std::time::Duration::ZERO)? {
                if let Ok(Answered { number, entities: Some(entities), .. }) = outcome {
                    journal.accept(Listed {
                        number,
                        id: documents.ids[number as usize].clone(),
                        entities: Some(entities),
                    })?;
                }
            }
            return Err(stop.into());
        }
        while out < endpoint.concurrency {
            let Some(number) = unasked.next() else { break };
            workers.send(question(number, 1)?)?;
            out += 1;
        }
        if out == 0 {
            return Ok(unreadable);
        }
        let Some(outcome) = workers.receive(PATIENCE)? else { continue };
        let Answered { number, attempt, entities } = match outcome {
            Ok(answered) => answered,
            Err(error) => {
                keep_arrived(&workers, journal, documents.ids)?;
                return Err(error.into());
            }
        };
        if entities.is_none() && attempt < endpoint.attempts {
            // Another draw may be readable.
            workers.send(question(number as usize, attempt + 1)?)?;
            continue;
        }
        out -= 1;
        let listed = Listed { number, id: documents.ids[number as usize].clone(), entities };
        match listed.entities {
            Some(_) => journal.accept(listed)?,
            None => drop(unreadable.insert(number, listed)),
        }
        let asked = journal.found.len() - before + unreadable.len();
        if unreadable.len() >= MOST_UNREADABLE && 2 * unreadable.len() > asked {
            keep_arrived(&workers, journal, documents.ids)?;
            return Err(none(endpoint, unreadable.len(), asked));
        }
        let detail =
            format!("{} without a readable answer, {} requests repeated", unreadable.len(), workers.repeated());
        monitor.advance((before + asked) as u64, &detail);
    }
}

fn none(endpoint: &EndpointConfig, unreadable: usize, asked: usize) -> Error {
    Error::NoEntities { url: endpoint.url.clone(), model: endpoint.model.clone(), unreadable, asked }
}

/// Before stopping: what has arrived is paid for.
fn keep_arrived(workers: &Workers<Listing>, journal: &mut Journal, ids: &[String]) -> Result<()> {
    while let Some(outcome) = workers.receive(Duration::ZERO)? {
        if let Ok(Answered { number, entities: Some(entities), .. }) = outcome {
            journal.accept(Listed { number, id: ids[number as usize].clone(), entities: Some(entities) })?;
        }
    }
    Ok(())
}

/// What has arrived.
struct Journal {
    path: PathBuf,
    file: File,
    found: BTreeMap<u64, Listed>,
}

impl Journal {
    fn open(folder: &Path, ids: &[String]) -> Result<Self> {
        let path = folder.join(JOURNAL);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let bytes = fs_err::read(&path)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            // It was being written.
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        let found = read_lines(&bytes[..whole], &path, ids)?;
        Ok(Self { path, file, found })
    }

    fn accept(&mut self, listed: Listed) -> Result<()> {
        // One call, so that a kill leaves a whole line or one without its end.
        self.file.write_all(&line(&listed)?)?;
        self.found.insert(listed.number, listed);
        Ok(())
    }
}

fn line(listed: &Listed) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(listed).map_err(std::io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

fn read_lines(bytes: &[u8], path: &Path, ids: &[String]) -> Result<BTreeMap<u64, Listed>> {
    let damaged =
        |row: usize, what: String| Error::Damaged { path: path.to_owned(), what: format!("line {row}: {what}") };
    let mut found = BTreeMap::new();
    for (row, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let listed: Listed = serde_json::from_slice(line).map_err(|error| damaged(row + 1, error.to_string()))?;
        let number = listed.number;
        if usize::try_from(number).ok().and_then(|number| ids.get(number)) != Some(&listed.id) {
            return Err(damaged(row + 1, format!("document {number} is not {:?} here", listed.id)));
        }
        if found.insert(number, listed).is_some() {
            return Err(damaged(row + 1, format!("document {number} comes a second time")));
        }
    }
    Ok(found)
}

/// A document whose entities are asked for.
struct Listing {
    number: u64,
    attempt: u32,
    most: usize,
    body: serde_json::Map<String, serde_json::Value>,
}

/// The field that only some servers know.
const RESPONSE_FORMAT: &str = "response_format";

impl Listing {
    fn new(number: usize, attempt: u32, text: &str, (most, seed): (usize, u64), model: &str) -> Self {
        let fields = [
            ("model", json!(model)),
            ("messages", messages(text, &[])),
            ("n", json!(1)),
            ("stream", json!(false)),
            ("max_tokens", json!(ANSWER_TOKENS)),
            // As the paper asks.
            ("temperature", json!(1.0)),
            // Each attempt draws anew.
            ("seed", json!(request_seed(seed, number as u64 | u64::from(attempt) << 40))),
            (RESPONSE_FORMAT, json!({"type": "json_object"})),
        ];
        let body = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { number: number as u64, attempt, most, body }
    }
}

/// What came of it.
struct Answered {
    number: u64,
    attempt: u32,
    entities: Option<Vec<String>>,
}

impl Question for Listing {
    type Answer = Answered;

    fn number(&self) -> u64 {
        self.number
    }

    fn body(&self) -> Vec<u8> {
        json!(self.body).to_string().into_bytes()
    }

    fn plain_body(&self) -> Option<Vec<u8>> {
        let mut body = self.body.clone();
        body.remove(RESPONSE_FORMAT);
        Some(json!(body).to_string().into_bytes())
    }

    fn left_out(&self) -> (&'static str, &'static str) {
        ("an answer that is a JSON object", "")
    }

    fn most_bytes(&self) -> usize {
        most_bytes(ANSWER_TOKENS)
    }

    fn read(&self, body: &[u8], discretion: &Discretion) -> Result<Answered, (Fault, bool)> {
        let text = match completion(body, discretion) {
            Ok((_, text)) => text,
            // A refusal, or one that thought for too long: another draw may be readable.
            Err((Fault::Answer { .. }, false)) => String::new(),
            Err(fault) => return Err(fault),
        };
        // An entity goes into later requests and into files: none may hold the key.
        let entities =
            entities(&text, self.most).filter(|found| !found.iter().any(|entity| discretion.is_broken_by(entity)));
        Ok(Answered { number: self.number, attempt: self.attempt, entities })
    }
}
