"""Words that generate what they look like: the generator by itself, and the aligner that has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spacy_bga.aligner.losses import match
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.visual import VisualBatch
from spacy_bga.aligner.windows import TextBatch, word_keys
from spacy_bga.aligner.words import WordGenerator, WordReader
from spacy_bga.errors import BGAError
from tests.aligner.tiny import (
    TEXT,
    VISION,
    WORDS_AND_LAYERS,
    gradients,
    has_gradient,
    long_text,
    make_allowed,
    make_config,
    make_images,
    make_model,
    make_text,
    make_words,
    standardized_by_hand,
)

TABLE = "text_encoder.model.embeddings.word_embeddings.weight"


def moved_parts(model: BGAModel, **inputs: Any) -> set[str]:
    """RETURNS (set[str]): The parts of the aligner that an update would change."""
    model.zero_grad()
    model(**inputs)["total"].backward()
    return {name.split(".")[0] for name, grad in gradients(model).items() if has_gradient(grad)}


# The generator


def test_generated_features_have_the_length_of_standardised_ones() -> None:
    """Of each channel the mean square is 1, of all of them the norm is the root of their number."""
    generator = WordGenerator(6, 9, components=4, hidden=5)
    torch.testing.assert_close(generator(torch.randn(4, 6)).norm(dim=1), torch.full((4,), 3.0))


def test_the_generator_looks_at_one_word_at_a_time() -> None:
    generator, words = WordGenerator(6, 9, components=4, hidden=5).eval(), torch.randn(4, 6)
    together = generator(words)
    for word, feature in zip(words, together, strict=True):
        torch.testing.assert_close(generator(word.unsqueeze(0))[0], feature)
    assert generator(words[:0]).shape == (0, 9)


@pytest.mark.parametrize("text_encoder", TEXT)
def test_words_are_generated_from_the_mean_of_their_wordpieces(text_encoder: str) -> None:
    """By hand; ELECTRA's embeddings are narrower than its features."""
    model, text = make_words(text=text_encoder), long_text()
    assert model.words is not None
    table = model.state_dict()[TABLE]
    actual = model.imagine([text])
    for token in range(10):
        places = text.places[text.tokens == token]
        vectors = table[text.ids.flatten()[places]]
        mean = vectors.mean(0) if len(places) else torch.zeros(table.shape[1])
        torch.testing.assert_close(actual[token], model.words(mean.unsqueeze(0))[0])


def test_a_word_looks_the_same_in_every_text() -> None:
    model, text = make_words(), make_text((3, 5))
    other = make_text((3, 5), seed=1)
    other.ids[1, 2] = text.ids[0, 1]  # the second word of the second document is the first word of the first
    torch.testing.assert_close(model.imagine([other])[4], model.imagine([text])[0])


# The objective


@pytest.mark.parametrize("layers", [{}, WORDS_AND_LAYERS])
def test_terms_are_those_that_there_is_something_for(layers: dict[str, Any]) -> None:
    model, text = make_words(word_weight=0.5, **layers), make_text()
    images, labels, nothing = make_images(model), make_allowed(model, text), make_allowed(model, text, annotated=())
    bga = {"recon", "cycle", "ratio"} if layers else set()
    with torch.no_grad():
        assert set(model(text, allowed=labels)) == {"crf", "total"}
        assert set(model(text, allowed=nothing)) == {"total"}
        assert set(model(text, allowed=nothing, images=images)) == {"words", "total", *bga}
        both = model(text, allowed=labels, images=images)
    assert set(both) == {"crf", "words", "total", *bga}
    expected = both["crf"] + 0.5 * both["words"] + sum(both[name] for name in bga)
    torch.testing.assert_close(both["total"], expected)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("train_vision", [False, True])
