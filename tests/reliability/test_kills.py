"""The campaign of kills in its short form: real processes, really killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability.victim import Victim, prepare_processes

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGKILL"),
    pytest.mark.timeout(300),
]


def test_three_kills(tmp_path: Path):
    files = ["--output", str(tmp_path / "evidence.json"), "--page", str(tmp_path / "page.md")]
    done = CliRunner().invoke(app, ["reliability", "kills", "--kills", "3", "--steps", "8", *files])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evidence.json").read_text(encoding="utf8"))
    assert found["kills"] == 3
    assert found["kills_without_loadable_state"] == 0
    assert found["resumed_trainings"] == found["resumed_trainings_identical"] >= 1
    campaign = found["campaigns"]["kills"]
    assert sum(campaign["moments"].values()) == sum(run["kills"] for run in campaign["resumed"]) == 3
    assert campaign["best_score"]["undisturbed"] == campaign["best_score"]["resumed_lowest"]
    assert str(tmp_path) not in json.dumps(found["campaigns"])
    assert "| trainings killed with SIGKILL at a random moment | 3 |" in (tmp_path / "page.md").read_text("utf8")


def test_a_training_that_fails_by_itself(tmp_path: Path):
    (tmp_path / "project").mkdir()
    victim = Victim(prepare_processes(), tmp_path, "out", {})
    victim.start()
    with pytest.raises(BGAError, match=r"B680(.|\n)*B672.*config\.cfg"):
        victim.stop_after(None)
