//! The terminal's view: columns side by side where there is room for them, one below the other where there is not.

use cognate_base::terminal::{columns as columns_of, visible, wrapped};
use cognate_results::{Inspected, Inspection};

use super::{Column, columns, summary};

/// Between two columns.
const BETWEEN: &str = " │ ";
const BETWEEN_WIDTH: usize = 3;
/// Narrower columns are no pleasure to read: three of them need 90 columns of the terminal, two need 59.
const LEAST_COLUMN: usize = 28;
/// A narrower terminal is taken for one of this width.
const LEAST_WIDTH: usize = 20;

/// The documents as text of lines of at most `width` columns (20 at least). Nothing is said by colour.
#[must_use]
pub fn inspection_text(inspection: &Inspection, width: usize) -> String {
    let width = width.max(LEAST_WIDTH);
    let mut lines = wrapped(&summary(inspection), width);
    for (at, document) in inspection.documents.iter().enumerate() {
        lines.push(String::new());
        let head = format!("[{} of {}] {} ", at + 1, inspection.documents.len(), visible(&document.synthetic.id));
        let head = wrapped(&head, width);
        let used = head.last().map_or(0, |line| columns_of(line));
        lines.extend(head);
        if let Some(line) = lines.last_mut().filter(|_| used + 2 < width) {
            line.push(' ');
            line.push_str(&"─".repeat(width - used - 1));
        }
        lines.extend(of_document(document, inspection.with_neighbours, width));
    }
    let mut out = String::new();
    for line in lines {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn of_document(document: &Inspected, with_neighbour: bool, width: usize) -> Vec<String> {
    let columns = columns(document, with_neighbour);
    let each = (width + BETWEEN_WIDTH) / columns.len() - BETWEEN_WIDTH;
    if each < LEAST_COLUMN { stacked(&columns, width) } else { beside(&columns, each) }
}

fn stacked(columns: &[Column<'_>], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            lines.push(String::new());
        }
        lines.extend(head(column, width));
        lines.push(String::new());
        lines.extend(body(column, width));
    }
    lines
}

fn beside(columns: &[Column<'_>], each: usize) -> Vec<String> {
    let heads: Vec<Vec<String>> = columns.iter().map(|column| head(column, each)).collect();
    let bodies: Vec<Vec<String>> = columns.iter().map(|column| body(column, each)).collect();
    let mut lines = joined(&heads, each);
    lines.push(vec![" ".repeat(each); columns.len()].join(BETWEEN));
    lines.extend(joined(&bodies, each));
    lines
}

/// Rows of cells that are each `each` columns wide.
fn joined(cells: &[Vec<String>], each: usize) -> Vec<String> {
    let rows = cells.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |lines: &Vec<String>, row: usize| {
        let line = lines.get(row).map_or("", String::as_str);
        format!("{line}{}", " ".repeat(each.saturating_sub(columns_of(line))))
    };
    (0..rows).map(|row| cells.iter().map(|lines| cell(lines, row)).collect::<Vec<_>>().join(BETWEEN)).collect()
}

/// Role, id and what is said about the text.
fn head(column: &Column<'_>, width: usize) -> Vec<String> {
    let mut lines = wrapped(&column.role.to_uppercase(), width);
    for fact in std::iter::once(column.id).chain(column.facts.iter().map(String::as_str)) {
        lines.extend(wrapped(fact, width));
    }
    lines
}

fn body(column: &Column<'_>, width: usize) -> Vec<String> {
    match column.text {
        Ok(text) => wrapped(text, width),
        Err(why) => wrapped(why, width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::tests::sample;

    /// What stands in a column of the lines that have three.
    fn column(text: &str, at: usize) -> String {
        let cells = text.lines().filter(|line| line.contains('│')).filter_map(|line| line.split('│').nth(at));
        cells.map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn columns_stand_side_by_side_at_90_and_one_below_the_other_at_89() {
        let inspection = sample();
        let beside = inspection_text(&inspection, 90);
        let separators =
            |line: &str| -> Vec<usize> { line.match_indices('│').map(|(at, _)| columns_of(&line[..at])).collect() };
        let rows: Vec<Vec<usize>> = beside.lines().map(separators).filter(|found| !found.is_empty()).collect();
        assert!(rows.len() > 20 && rows.iter().all(|found| *found == [29, 60]), "{rows:?}\n{beside}");
        for (at, role, text) in [
            (0, "SEED D1", &inspection.documents[0].seed.as_ref().unwrap().text),
            (1, "SYNTHETIC D2", &inspection.documents[0].synthetic.text),
            (2, "TRUE NEIGHBOUR D2", &inspection.documents[0].neighbour.as_ref().unwrap().text),
        ] {
            let found = column(&beside, at);
            assert!(found.starts_with(role), "{found}");
            // Words are kept whole, but for those wider than a column.
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            assert!(squeezed(&found).contains(&squeezed(&visible(text))), "{text}\n{found}");
        }
        let stacked = inspection_text(&inspection, 89);
        assert!(!stacked.contains('│'));
        let places =
            ["\nSEED D1\n", "\nSYNTHETIC D2\n", "\nTRUE NEIGHBOUR D2\n"].map(|role| stacked.find(role).unwrap());
        assert!(places.is_sorted(), "{stacked}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_character_steers_it() {
        for width in [1, 20, 33, 59, 89, 90, 91, 131, 250] {
            let text = inspection_text(&sample(), width);
            for line in text.lines() {
                assert!(columns_of(line) <= width.max(20), "{width}: {line}");
            }
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\t']), "{text}");
        }
    }
}
