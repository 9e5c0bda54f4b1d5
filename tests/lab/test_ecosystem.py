"""The figures of one encoder for a whole pipeline, and the versions that the tests ran on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, Span

from lab.ecosystem import PIPELINES, annotate, config_of, ratio, versions, write

REPORT = """<testsuites><testsuite name="pytest" tests="5" failures="1" errors="1" skipped="1">
<testcase classname="tests.pipeline.test_a.TestB" name="c" /><testcase classname="tests.test_project" name="d" />
<testcase classname="tests.golden.test_golden" name="e" /></testsuite></testsuites>"""


def test_tags_and_categories_by_a_rule():
    doc = Doc(spacy.blank("en").vocab, words=["@kevin", "saw", "the", "2", "Oaks", "!"])
    doc.set_ents([Span(doc, 4, 5, label="LOC")])
    annotate(doc)
    assert [token.tag_ for token in doc] == ["LINK", "CONTENT", "FUNCTION", "NUMBER", "NAME", "SIGN"]
    assert [label for label, value in doc.cats.items() if value] == ["LOC"]


@pytest.mark.parametrize("name", PIPELINES)
def test_configs(name: str, tmp_path: Path):
    config = spacy.util.load_config(config_of(name, tmp_path))
    assert list(config["components"]) == config["nlp"]["pipeline"] == PIPELINES[name]
    for component in set(PIPELINES[name]) - {"bga_ner"}:
        own = config["components"][component]["model"]["tok2vec"]["@architectures"]
        assert (own == "spacy_bga.BGATok2Vec.v1") is (name != "shared")


def test_ratios_are_of_rounds_in_turn():
    calls: list[str] = []
    found = ratio(lambda: calls.append("slow") or sum(range(10**6)), lambda: calls.append("fast"), rounds=2)
    assert calls == ["fast", "slow", "slow", "fast"]
    assert found["rounds"] == 2
    assert 1 < found["least"] <= found["median"] <= found["most"]


def test_reports_of_tests(tmp_path: Path):
    """Those of the same versions and tests replace one another."""
    (tmp_path / "report.xml").write_text(REPORT, encoding="utf8")
    part = versions([tmp_path / "report.xml"])
    assert part["tests"] == ["tests/golden", "tests/pipeline", "tests/test_project.py"]
    assert (part["passed"], part["failed"], part["skipped"]) == (2, 2, 1)
    assert part["spacy"] == spacy.__version__
    assert part["commit"]
    path = tmp_path / "evidence.json"
    for entry in (part, part | {"passed": 3}, part | {"torch": "2.5"}):
        write(entry, into="versions", path=path)
    write({"speed_ratio": 2.0}, path=path)
    known = json.loads(path.read_text(encoding="utf8"))
    assert [(entry["passed"], entry["torch"]) for entry in known["versions"]] == [(3, part["torch"]), (2, "2.5")]
    assert known["listeners"] == {"speed_ratio": 2.0}
