//! The instruction sets against each other, in one process: every op under AVX-512 and AVX2 gives the same bits.

use crate::attention::{self, Rows};
use crate::matmul::{self, PackedWeight};
use crate::simd::Isa;
use crate::simd::tests::under_each;
use crate::testing::numbers;
use crate::{AdamW, Cpu, Heads, Precision, RopeTable, adamw, cross_entropy, norm, rope, soft_cross_entropy, swiglu};

/// Runs `work` under each instruction set on a device of one thread. Those with fused multiply-adds must agree to the bit; the baseline,
/// which rounds after each multiplication, must differ somewhere, or nothing was compared.
#[track_caller]
fn agree(what: &str, rounds_otherwise: bool, work: impl Fn(&Cpu) -> Vec<f32>) {
    let device = Cpu::new(1).unwrap();
    let bits = || work(&device).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let found = under_each(bits);
    let (fused, baseline): (Vec<_>, Vec<_>) = found.iter().partition(|(isa, _)| *isa != Isa::Portable);
    for two in fused.windows(2) {
        let [(a, first), (b, second)] = [two[0], two[1]];
        let differ = first.iter().zip(second).position(|(x, y)| x != y);
        assert_eq!(differ, None, "{what}: the first number in which {} and {} differ", a.name(), b.name());
        assert_eq!(first.len(), second.len());
    }
    if let [(_, first), ..] = fused[..] {
        assert_eq!(first != &baseline[0].1, rounds_otherwise, "{what}: the baseline");
    }
}

/// Shapes of rows, inputs, outputs: one tile and parts of it, several blocks of the sum, and every way of cutting a product into tasks.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (4, 9, 24),
    (9, 48, 48),
    (5, 193, 51),
    (13, 385, 7),
    (64, 130, 200),
    (107, 66, 97),
    (130, 70, 1160),
    (250, 200, 33),
];

#[test]
fn products_have_the_same_bits_under_avx512_and_avx2() {
    for (rows, inputs, outputs) in SHAPES {
        let (x, w, g) = (numbers(1, rows * inputs), numbers(2, outputs * inputs), numbers(3, rows * outputs));
        // A sum of one product rounds once, fused or not.
        let several = inputs > 1;
        for add in [false, true] {
            agree(&format!("forward of {rows}, {inputs}, {outputs}, add {add}"), several, |cpu| {
                let mut out = g.clone();
                matmul::cpu::forward(cpu, &mut out, &x, &w, inputs, outputs, add);
                out
            });
            agree(&format!("packed product of {rows}, {inputs}, {outputs}, add {add}"), several, |cpu| {
                let mut out = g.clone();
                PackedWeight::new(cpu, &w, inputs, outputs, Precision::F32).forward(cpu, &mut out, &x, add);
                out
            });
        }
        agree(&format!("input gradient of {rows}, {inputs}, {outputs}"), outputs > 1, |cpu| {
            let mut dx = x.clone();
            matmul::cpu::input_gradient(cpu, &mut dx, &g, &w, inputs, outputs);
            dx
        });
        agree(&format!("weight gradient of {rows}, {inputs}, {outputs}"), rows > 1, |cpu| {
            let mut dw = w.clone();
            matmul::cpu::weight_gradient(cpu, &mut dw, &g, &x, inputs, outputs);
            dw
        });
        agree(&format!("matmul_nt of {rows}, {outputs}, {inputs}"), several, |_| {
            let mut out = g.clone();
            matmul::matmul_nt(&mut out, &x, &w, rows, outputs, inputs);
            out
        });
    }
}

/// Sums of whole numbers are exact, so the instruction that has them all at once, plain code and the baseline agree as well.
#[test]
fn products_of_bytes_have_the_same_bits_under_every_instruction_set() {
    for (rows, inputs, outputs) in SHAPES {
        let (x, w, g) = (numbers(1, rows * inputs), numbers(2, outputs * inputs), numbers(3, rows * outputs));
        for add in [false, true] {
            agree(&format!("bytes of {rows}, {inputs}, {outputs}, add {add}"), false, |cpu| {
                let mut out = g.clone();
                PackedWeight::new(cpu, &w, inputs, outputs, Precision::Int8).forward(cpu, &mut out, &x, add);
                out
            });
        }
    }
}

#[test]
fn attention_has_the_same_bits_under_avx512_and_avx2() {
    for (heads, starts) in [
        (Heads { query: 4, kv: 2, width: 16 }, vec![0, 1, 70, 199]),
        (Heads { query: 3, kv: 1, width: 10 }, vec![0, 65]),
        (Heads { query: 2, kv: 2, width: 64 }, vec![0, 40]),
    ] {
        let rows = *starts.last().unwrap() as usize;
        let (qk, qkv) = (numbers(1, rows * heads.qk_width()), numbers(2, rows * heads.qkv_width()));
        let dout = numbers(3, rows * heads.query_width());
        agree(&format!("attention of {heads:?}"), true, |cpu| {
            let (mut out, mut lse) = (vec![0.0; dout.len()], vec![0.0; rows * heads.query]);
            attention::cpu::forward(cpu, &mut out, &mut lse, &qk, &qkv, &starts, heads);
            let mut dqkv = vec![0.0; qkv.len()];
            let saved = attention::cpu::Saved { out: &out, lse: &lse, qk: &qk, qkv: &qkv };
            attention::cpu::backward(cpu, &mut dqkv, &dout, &saved, &starts, heads);
            [out, lse, dqkv].concat()
        });
        for precision in [Precision::F32, Precision::Int8] {
            agree(&format!("cached attention of {heads:?} in {precision:?}"), true, |cpu| {
                let capacity = 80;
                let mut cache = vec![0.0; attention::cached::len(capacity, heads, precision)];
                let rows = rows.min(capacity);
                let mut out = vec![0.0; rows * heads.query_width()];
                let fed = Rows {
                    qk: &qk[..rows * heads.qk_width()],
                    qkv: &qkv[..rows * heads.qkv_width()],
                    slots: &vec![0; rows],
                    positions: &(0..rows as u32).collect::<Vec<_>>(),
                };
                attention::cached::forward(cpu, &mut out, &mut cache, &fed, capacity, heads, precision);
                out
            });
        }
    }
}

