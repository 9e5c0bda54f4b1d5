from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.bootstrap import precision_recall_f1
from spacy_bga.evaluation.randomisation import randomisation_test

COUNTS = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))


def systems(rows: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Two systems that find some of the gold entities of each document, and others."""
    made = [
        ((min(a, gold), min(a, gold) + s, gold), (min(b, gold), min(b, gold) + t, gold)) for a, s, b, t, gold in rows
    ]
    first, second = zip(*made, strict=True)
    return np.array(first), np.array(second)


@given(st.lists(COUNTS, min_size=1, max_size=7))
def test_agrees_with_all_ways_to_swap(rows: list[tuple[int, ...]]):
    first, second = systems(rows)
    observed = np.abs(precision_recall_f1(first.sum(0)) - precision_recall_f1(second.sum(0)))
    as_large = []
    for swaps in itertools.product((False, True), repeat=len(rows)):
        swap = np.array(swaps)[:, None]
        one, other = (np.where(swap, b, a).sum(0) for a, b in ((first, second), (second, first)))
        as_large.append(np.abs(precision_recall_f1(one) - precision_recall_f1(other)) >= observed - 1e-9)
    assert randomisation_test(first, second, shuffles=4000) == pytest.approx(np.mean(as_large, axis=0), abs=0.05)


def test_the_same_system_never_differs():
    first, _ = systems([(1, 1, 0, 0, 2), (0, 0, 0, 0, 0)])
    assert randomisation_test(first, first, shuffles=50) == (1, 1, 1)


def test_a_clear_difference_is_no_chance_and_has_no_side():
    first, second = systems([(2, 0, 0, 2, 2)] * 40)
    assert randomisation_test(first, second, shuffles=999) == (0.001, 0.001, 0.001)
    assert randomisation_test(second, first, shuffles=999) == (0.001, 0.001, 0.001)


def test_under_chance_p_values_are_even():
    rng = np.random.default_rng(0)
    gold = rng.poisson(2, size=60)
    found = []
    for seed in range(200):
        one, other = (rng.binomial(gold, 0.7) for _ in range(2))
        counts = [np.stack([hits, hits + rng.poisson(0.3, 60), gold], axis=1) for hits in (one, other)]
        found.append(randomisation_test(*counts, shuffles=200, seed=seed)[2])
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.1
    assert np.mean(found) == pytest.approx(0.5, abs=0.07)


def test_other_documents_are_an_error():
    first, _ = systems([(1, 0, 0, 0, 1)])
    other, _ = systems([(1, 0, 0, 0, 2)])
    for second in (other, np.concatenate([first, first])):
        with pytest.raises(BGAError, match="B520"):
            randomisation_test(first, second)
