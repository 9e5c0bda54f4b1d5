"""Whether a pipeline is as often right as it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 10


def calibrate(confidences: Sequence[float], correct: Sequence[bool], *, bins: int = BINS) -> dict[str, Any] | None:
    """Compare how sure entities are with how many of them are correct.

        ECE   = sum over bins of n_b / n * | share of correct ones in b - mean confidence in b |
        Brier = mean of (confidence - correct)^2

    Sources: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", for the expected
    calibration error (ECE); Brier 1950. The ECE grows with the number of bins and with less data, and says nothing of
    entities that were not predicted.

    confidences (Sequence[float]): Of predicted entities, from 0 to 1. correct (Sequence[bool]): Whether each is.
    bins (int): Bins of equal width; each holds its upper end, the first one 0 as well.
    RETURNS (Optional[dict[str, Any]]): "n", "ece", "brier", mean "confidence" and "precision", and "bins", those that
        aren't empty, with their "low", "high", "n", "confidence" and "precision"; None without entities.
    """
    if not len(confidences):
        return None
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], sure)  # left: an edge belongs to the bin below
    rows = []
    for place in np.unique(places).tolist():
        inside = places == place
        low, high = float(edges[place]), float(edges[place + 1])
        number = int(inside.sum())
        rows.append({"low": round(low, 6), "high": round(high, 6), "n": number, **_means(sure[inside], right[inside])})
    gaps = [row["n"] * abs(row["precision"] - row["confidence"]) for row in rows]
    brier = float(np.mean((sure - right) ** 2))
    return {"n": len(sure), "ece": sum(gaps) / len(sure), "brier": brier, **_means(sure, right), "bins": rows}


def _means(sure: np.ndarray, right: np.ndarray) -> dict[str, float]:
    return {"confidence": float(sure.mean()), "precision": float(right.mean())}
