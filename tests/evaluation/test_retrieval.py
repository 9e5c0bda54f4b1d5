from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.retrieval import (
    Retrieval,
    best_scale,
    explained_beyond_mean,
    explained_when_scaled,
    ranks,
    retrieval,
)

# Few different numbers, so that there are many ties.
SIMILARITIES = st.integers(1, 7).flatmap(
    lambda n: st.lists(st.lists(st.integers(-4, 4), min_size=n, max_size=n), min_size=n, max_size=n).map(np.array)
)
MONOTONE: list[Callable[[np.ndarray], np.ndarray]] = [np.exp, np.arctan, lambda x: 3 * x - 7, lambda x: x**3]


def make_features(n: int = 6, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Real features, and the mean image of others."""
    rng = np.random.default_rng(seed)
    mean = 5 + rng.normal(size=(4, 3))
    return mean + rng.normal(size=(n, 4, 3)), mean


def measure(similarity: np.ndarray) -> Retrieval:
    return retrieval(similarity, resamples=20)


def test_perfect_alignment_scores_everything() -> None:
    found = retrieval(np.eye(50))
    assert (found.n, found.r1, found.r5, found.r10, found.median_rank) == (50, 100, 100, 100, 1)
    assert found.r10_ci == (100, 100)


def test_random_similarity_scores_chance() -> None:
    found = retrieval(np.random.default_rng(3).normal(size=(400, 400)))
    low, high = found.r10_ci
    assert found.chance_r10 == 2.5
    assert low <= found.chance_r10 <= high < 6
    assert found.median_rank == pytest.approx(200, abs=25)


@pytest.mark.parametrize("n", [1, 4, 10, 40])
def test_constant_similarity_scores_chance(n: int) -> None:
    found = retrieval(np.full((n, n), 0.3))
    assert found.r1 == pytest.approx(100 / n)
    assert found.r5 == pytest.approx(100 * min(5, n) / n)
    assert found.r10 == pytest.approx(found.chance_r10) == pytest.approx(100 * min(10, n) / n)
    assert found.median_rank == (n + 1) / 2


def test_permutation_is_recovered() -> None:
    """Row i likes column (i + 1) most, then (i + 2), and so on: its own comes last. Shifted back, it comes first."""
    n = 20
    shifted = -((np.arange(n)[None, :] - np.arange(n)[:, None] - 1) % n)
    assert ranks(shifted).tolist() == [n] * n
    assert measure(shifted).r10 == 0
    assert ranks(np.roll(shifted, -1, axis=1)).tolist() == [1] * n

    permutation = np.random.default_rng(0).permutation(n)
    similarity = np.eye(n)[permutation]
    assert measure(similarity[np.argsort(permutation)]) == measure(np.eye(n))
    fixed = permutation == np.arange(n)
    assert (ranks(similarity) == np.where(fixed, 1, 1 + 1 + (n - 2) / 2)).all()


def test_directions_differ_by_transposing() -> None:
    similarity = np.array([[2.0, 3.0], [0.0, 1.0]])
    assert ranks(similarity).tolist() == [2, 1]
    assert ranks(similarity.T).tolist() == [1, 2]


@given(SIMILARITIES)
def test_ties_are_as_if_broken_at_random(similarity: np.ndarray) -> None:
    """The oracle: sort each row; the right answer may be any of the places that its equals hold."""
    places = []
    for row, answer in zip(similarity, np.diagonal(similarity), strict=True):
        ordered = sorted(row, reverse=True)
        places.append([place for place, value in enumerate(ordered, start=1) if value == answer])
    assert ranks(similarity).tolist() == [np.mean(row) for row in places]
    found = measure(similarity)
    for k, score in ((1, found.r1), (5, found.r5), (10, found.r10)):
        assert score == pytest.approx(100 * np.mean([np.mean([place <= k for place in row]) for row in places]))


@given(SIMILARITIES, st.sampled_from(MONOTONE))
def test_only_order_counts(similarity: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]) -> None:
    assert measure(transform(similarity)) == measure(similarity)


@given(SIMILARITIES, st.randoms(use_true_random=False))
def test_order_of_documents_does_not_count(similarity: np.ndarray, random) -> None:
    order = random.sample(range(len(similarity)), len(similarity))
    permuted = similarity[order][:, order]
    assert (ranks(permuted) == ranks(similarity)[order]).all()
    one, other = measure(permuted), measure(similarity)
    assert (one.r1, one.r5, one.r10) == pytest.approx((other.r1, other.r5, other.r10))
    assert one.median_rank == other.median_rank


def test_infinite_similarities_have_an_order() -> None:
    similarity = np.array([[np.inf, 1.0], [np.inf, -np.inf]])
    assert ranks(similarity).tolist() == [1, 2]


@pytest.mark.parametrize("shape", [(2, 3), (4,), (0, 0), (2, 2, 2)])
def test_similarity_is_a_square_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(BGAError, match=r"B518.*shape"):
        retrieval(np.zeros(shape))


def test_nan_has_no_rank() -> None:
    similarity = np.eye(3)
    similarity[0, 2] = np.nan
    with pytest.raises(BGAError, match=r"B518.*NaN"):
        ranks(similarity)


def test_record_is_json() -> None:
    record = retrieval(np.random.default_rng(0).normal(size=(30, 30))).as_record()
    assert list(record) == ["n", "r1", "r5", "r10", "r10_ci", "chance_r10", "median_rank"]
    assert json.loads(json.dumps(record)) == record
    assert type(record["n"]) is int
    assert record["chance_r10"] == 33.33
    assert all(number == round(number, 2) for number in record["r10_ci"])


def test_seed_fixes_the_interval() -> None:
    similarity = np.random.default_rng(0).normal(size=(60, 60))
    assert retrieval(similarity, seed=1) == retrieval(similarity, seed=1)


def test_explained_has_its_fixed_points() -> None:
    real, mean = make_features()
    assert explained_beyond_mean(real, real, mean) == pytest.approx(1)
    assert explained_beyond_mean(np.broadcast_to(mean, real.shape), real, mean) == 0
    assert explained_beyond_mean(2 * mean - real, real, mean) == pytest.approx(-3)


def test_explained_is_what_its_formula_says() -> None:
    real, mean = make_features(seed=1)
    generated = real + np.random.default_rng(2).normal(size=real.shape)
    expected = 1 - ((real - generated) ** 2).sum() / ((real - mean) ** 2).sum()
    assert explained_beyond_mean(generated, real, mean) == pytest.approx(expected)


@pytest.mark.parametrize("contrast", [0.01, 0.5, 1.0, 40.0])
def test_scaled_share_sees_through_a_wrong_contrast(contrast: float) -> None:
    real, mean = make_features()
    flat = mean + contrast * (real - mean)
    assert best_scale(flat, real, mean) == pytest.approx(1 / contrast)
    assert explained_when_scaled(flat, real, mean) == pytest.approx(1)
    assert explained_beyond_mean(flat, real, mean) == pytest.approx(1 - (1 - contrast) ** 2)


def test_best_scale_is_best() -> None:
    real, mean = make_features(seed=3)
    generated = real + 2 * np.random.default_rng(4).normal(size=real.shape)
    scale = best_scale(generated, real, mean)
    best = explained_beyond_mean(mean + scale * (generated - mean), real, mean)
    assert explained_when_scaled(generated, real, mean) == pytest.approx(best)
    for other in (0.9 * scale, 1.1 * scale):
        assert explained_beyond_mean(mean + other * (generated - mean), real, mean) < best


def test_features_that_point_away_explain_nothing() -> None:
    real, mean = make_features()
    for useless in (2 * mean - real, np.broadcast_to(mean, real.shape)):
        assert best_scale(useless, real, mean) == explained_when_scaled(useless, real, mean) == 0


def test_half_precision_is_summed_in_double() -> None:
    real, mean = make_features(n=500)
    half, half_mean = real.astype(np.float16), mean.astype(np.float16)
    noisy = (half + np.float16(0.5)).astype(np.float16)
    expected = explained_beyond_mean(noisy.astype(float), half.astype(float), half_mean.astype(float))
    assert explained_beyond_mean(noisy, half, half_mean) == pytest.approx(expected, abs=1e-12)


def test_explained_needs_what_fits() -> None:
    real, mean = make_features()
    with pytest.raises(BGAError, match=r"B519.*shapes"):
        explained_beyond_mean(real[1:], real, mean)
    with pytest.raises(BGAError, match=r"B519.*shapes"):
        explained_beyond_mean(real, real, mean[0])
    with pytest.raises(BGAError, match=r"B519.*finite"):
        explained_beyond_mean(np.full_like(real, np.nan), real, mean)
    with pytest.raises(BGAError, match=r"B519.*differs"):
        explained_when_scaled(real, np.broadcast_to(mean, real.shape), mean)
