"""Docstrings in the house's form become what griffe parses, and nothing of them is lost."""

from __future__ import annotations

import logging
import sys

import griffe
import pytest

from tests.docs.conftest import ROOT

sys.path.insert(0, str(ROOT / "docs" / "builder"))
from docstrings import HouseDocstrings, to_google

HOUSE = """Tag a text.

text (str): What to tag, brackets (and the like) in it. max_length (Optional[int]): The longest; None:
    any. seeds, steps (tuple[int, ...]): Numbers.
RETURNS (dict[str, float]): The scores. RAISES (BGAError): There is (by mistake): nothing.

Last words.
"""


def test_entries_become_sections():
    assert to_google(HOUSE.strip()).split("\n\n") == [
        "Tag a text.",
        "Last words.",
        "Args:\n    text (str): What to tag, brackets (and the like) in it.\n"
        "    max_length (Optional[int]): The longest; None: any.\n"
        "    seeds (tuple[int, ...]): Numbers.\n    steps (tuple[int, ...]): Numbers.",
        "Returns:\n    dict[str, float]: The scores.",
        "Raises:\n    BGAError: There is (by mistake): nothing.",
    ]


def test_prose_stays_as_it_is():
    assert to_google("One line (or two): no entry.\n\nIt is prose (mostly): so it stays.") == (
        "One line (or two): no entry.\n\nIt is prose (mostly): so it stays."
    )


@pytest.fixture(scope="module")
def package() -> griffe.Module:
    extensions = griffe.load_extensions(HouseDocstrings())
    return griffe.load("spacy_bga", search_paths=[ROOT], extensions=extensions, allow_inspection=False)  # type: ignore[return-value]


def functions(module: griffe.Object) -> list[griffe.Function | griffe.Class]:
    found: list[griffe.Function | griffe.Class] = []
    for member in module.members.values():
        if member.is_alias:
            continue
        if member.is_function or member.is_class:
            found.append(member)  # type: ignore[arg-type]
        found += functions(member)  # type: ignore[arg-type]
    return found


def test_every_entry_names_a_parameter(package: griffe.Module, caplog: pytest.LogCaptureFixture):
    """griffe warns of entries for parameters that a function doesn't have: docstrings that have gone stale."""
    caplog.set_level(logging.WARNING)
    documented = 0
    for obj in functions(package):
        if obj.docstring is not None:
            documented += len(obj.docstring.parse("google"))
    assert documented > 500
    assert [record.getMessage() for record in caplog.records] == []
