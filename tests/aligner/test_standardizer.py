from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from spacy_bga.aligner.standardizer import SHRINKAGE, Standardizer
from spacy_bga.aligner.visual import VisualBatch, VisualBranch, VisualStates
from tests.aligner.tiny import make_images, make_model, standardized_by_hand

CLS = [0, 5, 7]  # of an image of five tokens and two crops of two


def make_standardizer(*, whiten: bool = True) -> Standardizer:
    return Standardizer(CLS, n_layers=2, n_tokens=9, width=6, whiten=whiten)


def draw_batches(*sizes: int, seed: int = 0) -> list[VisualBatch]:
    """Correlated features far from standard, of images of which about half have a first crop, and none a second one."""
    random = np.random.default_rng(seed)
    shift = random.normal(0, 5, (2, 1, 9, 6))
    mix = random.normal(0, 1, (2, 9, 6, 6)) + 3
    batches = []
    for size in sizes:
        features = shift + np.einsum("nimd,nmde->nime", random.normal(0, 1, (2, size, 9, 6)), mix)
        valid = np.ones((size, 9), dtype=bool)
        valid[:, 5:7] = random.random((size, 1)) < 0.5
        valid[:, 7:] = False
        features = (features * valid[None, :, :, None]).astype(np.float32)
        batches.append(VisualBatch(torch.arange(size), torch.from_numpy(features), torch.from_numpy(valid)))
    return batches


def joined(batches: list[VisualBatch]) -> tuple[np.ndarray, np.ndarray]:
    """RETURNS (tuple[np.ndarray, np.ndarray]): (N, I, m, d_v) features of all images, and which of them are there."""
    features = [batch.features.double().numpy() for batch in batches if batch.features is not None]
    return np.concatenate(features, 1), np.concatenate([b.valid.numpy() for b in batches if b.valid is not None])


def standardized(standardizer: Standardizer, batches: list[VisualBatch]) -> np.ndarray:
    """RETURNS (np.ndarray): (N, I, m, d_v)."""
    parts = []
    for batch in batches:
        assert batch.features is not None
        assert batch.valid is not None
        layers = [standardizer(layer, features, batch.valid) for layer, features in enumerate(batch.features)]
        parts.append(torch.stack(layers).numpy())
    return np.concatenate(parts, 1)


def by_kind(tokens: np.ndarray, valid: np.ndarray) -> Iterator[np.ndarray]:
    """YIELDS (np.ndarray): (tokens, d) of the [CLS] tokens of each layer, then of its patches."""
    for layer in tokens:
        for places in (CLS, [i for i in range(9) if i not in CLS]):
            yield layer[:, places][valid[:, places]]


@pytest.mark.parametrize("sizes", [(12,), (5, 1, 6), (1,) * 12])
def test_fit_equals_numpy(sizes: tuple[int, ...]) -> None:
    """Means by position, deviations by kind, of what is there; however the images come."""
    standardizer, batches = make_standardizer(), draw_batches(*sizes)
    standardizer.fit(iter(batches))
    features, valid = joined(batches)
    assert 1 < valid[:, 5].sum() < len(valid)
    centred = features.copy()
    for position in range(9):
        there = features[:, valid[:, position], position]
        mean = there.mean(1) if there.size else np.zeros((2, 6))
        np.testing.assert_allclose(standardizer.mean[:, position], mean, rtol=1e-5, atol=1e-5)
        centred[:, :, position] -= mean[:, None]
    for rows, std in zip(by_kind(centred, valid), standardizer.std.flatten(0, 1), strict=True):
        np.testing.assert_allclose(std, rows.std(0), rtol=1e-5)


@pytest.mark.parametrize("whiten", [False, True])
def test_what_was_fitted_has_mean_zero_and_deviation_one(whiten: bool) -> None:
    """Whitened, its covariance is what is left by the shrinkage: eigenvalues e become e / ((1 - s) e + s)."""
    standardizer, batches = make_standardizer(whiten=whiten), draw_batches(30, 20)
    standardizer.fit(batches)
    tokens, valid = standardized(standardizer, batches), joined(batches)[1]
    assert (tokens[:, ~valid] == 0).all()
    for position in range(7):  # of the second crop there is none
        np.testing.assert_allclose(tokens[:, valid[:, position], position].mean(1), 0, atol=1e-5)
    plain = make_standardizer(whiten=False)
    plain.fit(batches)
    for rows, scaled in zip(by_kind(tokens, valid), by_kind(standardized(plain, batches), valid), strict=True):
        np.testing.assert_allclose(scaled.std(0), 1, atol=1e-5)
        values = np.linalg.eigvalsh(np.corrcoef(scaled.T))
        assert values.max() > 2  # correlated
        assert values.min() > 0
        expected = values / ((1 - SHRINKAGE) * values + SHRINKAGE) if whiten else values
        np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(rows.T, bias=True)), np.sort(expected), atol=1e-4)


