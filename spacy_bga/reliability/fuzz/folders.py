"""Folders of saved pipelines whose files are missing, damaged, of another pipeline, or lies."""

from __future__ import annotations

import json
import random
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import spacy
import torch
from hypothesis import strategies as st
from safetensors.torch import load, save
from spacy.language import Language

from spacy_bga.aligner.model import CONFIG_FILE, WEIGHTS_FILE
from spacy_bga.evaluation.tagging import load_pipeline
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.texts import check_entities
from spacy_bga.reliability.fuzz.verdict import expect, judge
from spacy_bga.reliability.tiny import make_pipeline, write_text_encoder, write_vision_encoder

TEXTS = ["kevin durant joins the warriors", "apple is in new york !"]
WEIGHTS, CONFIG = f"bga_ner/model/{WEIGHTS_FILE}", f"bga_ner/model/{CONFIG_FILE}"
# What a header may say of a tensor instead.
DTYPES = ["F64", "F16", "BF16", "I64", "I8", "BOOL", "U8", "F8_E4M3", "X", "", 7, None]


@dataclass(frozen=True)
class Damage:
    """What has happened to a folder.

    sort (str): "missing", "flipped", "shape", "nan" or "header". pipeline (str): Which one it happened to.
    number (int): What the rest is drawn by.
    """

    sort: str
    pipeline: str
    number: int


def _damages(sort: str) -> st.SearchStrategy[Damage]:
    return st.builds(Damage, st.just(sort), st.sampled_from(["slim", "slim", "full", "onnx"]), st.integers(0, 2**64))


FORMS = {
    "missing files": Form(_damages("missing"), share=1),
    "bit-flipped files": Form(_damages("flipped"), share=2),
    "weights of another shape": Form(_damages("shape"), share=1),
    "NaN weights": Form(_damages("nan"), share=1),
    "safetensors header that lies": Form(_damages("header"), share=1),
}


@dataclass(frozen=True)
class Bench:
    """Saved pipelines, and where a damaged copy lies."""

    folder: Path
    files: dict[str, dict[str, bytes]]


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): Three pipelines: without and with the visual branch, and with a graph for ONNX Runtime."""
    text, vision = folder / "text_encoder", folder / "vision_encoder"
    text.mkdir()
    vision.mkdir()
    write_text_encoder(text)
    write_vision_encoder(vision)
    files = {}
    for name, settings in (("slim", {}), ("full", {"save_visual_branch": True}), ("onnx", {"backend": "onnx"})):
        nlp = make_pipeline(text, vision if name != "onnx" else None, lang="xx", **settings)
        nlp(TEXTS[0])  # makes the graph
        nlp.to_disk(folder / name)
        paths = [path for path in sorted((folder / name).rglob("*")) if path.is_file()]
        files[name] = {path.relative_to(folder / name).as_posix(): path.read_bytes() for path in paths}
    return Bench(folder / "damaged", files)


def attempt(bench: Bench, damage: Damage) -> str:
    """Load a damaged pipeline and tag with it. What is wrong with a file of the component is told by `spacy.load`
    itself; with a file of spaCy's, by `load_pipeline`."""
    files = dict(bench.files[damage.pipeline])
    name = _damage(files, damage.sort, random.Random(damage.number))
    shutil.rmtree(bench.folder, ignore_errors=True)
    for path, content in files.items():
        target = bench.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    own = name.startswith("bga_ner/")
    return judge(lambda: _tag(spacy.load(bench.folder) if own else load_pipeline(bench.folder)))


def _tag(nlp: Language) -> None:
    docs = list(nlp.pipe(TEXTS))
    expect([doc.text for doc in docs] == TEXTS, "other texts")
    for doc in docs:
        check_entities(doc)


def _damage(files: dict[str, bytes], sort: str, r: random.Random) -> str:
    """Damage one or more files in place. RETURNS (str): The file's name."""
    own = [name for name in files if name.startswith("bga_ner/")]
    name = r.choice(own) if r.random() < 0.7 else r.choice(sorted(files))
    match sort:
        case "missing":
            for other in [name, *r.sample(own, r.randint(0, 2))]:
                if r.random() < 0.7 or name == other:
                    files.pop(other, None)
                else:
                    files[other] = b""
        case "flipped":
            files[name] = _flip(files[name], r)
        case "shape":
            name = WEIGHTS
            files[name] = save(_reshape(load(files[name]), r))
        case "nan":
            name = WEIGHTS
            files[name] = save(_spoil(load(files[name]), r))
        case _:
            name = WEIGHTS
            files[name] = _lie(files[name], r)
    if sort == "shape" and r.random() < 0.5:
        files[CONFIG] = _resize(files[CONFIG], r)
    return name


