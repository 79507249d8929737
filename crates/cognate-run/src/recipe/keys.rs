//! Every key that a recipe may hold: its table, type, default, meaning and where the default comes from.
//!
//! The reader, the error messages and docs/recipes.md are all made from this one list.

mod list;

use std::fmt;

pub(crate) use list::ARM_KINDS;
pub use list::KEYS;
use list::most;

/// One key of a recipe.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table it stands in; empty for the top of the file, `arm` for each `[[arm]]`.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds when it is not written.
    pub default: Preset,
    /// One sentence for docs/recipes.md.
    pub meaning: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// Any text, or `""` for none.
    TextOrNone,
    /// A name that can be a folder's name too.
    Name,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number from the one to the other.
    Integer(u64, u64),
    /// A number inside the interval.
    Number(Interval),
    /// A number inside the interval, or `"auto"`.
    NumberOrAuto(Interval),
    /// A number inside the interval, or `"off"`.
    NumberOrOff(Interval),
    /// One path.
    Path,
    /// A list of paths that is not empty (one path alone may stand without the brackets).
    Paths,
    /// A list of words, each one of these, not empty.
    Choices(&'static [&'static str]),
    /// A list of at least two different numbers, each inside the interval.
    Numbers(Interval),
    /// How many of something, or a list of different whole numbers; at most this many.
    CountOrList(u64),
    /// A number, or a list of at least two different ones, each inside the interval.
    NumberOrNumbers(Interval),
    /// A list of names that is not empty (one alone may stand without the brackets).
    Names,
    /// A table of shares by name, each a number or a list.
    Shares,
    /// A list of tables with keys of other tables.
    Sweep,
    /// A table with a world's name and its dials.
    World,
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// The recipe is refused.
    Required,
    /// This value, as it would stand in the file.
    Value(&'static str),
    /// Computed from other keys, as this says.
    Derived(&'static str),
}

/// An interval of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    low: f64,
    low_belongs: bool,
    high: f64,
    high_belongs: bool,
}

impl Interval {
    pub(super) const SHARE: Self = Self { low: 0.0, low_belongs: true, high: 1.0, high_belongs: true };
    const SHARE_BELOW_ONE: Self = Self { low: 0.0, low_belongs: true, high: 1.0, high_belongs: false };
    const SHARE_ABOVE_ZERO: Self = Self { low: 0.0, low_belongs: false, high: 1.0, high_belongs: true };
    const INSIDE: Self = Self { low: 0.0, low_belongs: false, high: 1.0, high_belongs: false };
    const COSINE: Self = Self { low: -1.0, low_belongs: true, high: 1.0, high_belongs: true };
    const POSITIVE: Self = Self { low: 0.0, low_belongs: false, high: f64::INFINITY, high_belongs: false };
    const NOT_NEGATIVE: Self = Self { low: 0.0, low_belongs: true, high: f64::INFINITY, high_belongs: false };
    const TEMPERATURE: Self = Self { low: 0.0, low_belongs: true, high: 10.0, high_belongs: true };
    const PENALTY: Self = Self { low: 0.0, low_belongs: false, high: 10.0, high_belongs: true };
    const NEAR_DUPLICATE: Self = Self { low: 0.6, low_belongs: true, high: 1.0, high_belongs: true };
    const CEILING: Self = Self { low: -1.0, low_belongs: false, high: 2.0, high_belongs: true };
    const NATS: Self = Self { low: -100.0, low_belongs: true, high: 100.0, high_belongs: true };
    const EPOCHS: Self = Self { low: 1.0, low_belongs: true, high: 1e6, high_belongs: true };
    const OVERSAMPLE: Self = Self { low: 0.0, low_belongs: true, high: 100.0, high_belongs: true };
    const ROPE_BASE: Self = Self { low: 1.0, low_belongs: true, high: 1e12, high_belongs: true };
    const NORM_EPS: Self = Self { low: 0.0, low_belongs: false, high: 1.0, high_belongs: false };

