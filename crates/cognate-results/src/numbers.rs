//! Numbers as a person reads them: sensible digits, thousands separators, a unit held to its number by a no-break
//! space.
//!
//! A value that is not finite, which no report should hold, shows as [`NONE`].

use cognate_statistics::Estimate;

/// Stands where there is no number.
pub const NONE: &str = "–";
/// Between a number and its unit.
const NBSP: char = '\u{a0}';
const MINUS: char = '−';

/// `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A count with its noun: `1 pair`, `2 pairs`.
#[must_use]
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    format!("{}{NBSP}{}", count(value), if value == 1 { singular } else { plural })
}

/// A fixed number of decimals, with a real minus sign; scientific where that would fill the line or show only zeros.
#[must_use]
pub fn decimals(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let magnitude = value.abs();
    let text = if magnitude >= 1e9 || (magnitude > 0.0 && magnitude < 1e-5) {
        format!("{magnitude:.2e}")
    } else {
        let text = format!("{magnitude:.digits$}");
        match text.split_once('.') {
            Some((whole, fraction)) => format!("{}.{fraction}", group(whole)),
            None => group(&text),
        }
    };
    let is_zero = !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    if value < 0.0 && !is_zero { format!("{MINUS}{text}") } else { text }
}

/// A loss or a difference of losses in nats: three decimals.
#[must_use]
pub fn nats(value: f64) -> String {
    decimals(value, 3)
}

/// A text with a plus where it shows something above zero.
fn signed(value: f64, text: String) -> String {
    if value > 0.0 && text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) { format!("+{text}") } else { text }
}

/// [`nats`] with a sign for both directions.
#[must_use]
pub fn signed_nats(value: f64) -> String {
    signed(value, nats(value))
}

/// A difference of shares in percentage points, with a sign for both directions: one decimal.
#[must_use]
pub fn signed_points(value: f64) -> String {
    signed(value, decimals(value * 100.0, 1))
}

/// An estimate of nats with its standard error, where it has one: `5.402 ± 0.013`.
#[must_use]
pub fn estimated(estimate: Estimate, value: impl Fn(f64) -> String) -> String {
    match estimate.stderr {
        Some(stderr) => format!("{} ± {}", value(estimate.value), nats(stderr)),
        None => value(estimate.value),
    }
}

/// About `digits` significant digits: `81.62`, `1,235`, `0.04321`.
#[must_use]
pub fn significant(value: f64, digits: usize) -> String {
    // Formatting rounds first: 0.9996 with three digits is 1.00, not 1.000.
    let rounded = format!("{value:.*e}", digits - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    decimals(value, (digits as i32 - 1 - exponent).clamp(0, 8) as usize)
}

/// A share as a percentage: `23 %`, `2.3 %`, `< 0.1 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    let magnitude = value.abs();
    if value == 0.0 {
        format!("0{NBSP}%")
    } else if magnitude < 0.05 {
        let (sign, minus) = if value > 0.0 { ("<", "") } else { (">", "−") };
        format!("{sign}{NBSP}{minus}0.1{NBSP}%")
    } else {
        format!("{}{NBSP}%", decimals(value, usize::from(magnitude < 9.95)))
    }
}

/// Tokens as the field writes them: `812`, `98.3 k`, `12.0 M`, `1.50 B`, `2.00 T`.
#[must_use]
pub fn tokens(value: u64) -> String {
    prefixed(value as f64, &["", "k", "M", "B", "T"])
}

/// Floating-point operations with SI prefixes: `1.23 TFLOP`.
#[must_use]
pub fn flops(value: f64) -> String {
    let number = prefixed(value, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"]);
    match number.split_once(NBSP) {
        Some((digits, prefix)) => format!("{digits}{NBSP}{prefix}FLOP"),
        None if number == NONE => number,
        None => format!("{number}{NBSP}FLOP"),
    }
}

/// A zero shows as [`NONE`]: the ledger's way of saying that a stage counts none.
#[must_use]
pub fn or_none(is_zero: bool, text: String) -> String {
    if is_zero { NONE.to_owned() } else { text }
}

/// `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 14 min`, `3 d 4 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 if seconds < 9.995 => format!("{seconds:.2}{NBSP}s"),
        0..60 if seconds < 59.95 => format!("{seconds:.1}{NBSP}s"),
        0..3_600 => format!("{}{NBSP}min{NBSP}{:02}{NBSP}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}{NBSP}h{NBSP}{:02}{NBSP}min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}{NBSP}d{NBSP}{:02}{NBSP}h", group(&(whole / 86_400).to_string()), whole % 86_400 / 3_600),
    }
}

