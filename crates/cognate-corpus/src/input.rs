//! Which files are read, in which order, and what their documents are called that bring no identifier.
//!
//! A folder stands for the data in it and below it. What data sets have beside their data (cards, licences, checksums,
//! lists of files) is passed over, and so is everything whose name begins with a dot or an underscore.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cognate_base::Monitor;

use crate::error::{Error, Result};
use crate::unpack::{Container, Unpacked};

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: Arc<Path>,
    /// What its documents are called after: the path below the folder that was given, or the file's own name, without
    /// the endings of packing and of record formats. Where two inputs would have one name, as many folders around the
    /// inputs stand before it as tell them apart. So it does not depend on where the inputs lie.
    pub name: Arc<str>,
}

impl AsRef<Path> for Input {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Input {
    /// The identifier of a record that brings none: `<name>:<row>`.
    pub fn derived_id(&self, row: u64) -> String {
        format!("{}:{row}", self.name)
    }
}

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// JSON Lines or Parquet by a name that nothing else has.
    Records,
    /// JSON, which may be records and may be anything.
    Json,
    /// CSV, with commas, or TSV, with tabs.
    Table(u8),
    /// Text.
    Text,
    /// The name does not say; the content may.
    Unknown,
    /// No data, by its name.
    Beside,
}

/// The endings of packed files.
const PACKED: [&str; 2] = [".gz", ".zst"];
/// The endings of files of records.
const RECORDS: [(&str, Kind); 8] = [
    (".jsonl", Kind::Records),
    (".ndjson", Kind::Records),
    (".jsonlines", Kind::Records),
    (".jl", Kind::Records),
    (".parquet", Kind::Records),
    (".json", Kind::Json),
    (".csv", Kind::Table(b',')),
    (".tsv", Kind::Table(b'\t')),
];

/// A file's name without `.gz` or `.zst`.
fn unpacked_name(name: &str) -> &str {
    PACKED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// A file's name without `.gz` or `.zst`, then without the ending of a format of records: packing a file does not rename
/// its documents. A text file keeps its `.txt`: the name is all that tells which document it is.
fn stem(name: &str) -> &str {
    let name = unpacked_name(name);
    RECORDS.iter().find_map(|(ending, _)| name.strip_suffix(ending)).unwrap_or(name)
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = unpacked_name(&name).to_lowercase();
        match RECORDS.iter().find(|(ending, _)| name.ends_with(ending)) {
            Some((_, kind)) => *kind,
            None if name.ends_with(".txt") => Self::Text,
            None => Self::Unknown,
        }
    }

    /// The same of a file in a folder, where some names are known to be no data.
    fn in_folder(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let words: Vec<&str> = name.split(['.', '-', '_']).collect();
        let is_about = |word: &str| ABOUT.contains(&word) || word.ends_with("sum") || word.ends_with("sums");
        match Self::of(path) {
            Self::Json if ABOUT_JSON.contains(&&*name) => Self::Beside,
            Self::Text if words.first().is_some_and(|word| is_about(word)) => Self::Beside,
            Self::Unknown if name.ends_with(".md") || name.ends_with(".py") => Self::Beside,
            kind => kind,
        }
    }

    /// How a warning calls files of this kind.
    fn name(self) -> &'static str {
        match self {
            Self::Records => "JSON Lines or Parquet",
            Self::Json => ".json",
            Self::Table(_) => ".csv or .tsv",
            Self::Text => ".txt",
            Self::Unknown | Self::Beside => "other",
        }
    }
}

/// First words of the names of text files that are about a data set.
const ABOUT: [&str; 12] = [
    "readme",
    "license",
    "licence",
    "copying",
    "notice",
    "changelog",
    "citation",
    "authors",
    "requirements",
    "checksums",
    "checksum",
    "manifest",
];
/// Files of JSON that are about a data set.
const ABOUT_JSON: [&str; 9] = [
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
    "config.json",
    "croissant.json",
    "manifest.json",
    "metadata.json",
    "package.json",
];

/// A file, before it has its name.
struct Found {
    path: PathBuf,
    /// The folders between the folder that was given and the file.
    below: Vec<String>,
}

/// The files that `paths` stand for, in the order in which they are read: files as given, folders as the data in them and
/// below them, by name.
///
/// # Errors
/// When a path does not exist or is neither file nor folder, when one file is given twice, when a folder holds no data, or
/// the user interrupts.
pub fn expand(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<Input>> {
    let mut found = Vec::new();
    for path in paths {
        match fs_err::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: path.clone() });
            }
            Err(error) => return Err(error.into()),
            Ok(kind) if kind.is_dir() => found.extend(Folder::read(path, monitor)?),
            Ok(kind) if kind.is_file() => found.push(Found { path: path.clone(), below: Vec::new() }),
            Ok(_) => return Err(Error::NotAFile { path: path.clone() }),
        }
    }
    named(found)
}

