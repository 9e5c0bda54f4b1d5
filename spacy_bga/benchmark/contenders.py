"""Who takes part: the pipelines that are given, and those that are built on the spot."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacy_bga.benchmark import fresh
from spacy_bga.benchmark.setting import BGA, HUGGING_FACE, INT8, SPACY, TEXT_ONLY, Contender, Scale
from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.provenance import versions
from spacy_bga.evaluation.records import read_json, write_json

RECIPE = "recipe.json"
SHAPE = ("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


def gather(
    given: Mapping[str, Path],
    *,
    encoder: Path,
    vision: Callable[[], Path],
    texts: Path,
    work: Path,
    scale: Scale,
    threads: int,
    progress: Callable[[str], None],
) -> tuple[Contender, ...]:
    """Bring together who is compared, and build who is not there.

    given (Mapping[str, Path]): Pipelines by name, see `setting`. Without any of `bga`, `text_only` and `int8`, the
        first two are built.
    encoder (Path): The text encoder's folder. vision (Callable[[], Path]): Finds the vision encoder's, if needed.
    texts (Path): A DocBin to learn a little from. work (Path): Where to build; what is there is used again.
    scale (Scale): How long what is built learns. threads (int): Threads for building it.
    progress (Callable[[str], None]): Told what is built.
    RETURNS (tuple[Contender, ...]): Those that are compared.
    """
    for folder in given.values():
        check_encoder(folder, encoder)
    folders = dict(given)
    common = {"encoder": str(encoder), "texts": str(texts)}
    if not folders.keys() & {BGA, TEXT_ONLY, INT8}:
        for name, eyes in ((BGA, str(vision())), (TEXT_ONLY, None)):
            recipe = {**common, "builder": "own", "steps": scale.own_steps, "vision": eyes}
            folders[name] = _build(work / name, recipe, threads, progress)
    recipe = {**common, "builder": "spacy", "steps": scale.peer_steps}
    folders[SPACY] = _build(work / SPACY, recipe, threads, progress)
    pipelines = [Contender(name, "spacy", folder) for name, folder in folders.items()]
    return (*pipelines, Contender(HUGGING_FACE, "huggingface", encoder))


def check_encoder(pipeline: Path, encoder: Path) -> None:
    """Refuse a pipeline on an encoder of another shape than the peers get: the comparison would mean nothing."""
    from spacy_bga.benchmark.arithmetic import find_config

    config = find_config(pipeline)
    if config is None:
        raise BGAError(Errors.B543.format(folder=pipeline))
    expected = json.loads((encoder / "config.json").read_text(encoding="utf8"))
    for key in SHAPE:
        if config.text.get(key) != expected.get(key):
            found, wanted = config.text.get(key), expected.get(key)
            raise BGAError(Errors.B542.format(folder=pipeline, encoder=encoder.name, key=key, own=found, other=wanted))


def build(folder: str, builder: str, encoder: str, texts: str, steps: int, vision: str | None = None) -> None:
    """Build a contender; called in a process of its own."""
    from spacy_bga.benchmark.own import build_own
    from spacy_bga.benchmark.peers import build_spacy
    from spacy_bga.benchmark.texts import read_texts

    learnt_from = read_texts(Path(texts))
    if builder == "spacy":
        build_spacy(Path(folder), Path(encoder), learnt_from, steps=steps)
    else:
        eyes = None if vision is None else Path(vision)
        build_own(Path(folder), Path(encoder), learnt_from, steps=steps, vision=eyes)


def _build(folder: Path, recipe: dict[str, Any], threads: int, progress: Callable[[str], None]) -> Path:
    """RETURNS (Path): The folder of what the recipe makes; nothing is done if it was made there by the same one."""
    inputs = {key: _digest(Path(recipe[key])) for key in ("encoder", "texts", "vision") if recipe.get(key)}
    full = {**recipe, **inputs, "versions": versions()}
    if read_json(folder / RECIPE) == full:
        return folder
    progress(f"Building {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh.call("contenders:build", threads=threads, folder=str(folder), **recipe)
    write_json(folder / RECIPE, full)
    return folder


def _digest(path: Path) -> str:
    """RETURNS (str): What a file is, or an encoder's folder: its configuration, and the size of its weights."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    sizes = [f"{file.name} {file.stat().st_size}" for file in sorted(path.glob("*.safetensors"))]
    return hashlib.sha256((path / "config.json").read_bytes() + "\n".join(sizes).encode()).hexdigest()
