//! `ingest` and `tokenize` on plain files.

use std::path::PathBuf;

use cognate_corpus::ingest::check_empty;
use cognate_corpus::{IngestConfig, OnBadRecord, ReadOptions, Tokenizer, default_selection_share};
use serde_json::json;

use super::shared::{Result, print_json};
use crate::args::{self, IngestArgs, ReadArgs, TokenizeArgs};
use crate::terminal::Terminal;

pub(super) fn read_options(args: &ReadArgs) -> ReadOptions {
    ReadOptions {
        id_field: args.id_field.clone(),
        text_field: args.text_field.clone(),
        group_field: String::new(),
        group_of_metadata: true,
        on_bad_record: match args.on_bad_record {
            args::OnBadRecord::Stop => OnBadRecord::Stop,
            args::OnBadRecord::Skip => OnBadRecord::Skip,
        },
        max_record_bytes: args.max_record_bytes,
    }
}

pub(crate) fn ingest(args: &IngestArgs, terminal: &Terminal) -> Result {
    let config = IngestConfig {
        seed: args.seed,
        validation_share: args.validation_share,
        unique_share: args.unique_share,
        selection_share: args
            .selection_share
            .unwrap_or_else(|| default_selection_share(args.validation_share, args.unique_share)),
        contamination_words: args.contamination_words,
        contamination_documents: args.contamination_documents,
        limit: args.limit,
        chunk_tokens: args.chunk_tokens,
        tokenizer: args.tokenizer.clone(),
        read: ReadOptions { group_field: args.group_field.clone().unwrap_or_default(), ..read_options(&args.read) },
    };
    check_empty(&args.out)?;
    let stats = cognate_corpus::ingest(&args.documents, &args.out, &config, terminal)?;
    cognate_run::tell_shared_passages(&stats);
    print_json(&stats)
}

pub(crate) fn tokenize(args: &TokenizeArgs, terminal: &Terminal) -> Result {
    let read = read_options(&args.read);
    let tokenizer = match args.train {
        Some(vocab_size) => {
            let documents: [PathBuf; 1] = [args.documents.clone()];
            let tokenizer = cognate_run::train_tokenizer(&documents, &read, (vocab_size, &[]), terminal)?;
            tokenizer.save(&args.tokenizer)?;
            tokenizer
        }
        None => Tokenizer::load(&args.tokenizer)?,
    };
    let stats = cognate_corpus::tokenize(&args.documents, &read, &tokenizer, &args.out, terminal)?;
    print_json(&json!({
        "documents": stats.documents,
        "rejected": stats.rejected,
        "tokens": stats.tokens,
        "bytes": stats.bytes,
        "vocabulary": tokenizer.vocab_size(),
    }))
}
