"""Contenders in processes of their own, as they are used: nobody shares a heap, a cache or a pool of threads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from spacy_bga.benchmark.fresh import take_threads

T = TypeVar("T")
IMPORTED = ["spacy_bga.benchmark.huggingface", "spacy_transformers"]  # by most objects, so only once
_subject: Any = None


class Worker:
    """An object in a process of its own, which waits idly until it is called.

    pool (ProcessPoolExecutor): Of one process. It inherits what the environment says of threads.
    """

    def __init__(self, pool: ProcessPoolExecutor):
        self._pool = pool

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """RETURNS: What the function returns for the object and these arguments, in the object's process."""
        return self._pool.submit(_call, function, arguments).result()


@contextmanager
def workers(makers: Mapping[str, Callable[[], Any]]) -> Iterator[dict[str, Worker]]:
    """Make objects side by side, each in a fresh process, which ends with the block.

    makers (Mapping[str, Callable[[], Any]]): What makes each, by name. It must be found by its name in a module.
    YIELDS (dict[str, Worker]): The objects at work. What a maker raises is raised here.
    """
    pools = {name: ProcessPoolExecutor(1, mp_context=_start_method()) for name in makers}
    try:
        for made in [pools[name].submit(_make, maker) for name, maker in makers.items()]:
            made.result()
        yield {name: Worker(pool) for name, pool in pools.items()}
    finally:
        for pool in pools.values():
            pool.shutdown()


def _start_method() -> BaseContext:
    """RETURNS (BaseContext): Starts processes that share but imports, where that can be had."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _make(maker: Callable[[], Any]) -> None:
    from spacy_bga.pipeline.bridge import keep_threads

    global _subject
    take_threads()
    keep_threads()
    _subject = maker()


def _call(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    return function(_subject, *arguments)
