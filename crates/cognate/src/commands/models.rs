//! `train` and `tune` on plain files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cognate_base::Hash;
use cognate_corpus::{RELATED, TokenFile, Tokenizer, check_tokens};
use cognate_eval::{RelationOptions, relation};
use cognate_model::checkpoint::{TokenizerFiles, read_config, weight_files};
use cognate_model::{Config, Decoder, ScoreItem};
use cognate_pair::read_pairs;
use cognate_run::device::Model;
use cognate_run::recipe::keys;
use cognate_run::rundir::{Identity, begin_training};
use cognate_run::{LEAST_SEEDS, read_texts, tell_use_of_seed, tokenizer_files, training_pairs};
use cognate_train::{
    Contrast, Job, PairStream, PairTokens, PlainStream, Schedule, Shape, Source, Stream, TrainConfig, check_room,
    peak_rate_for, validation_items,
};
use serde_json::{Value, json};

use super::documents::read_options;
use super::shared::{Result, device, print_json};
use crate::args::{OptimizerArgs, ShapeArgs, TrainArgs, TuneArgs};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) fn train(args: &TrainArgs, threads: usize, terminal: &Terminal) -> Result {
    let tokenizer = match &args.init {
        // Its embedding need not have a row for a token that would be added, and plain training needs none.
        Some(_) => Tokenizer::load_unchanged(&args.tokenizer)?,
        None => Tokenizer::load(&args.tokenizer)?,
    };
    let steps = args.budget_tokens / args.batch_tokens as u64;
    if steps == 0 {
        let expected = format!("at least one step, that is --batch-tokens {}", args.batch_tokens);
        return Err(Failure::setting("--budget-tokens", args.budget_tokens, &expected));
    }
    let shape = match &args.init {
        Some(checkpoint) => {
            let own = checkpoint.join("tokenizer.json");
            // Weights of elsewhere may come without one.
            if own.exists() {
                tokenizer.check_same(&args.tokenizer, &Tokenizer::load_unchanged(&own)?, &own)?;
            }
            read_config(checkpoint)?.0
        }
        None => config(&args.shape, tokenizer.vocab_size(), args.context.unwrap_or_else(cut_to))?,
    };
    let context = context(args.context, args.context.unwrap_or_else(cut_to).min(shape.max_positions), &shape)?;
    let rows = tokenizer.vocab_size().min(shape.vocab);
    check_rows(&tokenizer, rows)?;
    let mut sources = Vec::new();
    for (i, prefix) in args.tokens.iter().enumerate() {
        let file = TokenFile::open(prefix)?;
        file.check_ids(rows, terminal)?;
        sources.push(Source { name: format!("source {i}"), file, rows: None, tokens: 0, repeat: true });
    }
    share(&mut sources, steps * args.batch_tokens as u64);
    let begin = tokenizer.begin_of_document();
    let seed = args.optimizer.seed;
    let stream = PlainStream::new(sources, steps, args.batch_tokens, context, begin, seed)?;
    let validation = match &args.validation {
        Some(prefix) => {
            let file = TokenFile::open(prefix)?;
            file.check_ids(rows, terminal)?;
            validation_items(&file, args.validate_documents, context, begin, seed)
        }
        None => Vec::new(),
    };
    let cpu = device(args.device, threads)?;
    let mut model = match &args.init {
        Some(checkpoint) => Decoder::load(cpu, checkpoint)?.0,
        None => Decoder::new(cpu, shape, seed)?,
    };
    let flops = model.config().training_flops(args.budget_tokens as f64, 0.0, context as f64 / 2.0);
    let peak_rate = args.peak_rate.unwrap_or_else(|| peak_rate_for(flops));
    let schedule = Schedule {
        peak_rate,
        final_rate: args.final_rate.unwrap_or(peak_rate / 200.0),
        warmup_share: args.warmup_share,
        shape: Shape::Cosine,
    };
    let mut inputs: Vec<PathBuf> = args.tokens.iter().map(|prefix| with_ending(prefix, ".bin")).collect();
    inputs.extend(args.validation.iter().map(|prefix| with_ending(prefix, ".bin")));
    if let Some(checkpoint) = &args.init {
        inputs.extend(weight_files(checkpoint)?);
    }
    inputs.extend(Tokenizer::files(&args.tokenizer));
    let mut settings = json!({
        "budget_tokens": steps * args.batch_tokens as u64, "batch_tokens": args.batch_tokens, "context": context,
        "validate_documents": args.validate_documents,
    });
    if let (Value::Object(settings), Value::Object(dials)) = (&mut settings, dials(model.config())) {
        settings.extend(dials);
    }
    let files = tokenizer_files(&tokenizer);
    let run = Run { files, stream: &stream, validation: &validation, contrast: None, out: &args.out };
    print_json(&run.train(&mut model, schedule, &args.optimizer, settings, &inputs, terminal)?.0)
}

