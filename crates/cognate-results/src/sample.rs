//! A made-up report of realistic size, for the tests and for looking at the page. No number in it was measured.

use std::collections::BTreeMap;

use cognate_statistics::Estimate;

use cognate_results::*;

const BUDGET: u64 = 12_000_000;

/// Three arms of a quick run.
pub(crate) fn sample() -> Report {
    let arms = vec![
        arm(REPETITION, 5.1273, 600_000, 0),
        arm(SBP, 5.0689, 600_000, 3_000_000),
        arm(ORACLE, 4.8714, 12_000_000, 0),
    ];
    Report {
        name: "quick".to_owned(),
        comparisons: Vec::new(),
        gap_closed: BTreeMap::from([(VALIDATION.to_owned(), validation_gap(&arms))]),
        curves: vec![
            curve(REPETITION, 2.6, |seen| 5.08 + 0.5 * (seen - 0.6).max(0.0).powi(2)),
            curve(SBP, 3.3, |seen| 5.06 + 0.05 * (1.0 - seen)),
            curve(ORACLE, 4.7, |seen| 4.87 + 0.16 * (1.0 - seen)),
        ],
        arms,
        synthetic_quality: quality(),
        further_synthetic: Vec::new(),
        ledger: ledger(),
        doses: Vec::new(),
        members: Vec::new(),
        pairs: Some(pairs()),
        further_pairs: Vec::new(),
        relation: Some(Relation {
            name: "related".to_owned(),
            made: "Tuned on the pairs related, from the arm repetition.".to_owned(),
            control: false,
            unseen: true,
            pairs: 412,
            before: relation_loss(5.402, 5.447, 5.231),
            after: relation_loss(4.913, 5.164, 5.198),
            unused: false,
            curve: (0..=5).map(relation_point).collect(),
            chosen_at: 3_904_000,
        }),
        further_relations: Vec::new(),
        world: None,
        examples: examples(),
        recipe: RECIPE.to_owned(),
        task_curves: Vec::new(),
        by_similarity: Some(by_similarity()),
        environment: Environment {
            version: "0.1.0".to_owned(),
            device: "cpu".to_owned(),
            threads: 2,
            cpu: "Intel(R) Xeon(R) Processor @ 2.60GHz".to_owned(),
            peak_rss_bytes: Some(1_187_000_000),
            commands: vec!["cognate run recipes/quick.toml --threads 2".to_owned()],
        },
        notes: vec![
            "A 3.2 M-parameter model on 600 k unique tokens: too small for what is said here to hold at any other size."
                .to_owned(),
            "The oracle sees every document of the corpus once and 38 % of them twice.".to_owned(),
        ],
        controls: vec!["The arm equal-flops was trained with 9 TFLOP.".to_owned()],
        missing: Vec::new(),
        files: files(),
        cards: card_facts(),
    }
}

fn relation_point(at: u64) -> RelationPoint {
    let learned = 1.0 - (-(at as f64) / 1.5).exp();
    RelationPoint {
        tokens: at * 780_800,
        true_seed: 5.402 - 0.49 * learned,
        random_seed: 5.447 - 0.28 * learned,
        no_seed: 5.231 - 0.03 * learned,
    }
}

fn relation_loss(true_seed: f64, random_seed: f64, no_seed: f64) -> RelationLoss {
    let estimate = |value, stderr| Estimate { value, stderr: Some(stderr) };
    RelationLoss {
        true_seed: estimate(true_seed, 0.021),
        random_seed: estimate(random_seed, 0.022),
        no_seed: estimate(no_seed, 0.02),
        gain_over_random: estimate(random_seed - true_seed, 0.009),
        gain_over_none: estimate(no_seed - true_seed, 0.011),
    }
}

fn arm(name: &str, nats_per_token: f64, unique_tokens: u64, synthetic_tokens: u64) -> Arm {
    Arm {
        name: name.to_owned(),
        seed: 1,
        train_tokens: BUDGET,
        unique_tokens,
        synthetic_tokens,
        epochs: (BUDGET - synthetic_tokens) as f64 / unique_tokens as f64,
        flops: 2.61e14,
        // The ledger's embed, pair, tune and generate: 4.1e10 + 4e9 + 8.12e13 + 2.9e13.
        preparation_flops: if synthetic_tokens > 0 { 1.10245e14 } else { 0.0 },
        base_flops: if synthetic_tokens > 0 { 2.61e14 } else { 0.0 },
        validation: Validation {
            nats_per_token,
            stderr: Some(0.021),
            perplexity: nats_per_token.exp(),
            perplexity_stderr: Some(0.021 * nats_per_token.exp()),
            bits_per_byte: nats_per_token / std::f64::consts::LN_2 / 3.91,
            bits_per_byte_stderr: Some(0.0077),
        },
        tasks: BTreeMap::new(),
    }
}

