"""Whether a difference between two systems could be chance."""

from __future__ import annotations

import numpy as np

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.bootstrap import CHUNK, EntityCounts, precision_recall_f1


def randomisation_test(
    first: EntityCounts, second: EntityCounts, *, shuffles: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Test whether two systems differ, by paired approximate randomisation.

    If neither is better, who found what in a document is a matter of chance: so both are swapped in every document with
    the probability 1/2, time and again, and

        p = (1 + how often they then differ as much as they do) / (1 + shuffles)

    Sources: Noreen 1989; Yeh 2000, "More accurate tests for the statistical significance of result differences", by
    its section 4. Adding 1 is by Phipson and Smyth 2010: no p-value of a sample is 0.

    first, second (EntityCounts): Of the same documents. shuffles (int): How often to swap. seed (int): Of the swapping.
    RETURNS (tuple[float, float, float]): Two-sided p-values of precision, recall and F1.
    RAISES (BGAError): If they aren't of the same documents.
    """
    if first.shape != second.shape or not np.array_equal(first[:, 2], second[:, 2]):
        raise BGAError(Errors.B520.format(reason="the systems differ in their numbers of documents or gold entities"))
    apart = (second - first)[(first != second).any(axis=1)].astype(np.float64)
    total, other = first.sum(axis=0), second.sum(axis=0)
    observed = np.abs(precision_recall_f1(total) - precision_recall_f1(other))
    rng = np.random.default_rng(seed)
    chunk = max(1, CHUNK // max(len(apart), 1))
    as_large = np.zeros(3)
    for start in range(0, shuffles, chunk):
        swapped = rng.integers(2, size=(min(chunk, shuffles - start), len(apart))) @ apart
        differences = precision_recall_f1(total + swapped) - precision_recall_f1(other - swapped)
        as_large += (np.abs(differences) >= observed - 1e-9).sum(axis=0)  # equal ones may differ by rounding
    precision, recall, f1 = ((1 + as_large) / (1 + shuffles)).tolist()
    return precision, recall, f1
