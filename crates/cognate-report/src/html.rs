//! What pages are made of: the frame of a document, sections, tables, figures.
//!
//! One file, readable anywhere: style and figures are inline, nothing is fetched, no script is needed or allowed.

use std::fmt::Display;

use cognate_results::numbers::{NONE, decimals};
use cognate_results::{ARM_KINDS, GapClosed, Report};

use super::charts::{STYLES, Size};
use super::markup::Markup;

/// Even a browser that finds markup in the page which should not be there must not run or fetch anything.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A phone has room for so many columns.
const PHONE_COLUMNS: usize = 4;

/// A whole document around `content`. With `refresh_s` a browser asks for it again after so many seconds.
pub(super) fn document(
    title: &str,
    description: &str,
    refresh_s: Option<u32>,
    content: impl FnOnce(&mut Markup),
) -> String {
    let mut page = Markup::document();
    page.element("html", &[("lang", &"en")], |page| {
        page.element("head", &[], |page| {
            page.empty("meta", &[("charset", &"utf-8")]);
            page.empty("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
            page.empty("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
            page.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            page.empty("meta", &[("name", &"description"), ("content", &description)]);
            if let Some(seconds) = refresh_s {
                page.empty("meta", &[("http-equiv", &"refresh"), ("content", &seconds)]);
            }
            // Or browsers ask the server for an icon.
            page.empty("link", &[("rel", &"icon"), ("href", &"data:,")]);
            page.leaf("title", &[], title);
            page.style(include_str!("style.css"));
        });
        page.element("body", &[], |page| page.element("main", &[], content));
    });
    page.finish()
}

/// What is not there yet, in a sentence.
pub(super) fn unfinished(report: &Report) -> String {
    if report.missing.is_empty() {
        return String::new();
    }
    format!("This run is not finished. Missing: {}. What stands here is what exists.", report.missing.join(", "))
}

/// A section with its heading.
pub(super) fn section(page: &mut Markup, id: &str, heading: &str, content: impl FnOnce(&mut Markup)) {
    page.element("section", &[("id", &id)], |page| {
        page.leaf("h2", &[], heading);
        content(page);
    });
}

/// What is closed of a gap in percent, with its interval.
pub(super) fn gap_closed(gap: &GapClosed) -> Cell {
    let percent = |share: f64| decimals(100.0 * share, 1);
    let interval =
        gap.low.zip(gap.high).map_or_else(String::new, |(low, high)| format!("{} to {}", percent(low), percent(high)));
    Cell::with_detail(gap.mean.map_or_else(|| NONE.to_owned(), percent), interval)
}

/// The name of a set of pairs, a synthesizer or a corpus; nothing where there is one of each.
pub(super) fn heading_of(page: &mut Markup, report: &Report, name: &str) {
    if report.has_several() {
        page.leaf("h3", &[("class", &"thing")], name);
    }
}

/// The file name of a thing's data: that of the first one goes without its name, whether or not there are more.
pub(super) fn file_of(what: &str, name: &str, at: usize) -> String {
    if at == 0 { format!("{what}.csv") } else { format!("{what}-{name}.csv") }
}

/// Sentences as a list, or nothing.
pub(super) fn list(page: &mut Markup, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    page.element("ul", &[], |page| {
        for sentence in sentences {
            page.leaf("li", &[], sentence);
        }
    });
}

/// A figure with its caption.
pub(super) fn figure(page: &mut Markup, class: &str, caption: &str, content: impl FnOnce(&mut Markup)) {
    page.element("figure", &[("class", &class)], |page| {
        content(page);
        paragraph_in(page, "figcaption", caption);
    });
}

/// A table whose first cell in each row names the row. On a phone each row of a wide table becomes a small card, in
/// which the column names stand over the values.
pub(super) fn table(page: &mut Markup, caption: &str, columns: &[&str], rows: &[Vec<Cell>]) {
    let class = if columns.len() > PHONE_COLUMNS { "cards" } else { "plain" };
    page.element("table", &[("class", &class)], |page| {
        page.leaf("caption", &[], caption);
        page.element("thead", &[], |page| {
            page.element("tr", &[], |page| {
                for column in columns {
                    page.leaf("th", &[("scope", &"col")], column);
                }
            });
        });
        page.element("tbody", &[], |page| {
            for row in rows {
                let total = row.first().is_some_and(|cell| cell.strong);
                page.element("tr", &[("class", &if total { "total" } else { "row" })], |page| {
                    for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
                        cell.write(page, column, at == 0);
                    }
                });
            }
        });
    });
}

/// One cell of a [`table`].
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    /// A share in 0..=1, drawn as a small bar before the number.
    bar: Option<f64>,
    /// Said smaller, below the text.
    detail: String,
    /// In the first cell: the row is a sum of the others.
    strong: bool,
    /// Words and not a number: to the left, over several lines.
    prose: bool,
}

