from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple, cast

import pytest
import torch
from torch import Tensor

from spacy_bga.aligner.layer import BGALayer, Sampled
from spacy_bga.aligner.losses import contrast, distance
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.packing import Padded
from spacy_bga.aligner.sampler import ContextSampler, ratio_loss
from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.aligner.visual import VisualBatch, VisualStates
from tests.aligner.tiny import (
    STRUCTURES,
    VISION,
    gradients,
    has_gradient,
    make_allowed,
    make_config,
    make_images,
    make_model,
    make_text,
    standardized_by_hand,
)

HEADS = 2
TEXT_WIDTH = 16


def bga_layers(model: BGAModel) -> list[BGALayer]:
    return cast(list[BGALayer], list(model.layers))


def text_samplers(model: BGAModel) -> list[ContextSampler]:
    return [layer.sampler for layer in bga_layers(model) if layer.sampler is not None]


def is_mixed(mask: Tensor) -> bool:
    return bool(0 < mask.sum() < mask.numel())


def attend_by_hand(attention: Any, part: slice, hidden: Tensor, source: Tensor) -> Tensor:
    query, key = attention.query(hidden)[:, part], attention.key(source)[:, part]
    weights = torch.softmax(query @ key.T / math.sqrt(query.shape[1]), dim=-1)
    return weights @ attention.value(source)[:, part]


def layer_by_hand(
    encoder: TextEncoder, index: int, hidden: Tensor, context: Tensor, gate: Tensor | None = None
) -> Tensor:
    """Q = T; K, V = [Vp ; T] -> Add & Norm -> FFN -> Add & Norm, head by head: (n, d), (m, d), (heads,) -> (n, d)."""
    layer = encoder.model.encoder.layer[index]
    attention = layer.attention.self
    size = encoder.width // HEADS
    heads = []
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        if gate is None:
            heads.append(attend_by_hand(attention, part, hidden, torch.cat([context, hidden])))
        else:
            own, other = (attend_by_hand(attention, part, hidden, source) for source in (hidden, context))
            heads.append(own + gate[head] * other)
    output = layer.attention.output
    attended = output.LayerNorm(output.dense(torch.cat(heads, dim=-1)) + hidden)
    inner = torch.nn.functional.gelu(layer.intermediate.dense(attended))
    return layer.output.LayerNorm(layer.output.dense(inner) + attended)


def affine_by_hand(module: Any, tokens: Tensor) -> Tensor:
    return tokens @ module.weight.T + module.bias


def to_vision_by_hand(layer: BGALayer, tokens: Tensor) -> Tensor:
    """An affine layer, ours or because the widths differ."""
    assert layer.config.vision is not None
    needed = layer.config.projections or layer.config.vision["hidden_size"] != TEXT_WIDTH
    return affine_by_hand(layer.to_vision, tokens) if needed else tokens


