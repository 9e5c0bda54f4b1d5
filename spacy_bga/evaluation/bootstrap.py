"""How sure a difference between two systems is, given that both the test set and the seeds could have been others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from spacy_bga.errors import BGAError, Errors

EntityCounts: TypeAlias = npt.NDArray[np.int_]
"""(n, 3): the true positives, the predicted and the gold entities of each document."""

CHUNK = 1_000_000  # numbers drawn at a time
T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)  # 1 to 10 degrees of freedom


class Interval(NamedTuple):
    """What was measured, and a 95 % interval around it.

    mean, low, high (float): In the unit of what was measured.
    """

    mean: float
    low: float
    high: float


def f1(counts: EntityCounts) -> float:
    """RETURNS (float): The micro-averaged F1 in percent; without entities 0. Raises a BGAError if given no counts."""
    return float(_f1(_check(counts).sum(axis=0)))


def paired_bootstrap(
    first: Sequence[EntityCounts], second: Sequence[EntityCounts], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """By how much one system is better than another, from runs of both with the same seeds on the same documents.

    Each resample draws documents, the same for all runs, and pairs of runs, both with replacement: the interval covers
    the randomness of the test set and that of training. With one seed it knows the test set's alone; with few, it
    takes the variance between seeds for (seeds - 1) / seeds of what `seed_interval` does.

    first, second (Sequence[EntityCounts]): One for each seed, in the same order.
    resamples (int): How often to resample. seed (int): Of the resampling.
    RETURNS (Interval): The mean over seeds of F1(first) - F1(second), in points, and the middle 95 % of the resampled.
    RAISES (BGAError): If the runs don't pair up, or aren't counts of the same documents.
    """
    if len(first) != len(second) or not len(first):
        raise BGAError(Errors.B520.format(reason=f"there are {len(first)} and {len(second)} runs"))
    runs = [_check(counts) for counts in (*first, *second)]
    if any(not np.array_equal(run[:, 2], runs[0][:, 2]) for run in runs):
        raise BGAError(Errors.B520.format(reason="the runs differ in their numbers of documents or gold entities"))
    columns = np.concatenate(runs, axis=1).astype(np.float64)

    def differences(weights: np.ndarray) -> np.ndarray:
        """(resamples, documents) -> (resamples, seeds)"""
        scores = _f1((weights @ columns).reshape(len(weights), 2, len(first), 3))
        return scores[:, 0] - scores[:, 1]

    # Seeds have a stream of their own, and chunks of the same length as those of documents.
    n = len(columns)
    chunk = max(1, CHUNK // n)
    documents = draw_weights(n, resamples, seed=[seed, 0], chunk=chunk)
    seeds = draw_weights(len(first), resamples, seed=[seed, 1], chunk=chunk)
    resampled = [np.mean(w_seeds * differences(w), axis=1) for w, w_seeds in zip(documents, seeds, strict=True)]
    return Interval(float(differences(np.ones((1, n))).mean()), *middle_95(np.concatenate(resampled)))


def seed_interval(differences: Sequence[float]) -> Interval | None:
    """The mean of one difference per seed with Student's 95 % interval: what training's randomness alone leaves open.

    differences (Sequence[float]): One for each seed.
    RETURNS (Interval | None): None for less than two seeds, which say nothing of how seeds vary.
    """
    n = len(differences)
    if n < 2:
        return None
    mean = fmean(differences)
    half = _t_975(n - 1) * stdev(differences) / n**0.5
    return Interval(mean, mean - half, mean + half)


def resample_totals(columns: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """Total what was counted in documents that are drawn with replacement, time and again.

    columns (np.ndarray): (documents, columns), counts of any kind: those of one row stay together, so that what is
        computed from the totals is paired. resamples (int): How often to resample. seed (int): Of the resampling.
    RETURNS (np.ndarray): (resamples, columns). `paired_bootstrap` with the same seed draws the same documents.
    """
    weights = draw_weights(len(columns), resamples, seed=[seed, 0])
    return np.concatenate([w @ columns.astype(np.float64) for w in weights])


def precision_recall_f1(totals: np.ndarray) -> np.ndarray:
    """RETURNS (np.ndarray): (..., 3) precision, recall and F1 in percent of (..., 3) counts; 0 where nothing was
    predicted, or nothing is there."""
    correct, predicted, gold = (totals[..., i] for i in range(3))
    precision, recall = (100 * correct / np.maximum(number, 1) for number in (predicted, gold))
    return np.stack([precision, recall, _f1(totals)], axis=-1)


def draw_weights(
    n: int, resamples: int, *, seed: int | Sequence[int] = 0, chunk: int | None = None
) -> Iterator[np.ndarray]:
    """Draw n of n with replacement, time and again.

    n (int): What is drawn from. resamples (int): How often. seed (int | Sequence[int]): Of the drawing.
    chunk (int | None): How many resamples to draw at a time.
    YIELDS (np.ndarray): (resamples, n) in chunks: how often each was drawn.
    """
    rng = np.random.default_rng(seed)
    chunk = chunk or max(1, CHUNK // n)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def middle_95(values: np.ndarray) -> tuple[float, float]:
    """RETURNS (tuple[float, float]): The bounds of the middle 95 %."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _f1(totals: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...)"""
    entities = totals[..., 1] + totals[..., 2]
    return 200 * totals[..., 0] / np.maximum(entities, 1)  # no entities, no true positives: 0


def _check(counts: EntityCounts) -> EntityCounts:
    if counts.ndim != 2 or counts.shape[1] != 3 or not len(counts):
        raise BGAError(Errors.B520.format(reason=f"the counts of a run have the shape {counts.shape}"))
    if not np.issubdtype(counts.dtype, np.integer):
        raise BGAError(Errors.B520.format(reason=f"the counts of a run are {counts.dtype}, not int"))
    if (counts < 0).any() or (counts[:, :1] > counts[:, 1:]).any():
        raise BGAError(Errors.B520.format(reason="a document has fewer entities than true positives, or less than 0"))
    return counts


def _t_975(freedom: int) -> float:
    """Student's quantile: from the table, or by Fisher's expansion around the normal one, right to 3 decimals there."""
    if freedom <= len(T_975):
        return T_975[freedom - 1]
    z = 1.959964
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
