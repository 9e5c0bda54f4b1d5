from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.bootstrap import (
    EntityCounts,
    draw_weights,
    f1,
    paired_bootstrap,
    precision_recall_f1,
    resample_totals,
    seed_interval,
)

DOCUMENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8)


def make_runs(
    rng: np.random.Generator, gold: np.ndarray, *, skill: float, seeds: int, spread: float = 0.0
) -> list[EntityCounts]:
    """A system's runs: with `spread`, some seeds find more of the entities than others."""
    runs = []
    for _ in range(seeds):
        found = rng.binomial(gold, np.clip(rng.normal(skill, spread), 0, 1))
        runs.append(np.stack([found, found + rng.poisson(0.2, len(gold)), gold], axis=1))
    return runs


@pytest.fixture
def gold() -> np.ndarray:
    return np.random.default_rng(0).poisson(2, size=80)


@given(DOCUMENTS)
def test_f1_is_that_of_precision_and_recall(documents: list[tuple[int, int, int]]) -> None:
    """The oracle: entities as sets, with the counts of their documents."""
    predicted, gold = set(), set()
    for number, (hits, spurious, missed) in enumerate(documents):
        predicted |= {(number, "hit", i) for i in range(hits)} | {(number, "spurious", i) for i in range(spurious)}
        gold |= {(number, "hit", i) for i in range(hits)} | {(number, "missed", i) for i in range(missed)}
    both = len(predicted & gold)
    p, r = both / max(len(predicted), 1), both / max(len(gold), 1)
    expected = 200 * p * r / (p + r) if both else 0
    assert f1(np.array([(h, h + s, h + m) for h, s, m in documents])) == pytest.approx(expected)


def test_identical_systems_do_not_differ(gold: np.ndarray) -> None:
    runs = make_runs(np.random.default_rng(1), gold, skill=0.8, seeds=3)
    assert paired_bootstrap(runs, runs, resamples=200) == (0, 0, 0)


def test_mean_is_that_of_the_seeds(gold: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    first, second = (make_runs(rng, gold, skill=skill, seeds=4) for skill in (0.9, 0.7))
    found = paired_bootstrap(first, second, resamples=500)
    assert found.mean == pytest.approx(np.mean([f1(one) - f1(other) for one, other in zip(first, second, strict=True)]))
    assert 0 < found.low < found.mean < found.high


def test_swapping_the_systems_swaps_the_sign(gold: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    first, second = (make_runs(rng, gold, skill=0.8, seeds=3, spread=0.05) for _ in range(2))
    one, other = paired_bootstrap(first, second, resamples=300), paired_bootstrap(second, first, resamples=300)
    assert one == pytest.approx((-other.mean, -other.high, -other.low))


def test_resamples_are_those_of_a_plain_loop(gold: np.ndarray) -> None:
    """The same drawing, one resample at a time, over rows that are repeated and not weighted."""
    rng = np.random.default_rng(4)
    first, second = (make_runs(rng, gold, skill=0.8, seeds=3, spread=0.1) for _ in range(2))
    documents = np.concatenate([*draw_weights(len(gold), 50, seed=[7, 0])]).astype(int)
    seeds = np.concatenate([*draw_weights(3, 50, seed=[7, 1])]).astype(int)
    differences = []
    for rows, runs in zip(documents, seeds, strict=True):
        drawn = np.repeat(np.arange(len(gold)), rows)
        pairs = [(first[run], second[run]) for run in np.repeat(np.arange(3), runs)]
        differences.append(np.mean([f1(one[drawn]) - f1(other[drawn]) for one, other in pairs]))
    found = paired_bootstrap(first, second, resamples=50, seed=7)
    assert found[1:] == pytest.approx(np.percentile(differences, [2.5, 97.5]))


def test_seeds_are_resampled_in_pairs() -> None:
    """On documents that are all alike only the seeds vary; of two, each is drawn alone a quarter of the time."""
    first = [np.array([[hits, 4, 4]] * 5) for hits in (3, 2)]
    second = [np.array([[hits, 4, 4]] * 5) for hits in (2, 0)]
    assert paired_bootstrap(first, second, resamples=200) == pytest.approx((37.5, 25, 50))


def test_one_seed_leaves_the_documents(gold: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    first, second = (make_runs(rng, gold, skill=skill, seeds=1) for skill in (0.9, 0.6))
    one = paired_bootstrap(first, second, resamples=500)
    assert one.low < one.mean < one.high
    # A second seed that is the same adds nothing.
    assert paired_bootstrap(first * 2, second * 2, resamples=500) == pytest.approx(one)


def test_seeds_that_vary_widen_the_interval(gold: np.ndarray) -> None:
    rng = np.random.default_rng(6)
    widths = []
    for spread in (0.0, 0.15):
        first, second = (make_runs(rng, gold, skill=0.7, seeds=6, spread=spread) for _ in range(2))
        found = paired_bootstrap(first, second, resamples=500)
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]


def test_interval_covers_the_truth() -> None:
    """Two systems that are equally good, on new documents and with new seeds each time: 0 is rarely left out."""
    rng = np.random.default_rng(7)
    trials, covered = 100, 0
    for _ in range(trials):
        gold = rng.poisson(2, size=60)
        first, second = (make_runs(rng, gold, skill=0.75, seeds=8, spread=0.05) for _ in range(2))
        found = paired_bootstrap(first, second, resamples=300)
        covered += found.low <= 0 <= found.high
    assert 0.87 * trials <= covered < trials


def test_seed_fixes_the_interval(gold: np.ndarray) -> None:
    rng = np.random.default_rng(8)
    first, second = (make_runs(rng, gold, skill=0.8, seeds=2) for _ in range(2))
    assert paired_bootstrap(first, second, resamples=99, seed=1) == paired_bootstrap(
        first, second, resamples=99, seed=1
    )
    assert paired_bootstrap(first, second, resamples=99, seed=1) != paired_bootstrap(
        first, second, resamples=99, seed=2
    )


def test_chunks_draw_n_of_n() -> None:
    chunks = [*draw_weights(7, 25, chunk=10)]
    assert [chunk.shape for chunk in chunks] == [(10, 7), (10, 7), (5, 7)]
    weights = np.concatenate(chunks)
    assert (weights.sum(axis=1) == 7).all()
    assert np.concatenate([*draw_weights(7, 2000)]).mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)


def test_runs_must_pair_up(gold: np.ndarray) -> None:
    one, other = make_runs(np.random.default_rng(9), gold, skill=0.8, seeds=2)
    for first, second in (([one, other], [one]), ([], [])):
        with pytest.raises(BGAError, match=r"B520.*runs"):
            paired_bootstrap(first, second)
    for different in (other[1:], other + np.array([0, 0, 1])):
        with pytest.raises(BGAError, match=r"B520.*differ"):
            paired_bootstrap([one], [different])


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (np.zeros((4, 2), int), "shape"),
        (np.zeros((0, 3), int), "shape"),
        (np.zeros((4, 3)), "float64"),
        (np.array([[3, 2, 4]]), "fewer entities"),
        (np.array([[-1, 2, 4]]), "less than 0"),
    ],
)
def test_counts_must_be_counts(counts: np.ndarray, reason: str) -> None:
    with pytest.raises(BGAError, match=rf"B520.*{reason}"):
        f1(counts)


