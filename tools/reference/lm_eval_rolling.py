"""Perplexity of a document file by lm-evaluation-harness (its task `wikitext`) and by `cognate evaluate`, document by document.

python tools/reference/lm_eval_rolling.py CHECKPOINT DOCUMENTS.jsonl[.gz|.zst] [--cognate PROGRAM] [--limit N] [--max-length N]

Needs what lm_eval_compare.py needs. The task is the harness' own but for two things: the documents are the file's, and their text is
taken as it is (the harness undoes the spacing of WikiText). Prints a table in Markdown, and fails where a document's log-likelihood
differs by 1e-3 nats or more per window, or a perplexity by 1e-5 of itself. `--max-length` shortens the context for both, by a copy
of the checkpoint's folder with another `max_position_embeddings`, so that more documents take several windows.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import datasets
import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks._yaml_loader import load_yaml

sys.path.insert(0, str(Path(__file__).parent))
from perplexity_hf import texts  # noqa: E402

METRICS = ("word_perplexity", "byte_perplexity", "bits_per_byte")
TOLERANCE_NATS = 1e-3
TOLERANCE_FIGURE = 1e-5


def by_harness(checkpoint: Path, documents: list[str]) -> tuple[list[float], dict[str, float]]:
    """ln p of each document, and the figures."""
    config = dict(load_yaml(Path(lm_eval.__file__).parent / "tasks/wikitext/wikitext.yaml"))
    for unused in ("dataset_path", "dataset_name", "training_split", "validation_split"):
        config.pop(unused)
    config["custom_dataset"] = lambda **_: datasets.DatasetDict(
        {"test": datasets.Dataset.from_list([{"page": text} for text in documents])})
    config["doc_to_target"] = "{{page}}"
    task = ConfigurableTask(config=config)
    task.doc_to_target = lambda doc, *_: doc["page"]  # a template would drop a line break at the end
    model = HFLM(pretrained=str(checkpoint), device="cpu", dtype="float32", batch_size=8)
    results = lm_eval.simple_evaluate(model=model, tasks=[task], log_samples=True, bootstrap_iters=0)
    samples = sorted(results["samples"]["wikitext"], key=lambda sample: sample["doc_id"])
    scored = [float(sample["word_perplexity"][0]) for sample in samples]
    return scored, {name: results["results"]["wikitext"][f"{name},none"] for name in METRICS}


def by_cognate(program: str, checkpoint: Path, documents: list[str], folder: Path) -> tuple[list[dict], dict]:
    file, out = folder / "documents.jsonl", folder / "scores.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
    command = [program, "evaluate", "--checkpoint", checkpoint, "--documents", file, "--requests-out", out, "--json", "--quiet"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.read_text().splitlines()], json.loads(printed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--cognate", default="target/release/cognate")
    parser.add_argument("--limit", type=int, default=100, help="first documents of the file")
    parser.add_argument("--max-length", type=int, help="tokens of context for both; the checkpoint's own by default")
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    documents = list(itertools.islice(texts(arguments.documents), arguments.limit))
    with tempfile.TemporaryDirectory() as name:
        folder, checkpoint = Path(name), arguments.checkpoint
        if arguments.max_length is not None:
            checkpoint = folder / "checkpoint"
            shutil.copytree(arguments.checkpoint, checkpoint)
            config = json.loads((checkpoint / "config.json").read_text())
            config["max_position_embeddings"] = arguments.max_length
            (checkpoint / "config.json").write_text(json.dumps(config))
        theirs, figures = by_harness(checkpoint, documents)
        ours, scores = by_cognate(arguments.cognate, checkpoint, documents, folder)
    pairs = list(zip(ours, theirs, strict=True))
    worst = max(abs(own["log_likelihood"] - other) / own["windows"] for own, other in pairs)
    failed = worst >= TOLERANCE_NATS
    print("| documents | windows | largest difference, nats per window | figure | harness | Cognate | standard error |\n"
          "|---|---|---|---|---|---|---|")
    for metric in METRICS:
        own = scores["text"][metric]
        failed |= abs(own["value"] / figures[metric] - 1) >= TOLERANCE_FIGURE
        print(f"| {len(ours)} | {sum(own['windows'] for own in ours)} | {worst:.1e} | {metric} | {figures[metric]:.6f} "
              f"| {own['value']:.6f} | {own['stderr']:.2g} |")
    sys.exit(failed)


if __name__ == "__main__":
    main()
