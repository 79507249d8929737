//! A look at the corpus: how many documents, how long, how many tokens.

use std::path::Path;
use std::time::{Duration, Instant};

use cognate_base::{Monitor, Unit};
use cognate_corpus::input::{Input, expand};
use cognate_corpus::pieces::{Cutter, TOKEN_BYTES};
use cognate_corpus::{Document, Metadata, Origin, Reader, Tokenizer};
use cognate_worlds::{Dials, Split, World};

use crate::error::Result;
use crate::estimate::Survey;
use crate::recipe::Recipe;
use crate::stages::ingest::read_options;
use crate::world_files::file_of;

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
    /// How long documents of a world are made, beyond the first of each split.
    making: Duration,
}

impl Look {
    /// One of `of` equal parts.
    fn part(self, of: usize) -> Self {
        let n = of.max(1) as u64;
        Self {
            bytes: self.bytes / n,
            text: self.text / n,
            files: 1,
            sample: self.sample / of.max(1),
            making: self.making.div_f64(n as f64),
        }
    }
}

/// Bytes that are cut beyond a sample, so that the last piece in it is a whole one.
const LAST_CUT: usize = 64 << 10;

const LOOK: Look =
    Look { bytes: 64 << 20, text: 256 << 20, files: 16, sample: 2 << 20, making: Duration::from_secs(4) };

/// Reads the corpus, or parts of it where it is large, and tokenizes a sample.
pub(crate) fn survey(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Survey> {
    survey_with(recipe, LOOK, monitor)
}

fn survey_with(recipe: &Recipe, look: Look, monitor: &dyn Monitor) -> Result<Survey> {
    if let Some(dials) = &recipe.corpus.world {
        return made(recipe, dials, look, monitor);
    }
    let paths: Vec<_> = recipe.corpus.paths.iter().map(|path| recipe.at(path)).collect();
    let files = expand(&paths, monitor)?;
    let total = files.iter().map(|file| Ok(fs_err::metadata(&*file.path)?.len())).sum::<Result<u64>>()?;
    let mut read = Read::of(recipe)?;
    monitor.begin("plan: reading documents", Some(total.min(look.bytes)), Unit::Bytes);
    let whole = total <= look.bytes && read.files(recipe, &files, look, monitor)?;
    let mut stands_for = Totals { bytes: 1.0, documents: read.documents, text: read.text as f64 };
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
            stands_for.documents += times * (read.documents - before.0);
            stands_for.text += times * (read.text - before.1) as f64;
        }
    }
    monitor.end();
    if read.documents == 0.0 {
        let inputs: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(cognate_corpus::Error::EmptyCorpus {
            inputs: inputs.join(", "),
            rejected: read.rejected,
            without_text: read.without_text,
        }
        .into());
    }
    let times = if whole { 1.0 } else { total as f64 / stands_for.bytes.max(1.0) };
    told(recipe, read, (stands_for, times), (total as f64, whole), monitor)
}

/// A look at a made corpus, of which documents of each split are made; of a large world by a smaller one.
fn made(recipe: &Recipe, dials: &Dials, look: Look, monitor: &dyn Monitor) -> Result<Survey> {
    let smaller = dials.smaller();
    let world = World::new(&smaller, recipe.seed, monitor)?;
    let mut read = Read::default();
    let origin = |split: Split, row: usize| Origin { file: Path::new(&file_of(split)).into(), row: row as u64 + 1 };
    let (mut stands_for, mut whole) = (Totals { bytes: 1.0, ..Totals::default() }, smaller == *dials);
    for split in Split::ALL {
        let most = look.part(Split::ALL.len());
        let (before, sample) = (read.text, read.sampled + most.sample);
        let (since, mut documents) = (Instant::now(), 0);
        for (row, document) in world.documents(split).enumerate() {
            if read.text - before > most.text || (documents > 0 && since.elapsed() > most.making) {
                whole = false;
                break;
            }
            monitor.check()?;
            let cognate_worlds::Document { id, text, .. } = document;
            read.text += text.len() as u64;
            let document = Document { id, text, group: None, metadata: Metadata::default() };
            read.take(&origin(split, row), document, sample, monitor)?;
            documents += 1;
        }
        stands_for.documents += dials.count(split) as f64;
        let mean = (read.text - before) as f64 / f64::from(documents.max(1));
        stands_for.text += mean * dials.count(split) as f64;
    }
    let bytes = stands_for.text;
    told(recipe, read, (stands_for, 1.0), (bytes, whole), monitor)
}

