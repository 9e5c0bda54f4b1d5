"""Whether features tell something that others don't: a partial correlation, by leave-one-out ridge regressions."""

from __future__ import annotations

import torch
from torch import Tensor

PENALTIES = torch.logspace(-2, 4, 7, dtype=torch.float64)
WEIGHTS = (0.3, 1.0, 3.0)  # of the added features beside the given ones


def partial_correlation(given: Tensor, added: Tensor, target: Tensor) -> float:
    """How much of a target can be predicted from features, beyond what others predict.

    The root of the share of what the given features leave unexplained that both together explain. What is unexplained
    is the sum of squared errors for rows that were left out (PRESS, Allen 1974): features that are right by chance on
    the rows that they were fitted on explain nothing of these.

    given (Tensor): (n, d). added (Tensor): (n, K). target (Tensor): (n, L).
    RETURNS (float): From 0 to 1; 0 if the gain is less than twice its standard error, and for fewer than three rows.
    """
    if len(target) < 3:
        return 0.0
    left = unexplained(_scaled(given.double()), _scaled(target.double()))
    gain = left - unexplained_by_both(given, added, target)
    return float(gain.sum() / left.sum()) ** 0.5 if is_sure(gain) else 0.0


def tells_more(one: Tensor, other: Tensor, given: Tensor, target: Tensor) -> bool:
    """RETURNS (bool): Whether a target is better predicted from features (n, d) with the one (n, K) beside them than
    with the other (n, K), by more than twice the standard error of the difference."""
    if len(target) < 3:
        return False
    return is_sure(unexplained_by_both(given, other, target) - unexplained_by_both(given, one, target))


def is_sure(gain: Tensor) -> bool:
    """RETURNS (bool): Whether the mean of gains (n,) is more than twice its standard error."""
    return bool(gain.mean() > 2 * gain.std() / len(gain) ** 0.5)


def unexplained_by_both(given: Tensor, added: Tensor, target: Tensor) -> Tensor:
    """RETURNS (Tensor): (n,) what given features (n, d) and added ones (n, K), at the best of `WEIGHTS`, leave
    unexplained of a target (n, L)."""
    given, added, target = (_scaled(part.double()) for part in (given, added, target))
    choices = [unexplained(torch.cat([given, weight * added], dim=1), target) for weight in WEIGHTS]
    return min(choices, key=lambda errors: float(errors.sum()))


def unexplained(features: Tensor, target: Tensor) -> Tensor:
    """RETURNS (Tensor): (n,) squared errors of ridge regression with an intercept from features (n, d), centred, to a
    target (n, L), centred, each row predicted from all others; at the best of `PENALTIES`."""
    n = len(features)
    left, spread, _ = torch.linalg.svd(features, full_matrices=False)
    choices = []
    for penalty in PENALTIES.tolist():
        shrunk = left * (spread.square() / (spread.square() + penalty))
        leverage = 1 / n + (shrunk * left).sum(1, keepdim=True)
        residual = (target - shrunk @ (left.T @ target)) / (1 - leverage).clamp(min=1e-9)
        choices.append(residual.square().sum(1))
    return min(choices, key=lambda errors: float(errors.sum()))


def _scaled(features: Tensor) -> Tensor:
    """RETURNS (Tensor): (n, d) centred, and of length 1 on the average; zeros if all rows are the same."""
    centred = features - features.mean(0)
    length = centred.square().sum(1).mean().sqrt()
    return centred / length if length > 1e-9 else torch.zeros_like(centred)
