//! A small writer of HTML and SVG that cannot produce unbalanced tags or let a text become markup.
//!
//! Tags and attribute names are `&'static str`, that is, literals of this crate; every other string is escaped.

use std::fmt::{self, Display, Write};

/// Elements that have no content and no end tag in HTML.
const VOID: [&str; 4] = ["meta", "link", "br", "col"];

/// Attributes of one element, in order.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// Markup under construction.
#[derive(Debug, Default)]
pub(super) struct Markup {
    out: String,
}

impl Markup {
    /// Starts a whole HTML document.
    pub(super) fn document() -> Self {
        Self { out: "<!DOCTYPE html>\n".to_owned() }
    }

    /// `<tag attributes>`, what `content` writes, `</tag>`.
    pub(super) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Self)) {
        debug_assert!(!VOID.contains(&tag), "{tag} has no content");
        self.start(tag, attributes);
        self.out.push('>');
        content(self);
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        // Line breaks only where they cannot show: after blocks and SVG elements.
        if !matches!(tag, "strong" | "em" | "code" | "span" | "pre") {
            self.out.push('\n');
        }
    }

    /// An element that holds nothing but a text.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: Attributes<'_>, text: impl Display) {
        self.element(tag, attributes, |markup| markup.text(text));
    }

    /// An element without content: `<meta …>` in HTML, `<path …/>` in SVG.
    pub(super) fn empty(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.start(tag, attributes);
        self.out.push_str(if VOID.contains(&tag) { ">" } else { "/>" });
        self.out.push('\n');
    }

    /// A text: whatever it holds, a reader sees it as it is.
    pub(super) fn text(&mut self, text: impl Display) {
        // Writing to a String cannot fail; a Display that fails would only end the text early.
        let _ = write!(Escaper(&mut self.out), "{text}");
    }

    /// The content of `<style>`, which HTML does not unescape: a literal of this crate, never data.
    pub(super) fn style(&mut self, css: &'static str) {
        self.element("style", &[], |markup| markup.out.push_str(css));
    }

    /// What was written.
    pub(super) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.text(value);
            self.out.push('"');
        }
    }
}

/// Escapes what is written through it.
struct Escaper<'a>(&'a mut String);

impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                // A synthesizer may write any character. Control characters and noncharacters are not allowed in a
                // page, and direction overrides would turn the words after them around: each shows as a mark.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                control if control.is_control() => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        let mut markup = Markup::default();
        let hostile = "</script><img src=x onerror=alert(1)>&amp;\" '\u{0}\u{202e}\r\n";
        markup.leaf("p", &[("title", &hostile)], hostile);
        let escaped =
            "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;&quot; &#39;\u{fffd}\u{fffd}\u{fffd}\n";
        assert_eq!(markup.finish(), format!("<p title=\"{escaped}\">{escaped}</p>\n"));
    }

    #[test]
    fn elements_close_in_order_and_void_ones_do_not() {
        let mut markup = Markup::document();
        markup.element("div", &[("class", &"a"), ("width", &1.5)], |markup| {
            markup.empty("br", &[]);
            markup.leaf("em", &[], "x");
            markup.empty("path", &[("d", &"M0 0")]);
        });
        assert_eq!(
            markup.finish(),
            "<!DOCTYPE html>\n<div class=\"a\" width=\"1.5\"><br>\n<em>x</em><path d=\"M0 0\"/>\n</div>\n"
        );
    }
}
