//! What must not change a result.

use cognate_base::Silent;
use cognate_model::{Batch, DecodeCache, Decoder, Feed, IGNORE, Moments, ScoreItem, score};
use cognate_ops::{AdamW, Cpu, Precision};

use crate::{batch, decoder, small};

fn gradients_of(model: &mut Decoder<Cpu>, pieces: &[Batch]) -> (f64, Vec<f32>) {
    let mut gradients = model.gradients();
    let scored: usize = pieces.iter().map(Batch::scored).sum();
    let scale = 1.0 / scored as f64;
    let total = pieces.iter().map(|piece| model.loss_and_gradients(piece, &mut gradients, scale).unwrap()).sum();
    (total, gradients.download(model.device()))
}

#[test]
fn one_two_and_four_threads_train_to_the_same_bits() {
    let batch = batch(&[150, 3, 700, 64, 65, 1], 97);
    let run = |threads| {
        let mut model = decoder(Cpu::new(threads).unwrap(), small(true, true), 5);
        let mut moments = Moments::new(&model);
        let mut total = 0.0;
        for step in 1..=3 {
            let mut gradients = model.gradients();
            total = model.loss_and_gradients(&batch, &mut gradients, 1e-3).unwrap();
            let settings = AdamW {
                rate: 1e-2,
                beta1: 0.9,
                beta2: 0.95,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step,
                gradient_scale: 1.0 / gradients.norm(model.device()),
            };
            model.update(&gradients, &mut moments, &settings);
        }
        (total, model.parameters())
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(4));
}

#[test]
fn packed_documents_are_separate_documents() {
    let mut model = decoder(Cpu::new(2).unwrap(), small(true, true), 6);
    let packed = batch(&[40, 7, 90], 97);
    let losses = model.losses(&packed).unwrap();
    for (segment, piece) in packed.segments().zip(packed.pieces(1)) {
        assert_eq!(piece.len(), segment.len());
        assert_eq!(model.losses(&piece).unwrap(), losses[segment]);
    }
    // And what a document says changes no other document.
    let mut other = packed.clone();
    other.tokens[45] = (other.tokens[45] + 1) % 97;
    let changed = model.losses(&other).unwrap();
    assert_eq!(changed[..40], losses[..40]);
    assert_ne!(changed[45..47], losses[45..47]);
    assert_eq!(changed[47..], losses[47..]);
}

#[test]
fn positions_count_from_each_documents_start() {
    // Rotary embedding sees differences alone, so a test of positions must look at them.
    assert_eq!(batch(&[3, 2], 97).positions, [0, 1, 2, 0, 1]);
}

#[test]
fn accumulated_pieces_are_the_whole_batch() {
    let mut model = decoder(Cpu::new(2).unwrap(), small(true, true), 7);
    let whole = batch(&[50, 60, 70, 80, 90], 97);
    let (loss, expected) = gradients_of(&mut model, std::slice::from_ref(&whole));
    let pieces = whole.pieces(100);
    assert_eq!(pieces.len(), 3);
    let (pieced_loss, found) = gradients_of(&mut model, &pieces);
    // The losses of a token have the same bits in any piece; their f64 sum is off by its own rounding at most.
    assert!((loss - pieced_loss).abs() < 1e-12 * loss);
    // A gradient is a sum of N = 350 terms in f32. Any two orders of summation differ by at most 2·N·ε·Σ|terms|; terms are
    // random in sign, so Σ|terms| is about √N of the sum's norm, and errors average out by another √N: N·ε = 4e-5 bounds it.
    let norm = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let difference: Vec<f32> = expected.iter().zip(&found).map(|(a, b)| a - b).collect();
    assert!(norm(&difference) <= 350.0 * f64::from(f32::EPSILON) * norm(&expected));
    assert_ne!(expected, found, "if the pieces were the whole, this test would show nothing");
}