def test_seed_interval_is_students() -> None:
    assert seed_interval([]) is None
    assert seed_interval([1.5]) is None
    assert seed_interval([1.0, 1.0, 1.0]) == (1, 1, 1)
    # Two values a and b: the mean +- 12.7062 * |a - b| / 2.
    assert seed_interval([0.0, 2.0]) == pytest.approx((1, 1 - 12.7062, 1 + 12.7062))


@pytest.mark.parametrize(("n", "t"), [(5, 2.7764), (10, 2.2622), (12, 2.2010), (31, 2.0423), (121, 1.9799)])
def test_seed_interval_has_the_quantiles_of_the_tables(n: int, t: float) -> None:
    differences = np.random.default_rng(0).normal(size=n).tolist()
    found = seed_interval(differences)
    assert found is not None
    half = t * np.std(differences, ddof=1) / n**0.5
    assert found == pytest.approx((np.mean(differences), found.mean - half, found.mean + half), abs=1e-4)


def test_resampled_totals_draw_the_documents_of_the_paired_bootstrap(gold: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    (first,), (second,) = (make_runs(rng, gold, skill=skill, seeds=1) for skill in (0.8, 0.75))
    totals = resample_totals(np.concatenate([first, second], axis=1), resamples=500, seed=7)
    assert totals.shape == (500, 6)
    assert set(np.unique(totals[:, 2] - totals[:, 5])) == {0}
    apart = precision_recall_f1(totals[:, :3])[:, 2] - precision_recall_f1(totals[:, 3:])[:, 2]
    expected = paired_bootstrap([first], [second], resamples=500, seed=7)
    assert np.percentile(apart, (2.5, 97.5)) == pytest.approx((expected.low, expected.high))


def test_precision_and_recall() -> None:
    counts = np.array([[1, 2, 4], [0, 0, 3], [0, 3, 0], [0, 0, 0]])
    assert precision_recall_f1(counts).tolist() == [[50, 25, pytest.approx(200 / 6)], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
