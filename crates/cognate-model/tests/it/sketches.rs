//! The gradient of decoders of a size that is trained (3.4 and 3.9 M parameters), tensor by tensor, against PyTorch: by sketches, so
//! that neither weights nor gradients are stored (tools/reference/gradients.py).

use cognate_model::{Decoder, Tensor};
use cognate_ops::Cpu;

use crate::golden::{Golden, folder};

const CASES: [&str; 2] = ["qwen3-3m", "llama-4m"];
const DOTS: usize = 16;

/// Allowed ‖found − exact‖ / ‖exact‖. Rounding in f32 moved PyTorch's own tensors by 1.9e-6 (median) to 3.0e-6 (worst) of their norm.
/// Ours round as often, in another order: up to twice that. An estimate from 16 products has a relative deviation of √(2/16)/2 = 18 %,
/// and is off by a factor of 2 in none of 125 tensors (a χ² of 16 above 64 has probability 1e-7): 2 · 2 · 3.0e-6.
const EXACT: f64 = 1.2e-5;
/// Allowed difference from PyTorch's f32 values, which are themselves 3.0e-6 off, estimated as above.
const F32: f64 = EXACT + 2.0 * 3.0e-6;

/// Mixes 32-bit numbers.
fn mix(mut x: u32) -> u32 {
    for (shift, multiplier) in [(16, 0x7feb_352d), (15, 0x846c_a68b)] {
        x = (x ^ (x >> shift)).wrapping_mul(multiplier);
    }
    x ^ (x >> 16)
}

/// mix(key + i) for i = 0, 1, …; the key is the 32-bit FNV-1a hash of the name.
fn hashes(name: &str) -> impl Iterator<Item = u32> {
    let key = name.bytes().fold(0x811c_9dc5_u32, |key, byte| (key ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..=u32::MAX).map(move |i| mix(key.wrapping_add(i)))
}

/// The weights of a tensor: whole numbers of 20 bits, scaled by powers of two, so exact.
fn fill(tensor: &Tensor) -> impl Iterator<Item = f32> {
    let inputs = tensor.shape.get(1).copied();
    hashes(&tensor.name).take(tensor.range.len()).map(move |hash| {
        let u = ((hash >> 12) as f32 - 524_288.0) / 524_288.0;
        match inputs {
            None => 1.0 + u / 2.0,
            Some(..=192) => u / 8.0,
            Some(_) => u / 16.0,
        }
    })
}

/// Inner products with vectors of signs.
fn sketch(name: &str, gradient: &[f32]) -> [f64; DOTS] {
    let mut dots = [0.0; DOTS];
    for (value, bits) in gradient.iter().zip(hashes(&format!("signs of {name}"))) {
        for (j, dot) in dots.iter_mut().enumerate() {
            let value = f64::from(*value);
            *dot += if bits >> j & 1 == 0 { value } else { -value };
        }
    }
    dots
}

/// The estimate of ‖difference of two gradients‖ from their sketches.
fn distance(found: &[f64; DOTS], expected: &[f64]) -> f64 {
    assert_eq!(expected.len(), DOTS);
    (found.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / DOTS as f64).sqrt()
}

#[test]
fn gradients_of_a_real_size_agree_with_pytorch() {
    for case in CASES {
        let case = format!("gradients/{case}");
        let golden = Golden::open(&case);
        let (config, _) = cognate_model::checkpoint::read_config(&folder(&case)).unwrap();
        let layout = cognate_model::Layout::new(&config);
        let values: Vec<f32> = layout.tensors().iter().flat_map(fill).collect();
        let mut model = Decoder::with_parameters(Cpu::new(2).unwrap(), config, &values).unwrap();
        let batch = golden.batch("packed");
        let mut gradients = model.gradients();
        let scored = batch.scored() as f64;
        let loss = model.loss_and_gradients(&batch, &mut gradients, 1.0 / scored).unwrap() / scored;
        // Each loss, near 8.8, is the difference of a log-sum of exponentials and a logit, and off by a rounding or two of 4.8e-7.
        let expected = golden.numbers("packed.loss_f64")[0];
        assert!((loss - expected).abs() < 1e-6, "{case}: loss {loss} against {expected}");
        let found = gradients.download(model.device());
        let (norms, exact, f32s) =
            (golden.numbers("norms_f64"), golden.numbers("sketches_f64"), golden.numbers("sketches"));
        let mut tensors = layout.tensors().to_vec();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(tensors.len(), norms.len());
        for (i, tensor) in tensors.iter().enumerate() {
            let row = i * DOTS..(i + 1) * DOTS;
            let sketch = sketch(&tensor.name, &found[tensor.range.clone()]);
            let (error, from_f32) =
                (distance(&sketch, &exact[row.clone()]) / norms[i], distance(&sketch, &f32s[row]) / norms[i]);
            assert!(error <= EXACT, "{case}: {}: relative error {error:e}", tensor.name);
            assert!(from_f32 <= F32, "{case}: {}: {from_f32:e} from PyTorch's f32", tensor.name);
        }
    }
}
