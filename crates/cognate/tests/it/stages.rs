//! The stage commands about models, on the plain files of a run: a user swaps any stage for another tool.

use cognate_base::Silent;
use cognate_corpus::{ReadOptions, Reader};
use serde_json::Value;

use crate::support::{Scratch, corpus, recipe};

/// One after the other, since each reads what the one before wrote.
#[test]
fn train_tune_generate_filter_evaluate_on_plain_files() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(400));
    let run = |line: &str| -> Value {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let out = scratch.succeeds(&arguments);
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{line}: {error}\n{out}"))
    };
    run("ingest documents.jsonl --out c --validation-share 0.2 --unique-share 0.8 --contamination-words 0");
    run("tokenize c/unique.jsonl.zst --tokenizer tokenizer.json --train 420 --out unique");
    run("tokenize c/validation.jsonl.zst --tokenizer tokenizer.json --out validation");
    let embedded = run("embed c/unique.jsonl.zst --dimensions 16 --out vectors.parquet");
    assert_eq!((&embedded["dimensions"], &embedded["singular_values"]), (&16.into(), &Value::Null), "figures to read");
    run("pair --embeddings vectors.parquet --neighbours 3 --out pairs.parquet");
    let train = "train --tokens unique --validation validation --tokenizer tokenizer.json --out base --budget-tokens \
        20000 --batch-tokens 1000 --context 128 --layers 1 --width 32 --heads 2 --peak-rate 1e-2 \
                 --checkpoint-every-tokens 5000";
    let trained = run(train);
    assert_eq!((&trained["steps"], &trained["tokens"]), (&20.into(), &20_000.into()));
    assert_eq!(run(train)["last"], trained["last"], "running again continues, and there is nothing left to do");
    let differs = |line: &str, expected: &str| {
        let (code, stderr) = scratch.fails(&line.split_whitespace().collect::<Vec<_>>());
        assert!(code == 1 && stderr.contains(expected), "{stderr}");
    };
    differs(
        &train.replace("--peak-rate 1e-2", "--peak-rate 2e-2 --clip 0.5"),
        "error: base is the folder of another training: --clip was 1.0 and is 0.5 now; --final-rate was 0.00005 and is 0.0001 now; \
         --peak-rate was 0.01 and is 0.02 now\nhint: give this one a folder of its own with --out, or delete base to train anew there\n",
    );
    let base = trained["last"].as_str().unwrap();
    let scores =
        run(&format!("evaluate --checkpoint {base} --documents c/validation.jsonl.zst --tasks perplexity --json"));
    let nats = scores["nats_per_token"].as_f64().unwrap();
    assert!((scores["perplexity"].as_f64().unwrap() - nats.exp()).abs() < 1e-9);
    assert_eq!(scores["tasks"]["perplexity"]["metric"], "perplexity");
    let tune = format!(
        "tune {base} --documents c/unique.jsonl.zst --tokens unique --pairs pairs.parquet --out tuned --batch-tokens \
         1000"
    );
    let tuned = run(&tune);
    assert_eq!(run(&tune)["last"], tuned["last"]);
    differs(
        &format!("{tune} --rate 0.001"),
        "error: tuned is the folder of another training: --rate was 0.0003 and is 0.001 now\n",
    );
    what_tuning_taught_is_told(&scratch, &tune.replace("--out tuned", "--out judged --held-out pairs.parquet"));
    let synthesizer = tuned["last"].as_str().unwrap();
    let written = run(&format!(
        "generate {synthesizer} --documents c/unique.jsonl.zst --tokens unique --out synthetic --target-tokens 2000 \
         --slots 8"
    ));
    assert!(written["tokens"].as_u64().unwrap() >= 2000);
    let more = format!(
        "generate {synthesizer} --documents c/unique.jsonl.zst --tokens unique --slots 8 --target-documents 7 \
         --samples-per-seed 2 --top-k 40 --min-p 0.01 --repetition-penalty 1.1"
    );
    run(&format!("{more} --out whole"));
    for part in 0..3 {
        run(&format!("{more} --shard {part}/3 --out part-{part}"));
    }
    assert_eq!(run("join part-1 part-0 part-2 --out joined")["documents"], 7);
    for file in ["generate.json", "synthetic-00000.jsonl.zst"] {
        let read = |folder: &str| fs_err::read(scratch.path(&format!("{folder}/{file}"))).unwrap();
        assert!(read("joined") == read("whole"), "{file}");
    }
    let settings = fs_err::read_to_string(scratch.path("whole/generate.json")).unwrap();
    assert!(settings.contains("\"repetition_penalty\": 1.1"), "{settings}");
    scratch.write("seed.txt", "bade file");
    let sample = format!("sample {synthesizer} --seed-text seed.txt -n 3 --max-new-tokens 20");
    let sampled = scratch.succeeds(&sample.split_whitespace().collect::<Vec<_>>());
    assert!(sampled.starts_with("[1 of 3] ") && sampled.contains("\n[3 of 3] "), "{sampled}");
    assert!(sampled.contains(" nats per token, "), "{sampled}");
    // Another tokenizer of the same size, and of other words.
    let shouted = corpus(400).to_uppercase().replace("\"ID\"", "\"id\"").replace("\"TEXT\"", "\"text\"");
    scratch.write("shouted.jsonl", shouted);
    run("tokenize shouted.jsonl --tokenizer other.json --train 420 --out shouted");
    run("tokenize c/unique.jsonl.zst --tokenizer other.json --out foreign");
    let refused = |line: &str, expected: &[&str]| {
        let (code, stderr) = scratch.fails(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(code, 1, "{line}: {stderr}");
        assert!(expected.iter().all(|expected| stderr.contains(expected)), "{line}: {stderr}");
        assert!(!scratch.path("none").exists(), "{line}");
    };
    let own = format!("{synthesizer}/tokenizer.json");
    let swapped = |line: &str| format!("{} --out none", line.replace("--tokens unique", "--tokens foreign"));
    for line in [swapped(&more), format!("{} --endpoint http://127.0.0.1:9/v1", swapped(&more))] {
        refused(&line, &["foreign.bin: the tokens of document ", "c/unique.jsonl.zst", &own]);
    }
    let tune = format!("tune {base} --documents c/unique.jsonl.zst --tokens foreign --pairs pairs.parquet --out none");
    refused(&tune, &["foreign.bin: ", &format!("{base}/tokenizer.json")]);
    let train = "train --tokens foreign --tokenizer other.json --out none --budget-tokens 1000 --batch-tokens 1000 --context 128";
    refused(&format!("{train} --init {base}"), &["different tokenizers: token ", "other.json", base]);
    scratch.write("empty.txt", "");
    let (code, stderr) = scratch.fails(&["sample", synthesizer, "--seed-text", "empty.txt", "--quiet"]);
    assert_eq!(code, 2);
    assert!(stderr.starts_with("error: seed-text = an empty text: expected a document to start from"), "{stderr}");
    scratch.write("latin.txt", b"caf\xe9");
    for (text, found) in [("/dev/zero", "more than 268435456 bytes"), ("latin.txt", "a text whose byte 4 is no UTF-8")]
    {
        let (code, stderr) = scratch.fails(&["sample", synthesizer, "--seed-text", text, "--quiet"]);
        assert!(
            code == 2 && stderr.starts_with(&format!("error: seed-text = {found}: expected a document")),
            "{stderr}"
        );
    }
    // A flag out of its range is bad usage, whoever finds it.
    let hot = format!("{} --temperature NaN --out none", more);
    let (code, stderr) = scratch.fails(&hot.split(' ').collect::<Vec<_>>());
    let expected = "error: invalid value 'NaN' for '--temperature <TEMPERATURE>': expected a number from 0 to 10";
    assert!(code == 2 && stderr.starts_with(expected), "{stderr}");
    // The folder's settings are no documents.
    let kept =
        run("filter synthetic --training c/unique.jsonl.zst --real c/validation.jsonl.zst --out kept --min-words 3");
    assert_eq!(kept["read"]["documents"], written["documents"]);
    assert!(scratch.path("kept/synthetic.jsonl.zst").exists());
    assert_eq!(kept["relevance"], Value::Null);

    // The synthesizer scores what is left, writes both scores beside each document, and drops by the forward one.
    let filter = format!(
        "filter synthetic/synthetic-00000.jsonl.zst --training c/unique.jsonl.zst --min-words 3 --synthesizer {synthesizer}"
    );
    let scored = run(&format!("{filter} --out scored"));
    assert_eq!((&scored["kept"], &scored["dropped"]), (&kept["kept"], &kept["dropped"]), "no limit, nothing dropped");
    let count = |stats: &Value, field: &str| stats.pointer(field).and_then(Value::as_u64).unwrap();
    let scores = numbers(&scratch, "scored", "relevance");
    let later = count(&scored, "/dropped/near_duplicate");
    assert_eq!(scores.len() as u64, count(&scored, "/relevance/scored") - later);
    assert_eq!(numbers(&scratch, "scored", "cycle").len(), scores.len());
    let mut sorted = scores;
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let limit = (sorted[middle - 1] + sorted[middle]) / 2.0;
    let limited = run(&format!("{filter} --out limited --min-relevance {limit}"));
    let left = numbers(&scratch, "limited", "relevance");
    assert!(left.len() >= sorted.len() - middle && left.iter().all(|&score| score >= limit), "{limit}: {left:?}");
    assert!(count(&limited, "/dropped/irrelevant") >= middle as u64);
    let without = filter.replace(&format!("--synthesizer {synthesizer}"), "--out none --min-relevance 0.1");
    let (code, error) = scratch.fails(&without.split_whitespace().collect::<Vec<_>>());
    assert!(code == 2 && error.contains("--synthesizer"), "{error}");
    assert!(!scratch.path("none").exists());
}

