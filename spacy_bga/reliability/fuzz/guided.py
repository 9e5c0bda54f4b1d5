"""Coverage-guided fuzzing of what takes bytes, by Atheris (libFuzzer): the parsers, the image decoder, the settings.

Run by itself, as `python -m spacy_bga.reliability.fuzz.guided TARGET FOLDER -runs=1000`: Atheris takes the process
over, and only what is imported after it tells it which branches an input has reached.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TARGETS = ("conll", "jsonl", "image", "settings")
# What is instrumented; all that it imports besides is not, and runs at full speed.
INSTRUMENTED = ["spacy_bga.corpus", "spacy_bga.aligner", "PIL", "json"]
_DONE = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)")


def run_guided(target: str, *, runs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Fuzz one target in a process of its own.

    target (str): One of `TARGETS`. runs (int): Inputs. seed (int): What they are drawn by.
    folder (Path): Where the inputs that reached something new are kept, to go on from.
    RETURNS (dict[str, Any]): "inputs", "branches" and "features" that they reached, "kept" inputs, "problems".
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_seeds(target, folder)
    options = [f"-runs={runs}", f"-seed={seed + 1}", "-max_len=4096", "-timeout=60", "-rss_limit_mb=4000"]
    command = [sys.executable, "-m", __name__, target, str(folder), *options, f"-artifact_prefix={folder}-"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, errors="replace")
    found = _DONE.search(done.stderr)
    numbers = [int(number) for number in found.groups()] if found else [0, 0, 0, 0]
    result: dict[str, Any] = dict(zip(("inputs", "branches", "features", "kept"), numbers, strict=True))
    result["problems"] = 0 if found and done.returncode == 0 else 1
    if result["problems"]:
        result["example"] = done.stderr[-2000:]
    return result


def write_seeds(target: str, folder: Path) -> None:
    """Write a few good inputs to begin with."""
    import json
    import random

    from spacy_bga.reliability.fuzz import pictures

    r = random.Random(0)
    if target == "image":
        makers = [pictures.ordinary, pictures.cmyk, pictures.sixteen_bits, pictures.palette, pictures.alpha]
        makers += [pictures.exif, pictures.animated, pictures.one_pixel, pictures.polyglot]
        contents = [make(r) for make in makers for _ in range(6)]
    elif target == "conll":
        contents = [b"IMGID:1\nkevin\tB-PER\ndurant\tI-PER\njoins O\n\nIMGID:2\nx\tO\n", b"\xef\xbb\xbfa\tB-X\r\n\r\n"]
    elif target == "jsonl":
        span = {"start": 0, "end": 1, "label": "X"}
        lines = [
            {"text": "a b"},
            {"text": "a b", "image": ["x", "y"], "spans": [span, span]},
            {"text": "", "spans": []},
        ]
        contents = [json.dumps(line).encode() + b"\n" for line in lines]
    else:
        contents = [
            json.dumps({"text": {"model_type": "bert"}, "labels": ["PER"], "window": 32, "overlap": 4}).encode()
        ]
    for number, content in enumerate(contents):
        (folder / f"seed-{number}").write_bytes(content)


def _targets() -> dict[str, Callable[[bytes], Any]]:
    """RETURNS (dict[str, Callable]): What is done with an input. An error of ours is an answer."""
    import spacy

    from spacy_bga.aligner.config import BGAConfig
    from spacy_bga.corpus.conll import doc_to_conll, mend_tags, parse_conll, post_to_doc
    from spacy_bga.corpus.images import decode_image, read_header
    from spacy_bga.corpus.jsonl import parse_jsonl
    from spacy_bga.corpus.record import record_to_doc
    from spacy_bga.corpus.texts import make_doc
    from spacy_bga.reliability.fuzz.verdict import expect

    nlp = spacy.blank("xx")

    def conll(data: bytes) -> None:
        for post in parse_conll(data.splitlines(keepends=True)):
            if post.words:
                doc = post_to_doc(post, nlp.vocab, tags=mend_tags(post.tags)[0])
                expect([t.text for t in doc] == list(post.words), "other words")
                doc_to_conll(doc)

    def jsonl(data: bytes) -> None:
        for record in parse_jsonl(data.splitlines(keepends=True)):
            doc, _ = record_to_doc(record, partial(make_doc, nlp))
            expect(doc.text == record.text, "another text")

    def image(data: bytes) -> None:
        expect(decode_image(data, size=32).mode == "RGB", "another mode")
        read_header(data)

    def settings(data: bytes) -> None:
        config = BGAConfig.from_json(data.decode("utf8", "replace"))
        expect(BGAConfig.from_json(config.to_json()) == config, "another configuration")

    return {"conll": conll, "jsonl": jsonl, "image": image, "settings": settings}


def main(target: str, arguments: list[str]) -> None:
    """Let Atheris take over."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        run = _targets()[target]
    import warnings

    from spacy_bga.reliability.fuzz.verdict import judge

    warnings.simplefilter("ignore")
    atheris.Setup([sys.argv[0], *arguments], lambda data: judge(lambda: run(data)) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