def to_text_by_hand(layer: BGALayer, tokens: Tensor) -> Tensor:
    """An affine layer, and a layer norm behind ours."""
    if not layer.config.projections:
        return tokens if tokens.shape[-1] == TEXT_WIDTH else affine_by_hand(layer.to_text, tokens)
    linear, norm = cast(Any, layer.to_text)
    wide = affine_by_hand(linear, tokens)
    centred = wide - wide.mean(-1, keepdim=True)
    return centred / (wide.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("context_gate", [None, 0.0, 1.5])
@pytest.mark.parametrize("shared", [True, False])
def test_text_branch_by_hand(structure: str, context_gate: float | None, shared: bool) -> None:
    """Each step of the method, one document after the other and without padding."""
    model = make_model(context_gate=context_gate, shared_generators=shared, **STRUCTURES[structure])
    text = make_text((6, 3))
    encoder, samplers = model.text_encoder, text_samplers(model)
    with torch.no_grad():
        if context_gate is not None:  # each head of each layer has its own
            bga_layers(model)[1].context_gate[0] = 0.7  # type: ignore[index]
        actual = model.encode(text).hidden
        dropped = 0
        for row, length in enumerate((8, 5)):
            ids, mask = text.ids[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool)
            windows = Padded(mask)
            hidden = encoder.layer(0, encoder.embed(ids, mask), windows)  # before the BGA layers, the encoder as it was
            kept = torch.ones(1, length)  # m^0
            for number, index in enumerate((1, 2)):
                logits = samplers[number].logits(hidden, mask, kept)
                kept = logits.argmax(-1).float()
                kept[:, 0] = 1
                dropped += int((kept == 0).sum())
                generated = model.generators[0 if shared else number](
                    hidden[:, kept[0] == 1], torch.ones(1, int(kept.sum()))
                )
                layer = bga_layers(model)[number]
                generated = to_text_by_hand(layer, to_vision_by_hand(layer, generated))
                hidden = layer_by_hand(encoder, index, hidden[0], generated[0], layer.context_gate).unsqueeze(0)
            torch.testing.assert_close(actual[row, :length], hidden[0], atol=1e-5, rtol=1e-5)
    assert dropped


class Aligned(NamedTuple):
    """What came out of a BGA layer's alignment, and what went in."""

    terms: dict[str, Tensor]
    pseudo_text: Tensor
    text: Sampled
    visual: Sampled
    images: VisualBatch


def align(model: BGAModel, *, number: int = 0, previous: Tensor | None = None) -> Aligned:
    assert model.visual is not None
    text, images = make_text(width=9), make_images(model)
    hidden = model.text_encoder.layer(0, model.text_encoder.embed(text.ids, text.mask), Padded(text.mask))
    layer, generate = bga_layers(model)[number], partial(model.generate, number)
    sampled = layer.sample(hidden, text.mask, text.mask.float()).select(images.rows)
    visual = layer.sample_visual(model.visual, *VisualStates(model.visual, images).enter(number), previous)
    generated = generate(sampled.tokens, sampled.kept)
    terms, pseudo_text = layer.align(sampled, visual, generated, model.visual, text_to_visual=generate)
    return Aligned(terms, pseudo_text, sampled, visual, images)


@pytest.mark.parametrize("kind", ["kl", "mse", "cosine"])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, 2.0), (0.0, 1.0), (1.0, 0.0)])
def test_alignment_terms_by_hand(kind: str, structure: str, weights: tuple[float, float]) -> None:
    """By the method's formulas.

    L_recon = D(Vp, V | m_V) + D(Tp, T | m_T)
    L_cycle = D(G_t2v(Tp | m_T), V | m_V) + D(G_v2t(Vp | m_V), T | m_T)
    """
    settings: dict[str, Any] = {"distance": kind, "distance_temperature": 2.0, **STRUCTURES[structure]}
    model = make_model(text_to_visual=weights[0], visual_to_text=weights[1], contrast_weight=0.1, **settings)
    branch, layer = model.visual, bga_layers(model)[0]
    assert branch is not None
    with torch.no_grad():
        terms, actual_text, sampled, sampled_visual, images = align(model)
        assert images.features is not None
        assert images.valid is not None
        visual, kept = images.features[0], sampled_visual.kept
        if model.config.standardize:
            visual = standardized_by_hand(branch, 0, visual)
        assert is_mixed(sampled.kept[sampled.valid])
        assert is_mixed(kept[images.valid])

        def text_to_visual(tokens: Tensor) -> Tensor:
            return to_vision_by_hand(layer, model.generators[0](tokens, sampled.kept))

        def visual_to_text(tokens: Tensor) -> Tensor:
            return branch.generators[0](to_text_by_hand(layer, tokens), kept)[:, : sampled.tokens.shape[1]]

        def both(pseudo_visual: Tensor, pseudo_text: Tensor) -> Tensor:
            first = distance(pseudo_visual, visual, kept, kind=kind, temperature=2.0)
            second = distance(pseudo_text, sampled.tokens, sampled.kept, kind=kind, temperature=2.0)
            return weights[0] * first + weights[1] * second

        generated, pseudo_text = text_to_visual(sampled.tokens), visual_to_text(visual)
        torch.testing.assert_close(actual_text, pseudo_text)
        torch.testing.assert_close(terms["recon"], both(generated, pseudo_text))
        torch.testing.assert_close(terms["cycle"], both(text_to_visual(pseudo_text), visual_to_text(generated)))
        expected = ratio_loss([sampled.kept], sampled.valid, 0.6) + ratio_loss([kept], images.valid, 0.6)
        torch.testing.assert_close(terms["ratio"], expected)
        expected = contrast(generated, visual, images.valid, temperature=0.07)
        torch.testing.assert_close(terms["contrast"], expected)
        assert all(term > 0 for term in terms.values())


