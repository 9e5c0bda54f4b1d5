"""The partial correlation: against leaving rows out one by one, and what it has to be where the answer is known."""

from __future__ import annotations

import pytest
import torch

from spacy_bga.aligner.partial_correlation import PENALTIES, partial_correlation, tells_more, unexplained


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "width"), [(12, 3), (8, 20)])
def test_rows_are_predicted_from_all_others(rows: int, width: int) -> None:
    """By solving the regression anew without each row."""
    features, target = draw(rows, width), draw(rows, 2, seed=1)
    features, target = features - features.mean(0), target - target.mean(0)
    errors = []
    for penalty in PENALTIES.tolist():
        error = 0.0
        for left_out in range(rows):
            kept = [i for i in range(rows) if i != left_out]
            inputs = torch.cat([features[kept], torch.ones(rows - 1, 1, dtype=torch.float64)], dim=1)
            ridge = torch.diag(torch.tensor([penalty] * width + [0.0], dtype=torch.float64))
            weights = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ target[kept])
            predicted = torch.cat([features[left_out], torch.ones(1, dtype=torch.float64)]) @ weights
            error += float((target[left_out] - predicted).square().sum())
        errors.append(error / rows)
    assert float(unexplained(features, target).mean()) == pytest.approx(min(errors), rel=1e-6)


def test_all_some_or_nothing_is_told() -> None:
    labels = torch.nn.functional.one_hot(torch.arange(200) % 4, 4).double()
    given, noise = draw(200, 30), draw(200, 8, seed=2)
    assert partial_correlation(given, labels, labels) > 0.99
    assert partial_correlation(given, labels + 0.8 * draw(200, 4, seed=3), labels) == pytest.approx(0.5, abs=0.2)
    assert partial_correlation(given, noise, labels) == 0


def test_what_is_known_already_is_nothing_new() -> None:
    labels = torch.nn.functional.one_hot(torch.arange(200) % 4, 4).double()
    clear = labels + 0.3 * draw(200, 4)
    assert partial_correlation(draw(200, 6, seed=1), clear, labels) > 0.7
    assert partial_correlation(clear, clear + 0.01 * draw(200, 4, seed=2), labels) == 0


def test_neither_scale_nor_origin_matters() -> None:
    given, added, target = draw(40, 5), draw(40, 3, seed=1), draw(40, 2, seed=2)
    target[:, 0] += 2 * added[:, 0]
    expected = partial_correlation(given, added, target)
    assert expected > 0.2
    assert partial_correlation(1e3 * given - 5, 1e-3 * added + 2, 7 * target + 1) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 30])
def test_nothing_to_explain(rows: int) -> None:
    assert partial_correlation(draw(rows, 4), draw(rows, 2), torch.ones(rows, 3)) == 0
    assert partial_correlation(torch.zeros(rows, 4), torch.zeros(rows, 2), draw(rows, 3)) == 0
    assert partial_correlation(draw(rows, 4), draw(rows, 2), torch.zeros(rows, 0)) == 0


def test_what_tells_more() -> None:
    """A clear picture of the labels tells more than a blurred one; equal or meaningless ones tell no more."""
    labels = torch.nn.functional.one_hot(torch.arange(200) % 4, 4).double()
    given, clear, blurred = draw(200, 6), labels + 0.3 * draw(200, 4, seed=1), labels + 1.5 * draw(200, 4, seed=2)
    assert tells_more(clear, blurred, given, labels)
    assert not tells_more(blurred, clear, given, labels)
    assert not tells_more(clear, clear, given, labels)
    assert not tells_more(labels + 0.3 * draw(200, 4, seed=3), clear, given, labels)
    assert not tells_more(draw(200, 4, seed=4), draw(200, 4, seed=5), given, labels)
    assert not tells_more(clear[:2], blurred[:2], given[:2], labels[:2])
