"""The campaign of coverage: which branches of the package the tests take."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.records import read_json, write_json

Progress = Callable[[str], None]
COUNTS = ("passed", "failed", "skipped")
RESULT, DATA, TESTS, LOG = "result.json", "data", "tests.xml", "log.txt"


def run_coverage(
    root: Path,
    work: Path,
    *,
    package: str = "spacy_bga",
    workers: str = "auto",
    timeout: int = 600,
    progress: Progress = print,
) -> dict[str, Any]:
    """Run all tests, a folder of them at a time, and measure the branches of the package together.

    Commands, workers and forked children are measured as well, see `[tool.coverage.run]` in `pyproject.toml`.

    root (Path): The checkout. work (Path): Where each folder's data is kept: it is not run again while neither the
        package, nor what tests share, nor the folder has changed. package (str): The package's name.
    workers (str): As pytest's `-n`. timeout (int): Seconds for each test. progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    RAISES (BGAError): `root` is no checkout, or pytest could not run.
    """
    parts = suite_parts(root, package)
    shared = [*_sources(root / package), *(path for path in _sources(root / "tests") if not _has_tests(path))]
    counts: Counter[str] = Counter()
    for name, files in parts.items():
        digest = digest_files(root, [root / "pyproject.toml", *shared, *files])
        kept = read_json(work / name / RESULT)
        if kept is None or kept["digest"] != digest:
            kept = _run_part(root, work / name, files, workers=workers, timeout=timeout)
            write_json(work / name / RESULT, kept | {"digest": digest})
        counts.update({count: kept[count] for count in COUNTS})
        progress(f"{name}: " + ", ".join(f"{kept[count]} {count}" for count in COUNTS))
    return summarize(_count_branches(root, work, list(parts), package), {count: counts[count] for count in COUNTS})


def suite_parts(root: Path, package: str) -> dict[str, list[Path]]:
    """RETURNS (dict[str, list[Path]]): The test files of each folder in `tests`; "top" has those beside the folders."""
    if not (root / package / "__init__.py").is_file() or not (root / "tests").is_dir():
        raise BGAError(Errors.B761.format(root=root, package=package))
    parts: dict[str, list[Path]] = {}
    for path in filter(_has_tests, _sources(root / "tests")):
        folder = path.relative_to(root / "tests").parts[0]
        parts.setdefault("top" if folder == path.name else folder, []).append(path)
    return parts


def summarize(files: dict[str, dict[str, int]], tests: dict[str, int]) -> dict[str, Any]:
    """What the branches of all files come to.

    files (dict[str, dict[str, int]]): Of each file of the package, "branches" and how many were "taken", "lines" and
        how many of them were "run". tests (dict[str, int]): How many "passed", "failed", were "skipped".
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    total: Counter[str] = Counter()
    folders: dict[str, Counter[str]] = {}
    for name, file in files.items():
        total.update(file)
        folders.setdefault(PurePosixPath(name).parent.as_posix(), Counter()).update(file)
    lowest = sorted(files, key=lambda name: (share(files[name]["taken"], files[name]["branches"]), name))
    return {
        "figures": {
            "branch_coverage": round(share(total["taken"], total["branches"]), 2),
            "tests_failed": tests["failed"],
        },
        "details": {
            "tests": tests,
            "total": dict(total),
            "folders": {name: dict(folders[name]) for name in sorted(folders)},
            "files": [[name, files[name]["taken"], files[name]["branches"]] for name in lowest],
        },
    }


def share(part: int, whole: int) -> float:
    """RETURNS (float): Percent; of nothing, all is there."""
    return 100 * part / whole if whole else 100.0


def digest_files(root: Path, files: Iterable[Path]) -> str:
    """RETURNS (str): The SHA-256 of the names and contents of files."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.relative_to(root).as_posix().encode("utf8") + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _run_part(root: Path, folder: Path, files: Sequence[Path], *, workers: str, timeout: int) -> dict[str, int]:
    """RETURNS (dict[str, int]): How many tests passed, failed, were skipped. Coverage's data stays in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder = folder.resolve()
    coverage = [sys.executable, "-m", "coverage", "run", f"--data-file={folder / DATA / DATA}"]
    options = ["-q", "-n", workers, "-o", f"timeout={timeout}", f"--junitxml={folder / TESTS}"]
    command = [*coverage, "-m", "pytest", *options, *(str(path.relative_to(root)) for path in files)]
    # Tests have to find this checkout's package wherever they start a process; and if this process is measured itself,
    # what it starts is not to add to that.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(root.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (folder / LOG).open("w", encoding="utf8") as log:
        code = subprocess.run(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode
    if code not in (0, 1) or not (folder / TESTS).is_file():  # 1: tests failed
        lines = (folder / LOG).read_text(encoding="utf8", errors="replace").splitlines()[-15:]
        raise BGAError(Errors.B762.format(code=code, log=folder / LOG, lines="\n".join(lines)))
    return _read_counts(folder / TESTS)


def _read_counts(path: Path) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        number = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
        failed = number["failures"] + number["errors"]
        counts.update(
            {"passed": number["tests"] - failed - number["skipped"], "failed": failed, "skipped": number["skipped"]}
        )
    return {count: counts[count] for count in COUNTS}


def _count_branches(root: Path, work: Path, parts: Sequence[str], package: str) -> dict[str, dict[str, int]]:
    """RETURNS (dict[str, dict[str, int]]): What `summarize` takes, from the data of all parts together."""
    import coverage

    report = work / "report.json"
    seen = coverage.Coverage(str(work / DATA), config_file=False, branch=True, source_pkgs=[package])
    seen.combine([str(work / part / DATA) for part in parts], keep=True)
    seen.json_report(outfile=str(report))
    files = (read_json(report) or {})["files"]
    here = Path.cwd()
    return {
        (here / name).resolve().relative_to(root.resolve()).as_posix(): {
            "taken": file["summary"]["covered_branches"],
            "branches": file["summary"]["num_branches"],
            "run": file["summary"]["covered_lines"],
            "lines": file["summary"]["num_statements"],
        }
        for name, file in files.items()
    }


def _sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _has_tests(path: Path) -> bool:
    return path.name.startswith("test_")
