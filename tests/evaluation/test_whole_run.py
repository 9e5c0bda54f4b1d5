"""Whole runs in processes of their own: stock `ner`, and a tiny `bga_ner` with images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.evaluation.bootstrap import f1
from spacy_bga.evaluation.runs import run_plan
from spacy_bga.evaluation.scores import score_pipeline
from tests.conftest import encode_picture
from tests.evaluation.conftest import CONFIG, PLAN, POSTS, WritePlan, write_posts

pytestmark = pytest.mark.timeout(300)  # several processes each, which may have to share a core with others

BGA_CONFIG = """
[paths]
train = null
dev = null
images = null

[system]
seed = 0

[nlp]
lang = "en"
pipeline = ["bga_ner"]

[components]

[components.bga_ner]
factory = "bga_ner"

[components.bga_ner.model]
@architectures = "spacy_bga.BGAModel.v1"
text_encoder = "{text}"
vision_encoder = "{vision}"
bga_layers = 2
image_size = 32
window = 32
overlap = 8

[corpora]

[corpora.train]
@readers = "spacy_bga.MixedCorpus.v1"
pairs = null

[corpora.train.labelled]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${{paths.train}}
images = ${{paths.images}}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${{paths.dev}}
"""

ALIGN_SETTINGS = """factory = "bga_ner"
save_visual_branch = true
score_alignment = true"""
ALIGN_CORPORA = """
[corpora.train]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.train}
images = ${paths.images}

[corpora.dev]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.dev}
images = ${paths.images}

