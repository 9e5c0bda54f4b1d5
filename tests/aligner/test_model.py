from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from spacy_bga.aligner.layout import lay_out_for_tagging, lay_out_for_training
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.packing import Padded
from spacy_bga.aligner.sampler import ContextSampler
from spacy_bga.aligner.visual import VisualBatch
from spacy_bga.aligner.windows import TextBatch
from spacy_bga.errors import BGAError
from tests.aligner.tiny import (
    STRUCTURES,
    TEXT,
    VISION,
    gradients,
    has_gradient,
    lay_out,
    make_allowed,
    make_config,
    make_images,
    make_model,
    make_text,
    standardized_by_hand,
)


def documents(*lengths: int, seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randint(5, 50, (length,), generator=random) for length in lengths]


def emissions(model: BGAModel, text: TextBatch) -> Tensor:
    with torch.no_grad():
        return model.emissions(model.encode(text).hidden, text)


def note_context(model: BGAModel, shown: list[Tensor]) -> None:
    """Append what the text attends to, as the text encoder's layers get it."""
    own = model.text_encoder.layer

    def note(index: int, hidden: Tensor, windows: Padded, **context: Any) -> Tensor:
        if context.get("context") is not None:
            shown.append(context["context"])
        return own(index, hidden, windows, **context)

    model.text_encoder.layer = note  # type: ignore[method-assign, assignment]


# The objective


@pytest.mark.parametrize(
    "weights", [(1.0, 1.0, 1.0, 0.0), (0.5, 0.25, 2.0, 3.0), (3.0, 0.0, 0.0, 0.0), (0.0, 2.0, 1.0, 0.1)]
)
def test_total_is_the_weighted_sum(weights: tuple[float, float, float, float]) -> None:
    recon, cycle, ratio, contrast = weights
    model = make_model(recon_weight=recon, cycle_weight=cycle, ratio_weight=ratio, contrast_weight=contrast)
    text = make_text()
    with torch.no_grad():
        losses = model(text, allowed=make_allowed(model, text), images=make_images(model))
    optional = {"cycle": cycle, "contrast": contrast}
    assert set(losses) == {"crf", "recon", "ratio", "total"} | {name for name, weight in optional.items() if weight}
    expected = losses["crf"] + recon * losses["recon"] + ratio * losses["ratio"]
    expected = expected + sum(weight * losses[name] for name, weight in optional.items() if weight)
    torch.testing.assert_close(losses["total"], expected)
    assert all(loss.ndim == 0 for loss in losses.values())


def test_terms_are_averaged_over_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    values = iter([(1.0, 2.0), (5.0, 4.0)])
    for layer in model.layers:

        def align(text: Any, *inputs: Any, **settings: Any) -> tuple[dict[str, Tensor], Tensor]:
            recon, cycle = next(values)
            return {"recon": torch.tensor(recon), "cycle": torch.tensor(cycle)}, torch.zeros_like(text.tokens)

        monkeypatch.setattr(layer, "align", align)
    terms = model.encode(make_text(), images=make_images(model)).terms
    assert {name: term.item() for name, term in terms.items()} == {"recon": 3.0, "cycle": 3.0}


@pytest.mark.parametrize("shared", [True, False])
def test_each_layer_aligns_what_it_made_by_its_own_parts(shared: bool) -> None:
    model = make_model(shared_generators=shared, contrast_weight=0.1)
    images = make_images(model)
    assert model.visual is not None
    with torch.no_grad():
        encoding = model.encode(make_text(), images=images)
        by_layer = []
        for number, (layer, stage) in enumerate(zip(model.layers, encoding.stages, strict=True)):
            assert stage.visual is not None
            terms, _ = layer.align(  # type: ignore[operator]
                stage.text.select(images.rows),
                stage.visual,
                stage.generated[images.rows],
                model.visual,
                text_to_visual=partial(model.generate, number),
            )
            by_layer.append(terms)
    assert set(encoding.terms) == {"recon", "cycle", "ratio", "contrast"}
    for name, term in encoding.terms.items():
        torch.testing.assert_close(term, torch.stack([terms[name] for terms in by_layer]).mean())


def test_an_example_without_image_contributes_the_crf_alone() -> None:
    model = make_model()
    text = make_text()
    with torch.no_grad():
        losses = model(text, allowed=make_allowed(model, text))
        with_images = model(text, allowed=make_allowed(model, text), images=make_images(model))
    assert set(losses) == {"crf", "total"}
    assert torch.equal(losses["total"], losses["crf"])
    assert torch.equal(losses["crf"], with_images["crf"])


