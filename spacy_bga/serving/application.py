"""The application: what is asked at which path. uvicorn runs it, and Ray Serve."""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions within functions.

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from spacy_bga.about import __title__, __version__
from spacy_bga.annotation.records import Record
from spacy_bga.annotation.tagger import Spans, Tagger
from spacy_bga.corpus.images import read_header
from spacy_bga.errors import ImageError
from spacy_bga.serving.batcher import Batcher, Closed, QueueFull
from spacy_bga.serving.limits import Limits
from spacy_bga.serving.messages import Entities, Problem, Problems, Result, Results, request_models
from spacy_bga.serving.metrics import CountRequests, Metrics

PATHS = ("/entities", "/entities/batch", "/health", "/ready", "/metrics")
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no JSON."},
    413: {"description": "The body is too large.", "content": {"text/plain": {}}},
    422: {"model": Problems, "description": "A text or an image can't be used."},
    429: {"model": Problem, "description": "Too many texts wait. Try again later."},
    503: {"model": Problem, "description": "The server is about to end."},
}


def build_application(tagger: Tagger, limits: Limits | None = None) -> FastAPI:
    """Make the application of a pipeline.

    tagger (Tagger): The pipeline. limits (Optional[Limits]): What it takes; None: the defaults.
    RETURNS (FastAPI): The application. `app.state.batcher` is what tags.
    """
    limits = limits or Limits()
    metrics = Metrics()

    @asynccontextmanager
    async def run_batcher(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = Batcher(tagger, limits, metrics)
        app.state.batcher.start()
        yield
        await app.state.batcher.stop()

    app = FastAPI(title=__title__, version=__version__, lifespan=run_batcher)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=limits.body)
    app.add_middleware(CountRequests, metrics=metrics, paths=PATHS)
    app.add_exception_handler(RequestValidationError, _tell_problems)
    _add_entities(app, limits, images=tagger.looks_at_images)
    _add_checks(app, metrics)
    return app


def _add_entities(app: FastAPI, limits: Limits, *, images: bool) -> None:
    Text, Texts = request_models(limits, images=images)

    @app.post("/entities", responses=REFUSALS)
    async def entities(request: Text) -> Entities:  # type: ignore[valid-type]
        """Find the entities of a text."""
        (found,) = await _tag(app, [_record(request, ("body",), limits)])
        if isinstance(found, str):
            raise _problem(("body", "text"), found)
        return Entities(entities=found)  # type: ignore[arg-type]

    @app.post("/entities/batch", responses=REFUSALS)
    async def batch(request: Texts) -> Results:  # type: ignore[valid-type]
        """Find the entities of several texts. One that can't be tagged costs no other."""
        records = [
            _record(text, ("body", "texts", i), limits)
            for i, text in enumerate(request.texts)  # type: ignore[attr-defined]
        ]
        return Results(results=[_result(found) for found in await _tag(app, records)])


def _add_checks(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/health")
    async def health() -> str:
        """Whether the process answers."""
        return "ok"

    @app.get("/ready", responses={503: REFUSALS[503]})
    async def ready() -> str:
        """Whether texts are taken."""
        if not app.state.batcher.is_ready:
            raise HTTPException(503, "The server is about to end.")
        return "ok"

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def told() -> Response:
        """What Prometheus reads."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _tag(app: FastAPI, records: Sequence[Record]) -> list[Spans | str]:
    try:
        return await app.state.batcher.tag(records)
    except QueueFull:
        raise HTTPException(429, "Too many texts wait. Try again later.", {"Retry-After": "1"}) from None
    except Closed:
        raise HTTPException(503, "The server is about to end.") from None


def _record(text: Any, place: tuple[str | int, ...], limits: Limits) -> Record:
    """RETURNS (Record): What to tag. Raises a RequestValidationError for an image that can't be used."""
    image = getattr(text, "image", None)
    if image is None:
        return Record(0, text.text)
    try:
        header = read_header(image)
    except ImageError as error:
        raise _problem((*place, "image"), str(error)) from error
    if header.width * header.height > limits.pixels:
        raise _problem((*place, "image"), f"It has more than {limits.pixels:,} pixels.")
    return Record(0, text.text, (image,))


def _result(found: Spans | str) -> Result:
    if isinstance(found, str):
        return Result(entities=[], error=found)
    return Result(entities=found)  # type: ignore[arg-type]


def _problem(place: tuple[str | int, ...], message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": place, "msg": message, "type": "value_error"}])


async def _tell_problems(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer quotes the input, which may be large, or no UTF-8."""
    assert isinstance(error, RequestValidationError)
    detail = [{key: problem[key] for key in ("loc", "msg", "type")} for problem in error.errors()]
    return JSONResponse({"detail": detail}, 422)
