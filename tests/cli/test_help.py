"""Each command says what it does, and shows how; the example is one that it takes."""

from __future__ import annotations

import re

import pytest
import typer.main
from typer.testing import CliRunner

from spacy_bga.cli import app
from tests.commands import Checker, leaves, parse

COMMANDS = leaves(typer.main.get_command(app))


def example(command: str) -> str:
    """RETURNS (str): The paragraph of a command's help that begins with "Example:"."""
    found = re.findall(r"^Example: ((?:.+(?:\n|$))+)", COMMANDS[command].help, flags=re.MULTILINE)
    assert len(found) == 1, "one example each"
    return " ".join(found[0].split())


def test_commands_are_found():
    assert {"convert", "debug-data", "view", "reliability kills"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_shows_an_example_that_parses(command: str):
    line = example(command)
    assert line.startswith(f"python -m spacy_bga {command} ")
    assert Checker().check(line) == 1
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "Example: python -m spacy_bga" in shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_and_option_is_explained(command: str):
    assert [parameter.name for parameter in COMMANDS[command].params if not parameter.help] == []


def test_the_application_itself_lists_every_command():
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    assert [command for command in COMMANDS if command.split()[0] not in shown] == []


def test_an_unknown_option_is_no_override():
    """`parse` is what the examples are judged by."""
    with pytest.raises(AssertionError, match="--imags"):
        parse(app, ["alignment", "model", "pairs.spacy", "--imags", "photos"])
