//! How fast this machine trains and generates: a decoder of the recipe's kind, made small enough for a bounded number of operations,
//! is timed; what the whole one takes is calculated from that.

use std::time::{Duration, Instant};

use cognate_base::Monitor;
use cognate_model::{Batch, Config, DecodeCache, Decoder, Feed, Moments};
use cognate_ops::AdamW;

use crate::device::{DeviceKind, Model};
use crate::error::Result;
use crate::estimate::{Speed, Survey};
use crate::recipe::Recipe;

/// Operations of everything that is timed together, at most: a second on a small machine, some ten where there is no SIMD.
pub(super) const MOST_FLOPS: f64 = 1e11;
/// Of these, operations of one training step.
const STEP_FLOPS: f64 = 0.15 * MOST_FLOPS;
/// Of these, operations of reading prompts, and of the steps that write.
const GENERATION_FLOPS: f64 = 0.1 * MOST_FLOPS;
/// Timed training steps; the quickest counts, because other programs only ever slow one down.
const STEPS: usize = 3;
/// No further step is timed after so long.
const LONG_ENOUGH: Duration = Duration::from_secs(3);
/// Tokens that each slot writes in the timed generation.
const NEW_TOKENS: usize = 8;
/// Tokens below which a timed document is not cut, since shorter ones are no products to measure.
const LEAST_DOCUMENT: usize = 64;

pub(crate) fn measure(
    recipe: &Recipe,
    config: &Config,
    survey: &Survey,
    device: DeviceKind,
    threads: usize,
    monitor: &dyn Monitor,
) -> Result<Speed> {
    let device = device.open(threads)?;
    let document = (survey.tokens_per_document as usize).clamp(2, recipe.model.context);
    let (timed, document) = smaller(config, document);
    let mut model = Decoder::new(device, timed, recipe.seed)?;
    let mut speed = Speed::unknown(threads);
    train(&mut model, recipe, document, &mut speed, monitor)?;
    if recipe.synthetic.iter().any(|corpus| corpus.by.model().is_some()) {
        generate(&mut model, recipe, document, &mut speed, monitor)?;
    }
    Ok(speed)
}

/// A decoder of the same kind, and a document's length, for which a training step of one document is within [`STEP_FLOPS`]. What costs
/// least of the products' shapes goes first: layers, then entries of the vocabulary, then the document's length, then width.
fn smaller(config: &Config, document: usize) -> (Config, usize) {
    let (mut config, mut document) = (config.clone(), document);
    let too_much = |config: &Config, document: usize| {
        let tokens = document as f64;
        config.training_flops(tokens, tokens, tokens / 2.0) > STEP_FLOPS
    };
    while config.layers > 1 && too_much(&config, document) {
        config.layers = config.layers.div_ceil(2);
    }
    while config.vocab > 2048 && too_much(&config, document) {
        config.vocab = config.vocab.div_ceil(2);
    }
    while document > 4 * LEAST_DOCUMENT && too_much(&config, document) {
        document = document.div_ceil(2);
    }
    while (config.width > 64 || config.ffn > 64 || config.heads > 1) && too_much(&config, document) {
        (config.width, config.ffn) = (config.width.div_ceil(2), config.ffn.div_ceil(2));
        config.heads = config.heads.div_ceil(2);
        if !config.heads.is_multiple_of(config.kv_heads) {
            config.kv_heads = 1;
        }
        // A Llama's heads divide its width; for the products either does.
        config.qk_norm = true;
    }
    while document > LEAST_DOCUMENT && too_much(&config, document) {
        document = document.div_ceil(2);
    }
    (config, document)
}

