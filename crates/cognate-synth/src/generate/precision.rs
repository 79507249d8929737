//! What decoding in a lower precision costs: the likelihood of real text under both.

use cognate_base::Monitor;
use cognate_model::{DecodeCache, Decoder, Feed};
use cognate_ops::{Device, Precision};
use serde::{Deserialize, Serialize};

use super::config::GenerateConfig;
use super::seeds::SeedPrompts;
use crate::error::Result;

/// Documents that are scored, the first ones.
const DOCUMENTS: usize = 64;

/// The seeds' own text under the synthesizer, in f32 and as it writes; documents are cut as prompts are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionEffect {
    /// Documents scored.
    pub documents: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Nats a token in f32.
    pub loss_f32: f64,
    /// Nats a token more in the lower precision.
    pub loss_added: f64,
    /// Standard error of `loss_added`, over documents; none for a single one.
    pub loss_added_error: Option<f64>,
}

/// None where there is no text to score.
pub(super) fn effect<D: Device>(
    model: &mut Decoder<D>,
    prompts: &SeedPrompts<'_>,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<Option<PrecisionEffect>> {
    let documents: Vec<Vec<u32>> = (0..prompts.seeds.len().min(DOCUMENTS))
        .map(|index| prompts.begun(index))
        .filter(|tokens| tokens.len() > 1)
        .collect();
    if documents.is_empty() {
        return Ok(None);
    }
    let longest = config.max_seed_tokens + 1;
    let exact = nats(model, &documents, longest, Precision::F32, monitor)?;
    let rounded = nats(model, &documents, longest, config.precision, monitor)?;
    let scored = |tokens: &Vec<u32>| (tokens.len() - 1) as f64;
    let tokens: f64 = documents.iter().map(scored).sum();
    let added = (rounded.iter().sum::<f64>() - exact.iter().sum::<f64>()) / tokens;
    // A ratio of sums over documents (Cochran, Sampling Techniques, 3rd edition, 6.4).
    let residuals = documents.iter().zip(exact.iter().zip(&rounded));
    let squares: f64 =
        residuals.map(|(tokens, (exact, rounded))| (rounded - exact - added * scored(tokens)).powi(2)).sum();
    let n = documents.len() as f64;
    Ok(Some(PrecisionEffect {
        documents: documents.len() as u64,
        tokens: tokens as u64,
        loss_f32: exact.iter().sum::<f64>() / tokens,
        loss_added: added,
        loss_added_error: (n > 1.0).then(|| (squares * n / (n - 1.0)).sqrt() / tokens),
    }))
}

/// Nats of each document after its first token, the end of the document before it.
fn nats<D: Device>(
    model: &mut Decoder<D>,
    documents: &[Vec<u32>],
    longest: usize,
    precision: Precision,
    monitor: &dyn Monitor,
) -> Result<Vec<f64>> {
    let mut cache = DecodeCache::new(model, 1, longest, precision)?;
    let vocab = model.config().vocab;
    let mut all = Vec::with_capacity(documents.len());
    for tokens in documents {
        monitor.check()?;
        cache.reset(0);
        let mut total = 0.0;
        let (seen, next) = (&tokens[..tokens.len() - 1], &tokens[1..]);
        model.advance_rows(&mut cache, &[Feed { slot: 0, tokens: seen, from: 0 }], &mut |first, logits| {
            for (row, logits) in logits.chunks_exact(vocab).enumerate() {
                let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
                total += sum.ln() - f64::from(logits[next[first + row] as usize] - top);
            }
        })?;
        all.push(total);
    }
    Ok(all)
}
