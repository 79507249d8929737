//! Files of DocRED (Yao et al. 2019) and Re-DocRED (Tan et al. 2022): a JSON array of documents.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// A document with what it states.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    pub(super) title: String,
    /// Its words, with a space between two.
    pub(super) text: String,
    /// By relation.
    pub(super) facts: BTreeMap<String, Vec<Fact>>,
}

/// Two entities that a relation holds between, each by all the names that the document has for it, in the order of their mentions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fact {
    pub(super) subjects: Vec<String>,
    pub(super) objects: Vec<String>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    title: String,
    sents: Vec<Vec<Word>>,
    #[serde(rename = "vertexSet")]
    entities: Vec<Vec<Mention>>,
    #[serde(default)]
    labels: Vec<Label>,
}

/// A word; some are written as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(serde_json::Number),
}

#[derive(Deserialize)]
struct Mention {
    name: String,
}

#[derive(Deserialize)]
struct Label {
    r: String,
    h: usize,
    t: usize,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Document>> {
    let refuse = |problem: String| Error::Relations { path: path.to_path_buf(), problem };
    let text = fs_err::read_to_string(path).map_err(cognate_corpus::Error::from)?;
    let expected = "expected an array of documents with `sents`, `vertexSet` and `labels`, as DocRED has them";
    let records: Vec<&RawValue> =
        serde_json::from_str(&text).map_err(|error| refuse(format!("{error}; {expected}")))?;
    let mut documents = Vec::with_capacity(records.len());
    for (at, record) in records.into_iter().enumerate() {
        let record: Record = serde_json::from_str(record.get())
            .map_err(|error| refuse(format!("document {}: {error}; {expected}", at + 1)))?;
        let place = format!("document {} ({:?})", at + 1, record.title);
        if record.entities.iter().flatten().any(|mention| mention.name.trim().is_empty()) {
            return Err(refuse(format!("{place}: an entity of `vertexSet` has an empty name")));
        }
        let mut facts: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
        let names = |entity: usize| -> Option<Vec<String>> {
            let mut names: Vec<String> = Vec::new();
            for mention in record.entities.get(entity)? {
                if !names.contains(&mention.name) {
                    names.push(mention.name.clone());
                }
            }
            (!names.is_empty()).then_some(names)
        };
        for label in &record.labels {
            let (Some(subjects), Some(objects)) = (names(label.h), names(label.t)) else {
                let entities = record.entities.len();
                return Err(refuse(format!(
                    "{place}: a label is of the entities {} and {}, from 0 on, and `vertexSet` has {entities}, or no name for one of them",
                    label.h, label.t
                )));
            };
            facts.entry(label.r.clone()).or_default().push(Fact { subjects, objects });
        }
        let words: Vec<String> = record
            .sents
            .into_iter()
            .flatten()
            .map(|word| match word {
                Word::Text(text) => text,
                Word::Number(number) => number.to_string(),
            })
            .collect();
        if words.is_empty() {
            return Err(refuse(format!("{place}: `sents` has no words")));
        }
        documents.push(Document { title: record.title, text: words.join(" "), facts });
    }
    if documents.is_empty() {
        return Err(refuse("it holds no documents".to_owned()));
    }
    Ok(documents)
}

/// Reads the names of relations, as `rel_info.json` has them.
pub(super) fn names(path: &Path) -> Result<BTreeMap<String, String>> {
    let refuse = |problem: String| Error::Relations { path: path.to_path_buf(), problem };
    let text = fs_err::read_to_string(path).map_err(cognate_corpus::Error::from)?;
    serde_json::from_str(&text).map_err(|error| refuse(format!("{error}; expected an object of names by relation")))
}
