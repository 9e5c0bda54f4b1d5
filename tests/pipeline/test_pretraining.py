"""Alignment while a pipeline is initialized."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language
from spacy.util import logger

from spacy_bga.errors import ImageError
from spacy_bga.pipeline import pretraining
from spacy_bga.pipeline.pretraining import BATCH, steps_for
from tests.conftest import encode_picture
from tests.pipeline.conftest import aligner_of, make_example, make_examples, pipe_of
from tests.pipeline.words import make_pairs, words_pipeline

KINDS = {"kevin": "PER", "durant": "PER", "oakland": "LOC", "paris": "LOC"}
Make = Callable[..., Language]


@pytest.fixture
def make(text_encoder_folder: Path, vision_encoder_folder: Path) -> Make:
    """Makes a pipeline, initialized with pairs of four names and two labelled posts, if it isn't told otherwise."""

    def make(examples=lambda nlp: make_pairs(nlp, KINDS) + make_examples(nlp)[:2], **settings) -> Language:
        return words_pipeline(text_encoder_folder, vision_encoder_folder, examples, **settings)

    return make


@pytest.fixture
def asked_steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many pairs were to be aligned in how many steps, which then doesn't happen."""
    asked: list[tuple[int, int]] = []

    def note(model, docs, images, features, *, steps: int) -> None:
        assert len(docs) == len(images)
        asked.append((len(docs), steps))

    monkeypatch.setattr(pretraining, "pretrain", note)
    return asked


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[float, float]]]:
    """What spaCy's log says of the loss: that of the first steps and that of the last ones."""
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, logger="spacy")

    def read() -> list[tuple[float, float]]:
        lines = re.findall(r"Aligned \d+ image-text pairs in \d+ steps: loss ([\d.]+) -> ([\d.]+)", caplog.text)
        return [(float(first), float(last)) for first, last in lines]

    return read


def state_of(nlp: Language) -> dict[str, torch.Tensor]:
    return dict(aligner_of(nlp).state_dict())


def changed(one: Language, other: Language) -> set[str]:
    """RETURNS (set[str]): The parts of the aligner in which two pipelines differ."""
    first, second = state_of(one), state_of(other)
    return {name.split(".")[0] for name in first if not torch.equal(first[name], second[name])}


@given(st.integers(1, 10**6))
def test_steps_for_so_many_pairs(pairs: int):
    """By hand: 20 passes in batches of 32, but 600 updates at least and 3,000 at most."""
    assert steps_for(pairs) == sorted([600, 20 * math.ceil(pairs / 32), 3000])[1]


@given(st.integers(1, 200))
def test_each_pair_has_its_turn(number: int):
    """Once in a pass, but for the few that are left over at its end, and never twice in a batch."""
    size = min(number, BATCH)
    passes = number // size
    batches = list(islice(pretraining._batches(number), 2 * passes))
    assert all(len(set(batch)) == size for batch in batches)
    for some in (batches[:passes], batches[passes:]):
        assert max(Counter(place for batch in some for place in batch).values()) == 1


def test_it_learns_what_words_look_like_and_nothing_else(make: Make, told):
    """Encoders, and what standardises features, stay as they were; so does the tagger, which has read nothing yet."""
    aligned = make(initialize={"align_steps": 60})
    ((first, last),) = told()
    assert last < first - 0.1
    plain = make(initialize={"align_steps": 0})
    assert changed(aligned, plain) == {"words"}
    assert all(p.grad is None for p in aligner_of(aligned).parameters())
    reader = aligner_of(aligned).reader
    assert reader is not None
    assert not reader.weight.any()


def test_a_seed_makes_it_repeatable(make: Make):
    first, second = (make(initialize={"align_steps": 8}) for _ in range(2))
    assert changed(first, second) == set()


def test_it_aligns_by_itself(make: Make, asked_steps: list):
    make()
    assert asked_steps == [(16, 600)]


@pytest.mark.parametrize(
    "settings",
    [
        {"initialize": {"align_steps": 0}},
        {"examples": make_examples},
        {"model": {"train_vision": True, "standardize": False}},
        {"model": {"words": False, "bga_layers": 1}},
        {"model": {"vision_encoder": None}, "examples": make_examples},
    ],
)
def test_what_it_does_not_align(make: Make, asked_steps: list, settings: dict):
    make(**settings)
    assert asked_steps == []


def test_what_is_aligned_already_is_not_again(make: Make, asked_steps: list, tmp_path: Path):
    make(save_visual_branch=True, initialize={"align_steps": 0}).to_disk(tmp_path)
    nlp = make(initialize={"aligner": str(tmp_path)})
    assert asked_steps == []
    make(initialize={"aligner": str(tmp_path), "align_steps": 5})
    assert asked_steps == [(16, 5)]
    assert nlp("kevin").has_annotation("ENT_IOB")


def test_it_aligns_what_is_asked_for(make: Make, told):
    """BGA layers, be it without words, and a vision encoder that would learn: it stays as it was, too."""
    for model in ({"words": False, "bga_layers": 1}, {"train_vision": True, "standardize": False, "bga_layers": 1}):
        changes = changed(*(make(model=model, initialize={"align_steps": steps}) for steps in (40, 0)))
        assert changes - {"words", "visual"} == {"layers", "generators"}
    for first, last in told():
        assert last < first
    encoders = [
        {name: t for name, t in state_of(nlp).items() if name.startswith(("visual.encoder.", "text_encoder."))}
        for nlp in (make(model=model, initialize={"align_steps": steps}) for steps in (3, 0))
    ]
    assert all(torch.equal(encoders[0][name], tensor) for name, tensor in encoders[1].items())


def test_unreadable_images_do_not_stop_it(make: Make, told):
    """Pairs without a usable image are passed over, and so are batches of nothing else."""

    def some(nlp: Language) -> list:
        broken = [make_example(nlp, "love paris !", None, image=b"broken")] * 40
        return [*make_pairs(nlp, KINDS)[:3], *broken, make_example(nlp, "\n", None, image=encode_picture(3))]

    aligned = make(some, on_missing="ignore", initialize={"align_steps": 30, "labels": ["PER"]})
    assert len(told()) == 1
    plain = make(some, on_missing="ignore", initialize={"align_steps": 0, "labels": ["PER"]})
    assert changed(aligned, plain) == {"words"}


def test_nothing_but_unreadable_images(make: Make, told):
    def broken(nlp: Language) -> list:
        return [make_example(nlp, "love paris !", None, image=b"broken")]

    nlp = make(broken, on_missing="ignore", initialize={"align_steps": 3, "labels": ["PER"]})
    assert told() == []
    assert nlp("love paris !").has_annotation("ENT_IOB")
    with pytest.raises(ImageError):
        make(broken, on_missing="error", initialize={"align_steps": 3, "labels": ["PER"]})


def test_training_goes_on_from_it(make: Make):
    """The tagger reads what is there, and has a reason to from the first step on."""
    nlp = make(initialize={"align_steps": 20}, trust=0.5)
    losses = nlp.update(make_pairs(nlp, KINDS)[:2] + make_examples(nlp), sgd=nlp.resume_training())
    assert losses["bga_ner_words"] > 0
    assert losses["bga_ner_crf"] > 0
    assert pipe_of(nlp).loss_terms[-1] == "bga_ner_words"
    reader = aligner_of(nlp).reader
    assert reader is not None
    assert reader.weight.any()