pub(crate) fn tune(args: &TuneArgs, threads: usize, terminal: &Terminal) -> Result {
    let (shape, _) = read_config(&args.checkpoint)?;
    let tokenizer_path = args.checkpoint.join("tokenizer.json");
    let tokenizer = Tokenizer::load(&tokenizer_path)?;
    let file = TokenFile::open(&args.tokens)?;
    let rows = tokenizer.vocab_size().min(shape.vocab);
    check_rows(&tokenizer, rows)?;
    file.check_ids(rows, terminal)?;
    let read = read_options(&args.read);
    check_tokens(&args.documents, &read, &file, &tokenizer, &tokenizer_path)?;
    let ids: Vec<String> = read_texts(&args.documents, &read, terminal)?.into_iter().map(|(id, _)| id).collect();
    if ids.len() != file.documents() {
        let expected = format!("the documents of --tokens, which holds {}", file.documents());
        return Err(Failure::setting("--documents", format!("{} documents", ids.len()), &expected));
    }
    let pairs = |path: &Path| -> Result<Vec<(u32, u32)>> {
        Ok(read_pairs(path, &ids, terminal)?.iter().map(|pair| (pair.first, pair.second)).collect())
    };
    let training = training_pairs(&pairs(&args.pairs)?, args.max_pairs, args.optimizer.seed);
    let frame = PairTokens {
        begin_of_document: tokenizer.begin_of_document(),
        related: tokenizer.related()?,
        context: context(args.context, shape.max_positions, &shape)?,
    };
    let (model, _) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let mut model = with_related_row(model, frame.related)?;
    let held_out = args.held_out.as_ref().map(|path| pairs(path)).transpose()?.unwrap_or_default();
    let document = |number: u32| file.document(number as usize);
    let validation: Vec<ScoreItem> =
        held_out.iter().map(|(first, second)| frame.item(document(*first), document(*second))).collect();
    let contrast = frame.contrast(document, &held_out, held_out.iter().map(|(first, _)| *first), args.optimizer.seed);
    let stream = PairStream::new(file.clone(), &training, args.epochs, args.batch_tokens, frame, args.optimizer.seed)?;
    let schedule = Schedule {
        peak_rate: args.rate,
        final_rate: args.rate,
        warmup_share: args.warmup_share,
        shape: Shape::Constant,
    };
    let mut inputs = vec![with_ending(&args.tokens, ".bin"), args.pairs.clone()];
    inputs.extend(args.held_out.clone());
    inputs.extend(weight_files(&args.checkpoint)?);
    inputs.extend(Tokenizer::files(&tokenizer_path));
    let mut settings = json!({"epochs": args.epochs, "batch_tokens": args.batch_tokens, "context": frame.context});
    if let Some(max_pairs) = args.max_pairs {
        settings["max_pairs"] = json!(max_pairs);
    }
    let files = TokenizerFiles { related: Some(frame.related), ..tokenizer_files(&tokenizer) };
    let run = Run { files, stream: &stream, validation: &validation, contrast: contrast.as_ref(), out: &args.out };
    let (mut told, best) = run.train(&mut model, schedule, &args.optimizer, settings, &inputs, terminal)?;
    drop(model);
    if held_out.iter().map(|(first, _)| first).collect::<BTreeSet<_>>().len() >= LEAST_SEEDS {
        let (mut model, _) = Decoder::load(device(args.device, threads)?, &best)?;
        let tokens: Vec<_> = held_out.iter().map(|(first, second)| (document(*first), document(*second))).collect();
        let options = RelationOptions {
            // As much of a seed as tuning shows of any.
            max_seed_tokens: (frame.context / 2).saturating_sub(2).max(1),
            seed: args.optimizer.seed,
            batch_tokens: MEASURED_TOKENS,
        };
        let after = match relation(&mut model, &tokenizer, &tokens, options, terminal) {
            Err(cognate_eval::Error::NoOtherSeed { .. }) => None,
            measured => Some(measured?.0),
        };
        if let Some(after) = after {
            tell_use_of_seed("tune", &after);
            told["relation"] = json!(after);
            told["uses_seed"] = json!(!after.is_nothing());
        }
    }
    print_json(&told)
}

