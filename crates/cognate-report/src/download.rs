//! The data behind a figure or a table, as CSV inside the page: a link that saves it, with nothing fetched.

use std::fmt::Write as _;

use super::markup::Markup;

/// A table as CSV (RFC 4180, but with line feeds alone).
#[derive(Clone, Debug)]
pub(super) struct Csv {
    out: String,
}

impl Csv {
    /// Begins with the names of the columns.
    pub(super) fn new(columns: &[&str]) -> Self {
        let mut csv = Self { out: String::new() };
        csv.row(columns.iter().map(|name| (*name).to_owned()));
        csv
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            if cell.contains([',', '"', '\n', '\r']) {
                self.out.push('"');
                self.out.push_str(&cell.replace('"', "\"\""));
                self.out.push('"');
            } else {
                self.out.push_str(&cell);
            }
        }
        self.out.push('\n');
    }

    /// As a link that saves it under `name`.
    fn link(&self, page: &mut Markup, name: &str) {
        let uri = format!("data:text/csv;charset=utf-8,{}", percent_encoded(&self.out));
        page.leaf("a", &[("download", &name), ("href", &uri)], name);
    }
}

/// A number in full precision; nothing where there is none.
pub(super) fn number(value: impl Into<Option<f64>>) -> String {
    value.into().filter(|value| value.is_finite()).map_or_else(String::new, |value| value.to_string())
}

/// A line under a figure: `Data: losses.csv, …`.
pub(super) fn downloads(page: &mut Markup, tables: &[(&str, Csv)]) {
    page.element("p", &[("class", &"data")], |page| {
        page.text("Data: ");
        for (at, (name, csv)) in tables.iter().enumerate() {
            if at > 0 {
                page.text(", ");
            }
            csv.link(page, name);
        }
    });
}

/// What a URI may hold as it is stays; the rest becomes %XX (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(byte as char),
            b'-' | b'.' | b'_' | b'~' | b',' | b':' | b'/' => out.push(byte as char),
            // Writing to a String cannot fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// What a link of the page saves, by its file name.
#[cfg(test)]
pub(super) fn saved(html: &str, name: &str) -> Option<String> {
    let start = html.find(&format!("<a download=\"{name}\" href=\"data:text/csv;charset=utf-8,"))?;
    let uri = html[start..].split('"').nth(3)?.split_once("utf-8,")?.1;
    let mut bytes = Vec::new();
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| (byte as char).to_digit(16);
        bytes.push(match byte {
            b'%' => (hex(rest.next()?)? * 16 + hex(rest.next()?)?) as u8,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_from_its_link() {
        let mut csv = Csv::new(&["arm", "value"]);
        csv.row(["a, \"quoted\" <arm>\nof two lines ü%".to_owned(), number(0.1)]);
        csv.row(["b".to_owned(), number(f64::NAN)]);
        let mut page = Markup::default();
        downloads(&mut page, &[("other.csv", Csv::new(&["x"])), ("losses.csv", csv)]);
        let html = page.finish();
        let expected = "arm,value\n\"a, \"\"quoted\"\" <arm>\nof two lines ü%\",0.1\nb,\n";
        assert_eq!(saved(&html, "losses.csv").as_deref(), Some(expected), "{html}");
        assert_eq!(saved(&html, "other.csv").as_deref(), Some("x\n"));
        assert_eq!(saved(&html, "none.csv"), None);
    }
}
