"""Annotate all files of a folder, or what is left of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from spacy.util import get_package_path, is_package
from tqdm import tqdm

from spacy_bga.annotation.job import Job, Outcome, Part
from spacy_bga.annotation.output import Output
from spacy_bga.annotation.sources import READERS, reader_of
from spacy_bga.annotation.storage import Storage
from spacy_bga.errors import BGAError, Errors, StorageError, printable, reason

Engine = Literal["local", "ray"]
Run = Callable[[Job, Sequence[Part], int], Iterator[Outcome]]


@dataclass
class Annotated:
    """What was done.

    records (int): Those of the output, also of earlier runs. new (int): Those of this run.
    failed (int): Records of the output that could not be tagged; they are there with their errors.
    problems (list[str]): Files, or parts of them, that can't be read, and are not in the output.
    """

    records: int = 0
    new: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)


def annotate(job: Job, *, workers: int = 1, engine: Engine = "local", progress: bool = False) -> Annotated:
    """Annotate what is not annotated yet. It may be killed at any moment, and called again.

    job (Job): The job. workers (int): How many processes, or actors of Ray, share it.
    engine (str): "local" or "ray"; the files are the same. progress (bool): Show records, rate and time left.
    RETURNS (Annotated): What was done.
    RAISES (BGAError): There is no input, another output is there, a package is missing, or the output can't be written.
    """
    output = Output(job)
    parts, problems = plan(job)
    try:
        output.begin(pipeline_digest(job.pipeline))
        done = output.done(parts)
    except OSError as error:
        raise StorageError(Errors.B805.format(reason=printable(reason(error)))) from error
    found = Annotated(sum(r["rows"] for r in done.values()), 0, sum(r["failed"] for r in done.values()), problems)
    left = [part for part in parts if part.name not in done]
    total = sum(part.rows for part in parts)
    with tqdm(total=total, initial=found.records, unit=" records", smoothing=0, disable=not progress) as bar:
        for outcome in _run(job, left, workers, engine):
            if outcome.is_full:
                raise StorageError(Errors.B805.format(reason=outcome.problem))
            if outcome.problem:
                found.problems.append(outcome.problem)
            found.records += outcome.rows
            found.new += outcome.rows
            found.failed += outcome.failed
            bar.update(outcome.rows)
    if not found.problems:
        output.finish(parts)
    return found


def plan(job: Job) -> tuple[list[Part], list[str]]:
    """Cut the input into parts. It is always cut alike, as long as it stays as it is.

    job (Job): The job.
    RETURNS (tuple[list[Part], list[str]]): The parts, in order; and the files that can't be read, with the reasons.
    RAISES (BGAError): There is nothing to read, or pyarrow is missing.
    """
    storage = Storage(job.input)
    files = {name: size for name, size in storage.files().items() if _is_input(name)}
    if not files:
        raise BGAError(Errors.B800.format(path=job.input, known=", ".join(READERS)))
    _check_packages(job, files)
    parts: list[Part] = []
    problems: list[str] = []
    for name, size in files.items():
        reader = reader_of(name)
        assert reader is not None
        try:
            with storage.open(name) as file:
                cuts = list(reader.cut(file, job.part_rows, job.columns))
        except Exception as error:  # of pyarrow, msgpack, zlib, fsspec: for whatever is wrong with a file
            problems.append(f"{name}: {printable(reason(error))}")
        else:
            parts += [
                Part(name, size, number, cut.first, cut.rows, cut.offset, cut.id_type)
                for number, cut in enumerate(cuts)
            ]
    return parts, problems


def _is_input(name: str) -> bool:
    """RETURNS (bool): Whether it is a file to read: as elsewhere, what begins with a dot or an underscore is none."""
    return reader_of(name) is not None and not any(part.startswith((".", "_")) for part in name.split("/"))


def pipeline_digest(pipeline: str) -> str:
    """RETURNS (str): The SHA-256 of all files of a pipeline; of one that isn't there, "", which the workers tell of."""
    folder = Path(pipeline)
    if not folder.is_dir() and is_package(pipeline):
        folder = get_package_path(pipeline)
    total = hashlib.sha256()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.relative_to(folder)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest() if files else ""


def _run(job: Job, parts: Sequence[Part], workers: int, engine: Engine) -> Iterator[Outcome]:
    if not parts:
        return
    run: Run
    if engine == "ray":
        from spacy_bga.annotation.ray_engine import annotate_on_ray as run
    else:
        from spacy_bga.annotation.local_engine import annotate_locally as run
    yield from run(job, parts, workers)


def _check_packages(job: Job, names: Iterable[str]) -> None:
    needs_arrow = job.format == "parquet" or any(name.endswith(".parquet") for name in names)
    if needs_arrow and find_spec("pyarrow") is None:
        raise BGAError(Errors.B806)
