"""What generated features have to do with the real image of their text: do they find it, do they resemble it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.bootstrap import draw_weights, middle_95


@dataclass(frozen=True)
class Retrieval:
    """How well queries find their own counterparts among all of them.

    n (int): The queries. r1, r5, r10 (float): The share of queries, in percent, whose right answer is the first, or
        among the first 5 or 10. Ties count with the probability that breaking them at random puts it there.
    r10_ci (tuple[float, float]): The 95 % interval of `r10`, from resampling the queries.
    chance_r10 (float): The `r10` of guessing. median_rank (float): The median of `ranks`.
    """

    n: int
    r1: float
    r5: float
    r10: float
    r10_ci: tuple[float, float]
    chance_r10: float
    median_rank: float

    def as_record(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What JSON can hold, rounded to two decimals."""
        return {key: np.round(value, 2).tolist() for key, value in asdict(self).items()}


def ranks(similarity: np.ndarray) -> np.ndarray:
    """The place of each right answer; among equals the middle one, so that a constant similarity isn't rewarded.

    similarity (np.ndarray): (n, n), row i is a query and column i its right answer.
    RETURNS (np.ndarray): (n,), from 1 up: 1 + the number of better answers + half the number of equally good others.
    RAISES (BGAError): If the similarity is no square matrix, or has NaN.
    """
    better, equal = _places(similarity)
    return better + (equal + 1) / 2


def retrieval(similarity: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Retrieval:
    """Measure how well the rows find their columns. For the other direction, transpose.

    similarity (np.ndarray): (n, n), row i is a query and column i its right answer.
    resamples (int): How often the queries are resampled. seed (int): Of the resampling.
    RETURNS (Retrieval): The measures.
    RAISES (BGAError): If the similarity is no square matrix, or has NaN.
    """
    better, equal = _places(similarity)
    n = len(better)
    # Ties broken at random put the right answer on any of the places from better + 1 to better + equal alike. So a
    # constant similarity scores chance; by its middle rank it would score 0 or 100.
    hits = {k: np.clip((k - better) / equal, 0, 1) for k in (1, 5, 10)}
    resampled = np.concatenate([weights @ hits[10] for weights in draw_weights(n, resamples, seed=seed)])
    r1, r5, r10 = (100 * float(hits[k].mean()) for k in (1, 5, 10))
    return Retrieval(
        n=n,
        r1=r1,
        r5=r5,
        r10=r10,
        r10_ci=middle_95(100 * resampled / n),
        chance_r10=100 * min(10, n) / n,
        median_rank=float(np.median(better + (equal + 1) / 2)),
    )


def explained_beyond_mean(generated: np.ndarray, real: np.ndarray, mean: np.ndarray) -> float:
    """The share of the variance of real features around the mean image that generated features explain.

    generated, real (np.ndarray): (n, m, d), the features of n images at m positions.
    mean (np.ndarray): (m, d), the mean image. Take it from training images: that of the test set isn't known in use.
    RETURNS (float): 1 - sum |real - generated|^2 / sum |real - mean|^2. 1 is perfect, 0 is no better than the mean
        image, and what is below 0 is worse.
    RAISES (BGAError): If the shapes don't fit, a number isn't finite, or every real image is the mean.
    """
    square, cross, variance = _around_mean(generated, real, mean)
    # |r - g|^2 = |r|^2 - 2 rg + |g|^2, all around the mean.
    return (2 * cross - square) / variance


def explained_when_scaled(generated: np.ndarray, real: np.ndarray, mean: np.ndarray) -> float:
    """As `explained_beyond_mean`, with the distance of all generated features from the mean scaled by `best_scale`.

    It tells features that are wrong from those that are right up to their contrast.

    generated, real (np.ndarray): (n, m, d), the features of n images at m positions.
    mean (np.ndarray): (m, d), the mean image, of training images.
    RETURNS (float): From 0 to 1.
    RAISES (BGAError): If the shapes don't fit, a number isn't finite, or every real image is the mean.
    """
    square, cross, variance = _around_mean(generated, real, mean)
    return _scale(square, cross) * cross / variance


def best_scale(generated: np.ndarray, real: np.ndarray, mean: np.ndarray) -> float:
    """The one number that brings mean + number * (generated - mean) closest to the real features (least squares).

    generated, real (np.ndarray): (n, m, d), the features of n images at m positions.
    mean (np.ndarray): (m, d), the mean image, of training images.
    RETURNS (float): 1 if the scale is right, more if the features are too flat, and 0 if they are of no use. Never
        negative: features that point away from the real ones are wrong, not badly scaled.
    RAISES (BGAError): If the shapes don't fit, a number isn't finite, or every real image is the mean.
    """
    square, cross, _ = _around_mean(generated, real, mean)
    return _scale(square, cross)


def _places(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many answers are better than the right one, and how many as good, itself among them."""
    if similarity.ndim != 2 or len(set(similarity.shape)) != 1 or not similarity.size:
        raise BGAError(Errors.B518.format(reason=f"it has the shape {similarity.shape}"))
    if np.isnan(similarity).any():
        raise BGAError(Errors.B518.format(reason="it has NaN in it"))
    right = np.diagonal(similarity)[:, None]
    return (similarity > right).sum(axis=1), (similarity == right).sum(axis=1)


def _scale(square: float, cross: float) -> float:
    return max(0.0, cross / square) if square else 0.0


def _around_mean(generated: np.ndarray, real: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    """The sums of |generated|^2, generated * real and |real|^2, all around the mean."""
    if generated.shape != real.shape or mean.shape != real.shape[1:]:
        shapes = f"generated {generated.shape}, real {real.shape}, mean {mean.shape}"
        raise BGAError(Errors.B519.format(reason=f"the shapes don't fit: {shapes}"))
    square = cross = variance = 0.0
    for one, other in zip(generated, real, strict=True):  # one at a time: a test set in float64 can fill the memory
        g = np.subtract(one, mean, dtype=np.float64).ravel()
        r = np.subtract(other, mean, dtype=np.float64).ravel()
        square, cross, variance = square + float(g @ g), cross + float(g @ r), variance + float(r @ r)
    if not np.isfinite([square, cross, variance]).all():
        raise BGAError(Errors.B519.format(reason="a number is not finite"))
    if not variance:
        raise BGAError(Errors.B519.format(reason="no real image differs from the mean"))
    return square, cross, variance