/// A number in the metadata of every document kept in a folder.
fn numbers(scratch: &Scratch, folder: &str, name: &str) -> Vec<f64> {
    let path = scratch.path(folder).join("synthetic.jsonl.zst");
    let reader = Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap();
    reader.map(|record| record.unwrap().1.metadata[name].as_f64().unwrap()).collect()
}

/// Another project's checkpoint: as many rows in its embedding as its tokenizer has tokens, none of ours among them, and a begin
/// token of its own.
#[test]
fn a_foreign_checkpoint_is_evaluated_with_its_own_frame_and_cannot_write_related_documents() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "t.json", "--train", "300", "--out", "tokens"]);
    scratch.succeeds(
        &"train --tokens tokens --tokenizer t.json --out base --budget-tokens 2000 --batch-tokens 500 --context 64 \
          --layers 1 --width 32 --heads 2"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    let checkpoint = "base/checkpoints/step-00000004";
    let tokenizer = fs_err::read_to_string(scratch.path(&format!("{checkpoint}/tokenizer.json"))).unwrap();
    scratch.write(&format!("{checkpoint}/tokenizer.json"), tokenizer.replace("<|related|>", "<s>"));
    let evaluate = |bos: &str| -> f64 {
        let config = format!("{{\"bos_token\": {bos}, \"eos_token\": \"<|endoftext|>\"}}");
        scratch.write(&format!("{checkpoint}/tokenizer_config.json"), config);
        let line = ["evaluate", "--checkpoint", checkpoint, "--documents", "documents.jsonl", "--json"];
        let scores: Value = serde_json::from_str(&scratch.succeeds(&line)).unwrap();
        scores["nats_per_token"].as_f64().unwrap()
    };
    assert_ne!(evaluate("\"<s>\""), evaluate("null"));
    assert_eq!(
        evaluate("\"<|endoftext|>\""),
        evaluate("null"),
        "the end token begins a document where nothing else does"
    );
    let (code, stderr) = scratch.fails(&[
        "generate",
        checkpoint,
        "--documents",
        "documents.jsonl",
        "--tokens",
        "tokens",
        "--out",
        "more",
        "--target-tokens",
        "100",
        "--quiet",
    ]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: the tokenizer has no token <|related|>"), "{stderr}");
    assert!(!scratch.path("more").exists());
}

#[test]
fn a_damaged_checkpoint_and_a_damaged_token_file_are_named() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    scratch.succeeds(&["run", "r.toml", "--quiet"]);
    let weights = scratch.path("runs/tiny/train/sbp/final/model.safetensors");
    let whole = fs_err::read(&weights).unwrap();
    // The run's own check: the size.
    scratch.write("runs/tiny/train/sbp/final/model.safetensors", &whole[..whole.len() / 2]);
    let (code, stderr) = scratch.fails(&["run", "r.toml", "--quiet"]);
    assert_eq!(code, 1);
    let expected = format!(
        "error: runs/tiny/train/sbp/final/model.safetensors is damaged: its manifest says {} bytes, and there are {}\n\
         hint: delete runs/tiny/train/sbp and run again to make it anew\n",
        whole.len(),
        whole.len() / 2
    );
    assert_eq!(stderr, expected);
    let evaluate =
        ["evaluate", "--checkpoint", "runs/tiny/train/sbp/final", "--documents", "documents.jsonl", "--quiet"];
    let (code, stderr) = scratch.fails(&evaluate);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: runs/tiny/train/sbp/final/model.safetensors: "), "{stderr}");

    let tokens = scratch.path("runs/tiny/tokenize/unique.idx");
    let index = fs_err::read(&tokens).unwrap();
    scratch.write("runs/tiny/tokenize/unique.idx", &index[..index.len() - 3]);
    let generate = [
        "generate",
        "runs/tiny/tune/related/best",
        "--documents",
        "runs/tiny/ingest/unique.jsonl.zst",
        "--tokens",
        "runs/tiny/tokenize/unique",
        "--out",
        "more",
        "--target-tokens",
        "100",
        "--quiet",
    ];
    let (code, stderr) = scratch.fails(&generate);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: runs/tiny/tokenize/unique.idx"), "{stderr}");
    assert!(!scratch.path("more").exists(), "nothing is written");
}