/// What a folder and those below it hold.
struct Folder<'m> {
    monitor: &'m dyn Monitor,
    /// Folders that were read, as they are without links: a link back into one of them is a loop, or leads to what is read
    /// anyway.
    seen: HashSet<PathBuf>,
    files: Vec<(Kind, Found)>,
    /// Names that begin with a dot or an underscore, and what is neither file nor folder.
    passed: Vec<PathBuf>,
}

impl<'m> Folder<'m> {
    fn read(path: &Path, monitor: &'m dyn Monitor) -> Result<Vec<Found>> {
        let mut folder = Self { monitor, seen: HashSet::new(), files: Vec::new(), passed: Vec::new() };
        folder.visit(path, &[])?;
        folder.data(path)
    }

    fn visit(&mut self, path: &Path, below: &[String]) -> Result<()> {
        if !self.seen.insert(fs_err::canonicalize(path)?) {
            tracing::warn!("{} leads to a folder that is read already: passed over", path.display());
            return Ok(());
        }
        let mut entries = Vec::new();
        for entry in fs_err::read_dir(path)? {
            self.monitor.check()?;
            entries.push(entry?.path());
        }
        entries.sort();
        for entry in entries {
            self.monitor.check()?;
            let name = entry.file_name().unwrap_or_default();
            if matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')) {
                self.passed.push(entry);
                continue;
            }
            match fs_err::metadata(&entry) {
                Ok(kind) if kind.is_dir() && is_run(&entry) => {
                    tracing::warn!("{} is a run of Cognate: passed over", entry.display());
                    self.passed.push(entry);
                }
                Ok(kind) if kind.is_dir() => self.visit(&entry, &[below, &[name.to_string_lossy().into()]].concat())?,
                Ok(kind) if kind.is_file() => {
                    self.files.push((Kind::in_folder(&entry), Found { path: entry, below: below.to_vec() }));
                }
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                // A link that leads nowhere, a pipe, a socket: what is called data must not be missing unnoticed.
                Ok(_) if Kind::in_folder(&entry) < Kind::Unknown => return Err(Error::NotAFile { path: entry }),
                Err(_) if Kind::in_folder(&entry) < Kind::Unknown => return Err(Error::BrokenLink { path: entry }),
                _ => self.passed.push(entry),
            }
        }
        Ok(())
    }

    /// The files that are read: those of the surest kind that there is.
    fn data(self, path: &Path) -> Result<Vec<Found>> {
        let Self { monitor, mut files, passed, .. } = self;
        let order = |kind: Kind| if let Kind::Table(_) = kind { Kind::Table(0) } else { kind };
        let mut surest = files.iter().map(|(kind, _)| order(*kind)).min().unwrap_or(Kind::Beside);
        if surest == Kind::Unknown {
            for (kind, found) in &mut files {
                if *kind == Kind::Unknown && !holds_records(&found.path, monitor)? {
                    *kind = Kind::Beside;
                }
            }
            surest = files.iter().map(|(kind, _)| *kind).min().unwrap_or(Kind::Beside);
        }
        let (data, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(kind, _)| order(*kind) == surest);
        if surest == Kind::Beside {
            let seen = data.iter().map(|(_, found)| &found.path).chain(&passed);
            return Err(Error::NothingToRead { path: path.to_path_buf(), seen: listed(path, seen) });
        }
        for kind in [Kind::Json, Kind::Table(0), Kind::Text] {
            let n = others.iter().filter(|(other, _)| order(*other) == kind).count();
            if n > 0 {
                let (path, name, surest) = (path.display(), kind.name(), surest.name());
                tracing::warn!(
                    "{path}: {n} {name} files beside {surest} are passed over; name them where they are meant"
                );
            }
        }
        let beside = others.iter().map(|(_, found)| &found.path).chain(&passed);
        if others.len() + passed.len() > 0 {
            tracing::debug!("{}: passed over: {}", path.display(), listed(path, beside));
        }
        Ok(data.into_iter().map(|(_, found)| found).collect())
    }
}

/// Whether a folder is a run's: what it holds was made of documents that may lie beside it. Only one at work has a lock; one that
/// is not has begun its first stage at least, or it holds no documents yet.
fn is_run(folder: &Path) -> bool {
    const OF_RUNS: [&str; 3] = ["lock", "ingest/manifest.json", "ingest/started.json"];
    folder.join("recipe.toml").is_file() && OF_RUNS.iter().any(|name| folder.join(name).is_file())
}

/// Some paths below a folder, in words.
fn listed<'a>(folder: &Path, paths: impl Iterator<Item = &'a PathBuf>) -> String {
    const NAMED: usize = 8;
    let mut names: Vec<String> =
        paths.map(|path| path.strip_prefix(folder).unwrap_or(path).display().to_string()).collect();
    names.sort();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => "nothing".to_owned(),
        (_, 0) => names.join(", "),
        _ => format!("{}, and {more} more", names.join(", ")),
    }
}