/// Times steps of training: forward and backward, and the update apart, whose cost grows with the parameters and not with the tokens.
fn train(model: &mut Model, recipe: &Recipe, document: usize, speed: &mut Speed, monitor: &dyn Monitor) -> Result<()> {
    let per_document = model.config().training_flops(document as f64, document as f64, document as f64 / 2.0);
    let fit = ((STEP_FLOPS / per_document) as usize).clamp(1, (recipe.train.batch_tokens / document).max(1));
    let tokens: Vec<u32> = (0..document).map(|i| (i * 31 % model.config().vocab) as u32).collect();
    let mut batch = Batch::new();
    for _ in 0..fit {
        batch.push(&tokens, &tokens);
    }
    let scored = batch.scored() as f64;
    let flops = model.config().training_flops(batch.len() as f64, scored, document as f64 / 2.0);
    let (mut gradients, mut moments) = (model.gradients(), Moments::new(model));
    let train = &recipe.train;
    let settings = AdamW {
        rate: 0.0,
        beta1: train.beta1,
        beta2: train.beta2,
        epsilon: train.epsilon,
        weight_decay: train.decay.at(train.peak_rate, train.steps() as f64),
        gradient_scale: 1.0,
        step: 1,
    };
    let (mut passes_s, mut update_s) = (f64::INFINITY, f64::INFINITY);
    let begun = Instant::now();
    // The first step claims memory and is not timed.
    for step in 0..=STEPS {
        monitor.check()?;
        if step > 1 && begun.elapsed() > LONG_ENOUGH {
            break;
        }
        let since = Instant::now();
        gradients.clear(model.device());
        model.loss_and_gradients(&batch, &mut gradients, 1.0 / scored)?;
        let passed = since.elapsed().as_secs_f64();
        model.update(&gradients, &mut moments, &settings);
        speed.measured_flops += flops;
        if step > 0 {
            passes_s = passes_s.min(passed);
            update_s = update_s.min(since.elapsed().as_secs_f64() - passed);
        }
    }
    speed.training_flops_per_s = flops / passes_s;
    speed.update_s = update_s / model.config().parameters() as f64;
    Ok(())
}

/// Times the reading of prompts, as many as fit, and a few tokens in every slot, in the numbers that the recipe generates in.
fn generate(
    model: &mut Model,
    recipe: &Recipe,
    document: usize,
    speed: &mut Speed,
    monitor: &dyn Monitor,
) -> Result<()> {
    let config = model.config().clone();
    let within = |flops: f64, each: f64, most: usize| ((flops / each) as usize).clamp(1, most);
    let per_slot = config.forward_flops(NEW_TOKENS as f64, NEW_TOKENS as f64, document as f64);
    let slots = within(GENERATION_FLOPS, per_slot, recipe.generate.slots.min(256));
    let prompt: Vec<u32> =
        (0..document.min(recipe.generate.max_seed_tokens)).map(|i| (i % config.vocab) as u32).collect();
    let len = prompt.len() as f64;
    let prompts = within(GENERATION_FLOPS, config.forward_flops(len, 1.0, len / 2.0), slots);
    let capacity = prompt.len() + NEW_TOKENS + 1;
    let mut cache = DecodeCache::new(model, slots, capacity, recipe.generate.precision.into())?;
    let before = model.fed().flops;
    for reading in [true, false] {
        let (since, fed) = (Instant::now(), model.fed().flops);
        for _ in 0..if reading { 1 } else { NEW_TOKENS } {
            monitor.check()?;
            let (of, tokens) = if reading { (prompts, prompt.as_slice()) } else { (slots, &prompt[..1]) };
            let work: Vec<Feed<'_>> = (0..of).map(|slot| Feed { slot, tokens, from: tokens.len() - 1 }).collect();
            model.advance_rows(&mut cache, &work, &mut |_, _| {})?;
        }
        let rate = (model.fed().flops - fed) / since.elapsed().as_secs_f64();
        *(if reading { &mut speed.prompt_flops_per_s } else { &mut speed.writing_flops_per_s }) = rate;
    }
    speed.measured_flops += model.fed().flops - before;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's model of 3 B parameters.
    const LARGE: Config = Config {
        vocab: 49_152,
        width: 3072,
        layers: 26,
        heads: 24,
        kv_heads: 8,
        head_width: 128,
        ffn: 8064,
        max_positions: 8192,
        rope_base: 5e5,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: false,
    };

    fn step_flops((config, document): &(Config, usize)) -> f64 {
        config.check().unwrap();
        config.training_flops(*document as f64, *document as f64, *document as f64 / 2.0)
    }

    #[test]
    fn what_is_timed_is_within_its_operations_and_no_smaller_than_it_must_be() {
        for document in [2, 300, 4096] {
            let large = smaller(&LARGE, document);
            let flops = step_flops(&large);
            assert!(flops <= STEP_FLOPS, "{document}: {flops:e}");
            assert!(document < 10 || flops > STEP_FLOPS / 8.0, "{document}: {flops:e} {large:?}");
        }
        let odd = Config { heads: 15, kv_heads: 5, qk_norm: false, width: 15 * 128, ..LARGE };
        assert!(step_flops(&smaller(&odd, 4096)) <= STEP_FLOPS);
        let small =
            Config { layers: 2, width: 128, heads: 4, kv_heads: 2, head_width: 32, ffn: 384, vocab: 2048, ..LARGE };
        assert_eq!(smaller(&small, 300), (small.clone(), 300), "what is small enough is timed as it is");
    }
}