#[test]
fn cached_decoding_is_the_full_forward_pass() {
    for qk_norm in [true, false] {
        let config = small(qk_norm, true);
        let mut model = decoder(Cpu::new(2).unwrap(), config.clone(), 8);
        let ids = batch(&[60], 97).tokens;
        let mut whole = Batch::new();
        whole.push(&ids, &vec![IGNORE; ids.len()]);
        let expected = model.logits(&whole).unwrap();
        let mut cache = DecodeCache::new(&model, 3, 60, Precision::F32).unwrap();
        let mut logits = Vec::new();
        let mut fed = 0;
        for len in [17, 1, 1, 20, 1, 16, 4] {
            model.advance(&mut cache, &[(1, &ids[fed..fed + len])], &mut logits).unwrap();
            fed += len;
            for (found, expected) in logits.iter().zip(&expected[(fed - 1) * config.vocab..]) {
                // The two sum scores and values in different orders: a few roundings of logits of order 1.
                assert!((found - expected).abs() < 2e-5, "after {fed} tokens: {found} against {expected}");
            }
        }
        assert_eq!((cache.len(1), cache.len(0)), (60, 0));
        // 60 tokens that attend to 1, 2, …, 60 of them; each of the seven calls gave one row of logits.
        let (found, expected) = (model.fed(), config.forward_flops(60.0, 7.0, 30.5));
        assert_eq!(found.tokens, 60);
        assert!((found.flops / expected - 1.0).abs() < 1e-12, "{found:?} {expected}");
        // The capacity is rounded up to 64.
        let error = model.advance(&mut cache, &[(1, &[1; 5])], &mut logits).unwrap_err();
        assert_eq!(error.to_string(), "slot 1 holds 60 tokens and has room for 64; 5 more do not fit");
    }
}

/// Rounding to 255 steps of the largest magnitude errs by up to 0.4 % of it, at four products a block and at the head: logits
/// move by a few hundredths of their spread, and not by nothing.
#[test]
fn decoding_in_8_bits_is_near_decoding_in_f32() {
    let config = small(true, true);
    let mut model = decoder(Cpu::new(2).unwrap(), config.clone(), 8);
    let ids = batch(&[60], 97).tokens;
    let mut run = |precision| {
        let mut cache = DecodeCache::new(&model, 2, 60, precision).unwrap();
        let mut all = Vec::new();
        let whole = [Feed { slot: 1, tokens: &ids, from: 0 }];
        model.advance_rows(&mut cache, &whole, &mut |_, logits| all.extend_from_slice(logits)).unwrap();
        all
    };
    let (exact, rounded) = (run(Precision::F32), run(Precision::Int8));
    let squares = |x: &mut dyn Iterator<Item = f32>| x.map(|v| f64::from(v * v)).sum::<f64>();
    let moved = squares(&mut exact.iter().zip(&rounded).map(|(a, b)| a - b)) / squares(&mut exact.iter().copied());
    assert!((1e-8..1e-3).contains(&moved), "{:.2e} of the variance", moved);
}

#[test]
fn a_slots_logits_have_the_same_bits_whatever_is_beside_it() {
    let mut model = decoder(Cpu::new(2).unwrap(), small(true, true), 9);
    let prompts: Vec<Vec<u32>> = (0..40).map(|i| batch(&[1 + (i * 7) % 30], 97).tokens).collect();
    let decode = |model: &mut Decoder<Cpu>, members: &[usize], precision| {
        let mut cache = DecodeCache::new(model, 40, 64, precision).unwrap();
        let mut trace: Vec<Vec<u32>> = vec![Vec::new(); 40];
        let mut logits = Vec::new();
        let mut last: Vec<Vec<u32>> = prompts.clone();
        for _ in 0..8 {
            // Slots in reverse: where a sequence lives must not matter either.
            let work: Vec<(usize, &[u32])> = members.iter().map(|&i| (39 - i, &last[i][..])).collect();
            model.advance(&mut cache, &work, &mut logits).unwrap();
            let rows: Vec<Vec<f32>> = logits.chunks(97).map(<[f32]>::to_vec).collect();
            for (&i, row) in members.iter().zip(rows) {
                trace[i].extend(row.iter().map(|v| v.to_bits()));
                let best = (0..97).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
                last[i] = vec![best as u32];
            }
        }
        trace
    };
    let all: Vec<usize> = (0..40).collect();
    for precision in [Precision::F32, Precision::Int8] {
        let together = decode(&mut model, &all, precision);
        for members in [vec![0], vec![39, 4, 17], (0..20).collect()] {
            let alone = decode(&mut model, &members, precision);
            for i in members {
                assert_eq!(alone[i], together[i], "sequence {i}, {precision:?}");
            }
        }
    }
}

