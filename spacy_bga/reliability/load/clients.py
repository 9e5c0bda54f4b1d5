"""Several clients at once ask a server, some of them for what it can't answer."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import socket
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_bga.benchmark.statistics import percentile
from spacy_bga.reliability.subject import Entity
from spacy_bga.serving.limits import Limits
from spacy_bga.serving.server import serve

PLACE = "/entities"
LIMITS = Limits(text=1_000_000)
TIME_OUT = 120.0  # seconds without an answer: a deadlock
BAD_SHARE = 0.2
START_UP = 300.0  # seconds

BAD_REQUESTS: dict[str, tuple[bytes, int]] = {
    "no JSON": (b'{"text": "Kevin', 422),
    "no UTF-8": (b'{"text": "\xff\xfe"}', 400),
    "nested too deeply": (b"[" * 100_000, 400),
    "no text": (b'{"texts": []}', 422),
    "a number for a text": (b'{"text": 7}', 422),
    "half a character": (b'{"text": "Kevin \\ud83d in Oakland"}', 200),
    "a text that is too long": (json.dumps({"text": "a b " * 300_000}).encode(), 422),
    "a body that is too large": (b" " * (LIMITS.body + 1), 413),
}
GONE = "a client that goes away"


@dataclass
class Answers:
    """What the clients got.

    seconds (list[float]): The time of each answer to a good request. wrong (int): How many had other entities.
    bad (Counter): How often each sort of bad request was made. faults (Counter): What should not be, and how often.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


def load_server(
    pipeline: Path,
    texts: Sequence[str],
    expected: Sequence[Sequence[Entity]],
    *,
    requests: int,
    clients: int,
    seed: int,
) -> dict[str, Any]:
    """Start a server, ask it, and end it.

    pipeline (Path): The pipeline's folder. texts (Sequence[str]): The texts to ask for, and their `expected` entities.
    requests (int): How many, of all clients together.
    clients (int): How many at once. seed (int): Draws the requests.
    RETURNS (dict[str, Any]): "requests", "clients", "answered", the good requests, and "answers_per_second"; "p50_ms",
        "p95_ms" and "p99_ms", percentiles of the time until the answer, and "slowest_ms"; "wrong_answers", with other
        entities; "bad_requests" by sort, and "faults".
    """
    processes = multiprocessing.get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    server = processes.Process(target=_serve, args=(pipeline, sender), daemon=True)
    server.start()
    try:
        if not receiver.poll(START_UP):
            raise TimeoutError
        port = int(receiver.recv().rpartition(":")[2])
        shares = [requests // clients + (number < requests % clients) for number in range(clients)]
        started = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            work = [pool.submit(_ask, port, texts, expected, share, seed + i) for i, share in enumerate(shares)]
            found = [job.result() for job in work]
        passed = time.monotonic() - started
        alive = server.is_alive()
    finally:
        server.kill()
        server.join()
    return _summarize(found, passed, alive) | {"requests": requests, "clients": clients}


def _serve(pipeline: Path, address: Any) -> None:
    serve(str(pipeline), LIMITS, port=0, started=address.send)


def _ask(port: int, texts: Sequence[str], expected: Sequence[Sequence[Entity]], requests: int, seed: int) -> Answers:
    """One client: a connection that it keeps, unless the server closes it."""
    rng, found = random.Random(seed), Answers()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIME_OUT)
    for _ in range(requests):
        try:
            if rng.random() < BAD_SHARE:
                _ask_badly(connection, port, rng.choice([*BAD_REQUESTS, GONE]), found)
            else:
                _ask_well(connection, texts, expected, rng.randrange(len(texts)), found)
        except (OSError, http.client.HTTPException) as error:  # a time-out is an OSError
            found.faults[type(error).__name__] += 1
            connection.close()
    connection.close()
    return found


def _ask_well(
    connection: http.client.HTTPConnection,
    texts: Sequence[str],
    expected: Sequence[Sequence[Entity]],
    place: int,
    found: Answers,
) -> None:
    started = time.perf_counter()
    status, content = _post(connection, json.dumps({"text": texts[place]}).encode())
    found.seconds.append(time.perf_counter() - started)
    if status != 200:
        found.faults[f"status {status}"] += 1
    else:
        entities = [(entity["start"], entity["end"], entity["label"]) for entity in content["entities"]]
        found.wrong += entities != list(expected[place])


def _ask_badly(connection: http.client.HTTPConnection, port: int, name: str, found: Answers) -> None:
    found.bad[name] += 1
    if name == GONE:
        with socket.create_connection(("127.0.0.1", port), timeout=TIME_OUT) as half:
            half.sendall(f"POST {PLACE} HTTP/1.1\r\nContent-Length: 1000\r\n\r\nKevin".encode())
        return
    body, wanted = BAD_REQUESTS[name]
    try:
        status, _ = _post(connection, body)
    except (BrokenPipeError, ConnectionResetError):  # the server has refused it before it was sent
        connection.close()
        if wanted != 413:
            raise
    else:
        if status != wanted:
            found.faults[f"{name}: status {status}"] += 1


def _post(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, Any]:
    connection.request("POST", PLACE, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    return response.status, json.loads(content) if response.status == 200 else content


def _summarize(found: Sequence[Answers], passed: float, alive: bool) -> dict[str, Any]:
    seconds = [second for answers in found for second in answers.seconds]
    faults: Counter[str] = sum((answers.faults for answers in found), Counter())
    if not alive:
        faults["the server has ended"] += 1
    bad: Counter[str] = sum((answers.bad for answers in found), Counter())
    return {
        "answered": len(seconds),
        "answers_per_second": round(len(seconds) / passed, 1),
        **{f"p{share}_ms": round(1000 * percentile(seconds, share / 100), 1) for share in (50, 95, 99)},
        "slowest_ms": round(1000 * max(seconds), 1),
        "wrong_answers": sum(answers.wrong for answers in found),
        "bad_requests": dict(sorted(bad.items())),
        "faults": dict(sorted(faults.items())),
    }