/// What is known of a corpus of which so much was read: `stands_for` so many documents, the whole being `times` as many, in files of `bytes`.
fn told(
    recipe: &Recipe,
    read: Read,
    (stands_for, times): (Totals, f64),
    (bytes, whole): (f64, bool),
    monitor: &dyn Monitor,
) -> Result<Survey> {
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
    let encoded = tokenizer.encode_batch(&texts).map_err(|problem| read.of_document(&tokenizer, problem))?;
    let mut sampled_tokens: Vec<usize> = encoded.iter().map(|tokens| tokens.len() + 1).collect();
    let encode_s = since.elapsed().as_secs_f64();
    sampled_tokens.sort_unstable();
    let tokens: usize = sampled_tokens.iter().sum();
    let sampled = read.sampled as f64;
    let bytes_per_document = stands_for.text / stands_for.documents;
    let all_documents = stands_for.documents * times;
    Ok(Survey {
        documents: recipe.corpus.limit.map_or(f64::INFINITY, |limit| limit as f64).min(all_documents),
        all_documents,
        file_bytes: bytes,
        bytes_per_document,
        tokens_per_document: bytes_per_document * tokens as f64 / sampled.max(1.0),
        sampled_tokens,
        vocabulary: recipe.tokenize.vocab_size.unwrap_or_else(|| tokenizer.vocab_size()),
        encode_bytes_per_s: sampled / encode_s.max(1e-9),
        cut_bytes_per_s: match read.cutter {
            Some(_) => read.cut as f64 / read.cut_s.max(1e-9),
            None => f64::INFINITY,
        },
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
    /// Bytes of text that were cut, and the seconds that it took.
    cut: usize,
    cut_s: f64,
    /// Of those that are long enough to be cut, the bytes and the pieces.
    long: (usize, usize),
    /// Documents; pieces beyond the sample are reckoned by the length of those in it.
    documents: f64,
    rejected: u64,
    without_text: u64,
    /// Bytes of the files.
    bytes: u64,
    /// Bytes of texts.
    text: u64,
    sampled: usize,
    sample: Vec<String>,
    /// Where each of the sample stands, and its identifier.
    places: Vec<(Origin, String)>,
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
            let (origin, document) = record?;
            if !document.has_text() {
                self.without_text += 1;
                continue;
            }
            let len = document.text.len() as u64;
            (self.text, text) = (self.text + len, text + len);
            self.take(&origin, document, sample, monitor)?;
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

    /// Counts a document, and takes it into the sample while that has less than `sample` bytes. No more than that is cut: what follows is
    /// like it.
    fn take(&mut self, origin: &Origin, document: Document, sample: usize, monitor: &dyn Monitor) -> Result<()> {
        let Document { id, text, .. } = document;
        let left = sample.saturating_sub(self.sampled);
        let Some(cutter) = &self.cutter else {
            self.documents += 1.0;
            if left > 0 {
                self.sampled += text.len();
                self.sample.push(text);
                self.places.push((origin.clone(), id));
            }
            return Ok(());
        };
        let begin = &text[..text.floor_char_boundary(left.saturating_add(LAST_CUT))];
        if left == 0 {
            self.documents += (text.len() as f64 / self.piece(cutter)).max(1.0).ceil();
            return Ok(());
        }
        let since = Instant::now();
        let ends = cutter.ends(begin, monitor).map_err(|problem| problem.of_document(origin, &id))?;
        self.cut_s += since.elapsed().as_secs_f64();
        self.cut += begin.len();
        if ends.len() > 1 {
            self.long = (self.long.0 + begin.len(), self.long.1 + ends.len());
        }
        self.documents += (ends.len() as f64 * text.len() as f64 / begin.len() as f64).ceil();
        let mut from = 0;
        for to in ends {
            if self.sampled < sample {
                self.sampled += to - from;
                self.sample.push(text[from..to].to_owned());
                self.places.push((origin.clone(), id.clone()));
            }
            from = to;
        }
        Ok(())
    }

    /// Bytes of a piece of a long document.
    fn piece(&self, cutter: &Cutter) -> f64 {
        match self.long {
            (_, 0) => (cutter.tokens * TOKEN_BYTES) as f64,
            (bytes, pieces) => bytes as f64 / pieces as f64,
        }
    }

    /// The error of the sample's text that `tokenizer` does not take, with its place.
    fn of_document(&self, tokenizer: &Tokenizer, problem: cognate_corpus::Error) -> cognate_corpus::Error {
        let found = self.sample.iter().zip(&self.places).find(|(text, _)| tokenizer.encode(text).is_err());
        match found {
            Some((_, (origin, id))) => problem.of_document(origin, id),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use cognate_base::files::write_atomic;

    use super::*;

    const MODEL: &str = "[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n";

    /// A corpus of `files` files of 100 documents each, whose documents grow from file to file, and a recipe that names it.
    fn corpus(files: usize) -> (tempfile::TempDir, Recipe) {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..files {
            let line =
                |i| format!("{{\"id\": \"{file}-{i}\", \"text\": \"{}\"}}\n", "some words ".repeat(100 + 20 * file));
            write_atomic(folder.path().join(format!("d/{file:03}.jsonl")), (0..100).map(line).collect::<String>())
                .unwrap();
        }
        let text = format!("name = \"a\"\n[corpus]\npaths = [\"d\"]\n[tokenize]\nvocab_size = 300\n{MODEL}");
        let recipe = Recipe::parse(&folder.path().join("r.toml"), &text).unwrap();
        (folder, recipe)
    }

    #[test]
    fn parts_of_a_large_corpus_stand_for_all_of_it() {
        let (_folder, recipe) = corpus(40);
        let all = survey_with(&recipe, LOOK, &Silent).unwrap();
        assert!(all.whole && all.documents == 4000.0, "{all:?}");
        let look = Look { bytes: 2_400_000, text: u64::MAX, files: 8, sample: 100_000, ..LOOK };
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
        let limited = survey_with(&recipe, LOOK, &Silent).unwrap();
        assert_eq!((limited.documents, limited.all_documents), (50.0, cut.documents));
    }

    #[test]
    fn no_more_is_cut_than_the_sample_and_the_rest_is_like_it() {
        let (folder, mut recipe) = corpus(10);
        let long = format!("{{\"id\": \"long\", \"text\": \"{}\"}}\n", "some words ".repeat(100_000));
        write_atomic(folder.path().join("d/000.jsonl"), long).unwrap();
        recipe.corpus.chunk_tokens = Some(64);
        let files = expand(&[recipe.at(Path::new("d"))], &Silent).unwrap();
        let of = |sample: usize| {
            let mut read = Read::of(&recipe).unwrap();
            read.files(&recipe, &files, Look { sample, ..LOOK }, &Silent).unwrap();
            read
        };
        let (all, part) = (of(usize::MAX / 2), of(10_000));
        assert!(all.cut as u64 == all.text && part.text == all.text, "{} {}", all.cut, all.text);
        assert!(part.cut <= 10_000 + LAST_CUT, "{}", part.cut);
        assert!((part.documents / all.documents - 1.0).abs() < 0.1, "{} {}", part.documents, all.documents);
    }

    #[test]
    fn no_more_is_read_than_a_look_allows() {
        let (_folder, recipe) = corpus(40);
        let files = expand(&[recipe.at(Path::new("d"))], &Silent).unwrap();
        let look = Look { bytes: 50_000, text: u64::MAX, files: 1, sample: 100, ..LOOK };
        let mut read = Read::default();
        assert!(!read.files(&recipe, &files, look, &Silent).unwrap());
        // One buffer of the reader is read ahead.
        assert!(read.bytes < 50_000 + (1 << 18) && read.text < read.bytes, "{} {}", read.bytes, read.text);
        let mut read = Read::default();
        assert!(!read.files(&recipe, &files, Look { text: 1000, ..look }, &Silent).unwrap());
        assert!(read.text < 1000 + 1200, "{}", read.text);
    }

    #[test]
    fn a_large_world_is_surveyed_by_a_smaller_one_and_no_longer_than_a_look_allows() {
        let (folder, _) = corpus(1);
        let of = |world: &str| {
            let text = format!("name = \"c\"\n[corpus]\nworld = {{ {world} }}\n[tokenize]\nvocab_size = 300\n");
            Recipe::parse(&folder.path().join("w.toml"), &format!("{text}{MODEL}")).unwrap()
        };
        let people = of("name = \"biographies\", people = 2_000_000, oracle_tellings = 1, first_names = 600");
        let look = Look { text: 400_000, sample: 40_000, ..LOOK };
        let large = survey_with(&people, look, &Silent).unwrap();
        assert!(!large.whole);
        // 500,000 people once and 1,500,000 twice, and thrice everybody.
        assert_eq!(large.documents, 500_000.0 + 3_000_000.0 + 3.0 * 2_000_000.0);
        assert!((300.0..500.0).contains(&large.bytes_per_document), "{}", large.bytes_per_document);
        // Without time, one document of each split is made, and nothing is said to be whole.
        let small = of("name = \"ginc\", unique_documents = 300");
        let whole = survey_with(&small, LOOK, &Silent).unwrap();
        let hasty = survey_with(&small, Look { making: Duration::ZERO, ..LOOK }, &Silent).unwrap();
        assert!(whole.whole && !hasty.whole && hasty.documents == whole.documents);
        assert_eq!(hasty.sampled_tokens.len(), 4);
        assert!(whole.sampled_tokens.len() > 300);
    }

    #[test]
    fn a_share_of_long_documents_is_told_by_the_sample() {
        let (_folder, recipe) = corpus(2);
        let survey = Survey { sampled_tokens: vec![10, 20, 20, 30], ..survey_with(&recipe, LOOK, &Silent).unwrap() };
        assert_eq!([9, 10, 20, 30].map(|tokens| survey.longer_than(tokens)), [1.0, 0.75, 0.25, 0.0]);
    }
}
