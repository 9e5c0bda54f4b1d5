"""Parts of pages that are made of the code, so that they can't go stale. Nothing here loads torch."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

import griffe
import srsly
from docstrings import entries
from typer.cli import app as typer_app
from typer.testing import CliRunner

from spacy_bga import errors
from spacy_bga.evaluation.markdown import interval, signed, table, text

ROOT = Path(__file__).parent.parent.parent
BASELINES = ("centre", "random", "other_entity")  # of the pointing game


def console() -> str:
    """RETURNS (str): Every console command, as Typer documents it."""
    name = "python -m spacy_bga"
    result = CliRunner().invoke(typer_app, ["spacy_bga.cli", "utils", "docs", "--name", name])
    if result.exit_code:
        raise RuntimeError(result.output) from result.exception
    commands = result.output[result.output.index(f"## `{name} ") :]
    return re.sub(r"^Example: ((?:.+\n?)+)", lambda example: _example(example[1]), commands, flags=re.MULTILINE)


def _example(command: str) -> str:
    return f"**Example**:\n\n```console\n$ {' '.join(command.split())}\n```\n"


def default_config() -> str:
    """RETURNS (str): The default config of `bga_ner`, with its comments."""
    config = ast.literal_eval(str(_package()["pipeline.default_config.DEFAULT_CONFIG"].value))
    return f"```ini\n{config.strip()}\n```\n"


def architecture() -> str:
    """RETURNS (str): A table of the settings of `spacy_bga.BGAModel.v2`."""
    build = _package()["pipeline.architectures.build_bga_model"]
    meanings = {**_meanings(_package()["aligner.config.BGAConfig"]), **_meanings(build)}
    return _settings(build, meanings)


def settings(function: str) -> str:
    """RETURNS (str): A table of the settings of what a registered function makes. function (str): Its path."""
    return _settings(_package()[function])


def messages() -> str:
    """RETURNS (str): Every message with its code, in the groups of `errors.py`."""
    source = Path(errors.__file__).read_text(encoding="utf8")
    known = {**vars(errors.Errors), **vars(errors.Warnings)}
    groups: dict[str, list[str]] = {}
    title = ""
    for comment, code in re.findall(r"^    (?:# \dxx: (.+)|([BW]\d{3}) = )", source, flags=re.MULTILINE):
        title = comment or title
        if code:
            groups.setdefault(title, []).append(code)
    return "\n".join(
        f"## {title[0].upper()}{title[1:]}\n\n"
        + table(
            ["Code", "Message"],
            [[f'<span id="{code}">{code}</span>', text(escape(known[code]))] for code in sorted(codes)],
            left=2,
        )
        for title, codes in groups.items()
    )


def retrieval() -> str:
    """RETURNS (str): A table of how often texts find their images, and images their texts."""
    found = _evidence("alignment")
    rows = [
        [pairs, way, cell["n"], _percent(cell["r10"], cell["r10_ci"]), _percent(cell["chance_r10"])]
        for key, way in (("t2i", "text → image"), ("i2t", "image → text"))
        for pairs, cell in (found.get(key) or {}).items()
    ]
    return _table_or_none(["Pairs", "Direction", "Among", "In the first ten", "By chance"], rows)


def pointing() -> str:
    """RETURNS (str): A table of the pointing game."""
    titles = ["Texts", "Entities", "Hit", "By the centre", "By a patch by chance", "By other entities"]
    rows = [
        [name, cell["n"], _percent(cell["model"], cell["model_ci"]), *map(_percent, map(cell.get, BASELINES))]
        for name, cell in _evidence("pointing").items()
    ]
    return _table_or_none(titles, rows)


def gains() -> str:
    """RETURNS (str): A table of what alignment adds to F1, in points."""
    controls = {"": "aligned", "_shuffled": "aligned, shuffled"}
    rows = [
        [key, control, cell["seeds"], signed(cell["mean"]), interval(cell["ci"])]
        for key in ("all", "300")
        for end, control in controls.items()
        if (cell := _evidence("alignment").get(f"f1_gain_{key}{end}"))
    ]
    return _table_or_none(["Labelled posts", "Run", "Seeds", "Points", "95 %"], rows)


def _evidence(name: str) -> dict:
    """RETURNS (dict): A file of evidence; empty where there is none."""
    path = ROOT / "docs" / "evidence" / f"{name}.json"
    return srsly.read_json(path) if path.is_file() else {}


def _percent(value: float, bounds: Sequence[float] = ()) -> str:
    return f"{value} %" + (f" [{bounds[0]}, {bounds[1]}]" if bounds else "")


def _table_or_none(titles: list[str], rows: list[list]) -> str:
    return table(titles, rows, left=2) if rows else "*Not measured yet.*\n"


def evidence(files: Sequence[Path]) -> str:
    """RETURNS (str): A page that lists the files of evidence and what each of them holds."""
    rows = [[f"[{path.name}](evidence/{path.name})", _held(srsly.read_json(path))] for path in files]
    return "# Evidence\n\nThe numbers behind the pages before this one, as commands wrote them.\n\n" + table(
        ["File", "Holds"], rows, left=2
    )


def _held(content: dict | list) -> str:
    """RETURNS (str): The keys of a file of evidence; of a list of runs, those of any."""
    keys = content if isinstance(content, dict) else {key for run in content for key in run}
    return ("" if isinstance(content, dict) else f"{len(content)} runs: ") + ", ".join(sorted(keys))


@cache
def _package() -> griffe.Module:
    """RETURNS (Module): The package as its source says, without importing it."""
    return griffe.load("spacy_bga", search_paths=[ROOT], allow_inspection=False)  # type: ignore[return-value]


def _meanings(obj: griffe.Object) -> dict[str, str]:
    """RETURNS (dict[str, str]): What the docstring says of each name."""
    listed = [entry for part in obj.docstring.value.split("\n\n") for entry in entries(part)[1]]
    return {name: meaning for names, _, meaning in listed for name in names.split(", ")}


def _settings(function: griffe.Function, meanings: dict[str, str] | None = None) -> str:
    meanings = meanings or _meanings(function)
    rows = [
        [
            f"`{parameter.name}`",
            f"<code>{escape(str(parameter.annotation)).replace('|', '&#124;')}</code>",
            "required" if parameter.default is None else f"`{parameter.default}`",
            text(meanings[parameter.name]),
        ]
        for parameter in function.parameters
    ]
    return table(["Setting", "Type", "Default", "Meaning"], rows, left=4)
