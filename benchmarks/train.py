"""Training steps of Cognate and of PyTorch in turn, on the shapes of benchmarks/README.md; raw numbers to a file, a table to stdout.

    cargo build --release -p cognate
    pip install torch
    python benchmarks/train.py --rounds 3 --out benchmarks/DATE-train-MACHINE.jsonl
"""
import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
SHAPES = {
    "13.8 M": dict(layers=6, width=384, heads=6, kv_heads=6, ffn=1024, vocab=8192, context=256, batch=16, steps=6),
    "3.4 M": dict(layers=6, width=192, heads=6, kv_heads=6, ffn=512, vocab=4096, context=256, batch=32, steps=6),
    "110 M": dict(layers=12, width=768, heads=12, kv_heads=12, ffn=2048, vocab=32768, context=1024, batch=4, steps=3),
}
# What differs from plain rows of the first shape: grouped heads, and pairs with half the tokens scored.
VARIANTS = {"13.8 M, 2 of 6 heads": dict(kv_heads=2), "13.8 M, half scored": dict(scored=0.5)}


def flags(shape):
    return [part for name, value in shape.items() for part in ("--" + name.replace("_", "-"), str(value))]


def cognate(program, shape, threads):
    shape = dict(shape)
    scored = shape.pop("scored", 1.0)
    return run([program, "bench", "train", "--threads", str(threads), "--scored-share", str(scored), *flags(shape)])


def torch(shape, compiled):
    mode = ["--compile"] if compiled else []
    return run([sys.executable, str(HERE / "peers" / "train_torch.py"), *flags(shape), *mode])


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default="target/release/cognate")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    o = parser.parse_args()
    # The variants stand beside what they are variants of: the machine's speed moves within minutes.
    variants = {name: {**SHAPES["13.8 M"], **change} for name, change in VARIANTS.items()}
    works = {"13.8 M": SHAPES["13.8 M"], **variants, **SHAPES}
    records = []
    out = o.out.open("w")
    out.write(json.dumps({"processor": processor(), "shapes": works}) + "\n")
    for turn in range(o.rounds):
        for name, shape in works.items():
            sides = {"cognate": cognate(o.program, shape, 2), "torch compile": torch(shape, True)}
            if name == "13.8 M":
                sides["cognate, 1 thread"] = cognate(o.program, shape, 1)
                sides["torch eager"] = torch(shape, False)
            for side, result in sides.items():
                records.append({"round": turn, "work": name, "side": side, **result})
                out.write(json.dumps(records[-1]) + "\n")
                out.flush()
                print(f"{turn} {name}, {side}: {result['tokens_per_s']:.0f} tokens/s", file=sys.stderr, flush=True)
    table(records, works)


def table(records, works):
    def values(work, side, field):
        return [r[field] for r in records if r["work"] == work and r["side"] == side]

    print("| work | Cognate tokens/s | torch.compile | ratio by round | GFLOP/s | of the products | peak memory, Cognate / PyTorch |")
    print("|---|---|---|---|---|---|---|")
    for work in works:
        ours, theirs = values(work, "cognate", "tokens_per_s"), values(work, "torch compile", "tokens_per_s")
        ratios = " ".join(f"{a / b:.2f}" for a, b in zip(ours, theirs))
        gflops = statistics.median(values(work, "cognate", "gflops"))
        share = statistics.median(values(work, "cognate", "fraction_of_matmul"))
        memory = [max(values(work, side, "peak_rss_bytes")) / 1e9 for side in ("cognate", "torch compile")]
        print(f"| {work} | {statistics.median(ours):,.0f} | {statistics.median(theirs):,.0f} | {ratios} | {gflops:.0f} "
              f"| {share:.0%} | {memory[0]:.2f} / {memory[1]:.2f} GB |")
    two, one = values("13.8 M", "cognate", "tokens_per_s"), values("13.8 M", "cognate, 1 thread", "tokens_per_s")
    print("\n2 threads against 1: " + " ".join(f"{a / b:.2f}" for a, b in zip(two, one)))


if __name__ == "__main__":
    main()
