"""Opens a checkpoint that Cognate wrote with AutoTokenizer and AutoModelForCausalLM, and prints one JSON line about it.

python tools/reference/check_checkpoint.py DIR [--expected FILE.safetensors] [--text TEXT] [--new-tokens N] [--tolerance X]

--expected holds `ids` (T integers, or B rows of them) and `logits` (T x vocab or B x T x vocab) as Cognate computed them.
Exit status 0 only if everything loads, every weight is used, the logits agree within the tolerance, AutoTokenizer gives the ids
that tokenizer.json means, and `generate` continues the text.
"""

import argparse
import json
import sys
from pathlib import Path

import tokenizers
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

PROBE = "Naïve  cafés cost 1,234.50 €\n\tin 2026; don't they? <b>日本</b> 🙂"  # spaces, digits, accents, bytes beyond ASCII


def check(folder: Path, expected: Path | None, text: str, new_tokens: int, tolerance: float) -> dict:
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                          output_loading_info=True)
    model.eval()
    problems = [f"{what}: {sorted(map(str, names))}" for what, names in loading.items() if names]
    result: dict = {"architecture": type(model).__name__, "logits_max_abs_diff": None}
    if expected is not None:
        stored = load_file(expected)
        ids = stored["ids"].long()
        with torch.no_grad():
            logits = model(ids if ids.dim() == 2 else ids[None]).logits
        difference = float((logits.view_as(stored["logits"]) - stored["logits"].float()).abs().max())
        result["logits_max_abs_diff"] = difference
        if not difference <= tolerance:  # NaN fails too
            problems.append(f"logits differ by {difference:.3g}, more than {tolerance:.3g}")

    tokenizer = AutoTokenizer.from_pretrained(folder)
    result["tokenizer"] = type(tokenizer).__name__
    result["special_tokens"] = {"bos": tokenizer.bos_token, "eos": tokenizer.eos_token, "pad": tokenizer.pad_token}
    if tokenizer.eos_token_id is None:
        problems.append("the tokenizer knows no end-of-document token")
    if tokenizer.eos_token_id not in (model.generation_config.eos_token_id, None):
        problems.append(f"end token: tokenizer {tokenizer.eos_token_id}, generation {model.generation_config.eos_token_id}")
    direct = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for one in (PROBE, text):
        ids = tokenizer(one, add_special_tokens=False)["input_ids"]
        if ids != direct.encode(one, add_special_tokens=False).ids:
            problems.append(f"AutoTokenizer and tokenizer.json cut {one!r} differently")
        if max(ids) >= model.config.vocab_size:
            problems.append(f"token {max(ids)} is outside the vocabulary of {model.config.vocab_size}")

    prompt = torch.tensor([ids])
    output = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, min_new_tokens=1,
                            max_new_tokens=new_tokens, pad_token_id=tokenizer.eos_token_id)[0, prompt.shape[1]:]
    result["generated"] = tokenizer.decode(output)
    if len(output) == 0:
        problems.append("generate added nothing")
    return {"ok": not problems} | result | {"problems": problems}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--expected", type=Path)
    parser.add_argument("--text", default="We show that the")
    parser.add_argument("--new-tokens", type=int, default=20)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    torch.set_num_threads(1)
    try:
        result = check(arguments.checkpoint, arguments.expected, arguments.text, arguments.new_tokens, arguments.tolerance)
    except Exception as error:  # whatever transformers throws means that the directory does not open
        result = {"ok": False, "logits_max_abs_diff": None, "generated": None, "problems": [f"{type(error).__name__}: {error}"]}
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
