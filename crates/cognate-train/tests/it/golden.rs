//! Ten training steps through [`train`] against values that PyTorch wrote (tools/reference/README.md says how, and how far f32 rounding
//! alone moves them: the tolerances are four to eight times that). Gradients are clipped in some of the steps, and the rate changes in
//! each.

use std::path::{Path, PathBuf};

use cognate_base::Silent;
use cognate_model::{Batch, Decoder, IGNORE};
use cognate_ops::{Cpu, Device, Reference};
use cognate_train::{Job, Schedule, Shape, Stream, TrainConfig, train};
use safetensors::{Dtype, SafeTensors};

const STEPS: usize = 10;
/// Largest gradient norm.
const CLIP: f64 = 1.0;

/// Tolerances of one device.
struct Bounds {
    losses: f64,
    final_parameters: f64,
}

/// f32 rounding moved transformers' losses by 1.4e-7 and a tensor by 4.6e-6 of its change.
const F32: Bounds = Bounds { losses: 1e-6, final_parameters: 3e-5 };
/// The f64 values are exact to about 1e-14; losses and parameters pass through f32 once on their way out of a device, which rounds
/// numbers of order 5 to 2.4e-7.
const F64: Bounds = Bounds { losses: 1e-7, final_parameters: 2e-6 };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/training")
}

struct Golden(Vec<u8>);

impl Golden {
    fn open() -> Self {
        Self(fs_err::read(folder().join("golden.safetensors")).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        match view.dtype() {
            Dtype::F64 => view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            Dtype::I32 => view.data().as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.numbers(name).into_iter().map(|v| if v < 0.0 { IGNORE } else { v as u32 }).collect()
    }
}

impl Stream for Golden {
    fn steps(&self) -> u64 {
        STEPS as u64
    }

    fn tokens(&self) -> u64 {
        (0..STEPS).map(|step| self.ids(&format!("step{step}.tokens")).len() as u64).sum()
    }

    fn fill(&self, step: u64, batch: &mut Batch) {
        let (tokens, targets) = (self.ids(&format!("step{step}.tokens")), self.ids(&format!("step{step}.targets")));
        let mut starts = self.ids(&format!("step{step}.starts"));
        starts.push(tokens.len() as u32);
        batch.clear();
        for ends in starts.windows(2) {
            let at = ends[0] as usize..ends[1] as usize;
            batch.push(&tokens[at.clone()], &targets[at]);
        }
    }
}

/// The records of `metrics.jsonl`: loss, gradient norm before clipping, learning rate.
fn records(folder: &Path) -> Vec<[f64; 3]> {
    let text = fs_err::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| ["loss", "gradient_norm", "learning_rate"].map(|name| line[name].as_f64().unwrap())).collect()
}

fn trains_as_pytorch<D: Device>(device: &D, bounds: &Bounds) {
    let golden = Golden::open();
    let (mut model, _) = Decoder::load(device.clone(), &folder()).unwrap();
    let start = model.parameters();
    let scratch = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        schedule: Schedule { peak_rate: 1e-2, final_rate: 1e-3, warmup_share: 0.3, shape: Shape::Cosine },
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip: CLIP,
        validate_every: 100,
        checkpoint_every: 100,
        keep_checkpoints: 1,
    };
    let (run, fingerprint) = (scratch.path(), "golden");
    let job = Job {
        stream: &golden,
        validation: &[],
        choice: &[],
        contrast: None,
        config: &config,
        folder: run,
        tokenizer: None,
        fingerprint,
    };
    let outcome = train(&mut model, &job, &Silent).unwrap();
    assert_eq!(outcome.progress.step, STEPS as u64);

    let records = records(run);
    assert_eq!(records.len(), STEPS);
    let expected = ["losses_f64", "gradient_norms_f64", "rates"].map(|name| golden.numbers(name));
    let clipped = expected[1].iter().filter(|norm| **norm > CLIP).count();
    assert!((2..=STEPS - 2).contains(&clipped), "clipping acts in {clipped} of the steps");
    for (step, [loss, norm, rate]) in records.into_iter().enumerate() {
        let [losses, norms, rates] = expected.each_ref().map(|values| values[step]);
        assert!((loss - losses).abs() <= bounds.losses, "step {step}: loss {loss} against {losses}");
        assert!((norm / norms - 1.0).abs() <= 2e-6, "step {step}: norm {norm} against {norms}");
        assert!((rate / rates - 1.0).abs() <= 1e-14, "step {step}: rate {rate} against {rates}");
    }
    let end = model.parameters();
    for tensor in model.layout().tensors() {
        let expected = golden.numbers(&format!("final_f64.{}", tensor.name));
        let (before, after) = (&start[tensor.range.clone()], &end[tensor.range.clone()]);
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let error = norm(&mut after.iter().zip(&expected).map(|(found, expected)| f64::from(*found) - expected));
        let change = norm(&mut expected.iter().zip(before).map(|(after, before)| after - f64::from(*before)));
        assert!(
            error <= bounds.final_parameters * change,
            "{}: off by {:e} of its change",
            tensor.name,
            error / change
        );
    }
}

#[test]
fn ten_training_steps_agree_with_pytorch_in_f32() {
    trains_as_pytorch(&Cpu::new(2).unwrap(), &F32);
}

#[test]
fn ten_training_steps_agree_with_pytorch_in_f64() {
    trains_as_pytorch(&Reference, &F64);
}