/// Falls from ln(4096) towards `late`; training loss goes on towards `train_end`, with some noise.
fn curve(arm: &str, train_end: f64, late: impl Fn(f64) -> f64) -> Curve {
    let early = |seen: f64| 3.2 * (-seen * 22.0).exp();
    let validation = (0..=30).map(|step| {
        let seen = f64::from(step) / 30.0;
        Point {
            tokens: (seen * BUDGET as f64) as u64,
            nats_per_token: late(seen) + early(seen) + 0.25 * (1.0 - seen).powi(4),
        }
    });
    let train = (1..=1_200_u32).map(|step| {
        let seen = f64::from(step) / 1200.0;
        let noise = f64::from(step.wrapping_mul(2_654_435_761) >> 16) / 65536.0 - 0.5;
        let level = 5.1 + (train_end - 5.1) * seen;
        Point { tokens: (seen * BUDGET as f64) as u64, nats_per_token: level + early(seen) + 0.3 * noise }
    });
    Curve { arm: arm.to_owned(), seed: 1, train: train.collect(), validation: validation.collect() }
}

fn plain(name: &str, value: f64, unit: &str, n: Option<u64>) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.to_owned(), n }
}

fn quality() -> SyntheticQuality {
    let dropped = [
        ("empty", 3),
        ("too short", 41),
        ("unfinished at the length cap", 612),
        ("heavy repetition", 287),
        ("near-copy of its seed", 18),
        ("near-duplicate of an earlier one", 96),
    ];
    let dropped = dropped.map(|(reason, documents)| Dropped { reason: reason.to_owned(), documents });
    SyntheticQuality {
        name: "related".to_owned(),
        made: "Written by the synthesizer related, from the unique documents.".to_owned(),
        generated_documents: 16_057,
        kept_documents: 15_000,
        kept_tokens: 3_004_112,
        dropped: dropped.to_vec(),
        figures: vec![
            figure("words of a document, mean", "words", &[("validation text", 141.2, 2_804), ("kept", 118.4, 15_000)]),
            figure(
                "heavily repeated",
                "share",
                &[("validation text", 0.006, 2_804), ("generated", 0.031, 16_057), ("kept", 0.0, 15_000)],
            ),
            figure("13-grams that no training document has", "share", &[("generated", 0.9786, 16_057)]),
        ],
        rules: vec![figure(
            "top_2_gram = 0.2",
            "share",
            &[("generated", 0.031, 16_057), ("unique documents", 0.004, 4_700)],
        )],
        pair_figures: vec![figure("near-copies of the seed", "share", &[("synthetic", 0.0011, 16_057)])],
        calibration: Some(calibration()),
    }
}

fn calibration() -> Calibration {
    let curve = |score: &str, bend: f64| RocCurve {
        score: score.to_owned(),
        area: bend / (1.0 + bend),
        low: bend / (1.0 + bend) - 0.02,
        high: bend / (1.0 + bend) + 0.02,
        true_pairs: 412,
        random_pairs: 412,
        points: (0..=100).map(|step| f64::from(step) / 100.0).map(|x| (x, x.powf(1.0 / bend))).collect(),
    };
    Calibration {
        curves: vec![curve("forward", 9.0), curve("backward", 6.5)],
        threshold: Some(0.031),
        true_above: Some(0.95),
        random_above: Some(0.63),
    }
}

fn figure(name: &str, unit: &str, of: &[(&str, f64, u64)]) -> QualityFigure {
    let value = |&(whose, value, n): &(&str, f64, u64)| QualityValue {
        whose: whose.to_owned(),
        value,
        low: value * 0.9,
        high: value * 1.1,
        n,
    };
    QualityFigure {
        name: name.to_owned(),
        unit: unit.to_owned(),
        interval: "bootstrap over documents".to_owned(),
        of: of.iter().map(value).collect(),
    }
}