def test_visual_mask_is_refined_by_stage() -> None:
    model = make_model(seed=2)
    assert model.visual is not None
    previous = torch.tensor([[1.0, 0, 0, 0, 0], [1, 1, 0, 0, 1]])
    with torch.no_grad():
        refined, images = align(model, previous=previous).visual, make_images(model)
        assert images.features is not None
        assert images.valid is not None
        tokens = standardized_by_hand(model.visual, 0, images.features[0])
        torch.testing.assert_close(refined.tokens, tokens)
        assert torch.equal(refined.kept, model.visual.samplers[0](tokens, images.valid, previous)[0])
        first = align(model).visual
        assert torch.equal(first.kept, model.visual.samplers[0](tokens, images.valid, torch.ones(2, 5))[0])
        assert not torch.equal(first.kept, refined.kept)


def test_masks_are_passed_on_from_layer_to_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """m^0 is all ones; each layer's samplers get what the layer before has kept, of their own modality."""
    model = make_model(train=True)
    assert model.visual is not None
    seen: dict[str, tuple[Tensor, Tensor]] = {}  # what each was given, and what it has drawn
    samplers: dict[str, torch.nn.Module] = {f"text {n}": sampler for n, sampler in enumerate(text_samplers(model))}
    samplers |= {f"visual {n}": sampler for n, sampler in enumerate(model.visual.samplers)}
    for name, sampler in samplers.items():

        def note(module: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor], name: str = name) -> None:
            seen[name] = (inputs[2], output[0])

        sampler.register_forward_hook(note)
    torch.manual_seed(0)
    text = make_text(width=9)
    model(text, allowed=make_allowed(model, text), images=make_images(model))
    assert torch.equal(seen["text 0"][0], text.mask.float())
    assert (seen["visual 0"][0] == 1).all()
    assert seen["text 1"][0] is seen["text 0"][1]
    assert seen["visual 1"][0] is seen["visual 0"][1]
    assert not torch.equal(seen["text 0"][1], text.mask.float())


def test_without_samplers_everything_is_kept() -> None:
    model = make_model(sample=False, train=True)
    assert not any("sampler" in name for name in model.state_dict())
    with torch.no_grad():
        aligned = align(model)
    for sampled in (aligned.text, aligned.visual):
        assert torch.equal(sampled.kept, sampled.valid.float())
        assert torch.equal(sampled.likeliest, sampled.valid.float())
    assert set(aligned.terms) == {"recon", "cycle"}


def test_no_cycle_is_run_without_its_weight() -> None:
    calls = {}
    for weight in (0.0, 1.0):
        model = make_model(cycle_weight=weight)
        assert model.visual is not None
        count = [0, 0]
        for place, generator in enumerate((model.generators[0], model.visual.generators[0])):

            def note(module: Any, inputs: Any, output: Any, place: int = place) -> None:
                count[place] += 1  # noqa: B023

            generator.register_forward_hook(note)
        with torch.no_grad():
            terms = align(model).terms
        calls[weight] = (count, sorted(terms))
    assert calls == {0.0: ([1, 1], ["ratio", "recon"]), 1.0: ([2, 2], ["cycle", "ratio", "recon"])}


def test_no_contrast_is_drawn_without_its_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def note(*inputs: Tensor, temperature: float) -> Tensor:
        calls.append(temperature)
        return contrast(*inputs, temperature=temperature)

    monkeypatch.setattr("spacy_bga.aligner.layer.contrast", note)
    with torch.no_grad():
        assert "contrast" not in align(make_model(contrast_weight=0.0)).terms
        assert calls == []
        assert "contrast" in align(make_model(contrast_weight=0.5, contrast_temperature=0.3)).terms
        assert set(calls) == {0.3}


