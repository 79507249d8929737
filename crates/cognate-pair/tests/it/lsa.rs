//! Latent semantic analysis on text whose pairs are known.

use cognate_base::Silent;
use cognate_pair::{Error, Lsa, LsaConfig, Vectors, exact_neighbours, lsa};

use crate::{Stopped, on_threads};

fn config(dimensions: usize) -> LsaConfig {
    LsaConfig { dimensions, seed: 1, min_documents: 2, max_document_share: 0.5, max_terms: 200_000 }
}

/// Chapters of four books in two translations.
fn chapters() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/bible.jsonl");
    let field = |record: &serde_json::Value, name: &str| record[name].as_str().unwrap().to_string();
    let lines = fs_err::read_to_string(path).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records.map(|record| (field(&record, "id"), field(&record, "text"))).collect()
}

/// Short documents that differ, enough of them for the random way of the SVD.
fn many() -> Vec<(String, String)> {
    let word = |i: usize, j: usize| format!("w{} ", (i * 31 + j * j * 17 + (i % 7) * j) % 211);
    (0..600).map(|i| (i.to_string(), (0..40).map(|j| word(i, j)).collect())).collect()
}

#[test]
fn a_chapter_finds_the_same_chapter_in_the_other_translation() {
    let texts = chapters();
    let (vectors, stats) = lsa(&texts, &config(256), &Silent).unwrap();
    vectors.check().unwrap();
    assert_eq!((stats.documents, stats.dimensions, vectors.width), (34, 34, 34), "34 documents have 34 dimensions");
    assert!((stats.explained - 1.0).abs() < 1e-5, "nothing is cut: {}", stats.explained);
    let neighbours = exact_neighbours(&vectors, 3, &Silent).unwrap();
    let chapter = |id: usize| vectors.ids[id].split_once('/').unwrap().1;
    let found_among = |document: usize, k: usize| {
        neighbours.of(document).take(k).any(|(other, _)| chapter(other as usize) == chapter(document))
    };
    let nearest = (0..vectors.len()).filter(|&document| found_among(document, 1)).count();
    // By chance it would be one of 33. The two translations differ more than chapters of one short book in one of them.
    assert!(nearest * 10 >= 34 * 8, "{nearest} of 34");
    assert!((0..vectors.len()).all(|document| found_among(document, 3)));
    // Cut to few dimensions, the numbers say what was cut.
    let (vectors, stats) = lsa(&texts, &config(16), &Silent).unwrap();
    assert_eq!((stats.requested_dimensions, stats.dimensions, vectors.width), (16, 16, 16));
    assert!(stats.explained > 0.5 && stats.explained < 1.0, "{}", stats.explained);
    assert!(stats.singular_values.is_sorted_by(|a, b| a >= b));
}

fn cosine(a: &Vectors, i: usize, b: &Vectors, j: usize) -> f32 {
    a.row(i).iter().zip(b.row(j)).map(|(x, y)| x * y).sum()
}

#[test]
fn a_document_that_is_folded_in_gets_the_vector_that_it_would_have() {
    let texts = chapters();
    // Whole, and cut to the leading directions: folding in must divide by the singular values in both.
    for dimensions in [256, 16] {
        let (embedder, vectors, stats) = Lsa::fit(&texts, &config(dimensions), &Silent).unwrap();
        assert_eq!((vectors.clone(), stats), lsa(&texts, &config(dimensions), &Silent).unwrap());
        let again = embedder.embed(&texts);
        again.check().unwrap();
        assert_eq!(again.ids, vectors.ids);
        let furthest = again.data.iter().zip(&vectors.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-4, "{dimensions} dimensions: {furthest}");
    }
}

#[test]
fn cosines_of_a_document_that_is_folded_in_are_as_large_as_those_of_the_corpus() {
    // Of few documents the directions hold all, and of another one a part.
    let part =
        |of: usize| chapters().into_iter().enumerate().filter(move |(at, _)| at % 3 / 2 == of).map(|(_, text)| text);
    let (known, new): (Vec<_>, Vec<_>) = (part(0).collect(), part(1).collect());
    let (embedder, vectors, _) = Lsa::fit(&known, &config(256), &Silent).unwrap();
    let (folded, held) = embedder.fold_in(&new);
    let (_, of_known) = embedder.fold_in(&known);
    assert!(of_known.iter().all(|held| (0.99..=1.0).contains(held)), "{of_known:?}");
    assert!(held.iter().all(|held| (0.05..0.95).contains(held)), "{held:?}");
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let sum_of = |row: &[f32]| (0..known.len()).map(|other| cosine(row, vectors.row(other))).sum::<f32>();
    let plain: Vec<f32> = (0..new.len()).map(|at| sum_of(folded.row(at)) / known.len() as f32).collect();
    let scaled: Vec<f32> = plain.iter().zip(&held).map(|(plain, held)| plain * held).collect();
    // Each document but itself.
    let inside: Vec<f32> =
        (0..known.len()).map(|at| (sum_of(vectors.row(at)) - 1.0) / (known.len() - 1) as f32).collect();
    let mean = |of: &[f32]| of.iter().sum::<f32>() / of.len() as f32;
    let (plain, scaled) = (mean(&plain) / mean(&inside), mean(&scaled) / mean(&inside));
    assert!((0.8..1.25).contains(&scaled) && plain > 1.3, "{plain} {scaled}");
    let neighbours = exact_neighbours(&vectors, 3, &Silent).unwrap();
    let halved = neighbours.clone().scaled(&vec![0.5; known.len()]);
    assert_eq!(halved.of(1).map(|(id, s)| (id, 2.0 * s)).collect::<Vec<_>>(), neighbours.of(1).collect::<Vec<_>>());
}

