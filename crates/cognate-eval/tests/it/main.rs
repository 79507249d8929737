//! Evaluation of a small model of random weights, against sums over its logits.

#![allow(clippy::unwrap_used, reason = "tests")]

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, Tokenizer};
use cognate_eval::{Error, PerplexityOptions, RelationOptions, ensemble_perplexity, perplexity, relation};
use cognate_model::{Batch, Config, Decoder, Ensemble, IGNORE};
use cognate_ops::Cpu;

const TEXTS: [&str; 4] = ["stars and planets", "a planet", "cats and other animals that live in houses", "né"];

fn tokenizer() -> Tokenizer {
    Tokenizer::train(TEXTS.iter().map(|text| (*text).to_owned()), 265).unwrap()
}

fn model(vocab: usize, max_positions: usize, threads: usize) -> Decoder<Cpu> {
    let config = Config {
        vocab,
        width: 32,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_width: 16,
        ffn: 64,
        max_positions,
        rope_base: 10_000.0,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: true,
    };
    Decoder::new(Cpu::new(threads).unwrap(), config, 8).unwrap()
}

fn documents() -> impl Iterator<Item = cognate_corpus::Result<Document>> {
    TEXTS.iter().enumerate().map(|(i, text)| {
        Ok(Document { id: i.to_string(), text: (*text).to_owned(), group: None, metadata: Default::default() })
    })
}

/// −log p(continuation | prompt), from the logits of a whole forward pass, in f64.
fn nats(model: &mut Decoder<Cpu>, prompt: &[u32], continuation: &[u32]) -> f64 {
    let tokens = [prompt, continuation].concat();
    let mut batch = Batch::new();
    batch.push(&tokens, &vec![IGNORE; tokens.len()]);
    let vocab = model.config().vocab;
    let logits = model.logits(&batch).unwrap();
    let row = |at: usize| &logits[at * vocab..(at + 1) * vocab];
    (prompt.len()..tokens.len())
        .map(|at| {
            let before = row(at - 1);
            let total: f64 = before.iter().map(|&logit| f64::from(logit).exp()).sum();
            total.ln() - f64::from(before[tokens[at] as usize])
        })
        .sum()
}

#[test]
fn perplexity_is_the_sum_over_the_logits() {
    let tokenizer = tokenizer();
    let end = tokenizer.end_of_document();
    let mut model = model(tokenizer.vocab_size(), 128, 2);
    let (mut total, mut tokens, mut bytes) = (0.0, 0, 0);
    for text in TEXTS {
        let ids = [tokenizer.encode(text).unwrap(), vec![end]].concat();
        total += nats(&mut model, &[end], &ids);
        tokens += ids.len() as u64;
        bytes += text.len() as u64;
    }
    let options = PerplexityOptions::of(&tokenizer, 4096);
    let (found, each) = perplexity(&mut model, &tokenizer, documents(), options, &Silent).unwrap();
    let of_parts: f64 = each.iter().map(|document| document.log_likelihood + document.end_log_likelihood).sum();
    assert!((of_parts / -total - 1.0).abs() < 1e-6, "{each:?}");
    assert_eq!((found.tokens, found.bytes, found.documents, found.windowed), (tokens, bytes, 4, 0));
    // f32 logits of about 5 nats: 1e-6 relative is 8 units in the last place.
    assert!((found.nats_per_token / (total / tokens as f64) - 1.0).abs() < 1e-6, "{found:?} {total}");
    assert!((found.bits_per_byte / (total / 2f64.ln() / bytes as f64) - 1.0).abs() < 1e-6);
    // Another begin token is another context.
    let other = PerplexityOptions { begin: tokenizer.related().unwrap(), ..options };
    assert_ne!(
        perplexity(&mut model, &tokenizer, documents(), other, &Silent).unwrap().0.nats_per_token,
        found.nats_per_token
    );
}

#[test]
fn batches_and_threads_do_not_change_a_bit() {
    let tokenizer = tokenizer();
    // The third text is longer than 16 positions: windows take part.
    let run = |batch_tokens: usize, threads: usize| {
        let mut model = model(tokenizer.vocab_size(), 16, threads);
        let options = PerplexityOptions::of(&tokenizer, batch_tokens);
        perplexity(&mut model, &tokenizer, documents(), options, &Silent).unwrap()
    };
    let single = run(1, 1);
    assert!(single.0.windowed > 0);
    for (batch_tokens, threads) in [(20, 1), (4096, 1), (4096, 2)] {
        assert_eq!(run(batch_tokens, threads), single, "{batch_tokens} tokens, {threads} threads");
    }
}

