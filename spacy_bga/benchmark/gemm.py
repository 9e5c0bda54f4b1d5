"""What the processor can do: the speed of single-precision matrix products of the encoder's shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from spacy_bga.benchmark.rounds import timed

ROWS = (512, 2048)  # wordpieces of a batch
REPEATS = 5


@dataclass(frozen=True)
class Peak:
    """The speed of matrix products, in billions of operations a second.

    wall (float): By the clock. cpu (float): By the time that there was a processor, all threads' together.
    """

    wall: float
    cpu: float


def gemm_shapes(text: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """RETURNS (list[tuple[int, int, int]]): Products (rows, inner, columns) as the layers of an encoder have them."""
    d, f = text["hidden_size"], text["intermediate_size"]
    return [(rows, *sides) for rows in ROWS for sides in ((d, d), (d, 3 * d), (d, f), (f, d))]


def peak_meter(text: Mapping[str, Any]) -> Callable[[], Peak]:
    """Prepare to measure the peak.

    text (Mapping[str, Any]): The encoder's configuration.
    RETURNS (Callable[[], Peak]): Measures it: the median over the shapes of the best of a few tries of each, so that
        neither a lucky shape nor a disturbed try decides.
    """
    operands = [
        (torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns))
        for rows, inner, columns in gemm_shapes(text)
    ]

    def measure() -> Peak:
        tries = [[_speed(*three) for _ in range(REPEATS)] for three in operands]
        return Peak(
            wall=median(max(speed.wall for speed in shape) for shape in tries),
            cpu=median(max(speed.cpu for speed in shape) for shape in tries),
        )

    return measure


def _speed(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> Peak:
    timing = timed(partial(torch.mm, left, right, out=out))
    billions = 2 * left.shape[0] * left.shape[1] * right.shape[1] / 1e9
    return Peak(billions / timing.wall_s, billions / timing.cpu_s)
