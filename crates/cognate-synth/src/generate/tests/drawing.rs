//! What is drawn: each document by itself, from the model's probabilities.

use super::*;

/// Runs the schedule alone and returns what it hands on.
fn draw_all(world: &World, toy: &mut Toy, sampling: Sampling) -> Vec<Finished> {
    let (end_of_document, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let rules = Rules {
        seed: 3,
        sampling,
        max_new_tokens: 30,
        end_of_document,
        never: vec![related],
        vocab: world.tokenizer.vocab_size(),
        numbers: Numbers::until(600),
    };
    let prompts = world.prompts();
    let mut all = Vec::new();
    let mut sink = |finished: &Finished| {
        all.push(finished.clone());
        Ok(())
    };
    schedule::run(toy, &prompts, &rules, &mut Progress::default(), &mut sink, &Silent).unwrap();
    all
}

/// Turns red when a document's random numbers depend on its seed document alone: then every sample of a seed is the same.
#[test]
fn two_documents_of_one_seed_differ() {
    let world = World::new();
    let mut toy = Toy::new(4, &world.tokenizer);
    let prompts = world.prompts();
    let mut by_prompt: BTreeMap<Vec<u32>, Vec<Vec<u32>>> = BTreeMap::new();
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(1.0, 1.0)) {
        // Shorter ones may coincide by chance: the toy has hardly 300 likely tokens.
        if finished.tokens.len() >= 4 {
            by_prompt.entry(prompts.prompt(finished.number)).or_default().push(finished.tokens);
        }
    }
    let samples: usize = by_prompt.values().map(Vec::len).sum();
    assert!(samples >= 2 * by_prompt.len() && samples > by_prompt.len() + 3, "too few samples a seed to tell");
    for tokens in by_prompt.values() {
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len(), "two samples of one seed are the same");
    }
}

#[test]
fn log_probabilities_are_the_models_and_special_tokens_stay_out() {
    let world = World::new();
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let mut toy = Toy::new(4, &world.tokenizer);
    let prompts = world.prompts();
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(1.3, 0.7)) {
        let mut history = prompts.prompt(finished.number);
        let mut expected = 0.0;
        for &token in &finished.tokens {
            assert!(token != related && (token as usize) < world.tokenizer.vocab_size());
            let logits = &toy.logits(&history)[..world.tokenizer.vocab_size()];
            let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            expected += f64::from(logits[token as usize]) - total.ln();
            history.push(token);
        }
        let found = f64::from_bits(finished.log_probability_bits);
        assert!((found - expected).abs() < 1e-5 * expected.abs(), "{found} {expected}");
        let ends = finished.tokens.iter().filter(|&&token| token == end).count();
        match finished.finish {
            Finish::Eod => assert_eq!((ends, finished.tokens.last()), (1, Some(&end))),
            Finish::Cap => assert_eq!((ends, finished.tokens.len()), (0, 30)),
        }
    }
}

#[test]
fn temperature_zero_is_greedy() {
    let world = World::new();
    let mut toy = Toy::new(4, &world.tokenizer);
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(0.0, 1.0)) {
        // The toy's end-of-document token is its most probable one everywhere.
        assert_eq!((finished.tokens.as_slice(), related != end), ([end].as_slice(), true));
    }
}

#[test]
fn a_broken_model_is_named_with_seed_and_position() {
    let world = World::new();
    let mut toy = Toy::new(1, &world.tokenizer);
    toy.broken_at = Some(4);
    let out = world.out("a");
    let error = generate_with(&mut toy, &world.tokenizer, &world.seeds, &out, &config(1), &Silent).unwrap_err();
    let Error::Logits { document, seed_id, position: 4, token: 3, .. } = &error else { panic!("{error}") };
    assert_eq!(*seed_id, format!("seed-{}", seed_of(11, *document, 5)));
    assert!(error.to_string().contains("NaN"), "{error}");
}
