//! Logits, losses and gradients against values that PyTorch wrote (tools/reference/README.md says how, and how far f32 rounding
//! alone moves them: the tolerances are four to eight times that). Its ten training steps go through `cognate_train::train`, in that
//! crate's tests.

use std::path::{Path, PathBuf};

use cognate_model::{Batch, Decoder, IGNORE};
use cognate_ops::{Cpu, Device, Reference};
use safetensors::{Dtype, SafeTensors};

const CASES: [&str; 5] = ["qwen3-tied", "qwen3-odd", "llama-tied", "llama3-rope", "qwen3-long"];

/// Every form in which `save_pretrained` leaves weights: f32, bf16 and f16, whole and in shards (tools/reference/checkpoints.py).
const FORMS: [&str; 6] =
    ["qwen3-bf16-shards", "qwen3-f16", "qwen3-llama3-rope", "llama-bf16", "llama-f16-shards", "llama-f32-shards"];

/// Tolerances of one device.
struct Bounds {
    logits: f64,
    losses: f64,
    gradients: f64,
}

/// f32 rounding moved transformers' own logits by 3.9e-6, losses by 2.2e-6, and a gradient tensor by 1.5e-6 of its norm.
const F32: Bounds = Bounds { logits: 2e-5, losses: 1e-5, gradients: 1e-5 };
/// The f64 values are exact to about 1e-14; `losses` pass through f32 once on their way out of a device, which rounds
/// numbers of order 5 to 2.4e-7.
const F64: Bounds = Bounds { logits: 5e-7, losses: 5e-7, gradients: 1e-7 };

pub(crate) fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden").join(case)
}

pub(crate) struct Golden(Vec<u8>);

impl Golden {
    pub(crate) fn open(case: &str) -> Self {
        Self(fs_err::read(folder(case).join("golden.safetensors")).unwrap())
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::I32 => view.data().as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.numbers(name).into_iter().map(|v| if v < 0.0 { IGNORE } else { v as u32 }).collect()
    }

    pub(crate) fn batch(&self, prefix: &str) -> Batch {
        let (tokens, targets) = (self.ids(&format!("{prefix}.tokens")), self.ids(&format!("{prefix}.targets")));
        let mut starts = self.ids(&format!("{prefix}.starts"));
        starts.push(tokens.len() as u32);
        let mut batch = Batch::new();
        for ends in starts.windows(2) {
            let at = ends[0] as usize..ends[1] as usize;
            batch.push(&tokens[at.clone()], &targets[at]);
        }
        batch
    }

    fn lengths(&self) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        file.names().iter().filter_map(|name| name.strip_prefix("ids.t")?.parse().ok()).collect()
    }
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(worst <= bound, "{what}: off by {worst:e}, allowed {bound:e}");
}

/// ‖found − expected‖ / ‖reference‖.
fn relative(found: &[f32], expected: &[f64], reference: impl Iterator<Item = f64>) -> f64 {
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (difference / reference.map(|v| v * v).sum::<f64>()).sqrt()
}

/// The logits of every lone input of a case.
fn logits_agree<D: Device>(case: &str, golden: &Golden, model: &mut Decoder<D>, bound: f64) {
    for len in golden.lengths() {
        let ids = golden.ids(&format!("ids.t{len}"));
        let mut batch = Batch::new();
        batch.push(&ids, &vec![IGNORE; len]);
        let expected = golden.numbers(&format!("logits_f64.t{len}"));
        assert_close(&format!("{case}: logits, T = {len}"), &model.logits(&batch).unwrap(), &expected, bound);
    }
}

fn agrees_with_pytorch<D: Device>(device: &D, bounds: &Bounds) {
    for case in CASES {
        let golden = Golden::open(case);
        let (mut model, special) = Decoder::load(device.clone(), &folder(case)).unwrap();
        assert_eq!((special.begin, special.end), (Some(0), Some(0)));
        assert!(!golden.lengths().is_empty());
        logits_agree(case, &golden, &mut model, bounds.logits);
        let batch = golden.batch("packed");
        let losses = model.losses(&batch).unwrap();
        assert_close(case, &losses, &golden.numbers("packed.losses_f64"), bounds.losses);
        let mut gradients = model.gradients();
        let scored = batch.scored() as f64;
        let total = model.loss_and_gradients(&batch, &mut gradients, 1.0 / scored).unwrap();
        assert!((total / scored - golden.numbers("packed.loss_f64")[0]).abs() <= bounds.losses, "{case}");
        let found = gradients.download(device);
        for tensor in model.layout().tensors() {
            let expected = golden.numbers(&format!("grad_f64.{}", tensor.name));
            let error = relative(&found[tensor.range.clone()], &expected, expected.iter().copied());
            assert!(error <= bounds.gradients, "{case}: {}: relative error {error:e}", tensor.name);
        }
    }
}

#[test]
fn logits_losses_and_gradients_agree_with_pytorch_in_f32() {
    agrees_with_pytorch(&Cpu::new(2).unwrap(), &F32);
}

#[test]
fn logits_losses_and_gradients_agree_with_pytorch_in_f64() {
    agrees_with_pytorch(&Reference, &F64);
}

#[test]
fn every_form_of_weights_that_transformers_saves_gives_its_logits() {
    for case in FORMS {
        let golden = Golden::open(case);
        assert_eq!(golden.lengths().len(), 3, "{case}: T = 1, 37 and 130");
        // Half-precision numbers are exact in f32, so these differ from the cases above in nothing but how they are stored.
        // Rounding in f32 moved transformers' own logits by 7.9e-6 at worst: five times that, and below the 1e-4 that we promise.
        let (mut fast, _) = Decoder::load(Cpu::new(2).unwrap(), &folder(case)).unwrap();
        logits_agree(case, &golden, &mut fast, 4e-5);
        let (mut exact, _) = Decoder::load(Reference, &folder(case)).unwrap();
        logits_agree(case, &golden, &mut exact, F64.logits);
    }
}

#[test]
fn both_spellings_of_rope_scaling_load_alike() {
    let copy = tempfile::tempdir().unwrap();
    let from = folder("llama3-rope");
    fs_err::copy(from.join("config-v4.json"), copy.path().join("config.json")).unwrap();
    let (new, _) = cognate_model::checkpoint::read_config(&from).unwrap();
    let (old, _) = cognate_model::checkpoint::read_config(copy.path()).unwrap();
    assert!(new.rope_scaling.is_some());
    assert_eq!(new, old);
}