def test_an_image_without_annotation_contributes_the_alignment_alone() -> None:
    model = make_model(train=True)
    text = make_text()
    losses = model(text, allowed=make_allowed(model, text, annotated=()), images=make_images(model))
    assert set(losses) == {"recon", "cycle", "ratio", "total"}
    losses["total"].backward()
    assert not has_gradient(model.head.weight.grad)
    assert not has_gradient(model.crf.transitions.grad)
    assert has_gradient(gradients(model)["generators.0.queries"])


def test_neither_image_nor_annotation_is_nothing() -> None:
    model = make_model(train=True)
    text = make_text()
    losses = model(text, allowed=make_allowed(model, text, annotated=()))
    assert set(losses) == {"total"}
    assert losses["total"].item() == 0
    assert not losses["total"].requires_grad  # so that a caller can tell


def test_mixed_examples_contribute_as_they_would_alone() -> None:
    """Document 0 has labels, 1 an image, 2 both: the CRF sees 0 and 2, the alignment 1 and 2."""
    model = make_model(distance="mse")
    docs = documents(5, 2, 4)
    text = lay_out(docs)
    images = make_images(model, (1, 2))
    allowed = make_allowed(model, text, annotated=(0, 2))
    with torch.no_grad():
        mixed = model(text, allowed=allowed, images=images)
        labelled = lay_out([docs[0], docs[2]])
        crf = model(labelled, allowed=allowed[[0, 2]])["crf"]
        paired = lay_out(docs[1:])
        terms = model.encode(paired, images=VisualBatch(torch.tensor([0, 1]), images.features, images.valid)).terms
    torch.testing.assert_close(mixed["crf"], crf)
    for name in ("recon", "cycle", "ratio"):
        torch.testing.assert_close(mixed[name], terms[name])


def test_crf_loss_is_the_mean_of_annotated_documents() -> None:
    model = make_model()
    docs = documents(5, 0, 4, 3)
    text = lay_out(docs)
    allowed = make_allowed(model, text, annotated=(0, 1, 3))
    scores = emissions(model, text)
    with torch.no_grad():
        actual = model(text, allowed=allowed)["crf"]
        alone = [
            model.crf(part.unsqueeze(0), allowed[i : i + 1, : len(part)], torch.ones(1, len(part), dtype=torch.bool))
            for i, part in ((0, scores[:5]), (3, scores[9:]))
        ]
    torch.testing.assert_close(actual, torch.cat(alone).mean())


def test_partly_annotated_tokens_are_marginalised_out() -> None:
    model = make_model()
    text = make_text((3,))
    allowed = torch.zeros(1, 3, 5, dtype=torch.bool)
    allowed[0, 0, 1] = allowed[0, 2, 0] = True
    probability = 0.0
    with torch.no_grad():
        for tag in range(5):
            one = allowed.clone()
            one[0, 1, tag] = True
            if tag != 4:  # I-LOC after B-PER is no BIO
                probability += model(text, allowed=one)["crf"].neg().exp().item()
        allowed[0, 1] = True
        assert model(text, allowed=allowed)["crf"].neg().exp().item() == pytest.approx(probability, rel=1e-4)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("train_vision", [False, True])
def test_trains_with_all_weights_zero(structure: str, train_vision: bool) -> None:
    settings = {**STRUCTURES[structure], "recon_weight": 0.0, "cycle_weight": 0.0, "ratio_weight": 0.0}
    if train_vision:
        settings["standardize"] = False
    model = make_model(train_vision=train_vision, train=True, **settings)
    text = make_text()
    losses = model(text, allowed=make_allowed(model, text), images=make_images(model))
    assert losses["total"].item() == losses["crf"].item()
    losses["total"].backward()
    assert all(grad is None or grad.isfinite().all() for grad in gradients(model).values())
    assert has_gradient(model.head.weight.grad)
    assert has_gradient(gradients(model)["generators.0.queries"])  # the tagger's own loss: the text attends to Vp


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("projections", [True, False])
def test_everything_that_should_learn_gets_a_gradient(vision: str, shared: bool, projections: bool) -> None:
    model = make_model(
        vision=vision,
        shared_generators=shared,
        projections=projections,
        context_gate=0.5,
        contrast_weight=0.1,
        train=True,
    )
    text = make_text()
    torch.manual_seed(0)  # a sampler that happens to keep [CLS] alone leaves the attention nothing to choose
    model(text, allowed=make_allowed(model, text), images=make_images(model))["total"].backward()
    lacking = {name for name, grad in gradients(model).items() if not has_gradient(grad)}
    assert lacking == set()


