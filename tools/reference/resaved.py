"""What Cognate saves, transformers loads and gives the same logits: every checkpoint of testdata/golden, read and saved again.

    cargo build --release -p cognate-model --examples
    python tools/reference/resaved.py [--program target/release/examples/resave]

The logits are compared with those in golden.safetensors, which transformers gave for the directory as it was. Weights that were bf16
or f16 come back as f32 with the same values, so the only difference is the order in which one process or another adds.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

GOLDEN = Path(__file__).parents[2] / "testdata" / "golden"
TOLERANCE = 2e-5  # f32 against f32, as the tests allow it: README.md


def difference(program, case):
    """Largest difference of logits, over all inputs that the golden file holds."""
    golden = load_file(case / "golden.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, case, folder + "/again"], check=True)
        model, loading = AutoModelForCausalLM.from_pretrained(
            folder + "/again", dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    if any(loading.values()):
        raise SystemExit(f"{case.name}: {loading}")
    worst = 0.0
    inputs = sorted(name for name in golden if name.startswith("ids."))
    for name in inputs:
        logits = golden["logits." + name.removeprefix("ids.")]
        with torch.no_grad():
            found = model.eval()(golden[name].long().reshape(1, -1)).logits[0]
        worst = max(worst, float((found - logits.float()).abs().max()))
    return worst, len(inputs), type(model).__name__


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/examples/resave")
    program = parser.parse_args().program
    torch.set_num_threads(1)
    failed = False
    for case in sorted(path.parent for path in GOLDEN.glob("*/golden.safetensors") if path.parent.name != "training"):
        worst, inputs, name = difference(program, case)
        failed |= inputs == 0 or not worst <= TOLERANCE
        print(f"| {case.name} | {name} | {inputs} | {worst:.1e} |")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
