"""An experiment plan: a YAML file that names the runs to train, and the test set that each is scored on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors

PLAN_KEYS = frozenset({"name", "test", "variables", "overrides", "runs"})
RUN_KEYS = frozenset({"name", "config", "seeds", "overrides", "contexts"})
CONTEXTS = ("zero", "swapped")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Without dots, so that the config's own ${paths.train} is left to the config.
VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Run:
    """One training and its test score.

    name (str): Its name in the plan. seed (int): The seed of all that is random. position (int): Its place in the plan.
    config (Path): The training config.
    overrides (Mapping[str, Any]): Settings of the config to replace, by their dotted name.
    contexts (tuple[str, ...]): What else to show the tagger, instead of the generated features: "zero", "swapped".
    """

    name: str
    seed: int
    position: int
    config: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """RETURNS (str): What its files are called."""
        return f"{self.name}-seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What to train and how to score it.

    name (str): The folder of its results. source (Path): The file it was read from.
    test (Path): The test set. runs (tuple[Run, ...]): One for each name and seed.
    chosen (Mapping[str, str | None]): The variables that the caller has set.
    """

    name: str
    source: Path
    test: Path
    runs: tuple[Run, ...]
    chosen: Mapping[str, str | None] = field(default_factory=dict)

    def select(self, names: Iterable[str]) -> tuple[Run, ...]:
        """RETURNS (tuple[Run, ...]): The runs of these names, or all if none is given."""
        names = list(names)
        known = list(dict.fromkeys(run.name for run in self.runs))
        for name in names:
            if name not in known:
                raise BGAError(Errors.B507.format(name=name, known=", ".join(known), path=self.source))
        return tuple(run for run in self.runs if not names or run.name in names)


def read_plan(path: Path, *, variables: Mapping[str, str | None] | None = None) -> Plan:
    """Read a plan, and check that what it refers to is there.

    path (Path): The YAML file; the paths in it are relative to the current folder, as in a spaCy project.
    variables (Mapping[str, str | None] | None): Values for the plan's `variables`, in place of its defaults.
    RETURNS (Plan): The plan.
    RAISES (BGAError): The file is absent, not a plan, or refers to what isn't there.
    """
    chosen = dict(variables or {})
    data = _load(path)
    _check_keys(data, PLAN_KEYS, f"the plan {path}")
    values = _variables(data.get("variables") or {}, chosen, path)
    name = _name(data.get("name"), path)
    test = _file(_fill(data.get("test"), values, path), "test", path)
    shared = _fill(data.get("overrides") or {}, values, path)
    runs: list[Run] = []
    for position, entry in enumerate(_list(data.get("runs"), "runs", path)):
        runs += _read_run(entry, position, shared, values, path)
    keys = [run.key for run in runs]
    for key in keys:
        if keys.count(key) > 1:
            raise BGAError(Errors.B506.format(name=key, path=path))
    return Plan(name, path, test, tuple(runs), chosen)


def parse_variables(entries: Iterable[str]) -> dict[str, str | None]:
    """RETURNS (dict[str, str | None]): NAME=VALUE entries of the command line by name; an empty value is None."""
    values: dict[str, str | None] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise BGAError(Errors.B508.format(entry=entry))
        values[name] = value or None
    return values


def _load(path: Path) -> dict[str, Any]:
    import srsly

    if not path.is_file():
        raise BGAError(Errors.B501.format(path=path))
    try:
        data = srsly.read_yaml(path)
    except Exception as error:  # whatever the YAML parser raises
        raise BGAError(Errors.B502.format(path=path, reason=error)) from error
    if not isinstance(data, dict):
        raise BGAError(Errors.B502.format(path=path, reason="it holds no mapping"))
    return data


def _read_run(entry: Any, position: int, shared: dict, values: dict, path: Path) -> list[Run]:
    if not isinstance(entry, dict):
        raise BGAError(Errors.B502.format(path=path, reason=f"run {position + 1} is no mapping"))
    _check_keys(entry, RUN_KEYS, f"run {position + 1} of {path}")
    name = _name(entry.get("name"), path)
    config = _file(_fill(entry.get("config"), values, path), f"config of the run {name}", path)
    contexts = tuple(_list(entry.get("contexts", []), f"contexts of the run {name}", path, least=0))
    if unknown := [context for context in contexts if context not in CONTEXTS]:
        raise BGAError(Errors.B509.format(context=unknown[0], known=", ".join(CONTEXTS), path=path))
    overrides = {**shared, **_fill(entry.get("overrides") or {}, values, path)}
    seeds = _list(entry.get("seeds", [0]), f"seeds of the run {name}", path)
    if not all(isinstance(seed, int) for seed in seeds):
        raise BGAError(Errors.B502.format(path=path, reason=f"the seeds of the run {name} should be whole numbers"))
    return [Run(name, seed, position, config, overrides, contexts) for seed in seeds]


def _check_keys(data: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    if unknown := sorted(str(key) for key in data if key not in known):
        raise BGAError(Errors.B503.format(key=unknown[0], place=place, known=", ".join(sorted(known))))


def _name(value: Any, path: Path) -> str:
    """The name turns into a file's, so that it must not lead anywhere else."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BGAError(Errors.B504.format(name=value, path=path))
    return value


def _file(value: Any, role: str, path: Path) -> Path:
    if not isinstance(value, str) or not Path(value).is_file():
        raise BGAError(Errors.B505.format(role=role, file=value, path=path))
    return Path(value)


def _list(value: Any, role: str, path: Path, *, least: int = 1) -> list[Any]:
    if not isinstance(value, list) or len(value) < least:
        raise BGAError(Errors.B502.format(path=path, reason=f"`{role}` should be a list"))
    return value


def _variables(defaults: dict[str, Any], chosen: Mapping[str, str | None], path: Path) -> dict[str, Any]:
    for name in chosen:
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise BGAError(Errors.B510.format(name=name, known=known, path=path))
    return {**defaults, **chosen}


def _fill(value: Any, values: Mapping[str, Any], path: Path) -> Any:
    """Put variables in. A value that is nothing but a variable keeps its type, null included."""
    if isinstance(value, dict):
        return {key: _fill(part, values, path) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    for name in VARIABLE.findall(value):
        if name not in values:
            raise BGAError(Errors.B510.format(name=name, known=", ".join(values) or "none", path=path))
    if whole := VARIABLE.fullmatch(value):
        return values[whole[1]]
    return VARIABLE.sub(lambda match: str(values[match[1]]), value)
