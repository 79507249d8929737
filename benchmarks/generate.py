"""Batched sampling by Cognate, transformers and llama.cpp in turn from the same checkpoints; raw numbers to a file, a table to stdout.

    cargo build --release -p cognate
    pip install torch transformers
    python benchmarks/generate.py --rounds 3 --out benchmarks/DATE-generate-MACHINE.jsonl --checkpoint "13.8 M=DIR" --checkpoint "110 M=DIR"

llama.cpp takes part where `--llama-python` names an interpreter that has llama-cpp-python (see peers/generate_llama.py) and DIR.f32.gguf and
DIR.q8_0.gguf lie beside the checkpoint (written by tools/reference/gguf_of_checkpoint.py). The checkpoints' weights do not matter, nor how
they were made: `cognate train` with a budget of two batches writes one.
"""
import argparse
import json
import pathlib
import statistics
import sys

from train import processor, run

HERE = pathlib.Path(__file__).parent
BATCH, SCALING = 64, (1, 8, 256)


def cognate(program, folder, precision, batch=BATCH):
    return run([program, "bench", "generate", folder, "--batch", str(batch), "--precision", precision])


def sides(o, folder):
    """Name of each side, and what measures it."""
    peers = HERE / "peers"
    found = {
        "cognate f32": lambda: cognate(o.program, folder, "f32"),
        "transformers f32": lambda: run([sys.executable, str(peers / "generate_hf.py"), folder, "--batch", str(BATCH)]),
        "cognate int8": lambda: cognate(o.program, folder, "int8"),
    }
    if o.llama_python:
        for kind in ("f32", "q8_0"):
            command = [o.llama_python, str(peers / "generate_llama.py"), f"{folder}.{kind}.gguf", "--batch", str(BATCH)]
            found[f"llama.cpp {kind}"] = lambda command=command: run(command)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default="target/release/cognate")
    parser.add_argument("--llama-python")
    parser.add_argument("--checkpoint", action="append", required=True, metavar="NAME=DIR")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    o = parser.parse_args()
    checkpoints = dict(pair.split("=", 1) for pair in o.checkpoint)
    records, out = [], o.out.open("w")

    def keep(turn, model, side, measured):
        record = {**measured, "round": turn, "model": model, "side": side}
        records.append(record)
        out.write(json.dumps(record) + "\n")
        out.flush()
        print(f"{record['round']} {record['model']}, {record['side']}, batch {record['batch']}: {record['new_tokens_per_s']:.0f}",
              file=sys.stderr, flush=True)

    out.write(json.dumps({"processor": processor(), "prompt_tokens": 128, "new_tokens": 128}) + "\n")
    for turn in range(o.rounds):
        for model, folder in checkpoints.items():
            for side, measure in sides(o, folder).items():
                keep(turn, model, side, measure())
    model, folder = next(iter(checkpoints.items()))
    for batch in SCALING:
        for precision in ("f32", "int8"):
            keep(0, model, f"cognate {precision}", cognate(o.program, folder, precision, batch))
    table(records, checkpoints)


def table(records, checkpoints):
    def rates(model, side, batch=BATCH):
        return [r["new_tokens_per_s"] for r in records if (r["model"], r["side"], r["batch"]) == (model, side, batch)]

    names = list(dict.fromkeys(r["side"] for r in records))
    print("| model | " + " | ".join(names) + " | f32 / transformers, by round | int8 / f32 |")
    print("|---|" + "---|" * (len(names) + 2))
    for model in checkpoints:
        cells = [f"{statistics.median(rates(model, side)):,.0f}" for side in names]
        ratios = [" ".join(f"{a / b:.2f}" for a, b in zip(rates(model, over), rates(model, under)))
                  for over, under in (("cognate f32", "transformers f32"), ("cognate int8", "cognate f32"))]
        print("| " + " | ".join([model, *cells, *ratios]) + " |")
    print("\n| model, precision | " + " | ".join(f"batch {batch}" for batch in sorted((*SCALING, BATCH))) + " |")
    print("|---|" + "---|" * (len(SCALING) + 1))
    model = next(iter(checkpoints))
    for side in ("cognate f32", "cognate int8"):
        cells = [f"{statistics.median(rates(model, side, batch)):,.0f}" for batch in sorted((*SCALING, BATCH))]
        print(f"| {model}, {side.split()[1]} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
