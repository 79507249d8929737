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
    "hellaswag": ("hellaswag/hellaswag.yaml", "hellaswag"),
    "sciq": ("sciq/sciq.yaml", "sciq"),
    "winogrande": ("winogrande/default.yaml", "winogrande_xl"),
    "boolq": ("super_glue/boolq/default.yaml", "boolq"),
    "lambada": ("lambada/lambada_openai.yaml", "lambada_openai"),
    "blimp": ("blimp/{group}.yaml", "blimp"),
    "mmlu": ("mmlu/default/mmlu_{group}.yaml", "mmlu"),
    "triviaqa": ("triviaqa/default.yaml", "triviaqa_3000"),
}
# The field whose values are tasks of their own in the harness.
GROUPS = {"blimp": "UID", "mmlu": "subject"}
# Examples before a question. Drawn ones are other ones here and there, so only the first of a file can be compared.
SHOTS = {"mmlu": 5}
TOLERANCE_NATS = 1e-3


def find(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}.{ending}" for ending in ("jsonl.zst", "jsonl.gz", "jsonl"))
    return next((path for path in paths if path.exists()), None)


def records(folder: Path, name: str) -> list[dict]:
    path = find(folder, name)
    if path is None:
        sys.exit(f"{folder} has no {name}.jsonl, packed or not")
    with open_text(path) as lines:
        return [json.loads(line) for line in lines if line.strip()]


def harness_task(name: str, definition: str, splits: dict[str, list[dict]]) -> ConfigurableTask:
    """The harness' task on given records."""
    config = dict(load_yaml(Path(lm_eval.__file__).parent / "tasks" / definition))
    for unused in ("tag", "dataset_path", "dataset_name", "dataset_kwargs", "training_split", "validation_split"):
        config.pop(unused, None)
    config["task"], config["test_split"] = name, "test"
    config["custom_dataset"] = lambda **_: datasets.DatasetDict(
        {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()})
    if name == "boolq":  # super_glue's copy of the data, which the definition reads, calls the answer `label`
        config["doc_to_target"] = "{{answer|int}}"
    if name == "triviaqa":  # the harness' cap of 256 tokens would leave a small model's context no room
        config["generation_kwargs"] = {**config["generation_kwargs"], "max_gen_toks": 32}
    return ConfigurableTask(config=config)


def documents_of(name: str, limit: int) -> int:
    """First documents of a task, or of each of its paradigms or subjects."""
    return max(1, limit // 20) if name in GROUPS else limit


def harness_tasks(folder: Path, name: str, limit: int) -> list[ConfigurableTask]:
    """The harness' tasks for one of ours: one, or one for each paradigm or subject."""
    definition, file = TASKS[name]
    groups: dict[str, list[dict]] = {}
    for row in records(folder, file):
        group = groups.setdefault(row[GROUPS[name]] if name in GROUPS else "", [])
        if len(group) < limit:
            group.append(row)
    examples = records(folder, "mmlu_dev") if name == "mmlu" else []
    made = []
    for group, members in groups.items():
        splits = {"test": members} | ({"dev": [row for row in examples if row["subject"] == group]} if examples else {})
        made.append(harness_task(group or name, definition.format(group=group), splits))
    return made


def by_harness(model: HFLM, tasks: list[ConfigurableTask], shots: int) -> list[dict]:
    """Per document: log-likelihood and greediness of each choice, or the answer, and the harness' own metrics."""
    results = lm_eval.simple_evaluate(model=model, tasks=tasks, num_fewshot=shots, log_samples=True, bootstrap_iters=0)
    found = []
    for task in tasks:
        for sample in sorted(results["samples"][task.config.task], key=lambda sample: sample["doc_id"]):
            if task.config.output_type == "generate_until":
                found.append({"scored": [], "answer": sample["filtered_resps"][0], "metrics": sample})
                continue
            scored = [(float(nats), str(greedy) == "True") for (nats, greedy), in sample["resps"]]
            found.append({"scored": scored, "answer": None, "metrics": sample})
    return found


def by_cognate(arguments: argparse.Namespace, name: str, limit: int) -> tuple[list[dict], dict]:
    """What each document contributed, in the order of the groups' first documents, and the figures."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "requests.jsonl"
        command = [arguments.cognate, "evaluate", "--checkpoint", arguments.checkpoint, "--data-dir", arguments.data_dir,
                   "--tasks", name, "--shots", str(SHOTS.get(name, 0)), "--limit", str(limit), "--requests-out", out,
                   "--json", "--quiet"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["group"] or "", []).append(row)
    return [row for members in groups.values() for row in members], json.loads(printed)["tasks"][name]


def compare(name: str, ours: list[dict], theirs: list[dict], scores: dict) -> tuple[str, bool]:
    """A row of the table, and whether both agree."""
    if len(ours) != len(theirs):
        sys.exit(f"{name}: {len(ours)} documents against the harness' {len(theirs)}")
    worst, requests, differ, sums = 0.0, 0, 0, {"acc": 0.0, "acc_norm": 0.0, "exact_match": 0.0}
    names = {"acc": "accuracy", "acc_norm": "accuracy_per_character", "exact_match": "exact_match"}
    for own, other in zip(ours, theirs, strict=True):
        pairs = list(zip(own["choices"], other["scored"], strict=True))
        requests += max(1, len(pairs))
        worst = max([worst, *(abs(choice["log_likelihood"] - nats) for choice, (nats, _) in pairs)])
        same = all(choice["greedy"] == greedy for choice, (_, greedy) in pairs) and own["answer"] == other["answer"]
        for key in sums.keys() & other["metrics"].keys():
            sums[key] += other["metrics"][key]
            same &= other["metrics"][key] == own["metrics"][names[key]]
        differ += not same
    both = {key: (sums[key] / len(ours), scores["metrics"][names[key]]["value"]) for key in sums if key in theirs[0]["metrics"]}
    main, normalised = both.get("acc") or both["exact_match"], both.get("acc_norm")
    if name == "blimp":  # its figure is the mean of the paradigms, which are equally large here
        agree = abs(main[0] - main[1]) < 1e-9
    else:
        agree = all(abs(a - b) < 1e-12 for a, b in both.values())
    per_character = "{:.4f}, {:.4f}".format(*normalised) if normalised else ""
    distance = f"{worst:.1e}" if theirs[0]["scored"] else "answers compared"
    row = (f"| {name} | {len(ours)} | {requests} | {scores['truncated']} | {distance} | {main[0]:.4f}, {main[1]:.4f} | {per_character} "
           f"| {differ} |")
    return row, agree and worst < TOLERANCE_NATS and differ == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--cognate", default="target/release/cognate")
    parser.add_argument("--limit", type=int, default=200, help="first documents of a task; of each paradigm or subject a 20th of that")
    parser.add_argument("--tasks", help="separated by commas; all whose files are there by default")
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    model = HFLM(pretrained=str(arguments.checkpoint), device="cpu", dtype="float32", batch_size=16)
    failed = False
    print("| task | documents | requests | cut on the left | largest difference, nats | accuracy or exact match (harness, Cognate) "
          "| per character | documents that differ |\n|---|---|---|---|---|---|---|---|")
    there = [name for name, (_, file) in TASKS.items() if find(arguments.data_dir, file)]
    for name in arguments.tasks.split(",") if arguments.tasks else there:
        limit = documents_of(name, arguments.limit)
        made = harness_tasks(arguments.data_dir, name, limit)
        theirs = by_harness(model, made, SHOTS.get(name, 0))
        ours, scores = by_cognate(arguments, name, limit)
        row, agree = compare(name, ours, theirs, scores)
        failed |= not agree
        print(row, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
