//! `generate` and `filter` on plain files.

use cognate_base::Hash;
use cognate_corpus::TokenFile;
use cognate_model::Decoder;
use cognate_synth::{
    FilterConfig, FilterInputs, GenerateConfig, RelevanceOptions, Sampling, Scoring, Seeds, TextPair,
    relevance_of_texts,
};

use super::models::{check_vocabulary, tokenizer_of};
use super::{Result, device, print_json};
use crate::args::{FilterArgs, GenerateArgs};
use crate::terminal::Terminal;

/// Tokens scored together; no result depends on it.
const BATCH_TOKENS: usize = 4096;

pub(crate) fn generate(args: &GenerateArgs, threads: usize, terminal: &Terminal) -> Result {
    let (mut model, special) = Decoder::load(device(args.device, threads)?, &args.checkpoint)?;
    let tokenizer = tokenizer_of(&args.checkpoint, special)?;
    check_vocabulary(&model, &args.checkpoint, &tokenizer)?;
    let seeds = Seeds::open(&args.documents, TokenFile::open(&args.tokens)?)?;
    let half = model.config().max_positions / 2;
    let config = GenerateConfig {
        seed: args.seed,
        first_document: args.first_document,
        target_tokens: args.target_tokens,
        sampling: Sampling { temperature: args.temperature, top_p: args.top_p },
        max_new_tokens: args.max_new_tokens.unwrap_or(half),
        max_seed_tokens: args.max_seed_tokens.unwrap_or(half.saturating_sub(2).max(1)),
        slots: args.slots,
        shard_documents: args.shard_documents,
        synthesizer: Hash::of_file(args.checkpoint.join("model.safetensors"))?.to_string(),
    };
    print_json(&cognate_synth::generate(&mut model, &tokenizer, &seeds, &args.out, &config, terminal)?)
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
