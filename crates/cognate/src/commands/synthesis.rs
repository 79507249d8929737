//! `generate` and `filter` on plain files.

use std::time::Duration;

use cognate_base::Hash;
use cognate_corpus::TokenFile;
use cognate_model::checkpoint::read_config;
use cognate_model::{Config, Decoder};
use cognate_synth::{
    EndpointConfig, FilterConfig, FilterInputs, GenerateConfig, Key, RelevanceOptions, Scoring, Seeds, TextPair,
    generate_endpoint, relevance_of_texts,
};

use super::models::{check_vocabulary, tokenizer_of};
use super::{Result, device, print_json};
use crate::args::{EndpointArgs, FilterArgs, GenerateArgs};
use crate::terminal::Terminal;

/// Tokens scored together; no result depends on it.
const BATCH_TOKENS: usize = 4096;

pub(crate) fn generate(args: &GenerateArgs, threads: usize, terminal: &Terminal) -> Result {
    if let Some(url) = &args.endpoint.endpoint {
        return generate_at(url, args, terminal);
    }
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = tokenizer_of(&args.checkpoint, special)?;
    check_vocabulary(&model, &args.checkpoint, &tokenizer)?;
    let seeds = Seeds::open(&args.documents, TokenFile::open(&args.tokens)?)?;
    let config = generate_config(args, model.config())?;
    print_json(&cognate_synth::generate(&mut model, &tokenizer, &seeds, &args.out, &config, terminal)?)
}

/// The same by a completion server; of the checkpoint, its weights are only hashed.
fn generate_at(url: &str, args: &GenerateArgs, terminal: &Terminal) -> Result {
    let (model, special) = read_config(&args.checkpoint)?;
    let tokenizer = tokenizer_of(&args.checkpoint, special)?;
    let seeds = Seeds::open(&args.documents, TokenFile::open(&args.tokens)?)?;
    let config = generate_config(args, &model)?;
    let EndpointArgs { endpoint_model, endpoint_concurrency, endpoint_key_env, .. } = &args.endpoint;
    let endpoint = EndpointConfig {
        url: url.to_owned(),
        model: endpoint_model.clone(),
        key: endpoint_key_env.as_deref().map(Key::from_environment).transpose()?,
        concurrency: *endpoint_concurrency,
        timeout: Duration::from_secs(args.endpoint.endpoint_timeout_s as u64),
        attempts: u32::try_from(args.endpoint.endpoint_attempts).unwrap_or(u32::MAX),
        first_wait: EndpointConfig::FIRST_WAIT,
    };
    print_json(&generate_endpoint(&model, &tokenizer, &seeds, &args.out, &config, &endpoint, terminal)?)
}

fn generate_config(args: &GenerateArgs, model: &Config) -> Result<GenerateConfig> {
    let half = model.max_positions / 2;
    Ok(GenerateConfig {
        seed: args.seed,
        first_document: args.first_document,
        target_tokens: args.target_tokens,
        sampling: args.sampling.sampling(),
        max_new_tokens: args.max_new_tokens.unwrap_or(half),
        max_seed_tokens: args.max_seed_tokens.unwrap_or(half.saturating_sub(2).max(1)),
        slots: args.slots,
        shard_documents: args.shard_documents,
        synthesizer: Hash::of_file(args.checkpoint.join("model.safetensors"))?.to_string(),
    })
}

pub(crate) fn filter(args: &FilterArgs, threads: usize, terminal: &Terminal) -> Result {
    let config = FilterConfig {
        min_words: args.min_words,
        near_copy: args.near_copy,
        verbatim_words: args.verbatim_words,
        min_relevance: args.min_relevance,
        near_duplicate: args.near_duplicate,
        samples: args.samples,
        quality_documents: args.quality_documents,
    };
    let inputs = FilterInputs { synthetic: &args.synthetic, training: &args.training, real: args.real.as_deref() };
    let Some(checkpoint) = &args.synthesizer else {
        return print_json(&cognate_synth::filter::stage::filter(inputs, &args.out, &config, None, terminal)?);
    };
    let (mut model, special) = Decoder::load(device(args.device, threads)?, checkpoint)?;
    let tokenizer = tokenizer_of(checkpoint, special)?;
    check_vocabulary(&model, checkpoint, &tokenizer)?;
    let max_seed_tokens = (model.config().max_positions / 2).saturating_sub(2).max(1);
    let options = RelevanceOptions::of(&tokenizer, max_seed_tokens, BATCH_TOKENS)?;
    let mut scorer = |pairs: &[TextPair<'_>]| relevance_of_texts(&mut model, &tokenizer, pairs, options, terminal);
    let scoring = Scoring { scorer: &mut scorer, threshold: None };
    print_json(&cognate_synth::filter::stage::filter(inputs, &args.out, &config, Some(scoring), terminal)?)
}
