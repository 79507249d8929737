//! Messages in the words of the command that was called. The stages' crates name a setting as a recipe's key; where it was a flag of a
//! command on plain files, the message names the flag.

use std::ops::Range;

use clap::CommandFactory;

use crate::args::Cli;

/// What was called, as far as messages speak of it.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// The command's flags, by the keys that mean the same: `batch_tokens` for `--batch-tokens`.
    keys: Vec<String>,
    /// Words of the command line that hold more than a key could: paths, mostly. A message that repeats one means no flag by it.
    typed: Vec<String>,
}

impl Flags {
    /// Those of the command `called`, such as `["inspect", "synthetic"]`. None where a recipe's keys are meant.
    pub(crate) fn of(called: &[&str]) -> Self {
        if matches!(called, ["run" | "plan" | "report" | "status" | "watch", ..]) {
            return Self::default();
        }
        let mut command = Cli::command();
        for name in called {
            match command.find_subcommand(name) {
                Some(found) => command = found.clone(),
                None => break,
            }
        }
        let longs = command.get_arguments().filter_map(|argument| argument.get_long());
        Self { keys: longs.map(|long| long.replace('-', "_")).collect(), typed: Vec::new() }
    }

    /// Those of the command line of this process.
    pub(crate) fn called() -> Self {
        let program = Cli::command();
        // A flag of the whole program, with its value, may stand before the command.
        let typed: Vec<String> = std::env::args_os().skip(1).filter_map(|word| word.into_string().ok()).collect();
        let command = typed.iter().map(String::as_str).skip_while(|word| program.find_subcommand(word).is_none());
        Self::of(&command.take(2).collect::<Vec<_>>()).beside(typed)
    }

    /// The same with the words of the command line.
    fn beside(mut self, words: impl IntoIterator<Item = String>) -> Self {
        let value = |word: String| match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => value.to_owned(),
            _ => word,
        };
        self.typed = words.into_iter().map(value).filter(|word| word.contains(|c| !is_word(c))).collect();
        self
    }

    /// The stretches of `text` that are what somebody wrote and no words of ours: what stands in quotes, and what was typed.
    fn quoted(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut open: Option<(usize, char)> = None;
        let mut escaped = false;
        for (at, c) in text.char_indices() {
            match open {
                Some((start, quote)) if c == quote && !escaped => {
                    found.push(start..at);
                    open = None;
                }
                None if c == '"' || c == '`' => open = Some((at, c)),
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        for word in &self.typed {
            found.extend(text.match_indices(word.as_str()).map(|(at, _)| at..at + word.len()));
        }
        found
    }

    /// `text` with the command's flags in the place of keys: `[train] batch_tokens` becomes `--batch-tokens`, and `on_bad_record = "skip"`
    /// becomes `--on-bad-record skip`. A key of one word may be any word, so it counts only where a value follows. Within quotes and what was
    /// typed nothing changes.
    pub(crate) fn said(&self, text: &str) -> String {
        let quoted = self.quoted(text);
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
            let at = text.len() - from.len();
            rest = after;
            if quoted.iter().any(|range| range.contains(&at)) || !self.is_meant(word, &out, after) {
                out.push_str(word);
                continue;
            }
            without_table(&mut out);
            out.push_str(&format!("--{}", word.replace('_', "-")));
            if let Some((value, after)) = after.strip_prefix(" = \"").and_then(|value| value.split_once('"')) {
                out.push_str(&if value.is_empty() { " ''".to_owned() } else { format!(" {value}") });
                rest = after;
            }
        }
        out.push_str(rest);
        out
    }

    /// Whether `word`, between the two, names a setting.
    fn is_meant(&self, word: &str, before: &str, after: &str) -> bool {
        let beside = |c: char| "\"'`-./\\".contains(c);
        // A name and its ending: a file, in whatever folder.
        let is_file = after.strip_prefix('.').is_some_and(|ending| ending.starts_with(is_word));
        let is_key = self.keys.iter().any(|key| key == word);
        if !is_key || is_file || before.ends_with(beside) || after.starts_with(['"', '\'', '/']) {
            return false;
        }
        let has_value = || after.starts_with(" = ") || after.starts_with(" was ");
        // A value, and not what is said of a file that has the flag's name: `out is in use`.
        let value = |c: char| c.is_ascii_digit() || "-\"".contains(c);
        let is_value = || after.strip_prefix(" is ").is_some_and(|after| after.starts_with(value));
        let leads = || is_value() && (before.is_empty() || before.ends_with(": "));
        word.contains('_') || has_value() || leads() || before.ends_with("] ")
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Takes `[table] ` off the end.
fn without_table(text: &mut String) {
    if let Some(inside) = text.strip_suffix("] ")
        && let Some(at) = inside.rfind('[')
        && inside[at + 1..].chars().all(|c| c.is_ascii_lowercase())
    {
        text.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_as_it_was_given() {
        let said = |command: &str, text: &str| Flags::of(&[command]).said(text);
        assert_eq!(
            said("embed", "lower min_documents, raise max_document_share"),
            "lower --min-documents, raise --max-document-share"
        );
        assert_eq!(said("embed", "dimensions is 0, expected at least 1"), "--dimensions is 0, expected at least 1");
        assert_eq!(
            said("ingest", "a.jsonl:3: bad (on_bad_record = \"skip\" passes over such records)"),
            "a.jsonl:3: bad (--on-bad-record skip passes over such records)"
        );
        assert_eq!(
            said("train", "lower [train] budget_tokens to 8, or [model] context = 5"),
            "lower --budget-tokens to 8, or --context = 5"
        );
        assert_eq!(said("ingest", "[corpus] id_field = \"\" derives ids"), "--id-field '' derives ids");
        assert_eq!(said("tune", "rate was 0.1 and is 0.2 now"), "--rate was 0.1 and is 0.2 now");
        // Words that are words, names of files and fields, and keys that the command has no flag for.
        for text in [
            "the rate of the tokens",
            "x/max_terms.jsonl",
            "no field \"text_field\"",
            "raise [pair] held_out_share",
            "max_terms/a",
            "out is in use: process 7",
        ] {
            assert_eq!(said("embed", text), text);
        }
        assert_eq!(said("run", "lower [train] budget_tokens"), "lower [train] budget_tokens");
    }

    #[test]
    fn what_somebody_else_wrote_names_no_setting() {
        let flags = Flags::of(&["embed"])
            .beside(["embed", "a max_terms b", "--out=c min_documents.d", "max_terms"].map(str::to_owned));
        for text in [
            "no document \"the \\\"max_terms is 3\\\" one\": min_documents",
            "`max_terms is 3` is the text",
            "a max_terms b: not found",
            "c min_documents.d: a folder",
            "x/of max_terms.jsonl:3: bad",
        ] {
            let only_last = text.replace(": min_documents", ": --min-documents");
            assert_eq!(flags.said(text), only_last);
        }
        // A word that could be a key is one, typed or not, and an open quote quotes nothing.
        assert_eq!(flags.said("lower max_terms"), "lower --max-terms");
        assert_eq!(flags.said("5\" wide: lower max_terms"), "5\" wide: lower --max-terms");
    }
}
