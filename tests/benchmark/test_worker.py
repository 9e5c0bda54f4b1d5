from __future__ import annotations

import os
from functools import partial

import pytest

from spacy_bga.benchmark.worker import workers


def fail() -> None:
    raise ValueError("nothing to load here")


def test_objects_stay_in_processes_of_their_own():
    with workers({"a": list, "b": partial(list, "xy")}) as found:
        found["a"].call(list.append, 1)
        found["a"].call(list.append, 2)
        assert found["a"].call(list.copy) == [1, 2]  # what was done to it is kept
        assert found["b"].call(list.copy) == ["x", "y"]
        processes = {worker.call(_process) for worker in found.values()}
    assert len(processes - {os.getpid()}) == 2


def test_what_goes_wrong_in_them_is_raised_here():
    with pytest.raises(ValueError, match="nothing to load"), workers({"a": list, "b": fail}):
        pass
    with workers({"a": list}) as found, pytest.raises(IndexError):
        found["a"].call(list.pop)


def _process(_: object) -> int:
    return os.getpid()