fn pairs() -> Pairs {
    let edges: Vec<f64> = (0..=56).map(|edge| -0.1 + f64::from(edge) * 0.02).collect();
    let bell = |mean: f64, spread: f64, total: f64| {
        let height = |left: &f64| (total * (-((left + 0.01 - mean) / spread).powi(2) / 2.0).exp()).round() as u64;
        edges[..56].iter().map(height).collect::<Vec<u64>>()
    };
    let precision = edges[..56].iter().map(|left| Some(1.0 / (1.0 + (-(left - 0.35) / 0.05).exp()))).collect();
    let histogram = SimilarityHistogram {
        neighbours: bell(0.55, 0.13, 2_900.0),
        random: bell(0.07, 0.07, 5_400.0),
        precision,
        edges,
    };
    Pairs {
        name: "related".to_owned(),
        embedder: "latent semantic analysis, 256 dimensions".to_owned(),
        min_similarity: 0.5,
        max_similarity: 2.0,
        chosen: "Two hills, with the valley at 0.41. Of the pairs, 96 % are true by estimate.".to_owned(),
        counts: vec![
            plain("documents", 2_804.0, "documents", None),
            plain("documents in a pair", 2_377.0, "documents", None),
            plain("pairs for tuning, both directions", 18_930.0, "pairs", None),
            plain("held-out pairs", 412.0, "pairs", None),
            plain("near-copies, not paired", 7.0, "pairs", None),
        ],
        histogram,
    }
}

fn by_similarity() -> BySimilarity {
    let quarter = |at: usize| Quarter {
        from: [0.09, 0.24, 0.31, 0.40][at],
        to: [0.24, 0.31, 0.40, 0.83][at],
        documents: 82,
        baseline: [5.31, 5.18, 5.09, 4.95][at],
    };
    let arm = |arm: &str, differences: [f64; 4]| ArmBySimilarity {
        arm: arm.to_owned(),
        differences: differences.map(|value| Difference { value, low: value - 0.03, high: value + 0.03 }).to_vec(),
    };
    let arms = vec![arm(SBP, [-0.02, -0.03, -0.06, -0.12]), arm(ORACLE, [-0.21, -0.22, -0.2, -0.24])];
    BySimilarity { quarters: (0..4).map(quarter).collect(), arms }
}

fn ledger() -> Vec<LedgerEntry> {
    let entry = |stage: &str, arm: Option<&str>, wall_s, flops, tokens, documents| LedgerEntry {
        stage: stage.to_owned(),
        arm: arm.map(str::to_owned),
        wall_s,
        flops,
        tokens,
        documents,
        peak_rss_bytes: Some(1_100_000_000),
    };
    vec![
        entry("ingest", None, 1.9, 0.0, 0, 8_412),
        entry("tokenize", None, 2.74, 0.0, 2_313_552, 8_412),
        entry("train", Some(REPETITION), 74.2, 2.61e14, BUDGET, 0),
        entry("embed", None, 3.1, 4.1e10, 0, 2_804),
        entry("pair", None, 0.21, 4.0e9, 0, 2_804),
        entry("tune", None, 21.6, 8.12e13, 3_904_000, 18_930),
        entry("generate", None, 48.3, 2.9e13, 3_310_204, 16_057),
        entry("filter", None, 0.83, 0.0, 3_310_204, 16_057),
        entry("train", Some(SBP), 75.0, 2.61e14, BUDGET, 0),
        entry("train", Some(ORACLE), 74.6, 2.61e14, BUDGET, 0),
        entry("evaluate", None, 4.4, 1.2e13, 414_200, 1_402),
        entry("report", None, 0.05, 0.0, 0, 0),
    ]
}

fn files() -> Vec<FileRecord> {
    let file = |stage: &str, path: &str, rows| FileRecord {
        stage: stage.to_owned(),
        path: path.to_owned(),
        blake3: path.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect(),
        size_bytes: (stage != "input").then_some(1_234_567),
        rows,
    };
    vec![
        file("input", "document file 001", None),
        file("ingest", "ingest/validation.jsonl.zst", Some(1_402)),
        file("tokenize", "tokenize/tokenizer.json", None),
        file("filter", "filter/related/synthetic.jsonl.zst", Some(15_000)),
        file("train sbp", "sbp/final/model.safetensors", None),
    ]
}

