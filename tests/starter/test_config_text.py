"""Comments of configs survive their being read and filled."""

from __future__ import annotations

from pathlib import Path

import pytest
from thinc.api import Config

from spacy_bga.pipeline.bga_ner import DEFAULT_CONFIG
from spacy_bga.starter.config_text import arrange_sections, read_comments, write_comments
from spacy_bga.starter.template import template_folder

CONFIGS = sorted((template_folder() / "configs").glob("*.cfg"))
TEXT = """# On the file.

[a]
# Two lines
# on one setting.
x = 1
y = "# no comment"

# On a section.
[a.b]
@call = "f"
# On nothing.

[c]
* = {"z":1}
"""


def test_read():
    assert read_comments(TEXT) == {"a.x": ["# Two lines", "# on one setting."], "a.b": ["# On a section."]}
    assert read_comments("[t]\n# One.\nx = 1\n", below="s") == {"s.t.x": ["# One."]}
    assert read_comments("") == {}


def test_write():
    plain = Config().from_str(TEXT).to_str()
    written = write_comments(plain, read_comments(TEXT) | {"a.y": ["# New."], "nowhere.x": ["# Lost."]})
    assert read_comments(written) == read_comments(TEXT) | {"a.y": ["# New."]}
    assert Config().from_str(written) == Config().from_str(TEXT)
    assert write_comments("", {"a": ["# No place."]}) == ""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_round_trip_of_each_config(path: Path):
    text = path.read_text(encoding="utf8")
    plain = Config().from_str(text, interpolate=False).to_str(interpolate=False)
    assert "#" not in plain
    assert read_comments(write_comments(plain, read_comments(text))) == read_comments(text)


def test_every_setting_of_the_component_has_a_comment():
    named = read_comments(DEFAULT_CONFIG, below="components")
    settings = [
        key for key, value in Config().from_str(DEFAULT_CONFIG)["bga_ner"].items() if key not in ("model", "scorer")
    ]
    assert [key for key in settings if f"components.bga_ner.{key}" not in named] == []


def test_sections_are_arranged():
    text = "[b]\nx = 1\n\n[a]\n\n[c]\n\n[b.b]\ny = 2\n\n[a.z]\n\n[b.a]\n\n[b.a.c]\n"
    arranged = arrange_sections(text, ["b", "a"])
    assert [line for line in arranged.splitlines() if line.startswith("[")] == [
        "[b]",
        "[b.a]",
        "[b.a.c]",
        "[b.b]",
        "[a]",
        "[a.z]",
        "[c]",
    ]
    assert Config().from_str(arranged) == Config().from_str(text)
