//! Both stages on real files, with a small real model.

#![allow(clippy::unwrap_used, reason = "tests")]

mod endpoint;
mod entigraph;
mod filter;
mod generate;
mod interruption;
mod judge;
mod server;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::Silent;
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use serde_json::{Map, Value};

fn document(id: &str, text: &str, metadata: &[(&str, Value)]) -> Document {
    let metadata: Map<String, Value> = metadata.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Document { id: id.to_owned(), text: text.to_owned(), group: None, metadata: metadata.into() }
}

fn write(path: &Path, documents: &[Document]) -> PathBuf {
    let mut writer = DocumentWriter::create(path).unwrap();
    documents.iter().for_each(|document| writer.write(document).unwrap());
    writer.finish().unwrap();
    path.to_owned()
}

fn read(paths: &[PathBuf]) -> Vec<Document> {
    Reader::open(paths, &ReadOptions::default(), &Silent).unwrap().map(|record| record.unwrap().1).collect()
}

/// Every file of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs_err::read(&path).unwrap()))
        .collect()
}
