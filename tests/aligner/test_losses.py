from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.losses import contrast, distance, match, summarize
from spacy_bga.errors import BGAError

KINDS = ["kl", "mse", "cosine"]


def draw(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def reference(generated: np.ndarray, target: np.ndarray, *, kind: str, temperature: float) -> float:
    """The distance of two feature vectors, in plain NumPy."""
    if kind == "kl":

        def softmax(x: np.ndarray) -> np.ndarray:
            powers = np.exp((x - x.max()) / temperature)
            return powers / powers.sum()

        p, q = softmax(target), softmax(generated)
        return temperature**2 * float((p * np.log(p / q)).sum())
    if kind == "mse":

        def norm(x: np.ndarray) -> np.ndarray:
            return (x - x.mean()) / np.sqrt(x.var() + 1e-5)

        return float(((norm(generated) - norm(target)) ** 2).mean())
    return 1 - float(generated @ target / np.linalg.norm(generated) / np.linalg.norm(target))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5)),
    temperature=st.floats(0.5, 9),
    seed=st.integers(0, 999),
)
def test_equals_reference(kind: str, shape: tuple[int, int, int], temperature: float, seed: int) -> None:
    generated, target = draw(shape, seed), 2 * draw(shape, seed + 1000)
    weights = (draw(shape[:2], seed + 2000) > 0).double()
    actual = distance(generated, target, weights, kind=kind, temperature=temperature)
    expected = []
    for row in range(shape[0]):  # the mean of each example's kept positions, then that of examples
        kept = [i for i in range(shape[1]) if weights[row, i]]
        values = [
            reference(generated[row, i].numpy(), target[row, i].numpy(), kind=kind, temperature=temperature)
            for i in kept
        ]
        expected.append(sum(values) / max(len(kept), 1))
    assert actual.item() == pytest.approx(np.mean(expected), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_at_equality_alone(kind: str) -> None:
    features = draw((2, 3, 4), 0)
    weights = torch.ones(2, 3)
    assert distance(features, features.clone(), weights, kind=kind).item() == pytest.approx(0, abs=1e-12)
    assert distance(features, draw((2, 3, 4), 1), weights, kind=kind).item() > 1e-3


def test_temperature_of_kl_is_six_by_default() -> None:
    generated, target, weights = draw((1, 2, 4), 0), draw((1, 2, 4), 1), torch.ones(1, 2)
    default = distance(generated, target, weights, kind="kl")
    assert torch.equal(default, distance(generated, target, weights, kind="kl", temperature=6.0))
    assert not torch.allclose(default, distance(generated, target, weights, kind="kl", temperature=1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_pick_positions(kind: str) -> None:
    generated, target = draw((1, 4, 5), 0).requires_grad_(), draw((1, 4, 5), 1)
    weights = torch.tensor([[1.0, 0, 1, 0]])
    loss = distance(generated, target, weights, kind=kind)
    loss.backward()
    assert generated.grad is not None
    assert (generated.grad[0].abs().sum(-1) > 0).tolist() == [True, False, True, False]
    picked = distance(generated[:, [0, 2]], target[:, [0, 2]], torch.ones(1, 2), kind=kind)
    torch.testing.assert_close(loss, picked)


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_into_weights(kind: str) -> None:
    generated = draw((1, 3, 4), 0).requires_grad_()
    weights = torch.ones(1, 3, requires_grad=True)
    distance(generated, draw((1, 3, 4), 1), weights, kind=kind).backward()
    assert weights.grad is None
    assert generated.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_examples_without_positions_and_empty_features_are_finite(kind: str) -> None:
    generated = draw((2, 3, 4), 0).requires_grad_()
    target = torch.zeros(2, 3, 4, dtype=torch.float64)  # what stands where an image or crop is absent
    loss = distance(generated, target, torch.zeros(2, 3), kind=kind)
    loss.backward()
    assert loss.item() == 0
    assert generated.grad is not None
    assert not generated.grad.any()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(kind: str) -> None:
    generated, target = draw((2, 3, 4), 0).requires_grad_(), draw((2, 3, 4), 1).requires_grad_()
    weights = torch.tensor([[1.0, 0, 1], [0, 1, 0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda g, t: distance(g, t, weights, kind=kind), (generated, target))


def test_unknown_kind() -> None:
    with pytest.raises(BGAError, match=r"\[B101\].*'l1'"):
        distance(draw((1, 1, 2), 0), draw((1, 1, 2), 1), torch.ones(1, 1), kind="l1")


# The contrast


def draw_valid(shape: tuple[int, int], seed: int) -> Tensor:
    """Which tokens are there: [CLS], and some of the rest."""
    valid = draw(shape, seed) > 0
    valid[:, 0] = True
    return valid


def summary_by_hand(tokens: Tensor, valid: Tensor) -> np.ndarray:
    """The directions of [CLS] and of the mean of what else is there, of equal weight."""
    array, there = tokens.detach().numpy(), valid.numpy()
    parts = [part[kept].sum(0) for part, kept in ((array[:1], there[:1]), (array[1:], there[1:]))]
    lengths = [np.linalg.norm(part) for part in parts]
    directions = [part / length if length else part for part, length in zip(parts, lengths, strict=True)]
    return np.concatenate(directions) / np.sqrt(np.count_nonzero(lengths))


def contrast_by_hand(generated: Tensor, real: Tensor, valid: Tensor, *, temperature: float) -> float:
    """CLIP's loss in plain NumPy, pair by pair: figure 3 of Radford et al. 2021."""
    texts = [summary_by_hand(*row) for row in zip(generated, valid, strict=True)]
    images = [summary_by_hand(*row) for row in zip(real, valid, strict=True)]
    scores = [[float(text @ image) / temperature for image in images] for text in texts]
    losses = []
    for own in range(len(images)):
        others = [i for i in range(len(images)) if i == own or images[i] @ images[own] < 0.9999]
        losses.append(math.log(sum(math.exp(scores[own][i]) for i in others)) - scores[own][own])  # the text's image
        losses.append(math.log(sum(math.exp(scores[i][own]) for i in others)) - scores[own][own])  # the image's text
    return sum(losses) / len(losses)


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 5)),
    temperature=st.floats(0.05, 2),
    seed=st.integers(0, 999),
    twice=st.booleans(),
)
def test_contrast_by_hand(shape: tuple[int, int, int], temperature: float, seed: int, twice: bool) -> None:
    generated, real, valid = draw(shape, seed), draw(shape, seed + 1000), draw_valid(shape[:2], seed + 2000)
    if twice:
        real[-1], valid[-1] = real[0], valid[0]
    actual = contrast(generated, real, valid, temperature=temperature)
    expected = contrast_by_hand(generated, real, valid, temperature=temperature)
    assert actual.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_contrast_of_features_that_tell_images_apart_is_near_zero() -> None:
    real, valid = draw((6, 3, 8), 0), draw_valid((6, 3), 1)
    assert contrast(real, real, valid, temperature=0.01).item() < 1e-3
    assert contrast(real.roll(1, 0), real, valid.roll(1, 0) & valid, temperature=0.01).item() > 5


@pytest.mark.parametrize("number", [2, 5])
def test_contrast_of_features_that_tell_nothing_is_the_log_of_the_batch(number: int) -> None:
    """Images as different as can be, and generated features that are equally alike to each."""
    real = torch.eye(number, dtype=torch.float64).unsqueeze(1)
    generated, valid = torch.ones(number, 1, number, dtype=torch.float64), torch.ones(number, 1, dtype=torch.bool)
    assert contrast(generated, real, valid, temperature=0.07).item() == pytest.approx(math.log(number))


def test_the_same_image_twice_is_no_negative() -> None:
    generated, real, valid = draw((3, 2, 4), 0), draw((3, 2, 4), 1), torch.ones(3, 2, dtype=torch.bool)
    real[2] = real[0]
    pair = [contrast(generated[rows], real[rows], valid[:2], temperature=0.1).item() for rows in ([0, 2], [0, 1])]
    assert pair[0] == 0
    assert pair[1] > 0
    real.requires_grad_()
    loss = contrast(generated.requires_grad_(), real, valid, temperature=0.1)
    loss.backward()
    assert loss.isfinite()
    assert generated.grad is not None
    assert generated.grad.isfinite().all()
    with torch.no_grad():
        real[2, 0, 0] += 0.5  # nearly the same one is another one
        one, other = summarize(real[[0, 2]], valid[:2])
        assert one @ other > 0.9
        assert contrast(generated[[0, 2]], real[[0, 2]], valid[:2], temperature=0.1).item() > 0.1


def test_contrast_of_a_single_image_is_zero() -> None:
    generated = draw((1, 3, 4), 0).requires_grad_()
    loss = contrast(generated, draw((1, 3, 4), 1), draw_valid((1, 3), 2), temperature=0.07)
    loss.backward()
    assert loss.item() == 0
    assert generated.grad is not None
    assert not generated.grad.any()


def test_contrast_is_symmetric_and_knows_no_order() -> None:
    generated, real, valid = draw((5, 3, 4), 0), draw((5, 3, 4), 1), draw_valid((5, 3), 2)
    expected = contrast(generated, real, valid, temperature=0.2)
    torch.testing.assert_close(contrast(real, generated, valid, temperature=0.2), expected)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(contrast(generated[order], real[order], valid[order], temperature=0.2), expected)
    everywhere = torch.ones_like(valid)
    other_patches = torch.cat([generated[:, :1], generated[:, 1:].flip(1)], dim=1)
    torch.testing.assert_close(
        contrast(other_patches, real, everywhere, temperature=0.2),
        contrast(generated, real, everywhere, temperature=0.2),
    )
    assert not torch.allclose(contrast(generated[order], real, everywhere, temperature=0.2), expected)


def test_contrast_falls_along_its_gradient() -> None:
    generated, real, valid = draw((4, 3, 6), 0).requires_grad_(), draw((4, 3, 6), 1), draw_valid((4, 3), 2)
    before = contrast(generated, real, valid, temperature=0.2)
    (gradient,) = torch.autograd.grad(before, generated)
    after = contrast(generated - 0.1 * gradient, real, valid, temperature=0.2)
    assert after < before
    assert not gradient[~valid].any()


@pytest.mark.parametrize("twice", [False, True])
def test_gradients_of_the_contrast_by_finite_differences(twice: bool) -> None:
    generated, real, valid = draw((4, 3, 5), 0).requires_grad_(), draw((4, 3, 5), 1), draw_valid((4, 3), 2)
    if twice:  # moving one of two equal images leaves them apart only beyond what finite differences move
        real[3], valid[3] = real[0], valid[0]
    real.requires_grad_()
    assert torch.autograd.gradcheck(lambda g, r: contrast(g, r, valid, temperature=0.3), (generated, real))


def test_contrast_of_what_has_no_direction_is_finite() -> None:
    """Standardised features of an image like the mean one, in the type that is trained with."""
    generated, real = torch.zeros(3, 2, 4, requires_grad=True), torch.zeros(3, 2, 4)
    loss = contrast(generated, real, torch.ones(3, 2, dtype=torch.bool), temperature=0.07)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(3))
    assert generated.grad is not None
    assert generated.grad.isfinite().all()


def test_summary_is_of_cls_and_of_the_mean_of_what_is_there() -> None:
    tokens, valid = draw((4, 3, 5), 0), draw_valid((4, 3), 1)
    assert not valid.all()
    actual = summarize(tokens, valid)
    expected = np.stack([summary_by_hand(*row) for row in zip(tokens, valid, strict=True)])
    np.testing.assert_allclose(actual.numpy(), expected)
    torch.testing.assert_close(actual.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    moved = torch.where(valid.unsqueeze(-1), 7 * tokens, tokens - 100)  # neither length nor what is absent counts
    torch.testing.assert_close(summarize(moved, valid), actual)


def test_summary_of_nothing_is_zero() -> None:
    assert not summarize(draw((1, 3, 4), 0), torch.zeros(1, 3, dtype=torch.bool)).any()


def match_by_hand(words: Tensor, owners: Tensor, patches: Tensor, valid: Tensor, temperature: float) -> float:
    """IBM Model 1, patch by patch and word by word, in double precision."""

    def cosine(one: Tensor, other: Tensor) -> float:
        return float(one @ other / one.norm() / other.norm())

    words, patches = words.double(), patches.double()
    everywhere = [patches[i, j] for i, j in valid.nonzero().tolist()]
    values = []
    for image in range(len(patches)):
        own = [word for word, owner in zip(words, owners.tolist(), strict=True) if owner == image]
        shown = [patch for patch, there in zip(patches[image], valid[image], strict=True) if there]
        losses = []
        for patch in shown if own else ():
            # log p(patch | word), as at a low temperature what is no logarithm underflows
            logs = [
                cosine(word, patch) / temperature
                - float(np.logaddexp.reduce([cosine(word, other) / temperature for other in everywhere]))
                for word in own
            ]
            losses.append(math.log(len(own)) - float(np.logaddexp.reduce(logs)))
        values.append(sum(losses) / max(len(losses), 1))
    return sum(values) / len(values)


@settings(max_examples=60)
@given(
    n_words=st.integers(0, 7),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 5)),
    temperature=st.sampled_from([0.005, 0.07, 0.2, 1.0, 30.0]),
    seed=st.integers(0, 999),
)
def test_match_equals_a_loop(n_words: int, shape: tuple[int, int, int], temperature: float, seed: int) -> None:
    """With images of no word or of several, and with patches that aren't there."""
    words = draw((n_words, shape[2]), seed).float().requires_grad_()
    patches, valid = draw(shape, seed + 1000).float(), draw_valid(shape[:2], seed + 2000)
    owners = torch.randint(0, shape[0], (n_words,), generator=torch.Generator().manual_seed(seed))
    loss = match(words, owners, patches, valid, temperature=temperature)
    expected = match_by_hand(words.detach(), owners, patches, valid, temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    loss.backward()
    assert words.grad is not None
    assert words.grad.isfinite().all()


def draw_match(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """RETURNS (tuple[Tensor, Tensor, Tensor, Tensor]): Words, owners, patches and valid: of 4 images, the third has no
    word, and some patches aren't there."""
    owners = torch.tensor([3, 0, 0, 1, 3, 0])
    return draw((6, 5), seed).float(), owners, draw((4, 3, 5), seed + 1).float(), draw_valid((4, 3), seed + 3)


def test_match_by_hand() -> None:
    """Two images of a patch each, one word to each, which is exactly what its patch shows; the patches are opposite."""
    patches = torch.tensor([[[3.0, 0.0]], [[-0.5, 0.0]]])
    loss = match(patches[:, 0] * 7, torch.tensor([0, 1]), patches, torch.ones(2, 1, dtype=torch.bool), temperature=0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-4)


def test_match_knows_no_order() -> None:
    words, owners, patches, valid = draw_match()
    assert not valid.all()
    expected = match(words, owners, patches, valid, temperature=0.2)
    order = torch.tensor([4, 1, 0, 5, 3, 2])
    actual = match(words[order], owners[order], patches, valid, temperature=0.2)
    torch.testing.assert_close(actual, expected)
    turned = torch.tensor([2, 0, 1])
    torch.testing.assert_close(match(words, owners, patches[:, turned], valid[:, turned], temperature=0.2), expected)
    images = torch.tensor([2, 0, 3, 1])  # and the words go with them
    torch.testing.assert_close(
        match(words, images.argsort()[owners], patches[images], valid[images], temperature=0.2), expected
    )
    assert not torch.isclose(match(words, owners.roll(1), patches, valid, temperature=0.2), expected)


def test_match_knows_neither_lengths_nor_what_is_not_there() -> None:
    words, owners, patches, valid = draw_match()
    expected = match(words, owners, patches, valid, temperature=0.2)
    moved = torch.where(valid.unsqueeze(-1), 4 * patches, patches - 9)
    torch.testing.assert_close(match(0.1 * words, owners, moved, valid, temperature=0.2), expected)


def test_match_counts_an_image_without_words_as_nothing() -> None:
    """Its patches are among those that the words of others have to tell apart."""
    words, owners, patches, valid = draw_match()
    third = valid.clone()
    third[2] = False
    assert match(words, owners, patches, third, temperature=0.2) < match(words, owners, patches, valid, temperature=0.2)
    nothing = match(words[:0].requires_grad_(), owners[:0], patches, valid, temperature=0.2)
    nothing.backward()
    assert nothing.item() == 0


def test_match_falls_along_its_gradient() -> None:
    words, owners, patches, valid = draw_match()
    words.requires_grad_()
    before = match(words, owners, patches, valid, temperature=0.2)
    (gradient,) = torch.autograd.grad(before, words)
    assert (gradient.norm(dim=1) > 0).all()
    assert match(words - 0.1 * gradient, owners, patches, valid, temperature=0.2) < before


def test_match_is_exact_in_half_precision() -> None:
    """The cosines of patches that are nearly alike differ by less than bfloat16 can tell."""
    words, owners, patches, valid = draw_match()
    patches = patches[:1, :1] + 0.01 * patches
    expected = match(words, owners, patches, valid, temperature=0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = match(words, owners, patches, valid, temperature=0.02)
    assert torch.equal(actual, expected)
    assert actual.dtype == torch.float32
    halved = match(words.bfloat16(), owners, patches, valid, temperature=0.02)
    torch.testing.assert_close(halved, match(words.bfloat16().float(), owners, patches, valid, temperature=0.02))
