"""The campaign: all kinds and forms in parts, which a second call goes on from, and what they come to."""

from __future__ import annotations

import json
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from spacy_bga.evaluation.provenance import commit
from spacy_bga.evaluation.records import read_json, write_json
from spacy_bga.reliability.fuzz.defects import DEFECTS
from spacy_bga.reliability.fuzz.guard import CPU_LIMIT, MEMORY_LIMIT
from spacy_bga.reliability.fuzz.guided import TARGETS, run_guided
from spacy_bga.reliability.fuzz.kinds import KINDS, Form, Kind, load_kind, quotas
from spacy_bga.reliability.fuzz.reach import merge_reach, trace
from spacy_bga.reliability.fuzz.worker import EXAMPLES, Part, run_part

PART = 250  # inputs
FATAL = ("crash", "time", "memory")
Progress = Callable[[str], None]


def run_fuzz(
    work: Path,
    *,
    inputs: int,
    seed: int = 0,
    kinds: Sequence[str],
    guided: int = 0,
    traced: int = 0,
    earlier: Mapping[str, Any] | None = None,
    progress: Progress = print,
) -> dict[str, Any]:
    """Try inputs of every form of some kinds.

    work (Path): Where the parts are written: those of the same commit and seed that are there are not run again.
    inputs (int): How many, all forms together; they count once however often they are drawn. seed (int): Draws them.
    kinds (Sequence[str]): Some of `KINDS`. guided (int): How many inputs more Atheris tries on each of its targets.
    traced (int): How many inputs of each form are run once more to see which branches they take.
    earlier (Optional[Mapping]): The details of an earlier campaign, of which kinds that aren't tried now are kept.
    progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    torch.set_num_threads(1)  # and no threads that a fork would not have
    loaded = {name: load_kind(name) for name in kinds}
    wanted = quotas(inputs, loaded)
    found: dict[str, dict[str, Any]] = {}
    reach: list[Path] = []
    for name, kind in loaded.items():
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            bench = kind.open_bench(Path(folder))
            for form in kind.forms:
                parts = _run_form(kind, bench, name, form, wanted[name, form], seed=seed, work=work)
                found.setdefault(name, {})[form] = summarize(parts)
                progress(f"{name}, {form}: {_tell(found[name][form])}")
            if traced:
                reach.append(trace(kind, bench, traced, work / f"reach-{name}.coverage"))
    atheris = {target: _run_target(target, guided, seed=seed, work=work) for target in TARGETS if guided}
    details: dict[str, Any] = {"seed": seed, "limits": {"cpu_s": CPU_LIMIT, "memory_mb": MEMORY_LIMIT}, "kinds": found}
    details |= {"commits": dict.fromkeys([*found, *["guided"][: len(atheris)]], commit())}
    details |= {"guided": atheris, "defects": [dict(zip(("what", "test"), defect, strict=True)) for defect in DEFECTS]}
    details |= {"reach": merge_reach(reach)} if reach else {}
    details = _keep(earlier or {}, details)
    return {"figures": figures(details["kinds"], details["guided"]), "details": details}


def _keep(earlier: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Details with what an earlier campaign knows beyond them."""
    if not earlier:
        return dict(details)
    kept = dict(details)
    for part in ("kinds", "commits", "guided"):
        kept[part] = {**earlier[part], **details[part]}
    kept["kinds"] = {name: kept["kinds"][name] for name in KINDS if name in kept["kinds"]}
    if "reach" in earlier:
        kept.setdefault("reach", earlier["reach"])
    return kept


def figures(kinds: Mapping[str, Mapping[str, Any]], guided: Mapping[str, Any]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): "inputs_tried" by kind, "crashes", "unclear_errors", "forbidden_actions" and
    "defects_mended". kinds (Mapping): By kind and form what `summarize` returned. guided (Mapping): By target."""
    tried = {kind: sum(form["inputs"] for form in forms.values()) for kind, forms in kinds.items()}
    if guided:
        tried["guided"] = sum(target["inputs"] for target in guided.values())
    problems: Counter[str] = Counter()
    for forms in kinds.values():
        for form in forms.values():
            problems.update(form["problems"])
    return {
        "inputs_tried": tried,
        "crashes": sum(problems[sort] for sort in FATAL) + sum(target["problems"] for target in guided.values()),
        "unclear_errors": problems["unclear"],
        "forbidden_actions": problems["forbidden"],
        "defects_mended": len(DEFECTS),
    }


def summarize(parts: Iterable[Part]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What the parts of a form come to: different "inputs", "tried" ones, "answers",
    "errors" by code, the "slowest" and "largest" input, "problems" by sort and the first "examples"."""
    digests: set[str] = set()
    outcomes: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    tried, slowest, largest, examples = 0, 0.0, 0.0, []
    for part in parts:
        tried += part.tried
        digests.update(part.digests)
        outcomes.update(part.outcomes)
        problems.update(part.problems)
        slowest, largest = max(slowest, part.slowest), max(largest, part.largest)
        examples += part.examples
    answers = outcomes.pop("answer", 0)
    return {
        "inputs": len(digests),
        "tried": tried,
        "answers": answers,
        "errors": dict(sorted(outcomes.items())),
        "slowest_s": round(slowest, 2),
        "memory_mb": round(largest),
        "problems": dict(problems),
        **({"examples": examples[:EXAMPLES]} if examples else {}),
    }


def _run_form(kind: Kind, bench: Any, name: str, form: str, wanted: int, *, seed: int, work: Path) -> list[Part]:
    """Run parts until there are enough different inputs, or until drawing more brings hardly any."""
    parts: list[Part] = []
    different: set[str] = set()
    while len(different) < wanted and len(parts) < 3 * (wanted // PART + 1):
        number = seed * 1_000_000 + len(parts)
        inputs = min(PART, wanted - len(different) + 5)
        path = work / name / f"{_slug(form)}-{number}.json"
        part = _kept(path, inputs) or _run_and_keep(kind, kind.forms[form], bench, number, inputs, path)
        parts.append(part)
        different.update(part.digests)
    return parts


def _run_and_keep(kind: Kind, form: Form, bench: Any, number: int, inputs: int, path: Path) -> Part:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn_by = zlib.crc32(path.stem.encode("utf8"))  # another beginning for each form
    part = run_part(kind, form, bench, number=drawn_by, inputs=inputs, journal=path.with_suffix(".journal"))
    write_json(path, {"commit": commit(), "asked": inputs, "part": part.to_json()})
    return part


def _kept(path: Path, inputs: int) -> Part | None:
    """RETURNS (Optional[Part]): A part that was run before, of this code and of as many inputs."""
    record = read_json(path)
    if record is None or (record["commit"], record["asked"]) != (commit(), inputs):
        return None
    return Part(**record["part"])


def _run_target(target: str, runs: int, *, seed: int, work: Path) -> dict[str, Any]:
    path = work / "guided" / f"{target}-{runs}-{seed}.json"
    record = read_json(path)
    if record is None or record["commit"] != commit():
        found = run_guided(target, runs=runs, seed=seed, folder=work / "guided" / target)
        record = {"commit": commit(), "found": found}
        write_json(path, record)
    return record["found"]


def _slug(form: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", form.lower()).strip("-") or f"form-{zlib.crc32(form.encode())}"


def _tell(summary: Mapping[str, Any]) -> str:
    told = f"{summary['inputs']} inputs, {summary['answers']} answers, {json.dumps(summary['errors'])}"
    return f"{told}, slowest {summary['slowest_s']} s, {json.dumps(summary['problems'])}"
