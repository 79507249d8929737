//! Numbers as typed: from where to where each may go. A flag that a recipe has a key for takes what the key takes.

use cognate_run::recipe::keys::{Kind, key_of};

/// Documents and pairs are numbered in 32 bits.
pub(crate) const MOST_DOCUMENTS: u64 = u32::MAX as u64;
/// Of what a person reads or a machine repeats.
pub(crate) const MOST_SMALL: u64 = 1 << 20;
/// Numbers of synthetic documents, and tokens that are written.
pub(crate) const MOST_WRITTEN: u64 = 1 << 40;

/// A parser of whole numbers from `low` to `high`.
pub(crate) fn whole<T: TryFrom<u64>>(low: u64, high: u64) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse::<u64>().ok().filter(|n| (low..=high).contains(n));
        let number = number.and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| format!("expected a whole number from {low} to {high}"))
    }
}

/// The largest value of the key `name` of a recipe's `table`.
pub(crate) fn most_of(table: &str, name: &str) -> u64 {
    let Kind::Integer(_, most) = key_of(table, name).kind else { panic!("{name} of [{table}] is no whole number") };
    most
}

/// A parser of the whole numbers that the key `name` of a recipe's `table` takes.
pub(crate) fn whole_of<T: TryFrom<u64>>(
    table: &'static str,
    name: &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    let Kind::Integer(low, high) = key_of(table, name).kind else { panic!("{name} of [{table}] is no whole number") };
    whole(low, high)
}

/// A parser of the numbers that the key `name` of a recipe's `table` takes.
pub(crate) fn number_of(
    table: &'static str,
    name: &'static str,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync {
    let (Kind::Number(interval) | Kind::NumberOrAuto(interval)) = key_of(table, name).kind else {
        panic!("{name} of [{table}] is no number")
    };
    move |text| {
        let number = text.parse().ok().filter(|x| interval.contains(*x));
        number.ok_or_else(|| format!("expected {interval}"))
    }
}
