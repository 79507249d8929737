//! The list of keys, table by table.

use cognate_synth::entigraph::MOST_ENTITIES;

use super::{Interval, Key, Kind, Preset};

/// Seeds of an arm, at most: beyond any experiment, and a slip of the pen is told.
const MOST_SEEDS: u64 = 1000;

/// The largest values that are of any use. A larger one is a slip of the pen, and would ask for more memory or time than there is;
/// up to these, sums and products of sizes do not overflow.
pub(super) mod most {
    /// What a TOML integer holds.
    pub(in crate::recipe::keys) const SEED: u64 = i64::MAX as u64;
    /// A record is in memory whole.
    pub(in crate::recipe::keys) const RECORD_BYTES: u64 = 1 << 32;
    /// Words that must follow each other in two documents: beyond this, none have so many in common but copies.
    pub(in crate::recipe::keys) const WORDS_IN_A_ROW: u64 = 1000;
    /// Four times the largest vocabulary that is published.
    pub(in crate::recipe::keys) const VOCABULARY: u64 = 1 << 20;
    /// Blocks or heads.
    pub(in crate::recipe::keys) const LAYERS: u64 = 1 << 12;
    pub(in crate::recipe::keys) const WIDTH: u64 = 1 << 17;
    /// What the decoder's operations take.
    pub(in crate::recipe::keys) const HEAD_WIDTH: u64 = 512;
    pub(in crate::recipe::keys) const FFN: u64 = 1 << 19;
    pub(in crate::recipe::keys) const CONTEXT: u64 = 1 << 20;
    /// Of a training: more than anybody has.
    pub(in crate::recipe::keys) const TOKENS: u64 = 1 << 50;
    /// Tokens of a step.
    pub(in crate::recipe::keys) const BATCH: u64 = 1 << 26;
    /// Documents and pairs are numbered in 32 bits.
    pub(in crate::recipe::keys) const DOCUMENTS: u64 = u32::MAX as u64;
    /// Of what is counted by hand.
    pub(in crate::recipe::keys) const SMALL: u64 = 1 << 20;
    /// Of a vector.
    pub(in crate::recipe::keys) const DIMENSIONS: u64 = 1 << 12;
    pub(in crate::recipe::keys) const TERMS: u64 = 1 << 26;
    pub(in crate::recipe::keys) const NEIGHBOURS: u64 = 1 << 16;
    pub(in crate::recipe::keys) const EPOCHS: u64 = 1000;
    /// Models that are held at once.
    pub(in crate::recipe::keys) const MEMBERS: u64 = 64;
    pub(in crate::recipe::keys) const SLOTS: u64 = 1 << 16;
    /// Each request waits in a thread of its own.
    pub(in crate::recipe::keys) const REQUESTS: u64 = 1024;
    /// A week.
    pub(in crate::recipe::keys) const WAIT_S: u64 = 604_800;
    pub(in crate::recipe::keys) const ATTEMPTS: u64 = 1000;
}

/// The kinds of arms.
pub(crate) const ARM_KINDS: [&str; 8] =
    ["repetition", "sbp", "oracle", "random-pairs", "unconditional", "equal-flops", "regularised", "related-context"];

const PAPER: &str = "paper";
const GOPHER: &str = "Rae et al. 2021, table A1";
const OURS: &str = "ours";
const FIELD: &str = "field's habit";

const fn key(
    table: &'static str,
    name: &'static str,
    kind: Kind,
    default: Preset,
    source: &'static str,
    meaning: &'static str,
) -> Key {
    Key { table, name, kind, default, meaning, source }
}

/// What an arm can be measured on: `perplexity` and the tasks of `cognate-eval`.
const TASKS: [&str; 16] = [
    "perplexity",
    "arc_easy",
    "arc_challenge",
    "piqa",
    "winogrande",
    "hellaswag",
    "sciq",
    "boolq",
    "mmlu",
    "lambada",
    "blimp",
    "triviaqa",
    "webquestions",
    "extraction_once",
    "extraction_several",
    "in_context",
];

use Kind::{
    Choice, Choices, CountOrList, Flag, Integer, Name, Names, Number, NumberOrAuto, NumberOrNumbers, NumberOrOff,
    Numbers, Path, Paths, Shares, Sweep, Text, TextOrNone, World,
};
use Preset::{Derived, Required, Value};

