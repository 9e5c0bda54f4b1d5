"""The campaign of coverage, on a toy package whose branches can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability import suite_coverage
from spacy_bga.reliability.page import reliability_page
from spacy_bga.reliability.suite_coverage import digest_files, run_coverage, suite_parts, summarize

FILES = {
    "pyproject.toml": """
[tool.coverage.run]
branch = true
source_pkgs = ["toy"]
parallel = true
patch = ["subprocess", "fork", "_exit"]
""",
    "toy/__init__.py": "",
    "toy/sign.py": """
import sys

def sign(x):
    if x > 0:
        return "plus"
    if x < 0:
        return "minus"
    return "zero"

if __name__ == "__main__":
    print(sign(int(sys.argv[1])))
""",
    "toy/room/__init__.py": "",
    "toy/room/never.py": "def never(x):\n    if x:\n        return 1\n    return 2\n",
    "tests/helper.py": "",
    "tests/test_top.py": """
import subprocess
import sys

def test_command(tmp_path):
    told = subprocess.run([sys.executable, "-m", "toy.sign", "0"], cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout.strip() == "zero"
""",
    "tests/sign/test_sign.py": """
import os
import pytest

def test_plus():
    from toy.sign import sign
    assert sign(3) == "plus"

def test_child():
    from toy.sign import sign
    child = os.fork()
    if not child:
        os._exit(sign(-3) != "minus")
    assert os.waitpid(child, 0)[1] == 0

@pytest.mark.skip
def test_later():
    pass
""",
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are really run."""
    made: list[str] = []
    run_part = suite_coverage._run_part
    monkeypatch.setattr(
        suite_coverage,
        "_run_part",
        lambda root, folder, files, **settings: made.append(folder.name) or run_part(root, folder, files, **settings),
    )
    return made


def test_branches_of_all_processes(root: Path, tmp_path: Path, calls: list[str]):
    """The command, the forked child and the tests themselves take one way each; nothing takes those of `never`."""
    said: list[str] = []
    found = run_coverage(root, tmp_path / "work", package="toy", workers="0", progress=said.append)
    details = found["details"]
    assert details["files"] == [
        ["toy/room/never.py", 0, 2],
        ["toy/__init__.py", 0, 0],
        ["toy/room/__init__.py", 0, 0],
        ["toy/sign.py", 6, 6],
    ]
    assert details["folders"]["toy/room"] == {"taken": 0, "branches": 2, "run": 0, "lines": 4}
    assert found["figures"] == {"branch_coverage": 75.0, "tests_failed": 0}
    assert details["tests"] == {"passed": 3, "failed": 0, "skipped": 1}
    assert said == ["sign: 2 passed, 0 failed, 1 skipped", "top: 1 passed, 0 failed, 0 skipped"]
    assert calls == ["sign", "top"]
    # Only the folder that has changed is run again
    with (root / "tests" / "test_top.py").open("a", encoding="utf8") as file:
        file.write(
            "\ndef test_more():\n    from toy.room.never import never\n    assert (never(1), never(0)) == (1, 2)\n"
        )
    found = run_coverage(root, tmp_path / "work", package="toy", workers="0", progress=said.append)
    assert calls[2:] == ["top"]
    assert found["figures"]["branch_coverage"] == 100.0


def test_a_test_that_fails_is_counted(root: Path, tmp_path: Path):
    (root / "tests" / "test_top.py").write_text("def test_no():\n    assert False\n", encoding="utf8")
    found = run_coverage(root, tmp_path / "work", package="toy", workers="0", progress=lambda line: None)
    assert found["figures"]["tests_failed"] == 1


def test_tests_that_cannot_run(root: Path, tmp_path: Path):
    (root / "tests" / "conftest.py").write_text("import no_such_module\n", encoding="utf8")
    with pytest.raises(BGAError, match=r"B762.*exit code 4(?s:.*)no_such_module"):
        run_coverage(root, tmp_path / "work", package="toy", workers="0", progress=lambda line: None)


def test_parts(root: Path, tmp_path: Path):
    tests = root / "tests"
    assert suite_parts(root, "toy") == {"sign": [tests / "sign" / "test_sign.py"], "top": [tests / "test_top.py"]}
    with pytest.raises(BGAError, match=r"B761.*has no other"):
        suite_parts(root, "other")


def test_digest_is_of_names_and_contents(root: Path):
    one, other = root / "toy" / "__init__.py", root / "tests" / "helper.py"
    assert len({digest_files(root, files) for files in ([one], [other], [one, other], [])}) == 4
    before = digest_files(root, [one])
    one.write_text("x = 1\n", encoding="utf8")
    assert digest_files(root, [one]) != before


def test_page():
    files = {
        "toy/a.py": {"taken": 9, "branches": 10, "run": 90, "lines": 100},
        "toy/b/c.py": {"taken": 0, "branches": 0, "run": 1, "lines": 1},
    }
    found = summarize(files, {"passed": 1200, "failed": 0, "skipped": 7})
    details = found["details"] | {"figures": [], "origin": {"command": "x", "commit": "abc1234"}}
    page = reliability_page(found["figures"] | {"campaigns": {"coverage": details}})
    assert "| branches taken | 9 of 10 | 90.0 % |" in page
    assert "| tests skipped | 7 |  |" in page
    assert "| `toy/b` | 0 of 0 | 100.0 % |" in page
    assert page.index("| `toy/a.py` | 9 of 10 | 90.0 % |") < page.index("| `toy/b/c.py` | 0 of 0 | 100.0 % |")


def test_command_wants_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["reliability", "coverage"])
    assert result.exit_code == 1
    assert "[B761]" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failed", [0, 1])
def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int):
    counts = {"passed": 1, "failed": failed, "skipped": 0}
    found = summarize({"toy/a.py": {"taken": 1, "branches": 2, "run": 3, "lines": 3}}, counts)
    monkeypatch.setattr(suite_coverage, "run_coverage", lambda root, work, **settings: found)
    output, page = tmp_path / "evidence.json", tmp_path / "page.md"
    result = CliRunner().invoke(app, ["reliability", "coverage", "--output", str(output), "--page", str(page)])
    assert result.exit_code == failed
    assert json.loads(output.read_text(encoding="utf8"))["branch_coverage"] == 50.0
    assert "## The tests take nearly every branch" in page.read_text(encoding="utf8")
