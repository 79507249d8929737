//! Scratch folders, small corpora, and the program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder with files that is removed with it.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        cognate_base::files::write_atomic(&path, content).unwrap();
        path
    }

    /// The program, in this folder.
    pub(crate) fn cognate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cognate"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    /// What a command prints to stdout; it succeeds.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.cognate(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}\n{stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code of a command that fails, and what it prints to stderr with this folder's path taken out. Nothing
    /// goes to stdout.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.cognate(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} succeeded");
        assert!(output.stdout.is_empty(), "stdout: {}", String::from_utf8_lossy(&output.stdout));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let folder = format!("{}/", self.0.path().display());
        (output.status.code().unwrap(), stderr.replace(&folder, ""))
    }

    /// Names in a folder, sorted; empty where it is not there.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// A small corpus of made-up words: every document has one of 30 topics, whose ten words make up half of it, so that
/// related documents exist.
pub(crate) fn corpus(documents: usize) -> String {
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"];
    let word = |i: usize| format!("{}{}", syllables[i % 15], syllables[i / 15 % 15]);
    // A fixed linear congruential generator: the same corpus everywhere.
    let mut state = 12345u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut out = String::new();
    for i in 0..documents {
        let topic = next(30);
        let mut text = String::new();
        for at in 0..24 + next(16) {
            let index = if next(2) == 0 { topic * 7 + next(10) } else { next(225) };
            let end = if at % 8 == 7 { ". " } else { " " };
            text.push_str(&word(index));
            text.push_str(end);
        }
        out.push_str(&format!("{{\"id\": \"d{i}\", \"text\": \"{}\"}}\n", text.trim_end()));
    }
    out
}

/// A recipe of seconds over `documents.jsonl`, with `more` lines at its end; 1200 documents are enough for it.
pub(crate) fn recipe(more: &str) -> String {
    format!(
        "name = \"tiny\"\n[corpus]\npaths = [\"documents.jsonl\"]\nvalidation_share = 0.05\nunique_share = 0.2\n\
         contamination_words = 0\n[tokenize]\nvocab_size = 420\n[embed]\ndimensions = 32\n[pair]\nheld_out_share = \
         0.2\n[tune]\nbatch_tokens = 1024\n\
         [filter]\nmin_words = 5\n[model]\nlayers = 1\nwidth = 32\nheads = 2\ncontext = 128\n\
         [train]\nbudget_tokens = 40960\nbatch_tokens = 1024\npeak_rate = 1e-2\n{more}"
    )
}

/// The lines of a file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    fs_err::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Waits until `path` exists; false when the process has ended before.
pub(crate) fn wait_for(child: &mut Child, scratch: &Scratch, path: &str) -> bool {
    let since = Instant::now();
    while !scratch.path(path).exists() {
        assert!(since.elapsed() < Duration::from_secs(120), "{path} never came");
        if child.try_wait().unwrap().is_some() {
            return scratch.path(path).exists();
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    true
}
