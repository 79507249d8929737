//! How fast this machine trains and generates: a few small steps of the recipe's own decoder, timed.

use std::time::Instant;

use cognate_base::Monitor;
use cognate_model::{Batch, Config, DecodeCache, Decoder, Moments};
use cognate_ops::{AdamW, Cpu, Precision};

use super::corpus::Survey;
use crate::context::DeviceKind;
use crate::error::Result;
use crate::recipe::Recipe;

/// Operations of one timed step: about a second on a small machine.
const STEP_FLOPS: f64 = 1e11;
/// Parameters of the decoder that is timed: larger ones are timed with fewer layers, and scaled by their operations.
const MOST_PARAMETERS: usize = 200_000_000;
/// Timed training steps; the quickest counts, because other programs only ever slow one down.
const STEPS: usize = 3;
/// Tokens that each slot writes in the timed generation.
const NEW_TOKENS: usize = 8;

/// Speeds of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Speed {
    pub(crate) threads: usize,
    pub(crate) training_flops_per_s: f64,
    pub(crate) generation_tokens_per_s: f64,
}

pub(crate) fn measure(
    recipe: &Recipe,
    config: &Config,
    survey: &Survey,
    device: DeviceKind,
    threads: usize,
    monitor: &dyn Monitor,
) -> Result<Speed> {
    let device = match device {
        DeviceKind::Cpu => Cpu::new(threads)?,
    };
    let timed = smaller(config);
    let document = (survey.tokens_per_document as usize).clamp(2, recipe.model.context);
    let mut model = Decoder::new(device, timed.clone(), recipe.seed)?;
    let training_flops_per_s = train(&mut model, &timed, recipe, document)?;
    monitor.check()?;
    let generation_tokens_per_s = match recipe.syntheses().next() {
        Some(_) => {
            let measured = generate(&mut model, recipe, document)?;
            let context = document as f64;
            measured * timed.forward_flops(1.0, 1.0, context) / config.forward_flops(1.0, 1.0, context)
        }
        None => f64::INFINITY,
    };
    Ok(Speed { threads, training_flops_per_s, generation_tokens_per_s })
}

/// The same decoder with as many layers as fit comfortably.
fn smaller(config: &Config) -> Config {
    let mut config = config.clone();
    while config.layers > 1 && config.parameters() > MOST_PARAMETERS {
        config.layers /= 2;
    }
    config
}

/// Operations per second of a training step: forward, backward, update.
fn train(model: &mut Decoder<Cpu>, config: &Config, recipe: &Recipe, document: usize) -> Result<f64> {
    let per_token = config.training_flops(1.0, 1.0, document as f64 / 2.0);
    let wanted = ((STEP_FLOPS / per_token) as usize).clamp(document, recipe.train.batch_tokens.max(document));
    let tokens: Vec<u32> = (0..document).map(|i| (i * 31 % config.vocab) as u32).collect();
    let mut batch = Batch::new();
    while batch.len() + document <= wanted {
        batch.push(&tokens, &tokens);
    }
    let flops = config.training_flops(batch.len() as f64, batch.scored() as f64, document as f64 / 2.0);
    let (mut gradients, mut moments) = (model.gradients(), Moments::new(model));
    let train = &recipe.train;
    let settings = AdamW {
        rate: 0.0,
        beta1: train.beta1,
        beta2: train.beta2,
        epsilon: train.epsilon,
        weight_decay: train.weight_decay,
        gradient_scale: 1.0,
        step: 1,
    };
    let mut best = f64::INFINITY;
    // The first step claims memory and is not timed.
    for step in 0..=STEPS {
        let since = Instant::now();
        gradients.clear(model.device());
        model.loss_and_gradients(&batch, &mut gradients, 1.0 / batch.scored() as f64)?;
        model.update(&gradients, &mut moments, &settings);
        if step > 0 {
            best = best.min(since.elapsed().as_secs_f64());
        }
    }
    Ok(flops / best)
}

/// New tokens per second over all slots, prompts included as they are shared out over a document.
fn generate(model: &mut Decoder<Cpu>, recipe: &Recipe, document: usize) -> Result<f64> {
    let vocab = model.config().vocab as u32;
    let slots = recipe.generate.slots.min(64);
    let prompt: Vec<u32> = (0..document.min(recipe.generate.max_seed_tokens) as u32).map(|i| i % vocab).collect();
    let mut cache = DecodeCache::new(model, slots, prompt.len() + NEW_TOKENS + 1, Precision::F32);
    let mut logits = Vec::new();
    let since = Instant::now();
    let work: Vec<(usize, &[u32])> = (0..slots).map(|slot| (slot, prompt.as_slice())).collect();
    model.advance(&mut cache, &work, &mut logits)?;
    let prompt_s = since.elapsed().as_secs_f64() / slots as f64;
    let since = Instant::now();
    for _ in 0..NEW_TOKENS {
        let work: Vec<(usize, &[u32])> = (0..slots).map(|slot| (slot, &prompt[..1])).collect();
        model.advance(&mut cache, &work, &mut logits)?;
    }
    let token_s = since.elapsed().as_secs_f64() / (NEW_TOKENS * slots) as f64;
    let length = document.min(recipe.generate.max_new_tokens) as f64;
    Ok(length / (length * token_s + prompt_s))
}
