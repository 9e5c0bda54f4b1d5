"""The project file names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import srsly
from typer.testing import CliRunner

from spacy_bga.cli import app

ROOT = Path(__file__).parent.parent
PROJECT = srsly.read_yaml(ROOT / "project.yml")
SCRIPTS = [line for command in PROJECT["commands"] for line in command["script"]]


def test_workflows_are_made_of_commands():
    names = [command["name"] for command in PROJECT["commands"]]
    assert len(names) == len(set(names))
    assert {name for steps in PROJECT["workflows"].values() for name in steps} <= set(names)


def named_files() -> list[str]:
    """RETURNS (list[str]): What the commands read of configs and assets."""
    return sorted({path for line in SCRIPTS for path in re.findall(r"(?:configs|assets)/[\w./-]+", line)})


def test_configs_and_assets_exist():
    assert "configs/starter.cfg" in named_files()
    assert [path for path in named_files() if not (ROOT / path).exists()] == []


def test_console_commands_exist():
    names = {name for line in SCRIPTS for name in re.findall(r"-m spacy_bga ([\w-]+)", line)}
    assert {"encoders", "convert", "runs", "results"} <= names
    for name in sorted(names):
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0, name
        assert "Example" in result.output, name


def test_variables_are_defined():
    used = {name for line in SCRIPTS for name in re.findall(r"\$\{vars\.(\w+)\}", line)}
    assert used <= set(PROJECT["vars"])