    /// Whether `x` lies inside. Not a number and infinities never do.
    pub fn contains(&self, x: f64) -> bool {
        let above = x > self.low || (self.low_belongs && x == self.low);
        let below = x < self.high || (self.high_belongs && x == self.high);
        above && below && x.is_finite()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { low, low_belongs, high, high_belongs } = self;
        match (low_belongs, high_belongs, high.is_infinite()) {
            (true, _, true) => write!(f, "a number of at least {low}"),
            (false, _, true) => write!(f, "a number above {low}"),
            (true, true, _) => write!(f, "a number from {low} to {high}"),
            (false, true, _) => write!(f, "a number above {low} and at most {high}"),
            (true, false, _) => write!(f, "a number of at least {low} and below {high}"),
            (false, false, _) => write!(f, "a number above {low} and below {high}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |words: &[&str]| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text => f.write_str("a text that is not empty"),
            Self::TextOrNone => f.write_str("a text, or \"\" for none"),
            Self::Name => f.write_str("a name of letters, digits, `-`, `_` and, inside of it, `.`"),
            Self::Choice([one]) => write!(f, "\"{one}\""),
            Self::Choice(choices) => write!(f, "one of {}", words(choices)),
            Self::Flag => f.write_str("true or false"),
            Self::Integer(low, most::SEED) => write!(f, "a whole number of at least {low}"),
            Self::Integer(low, high) => write!(f, "a whole number from {low} to {high}"),
            Self::Number(interval) => write!(f, "{interval}"),
            Self::NumberOrAuto(interval) => write!(f, "{interval}, or \"auto\""),
            Self::NumberOrOff(interval) => write!(f, "{interval}, or \"off\""),
            Self::Path => f.write_str("a path"),
            Self::Paths => f.write_str("a list of at least one path"),
            Self::Choices(choices) => write!(f, "a list of at least one of {}", words(choices)),
            Self::Numbers(interval) => write!(f, "a list of at least two different numbers, each {interval}"),
            Self::NumberOrNumbers(interval) => write!(f, "{interval}, or a list of at least two different ones"),
            Self::Names => f.write_str("a list of at least one name"),
            Self::Shares => f.write_str("a table of names with shares from 0 to 1"),
            Self::Sweep => f.write_str("a list of at least two tables"),
            Self::World => {
                f.write_str("a table with the name of a world and its dials, as `{ name = \"ginc\", concepts = 5 }`")
            }
            Self::CountOrList(most) => {
                write!(f, "a whole number from 1 to {most}, or a list of as many different whole numbers")
            }
        }
    }
}

/// The tables of a recipe in the order of the stages, each with one sentence for docs/recipes.md.
pub const TABLES: &[(&str, &str)] = &[
    ("", "The top of the file."),
    ("corpus", "Where the documents are, and how they are split."),
    ("tokenize", "The tokenizer: trained on the unique split, or given."),
    ("model", "The decoder: Llama-3 blocks with normalised queries and keys, that is `Qwen3ForCausalLM`."),
    ("train", "Pretraining: of every arm, where the arm does not say otherwise."),
    ("embed", "How documents become vectors."),
    ("pair", "Which documents count as related."),
    ("tune", "Synthesizer-tuning, from an arm's best checkpoint."),
    ("generate", "Writing synthetic documents."),
    ("filter", "Which synthetic documents are kept."),
    ("evaluate", "What every arm is measured on."),
    (
        "report",
        "What the report compares, and what is said of the corpus and the models in their cards (`README.md` with the Hub's metadata); \
         changes no result.",
    ),
    (
        "embedding",
        "Vectors of the unique documents. Takes the keys of `[embed]` too, which hold where they are not written here. `lsa` is there unwritten.",
    ),
    (
        "pairs",
        "A set of pairs. Takes the keys of `[pair]` too, which hold where they are not written here. `related` (neighbours by `lsa`) and \
         `shuffled` (of `related`) are there unwritten.",
    ),
    (
        "synthesizer",
        "A model that is tuned on pairs, of the shape of its `base`. For another shape, write any key of `[model]` as `model.KEY`: its base is then \
         the first arm of kind `repetition` in that shape, `NAME-base`, which is trained and not measured. Takes the keys of `[tune]` too, which hold where they are not written here. One for every set of pairs \
         is there unwritten, under the set's name: `related`, `shuffled` and those that are written.",
    ),
    (
        "synthetic",
        "A synthetic corpus: what a model writes, or a made corpus' world, filtered. Takes the keys of `[generate]` and `[filter]` too, which hold where they are \
         not written here. One for every synthesizer is there unwritten, under its name, and `unconditional`, by the first arm of kind \
         `repetition` from no document.",
    ),
    (
        "arm",
        "One final model. Without any `[[arm]]` there are three, of the kinds `repetition`, `sbp` and `oracle`. Takes any key of \
         `[train]` and `[model]` as `train.KEY` and `model.KEY`; a list in the place of a number is a sweep: each is trained, and the \
         best one is taken.",
    ),
];

/// The tables that stand for a thing each, in the order in which they are made from each other.
pub const THINGS: [&str; 5] = ["embedding", "pairs", "synthesizer", "synthetic", "arm"];

/// The tables whose keys a thing takes as its own.
pub(crate) fn inline(table: &str) -> &'static [&'static str] {
    match table {
        "embedding" => &["embed"],
        "pairs" => &["pair"],
        "synthesizer" => &["tune"],
        "synthetic" => &["generate", "filter"],
        _ => &[],
    }
}

