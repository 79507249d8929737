//! `generate` and `filter` on plain files.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use cognate_base::Hash;
use cognate_base::terminal::wrapped;
use cognate_corpus::{Boundary, ReadOptions, TokenFile, Tokenizer, check_tokens};
use cognate_model::checkpoint::{SpecialIds, read_config, weight_files};
use cognate_model::{Config, Decoder};
use cognate_ops::Precision;
use cognate_synth::generate::files::document_files;
use cognate_synth::{
    EndpointConfig, FilterConfig, FilterInputs, FilterStats, GenerateConfig, Key, RelevanceOptions, Role, Scoring,
    Seeds, Target, TextPair, Thresholds, generate_endpoint, relevance_of_texts, write_related,
};
use serde_json::json;

use super::documents::read_options;
use super::judge::Judging;
use super::shared::{Result, columns, device, print, print_json};
use crate::args::{EndpointArgs, FilterArgs, GenerateArgs, JoinArgs, SampleArgs};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Tokens scored together; no result depends on it.
const BATCH_TOKENS: usize = 4096;

pub(crate) fn generate(args: &GenerateArgs, threads: usize, terminal: &Terminal) -> Result {
    if let Some(url) = &args.endpoint.endpoint {
        return generate_at(url, args, terminal);
    }
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = Tokenizer::of_checkpoint(&args.checkpoint)?;
    tell_untuned(&args.checkpoint, special, &tokenizer);
    let seeds = seeds(args, &tokenizer, terminal)?;
    let config = generate_config(args, model.config())?;
    let stats = cognate_synth::generate(&mut model, &tokenizer, &seeds, &args.out, &config, terminal)?;
    if config.sampling.temperature == 0.0 && stats.documents > stats.distinct_seeds {
        tracing::warn!(
            "temperature 0 writes one document from a seed whenever it is drawn: of {} documents at most {} differ",
            stats.documents,
            stats.distinct_seeds
        );
    }
    print_json(&stats)
}

/// The same by a completion server; of the checkpoint, its weights are only hashed.
fn generate_at(url: &str, args: &GenerateArgs, terminal: &Terminal) -> Result {
    if args.precision != Precision::F32 {
        let expected = "f32 beside --endpoint: in what numbers a server multiplies is its own affair";
        return Err(Failure::setting("--precision", args.precision.name(), expected));
    }
    let (model, special) = read_config(&args.checkpoint)?;
    let tokenizer = Tokenizer::of_checkpoint(&args.checkpoint)?;
    tell_untuned(&args.checkpoint, special, &tokenizer);
    let seeds = seeds(args, &tokenizer, terminal)?;
    let config = generate_config(args, &model)?;
    let EndpointArgs { endpoint_model, endpoint_concurrency, endpoint_key_env, .. } = &args.endpoint;
    let endpoint = EndpointConfig {
        url: url.to_owned(),
        model: endpoint_model.clone(),
        key: endpoint_key_env.as_deref().map(|name| Key::from_environment(name, Role::Synthesizer)).transpose()?,
        concurrency: *endpoint_concurrency,
        timeout: Duration::from_secs(args.endpoint.endpoint_timeout_s as u64),
        attempts: u32::try_from(args.endpoint.endpoint_attempts).unwrap_or(u32::MAX),
        first_wait: EndpointConfig::FIRST_WAIT,
    };
    print_json(&generate_endpoint(&model, &tokenizer, &seeds, &args.out, &config, &endpoint, terminal)?)
}

/// Says so where nothing shows that a checkpoint was tuned to write related documents: it may have the token for it all the same.
fn tell_untuned(checkpoint: &Path, special: SpecialIds, tokenizer: &Tokenizer) {
    if tokenizer.related().is_ok_and(|related| special.related != Some(related)) {
        tracing::warn!(
            "{} is not known to be tuned: its config.json has no related_token_id, which `cognate tune` writes. What it writes need not \
             be related to its seeds",
            checkpoint.display()
        );
    }
}

/// Tells a checkpoint's weights from others.
fn weights_hash(checkpoint: &Path) -> Result<Hash> {
    let files = weight_files(checkpoint)?;
    let hashes = files.iter().map(Hash::of_file).collect::<std::io::Result<Vec<_>>>()?;
    Ok(match hashes.as_slice() {
        [whole] => *whole,
        shards => Hash::of_chunks(shards.iter().map(|hash| hash.to_string().into_bytes())),
    })
}

/// The seeds, whose tokens are those of the checkpoint's own tokenizer.
fn seeds(args: &GenerateArgs, tokenizer: &Tokenizer, terminal: &Terminal) -> Result<Seeds> {
    let tokens = TokenFile::open(&args.tokens)?;
    let read = read_options(&args.read);
    let seeds = Seeds::open(&args.documents, &read, tokens.clone(), terminal)?;
    check_tokens(&args.documents, &read, &tokens, tokenizer, &args.checkpoint.join("tokenizer.json"))?;
    Ok(seeds)
}

fn generate_config(args: &GenerateArgs, model: &Config) -> Result<GenerateConfig> {
    let half = model.max_positions / 2;
    Ok(GenerateConfig {
        seed: args.seed,
        first_document: args.first_document,
        target: match (args.target_documents, args.target_tokens) {
            (Some(documents), _) => Target::Documents(documents),
            (None, tokens) => Target::Tokens(tokens.unwrap_or(0)),
        },
        shard: args.shard,
        samples_per_seed: args.samples_per_seed as u64,
        sampling: args.sampling.sampling(),
        precision: args.precision,
        max_new_tokens: args.max_new_tokens.unwrap_or(half),
        max_seed_tokens: args.max_seed_tokens.unwrap_or(half.saturating_sub(2).max(1)),
        slots: args.slots,
        shard_documents: args.shard_documents,
        synthesizer: weights_hash(&args.checkpoint)?.to_string(),
    })
}

