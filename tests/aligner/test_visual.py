from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.visual import VisualBatch, VisualBranch, VisualStates, count_tokens
from spacy_bga.aligner.windows import TextBatch
from spacy_bga.errors import BGAError
from tests.aligner.tiny import (
    VISION,
    has_gradient,
    make_allowed,
    make_config,
    make_images,
    make_model,
    make_pixels,
    make_text,
)


def branch_of(**settings: Any) -> VisualBranch:
    branch = make_model(**settings).visual
    assert branch is not None
    return branch


def pool(hidden: Tensor, grid: int | None) -> Tensor:
    """[CLS] and the 4 x 4 patches averaged over a coarser grid: (K, 17, d) -> (K, 1 + grid * grid, d)."""
    if grid is None:
        return hidden
    rows = []
    for row in range(grid):
        for column in range(grid):
            side = 4 // grid
            places = [1 + 4 * (row * side + i) + column * side + j for i in range(side) for j in range(side)]
            rows.append(hidden[:, places].mean(1))
    return torch.stack([hidden[:, 0], *rows], dim=1)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("grid", "crop_grid"), [(2, 0), (4, 1), (None, None), (1, 2), (0, 2)])
def test_frozen_features_are_the_encoders_own(vision: str, grid: int | None, crop_grid: int | None) -> None:
    """What enters the encoder's BGA layers, by transformers' own forward pass."""
    branch = branch_of(vision=vision, vision_layers=(0, 2), visual_grid=grid, crop_grid=crop_grid)
    pixels = make_pixels(3)
    with torch.no_grad():
        states = branch.encoder.model(pixels, output_hidden_states=True).hidden_states
    for crop, wanted in ((False, grid), (True, crop_grid)):
        features = branch.frozen_features(pixels, crop=crop)
        expected = torch.stack([pool(states[index], wanted) for index in (0, 2)], dim=1)
        torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
        assert features.shape[2] == (branch.n_crop_tokens if crop else branch.n_image_tokens)
        assert not features.requires_grad


def test_too_many_visual_tokens() -> None:
    assert branch_of(max_crops=1, crop_grid=63).n_tokens == 1 + 2**2 + 1 + 63**2
    with pytest.raises(BGAError, match=r"\[B128\].* 7,945 visual tokens, .*`max_crops`"):
        branch_of(max_crops=2, crop_grid=63)


def test_frozen_features_do_not_change_in_training() -> None:
    model = make_model(vision="vit")
    assert model.visual is not None
    pixels = make_pixels(2)
    before = model.visual.frozen_features(pixels)
    model.train()
    assert torch.equal(model.visual.frozen_features(pixels), before)


@pytest.mark.parametrize(("grid", "crop_grid", "expected"), [(2, 0, (5, 1)), (None, 3, (17, 10)), (0, None, (1, 17))])
def test_count_tokens(grid: int | None, crop_grid: int | None, expected: tuple[int, int]) -> None:
    assert count_tokens(make_config(visual_grid=grid, crop_grid=crop_grid), 16) == expected


@pytest.mark.parametrize("train_vision", [False, True])
def test_only_a_training_encoder_learns(train_vision: bool) -> None:
    model = make_model(train_vision=train_vision, train=True)
    text = make_text()
    model(text, allowed=make_allowed(model, text), images=make_images(model))["total"].backward()
    assert model.visual is not None
    moved = {name for name, p in model.visual.encoder.named_parameters() if has_gradient(p.grad)}
    assert all(p.requires_grad == train_vision for p in model.visual.encoder.parameters())
    if not train_vision:
        assert not moved
        return
    # The last BGA layer's output would reach no loss: neither its vision layer nor the final norm learns.
    last = {name for name in dict(model.visual.encoder.named_parameters()) if ".layer.2." in name}
    behind = {name for name, _ in model.visual.encoder.named_parameters() if "model.layernorm" in name}
    unused = {"model.embeddings.mask_token"}
    assert last
    assert behind
    assert moved == set(dict(model.visual.encoder.named_parameters())) - last - behind - unused


