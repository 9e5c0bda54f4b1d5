"""Runs that start from another's model, and processes that share a plan."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from spacy_bga.evaluation import runs
from spacy_bga.evaluation.plan import Plan
from spacy_bga.evaluation.runs import WORK, run_plan
from tests.evaluation.conftest import POSTS, FakeTrainer, WritePlan, write_posts
from tests.evaluation.test_runs import OUTPUT, quietly, read, statuses

BASE = {"name": "base", "config": "configs/ner.cfg", "seeds": [0, 1], "test": False}
NEXT = {"name": "next", "config": "configs/ner.cfg", "seeds": [0, 1, 2], "starts_from": "base"}
MODEL = WORK / "small" / "base-seed0" / "model-best"
OTHER = str(os.getppid())  # a process that is alive


@pytest.fixture
def plan(write_plan: WritePlan) -> Plan:
    return write_plan(runs=[BASE, NEXT])


def test_a_run_starts_from_the_model_of_its_base(plan: Plan, trainer: FakeTrainer, project: Path):
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["done"] * 5
    assert trainer.trained == ["base-seed0", "next-seed0", "base-seed1", "next-seed1", "next-seed2"]
    assert trainer.start("base-seed0") is None
    assert [trainer.start(f"next-seed{seed}") for seed in (0, 1, 2)] == [
        f"training/runs/small/base-seed{seed}/model-best" for seed in (0, 1, 0)
    ]
    assert read("next-seed2")["starts_from"] == {"run": "base", "seed": 0}
    assert "starts_from" not in read("base-seed0")
    assert MODEL.is_dir()
    assert not (WORK / "small" / "next-seed0" / "model-best").exists()
    assert not list(WORK.rglob("*.lock"))
    assert str(project) not in "".join(path.read_text(encoding="utf8") for path in OUTPUT.rglob("*.json"))


def test_a_base_is_trained_when_it_is_needed(plan: Plan, trainer: FakeTrainer):
    assert statuses(run_plan(plan, OUTPUT, only=["next"], progress=quietly)) == ["done"] * 3
    assert trainer.trained == ["base-seed0", "next-seed0", "base-seed1", "next-seed1", "next-seed2"]
    assert read("base-seed1")["f1"] is None


def test_a_base_without_its_model_is_trained_again_if_a_run_is_due(plan: Plan, trainer: FakeTrainer):
    run_plan(plan, OUTPUT, progress=quietly)
    shutil.rmtree(MODEL)
    trainer.commands.clear()
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["kept"] * 5
    assert not trainer.commands
    (OUTPUT / "small" / "next-seed1.json").unlink()
    run_plan(plan, OUTPUT, progress=quietly)
    assert trainer.trained == ["next-seed1"]
    (OUTPUT / "small" / "next-seed2.json").unlink()
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["kept", "kept", "kept", "kept", "done"]
    assert trainer.trained == ["next-seed1", "base-seed0", "next-seed2"]


def test_a_change_of_the_base_makes_all_due(plan: Plan, trainer: FakeTrainer, write_plan: WritePlan):
    run_plan(plan, OUTPUT, progress=quietly)
    plan = write_plan(runs=[{**BASE, "overrides": {"training.max_steps": 6}}, NEXT])
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["done"] * 5


def test_force_means_the_runs_that_were_asked_for(plan: Plan, trainer: FakeTrainer):
    run_plan(plan, OUTPUT, progress=quietly)
    trainer.commands.clear()
    run_plan(plan, OUTPUT, only=["next"], force=True, progress=quietly)
    assert trainer.trained == ["next-seed0", "next-seed1", "next-seed2"]
    trainer.commands.clear()
    run_plan(plan, OUTPUT, force=True, progress=quietly)
    assert trainer.trained == ["base-seed0", "next-seed0", "base-seed1", "next-seed1", "next-seed2"]


@pytest.mark.parametrize("only", [[], ["next"]])
def test_a_run_whose_base_fails_fails_too(plan: Plan, trainer: FakeTrainer, project: Path, only: list[str]):
    run_plan(plan, OUTPUT, progress=quietly)
    write_posts(project / "corpus" / "train.spacy", POSTS[:2])
    trainer.commands.clear()
    trainer.broken = {"base-seed0"}
    outcomes = {outcome.run.key: outcome for outcome in run_plan(plan, OUTPUT, only=only, progress=quietly)}
    assert outcomes["next-seed0"].status == outcomes["next-seed2"].status == "failed"
    assert "B533" in outcomes["next-seed2"].message
    assert outcomes["next-seed1"].status == "done"
    assert trainer.trained.count("base-seed0") == 1  # not once for each run that needs it
    assert not MODEL.exists()
    # No number stays that the data of today don't give.
    assert not any((OUTPUT / "small" / f"{key}.json").exists() for key in ("base-seed0", "next-seed0", "next-seed2"))


def test_what_another_process_is_at_is_left_to_it(plan: Plan, trainer: FakeTrainer):
    lock = WORK / "small" / "next-seed1.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(OTHER)
    lines: list[str] = []
    outcomes = run_plan(plan, OUTPUT, progress=lines.append)
    assert statuses(outcomes) == ["done", "done", "done", "skipped", "done"]
    assert sum("W502" in line and str(lock) in line for line in lines) == 1
    assert lock.read_text() == OTHER
    lock.unlink()
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["kept", "kept", "kept", "done", "kept"]


def test_a_base_that_another_process_trains_is_waited_for(
    plan: Plan, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch
):
    lock = WORK / "small" / "base-seed0.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(OTHER)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        """Another process works in the meantime, and is done the second time."""
        naps.append(seconds)
        if len(naps) == 2:
            lock.unlink()

    monkeypatch.setattr(runs.time, "sleep", sleep)
    lines: list[str] = []
    outcomes = run_plan(plan, OUTPUT, progress=lines.append)
    assert [(outcome.run.key, outcome.status) for outcome in outcomes] == [
        ("base-seed0", "skipped"),
        ("next-seed0", "done"),
        ("base-seed1", "done"),
        ("next-seed1", "done"),
        ("next-seed2", "done"),
    ]
    # What can be done comes first; the base itself is trained here, as the other process left no model.
    assert trainer.trained == ["base-seed1", "next-seed1", "base-seed0", "next-seed0", "next-seed2"]
    assert len(naps) == 2
    assert sum("W502" in line for line in lines) == sum("W503" in line for line in lines) == 1


def test_what_another_process_has_just_done_is_kept(plan: Plan, trainer: FakeTrainer, monkeypatch: pytest.MonkeyPatch):
    """It may have finished between our look at the results and our claim."""
    run_plan(plan, OUTPUT, progress=quietly)
    path = OUTPUT / "small" / "next-seed0.json"
    done = path.read_bytes()
    path.unlink()
    create = runs.claim

    def claim(lock: Path):
        path.write_bytes(done)
        return create(lock)

    monkeypatch.setattr(runs, "claim", claim)
    trainer.commands.clear()
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["kept"] * 5
    assert not trainer.commands
