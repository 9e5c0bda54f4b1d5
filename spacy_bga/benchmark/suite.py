"""The benchmark as a whole: measure section by section, and write down what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spacy_bga.benchmark import fresh
from spacy_bga.benchmark.contenders import gather
from spacy_bga.benchmark.machine import describe
from spacy_bga.benchmark.page import performance_page
from spacy_bga.benchmark.setting import Scale, Setting
from spacy_bga.benchmark.summary import summarize
from spacy_bga.benchmark.texts import write_embedded_texts
from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.provenance import portable
from spacy_bga.evaluation.records import read_json, write_json, write_text

SECTIONS = {
    "throughput": "throughput:measure",
    "latency": "latency:measure",
    "training": "training:measure",
    "start_up": "start_up:measure",
    "memory": "memory:measure",
    "scaling": "scaling:measure",
    "accuracy": "accuracy:measure",
    "growth": "memory:measure_growth",
    "confidence": "confidence:measure",
}
EMBEDDED = 700  # about as many as the test set of Twitter-2017 has
NEEDED = ("psutil", "threadpoolctl", "spacy_transformers")


def run_benchmark(
    given: Mapping[str, Path],
    *,
    encoder: str,
    vision_encoder: str,
    texts: Path | None,
    scale: Scale,
    quick: bool,
    only: Sequence[str],
    threads: int,
    output: Path,
    page: Path,
    work: Path,
    command: str,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Measure, and write the JSON file after each section, so that what is measured is never lost.

    given (Mapping[str, Path]): Pipelines by name: "bga", "text_only", "onnx", "auto", "int8".
    encoder, vision_encoder (str): Names or folders; the second is only looked at to build a pipeline.
    texts (Optional[Path]): A DocBin; None: the embedded corpus. scale (Scale): How much is measured.
    quick (bool): Whether that is the short form. only (Sequence[str]): Sections to measure; none means all. Others that
        the file has are kept.
    threads (int): Threads of each process. output, page (Path): The JSON file and the Markdown file.
    work (Path): A folder for what is built. command (str): What was asked for, to be written down.
    progress (Callable[[str], None]): Told what is done.
    RETURNS (dict[str, Any]): What the JSON file holds.
    """
    from spacy_bga.pipeline.encoders import resolve_encoder

    chosen = choose_sections(only)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BGAError(Errors.B545.format(packages=", ".join(missing)))
    read_json(output)  # a file that can't be read should be told of before the work
    folder = resolve_encoder(encoder)
    source = embedded_texts(work) if texts is None else texts
    contenders = gather(
        given,
        encoder=folder,
        vision=partial(resolve_encoder, vision_encoder),
        texts=source,
        work=work,
        scale=scale,
        threads=threads,
        progress=progress,
    )
    setting = Setting(folder, source, contenders, threads, scale)
    pools = fresh.call("machine:thread_pools", threads=threads) | {"asked_for": threads}
    progress(f"Threads: {pools}")
    record: dict[str, Any] = {}
    for section in chosen:
        progress(f"Measuring {section}")
        provenance = describe(threads=pools, quick=quick, command=command) | _origin(setting, given, encoder)
        measured = fresh.call(SECTIONS[section], threads=threads, setting=setting.to_dict())
        record = update(read_json(output) or {}, section, {"provenance": provenance, "measured": measured})
        write_json(output, record)
        write_text(page, performance_page(record))
    return record


def choose_sections(only: Sequence[str]) -> list[str]:
    """RETURNS (list[str]): The sections of those names, in our order; all for none. Raises a BGAError for others."""
    for name in only:
        if name not in SECTIONS:
            raise BGAError(Errors.B540.format(name=name, known=", ".join(SECTIONS)))
    return [name for name in SECTIONS if not only or name in only]


def update(record: Mapping[str, Any], section: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Put a section into a record, and make its headline anew; other sections stay as they are.

    record (Mapping[str, Any]): What the file held. section (str): The section's name.
    found (Mapping[str, Any]): Its "provenance" and "measured".
    RETURNS (dict[str, Any]): The record: the headline's numbers, the last section's machine, versions, threads and
        commit, and all sections.
    """
    known = {**record.get("sections", {}), section: found}
    sections = {name: known[name] for name in SECTIONS if name in known}
    last = {key: found["provenance"][key] for key in ("machine", "versions", "threads", "commit")}
    return {**summarize(sections), **last, "sections": sections}


def embedded_texts(work: Path) -> Path:
    """RETURNS (Path): Posts of the embedded corpus' kind as a DocBin, made if it isn't there."""
    path = work / "embedded.spacy"
    if not path.is_file():
        write_embedded_texts(path, EMBEDDED)
    return path


def _origin(setting: Setting, given: Mapping[str, Path], encoder: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What was compared, without paths of this machine."""
    return {
        "encoder": portable(encoder),
        "texts": portable(setting.texts),
        "contenders": {
            c.name: {"folder": portable(c.folder) if c.name in given else None, "built": c.name not in given}
            for c in setting.contenders
        },
        "scale": asdict(setting.scale),
    }
