#!/usr/bin/env python3
"""Cuts the shipped passages of Luke and Acts out of files of whole chapters.

    python tools/data/take_bible.py FOLDER

reads FOLDER/VERSION.jsonl.zst (a record a chapter: id "VERSION/BOOK/CHAPTER", text), writes data/luke-acts.jsonl.zst (JSON Lines, zstd
level 19) and prints its counts and hashes. Needs `zstandard`.

A chapter is cut into as many passages as it has shares of 450 bytes in the American Standard Version, in each version into the same
number: where the clause ends that is nearest to an equal share. So passage 3 of a chapter tells nearly the same in every version. Where
versions cut a clause apart, neighbours share one.
"""

import argparse
import hashlib
import io
import json
import pathlib
import re

import zstandard

VERSIONS = ["ASV", "BBE", "Darby", "NHEB", "Rotherham", "Twenty", "YLT"]
BOOKS = ["Luke", "Acts"]
PASSAGE_BYTES = 450
LEVEL = 19
CLAUSE = re.compile(r"[.;:?!][”’\"')]*\s+")
COMMA = re.compile(r",\s+")


def chapters(path):
    with open(path, "rb") as file:
        for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file)):
            record = json.loads(line)
            _, book, chapter = record["id"].split("/")
            if book in BOOKS:
                yield (BOOKS.index(book), int(chapter)), record["text"]


def cut(text, parts):
    """`parts` passages, none of them empty: cut where a clause ends, or behind a comma where none ends within half a passage."""
    borders = [0]
    for part in range(1, parts):
        equal, reach = len(text) * part / parts, len(text) / parts / 2
        ends = [[found.end() for found in kind.finditer(text) if abs(found.end() - equal) < reach] for kind in (CLAUSE, COMMA)]
        borders.append(min(ends[0] or ends[1], key=lambda end: abs(end - equal)))
    borders.append(len(text))
    return [text[start:end].strip() for start, end in zip(borders, borders[1:])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("data/luke-acts.jsonl.zst"))
    arguments = parser.parse_args()

    versions = {version: dict(chapters(arguments.source / f"{version}.jsonl.zst")) for version in VERSIONS}
    parts = {place: round(len(text.encode()) / PASSAGE_BYTES) for place, text in versions["ASV"].items()}
    taken = []
    for (book, chapter), number in sorted(parts.items()):
        for version in VERSIONS:
            for part, text in enumerate(cut(versions[version][book, chapter], number), 1):
                place = f"{BOOKS[book]} {chapter}, {part}"
                taken.append({"id": f"{version}/{place}", "text": text, "metadata": {"version": version, "passage": place}})
    assert all(record["text"] for record in taken)

    raw = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in taken).encode()
    packed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(raw)
    arguments.out.write_bytes(packed)
    text_bytes = sum(len(record["text"].encode()) for record in taken)
    print(f"wrote {len(taken)} documents, {sum(parts.values())} passages in {len(VERSIONS)} versions")
    print(f"{text_bytes} bytes of text, {len(raw)} raw, {len(packed)} packed")
    print(f"sha256 raw    {hashlib.sha256(raw).hexdigest()}")
    print(f"sha256 packed {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