pub(crate) fn join(args: &JoinArgs, terminal: &Terminal) -> Result {
    let documents = cognate_synth::generate::join::join(&args.parts, &args.out, terminal)?;
    print_json(&json!({"documents": documents, "parts": args.parts.len()}))
}

/// The text in a file, or on stdin for `-`: no more of it than a document of a corpus may have.
fn seed_text(path: &Path) -> Result<String> {
    const MOST: usize = ReadOptions::MAX_RECORD_BYTES;
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(fs_err::File::open(path)?),
    };
    let mut bytes = Vec::new();
    source.take(MOST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MOST {
        let expected = format!("a document of at most {MOST} bytes; a model sees far less of it");
        return Err(Failure::setting("seed-text", format!("more than {MOST} bytes"), &expected));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        Failure::setting("seed-text", format!("a text whose byte {at} is no UTF-8"), "a document in UTF-8")
    })
}

pub(crate) fn sample(args: &SampleArgs, threads: usize, terminal: &Terminal) -> Result {
    let text = seed_text(&args.seed_text)?;
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = Tokenizer::of_checkpoint(&args.checkpoint)?;
    tell_untuned(&args.checkpoint, special, &tokenizer);
    let max_new_tokens = args.max_new_tokens.unwrap_or(model.config().max_positions / 2);
    let drawing = (args.sampling.sampling(), args.seed);
    let (samples, cut) =
        write_related(&mut model, &tokenizer, &text, (args.number, max_new_tokens), drawing, terminal)?;
    if let Some(cut) = cut {
        let end = match cut.at {
            Boundary::Sentence => "a sentence",
            Boundary::Word => "a word",
            Boundary::Token => "a token",
        };
        let kept = cut.tokens;
        tracing::warn!(
            "the checkpoint's context has no room for the whole text: it is cut after {end}, {kept} tokens are kept"
        );
    }
    for (at, sample) in samples.iter().enumerate() {
        if args.json {
            print_json(sample)?;
            continue;
        }
        let end = if sample.finish_reason == "eod" { "ended by itself" } else { "cut at the longest length" };
        let mean = sample.mean_log_probability;
        let head =
            format!("[{} of {}] {} tokens, {mean:.3} nats per token, {end}", at + 1, samples.len(), sample.tokens);
        // Lines as the model wrote them where a file or another program reads; of the terminal's width where a person does.
        let text = match columns()? {
            Some(columns) => wrapped(&sample.text, columns).join("\n"),
            None => sample.text.trim().to_owned(),
        };
        print(&format!("{head}\n{text}\n\n"))?;
    }
    Ok(())
}

pub(crate) fn filter(args: &FilterArgs, threads: usize, terminal: &Terminal) -> Result {
    // Before the work: a server that is not there shows now.
    let judging = Judging::begin(args, terminal)?;
    let mut stats = filtered(args, threads, terminal)?;
    let judged = judging.map(|judging| judging.end(args, terminal)).transpose();
    if let Ok(judged) = &judged {
        stats.judge.clone_from(judged);
    }
    // Where the judge fails in the end, what the filters did is told all the same.
    print_json(&stats)?;
    judged.map(drop)
}

fn filtered(args: &FilterArgs, threads: usize, terminal: &Terminal) -> Result<FilterStats> {
    let mut repetition = Thresholds::published();
    for (rule, limit) in &args.repetition {
        match limit.0 {
            Some(share) => repetition.0.insert(*rule, share),
            None => repetition.0.remove(rule),
        };
    }
    let config = FilterConfig {
        min_words: args.min_words,
        drop_unfinished: !args.keep_unfinished,
        non_text: args.non_text.0,
        repetition,
        near_copy: args.near_copy.0,
        verbatim_words: args.verbatim_words,
        min_relevance: args.min_relevance,
        near_duplicate: args.near_duplicate.0,
        samples: args.samples,
        quality_documents: args.quality_documents,
    };
    let synthetic = document_files(&args.synthetic)?;
    let read = read_options(&args.read);
    // A folder is a generation's, whose records have names of their own; a file may be anybody's.
    let written = ReadOptions { max_record_bytes: read.max_record_bytes, ..ReadOptions::default() };
    let is_written = args.synthetic.iter().all(|path| path.is_dir());
    let inputs = FilterInputs {
        synthetic: &synthetic,
        training: &args.training,
        seeds: None,
        real: args.real.as_deref(),
        read_synthetic: if is_written { &written } else { &read },
        read: &read,
    };
    let Some(checkpoint) = &args.synthesizer else {
        return Ok(cognate_synth::filter::stage::filter(inputs, &args.out, &config, None, terminal)?);
    };
    let (mut model, _) = Decoder::load(device(args.device, threads)?, checkpoint)?;
    let tokenizer = Tokenizer::of_checkpoint(checkpoint)?;
    let max_seed_tokens = (model.config().max_positions / 2).saturating_sub(2).max(1);
    let options = RelevanceOptions::of(&tokenizer, max_seed_tokens, BATCH_TOKENS)?;
    let mut scorer = |pairs: &[TextPair<'_>]| relevance_of_texts(&mut model, &tokenizer, pairs, options, terminal);
    let scoring = Scoring { scorer: &mut scorer, threshold: None };
    Ok(cognate_synth::filter::stage::filter(inputs, &args.out, &config, Some(scoring), terminal)?)
}
