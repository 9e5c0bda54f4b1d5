"""A user's files in the three parts of a trial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError
from spacy_bga.trial.materials import gather
from tests.conftest import encode_picture


def write_posts(folder: Path, *, posts: int = 40, images: bool = True) -> Path:
    """RETURNS (Path): JSONL with posts, each text twice, and their pictures beside it."""
    lines = []
    for number in range(posts):
        text = f"look at n{number // 2} now"
        row = {"text": text, "spans": [{"start": 8, "end": 8 + len(f"n{number // 2}"), "label": "PER"}]}
        if images:
            (folder / f"{number}.png").write_bytes(encode_picture(number))
            row["image"] = f"{number}.png"
        lines.append(json.dumps(row))
    path = folder / "posts.jsonl"
    path.write_text("\n".join(lines), encoding="utf8")
    return path


def read(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_no_text_is_in_two_parts(tmp_path: Path):
    materials = gather(write_posts(tmp_path), tmp_path / "trial", images=tmp_path)
    texts = {name: {doc.text for doc in read(tmp_path / "trial" / f"{name}.spacy")} for name in materials.posts}
    assert materials.posts == {"train": 24, "dev": 6, "test": 10}
    assert sum(map(len, texts.values())) == 20
    assert set.union(*texts.values()) == {f"look at n{number} now" for number in range(20)}


def test_posts_to_score_by_are_left_out_elsewhere(tmp_path: Path):
    path = write_posts(tmp_path)
    test = tmp_path / "test.jsonl"
    test.write_text("\n".join(path.read_text(encoding="utf8").split("\n")[:10]), encoding="utf8")
    materials = gather(path, tmp_path / "trial", images=tmp_path, test=test)
    assert materials.posts["test"] == 10
    asked = {doc.text for doc in read(materials.test)}
    assert not asked & {doc.text for name in ("train", "dev") for doc in read(tmp_path / "trial" / f"{name}.spacy")}


def test_the_control_has_the_same_texts_and_pictures_of_others(tmp_path: Path):
    materials = gather(write_posts(tmp_path), tmp_path / "trial", images=tmp_path, pairs=write_posts(tmp_path))
    for name in ("train", "pairs"):
        own, others = (read(tmp_path / "trial" / f"{name}{kind}.spacy") for kind in ("", "_shuffled"))
        assert [doc.text for doc in own] == [doc.text for doc in others]
        assert all(get_images(doc) != get_images(other) for doc, other in zip(own, others, strict=True))
        assert sorted(map(get_images, own)) == sorted(map(get_images, others))
    assert materials.paths(pictures=True, shuffled=True)["pairs"].name == "pairs_shuffled.spacy"
    assert set(materials.paths(pictures=False)) == {"train", "dev"}


def test_too_few_posts(tmp_path: Path):
    with pytest.raises(BGAError, match=r"\[B690\] 10 annotated posts"):
        gather(write_posts(tmp_path, posts=10), tmp_path / "trial", images=tmp_path)


def test_no_picture_at_all(tmp_path: Path):
    with pytest.raises(BGAError, match=r"B691.*--images.*--pairs"):
        gather(write_posts(tmp_path, images=False), tmp_path / "trial")


def test_what_is_left_out_is_told(tmp_path: Path):
    """What a conversion found, and pictures without a place to look for them."""
    told: list[str] = []
    path = write_posts(tmp_path)
    gather(path, tmp_path / "trial", images=tmp_path, tell=told.append)
    assert "Documents" in told[0]
    again = tmp_path / "trial" / "converted" / "posts.spacy"
    told.clear()
    gather(again, tmp_path / "other", pairs=path, tell=told.append)
    assert "40 texts of posts.spacy name image files, which are left out" in told[0]
