"""What of the words' features is trusted, and which words it is judged by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.pipeline import word_evidence
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.word_evidence import weigh_words
from spacy_bga.reliability.tiny import write_text_encoder, write_vision_encoder
from tests.pipeline.conftest import aligner_of, make_example, pipe_of
from tests.pipeline.words import TEXTS, make_pairs, name_post, words_pipeline

NAMES = {f"n{chr(97 + i // 26)}{chr(97 + i % 26)}": ("PER", "LOC")[i % 2] for i in range(24)}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Random ones; each name is a wordpiece, whose form says nothing."""
    fillers = {word for text in TEXTS for word in text.split(" ") if word != "{}"}
    text = write_text_encoder(tmp_path_factory.mktemp("text"), words=[*sorted(fillers), *NAMES])
    return text, write_vision_encoder(tmp_path_factory.mktemp("vision"))


def trust_of(encoders: tuple[Path, Path], shown: dict[str, str], labelled: dict[str, str]) -> float:
    """RETURNS (float): After 300 steps of alignment with pictures of what is shown."""

    def examples(nlp: Language) -> list[Example]:
        posts = [name_post(nlp, text, name, labelled[name]) for name in labelled for text in TEXTS[:2]]
        return make_pairs(nlp, shown) + posts

    words = aligner_of(words_pipeline(*encoders, examples, initialize={"align_steps": 300})).words
    assert words is not None
    return float(words.trust)


def test_pictures_of_the_labels_kinds_are_trusted(encoders: tuple[Path, Path]):
    assert trust_of(encoders, NAMES, NAMES) > 0.6


def test_pictures_of_other_kinds_are_not(encoders: tuple[Path, Path]):
    rng = np.random.default_rng(1)
    dealt = [dict(zip(NAMES, rng.permutation(list(NAMES.values())).tolist(), strict=True)) for _ in range(3)]
    trusts = [trust_of(encoders, NAMES, labelled) for labelled in dealt]
    assert sorted(trusts)[1] == 0, trusts  # one in ten or so goes with the pictures by chance


def test_names_without_pictures_have_no_say(encoders: tuple[Path, Path]):
    shown, labelled = dict(list(NAMES.items())[:12]), dict(list(NAMES.items())[12:])
    assert trust_of(encoders, shown, labelled) == 0


def test_what_it_is_judged_by(encoders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    """Each different word once, with the shares of its labels; not what is outside of entities or not annotated."""
    nlp = words_pipeline(
        *encoders, lambda nlp: make_pairs(nlp, NAMES), initialize={"align_steps": 0, "labels": ["LOC", "PER"]}
    )
    first, second, third, fourth = list(NAMES)[:4]
    seen = []
    monkeypatch.setattr(word_evidence, "partial_correlation", lambda *given: seen.append(given) or 0.25)
    unknown = Doc(nlp.vocab, words=["so", third])  # nobody has annotated it
    examples = [
        make_example(nlp, f"look at {first}", [(2, 3, "PER")]),
        make_example(nlp, f"love {first} today", [(1, 2, "LOC")]),
        make_example(nlp, f"{second} now {fourth}", [(0, 1, "LOC")]),
        make_example(nlp, f"{first}", [(0, 1, "PER")]),
        Example(unknown, unknown.copy()),
    ]
    assert weigh_words(pipe_of(nlp).model, examples, [True] * len(examples)) == (0.25, 2)
    ((embedded, components, shares),) = seen
    torch.testing.assert_close(shares, torch.tensor([[1 / 3, 2 / 3], [1.0, 0.0]], dtype=torch.double))
    shim = get_shim(pipe_of(nlp).model)
    table = shim.aligner.text_encoder.word_embeddings.weight.detach()
    pieces = shim.wordpieces.split([first, second])
    torch.testing.assert_close(embedded, table[torch.from_numpy(pieces.ids)])
    assert components.shape == (2, shim.aligner.config.word_components)
    words = aligner_of(nlp).words
    assert words is not None
    assert float(words.trust) == 0.25


@pytest.mark.parametrize("more", [True, False])
def test_labels_decide_what_is_read(encoders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, more: bool):
    """That in which images differ most, or what whitening has brought out."""
    nlp = words_pipeline(
        *encoders, lambda nlp: make_pairs(nlp, NAMES), initialize={"align_steps": 0, "labels": ["LOC", "PER"]}
    )
    words, axes = aligner_of(nlp).words, {}
    assert words is not None
    fit = words.fit

    def watched(features: torch.Tensor, *, colouring: torch.Tensor | None) -> None:
        fit(features, colouring=colouring)
        axes[colouring is not None] = words.axes.clone()

    monkeypatch.setattr(words, "fit", watched)
    monkeypatch.setattr(word_evidence, "tells_more", lambda *given: more)
    examples = [*make_pairs(nlp, NAMES), make_example(nlp, next(iter(NAMES)), [(0, 1, "PER")])]
    weigh_words(pipe_of(nlp).model, examples, [True] * len(examples))
    assert torch.equal(words.axes, axes[more])
    assert not torch.allclose(axes[True], axes[False], atol=1e-3)
