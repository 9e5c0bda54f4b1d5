"""Made pictures of things that words name, and a pipeline whose words have learnt what these look like."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import spacy
from PIL import Image
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_bga.reliability.tiny import IMAGE_SIZE
from tests.pipeline.conftest import aligner_of, architecture, make_example, make_examples

COLOURS = {"kevin": (250, 20, 20), "oakland": (20, 230, 30), "apple": (20, 40, 250), "warriors": (250, 240, 30)}
FILLERS = ("is", "in", "the", "a", "love", "joins")
QUADRANTS = [(0, 0), (0, 1), (1, 0), (1, 1)]  # row and column
V2 = {"@architectures": "spacy_bga.BGAModel.v2", "bga_layers": 0, "word_width": 32}

MakeExamples = Callable[[Language], list[Example]]


def draw(things: Sequence[str], quadrants: Sequence[tuple[int, int]], *, seed: int) -> bytes:
    """RETURNS (bytes): A picture of grey noise, with a quadrant in each thing's colour."""
    half = IMAGE_SIZE // 2
    rng = np.random.default_rng(seed)
    pixels = rng.normal(127, 12, size=(IMAGE_SIZE, IMAGE_SIZE, 3))
    for thing, (row, column) in zip(things, quadrants, strict=True):
        place = slice(row * half, (row + 1) * half), slice(column * half, (column + 1) * half)
        pixels[place] = rng.normal(COLOURS[thing], 12, size=(half, half, 3))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def make_pair(seed: int, *, n_things: int = 2) -> tuple[list[str], dict[str, tuple[int, int]], bytes]:
    """RETURNS (tuple[list[str], dict[str, tuple[int, int]], bytes]): The words of a text, the quadrants of the things
    that it names, and its picture."""
    rng = random.Random(seed)
    things = rng.sample(list(COLOURS), n_things)
    quadrants = rng.sample(QUADRANTS, n_things)
    words = [*things, *rng.sample(FILLERS, 2)]
    rng.shuffle(words)
    return words, dict(zip(things, quadrants, strict=True)), draw(things, quadrants, seed=seed)


def make_word_pipeline(
    text_encoder: Path,
    vision_encoder: Path,
    *,
    examples: MakeExamples | None = None,
    steps: int = 0,
    slim: bool = False,
    **settings: object,
) -> Language:
    """RETURNS (Language): As `configs/starter.cfg` has it, on tiny encoders: without BGA layers, and aligned in so many
    steps before anything is tagged; by default it only knows the mean image of the posts. `settings` are the
    architecture's."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    model = architecture(text_encoder, vision_encoder, **{**V2, **settings})
    nlp.add_pipe("bga_ner", config={"model": model, "save_visual_branch": not slim, "on_missing": "ignore"})
    nlp.config["initialize"]["components"]["bga_ner"] = {"align_steps": steps}
    nlp.initialize(lambda: make_examples(nlp, images=True) if examples is None else examples(nlp))
    aligner_of(nlp).eval()
    return nlp


def pictured_examples(nlp: Language) -> list[Example]:
    """RETURNS (list[Example]): Posts with labels, for these, and pairs."""
    pairs = [make_pair(seed) for seed in range(120)]
    return [*make_examples(nlp), *(make_example(nlp, " ".join(w), None, image=picture) for w, _, picture in pairs)]


@pytest.fixture(scope="session")
def pictured_folder(
    text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A pipeline that has seen pairs of texts and made pictures, saved with its visual branch."""
    nlp = make_word_pipeline(text_encoder_folder, vision_encoder_folder, examples=pictured_examples, steps=200)
    folder = tmp_path_factory.mktemp("pictured") / "pipeline"
    nlp.to_disk(folder)
    return folder
