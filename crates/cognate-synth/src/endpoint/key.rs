//! A server's key, and where it stands in a text, however it is spelt there.
//!
//! A text is read as its writers meant it: JSON's, HTML's and URLs' escapes are undone, one within the other too, and capitals do
//! not count. Then the key is looked for, and its bytes in hexadecimal digits and in base64.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::header::HeaderValue;

use super::Role;
use crate::error::{Error, Result};

/// Bytes from which on a key is a secret that no text holds by chance.
const SHORTEST_SECRET: usize = 8;

/// Characters of a server's message that are passed on.
const MOST_SAID: usize = 300;
/// Bytes of a body in which a message is looked for.
const MOST_READ: usize = 64 << 10;

/// Escapes within escapes that are undone.
const DEEPEST: usize = 4;

/// What stands in a message where the key stood.
const HIDDEN: &str = "(the key)";

/// A server's key. It goes into the request's header and nowhere else: not into a message, a log, a file.
#[derive(Clone)]
pub struct Key {
    text: String,
    header: HeaderValue,
    /// The key's bytes in hexadecimal digits, and in base64 wherever in a longer text of bytes they begin; nothing of a key that is no
    /// secret.
    hex: Option<Vec<char>>,
    base64: Vec<Vec<char>>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Key {
    /// Whether `name` may name the variable that holds a key: capitals, digits and `_`. Stricter than the system is, so that a key
    /// that somebody gave by mistake is refused before it is written or shown anywhere.
    pub fn is_variable(name: &str) -> bool {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase() || byte == b'_');
        first && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    }

    /// The key that the environment variable `name` holds, which the recipe's key of that role gave.
    ///
    /// # Errors
    /// [`Error::Setting`] when `name` is no variable's name, or the variable is not set, empty, or not a header's value.
    pub fn from_environment(name: &str, role: Role) -> Result<Self> {
        let refuse = |value: &str, expected: &str| Error::setting(role.key_env(), value, expected);
        if !Self::is_variable(name) {
            let expected = "the name of an environment variable, in capitals, digits and _: not the key itself";
            return Err(refuse("(not shown)", expected));
        }
        match std::env::var(name) {
            Ok(key) if !key.trim().is_empty() => Self::new(key.trim()),
            Ok(_) => Err(refuse(name, "the name of a variable that holds the key; it is empty")),
            Err(std::env::VarError::NotPresent) => {
                Err(refuse(name, "the name of a variable that holds the key; it is not set"))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(refuse(name, "the name of a variable that holds the key; its value is not UTF-8"))
            }
        }
    }

    /// This key.
    ///
    /// # Errors
    /// [`Error::Setting`], without the key, when a header cannot hold it.
    pub fn new(key: &str) -> Result<Self> {
        let header = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| key.is_ascii() && !key.is_empty());
        let expected = "a key of printable ASCII characters";
        let mut header = header.ok_or_else(|| Error::setting("the endpoint's key", "(not shown)", expected))?;
        header.set_sensitive(true);
        let secret = (key.len() >= SHORTEST_SECRET).then_some(key.as_bytes());
        let hex =
            secret.map(|key| key.iter().flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>()).collect());
        Ok(Self { text: key.to_owned(), header, hex, base64: secret.map(base64).unwrap_or_default() })
    }

    /// The request's header.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether a text holds the key. A short word that is no secret may stand in any text.
    fn stands_in(&self, text: &str) -> bool {
        self.text.len() >= SHORTEST_SECRET && !self.places(text, self.text.len()).is_empty()
    }

    /// Where the key stands in a text, or a piece of it of so many characters or more: in order, none within another.
    fn places(&self, text: &str, piece: usize) -> Vec<Range<usize>> {
        let key: Vec<char> = self.text.chars().map(folded).collect();
        let mut layer = letters(text);
        let mut found: Vec<Range<usize>> = Vec::new();
        for depth in 0..=DEEPEST {
            let exact: Vec<char> = layer.iter().map(|letter| letter.c).collect();
            let plain: Vec<char> = exact.iter().copied().map(folded).collect();
            let mut look = |text: &[char], wanted: &[char]| {
                let starts = text.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted);
                found.extend(starts.map(|(at, _)| layer[at].start as usize..layer[at + wanted.len() - 1].end as usize));
            };
            key.windows(piece).for_each(|piece| look(&plain, piece));
            self.hex.iter().for_each(|hex| look(&plain, hex));
            self.base64.iter().for_each(|digits| look(&exact, digits));
            match undone(&layer) {
                Some(below) if depth < DEEPEST => layer = below,
                _ => break,
            }
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        found.into_iter().fold(Vec::new(), |mut apart, range| {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
            apart
        })
    }
}

