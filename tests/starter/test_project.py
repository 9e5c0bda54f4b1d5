"""A project of one's own: the same files as the repository's, and nothing overwritten."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.starter import project as project_module
from spacy_bga.starter import template
from spacy_bga.starter.template import template_files, template_folder
from tests.test_project import ROOT, named_files

EMBEDDED = ROOT / "assets" / "embedded"


def run(*arguments: object):
    return CliRunner().invoke(app, ["init-project", *map(str, arguments)])


def files_below(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_project(tmp_path: Path):
    result = run(tmp_path / "mine")
    assert result.exit_code == 0, result.output
    assert "spacy project run all" in result.output
    written = files_below(tmp_path / "mine")
    copied = [path for path in written if path.parts[:2] != ("assets", "embedded") or path.suffix == ".md"]
    assert copied == template_files(ROOT)
    assert [path for path in copied if not filecmp.cmp(ROOT / path, tmp_path / "mine" / path, shallow=False)] == []
    assert files_below(tmp_path / "mine" / "assets" / "embedded") == files_below(EMBEDDED)
    assert [path for path in named_files() if not (tmp_path / "mine" / path).exists()] == []


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "paper.cfg").write_text("mine", encoding="utf8")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "[B633] There is a configs/paper.cfg in" in result.output
    assert files_below(tmp_path) == [Path("configs/paper.cfg")]


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "mine").write_text("", encoding="utf8")
    assert "B634" in run(tmp_path / "mine").output


def test_other_files_may_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(project_module, "generate", lambda folder: folder.mkdir(parents=True, exist_ok=True))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf8")
    assert run(tmp_path).exit_code == 0
    assert (tmp_path / "notes.txt").read_text(encoding="utf8") == "mine"
    assert (tmp_path / "project.yml").is_file()


def test_where_the_template_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert template_folder() == ROOT
    assert Path("configs/starter.cfg") in template_files(ROOT)
    installed = tmp_path / "starter" / template.INSTALLED
    installed.mkdir(parents=True)
    monkeypatch.setattr(template, "__file__", str(tmp_path / "starter" / "template.py"))
    assert template_folder() == installed