/// Every key, table by table.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key(
        "", "name", Name, Required, "",
        "The experiment's name; its artifacts go to `runs/NAME/` unless `--out` says otherwise.",
    ),
    key("", "seed", Integer(0, most::SEED), Value("0"), OURS, "Every random choice of every stage derives from it."),
    key(
        "", "seeds", CountOrList(MOST_SEEDS), Derived("`[seed]`, that is one"), "",
        "Every arm is trained and evaluated once with each of these seeds, which decide its initialisation and the order of \
         its data; a number n means `seed`, `seed + 1`, … (n of them), a list must hold `seed`. Everything before the arms \
         depends on `seed` alone.",
    ),

    key(
        "corpus", "paths", Paths, Derived("none: required without `world`"), "",
        "Files or folders of documents (JSON Lines, CSV, text, Parquet; see docs/formats.md), relative to the recipe.",
    ),
    key(
        "corpus", "world", World, Derived("none: documents are read"), "",
        "A made corpus in the place of files: `ginc`, `bigrams` or `biographies` with its dials ([which](worlds.md)). It follows from them and from \
         `seed`. Its own splits are taken, so no share stands beside it, and no key about files.",
    ),
    key(
        "corpus", "id_field", TextOrNone, Value("\"id\""), FIELD,
        "The field that names a document; where a record lacks it, or this is `\"\"`, the name derives from file and row.",
    ),
    key("corpus", "text_field", Text, Value("\"text\""), FIELD, "The field that holds a document's text."),
    key(
        "corpus", "group_field", Text, Derived("none: each document is a group of its own"), "",
        "The field, of a record or of its metadata, that names what a document is a part of with others, such as the book of a chapter. \
         Documents of one group stay in one split, and the shares of documents are met as nearly as that allows \
         ([how](formats.md#splits)). A document without the field is a group of its own.",
    ),
    key(
        "corpus", "limit", Integer(1, most::DOCUMENTS), Derived("none: all are taken"), "",
        "Documents that are taken, drawn by the seed from all that have text, whatever their order in the files; a larger limit takes those of \
         a smaller one. Groups are taken whole, to the nearest number. The others take no part at all, and `ingest` counts them.",
    ),
    key(
        "corpus", "chunk_tokens", Integer(16, most::CONTEXT), Derived("none: no document is cut"), "",
        "Longer documents are cut into pieces of at most so many tokens, the closing one included: between paragraphs, where one is too long \
         between its sentences, then words, then characters. The pieces of a document are a group, or stay in its group. A given `[tokenize] \
         tokenizer` counts exactly; one that is trained exists only later, so 3 bytes of UTF-8 count as a token then, fewer than it makes of most text \
         ([more](formats.md#pieces)).",
    ),
    key(
        "corpus", "on_bad_record", Choice(&["stop", "skip"]), Value("\"stop\""), OURS,
        "Stop at a record that cannot be read or whose id another one has, or count it and write it to `rejected.jsonl`.",
    ),
    key(
        "corpus", "max_record_bytes", Integer(1, most::RECORD_BYTES), Value("268435456"), OURS,
        "Most bytes of a record before it is parsed: a line of JSON Lines, a row of CSV or Parquet, a text file. A longer one cannot be read.",
    ),
    key(
        "corpus", "validation_share", Number(Interval::INSIDE), Value("0.02"), OURS,
        "Share of the documents held out for validation.",
    ),
    key(
        "corpus", "unique_share", Number(Interval::SHARE_ABOVE_ZERO), Value("0.05"), "paper: the oracle has 20 times the unique \
         data",
        "Share of the documents that the repetition and SBP arms may see; what this and the other shares leave is the oracle's alone.",
    ),
    key(
        "corpus", "selection_share", Number(Interval::SHARE_BELOW_ONE),
        Derived("`validation_share`, but at most half of what that and `unique_share` leave"), OURS,
        "Share of the documents that choices are made by, such as those of sweeps: no model is trained on them, and no arm is scored on them.",
    ),
    key(
        "corpus", "contamination_words", Integer(0, most::WORDS_IN_A_ROW), Value("13"), FIELD,
        "A training document that shares this many consecutive words with a validation document is dropped; 0 \
         keeps all.",
    ),
    key(
        "corpus", "contamination_documents", Integer(1, most::DOCUMENTS), Value("10"), "NeMo Curator: `max_matches`",
        "A passage that more documents of the corpus hold, as boilerplate does, drops none, and keeps none from a sweep's choice.",
    ),

    key(
        "tokenize", "vocab_size", Integer(258, most::VOCABULARY), Value("8192"), OURS,
        "Entries of the byte-level BPE trained on the unique split, the two special tokens included; fewer where the split is too \
         small to fill them (paper: 49,152).",
    ),
    key(
        "tokenize", "tokenizer", Path, Derived("none: one is trained"), "",
        "A `tokenizer.json` to use instead of training one; then `vocab_size` may not be written. The files beside it say \
         which tokens begin and end a document ([how](formats.md#tokenizers)).",
    ),

    key("model", "layers", Integer(1, most::LAYERS), Required, "", "Decoder blocks (paper, 3B: 26)."),
    key("model", "width", Integer(2, most::WIDTH), Required, "", "Width of the residual stream (paper, 3B: 3072)."),
    key("model", "heads", Integer(1, most::LAYERS), Required, "", "Query heads (paper, 3B: 24)."),
    key(
        "model", "kv_heads", Integer(1, most::LAYERS), Derived("`heads`"), OURS,
        "Key and value heads; divides `heads` (paper, 3B: 8).",
    ),
    key(
        "model", "head_width", Integer(2, most::HEAD_WIDTH), Derived("`width / heads`"), PAPER,
        "Width of one head; even, because rotary positions turn pairs.",
    ),
    key(
        "model", "ffn", Integer(1, most::FFN), Derived("`8/3 × width`, rounded up to a multiple of 64"), "Llama; paper, 3B: 8064",
        "Width of the feed-forward layer.",
    ),
    key(
        "model", "rope_base", Number(Interval::ROPE_BASE), Value("500000.0"), PAPER,
        "Base of the rotary position frequencies.",
    ),
    key(
        "model", "norm_eps", Number(Interval::NORM_EPS), Value("1e-6"), "Qwen3",
        "Added to the mean square in every RMS norm.",
    ),
    key(
        "model", "qk_norm", Flag, Value("true"), PAPER,
        "RMS norm on each query and key head; without it the checkpoint is `LlamaForCausalLM`.",
    ),
    key("model", "tied", Flag, Value("true"), OURS, "Whether the output head shares the embedding's weights."),
    key("model", "context", Integer(2, most::CONTEXT), Value("1024"), OURS, "Longest piece of a document that is trained on as one; a longer document is cut into pieces (paper: 4096)."),

    key(
        "train", "objective", Choice(&["plain", "mixture-of-denoisers"]), Value("\"plain\""), "",
        "What is learned of documents: the next token, or spans that were taken out (UL2, docs/methods.md). The second needs special tokens, which a tokenizer that \
         is trained here reserves; `batch_tokens` and `budget_tokens` count the documents' tokens, and sentinels come on top.",
    ),
    key(
        "train", "r_share", Number(Interval::SHARE), Derived("2/7"), "Tay et al. 2022: the same for each of its seven denoisers",
        "`mixture-of-denoisers` only, as the next two: share of the pieces of documents that have R, spans of 3 or 8 tokens, 15 % of the piece. \
         What the three shares leave is plain.",
    ),
    key("train", "s_share", Number(Interval::SHARE), Derived("1/7"), "the same", "The share of S: the last 25 % of the piece."),
    key(
        "train", "x_share", Number(Interval::SHARE), Derived("4/7"), "the same",
        "The share of X: spans of 3, 8 or 64 tokens, 50 % of the piece, or of 64 tokens, 15 %.",
    ),
    key(
        "train", "teacher_share", Number(Interval::SHARE), Value("0.5"), "qlabs-eng/slowrun; BabyLlama",
        "α, for an arm with `teachers`: the share of the loss that is about what these expect. 0 leaves the plain loss.",
    ),
    key(
        "train", "teacher_temperature", Number(Interval::PENALTY), Value("1.0"), "qlabs-eng/slowrun",
        "T, for an arm with `teachers`: teachers and student are compared by their softmax of logits / T.",
    ),
    key(
        "train", "teacher_top", Integer(1, most::VOCABULARY), Value("64"), OURS,
        "For an arm with `teachers`: tokens that are kept of each distribution, the likeliest ones. The rest's mass is kept as one number.",
    ),
    key("train", "budget_tokens", Integer(1, most::TOKENS), Required, "", "Training tokens of every arm, cut to whole steps."),
    key(
        "train", "batch_tokens", Integer(1, most::BATCH), Derived("`8 × model.context`"), OURS,
        "Tokens per step (paper: 2048 × 4096).",
    ),
    key(
        "train", "peak_rate", Number(Interval::POSITIVE),
        Derived("0.3118 × C^(−1/8), C the operations of training between embedding and head"), "DeepSeek LLM, arXiv 2401.02954",
        "Highest learning rate (paper: 1e-2).",
    ),
    key(
        "train", "final_rate", Number(Interval::NOT_NEGATIVE), Derived("`peak_rate / 200`"), PAPER,
        "Learning rate at the end of the cosine; at most `peak_rate` (paper: 5e-5).",
    ),
    key(
        "train", "warmup_share", Number(Interval::SHARE_BELOW_ONE), Value("0.05"), PAPER,
        "Share of the steps during which the rate rises linearly.",
    ),
    key(
        "train", "weight_decay", Number(Interval::NOT_NEGATIVE), Value("0.1"), FIELD,
        "Decoupled weight decay of AdamW; none on norms.",
    ),
    key(
        "train", "weight_decay_epochs", Number(Interval::POSITIVE), Derived("none: `weight_decay` holds"),
        "the AdamW timescale of Wang and Aitchison 2024, arXiv 2405.13698",
        "In the place of `weight_decay`: over how many epochs of its real text a model forgets. The decay is 1 / (rate · steps per \
         epoch · this), with the peak rate.",
    ),
    key(
        "train", "beta1", Number(Interval::SHARE_BELOW_ONE), Value("0.9"), FIELD,
        "AdamW's decay of the first moment.",
    ),
    key(
        "train", "beta2", Number(Interval::SHARE_BELOW_ONE), Value("0.95"), FIELD,
        "AdamW's decay of the second moment.",
    ),
    key(
        "train", "epsilon", Number(Interval::POSITIVE), Value("1e-8"), FIELD,
        "Added to the root of AdamW's second moment.",
    ),
    key(
        "train", "clip", Number(Interval::POSITIVE), Value("1.0"), FIELD,
        "A gradient longer than this is scaled down to it.",
    ),
    key(
        "train", "validate_every_tokens", Integer(1, most::TOKENS), Derived("`budget_tokens / 20`, at least one step"), OURS,
        "Tokens between two measurements of the validation loss.",
    ),
    key(
        "train", "validate_documents", Integer(1, most::DOCUMENTS), Value("100"), OURS,
        "Validation documents, drawn once, on which the loss is measured while training; `evaluate` takes all.",
    ),
    key(
        "train", "checkpoint_every_tokens", Integer(1, most::TOKENS), Derived("`budget_tokens / 20`, at least one step"), OURS,
        "Tokens between two checkpoints: what a killed run loses at most.",
    ),
    key(
        "train", "keep_checkpoints", Integer(1, most::SMALL), Value("2"), OURS,
        "Newest checkpoints that stay on disk; the best and the final one always do.",
    ),

    key(
        "embed", "method", Choice(&["lsa"]), Value("\"lsa\""), "ours; paper: Qwen3-Embedding-0.6B",
        "Latent semantic analysis: TF-IDF, truncated SVD, unit vectors; needs no download.",
    ),
    key("embed", "dimensions", Integer(1, most::DIMENSIONS), Value("256"), OURS, "Width of the vectors; less where the corpus has fewer documents, terms or directions."),
    key("embed", "min_documents", Integer(1, most::DOCUMENTS), Value("2"), FIELD, "Words in fewer documents are ignored."),
    key(
        "embed", "max_document_share", Number(Interval::SHARE_ABOVE_ZERO), Value("0.5"), FIELD,
        "Words in a larger share of the documents are ignored.",
    ),
    key(
        "embed", "max_terms", Integer(1, most::TERMS), Value("200000"), OURS,
        "The words kept are at most this many, the most frequent first.",
    ),

    key(
        "pair", "neighbours", Integer(1, most::NEIGHBOURS), Value("10"), OURS,
        "Nearest neighbours of each document that can become its pairs (paper, recalled: at most 200).",
    ),
    key(
        "pair", "min_similarity", NumberOrAuto(Interval::COSINE), Value("\"auto\""), "ours; paper, recalled: 0.75 for \
         its embedder",
        "α: neighbours below it are no pair. `auto` estimates which share of neighbours is true at each similarity, and takes pairs so that \
         `precision` holds: from the valley on where the similarities have two hills; otherwise those pairs that stand out from the strangers of \
         both documents, where these give 5 % of the documents a pair. Where neither does, it says that the corpus has no usable relation, and takes the \
         similarity that one in a thousand random pairs exceeds, or the lower one that an exponential tail through their median and 90th \
         percentile has there.",
    ),
    key(
        "pair", "precision", Number(Interval::INSIDE), Value("0.95"), OURS,
        "Share of true pairs that `auto` wants, by its estimate.",
    ),
    key(
        "pair", "near_copy", NumberOrOff(Interval::SHARE_ABOVE_ZERO), Value("0.7"), OURS,
        "Neighbours whose word 5-grams have this Jaccard similarity are near-copies and no pair.",
    ),
    key(
        "pair", "max_similarity", Number(Interval::CEILING), Value("2.0"), OURS,
        "Neighbours at least this similar count as near-copies too, whatever their texts; above 1, nothing does.",
    ),
    key(
        "pair", "held_out_share", Number(Interval::SHARE_BELOW_ONE), Value("0.05"), OURS,
        "What measures the synthesizer where fewer than 12 documents of the selection split have a related unique one: pairs of two \
         documents of this share of those with a pair, at most. Pairs of one of them and another document are dropped then.",
    ),

    key(
        "pair", "within_groups", Flag, Value("true"), OURS,
        "Whether documents of one group (`[corpus] group_field`) can be pairs. `false` passes such neighbours over before `neighbours` are \
         counted; in a `shuffled` set, no second document is of the first one's group; of given pairs, such ones are left out.",
    ),

    key("tune", "epochs", Integer(1, most::EPOCHS), Value("1"), OURS, "How often each pair is seen."),
    key(
        "tune", "max_pairs", Integer(1, most::DOCUMENTS), Derived("none: it learns from all"), "",
        "Training pairs that a synthesizer learns from, at most: so many are drawn, once. It bounds the time of tuning, which grows with the \
         number of pairs times `epochs`. Held-out pairs stay as they are.",
    ),
    key(
        "tune", "rate", Number(Interval::POSITIVE), Derived("`train.peak_rate / 10`"), "ours: lowest loss after the true seed of five rates, experiments/004-tuning-rate",
        "Learning rate, constant after the warm-up (paper, recalled: 5e-6 at 3B). Of a base with a sweep, what is not written here follows its first candidate.",
    ),
    key(
        "tune", "warmup_share", Number(Interval::SHARE_BELOW_ONE), Value("0.02"), OURS,
        "Share of the steps during which the rate rises linearly.",
    ),
    key(
        "tune", "batch_tokens", Integer(1, most::BATCH), Derived("`train.batch_tokens`, or `tune.context` where that is more"), OURS,
        "Tokens per step, both documents of a pair counted; at least `tune.context`.",
    ),
    key(
        "tune", "context", Integer(4, most::CONTEXT), Derived("`2 × model.context`"), "paper, recalled: 8192 after 4096",
        "Most tokens of a pair; the first document is cut to half of it, then the second to the rest.",
    ),
    key(
        "tune", "weight_decay", Number(Interval::NOT_NEGATIVE), Derived("`train.weight_decay`; 0.1 beside `weight_decay_epochs`"), OURS,
        "Decoupled weight decay of AdamW; none on norms.",
    ),
    key(
        "tune", "validate_every_tokens", Integer(1, most::TOKENS), Derived("a twentieth of the tokens of all epochs"), OURS,
        "Tokens between two measurements of the loss on held-out pairs.",
    ),
    key(
        "tune", "validate_pairs", Integer(1, most::DOCUMENTS), Value("200"), OURS,
        "Held-out pairs, drawn once and at most half of them, that choose the synthesizer: the checkpoint at which the true seed saves most, \
         over a random one or over none, whichever is less; where it saves nothing, of `random-pairs`, and where seeds are too few, the one of the lowest loss.",
    ),
    key(
        "tune", "relation_pairs", Integer(1, most::DOCUMENTS), Value("500"), OURS,
        "Of the other held-out pairs, as many are drawn to compare the true, a random and no seed on, before and \
         after tuning.",
    ),
    key(
        "tune", "checkpoint_every_tokens", Integer(1, most::TOKENS), Derived("a twentieth of the tokens of all epochs"), OURS,
        "Tokens between two checkpoints.",
    ),
    key(
        "tune", "least_pairs", Integer(0, most::DOCUMENTS), Value("20"),
        "ours: of fewer, not each of the twenty measurements of a tuning comes behind a pair that it has not seen yet",
        "With fewer training pairs the run stops behind `pair`, before anything is trained; 0 goes on with any.",
    ),

    key(
        "generate", "method", Choice(&["model", "endpoint", "entigraph"]), Value("\"model\""), OURS,
        "`model`: our own decoder writes; `endpoint`: a completion server that serves the synthesizer does \
         (docs/endpoint.md); `entigraph`, in `[[synthetic]]` alone: a chat server lists each document's entities and writes about every two of \
         them, then about three ([how](methods.md#texts-about-entities-by-a-server-entigraph)).",
    ),
    key(
        "generate", "most_entities", Integer(2, MOST_ENTITIES as u64), Derived("`20`"), OURS,
        "`entigraph` only: entities of a document, at most.",
    ),
    key(
        "generate", "temperature", Number(Interval::TEMPERATURE), Value("1.0"), "paper, recalled",
        "Divides the logits; 0 takes the likeliest token always.",
    ),
    key(
        "generate", "top_p", Number(Interval::SHARE_ABOVE_ZERO), Value("0.9"), "paper, recalled",
        "Nucleus sampling: only the likeliest tokens that make up this probability are drawn.",
    ),
    key(
        "generate", "precision", Choice(&["f32", "int8"]), Value("\"f32\""), OURS,
        "In what numbers our own decoder multiplies: `int8` is faster, and the run measures what it costs in likelihood \
         (docs/numerics.md).",
    ),
    key(
        "generate", "top_k", Integer(0, most::VOCABULARY), Value("0"), OURS,
        "Only so many of the likeliest tokens are drawn, before `top_p` looks at what is left; 0 is off. This and the next \
         two mean what they mean in transformers.",
    ),
    key(
        "generate", "min_p", Number(Interval::SHARE), Value("0.0"), OURS,
        "Only tokens at least so likely as this share of the likeliest one are drawn; 0 is off.",
    ),
    key(
        "generate", "repetition_penalty", Number(Interval::PENALTY), Value("1.0"), OURS,
        "Divides the logit (multiplies it, where it is below 0) of every token that the prompt or the document holds \
         already; 1 is off.",
    ),
    key(
        "generate", "samples_per_seed", Integer(1, most::SMALL), Value("1"), OURS,
        "Documents in a row that start from one drawn seed; their metadata `sample` says which each is.",
    ),
    key(
        "generate", "max_new_tokens", Integer(1, most::CONTEXT), Derived("`tune.context / 2`; `2048` for `entigraph`"), OURS,
        "A document that is longer is unfinished.",
    ),
    key(
        "generate", "max_seed_tokens", Integer(1, most::CONTEXT), Derived("`tune.context / 2 - 2`; `8192` for `entigraph`"), OURS,
        "A longer seed is cut, at the last sentence that fits, otherwise the last word.",
    ),
    key(
        "generate", "slots", Integer(1, most::SLOTS), Value("64"), OURS,
        "Documents written at the same time; no result depends on it.",
    ),
    key(
        "generate", "oversample", Number(Interval::OVERSAMPLE), Value("0.25"), OURS,
        "Share that is written beyond the need at first, because filters drop some; more follows where it falls \
         short.",
    ),
    key(
        "generate", "most_written", Number(Interval::EPOCHS), Value("8.0"), OURS,
        "No further round is written, and the run stops and says so, where the filters keep so little that more than so many times the need \
         would have to be written.",
    ),
    key(
        "generate", "most_unfinished", NumberOrOff(Interval::SHARE_ABOVE_ZERO), Value("0.8"), OURS,
        "Where this share of the documents, or more, reached `max_new_tokens` before their end, the run stops behind the first round and says \
         so; `off` goes on, as `[filter] drop_unfinished = false` does, which keeps such documents.",
    ),
    key(
        "generate", "endpoint_url", Text, Derived("required for `endpoint` and `entigraph`"), "",
        "`endpoint` and `entigraph` only, as all that follow: the server's address, as `http://127.0.0.1:8000/v1`.",
    ),
    key(
        "generate", "endpoint_model", Text, Derived("`\"synthesizer\"`"), OURS,
        "The name that the server knows the synthesizer by. With `entigraph` the model that writes, and required.",
    ),
    key(
        "generate", "endpoint_concurrency", Integer(1, most::REQUESTS), Derived("`32`"), OURS,
        "Requests at a time; no result depends on it.",
    ),
    key(
        "generate", "endpoint_key_env", Text, Derived("no key"), "",
        "The name of the environment variable that holds the server's key, in capitals; never the key itself.",
    ),
    key("generate", "endpoint_timeout_s", Integer(1, most::WAIT_S), Derived("`300`"), OURS, "Longest wait for one answer."),
    key(
        "generate", "endpoint_attempts", Integer(1, most::ATTEMPTS), Derived("`8`"), OURS,
        "Requests for one document before the stage stops.",
    ),

    key(
        "filter", "min_words", Integer(0, most::SMALL), Value("10"), OURS,
        "A document of fewer words is dropped; 0 keeps all but those without any.",
    ),
    key(
        "filter", "drop_unfinished", Flag, Value("true"), OURS,
        "Whether a document is dropped that reached `max_new_tokens` before its end.",
    ),
    key(
        "filter", "non_text", NumberOrOff(Interval::SHARE), Value("0.01"), OURS,
        "A document is no text above this share of control, private-use and replacement characters.",
    ),
    key(
        "filter", "duplicate_lines", NumberOrOff(Interval::SHARE), Value("0.3"), GOPHER,
        "A document is repetition above this share of lines that stood there before, in lines.",
    ),
    key(
        "filter", "duplicate_paragraphs", NumberOrOff(Interval::SHARE), Value("0.3"), GOPHER,
        "A document is repetition above this share of paragraphs that stood there before, in paragraphs.",
    ),
    key(
        "filter", "duplicate_line_characters", NumberOrOff(Interval::SHARE), Value("0.2"), GOPHER,
        "A document is repetition above this share of characters in such lines.",
    ),
    key(
        "filter", "duplicate_paragraph_characters", NumberOrOff(Interval::SHARE), Value("0.2"), GOPHER,
        "A document is repetition above this share of characters in such paragraphs.",
    ),
    key(
        "filter", "top_2_gram", NumberOrOff(Interval::SHARE), Value("0.2"), GOPHER,
        "A document is repetition above this share of characters in all occurrences of its most frequent pair of words.",
    ),
    key(
        "filter", "top_3_gram", NumberOrOff(Interval::SHARE), Value("0.18"), GOPHER,
        "A document is repetition above this share of characters in all occurrences of its most frequent run of three words.",
    ),
    key(
        "filter", "top_4_gram", NumberOrOff(Interval::SHARE), Value("0.16"), GOPHER,
        "A document is repetition above this share of characters in all occurrences of its most frequent run of four words.",
    ),
    key(
        "filter", "duplicate_5_grams", NumberOrOff(Interval::SHARE), Value("0.15"), GOPHER,
        "A document is repetition above this share of characters in runs of 5 words that stood there before.",
    ),
    key(
        "filter", "duplicate_6_grams", NumberOrOff(Interval::SHARE), Value("0.14"), GOPHER,
        "A document is repetition above this share of characters in runs of 6 words that stood there before.",
    ),
    key(
        "filter", "duplicate_7_grams", NumberOrOff(Interval::SHARE), Value("0.13"), GOPHER,
        "A document is repetition above this share of characters in runs of 7 words that stood there before.",
    ),
    key(
        "filter", "duplicate_8_grams", NumberOrOff(Interval::SHARE), Value("0.12"), GOPHER,
        "A document is repetition above this share of characters in runs of 8 words that stood there before.",
    ),
    key(
        "filter", "duplicate_9_grams", NumberOrOff(Interval::SHARE), Value("0.11"), GOPHER,
        "A document is repetition above this share of characters in runs of 9 words that stood there before.",
    ),
    key(
        "filter", "duplicate_10_grams", NumberOrOff(Interval::SHARE), Value("0.1"), GOPHER,
        "A document is repetition above this share of characters in runs of 10 words that stood there before.",
    ),
    key(
        "filter", "near_copy", NumberOrOff(Interval::SHARE_ABOVE_ZERO), Value("0.5"), OURS,
        "A document is a near-copy when this share of its distinct word 5-grams stands in its seed.",
    ),
    key(
        "filter", "verbatim_words", Integer(0, most::WORDS_IN_A_ROW), Value("40"), "Lee et al. 2022: 50 tokens, about 40 English words",
        "A document is dropped when so many of its words in a row stand in one document of the unique split, its seed \
         or any other; 0 keeps all.",
    ),
    key(
        "filter", "min_relevance", Number(Interval::NATS), Derived("none: nothing is dropped for it"), "",
        "A document is dropped when its seed raises its log-probability under the synthesizer by less than this, in nats \
         per token; the report has the score at which 5 % of true pairs would go.",
    ),
    key(
        "filter", "near_duplicate", NumberOrOff(Interval::NEAR_DUPLICATE), Value("0.7"), "FineWeb, Lee et al. 2022: about \
         0.8",
        "A document is a near-duplicate at this Jaccard similarity of its word 5-grams to those of an earlier \
         synthetic document.",
    ),
    key(
        "filter", "samples", Integer(0, most::SMALL), Value("20"), OURS,
        "Dropped documents that are kept for reading, per reason.",
    ),
    key(
        "filter", "quality_documents", Integer(1, most::DOCUMENTS), Value("10000"), OURS,
        "Documents that the quality figures look at, the first so many.",
    ),
    key(
        "filter", "judge_url", Text, Derived("none: nobody is asked"), "",
        "A completion server whose model is asked whether pairs are related (docs/filters.md has the prompt), as \
         `http://127.0.0.1:8000/v1`; the answers are reported and drop nothing.",
    ),
    key(
        "filter", "judge_model", Text, Derived("required beside `judge_url`"), "",
        "The name that the server knows the judge by.",
    ),
    key(
        "filter", "judge_key_env", Text, Derived("no key"), "",
        "The name of the environment variable that holds that server's key, in capitals; never the key itself.",
    ),
    key(
        "filter", "judge_samples", Integer(1, most::SMALL), Derived("`200`"), OURS,
        "Pairs that the judge is asked about: so many of seed and synthetic document, of true neighbours, and of random \
         documents.",
    ),

    key(
        "evaluate", "tasks", Choices(&TASKS), Derived("`[\"perplexity\"]`, with a world's own tasks"), "",
        "What every arm is measured on: perplexity of the validation split always, and published tasks. `extraction_once` and \
         `extraction_several` (of `biographies`) and `in_context` (of `ginc`) are of a world, and need no `data_dir` where the corpus is that world.",
    ),
    key(
        "evaluate", "data_dir", Path, Derived("none: no published tasks"), "",
        "The folder that holds the tasks' files, named as docs/evaluation.md lists them.",
    ),
    key(
        "evaluate", "limit", Integer(0, most::DOCUMENTS), Value("0"), "",
        "Questions of each task, the first so many (of each subject of mmlu and paradigm of blimp); 0 takes all.",
    ),

    key(
        "report", "baseline", Name, Derived("the first arm of kind `repetition`"), "",
        "The arm that every other one is compared with.",
    ),
    key(
        "report", "ceiling", Name, Derived("the first arm of kind `oracle`"), "",
        "The arm at which the gap is closed.",
    ),
    key(
        "report", "subject", Name, Derived("the first arm of kind `sbp`"), "",
        "The arm that the answer is about, and that controls are compared with.",
    ),
    key(
        "report", "license", Text, Derived("none: the cards say `unknown`"), "",
        "Licence of the documents, and so of what is made from them, by the Hub's identifier, as `cc0-1.0`.",
    ),
    key(
        "report", "language", Text, Derived("none: the cards do not say"), "",
        "Language of the documents, as an ISO 639 code, as `en`; several with commas between them.",
    ),

    key("embedding", "name", Name, Required, "", "What other things call it."),
    key(
        "embedding", "method", Choice(&["lsa", "file"]), Value("\"lsa\""), OURS,
        "Latent semantic analysis of the unique documents, or vectors of a file.",
    ),
    key(
        "embedding", "path", Path, Derived("none"), "",
        "`file` only: vectors of the documents (Parquet, or `.npy` with its identifiers), as `cognate embed` writes them; each unique document \
         must have one, others are passed over.",
    ),

    key("pairs", "name", Name, Required, "", "What other things call it."),
    key(
        "pairs", "method",
        Choice(&[
            "neighbours", "shuffled", "file", "truth", "entity-pairs", "reorder", "next-sentences", "masked-span", "all", "obfuscated", "phrases",
            "trees", "forms", "cycle",
        ]),
        Value("\"neighbours\""), "",
        "`neighbours`: documents that are near to each other; `shuffled`: the pairs of another set, each with a second document of another \
         pair; `file`: pairs that are given; `truth`: those that a `[corpus] world` says share a concept ([which](worlds.md#in-a-recipe)); `entity-pairs`: documents that name the same entities; `cycle`: those of another set \
         from which a synthesizer best finds back. The others have texts of their own (docs/methods.md). `reorder`, `next-sentences` and `masked-span`: a \
         document's shuffled sentences and the document, its beginning and what follows, the document with a masked span and that span; `all`: a \
         third of the pieces each; `obfuscated`: the pairs of another set, with words replaced by nonsense words; `phrases`: given phrases that say the same, strung \
         together; `trees`: sentences of two made languages; `forms`: a document's keywords and the document.",
    ),
    key("pairs", "embedding", Name, Derived("`lsa`"), "", "`neighbours` only: by which vectors."),
    key("pairs", "of", Name, Derived("`related`"), "", "`shuffled`, `obfuscated` and `cycle` only: of which set."),
    key(
        "pairs", "by", Name, Derived("the name that `of` has"), "",
        "`cycle` only: the synthesizer that scores, by (log p(d1 after d2) - log p(d1)) / tokens of d1, and the same the other way round.",
    ),
    key(
        "pairs", "keep", Number(Interval::SHARE_ABOVE_ZERO), Derived("required for `cycle`"), "",
        "`cycle` only: the share of the set's training pairs that is kept, those of the highest scores.",
    ),
    key(
        "pairs", "rounds", Integer(1, 100), Derived("1"), "Crouse et al. 2023 (LOCCO)",
        "`cycle` only: how often pairs are scored. Behind each round but the last a synthesizer is tuned on what was kept, and scores all pairs of \
         the set again: `NAME-round-1` and so on, as `[tune]` says.",
    ),
    key(
        "pairs", "path", Path, Derived("none"), "",
        "`file`: pairs as `cognate pair` writes them; those of documents that are not unique ones are passed over. `phrases`: JSON Lines or \
         Parquet, each record with a text `source` and a text `target` that say the same.",
    ),
    key(
        "pairs", "shared_entities", Integer(1, 1000), Derived("2"), "Yang et al. 2024 (EntiGraph): pairs of entities",
        "`entity-pairs` only: entities that both documents name, at least. An entity is a run of at most four words with capitals.",
    ),
    key(
        "pairs", "entity_documents", Integer(2, most::DOCUMENTS), Derived("100"), "",
        "`entity-pairs` only: an entity that more documents name joins none. The work grows with its square.",
    ),
    key(
        "pairs", "keywords", Integer(2, most::CONTEXT), Derived("24"), "",
        "`forms` only: keywords of a form, at most, by TF-IDF, in the order of the document.",
    ),
    key(
        "pairs", "direction", Choice(&["to-document", "to-form"]), Derived("`to-document`"), "",
        "`forms` only: which of the two is to be written.",
    ),
    key(
        "pairs", "made", Integer(1, 1 << 29), Derived("10,000"), "",
        "`phrases` and `trees` only: pairs to make. `held_out_share` more are made to measure by; of phrases, of others than these.",
    ),
    key(
        "pairs", "parts", Integer(2, 1000), Derived("16"), "",
        "`phrases`: phrases of a text, one to so many; `trees`: words of a sentence, two to so many.",
    ),
    key("pairs", "words", Integer(2, 1_000_000), Derived("1000"), "", "`trees` only: words of each of the two languages."),
    key(
        "pairs", "swap", Number(Interval::SHARE), Derived("0.15"), "",
        "`trees` only: how likely the two branches of a node are exchanged.",
    ),

    key("synthesizer", "name", Name, Required, "", "What other things call it."),
    key(
        "pairs", "share", Number(Interval::SHARE), Derived("required for `obfuscated`; 1 for `shuffled`"), "",
        "`obfuscated`: the share of the distinct words of all documents that becomes nonsense, one for one, the same everywhere. `shuffled`: the \
         share of the training pairs that get the second document of another; below 1 the set is no control, but one with so many false pairs.",
    ),
    key(
        "pairs", "piece_tokens", Integer(2, most::CONTEXT), Derived("512, or `model.context` - 2 where that is less"), "Zou et al. 2020: 512",
        "`reorder`, `next-sentences`, `masked-span` and `all` only: a longer document is cut into pieces of at most so many tokens, at ends of \
         sentences; each is made into a pair of its own.",
    ),

    key(
        "synthesizer", "base", Name, Derived("the first arm of kind `repetition`"), PAPER,
        "The model whose best checkpoint is tuned: an arm, another synthesizer, or that of a set of pairs.",
    ),
    key("synthesizer", "pairs", Name, Derived("the set of its own name, else `related`"), "", "What it learns from."),

    key("synthetic", "name", Name, Required, "", "What other things call it."),
    key(
        "synthetic", "by", Names, Derived("the synthesizer of its own name, else `related`; nobody beside `truth` and `entigraph`"), "",
        "Who writes it: a synthesizer, or an arm's best checkpoint. Of a list, each writes from what the one before wrote: `[\"to-form\", \
         \"from-form\"]` makes the corpus `NAME-step-1` on the way. Of forms, the filters that are about sentences are off where they are not written in this table.",
    ),
    key(
        "synthetic", "truth", Number(Interval::SHARE), Derived("a model writes"), "",
        "In the place of `by`: the corpus' world writes it, and says what is true with this probability. In `biographies` that is each \
         statement about the seed's person; in `ginc` and `bigrams` it is whether the document has the seed's concept.",
    ),
    key(
        "synthetic", "mistakes", Choice(&["independent", "consistent"]), Derived("`independent`"), "",
        "With `truth` only: whether what is false is drawn anew each time, or once for each fact (in `ginc` and `bigrams` for each seed) \
         and is the same ever after, as of a model that has learned it wrong.",
    ),
    key(
        "synthetic", "seeds", Name, Derived("`unique` for a synthesizer or a world, `none` for an arm"), PAPER,
        "What it is written from: `unique` (the unique documents), another synthetic corpus, or `none`.",
    ),

    key("arm", "name", Name, Derived("`kind`"), "", "The arm's folder and its row in the report."),
    key(
        "arm", "kind", Choice(&ARM_KINDS), Derived("none: the other keys say all"), "",
        "A preset, which `cognate plan --expand` writes out. `repetition`: unique documents, repeated; `sbp`: unique documents repeated and \
         synthetic ones once; `oracle`: fresh documents. Controls: `random-pairs`, as `sbp` with a synthesizer tuned on the same pairs, \
         their second documents shuffled; `unconditional`, as `sbp` with the repetition arm's own samples, written from no document; \
         `equal-flops`, `repetition` to as many operations as the first `sbp` arm cost, its base model, pairing, tuning, generation \
         and filtering included; `regularised`, `repetition` with the best of several weight decays; `related-context`, `repetition` \
         with related documents packed into one context.",
    ),
    key(
        "arm", "documents", Choice(&["unique", "all"]), Value("\"unique\""), "",
        "The real documents that it sees: those of the unique split, or those of the oracle split too.",
    ),
    key(
        "arm", "max_epochs", Number(Interval::EPOCHS), Derived("1.0 of `all` documents, any number of `unique` ones"),
        "paper: about 1 at 200B, 2 at 1T", "How often its real documents may be seen at most.",
    ),
    key(
        "arm", "synthetic", Shares, Derived("none"), "",
        "The synthetic corpora that it sees, once each, with their shares of the budget: `synthetic = { NAME = 0.25 }`.",
    ),
    key(
        "arm", "synthetic_share", NumberOrNumbers(Interval::SHARE), Derived("`0.25`; for a control that of the first `sbp` arm"),
        "paper: 0.125 to 0.375", "`sbp`, `random-pairs` and `unconditional` only: share of the budget that is synthetic.",
    ),
    key(
        "arm", "order", Choice(&["mixed", "synthetic-first", "real-last"]), Value("\"mixed\""), PAPER,
        "`mixed`: shuffled together; `synthetic-first`: all synthetic documents, then the real ones; `real-last`: shuffled together, \
         but for the last tenth of the budget, which is real.",
    ),
    key(
        "arm", "contexts", Choice(&["single", "related"]), Value("\"single\""), "",
        "Whether a document stands alone in its context, or behind related ones (by the vectors that `embedding` names).",
    ),
    key("arm", "embedding", Name, Derived("`lsa`"), "", "`contexts = \"related\"` only: by which vectors."),
    key(
        "arm", "init", Text, Derived("none: random weights"), "",
        "Where its training starts: another arm's last checkpoint or the best one of a synthesizer or of that of a set of pairs, by its name, or a checkpoint's folder, with `/` in it.",
    ),
    key(
        "arm", "teachers", Names, Derived("none"), "",
        "Arms whose expectations it learns beside the next token: the mean of their probabilities, taken by their last checkpoints of the recipe's own seed \
         (docs/methods.md). `train.teacher_share` says how much they count.",
    ),
    key(
        "arm", "members", Integer(1, most::MEMBERS), Value("1"), "",
        "Models that are trained alike, from seeds of their own, and scored by the mean of their probabilities (Kim et al. 2025). What goes on from such an arm, or writes by it, \
         takes the first of them; as a teacher it is all of them.",
    ),
    key(
        "arm", "operations_of", Name, Derived("none: `[train] budget_tokens` holds"), "",
        "Trained to as many operations as this arm cost in all.",
    ),
    key(
        "arm", "weight_decays", Numbers(Interval::NOT_NEGATIVE), Derived("`[0.1, 0.8, 3.2]`"),
        "the usual one, and about 8 and 30 times that: 30 is what Kim et al. 2025, arXiv 2509.14786, found best for repeated text",
        "`regularised` only: the same as `train.weight_decay` with this list.",
    ),
    key(
        "arm", "sweep", Sweep, Derived("none"), "",
        "What lists of values stand for, written out: a table for each candidate, `{ name = NAME, train.KEY = …, model.KEY = …, \
         synthetic.NAME = … }`. Each is trained to the whole budget with the recipe's `seed`; the other seeds take the one that was chosen. \
         One that another arm is trained with is not trained again.",
    ),
    key(
        "arm", "selection_documents", Integer(1, most::DOCUMENTS), Value("500"), OURS,
        "Of a sweep: documents, at most, on which the best is chosen, drawn once from the selection split; those that share \
         `[corpus] contamination_words` words in a row with what the arm is trained on are left out, where at most \
         `contamination_documents` documents have these words.",
    ),
    key(
        "arm", "control_of", Name, Derived("none"), "", "The arm that the report compares this one with, beside the baseline.",
    ),
    key(
        "arm", "other_budget", Flag, Value("false"), "",
        "Whether it may be trained on more or fewer tokens than the baseline: figures of arms with different budgets say less of each other.",
    ),
    key(
        "arm", "evaluate", Flag, Value("true"), "",
        "Whether it is measured and stands in the report; an arm that other things are made from need not.",
    ),
];
