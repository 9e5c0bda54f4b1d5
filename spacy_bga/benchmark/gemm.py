"""What the processor can do: the speed of single-precision matrix products of the encoder's shapes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch

ROWS = (512, 2048)  # wordpieces of a batch
REPEATS = 5


def gemm_shapes(text: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """RETURNS (list[tuple[int, int, int]]): Products (rows, inner, columns) as the layers of an encoder have them."""
    d, f = text["hidden_size"], text["intermediate_size"]
    return [(rows, *sides) for rows in ROWS for sides in ((d, d), (d, 3 * d), (d, f), (f, d))]


def peak_meter(text: Mapping[str, Any]) -> Callable[[], float]:
    """Prepare to measure the peak.

    text (Mapping[str, Any]): The encoder's configuration.
    RETURNS (Callable[[], float]): Measures billions of operations a second: the median over the shapes of the best of a
        few tries of each, so that neither a lucky shape nor a disturbed try decides.
    """
    operands = [
        (torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns))
        for rows, inner, columns in gemm_shapes(text)
    ]

    def measure() -> float:
        return median(max(_speed(*three) for _ in range(REPEATS)) for three in operands)

    return measure


def _speed(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right, out=out)
    seconds = time.perf_counter() - start
    return 2 * left.shape[0] * left.shape[1] * right.shape[1] / seconds / 1e9
