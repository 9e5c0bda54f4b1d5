from __future__ import annotations

import os
from pathlib import Path

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.records import read_json, write_json


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "new" / "run.json"
    write_json(path, {"f1": 1.5, "name": "é"})
    assert read_json(path) == {"f1": 1.5, "name": "é"}

    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"f1": float("nan")})

    def killed(source, target) -> None:
        assert Path(source).parent == path.parent  # or the rename would be no single step
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"f1": 2.0})
    assert read_json(path) == {"f1": 1.5, "name": "é"}
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_a_table_has_one_line(tmp_path: Path):
    data = {
        "counts": [[1, 2, 3], [0, 1, 1]],
        "curve": [{"step": 0, "rows": [[1], ["é\\"]]}],
        "names": ["a"],
        "none": [],
    }
    write_json(tmp_path / "run.json", data)
    assert read_json(tmp_path / "run.json") == data
    lines = (tmp_path / "run.json").read_text(encoding="utf8").splitlines()
    assert lines[1] == '  "counts": [[1,2,3],[0,1,1]],'
    assert len(lines) == 13


def test_what_cannot_be_read_is_said(tmp_path: Path):
    assert read_json(tmp_path / "absent.json") is None
    for content in ("{", "[]"):
        (tmp_path / "bad.json").write_text(content, encoding="utf8")
        with pytest.raises(BGAError, match=r"B511.*bad\.json"):
            read_json(tmp_path / "bad.json")
