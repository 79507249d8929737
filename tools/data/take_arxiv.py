#!/usr/bin/env python3
"""Takes the shipped corpus out of a large file of arXiv abstracts.

    python tools/data/take_arxiv.py cs-stat.jsonl.zst

writes data/arxiv-abstracts.jsonl.zst (JSON Lines, zstd level 19) and prints its counts and hashes. Needs `zstandard`.

The choice is a function of the documents alone: of all records, those are kept whose abstract was not withdrawn and whose text no
earlier id has; of these, the 8,000 with the smallest SHA-256 of "cognate-1:" + id. They are written in the order of their ids, with
nothing changed.
"""

import argparse
import hashlib
import io
import json
import pathlib

import zstandard

SEED = "cognate-1:"
DOCUMENTS = 8_000
LEVEL = 19


def records(path):
    with open(path, "rb") as file:
        for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
            yield json.loads(line)


def withdrawn(text):
    """Whether the abstract is only a notice of withdrawal: it says so, and says little else."""
    return "withdrawn" in text.lower() and len(text) < 600


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("data/arxiv-abstracts.jsonl.zst"))
    arguments = parser.parse_args()

    all_records = sorted(records(arguments.source), key=lambda record: record["id"])
    seen = set()
    candidates = []
    repeated = notices = 0
    for record in all_records:
        if withdrawn(record["text"]):
            notices += 1
        elif record["text"] in seen:
            repeated += 1
        else:
            seen.add(record["text"])
            candidates.append(record)
    candidates.sort(key=lambda record: hashlib.sha256((SEED + record["id"]).encode()).digest())
    taken = sorted(candidates[:DOCUMENTS], key=lambda record: record["id"])
    assert len(taken) == DOCUMENTS, f"only {len(taken)} documents"

    raw = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in taken).encode()
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(raw)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(packed)
    text_bytes = sum(len(record["text"].encode()) for record in taken)
    print(f"read {len(all_records)}; left out {notices} notices of withdrawal and {repeated} repeated texts")
    print(f"wrote {len(taken)} documents: {text_bytes} bytes of text, {len(raw)} raw, {len(packed)} packed")
    print(f"sha256 raw    {hashlib.sha256(raw).hexdigest()}")
    print(f"sha256 packed {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