/// A model so small makes little of its seed, or nothing: the gain has its error, and the verdict is that of the gain.
fn what_tuning_taught_is_told(scratch: &Scratch, tune: &str) {
    let output = scratch.cognate(&tune.split_whitespace().collect::<Vec<_>>()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    let gains = ["gain_over_random", "gain_over_none"].map(|name| {
        let of = |what: &str| printed["relation"][name][what].as_f64().unwrap();
        (of("value"), of("stderr"))
    });
    let used = gains.iter().all(|(value, stderr)| value - 1.96 * stderr > 0.0);
    assert_eq!(printed["uses_seed"], used);
    let said = if used {
        "tune: the synthesizer uses its seed: "
    } else {
        "warning: tune: the synthesizer does not use its seed: "
    };
    let (value, stderr_of) = gains[0];
    assert!(stderr.contains(said), "{stderr}");
    assert!(
        stderr.contains(&format!("saves {value:.3} ± {stderr_of:.3} nats per token over a random one")),
        "{stderr}"
    );
}

#[test]
fn boilerplate_that_costs_training_documents_is_told_with_its_words() {
    let scratch = Scratch::new();
    let notice = "all rights are reserved and nothing of this may be printed without leave of the house";
    let documents = corpus(300).replace("\"}\n", &format!(" {notice}\"}}\n"));
    scratch.write("documents.jsonl", documents);
    let told = |most: &str| {
        let out = format!("out-{most}");
        let ingest = ["ingest", "documents.jsonl", "--out", &out, "--contamination-documents", most];
        let output = scratch.cognate(&ingest).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (succeeded, stderr) = told("10");
    assert!(succeeded && stderr.starts_with("ingest: ") && !stderr.contains("warning"), "little is lost: {stderr}");
    assert!(stderr.contains(" documents outside of validation ("), "{stderr}");
    // Nothing is left to train on, and it is said why before that.
    let (_, stderr) = told("1000");
    let warning = " are dropped because they share a passage with a validation document; most often: ";
    assert!(stderr.starts_with("warning: ") && stderr.contains(warning), "{stderr}");
    assert!(stderr.contains("all rights are reserved and"), "{stderr}");
}
