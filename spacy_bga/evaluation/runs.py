"""Run an experiment plan: train, score on the test set once, leave one JSON a run; take up where it stopped."""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.evaluation.claims import claim
from spacy_bga.evaluation.passes import updates_per_pass
from spacy_bga.evaluation.plan import Pairs, Plan, Run
from spacy_bga.evaluation.processes import last_lines, run_command
from spacy_bga.evaluation.provenance import Inputs, command_line, commit, portable, read_inputs, versions
from spacy_bga.evaluation.records import read_json, write_json
from spacy_bga.evaluation.training import LOG, best_model, training_command
from spacy_bga.evaluation.training_log import alignment_curve, best_score, best_step, dev_curve, read_log, term_ends

WORK = Path("training/runs")
MODELS = frozenset({"model-best", "model-last"})
TERMS = ("recon", "cycle", "contrast")
FACTS = ("position", "starts_from", "compare_to", "about", "labelled", "curve", "evidence")
NO_SCORES: dict[str, Any] = {"p": None, "r": None, "f1": None, "per_type": {}, "counts": None, "contexts": {}}
POLL = 5.0  # seconds between looks at what another process is at
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    run (Run): The run. status (str): "done"; "kept", if it was done before; "skipped", if another process is at it;
        "failed". message (str): What went wrong.
    """

    run: Run
    status: Literal["done", "kept", "skipped", "failed"]
    message: str = ""


@dataclass(frozen=True)
class Job:
    """A plan that is being worked on: see `run_plan`.

    broken (set[str]): The keys of the runs that failed.
    """

    plan: Plan
    output: Path
    work: Path
    threads: int
    keep_models: bool
    force: bool
    progress: Progress
    broken: set[str] = field(default_factory=set)

    def record(self, run: Run) -> Path:
        """RETURNS (Path): The file of a run's numbers."""
        return self.output / f"{run.key}.json"

    def lock(self, run: Run) -> Path:
        """RETURNS (Path): The file of whoever is at a run."""
        return self.work / f"{run.key}.lock"


class _BaseClaimed(Exception):
    """Another process trains the run that this one starts from."""


def run_plan(
    plan: Plan,
    output: Path,
    *,
    only: Iterable[str] = (),
    force: bool = False,
    keep_models: bool = False,
    threads: int = 1,
    work: Path = WORK,
    progress: Progress = print,
) -> list[Outcome]:
    """Do every run of a plan that is not done yet. One that fails does not stop the others.

    A run is done when its file is there and was made from the same inputs: config, seed and data, and those of the run
    that it starts from. The model of such a base is kept; without it, the base is trained again as soon as a run needs
    it. Several calls can share a plan, on one machine: each leaves alone what another is at.

    plan (Plan): The plan. output (Path): Gets `<plan>/<run>-seed<k>.json`.
    only (Iterable[str]): Names of runs; none: all. force (bool): Also do what is done already.
    keep_models (bool): Whether all trained pipelines stay in the work folder.
    threads (int): The threads of each training. work (Path): The folder for models, logs and locks.
    progress (Callable): Gets a line for each thing that happens.
    RETURNS (list[Outcome]): One for each run, in the plan's order.
    """
    job = Job(plan, output / plan.name, work / plan.name, threads, keep_models, force, progress)
    runs = plan.select(only)
    outcomes: dict[str, Outcome] = {}
    remaining = list(runs)
    while remaining:
        later = []
        for run in remaining:
            try:
                outcomes[run.key] = _attempt(run, job)
            except _BaseClaimed:
                later.append(run)
        if later == remaining:
            time.sleep(POLL)
        elif later:
            progress(Warnings.W503.format(runs=", ".join(run.key for run in later)))
        remaining = later
    return [outcomes[run.key] for run in runs]


def _attempt(run: Run, job: Job, *, as_base: bool = False) -> Outcome:
    try:
        return _run_once(run, job, as_base=as_base)
    except _BaseClaimed:
        raise
    except BGAError as error:
        outcome = Outcome(run, "failed", str(error))
    except Exception as error:  # a config that spaCy refuses, a full disk: the next run may do better
        outcome = Outcome(run, "failed", f"{type(error).__name__}: {error}")
    job.broken.add(run.key)
    job.progress(f"{run.key}: failed\n{outcome.message}")
    return outcome


def _run_once(run: Run, job: Job, *, as_base: bool = False) -> Outcome:
    """Do a run if it is due. As a base it is due without its model, but not for being forced."""
    inputs = read_inputs(run)

    def is_kept() -> bool:
        force = job.force and not as_base
        return not force and _made_from(job.record(run), inputs) and (not as_base or best_model(run, job.work).is_dir())

    if not is_kept():
        with claim(job.lock(run)) as ours:
            if not ours:
                if not as_base:
                    job.progress(Warnings.W502.format(run=run.key, lock=job.lock(run)))
                return Outcome(run, "skipped")
            if not is_kept():  # else another process has done it just now
                _train(run, inputs, job)
                return Outcome(run, "done")
    _renew_facts(run, job)
    if not as_base:
        job.progress(f"{run.key}: done before, {job.record(run)}")
    return Outcome(run, "kept")


