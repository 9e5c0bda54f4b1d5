from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.runs import WORK, Outcome, run_plan
from tests.evaluation.conftest import POSTS, FakeTrainer, WritePlan, write_posts

OUTPUT = Path("docs/runs")


def quietly(line: str) -> None:
    pass


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def read(key: str) -> dict[str, Any]:
    return json.loads((OUTPUT / "small" / f"{key}.json").read_text(encoding="utf8"))


def test_every_run_leaves_a_record(write_plan: WritePlan, trainer: FakeTrainer, project: Path):
    lines: list[str] = []
    outcomes = run_plan(write_plan({"data": "corpus"}), OUTPUT, threads=2, progress=lines.append)
    assert statuses(outcomes) == ["done"] * 3
    record = read("first-seed1")
    assert {key: record[key] for key in ("plan", "run", "seed", "p", "r", "f1", "wall_s", "cpu_s", "threads")} == {
        "plan": "small",
        "run": "first",
        "seed": 1,
        "p": 80.0,
        "r": 60.0,
        "f1": 68.57,
        "wall_s": 12.3,
        "cpu_s": 11.1,
        "threads": 2,
    }
    # Of two rows with the same score spaCy keeps the later one; 4 posts in batches of 2 are 2 updates a pass.
    assert (record["best_step"], record["updates_per_pass"], record["epochs"]) == (6, 2, 3.5)
    assert [row["f1"] for row in record["dev_f1"]] == [10.0, 50.0, 50.0, 40.0]
    assert record["recon"] == {"start": 4.0, "end": 2.5}
    assert record["cycle"] is None
    assert record["config"] == "configs/ner.cfg"
    assert record["overrides"]["paths.train"] == "corpus/train.spacy"
    assert record["command"] == "python -m spacy_bga runs plan.yml --only first --set data=corpus --force"
    assert record["train_command"].startswith(
        "python -m spacy train configs/ner.cfg --output training/runs/small/first"
    )
    assert "F1 68.57" in "\n".join(lines)
    everything = "".join(path.read_text(encoding="utf8") for path in OUTPUT.rglob("*.json"))
    assert str(project) not in everything
    assert '"/' not in everything


def test_the_seed_and_the_settings_reach_the_trainer(write_plan: WritePlan, trainer: FakeTrainer):
    config = Path("configs/ner.cfg")
    config.write_text(
        config.read_text(encoding="utf8")
        .replace("[corpora.dev]", "seed = 5\n\n[corpora.dev]")
        .replace("size = 2", "size = 2\nseed = 5"),
        encoding="utf8",
    )
    run = {"name": "a", "config": "configs/ner.cfg", "seeds": [7], "overrides": {"nlp.lang": "1", "nlp.x": "b c"}}
    outcomes = run_plan(write_plan(runs=[run]), OUTPUT, progress=quietly)
    assert statuses(outcomes) == ["failed"]  # after its training: spaCy's own reader takes no seed
    [command] = trainer.commands
    given = dict(zip(command[7::2], command[8::2], strict=True))
    for name in ("training.seed", "system.seed", "corpora.train.seed", "training.batcher.seed"):
        assert given[f"--{name}"] == "7"
    assert given["--nlp.lang"] == '"1"'
    assert given["--nlp.x"] == "b c"
    assert given["--paths.train"] == "corpus/train.spacy"
    assert given["--training.logger.output_file"].endswith("/log.jsonl")


def test_done_runs_are_left_alone(write_plan: WritePlan, trainer: FakeTrainer):
    run_plan(write_plan(), OUTPUT, only=["first"], progress=quietly)
    assert len(trainer.commands) == 2
    assert statuses(run_plan(write_plan(), OUTPUT, progress=quietly)) == ["kept", "done", "kept"]
    assert len(trainer.commands) == 3
    assert statuses(run_plan(write_plan(), OUTPUT, only=["second"], force=True, progress=quietly)) == ["done"]
    assert len(trainer.commands) == 4


def test_other_inputs_make_a_run_anew(write_plan: WritePlan, trainer: FakeTrainer, project: Path):
    plan = write_plan()
    run_plan(plan, OUTPUT, progress=quietly)
    write_posts(project / "corpus" / "train.spacy", POSTS[:2])
    trainer.broken = {"second"}
    lines: list[str] = []
    assert statuses(run_plan(plan, OUTPUT, progress=lines.append)) == ["done", "failed", "done"]
    assert sum("W501" in line for line in lines) == 3
    # A number that the inputs of today don't give is not left lying about.
    assert not (OUTPUT / "small" / "second-seed0.json").exists()
    (OUTPUT / "small" / "first-seed0.json").write_text("{", encoding="utf8")
    assert statuses(run_plan(plan, OUTPUT, only=["first"], progress=quietly)) == ["done", "kept"]


def test_a_run_that_fails_does_not_stop_the_others(write_plan: WritePlan, trainer: FakeTrainer):
    trainer.broken = {"first-seed0"}
    lines: list[str] = []
    outcomes = run_plan(write_plan(), OUTPUT, progress=lines.append)
    assert statuses(outcomes) == ["failed", "done", "done"]
    assert "B514" in outcomes[0].message
    assert "exit code 3" in outcomes[0].message
    assert outcomes[0].message.endswith("reading\nout of luck")
    assert any("out of luck" in line for line in lines)
    assert not (OUTPUT / "small" / "first-seed0.json").exists()
    assert (WORK / "small" / "first-seed0" / "train.log").is_file()
    trainer.broken = set()
    assert statuses(run_plan(write_plan(), OUTPUT, progress=quietly)) == ["done", "kept", "kept"]


