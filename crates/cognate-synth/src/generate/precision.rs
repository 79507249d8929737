//! What decoding in a lower precision costs: the likelihood of real text under both.

use cognate_base::Monitor;
use cognate_model::{DecodeCache, Decoder, Feed};
use cognate_ops::{Device, Precision};
use cognate_statistics::ratio;
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
    let scored: Vec<f64> = documents.iter().map(|tokens| (tokens.len() - 1) as f64).collect();
    Ok(Some(of_documents(&scored, &exact, &rounded)))
}

/// What rounding adds, from each document's scored tokens and its nats in both precisions.
fn of_documents(tokens: &[f64], exact: &[f64], rounded: &[f64]) -> PrecisionEffect {
    let of = tokens.iter().copied();
    let added = ratio(of.clone().zip(rounded.iter().zip(exact).map(|(rounded, exact)| rounded - exact)));
    PrecisionEffect {
        documents: tokens.len() as u64,
        tokens: of.clone().sum::<f64>() as u64,
        loss_f32: ratio(of.zip(exact.iter().copied())).value,
        loss_added: added.value,
        loss_added_error: added.stderr,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_adds_is_a_ratio_over_documents() {
        let effect = of_documents(&[10.0, 20.0], &[30.0, 50.0], &[31.0, 53.0]);
        assert_eq!((effect.documents, effect.tokens), (2, 30));
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{effect:?}");
        near(effect.loss_f32, 80.0 / 30.0);
        near(effect.loss_added, 4.0 / 30.0);
        // The documents are a third of a nat below and above it: the root of 2/1 · 2/9, over 30 tokens.
        near(effect.loss_added_error.unwrap(), 2.0 / 3.0 / 30.0);
        assert_eq!(of_documents(&[10.0], &[30.0], &[31.0]).loss_added_error, None);
    }
}