@pytest.mark.parametrize("kind", ["kl", "mse", "cosine"])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("train_vision", [False, True])
def test_every_sampler_parameter_learns_from_reconstruction_alone(
    kind: Any, structure: str, shared: bool, train_vision: bool
) -> None:
    settings = {**STRUCTURES[structure], **({"standardize": False} if train_vision else {})}
    model = make_model(
        distance=kind,
        shared_generators=shared,
        train_vision=train_vision,
        cycle_weight=0.0,
        ratio_weight=0.0,
        train=True,
        **settings,
    )
    torch.manual_seed(0)
    model.encode(make_text(), images=make_images(model)).terms["recon"].backward()
    samplers = {name: p for name, p in model.named_parameters() if "sampler" in name}
    assert len(samplers) == 4 * 10
    lacking = [name for name, p in samplers.items() if not has_gradient(p.grad)]
    assert lacking == []


def test_reconstruction_reaches_the_text_encoder_through_the_generator() -> None:
    model = make_model(visual_to_text=0.0, cycle_weight=0.0, train=True)
    model.encode(make_text(), images=make_images(model)).terms["recon"].backward()
    assert has_gradient(model.text_encoder.model.embeddings.word_embeddings.weight.grad)


@pytest.mark.parametrize("kind", ["kl", "mse", "cosine"])
@pytest.mark.parametrize("detach", [True, False])
def test_targets_are_detached_on_the_text_side(kind: Any, detach: bool) -> None:
    """D(Tp, T | m_T): Tp comes from the frozen image, so that only the target could move the text encoder."""
    model = make_model(distance=kind, detach_targets=detach, text_to_visual=0.0, cycle_weight=0.0, train=True)
    model.encode(make_text(), images=make_images(model)).terms["recon"].backward()
    moved = [name for name, p in model.text_encoder.named_parameters() if has_gradient(p.grad)]
    assert bool(moved) == (not detach)
    if detach:  # m_T is a detached weight in D; else it moves the next layer's target
        moved = [name for name, p in model.layers.named_parameters() if has_gradient(p.grad)]
        assert moved
        assert all(".to_text." in name for name in moved)  # through which G_v2t reads the image
    assert model.visual is not None
    assert has_gradient(gradients(model)["visual.generators.0.queries"])


@pytest.mark.parametrize("detach", [True, False])
def test_targets_are_detached_on_the_visual_side(detach: bool) -> None:
    """D(Vp, V | m_V): Vp comes from the text, so that only the target could move the vision encoder."""
    model = make_model(train_vision=True, detach_targets=detach, visual_to_text=0.0, cycle_weight=0.0, train=True)
    model.encode(make_text(), images=make_images(model)).terms["recon"].backward()
    assert model.visual is not None
    moved = [name for name, p in model.visual.encoder.named_parameters() if has_gradient(p.grad)]
    assert bool(moved) == (not detach)


@pytest.mark.parametrize("detach", [True, False])
def test_targets_are_detached_in_the_contrast(detach: bool) -> None:
    """Generated features are drawn to the real ones, not the other way around."""
    model = make_model(train_vision=True, detach_targets=detach, contrast_weight=1.0, train=True)
    torch.manual_seed(0)
    model.encode(make_text(), images=make_images(model)).terms["contrast"].backward()
    moved = {name for name, grad in gradients(model).items() if has_gradient(grad)}
    assert any(name.startswith("visual.encoder.") for name in moved) == (not detach)
    if detach:
        assert not any(name.startswith("visual.") for name in moved)
    assert {"generators.0.queries", "layers.0.to_vision.weight", "layers.0.sampler.output.2.bias"} <= moved
    assert "text_encoder.model.embeddings.word_embeddings.weight" in moved


def test_targets_of_the_cycle_are_detached() -> None:
    """With the generators and what they read cut off, nothing is left to learn from but the targets."""
    for detach in (True, False):
        model = make_model(detach_targets=detach, distance="mse")
        assert model.visual is not None
        text = torch.randn(1, 4, 16, requires_grad=True)
        visual = torch.randn(1, 5, 12, requires_grad=True)
        total = bga_layers(model)[0]._distances(
            Sampled(text, torch.ones(1, 4, dtype=torch.bool), torch.ones(1, 4), torch.ones(1, 4)),
            Sampled(visual, torch.ones(1, 5, dtype=torch.bool), torch.ones(1, 5), torch.ones(1, 5)),
            torch.randn(1, 5, 12, requires_grad=True),
            torch.randn(1, 4, 16, requires_grad=True),
        )
        total.backward()
        for leaf in (text, visual):
            assert has_gradient(leaf.grad) == (not detach)


