"""Generators that are put back give what they gave before."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch

from spacy_bga.training.random_streams import read_streams, set_streams


def draw() -> list[float]:
    numbers = [random.random(), random.gauss(), np.random.random(), np.random.randn(), torch.rand(1).item()]
    return [*numbers, torch.randn(1).item()]


@pytest.mark.parametrize("before", range(3))
def test_put_back(before: int):
    """Also in the middle of a pair of normal numbers, of which a generator keeps the second one."""
    for _ in range(before):
        draw()
    streams = json.loads(json.dumps(read_streams()))
    expected = [draw() for _ in range(3)]
    set_streams(streams)
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize("name", ["python", "numpy", "torch"])
def test_some_of_them(name: str):
    streams = read_streams()
    first = draw()
    set_streams({name: streams[name]})
    again = draw()
    same = [a == b for a, b in zip(first, again, strict=True)]
    pair = ["python", "numpy", "torch"].index(name) * 2
    assert same == [i in (pair, pair + 1) for i in range(6)]


def test_reading_draws_nothing():
    streams = read_streams()
    assert read_streams() == streams
    draw()
    changed = read_streams()
    assert all(changed[name] != streams[name] for name in ("python", "numpy", "torch"))