fn card_facts() -> CardFacts {
    let split = |name: &str, documents, tokens| Split { name: name.to_owned(), documents, tokens: Some(tokens) };
    CardFacts {
        license: Some("cc0-1.0".to_owned()),
        languages: vec!["en".to_owned()],
        splits: vec![
            split("validation", 1_402, 414_200),
            split("unique", 2_804, 600_000),
            split("oracle", 51_000, 11_400_000),
        ],
        synthesis: Some(Synthesis {
            method: "model".to_owned(),
            temperature: 1.0,
            top_p: 0.9,
            max_new_tokens: 512,
            seed: 1,
        }),
        parameters: Some(3_200_000),
        context_tokens: 1_024,
    }
}

fn examples() -> Vec<Example> {
    let text = |id: &str, text: &str| ExampleText { id: id.to_owned(), text: text.to_owned() };
    let example = |n: u32, seed: &str, synthetic: &str, neighbour: &str, similarity, synthetic_similarity| Example {
        seed: text(&format!("made-up:{n}01"), seed),
        synthetic: text(&format!("made-up:{n}01#0"), synthetic),
        neighbour: text(&format!("made-up:{n}02"), neighbour),
        similarity,
        synthetic_similarity,
    };
    vec![
        example(1, TIDES, TIDES_SYNTHETIC, TIDES_NEIGHBOUR, 0.7134, Some(0.6021)),
        example(2, QUEUES, QUEUES_SYNTHETIC, QUEUES_NEIGHBOUR, 0.6612, Some(0.5407)),
        example(3, &TIDES.repeat(4), HOSTILE, QUEUES_NEIGHBOUR, 0.512, None),
    ]
}

/// What no page may take for markup.
pub(crate) const HOSTILE: &str = "\
    </blockquote></script><script>alert(1)</script>\
    <img src=x onerror=\"alert('2')\"> http://example.org & <!-- \u{0}\u{202e}";

const TIDES: &str = "\
    Tidal records from forty harbours are compared with a shallow-water model of the shelf. We show that most of \
    the disagreement is explained by the depth of the harbour mouth, which older charts give too large. With \
    corrected depths the phase error of the principal lunar tide falls from eleven to three minutes. ";
const TIDES_SYNTHETIC: &str = "\
    We study the response of the shelf to the tide with a model of shallow water. The model is compared with the \
    harbour records of the tide, and the phase of the model is in the range of the records. It is shown that \
    the depth of the shelf is a good measure of the phase error, and the error is reduced by the corrected depth \
    of the harbour.";
const TIDES_NEIGHBOUR: &str = "\
    A reduced model of harbour resonance is fitted to records of the semidiurnal tide. Depth soundings at the \
    mouth, rather than the length of the basin, control the fitted period. The fit predicts the phase of the \
    tide in basins that were left out to within four minutes.";
const QUEUES: &str = "\
    Servers that share one queue waste less capacity than servers with a queue each. We bound the difference \
    when service times have infinite variance.\n\nThe bound is attained by a family of distributions that also \
    makes every estimate of the mean waiting time fail.";
const QUEUES_SYNTHETIC: &str = "\
    We consider the queue of servers with a heavy-tailed service time. A bound of the waiting time is given, and \
    the bound is attained for the case that the variance is infinite. The result is extended to the servers \
    with the estimate of the mean.";
const QUEUES_NEIGHBOUR: &str = "\
    Waiting times under heavy-tailed service are known to have heavy tails themselves. For a pool of parallel \
    servers we find how many must fail together before the tail of the waiting time changes, and give matching \
    lower bounds.";
const RECIPE: &str = r#"name = "quick"
seed = 1

[corpus]
inputs = ["data/abstracts.jsonl.zst"]
validation_share = 0.05
unique_share = 0.05
on_bad_record = "stop"

[model]
layers = 4
width = 192
heads = 3
kv_heads = 3
ffn = 512

[pair]
neighbours = 8
min_similarity = 0.5
max_similarity = 2.0

[generate]
temperature = 1.0
top_p = 0.9

[[arm]]
name = "repetition"

[[arm]]
name = "sbp"
synthetic_share = 0.25

[[arm]]
name = "oracle"
"#;
