"""Texts with entities and images, and a browser to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.corpus.images import register_image_extension
from tests.evaluation.aligners import Entities, make_pipeline, write_images
from tests.viewer.browser import find_chromium

IMAGES = ["a.png", "b.png"]
VOCAB = spacy.blank("en").vocab


def make_doc(text: str, entities: Entities = [], image: object = None) -> Doc:  # noqa: B006
    """A document whose tokens stand between spaces."""
    register_image_extension()
    words = text.split(" ") if text.strip() else [text] if text else []
    doc = Doc(VOCAB, words=words)
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])
    doc._.image = image
    return doc


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An image root with two pictures, and a file that is none."""
    folder = write_images(tmp_path / "images", IMAGES)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    return folder


@pytest.fixture(scope="session")
def pointer(text_encoder_folder: Path, vision_encoder_folder: Path) -> Language:
    """A pipeline that kept its visual branch, and can tell what spans are aligned with."""
    return make_pipeline(text_encoder_folder, vision_encoder_folder)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    if find_chromium() is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    from tests.viewer.browser import chromium

    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as driver:
        yield driver