/// The dials of a model, each by its flag's name, so that a folder of another model is refused with those that differ.
fn dials(config: &Config) -> Value {
    let Config {
        vocab,
        width,
        layers,
        heads,
        kv_heads,
        head_width,
        ffn,
        max_positions,
        rope_base,
        rope_scaling,
        norm_eps,
        qk_norm,
        tied,
    } = config;
    let scaling = rope_scaling.map(|scaling| format!("{scaling:?}"));
    json!({
        "vocabulary": vocab, "width": width, "layers": layers, "heads": heads, "kv_heads": kv_heads, "head_width": head_width,
        "ffn": ffn, "positions": max_positions, "rope_base": rope_base, "rope_scaling": scaling, "norm_eps": norm_eps,
        "qk_norm": qk_norm, "tied": tied,
    })
}

/// Tokens that a document is cut into where nothing is said.
fn cut_to() -> usize {
    of_key("model", "context") as usize
}

/// The context that is asked for, or `default`; a checkpoint's positions bound it.
fn context(asked: Option<usize>, default: usize, shape: &Config) -> Result<usize> {
    match asked.filter(|asked| *asked > shape.max_positions) {
        None => Ok(asked.unwrap_or(default)),
        Some(asked) => {
            let expected = format!("at most {}, the checkpoint's max_position_embeddings", shape.max_positions);
            Err(Failure::setting("--context", asked, &expected))
        }
    }
}

/// Refuses a checkpoint without rows for the tokens that end and begin a document, which every document needs.
fn check_rows(tokenizer: &Tokenizer, rows: usize) -> Result {
    let frame = [(tokenizer.end_of_document(), "ends"), (tokenizer.begin_of_document(), "begins")];
    let Some((id, does)) = frame.into_iter().find(|(id, _)| *id as usize >= rows) else { return Ok(()) };
    let token = tokenizer.token(id).unwrap_or_default();
    let expected = format!("a row for each token that occurs; {token:?}, which {does} a document, has the number {id}");
    Err(Failure::setting("checkpoint", format!("one with {rows} rows in its embedding"), &expected))
}

/// The model with a row for the token that stands before a related document, added where there is none: most checkpoints have as many
/// rows as their tokenizer had tokens.
fn with_related_row(model: Model, related: u32) -> Result<Model> {
    let (rows, needed) = (model.config().vocab, related as usize + 1);
    if rows >= needed {
        return Ok(model);
    }
    let tables = if model.config().tied { "embedding, which is the head," } else { "embedding and head" };
    let added =
        if needed - rows == 1 { "a row is added".to_owned() } else { format!("{} rows are added", needed - rows) };
    tracing::warn!("{added} to {tables} for {RELATED}, token {related}: {rows} rows become {needed}");
    Ok(model.with_rows(needed)?)
}

/// Tokens that are scored together where held-out pairs are measured; no result depends on it.
const MEASURED_TOKENS: usize = 4096;

/// The default of a number of recipes that has no flag.
fn of_key(table: &str, name: &str) -> f64 {
    keys::default(table, name).parse().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Raised whenever a training goes on otherwise than it began. 2: a synthesizer is chosen by what it makes of its seed.
const CODE: u32 = 2;

/// A training run on plain files.
struct Run<'a> {
    files: TokenizerFiles,
    stream: &'a dyn Stream,
    validation: &'a [ScoreItem],
    contrast: Option<&'a Contrast>,
    out: &'a Path,
}

