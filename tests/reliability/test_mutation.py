"""The campaign of mutation, on a toy module with one test that notices little."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability import mutation
from spacy_bga.reliability.mutation import MODULES, Target, check_modules, mutation_score, run_mutation

ROOT = Path(__file__).parents[2]
TOY = Target("toy/area.py", "tests/test_area.py")
FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-n auto"\n',
    "toy/__init__.py": "",
    "toy/area.py": "def area(x, y):\n    return x * y\n\n\ndef unseen(x):\n    return x + 1\n",
    "tests/test_area.py": "from toy.area import area\n\n\ndef test_area():\n    assert area(2, 3) == 6\n",
}


class TestToy:
    @pytest.fixture(autouse=True)
    def _needs_mutmut(self):
        pytest.importorskip("mutmut")

    def test_what_is_noticed(self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """`x / y` is noticed; what becomes of `x + 1`, no test knows."""
        found = run_mutation(root, tmp_path / "work", {"area": TOY}, mutants=0, progress=lambda line: None)
        area = found["details"]["modules"]["area"]
        assert area["made"] == area["tried"] == sum(area["outcomes"].values()) == 3
        assert area["outcomes"] == {"killed": 1, "no tests": 2}
        assert sorted(area["survivors"].values()) == [
            ["- return x + 1", "+ return x + 2"],
            ["- return x + 1", "+ return x - 1"],
        ]
        assert found["figures"] == {"mutation_score": {"area": 33.33}}
        assert (root / "toy" / "area.py").read_text(encoding="utf8") == FILES["toy/area.py"]
        # A finished module is not tried again, until it or its tests have changed
        tried: list[Path] = []
        monkeypatch.setattr(mutation, "_try_module", lambda root, bench, *rest: tried.append(bench) or area)
        assert run_mutation(root, tmp_path / "work", {"area": TOY}, mutants=0, progress=lambda line: None) == found
        assert tried == []
        (root / TOY.tests).write_text(FILES[TOY.tests] + "\n", encoding="utf8")
        run_mutation(root, tmp_path / "work", {"area": TOY}, mutants=0, progress=lambda line: None)
        assert tried == [tmp_path / "work" / "area"]

    def test_tests_that_fail_without_a_mutation(self, root: Path, tmp_path: Path):
        (root / TOY.tests).write_text("def test_no():\n    assert False\n", encoding="utf8")
        with pytest.raises(BGAError, match=r"B764.*toy/area.py"):
            run_mutation(root, tmp_path / "work", {"area": TOY}, mutants=1, progress=lambda line: None)

    def test_no_such_file(self, root: Path, tmp_path: Path):
        with pytest.raises(BGAError, match="B761"):
            run_mutation(root, tmp_path / "work", {"x": Target("toy/x.py", TOY.tests)}, mutants=1)


def test_score():
    assert mutation_score({"killed": 6, "timeout": 1, "segfault": 1, "survived": 1, "no tests": 1}) == 80
    assert mutation_score({}) == 100


def test_modules():
    assert check_modules([]) == MODULES
    assert list(check_modules(["tags", "crf"])) == ["crf", "tags"]
    assert all((ROOT / path).is_file() for target in MODULES.values() for path in (target.module, target.tests))
    with pytest.raises(BGAError, match=r"B763.*'songs'.*crf, sampler"):
        check_modules(["songs"])


def test_command_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    survivors = {"area__mutmut_1": ["- return x | y", "+ return x & y"]}
    module = {"module": "toy/area.py", "made": 300, "tried": 4, "outcomes": {"killed": 3, "survived": 1}}
    found = {
        "figures": {"mutation_score": {"crf": 75.0}},
        "details": {"seed": 3, "modules": {"crf": module | {"survivors": survivors}}},
    }
    monkeypatch.setattr(mutation, "run_mutation", lambda root, work, targets, **settings: found)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    output, page = tmp_path / "evidence.json", tmp_path / "page.md"
    arguments = ["reliability", "mutation", "--module", "crf", "--output", str(output), "--page", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(output.read_text(encoding="utf8"))["mutation_score"] == {"crf": 75.0}
    text = page.read_text(encoding="utf8")
    assert "| `toy/area.py` | 4 of 300 | 3 | 75.0 % |" in text
    assert "| `toy/area.py` | `return x \\| y` | `return x & y` |" in text


def test_command_says_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mutmut" else name)
    result = CliRunner().invoke(app, ["reliability", "mutation"])
    assert result.exit_code == 1
    assert '[B760] The campaign needs mutmut. Install it with: pip install "spacy_bga[dev]"' in result.stderr