@pytest.mark.parametrize("crops", [None, (1, 0)])
def test_words_are_matched_with_the_patches_of_their_images(vision: str, train_vision: bool, crops: Any) -> None:
    """Of the last vision layer, standardised if they are, without [CLS], from features or from pixels."""
    settings = {"max_crops": 1, "crop_grid": 1} if crops else {}
    model = make_words(vision=vision, train_vision=train_vision, word_temperature=0.3, **settings)
    text, images = make_text(), make_images(model, crops=crops)
    given = make_images(model, crops=crops, as_pixels=False)
    assert model.visual is not None
    assert given.features is not None
    assert given.valid is not None
    tokens = given.features[0] if train_vision else standardized_by_hand(model.visual, 0, given.features[0])
    places = [1, 2, 3, 4, *([6] if crops else [])]
    with torch.no_grad():
        actual = model(text, allowed=make_allowed(model, text), images=images)["words"]
        words = model.imagine([text])[[0, 1, 2, 3, 4, 7, 8, 9, 10]]  # the second document has no image
        owners = torch.tensor([0] * 5 + [1] * 4)
        expected = match(words, owners, tokens[:, places], given.valid[:, places], temperature=0.3)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_beside_bga_layers_words_are_matched_with_the_last_ones_patches() -> None:
    """Of a vision encoder that learns, these have attended to the text by then."""
    model, text = make_words(train_vision=True, **WORDS_AND_LAYERS), make_text()
    images = make_images(model)
    with torch.no_grad():
        stages = model.encode(text, images=images).stages
        tokens, valid = model.patches(images, stages)
    assert stages[-1].visual is not None
    assert torch.equal(tokens, stages[-1].visual.tokens[:, 1:])
    assert torch.equal(valid, stages[-1].visual.valid[:, 1:])


@pytest.mark.parametrize("text_encoder", TEXT)
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("train_vision", [False, True])
def test_images_teach_the_word_generator_and_labels_the_tagger(
    text_encoder: str, vision: str, train_vision: bool
) -> None:
    model = make_words(text=text_encoder, vision=vision, train_vision=train_vision, train=True)
    text = make_text()
    labels, nothing = make_allowed(model, text), make_allowed(model, text, annotated=())
    assert moved_parts(model, text=text, allowed=nothing, images=make_images(model)) == {"words"}
    assert moved_parts(model, text=text, allowed=labels) == {"text_encoder", "head", "crf", "reader"}
    lacking = {name for name, grad in gradients(model).items() if not has_gradient(grad)}
    assert all(name.startswith(("words.", "visual.encoder.")) for name in lacking)


def test_the_vision_encoder_learns_from_words_if_targets_do() -> None:
    model = make_words(train_vision=True, detach_targets=False, train=True)
    text = make_text()
    allowed = make_allowed(model, text, annotated=())
    assert moved_parts(model, text=text, allowed=allowed, images=make_images(model)) == {"words", "visual"}


@pytest.mark.parametrize("text_encoder", TEXT)
def test_the_wordpieces_embeddings_are_frozen(text_encoder: str, tmp_path: Path) -> None:
    model = make_words(text=text_encoder)
    model.save_pretrained(tmp_path)
    for each in (model, BGAModel.from_pretrained(tmp_path)):
        assert [name for name, p in each.text_encoder.named_parameters() if not p.requires_grad] == [TABLE[13:]]
    plain = make_model(text=text_encoder, vision=None)
    assert all(p.requires_grad for p in plain.text_encoder.parameters())


def test_training_learns_words() -> None:
    """A few steps on four documents bring both terms down, and which word is whose object is found out."""
    model = make_words(dropout=0.0, train=True)
    model.set_dropout(0.0)
    text, optimizer = make_text((5, 2, 4, 6)), torch.optim.Adam(model.parameters(), lr=1e-2)
    allowed, images = make_allowed(model, text), make_images(model, (0, 2, 3))
    history = []
    for _ in range(40):
        losses = model(text, allowed=allowed, images=images)
        history.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
    for name in ("crf", "words", "total"):
        assert history[-1][name] < 0.7 * history[0][name], name