def test_training_learns() -> None:
    """A few steps on four documents bring every term of the objective down."""
    model = make_model(context_gate=0.3, contrast_weight=1.0, dropout=0.0, train=True)
    text, optimizer = make_text((5, 2, 4, 6)), torch.optim.Adam(model.parameters(), lr=1e-2)
    allowed, images = make_allowed(model, text), make_images(model, (0, 2, 3))
    torch.manual_seed(0)
    history = []
    for _ in range(60):
        losses = model(text, allowed=allowed, images=images)
        history.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
    for name in ("crf", "recon", "cycle", "contrast", "total"):
        first = sum(entry[name] for entry in history[:5])
        assert sum(entry[name] for entry in history[-5:]) < 0.7 * first, name


def check_directions(model: BGAModel, *, tolerance: float = 1e-6) -> int:
    """Compare the objective's gradient with finite differences, along a random direction of each parameter.

    RETURNS (int): How many parameters have a gradient.
    """
    text = make_text((4, 2), seed=3)
    allowed = make_allowed(model, text, annotated=(0,))
    images = make_images(model, (1, 0), crops=(1, 0))

    def loss() -> Tensor:
        return model(text, allowed=allowed, images=images)["total"]

    loss().backward()
    random = torch.Generator().manual_seed(0)
    step, moving = 1e-6, 0
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            parameter.add_(direction, alpha=step)
            above = loss()
            parameter.sub_(direction, alpha=2 * step)
            below = loss()
            parameter.add_(direction, alpha=step)
        numeric = ((above - below) / (2 * step)).item()
        analytic = 0.0 if parameter.grad is None else (parameter.grad * direction).sum().item()
        assert analytic == pytest.approx(numeric, rel=1e-4, abs=tolerance), name
        moving += has_gradient(parameter.grad)
    return moving


@pytest.mark.parametrize(
    ("kind", "vision", "settings", "real"),
    [
        ("mse", "dinov2", {"train_vision": True, "shared_generators": False, "contrast_weight": 0.5}, False),
        ("mse", "dinov2", {"train_vision": True, "projections": False}, True),
        ("kl", "same width", {}, True),
        ("kl", "same width", {"projections": False, "standardize": False}, False),
        ("cosine", "clip", {"text_to_visual": 0.5, "contrast_weight": 2.0, "contrast_temperature": 0.3}, False),
    ],
)
def test_gradients_by_finite_differences(kind: Any, vision: str, settings: dict[str, Any], real: bool) -> None:
    """In evaluation mode, where masks are constant nearby, and with targets that learn: what is left is smooth."""
    model = make_model(
        vision=vision, distance=kind, detach_targets=False, context_gate=0.5, max_crops=1, crop_grid=1, **settings
    ).double()
    model.encode = partial(model.encode, real=real)  # type: ignore[method-assign]
    moving = check_directions(model)
    still = {name for name, grad in gradients(model).items() if not has_gradient(grad)}
    samplers = {name for name in still if "sampler" in name}
    assert len(samplers) == 4 * 10
    # What reaches no loss: see test_only_a_training_encoder_learns.
    ending = (".layer.2.", "model.layernorm.", "mask_token")
    assert all(name.startswith("visual.encoder.") and any(e in name for e in ending) for name in still - samplers)
    assert moving > 60


# The image reaches the tagger through the losses alone


@pytest.mark.parametrize("vision", ["dinov2", "clip"])
@pytest.mark.parametrize("train_vision", [False, True])
@pytest.mark.parametrize("projections", [True, False])
def test_tagging_does_not_depend_on_the_image(vision: str, train_vision: bool, projections: bool) -> None:
    model = make_model(vision=vision, train_vision=train_vision, projections=projections, real_context=1.0)
    text = make_text()
    with torch.no_grad():
        without, with_images = model.encode(text), model.encode(text, images=make_images(model))
    assert without.terms == {}
    assert torch.equal(without.hidden, with_images.hidden)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_slim_aligner_tags_the_same(structure: str, tmp_path: Path) -> None:
    model = make_model(**STRUCTURES[structure])
    text = make_text()
    expected = emissions(model, text)
    model.save_pretrained(tmp_path, visual_branch=False)
    loaded = BGAModel.from_pretrained(tmp_path)
    assert loaded.visual is None
    lay_out_for_tagging(model)
    assert torch.equal(emissions(loaded, text), emissions(model, text))
    assert torch.equal(loaded.tag([text]), model.tag([text]))
    lay_out_for_training(model)
    model.drop_visual_branch()
    assert torch.equal(emissions(model, text), expected)
    assert not model.config.visual_branch
    assert set(model.state_dict()) == set(loaded.state_dict())


