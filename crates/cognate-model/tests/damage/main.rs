//! Damaged and hostile checkpoints, 130,000 of them or as many as `COGNATE_FUZZ_INPUTS` says, made from tiny good ones by changes that
//! are drawn from a fixed seed.
//!
//! Each is parsed from memory. Either it is refused, by an error that names the file at fault, or every value is finite and stands
//! where a weight file's own header says that the tensor of this name, type and shape is. No shard is looked for but beside its index.
//! It never panics, and never allocates much more than the files are long. (This is a binary of its own because it counts
//! allocations, and other tests would be counted too.)

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod forms;
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cognate_base::random::{ChaCha8Rng, stream};
use cognate_model::checkpoint::{File, parse, shard_names};
use cognate_model::{Config, Error, Layout};
use peak_alloc::PeakAlloc;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use forms::{FORMS, Files, good};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What parsing files of some 4 KB may allocate at its peak: a header's bytes become JSON values of 32 bytes each.
const PEAK_BYTES: usize = 1 << 20;

const FOLDER: &str = "memory";

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// The numbers of a tensor by their definition, not by the library that the loader uses.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    let halves = || bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::BF16 => halves().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect(),
        Dtype::F16 => halves()
            .map(|bits| {
                let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
                let size = match exponent {
                    0 => fraction * 2f32.powi(-24),
                    _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
                };
                if bits >> 15 == 1 { -size } else { size }
            })
            .collect(),
        other => panic!("{other:?} was taken"),
    }
}

/// Every value is finite and is the one that stands in the one file that has the tensor.
fn assert_right(config: &Config, values: &[f32], weights: &[File<'_>]) {
    assert_eq!(values.len(), config.parameters());
    assert!(values.iter().all(|value| value.is_finite()));
    let files: Vec<SafeTensors<'_>> = weights.iter().map(|(_, b)| SafeTensors::deserialize(b).unwrap()).collect();
    for tensor in Layout::new(config).tensors() {
        let found: Vec<_> = files.iter().filter_map(|file| file.tensor(&tensor.name).ok()).collect();
        let [view] = &found[..] else { panic!("{}: stands in {} files", tensor.name, found.len()) };
        assert_eq!(view.shape(), tensor.shape, "{}", tensor.name);
        let bits = |list: &[f32]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&values[tensor.range.clone()]), bits(&numbers(view.dtype(), view.data())), "{}", tensor.name);
    }
}

/// The index lists every tensor of the shards where it stands, and no other.
fn assert_listed(index: &[u8], weights: &[File<'_>]) {
    let index: Value = serde_json::from_slice(index).unwrap();
    let listed = index["weight_map"].as_object().unwrap();
    let mut count = 0;
    for (path, bytes) in weights {
        let shard = path.file_name().unwrap().to_str();
        for tensor in SafeTensors::deserialize(bytes).unwrap().names() {
            assert_eq!(listed[tensor].as_str(), shard, "{tensor}");
            count += 1;
        }
    }
    assert_eq!(listed.len(), count, "a tensor is listed that is nowhere");
}

/// Path and content of each weight file.
type Opened<'a> = Vec<(PathBuf, &'a [u8])>;

/// The weight files that a loader would open; none where one of them is not there.
fn opened(files: &Files) -> Result<Option<Opened<'_>>, Error> {
    let names = match &files.index {
        Some(index) => shard_names((&path("model.safetensors.index.json"), index))?,
        None => vec!["model.safetensors".into()],
    };
    let find = |name: String| {
        let path = path(&name);
        assert_eq!(path.parent(), Some(Path::new(FOLDER)), "{name} is elsewhere");
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), name);
        let others = [("config.json", Some(&files.config)), ("model.safetensors.index.json", files.index.as_ref())];
        let others = others.into_iter().filter_map(|(name, bytes)| Some((name, &bytes?[..])));
        let mut all = files.weights.iter().map(|(name, bytes)| (&name[..], &bytes[..])).chain(others);
        all.find(|(other, _)| *other == name).map(|(_, bytes)| (path, bytes))
    };
    Ok(names.into_iter().map(find).collect())
}

/// Whether the files are taken; panics where something is wrong with how.
fn taken(files: &Files) -> bool {
    let result = opened(files).and_then(|found| {
        let Some(found) = found else { return Ok(None) };
        let weights: Vec<File<'_>> = found.iter().map(|(path, bytes)| (path.as_path(), *bytes)).collect();
        let index_path = path("model.safetensors.index.json");
        let index = files.index.as_ref().map(|bytes| (index_path.as_path(), &bytes[..]));
        let (config, _, values) = parse((&path("config.json"), &files.config), index, &weights)?;
        config.check()?;
        assert_right(&config, &values, &weights);
        if let Some(index) = &files.index {
            assert_listed(index, &weights);
        }
        Ok(Some(()))
    });
    if let Err(error) = &result {
        let error = error.to_string();
        assert!(error.starts_with(&format!("{FOLDER}/")), "the error names no file: {error}");
    }
    matches!(result, Ok(Some(())))
}

