"""Functions in fresh processes, and what the campaigns say where something is missing."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import posixpath
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability.fresh import call_fresh
from spacy_bga.reliability.sameness import sources


def test_a_function_is_called_elsewhere():
    assert call_fresh(posixpath.join, Path("a"), "b") == "a/b"
    assert call_fresh(os.getenv, "PYTHONHASHSEED", environment={"PYTHONHASHSEED": "7"}) == "7"
    assert call_fresh(multiprocessing.parent_process) is None


def test_one_that_fails(capfd: pytest.CaptureFixture):
    with pytest.raises(BGAError, match=r"B753.*json\.loads failed.*code 1"):
        call_fresh(json.loads, "{")
    assert "JSONDecodeError" in capfd.readouterr().err


def test_a_command_that_fails(tmp_path: Path):
    with pytest.raises(BGAError, match=r"B754.*`spacy package` failed(.|\n)*none' does not exist"):
        sources._run(tmp_path, "spacy", "package", tmp_path / "none", tmp_path)


@pytest.mark.parametrize(("campaign", "package", "error"), [("soak", "psutil", "B752"), ("sameness", "build", "B755")])
def test_a_package_that_is_missing(campaign: str, package: str, error: str, monkeypatch: pytest.MonkeyPatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    done = CliRunner().invoke(app, ["reliability", campaign])
    assert done.exit_code == 1
    assert error in done.output
