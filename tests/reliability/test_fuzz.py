"""The fuzz campaign in its short form, and what it comes to."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability.evidence import record
from spacy_bga.reliability.fuzz import campaign, images, pages
from spacy_bga.reliability.fuzz.campaign import figures, run_fuzz, summarize
from spacy_bga.reliability.fuzz.defects import DEFECTS
from spacy_bga.reliability.fuzz.guided import TARGETS, run_guided
from spacy_bga.reliability.fuzz.kinds import KINDS, check_kinds, load_kind, quotas
from spacy_bga.reliability.fuzz.verdict import Broken
from spacy_bga.reliability.fuzz.worker import Part
from spacy_bga.reliability.page import reliability_page

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the campaign needs Linux")
ROOT = Path(__file__).parents[2]
ORIGIN = {"command": "python -m spacy_bga reliability fuzz", "commit": "abc1234", "versions": {}}
NAMED = {  # what the campaign is to try, however it is called
    "texts": {"all of Unicode", "lone surrogates", "control characters", "bidi characters", "zero-width sequences"},
    "corpora": {"mixed line ends", "byte order marks", "tabs and spaces", "gigantic lines", "spans out of bounds"},
    "configs": {"wrong types", "impossible sizes"},
    "folders": {"missing files", "bit-flipped files", "NaN weights", "safetensors header that lies"},
    "pages": {"scripts in texts", "scripts in labels", "scripts in file names", "scripts in titles"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_short_form(kind: str, tmp_path: Path):
    """Some inputs of each form: none may end otherwise than in an answer or one clear error."""
    inputs = {"texts": 40, "images": 120, "folders": 20, "configs": 30}.get(kind, 60)
    found = run_fuzz(tmp_path, inputs=inputs, seed=1, kinds=[kind], progress=lambda line: None)
    forms = found["details"]["kinds"][kind]
    problems = {form: summary["examples"] for form, summary in forms.items() if summary["problems"]}
    assert problems == {}
    assert NAMED.get(kind, set()) <= forms.keys()
    assert all(0 < form["inputs"] <= form["tried"] for form in forms.values())
    assert all(form["answers"] + sum(form["errors"].values()) == form["tried"] for form in forms.values())
    assert sum(found["figures"]["inputs_tried"].values()) >= inputs * 0.8


def test_parts_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = run_fuzz(tmp_path, inputs=40, kinds=["pages"], progress=lambda line: None)
    monkeypatch.setattr(campaign, "run_part", lambda *args, **settings: pytest.fail("run again"))
    assert run_fuzz(tmp_path, inputs=40, kinds=["pages"], progress=lambda line: None) == first
    monkeypatch.setattr(campaign, "commit", lambda: "another")
    with pytest.raises(pytest.fail.Exception, match="run again"):
        run_fuzz(tmp_path, inputs=40, kinds=["pages"], progress=lambda line: None)


def test_every_form_gets_its_share():
    kinds = {name: load_kind(name) for name in KINDS}
    wanted = quotas(110_000, kinds)
    assert sum(wanted.values()) >= 110_000
    assert min(wanted.values()) > 1000
    assert {kind for kind, _ in wanted} == set(KINDS)
    assert len(images.FORMS) == 21


def test_unknown_kind():
    assert check_kinds(["pages", "texts"]) == ["texts", "pages"]
    with pytest.raises(BGAError, match=r"B731.*'songs'.*texts, images"):
        check_kinds(["songs"])


def test_what_parts_come_to():
    parts = [
        Part(3, {"answer": 2, "B305": 1}, ["a", "b"], 1.0, 10.0),
        Part(2, {"answer": 1}, ["b", "c"], 0.5, 20.0, {"unclear": 1}, ["unclear: x"]),
    ]
    found = summarize(parts)
    assert found == {
        "inputs": 3,
        "tried": 5,
        "answers": 3,
        "errors": {"B305": 1},
        "slowest_s": 1.0,
        "memory_mb": 20,
        "problems": {"unclear": 1},
        "examples": ["unclear: x"],
    }
    crashed = summarize([Part(problems={"crash": 1, "time": 2, "memory": 3, "forbidden": 4})])
    total = figures({"texts": {"x": found, "y": crashed}}, {"conll": {"inputs": 7, "problems": 1}})
    assert total | {"defects_mended": 0} == {
        "inputs_tried": {"texts": 3, "guided": 7},
        "crashes": 7,
        "unclear_errors": 1,
        "forbidden_actions": 4,
        "defects_mended": 0,
    }


def test_page(tmp_path: Path):
    found = {"texts": {"a | b": summarize([Part(3, {"answer": 2, "B305": 1}, ["a", "b", "c"], 1.0, 10.0)])}}
    guided = {"conll": {"inputs": 5000, "branches": 70, "features": 90, "kept": 12, "problems": 0}}
    rooms = {"corpus": {"taken": 3, "branches": 4}}
    details = {"seed": 0, "limits": {"cpu_s": 60.0, "memory_mb": 1500}, "kinds": found, "guided": guided}
    details |= {"commits": {"texts": "def5678"}}
    details |= {"reach": {"texts": rooms, "all": rooms}, "defects": [{"what": "It broke.", "test": "tests/x.py::test"}]}
    page = reliability_page(record(tmp_path / "x.json", "fuzz", figures(found, guided), details, ORIGIN))
    assert "| inputs tried | 5,003 |" in page
    assert "| 1.00 | 10 | def5678 |" in page
    assert "| conll | 5,000 | 70 | 12 |" in page
    assert "| texts | 3 of 4 |" in page
    assert "| It broke. | `tests/x.py::test` |" in page
    assert "fuzz`, seed 0, at abc1234." in page


def test_each_defect_has_its_test():
    assert len(DEFECTS) == len(set(DEFECTS)) > 10
    for _, test in DEFECTS:
        path, *names = test.split("::")
        body: list[Any] = ast.parse((ROOT / path).read_text(encoding="utf8")).body
        for name in names:
            body = next(node.body for node in body if getattr(node, "name", None) == name)


class TestPages:
    """The reader of pages sees what a browser would run."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("</main>", "<script>alert(1)</script></main>"),
            ("</main>", "<img src=x onerror=alert(1)></main>"),
            ("</main>", '<p onclick="alert(1)">x</p></main>'),
            ("</main>", '<img src="http://127.0.0.1/x.png"></main>'),
            ("</main>", "<svg></svg></main>"),
            ("<style>", "<style>p{}</style><style>"),
            ("<title>", '<base href="http://127.0.0.1"><title>'),
            ("joins", "leaves"),
        ],
    )
    def test_a_page_with_something_in_it(self, tmp_path: Path, old: str, new: str):
        from spacy_bga.viewer.page import render

        bench = pages.open_bench(tmp_path)
        doc = pages._doc(bench.vocab, "Kevin joins", "PER", None)
        html = render(doc, images=bench.root).html
        pages._check(html, "Kevin joins")
        with pytest.raises(Broken):
            pages._check(html.replace(old, new, 1), "Kevin joins")


