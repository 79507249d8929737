//! Generation with a small model of random weights.

use std::path::Path;

use cognate_base::Silent;
use cognate_model::{Batch, Decoder, IGNORE, ScoreItem, score};
use cognate_ops::{Cpu, Precision};
use cognate_synth::generate::files::shards;
use cognate_synth::{
    Error, GenerateConfig, GenerateStats, RelevanceOptions, Sampling, TextPair, generate, relevance_of_texts,
};

use crate::read;
use crate::world::{TEXTS, World, settings, shape};

impl World {
    pub(crate) fn model(&self, threads: usize) -> Decoder<Cpu> {
        Decoder::new(Cpu::new(threads).unwrap(), shape(self.tokenizer.vocab_size() + 3), 4).unwrap()
    }

    fn run(&self, threads: usize, out: &Path, config: &GenerateConfig) -> GenerateStats {
        generate(&mut self.model(threads), &self.tokenizer, &self.seeds, out, config, &Silent).unwrap()
    }
}

fn config(slots: usize, temperature: f64) -> GenerateConfig {
    GenerateConfig { sampling: Sampling::nucleus(temperature, 0.95), slots, ..settings() }
}

#[test]
fn slots_and_threads_do_not_change_a_bit() {
    let world = World::new();
    let files = |folder: &Path| -> Vec<Vec<u8>> {
        shards(folder).unwrap().iter().map(|path| fs_err::read(path).unwrap()).collect()
    };
    for precision in [Precision::F32, Precision::Int8] {
        let run = |slots: usize, threads: usize| {
            let out = world.out(&format!("{slots}-{threads}-{}", precision.name()));
            let stats = world.run(threads, &out, &GenerateConfig { precision, ..config(slots, 1.0) });
            (stats, files(&out))
        };
        let (stats, expected) = run(1, 1);
        assert!(expected.len() >= 3);
        for (slots, threads) in [(3, 1), (16, 1), (16, 2)] {
            let (found_stats, found) = run(slots, threads);
            assert_eq!(found_stats, stats);
            assert!(found == expected, "{slots} slots, {threads} threads, {precision:?}");
        }
    }
}

#[test]
fn greedy_documents_are_those_of_full_forward_passes() {
    let world = World::new();
    let out = world.out("greedy");
    world.run(2, &out, &config(5, 0.0));
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let mut model = world.model(2);
    for found in read(&shards(&out).unwrap()).iter().take(8) {
        let seed: usize = found.metadata["seed_id"].as_str().unwrap()[1..].parse().unwrap();
        let mut context = vec![end];
        context.extend(world.cut(TEXTS[seed], 14));
        context.push(related);
        let mut tokens = Vec::new();
        while tokens.len() < 24 && tokens.last() != Some(&end) {
            let mut batch = Batch::new();
            batch.push(&context, &vec![IGNORE; context.len()]);
            let logits = model.logits(&batch).unwrap();
            let last = &logits[logits.len() - model.config().vocab..];
            let allowed = (0..world.tokenizer.vocab_size()).filter(|&token| token != related as usize);
            let best = allowed.max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap() as u32;
            tokens.push(best);
            context.push(best);
        }
        assert_eq!(found.text, world.tokenizer.decode(&tokens).unwrap(), "{}", found.id);
    }
}

/// What a document is scored after is what generation would start from.
#[test]
fn relevance_is_scored_after_the_seed_as_generation_cuts_it() {
    let world = World::new();
    let (seed, document) = (TEXTS[2], TEXTS[1]);
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let kept = world.cut(seed, 14);
    let fits = &world.tokenizer.encode(seed).unwrap()[..14];
    assert!(kept.len() < 14 && fits.starts_with(&kept), "the cut moved no further than to a token");
    let target = [world.tokenizer.encode(document).unwrap(), vec![end]].concat();
    let item = |prompt| ScoreItem { prompt, continuation: target.clone() };
    let items = [item([vec![end], kept, vec![related]].concat()), item(vec![end])];
    let nats = score(&mut world.model(1), &items, 64, &Silent).unwrap();
    let options = RelevanceOptions::of(&world.tokenizer, 14, 64).unwrap();
    let pair = TextPair { name: "p", seed, document };
    let found = relevance_of_texts(&mut world.model(1), &world.tokenizer, &[pair], options, &Silent).unwrap();
    let expected = (nats[1] - nats[0]) / target.len() as f64;
    let found = found[0].unwrap();
    assert!(found.cut && (found.forward - expected).abs() < 1e-9, "{found:?} {expected}");
}

/// The loss of the seeds in f32 is the one that scoring finds, and in 8-bit integers another by a little.
#[test]
fn what_lower_precision_costs_is_measured() {
    let world = World::new();
    let config = |slots| GenerateConfig { precision: Precision::Int8, ..config(slots, 1.0) };
    let stats = world.run(1, &world.out("rounded"), &config(3));
    let effect = stats.precision_effect.unwrap();

    let mut items = Vec::new();
    for text in TEXTS {
        let continuation = world.cut(text, config(1).max_seed_tokens);
        items.push(ScoreItem { prompt: vec![world.tokenizer.end_of_document()], continuation });
    }
    let tokens: usize = items.iter().map(|item| item.continuation.len()).sum();
    let scores = score(&mut world.model(1), &items, 64, &Silent).unwrap();
    let expected = scores.iter().sum::<f64>() / tokens as f64;
    assert_eq!((effect.documents, effect.tokens), (TEXTS.len() as u64, tokens as u64));
    assert!((effect.loss_f32 - expected).abs() < 1e-5, "{effect:?} {expected}");
    // Nearly uniform predictions of an untrained model, moved by less than a hundredth of their spread.
    assert!(effect.loss_added != 0.0 && effect.loss_added.abs() < 0.01, "{effect:?}");
    assert!(effect.loss_added_error.unwrap() < 0.01, "{effect:?}");
    let exact = world.run(1, &world.out("exact"), &GenerateConfig { precision: Precision::F32, ..config(3) });
    assert_eq!(exact.precision_effect, None);
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_anything_is_written() {
    let world = World::new();
    let out = world.out("refused");
    let run = |vocab: usize, config: &GenerateConfig| {
        let mut model = Decoder::new(Cpu::new(1).unwrap(), shape(vocab), 4).unwrap();
        generate(&mut model, &world.tokenizer, &world.seeds, &out, config, &Silent).unwrap_err()
    };
    let vocab = world.tokenizer.vocab_size();
    // The related-document token is number 1 of our own tokenizers.
    let error = run(1, &config(2, 1.0));
    assert!(matches!(error, Error::NoRow { id: 1, rows: 1, .. }), "{error}");
    let largest = world.largest_token() as usize;
    let error = run(largest, &config(2, 1.0)).to_string();
    assert!(error.contains(&format!("holds token {largest}, outside the vocabulary of {largest} tokens")), "{error}");
    let error = run(vocab, &GenerateConfig { max_seed_tokens: 39, ..config(2, 1.0) });
    assert!(matches!(error, Error::Context { max_positions: 64, excess: 1, .. }), "{error}");
    let error = run(vocab, &GenerateConfig { slots: 0, ..config(2, 1.0) });
    assert!(matches!(error, Error::Setting { field: "slots", .. }), "{error}");
    assert!(!out.exists());
}