def test_generated_context_matters_and_can_be_measured() -> None:
    model = make_model()
    text = make_text((5, 2, 4))
    shown: list[Tensor] = []
    note_context(model, shown)
    results = {}
    for context in ("generated", "zero", "swapped"):
        model.context = context  # type: ignore[assignment]
        results[context] = emissions(model, text)
    generated, _, zero, _, swapped, _ = shown
    assert not zero.any()
    assert torch.equal(swapped, generated[[2, 0, 1]])  # each window sees what another one's text generates
    assert not torch.allclose(results["generated"], results["zero"])
    assert not torch.allclose(results["generated"], results["swapped"])


def other_images(images: VisualBatch) -> VisualBatch:
    assert images.features is not None
    return VisualBatch(images.rows, images.features.flip(1, 2), images.valid)


@pytest.mark.parametrize(("rate", "depends"), [(1.0, True), (0.0, False)])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_text_in_training_sees_its_real_image_as_often_as_told(structure: str, rate: float, depends: bool) -> None:
    """Those without an image are not touched; chance falls alike, as images change nothing of what is drawn."""
    model = make_model(real_context=rate, train=True, **STRUCTURES[structure])
    text, images = make_text(), make_images(model)
    hidden = []
    with torch.no_grad():
        for batch in (images, other_images(images)):
            torch.manual_seed(0)
            hidden.append(model.encode(text, images=batch).hidden)
    alike = [torch.equal(first, second) for first, second in zip(*hidden, strict=True)]
    assert alike == [not depends, True, not depends]


def test_real_features_take_the_place_of_generated_ones_text_by_text() -> None:
    """All of an image or nothing of it, in about the share that was asked for; never where there is no crop."""
    model = make_model(real_context=0.3, max_crops=1, crop_grid=1, train=True)
    model.set_dropout(0.0)
    number = 200
    text, rows = make_text((3,) * (number + 5)), list(range(2, number + 2))
    images = make_images(model, rows, crops=[row % 2 for row in rows])
    shown: list[Tensor] = []
    note_context(model, shown)
    torch.manual_seed(0)
    with torch.no_grad():
        stages = model.encode(text, images=images).stages
    taken = []
    for layer, stage, context in zip(model.layers, stages, shown, strict=True):
        assert stage.visual is not None
        real, generated = layer.to_text(stage.visual.tokens), layer.to_text(stage.generated)  # type: ignore[operator]
        is_real = torch.isclose(context[images.rows], real, atol=1e-6).all(-1)
        is_generated = torch.isclose(context, generated, atol=1e-6).all(-1)
        chosen = is_real[:, 0]
        assert torch.equal(is_real, chosen[:, None] & stage.visual.valid)
        assert torch.equal(is_generated[images.rows], ~is_real)
        assert is_generated[[0, 1, -3, -2, -1]].all()
        taken.append(chosen)
        assert chosen.float().mean().item() == pytest.approx(0.3, abs=0.1)
    assert not torch.equal(*taken)  # each layer draws for itself


def test_the_tagger_learns_to_read_real_features() -> None:
    """What the text attends to then comes from no generator, but the layer's way to the text is the same."""
    moved = {}
    for rate in (0.0, 1.0):
        model = make_model(real_context=rate, train=True)
        text = make_text((5, 4))
        losses = model(text, allowed=make_allowed(model, text), images=make_images(model, (0, 1)))
        losses["crf"].backward()
        moved[rate] = {name.split(".")[0] for name, grad in gradients(model).items() if has_gradient(grad)}
        assert has_gradient(gradients(model)["layers.1.to_text.0.weight"])
    assert moved[0.0] - moved[1.0] == {"generators"}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_real_context_at_tagging(structure: str) -> None:
    """By hand: the layers attend to the real features of those with an image, as this layer's text side reads them."""
    model = make_model(max_crops=1, crop_grid=1, **STRUCTURES[structure])
    text, images = make_text(), make_images(model, (2, 0), crops=(0, 1))
    shown: list[Tensor] = []
    with torch.no_grad():
        generated = model.encode(text, images=images).hidden
        note_context(model, shown)
        encoding = model.encode(text, images=images, real=True)
        assert images.features is not None
        for number, (layer, stage, context) in enumerate(zip(model.layers, encoding.stages, shown, strict=True)):
            expected, features = stage.generated.clone(), images.features[number]
            if model.config.standardize:
                assert model.visual is not None
                features = standardized_by_hand(model.visual, number, features)
            expected[0], expected[2, :5] = features[1], features[0, :5]  # document 2 has no crop
            torch.testing.assert_close(context, layer.to_text(expected))  # type: ignore[operator]
    alike = [torch.allclose(one, two, atol=1e-6) for one, two in zip(encoding.hidden, generated, strict=True)]
    assert alike == [False, True, False]


