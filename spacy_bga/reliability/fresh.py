"""Functions called in fresh processes, which have inherited nothing but the environment."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Returned = TypeVar("Returned")


def call_fresh(
    function: Callable[..., Returned], *arguments: Any, environment: dict[str, str] | None = None
) -> Returned:
    """Call a function in a process of its own, which starts from nothing.

    function (Callable): A function of a module. *arguments (Any): What can be pickled.
    environment (Optional[dict[str, str]]): Variables to set.
    RETURNS (Any): What the function returned. What it raises is raised here.
    """
    processes = multiprocessing.get_context("spawn")
    with changed_environment(environment or {}), ProcessPoolExecutor(1, mp_context=processes) as pool:
        return pool.submit(function, *arguments).result()


@contextmanager
def changed_environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
