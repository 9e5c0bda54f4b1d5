"""The GPU script, which runs the same on the CPU: with tiny encoders every part is done, and the file says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lab.gpu import NO_GPU, Clock, agreement, main
from lab.gpu_contenders import read_posts
from spacy_bga.reliability.tiny import write_text_encoder, write_vision_encoder

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # spacy-transformers' own


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    for name in ("text", "vision"):
        (tmp_path / name).mkdir()
    posts = read_posts("train", "dev", "test", limit=8)
    write_text_encoder(tmp_path / "text", words=sorted({w.lower() for post in posts for w in post.text.words}))
    write_vision_encoder(tmp_path / "vision")
    places = ["--text-encoder", str(tmp_path / "text"), "--vision-encoder", str(tmp_path / "vision")]
    return [*places, "--output", str(tmp_path / "gpu.json"), "--posts", "8", "--batch-size", "4"]


def test_all_parts_on_the_cpu(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lab.gpu.MOST_ROUNDS", 2)
    main([*arguments, "--device", "cpu", "--steps", "3", "--seconds", "60"])
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf8"))
    assert found["left_out"] == []
    assert found["device"] == {"type": "cpu"}
    assert str(tmp_path) not in json.dumps(found)
    assert found["training"]["steps"] == 3
    assert found["training"]["losses"]["bga_ner_recon"]["first"] > 0  # pictures were learnt from
    assert found["agreement"]["documents"] == 16
    assert found["agreement"]["fp32"]["same_documents"] == 1
    assert found["agreement"]["fp32"]["greatest_confidence_difference"] in (0, None)
    ratios = {"bga_bf16/bga", "bga/spacy", "bga/plain", "bga_bf16/plain_bf16"}
    assert found["tagging_speed"]["ratios"].keys() == ratios
    assert found["training_speed"]["ratios"].keys() == ratios | {"bga_pictures_bf16/bga_pictures"}
    assert found["tagging_speed"]["contenders"]["bga"]["words_per_s"]["median"] > 0


def test_what_there_is_no_time_for_is_said(arguments: list[str], tmp_path: Path):
    main([*arguments, "--device", "cpu", "--seconds", "0.01"])
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf8"))
    assert found["left_out"] == [
        f"{part}: all: no time" for part in ("training", "agreement", "tagging_speed", "training_speed")
    ]


def test_a_failure_costs_itself_alone():
    clock = Clock(60)
    assert clock.attempt("training", "this", lambda: 1 / 0) is None
    assert clock.attempt("training", "that", lambda: 1) == 1
    assert clock.left_out == ["training: this: ZeroDivisionError: division by zero"]


def test_agreement():
    here = [{(0, 1, "A"): 0.5, (2, 3, "B"): 0.75}, {(0, 1, "A"): 1.0}]
    there = [{(0, 1, "A"): 0.25, (2, 3, "B"): 0.75}, {}]
    assert agreement(here, there) == {"same_documents": 0.5, "greatest_confidence_difference": 0.25}


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=NO_GPU):
        main([])