"""
ALIGN_SCORES = """
[training.score_weights]
align_r10 = 1.0
ents_f = null
ents_p = null
ents_r = null
ents_per_type = null
"""


def test_stock_ner_from_the_console(write_plan: WritePlan, project: Path):
    write_plan()
    done = CliRunner().invoke(app, ["runs", "plan.yml", "--only", "second"])
    assert done.exit_code == 0, done.output
    assert done.stdout == "second-seed0: done\n"
    record = json.loads(Path("docs/runs/small/second-seed0.json").read_text(encoding="utf8"))
    assert [row["step"] for row in record["dev_f1"]] == [0, 3, 6]
    assert record["recon"] is record["cycle"] is None
    assert record["epochs"] == (record["best_step"] + 1) / 2
    assert set(record["per_type"]) == {"PER", "ORG", "LOC"}
    assert record["wall_s"] > 0
    assert record["cpu_s"] is None or record["cpu_s"] > 0
    assert str(project) not in json.dumps(record)
    assert CliRunner().invoke(app, ["runs", "plan.yml", "--only", "second"]).stdout == "second-seed0: kept\n"


def test_a_training_that_crashes(write_plan: WritePlan, project: Path):
    (project / "corpus" / "dev.spacy").write_bytes(b"no corpus")
    write_plan()
    done = CliRunner().invoke(app, ["runs", "plan.yml", "--only", "second"])
    assert done.exit_code == 1
    assert done.stdout == "second-seed0: failed\n"
    assert "B514" in done.stderr
    assert "Error" in done.stderr


def test_bga_ner_is_scored_in_other_contexts(
    write_plan: WritePlan, project: Path, text_encoder_folder: Path, vision_encoder_folder: Path
):
    text = BGA_CONFIG.format(text=text_encoder_folder.as_posix(), vision=vision_encoder_folder.as_posix())
    training = CONFIG[CONFIG.index("[training]") :]
    Path("configs/bga.cfg").write_text(text + "\n" + training, encoding="utf8")
    Path("images").mkdir()
    for number in range(len(POSTS)):
        (project / "images" / f"{number}.png").write_bytes(encode_picture(number))
    for part in ("train", "test"):
        write_posts(project / "corpus" / f"{part}.spacy", POSTS, image=lambda number: f"{number}.png")
    overrides = {
        "paths.images": "images",
        "training.max_steps": 4,
        "components.bga_ner.save_visual_branch": True,
        "components.bga_ner.model.real_context": 0.5,
    }
    contexts = ["zero", "swapped", "real"]
    run = {"name": "bga", "config": "configs/bga.cfg", "contexts": contexts, "overrides": overrides}
    [outcome] = run_plan(write_plan(runs=[run], test_images="images"), Path("docs/runs"), keep_models=True)
    assert outcome.status == "done", outcome.message
    record = json.loads(Path("docs/runs/small/bga-seed0.json").read_text(encoding="utf8"))
    assert list(record["contexts"]) == contexts
    real = record["contexts"]["real"]
    assert real.keys() == {"p", "r", "f1", "counts", "images"}
    assert real["images"] == len(real["counts"]) == len(POSTS)
    assert f1(np.array(real["counts"])) == pytest.approx(real["f1"], abs=0.01)
    assert all(record["contexts"][key].keys() == {"p", "r", "f1"} for key in ("zero", "swapped"))
    assert record["recon"]["start"] > 0
    assert record["cycle"]["end"] > 0
    # The counts are of the same entities as the scores.
    assert len(record["counts"]) == len(POSTS)
    assert f1(np.array(record["counts"])) == pytest.approx(record["f1"], abs=0.01)
    assert str(text_encoder_folder) not in json.dumps(record)

    model = Path("training/runs/small/bga-seed0/model-best")
    arguments = ["measure-package", str(model), "--encoder", str(text_encoder_folder)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    sizes = json.loads(Path("docs/runs/package.json").read_text(encoding="utf8"))
    weights = (text_encoder_folder / "model.safetensors").stat().st_size
    assert sizes["text_encoder_mb"] == round(weights / 1e6, 2)
    assert sizes["model_mb"] >= sizes["text_encoder_mb"]
    again = score_pipeline(model, Path("corpus/test.spacy"))
    assert {key: again[key] for key in ("p", "r", "f1")} == {key: record[key] for key in ("p", "r", "f1")}


def test_tagging_starts_from_what_alignment_has_learnt(
    write_plan: WritePlan, project: Path, text_encoder_folder: Path, vision_encoder_folder: Path
):
    text = BGA_CONFIG.format(text=text_encoder_folder.as_posix(), vision=vision_encoder_folder.as_posix())
    training = CONFIG[CONFIG.index("[training]") :]
    Path("configs/bga.cfg").write_text(text + "\n" + training, encoding="utf8")
    align = text[: text.index("[corpora.train]")].replace('factory = "bga_ner"', ALIGN_SETTINGS) + ALIGN_CORPORA
    align = align.replace("bga_layers = 2", "bga_layers = 2\ncontrast_weight = 1.0")
    Path("configs/align.cfg").write_text(align + training + ALIGN_SCORES, encoding="utf8")
    Path("images").mkdir()
    for number in range(len(POSTS)):
        (project / "images" / f"{number}.png").write_bytes(encode_picture(number))
    for part in ("train", "dev"):
        write_posts(project / "pairs" / f"{part}.spacy", POSTS, image=lambda number: f"{number}.png", labelled=False)
    shared = {"paths.images": "images", "training.max_steps": 4}
    pairs = {"paths.train": "pairs/train.spacy", "paths.dev": "pairs/dev.spacy"}
    plan = write_plan(
        overrides=shared,
        runs=[
            {"name": "align", "config": "configs/align.cfg", "overrides": pairs, "test": False}
            | {"measure_alignment": True},
            {"name": "bga", "config": "configs/bga.cfg", "starts_from": "align", "overrides": PLAN["overrides"]},
        ],
        alignment={"posts": "pairs/dev.spacy"},
        alignment_images="images",
    )
    outcomes = run_plan(plan, Path("docs/runs"))
    assert [(outcome.status, outcome.message) for outcome in outcomes] == [("done", "")] * 2
    align, bga = (json.loads(Path(f"docs/runs/small/{run}-seed0.json").read_text("utf8")) for run in ("align", "bga"))
    assert align["f1"] is None
    assert align["contrast"]["start"] > 0
    assert align["dev_r10"][-1]["step"] == 3
    assert align["alignment"]["posts"]["t2i"]["n"] == len(POSTS)
    assert bga["f1"] is not None
    assert bga["dev_r10"] is None
    assert "initialize.components.bga_ner.aligner training/runs/small/align-seed0/model-best" in bga["train_command"]
    assert str(project) not in json.dumps([align, bga])


def test_contexts_need_an_aligner(project: Path):
    import spacy

    from spacy_bga.errors import BGAError

    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PER", "pattern": "Kevin"}])
    nlp.to_disk("ruler")
    with pytest.raises(BGAError, match="B513"):
        score_pipeline(Path("ruler"), Path("corpus/test.spacy"), contexts=["zero"])