def test_whitening_is_the_nearest_decorrelation() -> None:
    """Symmetric and positive, as ZCA is alone of all decorrelations; its inverse square is the shrunk correlation."""
    standardizer, batches = make_standardizer(), draw_batches(40)
    standardizer.fit(batches)
    plain = make_standardizer(whiten=False)
    plain.fit(batches)
    rows = by_kind(standardized(plain, batches), joined(batches)[1])
    assert standardizer.whitening is not None
    for matrix, scaled in zip(standardizer.whitening.flatten(0, 1).double().numpy(), rows, strict=True):
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
        assert np.linalg.eigvalsh(matrix).min() > 0
        shrunk = (1 - SHRINKAGE) * np.corrcoef(scaled.T) + SHRINKAGE * np.eye(6)
        np.testing.assert_allclose(np.linalg.inv(matrix @ matrix), shrunk, atol=1e-4)


@pytest.mark.parametrize("whiten", [False, True])
def test_fit_again_forgets(whiten: bool) -> None:
    standardizer, expected = make_standardizer(whiten=whiten), make_standardizer(whiten=whiten)
    standardizer.fit(draw_batches(6, seed=1))
    standardizer.fit(draw_batches(6))
    expected.fit(draw_batches(6))
    for name, tensor in expected.state_dict().items():
        assert torch.equal(standardizer.state_dict()[name], tensor), name


@pytest.mark.parametrize("whiten", [False, True])
def test_a_constant_channel_becomes_zero(whiten: bool) -> None:
    """And a little noise of it stays small."""
    standardizer, batches = make_standardizer(whiten=whiten), draw_batches(8)
    for batch in batches:
        assert batch.features is not None
        batch.features[..., 3] = 20.0
    standardizer.fit(batches)
    tokens = standardized(standardizer, batches)
    assert np.isfinite(tokens).all()
    assert np.abs(tokens[:, :, :5, 3]).max() < 0.01
    assert np.abs(tokens[:, :, :5, 2]).max() > 0.5
    assert batches[0].features is not None
    batches[0].features.add_(1e-4)
    assert np.abs(standardized(standardizer, batches)[:, :, :5, 3]).max() < 0.2


def test_colouring_undoes_whitening() -> None:
    batches = draw_batches(6)
    white, plain = (make_standardizer(whiten=whiten) for whiten in (True, False))
    for standardizer in (white, plain):
        standardizer.fit(batches)
    assert plain.colouring is None
    assert white.colouring is not None
    patches = white.kinds == 1
    last = len(white.mean) - 1
    assert batches[0].features is not None
    assert batches[0].valid is not None
    found, expected = (s(last, batches[0].features[last], batches[0].valid)[:, patches] for s in (white, plain))
    torch.testing.assert_close(found @ white.colouring, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("sizes", [(), (1,)])
@pytest.mark.parametrize("whiten", [False, True])
def test_features_of_too_few_images_stay_as_they_are(sizes: tuple[int, ...], whiten: bool) -> None:
    """A single image says nothing about how images differ."""
    standardizer = make_standardizer(whiten=whiten)
    standardizer.fit(draw_batches(*sizes))
    batches = draw_batches(1)
    np.testing.assert_array_equal(standardized(standardizer, batches), joined(batches)[0].astype(np.float32))


def branch_of(standardize: bool) -> VisualBranch:
    branch = make_model(standardize=standardize).visual
    assert branch is not None
    return branch


def test_a_branch_standardises_what_enters_a_layer() -> None:
    branch, images = branch_of(standardize=True), make_images(make_model())
    assert images.features is not None
    branch.fit([images])
    for layer, features in enumerate(images.features):
        expected = standardized_by_hand(branch, layer, features)
        torch.testing.assert_close(VisualStates(branch, images).enter(layer)[0], expected)


def test_crops_are_of_the_right_kind() -> None:
    branch = make_model(max_crops=2, crop_grid=1).visual
    assert branch is not None
    assert branch.standardizer is not None
    assert branch.standardizer.kinds.tolist() == [0, 1, 1, 1, 1, 0, 1, 0, 1]
    branch = make_model(max_crops=2, crop_grid=0).visual
    assert branch is not None
    assert branch.standardizer is not None
    assert branch.standardizer.kinds.tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_without_standardising_nothing_is_fitted() -> None:
    branch = branch_of(standardize=False)
    assert not any("standardizer" in name for name, _ in branch.named_buffers())

    def unread() -> Iterator[VisualBatch]:
        raise AssertionError("read")
        yield

    branch.fit(unread())
    images = make_images(make_model(standardize=False))
    assert images.features is not None
    assert torch.equal(VisualStates(branch, images).enter(0)[0], images.features[0])


@pytest.mark.parametrize("whiten", [False, True])
def test_what_standardises_learns_nothing_from_the_loss(whiten: bool) -> None:
    model = make_model(train=True, whiten=whiten)
    assert model.visual is not None
    names = {name for name in model.state_dict() if name.startswith("visual.standardizer.")}
    assert len(names) == 2 + whiten
    assert not names & {name for name, _ in model.named_parameters()}
    shapes: list[Tensor] = [model.state_dict()[name] for name in sorted(names)]
    assert [tuple(t.shape) for t in shapes] == [(2, 5, 12), (2, 2, 12), (2, 2, 12, 12)][: len(names)]
