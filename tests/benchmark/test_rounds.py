from __future__ import annotations

import time

from spacy_bga.benchmark.rounds import interleave, timed


def test_tasks_take_turns_in_alternating_order():
    order = []

    def task(name: str) -> str:
        order.append(name)
        return name

    found = interleave({name: lambda name=name: task(name) for name in "abc"}, 3)
    assert "".join(order) == "abccbaabccba"
    assert found == {name: [name] * 3 for name in "abc"}  # the round to warm up is left out


def test_waiting_takes_time_but_no_processor():
    timing = timed(lambda: time.sleep(0.05))
    assert timing.wall_s >= 0.05
    assert timing.cpu_s < timing.wall_s
