"""An experiment plan: a YAML file that names the runs to train, what each begins with and what it is scored on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_bga.corpus.feature_file import holds_features
from spacy_bga.errors import BGAError, Errors

PLAN_KEYS = frozenset(
    {"name", "test", "test_images", "variables", "overrides", "runs", "evidence"}
    | {"alignment", "alignment_images", "alignment_labelled"}
)
RUN_KEYS = frozenset(
    {"name", "config", "seeds", "overrides", "contexts", "starts_from", "test", "measure_alignment"}
    | {"compare_to", "about", "labelled", "curve"}
)
CONTEXTS = ("zero", "swapped", "real")
GAINS = ("f1_gain_all", "f1_gain_300", "f1_gain_all_shuffled", "f1_gain_300_shuffled")
EVIDENCE = ("t2i", "i2t", "explained_beyond_mean", *GAINS)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Without dots, so that the config's own ${paths.train} is left to the config.
VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Pairs:
    """Held-out image-text pairs to measure the alignment on.

    files (Mapping[str, Path]): The sets by name. images (Path): Their image root.
    labelled (Path | None): Texts with entities, to see what replacing one changes.
    """

    files: Mapping[str, Path]
    images: Path
    labelled: Path | None


@dataclass(frozen=True)
class Run:
    """One training and its scores.

    name (str): Its name in the plan. seed (int): The seed of all that is random. position (int): Its place in the plan.
    config (Path): The training config.
    overrides (Mapping[str, Any]): Settings of the config to replace, by their dotted name.
    contexts (tuple[str, ...]): What else to show the tagger, instead of the generated features: "zero", "swapped", or
        those of the "real" images.
    test (Path | None): The test set; None if the run has no entities to find. test_images (Path | None): Its image
        root, if real images are shown.
    base (Run | None): The run whose model it begins with. pairs (Pairs | None): What its alignment is measured on.
    facts (Mapping[str, Any]): What tables and figures need to know of it, and its numbers don't depend on.
    """

    name: str
    seed: int
    position: int
    config: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()
    test: Path | None = None
    test_images: Path | None = None
    base: Run | None = None
    pairs: Pairs | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """RETURNS (str): What its files are called."""
        return f"{self.name}-seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What to train and how to score it.

    name (str): The folder of its results. source (Path): The file it was read from.
    runs (tuple[Run, ...]): One for each name and seed, by seed and then as the file has them: what is done of a plan
        that was cut off can be compared.
    chosen (Mapping[str, str | None]): The variables that the caller has set.
    """

    name: str
    source: Path
    runs: tuple[Run, ...]
    chosen: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def bases(self) -> frozenset[str]:
        """RETURNS (frozenset[str]): The names of the runs that others begin with."""
        return frozenset(run.base.name for run in self.runs if run.base)

    def select(self, names: Iterable[str]) -> tuple[Run, ...]:
        """RETURNS (tuple[Run, ...]): The runs of these names, or all if none is given."""
        names = list(names)
        known = list(dict.fromkeys(run.name for run in self.runs))
        for name in names:
            if name not in known:
                raise BGAError(Errors.B507.format(name=name, known=", ".join(known), path=self.source))
        return tuple(run for run in self.runs if not names or run.name in names)


@dataclass(frozen=True)
class _Shared:
    """What the runs of a plan have in common."""

    path: Path
    values: Mapping[str, Any]
    overrides: Mapping[str, Any]
    data: Mapping[str, Any]


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
    for key in ("overrides", "evidence"):
        if not isinstance(data.setdefault(key, {}), dict):
            raise BGAError(Errors.B502.format(path=path, reason=f"`{key}` should be a mapping"))
    shared = _Shared(path, values, _fill(data["overrides"], values, path), data)
    runs: dict[str, list[Run]] = {}
    entries = _list(data.get("runs"), "runs", path)
    for position, entry in enumerate(entries):
        for run in _read_run(entry, position, shared, runs):
            known = runs.setdefault(run.name, [])
            if run.key in [other.key for other in known]:
                raise BGAError(Errors.B506.format(name=run.key, path=path))
            known.append(run)
    _check_references(entries, data["evidence"], path)
    everything = [run for seeds in runs.values() for run in seeds]
    return Plan(name, path, tuple(sorted(everything, key=lambda run: (run.seed, run.position))), chosen)


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