/// The tables whose keys stand in a table of that name inside of a thing.
pub(crate) fn nested(table: &str) -> &'static [&'static str] {
    match table {
        "arm" => &["train", "model"],
        "synthesizer" => &["model"],
        _ => &[],
    }
}

/// The default of a key, as it would stand in a recipe; a text without its quotes. Flags that mean the same have it from here.
///
/// # Panics
/// When there is no such key, or its default is none that can be written.
pub const fn default(table: &str, name: &str) -> &'static str {
    let mut at = 0;
    while at < KEYS.len() {
        let key = &KEYS[at];
        if same(key.table, table) && same(key.name, name) {
            let Preset::Value(value) = key.default else { panic!("this key's default is derived") };
            return unquoted(value);
        }
        at += 1;
    }
    panic!("no such key")
}

/// Equality of texts that can be asked for while compiling.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const fn unquoted(text: &'static str) -> &'static str {
    if text.len() < 2 || text.as_bytes()[0] != b'"' {
        return text;
    }
    text.split_at(text.len() - 1).0.split_at(1).1
}

/// The keys of one table.
pub fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> + use<'_> {
    KEYS.iter().filter(move |key| key.table == table)
}

/// One key.
///
/// # Panics
/// When there is none of this name.
pub fn key_of(table: &str, name: &str) -> &'static Key {
    keys_of(table).find(|key| key.name == name).unwrap_or_else(|| panic!("no key `{name}` in {}", table_label(table)))
}

/// How a table is written in messages: `[model]`, `[[arm]]`, or "the top of the file".
pub fn table_label(table: &str) -> String {
    match table {
        "" => "the top of the file".to_owned(),
        thing if THINGS.contains(&thing) => format!("[[{thing}]]"),
        table => format!("[{table}]"),
    }
}

/// docs/recipes.md's tables: what the list above says, for people.
pub fn reference_markdown() -> String {
    let mut out = String::new();
    for (table, about) in TABLES {
        let heading = if table.is_empty() { "Top of the file".to_owned() } else { format!("`{}`", table_label(table)) };
        out.push_str(&format!("\n## {heading}\n\n{about}\n\n"));
        out.push_str("| key | value | default | meaning | the default's source |\n|---|---|---|---|---|\n");
        for key in keys_of(table) {
            let default = match key.default {
                Preset::Required => "required".to_owned(),
                Preset::Value(value) => format!("`{value}`"),
                Preset::Derived(how) => how.to_owned(),
            };
            out.push_str(&format!(
                "| `{}` | {} | {default} | {} | {} |\n",
                key.name,
                key.kind.to_string().replace('|', "\\|"),
                key.meaning,
                key.source
            ));
        }
    }
    out
}
