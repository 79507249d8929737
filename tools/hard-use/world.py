"""A small world to be hard on: a corpus, a recipe of seconds, and the plain commands over them, each with what it needs.

Python's standard library alone. Nothing here leaves the folder that it is given.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

SYLLABLES = "ba de fi go hu ka le mi no pu ra se ti vo zu".split()

RECIPE = """\
name = "tiny"
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.2
contamination_words = 0
[tokenize]
vocab_size = 420
[embed]
dimensions = 32
[pair]
held_out_share = 0.2
[tune]
batch_tokens = 1024
[filter]
min_words = 5
[model]
layers = 1
width = 32
heads = 2
context = 128
[train]
budget_tokens = 40960
batch_tokens = 1024
peak_rate = 1e-2
"""

# Each writes below OUT, and reads what those before it wrote below IN.
COMMANDS = {
    "ingest": "ingest documents.jsonl --out OUT/c --validation-share 0.2 --unique-share 0.8 --contamination-words 0",
    "tokenize": "tokenize IN/c/unique.jsonl.zst --tokenizer OUT/tokenizer.json --train 420 --out OUT/unique",
    "tokenize-again": "tokenize IN/c/validation.jsonl.zst --tokenizer IN/tokenizer.json --out OUT/validation",
    "embed": "embed IN/c/unique.jsonl.zst --dimensions 16 --out OUT/vectors.parquet",
    "pair": "pair --embeddings IN/vectors.parquet --neighbours 3 --out OUT/pairs.parquet",
    "train": "train --tokens IN/unique --validation IN/validation --tokenizer IN/tokenizer.json --out OUT/train"
    " --budget-tokens 60000 --batch-tokens 1000 --context 128 --layers 1 --width 32 --heads 2 --peak-rate 1e-2",
    "tune": "tune IN/train/checkpoints/step-00000060 --documents IN/c/unique.jsonl.zst --tokens IN/unique"
    " --pairs IN/pairs.parquet --out OUT/tuned --batch-tokens 1000",
    "generate": "generate SYNTHESIZER --documents IN/c/unique.jsonl.zst --tokens IN/unique --out OUT/synthetic"
    " --target-documents 120 --slots 8 --shard-documents 30",
    "generate-0": "generate SYNTHESIZER --documents IN/c/unique.jsonl.zst --tokens IN/unique --out OUT/part-0"
    " --target-documents 40 --slots 8 --shard 0/2",
    "generate-1": "generate SYNTHESIZER --documents IN/c/unique.jsonl.zst --tokens IN/unique --out OUT/part-1"
    " --target-documents 40 --slots 8 --shard 1/2",
    "join": "join IN/part-0 IN/part-1 --out OUT/joined",
    "filter": "filter IN/synthetic --training IN/c/unique.jsonl.zst --real IN/c/validation.jsonl.zst --out OUT/kept"
    " --min-words 3 --synthesizer SYNTHESIZER",
    "evaluate": "evaluate --checkpoint IN/train/checkpoints/step-00000060 --documents IN/c/validation.jsonl.zst"
    " --requests-out OUT/requests.jsonl",
    "world": "world ginc --unique-documents 600 --oracle-documents 3000 --out OUT/world",
    "first": "run r.toml --until pair --out OUT/first",
    "reuse": "run r.toml --until pair --reuse IN/first --out OUT/second",
    # Writes nothing but to a temporary folder, which goes.
    "plan": "plan r.toml",
}


def corpus(documents):
    """Made-up words, half of each document from the ten of its topic."""
    draw = random.Random(12345)
    word = lambda i: SYLLABLES[i % 15] + SYLLABLES[i // 15 % 15]
    lines = []
    for i in range(documents):
        topic = draw.randrange(30)
        words = []
        for at in range(24 + draw.randrange(16)):
            index = topic * 7 + draw.randrange(10) if draw.randrange(2) else draw.randrange(225)
            words.append(word(index) + (". " if at % 8 == 7 else " "))
        lines.append(json.dumps({"id": f"d{i}", "text": "".join(words).strip()}))
    return "\n".join(lines) + "\n"


class World:
    """A folder with the corpus, and the program."""

    def __init__(self, folder, program):
        self.folder = Path(folder)
        self.program = str(Path(program).resolve())
        (self.folder / "documents.jsonl").write_text(corpus(1200))
        (self.folder / "r.toml").write_text(RECIPE)
        (self.folder / "temporary").mkdir()

    def line(self, name, out, read):
        """The arguments of a command that writes to `out` and reads from `read`."""
        line = COMMANDS[name]
        if "SYNTHESIZER" in line:
            steps = sorted(os.listdir(self.folder / read / "tuned/checkpoints"))
            line = line.replace("SYNTHESIZER", f"{read}/tuned/checkpoints/{steps[-1]}")
        return line.replace("OUT", str(out)).replace("IN/", f"{read}/").split()

    def start(self, arguments, **options):
        """The program, begun."""
        command = [self.program, "--quiet", "--threads", "1", *arguments]
        environment = {**os.environ, "TMPDIR": str(self.folder / "temporary")}
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": environment, **options}
        return subprocess.Popen(command, cwd=self.folder, **options)

    def run(self, arguments, **options):
        """Code and stderr of a command."""
        process = self.start(arguments, **options)
        said = process.communicate()[1]
        return process.returncode, said

    def must(self, arguments):
        """A command that succeeds."""
        code, said = self.run(arguments)
        if code != 0:
            sys.exit(f"{' '.join(arguments)} ended with {code}: {said}")


def contents(folder):
    """Every file's hash below a folder, but of those that tell the time or the machine."""
    told = {"training.json", "metrics.jsonl", "manifest.json", "report.json", "report.html", "README.md"}
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.name
        if path.is_file() and name not in told and not name.startswith("events.out"):
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(first, second):
    """Names of files that are not the same in both."""
    one, other = contents(first), contents(second)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def leftovers(folder):
    """What an interrupted command may leave and a finished one may not."""
    names = [path for path in Path(folder).rglob("*") if path.name == "lock" or path.name.startswith(".")]
    return sorted(str(path) for path in names)