def test_real_context_without_images_is_the_generated_one() -> None:
    model, text = make_model(), make_text()
    expected = model.tag([text])
    torch.testing.assert_close(expected, emissions(model, text), atol=1e-5, rtol=1e-5)
    assert torch.equal(model.tag([text], [None]), expected)
    with_images = model.tag([text], [make_images(model, (0, 2))])
    rows = [torch.equal(*pair) for pair in zip(with_images.split([5, 2, 4]), expected.split([5, 2, 4]), strict=True)]
    assert rows == [False, True, False]


def test_stages_are_what_each_layer_made() -> None:
    model, text = make_model(), make_text()
    images = make_images(model)
    with torch.no_grad():
        encoding = model.encode(text, images=images)
        assert len(encoding.stages) == 2
        for number, stage in enumerate(encoding.stages):
            assert torch.equal(stage.generated, model.generate(number, stage.text.tokens, stage.text.kept))
            assert stage.generated.shape == (3, 5, 12)
            assert torch.equal(stage.text.valid, text.mask)
            assert stage.visual is not None
            assert stage.visual.tokens.shape == (2, 5, 12)
            assert stage.visual.valid is images.valid
        for alone, stage in zip(model.encode(text).stages, encoding.stages, strict=True):
            assert alone.visual is None
            assert torch.equal(alone.generated, stage.generated)


def test_what_is_not_tagged_needs_no_last_layers() -> None:
    model, text = make_model(), make_text()
    images = make_images(model)
    with torch.no_grad():
        whole = model.encode(text, images=images)
        calls: list[int] = []
        run = model.text_encoder.layer
        model.text_encoder.layer = lambda index, *args, **kwargs: calls.append(index) or run(index, *args, **kwargs)  # type: ignore
        short = model.encode(text, images=images, tagged=False)
    assert calls == list(range(max(model.config.text_layers)))
    assert all(torch.equal(short.terms[name], term) for name, term in whole.terms.items())
    for one, other in zip(short.stages, whole.stages, strict=True):
        assert torch.equal(one.generated, other.generated)


# Tagging


@pytest.mark.parametrize("text_encoder", TEXT)
def test_tag_equals_the_emissions_however_it_is_chunked(text_encoder: str) -> None:
    model = make_model(text=text_encoder)
    docs = documents(5, 0, 2, 14, 1, 4)
    whole = lay_out(docs)
    expected = emissions(model, whole)
    chunkings: list[list[list[int]]] = [[[0, 1, 2, 3, 4, 5]], [[4, 2], [5, 0], [3]], [[3], [0], [1], [5], [2], [4]]]
    for rows in chunkings:
        actual = model.tag(lay_out(docs, rows=chunk) for chunk in rows)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
        assert not actual.requires_grad


@pytest.mark.parametrize("rows", [[[0, 1, 2, 3]], [[2, 0], [3], [1]], [[3], [1, 2], [0]]])
def test_tag_takes_the_images_of_each_chunk(rows: list[list[int]]) -> None:
    """Documents 0 and 2 have one; a chunk without is None, or left out at the end."""
    model, docs = make_model(), documents(5, 2, 4, 3)
    images, whole = make_images(model, (0, 2)), lay_out(docs)
    assert images.features is not None
    assert images.valid is not None
    with torch.no_grad():
        expected = model.emissions(model.encode(whole, images=images, real=True).hidden, whole)
    by_chunk: list[VisualBatch | None] = []
    for chunk in rows:
        owners = [document for document in chunk if document in (0, 2)]
        picked = torch.tensor([(0, 2).index(document) for document in owners], dtype=torch.long)
        places = torch.tensor([chunk.index(document) for document in owners])
        by_chunk.append(VisualBatch(places, images.features[:, picked], images.valid[picked]) if owners else None)
    if by_chunk[-1] is None:
        by_chunk.pop()
    actual = model.tag((lay_out(docs, rows=chunk) for chunk in rows), iter(by_chunk))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(actual, model.tag([whole]), atol=1e-3)


def test_documents_do_not_see_each_other_nor_their_padding() -> None:
    model = make_model()
    docs = documents(5, 2, 9)
    together = emissions(model, lay_out(docs, width=16)).split([5, 2, 9])
    for document, part in zip(docs, together, strict=True):
        torch.testing.assert_close(emissions(model, lay_out([document])), part, atol=1e-5, rtol=1e-5)


def test_no_tokens_at_all() -> None:
    model = make_model(train=True)
    text = lay_out([torch.zeros(0, dtype=torch.long)] * 2)
    assert model.tag([text]).shape == (0, 5)
    losses = model(text, allowed=torch.zeros(2, 0, 5, dtype=torch.bool))
    assert losses["total"].item() == 0


