"""Nats per token of a document file under any Hugging Face checkpoint: what `cognate evaluate` computes, by transformers.

python tools/reference/perplexity_hf.py CHECKPOINT DOCUMENTS.jsonl[.gz|.zst] [--limit N]

Each document is scored alone: a begin token (the tokenizer's BOS, or its EOS where it defines none), the text, and EOS. Every token
of the text and the closing EOS are scored; text that looks like a special token is text. Long documents are not cut:
`longer_than_context` counts those beyond the model's max_position_embeddings.
"""

import argparse
import gzip
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import torch
import zstandard
from transformers import AutoModelForCausalLM, AutoTokenizer


def open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
        return io.TextIOWrapper(raw, encoding="utf-8")
    return path.open(encoding="utf-8")


def texts(path: Path) -> Iterator[str]:
    with open_text(path) as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--limit", type=int, help="only the first N documents")
    arguments = parser.parse_args()
    if not arguments.checkpoint.is_dir():  # transformers would take it for a name to download
        parser.error(f"{arguments.checkpoint} is not a directory")
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(arguments.checkpoint)
    model = AutoModelForCausalLM.from_pretrained(arguments.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    end = tokenizer.eos_token_id
    begin = end if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    nats, tokens, n_bytes, documents, longer = 0.0, 0, 0, 0, 0
    for text in texts(arguments.documents):
        if documents == arguments.limit:
            break
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        row = torch.tensor([begin, *ids, end])
        with torch.no_grad():
            logits = model(row[None, :-1]).logits[0]
        nats += float(torch.nn.functional.cross_entropy(logits.double(), row[1:], reduction="sum"))
        tokens += len(ids) + 1
        n_bytes += len(text.encode())
        documents += 1
        longer += len(ids) + 1 > model.config.max_position_embeddings
    print(json.dumps({"nats_per_token": nats / tokens, "perplexity": math.exp(nats / tokens),
                      "bits_per_byte": nats / math.log(2) / n_bytes, "tokens": tokens, "bytes": n_bytes, "documents": documents,
                      "longer_than_context": longer}))


if __name__ == "__main__":
    main()
