"""Fifty posts, and how each tool writes them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.lang.xx import MultiLanguage
from spacy.training.iob_utils import offsets_to_biluo_tags

from tests.conftest import encode_picture

Span = tuple[int, int, str]


@dataclass(frozen=True)
class Sample:
    """A post: its text, its entities (one may lie in another), its pictures, and whether an annotator rejected it."""

    text: str
    spans: tuple[Span, ...] = ()
    images: tuple[str, ...] = ()
    rejected: bool = False

    @property
    def outer(self) -> list[tuple[str, str]]:
        """RETURNS (list[tuple[str, str]]): The entities that lie in no other, by text and label."""
        spans = [s for s in self.spans if not any(o != s and o[0] <= s[0] and s[1] <= o[1] for o in self.spans)]
        return [(self.text[start:end], label) for start, end, label in spans]


_KINDS = (
    "🎉🎉 {} joins 👩‍👩‍👧 the {} 😀",
    "שלום {} ומה עם {} היום",
    "مرحبا {} في {} الآن",
    "{} meets {} in the rain",
    "é漢 {} , 𝒳 and {} !",
)


def posts(number: int = 50) -> list[Sample]:
    """RETURNS (list[Sample]): Posts with emoji, from right to left, with nested spans, several pictures and none."""
    samples = []
    for i in range(number):
        first, second = f"Name{i} Bank of Town{i}", f"Team{i}"
        text = _KINDS[i % len(_KINDS)].format(first, second)
        start, place, other = text.index(first), text.index(f"Town{i}"), text.index(second)
        spans: list[Span] = [(start, start + len(first), "ORG"), (other, other + len(second), "TEAM")]
        if i % 3 == 0:
            spans.append((place, place + len(f"Town{i}"), "LOC"))  # in the first
        if i % 7 == 6:
            spans = []
        images = (("a.png", "b.png"), ("a.png",), ())[i % 3]
        samples.append(Sample(text, tuple(spans), images, rejected=i % 10 == 9))
    return samples


def write_pictures(folder: Path) -> None:
    """Write the posts' pictures."""
    for seed, name in enumerate(("a.png", "b.png")):
        (folder / name).write_bytes(encode_picture(seed))


def units(text: str, place: int) -> int:
    """RETURNS (int): A place as JavaScript counts it."""
    return len(text[:place].encode("utf-16-le")) // 2


def _one(images: tuple[str, ...]) -> Any:
    return images[0] if len(images) == 1 else list(images) or None


def jsonl(sample: Sample) -> Any:
    """RETURNS (Any): Our own object."""
    spans = [{"start": start, "end": end, "label": label} for start, end, label in sample.spans]
    return {"text": sample.text, "image": _one(sample.images), "spans": spans}


def prodigy(sample: Sample) -> Any:
    """RETURNS (Any): A task of Prodigy, which puts pictures into its tasks."""
    pictures = {name: encode_picture(seed) for seed, name in enumerate(("a.png", "b.png"))}
    uris = [f"data:image/png;base64,{base64.b64encode(pictures[name]).decode()}" for name in sample.images]
    answer = "reject" if sample.rejected else "accept"
    task = jsonl(sample) | {"image": _one(tuple(uris)), "answer": answer, "_task_hash": 1, "_view_id": "ner_manual"}
    return task | {"tokens": [{"text": sample.text[:3], "start": 0, "end": 3, "id": 0, "ws": False}]}


def doccano(sample: Sample) -> Any:
    """RETURNS (Any): An object of Doccano."""
    return {"id": 1, "text": sample.text, "image": _one(sample.images), "label": [list(s) for s in sample.spans]}


def _values(sample: Sample) -> list[dict[str, Any]]:
    text = sample.text
    return [
        {"start": units(text, start), "end": units(text, end), "text": text[start:end], "labels": [label]}
        for start, end, label in sample.spans
    ]


def label_studio(sample: Sample) -> Any:
    """RETURNS (Any): A task of Label Studio's JSON, whose offsets are JavaScript's."""
    results = [{"value": value, "from_name": "label", "to_name": "text", "type": "labels"} for value in _values(sample)]
    annotations = [{"id": 1, "was_cancelled": sample.rejected, "result": results}]
    return {"id": 1, "data": {"text": sample.text, "image": _one(sample.images)}, "annotations": annotations}


def label_studio_min(sample: Sample) -> Any:
    """RETURNS (Any): A task of Label Studio's JSON-MIN."""
    task = {"text": sample.text, "image": _one(sample.images), "id": 1, "annotator": 1, "annotation_id": 1}
    return task | ({"label": _values(sample)} if sample.spans else {})


def outer_tags(sample: Sample) -> tuple[list[str], list[str]]:
    """RETURNS (tuple[list[str], list[str]]): Tokens and BILUO tags, which know no nested entity."""
    doc = MultiLanguage().make_doc(sample.text)
    outer = [s for s in sample.spans if (sample.text[s[0] : s[1]], s[2]) in sample.outer]
    return [token.text for token in doc], list(offsets_to_biluo_tags(doc, outer))


def spacy_json(sample: Sample) -> Any:
    """RETURNS (Any): A document of spaCy's older JSON."""
    words, tags = outer_tags(sample)
    tokens = [{"id": i, "orth": word, "ner": tag} for i, (word, tag) in enumerate(zip(words, tags, strict=True))]
    paragraph = {"raw": sample.text, "sentences": [{"tokens": tokens}]}
    return {"id": 1, "image": _one(sample.images), "paragraphs": [paragraph]}


def spacy_pair(sample: Sample) -> Any:
    """RETURNS (Any): An example as spaCy's older training loops took it."""
    return [sample.text, {"entities": [list(s) for s in sample.spans], "image": _one(sample.images)}]


def write_json(samples: list[Any], path: Path, layout: str = "lines") -> Path:
    """Write objects on a line each, as an array, or indented."""
    lines = [json.dumps(sample, ensure_ascii=False) for sample in samples]
    content = {
        "lines": "\n".join(lines) + "\n",
        "array": "[" + ", ".join(lines) + "]",
        "indented": json.dumps(samples, ensure_ascii=False, indent=2),
        "objects": "\n".join(json.dumps(sample, indent=4) for sample in samples),
    }[layout]
    path.write_text(content, encoding="utf8")
    return path


def write_conll(samples: list[Sample], folder: Path) -> Path:
    """Write CoNLL with BILUO tags; a post's picture is named by its id, which can only be one."""
    blocks = []
    for sample in samples:
        words, tags = outer_tags(sample)
        lines = [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)]
        blocks.append("\n".join([f"IMGID:{sample.images[0] if sample.images else ''}", *lines]))
    path = folder / "posts.conll"
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf8")
    return path


def write_brat(samples: list[Sample], folder: Path) -> Path:
    """Write a folder of brat's, with a picture beside a text."""
    source = folder / "brat"
    source.mkdir()
    for i, sample in enumerate(samples):
        (source / f"{i:02}.txt").write_text(sample.text, encoding="utf8")
        lines = [
            f"T{k}\t{label} {start} {end}\t{sample.text[start:end]}"
            for k, (start, end, label) in enumerate(sample.spans, start=1)
        ]
        annotation = "\n".join([*lines, "#1\tAnnotatorNotes T1\ta note", ""])
        (source / f"{i:02}.ann").write_text(annotation, encoding="utf8")
        if sample.images:
            (source / f"{i:02}.png").write_bytes((folder / sample.images[0]).read_bytes())
    return source