/// `1.42 GiB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    let mut number = value as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = next;
    }
    let digits = if unit == "B" { 0 } else { 2 };
    format!("{}{NBSP}{unit}", decimals(number, digits))
}

/// Any measured number with its unit; the unit `share` means a percentage.
#[must_use]
pub fn measure(value: f64, unit: &str) -> String {
    if unit == "share" {
        return percent(value);
    }
    let is_count = value.fract() == 0.0 && (0.0..1e15).contains(&value);
    let number = if is_count { count(value as u64) } else { significant(value, 4) };
    if unit.is_empty() { number } else { format!("{number}{NBSP}{unit}") }
}

/// `2.00 M` as `2 M`: a tick is a round number.
#[must_use]
pub fn trim_zeros(label: &str) -> String {
    let end = label.find('\u{a0}').unwrap_or(label.len());
    let (number, unit) = label.split_at(end);
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// Three significant digits and a prefix, each prefix a thousand times the one before.
fn prefixed(value: f64, prefixes: &[&str]) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let mut scaled = value;
    let mut index = 0;
    // 999.5 would round to 1000 of the smaller unit.
    while scaled.abs() >= 999.5 && index + 1 < prefixes.len() {
        scaled /= 1000.0;
        index += 1;
    }
    if index == 0 {
        return significant(scaled, if scaled.fract() == 0.0 { 1 } else { 3 });
    }
    format!("{}{NBSP}{}", significant(scaled, 3), prefixes[index])
}

/// Commas between groups of three digits.
fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No-break spaces as ordinary ones, to be readable here.
    fn plain(text: String) -> String {
        text.replace(NBSP, " ")
    }

    #[test]
    fn counts_and_decimals() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(nats(-0.0421), "−0.042");
        assert_eq!(nats(-0.0004), "0.000"); // no negative zero
        assert_eq!(signed_nats(0.25), "+0.250");
        assert_eq!(signed_nats(0.0001), "0.000");
        assert_eq!(
            [81.6249, 1234.56, 0.043_21, 0.0].map(|x| significant(x, 4)),
            ["81.62", "1,235", "0.04321", "0.000"]
        );
        assert_eq!(decimals(f64::NAN, 2), NONE);
        assert_eq!(decimals(1e300, 2), "1.00e300");
        assert_eq!(decimals(-1e-9, 3), "−1.00e-9");
    }

    #[test]
    fn shares() {
        let shown = [0.0, 0.234, 0.0995, 0.023, 0.0004, -0.0004, -0.31, 12.5].map(|share| plain(percent(share)));
        assert_eq!(shown, ["0 %", "23 %", "10 %", "2.3 %", "< 0.1 %", "> −0.1 %", "−31 %", "1,250 %"]);
    }

    #[test]
    fn prefixes() {
        let shown = [0, 812, 98_304, 999_600, 12_000_000, 1_500_000_000, 2_000_000_000_000].map(|n| plain(tokens(n)));
        assert_eq!(shown, ["0", "812", "98.3 k", "1.00 M", "12.0 M", "1.50 B", "2.00 T"]);
        assert_eq!(
            [0.0, 5e2, 1.234e12, 3.6e23].map(|n| plain(flops(n))),
            ["0 FLOP", "500 FLOP", "1.23 TFLOP", "360 ZFLOP"]
        );
        assert_eq!(flops(f64::INFINITY), NONE);
    }

    #[test]
    fn times_and_sizes() {
        let shown = [0.0, 0.42, 12.34, 59.97, 185.0, 3_599.7, 8_040.0, 277_000.0].map(|s| plain(duration(s)));
        assert_eq!(
            shown,
            ["0.00 s", "0.42 s", "12.3 s", "1 min 00 s", "3 min 05 s", "1 h 00 min", "2 h 14 min", "3 d 04 h"]
        );
        assert_eq!([12, 1 << 20, 1_524_713_390].map(|n| plain(bytes(n))), ["12 B", "1.00 MiB", "1.42 GiB"]);
    }

    #[test]
    fn measures() {
        assert_eq!(plain(measure(0.043, "share")), "4.3 %");
        assert_eq!(plain(measure(1_520.0, "documents")), "1,520 documents");
        assert_eq!(plain(measure(131.25, "tokens")), "131.2 tokens");
        assert_eq!(measure(3.0, ""), "3");
    }
}
