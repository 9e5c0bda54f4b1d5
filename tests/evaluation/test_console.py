from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.evaluation import workflow
from spacy_bga.evaluation.processes import Usage, last_lines, run_command


def test_results_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["results"])
    assert done.exit_code == 0
    assert "Missing: the run text_only" in done.stderr
    assert Path("docs/results.md").is_file()
    for name in ("main_job", "ablation", "alignment"):
        assert Path(f"docs/evidence/{name}.json").is_file()


def test_a_workflow_is_timed_only_if_it_goes_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    usage = Usage(1, 2.0, 1.0)
    commands = []

    def run(command: list[str]) -> Usage:
        commands.append(command)
        return usage

    monkeypatch.setattr(workflow, "run_command", run)
    done = CliRunner().invoke(app, ["time-workflow", "all"])
    assert done.exit_code == 1
    assert "B517" in done.stderr
    assert not Path("docs").exists()
    usage = Usage(0, 2.0, 1.0)
    assert CliRunner().invoke(app, ["time-workflow", "all"]).exit_code == 0
    assert commands[-1] == [sys.executable, "-m", "spacy", "project", "run", "all", "--force"]
    record = json.loads(Path("docs/runs/all_workflow.json").read_text(encoding="utf8"))
    assert (record["workflow"], record["wall_s"], record["exit_code"]) == ("all", 2.0, 0)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["runs", "absent.yml"], "B501"),
        (["runs", "absent.yml", "--set", "x"], "B508"),
        (["measure-package", "absent", "--encoder", "x"], "B516"),
    ],
)
def test_errors_are_one_line_without_a_traceback(
    arguments: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"[{code}]")


def test_a_command_is_measured_and_its_threads_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPACY_CONFIG_OVERRIDES", "--training.max_steps=1")
    code = "import os; print([os.environ.get(k) for k in ('OMP_NUM_THREADS', 'SPACY_CONFIG_OVERRIDES')]); 1 / 0"
    log = tmp_path / "log"
    usage = run_command([sys.executable, "-c", code], log=log, threads=3)
    assert usage.exit_code == 1
    assert usage.wall_s >= 0
    text = log.read_text(encoding="utf8")
    assert "['3', None]" in text
    assert last_lines(log, 1).startswith("ZeroDivisionError")
    assert last_lines(tmp_path / "absent") == ""
