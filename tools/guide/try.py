#!/usr/bin/env python3
"""Runs the commands of docs/guide.md: see README.md."""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RECIPE = """\
name = "a"
[corpus]
paths = ["documents"]
validation_share = 0.05
unique_share = 0.4
[tokenize]
vocab_size = 512
[model]
layers = 1
width = 32
heads = 2
context = 128
[train]
budget_tokens = 40960
batch_tokens = 1024
peak_rate = 1e-2
[pair]
neighbours = 3
[filter]
drop_unfinished = false
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.05
"""

# What the guide's commands mean here: the command as it stands there, what is put for its names, what it says, and what it leaves.
KNOWN = {
    "cognate plan my.toml": ({}, r"memory", []),
    "cognate ingest documents/ --out corpus --unique-share 0.9": ({}, r"unique", ["corpus/unique.jsonl.zst"]),
    "cognate tokenize corpus/unique.jsonl.zst --tokenizer MODEL/tokenizer.json --out unique": ({}, r"tokens", ["unique.bin", "unique.idx"]),
    "cognate train --init MODEL --tokens unique --tokenizer MODEL/tokenizer.json --out base --budget-tokens 10000000": (
        {"10000000": "20480"}, r"best", ["base/checkpoints"]),
    "cognate embed corpus/unique.jsonl.zst --out vectors.parquet": ({}, r"dimensions", ["vectors.parquet"]),
    "cognate pair --embeddings vectors.parquet --out pairs.parquet": ({}, r"pairs", ["pairs.parquet"]),
    "cognate tune base/checkpoints/step-N --documents corpus/unique.jsonl.zst --tokens unique --pairs pairs.parquet --out tuned": (
        {}, r"best", ["tuned/checkpoints"]),
    "cognate generate tuned/checkpoints/step-N --documents corpus/unique.jsonl.zst --tokens unique --out written --target-tokens 1000000": (
        {"1000000": "5000"}, r"documents", ["written"]),
    "cognate filter written --training corpus/unique.jsonl.zst --out kept": ({}, r"kept", ["kept/synthetic.jsonl.zst"]),
    "cognate run changed.toml --out runs/b --reuse runs/a": ({}, r"sbp", ["runs/b/report.html"]),
    "cognate inspect synthetic runs/NAME --paired": ({}, r"(?i)seed", []),
    "cognate inspect synthetic runs/NAME --dropped": ({}, r"", []),
    "cognate generate … --target-documents N --shard I/N": (
        {"…": "tuned/checkpoints/step-N --documents corpus/unique.jsonl.zst --tokens unique --out part", "N --shard I/N": "8 --shard 0/2"},
        r"documents", ["part"]),
    "cognate report A B": ({"A": "runs/a", "B": "runs/b"}, r"sbp", []),
    # Named without anything to run them on; they are run above.
    "cognate plan": None,
    "cognate pair": None,
    "cognate join": None,
    "cognate run": None,
}


def commands(text):
    """Those of the blocks of shell, and those between backticks; a block of Python is none."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    quoted = [re.sub(r"\s+", " ", quoted) for quoted in re.findall(r"`(cognate [^`]*)`", prose)]
    return [line for block in blocks for line in block.splitlines()] + quoted


def last(folder):
    """The name of its newest checkpoint."""
    return max((path.name for path in (folder / "checkpoints").glob("step-*")), default="step-N")


def main():
    program = Path(sys.argv[1]).resolve()
    found = dict.fromkeys(commands((ROOT / "docs/guide.md").read_text()))
    found.pop("cargo install --path crates/cognate", None)
    failures = [f"not known here: {command}" for command in found if command not in KNOWN]
    failures += [f"no longer in the guide: {command}" for command in KNOWN if command not in found]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def cognate(line):
            words = shlex.split(line)[1:]
            done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=1800)
            return done.returncode, done.stdout + done.stderr

        def prepare(line):
            code, said = cognate(line)
            if code:
                raise SystemExit(f"{line}: {code}\n{said}")

        prepare(f"cognate ingest {ROOT}/data/arxiv-abstracts.jsonl.zst --out all --unique-share 0.06 --seed 1")
        (folder / "documents").mkdir()
        (folder / "all/unique.jsonl.zst").rename(folder / "documents/some.jsonl.zst")
        (folder / "my.toml").write_text(RECIPE)
        (folder / "changed.toml").write_text(RECIPE.replace("sbp\"\n", "sbp\"\ntrain.weight_decay = 0.3\n"))
        prepare("cognate run my.toml --out runs/a")
        (folder / "MODEL").symlink_to(folder / "runs/a/train/repetition/final")
        (folder / "runs/NAME").symlink_to(folder / "runs/a")
        order = list(KNOWN)
        for command in sorted((c for c in found if KNOWN.get(c)), key=order.index):
            names, says, leaves = KNOWN[command]
            line = command
            for name, meant in names.items():
                line = re.sub(rf"(?<![\w/-]){re.escape(name)}(?!\w)", meant, line)
            for stage in ("base", "tuned"):
                line = line.replace(f"{stage}/checkpoints/step-N", f"{stage}/checkpoints/{last(folder / stage)}")
            code, said = cognate(line)
            missing = [name for name in leaves if not (folder / name).exists()]
            wrong = code or missing or not re.search(says, said)
            if wrong:
                failures.append(f"{line}\n  exit code {code}, missing {missing}, expected to say {says!r}:\n{said[-2000:]}")
            print("FAIL" if wrong else "ok  ", line, flush=True)
        second = "cognate generate tuned/checkpoints/{} --documents corpus/unique.jsonl.zst --tokens unique --out other"
        for line in (second.format(last(folder / "tuned")) + " --target-documents 8 --shard 1/2", "cognate join part other --out whole"):
            code, said = cognate(line)
            print("ok  " if not code else "FAIL", line, flush=True)
            if code:
                failures.append(f"{line}\n{said[-2000:]}")
    print("\n".join(failures) or "all as the guide says")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
