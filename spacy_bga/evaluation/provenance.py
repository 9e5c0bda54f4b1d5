"""Where a number comes from: inputs, code and versions, without the paths of the machine that it was made on."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.plan import Run

PACKAGES = ("spacy", "torch", "transformers", "spacy_bga")


@dataclass(frozen=True)
class Inputs:
    """What a result depends on.

    files (dict[str, str]): The SHA-256 of each data file, by its setting: "test", "paths.train", ...
    digest (str): The SHA-256 of all inputs together: the config with its overrides, the seed, the contexts, `files`,
        and the inputs of the run that it starts from. Images are in it by the name of their folder alone.
    """

    files: dict[str, str]
    digest: str


def read_inputs(run: Run) -> Inputs:
    """Read what a run depends on.

    run (Run): The run.
    RETURNS (Inputs): The inputs as they are now.
    RAISES (BGAError): An override of [paths] replaces nothing, so it must be misspelt.
    """
    from spacy.util import load_config

    written = load_config(run.config, interpolate=False)
    for name in run.overrides:
        section, _, key = name.partition(".")
        if section == "paths" and key not in written.get("paths", {}):
            raise BGAError(Errors.B512.format(name=name, config=run.config))
    config = load_config(run.config, overrides=dict(run.overrides), interpolate=True)
    files = {"test": _hash(run.test)} if run.test else {}
    for key, value in config.get("paths", {}).items():
        if isinstance(value, str) and (digest := _hash(Path(value))):
            files[f"paths.{key}"] = digest
    everything = {"config": portable(config), "seed": run.seed, "contexts": run.contexts, "files": files}
    if run.test_images:
        everything["test_images"] = portable(run.test_images)
    if run.pairs:
        files |= {f"alignment.{name}": _hash(file) for name, file in run.pairs.files.items()}
        files |= {"alignment_labelled": _hash(run.pairs.labelled)} if run.pairs.labelled else {}
        everything["alignment_images"] = portable(run.pairs.images)
    if run.base:
        everything["starts_from"] = read_inputs(run.base).digest
    return Inputs(files, hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest())


def portable(value: Any) -> Any:
    """Make paths relative to the project folder. Of one outside it the last part alone is kept: `.../photos`.

    value (Any): A setting, or lists and mappings of them.
    RETURNS (Any): The same, without absolute paths.
    """
    if isinstance(value, dict):
        return {key: portable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [portable(part) for part in value]
    if isinstance(value, Path):
        return portable(value.as_posix())
    if not isinstance(value, str):
        return value
    path = Path(value)
    if not path.is_absolute() and ".." not in path.parts:
        return value
    root = Path.cwd()
    for candidate in (path, path.resolve()):
        full = candidate if candidate.is_absolute() else (root / candidate).resolve()
        if full.is_relative_to(root):
            return full.relative_to(root).as_posix()
    return f".../{path.name}"


def command_line(parts: Sequence[Any]) -> str:
    """RETURNS (str): A command as one would type it, without absolute paths."""
    import shlex

    return shlex.join(_portable_argument(str(part)) for part in parts)


def _portable_argument(argument: str) -> str:
    name, equals, value = argument.partition("=")  # pair_images=PATH
    return f"{name}={portable(value)}" if equals and name.isidentifier() else portable(argument)


def commit(*, ignored: Sequence[str | Path] = ("docs",)) -> str | None:
    """What the project folder's code is.

    ignored (Sequence[str | Path]): Folders whose changes don't count: results aren't code.
    RETURNS (str | None): The short commit, with "-dirty" if tracked files differ from it; None outside of git.
    """
    head = _git("rev-parse", "--short", "HEAD")
    if not head:
        return None
    excluded = [f":(exclude){folder}" for folder in map(portable, map(str, ignored)) if not folder.startswith("...")]
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *excluded)
    return f"{head}-dirty" if changes or changes is None else head


def versions(more: Sequence[str] = ()) -> dict[str, str | None]:
    """The versions of what a result depends on.

    more (Sequence[str]): Packages beside those that every result depends on.
    RETURNS (dict[str, str | None]): The versions of Python and of the packages; None for one that isn't installed.
    """
    from importlib import metadata

    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _hash(path: Path) -> str:
    """RETURNS (str): The SHA-256 of a file, or of the .spacy files of a folder; "" if there is nothing of the kind."""
    files = [path] if path.is_file() else sorted(path.rglob("*.spacy")) if path.is_dir() else []
    if not files:
        return ""
    total = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
        if len(files) == 1:
            return digest.hexdigest()
        total.update(digest.digest())
    return total.hexdigest()
