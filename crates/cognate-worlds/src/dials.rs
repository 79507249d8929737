//! What a world can be set to: one table says of every dial its name, range, default and meaning. Checks, flags and keys of a recipe come
//! from it.

use serde::Serialize;
use serde_json::Value;

use crate::{Error, Result};

/// What a dial may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number from 0 to 1.
    Share,
    /// A number above 0, up to this.
    Above0(f64),
    /// True or false.
    Flag,
}

impl Range {
    /// Whether a value lies in it.
    pub fn holds(self, value: &Value) -> bool {
        match self {
            Self::Whole(low, high) => value.as_u64().is_some_and(|n| (low..=high).contains(&n)),
            Self::Share => value.as_f64().is_some_and(|x| (0.0..=1.0).contains(&x)),
            Self::Above0(high) => value.as_f64().is_some_and(|x| x > 0.0 && x <= high),
            Self::Flag => value.is_boolean(),
        }
    }

    /// It in words, for a message.
    pub fn words(self) -> String {
        match self {
            Self::Whole(low, high) => format!("a whole number from {low} to {high}"),
            Self::Share => "a number from 0 to 1".to_owned(),
            Self::Above0(high) => format!("a number above 0, up to {high}"),
            Self::Flag => "true or false".to_owned(),
        }
    }
}

/// One dial of a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dial {
    /// Its name, as a key.
    pub name: &'static str,
    /// What it may be.
    pub range: Range,
    /// Its default, as it would be typed.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// Checks all dials of a configuration.
///
/// # Errors
/// [`Error::Dial`], for the first that is out of its range.
pub(crate) fn check(dials: &[Dial], config: &impl Serialize) -> Result<()> {
    // Numbers and flags are always JSON; what is no number becomes null, which no range holds.
    let values = serde_json::to_value(config).unwrap_or_default();
    for dial in dials {
        let value = &values[dial.name];
        if !dial.range.holds(value) {
            let found = if value.is_null() { "no finite number".to_owned() } else { value.to_string() };
            return Err(Error::dial(dial.name, dial.range.words(), found));
        }
    }
    Ok(())
}

/// Defines a world's configuration, its defaults and the table of its dials.
macro_rules! dials {
    ($(#[$of:meta])* $config:ident { $($(#[doc = $about:literal])+ $name:ident: $type:ty = $default:literal, $range:expr;)+ }) => {
        $(#[$of])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $config {
            $($(#[doc = $about])+ pub $name: $type,)+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl $config {
            /// Every dial, in the order of the configuration.
            pub const DIALS: &'static [$crate::dials::Dial] = &[
                $($crate::dials::Dial {
                    name: stringify!($name),
                    range: $range,
                    default: stringify!($default),
                    about: concat!($($about),+),
                },)+
            ];
        }
    };
}

pub(crate) use dials;