/// Runs `cases` cases of `purpose` on `good`; returns how many of them were taken, by form.
fn cases(good: &[Files], purpose: &str, cases: u64, make: impl Fn(&mut ChaCha8Rng, &mut Files)) -> Vec<u64> {
    assert!(good.iter().all(taken), "the undamaged ones load");
    let mut counts = vec![0; good.len()];
    for case in 0..cases {
        let mut random = stream(2026, purpose, case);
        let form = case as usize % good.len();
        let mut files = good[form].clone();
        make(&mut random, &mut files);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let result = catch_unwind(AssertUnwindSafe(|| taken(&files)));
        let peak = MEMORY.peak_usage().saturating_sub(before);
        // First, because a panic's own message takes more than the limit.
        let Ok(taken) = result else { panic!("{purpose}, case {case}: see above") };
        assert!(peak < PEAK_BYTES, "{purpose}, case {case}: {peak} bytes allocated");
        counts[form] += u64::from(taken);
    }
    counts
}

/// Both outcomes occur, for each form, in more than one case of 500: a generator that only makes rubbish, or changes nothing, shows
/// nothing.
#[track_caller]
fn both_occur(taken: &[u64], cases: u64) {
    let each = cases / taken.len() as u64;
    assert!(taken.iter().all(|n| *n > each / 500 && *n < each - each / 500), "{taken:?} of {each} each were taken");
}

// One test, not several: under a runner that starts tests as threads they would count each other's memory.
#[test]
fn a_damaged_checkpoint_is_refused_or_right() {
    let inputs = std::env::var("COGNATE_FUZZ_INPUTS").map_or(130_000, |inputs| inputs.parse::<u64>().unwrap());
    // The campaigns are of different lengths, together of six and a half of these.
    let each = inputs * 2 / 13;
    let all = good();
    let bytes = cases(&all, "bytes of a weight file", each, |random, files| {
        let weights = mutate::one(random, &mut files.weights);
        mutate::bytes(random, &mut weights.1);
    });
    both_occur(&bytes, each);
    let header = cases(&all, "header fields", each * 3 / 2, |random, files| {
        let weights = mutate::one(random, &mut files.weights);
        mutate::header(random, &mut weights.1);
    });
    both_occur(&header, each * 3 / 2);
    let noise = cases(&all, "noise", each / 2, mutate::noise);
    assert!(noise.iter().all(|taken| *taken == 0), "noise is no checkpoint");
    let numbers = cases(&all, "numbers", each / 2, |random, files| {
        let weights = mutate::one(random, &mut files.weights);
        mutate::numbers(random, &mut weights.1);
    });
    both_occur(&numbers, each / 2);
    let text = cases(&all, "bytes of config.json", each / 2, |random, files| mutate::bytes(random, &mut files.config));
    both_occur(&text, each / 2);
    let fields = cases(&all, "fields of config.json", each, |random, files| mutate::fields(random, &mut files.config));
    both_occur(&fields, each);

    let sharded: Vec<Files> = all.into_iter().filter(|files| files.index.is_some()).collect();
    assert_eq!(sharded.len(), 2, "one of {FORMS} forms, for each family");
    let text = cases(&sharded, "bytes of the index", each / 2, |random, files| {
        mutate::bytes(random, files.index.as_mut().unwrap());
    });
    both_occur(&text, each / 2);
    let index = cases(&sharded, "fields of the index and shards", each, mutate::index);
    both_occur(&index, each);
}

#[test]
fn numbers_are_refused_exactly_where_they_are_not_finite() {
    let f32s = [(f32::MAX, true), (-0.0, true), (1e-45, true), (f32::NAN, false), (f32::INFINITY, false)];
    let f32s = f32s.map(|(value, expected)| (value.to_le_bytes().to_vec(), expected));
    let halves = |list: [(u16, bool); 5]| list.map(|(bits, expected)| (bits.to_le_bytes().to_vec(), expected));
    // The largest, minus zero, the smallest, a NaN and infinity.
    let bf16s = halves([(0x7f7f, true), (0x8000, true), (0x0001, true), (0x7fc0, false), (0x7f80, false)]);
    let f16s = halves([(0x7bff, true), (0x8000, true), (0x0001, true), (0x7e00, false), (0x7c00, false)]);
    for (files, values) in good().iter().zip([f32s, bf16s, f16s]) {
        let len = files.weights[0].1.len();
        for (value, expected) in values {
            for place in (len - 40..len).step_by(value.len()) {
                let mut changed = files.clone();
                changed.weights[0].1[place..place + value.len()].copy_from_slice(&value);
                assert_eq!(taken(&changed), expected, "{value:x?} at byte {place}");
            }
        }
    }
}
