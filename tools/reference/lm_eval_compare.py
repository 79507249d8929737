"""Log-likelihoods and accuracies of published tasks, by lm-evaluation-harness and by `cognate evaluate`, document by document.

python tools/reference/lm_eval_compare.py CHECKPOINT DATA_DIR [--cognate PROGRAM] [--limit N] [--tasks arc_easy,...]

Needs `pip install lm-eval==0.4.13 accelerate` beside requirements.txt. The task definitions are the harness' own; only the data set
is replaced by the files in DATA_DIR, so nothing is fetched. Prints a table in Markdown, and fails where a log-likelihood differs by
1e-3 nats or more, or an accuracy of any document at all.
"""

import argparse
import json
import os
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
from perplexity_hf import open_text  # noqa: E402

# Cognate's name: the harness' definition, the file in DATA_DIR.
TASKS = {
    "arc_easy": ("arc/arc_easy.yaml", "arc_easy"),
    "arc_challenge": ("arc/arc_challenge.yaml", "arc_challenge"),
    "piqa": ("piqa/piqa.yaml", "piqa"),
    "winogrande": ("winogrande/default.yaml", "winogrande_xl"),
    "boolq": ("super_glue/boolq/default.yaml", "boolq"),
    "lambada": ("lambada/lambada_openai.yaml", "lambada_openai"),
    "blimp": ("blimp/{group}.yaml", "blimp"),
}
TOLERANCE_NATS = 1e-3


def records(folder: Path, name: str) -> list[dict]:
    path = next(path for ending in ("jsonl.zst", "jsonl.gz", "jsonl") if (path := folder / f"{name}.{ending}").exists())
    with open_text(path) as lines:
        return [json.loads(line) for line in lines if line.strip()]


def harness_task(name: str, definition: str, rows: list[dict]) -> ConfigurableTask:
    """The harness' task on given records."""
    config = dict(load_yaml(Path(lm_eval.__file__).parent / "tasks" / definition))
    for unused in ("tag", "dataset_path", "dataset_name", "dataset_kwargs", "training_split", "validation_split"):
        config.pop(unused, None)
    config["task"], config["test_split"] = name, "test"
    config["custom_dataset"] = lambda **_: datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})
    if name == "boolq":  # super_glue's copy of the data, which the definition reads, calls the answer `label`
        config["doc_to_target"] = "{{answer|int}}"
    return ConfigurableTask(config=config)


def by_harness(model: HFLM, tasks: list[ConfigurableTask]) -> list[dict]:
    """Per document: log-likelihood and greediness of each choice, and the harness' own metrics."""
    results = lm_eval.simple_evaluate(model=model, tasks=tasks, num_fewshot=0, log_samples=True, bootstrap_iters=0)
    found = []
    for task in tasks:
        for sample in sorted(results["samples"][task.config.task], key=lambda sample: sample["doc_id"]):
            scored = [(float(nats), str(greedy) == "True") for (nats, greedy), in sample["resps"]]
            found.append({"scored": scored, "metrics": sample})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--cognate", default="target/release/cognate")
    parser.add_argument("--limit", type=int, default=200, help="first documents of a task; of each paradigm of BLiMP a 20th of that")
    parser.add_argument("--tasks", default=",".join(TASKS))
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    model = HFLM(pretrained=str(arguments.checkpoint), device="cpu", dtype="float32", batch_size=16)
    failed = False
    print("| task | documents | requests | largest difference, nats | accuracy (harness, Cognate) | per character | documents that differ |")
    print("|---|---|---|---|---|---|---|")
    for name in arguments.tasks.split(","):
        definition, file = TASKS[name]
        rows = records(arguments.data_dir, file)
        limit = max(1, arguments.limit // 20) if name == "blimp" else arguments.limit
        groups: dict[str, list[dict]] = {}
        for row in rows:
            group = groups.setdefault(row["UID"] if name == "blimp" else "", [])
            if len(group) < limit:
                group.append(row)
        made = [harness_task(group or name, definition.format(group=group), members) for group, members in groups.items()]
        theirs = by_harness(model, made)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "requests.jsonl"
            command = [arguments.cognate, "evaluate", "--checkpoint", arguments.checkpoint, "--data-dir", arguments.data_dir,
                       "--tasks", name, "--shots", "0", "--limit", str(limit), "--requests-out", out, "--json", "--quiet"]
            scores = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["tasks"][name]
            ours = [json.loads(line) for line in out.read_text().splitlines()]
        if len(ours) != len(theirs):
            sys.exit(f"{name}: {len(ours)} documents against the harness' {len(theirs)}")
        worst, requests, differ, sums = 0.0, 0, 0, {"acc": 0.0, "acc_norm": 0.0}
        for own, other in zip(ours, theirs, strict=True):
            requests += len(other["scored"])
            pairs = list(zip(own["choices"], other["scored"], strict=True))
            worst = max(worst, *(abs(choice["log_likelihood"] - nats) for choice, (nats, _) in pairs))
            metrics = other["metrics"]
            same = all(choice["greedy"] == greedy for choice, (_, greedy) in pairs)
            for key, mine in (("acc", "accuracy"), ("acc_norm", "accuracy_per_character")):
                if key in metrics:
                    sums[key] += metrics[key]
                    same &= metrics[key] == own["metrics"][mine]
            differ += not same
        n, normalised = len(ours), "acc_norm" in theirs[0]["metrics"]
        mean = {key: total / n for key, total in sums.items()}
        agree = worst < TOLERANCE_NATS and differ == 0 and abs(mean["acc"] - scores["metrics"]["accuracy"]["value"]) < 1e-12
        failed |= not agree
        per_character = f"{mean['acc_norm']:.4f}, {scores['metrics']['accuracy_per_character']['value']:.4f}" if normalised else ""
        print(f"| {name} | {n} | {requests} | {worst:.1e} | {mean['acc']:.4f}, {scores['metrics']['accuracy']['value']:.4f} "
              f"| {per_character} | {differ} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