#[test]
fn relation_is_the_sum_over_the_logits() {
    let tokenizer = tokenizer();
    let (end, related) = (tokenizer.end_of_document(), tokenizer.related().unwrap());
    let texts: Vec<Vec<u32>> = TEXTS.iter().map(|text| tokenizer.encode(text).unwrap()).collect();
    let pairs: Vec<(Vec<u32>, Vec<u32>)> = [(0, 1), (2, 3)].map(|(a, b)| (texts[a].clone(), texts[b].clone())).to_vec();
    let mut model = model(tokenizer.vocab_size(), 128, 2);
    // All seeds fit, or the third text is cut at the end of a word, not where the tokens end.
    for (most, cut) in [(100, 0), (14, 1)] {
        let options = RelationOptions { max_seed_tokens: most, seed: 1, batch_tokens: 256 };
        let (found, _) = relation(&mut model, &tokenizer, &pairs, options, &Silent).unwrap();
        let short = |d1: &[u32]| d1[..tokenizer.cut(d1, most).map_or(d1.len(), |cut| cut.tokens)].to_vec();
        assert_eq!((found.seeds_cut, short(&texts[2]).len() < texts[2].len().min(most)), (cut, cut > 0));
        let mut sums = [0.0; 3];
        for (index, (d1, d2)) in pairs.iter().enumerate() {
            let target = [d2.as_slice(), &[end]].concat();
            let other = &pairs[1 - index].0; // of two pairs, the other
            for (sum, prompt) in sums.iter_mut().zip([
                [&[end], short(d1).as_slice(), &[related]].concat(),
                [&[end], short(other).as_slice(), &[related]].concat(),
                vec![end],
            ]) {
                *sum += nats(&mut model, &prompt, &target);
            }
        }
        let tokens = found.tokens as f64;
        assert_eq!(found.tokens, (texts[1].len() + texts[3].len() + 2) as u64);
        for (estimate, sum) in [(found.true_seed, sums[0]), (found.random_seed, sums[1]), (found.no_seed, sums[2])] {
            assert!((estimate.value / (sum / tokens) - 1.0).abs() < 1e-6, "{found:?} {sums:?}");
        }
        let gain = found.random_seed.value - found.true_seed.value;
        assert!((found.gain_over_random.value - gain).abs() < 1e-12);
    }
}

struct Stopped;

impl Monitor for Stopped {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn refusals_and_interruptions() {
    let tokenizer = tokenizer();
    let options = PerplexityOptions::of(&tokenizer, 256);
    // Tokens that do not occur need no row; the one that does is named, and the first document that has it.
    let largest = documents().flat_map(|document| tokenizer.encode(&document.unwrap().text).unwrap()).max().unwrap();
    let mut enough = model(largest as usize + 1, 64, 1);
    perplexity(&mut enough, &tokenizer, documents(), options, &Silent).unwrap();
    let mut small = model(largest as usize, 64, 1);
    let error = perplexity(&mut small, &tokenizer, documents(), options, &Silent).unwrap_err();
    let holds = |document: &Document| tokenizer.encode(&document.text).unwrap().contains(&largest);
    let first = documents().map(Result::unwrap).find(holds).unwrap().id;
    let expected =
        format!("document {first}: its token {:?} has the number {largest}, and", tokenizer.token(largest).unwrap());
    assert!(matches!(error, Error::NoRow { .. }) && error.to_string().starts_with(&expected), "{error}");
    let mut model = model(tokenizer.vocab_size(), 64, 1);
    let error = perplexity(&mut model, &tokenizer, documents(), options, &Stopped).unwrap_err();
    assert!(cognate_base::Interrupted::caused(&error), "{error}");
}

#[test]
fn the_loss_of_an_ensemble_is_that_of_the_mean_probability_and_of_one_that_of_the_model() {
    let tokenizer = tokenizer();
    let options = PerplexityOptions::of(&tokenizer, 500);
    let member = |seed: u64| {
        let mut member =
            Decoder::new(Cpu::new(1).unwrap(), model(tokenizer.vocab_size(), 64, 1).config().clone(), seed).unwrap();
        member.parameters_mut().iter_mut().for_each(|p| *p *= 3.0);
        member
    };
    let alone = perplexity(&mut member(1), &tokenizer, documents(), options, &Silent).unwrap();
    let mut one = Ensemble::from(member(1));
    let (found, each, by_members) = ensemble_perplexity(&mut one, &tokenizer, documents(), options, &Silent).unwrap();
    assert_eq!((found, each), alone, "to the bit");
    assert!((by_members[0] - found.nats_per_token).abs() < 1e-9 && by_members.len() == 1);
    let mut two = Ensemble::new(vec![member(1), member(2)]).unwrap();
    let (both, each, by_members) = ensemble_perplexity(&mut two, &tokenizer, documents(), options, &Silent).unwrap();
    let other = perplexity(&mut member(2), &tokenizer, documents(), options, &Silent).unwrap();
    assert!((by_members[0] - found.nats_per_token).abs() < 1e-9);
    assert!((by_members[1] - both.nats_per_token).abs() < 1e-6, "{by_members:?} {both:?}");
    // Below the mean of the two losses, document by document.
    for ((both, one), two) in each.iter().zip(&alone.1).zip(&other.1) {
        assert!(both.log_likelihood > (one.log_likelihood + two.log_likelihood) / 2.0);
    }
    let mut document = documents().next().unwrap().unwrap();
    document.text = document.text.chars().take(3).collect();
    let tokens = tokenizer.encode(&document.text).unwrap();
    let per_token = |member: &mut Decoder<Cpu>, at: usize| {
        let before: Vec<u32> =
            std::iter::once(tokenizer.begin_of_document()).chain(tokens[..at].iter().copied()).collect();
        (-nats(member, &before, &tokens[at..at + 1])).exp()
    };
    let expected: f64 =
        (0..tokens.len()).map(|at| ((per_token(&mut member(1), at) + per_token(&mut member(2), at)) / 2.0).ln()).sum();
    let (_, each, _) =
        ensemble_perplexity(&mut two, &tokenizer, std::iter::once(Ok(document)), options, &Silent).unwrap();
    assert!((each[0].log_likelihood - expected).abs() < 1e-4, "{} {expected}", each[0].log_likelihood);
}
