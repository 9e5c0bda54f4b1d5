"""A training that is killed and resumed ends as one that was not, bit by bit."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import spacy
import spacy.cli.train
import torch
from safetensors.torch import load_file, save_file
from spacy.training.loop import train_while_improving
from spacy.util import logger

from spacy_bga.errors import BGAError
from spacy_bga.training import loop, weights
from spacy_bga.training.train import train
from spacy_bga.training.weights import Tensors, read_weights
from tests.training.conftest import STEPS, Overrides, Train, keep_snapshots

STREAMED = {
    "corpora.train.stream": True,
    "corpora.train.pairs_per_labelled": 0.5,
    "training.max_epochs": -1,
}


ALIGNED = """
[initialize]

[initialize.components]

[initialize.components.bga_ner]
align_steps = 6
"""
TRANSFORMER = """[components]

[components.transformer]
factory = "transformer"

[components.transformer.model]
name = "TEXT_ENCODER"

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
hidden_width = 8

[components.ner.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
pooling = {"@layers": "reduce_mean.v1"}

"""


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a pipeline, but for the speed that it was measured at."""
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    meta = json.loads(found["meta.json"])
    meta["performance"].pop("speed", None)
    return found | {"meta.json": json.dumps(meta).encode()}


def assert_same(first: Path, second: Path) -> None:
    for model in ("model-best", "model-last"):
        expected, found = contents(first / model), contents(second / model)
        assert expected.keys() == found.keys()
        assert [name for name in expected if expected[name] != found[name]] == []


def test_like_spacy_train(project: Path, overrides: Overrides, whole: Path, tmp_path: Path):
    spacy.cli.train.train(project / "config.cfg", tmp_path / "spacy", overrides=overrides)
    assert_same(tmp_path / "spacy", whole)


@pytest.mark.parametrize("step", STEPS)
def test_resumed(run: Train, whole: Path, tmp_path: Path, step: int):
    shutil.copytree(whole.with_name(str(step)), tmp_path / "out")
    assert_same(whole, run("out", resume=True))


def test_resumed_from_a_stream(run: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keep_snapshots(monkeypatch, tmp_path / "whole", [4])
    expected = run("whole", settings=STREAMED)
    monkeypatch.undo()
    assert_same(expected, run("4", resume=True, settings=STREAMED))


def test_what_words_look_like_is_learnt_once(
    run: Train, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Before a training begins; one that is resumed has it from its checkpoint."""
    text = (project / "config.cfg").read_text(encoding="utf8").replace("bga_layers = 2", "bga_layers = 0")
    text = text.replace("BGAModel.v1", "BGAModel.v2") + ALIGNED
    (tmp_path / "config.cfg").write_text(text, encoding="utf8")
    caplog.set_level(logging.INFO, logger="spacy")
    monkeypatch.setattr(logger, "propagate", True)
    keep_snapshots(monkeypatch, tmp_path / "whole", [4])
    run("whole", config=tmp_path / "config.cfg")
    assert "image-text pairs in 6 steps" in caplog.text
    monkeypatch.setattr(loop, "train_while_improving", train_while_improving)
    caplog.clear()
    assert_same(tmp_path / "whole", run("4", resume=True, config=tmp_path / "config.cfg"))
    assert "image-text pairs" not in caplog.text


def test_nothing_to_resume_yet(run: Train, whole: Path, capsys: pytest.CaptureFixture):
    assert_same(whole, run("new", resume=True))
    assert "no checkpoint to resume yet" in capsys.readouterr().out


def test_continues_the_log_and_the_table(
    run: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """As if it had never been killed: all rows, also those of before, with their scores."""
    log = {"paths.log": (tmp_path / "log.jsonl").as_posix()}
    keep_snapshots(monkeypatch, tmp_path / "whole", [7])
    run("whole", settings=log)
    monkeypatch.undo()
    rows = read_rows(tmp_path / "log.jsonl")
    table = capsys.readouterr().out.partition("Training pipeline")[2].splitlines()
    run("7", resume=True, settings=log)
    resumed = capsys.readouterr().out.partition("Training pipeline")[2].splitlines()
    assert [row["step"] for row in rows] == [0, 3, 6, 9, 12]
    again = read_rows(tmp_path / "log.jsonl")
    assert [row["seconds"] for row in again[:3]] == [row["seconds"] for row in rows[:3]]
    for row in (*rows, *again):
        del row["seconds"], row["scores"]["speed"]
        for key in ("examples", "examples_per_second", "seconds_left"):  # of this process alone
            del row[key]
    assert again == rows
    assert any("Resuming after step 6" in line for line in resumed)
    timeless = [line.split()[:-2] for line in resumed if "Resuming" not in line][:-2]  # without speed and time left
    assert timeless == [line.split()[:-2] for line in table[:-2]]


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def test_goes_on_for_longer(run: Train, whole: Path):
    """What was trained to its end can be trained further, to where it would have come at once."""
    run("out", settings={"training.max_steps": 6})
    assert_same(whole, run("out", resume=True))
    assert_same(whole, run("out", resume=True))  # nothing is left to do


@pytest.mark.filterwarnings("ignore:.W213.")  # nothing is to be learnt here
def test_patience_is_remembered(run: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = {"training.patience": 4, "training.optimizer.learn_rate.initial_rate": 0.0}
    keep_snapshots(monkeypatch, tmp_path / "whole", [2, 3])
    expected = run("whole", settings=settings)
    monkeypatch.undo()
    for step in ("2", "3", "whole"):
        shutil.copytree(expected.with_name(step), tmp_path / f"from-{step}")
        assert_same(expected, run(f"from-{step}", resume=True, settings=settings))


@pytest.mark.skipif(find_spec("spacy_transformers") is None, reason="needs spacy-transformers")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of spacy-transformers
def test_a_transformer_of_spacys(
    run: Train, project: Path, text_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A torch model that thinc's optimizer trains, and a listener."""
    text = (project / "config.cfg").read_text(encoding="utf8").replace('["ner","bga_ner"]', '["transformer","ner"]')
    components = TRANSFORMER.replace("TEXT_ENCODER", text_encoder_folder.as_posix())
    text = text[: text.index("[components]")] + components + text[text.index("[corpora]") :]
    (tmp_path / "config.cfg").write_text(text, encoding="utf8")
    keep_snapshots(monkeypatch, tmp_path / "whole", [4])
    run("whole", config=tmp_path / "config.cfg")
    monkeypatch.undo()
    run("4", config=tmp_path / "config.cfg", resume=True)
    for model in ("model-best", "model-last"):
        expected, found = (weights_of(tmp_path / output / model) for output in ("whole", "4"))
        assert expected.keys() == found.keys()
        assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


def weights_of(folder: Path) -> Tensors:
    """Its files differ in how a zip archive is packed."""
    return read_weights(spacy.load(folder), ())


def test_saves_what_it_has_when_interrupted(run: Train, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With Ctrl-C, as `spacy train` does; and is resumed from its last evaluation."""
    stop_after(7, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run("out")
    monkeypatch.undo()
    expected = contents(run("seven", settings={"training.max_steps": 7}) / "model-last")
    saved = contents(tmp_path / "out" / "model-last")
    assert [name for name in expected if expected[name] != saved[name]] == ["config.cfg"]
    assert_same(whole, run("out", resume=True))


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(*args: Any, **settings: Any) -> Iterator:
        for batch, info, is_best in train_while_improving(*args, **settings):
            yield batch, info, is_best
            if info["step"] == step:
                raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train_while_improving", steps)


def test_an_error_while_it_catches_up_saves_nothing(
    run: Train, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(whole, tmp_path / "out")
    before = contents(whole / "model-last")
    stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run("out", resume=True)
    assert contents(tmp_path / "out" / "model-last") == before


def test_what_is_begun_anew_forgets_the_checkpoint_and_keeps_the_pipelines(
    run: Train, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(whole, tmp_path / "out")
    monkeypatch.setattr(loop.Training, "run", lambda self, *outputs: self.output.last)
    run("out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model-best", "model-last"]
    assert_same(whole, tmp_path / "out")


class TestRefused:
    """What is of another training is told of, and nothing is changed."""

    @pytest.fixture
    def out(self, whole: Path, tmp_path: Path) -> Path:
        return shutil.copytree(whole, tmp_path / "out")

    def check(self, run: Train, out: Path, message: str, settings: Overrides | None = None) -> None:
        before = contents(out / "model-last")
        with pytest.raises(BGAError, match=message):
            run("out", resume=True, settings=settings)
        assert contents(out / "model-last") == before

    def test_other_settings(self, run: Train, out: Path):
        self.check(
            run, out, r"B673.*: training.dropout, training.seed\.", {"training.seed": 1, "training.dropout": 0.5}
        )

    def test_other_data(self, run: Train, out: Path, overrides: Overrides):
        self.check(run, out, "B675", {"paths.train": overrides["paths.dev"]})

    @pytest.mark.parametrize(
        ("limit", "message"),
        [({"training.max_steps": 5}, "B678"), ({"training.patience": 1}, "B678"), ({"training.max_epochs": 1}, "B675")],
    )
    def test_an_end_before_the_checkpoint(self, run: Train, out: Path, limit: Overrides, message: str):
        self.check(run, out, message, limit)

    @pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "moments.safetensors"])
    @pytest.mark.parametrize("damage", [lambda whole: whole[:100], lambda whole: b"", lambda whole: b'{"format": 2}'])
    def test_a_damaged_checkpoint(self, run: Train, out: Path, name: str, damage: Callable[[bytes], bytes]):
        path = out / "checkpoint" / name
        path.write_bytes(damage(path.read_bytes()))
        self.check(run, out, "B674.*checkpoint")

    @pytest.mark.parametrize("name", ["weights.safetensors", "moments.safetensors"])
    def test_a_checkpoint_of_another_shape(self, run: Train, out: Path, name: str):
        path = out / "checkpoint" / name
        tensors = load_file(path)
        first = min(key for key in tensors if "ner/2/" in key)
        tensors[f"{first}x"] = tensors.pop(first)
        save_file(tensors, path)
        self.check(run, out, "B676")

    def test_a_model_that_only_pickles(self, run: Train, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(weights, "BGAShim", str)
        with pytest.raises(BGAError, match=r"B677.*BGAShim"):
            run("out")

    def test_no_config(self, tmp_path: Path):
        with pytest.raises(BGAError, match=r"B672.*nowhere\.cfg"):
            train(tmp_path / "nowhere.cfg", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