def _flip(data: bytes, r: random.Random) -> bytes:
    content = bytearray(data)
    head = min(len(content), 1 << r.choice([6, 10, 30]))  # the beginning of a file is where most of its sense is
    for _ in range(r.choice([1, 1, 1, 8, 64])):
        if content:
            content[r.randrange(head)] ^= 1 << r.randrange(8)
    return bytes(content[: r.randrange(len(content) + 1)]) if r.random() < 0.1 else bytes(content)


def _reshape(state: dict[str, torch.Tensor], r: random.Random) -> dict[str, torch.Tensor]:
    for _ in range(r.randint(1, 3)):
        name = r.choice(sorted(state))
        tensor = state[name]
        match r.randrange(6):
            case 0:
                state[name] = tensor.flatten()
            case 1:
                state[name] = tensor[None]
            case 2:
                state[name] = torch.zeros([r.randint(0, 70) for _ in range(r.randint(0, 3))])
            case 3:
                state[name] = tensor.to(r.choice([torch.float16, torch.float64, torch.int8, torch.bfloat16]))
            case 4:
                del state[name]
            case _:
                state[name + r.choice(["x", ".weight", "\u202e"])] = tensor.clone()
    return state


def _spoil(state: dict[str, torch.Tensor], r: random.Random) -> dict[str, torch.Tensor]:
    for name in r.sample(sorted(state), r.randint(1, 4)):
        if state[name].is_floating_point() and state[name].numel():
            state[name] = state[name].clone()
            place = r.randrange(state[name].numel())
            state[name].view(-1)[place] = r.choice([float("nan"), float("inf"), float("-inf"), 3e38])
    return state


def _lie(data: bytes, r: random.Random) -> bytes:
    """RETURNS (bytes): Weights whose header says something else of them."""
    size = struct.unpack("<Q", data[:8])[0]
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    name = r.choice([key for key in header if key != "__metadata__"])
    entry = header[name]
    match r.randrange(8):
        case 0:
            entry["dtype"] = r.choice(DTYPES)
        case 1:
            entry["shape"] = r.choice([[10**9, 10**9], [2**63], [-1, 4], [], None, "x", [1.5], entry["shape"] + [1]])
        case 2:
            start, end = entry["data_offsets"]
            entry["data_offsets"] = r.choice(
                [[end, start], [start, 2**62], [-1, end], [0, 0], [start], None, [start, end + 1]]
            )
        case 3:
            other = r.choice([key for key in header if key not in ("__metadata__", name)])
            header[name] = header[other]
        case 4:
            header["__metadata__"] = r.choice([{"format": "tf"}, {"a": 1}, [], "x" * 10_000, None])
        case 5:
            rest = rest[: r.randrange(len(rest))] if r.random() < 0.5 else rest + r.randbytes(r.randint(1, 99))
        case 6:
            return struct.pack("<Q", r.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1])) + data[8:]
        case _:
            nested = b"[" * r.randint(1, 100_000) + b"]" * r.randint(0, 100)
            return struct.pack("<Q", len(nested)) + nested + rest
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def _resize(data: bytes, r: random.Random) -> bytes:
    """RETURNS (bytes): A configuration of other sizes, which may be impossible ones."""
    config = json.loads(data)
    part = config["text"] if r.random() < 0.6 or not config["vision"] else r.choice([config, config["vision"]])
    numbers = [key for key, value in part.items() if isinstance(value, int | float) and not isinstance(value, bool)]
    for key in r.sample(numbers, min(len(numbers), r.randint(1, 3))):
        part[key] = r.choice([0, -1, 1, 3, 10**5, 10**9, 2**62, 1.5, None, "x", [], True])
    return json.dumps(config).encode()


KIND = Kind(FORMS, open_bench, attempt)