def _read_run(entry: Any, position: int, shared: _Shared, earlier: Mapping[str, Sequence[Run]]) -> list[Run]:
    path, values = shared.path, shared.values
    if not isinstance(entry, dict):
        raise BGAError(Errors.B502.format(path=path, reason=f"run {position + 1} is no mapping"))
    _check_keys(entry, RUN_KEYS, f"run {position + 1} of {path}")
    name = _name(entry.get("name"), path)
    config = _file(_fill(entry.get("config"), values, path), f"config of the run {name}", path)
    contexts = tuple(_list(entry.get("contexts", []), f"contexts of the run {name}", path, least=0))
    if unknown := [context for context in contexts if context not in CONTEXTS]:
        raise BGAError(Errors.B509.format(context=unknown[0], known=", ".join(CONTEXTS), path=path))
    tested = entry.get("test", True)
    if contexts and not tested:
        raise BGAError(
            Errors.B502.format(path=path, reason=f"the run {name} has contexts, but no test to show them in")
        )
    own = None if isinstance(tested, bool) else tested
    test = _file(_fill(own or shared.data.get("test"), values, path), "test", path) if tested else None
    test_images = _test_images(name, shared) if "real" in contexts else None
    pairs = _pairs(shared) if entry.get("measure_alignment") else None
    overrides = {**shared.overrides, **_fill(entry.get("overrides") or {}, values, path)}
    seeds = _list(entry.get("seeds", [0]), f"seeds of the run {name}", path)
    if not all(isinstance(seed, int) for seed in seeds):
        raise BGAError(Errors.B502.format(path=path, reason=f"the seeds of the run {name} should be whole numbers"))
    facts = _facts(entry, shared)
    runs = []
    for seed in seeds:
        base = _base(entry["starts_from"], name, seed, earlier, path) if "starts_from" in entry else None
        runs.append(Run(name, seed, position, config, overrides, contexts, test, test_images, base, pairs, facts))
    return runs


def _base(wanted: Any, name: str, seed: int, earlier: Mapping[str, Sequence[Run]], path: Path) -> Run:
    """The base's run of the same seed; if it has less seeds, they take turns."""
    if wanted not in earlier:
        known = ", ".join(earlier) or "none"
        raise BGAError(Errors.B530.format(run=name, name=wanted, known=known, path=path))
    runs = earlier[wanted]
    same = [run for run in runs if run.seed == seed]
    return same[0] if same else runs[seed % len(runs)]


def _test_images(run: str, shared: _Shared) -> Path:
    folder = _fill(shared.data.get("test_images"), shared.values, shared.path)
    if not folder or not (Path(folder).is_dir() or holds_features(Path(folder))):
        raise BGAError(Errors.B770.format(run=run, folder=folder, path=shared.path))
    return Path(folder)


def _pairs(shared: _Shared) -> Pairs:
    path = shared.path
    keys = ("alignment", "alignment_images", "alignment_labelled")
    files, images, labelled = (_fill(shared.data.get(key), shared.values, path) for key in keys)
    if not isinstance(files, dict) or not files:
        raise BGAError(Errors.B502.format(path=path, reason="`alignment` should be a mapping of names to files"))
    if not images:
        raise BGAError(Errors.B502.format(path=path, reason="`alignment_images` should be a folder"))
    checked = {_name(name, path): _file(file, f"alignment {name}", path) for name, file in files.items()}
    return Pairs(checked, Path(images), _file(labelled, "alignment_labelled", path) if labelled else None)


def _facts(entry: Mapping[str, Any], shared: _Shared) -> dict[str, Any]:
    facts = {key: entry[key] for key in ("compare_to", "about", "labelled", "curve") if key in entry}
    if not isinstance(facts.get("labelled", 0), int):
        reason = f"`labelled` of the run {entry['name']} should be a whole number"
        raise BGAError(Errors.B502.format(path=shared.path, reason=reason))
    if evidence := [key for key, name in shared.data["evidence"].items() if name == entry["name"]]:
        facts["evidence"] = evidence
    return facts


def _check_references(entries: Iterable[Mapping[str, Any]], evidence: Mapping[str, Any], path: Path) -> None:
    """Check the names of runs that tables and evidence refer to; they may come in any order."""
    runs = {entry["name"]: entry for entry in entries}
    for name, entry in runs.items():
        other = entry.get("compare_to", None)
        if "compare_to" in entry and (other not in runs or other == name):
            known = ", ".join(sorted(runs.keys() - {name})) or "none"
            raise BGAError(Errors.B531.format(run=name, name=other, known=known, path=path))
    _check_keys(evidence, frozenset(EVIDENCE), f"the evidence of {path}")
    for key, name in evidence.items():
        if name not in runs:
            raise BGAError(Errors.B507.format(name=name, known=", ".join(runs), path=path))
        needed = "compare_to" if key in GAINS else "measure_alignment"
        if not runs[name].get(needed):
            raise BGAError(Errors.B532.format(key=key, run=name, needed=needed, path=path))


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
