"""The campaign of mutation: the code is changed in one place at a time, and its tests have to notice."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.records import read_json, write_json
from spacy_bga.reliability.suite_coverage import digest_files, share

Progress = Callable[[str], None]
NOTICED = ("killed", "timeout", "segfault")
LOG = "log.txt"

LIST = """
import sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name

path = Path(sys.argv[1])
for name in mutate_file_contents(str(path), path.read_text(encoding="utf8")).mutant_names:
    print(get_mutant_name(path, name))
"""


@dataclass(frozen=True)
class Target:
    """A module that is mutated, and its own tests, which have to notice. Both as paths in the checkout."""

    module: str
    tests: str


MODULES = {
    "crf": Target("spacy_bga/aligner/crf.py", "tests/aligner/test_crf.py"),
    "sampler": Target("spacy_bga/aligner/sampler.py", "tests/aligner/test_sampler.py"),
    "tags": Target("spacy_bga/pipeline/tags.py", "tests/pipeline/test_tags.py"),
    "images": Target("spacy_bga/corpus/images.py", "tests/corpus/test_images.py"),
}


def check_modules(names: Sequence[str]) -> dict[str, Target]:
    """RETURNS (dict[str, Target]): The modules of these names. names (Sequence[str]): By default all."""
    for name in names:
        if name not in MODULES:
            raise BGAError(Errors.B763.format(name=name, known=", ".join(MODULES)))
    return {name: target for name, target in MODULES.items() if not names or name in names}


def run_mutation(
    root: Path, work: Path, targets: dict[str, Target], *, mutants: int, seed: int = 0, progress: Progress = print
) -> dict[str, Any]:
    """Mutate modules one after the other.

    root (Path): The checkout. work (Path): Where each module's result is kept: it is not tried again while neither the
        module nor its tests have changed. targets (dict[str, Target]): By name. mutants (int): How many of each module
        are tried, drawn at random; 0 for all. seed (int): Draws them. progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    RAISES (BGAError): `root` is no checkout, or mutmut failed, as it does if the tests fail without a mutation.
    """
    found = {}
    for name, target in targets.items():
        path = work / f"{name}.json"
        if not (root / target.module).is_file() or not (root / target.tests).is_file():
            raise BGAError(Errors.B761.format(root=root, package="spacy_bga"))
        key = [digest_files(root, [root / target.module, root / target.tests]), mutants, seed]
        kept = read_json(path)
        if kept is None or kept["key"] != key:
            kept = {"key": key, "found": _try_module(root, work / name, target, mutants, seed)}
            write_json(path, kept)
        found[name] = kept["found"]
        progress(f"{name}: {json.dumps(found[name]['outcomes'])}")
    scores = {name: mutation_score(module["outcomes"]) for name, module in found.items()}
    return {"figures": {"mutation_score": scores}, "details": {"seed": seed, "modules": found}}


def mutation_score(outcomes: dict[str, int]) -> float:
    """RETURNS (float): Percent of the mutants that were noticed. outcomes (dict[str, int]): How many ended how; those
    that no test came to were not noticed."""
    return round(share(sum(outcomes.get(name, 0) for name in NOTICED), sum(outcomes.values())), 2)


def _try_module(root: Path, bench: Path, target: Target, mutants: int, seed: int) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): How many mutants were "made", the "outcomes" of those that were tried, "survivors"."""
    _set_up(root, bench, target)
    names = _mutmut(bench, target, ["-c", LIST, target.module]).split()
    drawn = sorted(random.Random(seed).sample(names, mutants)) if 0 < mutants < len(names) else names
    _mutmut(bench, target, ["-m", "mutmut", "run", "--max-children", "1", *drawn])
    codes = json.loads((bench / "mutants" / f"{target.module}.meta").read_text(encoding="utf8"))["exit_code_by_key"]
    from mutmut.stats import status_by_exit_code

    ended = {name: status_by_exit_code[codes[name]] for name in drawn}
    survivors = [name for name, status in ended.items() if status not in NOTICED]
    return {
        "module": target.module,
        "tests": target.tests,
        "made": len(names),
        "tried": len(drawn),
        "outcomes": dict(Counter(ended.values())),
        "survivors": {name: _change(_mutmut(bench, target, ["-m", "mutmut", "show", name])) for name in survivors},
    }


def _set_up(root: Path, bench: Path, target: Target) -> None:
    """Copy the code to where it can be changed, with mutmut's settings. Its workers are forked by a process that has
    imported torch, but never run it."""
    shutil.rmtree(bench, ignore_errors=True)
    package = Path(target.module).parts[0]
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in (package, "tests"):
        shutil.copytree(root / folder, bench / folder, ignore=ignored)
    settings = {
        "source_paths": [package],
        "only_mutate": [target.module],
        "pytest_add_cli_args": ["-n", "0", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": [target.tests],
        "process_isolation": "forkserver",
        "on_dependency_change": "ignore",
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    project = (root / "pyproject.toml").read_text(encoding="utf8")
    (bench / "pyproject.toml").write_text(f"{project}\n[tool.mutmut]\n{''.join(lines)}", encoding="utf8")


def _mutmut(bench: Path, target: Target, arguments: Sequence[str]) -> str:
    """RETURNS (str): What Python prints when it is run on the bench."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHONPATH"))
    }
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf8"}
    with (bench / LOG).open("w", encoding="utf8") as log:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=bench, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    told = (bench / LOG).read_text(encoding="utf8", errors="replace")
    if done.returncode:
        lines = "\n".join(told.splitlines()[-15:])
        raise BGAError(Errors.B764.format(module=target.module, code=done.returncode, log=bench / LOG, lines=lines))
    return told


def _change(diff: str) -> list[str]:
    """RETURNS (list[str]): The changed lines of a diff: before, and after."""
    return [
        f"{line[0]} {line[1:].strip()}"
        for line in diff.splitlines()
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    ]
