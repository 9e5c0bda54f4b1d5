"""Run an experiment plan: train, score on the test set once, leave one JSON a run; take up where it stopped."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.evaluation.passes import updates_per_pass
from spacy_bga.evaluation.plan import Plan, Run
from spacy_bga.evaluation.processes import last_lines, run_command
from spacy_bga.evaluation.provenance import Inputs, command_line, commit, portable, read_inputs, versions
from spacy_bga.evaluation.records import read_json, write_json
from spacy_bga.evaluation.training import LOG, training_command
from spacy_bga.evaluation.training_log import best_step, dev_curve, read_log, term_ends

WORK = Path("training/runs")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    run (Run): The run. status (str): "done"; "kept", if it was done before; "failed".
    message (str): What went wrong.
    """

    run: Run
    status: Literal["done", "kept", "failed"]
    message: str = ""


@dataclass(frozen=True)
class Settings:
    """How to run a plan: see `run_plan`."""

    output: Path
    work: Path
    threads: int
    keep_models: bool


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

    A run is done when its file is there and was made from the same inputs: config, seed and data. One call at a time
    for the same plan.

    plan (Plan): The plan. output (Path): Gets `<plan>/<run>-seed<k>.json`.
    only (Iterable[str]): Names of runs; none: all. force (bool): Also do what is done already.
    keep_models (bool): Whether the trained pipelines stay in the work folder.
    threads (int): The threads of each training. work (Path): The folder for models and logs.
    progress (Callable): Gets a line for each thing that happens.
    RETURNS (list[Outcome]): One for each run, in the plan's order.
    """
    settings = Settings(output / plan.name, work / plan.name, threads, keep_models)
    outcomes = []
    for run in plan.select(only):
        try:
            outcome = _run_once(plan, run, settings, force=force, progress=progress)
        except BGAError as error:
            outcome = Outcome(run, "failed", str(error))
        except Exception as error:  # a config that spaCy refuses, a full disk: the next run may do better
            outcome = Outcome(run, "failed", f"{type(error).__name__}: {error}")
        if outcome.message:
            progress(f"{run.key}: {outcome.status}\n{outcome.message}")
        outcomes.append(outcome)
    return outcomes


def _run_once(plan: Plan, run: Run, settings: Settings, *, force: bool, progress: Progress) -> Outcome:
    path = settings.output / f"{run.key}.json"
    inputs = read_inputs(run, plan.test)
    if path.is_file():
        if not _made_from(path, inputs):
            progress(Warnings.W501.format(run=run.key, path=path))
            path.unlink()  # a run that fails now must not leave a number that its inputs don't give
        elif not force:
            progress(f"{run.key}: done before, {path}")
            return Outcome(run, "kept")
    folder = _fresh_folder(settings.work, run)
    progress(f"{run.key}: training, log in {settings.work / run.key / 'train.log'}")
    try:
        record = _train_and_score(plan, run, inputs, folder, settings)
    finally:
        if not settings.keep_models:
            for model in ("model-best", "model-last"):
                shutil.rmtree(folder / model, ignore_errors=True)
        _move(folder, settings.work / run.key)
    write_json(path, record)
    progress(f"{run.key}: F1 {record['f1']} on the test set, {record['wall_s']} s of training, {path}")
    return Outcome(run, "done")


def _made_from(path: Path, inputs: Inputs) -> bool:
    try:
        record = read_json(path) or {}
    except BGAError:
        return False
    return record.get("inputs") == inputs.digest


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


def _train_and_score(plan: Plan, run: Run, inputs: Inputs, folder: Path, settings: Settings) -> dict[str, Any]:
    code = commit(ignored=("docs", settings.output))  # before training: it is the code that training loads
    log = folder / "train.log"
    usage = run_command(training_command(run, folder), log=log, threads=settings.threads)
    if usage.exit_code:
        raise BGAError(Errors.B514.format(run=run.key, code=usage.exit_code, lines=last_lines(log)))
    scored = folder / "scores.json"
    arguments = [folder / "model-best", plan.test, scored, *run.contexts]
    command = [sys.executable, "-m", "spacy_bga.evaluation.scores", *map(str, arguments)]
    scoring = run_command(command, log=log, threads=settings.threads)
    scores = read_json(scored)
    if scoring.exit_code or scores is None:
        raise BGAError(Errors.B515.format(run=run.key, code=scoring.exit_code, lines=last_lines(log)))
    return {
        "plan": plan.name,
        "run": run.name,
        "seed": run.seed,
        "position": run.position,
        **scores,
        **_training_facts(folder),
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "threads": settings.threads,
        **_provenance(plan, run, inputs, settings),
        "commit": code,
    }


def _training_facts(folder: Path) -> dict[str, Any]:
    rows = read_log(folder / LOG)
    step = best_step(rows)
    per_pass = updates_per_pass(folder / "model-best" / "config.cfg")
    return {
        "best_step": step,
        "updates_per_pass": per_pass,
        "epochs": round((step + 1) / per_pass, 2),  # steps count from 0, after their update
        "dev_f1": dev_curve(rows),
        "recon": term_ends(rows, "recon"),
        "cycle": term_ends(rows, "cycle"),
    }


def _provenance(plan: Plan, run: Run, inputs: Inputs, settings: Settings) -> dict[str, Any]:
    chosen = [part for name, value in plan.chosen.items() for part in ("--set", f"{name}={value or ''}")]
    again = ["python", "-m", "spacy_bga", "runs", plan.source, "--only", run.name, *chosen, "--force"]
    train = ["python", *training_command(run, settings.work / run.key)[1:]]
    return {
        "config": portable(run.config),
        "overrides": portable(dict(run.overrides)),
        "test": portable(plan.test),
        "files": inputs.files,
        "inputs": inputs.digest,
        "versions": versions(),
        "command": command_line(again),
        "train_command": command_line(train),
    }
