//! Damaged files of JSON for the tests of their readers: half of them by their bytes, half by their fields.

use cognate_base::random::Rng;
use serde_json::{Value, json};

/// How many inputs to try: `inputs`, or what `COGNATE_FUZZ_INPUTS` asks for.
pub(crate) fn inputs(inputs: u64) -> u64 {
    std::env::var("COGNATE_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(inputs)
}

/// A copy of `good` with one to three changes.
pub(crate) fn damaged(good: &Value, random: &mut impl Rng) -> Vec<u8> {
    let by_fields = below(random, 2) == 0;
    let mut value = good.clone();
    let mut bytes = if by_fields { Vec::new() } else { good.to_string().into_bytes() };
    for _ in 0..=below(random, 3) {
        if by_fields {
            change_field(&mut value, random);
        } else {
            change_bytes(&mut bytes, random);
        }
    }
    if by_fields { value.to_string().into_bytes() } else { bytes }
}

fn below(random: &mut impl Rng, n: usize) -> usize {
    (random.next_u64() % n.max(1) as u64) as usize
}

fn change_bytes(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    let at = below(random, bytes.len());
    let end = (at + below(random, 24)).min(bytes.len());
    match below(random, 6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << below(random, 8),
        1 if at < bytes.len() => bytes[at] = random.next_u64() as u8,
        // A digit for another, wherever the next one stands.
        2 | 3 => {
            if let Some(digit) = bytes[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
                *digit = b'0' + below(random, 10) as u8;
            }
        }
        4 => drop(bytes.drain(at..end)),
        _ => bytes.truncate(at),
    }
}

/// Puts something else in the place of a value, takes one away, or doubles one.
fn change_field(value: &mut Value, random: &mut impl Rng) {
    let what = below(random, 16);
    match value {
        Value::Object(fields) if !fields.is_empty() && what > 0 => {
            let at = below(random, fields.len());
            match what {
                1 => drop(fields.keys().nth(at).cloned().and_then(|name| fields.remove(&name))),
                2 => drop(fields.insert("other".to_owned(), json!(1))),
                _ => fields.iter_mut().nth(at).into_iter().for_each(|(_, value)| change_field(value, random)),
            }
        }
        Value::Array(elements) if !elements.is_empty() && what > 0 => {
            let at = below(random, elements.len());
            match what {
                1 => drop(elements.remove(at)),
                2 => elements.push(elements[at].clone()),
                3 => elements.clear(),
                _ => change_field(&mut elements[at], random),
            }
        }
        other => *other = strange(random),
    }
}

fn strange(random: &mut impl Rng) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.5),
        json!(-1e308),
        json!(1e308),
        json!(5e-324),
        json!(""),
        json!("../../x"),
        json!("\u{1b}[31m</script>"),
        json!([]),
        json!({}),
    ];
    all[below(random, all.len())].clone()
}
