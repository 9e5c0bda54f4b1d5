"""Every code block of the README and the site: Python runs, commands exist, settings are what a config may have.

Sybil finds the blocks and runs those of a page in order, in one namespace. (pytest-examples and pytest-markdown-docs
know Python blocks alone.)
"""

from __future__ import annotations

import contextlib
import io
import json
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt
from spacy.util import load_config
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from thinc.api import Config

from tests.commands import Checker, CommandError
from tests.docs.conftest import ROOT
from tests.settings import read_part, validate

PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "bash", "console", "json", "ini", "text", "mermaid"}


def test_a_page_is_found():
    names = {path.relative_to(ROOT).as_posix() for path in PAGES}
    assert {"README.md", "docs/results.md", "docs/site/tutorial/first-pipeline.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks(page: Path, workspace: Path):
    fences = [token for token in MarkdownIt().parse(page.read_text(encoding="utf8")) if token.type == "fence"]
    assert {token.info for token in fences} <= LANGUAGES
    checker = Checker()
    evaluators = {
        "python": run_python,
        "bash": lambda example: check_console(checker, example.parsed),
        "console": lambda example: check_console(checker, example.parsed),
        "json": lambda example: check_json(example.parsed),
        "ini": lambda example: check_config(example.parsed),
        "text": lambda example: None,
        "mermaid": lambda example: None,
    }
    parsers = [CodeBlockParser(language, evaluator) for language, evaluator in evaluators.items()]
    examples = list(Sybil(parsers=parsers).parse(page))
    assert len(examples) == len(fences)
    for example in examples:
        example.evaluate()


def run_python(example) -> None:
    """Run a block; what it prints is what the comments under its prints say, where "..." stands for anything."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        PythonEvaluator()(example)
    if expected := said_output(example.parsed):
        right = OutputChecker().check_output(expected, printed.getvalue(), ELLIPSIS)
        assert right, f"{example.path}, line {example.line} printed {printed.getvalue()}"


def said_output(source: str) -> str:
    """RETURNS (str): The comments that stand directly below a print, a line each."""
    said, below = "", False
    for line in source.splitlines():
        if below and line.startswith("# "):
            said += line.removeprefix("# ") + "\n"
        else:
            below = line.lstrip().startswith("print(")
    return said


def check_console(checker: Checker, script: str) -> None:
    assert checker.check(script) > 0


def check_json(source: str) -> None:
    assert [json.loads(line) for line in source.splitlines()]


def check_config(source: str) -> None:
    """Part of a config has to fit into the starter config."""
    starter = load_config(ROOT / "configs" / "starter.cfg", interpolate=False)
    validate(Config(starter).merge(read_part(source)))


def test_wrong_output_is_found():
    example = SimpleNamespace(parsed="print(1)\n# 2", path="page.md", line=0, namespace={})
    example.parsed = type("Lexeme", (str,), {"line_offset": 0})(example.parsed)
    with pytest.raises(AssertionError):
        run_python(example)


@pytest.mark.parametrize(
    "line",
    [
        "python -m spacy_bga view model",
        "python -m spacy_bga view model corpus.spacy --imags photos",
        "python -m spacy_bga look model corpus.spacy",
        "python -m spacy train unknown.cfg --paths.train x",
        "python -m spacy project run everything",
        "python -m spacy project run all . --vars.colour 1",
        'python -m pip install "spacy_bga[everything]"',
        "rm -rf training",
    ],
)
def test_wrong_commands_are_found(line: str):
    with pytest.raises(CommandError):
        Checker().check(line)


@pytest.mark.parametrize("setting", ["training.steps", "components.bga_ner.model.layers"])
def test_an_override_that_no_config_may_have_is_found(setting: str):
    with pytest.raises(Exception, match=r"steps|layers"):
        Checker().check(f"python -m spacy train configs/starter.cfg --{setting} 3")


@pytest.mark.parametrize(
    "part",
    [
        "[components.bga_ner]\non_mising = 1",
        "[components.bga_ner.model]\nkeep = 0.5",
        '[training.batcher]\n@batchers = "spacy_bga.batch_by_length.v1"\nsize = "many"',
        "[training]\nsteps = 3",
    ],
)
def test_wrong_settings_are_found(part: str):
    with pytest.raises(Exception, match=r"on_mising|keep|size|steps"):
        check_config(part)