def test_a_run_that_cannot_be_scored_has_failed(write_plan: WritePlan, trainer: FakeTrainer):
    trainer.broken = {"scores"}
    (outcome,) = run_plan(write_plan(), OUTPUT, only=["second"], progress=quietly)
    assert outcome.status == "failed"
    assert "[B515] Scoring second-seed0 on the test set failed with exit code 1" in outcome.message
    assert not (OUTPUT / "small" / "second-seed0.json").exists()


def test_a_config_that_spacy_refuses_is_a_failed_run(write_plan: WritePlan, trainer: FakeTrainer):
    runs = [
        {"name": "bad", "config": "configs/ner.cfg", "overrides": {"nowhere.x": 1}},
        {"name": "good", "config": "configs/ner.cfg"},
    ]
    outcomes = run_plan(write_plan(runs=runs), OUTPUT, progress=quietly)
    assert statuses(outcomes) == ["failed", "done"]
    assert "nowhere" in outcomes[0].message


def test_a_killed_run_is_started_again(write_plan: WritePlan, trainer: FakeTrainer):
    trainer.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        run_plan(write_plan(), OUTPUT, progress=quietly)
    assert not list(OUTPUT.rglob("*.json"))
    # What is left when there was no time to clear up:
    left = WORK / "small" / "first-seed0.partial-12345678"
    (left / "model-best").mkdir(parents=True)
    assert statuses(run_plan(write_plan(), OUTPUT, progress=quietly)) == ["done"] * 3
    assert not left.exists()


@pytest.mark.parametrize("keep", [False, True])
def test_models_are_kept_on_request(write_plan: WritePlan, trainer: FakeTrainer, keep: bool):
    run_plan(write_plan(), OUTPUT, only=["second"], keep_models=keep, progress=quietly)
    folder = WORK / "small" / "second-seed0"
    assert (folder / "model-best").is_dir() is keep
    assert (folder / "train.log").is_file()
    assert (folder / "log.jsonl").is_file()


def test_runs_come_by_seed(write_plan: WritePlan, trainer: FakeTrainer):
    run_plan(write_plan(), OUTPUT, progress=quietly)
    assert trainer.trained == ["first-seed0", "second-seed0", "first-seed1"]


def test_a_run_without_entities(write_plan: WritePlan, trainer: FakeTrainer, project: Path):
    run = {"name": "pairs", "config": "configs/ner.cfg", "test": False, "measure_alignment": True}
    pairs = {"alignment": {"news": "corpus/dev.spacy"}, "alignment_images": "/elsewhere/photos"}
    lines: list[str] = []
    assert statuses(run_plan(write_plan(runs=[run], **pairs), OUTPUT, progress=lines.append)) == ["done"]
    record = read("pairs-seed0")
    assert [record[key] for key in ("p", "r", "f1", "counts", "test")] == [None] * 5
    assert (record["per_type"], record["contexts"]) == ({}, {})
    assert record["alignment"] == {"news": {"t2i": {"r10": 50.0}}}
    assert record["dev_best"] == 50.0
    [measure] = trainer.measures
    assert measure[:3] == ["-m", "spacy_bga.evaluation.alignment", measure[2]]
    assert measure[3:] == [measure[3], "--images", "/elsewhere/photos", "news=corpus/dev.spacy"]
    assert any("50.0 on dev" in line for line in lines)
    trainer.broken = {"alignment"}
    [outcome] = run_plan(write_plan(runs=[run], **pairs), OUTPUT, force=True, progress=quietly)
    assert "B534" in outcome.message


def test_what_the_plan_says_of_a_run_is_renewed(write_plan: WritePlan, trainer: FakeTrainer):
    runs = [{"name": name, "config": "configs/ner.cfg"} for name in ("a", "b")]
    run_plan(write_plan(runs=runs), OUTPUT, progress=quietly)
    before = read("b-seed0")
    assert "about" not in before
    runs[1] |= {"about": "a line", "compare_to": "a", "labelled": 4, "curve": "c"}
    plan = write_plan(runs=[runs[1], runs[0]], evidence={"f1_gain_all": "b"})
    assert statuses(run_plan(plan, OUTPUT, progress=quietly)) == ["kept", "kept"]
    facts = {"about": "a line", "compare_to": "a", "labelled": 4, "curve": "c", "evidence": ["f1_gain_all"]}
    assert read("b-seed0") == {**before, **facts, "position": 0}
    assert read("a-seed0")["position"] == 1
    runs[1].pop("about")
    run_plan(write_plan(runs=[runs[1], runs[0]]), OUTPUT, progress=quietly)
    assert read("b-seed0").keys() == before.keys() | {"compare_to", "labelled", "curve"}


def test_unknown_names_are_refused(write_plan: WritePlan, trainer: FakeTrainer):
    with pytest.raises(BGAError, match="B507"):
        run_plan(write_plan(), OUTPUT, only=["third"], progress=quietly)
