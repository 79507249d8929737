//! The closing table: the answer in plain text, at most 80 columns wide.

use cognate_base::terminal::wrapped;
use cognate_results::Report;
use cognate_results::numbers::{decimals, nats, or_none, significant, tokens};

use super::answer::answer;
use super::charts::clip;
use super::html::unfinished;

/// Columns of a terminal that nobody has widened.
const WIDTH: usize = 80;
/// Longest arm name shown.
const NAME: usize = 16;

/// The arms with their scores, and the answer in words: lines of at most 80 characters, with a final line break.
#[must_use]
pub fn closing_table(report: &Report) -> String {
    let header = ["arm", "seed", "nats/token", "perplexity", "bits/byte", "tokens", "synthetic"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(report.arms.iter().map(|arm| {
        [
            clip(&arm.name, NAME),
            arm.seed.to_string(),
            nats(arm.validation.nats_per_token),
            significant(arm.validation.perplexity, 4),
            decimals(arm.validation.bits_per_byte, 3),
            tokens(arm.train_tokens),
            or_none(arm.synthetic_tokens == 0, tokens(arm.synthetic_tokens)),
        ]
    }));
    let mut out = String::new();
    if !report.arms.is_empty() {
        write_aligned(&mut out, &rows);
        out.push('\n');
    }
    for text in answer(report).parts().chain([unfinished(report)]) {
        write_wrapped(&mut out, &text);
    }
    // A no-break space matters to wrapping, which is done, and confuses who copies from a terminal.
    out.replace('\u{a0}', " ")
}

/// The first column to the left, the others to the right, two spaces between.
fn write_aligned<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let (before, after) = if column == 0 { ("", pad.as_str()) } else { (pad.as_str(), "") };
            line.push_str(if column == 0 { "" } else { "  " });
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Breaks a text at its ordinary spaces. Nothing for an empty one.
pub(super) fn write_wrapped(out: &mut String, text: &str) {
    for line in wrapped(text, WIDTH) {
        out.push_str(&line);
        out.push('\n');
    }
}
