from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.benchmark.rounds import Timing
from spacy_bga.benchmark.statistics import compare, paired_ratio, percentile, processor_share, slope, spread, tidy

NUMBERS = st.lists(st.floats(0.001, 1000), min_size=1, max_size=30)


def test_a_ratio_is_paired_round_by_round():
    # Each round, the second takes twice as long; the rounds themselves differ by far more.
    fast, slow = [1.0, 10.0, 3.0], [2.0, 20.0, 6.0]
    assert paired_ratio(slow, fast) == {"median": 2.0, "min": 2.0, "max": 2.0}
    assert paired_ratio([2.0, 30.0, 6.0], fast) == {"median": 2.0, "min": 2.0, "max": 3.0}
    with pytest.raises(ValueError, match="longer"):
        paired_ratio([1.0], fast)


def test_the_faster_one_is_the_one_that_takes_less():
    timings = {"ours": [Timing(1.0, 0.5)] * 3, "theirs": [Timing(3.0, 1.0)] * 3}
    assert compare(timings, faster="ours", slower="theirs") == {"median": 3.0, "min": 3.0, "max": 3.0, "cpu": 2.0}
    assert processor_share(timings["ours"]) == 0.5


def test_spread():
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert tidy(1234.567) == 1235
    assert tidy(0.000123456) == 0.0001235


@given(NUMBERS, st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], share: float):
    assert percentile(values, share) == pytest.approx(np.quantile(values, share))


@given(NUMBERS.filter(lambda values: len(values) > 1))
def test_slopes_are_numpys(values: list[float]):
    x = list(range(len(values)))
    assert slope(x, values) == pytest.approx(np.polyfit(x, values, 1)[0], abs=1e-6)
