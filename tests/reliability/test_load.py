"""A server and its clients, forks, spawned processes and threads, in their short form."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.reliability.load import clients, processes
from spacy_bga.reliability.load.clients import BAD_REQUESTS, GONE, LIMITS, Answers
from spacy_bga.reliability.subject import Answer

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("fastapi", reason="needs the extra serve")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")


@pytest.fixture
def port(pipeline: Path) -> Iterator[int]:
    from spacy_bga.annotation.tagger import Tagger
    from spacy_bga.serving.application import build_application
    from spacy_bga.serving.server import listen

    with listen("127.0.0.1", 0) as place:
        application = build_application(Tagger(str(pipeline)), LIMITS)
        server = uvicorn.Server(uvicorn.Config(application, log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, args=([place],))
        thread.start()
        yield place.getsockname()[1]
        server.should_exit = True
        thread.join()


def test_answers(port: int, texts: list[str], expected: Answer):
    found = Answers()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for place in range(len(texts)):
        clients._ask_well(connection, texts, expected, place, found)
    connection.close()
    assert (len(found.seconds), found.wrong, found.faults) == (len(texts), 0, Counter())


@pytest.mark.parametrize("name", [*BAD_REQUESTS, GONE])
def test_bad_requests(port: int, name: str, texts: list[str], expected: Answer):
    """Each gets its status, and what is asked next, by the same client, gets its answer."""
    found = Answers()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    clients._ask_badly(connection, port, name, found)
    clients._ask_well(connection, texts, expected, 0, found)
    connection.close()
    assert (found.bad, found.faults, found.wrong) == (Counter([name]), Counter(), 0)


def test_many_clients(port: int, texts: list[str], expected: Answer):
    found: list[Answers] = []
    threads = [
        threading.Thread(target=lambda seed=seed: found.append(clients._ask(port, texts, expected, 20, seed)))
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    told = clients._summarize(found, 1.0, alive=True)
    assert told["answered"] + sum(told["bad_requests"].values()) == 80
    assert (told["wrong_answers"], told["faults"]) == (0, {})
    assert 0 < told["p50_ms"] <= told["p95_ms"] <= told["p99_ms"] <= told["slowest_ms"]


def test_other_entities_are_seen(port: int, texts: list[str], expected: Answer):
    found = clients._ask(port, texts, [[(0, 1, "NONE")]] * len(texts), 10, 0)
    assert found.wrong == len(found.seconds) > 0


def test_a_server_that_hangs_is_seen(monkeypatch: pytest.MonkeyPatch, port: int, texts: list[str]):
    from spacy_bga.annotation.tagger import Tagger

    def hang(self: Tagger, records: list[Any]) -> list[Any]:
        time.sleep(0.5)
        return [[]] * len(records)

    monkeypatch.setattr(clients, "TIME_OUT", 0.2)
    monkeypatch.setattr(clients, "BAD_SHARE", 0.0)
    monkeypatch.setattr(Tagger, "tag", hang)
    assert clients._ask(port, texts, [[]] * len(texts), 2, 0).faults == Counter(TimeoutError=2)
    assert clients._summarize([Answers(seconds=[1.0])], 1.0, alive=False)["faults"] == {"the server has ended": 1}


def test_a_process_that_hangs_is_seen(monkeypatch: pytest.MonkeyPatch, pipeline: Path):
    nlp = spacy.load(pipeline)
    monkeypatch.setattr(processes, "TIME_OUT", 0.5)
    monkeypatch.setattr(processes, "tag", lambda nlp, texts: time.sleep(60))
    started = time.monotonic()
    assert processes._in_process("fork", nlp, ["kevin"]) is None
    assert time.monotonic() - started < 30
    monkeypatch.setattr(processes, "tag", lambda nlp, texts: sys.exit(1))
    assert processes._in_process("fork", nlp, ["kevin"]) is None


@pytest.mark.timeout(600)
def test_the_campaign(tmp_path: Path, pipeline: Path, texts_file: Path):
    files = ["--output", str(tmp_path / "evidence.json"), "--page", str(tmp_path / "page.md")]
    command = ["reliability", "load", str(pipeline), str(texts_file), "--requests", "60", "--clients", "3", *files]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evidence.json").read_text(encoding="utf8"))
    assert (found["handed_on"], found["handed_on_failed"]) == (8, 0)
    assert (found["served_requests"], found["served_faults"], found["served_wrong_answers"]) == (60, 0, 0)
    details = found["campaigns"]["load"]
    assert {way["result"] for way in details["processes"].values()} == {"same"}
    assert all(server["bad_requests"] for server in details["servers"].values())
    page = (tmp_path / "page.md").read_text(encoding="utf8")
    assert "| a fork while threads tag | same |" in page
    assert str(tmp_path) not in json.dumps(found)
