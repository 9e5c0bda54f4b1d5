from __future__ import annotations

import os
from functools import partial

import pytest
import torch

from spacy_bga.benchmark.worker import workers
from spacy_bga.pipeline.bridge import limit_worker_threads


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


def test_they_have_the_threads_that_they_were_given():
    with workers({"a": _take_two_threads}) as found:
        assert found["a"].call(_threads_while_tagging) == 2


def _take_two_threads() -> None:
    torch.set_num_threads(2)


def _threads_while_tagging(_: object) -> int:
    limit_worker_threads()  # as `bga_ner` does before it tags
    return torch.get_num_threads()


def _process(_: object) -> int:
    return os.getpid()