/// Bytes in base64, in both alphabets.
fn base64(key: &[u8]) -> Vec<Vec<char>> {
    let own = (0..3).map(|before| {
        let bytes = [vec![0; before], key.to_vec()].concat();
        // Digits that hold bits of what stands before or after the key are left out.
        STANDARD.encode(&bytes)[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
    });
    let both = own.flat_map(|digits| [digits.replace('+', "-").replace('/', "_"), digits]);
    both.map(|digits| digits.chars().collect()).collect()
}

fn folded(c: char) -> char {
    c.to_ascii_lowercase()
}

/// A character as it is meant, and the bytes that say it.
#[derive(Clone, Copy, Debug)]
struct Letter {
    c: char,
    start: u32,
    end: u32,
}

/// Texts are answers, far below 4 GiB.
fn letters(text: &str) -> Vec<Letter> {
    text.char_indices().map(|(at, c)| Letter { c, start: at as u32, end: (at + c.len_utf8()) as u32 }).collect()
}

/// The letters with their outermost escapes undone; none where there is no escape.
fn undone(letters: &[Letter]) -> Option<Vec<Letter>> {
    let mut meant = Vec::with_capacity(letters.len());
    let mut at = 0;
    while at < letters.len() {
        let (c, length) = escape(&letters[at..]).unwrap_or((letters[at].c, 1));
        meant.push(Letter { c, start: letters[at].start, end: letters[at + length - 1].end });
        at += length;
    }
    (meant.len() < letters.len()).then_some(meant)
}

/// What the escape that the letters begin with means, and how many letters it has. Only ASCII matters: a key has nothing else.
fn escape(letters: &[Letter]) -> Option<(char, usize)> {
    let at = |index: usize| letters.get(index).map(|letter| letter.c);
    let number = |from: usize, to: usize, radix: u32| {
        let digits: Option<String> = (from..to).map(at).collect();
        let code = u32::from_str_radix(digits.filter(|digits| !digits.starts_with('+'))?.as_str(), radix).ok()?;
        char::from_u32(code).filter(char::is_ascii)
    };
    // Digits up to a closing character, of which there are at most seven.
    let until = |from: usize, close: char, radix: u32| {
        let end = (from + 1..from + 8).find(|&end| at(end) == Some(close))?;
        Some((number(from, end, radix)?, end + 1))
    };
    match (at(0)?, at(1)?) {
        ('\\', 'u' | 'U') if at(2) == Some('{') => until(3, '}', 16),
        ('\\', 'u') => Some((number(2, 6, 16)?, 6)),
        ('\\', 'U') => Some((number(2, 10, 16)?, 10)),
        ('\\', 'x') => Some((number(2, 4, 16)?, 4)),
        ('\\', c @ ('\\' | '/' | '"' | '\'')) => Some((c, 2)),
        ('%', _) => Some((number(1, 3, 16)?, 3)),
        ('&', '#') if matches!(at(2), Some('x' | 'X')) => until(3, ';', 16),
        ('&', '#') => until(2, ';', 10),
        ('&', _) => {
            let name: String = letters.iter().take(6).map(|letter| letter.c).collect();
            let named = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];
            named.iter().find(|(named, _)| name.starts_with(named)).map(|&(named, c)| (c, named.len()))
        }
        _ => None,
    }
}

/// What may be told of what a server says: all but its key, where it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discretion(pub(super) Option<Key>);

