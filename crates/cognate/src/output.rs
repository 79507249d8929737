//! All that the program prints, data to stdout and the rest to stderr: nothing else here may write to either. What would steer
//! a terminal is made harmless on its way, wherever it came from: names of files and tensors, documents, reports of others,
//! servers' answers.

#![allow(clippy::print_stderr, reason = "the one place that prints")]

use std::io::{self, ErrorKind, Write as _};

use cognate_base::terminal::{steers, visible};
use serde::Serialize;

/// Writes text for people to stdout. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn text(text: &str) -> io::Result<()> {
    write(&visible(text))
}

/// Writes one JSON value on one line to stdout.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut line = inert_json(&serde_json::to_string(value)?);
    line.push('\n');
    write(&line)
}

/// Writes a line to stderr.
pub(crate) fn tell(line: &str) {
    eprintln!("{}", visible_line(line));
}

/// Writes a message to stderr that may have several lines, each but the first set off: nothing in it can pass for a line of ours.
pub(crate) fn tell_message(message: &str) {
    eprintln!("{}", visible(message).trim_end().replace('\n', "\n  "));
}

/// One line of text without what would steer a terminal.
pub(crate) fn visible_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], "\u{fffd}")
}

/// JSON that means the same: what steers a terminal, which JSON lets stand in strings, as escapes.
fn inert_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            // All of these are below U+10000.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_a_terminal_steers_nothing_and_means_the_same() {
        let hostile = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2066}é\u{200d}\n\"\\";
        let shown = inert_json(&serde_json::to_string(hostile).unwrap());
        assert_eq!(shown, r#""a\u001b[2J\u007f\u009b31m\u202e\u2066é"#.to_owned() + "\u{200d}\\n\\\"\\\\\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), hostile);
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(visible_line("a\nhint: b\tc\u{9b}"), "a\u{fffd}hint: b\u{fffd}c\u{fffd}");
    }
}
