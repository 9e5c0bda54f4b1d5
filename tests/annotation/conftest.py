"""A tiny pipeline, and posts for it in JSONL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spacy_bga.reliability.tiny import make_pipeline

POSTS = [
    "kevin durant joins the warriors in oakland",
    "new york is a love !",
    "apple in paris , n e w s",
    "",
    "🏀 " * 3,
]


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, text_encoder_folder: Path) -> str:
    folder = tmp_path_factory.mktemp("annotation") / "pipeline"
    make_pipeline(text_encoder_folder, None).to_disk(folder)
    return str(folder)


@pytest.fixture
def write_posts(tmp_path: Path) -> Callable[..., Path]:
    def write(number: int, name: str = "posts.jsonl") -> Path:
        path = tmp_path / "posts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"id": f"{name}-{i}", "text": POSTS[i % len(POSTS)]}) for i in range(number)]
        path.write_text("\n".join(lines) + "\n", encoding="utf8")
        return path

    return write
