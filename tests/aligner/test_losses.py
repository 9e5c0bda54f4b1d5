from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.losses import distance
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
@settings(max_examples=60, deadline=None)
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
