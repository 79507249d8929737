//! A look at the corpus: how many documents, how long, how many tokens.

use std::time::Instant;

use cognate_base::{Monitor, Unit};
use cognate_corpus::input::{Input, expand};
use cognate_corpus::pieces::Cutter;
use cognate_corpus::{Reader, Tokenizer};

use crate::error::Result;
use crate::estimate::Survey;
use crate::recipe::Recipe;
use crate::stages::ingest::read_options;

/// What is read of a corpus.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// Bytes of the files below which all of them are read; beyond, so many are, spread over the files.
    bytes: u64,
    /// Bytes of text at most, whatever the files unpack to.
    text: u64,
    /// Files among which they are spread.
    files: usize,
    /// Text that the tokenizer is trained and measured on.
    sample: usize,
}

impl Look {
    /// One of `of` equal parts.
    fn part(self, of: usize) -> Self {
        let n = of.max(1) as u64;
        Self { bytes: self.bytes / n, text: self.text / n, files: 1, sample: self.sample / of.max(1) }
    }
}

const LOOK: Look = Look { bytes: 64 << 20, text: 256 << 20, files: 16, sample: 2 << 20 };

/// Reads the corpus, or parts of it where it is large, and tokenizes a sample.
pub(crate) fn survey(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Survey> {
    survey_with(recipe, LOOK, monitor)
}

fn survey_with(recipe: &Recipe, look: Look, monitor: &dyn Monitor) -> Result<Survey> {
    let paths: Vec<_> = recipe.corpus.paths.iter().map(|path| recipe.at(path)).collect();
    let files = expand(&paths, monitor)?;
    let total = files.iter().map(|file| Ok(fs_err::metadata(&*file.path)?.len())).sum::<Result<u64>>()?;
    let mut read = Read::of(recipe)?;
    monitor.begin("plan: reading documents", Some(total.min(look.bytes)), Unit::Bytes);
    let whole = total <= look.bytes && read.files(recipe, &files, look, monitor)?;
    let mut stands_for = Totals { bytes: 1.0, documents: read.documents as f64, text: read.text as f64 };
    if !whole {
        // Files are often sorted by what they hold, so the first ones are not like the others.
        let parts = spread(&files, look.files);
        read = Read { cutter: read.cutter.take(), ..Read::default() };
        stands_for = Totals::default();
        for part in &parts {
            let before = (read.documents, read.text, read.bytes);
            read.files(recipe, std::slice::from_ref(part), look.part(parts.len()), monitor)?;
            let size = fs_err::metadata(&*part.path)?.len() as f64;
            let times = size / (read.bytes - before.2).max(1) as f64;
            stands_for.bytes += size;
            stands_for.documents += times * (read.documents - before.0) as f64;
            stands_for.text += times * (read.text - before.1) as f64;
        }
    }
    monitor.end();
    if read.documents == 0 {
        let inputs: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(cognate_corpus::Error::EmptyCorpus {
            inputs: inputs.join(", "),
            rejected: read.rejected,
            without_text: read.without_text,
        }
        .into());
    }
    let times = if whole { 1.0 } else { total as f64 / stands_for.bytes.max(1.0) };
    let since = Instant::now();
    let tokenizer = match &recipe.tokenize.tokenizer {
        Some(path) => Tokenizer::load(&recipe.at(path))?,
        None => {
            let vocab_size = recipe.tokenize.vocab_size.unwrap_or_default();
            Tokenizer::train_watched(read.sample.iter().cloned(), vocab_size, monitor)?
        }
    };
    let train_s = since.elapsed().as_secs_f64();
    monitor.check()?;
    let since = Instant::now();
    let texts: Vec<&str> = read.sample.iter().map(String::as_str).collect();
    let mut sampled_tokens: Vec<usize> =
        tokenizer.encode_batch(&texts)?.iter().map(|tokens| tokens.len() + 1).collect();
    let encode_s = since.elapsed().as_secs_f64();
    sampled_tokens.sort_unstable();
    let tokens: usize = sampled_tokens.iter().sum();
    let sampled = read.sampled as f64;
    let bytes_per_document = stands_for.text / stands_for.documents;
    Ok(Survey {
        documents: recipe.corpus.limit.map_or(f64::INFINITY, |limit| limit as f64).min(stands_for.documents * times),
        bytes_per_document,
        tokens_per_document: bytes_per_document * tokens as f64 / sampled.max(1.0),
        sampled_tokens,
        vocabulary: recipe.tokenize.vocab_size.unwrap_or_else(|| tokenizer.vocab_size()),
        encode_bytes_per_s: sampled / encode_s.max(1e-9),
        train_bytes_per_s: match recipe.tokenize.tokenizer {
            Some(_) => f64::INFINITY,
            None => sampled / train_s.max(1e-9),
        },
        whole,
    })
}

/// What files hold, as far as the part of each that was read tells: a part stands for its whole file, or the files of short documents,
/// which are read further, would count more.
#[derive(Default)]
struct Totals {
    bytes: f64,
    documents: f64,
    text: f64,
}

/// At most `most` of the files, evenly spread.
fn spread(files: &[Input], most: usize) -> Vec<Input> {
    let step = files.len().div_ceil(most.max(1)).max(1);
    files.iter().step_by(step).cloned().collect()
}

/// What was read so far.
#[derive(Default)]
struct Read {
    /// What cuts documents, where that is wanted: pieces count as documents.
    cutter: Option<Cutter>,
    documents: u64,
    rejected: u64,
    without_text: u64,
    /// Bytes of the files.
    bytes: u64,
    /// Bytes of texts.
    text: u64,
    sampled: usize,
    sample: Vec<String>,
}

impl Read {
    fn of(recipe: &Recipe) -> Result<Self> {
        let Some(tokens) = recipe.corpus.chunk_tokens else { return Ok(Self::default()) };
        let tokenizer = recipe.tokenize.tokenizer.as_ref().map(|path| Tokenizer::load(&recipe.at(path))).transpose()?;
        Ok(Self { cutter: Some(Cutter { tokens, tokenizer }), ..Self::default() })
    }

    /// Reads `files` as far as `look` goes; says whether that was all of them.
    fn files(&mut self, recipe: &Recipe, files: &[Input], look: Look, monitor: &dyn Monitor) -> Result<bool> {
        let mut reader = Reader::of_files(files.to_vec(), &read_options(recipe), monitor)?;
        let (before, mut text, mut ended, mut read) = (self.bytes, 0, false, 0);
        let sample = self.sampled + look.sample.max(1);
        while reader.read_bytes() <= look.bytes && text < look.text {
            monitor.check()?;
            let Some(record) = reader.next() else {
                ended = true;
                break;
            };
            let (_, document) = record?;
            if !document.has_text() {
                self.without_text += 1;
                continue;
            }
            let len = document.text.len() as u64;
            (self.text, text) = (self.text + len, text + len);
            let ends = match &self.cutter {
                Some(cutter) => cutter.ends(&document.text, monitor)?,
                None => vec![document.text.len()],
            };
            let mut from = 0;
            for to in ends {
                self.documents += 1;
                if self.sampled < sample {
                    self.sampled += to - from;
                    self.sample.push(document.text[from..to].to_owned());
                }
                from = to;
            }
            read += 1;
            if u64::is_multiple_of(read, 256) {
                self.rejected += reader.rejected().len() as u64;
                monitor.advance(before + reader.read_bytes(), "");
            }
        }
        self.rejected += reader.rejected().len() as u64;
        self.bytes = before + reader.read_bytes();
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cognate_base::Silent;
    use cognate_base::files::write_atomic;

    use super::*;

    /// A corpus of `files` files of 100 documents each, whose documents grow from file to file, and a recipe that names it.
    fn corpus(files: usize) -> (tempfile::TempDir, Recipe) {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..files {
            let line =
                |i| format!("{{\"id\": \"{file}-{i}\", \"text\": \"{}\"}}\n", "some words ".repeat(100 + 20 * file));
            write_atomic(folder.path().join(format!("d/{file:03}.jsonl")), (0..100).map(line).collect::<String>())
                .unwrap();
        }
        let text = "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[tokenize]\nvocab_size = 300\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n\
                    [train]\nbudget_tokens = 100000\n";
        let recipe = Recipe::parse(&folder.path().join("r.toml"), text).unwrap();
        (folder, recipe)
    }

    #[test]
    fn parts_of_a_large_corpus_stand_for_all_of_it() {
        let (_folder, recipe) = corpus(40);
        let all = survey_with(&recipe, LOOK, &Silent).unwrap();
        assert!(all.whole && all.documents == 4000.0, "{all:?}");
        let look = Look { bytes: 2_400_000, text: u64::MAX, files: 8, sample: 100_000 };
        let parts = survey_with(&recipe, look, &Silent).unwrap();
        assert!(!parts.whole);
        // Files of all kinds are looked at, so that means are about those of all.
        assert!((parts.documents / 4000.0 - 1.0).abs() < 0.25, "{parts:?}");
        assert!((parts.bytes_per_document / all.bytes_per_document - 1.0).abs() < 0.25, "{parts:?} {all:?}");
    }

    #[test]
    fn pieces_and_a_limit_are_what_is_counted() {
        let (_folder, mut recipe) = corpus(2);
        let whole = survey_with(&recipe, LOOK, &Silent).unwrap();
        recipe.corpus.chunk_tokens = Some(64);
        let cut = survey_with(&recipe, LOOK, &Silent).unwrap();
        // Documents of 1,100 and 1,320 bytes, and pieces of 189 at most.
        assert!((1300.0..1500.0).contains(&cut.documents), "{cut:?}");
        let text = |survey: &Survey| survey.documents * survey.bytes_per_document;
        assert!((text(&cut) - text(&whole)).abs() < 1.0, "{cut:?} {whole:?}");
        recipe.corpus.limit = Some(50);
        assert_eq!(survey_with(&recipe, LOOK, &Silent).unwrap().documents, 50.0);
    }

    #[test]
    fn no_more_is_read_than_a_look_allows() {
        let (_folder, recipe) = corpus(40);
        let files = expand(&[recipe.at(Path::new("d"))], &Silent).unwrap();
        let look = Look { bytes: 50_000, text: u64::MAX, files: 1, sample: 100 };
        let mut read = Read::default();
        assert!(!read.files(&recipe, &files, look, &Silent).unwrap());
        // One buffer of the reader is read ahead.
        assert!(read.bytes < 50_000 + (1 << 18) && read.text < read.bytes, "{} {}", read.bytes, read.text);
        let mut read = Read::default();
        assert!(!read.files(&recipe, &files, Look { text: 1000, ..look }, &Silent).unwrap());
        assert!(read.text < 1000 + 1200, "{}", read.text);
    }

    #[test]
    fn a_share_of_long_documents_is_told_by_the_sample() {
        let (_folder, recipe) = corpus(2);
        let survey = Survey { sampled_tokens: vec![10, 20, 20, 30], ..survey_with(&recipe, LOOK, &Silent).unwrap() };
        assert_eq!([9, 10, 20, 30].map(|tokens| survey.longer_than(tokens)), [1.0, 0.75, 0.25, 0.0]);
    }
}