def test_context_gate_starts_as_told_and_learns() -> None:
    model = make_model(context_gate=0.0, train=True)
    gates = [layer.context_gate for layer in bga_layers(model) if layer.context_gate is not None]
    assert [gate.tolist() for gate in gates] == [[0.0] * HEADS] * 2
    text = make_text()
    model(text, allowed=make_allowed(model, text))["crf"].backward()
    assert all(has_gradient(gate.grad) for gate in gates)
    assert all(layer.context_gate is None for layer in bga_layers(make_model()))


def test_a_closed_gate_leaves_the_encoder_as_it_was() -> None:
    model, text = make_model(context_gate=0.0), make_text()
    with torch.no_grad():
        torch.testing.assert_close(model.encode(text).hidden, model.text_encoder(text.ids, text.mask))


def test_keep_ratios_are_by_layer() -> None:
    model = BGAModel.from_config(make_config(keep_text=(0.3, 0.9), keep_visual=(0.2, 0.8))).eval()
    assert model.visual is not None
    samplers = [*text_samplers(model), *model.visual.samplers]
    ratios = [torch.sigmoid(s.output[-1].bias[1]).item() for s in samplers]
    assert ratios == pytest.approx([0.3, 0.9, 0.2, 0.8])
    with torch.no_grad():
        for number in range(2):
            aligned = align(model, number=number)
            expected = ratio_loss([aligned.text.kept], aligned.text.valid, (0.3, 0.9)[number])
            expected = expected + ratio_loss([aligned.visual.kept], aligned.visual.valid, (0.2, 0.8)[number])
            torch.testing.assert_close(aligned.terms["ratio"], expected)


def test_ratio_term_sees_what_is_drawn_and_what_is_likeliest() -> None:
    model = make_model(train=True)
    torch.manual_seed(0)
    aligned = align(model)
    assert model.visual is not None
    expected = torch.zeros(())
    for sampled in (aligned.text, aligned.visual):
        assert not torch.equal(sampled.kept, sampled.likeliest)
        expected = expected + ratio_loss([sampled.kept, sampled.likeliest], sampled.valid, 0.6)
    torch.testing.assert_close(aligned.terms["ratio"], expected)
    aligned.terms["ratio"].backward()
    for sampler in (text_samplers(model)[0], model.visual.samplers[0]):
        assert all(has_gradient(p.grad) for p in sampler.parameters())


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("projections", [True, False])
def test_each_layer_has_ways_of_its_own_between_the_spaces(vision: str, projections: bool) -> None:
    """Without projections only where the widths differ, and then nothing but affine."""
    model = make_model(vision=vision, projections=projections)
    width = VISION[vision].hidden_size
    text, visual = torch.randn(1, 3, 16), torch.randn(1, 5, width)
    made = []
    for layer in bga_layers(model):
        assert layer.to_vision(text).shape == (1, 3, width)
        made.append(layer.to_text(visual))
        assert made[-1].shape == (1, 5, 16)
    ways = {name for name in model.state_dict() if "to_" in name}
    if not projections and width == 16:
        assert ways == set()
        assert torch.equal(made[0], visual)
        return
    parts = ("to_vision", "to_text.0", "to_text.1") if projections else ("to_vision", "to_text")
    assert ways == {f"layers.{n}.{part}.{kind}" for n in (0, 1) for part in parts for kind in ("weight", "bias")}
    assert not torch.allclose(*made)
    if projections:  # at the scale of what the pretrained layer is used to
        torch.testing.assert_close(made[0].std(-1, unbiased=False), torch.ones(1, 5), atol=1e-3, rtol=0)


def test_config_makes_the_layer() -> None:
    config = make_config(gumbel_temperature=0.5, sampler_width=7)
    layer = BGALayer(config, 1, width=16, vision_width=12, heads=HEADS)
    assert layer.sampler is not None
    assert layer.sampler.temperature == 0.5
    assert layer.sampler.local_mlp[0].out_features == 7
