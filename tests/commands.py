"""Command lines as documentation shows them, held against the commands that there are."""

from __future__ import annotations

import contextlib
import re
import shlex
import tempfile
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import srsly
import typer.main
from spacy.cli._util import app as spacy_app
from spacy.cli._util import parse_config_overrides
from spacy.util import load_config

from spacy_bga.cli import app
from tests.settings import validate

ROOT = Path(__file__).parent.parent
PROJECT = srsly.read_yaml(ROOT / "project.yml")
PYTHONS = ("python", "python3", ".venv/bin/python")
# Commands of the shell and modules of Python that documentation may use; their arguments are theirs.
SHELL = ("cd", "mkdir", ".")
MODULES = ("venv", "pytest", "mkdocs")


class CommandError(AssertionError):
    """A command line that would not do what it says."""


def split(script: str) -> Iterator[list[str]]:
    """YIELDS (list[str]): The words of each command of a script, without prompts, comments and continuations."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


class Checker:
    """Checks the command lines of one page, in order: a config that one of them makes is known to those after it."""

    def __init__(self) -> None:
        self.bases: dict[str, str] = {}

    def check(self, script: str) -> int:
        """script (str): Lines of a console. RETURNS (int): How many commands there were. RAISES (CommandError)."""
        commands = list(split(script))
        for words in commands:
            self._check(words)
        return len(commands)

    def _check(self, words: list[str]) -> None:
        if words[0] in SHELL:
            return
        if words[0] == "pip":
            words = ["python", "-m", *words]
        if words[0] not in PYTHONS or words[1] != "-m":
            raise CommandError(f"what does this do? {shlex.join(words)}")
        module, arguments = words[2], words[3:]
        if module == "spacy_bga":
            self._spacy_bga(arguments)
        elif module == "spacy":
            self._spacy(arguments)
        elif module == "pip":
            _check_extras(arguments)
        elif module not in MODULES:
            raise CommandError(f"unknown module {module}")

    def _spacy_bga(self, arguments: list[str]) -> None:
        name, context = parse(app, arguments)
        if name == "init-config":
            self.bases[str(context.params["output"])] = context.params["base"]
        self._check_overrides(context)

    def _spacy(self, arguments: list[str]) -> None:
        name, context = parse(spacy_app, arguments)
        if name == "project run":
            known = {*PROJECT["workflows"], *(command["name"] for command in PROJECT["commands"])}
            if context.params["subcommand"] not in known:
                raise CommandError(f"the project has no {context.params['subcommand']}")
            for variable in _overrides(context):
                if variable.removeprefix("vars.") not in PROJECT["vars"]:
                    raise CommandError(f"the project has no variable {variable}")
        else:
            self._check_overrides(context)

    def _check_overrides(self, context: Any) -> None:
        """Options that a command leaves over change settings of its config, which has to have them."""
        if not context.args:
            return
        path = next(context.params[key] for key in ("config", "config_path") if key in context.params)
        base = self.bases.get(str(path))
        source = ROOT / "configs" / f"{base}.cfg" if base else ROOT / path
        if not source.is_file():
            raise CommandError(f"nothing on this page makes {path}")
        validate(load_config(source, overrides=_overrides(context), interpolate=False))


def leaves(command: Any, name: str = "") -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The commands below one, those of groups too, by their whole names."""
    if not hasattr(command, "commands"):
        return {name: command}
    return {
        full: leaf
        for part, below in command.commands.items()
        for full, leaf in leaves(below, f"{name} {part}".strip()).items()
    }


def parse(typer_app: typer.Typer, arguments: list[str]) -> tuple[str, Any]:
    """Parse arguments without running anything.

    typer_app (Typer): The console application. arguments (list[str]): What stands after its name.
    RETURNS (tuple[str, Context]): The command's name, and what the parser made of the rest.
    RAISES (CommandError): There is no such command, or it doesn't take these arguments.
    """
    command: Any = typer.main.get_command(typer_app)
    names: list[str] = []
    while hasattr(command, "commands"):
        if not arguments or arguments[0] not in command.commands:
            raise CommandError(f"no command {' '.join([*names, *arguments[:1]])}")
        names.append(arguments[0])
        command, arguments = command.commands[arguments[0]], arguments[1:]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        while True:
            try:
                return " ".join(names), command.make_context(names[-1], list(arguments))
            except Exception as error:  # Typer brings its own copy of click, whose exceptions have no public name
                message = getattr(error, "message", str(error))
                missing = re.search(r"(path|file|dir|directory) '(.+)' does not exist", message, flags=re.IGNORECASE)
                if missing is None:
                    raise CommandError(f"{' '.join(names)} {shlex.join(arguments)}: {message}") from error
                _create(Path(missing[2]), folder=missing[1].lower().startswith("dir"))


def _create(path: Path, *, folder: bool) -> None:
    """Some commands want their arguments to be there, which those of an example need not be."""
    if path.is_absolute() or path.exists():
        raise CommandError(f"can't have {path}")
    (path if folder else path.parent).mkdir(parents=True, exist_ok=True)
    if not folder:
        path.touch()


def _overrides(context: Any) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The options that a command left over, as spaCy reads them."""
    try:
        return parse_config_overrides(list(context.args))
    except SystemExit as error:
        raise CommandError(f"these are no overrides: {shlex.join(context.args)}") from error


def _check_extras(arguments: list[str]) -> None:
    """What pip is to install of this package has to be among its extras."""
    known = set(metadata("spacy_bga").get_all("Provides-Extra") or ())
    for argument in arguments:
        if (wanted := re.fullmatch(r"(?:\.|spacy_bga)\[(.+)\]", argument)) and not set(wanted[1].split(",")) <= known:
            raise CommandError(f"no extra {wanted[1]} in {sorted(known)}")
