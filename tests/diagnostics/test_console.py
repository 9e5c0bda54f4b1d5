from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner
from wasabi import Printer

from spacy_bga.cli import app
from spacy_bga.diagnostics.report import Finding, Places, Report, Section, Table, print_report, summary_line


@pytest.fixture
def run(tmp_path, make_config, monkeypatch):
    """Runs the command on the config, with overrides."""
    make_config()
    monkeypatch.delenv("SPACY_CONFIG_OVERRIDES", raising=False)

    def run(*arguments: object, config: str = "config.cfg"):
        command = ["debug-data", str(tmp_path / config), *map(str, arguments)]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    return run


@pytest.fixture
def train(make_doc, save):
    docs = [make_doc(f"Kevin number {i}", [(0, 1, "PER")] if i else []) for i in range(9)]
    return save([*docs, make_doc("Paris here", [(0, 1, "LOC")])], "train.spacy")


def test_warnings_pass(run, train, tmp_path):
    report = tmp_path / "out" / "report.json"
    result = run("--paths.train", train, "--paths.dev", train, "--json", report, "--no-format")
    assert result.exit_code == 0, result.output
    lines = result.output.strip().splitlines()
    found = json.loads(report.read_text(encoding="utf8"))
    assert lines[-1] == summary_line(found["counts"])
    assert found["counts"]["error"] == 0
    assert found["counts"]["warning"] >= 2
    leak = next(f for section in found["sections"] for f in section["findings"] if f["kind"] == "text-leak")
    assert (leak["level"], leak["count"], len(leak["examples"])) == ("warning", 10, 10)
    assert "... and 7 more" in result.output
    assert "To mend it: " in result.output


def test_errors_fail(run, train, tmp_path):
    result = run("--paths.train", train)
    assert result.exit_code == 1
    assert "[corpora.dev] has no path" in result.output
    assert result.output.strip().splitlines()[-1].startswith("1 error, ")


def test_ignored_warnings_and_images(run, train):
    result = run("--paths.train", train, "--paths.dev", train, "--ignore-warnings", "--no-images")
    assert result.exit_code == 0
    assert "text-leak" not in result.output
    assert "are in train, too" not in result.output
    assert "Images were not looked at" in result.output


def test_what_is_no_config(run, train, tmp_path):
    assert "B363" in run(config="absent.cfg").output
    (tmp_path / "bad.cfg").write_text("[paths\n", encoding="utf8")
    assert run(config="bad.cfg").exit_code == 1
    result = run("--paths.train", train, "--paths.dev", train, "--json", tmp_path)
    assert result.exit_code == 1
    assert "B362" in result.output
    result = run("--paths.train", train, "--image-root", tmp_path / "absent")
    assert result.exit_code == 1
    assert "B331" in result.output


def test_report(capsys):
    places = Places()
    assert places.finding("x", "error", "none") == []
    for i in range(4):
        places.add(f"place {i}")
    [finding] = places.finding("x", "error", "Bad things: {count}", "a cure")
    sections = (Section("One", (finding, Finding("y", "info", "Hm")), (Table(("Label", "n"), (("PER", 1200),)),)),)
    report = Report(sections)
    assert report.counts() == {"error": 1, "warning": 0, "info": 1, "good": 0}
    assert json.loads(report.to_json())["sections"][0]["findings"][0]["examples"] == places.examples
    print_report(report, Printer(pretty=False))
    text = capsys.readouterr().out
    for part in ("One", "1,200", "Bad things: 4", "place 2", "... and 1 more", "a cure", "Hm", "1 error, 0 warnings"):
        assert part in text
    assert "place 3" not in text