class TestGuided:
    @pytest.mark.parametrize("target", TARGETS)
    def test_short_form(self, target: str, tmp_path: Path):
        pytest.importorskip("atheris")
        found = run_guided(target, runs=200, seed=0, folder=tmp_path / target)
        assert found["problems"] == 0, found
        assert found["inputs"] == 200
        assert found["branches"] > 20

    def test_a_target_that_fails(self, tmp_path: Path):
        pytest.importorskip("atheris")
        assert run_guided("no such target", runs=10, seed=0, folder=tmp_path / "x")["problems"] == 1


class TestCommand:
    def test_writes_evidence_and_page(self, tmp_path: Path):
        output, page, work = (tmp_path / name for name in ("evidence.json", "page.md", "work"))
        options = ["--inputs", "8", "--kind", "pages", "--traced", "4", "--work", work]
        arguments = ["reliability", "fuzz", *options, "--output", output, "--page", page]
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        found = json.loads(output.read_text(encoding="utf8"))
        assert found["inputs_tried"]["pages"] >= 8
        assert found["crashes"] == found["unclear_errors"] == 0
        reach = found["campaigns"]["fuzz"]["reach"]["all"]["viewer"]
        assert 20 < reach["taken"] < reach["branches"]
        assert "## Hostile and broken input" in page.read_text(encoding="utf8")

    def test_other_kinds_stay(self, tmp_path: Path):
        output = tmp_path / "evidence.json"
        for kind in ("pages", "corpora"):
            options = ["--inputs", "8", "--kind", kind, "--work", tmp_path / "work", "--page", tmp_path / "page.md"]
            result = CliRunner().invoke(app, [str(a) for a in ("reliability", "fuzz", *options, "--output", output)])
            assert result.exit_code == 0, result.output
        found = json.loads(output.read_text(encoding="utf8"))
        assert list(found["inputs_tried"]) == ["corpora", "pages"]
        assert set(found["campaigns"]["fuzz"]["commits"]) == {"corpora", "pages"}

    def test_unknown_kind(self, tmp_path: Path):
        result = CliRunner().invoke(app, ["reliability", "fuzz", "--kind", "songs", "--work", str(tmp_path)])
        assert result.exit_code == 1
        assert "[B731]" in result.stderr

    def test_says_what_it_needs(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "html5lib" else name)
        result = CliRunner().invoke(app, ["reliability", "fuzz"])
        assert result.exit_code == 1
        assert (
            '[B730] The fuzz campaign needs html5lib. Install it with: pip install "spacy_bga[fuzz]"' in result.stderr
        )
