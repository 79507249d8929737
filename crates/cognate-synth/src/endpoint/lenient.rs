//! JSON as some servers write it: with numbers that JSON does not have, halves of surrogate pairs, or a byte order mark.

/// The same in JSON of the standard: `NaN` and `Infinity` become `null`, bytes that are no UTF-8 and lone surrogates U+FFFD.
pub(super) fn standard_json(body: &[u8]) -> String {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut clean = String::with_capacity(body.len());
    let mut in_string = false;
    for chunk in body.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(c) = rest.chars().next() {
            let (written, length) = match c {
                '\\' if in_string => escape(rest),
                '"' => {
                    in_string = !in_string;
                    ("\"", 1)
                }
                'N' | 'I' | '-' if !in_string => {
                    let number = ["NaN", "-Infinity", "Infinity"].into_iter().find(|number| rest.starts_with(number));
                    number.map_or((&rest[..1], 1), |number| ("null", number.len()))
                }
                _ => (&rest[..c.len_utf8()], c.len_utf8()),
            };
            clean.push_str(written);
            rest = &rest[length..];
        }
        if !chunk.invalid().is_empty() {
            clean.push('\u{fffd}');
        }
    }
    clean
}

/// What to write for the escape that `rest` begins with, and its bytes.
fn escape(rest: &str) -> (&str, usize) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&rest[..12], 12),
        (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
        (Some(_), _) => (&rest[..6], 6),
        (None, _) => {
            let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            (&rest[..length], length)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &[u8]) -> Value {
        serde_json::from_str(&standard_json(text)).unwrap()
    }

    #[test]
    fn what_is_not_json_becomes_json_and_texts_stay() {
        assert_eq!(
            read(br#"[NaN, -Infinity, Infinity, -1, {"a NaN \" Infinity": "NaN"}]"#),
            json!([null, null, null, -1, {"a NaN \" Infinity": "NaN"}])
        );
        assert_eq!(
            read(br#"["a\ud83d b", "\ud83d\ude00", "\ude00\ud83d", "\\ud83d"]"#),
            json!(["a\u{fffd} b", "😀", "\u{fffd}\u{fffd}", "\\ud83d"])
        );
        assert_eq!(read("\u{feff}[1]".as_bytes()), json!([1]));
        assert_eq!(read(b"[\"a\xff\"]"), json!(["a\u{fffd}"]));
        // Cut within an escape, and within nothing: still what it was.
        for cut in ["\"\\", "\"\\u12", "\"\\ud83d\\", "Na", "-Inf", "\""] {
            assert!(serde_json::from_str::<Value>(&standard_json(cut.as_bytes())).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn standard_json_stays_what_it_is(text in ".*", number in any::<f64>()) {
            let value = json!({&text: [text, number, true, null]});
            prop_assert_eq!(standard_json(value.to_string().as_bytes()), value.to_string());
        }
    }
}
