"""A probe is the best one that there is, and reads what is there and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spacy_bga.evaluation.linear_probe import LinearProbe, fit_probe, probe_loss


def make_data(
    n: int = 240, *, n_labels: int = 3, width: int = 8, noise: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features around a place for each label, on scales that have nothing to do with each other."""
    rng = np.random.default_rng(0)
    places, scales = rng.normal(size=(n_labels, width)), 10.0 ** rng.integers(-3, 4, size=width)
    rng = np.random.default_rng(seed + 1)
    labels = rng.integers(0, n_labels, size=n)
    features = (places[labels] + noise * rng.normal(size=(n, width))) * scales + 5 * scales
    return features.astype(np.float32), labels


def accuracy(probe: LinearProbe, features: np.ndarray, labels: np.ndarray) -> float:
    return float((probe.predict(features) == labels).mean())


def test_what_is_separable_is_separated():
    probe = fit_probe(*make_data(), 3)
    assert accuracy(probe, *make_data()) == 1
    assert accuracy(probe, *make_data(seed=5)) > 0.98


def test_at_the_optimum_there_is_no_gradient():
    features, labels = make_data(noise=1.5)
    probe = fit_probe(features, labels, 3)
    weight, bias = probe.weight.clone().requires_grad_(), probe.bias.clone().requires_grad_()
    fitted = LinearProbe(probe.mean, probe.scale, weight, bias)
    loss = probe_loss(fitted, fitted.standardize(features), torch.from_numpy(labels))
    loss.backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert weight.grad.abs().max() < 1e-6
    assert bias.grad.abs().max() < 1e-6
    assert loss < np.log(3)


def test_inputs_are_standardised():
    features, labels = make_data(noise=1.0)
    standardized = fit_probe(features, labels, 3).standardize(features)
    assert standardized.mean(0).numpy() == pytest.approx(np.zeros(8), abs=1e-6)
    assert standardized.std(0, correction=0).numpy() == pytest.approx(np.ones(8), abs=1e-6)
    moved = (features * 4 + 3).astype(np.float32)
    first, second = fit_probe(features, labels, 3), fit_probe(moved, labels, 3)
    assert (first.predict(features) == second.predict(moved)).all()


def test_the_seed_does_not_matter():
    probes = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        probes.append(fit_probe(*make_data(noise=1.0), 3))
    assert torch.equal(probes[0].weight, probes[1].weight)


def test_shuffled_labels_cannot_be_read():
    features, labels = make_data(600)
    shuffled = np.random.default_rng(3).permutation(labels)
    probe = fit_probe(features[:300], shuffled[:300], 3)
    assert 0.2 < accuracy(probe, features[300:], shuffled[300:]) < 0.46


def test_from_what_never_changes_the_majority_is_read():
    labels = np.array([0, 1, 1, 1, 2])
    probe = fit_probe(np.zeros((5, 4), dtype=np.float32), labels, 3)
    assert probe.predict(np.full((3, 4), 7, dtype=np.float32)).tolist() == [1, 1, 1]
    shares = torch.softmax(probe.bias, 0).numpy()
    assert shares == pytest.approx(np.array([0.2, 0.6, 0.2]), abs=1e-5)  # by hand: the shares of the labels