@pytest.mark.parametrize("vision", VISION)
def test_visual_extractor_attends_to_generated_text(vision: str) -> None:
    """Q = V; K, V = [Tp ; V]: each image and crop, one by one, without padding."""
    model = make_model(vision=vision, train_vision=True, max_crops=1, crop_grid=1)
    branch = model.visual
    assert branch is not None
    images = make_images(model, (0, 1), crops=(1, 0))  # pixels: image and crop of one example, image of another
    assert images.pixels is not None
    generated, lengths = torch.randn(2, 6, branch.encoder.width), (6, 4)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        states = VisualStates(branch, images)
        states.enter(0)
        states.leave(0, generated, mask)
        tokens, valid = states.enter(1)
        hidden = []
        for number, example in enumerate((0, 0, 1)):
            own = branch.encoder.layer(0, branch.encoder.embed(images.pixels[number : number + 1]))
            context = generated[example : example + 1, : lengths[example]]
            with_text = branch.encoder.layer(1, own, context=context)
            assert not torch.allclose(with_text, branch.encoder.layer(1, own))
            hidden.append(with_text)
    for example, image in ((0, 0), (1, 2)):
        torch.testing.assert_close(tokens[example, :5], pool(hidden[image], 2)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens[0, 5:], pool(hidden[1], 1)[0], atol=1e-5, rtol=1e-5)
    assert valid.tolist() == [[True] * 7, [True] * 5 + [False] * 2]
    assert not tokens[1, 5:].any()


@pytest.mark.parametrize("projections", [True, False])
def test_generated_text_reaches_the_vision_layer_of_a_model(projections: bool) -> None:
    """The whole way: the mask of what Tp stands for is the text's own, and the width is the vision encoder's."""
    model = make_model(train_vision=True, projections=projections)
    branch = model.visual
    assert branch is not None
    seen: list[tuple[Tensor, Tensor]] = []
    own = branch.encoder.layer

    def note(index: int, hidden: Tensor, **context: Any) -> Tensor:
        if context:
            seen.append((context["context"], context["context_mask"]))
        return own(index, hidden, **context)

    branch.encoder.layer = note  # type: ignore[method-assign, assignment]
    text = make_text((5, 2, 4))
    with torch.no_grad():
        first = model.encode(text, images=make_images(model, (2, 1))).stages[0].visual
        assert len(seen) == 1  # the last BGA layer needs none
        assert first is not None
        layer: Any = model.layers[0]
        pseudo_text = branch.generate_text(0, layer.to_text(first.tokens), first.kept, n_tokens=7)
        context, mask = seen[0]
        assert context.shape == (2, 7, 12)
        torch.testing.assert_close(context, layer.to_vision(pseudo_text))
    assert torch.equal(mask, text.mask[[2, 1]])


