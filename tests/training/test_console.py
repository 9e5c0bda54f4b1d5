"""`python -m spacy_bga train`, with the options of `spacy train`."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.training.folders import locked
from tests.training.conftest import Overrides

CODE = """
import spacy

@spacy.registry.callbacks("tests.note_name")
def create():
    def note(nlp):
        nlp.meta["name"] = "noted"
        return nlp
    return note
"""


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["train", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture
def options(overrides: Overrides) -> list[str]:
    short = ["--training.max_steps", "2", "--training.eval_frequency=2"]
    return [*short, *(part for name, value in overrides.items() for part in (f"--{name}", value))]


def test_trains_with_code(project: Path, tmp_path: Path, options: list[str]):
    (tmp_path / "code.py").write_text(CODE, encoding="utf8")
    callback = ["--training.before_to_disk", '{"@callbacks": "tests.note_name"}']
    code, text = call(
        project / "config.cfg", "-o", tmp_path / "out", "--code", tmp_path / "code.py", *options, *callback
    )
    assert code == 0, text
    assert "Saved pipeline to output directory" in text
    assert spacy.load(tmp_path / "out" / "model-best").meta["name"] == "noted"


def test_errors_in_one_line(project: Path, tmp_path: Path, options: list[str]):
    assert call(tmp_path / "no.cfg", "--output", tmp_path / "out")[1].startswith("[B672]")
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"):
        code, text = call(project / "config.cfg", "--output", tmp_path / "out", *options)
    assert (code, text.startswith("[B671]"), "Traceback" in text) == (1, True, False)


@pytest.mark.parametrize("more", [["--no-such-option"], ["--training.max_steps", "many"], ["--code", "no.py"]])
def test_wrong_options(project: Path, tmp_path: Path, options: list[str], more: list[str]):
    assert call(project / "config.cfg", "--output", tmp_path / "out", *options, *more)[0] != 0
    assert not (tmp_path / "out" / "model-last").exists()