impl Discretion {
    /// Whether a text holds the key, so that it may go into no file.
    pub(crate) fn is_broken_by(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|key| key.stands_in(text))
    }

    /// A text without the key, and without long pieces of it.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.hide_before(text, text.len())
    }

    /// The same of the text's first `end` bytes, or some more: what begins before the end is hidden whole.
    fn hide_before(&self, text: &str, end: usize) -> String {
        let mut hidden = String::new();
        let mut at = 0;
        if let Some(key) = &self.0 {
            let length = key.text.len();
            // Half a key is a hint that others may complete.
            for place in key.places(text, length.div_ceil(2).max(SHORTEST_SECRET).min(length)) {
                if place.start < end {
                    hidden.push_str(&text[at..place.start]);
                    hidden.push_str(HIDDEN);
                    at = place.end;
                }
            }
        }
        hidden + &text[at..text.floor_char_boundary(end).max(at)]
    }

    /// A body as a message: the error's own text where it is JSON that has one, in one line, cut, without the key.
    pub(crate) fn said(&self, body: &[u8]) -> String {
        let beginning = String::from_utf8_lossy(&body[..body.len().min(MOST_READ)]);
        let json: Option<serde_json::Value> = serde_json::from_str(&beginning).ok();
        let message = json.as_ref().and_then(|json| {
            let places = ["/error/message", "/message", "/error", "/detail"];
            places.iter().find_map(|place| json.pointer(place)?.as_str())
        });
        let text = message.unwrap_or(&beginning);
        // First the key goes, then the rest: half a key at the cut would not be found.
        let hidden = self.hide_before(text, text.len().min(MOST_READ / 2));
        let line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MOST_SAID) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-S3cret+/Zq81=";

    fn discretion(key: &str) -> Discretion {
        Discretion(Some(Key::new(key).unwrap()))
    }

    /// The key in every spelling that a program might give it.
    fn spellings() -> Vec<String> {
        let each = |spell: &dyn Fn(u8) -> String| KEY.bytes().map(spell).collect::<String>();
        let json = each(&|byte| format!("\\u{byte:04x}"));
        let some = each(&|byte| if byte % 2 == 0 { format!("\\u{byte:04X}") } else { char::from(byte).to_string() });
        let mut all = vec![
            KEY.to_owned(),
            KEY.to_uppercase(),
            KEY.to_lowercase(),
            KEY.replace('/', "\\/"),
            each(&|byte| format!("%{byte:02x}")),
            each(&|byte| format!("%{byte:02X}")),
            each(&|byte| format!("\\x{byte:02x}")),
            each(&|byte| format!("\\u{{{byte:x}}}")),
            each(&|byte| format!("\\U{:08x}", byte)),
            each(&|byte| format!("&#{byte};")),
            each(&|byte| format!("&#x{byte:X};")),
            KEY.replace('+', "%2B").replace('=', "%3d"),
            json.replace('\\', "\\\\"),
            json.replace('\\', "\\\\\\\\"),
            json.replace('\\', "%5C"),
            each(&|byte| format!("{byte:02x}")),
            each(&|byte| format!("{byte:02X}")),
            STANDARD.encode(KEY),
            STANDARD.encode(format!("Bearer {KEY}")),
            STANDARD.encode(format!("{{\"key\":\"{KEY}\"}}")),
            STANDARD.encode(KEY).replace('+', "-").replace('/', "_"),
            STANDARD.encode(format!("user:{KEY}")).replace('=', "%3D"),
        ];
        all.extend([json, some]);
        all
    }

    #[test]
    fn a_key_is_found_however_it_is_spelt_and_is_not_shown() {
        let discretion = discretion(KEY);
        for spelt in spellings() {
            let text = format!("a {spelt} b");
            assert!(discretion.is_broken_by(&text), "{text}");
            let hidden = discretion.hide(&text);
            assert!(hidden.starts_with("a ") && hidden.ends_with(" b") && hidden.contains(HIDDEN), "{hidden}");
            assert!(!discretion.is_broken_by(&hidden) && hidden.len() < 40, "{text} became {hidden}");
            let body = serde_json::json!({"error": {"message": text}}).to_string();
            assert_eq!(discretion.said(body.as_bytes()), hidden);
        }
    }

    #[test]
    fn other_texts_are_left_as_they_are() {
        let discretion = discretion(KEY);
        for text in
            ["", "100 % of &amp; \\u00e9 \\ud83d %zz &#; \\u{ \\", "sk-S3cr", "naïve 🙂 %41%", "&#99999999;", "%+1"]
        {
            assert!(!discretion.is_broken_by(text), "{text}");
            assert_eq!(discretion.hide(text), text);
        }
        // A word of everyday is no secret, in a document; it does not show in a message.
        let short = self::discretion("EMPTY");
        assert!(!short.is_broken_by("an EMPTY house"));
        assert_eq!(short.hide("an EMPTY house"), "an (the key) house");
        assert_eq!(Discretion::default().hide("anything"), "anything");
    }

    #[test]
    fn half_a_key_is_hidden_too() {
        let discretion = discretion(KEY);
        for piece in [&KEY[..KEY.len() - 1], &KEY[1..], &KEY[3..13]] {
            assert_eq!(discretion.hide(&format!("<{piece}>")), format!("<{HIDDEN}>"), "{piece}");
        }
    }

    #[test]
    fn a_message_is_the_servers_own_without_the_key_in_one_line_and_cut() {
        let said = |body: &[u8]| discretion("s3cret").said(body);
        assert_eq!(said(br#"{"error": {"message": "no\n model s3cret", "code": 404}}"#), "no model (the key)");
        assert_eq!(said(br#"{"detail": "Not Found"}"#), "Not Found");
        assert_eq!(said(b"<html>\n busy </html>"), "<html> busy </html>");
        assert_eq!(said(b"\xff"), "\u{fffd}");
        // The key stands across the cut: hidden whole.
        let long = said(format!("{}s3cret and more", "x".repeat(297)).as_bytes());
        assert_eq!(long, format!("{}(th…", "x".repeat(297)));
        // The key stands across the end of what is looked at, behind nothing but space: not shown, whole or in part.
        for spaces in [MOST_READ - 3, MOST_READ / 2 - 3] {
            let late = format!("{}s3cret", " ".repeat(spaces));
            assert!(["", "(the key)"].contains(&said(late.as_bytes()).as_str()));
        }
    }

    #[test]
    fn a_key_shows_nowhere() {
        assert!(!format!("{:?}", discretion("s3cret")).contains("s3cret"));
        // Not only hidden by name: what is given in the variable's place is not shown either.
        for wrong in ["s3cret", "hf_s3cret", "sk-s3cret", "", "1KEY", "A-B"] {
            let message = Key::from_environment(wrong, Role::Judge).unwrap_err().to_string();
            assert!(message.contains("(not shown)") && !message.contains("s3cret"), "{message}");
        }
        let unset = Key::from_environment("COGNATE_NO_SUCH_VARIABLE", Role::Judge).unwrap_err().to_string();
        assert!(unset.contains("COGNATE_NO_SUCH_VARIABLE") && unset.contains("not set"), "{unset}");
        let broken = Key::new("s3c\nret").unwrap_err().to_string();
        assert!(!broken.contains("s3c"), "{broken}");
    }
}
