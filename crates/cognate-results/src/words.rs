//! Numbers for sentences and terminals, with ordinary spaces.

use crate::numbers;

/// A loss for a narrow column of a terminal.
#[must_use]
pub fn short_nats(value: f64) -> String {
    let text = numbers::decimals(value, 2);
    if text.chars().count() > 6 { format!("{value:.0e}") } else { text }
}

/// Operations for a sentence: `2.43 TFLOP`.
#[must_use]
pub fn in_flops(value: f64) -> String {
    numbers::flops(value).replace('\u{a0}', " ")
}

/// A count with its noun for a sentence: `1 round`, `2 rounds`.
#[must_use]
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    numbers::counted(value, singular, plural).replace('\u{a0}', " ")
}

/// A count of tokens for a terminal: `800 k`.
#[must_use]
pub fn short_tokens(value: f64) -> String {
    numbers::trim_zeros(&numbers::tokens(value.round().max(0.0) as u64)).replace('\u{a0}', " ")
}
