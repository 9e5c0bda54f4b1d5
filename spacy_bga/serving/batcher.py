"""Dynamic batching: texts of many requests are tagged together, as they come, in one thread.

One thread, since a memory zone, without which the vocabulary would grow with every new word, is the vocabulary's and
not a thread's: texts in zones have to take turns. A batch is such a turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import torch

from spacy_bga.annotation.records import Record
from spacy_bga.annotation.tagger import Spans, Tagger
from spacy_bga.serving.limits import Limits
from spacy_bga.serving.metrics import Metrics


class QueueFull(Exception):
    """Too many texts wait already."""


class Closed(Exception):
    """The server is about to end."""


class Batcher:
    """Tags texts in batches while it is running. To be used within one event loop.

    tagger (Tagger): The pipeline. limits (Limits): How many texts may wait, and be tagged together.
    metrics (Metrics): Where to count.
    """

    def __init__(self, tagger: Tagger, limits: Limits, metrics: Metrics) -> None:
        self._tagger, self._limits, self._metrics = tagger, limits, metrics
        self._waiting: deque[tuple[Record, asyncio.Future[Spans | str]]] = deque()
        self._arrived, self._full = asyncio.Event(), asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "tagger", initializer=torch.set_num_threads, initargs=(1,))
        self._task: asyncio.Task[None] | None = None
        metrics.waiting.set_function(lambda: len(self._waiting))

    @property
    def is_ready(self) -> bool:
        """RETURNS (bool): Whether texts are taken."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin to take texts."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take no more texts, and tag those that were taken."""
        task, self._task = self._task, None
        while self._waiting:
            await asyncio.sleep(0.01)
        # A batch that is being tagged is waited for by the thread's end; its requests have to be answered then.
        await asyncio.get_running_loop().run_in_executor(self._thread, int)
        await asyncio.sleep(0)
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown()

    async def tag(self, records: Sequence[Record]) -> list[Spans | str]:
        """Tag the texts of a request.

        records (Sequence[Record]): The texts.
        RETURNS (list[Union[Spans, str]]): See `Tagger.tag`.
        RAISES (QueueFull, Closed): None of them is taken.
        """
        if not self.is_ready:
            raise Closed
        if len(self._waiting) + len(records) > self._limits.waiting:
            raise QueueFull
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in records]
        self._waiting.extend(zip(records, futures, strict=True))
        self._arrived.set()
        if len(self._waiting) >= self._limits.batch:
            self._full.set()
        return list(await asyncio.gather(*futures))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            if self._limits.window and len(self._waiting) < self._limits.batch:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), self._limits.window)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limits.batch))]
            self._full.clear()
            if not self._waiting:
                self._arrived.clear()
            batch = [(record, future) for record, future in batch if not future.done()]  # whose request has not gone
            if not batch:
                continue
            try:
                found = await loop.run_in_executor(self._thread, self._tag, [record for record, _ in batch])
            except Exception as error:  # such as a lack of memory: nobody may wait for ever
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), spans in zip(batch, found, strict=True):
                if not future.done():
                    future.set_result(spans)

    def _tag(self, records: Sequence[Record]) -> list[Spans | str]:
        self._metrics.batch.observe(len(records))
        with self._metrics.batch_seconds.time(), self._tagger.nlp.memory_zone():
            found = self._tagger.tag(records)
        self._metrics.texts.inc(len(found))
        self._metrics.failed.inc(sum(isinstance(spans, str) for spans in found))
        return found
