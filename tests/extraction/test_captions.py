"""Features of captions: the text encoder's own, token by token; and what a file of captions may look like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import BGAError
from spacy_bga.extraction.captions import extract_captions, read_captions

ROWS = [
    {"key": "1", "caption": "the warriors in oakland"},
    {"key": "2", "caption": ""},
    {"key": "3", "caption": None},
    {"image": ["photos/4.jpg", "crop.jpg"], "text": "a post", "caption": ["love paris", "apple", "love paris"]},
    {"key": 5, "caption": "new york !"},
    {"key": "1", "caption": "kevin"},
]
CAPTIONS = {"1": "the warriors in oakland kevin", "photos/4.jpg": "love paris apple", "5": "new york !"}


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf8")
    return path


def test_jsonl(tmp_path: Path):
    assert read_captions(write(tmp_path / "c.jsonl", ROWS)) == (CAPTIONS, [])


def test_csv(tmp_path: Path):
    (tmp_path / "c.csv").write_text('key,caption\n1,"a, b"\n2,\n,lost\n', encoding="utf-8-sig")
    captions, problems = read_captions(tmp_path / "c.csv")
    assert captions == {"1": "a, b"}
    assert len(problems) == 1
    assert "B385" in problems[0]
    assert "line 4: no key" in problems[0]


def test_other_fields(tmp_path: Path):
    path = write(tmp_path / "c.jsonl", [{"imgid": "7", "blip2": "a dog", "catr": "a cat"}])
    assert read_captions(path, key_field="imgid", caption_field="catr")[0] == {"7": "a cat"}


def test_bad_lines_cost_no_others(tmp_path: Path):
    path = tmp_path / "c.jsonl"
    rows = [json.dumps(ROWS[0]), "{broken", "[1]", '{"key": "9", "caption": 7}', json.dumps(ROWS[4])]
    path.write_text("\n".join(rows), encoding="utf8")
    captions, problems = read_captions(path)
    assert set(captions) == {"1", "5"}
    assert [problem.split(":")[0].rpartition(" ")[2] for problem in problems] == ["2", "3", "4"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: write(path, [{"key": "1", "text": "no caption"}])])
def test_nothing_to_read(tmp_path: Path, make):
    make(tmp_path / "c.jsonl")
    with pytest.raises(BGAError, match="B386"):
        read_captions(tmp_path / "c.jsonl")


def test_features(text_encoder_folder: Path, tmp_path: Path):
    path = write(tmp_path / "c.jsonl", ROWS)
    given = ["features", str(path), str(tmp_path / "out"), "--text-encoder", str(text_encoder_folder)]
    result = CliRunner().invoke(app, [*given, "--shard-size", "2"])
    assert result.exit_code == 0, result.output
    assert "features of 3 keys" in result.output
    file = FeatureFile(tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2
    tokenizer = AutoTokenizer.from_pretrained(text_encoder_folder)
    model = AutoModel.from_pretrained(text_encoder_folder).eval()
    for key, caption in CAPTIONS.items():
        with torch.inference_mode():
            states = model(**tokenizer([caption], return_tensors="pt")).last_hidden_state[0, 1:-1]
        np.testing.assert_allclose(file.load(key).astype(np.float32), states.numpy(), atol=5e-3)


def test_long_ones_are_cut(text_encoder_folder: Path, tmp_path: Path):
    path = write(tmp_path / "c.jsonl", [{"key": "1", "caption": "love " * 50}])
    extract_captions(path, tmp_path / "out", encoder=str(text_encoder_folder), most_tokens=6)
    assert FeatureFile(tmp_path / "out").shape("1") == (6, 16)