/// Whether a file whose name says nothing is Parquet, or begins like an object of JSON.
fn holds_records(path: &Path, monitor: &dyn Monitor) -> Result<bool> {
    let Ok(mut file) = Unpacked::open(Arc::from(path), &Arc::default(), monitor) else { return Ok(false) };
    if file.container == Container::Parquet {
        return Ok(true);
    }
    let start = match file.fill(0) {
        Ok(start) => start,
        Err(Error::Interrupted(error)) => return Err(error.into()),
        Err(_) => return Ok(false),
    };
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    Ok(start.strip_prefix(b"{").is_some_and(|object| object.trim_ascii_start().starts_with(b"\"")))
}

/// Gives every file its name.
fn named(found: Vec<Found>) -> Result<Vec<Input>> {
    let mut files = Vec::with_capacity(found.len());
    let mut seen = HashSet::new();
    for Found { path, below } in found {
        let place = place(&path)?;
        if !seen.insert(place.clone()) {
            return Err(Error::GivenTwice { path });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The folders around what was given, the nearest last.
        let around = place[..place.len().saturating_sub(below.len() + 1)].to_vec();
        files.push((path, below, around, name));
    }
    // `a.jsonl` and `a.json` in one folder keep their endings.
    let mut stems: HashMap<(&[String], &[String], &str), usize> = HashMap::new();
    for (_, below, around, name) in &files {
        *stems.entry((around, below, stem(name))).or_default() += 1;
    }
    let mut names: Vec<(String, &[String])> = files
        .iter()
        .map(|(_, below, around, name)| {
            let is_alone = stems[&(&**around, &**below, stem(name))] == 1;
            let last = if is_alone { stem(name) } else { name };
            let parts: Vec<&str> = below.iter().map(String::as_str).chain([last]).collect();
            (parts.join("/"), &**around)
        })
        .collect();
    // One more folder for all that have one name, until none have or there are no more folders.
    loop {
        let mut bearers: HashMap<String, usize> = HashMap::new();
        names.iter().for_each(|(name, _)| *bearers.entry(name.clone()).or_default() += 1);
        let mut is_changed = false;
        for (name, around) in &mut names {
            if bearers[name] > 1
                && let Some((nearest, further)) = around.split_last()
            {
                (*name, *around) = (format!("{nearest}/{name}"), further);
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    let names: Vec<Arc<str>> = names.into_iter().map(|(name, _)| name.into()).collect();
    let paths = files.into_iter().map(|(path, ..)| Arc::from(path));
    Ok(paths.zip(names).map(|(path, name)| Input { path, name }).collect())
}

/// Where a path lies, from the root, by the names it is given with: links stay, `.` and `..` go.
fn place(path: &Path) -> Result<Vec<String>> {
    let mut place: Vec<String> = Vec::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::Normal(name) => place.push(OsStr::to_string_lossy(name).into_owned()),
            Component::ParentDir => drop(place.pop()),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[(&str, &[&str])]) -> Vec<String> {
        let found = paths.iter().map(|(path, below)| Found {
            path: PathBuf::from(path),
            below: below.iter().map(|name| (*name).to_owned()).collect(),
        });
        named(found.collect()).unwrap().iter().map(|input| input.name.to_string()).collect()
    }

    #[test]
    fn packing_a_file_does_not_rename_its_documents() {
        for name in
            ["a/news.v1.jsonl", "news.v1.jsonl.gz", "news.v1.json.zst", "news.v1.parquet", "news.v1", "news.v1.csv"]
        {
            assert_eq!(names(&[(name, &[])]), ["news.v1"], "{name}");
        }
        assert_eq!(names(&[("notes/a.txt.gz", &[])]), ["a.txt"]);
    }

    #[test]
    fn names_are_paths_below_what_was_given_and_longer_only_where_they_must_be() {
        assert_eq!(names(&[("x/d/e/a.jsonl", &["d", "e"]), ("x/b.jsonl", &[])]), ["d/e/a", "b"]);
        let two = ["2024-10/000", "2024-18/000"];
        assert_eq!(names(&[("/v/2024-10/000.jsonl", &[]), ("/v/2024-18/000.jsonl", &[])]), two);
        assert_eq!(names(&[("2024-10/./000.jsonl", &[]), ("b/../2024-18/000.jsonl", &[])]), two);
        // In any order, and however deep the difference lies.
        assert_eq!(
            names(&[("/v/b/x/a.jsonl", &[]), ("/v/c.jsonl", &[]), ("/v/a/x/a.jsonl", &[])]),
            ["b/x/a", "c", "a/x/a"]
        );
        // A name that another one grows into grows too.
        assert_eq!(
            names(&[("/v/p/a.jsonl", &[]), ("/v/q/a.jsonl", &[]), ("/w/p/a.json", &["p"])]),
            ["v/p/a", "q/a", "w/p/a"]
        );
    }

    #[test]
    fn two_formats_of_one_name_keep_their_endings() {
        assert_eq!(
            names(&[("/v/a.json", &[]), ("/v/a.jsonl.gz", &[]), ("/v/b.json", &[])]),
            ["a.json", "a.jsonl.gz", "b"]
        );
    }
}