def _train(run: Run, inputs: Inputs, job: Job) -> None:
    path = job.record(run)
    if path.is_file() and not _made_from(path, inputs):
        job.progress(Warnings.W501.format(run=run.key, path=path))
        path.unlink()  # a run that fails now must not leave a number that its inputs don't give
    if run.base:
        _provide(run.base, run, job)
    folder = _fresh_folder(job.work, run)
    job.progress(f"{run.key}: training, log in {job.work / run.key / 'train.log'}")
    unwanted = MODELS
    try:
        record = _train_and_score(run, inputs, folder, job)
        unwanted = _unwanted_models(run, job)
    finally:
        for model in unwanted:
            shutil.rmtree(folder / model, ignore_errors=True)
        _move(folder, job.work / run.key)
    write_json(path, record)
    score = f"F1 {record['f1']} on the test set" if run.test else f"{record['dev_best']} on dev"
    job.progress(f"{run.key}: {score}, {record['wall_s']} s of training, {path}")


def _unwanted_models(run: Run, job: Job) -> frozenset[str]:
    if job.keep_models:
        return frozenset()
    return MODELS - {"model-best"} if run.name in job.plan.bases else MODELS


def _provide(base: Run, run: Run, job: Job) -> None:
    """See to it that the model that a run starts from is there."""
    status = "failed" if base.key in job.broken else _attempt(base, job, as_base=True).status
    if status == "skipped":
        raise _BaseClaimed
    if status == "failed":
        raise BGAError(Errors.B533.format(run=run.key, base=base.key))


def _made_from(path: Path, inputs: Inputs) -> bool:
    try:
        record = read_json(path) or {}
    except BGAError:
        return False
    return record.get("inputs") == inputs.digest


def _renew_facts(run: Run, job: Job) -> None:
    """What the plan says of a run may have changed since, without changing its numbers."""
    record = read_json(job.record(run)) or {}
    renewed = {key: value for key, value in record.items() if key not in FACTS} | _facts(run)
    if renewed != record:
        write_json(job.record(run), renewed)


def _facts(run: Run) -> dict[str, Any]:
    start = {"starts_from": {"run": run.base.name, "seed": run.base.seed}} if run.base else {}
    return {"position": run.position, **start, **run.facts}


def _fresh_folder(work: Path, run: Run) -> Path:
    """A folder that no other attempt writes to: training outlives a runner that was killed, and goes on saving."""
    for left in work.glob(f"{run.key}.partial-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = work / f"{run.key}.partial-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    return folder


def _move(folder: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)


def _train_and_score(run: Run, inputs: Inputs, folder: Path, job: Job) -> dict[str, Any]:
    code = commit(ignored=("docs", job.output))  # before training: it is the code that training loads
    log = folder / "train.log"
    usage = run_command(training_command(run, folder, work=job.work), log=log, threads=job.threads)
    if usage.exit_code:
        raise BGAError(Errors.B514.format(run=run.key, code=usage.exit_code, lines=last_lines(log)))
    record = {
        "plan": job.plan.name,
        "run": run.name,
        "seed": run.seed,
        **NO_SCORES,
        **(_scores(run, folder, job) if run.test else {}),
        **_training_facts(folder),
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "threads": job.threads,
        **_provenance(run, inputs, job),
        "commit": code,
    }
    if run.pairs:
        record["alignment"] = _alignment(run, run.pairs, folder, job)
    return record | _facts(run)


def _scores(run: Run, folder: Path, job: Job) -> dict[str, Any]:
    images = ["--images", run.test_images] if run.test_images else []
    arguments = [folder / "model-best", run.test, folder / "scores.json", *run.contexts, *images]
    return _measure("scores", arguments, folder / "scores.json", Errors.B515, run, job)


def _alignment(run: Run, pairs: Pairs, folder: Path, job: Job) -> dict[str, Any]:
    options = ["--images", pairs.images, *(["--labelled", pairs.labelled] if pairs.labelled else [])]
    files = [f"{name}={file.as_posix()}" for name, file in pairs.files.items()]
    arguments = [folder / "model-best", folder / "alignment.json", *options, *files]
    return portable(_measure("alignment", arguments, folder / "alignment.json", Errors.B534, run, job))


def _measure(module: str, arguments: Sequence[Any], result: Path, message: str, run: Run, job: Job) -> dict[str, Any]:
    """Run a module of this package in a process of its own. RETURNS (dict): What it wrote."""
    log = result.with_name("train.log")
    command = [sys.executable, "-m", f"spacy_bga.evaluation.{module}", *map(str, arguments)]
    usage = run_command(command, log=log, threads=job.threads)
    found = read_json(result)
    if usage.exit_code or found is None:
        raise BGAError(message.format(run=run.key, code=usage.exit_code, lines=last_lines(log)))
    return found


def _training_facts(folder: Path) -> dict[str, Any]:
    rows = read_log(folder / LOG)
    step = best_step(rows)
    per_pass = updates_per_pass(folder / "model-best" / "config.cfg")
    return {
        "best_step": step,
        "updates_per_pass": per_pass,
        "epochs": round((step + 1) / per_pass, 2),  # steps count from 0, after their update
        "dev_best": best_score(rows),
        "dev_f1": dev_curve(rows),
        "dev_r10": alignment_curve(rows),
        **{term: term_ends(rows, term) for term in TERMS},
    }


def _provenance(run: Run, inputs: Inputs, job: Job) -> dict[str, Any]:
    chosen = [part for name, value in job.plan.chosen.items() for part in ("--set", f"{name}={value or ''}")]
    again = ["python", "-m", "spacy_bga", "runs", job.plan.source, "--only", run.name, *chosen, "--force"]
    train = ["python", *training_command(run, job.work / run.key, work=job.work)[1:]]
    return {
        "config": portable(run.config),
        "overrides": portable(dict(run.overrides)),
        "test": portable(run.test),
        "files": inputs.files,
        "inputs": inputs.digest,
        "versions": versions(),
        "command": command_line(again),
        "train_command": command_line(train),
    }
