"""Each command that shows or measures alignment, on a pipeline whose words generate by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.alignment import OF_LAYERS, find_component, find_generating, measure_alignment, table
from spacy_bga.evaluation.scores import score_pipeline
from spacy_bga.sharing.model_card import model_card
from spacy_bga.sharing.sources import encoder_sources
from spacy_bga.viewer.posts import pointing_component
from tests.evaluation.aligners import Entities, write_texts
from tests.pipeline.pictured import make_pair, make_word_pipeline, pictured_folder

__all__ = ["pictured_folder"]  # a fixture of the session, here too

PAIRS = [make_pair(seed) for seed in range(1000, 1040)]
TEXTS: list[tuple[str, Entities]] = [
    (" ".join(words), [(words.index(thing), words.index(thing) + 1, "PER") for thing in quadrants])
    for words, quadrants, _ in PAIRS
]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, (_, _, picture) in enumerate(PAIRS):
        (tmp_path / "images" / f"{number}.png").write_bytes(picture)
    return tmp_path / "images"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "pairs.spacy", TEXTS, images=[f"{i}.png" for i in range(len(PAIRS))])


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Where in its picture each thing is: pictures are 32 pixels wide, and things a quadrant."""
    rows: list[dict[str, Any]] = [
        {"image": f"{number}.png", "width": 32, "height": 32}
        | {
            "objects": [
                {"entity": thing, "box": [16 * column, 16 * row, 16 * column + 16, 16 * row + 16]}
                for thing, (row, column) in quadrants.items()
            ]
        }
        for number, (_, quadrants, _) in enumerate(PAIRS)
    ]
    path = tmp_path / "boxes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_alignment(pictured_folder: Path, pairs: Path, images: Path, tmp_path: Path):
    output = tmp_path / "found.json"
    told = run("alignment", pictured_folder, pairs, "--images", images, "--labelled", pairs, "--output", output)
    found = json.loads(output.read_text(encoding="utf8"))
    assert found["t2i"]["n"] == 40
    assert found["t2i"]["r10_ci"][0] > found["t2i"]["chance_r10"]
    assert found["i2t"]["r10_ci"][0] > found["i2t"]["chance_r10"]
    assert [found[name] for name in OF_LAYERS] == [None] * 5
    assert found["entity_swap"]["entity"] > 0
    assert "Changed in" in told
    assert "layer" not in told
    assert "Explained" not in told


def test_the_same_again(pictured_folder: Path, pairs: Path, images: Path):
    first, again = (measure_alignment(spacy.load(pictured_folder), pairs, images) for _ in range(2))
    assert first == again
    assert "R@10" in table(first)


def test_pointing(pictured_folder: Path, pairs: Path, boxes: Path, images: Path, tmp_path: Path):
    output = tmp_path / "pointing.json"
    run("pointing", pictured_folder, pairs, boxes, "--images", images, "--output", output)
    found = json.loads(output.read_text(encoding="utf8"))["embedded"]
    assert found["n"] == 80
    assert found["model"] > 90
    assert found["random"] == 25
    assert found["other_entity"] < 60
    assert found["reachable"] == 100


def test_view(pictured_folder: Path, pairs: Path, images: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    run("view", pictured_folder, pairs, "--images", images, "--output", page, "--limit", 3)
    assert pointing_component(spacy.load(pictured_folder)) is not None
    assert "points" in page.read_text(encoding="utf8")


def test_the_model_card_says_that_it_saw_images(pictured_folder: Path):
    nlp = spacy.load(pictured_folder)
    nlp.meta["license"] = "MIT"
    card = model_card(nlp, None)
    assert "texts and their images" in card
    assert "| visual branch of `bga_ner` | kept |" in card
    assert [source["role"] for source in encoder_sources(nlp)] == ["text encoder", "vision encoder"]


def test_contexts(pictured_folder: Path, pairs: Path):
    found = score_pipeline(pictured_folder, pairs, contexts=["zero", "swapped"])
    assert set(found["contexts"]) == {"zero", "swapped"}
    with pytest.raises(BGAError, match="B133"):  # no layer attends to the features of an image
        score_pipeline(pictured_folder, pairs, contexts=["real"])


def test_a_slim_pipeline_generates_but_has_no_images(
    text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path: Path
):
    make_word_pipeline(text_encoder_folder, vision_encoder_folder, slim=True).to_disk(tmp_path / "slim")
    nlp = spacy.load(tmp_path / "slim")
    assert find_generating(nlp) is nlp.get_pipe("bga_ner")
    assert pointing_component(nlp) is None
    with pytest.raises(BGAError, match="B107"):
        find_component(nlp)
