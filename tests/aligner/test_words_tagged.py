"""An aligner whose words generate what they look like: tagging, saving, loading, and other labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.windows import TextBatch, merge_wordpieces
from spacy_bga.aligner.word_memory import BLOCK
from spacy_bga.errors import BGAError
from tests.aligner.tiny import (
    LABELS,
    TEXT,
    WORDS_AND_LAYERS,
    long_text,
    make_allowed,
    make_config,
    make_images,
    make_model,
    make_text,
    make_words,
)

TABLE = "text_encoder.model.embeddings.word_embeddings.weight"


# Tagging


def emissions(model: BGAModel, text: TextBatch) -> Tensor:
    with torch.no_grad():
        return model.emissions(model.encode(text).hidden, text)


@pytest.mark.parametrize("text_encoder", TEXT)
@pytest.mark.parametrize("layers", [{}, WORDS_AND_LAYERS])
def test_tag_equals_the_emissions_however_it_is_chunked(text_encoder: str, layers: dict[str, Any]) -> None:
    """A document of several windows, whose token has wordpieces in two of them, and tokens without any."""
    model, text = make_words(text=text_encoder, **layers), long_text()
    expected = emissions(model, text)
    for rows in ([[0, 1, 2]], [[2], [1], [0]], [[1, 2], [0]]):
        chunks = []
        for chunk in rows:
            chosen = [i for i, place in enumerate(text.places.tolist()) if place // 8 in chunk]
            places = torch.tensor([chunk.index(int(p) // 8) * 8 + int(p) % 8 for p in text.places[chosen]])
            chunks.append(TextBatch(text.ids[chunk], text.mask[chunk], places, text.tokens[chosen], text.lengths))
        torch.testing.assert_close(model.tag(chunks), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(model.tag([text], encode=lambda ids, mask: model.encode(text).hidden), model.tag([text]))


def test_the_tagger_reads_words_beside_the_texts_features() -> None:
    """By hand, of words with wordpieces and of those without."""
    model, text = make_words(), long_text()
    assert model.reader is not None
    with torch.no_grad():
        hidden = model.encode(text).hidden
        plain = model.head(merge_wordpieces([(hidden, text)]))
        seen = model.imagine([text])
    read = torch.stack([read_by_hand(model, feature) for feature in seen])
    torch.testing.assert_close(emissions(model, text), plain + read)
    model.context = "zero"
    torch.testing.assert_close(emissions(model, text), plain)
    torch.testing.assert_close(model.tag([text]), plain)
    model.context = "swapped"
    torch.testing.assert_close(emissions(model, text), plain + read.roll(1, dims=0))


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("some", [True, False], ids=["some pictured", "none pictured"])
def test_only_pictured_words_are_generated(some: bool, number: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tagging leaves out what would be multiplied by zero, in chunks as at once, and in mixed precision."""
    model, text = make_words(), long_text()
    assert model.words is not None
    model.words.pictured.fill_(False)
    chosen = torch.arange(text.n_tokens) % 3 == 1
    if some:
        model.words.note(text.word_keys[chosen])
    pictured = model.words.knows(text.word_keys)
    assert bool(pictured.any()) == some
    assert not pictured.all()
    generated: list[int] = []
    forward = type(model.words).forward
    monkeypatch.setattr(
        type(model.words), "forward", lambda self, x: generated.append(len(x)) or forward(self, x), raising=True
    )
    rows = [TextBatch(text.ids, text.mask, text.places[part], text.tokens[part], text.lengths) for part in halves(text)]
    with torch.autocast("cpu", dtype=number, enabled=number != torch.float32):
        found = model.tag([text])
        model.forget()
        in_chunks = model.tag(rows)
        assert generated == [BLOCK] * 2 * some
        assert pictured.sum() <= BLOCK < text.n_tokens
        # Where all is generated, what is not pictured is multiplied by zero.
        monkeypatch.setattr(BGAModel, "_read_some", everything)
        model.forget()
        close = {"atol": 1e-5, "rtol": 1e-5} if number == torch.float32 else {"atol": 0.05, "rtol": 0.05}
        torch.testing.assert_close(found, model.tag([text]).to(found.dtype), **close)
        torch.testing.assert_close(in_chunks, found, **close)
        assert generated[-1] == text.n_tokens


def everything(model: BGAModel, texts: Sequence[TextBatch], keys: Tensor, chosen: Tensor) -> Tensor:
    assert model.words is not None
    assert model.reader is not None
    return model.reader(model.words.components(model.imagine(texts), keys) * model.words.trust)[chosen]


