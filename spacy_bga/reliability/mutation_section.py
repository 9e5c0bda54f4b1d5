"""The section of `docs/reliability.md` about the campaign of mutation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table, text
from spacy_bga.reliability.mutation import NOTICED

ABOUT = """## The tests notice when the code is wrong

[mutmut](https://mutmut.readthedocs.io) changes a module in one place at a time (another operator, number, argument or
text), and runs the module's own tests on each of these mutants: one that none of them notices survives. Of a module
with many, some are drawn at random. A survivor is a line that no test depends on, or a change that changes nothing.
"""


def mutation_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    origin, modules = details["origin"], details["modules"]
    rows = [
        (
            f"`{module['module']}`",
            f"{module['tried']:,} of {module['made']:,}",
            f"{sum(module['outcomes'].get(outcome, 0) for outcome in NOTICED):,}",
            f"{record['mutation_score'][name]:.1f} %",
        )
        for name, module in modules.items()
    ]
    survivors = [
        (f"`{module['module']}`", *(f"`{text(part)}`" for part in _sides(lines)))
        for module in modules.values()
        for lines in module["survivors"].values()
    ]
    return "\n".join(
        [
            ABOUT,
            table(["module", "mutants tried", "noticed", "score"], rows),
            *([table(["survivor in", "before", "after"], survivors, left=3)] if survivors else []),
            f"`{origin['command']}`, seed {details['seed']}, at {origin['commit']}.\n",
        ]
    )


def _sides(lines: list[str]) -> tuple[str, str]:
    """RETURNS (tuple[str, str]): What was there before, and after."""
    before, after = (" ".join(line[2:] for line in lines if line.startswith(sign)) for sign in "-+")
    return before or " ", after or " "