@pytest.mark.parametrize("vision", ["dinov2", "clip"])
def test_pixels_and_features_enter_alike(vision: str) -> None:
    model = make_model(vision=vision, max_crops=2, crop_grid=1)
    branch = model.visual
    assert branch is not None
    cached, fresh = (make_images(model, (0, 2), crops=(0, 2), as_pixels=p) for p in (False, True))
    with torch.no_grad():
        one, two = VisualStates(branch, cached).enter(0), VisualStates(branch, fresh).enter(0)
    torch.testing.assert_close(one[0], two[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(one[1], two[1])
    assert one[1].tolist() == [[True] * 5 + [False] * 4, [True] * 9]


def test_absent_crops_change_nothing() -> None:
    """Room for crops that no example has is as good as none."""
    with_room, without = make_model(max_crops=2, crop_grid=1), make_model()
    assert with_room.visual is not None
    state, wider = without.state_dict(), with_room.state_dict()
    for name in ("generators.0.queries", "visual.standardizer.mean"):
        wider[name][..., :5, :] = state.pop(name)
        state[name] = wider[name]
    with_room.load_state_dict(state)
    images, more = make_images(without), make_images(with_room)
    assert more.features is not None
    assert more.features.shape[2] == 9
    with torch.no_grad():
        tokens, valid = VisualStates(with_room.visual, more).enter(0)
        kept, likeliest = with_room.visual.sample(0, tokens, valid, valid.float())
        assert without.visual is not None
        fewer, there = VisualStates(without.visual, images).enter(0)
        expected, _ = without.visual.sample(0, fewer, there, there.float())
        assert torch.equal(kept[:, :5], expected)
        assert not kept[:, 5:].any()
        assert torch.equal(likeliest, kept)
        to_text: Any = without.layers[0].to_text
        actual = with_room.visual.generate_text(0, to_text(tokens), kept, n_tokens=6)
        wanted = without.visual.generate_text(0, to_text(fewer), expected, n_tokens=6)
    torch.testing.assert_close(actual, wanted)


def test_crops_take_part() -> None:
    """A crop's pixels change the loss, and one beyond `max_crops` does not."""
    model = make_model(max_crops=1, crop_grid=1)
    text = make_text()
    images = make_images(model, crops=(1, 2), as_pixels=True)
    assert images.pixels is not None
    assert images.slots is not None

    def loss(slot: int | None) -> float:
        pixels = images.pixels.clone()  # type: ignore[union-attr]
        if slot is not None:
            pixels[images.slots == slot] *= -1
        batch = VisualBatch(images.rows, pixels=pixels, examples=images.examples, slots=images.slots)
        with torch.no_grad():
            return model.encode(text, images=batch).terms["recon"].item()

    assert loss(0) != loss(None)
    assert loss(1) != loss(None)
    assert loss(2) == pytest.approx(loss(None), rel=1e-5)


@pytest.mark.parametrize(("shared", "number"), [(True, 1), (False, 2)])
def test_generators_of_text(shared: bool, number: int) -> None:
    branch = branch_of(shared_generators=shared)
    assert len(branch.generators) == number
    kept = torch.ones(1, 5)
    with torch.no_grad():
        made = [branch.generate_text(layer, torch.ones(1, 5, 16), kept, n_tokens=3) for layer in range(2)]
    assert torch.equal(*made) == shared
    assert branch.generators[0].queries.shape == (16, 16)  # one query per position of a window


def test_batch_moves() -> None:
    batch = make_images(make_model(), as_pixels=True).to(torch.device("meta"))
    assert batch.features is None
    assert batch.pixels is not None
    assert batch.pixels.device.type == "meta"
    assert batch.rows.device.type == "meta"


@st.composite
def windows_with_images(draw: st.DrawFn) -> tuple[TextBatch, list[int], list[int]]:
    """Documents of some windows each, whose tokens have one wordpiece or none, and which windows have an image.

    RETURNS (tuple[TextBatch, list[int], list[int]]): The batch, each token's window or -1, and the images' windows.
    """
    n_windows = draw(st.lists(st.integers(0, 2), min_size=1, max_size=4))
    lengths, of_token, places, tokens = [], [], [], []
    for document, number in enumerate(n_windows):
        start = sum(n_windows[:document])
        rows = sorted(draw(st.lists(st.integers(start, start + number - 1), max_size=5))) if number else []
        bare = draw(st.integers(0, 2))
        places += [row * 9 + i for i, row in enumerate(rows)]
        tokens += [len(of_token) + i for i in range(len(rows))]
        of_token += [*rows, *[-1] * bare]
        lengths.append(len(rows) + bare)
    shape = (sum(n_windows), 9)
    text = TextBatch(
        torch.zeros(shape, dtype=torch.long),
        torch.ones(shape, dtype=torch.bool),
        torch.tensor(places, dtype=torch.long),
        torch.tensor(tokens, dtype=torch.long),
        tuple(lengths),
    )
    rows = draw(st.lists(st.integers(0, shape[0] - 1), unique=True)) if shape[0] else []
    return text, of_token, rows


@given(windows_with_images())
def test_owners_of_tokens(drawn: tuple[TextBatch, list[int], list[int]]) -> None:
    """A token goes with the image of its own window, by its place among the images, in any order of these."""
    text, of_token, rows = drawn
    owners = VisualBatch(torch.tensor(rows, dtype=torch.long)).owners(text)
    assert owners.tolist() == [rows.index(window) if window in rows else -1 for window in of_token]


@pytest.mark.parametrize(("grid", "crop_grid"), [(2, 0), (1, 1), (None, 2)])
def test_which_visual_tokens_are_patches(grid: int | None, crop_grid: int | None) -> None:
    """All but the [CLS] of the image and of each crop."""
    branch = branch_of(max_crops=2, visual_grid=grid, crop_grid=crop_grid)
    image, crop = 16 if grid is None else grid * grid, (crop_grid or 0) ** 2
    expected = ["cls", *["patch"] * image, *["cls", *["patch"] * crop] * 2]
    assert branch.n_tokens == len(expected)
    assert branch.patches == [place for place, kind in enumerate(expected) if kind == "patch"]
