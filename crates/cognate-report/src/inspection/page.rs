//! The page's view: the report's frame and style, each document in a section of its own.

use cognate_results::Inspection;

use super::super::html::{document, section};
use super::super::markup::Markup;
use super::{Column, columns, summary};

const KICKER: &str = "Cognate inspect synthetic";

/// The documents as one page, with everything inline and without a script.
#[must_use]
pub fn inspection_page(inspection: &Inspection) -> String {
    let title = format!("{}: synthetic documents beside their seeds", inspection.name);
    document(&title, &summary(inspection), None, |page| {
        page.element("header", &[], |page| {
            page.leaf("p", &[("class", &"kicker")], format!("{KICKER} · {}", inspection.name));
            page.leaf("h1", &[], "Seed, synthetic, true neighbour");
            page.leaf("p", &[("class", &"detail")], format!("{}.", summary(inspection)));
            page.leaf("p", &[("class", &"detail")], "The synthesizer was given only the seed. The true neighbour is what stands \
                beside it in the corpus. Relevance says by how much the one document raises the log-probability of the other.");
        });
        for (at, inspected) in inspection.documents.iter().enumerate() {
            let heading = format!("{} of {}: {}", at + 1, inspection.documents.len(), inspected.synthetic.id);
            section(page, &format!("document-{}", at + 1), &heading, |page| {
                let columns = columns(inspected, inspection.with_neighbours);
                let class = if columns.len() > 2 { "example" } else { "beside" };
                page.element("div", &[("class", &class)], |page| {
                    columns.iter().for_each(|column| article(page, column))
                });
            });
        }
    })
}

/// Whether a file's content is such a page, which a newer one may replace.
#[must_use]
pub fn is_inspection_page(content: &str) -> bool {
    content.starts_with("<!DOCTYPE html>") && content.contains(&format!("<p class=\"kicker\">{KICKER} · "))
}

fn article(page: &mut Markup, column: &Column<'_>) {
    page.element("article", &[], |page| {
        page.leaf("h3", &[], column.role);
        if !column.id.is_empty() {
            page.element("p", &[("class", &"id")], |page| page.leaf("code", &[], column.id));
        }
        if !column.facts.is_empty() {
            page.element("ul", &[("class", &"id")], |page| {
                column.facts.iter().for_each(|fact| page.leaf("li", &[], fact))
            });
        }
        match column.text {
            Ok(text) => page.leaf("blockquote", &[("dir", &"auto")], text.trim()),
            Err(why) => page.leaf("p", &[("class", &"absent")], why),
        }
    });
}
