"""Learning curves, from what training writes to what is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.figures import panel_figure
from spacy_bga.evaluation.learning_curves import describe_run, draw_learning_curves, run_names
from spacy_bga.evaluation.training_log import best_step, read_log
from spacy_bga.pipeline.loggers import console_logger
from tests.evaluation.test_figures import texts
from tests.pipeline.test_loggers import make_info

SVG = "{http://www.w3.org/2000/svg}"


def make_row(step: int, score: float, **losses: float) -> dict:
    return {"epoch": 0, "step": step, "score": score, "scores": {}, "losses": losses}


def write_log(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


BGA = [make_row(0, 0.0, ner=9.0, ner_crf=7.0, ner_recon=2.0), make_row(10, 0.5, ner=4.0, ner_crf=3.0, ner_recon=1.0)]
TEXT_ONLY = [
    make_row(0, 0.1, ner=7.0, ner_crf=7.0, ner_recon=0.0),
    make_row(10, 0.4, ner=5.0, ner_crf=5.0, ner_recon=0.0),
]


def lines_of(svg: str) -> list[int]:
    """RETURNS (list[int]): How many points each drawn line has."""
    paths = ElementTree.fromstring(svg).iter(f"{SVG}path")
    drawn = [
        path
        for path in paths
        if "stroke-linecap: square" in path.attrib.get("style", "") and path.attrib.get("clip-path")
    ]
    return [path.attrib["d"].count("L") + path.attrib["d"].count("M") for path in drawn]


def test_panels():
    pytest.importorskip("matplotlib")
    svg = draw_learning_curves({"bga": BGA, "text only": TEXT_ONLY}, title="Two runs")
    shown = texts(svg)
    assert {"Two runs", "score on dev, %", "loss ner", "loss ner_crf", "loss ner_recon", "bga", "text only"} <= set(
        shown
    )
    assert shown.count("step") == 2
    assert lines_of(svg) == [2] * 7  # a term that a run never had has no line
    assert draw_learning_curves({"bga": BGA, "text only": TEXT_ONLY}, title="Two runs") == svg


def test_one_run_needs_no_legend():
    pytest.importorskip("matplotlib")
    shown = texts(draw_learning_curves({"bga": BGA}))
    assert "bga" not in shown
    assert "loss ner_recon" in shown


def test_a_loss_that_is_no_number_leaves_a_gap():
    pytest.importorskip("matplotlib")
    rows = [make_row(step, 0.1, ner=float("nan") if step == 20 else 1.0 + step) for step in range(0, 50, 10)]
    (score, loss) = lines_of(draw_learning_curves({"a": rows}))
    assert (score, loss) == (5, 4)
    assert describe_run("a", rows).endswith("a loss is not finite from step 20")


def test_nothing_to_draw():
    for panels in ({}, {"a": {}}, {"a": {"b": []}}):
        with pytest.raises(BGAError, match="B522"):
            panel_figure(panels, title="", x_unit="")


def test_what_the_logger_wrote(nlp: Language, bga_config: dict, tmp_path: Path):
    nlp.add_pipe("bga_ner", config=bga_config)
    nlp.config["training"] = {"eval_frequency": 1, "max_steps": 3, "score_weights": {"ents_f": 1.0}}
    log_step, finalize = console_logger(console_output=False, output_file=str(tmp_path / "log.jsonl"))(nlp)
    for step in range(3):
        log_step(make_info(step, {"bga_ner": 4.0 - step}))
    finalize()
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["losses"]["bga_ner"] for row in rows] == [4.0, 3.0, 2.0]
    assert best_step(rows) == 2
    assert describe_run("log", rows) == "log: 2 steps, best score on dev 50.00 % at step 2"


def test_lines_that_are_no_rows_are_left_out(tmp_path: Path):
    path = write_log(tmp_path / "log.jsonl", *BGA)
    with path.open("a", encoding="utf8") as file:
        file.write('\n{"step": 3}\n[1]\n{"epoch": 3, "step')
    with pytest.warns(UserWarning, match="W630") as caught:
        assert read_log(path) == BGA
    assert [str(warning.message).split(" of ")[0] for warning in caught] == [f"[W630] Line {n}" for n in (4, 5, 6)]


@pytest.mark.filterwarnings("ignore:.*W630")
def test_no_log(tmp_path: Path):
    (tmp_path / "other.txt").write_text("E  #  LOSS\n", encoding="utf8")
    for path in (tmp_path / "other.txt", tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(BGAError, match="B630"):
            read_log(path)


def test_names():
    assert run_names([Path("a/log.jsonl")]) == ["log"]
    assert run_names([Path("a/log.jsonl"), Path("b/log.jsonl")]) == ["a/log", "b/log"]
    assert run_names([Path("r/a/0/log.jsonl"), Path("r/b/0/log.jsonl")]) == ["a/0/log", "b/0/log"]
    same = run_names([Path("log.jsonl"), Path("log.jsonl")])
    assert len(set(same)) == 2


def test_console(tmp_path: Path):
    pytest.importorskip("matplotlib")
    logs = [write_log(tmp_path / name / "log.jsonl", *rows) for name, rows in (("bga", BGA), ("text_only", TEXT_ONLY))]
    output = tmp_path / "figures" / "curves.svg"
    result = CliRunner().invoke(app, ["curves", *map(str, logs), "--output", str(output)])
    assert result.exit_code == 0, result.output
    assert "text_only/log: 10 steps, best score on dev 40.00 % at step 10" in result.output
    assert {"bga/log", "text_only/log"} <= set(texts(output.read_text(encoding="utf8")))


def test_console_takes_svg_only(tmp_path: Path):
    log = write_log(tmp_path / "log.jsonl", *BGA)
    result = CliRunner().invoke(app, ["curves", str(log), "--output", "curves.png"])
    assert result.exit_code == 1
    assert "[B632]" in result.output
