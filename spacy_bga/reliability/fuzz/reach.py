"""Which branches of the code the inputs of each kind take."""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.worker import draw_inputs

ROOMS = ("corpus", "pipeline", "aligner", "viewer")


def trace(kind: Kind, bench: Any, inputs: int, path: Path) -> Path:
    """Fork, and try some inputs of every form of a kind in the child, which is traced.

    kind (Kind): The kind. bench (Any): What its `open_bench` made. inputs (int): How many of each form.
    path (Path): Where Coverage keeps what it has seen.
    RETURNS (Path): The same.
    """
    import coverage

    path.parent.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            seen = coverage.Coverage(str(path), config_file=False, branch=True, source_pkgs=_packages())
            seen.start()
            for form in kind.forms.values():
                _try_some(kind, form, bench, max(1, inputs * form.share // 4))
            seen.stop()
            seen.save()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(child, 0)
    return path


def _try_some(kind: Kind, form: Form, bench: Any, inputs: int) -> None:
    def try_one(value: Any) -> None:
        with suppress(BaseException):  # the campaign counts what must not happen; here, where an input comes to matters
            kind.attempt(bench, value)

    draw_inputs(form, inputs, try_one)


def merge_reach(paths: Sequence[Path]) -> dict[str, Any]:
    """Count the branches that were taken.

    paths (Sequence[Path]): What `trace` wrote, one file for each kind.
    RETURNS (dict[str, Any]): By kind, and of "all" together, by room: "taken" branches and how many "branches" there
        are in the files of the room that the inputs came to.
    """
    named = {path.stem.removeprefix("reach-"): [path] for path in paths if path.is_file()}
    return {
        name: _count(files) for name, files in (named | {"all": [path for path in paths if path.is_file()]}).items()
    }


def _count(paths: Sequence[Path]) -> dict[str, dict[str, int]]:
    import coverage

    with tempfile.TemporaryDirectory() as folder:
        seen = coverage.Coverage(str(Path(folder) / "all"), config_file=False, branch=True, source_pkgs=_packages())
        seen.combine([str(path) for path in paths], keep=True)
        report = Path(folder) / "report.json"
        seen.json_report(outfile=str(report), ignore_errors=True)
        files = json.loads(report.read_text(encoding="utf8"))["files"]
    rooms = {room: {"taken": 0, "branches": 0} for room in ROOMS}
    for name, file in files.items():
        room = next((room for room in ROOMS if f"spacy_bga/{room}/" in name.replace("\\", "/")), None)
        if room is not None:
            rooms[room]["taken"] += file["summary"]["covered_branches"]
            rooms[room]["branches"] += file["summary"]["num_branches"]
    return rooms


def _packages() -> list[str]:
    return [f"spacy_bga.{room}" for room in ROOMS]