#[test]
fn a_forgotten_continuation_leaves_no_trace_and_rows_are_those_of_single_tokens() {
    let mut model = decoder(Cpu::new(2).unwrap(), small(true, true), 9);
    let ids = batch(&[30], 97).tokens;
    // Token by token, by the other way in: the logits after each.
    let mut cache = DecodeCache::new(&model, 1, 40, Precision::F32).unwrap();
    let mut expected: Vec<Vec<f32>> = Vec::new();
    for id in &ids {
        let mut logits = Vec::new();
        model.advance(&mut cache, &[(0, std::slice::from_ref(id))], &mut logits).unwrap();
        expected.push(logits);
    }
    let mut cache = DecodeCache::new(&model, 3, 40, Precision::F32).unwrap();
    let mut rows = |cache: &mut DecodeCache<Cpu>, work: &[Feed<'_>]| {
        let mut rows: Vec<Vec<f32>> = Vec::new();
        model
            .advance_rows(cache, work, &mut |first, logits| {
                assert_eq!(first, rows.len());
                rows.extend(logits.chunks(97).map(<[f32]>::to_vec));
            })
            .unwrap();
        rows
    };
    let wrong = [5, 6, 7, 8];
    assert!(rows(&mut cache, &[Feed { slot: 2, tokens: &ids[..20], from: 20 }]).is_empty());
    assert_eq!(rows(&mut cache, &[Feed { slot: 2, tokens: &wrong, from: 0 }]).len(), 4);
    assert_eq!(cache.len(2), 24);
    cache.truncate(2, 20);
    let work = [Feed { slot: 0, tokens: &ids[..9], from: 7 }, Feed { slot: 2, tokens: &ids[20..], from: 1 }];
    let found = rows(&mut cache, &work);
    let wanted: Vec<&Vec<f32>> = expected[7..9].iter().chain(&expected[21..30]).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn scores_do_not_depend_on_how_items_are_packed() {
    let mut model = decoder(Cpu::new(2).unwrap(), small(true, true), 10);
    let items: Vec<ScoreItem> = (0..12)
        .map(|i| ScoreItem { prompt: batch(&[1 + i % 5], 97).tokens, continuation: batch(&[(i * 5) % 23], 97).tokens })
        .collect();
    let together = score(&mut model, &items, 1000, &Silent).unwrap();
    assert_eq!(together, score(&mut model, &items, 1, &Silent).unwrap());
    for (item, total) in items.iter().zip(&together) {
        let alone = score(&mut model, std::slice::from_ref(item), 1000, &Silent).unwrap();
        assert_eq!(alone, [*total]);
        assert_eq!(*total == 0.0, item.continuation.is_empty());
    }
}

#[test]
fn a_token_outside_the_vocabulary_is_an_error() {
    let mut model = decoder(Cpu::new(1).unwrap(), small(true, true), 11);
    let mut wrong = batch(&[5], 97);
    wrong.tokens[3] = 97;
    let error = model.losses(&wrong).unwrap_err().to_string();
    assert_eq!(error, "token 97 at position 3 of a batch is outside the model's vocabulary of 97");
}
