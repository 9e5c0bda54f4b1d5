"""A folder as a reader of the documentation has one after training: a pipeline, posts, and pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import encode_picture
from tests.pipeline.conftest import trained_folder

__all__ = ["trained_folder"]  # a fixture of the session, here too

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def workspace(trained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the code on a page. `en_bga_mner` is installed, as it were."""
    import spacy

    for name in ("training", "training/bga"):
        shutil.copytree(trained_folder, tmp_path / name / "model-best")
    shutil.copy(ROOT / "assets" / "meta.json", tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "kd.png").write_bytes(encode_picture(1))
    (tmp_path / "posts.csv").write_text("text,image\nKevin Durant joins,kd.png\nlove Paris !,\n", encoding="utf8")
    load = spacy.load
    monkeypatch.setattr(
        spacy, "load", lambda name, **kwargs: load({"en_bga_mner": trained_folder}.get(name, name), **kwargs)
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path
