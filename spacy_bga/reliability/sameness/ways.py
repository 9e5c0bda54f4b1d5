"""The ways to run a pipeline, each from texts to entities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spacy_bga.reliability.subject import Answer, entities_of, tag

if TYPE_CHECKING:
    from spacy.language import Language

THREADS = 4
TORCH_THREADS = 2

Way = Callable[["Language", list[str]], Answer]


def _pipe(size: int, *, processes: int = 1) -> Way:
    def run(nlp: Language, texts: list[str]) -> Answer:
        return [entities_of(doc) for doc in nlp.pipe(texts, batch_size=size, n_process=processes)]

    return run


def _in_threads(nlp: Language, texts: list[str]) -> Answer:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda text: entities_of(nlp(text)), texts))


def _in_zones(nlp: Language, texts: list[str]) -> Answer:
    found: Answer = []
    for start in range(0, len(texts), 50):
        with nlp.memory_zone():
            found += [entities_of(doc) for doc in nlp.pipe(texts[start : start + 50])]
    return found


def _with_torch_threads(way: Way) -> Way:
    def run(nlp: Language, texts: list[str]) -> Answer:
        with torch_threads(TORCH_THREADS):
            return way(nlp, texts)

    return run


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


WAYS: dict[str, Way] = {
    "`nlp`, one by one": tag,
    "`pipe`, batches of 1": _pipe(1),
    "`pipe`, batches of 7": _pipe(7),
    "`pipe`, batches of 64": _pipe(64),
    "`pipe`, batches of 7, 2 processes": _pipe(7, processes=2),
    "`pipe`, batches of 64, 2 processes": _pipe(64, processes=2),
    "`pipe` in memory zones": _in_zones,
    "`nlp`, 4 threads at once": _in_threads,
    "`nlp`, 2 threads of torch": _with_torch_threads(tag),
    "`pipe`, batches of 64, 2 threads of torch": _with_torch_threads(_pipe(64)),
}
