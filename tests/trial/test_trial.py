"""A whole trial with tiny encoders, as a user runs it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.reliability.tiny import write_text_encoder, write_vision_encoder
from spacy_bga.trial import arms
from tests.pipeline.words import TEXTS, draw_colour

NAMES = {f"n{chr(97 + i // 26)}{chr(97 + i % 26)}": ("PER", "LOC")[i % 2] for i in range(30)}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    fillers = {word for text in TEXTS for word in text.split(" ") if word != "{}"}
    text = write_text_encoder(tmp_path_factory.mktemp("text"), words=[*sorted(fillers), *NAMES])
    return text, write_vision_encoder(tmp_path_factory.mktemp("vision"))


def write_data(folder: Path, *, shuffled: bool) -> tuple[Path, Path]:
    """RETURNS (tuple[Path, Path]): Labelled posts without pictures, and pairs of the same names with pictures of their
    kinds, or of kinds drawn by chance."""
    kinds = list(NAMES.values())
    if shuffled:
        random.Random(0).shuffle(kinds)
    posts, pairs = [], []
    for number, ((name, label), kind) in enumerate(zip(NAMES.items(), kinds, strict=True)):
        for place, template in enumerate(TEXTS[:4]):
            text, start = template.format(name), template.index("{}")
            posts.append({"text": text, "spans": [{"start": start, "end": start + len(name), "label": label}]})
            image = f"{number}_{place}.png"
            (folder / image).write_bytes(draw_colour(kind, 10 * number + place))
            pairs.append({"text": f"{TEXTS[4 + place % 2].format(name)} !", "image": image})
    for name, rows in (("posts", posts), ("pairs", pairs)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    return folder / "posts.jsonl", folder / "pairs.jsonl"


def run(folder: Path, encoders: tuple[Path, Path], *more: str, shuffled: bool = False) -> tuple[str, dict]:
    posts, pairs = write_data(folder, shuffled=shuffled)
    given = ["trial", str(posts), "--pairs", str(pairs), "--output", str(folder / "trial"), "--minutes", "1"]
    given += ["--text-encoder", str(encoders[0]), "--vision-encoder", str(encoders[1]), *more]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    return done.output, json.loads((folder / "trial" / "trial.json").read_text(encoding="utf8"))


def test_a_trial_and_its_second_start(tmp_path: Path, encoders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    output, found = run(tmp_path, encoders, "--seeds", "1")
    assert found["seeds"] == 1
    assert found["trust"] > 0.5
    assert found["sentence"] in output
    page = (tmp_path / "trial" / "trial.md").read_text(encoding="utf8")
    assert found["sentence"] in page
    assert "| known from pictures alone |" in page
    assert "<!DOCTYPE html>" in (tmp_path / "trial" / "posts.html").read_text(encoding="utf8")
    trained = []
    monkeypatch.setattr(arms, "load_pipeline", lambda path: trained.append(path))
    again, same = run(tmp_path, encoders, "--seeds", "1")
    assert not trained
    assert same == found
    assert found["sentence"] in again
    other = CliRunner().invoke(
        app,
        [
            "trial",
            str(tmp_path / "posts.jsonl"),
            "--pairs",
            str(tmp_path / "pairs.jsonl"),
            "--output",
            str(tmp_path / "trial"),
            "--minutes",
            "2",
        ],
    )
    assert other.exit_code == 1
    assert "B692" in other.output


def test_pictures_that_tell_nothing_do_not_pay(tmp_path: Path, encoders: tuple[Path, Path]):
    output, found = run(tmp_path, encoders, "--seeds", "1", shuffled=True)
    assert found["answer"] == "do not pay"
    assert "Pictures do not pay" in output


def test_given_features(tmp_path: Path, encoders: tuple[Path, Path]):
    """The same verdict from features that are given, and no picture at all."""
    posts, pairs = write_data(tmp_path, shuffled=False)
    features = tmp_path / "features"
    given = ["features", str(tmp_path), str(features), "--vision-encoder", str(encoders[1])]
    assert CliRunner().invoke(app, given).exit_code == 0
    for picture in tmp_path.glob("*.png"):
        picture.unlink()
    given = ["trial", str(posts), "--pairs", str(pairs), "--output", str(tmp_path / "trial"), "--minutes", "1"]
    given += ["--seeds", "1", "--text-encoder", str(encoders[0]), "--visual-features", str(features)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "trial" / "trial.json").read_text(encoding="utf8"))["trust"] > 0.5