impl Cell {
    pub(super) fn new(text: impl Display) -> Self {
        Self { text: text.to_string(), bar: None, detail: String::new(), strong: false, prose: false }
    }

    pub(super) fn text(text: impl Display) -> Self {
        Self { prose: true, ..Self::new(text) }
    }

    pub(super) fn strong(text: impl Display) -> Self {
        Self { strong: true, ..Self::new(text) }
    }

    pub(super) fn bar(text: impl Display, share: f64) -> Self {
        Self { bar: Some(if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }), ..Self::new(text) }
    }

    pub(super) fn with_detail(text: impl Display, detail: String) -> Self {
        Self { detail, ..Self::new(text) }
    }

    fn write(&self, page: &mut Markup, column: &str, names_the_row: bool) {
        if names_the_row {
            return page.leaf("th", &[("scope", &"row")], &self.text);
        }
        let class = if self.prose { "prose" } else { "number" };
        page.element("td", &[("class", &class), ("data-label", &column)], |page| match self.bar {
            None => {
                page.leaf("span", &[], &self.text);
                if !self.detail.is_empty() {
                    page.leaf("small", &[], &self.detail);
                }
            }
            Some(share) => {
                page.leaf("span", &[("class", &"bar"), ("style", &format!("--share:{share:.3}"))], &self.text);
            }
        });
    }
}

/// A paragraph, or nothing for an empty text.
pub(super) fn paragraph_unless_empty(page: &mut Markup, class: &str, text: &str) {
    if !text.is_empty() {
        page.leaf("p", &[("class", &class)], text);
    }
}

fn paragraph_in(page: &mut Markup, tag: &'static str, text: &str) {
    if !text.is_empty() {
        page.leaf(tag, &[], text);
    }
}

/// `sbp`, or `sbp, seed 2` where there are several of that name.
pub(super) fn arm_label(report: &Report, name: &str, seed: u64) -> String {
    let several = report.arms.iter().filter(|arm| arm.name == name).count() > 1;
    if several { format!("{name}, seed {seed}") } else { name.to_owned() }
}

/// Dash pattern, marker and colour of an arm: the same in every figure and every report for the first arm of a kind. Further arms of
/// a kind share what styles are left.
pub(super) fn arm_style(report: &Report, name: &str) -> usize {
    let kind = ARM_KINDS.iter().position(|kind| *kind == name);
    kind.unwrap_or_else(|| {
        let mut further: Vec<&str> = report.arms.iter().map(|arm| arm.name.as_str()).collect();
        further.retain(|arm| !ARM_KINDS.contains(arm));
        further.dedup();
        let index = further.iter().position(|arm| *arm == name).unwrap_or(0);
        ARM_KINDS.len() + index % (STYLES - ARM_KINDS.len())
    })
}

/// A figure drawn twice, for wide pages and for phones: the style sheet shows one.
pub(super) fn both_sizes(page: &mut Markup, mut draw: impl FnMut(&mut Markup, &str, Size)) {
    draw(page, "wide", Size::WIDE);
    draw(page, "narrow", Size::NARROW);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::charts;
    use super::super::sample::sample;
    use super::*;
    use cognate_results::Arm;

    /// Every kind of arm, and four more arms, can be told apart without colour: no two have both marker and dashes in common.
    #[test]
    fn every_arm_has_a_look_of_its_own() {
        let mut report = sample();
        let more = ["a", "b", "c", "d"];
        let names: Vec<&str> = ARM_KINDS.into_iter().chain(more).collect();
        report.arms = names.iter().map(|name| Arm { name: (*name).to_owned(), ..report.arms[0].clone() }).collect();
        let styles: Vec<usize> = names.iter().map(|name| arm_style(&report, name)).collect();
        assert_eq!(styles, (0..STYLES).collect::<Vec<_>>());
        let css = include_str!("style.css");
        let rule = |selector: &str| {
            let rules = css.split('}').filter_map(|rule| rule.split_once('{'));
            let mut found = rules.filter(|(of, _)| of.trim() == selector).map(|(_, rule)| rule.trim().to_owned());
            found.next().unwrap_or_else(|| panic!("no rule for {selector}"))
        };
        let look = |style: usize| {
            let dashes = rule(&format!(".line.s{style}"));
            let dashes = dashes.split_once("dasharray:").map_or("", |(_, dashes)| dashes).to_owned();
            assert!(rule(&format!("text.s{style}")).contains("--s"));
            let hollow = rule(&format!(".mark.s{style}")).contains("--paper");
            (charts::marker(style), hollow, dashes)
        };
        let looks: BTreeSet<String> = styles.iter().map(|style| format!("{:?}", look(*style))).collect();
        assert_eq!(looks.len(), STYLES, "{looks:?}");
        let markers: BTreeSet<String> =
            styles.iter().map(|style| format!("{:?}{}", look(*style).0, look(*style).1)).collect();
        assert_eq!(markers.len(), STYLES, "the markers alone tell them apart: {markers:?}");
    }
}
