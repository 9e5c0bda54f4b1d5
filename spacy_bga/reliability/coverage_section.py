"""The section of `docs/reliability.md` about the coverage of the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table
from spacy_bga.reliability.suite_coverage import share

LOWEST = 20

ABOUT = """## The tests take nearly every branch

Measured by [coverage.py](https://coverage.readthedocs.io) while the whole suite runs, none of it deselected, with the
commands, workers and forked children that the tests start. A branch is a jump of the code, such as an `if` that holds
or doesn't; what counts is how many of all of them were taken. What needs a GPU, a browser or data that isn't part of
the repository is skipped where it is absent, and its branches count as not taken.
"""


def coverage_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    tests, total, origin = details["tests"], details["total"], details["origin"]
    rows = [
        ("branches taken", f"{total['taken']:,} of {total['branches']:,}", _percent(record["branch_coverage"])),
        ("lines run", f"{total['run']:,} of {total['lines']:,}", _percent(share(total["run"], total["lines"]))),
        *((f"tests {name}", f"{number:,}", "") for name, number in tests.items()),
    ]
    return "\n".join(
        [
            ABOUT,
            table(["what", "how many", "share"], rows),
            table(["folder", "branches taken", "share"], [_row(name, file) for name, file in _folders(details)]),
            f"The {LOWEST} files with the lowest share:\n",
            table(["file", "branches taken", "share"], [_row(name, file) for name, file in _lowest(details)]),
            f"`{origin['command']}`, at {origin['commit']}.\n",
        ]
    )


def _folders(details: Mapping[str, Any]) -> list[tuple[str, tuple[int, int]]]:
    return [(name, (folder["taken"], folder["branches"])) for name, folder in details["folders"].items()]


def _lowest(details: Mapping[str, Any]) -> list[tuple[str, tuple[int, int]]]:
    return [(name, (taken, branches)) for name, taken, branches in details["files"][:LOWEST]]


def _row(name: str, counts: tuple[int, int]) -> tuple[str, str, str]:
    taken, branches = counts
    return f"`{name}`", f"{taken:,} of {branches:,}", _percent(share(taken, branches))


def _percent(value: float) -> str:
    return f"{value:.1f} %"
