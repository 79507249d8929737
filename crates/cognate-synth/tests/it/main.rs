//! Both stages on real files, with a small real model.

#![allow(clippy::unwrap_used, reason = "tests")]

mod endpoint;
mod filter;
mod generate;
mod judge;
mod server;

use std::path::{Path, PathBuf};

use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use serde_json::{Map, Value};

fn document(id: &str, text: &str, metadata: &[(&str, Value)]) -> Document {
    let metadata: Map<String, Value> = metadata.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    Document { id: id.to_owned(), text: text.to_owned(), metadata }
}

fn write(path: &Path, documents: &[Document]) -> PathBuf {
    let mut writer = DocumentWriter::create(path).unwrap();
    documents.iter().for_each(|document| writer.write(document).unwrap());
    writer.finish().unwrap();
    path.to_owned()
}

fn read(paths: &[PathBuf]) -> Vec<Document> {
    Reader::open(paths, &ReadOptions::default()).unwrap().map(|record| record.unwrap().1).collect()
}
