"""Time that lm-evaluation-harness and `cognate evaluate` take for the same tasks on the same threads, in turn.

python tools/reference/lm_eval_throughput.py CHECKPOINT DATA_DIR [--cognate PROGRAM] [--limit N] [--tasks arc_easy,...] [--rounds N]

Needs what lm_eval_compare.py needs. The harness' time begins when its model is loaded and its tasks are made, and is the best of the
batch sizes given. Cognate's is the whole command: start, loading,
reading, encoding, scoring. Prints a table in Markdown; the ratio and the requests a second are of the best times of all rounds.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from lm_eval_compare import SHOTS, HFLM, documents_of, harness_tasks  # noqa: E402
import lm_eval  # noqa: E402


def harness_s(model: HFLM, made: list, shots: int) -> float:
    start = time.perf_counter()
    lm_eval.simple_evaluate(model=model, tasks=made, num_fewshot=shots, log_samples=False, bootstrap_iters=0)
    return time.perf_counter() - start


def cognate_s(arguments: argparse.Namespace, name: str, limit: int) -> float:
    command = [arguments.cognate, "evaluate", "--checkpoint", arguments.checkpoint, "--data-dir", arguments.data_dir, "--tasks", name,
               "--shots", str(SHOTS.get(name, 0)), "--limit", str(limit), "--threads", str(arguments.threads), "--json", "--quiet"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--cognate", default="target/release/cognate")
    parser.add_argument("--limit", type=int, default=400, help="first documents of a task; of each paradigm or subject a 20th of that")
    parser.add_argument("--tasks", default="arc_easy,lambada,blimp")
    parser.add_argument("--batch-sizes", default="1,16,64", help="of the harness")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    torch.set_num_threads(arguments.threads)
    sizes = [int(size) for size in arguments.batch_sizes.split(",")]
    print("| task | documents | " + " | ".join(f"harness, batch {size}, s" for size in sizes) + " | Cognate, s | requests "
          "| requests a second (harness, Cognate) | ratio |")
    print("|---" * (6 + len(sizes)) + "|")
    for name in arguments.tasks.split(","):
        limit = documents_of(name, arguments.limit)
        made = harness_tasks(arguments.data_dir, name, limit)
        theirs: dict[int, list[float]] = {size: [] for size in sizes}
        ours = []
        for _ in range(arguments.rounds):
            for size in sizes:
                model = HFLM(pretrained=str(arguments.checkpoint), device="cpu", dtype="float32", batch_size=size)
                theirs[size].append(harness_s(model, made, SHOTS.get(name, 0)))
            ours.append(cognate_s(arguments, name, limit))
        documents = sum(len(task.eval_docs) for task in made)
        cells = [" ".join(f"{t:.2f}" for t in theirs[size]) for size in sizes]
        best, requests = min(min(times) for times in theirs.values()), sum(len(task.instances) for task in made)
        print(f"| {name} | {documents} | " + " | ".join(cells) + f" | {' '.join(f'{t:.2f}' for t in ours)} | {requests} "
              f"| {requests / best:.0f}, {requests / min(ours):.0f} | {best / min(ours):.1f} |", flush=True)


if __name__ == "__main__":
    main()
