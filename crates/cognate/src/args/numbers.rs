//! Numbers as typed: from where to where each may go. A flag that a recipe has a key for takes what the key takes.

use cognate_run::recipe::keys::{Kind, key_of};
use cognate_synth::Rule;

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
    let (Kind::Number(interval) | Kind::NumberOrAuto(interval) | Kind::NumberOrOff(interval)) =
        key_of(table, name).kind
    else {
        panic!("{name} of [{table}] is no number")
    };
    move |text| {
        let number = text.parse().ok().filter(|x| interval.contains(*x));
        number.ok_or_else(|| format!("expected {interval}"))
    }
}

/// A limit as typed: a number, or none for `off`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Option<f64>);

/// A parser of what the key `name` of `[filter]` takes: a number, or `off`.
pub(crate) fn limit_of(name: &'static str) -> impl Fn(&str) -> Result<Limit, String> + Clone + Send + Sync {
    let number = number_of("filter", name);
    move |text| match text {
        "off" => Ok(Limit(None)),
        text => number(text).map(|limit| Limit(Some(limit))).map_err(|expected| format!("{expected}, or off")),
    }
}

/// A repetition rule's limit as typed: `RULE=SHARE`, or `RULE=off`.
pub(crate) fn rule_limit(text: &str) -> Result<(Rule, Limit), String> {
    let rules = || Rule::ALL.map(|(rule, _)| rule.name()).join(", ");
    let (name, limit) = text.split_once('=').ok_or("expected RULE=SHARE or RULE=off, such as top_2_gram=0.3")?;
    let rule = Rule::ALL.into_iter().find(|(rule, _)| rule.name() == name);
    let (rule, _) = rule.ok_or_else(|| format!("expected one of the rules {}", rules()))?;
    Ok((rule, limit_of(rule.name())(limit)?))
}
