"""The same entities, however a pipeline is saved, loaded and run: each cell of the matrix, and the campaign."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pytest
import spacy
import torch
from typer.testing import CliRunner

from spacy_bga.aligner.crf import CRF
from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.reliability.sameness.campaign import FEW_WAYS, compare, try_source
from spacy_bga.reliability.sameness.margins import margin, measure_margins
from spacy_bga.reliability.sameness.section import sameness_section
from spacy_bga.reliability.sameness.sources import FULL, SOURCES, has_visual_branch
from spacy_bga.reliability.sameness.ways import WAYS, torch_threads
from spacy_bga.reliability.subject import Answer, find_subject

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")


@needs_fork
@pytest.mark.timeout(300)
@pytest.mark.parametrize("source", SOURCES)
def test_cells(source: str, pipeline: Path, texts: list[str], expected: Answer, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # where a wheel is installed to
    found = try_source(source, list(WAYS), pipeline, texts, tmp_path)
    assert found.keys() == WAYS.keys()
    assert {way: answer for way, answer in found.items() if answer != expected} == {}


def test_sources_are_what_they_say(pipeline: Path, tmp_path: Path):
    weights = {}
    for name in ("saved without a visual branch, loaded", FULL):
        work = tmp_path / name
        work.mkdir()
        assert has_visual_branch(SOURCES[name](pipeline, work)) == (name == FULL)
        [file] = work.rglob("model.safetensors")
        weights[name] = file.stat().st_size
    assert weights[FULL] > weights["saved without a visual branch, loaded"]


def test_threads_of_torch_end_with_their_way():
    with torch_threads(2):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1


def test_what_differs_is_told():
    expected: Answer = [[(0, 5, "PER")], [], [(0, 3, "ORG")]]
    found: Answer = [[(0, 5, "PER")], [(2, 4, "LOC")], [(0, 3, "LOC")]]
    assert compare(expected, expected, [0.1, 0.2, 0.3]) == []
    assert compare(expected, found, [0.1, 0.2, 0.3]) == [
        {"text": 1, "missing": [], "added": [(2, 4, "LOC")], "margin": 0.2},
        {"text": 2, "missing": [(0, 3, "ORG")], "added": [(0, 3, "LOC")], "margin": 0.3},
    ]


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_margin_by_brute_force(steps: int, seed: int):
    torch.manual_seed(seed)
    crf = CRF(["PER", "LOC"])
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    crf.requires_grad_(False)
    scores = torch.randn(steps, len(crf.tags))
    totals = []
    for tags in itertools.product(range(len(crf.tags)), repeat=steps):
        names = ["O", *(crf.tags[tag] for tag in tags)]
        if all(b[0] != "I" or a[1:] == b[1:] for a, b in itertools.pairwise(names)):
            total = sum(float(scores[i, tag]) for i, tag in enumerate(tags)) + float(crf.start[tags[0]])
            moves = sum(float(crf.transitions[a, b]) for a, b in itertools.pairwise(tags))
            totals.append(total + moves + float(crf.end[tags[-1]]))
    best, second = sorted(totals, reverse=True)[:2]
    assert margin(crf, scores) == pytest.approx(best - second, abs=1e-5)


def test_margins(pipeline: Path, texts: list[str]):
    found = measure_margins(spacy.load(pipeline), texts)
    assert len(found["margins"]) == len(texts)
    assert [value is None for value in found["margins"]] == [not text.split() for text in texts]
    assert 0 <= found["largest_difference"] < 1e-5
    assert found["smallest"] == min(value for value in found["margins"] if value is not None) > 0


def test_the_section_tells_of_mismatches():
    differing = [{"text": 3, "missing": [], "added": [[0, 1, "PER"]], "margin": 2e-6}]
    details = {
        "cells": {"loaded": {"a": [], "b": differing}, "pickled": {"a": []}},
        "trainings": {"cells": {"once more": ["model.safetensors"]}, "between_threads": ["a", "b"]},
        "left_out": [FULL],
        "steps": 4,
        "scores": {"largest_difference": 1e-6, "smallest": 2e-6, "near": 1, "nearness": 0.01},
        "origin": {"command": "python -m x", "commit": "abc"},
    }
    record = {"matrix_cells": 4, "matrix_mismatches": 2, "matrix_texts": 9, "matrix_entities": 7}
    section = sameness_section(record, details)
    assert "| loaded | 0 | 1 |" in section
    assert "| pickled | 0 | – |" in section
    assert "1 had, with margins from 2.0e-06 to 2.0e-06" in section
    assert "| once more | 1 |" in section
    assert "Between 1 and 2 threads, 2 files differ." in section
    assert f"none of it: {FULL}" in section


@needs_fork
@pytest.mark.timeout(600)
def test_the_campaign_in_its_short_form(tmp_path: Path, pipeline: Path, texts_file: Path):
    files = ["--output", str(tmp_path / "evidence.json"), "--page", str(tmp_path / "page.md")]
    command = ["reliability", "sameness", str(pipeline), str(texts_file), "--quick", "--steps", "4", *files]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evidence.json").read_text(encoding="utf8"))
    assert found["matrix_cells"] == 4 * len(FEW_WAYS) + 1
    assert found["matrix_mismatches"] == 0
    assert found["matrix_entities"] > 0
    assert str(tmp_path) not in json.dumps(found)
    assert "| `spacy_bga train` | 0 |" in (tmp_path / "page.md").read_text(encoding="utf8")


def test_a_pipeline_without_texts(tmp_path: Path, texts_file: Path):
    with pytest.raises(BGAError, match="B750"):
        find_subject(tmp_path, None, limit=None, work=tmp_path)
    with pytest.raises(BGAError, match=r"B751.*config\.cfg"):
        find_subject(tmp_path, texts_file, limit=None, work=tmp_path)


@pytest.mark.timeout(300)
def test_what_is_made_on_the_spot_finds_entities(tmp_path: Path):
    subject = find_subject(None, None, limit=20, work=tmp_path)
    nlp = spacy.load(subject.pipeline)
    assert nlp.pipe_names == ["bga_ner"]
    assert len(subject.texts) == 20
    assert sum(len(nlp(text).ents) for text in subject.texts) >= 20
