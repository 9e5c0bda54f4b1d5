"""What a server tells Prometheus of itself."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Metrics:
    """The metrics of one application, apart from those of others in the same process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "spacy_bga_requests", "Requests by path and status.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram("spacy_bga_request_seconds", "Time of a request.", ["path"], registry=registry)
        self.texts = Counter("spacy_bga_texts", "Texts that were tagged.", registry=registry)
        self.failed = Counter("spacy_bga_texts_failed", "Texts that could not be tagged.", registry=registry)
        self.waiting = Gauge("spacy_bga_texts_waiting", "Texts that wait to be tagged.", registry=registry)
        sizes = [2**i for i in range(11)]
        self.batch = Histogram("spacy_bga_batch_texts", "Texts tagged together.", buckets=sizes, registry=registry)
        self.batch_seconds = Histogram("spacy_bga_batch_seconds", "Time to tag a batch.", registry=registry)


class CountRequests:
    """Middleware that counts and times requests.

    app (ASGIApp): The application. metrics (Metrics): Where to count. paths (Collection[str]): Those to tell apart.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path = scope["path"] if scope["path"] in self._paths else "other"
        started = time.perf_counter()

        async def count(message: Message) -> Any:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(path, message["status"]).inc()
                self._metrics.seconds.labels(path).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, count)
