"""The simulation of a schedule: everything is done once, and takes as long as can be reckoned."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.scale.page import render
from lab.scale.simulation import Schedule, simulate

PLAIN = Schedule(0.01, 5.0, 1.0, 100, 50, records=1000, part_rows=100, workers=3, spread=0.0, parts_per_second=1e9)


def test_without_failures_it_takes_as_long_as_can_be_reckoned():
    calm = Schedule(**{**vars(PLAIN), "hours_between_failures": 1e9})
    found = simulate(calm)
    assert found.seconds == pytest.approx(5.0 + math.ceil(10 / 3) * 2.0)
    assert (found.failures, found.lost) == (0, 0.0)
    assert found.busy == pytest.approx(10 * 2.0 / (3 * found.seconds))


@given(st.integers(0, 1000), st.floats(0.0005, 0.01), st.integers(1, 5))
def test_every_part_is_done_once_however_often_workers_fail(seed: int, hours: float, workers: int):
    changed = {"hours_between_failures": hours, "workers": workers, "parts_per_second": 1.0, "spread": 0.3}
    found = simulate(Schedule(**{**vars(PLAIN), **changed}), seed=seed)
    assert Counter(part for _, part in found.done) == Counter(range(10))
    assert found.lost >= 0
    assert 0 < found.busy <= 1


def test_a_driver_that_hands_out_slowly_is_what_takes_the_time():
    slow = Schedule(**{**vars(PLAIN), "hours_between_failures": 1e9, "parts_per_second": 0.1})
    assert simulate(slow).seconds == pytest.approx(5.0 + 9 * 10.0 + 2.0, abs=10)


def test_demand():
    assert PLAIN.demand == {
        "parts_per_second": 1.5,
        "read_mb_per_second": pytest.approx(0.015),
        "write_mb_per_second": pytest.approx(0.0075),
    }


def test_the_committed_page_is_of_the_committed_evidence():
    docs = Path(__file__).parents[2] / "docs"
    evidence = json.loads((docs / "evidence" / "scale.json").read_text(encoding="utf8"))
    assert (docs / "scale.md").read_text(encoding="utf8") == render(evidence)
    assert (evidence["ids_missing"], evidence["ids_repeated"], evidence["identical"]) == (0, 0, True)
    assert (evidence["serve"]["lost_on_shutdown"], evidence["serve"]["overload_lost"]) == (0, 0)