def test_tokens_without_wordpieces_get_the_heads_bias() -> None:
    model = make_model()
    text = make_text((3,))
    bare = TextBatch(text.ids, text.mask, text.places[:2], torch.tensor([0, 2]), (4,))
    actual = model.tag([bare])
    assert torch.equal(actual[1], model.head.bias)
    assert torch.equal(actual[3], model.head.bias)
    torch.testing.assert_close(actual[[0, 2]], model.tag([text])[:2])


# Families, widths and parts


@pytest.mark.parametrize("text_encoder", TEXT)
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("train_vision", [False, True])
@pytest.mark.parametrize("projections", [True, False])
def test_families(text_encoder: str, vision: str, train_vision: bool, projections: bool) -> None:
    """BERT with CLIP's ViT is the paper's pair."""
    model = make_model(text=text_encoder, vision=vision, train_vision=train_vision, projections=projections, train=True)
    text = make_text()
    losses = model(text, allowed=make_allowed(model, text), images=make_images(model))
    losses["total"].backward()
    assert all(loss.isfinite() for loss in losses.values())
    for name in ("layers.0.sampler.output.2.bias", "visual.samplers.1.local_mlp.0.weight", "generators.0.queries"):
        assert has_gradient(gradients(model)[name]), name
    assert ("layers.1.to_vision.weight" in model.state_dict()) == (projections or vision != "same width")
    assert ("visual.standardizer.mean" in model.state_dict()) == (not train_vision)
    assert model.eval().tag([text]).shape == (text.n_tokens, 5)


def test_no_bga_layers_is_the_text_encoder_and_a_crf() -> None:
    model = make_model(vision=None)
    assert model.visual is None
    assert not model.layers
    assert {name.split(".")[0] for name in model.state_dict()} == {"text_encoder", "head", "crf"}
    text = make_text()
    with torch.no_grad():
        encoding = model.encode(text)
        assert encoding.stages == []
        torch.testing.assert_close(encoding.hidden, model.text_encoder(text.ids, text.mask))
        assert set(model(text, allowed=make_allowed(model, text))) == {"crf", "total"}


def test_a_vision_encoder_without_bga_layers_is_left_out() -> None:
    model = BGAModel.from_config(make_config(text_layers=(), vision_layers=(), keep_text=(), keep_visual=()))
    assert model.visual is None
    assert not model.config.visual_branch


@pytest.mark.parametrize(("layers", "partners"), [((0,), (2,)), ((0, 2), (0, 1)), ((0, 1, 2), (0, 1, 2))])
def test_any_layers_can_be_bga_layers(layers: tuple[int, ...], partners: tuple[int, ...]) -> None:
    ratios = (0.6,) * len(layers)
    model = make_model(
        text_layers=layers, vision_layers=partners, keep_text=ratios, keep_visual=ratios, train_vision=True, train=True
    )
    assert len(model.layers) == len(layers)
    text = make_text()
    losses = model(text, allowed=make_allowed(model, text), images=make_images(model))
    assert losses["total"].isfinite()


@pytest.mark.parametrize("shared", [True, False])
def test_generators_are_shared_or_one_per_layer(shared: bool, tmp_path: Path) -> None:
    model = make_model(shared_generators=shared)
    assert model.visual is not None
    assert len(model.generators) == len(model.visual.generators) == (1 if shared else 2)
    assert model.generators[0].queries.shape == (5, 16)  # one query per visual token
    places = [tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()]
    assert len(set(places)) == len(places)
    model.save_pretrained(tmp_path)  # safetensors refuses tensors that share memory


def test_sizes_of_the_generators() -> None:
    model = make_model(generator_heads=4, generator_width=10, max_crops=3, crop_grid=1)
    assert model.visual is not None
    generator: Any
    for generator in (model.generators[0], model.visual.generators[0]):
        assert generator.heads == 4
        assert generator.ffn[0].out_features == 10
    assert model.config.n_visual_tokens == len(model.state_dict()["generators.0.queries"]) == 5 + 3 * 2
    generator = make_model().generators[0]
    assert generator.heads == 2
    assert generator.ffn[0].out_features == 24


