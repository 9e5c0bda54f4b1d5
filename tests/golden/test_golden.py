"""Pipelines that earlier releases have saved load, and tag as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import spacy

from spacy_bga.about import __version__
from tests.golden.make import HERE, PIPELINES, TEXTS, answers, emissions, main

RELEASES = sorted(path.parent.name for path in HERE.glob("*/expected.json"))
CASES = [(release, name) for release in RELEASES for name in PIPELINES if (HERE / release / name).is_dir()]


def test_this_release_has_its_golden_pipelines():
    assert __version__ in RELEASES, "run `python -m tests.golden.make` before the release"
    assert {name for release, name in CASES if release == __version__} == set(PIPELINES)


@pytest.mark.parametrize(("release", "name"), CASES)
def test_tags_as_it_did(release: str, name: str, tmp_path: Path):
    if name == "onnx":
        pytest.importorskip("onnxruntime")
    expected = json.loads((HERE / release / "expected.json").read_text(encoding="utf8"))
    shutil.copytree(HERE / release / name, tmp_path / name)
    nlp = spacy.load(tmp_path / name)
    answered = 0
    for text, answer in zip(expected["texts"], expected["pipelines"][name], strict=True):
        doc = nlp(text)
        assert [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents] == answer["entities"], text
        before = np.asarray(answer["emissions"], dtype=np.float32)
        now = emissions(nlp, text)
        assert len(now) == len(before)
        if len(before):
            np.testing.assert_allclose(now, before, atol=1e-4, rtol=0)
        answered += len(answer["entities"])
    assert answered > 3


def test_nothing_of_the_machine_and_little_in_size():
    for release in RELEASES:
        files = [path for path in (HERE / release).rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) < 1_050_000, release
        for path in files:
            assert not any(folder in path.read_bytes() for folder in (b"/tmp/", b"/home/")), path


def test_made_anew_they_find_the_same(tmp_path: Path):
    """The script still makes what it says, and does not write over what was released."""
    pytest.importorskip("onnxruntime")
    main(tmp_path / "new")
    made = json.loads((tmp_path / "new" / "expected.json").read_text(encoding="utf8"))
    assert made["texts"] == TEXTS
    nlp = spacy.load(tmp_path / "new" / "full")
    assert [answer["entities"] for answer in answers(nlp)] == [
        answer["entities"] for answer in made["pipelines"]["full"]
    ]
    with pytest.raises(FileExistsError):
        main(tmp_path / "new")
