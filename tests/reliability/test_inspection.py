"""Half a pipeline, one that is gone, and one that differs are noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import spacy

from spacy_bga.reliability.inspection import differences, inspect, moment_of


@pytest.fixture
def output(tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Warriors"}])
    nlp.meta["performance"] = {"speed": 1.0, "ents_f": 0.5}
    (tmp_path / "out").mkdir()
    for name in ("model-best", "model-last"):
        nlp.to_disk(tmp_path / "out" / name)
    return tmp_path / "out"


def test_nothing_wrong(output: Path):
    assert inspect(output, {"model-best", "model-last"}) == []
    assert inspect(output / "nowhere", set()) == []


def test_half_a_pipeline(output: Path):
    (output / "model-best" / "tokenizer").unlink()
    (output / "model-last" / "entity_ruler" / "patterns.jsonl").write_text("{", encoding="utf8")
    found = inspect(output, set())
    assert [fault.partition(":")[0] for fault in found] == ["model-best can't be used", "model-last can't be used"]


def test_a_pipeline_that_is_gone(output: Path):
    shutil.rmtree(output / "model-best")
    assert inspect(output, {"model-best", "model-last"}) == ["model-best is gone"]
    assert inspect(output, set()) == []


def test_differences(output: Path, tmp_path: Path):
    other = shutil.copytree(output, tmp_path / "other")
    assert differences(output, other) == []
    meta = json.loads((other / "model-last" / "meta.json").read_text(encoding="utf8"))
    meta["performance"]["speed"] = 2.0
    (other / "model-last" / "meta.json").write_text(json.dumps(meta), encoding="utf8")
    assert differences(output, other) == []
    meta["performance"]["ents_f"] = 0.6
    (other / "model-last" / "meta.json").write_text(json.dumps(meta), encoding="utf8")
    (other / "model-best" / "more").touch()
    shutil.rmtree(other / "model-best" / "entity_ruler")
    assert differences(output, other) == [
        *(f"model-best/entity_ruler/{name}" for name in ("cfg", "patterns.jsonl")),
        "model-best/more",
        "model-last/meta.json",
    ]


@pytest.mark.parametrize(
    ("there", "moment"),
    [
        ([], "before the first evaluation"),
        (["model-last"], "before the first evaluation"),
        ([".model-last.new"], "replacing model-last"),
        (["model-last", ".model-best.new"], "replacing model-best"),
        (["model-last", "model-best", ".checkpoint.old"], "replacing checkpoint"),
        (["model-last", "model-best", "checkpoint"], "between evaluations"),
    ],
)
def test_moments(tmp_path: Path, there: list[str], moment: str):
    for name in there:
        (tmp_path / name).mkdir()
    assert moment_of(tmp_path) == moment