@pytest.mark.parametrize("train_vision", [False, True])
def test_words_and_bga_layers_learn_together(train_vision: bool) -> None:
    model = make_words(train_vision=train_vision, context_gate=0.5, train=True, **WORDS_AND_LAYERS)
    text = make_text()
    model(text, allowed=make_allowed(model, text), images=make_images(model))["total"].backward()
    lacking = {name for name, grad in gradients(model).items() if not has_gradient(grad)}
    # What comes after the patches that enter the last BGA layer.
    ending = (".layer.2.", "model.layernorm.", "mask_token")
    assert all(name.startswith("visual.encoder.") and any(e in name for e in ending) for name in lacking)
    assert train_vision or not lacking


# What is encoded


def test_only_annotated_documents_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same loss and the same gradients as when all are."""
    model, text = make_words(), make_text((5, 2, 4, 3))
    allowed = make_allowed(model, text, annotated=(1, 3))
    seen: list[Tensor] = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda some, **given: seen.append(some.ids) or encode(some, **given))
    results = []
    for whole in (False, True):
        if whole:
            monkeypatch.setattr(model, "_encode_some", lambda text, windows: model.encode(text).hidden)
        model.zero_grad()
        loss = model(text, allowed=allowed, images=make_images(model))["total"]
        loss.backward()
        results.append((loss.detach(), {name: grad for name, grad in gradients(model).items() if grad is not None}))
    assert [len(ids) for ids in seen] == [2, 4]
    assert torch.equal(seen[0], text.ids[[1, 3]])
    (loss, grads), (other, all_grads) = results
    torch.testing.assert_close(loss, other)
    torch.testing.assert_close(grads, all_grads, rtol=1e-4, atol=1e-5)


def test_annotated_tokens_without_wordpieces_need_no_encoder() -> None:
    """Beside a document that has wordpieces, and nothing but an image."""
    model, text = make_words(train=True), make_text((3,))
    text = TextBatch(text.ids, text.mask, text.places, text.tokens, (3, 2))
    losses = model(text, allowed=make_allowed(model, text, annotated=(1,)), images=make_images(model, (0,)))
    assert set(losses) == {"crf", "words", "total"}
    losses["total"].backward()
    assert losses["crf"].isfinite()
    assert has_gradient(model.head.bias.grad)


def test_words_of_later_windows_go_without_an_image() -> None:
    """The image of a document is paired with its first window."""
    model, text = make_words(), long_text()
    owners = make_images(model, (0, 2)).owners(text)
    assert owners.tolist() == [0, 0, 0, 0, -1, -1, -1, -1, -1, 1]
    assert model(text, allowed=make_allowed(model, text), images=make_images(model, (1,)))["words"].isfinite()


def test_images_of_texts_without_words() -> None:
    model = make_words(train=True)
    text = TextBatch(make_text((2,)).ids, make_text((2,)).mask, torch.zeros(0).long(), torch.zeros(0).long(), (0,))
    loss = model(text, allowed=torch.zeros(1, 0, 5, dtype=torch.bool), images=make_images(model, (0,)))["total"]
    loss.backward()
    assert loss.item() == 0
    assert not any(has_gradient(grad) for grad in gradients(model).values())


# Dropout and settings


def test_dropout_reaches_the_word_generator() -> None:
    model = make_words(train=True)
    assert model.words is not None
    model.set_dropout(0.4)
    assert model.words.dropout.p == model.dropout.p == 0.4
    model.words.requires_grad_(False)
    model.set_dropout(0.4)
    assert model.words.dropout.p == 0.0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"vision_layers": ()}, "B132"),
        ({"vision": None}, "B132"),
        ({"visual_grid": 0}, "B132"),
        ({"real_context": 0.5}, "B133"),
        ({"vision_layers": (1, 2)}, "B102"),
        ({"text_layers": (1, 2), "vision_layers": (2,)}, "B102"),
        ({"words": False, "text_layers": (), "vision_layers": (2,)}, "B102"),
    ],
)
def test_unfit_settings(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(BGAError, match=code):
        make_config(**{"words": True, **wrong})


def test_other_images_are_other_targets() -> None:
    """The loss knows whose image is whose."""
    model, text = make_words(), make_text()
    images = make_images(model)
    assert images.features is not None
    turned = VisualBatch(images.rows.flip(0), images.features, images.valid)
    allowed = make_allowed(model, text, annotated=())
    with torch.no_grad():
        losses = [model(text, allowed=allowed, images=given)["words"] for given in (images, turned)]
    assert not torch.isclose(*losses)


# What is read of them


def test_components_are_those_of_a_principal_component_analysis() -> None:
    """Held against numpy's: each has the same variance, none repeats another, and all are the widest directions."""
    generator, features = WordGenerator(6, 9, components=4, hidden=5), torch.randn(40, 9) * torch.arange(1, 10)
    generator.note(torch.arange(40))
    assert not generator.components(features, torch.arange(40)).any()  # before there is something to read
    generator.fit(features)
    found = generator.components(features, torch.arange(len(features)))
    covariance = np.cov(features.numpy().T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    widest = (features - features.mean(0)).numpy() @ vectors[:, ::-1][:, :4] / np.sqrt(values[::-1][:4])
    np.testing.assert_allclose(np.abs(found.numpy()), np.abs(widest) * (9 / 4) ** 0.5, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.square().sum(1).mean(), torch.tensor(9.0), rtol=1e-3, atol=1e-3)


def test_components_are_those_before_whitening() -> None:
    features, colouring = torch.randn(40, 9) * torch.arange(1, 10), torch.randn(9, 9)
    found = []
    for shown, undone in ((features, None), (features @ torch.linalg.inv(colouring), colouring)):
        generator = WordGenerator(6, 9, components=4, hidden=5)
        generator.note(torch.arange(40))
        generator.fit(shown, colouring=undone)
        found.append(generator.components(shown, torch.arange(40)).abs())
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fewer_words_than_components(number: int) -> None:
    generator, features = WordGenerator(6, 9, components=4, hidden=5), torch.randn(number, 9)
    generator.fit(features)
    generator.note(torch.arange(number))
    found = generator.components(features, torch.arange(len(features)))
    assert found.isfinite().all()
    assert (found.abs().sum(0) > 1e-4).sum() == number - 1


def test_a_reader_tells_labels_apart_and_leaves_borders_alone() -> None:
    reader = WordReader(4, 3)
    torch.nn.init.normal_(reader.weight)
    scores = reader(torch.randn(5, 4))
    assert scores.shape == (5, 7)
    assert not scores[:, 0].any()
    assert torch.equal(scores[:, 1::2], scores[:, 2::2])
    torch.testing.assert_close(scores.sum(1), torch.zeros(5), atol=1e-5, rtol=0)
    assert WordReader(4, 0)(torch.randn(5, 4)).shape == (5, 1)
    assert not WordReader(4, 1)(torch.randn(5, 4)).any()


def test_words_without_a_picture_are_not_read() -> None:
    generator, features = WordGenerator(6, 9, components=4, hidden=5), torch.randn(8, 9)
    generator.fit(features)
    keys = torch.arange(8) * 10**12
    generator.note(keys[::2])
    read = generator.components(features, keys).abs().sum(1) > 0
    assert read.tolist() == [True, False] * 4


def test_equal_words_have_equal_keys_wherever_their_wordpieces_are() -> None:
    """And other words other ones: 3,000 of one to three wordpieces."""
    rng = np.random.default_rng(0)
    words = list({tuple(sorted(rng.integers(1, 30_000, size=rng.integers(1, 4)).tolist())) for _ in range(3000)})
    ids = torch.tensor([piece for word in words for piece in word])
    tokens = torch.tensor([i for i, word in enumerate(words) for _ in word])
    keys = word_keys(ids, tokens, len(words))
    assert len(set(keys.tolist())) == len(words)
    order = torch.randperm(len(ids))
    assert torch.equal(word_keys(ids[order], tokens[order], len(words)), keys)
    half = torch.arange(len(ids)) % 2 == 0
    parts = [word_keys(ids[part], tokens[part], len(words)) for part in (half, ~half)]
    assert torch.equal(parts[0] + parts[1], keys)


# What is hidden from the text encoder


def hidden_ids(model: BGAModel, text: TextBatch, allowed: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """RETURNS (Tensor): (W, n), the wordpieces that the text encoder saw."""
    seen: list[Tensor] = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda some, **given: seen.append(some.ids) or encode(some, **given))
    model(text, allowed=allowed)
    return seen[0]


@pytest.mark.parametrize("layers", [{}, WORDS_AND_LAYERS])
def test_pictured_words_of_entities_are_hidden(layers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wordpiece of them and nothing else; what they look like is read all the same."""
    model, text = make_words(train=True, mask_id=3, **layers), make_text((4,))
    assert model.words is not None
    model.words.trust.fill_(1.0)
    allowed = torch.ones(1, text.n_tokens, len(model.crf.tags), dtype=torch.bool)
    allowed[0, :2, 0] = False  # an entity of two tokens, of which a picture has shown the second
    model.words.pictured.zero_()
    model.words.note(text.word_keys[1:3])
    expected = text.ids.clone().flatten()
    expected[text.places[text.tokens == 1]] = 3
    imagined: list[Tensor] = []
    imagine = model.imagine
    monkeypatch.setattr(model, "imagine", lambda texts: imagined.extend(t.ids for t in texts) or imagine(texts))
    assert torch.equal(hidden_ids(model, text, allowed, monkeypatch), expected.view_as(text.ids))
    assert all(torch.equal(ids, text.ids) for ids in imagined)
    assert imagined


@pytest.mark.parametrize(("trust", "training"), [(0.0, True), (1.0, False)])
def test_nothing_is_hidden_without_trust_or_training(
    trust: float, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, text = make_words(train=training, mask_id=3), make_text((4,))
    assert model.words is not None
    model.words.trust.fill_(trust)
    model.words.note(text.word_keys)
    allowed = torch.ones(1, text.n_tokens, len(model.crf.tags), dtype=torch.bool)
    allowed[..., 0] = False
    assert torch.equal(hidden_ids(model, text, allowed, monkeypatch), text.ids)


def test_as_many_are_hidden_as_pictures_can_stand_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = make_words(train=True, mask_id=3), make_text((4,))
    assert model.words is not None
    model.words.trust.fill_(0.3)
    model.words.note(text.word_keys)
    allowed = torch.ones(1, text.n_tokens, len(model.crf.tags), dtype=torch.bool)
    allowed[..., 0] = False
    torch.manual_seed(0)
    drawn = [model._draw_veiled(text, allowed)[0] for _ in range(500)]
    shares = torch.stack([words for words in drawn if words is not None]).float().mean(0)
    assert shares.allclose(torch.tensor(0.3), atol=0.08)


def test_what_the_text_encoder_sees_of_entities_is_not_read_while_training() -> None:
    model, text = make_words(train=True, mask_id=3), make_text((4,))
    assert model.words is not None
    model.words.trust.fill_(0.5)
    model.words.pictured.zero_()
    model.words.note(text.word_keys[1:])
    allowed = torch.ones(1, text.n_tokens, len(model.crf.tags), dtype=torch.bool)
    allowed[0, :3, 0] = False  # an entity of three tokens, of which pictures have shown the last two
    seen = set()
    for _ in range(50):
        veiled, read = model._draw_veiled(text, allowed)
        assert veiled is not None
        assert read is not None
        assert not veiled[[0, 3]].any()
        assert read[[0, 3]].all()
        assert torch.equal(read[1:3], veiled[1:3])
        seen.add(tuple(veiled.tolist()))
    assert len(seen) == 4
    hidden = torch.zeros(*text.ids.shape, 16)
    with torch.no_grad():
        model.set_dropout(0.0)
        alone, part, full = (model.emissions(hidden, text, read=r) for r in (torch.zeros_like(read), read, None))
    assert torch.equal(part, torch.where(read.unsqueeze(-1), full, alone))
