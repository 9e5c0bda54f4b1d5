from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from spacy_bga.evaluation.calibration import calibrate

PREDICTED = st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=60)


@given(PREDICTED, st.integers(1, 15))
def test_bins_and_brier_are_those_of_scikit_learn(predicted: list[tuple[float, bool]], bins: int):
    sure, correct = ([entity[side] for entity in predicted] for side in (0, 1))
    found = calibrate(sure, correct, bins=bins)
    assert found is not None
    precision, confidence = calibration_curve([*correct, False, True], [*sure, 0.0, 0.0], n_bins=bins)
    # Two more in the first bin, so that scikit-learn has both classes: that one is left out of the comparison
    rest = [row for row in found["bins"] if row["low"] > 0]
    assert [row["precision"] for row in rest] == pytest.approx(precision[1:])
    assert [row["confidence"] for row in rest] == pytest.approx(confidence[1:])
    assert found["brier"] == pytest.approx(brier_score_loss(correct, sure, labels=[False, True], pos_label=True))
    assert sum(row["n"] for row in found["bins"]) == found["n"] == len(predicted)
    assert found["precision"] == pytest.approx(np.mean(correct))


def test_expected_calibration_error_by_hand():
    found = calibrate([0.95, 0.95, 0.65, 0.55], [True, False, True, False])
    assert found is not None
    assert found["ece"] == pytest.approx((2 * 0.45 + 0.35 + 0.55) / 4)
    assert [(row["low"], row["high"], row["n"]) for row in found["bins"]] == [(0.5, 0.6, 1), (0.6, 0.7, 1), (0.9, 1, 2)]


def test_an_edge_belongs_to_the_bin_below():
    found = calibrate([0.0, 0.1, 0.10001, 1.0], [True] * 4)
    assert found is not None
    assert [(row["high"], row["n"]) for row in found["bins"]] == [(0.1, 2), (0.2, 1), (1.0, 1)]


def test_who_is_as_often_right_as_it_says_has_no_error():
    rng = np.random.default_rng(0)
    sure = rng.random(200_000)
    honest, boastful = (calibrate(list(sure), list(rng.random(len(sure)) < sure**power)) for power in (1, 3))
    assert honest is not None
    assert boastful is not None
    assert honest["ece"] < 0.01 < 0.2 < boastful["ece"]


def test_nothing_predicted():
    assert calibrate([], []) is None
