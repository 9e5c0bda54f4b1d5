"""Posts whose pictures are of one colour for each label, and pipelines in which words generate what they look like."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
from PIL import Image
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_bga.reliability.tiny import IMAGE_SIZE, component_config
from tests.pipeline.conftest import aligner_of, make_example

COLOURS = {"PER": (220, 30, 30), "LOC": (30, 60, 220)}
TEXTS = ("so this is {}", "look at {}", "{} again", "love {} today", "{} now", "here is {}")
WORDS = {"@architectures": "spacy_bga.BGAModel.v2", "bga_layers": 0, "word_width": 64}

Examples = Callable[[], list[Example]]


def draw_colour(label: str, seed: int) -> bytes:
    """RETURNS (bytes): A picture of the label's colour, a little noisy, as PNG."""
    noise = np.random.default_rng(seed).integers(-20, 20, (IMAGE_SIZE, IMAGE_SIZE, 3))
    stream = io.BytesIO()
    Image.fromarray((np.array(COLOURS[label]) + noise).clip(0, 255).astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def name_post(nlp: Language, text: str, name: str, label: str | None, *, image: object = None) -> Example:
    """RETURNS (Example): A text of `TEXTS` about a name, annotated if there is a label."""
    words = text.format(name)
    place = words.split(" ").index(name)
    return make_example(nlp, words, [(place, place + 1, label)] if label else None, image=image)


def make_pairs(nlp: Language, kinds: dict[str, str], *, per_name: int = 4) -> list[Example]:
    """RETURNS (list[Example]): Unlabelled pairs, so many of each name, whose pictures have the colours of its label."""
    places = [(name, text) for name in kinds for text in TEXTS[:per_name]]
    return [
        name_post(nlp, text, name, None, image=draw_colour(kinds[name], seed))
        for seed, (name, text) in enumerate(places)
    ]


def words_pipeline(
    text_encoder: Path,
    vision_encoder: Path,
    examples: Callable[[Language], Sequence[Example]],
    *,
    model: dict[str, Any] | None = None,
    initialize: dict[str, Any] | None = None,
    trust: float | None = None,
    **config: Any,
) -> Language:
    """RETURNS (Language): A pipeline whose words generate what they look like, initialized.

    examples (Callable[[Language], Sequence[Example]]): What to initialize with. model (Optional[dict]): More settings
        of the architecture. initialize (Optional[dict]): Arguments of the component's `initialize`.
    trust (Optional[float]): How far words are trusted; None: as far as so few examples tell.
    """
    fix_random_seed(0)
    nlp = spacy.blank("en")
    settings = component_config(text_encoder, vision_encoder)["model"] | WORDS | (model or {})
    nlp.add_pipe("bga_ner", config={"model": settings, **config})
    nlp.config["initialize"]["components"]["bga_ner"] = initialize or {}
    nlp.initialize(lambda: examples(nlp))
    if trust is not None:
        words = aligner_of(nlp).words
        assert words is not None
        words.trust.fill_(trust)
    return nlp
