"""Products in bfloat16: where it is on, what it leaves in float32, and that it costs a little accuracy at most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
import torch
from spacy.language import Language

from spacy_bga.aligner.losses import contrast
from spacy_bga.pipeline.bridge import get_shim
from tests.pipeline.conftest import POSTS, aligner_of, found, make_examples, pipe_of, train
from tests.pipeline.test_bga_ner import ODD_TEXTS
from tests.pipeline.words import words_pipeline

EVERYTHING = {"cycle_weight": 1.0, "contrast_weight": 1.0, "real_context": 0.5, "context_gate": 0.1}


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> set[torch.dtype]:
    """The types of what linear layers return from now on."""
    seen: set[torch.dtype] = set()
    linear = torch.nn.functional.linear

    def spy(*args):
        result = linear(*args)
        seen.add(result.dtype)
        return result

    monkeypatch.setattr(torch.nn.functional, "linear", spy)
    return seen


@pytest.mark.parametrize("settings", [{}, EVERYTHING])
def test_training(make_nlp: Callable[..., Language], products: set[torch.dtype], settings: dict):
    losses = {}
    for mixed in (False, True):
        products.clear()
        nlp = make_nlp(model={"mixed_precision": mixed, "sample": False, **settings}, images=True)
        losses[mixed] = train(nlp, make_examples(nlp, images=True), steps=1)[0]
        assert (torch.bfloat16 in products) is mixed
        assert {p.dtype for p in aligner_of(nlp).parameters()} == {torch.float32}
    assert losses[True].keys() == losses[False].keys()
    # `real_context` draws the same examples in both
    assert losses[True] == {name: pytest.approx(loss, rel=0.05, abs=0.02) for name, loss in losses[False].items()}
    assert losses[True] != losses[False]


def test_words(text_encoder_folder: Path, vision_encoder_folder: Path, products: set[torch.dtype]):
    """They learn from images, and are read without a gradient, in one forward pass: autocast keeps casted weights."""
    found = {}
    for mixed in (False, True):
        products.clear()
        nlp = words_pipeline(
            text_encoder_folder,
            vision_encoder_folder,
            lambda nlp: make_examples(nlp, images=True),
            model={"mixed_precision": mixed},
            initialize={"align_steps": 0},
        )
        torch.nn.init.normal_(aligner_of(nlp).reader.weight)  # type: ignore[union-attr]
        losses = nlp.update(make_examples(nlp, images=True), sgd=False, drop=0.0)
        assert (torch.bfloat16 in products) is mixed
        gradient = aligner_of(nlp).words.inner.weight.grad  # type: ignore[union-attr]
        assert gradient is not None
        found[mixed] = losses | {"gradient": gradient.norm().item()}
    assert found[True] == {name: pytest.approx(loss, rel=0.05, abs=0.02) for name, loss in found[False].items()}
    assert found[True]["bga_ner_words"] > 0


def test_it_learns_as_well(make_nlp: Callable[..., Language]):
    nlp = make_nlp(model={"mixed_precision": True, **EVERYTHING}, images=True)
    train(nlp, make_examples(nlp, images=True), steps=80)
    assert [found(doc) for doc in nlp.pipe([text for text, _ in POSTS])] == [ents for _, ents in POSTS]


def test_tagging(trained_folder: Path, products: set[torch.dtype]):
    nlp = spacy.load(trained_folder, config={"components.bga_ner.precision": "bf16"})
    assert [found(doc) for doc in nlp.pipe([text for text, _ in POSTS])] == [ents for _, ents in POSTS]
    assert torch.bfloat16 in products
    assert len(list(nlp.pipe(ODD_TEXTS))) == len(ODD_TEXTS)
    assert spacy.blank("en").from_config(nlp.config).get_pipe_config("bga_ner")["precision"] == "bf16"
    assert get_shim(pipe_of(nlp).model).graph.to_bytes() == {}


def test_near_images_stay_apart():
    """Two images whose cosines differ by less than bfloat16 can tell."""
    texts = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
    images = torch.tensor([[[1.0, 0.02]], [[1.0, 0.04]]])
    valid = torch.ones(2, 1, dtype=torch.bool)
    exact = contrast(texts, images, valid, temperature=0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert contrast(texts, images, valid, temperature=0.01) == exact
