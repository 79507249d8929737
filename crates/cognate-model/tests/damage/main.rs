//! Damaged and hostile checkpoints, 120,000 of them, made from tiny good ones by changes that are drawn from a fixed seed.
//!
//! Each is parsed from memory. Either it is refused, by an error that names the file at fault, or every value is finite and stands
//! where the file's own header says that the tensor of this name and shape is. It never panics, and never allocates much more than
//! the files are long. (This is a binary of its own because it counts allocations, and other tests would be counted too.)

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cognate_base::random::{ChaCha8Rng, stream};
use cognate_model::checkpoint::parse;
use cognate_model::{Config, Decoder, Layout, Llama3Scaling};
use cognate_ops::Cpu;
use peak_alloc::PeakAlloc;
use safetensors::{Dtype, SafeTensors};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What parsing files of some 4 KB may allocate at its peak: a header's bytes become JSON values of 32 bytes each.
const PEAK_BYTES: usize = 1 << 20;

const CONFIG: &str = "memory/config.json";
const WEIGHTS: &str = "memory/model.safetensors";

/// config.json and model.safetensors of tiny checkpoints as they are saved: each family, tied and untied, plain and scaled.
fn good() -> Vec<(Vec<u8>, Vec<u8>)> {
    let scaling = Llama3Scaling { factor: 8.0, low_frequency: 1.0, high_frequency: 4.0, original_positions: 64.0 };
    [true, false]
        .map(|qwen| {
            let config = Config {
                vocab: 5,
                width: 4,
                layers: 1,
                heads: 2,
                kv_heads: 1,
                head_width: 2,
                ffn: 3,
                max_positions: 16,
                rope_base: 1e4,
                rope_scaling: (!qwen).then_some(scaling),
                norm_eps: 1e-6,
                qk_norm: qwen,
                tied: qwen,
            };
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("c");
            Decoder::new(Cpu::new(1).unwrap(), config, 1).unwrap().save(&path, None, |_| Ok(())).unwrap();
            let read = |name: &str| fs_err::read(path.join(name)).unwrap();
            (read("config.json"), read("model.safetensors"))
        })
        .to_vec()
}

/// Whether the two are taken; panics where something is wrong with how.
fn taken(config: &[u8], weights: &[u8]) -> bool {
    match parse((Path::new(CONFIG), config), &[(Path::new(WEIGHTS), weights)]) {
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(CONFIG) || error.contains(WEIGHTS), "the error names no file: {error}");
            false
        }
        Ok((config, special, values)) => {
            config.check().unwrap();
            assert!(special.begin.into_iter().chain(special.end).all(|id| (id as usize) < config.vocab));
            assert_eq!(values.len(), config.parameters());
            assert!(values.iter().all(|value| value.is_finite()));
            let file = SafeTensors::deserialize(weights).unwrap();
            for tensor in Layout::new(&config).tensors() {
                let view = file.tensor(&tensor.name).unwrap();
                assert_eq!(view.shape(), tensor.shape, "{}", tensor.name);
                // The only 16-bit types that a change of "F32" leads to also change the length; they have tests of their own.
                assert_eq!(view.dtype(), Dtype::F32);
                let bytes: Vec<u8> = values[tensor.range.clone()].iter().flat_map(|v| v.to_le_bytes()).collect();
                assert_eq!(bytes, view.data(), "{}", tensor.name);
            }
            true
        }
    }
}

/// Runs `cases` cases of `purpose`; returns how many were taken.
fn cases(purpose: &str, cases: u64, make: impl Fn(&mut ChaCha8Rng, &mut Vec<u8>, &mut Vec<u8>)) -> u64 {
    let good = good();
    assert!(good.iter().all(|(config, weights)| taken(config, weights)), "the undamaged ones load");
    let mut count = 0;
    for case in 0..cases {
        let mut random = stream(2026, purpose, case);
        let (mut config, mut weights) = good[case as usize % good.len()].clone();
        make(&mut random, &mut config, &mut weights);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let result = catch_unwind(AssertUnwindSafe(|| taken(&config, &weights)));
        let peak = MEMORY.peak_usage().saturating_sub(before);
        assert!(peak < PEAK_BYTES, "{purpose}, case {case}: {peak} bytes allocated");
        match result {
            Ok(taken) => count += u64::from(taken),
            Err(_) => panic!("{purpose}, case {case}: see above"),
        }
    }
    count
}

/// Both outcomes occur in more than one case of 500: a generator that only makes rubbish, or changes nothing, shows nothing.
#[track_caller]
fn both_occur(taken: u64, cases: u64) {
    assert!(taken > cases / 500 && taken < cases - cases / 500, "{taken} of {cases} were taken");
}

// One test, not several: under a runner that starts tests as threads they would count each other's memory.
#[test]
fn a_damaged_checkpoint_is_refused_or_right() {
    const EACH: u64 = 20_000;
    let bytes = cases("bytes of model.safetensors", EACH, |random, _, weights| mutate::bytes(random, weights));
    both_occur(bytes, EACH);
    let header = cases("header fields", 2 * EACH, |random, _, weights| mutate::header(random, weights));
    both_occur(header, 2 * EACH);
    let noise = cases("noise", EACH / 2, mutate::noise);
    assert_eq!(noise, 0, "noise is no checkpoint");
    let numbers = cases("numbers", EACH / 2, |random, _, weights| mutate::numbers(random, weights));
    both_occur(numbers, EACH / 2);
    let text = cases("bytes of config.json", EACH, |random, config, _| mutate::bytes(random, config));
    both_occur(text, EACH);
    let fields = cases("fields of config.json", EACH, |random, config, _| mutate::fields(random, config));
    both_occur(fields, EACH);
}

#[test]
fn numbers_are_refused_exactly_where_they_are_not_finite() {
    let (config, good) = good().remove(0);
    let len = good.len();
    for place in (len - 40..len).step_by(4) {
        for (value, expected) in
            [(f32::MAX, true), (-0.0, true), (1e-45, true), (f32::NAN, false), (f32::INFINITY, false)]
        {
            let mut weights = good.clone();
            weights[place..place + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(taken(&config, &weights), expected, "{value} at byte {place}");
        }
    }
}