def test_set_dropout_reaches_the_text_side() -> None:
    model = make_model(train=True)
    text = make_text()
    allowed = make_allowed(model, text)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        hidden = model.encode(text).hidden
        return model.emissions(hidden, text).sum().item() + model(text, allowed=allowed)["crf"].item()

    assert loss(0) != loss(1)
    model.set_dropout(0.0)
    for module in model.modules():
        if isinstance(module, ContextSampler):
            module.eval()  # what is left of chance
    assert loss(0) == loss(1)
    model.set_dropout(0.5)
    assert loss(0) != loss(1)
    rates = {name: m.p for name, m in model.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert rates["visual.generators.0.dropout"] == 0.5


def test_what_is_frozen_has_no_dropout() -> None:
    model = make_model(train=True)
    model.text_encoder.requires_grad_(False)
    model.set_dropout(0.5)
    rates = {name: m.p for name, m in model.named_modules() if isinstance(m, torch.nn.Dropout)}
    assert {rate for name, rate in rates.items() if name.startswith("text_encoder.")} == {0.0}
    assert rates["dropout"] == rates["generators.0.dropout"] == rates["visual.generators.0.dropout"] == 0.5


# Chance


def test_a_seed_makes_training_repeatable() -> None:
    def run(seed: int) -> tuple[dict[str, float], dict[str, Tensor | None]]:
        model = make_model(train=True)
        text = make_text()
        allowed, images = make_allowed(model, text), make_images(model)
        torch.manual_seed(seed)
        losses = model(text, allowed=allowed, images=images)
        losses["total"].backward()
        return {name: loss.item() for name, loss in losses.items()}, gradients(model)

    (first, grads), (second, same_grads), (third, _) = run(0), run(0), run(1)
    assert first == second
    assert first != third
    for name, grad in grads.items():
        other = same_grads[name]
        assert (grad is None and other is None) or torch.equal(grad, other), name  # type: ignore[arg-type]


def test_evaluation_knows_no_chance() -> None:
    model, text = make_model(), make_text()
    assert torch.equal(emissions(model, text), emissions(model, text))


# Saving and loading


@pytest.mark.parametrize("text_encoder", TEXT)
@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("train_vision", [True, False])
def test_round_trip(text_encoder: str, vision: str, train_vision: bool, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"projections": train_vision, "contrast_weight": 0.5, "real_context": 0.25}
    model = make_model(
        text=text_encoder, vision=vision, context_gate=0.3, max_crops=1, train_vision=train_vision, **settings
    )
    model.save_pretrained(tmp_path / "new" / "folder")
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["config.json", "model.safetensors"]
    loaded = BGAModel.from_pretrained(str(tmp_path / "new" / "folder"))
    assert not loaded.training
    assert loaded.config.to_json() == model.config.to_json()
    state = loaded.state_dict()
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    text = make_text()
    with torch.no_grad():
        expected, actual = (
            m(text, allowed=make_allowed(m, text), images=make_images(m, crops=(1, 0))) for m in (model, loaded)
        )
    # Loaded weights lie otherwise in memory, and on some machines a product then differs in its last bits.
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_what_standardises_is_saved_with_the_visual_branch(tmp_path: Path) -> None:
    model = make_model()
    branch, images = model.visual, make_images(model, (0, 1, 2))
    assert branch is not None
    branch.fit([images])
    names = {f"visual.standardizer.{name}" for name in ("mean", "std", "whitening")}
    for slim in (False, True):
        model.save_pretrained(tmp_path, visual_branch=not slim)
        saved = load_file(tmp_path / "model.safetensors")
        assert names & set(saved) == (set() if slim else names)
        loaded = BGAModel.from_pretrained(tmp_path)
        assert names & set(loaded.state_dict()) == (set() if slim else names)
        assert loaded.config.standardize
        if loaded.visual is not None:
            fitted, again = (part.standardizer.state_dict() for part in (branch, loaded.visual))  # type: ignore[union-attr]
            assert all(torch.equal(again[name], tensor) for name, tensor in fitted.items())
            assert fitted["mean"].abs().sum() > 0


def test_remembered_images_of_an_earlier_version_are_left_out(tmp_path: Path) -> None:
    """The removed setting `contrast_memory` had them saved among the weights."""
    model = make_model(seed=1)
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights |= {"visual.memories.0.summaries": torch.ones(5, 24), "visual.memories.0.noted": torch.tensor(7)}
    save_file(weights, tmp_path / "model.safetensors")
    other = make_model()
    other.start_from(tmp_path)
    for again in (BGAModel.from_pretrained(tmp_path), other):
        assert again.state_dict().keys() == model.state_dict().keys()
        assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


def test_buffers_that_are_not_saved_are_rebuilt(tmp_path: Path) -> None:
    """Position ids, and the CRF's BIO constraints."""
    model = make_model(text="roberta", vision="clip")
    model.save_pretrained(tmp_path)
    buffers = dict(BGAModel.from_pretrained(tmp_path).named_buffers())
    expected = dict(model.named_buffers())
    assert set(buffers) == set(expected)
    assert all(torch.equal(buffers[name], tensor) for name, tensor in expected.items())


def test_a_slim_aligner_is_smaller_and_cant_learn_from_images(tmp_path: Path) -> None:
    model = make_model()
    images = make_images(model)
    model.save_pretrained(tmp_path, visual_branch=False)
    saved = load_file(tmp_path / "model.safetensors")
    assert saved
    assert not any(name.startswith("visual.") for name in saved)
    loaded = BGAModel.from_pretrained(tmp_path)
    text = make_text()
    with pytest.raises(BGAError, match="B107"):
        loaded(text, allowed=make_allowed(loaded, text), images=images)
    assert set(loaded(text, allowed=make_allowed(loaded, text))) == {"crf", "total"}
    loaded.save_pretrained(tmp_path / "again", visual_branch=True)  # there is none to save
    assert BGAModel.from_pretrained(tmp_path / "again").visual is None


def test_loading_draws_no_random_weights_that_stay(tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path)
    torch.manual_seed(0)
    first = BGAModel.from_pretrained(tmp_path).state_dict()
    torch.manual_seed(1)
    second = BGAModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_initialisation_works_after_loading(tmp_path: Path) -> None:
    """Loading switches the drawing of weights off; afterwards it is on again."""
    make_model().save_pretrained(tmp_path)
    BGAModel.from_pretrained(tmp_path)
    assert torch.nn.Linear(4, 4).weight.std() > 0.01
    assert make_model().state_dict()["head.weight"].std() > 0.01


@pytest.mark.parametrize("lacking", ["config.json", "model.safetensors"])
def test_no_aligner_in_a_folder(lacking: str, tmp_path: Path) -> None:
    make_model(vision=None).save_pretrained(tmp_path)
    (tmp_path / lacking).unlink()
    with pytest.raises(BGAError, match="B109"):
        BGAModel.from_pretrained(tmp_path)


def test_damaged_files(tmp_path: Path) -> None:
    make_model(vision=None).save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(BGAError, match="B109"):
        BGAModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{", encoding="utf8")
    with pytest.raises(BGAError, match="B105"):
        BGAModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", [{}, {"model_type": "homemade"}, {"model_type": "distilbert"}])
def test_config_of_no_known_encoder(text: dict[str, Any], tmp_path: Path) -> None:
    make_model(vision=None).save_pretrained(tmp_path)
    data = json.loads((tmp_path / "config.json").read_text(encoding="utf8"))
    (tmp_path / "config.json").write_text(json.dumps({**data, "text": text}), encoding="utf8")
    with pytest.raises(BGAError, match=r"\[(B105|B120)\]"):
        BGAModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("change", ["lacking", "foreign", "shape"])
def test_weights_that_do_not_fit(change: str, tmp_path: Path) -> None:
    make_model().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    if change == "lacking":
        del state["head.bias"]
    elif change == "foreign":
        state["visual.foreign"] = torch.zeros(1)
    else:
        state["head.weight"] = torch.zeros(2, 2)
    save_file(state, path)
    with pytest.raises(BGAError, match="B108"):
        BGAModel.from_pretrained(tmp_path)


# Labels


@pytest.mark.parametrize(
    "labels", [("PER", "LOC"), ("LOC", "PER"), ("ORG", "LOC"), ("LOC",), (), ("A", "PER", "B", "LOC")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_set_labels_keeps_what_was_learnt(labels: Sequence[str], dtype: torch.dtype) -> None:
    model = make_model(seed=4).to(dtype)
    old = {tag: i for i, tag in enumerate(model.crf.tags)}
    text = make_text()
    expected = emissions(model, text)
    before, end = model.crf.transitions.detach().clone(), model.crf.end.detach().clone()
    start = model.crf.start.detach().clone()
    model.set_labels(tuple(labels))
    assert model.config.labels == model.crf.labels == tuple(labels)
    actual = emissions(model, text)
    assert actual.shape == (text.n_tokens, 1 + 2 * len(labels))
    assert {p.dtype for p in model.parameters()} == {dtype}
    for new, tag in enumerate(model.crf.tags):
        if tag not in old:
            assert model.crf.start[new] == model.crf.end[new] == 0
            continue
        torch.testing.assert_close(actual[:, new], expected[:, old[tag]])
        assert model.crf.start[new] == start[old[tag]]
        assert model.crf.end[new] == end[old[tag]]
        for other, second in enumerate(model.crf.tags):
            if second in old:
                assert model.crf.transitions[new, other] == before[old[tag], old[second]]
    assert all(p.requires_grad for p in (*model.head.parameters(), *model.crf.parameters()))


def test_refused_labels_leave_no_trace() -> None:
    model = make_model()
    with pytest.raises(BGAError, match="B110"):
        model.set_labels(("A", "A"))
    assert model.config.labels == model.crf.labels == ("PER", "LOC")