impl Run<'_> {
    /// Refuses a folder in which another training began, with what differs; marks it as this one's otherwise.
    fn begin(
        &self,
        schedule: &Schedule,
        optimizer: &OptimizerArgs,
        settings: Value,
        inputs: &[PathBuf],
    ) -> Result<Hash> {
        let mut config = json!({
            "weight_decay": optimizer.weight_decay, "clip": optimizer.clip, "seed": optimizer.seed,
            "warmup_share": schedule.warmup_share, "validate_every_tokens": optimizer.validate_every_tokens,
        });
        let rates = match schedule.shape {
            Shape::Constant => json!({"rate": schedule.peak_rate}),
            Shape::Cosine => json!({"peak_rate": schedule.peak_rate, "final_rate": schedule.final_rate}),
        };
        for more in [settings, rates] {
            if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
                config.extend(more);
            }
        }
        let inputs = inputs.iter().enumerate().map(|(i, path)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Ok((format!("input {} ({name})", i + 1), Hash::of_file(path)?))
        });
        let identity =
            Identity { stage: "train".to_owned(), code: CODE, config, inputs: inputs.collect::<Result<_>>()? };
        Ok(begin_training(self.out, identity)?)
    }

    /// Trains; returns what is to be printed, and the best checkpoint.
    fn train(
        &self,
        model: &mut Model,
        schedule: Schedule,
        optimizer: &OptimizerArgs,
        settings: Value,
        inputs: &[PathBuf],
        terminal: &Terminal,
    ) -> Result<(Value, PathBuf)> {
        let every = |tokens: Option<usize>| match tokens {
            Some(tokens) => {
                let steps = tokens as u128 * u128::from(self.stream.steps()) / u128::from(self.stream.tokens().max(1));
                u64::try_from(steps).unwrap_or(u64::MAX).max(1)
            }
            None => (self.stream.steps() / 20).max(1),
        };
        let config = TrainConfig {
            schedule,
            beta1: of_key("train", "beta1"),
            beta2: of_key("train", "beta2"),
            epsilon: of_key("train", "epsilon"),
            weight_decay: optimizer.weight_decay,
            clip: optimizer.clip,
            validate_every: every(optimizer.validate_every_tokens),
            checkpoint_every: every(optimizer.checkpoint_every_tokens),
            keep_checkpoints: optimizer.keep_checkpoints,
        };
        // Before the folder is marked as this training's.
        check_room(model.config(), self.stream)?;
        let fingerprint = self.begin(&schedule, optimizer, settings, inputs)?;
        let job = Job {
            stream: self.stream,
            validation: self.validation,
            choice: &[],
            contrast: self.contrast,
            config: &config,
            folder: self.out,
            tokenizer: Some(&self.files),
            fingerprint: &fingerprint.to_string(),
        };
        let outcome = cognate_train::train(model, &job, terminal)?;
        let progress = &outcome.progress;
        let told = json!({
            "parameters": model.config().parameters(),
            "steps": progress.step,
            "tokens": progress.tokens,
            "scored_tokens": progress.scored_tokens,
            "flops": progress.flops,
            "wall_s": progress.wall_s,
            "best_validation_nats": progress.best.map(|(_, nats)| nats),
            "best_seed_gain_nats": progress.best_gain,
            "best": outcome.best,
            "last": outcome.last,
        });
        Ok((told, outcome.best))
    }
}

/// Shares the budget out among sources in proportion to what they hold.
fn share(sources: &mut [Source], budget: u64) {
    let all: u128 = sources.iter().map(|source| u128::from(source.file.tokens())).sum();
    let mut left = budget;
    for source in &mut *sources {
        source.tokens = (u128::from(budget) * u128::from(source.file.tokens()) / all.max(1)) as u64;
        left -= source.tokens;
    }
    if let Some(largest) = sources.iter_mut().max_by_key(|source| source.file.tokens()) {
        largest.tokens += left;
    }
}

fn config(args: &ShapeArgs, vocab: usize, context: usize) -> Result<Config> {
    let head_width = match args.head_width {
        Some(head_width) => head_width,
        None if args.width.is_multiple_of(args.heads) => args.width / args.heads,
        None => {
            let expected = format!("a multiple of --heads {}, or --head-width beside it", args.heads);
            return Err(Failure::setting("--width", args.width, &expected));
        }
    };
    let config = Config {
        vocab,
        width: args.width,
        layers: args.layers,
        heads: args.heads,
        kv_heads: args.kv_heads.unwrap_or(args.heads),
        head_width,
        ffn: args.ffn.unwrap_or((args.width * 8).div_ceil(3).next_multiple_of(64)),
        max_positions: context,
        rope_base: args.rope_base,
        rope_scaling: None,
        norm_eps: of_key("model", "norm_eps"),
        qk_norm: !args.no_qk_norm,
        tied: !args.untied,
    };
    config.check()?;
    Ok(config)
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}
