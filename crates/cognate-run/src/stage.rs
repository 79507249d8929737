//! The stages of an experiment: a closed set, in their order.

/// The stages' names: modules, commands, recipe tables, folders and rows of the report are all called so.
pub const STAGE_NAMES: [&str; 10] =
    ["ingest", "tokenize", "embed", "pair", "train", "tune", "generate", "filter", "evaluate", "report"];
