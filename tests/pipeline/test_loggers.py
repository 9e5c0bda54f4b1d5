"""The rows of the training log, on the console and as JSONL."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from spacy import registry
from spacy.language import Language
from thinc.api import ConfigValidationError

from spacy_bga.pipeline.loggers import console_logger
from spacy_bga.pipeline.progress import loss_keys

BGA_KEYS = [f"bga_ner{term}" for term in ("", "_crf", "_recon", "_cycle", "_ratio", "_contrast", "_words")]


def make_info(step: int, losses: dict, **scores: object) -> dict:
    return {
        "epoch": 1,
        "step": step,
        "losses": losses,
        "other_scores": {"ents_f": 0.5, "ents_per_type": {"LOC": {"f": 1.0}}, "speed": 1000.0, **scores},
        "score": 0.5,
        "seconds": 3,
        "words": 70,
    }


@pytest.fixture
def pipeline(nlp: Language, bga_config: dict) -> Language:
    """Ours, beside a component whose losses are recorded only when it learns, and one that never does."""
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("tagger")
    nlp.add_pipe("bga_ner", config=bga_config)
    nlp.config["training"] = {
        "eval_frequency": 2,
        "score_weights": {"tag_acc": 0.5, "ents_f": 0.5, "ents_per_type": None},
    }
    return nlp


def test_is_registered():
    assert registry.loggers.get("spacy_bga.ConsoleLogger.v1") is console_logger


def test_keys(pipeline: Language):
    assert loss_keys(pipeline) == ["tagger", *BGA_KEYS]


def test_rows(pipeline: Language, tmp_path: Path):
    path = tmp_path / "logs" / "train.jsonl"
    stdout, stderr = io.StringIO(), io.StringIO()
    log_step, finalize = console_logger(output_file=str(path))(pipeline, stdout, stderr)
    losses = dict.fromkeys(BGA_KEYS, 0.0) | {"bga_ner": 10.0, "bga_ner_crf": 8.0, "bga_ner_recon": 2.0}
    log_step(make_info(0, losses))  # the evaluation before anything is learnt
    log_step(None)
    log_step(make_info(2, losses | {"tagger": 1.0}, ents_f=0.25, tag_acc=None))
    finalize()
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    assert [row["step"] for row in rows] == [0, 2]
    assert rows[0]["losses"] == {"tagger": 0.0, **losses}
    assert rows[1]["losses"]["bga_ner_crf"] == 4.0  # the mean over two updates
    assert rows[1]["losses"]["tagger"] == 0.5
    assert rows[1]["scores"] == {"ents_f": 25.0, "speed": 1000.0}
    assert rows[1]["score"] == 0.5
    head, rule, first, second = stdout.getvalue().splitlines()
    losses_shown = ["LOSS TAGGER", "LOSS BGA_NER", "BGA_NER_CRF", "BGA_NER_RECON", "BGA_NER_CYCLE", "BGA_NER_RATIO"]
    assert head.split()[:10] == ["E", "#", *" ".join(losses_shown).split()]
    assert {"ENTS_F", "TAG_ACC"} <= set(head.split())
    assert head.split()[-3:] == ["SCORE", "EX/S", "LEFT"]
    assert "ENTS_PER_TYPE" not in head
    assert set(rule) == {"-", " "}
    cells = second.split()
    assert cells[:10] == ["1", "2", "0.500", "5.000", "4.000", "1.000", *["0.000"] * 4]
    assert sorted(cells[10:-2]) == ["0.00"] * (len(cells) - 14) + ["0.50", "25.00"]
    assert cells[-2:] == ["-", "-"]  # two updates say nothing about speed
    assert len({len(line) for line in (head, rule, first, second)}) == 1
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("name", ["bga_ner", "multimodal_entities"])
def test_long_names_keep_their_columns(nlp: Language, bga_config: dict, name: str):
    nlp.add_pipe("bga_ner", name=name, config=bga_config)
    nlp.config["training"] = {"eval_frequency": 2, "score_weights": {"ents_f": 1.0}}
    stdout = io.StringIO()
    log_step, finalize = console_logger()(nlp, stdout, io.StringIO())
    log_step(make_info(0, {}))
    finalize()
    titles = stdout.getvalue().splitlines()[0].split()
    assert len(set(titles)) == len(titles)
    for key in BGA_KEYS[1:]:
        assert any(title.endswith(key.removeprefix("bga_ner").upper()) for title in titles), key
    assert len({len(line) for line in stdout.getvalue().splitlines()}) == 1


def test_quiet(pipeline: Language, tmp_path: Path):
    stdout, stderr = io.StringIO(), io.StringIO()
    log_step, finalize = console_logger(console_output=False, output_file=str(tmp_path / "a.jsonl"))(
        pipeline, stdout, stderr
    )
    log_step(make_info(0, {"bga_ner": 1.0}))
    finalize()
    assert stdout.getvalue() == stderr.getvalue() == ""
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf8"))["losses"]["bga_ner"] == 1.0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_bar_without_a_terminal(pipeline: Language):
    stderr = io.StringIO()
    log_step, finalize = console_logger(progress_bar=True, console_output=False)(pipeline, io.StringIO(), stderr)
    log_step(None)
    log_step(make_info(2, {}))
    finalize()
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("progress_bar", "max_steps", "shown"),
    [
        ("train", 6, ["| 0/6,", "| 1/6,", "| 4/6,", "| 6/6,"]),
        ("eval", 6, ["| 0/2,", "| 1/2,"]),
        (True, 0, ["| 0/2,", "| 1/2,", "- left"]),
        ("train", 0, ["1 steps,", "6 steps,", "- left"]),
    ],
)
def test_progress_bar(pipeline: Language, progress_bar: bool | str, max_steps: int, shown: list[str]):
    pipeline.config["training"] |= {"max_steps": max_steps}
    terminal = Terminal()
    log_step, finalize = console_logger(progress_bar=progress_bar)(pipeline, terminal, terminal)
    for step in range(7):
        log_step(None if step % 2 else make_info(step, {}))
    finalize()
    written = terminal.getvalue()
    assert [text for text in shown if text in written] == shown
    assert "examples/s" in written
    assert written.endswith("\r")
    *_, last = (line for line in written.split("\r") if line)
    assert not last.strip()  # the bar is wiped away
    rows = [line.rpartition("\r")[2] for line in written.splitlines(keepends=True) if line.endswith("\n")]
    assert [len(row) for row in rows] == [len(rows[0])] * 6  # and so it is before each row


@pytest.mark.parametrize("progress_bar", [True, False, "train", "eval"])
def test_settings_from_a_config(progress_bar: bool | str):
    settings = {"@loggers": "spacy_bga.ConsoleLogger.v1", "progress_bar": progress_bar}
    assert callable(registry.resolve({"logger": settings})["logger"])


def test_other_settings_are_refused():
    settings = {"@loggers": "spacy_bga.ConsoleLogger.v1", "progress_bar": "always"}
    with pytest.raises(ConfigValidationError, match="progress_bar"):
        registry.resolve({"logger": settings})
