"""The terms of the loss reach TensorBoard, MLflow and Weights & Biases, through loggers chained as spaCy chains them.

MLflow and Weights & Biases are too heavy for the extra `test`: where they aren't installed, their tests skip.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from spacy import registry
from spacy.cli.train import train
from spacy.language import Language

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.tensorboard import scalars, tensorboard_logger
from tests.pipeline.test_loggers import BGA_KEYS, make_info
from tests.pipeline.test_spacy_train import overrides, project  # noqa: F401 (fixtures)

TERMS = [f"bga_ner_{term}" for term in ("crf", "recon", "cycle", "ratio", "contrast")]
CONSOLE = {"@loggers": "spacy_bga.ConsoleLogger.v1", "console_output": False}


@pytest.fixture
def pipeline(nlp: Language, bga_config: dict) -> Language:
    nlp.add_pipe("bga_ner", config=bga_config)
    nlp.config["training"] = {"max_steps": 6, "eval_frequency": 3, "score_weights": {"ents_f": 1.0}}
    return nlp


def follow(nlp: Language, *loggers: dict) -> None:
    """Tell chained loggers of seven updates, three of them evaluated, whose sum of each term grows."""
    chain = {f"logger{number}": logger for number, logger in enumerate(loggers, start=1)}
    logger = registry.resolve({"logger": {"@loggers": "spacy.ChainLogger.v1", **chain}})["logger"]
    log_step, finalize = logger(nlp, io.StringIO(), io.StringIO())
    for step in range(7):
        info = make_info(step, dict.fromkeys(BGA_KEYS, 3.0 * (step + 1))) | {"checkpoints": [(0.5, step)]}
        log_step(None if step % 3 else info)
    finalize()


def read_events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """RETURNS (dict): The scalars that TensorBoard itself reads: step and value, by name."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard(project: Path, overrides: dict, tmp_path: Path):  # noqa: F811
    """`spacy train` with our console logger and TensorBoard's in a chain: both tell the same."""
    pytest.importorskip("tensorboard")
    config = (project / "config.cfg").read_text(encoding="utf8")
    head, _, _ = config.partition("[training.logger]")
    chain = f"""[training.logger]
@loggers = "spacy.ChainLogger.v1"

[training.logger.logger1]
@loggers = "spacy_bga.ConsoleLogger.v1"
output_file = ${{paths.log}}

[training.logger.logger2]
@loggers = "spacy_bga.TensorBoardLogger.v1"
log_dir = "{tmp_path / "runs" / "first"}"
"""
    (project / "config.cfg").write_text(head + chain, encoding="utf8")
    train(project / "config.cfg", overrides=overrides | {"training.max_steps": 8, "training.eval_frequency": 4})
    rows = [json.loads(line) for line in (project / "log.jsonl").read_text(encoding="utf8").splitlines()]
    events = read_events(tmp_path / "runs" / "first")
    for term in TERMS:
        assert events[f"loss/{term}"] == [(row["step"], pytest.approx(row["losses"][term])) for row in rows]
    assert {step for step, _ in events["loss/bga_ner_recon"]} == {0, 4, 8}
    assert events["scores/ents_f"] == [(row["step"], pytest.approx(row["scores"]["ents_f"])) for row in rows]
    assert [step for step, _ in events["speed/examples_per_second"]] == [4, 8]


def test_tensorboard_leaves_out_what_is_not_known():
    row = {"score": 0.5, "losses": {"ner": 2.0}, "scores": {"ents_f": 50.0}, "examples_per_second": None}
    assert scalars(row) == {"score": 0.5, "loss/ner": 2.0, "scores/ents_f": 50.0}


def test_tensorboard_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BGAError, match=r'B631.*pip install "spacy_bga\[tensorboard\]"'):
        tensorboard_logger(str(tmp_path))


@pytest.mark.filterwarnings("ignore")  # its own
def test_mlflow(pipeline: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow (extra `mlflow`) is not installed")
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(store)
    follow(pipeline, CONSOLE, {"@loggers": "spacy.MLflowLogger.v2", "log_custom_stats": ["^progress"]})
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    for key in BGA_KEYS:
        values = [metric.value for metric in client.get_metric_history(run.info.run_id, f"loss_{key}")]
        assert sorted(values) == [3.0, 12.0, 21.0]
        means = [metric.value for metric in client.get_metric_history(run.info.run_id, f"progress.mean_loss.{key}")]
        assert sorted(means) == [3.0, 4.0, 7.0]
    assert run.data.params["components.bga_ner.model.bga_layers"] == "2"


@pytest.mark.filterwarnings("ignore")  # its own
def test_wandb(pipeline: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("wandb", reason="Weights & Biases (extra `wandb`) is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = {"@loggers": "spacy.WandbLogger.v5", "project_name": "test", "log_custom_stats": ["^progress"]}
    follow(pipeline, CONSOLE, logger)
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    written = file.read_bytes()
    assert [key for key in BGA_KEYS if f"loss_{key}".encode() not in written] == []
    assert b"progress.mean_loss.bga_ner_crf" in written


def test_wandb_gets_each_term(pipeline: Language, monkeypatch: pytest.MonkeyPatch):
    """What spaCy's logger hands to Weights & Biases, whose package a recorder stands in for."""
    logged: list[dict] = []
    recorder = SimpleNamespace(
        init=lambda **settings: SimpleNamespace(id="run"), log=logged.append, join=lambda: None, Artifact=None
    )
    recorder.log_artifact = None
    monkeypatch.setitem(sys.modules, "wandb", recorder)
    logger = {"@loggers": "spacy.WandbLogger.v5", "project_name": "test", "log_custom_stats": ["^progress"]}
    follow(pipeline, CONSOLE, logger)
    series = {key: [entry[key] for entry in logged if key in entry] for entry in logged for key in entry}
    assert {key: series[f"loss_{key}"] for key in BGA_KEYS} == {key: [3.0, 12.0, 21.0] for key in BGA_KEYS}
    assert series["progress.mean_loss.bga_ner_recon"] == [3.0, 4.0, 7.0]
    assert series["score"] == [0.5, 0.5, 0.5]
