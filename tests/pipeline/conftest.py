"""Posts, and pipelines trained on them once for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_bga.aligner.model import BGAModel
from spacy_bga.corpus.images import register_image_extension
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.reliability.tiny import component_config
from tests.conftest import encode_picture

Entities = list[tuple[int, int, str]]

POSTS: list[tuple[str, Entities]] = [
    ("kevin durant joins the warriors in oakland", [(0, 2, "PER"), (4, 5, "ORG"), (6, 7, "LOC")]),
    ("love paris !", [(1, 2, "LOC")]),
    ("apple is in new york", [(0, 1, "ORG"), (3, 5, "LOC")]),
    ("kevin is a love", [(0, 1, "PER")]),
    ("the warriors , new york", [(1, 2, "ORG"), (3, 5, "LOC")]),
    ("is the in !", []),
]


def make_example(
    nlp: Language, text: str, entities: Entities | None, *, image: object = None, attr: str = "image"
) -> Example:
    """An example of a text whose tokens stand between spaces. `entities` None is no annotation at all."""
    register_image_extension(attr)
    reference = Doc(nlp.vocab, words=text.split(" "))
    if entities is not None:
        reference.set_ents([Span(reference, start, end, label=label) for start, end, label in entities])
    reference._.set(attr, image)
    return Example(Doc(nlp.vocab, words=text.split(" ")), reference)


def make_examples(nlp: Language, *, labels: bool = True, images: bool = False) -> list[Example]:
    return [
        make_example(nlp, text, ents if labels else None, image=encode_picture(i) if images else None)
        for i, (text, ents) in enumerate(POSTS)
    ]


def train(
    nlp: Language, examples: Iterable[Example], *, steps: int, rate: float = 0.003, drop: float = 0.0
) -> list[dict[str, float]]:
    """RETURNS (list[dict[str, float]]): The losses of each step; all examples are one batch. With the factory's
    `rate_scales`, `rate` is the encoder's."""
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 10 * rate
    examples = list(examples)
    return [nlp.update(examples, sgd=optimizer, drop=drop) for _ in range(steps)]


def pipe_of(nlp: Language) -> BGANer:
    component = nlp.get_pipe("bga_ner")
    assert isinstance(component, BGANer)
    return component


def aligner_of(nlp: Language) -> BGAModel:
    return get_shim(pipe_of(nlp).model).aligner


def found(doc: Doc) -> list[tuple[int, int, str]]:
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def architecture(text_encoder: Path, vision_encoder: Path | None, **settings: object) -> dict:
    return component_config(text_encoder, vision_encoder)["model"] | settings


@pytest.fixture
def make_nlp(text_encoder_folder: Path, vision_encoder_folder: Path) -> Callable[..., Language]:
    """Makes an initialized pipeline. `model` holds more settings of the architecture, `text_only` leaves images out."""

    def make(*, model: dict | None = None, text_only: bool = False, images: bool = False, **config) -> Language:
        fix_random_seed(0)
        nlp = spacy.blank("en")
        vision = None if text_only else vision_encoder_folder
        nlp.add_pipe("bga_ner", config={"model": architecture(text_encoder_folder, vision, **(model or {})), **config})
        nlp.initialize(lambda: make_examples(nlp, images=images))
        return nlp

    return make


@pytest.fixture(scope="session")
def trained_folder(
    text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A pipeline that knows the posts by heart, trained with labels and images, saved with its visual branch."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = architecture(text_encoder_folder, vision_encoder_folder)
    nlp.add_pipe("bga_ner", config={"model": model, "save_visual_branch": True})
    nlp.initialize(lambda: make_examples(nlp))
    train(nlp, make_examples(nlp, images=True), steps=80)
    folder = tmp_path_factory.mktemp("trained") / "pipeline"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def trained(trained_folder: Path) -> Language:
    return spacy.load(trained_folder)


@pytest.fixture(scope="session")
def tagger(trained_folder: Path) -> Language:
    """The trained pipeline, shared: don't change it."""
    return spacy.load(trained_folder)