def halves(text: TextBatch) -> list[slice]:
    middle = len(text.places) // 2
    return [slice(middle), slice(middle, None)]


def read_by_hand(model: BGAModel, feature: Tensor) -> Tensor:
    """RETURNS (Tensor): (L,) what a word's feature says of each tag, as far as it is trusted: nothing of O, and of a
    label what it says of it beyond the mean of all labels."""
    assert model.words is not None
    assert model.reader is not None
    components = [0.6 * sum((feature - model.words.mean) * axis) for axis in model.words.axes.T]
    by_label = [sum(w * c for w, c in zip(row, components, strict=True)) for row in model.reader.weight.detach()]
    mean = sum(by_label) / len(by_label)
    return torch.stack([torch.tensor(0.0), *(score - mean for score in by_label for _ in "BI")])


def test_a_new_tagger_reads_nothing_yet() -> None:
    model = BGAModel.from_config(make_config(words=True))
    assert model.reader is not None
    assert not model.reader.weight.any()


# Saving, loading, and other labels


@pytest.mark.parametrize("layers", [{}, WORDS_AND_LAYERS])
@pytest.mark.parametrize("slim", [False, True])
def test_round_trip(layers: dict[str, Any], slim: bool, tmp_path: Path) -> None:
    model, text = make_words(word_temperature=0.3, **layers), make_text()
    expected = emissions(model, text)
    model.save_pretrained(tmp_path, visual_branch=not slim)
    loaded = BGAModel.from_pretrained(tmp_path)
    assert (loaded.visual is None) is slim
    assert loaded.config.to_json() == model.saved_config(visual_branch=not slim).to_json()
    state = loaded.state_dict()
    assert {name for name in model.state_dict() if not (slim and name.startswith("visual."))} == set(state)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())
    torch.testing.assert_close(emissions(loaded, text), expected, atol=1e-5, rtol=1e-5)
    model.drop_visual_branch()
    assert torch.equal(emissions(model, text), expected)


def test_a_slim_aligner_learns_from_labels_alone(tmp_path: Path) -> None:
    model, text = make_words(), make_text()
    images = make_images(model)
    model.save_pretrained(tmp_path, visual_branch=False)
    slim = BGAModel.from_pretrained(tmp_path)
    assert set(slim(text, allowed=make_allowed(slim, text))) == {"crf", "total"}
    with pytest.raises(BGAError, match="B107"):
        slim(text, allowed=make_allowed(slim, text), images=images)


@pytest.mark.parametrize("labels", [("LOC", "PER"), ("ORG", "LOC"), (), ("A", "PER", "LOC")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_labels_keep_what_was_read(labels: tuple[str, ...], dtype: torch.dtype) -> None:
    model, text = make_words().to(dtype), make_text()
    before, tags = emissions(model, text), model.crf.tags
    model.set_labels(labels)
    assert model.reader is not None
    assert model.reader.weight.dtype == dtype
    after = emissions(model, text)
    if set(LABELS) <= set(labels):  # without one of them, the others are compared with fewer
        for number, tag in enumerate(model.crf.tags):
            if tag in tags:
                torch.testing.assert_close(after[:, number], before[:, tags.index(tag)])
    assert after.shape[1] == 1 + 2 * len(labels)
    assert model.reader.weight.requires_grad


def test_a_tagger_starts_from_an_aligner_without_labels(tmp_path: Path) -> None:
    """What words look like is taken over, and the tagger's own parts stay."""
    make_words(seed=1, labels=()).save_pretrained(tmp_path)
    model = make_words(seed=2)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.start_from(tmp_path)
    other = BGAModel.from_pretrained(tmp_path).state_dict()
    for name, tensor in model.state_dict().items():
        source = own if name.startswith(("head.", "crf.", "reader.")) else other
        assert torch.equal(tensor, source[name]), name
    assert not model.text_encoder.word_embeddings.weight.requires_grad


def test_a_text_only_tagger_starts_from_an_aligner_with_words(tmp_path: Path) -> None:
    aligned = make_words(seed=1, labels=())
    aligned.save_pretrained(tmp_path)
    model = make_model(seed=2, vision=None)
    model.start_from(tmp_path)
    text = make_text()
    torch.testing.assert_close(model.encode(text).hidden, aligned.encode(text).hidden, atol=1e-5, rtol=1e-5)


def test_words_cant_start_from_an_aligner_without(tmp_path: Path) -> None:
    make_model(labels=()).save_pretrained(tmp_path)
    with pytest.raises(BGAError, match="B115"):
        make_words().start_from(tmp_path)