#[test]
fn everything_else_has_the_same_bits_under_avx512_and_avx2() {
    for (rows, width) in [(7, 31), (200, 64), (130, 100)] {
        let (x, w, g) = (numbers(1, rows * width), numbers(2, width), numbers(3, rows * width));
        agree(&format!("RMSNorm of {rows}, {width}"), true, |cpu| {
            let (mut out, mut inv) = (vec![0.0; rows * width], vec![0.0; rows]);
            norm::cpu::forward(cpu, &mut out, &mut inv, &x, &w, 1e-6);
            let (mut dx, mut dw) = (g.clone(), w.clone());
            norm::cpu::backward(cpu, &mut dx, &mut dw, &g, &x, &inv, &w);
            [out, inv, dx, dw].concat()
        });
        let gate_up: Vec<f32> = numbers(4, rows * 2 * width).iter().map(|v| 9.0 * v).collect();
        agree(&format!("SwiGLU of {rows}, {width}"), true, |cpu| {
            let (mut out, mut dgate_up) = (vec![0.0; rows * width], vec![0.0; rows * 2 * width]);
            swiglu::cpu::forward(cpu, &mut out, &gate_up, width);
            swiglu::cpu::backward(cpu, &mut dgate_up, &g, &gate_up, width);
            [out, dgate_up].concat()
        });
        let targets: Vec<u32> = (0..rows).map(|row| (row * 7 % width) as u32).collect();
        agree(&format!("cross-entropy of {rows}, {width}"), true, |cpu| {
            let (mut losses, mut logits) = (vec![0.0; rows], x.iter().map(|v| 20.0 * v).collect::<Vec<_>>());
            cross_entropy::cpu::forward(cpu, &mut losses, &mut logits, &targets, width, Some(0.3));
            [losses, logits].concat()
        });
        let ids: Vec<u32> = targets.iter().flat_map(|target| [*target, (target + 5) % width as u32]).collect();
        let probabilities = [0.5, 0.2].repeat(rows);
        let teacher = soft_cross_entropy::Rows {
            targets: &targets,
            top: 2,
            ids: &ids,
            probabilities: &probabilities,
            share: 0.6,
            temperature: 1.7,
        };
        agree(&format!("soft cross-entropy of {rows}, {width}"), true, |cpu| {
            let (mut losses, mut logits) = (vec![0.0; rows], x.iter().map(|v| 20.0 * v).collect::<Vec<_>>());
            soft_cross_entropy::cpu::backward(cpu, &mut losses, &mut logits, width, teacher, 0.3);
            [losses, logits].concat()
        });
        agree(&format!("AdamW and the norm of {rows}, {width}"), true, |cpu| {
            let (mut p, mut m) = (x.clone(), numbers(5, x.len()));
            let mut v: Vec<f32> = m.iter().map(|m| m * m).collect();
            let settings = AdamW {
                rate: 1e-2,
                beta1: 0.9,
                beta2: 0.95,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step: 4,
                gradient_scale: 0.7,
            };
            adamw::cpu::update(cpu, &mut p, &g, &mut m, &mut v, &settings);
            let norm = adamw::cpu::sum_of_squares(cpu, &g);
            [p, m, v, vec![norm as f32, (norm - f64::from(norm as f32)) as f32]].concat()
        });
    }
    let (heads, rows) = (Heads { query: 4, kv: 2, width: 20 }, 150);
    let table = RopeTable::new(RopeTable::frequencies(1e4, heads.width), rows);
    let positions: Vec<u32> = (0..rows as u32).rev().collect();
    let (qkv, dqkv) = (numbers(1, rows * heads.qkv_width()), numbers(2, rows * heads.qkv_width()));
    let (q, k) = (numbers(3, heads.width), numbers(4, heads.width));
    let norm = Some((&q[..], &k[..]));
    agree("RoPE", true, |cpu| {
        let (mut qk, mut inv) = (vec![0.0; rows * heads.qk_width()], vec![0.0; rows * (heads.query + heads.kv)]);
        rope::cpu::forward(cpu, &mut qk, &mut inv, &qkv, norm, &positions, &table, heads, 1e-6);
        let (mut dqkv, mut dnorm) = (dqkv.clone(), vec![0.0; 2 * heads.width]);
        rope::cpu::backward(cpu, &mut dqkv, Some(&mut dnorm), &qkv, &inv, norm, &positions, &table, heads);
        [qk, inv, dqkv, dnorm].concat()
    });
}
