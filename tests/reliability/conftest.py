"""A tiny pipeline of random weights on the disk, which finds entities in nearly every text; and a toy project."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bga.reliability.subject import Answer, tag, with_odd_ones
from spacy_bga.reliability.tiny import make_pipeline

POSTS = [
    "kevin durant joins the warriors in oakland",
    "new york is a love !",
    "apple in paris , n e w s",
    "warriors of Oakland @ the apple # 1",
]


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, text_encoder_folder: Path, vision_encoder_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("reliability") / "pipeline"
    make_pipeline(text_encoder_folder, vision_encoder_folder, save_visual_branch=True).to_disk(folder)
    return folder


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return with_odd_ones(POSTS)


@pytest.fixture(scope="session")
def expected(pipeline: Path, texts: list[str]) -> Answer:
    found = tag(spacy.load(pipeline), texts)
    assert sum(map(len, found)) > len(POSTS)
    return found


@pytest.fixture(scope="session")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.spacy"
    nlp = spacy.blank("en")
    DocBin(docs=[nlp(text) for text in POSTS]).to_disk(path)
    return path


@pytest.fixture
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A clone of the toy project that a module has in its FILES."""
    for name, content in request.module.FILES.items():
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf8")
    return tmp_path / "clone"