#[test]
fn a_new_document_comes_to_lie_beside_those_of_its_topic() {
    let texts = chapters();
    let (embedder, vectors, _) = Lsa::fit(&texts, &config(16), &Silent).unwrap();
    // Every other word of a chapter, in another order, among words that nobody knows.
    let scramble = |text: &str| {
        let mut words: Vec<&str> = text.split_whitespace().step_by(2).collect();
        words.reverse();
        format!("zzyzx {} qwrt", words.join(" "))
    };
    let new: Vec<(String, String)> = texts.iter().map(|(id, text)| (format!("{id} again"), scramble(text))).collect();
    let found = embedder.embed(&new);
    found.check().unwrap();
    let chapter = |id: &str| id.split_once('/').unwrap().1.trim_end_matches(" again").to_owned();
    let nearest = |i: usize| {
        let similarity = |&j: &usize| cosine(&found, i, &vectors, j);
        (0..vectors.len()).max_by(|a, b| similarity(a).total_cmp(&similarity(b))).unwrap()
    };
    let right = (0..found.len()).filter(|&i| chapter(&vectors.ids[nearest(i)]) == chapter(&found.ids[i])).count();
    assert!(right >= 32, "{right} of 34 lie beside their chapter");
    // No known word, no direction.
    let nothing = embedder.embed(&[("alien".into(), "zzyzx qwrt".into()), ("blank".into(), String::new())]);
    assert!(nothing.data.iter().all(|&x| x == 0.0));
}

#[test]
fn the_result_does_not_depend_on_threads_and_follows_the_seed() {
    let texts = many();
    let run = |threads, seed| on_threads(threads, || lsa(&texts, &LsaConfig { seed, ..config(24) }, &Silent).unwrap());
    let (one, stats) = run(1, 1);
    assert!(stats.terms > 24 + 32, "the random way is taken: {} terms", stats.terms);
    assert_eq!((one.clone(), stats), run(2, 1));
    assert_ne!(one.data, run(1, 2).0.data);
}

#[test]
fn a_document_without_known_words_gets_a_zero_vector_and_no_neighbours() {
    let mut texts = chapters();
    texts.push(("blank".to_string(), "  \n".to_string()));
    texts.push(("alien".to_string(), "zzyzx qwrt".to_string()));
    let (vectors, stats) = lsa(&texts, &config(256), &Silent).unwrap();
    assert_eq!(stats.documents_without_vector, 2);
    vectors.check().unwrap();
    assert!(vectors.row(34).iter().chain(vectors.row(35)).all(|&x| x == 0.0));
    let neighbours = exact_neighbours(&vectors, 33, &Silent).unwrap();
    assert_eq!(neighbours.of(34).count() + neighbours.of(35).count(), 0);
    assert!((0..34).all(|document| neighbours.of(document).all(|(other, _)| other < 34)));
    assert!((0..34).all(|document| neighbours.of(document).count() == 33));
}

#[test]
fn impossible_settings_and_empty_corpora_are_errors() {
    let texts = chapters();
    let cases = [
        LsaConfig { dimensions: 0, ..config(8) },
        LsaConfig { dimensions: 4097, ..config(8) },
        LsaConfig { min_documents: 0, ..config(8) },
        LsaConfig { max_terms: 0, ..config(8) },
        LsaConfig { max_document_share: 0.0, ..config(8) },
        LsaConfig { max_document_share: 1.5, ..config(8) },
        LsaConfig { max_document_share: f64::NAN, ..config(8) },
    ];
    for case in cases {
        let error = lsa(&texts, &case, &Silent).unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error}");
    }
    assert!(matches!(lsa(&[], &config(8), &Silent).unwrap_err(), Error::NoDocuments));
    assert!(matches!(lsa(&texts[..1], &config(8), &Silent).unwrap_err(), Error::NoTerms { documents: 1, .. }));
    assert!(matches!(lsa(&texts, &config(8), &Stopped).unwrap_err(), Error::Interrupted(_)));
}
