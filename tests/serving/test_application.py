"""What the endpoint answers, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from spacy_bga.errors import BGAError
from tests.conftest import encode_picture
from tests.poison import fail_at
from tests.serving.conftest import POSTS

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi", reason="needs the extra serve")
Serve = Callable[..., tuple[str, Any]]


def expected(pipeline: str, text: str) -> list[tuple[int, int, str]]:
    import spacy

    return [(ent.start_char, ent.end_char, ent.label_) for ent in spacy.load(pipeline)(text).ents]


def spans(entities: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(entity["start"], entity["end"], entity["label"]) for entity in entities]


def test_one_text_and_several(pipeline: str, serve: Serve):
    address, _ = serve(pipeline)
    for text in POSTS:
        answer = httpx.post(f"{address}/entities", json={"text": text})
        assert (answer.status_code, spans(answer.json()["entities"])) == (200, expected(pipeline, text))
    first = httpx.post(f"{address}/entities", json={"text": POSTS[0]}).json()["entities"][0]
    assert first["text"] == POSTS[0][first["start"] : first["end"]]
    assert 0 < first["confidence"] <= 1
    answer = httpx.post(f"{address}/entities/batch", json={"texts": [{"text": text} for text in POSTS]})
    assert [spans(result["entities"]) for result in answer.json()["results"]] == [expected(pipeline, t) for t in POSTS]
    for path in ("health", "ready"):
        assert httpx.get(f"{address}/{path}").json() == "ok"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": "Kevin', 422),
        (b'{"text": "\xff\xfe"}', 400),
        (b"[" * 100_000, 400),
        (b'{"texts": []}', 422),
        (b'{"text": 7}', 422),
        (b'{"text": "a", "image": "aaaa"}', 422),  # of which this pipeline takes none
        (b'{"text": "Kevin \\ud83d in Oakland"}', 200),
        (json.dumps({"text": "a" * 1001}).encode(), 422),
        (json.dumps({"text": "a" * 1000}).encode(), 200),
        (b" " * 200_001, 413),
    ],
)
def test_bad_requests(pipeline: str, serve: Serve, body: bytes, status: int):
    """Each gets its status, and the next one on the same connection its answer."""
    address, _ = serve(pipeline, text=1000, body=200_000, texts=2)
    with httpx.Client() as client:
        answer = client.post(f"{address}/entities", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert client.post(f"{address}/entities", json={"text": POSTS[0]}).status_code == 200
        assert client.post(f"{address}/entities/batch", json={"texts": [{"text": ""}] * 3}).status_code == 422


def test_a_body_of_unknown_length_is_cut_off(pipeline: str, serve: Serve):
    address, _ = serve(pipeline, body=1000)
    chunks = (b" " * 100 for _ in range(20))
    answer = httpx.post(f"{address}/entities", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_images(pictured: str, serve: Serve):
    address, _ = serve(pictured, pixels=40 * 40)

    def ask(image: bytes | None) -> Any:
        encoded = None if image is None else base64.b64encode(image).decode()
        return httpx.post(f"{address}/entities", json={"text": POSTS[0], "image": encoded})

    confidences = [[e["confidence"] for e in ask(image).json()["entities"]] for image in (None, encode_picture(1))]
    assert confidences[0] != confidences[1]
    large = io.BytesIO()
    Image.new("L", (41, 40)).save(large, "PNG")
    for image, told in ((large.getvalue(), "more than 1,600 pixels"), (b"no image", "[B307]")):
        answer = ask(image)
        assert answer.status_code == 422
        assert told in answer.json()["detail"][0]["msg"]


def test_a_text_that_fails_costs_no_other(pipeline: str, serve: Serve, monkeypatch: pytest.MonkeyPatch):
    fail_at(monkeypatch, "poison", "can't")
    address, _ = serve(pipeline)
    texts = [{"text": POSTS[0]}, {"text": "poison"}]
    good, bad = httpx.post(f"{address}/entities/batch", json={"texts": texts}).json()["results"]
    assert (bool(good["entities"]), good["error"]) == (True, None)
    assert (bad["entities"], bad["error"]) == ([], "RuntimeError: can't")
    answer = httpx.post(f"{address}/entities", json={"text": "poison"})
    assert (answer.status_code, answer.json()["detail"][0]["msg"]) == (422, "RuntimeError: can't")
    told = httpx.get(f"{address}/metrics").text
    assert "spacy_bga_texts_total 3.0" in told
    assert "spacy_bga_texts_failed_total 2.0" in told
    assert 'spacy_bga_requests_total{path="/entities",status="422"} 1.0' in told


def _slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """RETURNS (list[int]): The sizes of the batches, each of which takes so long from now on."""
    from spacy_bga.annotation.tagger import Tagger

    tag, sizes = Tagger.tag, []

    def tag_slowly(self: Tagger, records: Any) -> Any:
        sizes.append(len(records))
        time.sleep(seconds)
        return tag(self, records)

    monkeypatch.setattr(Tagger, "tag", tag_slowly)
    return sizes


def _ask_at_once(address: str, number: int) -> Counter[int]:
    async def ask_all() -> list[Any]:
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=number)) as client:
            requests = [client.post(f"{address}/entities", json={"text": POSTS[0]}) for _ in range(number)]
            return await asyncio.gather(*requests)

    answers = asyncio.run(ask_all())
    assert all(spans(a.json()["entities"]) for a in answers if a.status_code == 200)
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("window", [0.0, 0.05])
def test_texts_of_many_requests_are_tagged_together(
    pipeline: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, window: float
):
    sizes = _slow(monkeypatch, 0.2)
    address, _ = serve(pipeline, batch=16, window=window)
    assert _ask_at_once(address, 40) == {200: 40}
    assert sum(sizes) == 40
    assert max(sizes) <= 16
    assert len(sizes) < 20


def test_what_is_too_much_is_refused_and_nothing_accepted_is_lost(
    pipeline: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    sizes = _slow(monkeypatch, 0.5)
    address, _ = serve(pipeline, batch=4, waiting=8)
    statuses = _ask_at_once(address, 60)
    assert statuses.keys() == {200, 429}
    assert sum(sizes) == statuses[200]
    assert statuses[429] >= 60 - 8 * 3


def test_a_failure_of_the_batch_keeps_nobody_waiting(pipeline: str, serve: Serve, monkeypatch: pytest.MonkeyPatch):
    from spacy_bga.annotation.tagger import Tagger

    with monkeypatch.context() as patch:
        patch.setattr(Tagger, "tag", lambda self, records: 1 / 0)
        address, _ = serve(pipeline)
        assert httpx.post(f"{address}/entities", json={"text": "a"}).status_code == 500
    assert httpx.post(f"{address}/entities", json={"text": "a"}).status_code == 200


def test_the_vocabulary_does_not_grow(pipeline: str, serve: Serve):
    address, server = serve(pipeline)
    httpx.post(f"{address}/entities", json={"text": POSTS[0]})
    strings = server.config.app.state.batcher._tagger.nlp.vocab.strings
    before = len(strings)
    texts = [{"text": f"word{number}"} for number in range(100)]
    httpx.post(f"{address}/entities/batch", json={"texts": texts})
    assert len(strings) == before


def test_nothing_is_taken_at_the_end(pipeline: str):
    """A batcher that stops answers what it has, and refuses the rest; `/ready` then says so."""
    from spacy_bga.annotation.records import Record
    from spacy_bga.annotation.tagger import Tagger
    from spacy_bga.serving.application import build_application
    from spacy_bga.serving.batcher import Batcher
    from spacy_bga.serving.limits import Limits
    from spacy_bga.serving.metrics import Metrics

    tagger = Tagger(pipeline)

    async def stop_early() -> list[Any]:
        batcher = Batcher(tagger, Limits(batch=2), Metrics())
        batcher.start()
        asked = [asyncio.create_task(batcher.tag([Record(0, POSTS[0])])) for _ in range(7)]
        await asyncio.sleep(0)
        await batcher.stop()
        assert not batcher.is_ready
        return await asyncio.gather(*asked)

    assert all(spans(found) for (found,) in asyncio.run(stop_early()))
    app = build_application(tagger)

    async def ask_late() -> list[int]:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server")
        async with app.router.lifespan_context(app), client:
            task, app.state.batcher._task = app.state.batcher._task, None
            answers = [await client.get("/ready"), await client.post("/entities", json={"text": "a"})]
            app.state.batcher._task = task
        return [answer.status_code for answer in answers]

    assert asyncio.run(ask_late()) == [503, 503]


@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGTERM")
def test_a_server_that_is_ended_answers_what_it_accepted(pipeline: str):
    """By the command, in a process of its own: at SIGTERM requests are under way."""
    command = [sys.executable, "-m", "spacy_bga", "serve", pipeline, "--port", "0", "--batch-size", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        try:
            text = " ".join(POSTS) * 60
            with ThreadPoolExecutor(12) as pool:
                asked = [
                    pool.submit(httpx.post, f"{address}/entities", json={"text": text}, timeout=60) for _ in range(12)
                ]
                while "spacy_bga_texts_total 0.0" in (told := httpx.get(f"{address}/metrics").text):
                    time.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                answers = [job.exception() or job.result().status_code for job in asked]
        finally:
            code = process.wait(120)
    assert code in (0, -signal.SIGTERM)
    assert "spacy_bga_texts_waiting" in told
    assert Counter(answers)[200] >= 2
    # What was not accepted could not connect any more, or got 503; nothing was cut off in the middle.
    assert all(a in (200, 503) or isinstance(a, httpx.ConnectError) for a in answers), answers


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(pipeline: str, serve: Serve):
    pytest.importorskip("schemathesis")
    address, _ = serve(pipeline, text=1000)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
    options = ["--max-examples", "25", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"]
    done = subprocess.run(command + options, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]


def test_a_port_that_is_taken(pipeline: str, serve: Serve):
    from spacy_bga.serving.server import listen

    address, _ = serve(pipeline)
    with pytest.raises(BGAError, match="B811"):
        listen("127.0.0.1", int(address.rpartition(":")[2]))


def test_missing_packages(monkeypatch: pytest.MonkeyPatch):
    from spacy_bga.serving import server

    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(BGAError, match="B810"):
        server.serve("anything")
