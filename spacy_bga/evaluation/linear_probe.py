"""A linear probe: can labels be read from features (Alain and Bengio 2016, arXiv 1610.01644)?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PENALTY = 0.01  # of the squared weights, beside the mean loss: features may be more than examples


@dataclass(frozen=True)
class LinearProbe:
    """A multinomial logistic regression on standardised features.

    mean, scale (Tensor): (d,), what standardises them. weight (Tensor): (L, d) and bias (Tensor): (L,), of each label.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def standardize(self, features: np.ndarray) -> Tensor:
        """RETURNS (Tensor): (n, d), as the probe sees features (n, d)."""
        return (torch.from_numpy(features).double() - self.mean) / self.scale

    def predict(self, features: np.ndarray) -> np.ndarray:
        """RETURNS (np.ndarray): (n,) the number of the best label for each of the features (n, d)."""
        return F.linear(self.standardize(features), self.weight, self.bias).argmax(1).numpy()


def fit_probe(features: np.ndarray, labels: np.ndarray, n_labels: int) -> LinearProbe:
    """Fit a probe. There is one best one, which is found whatever the seed.

    features (np.ndarray): (n, d). labels (np.ndarray): (n,) the number of each one's label. n_labels (int): Labels.
    RETURNS (LinearProbe): The probe.
    """
    given = torch.from_numpy(features).double()
    scale = given.std(0, correction=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))  # what never changes says nothing
    weight = torch.zeros(n_labels, given.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(n_labels, dtype=torch.float64, requires_grad=True)
    probe = LinearProbe(given.mean(0), scale, weight, bias)
    inputs, targets = probe.standardize(features), torch.from_numpy(labels)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=1000, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = probe_loss(probe, inputs, targets)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]  # torch's own annotation wants a float
    return LinearProbe(probe.mean, probe.scale, weight.detach(), bias.detach())


def probe_loss(probe: LinearProbe, inputs: Tensor, targets: Tensor) -> Tensor:
    """RETURNS (Tensor): What a probe minimises on standardised inputs (n, d) with labels (n,), a scalar."""
    logits = F.linear(inputs, probe.weight, probe.bias)
    return F.cross_entropy(logits, targets) + PENALTY / 2 * probe.weight.square().sum()
