"""Serving: times and throughput against the window of batches, what batching gains, overload, and the end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from spacy_bga.annotation.tagger import Tagger
from spacy_bga.serving.application import build_application
from spacy_bga.serving.limits import Limits
from spacy_bga.serving.server import listen

WINDOWS = (0, 2, 5, 10)  # milliseconds


def measure_serving(pipeline: str, texts: Sequence[str], *, seconds: int, clients: int) -> dict[str, Any]:
    """Load servers of a pipeline, each in a process of its own.

    pipeline (str): The pipeline. texts (Sequence[str]): What is asked. seconds (int): Of each load.
    clients (int): How many at once.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    with tempfile.TemporaryDirectory() as folder:
        posts = Path(folder) / "posts.json"
        posts.write_text(json.dumps(list(texts)), encoding="utf8")
        rows = {}
        for name, options in {
            "one text at a time": ["--batch-size", "1"],
            **{f"window {window} ms": ["--window", str(window)] for window in WINDOWS},
            "overload": ["--max-waiting", str(clients // 2)],
        }.items():
            with _server(pipeline, options) as address:
                number = clients * 4 if name == "overload" else clients
                before = _metrics(address)["process_cpu_seconds_total"]
                rows[name] = _load(address, posts, Path(folder), number, seconds) | _effort(address, before)
            print(name, rows[name], flush=True)
    shutdown = _end_under_load(pipeline, texts, clients)
    print("shutdown", shutdown, flush=True)
    best = rows[f"window {WINDOWS[0]} ms"]
    serve = {
        **{key: best[key] for key in ("p50_ms", "p95_ms", "p99_ms", "rps")},
        # In the server's own processor time, which other work on the machine does not change: it has one core.
        "batching_gain": round(best["texts_per_cpu_second"] / rows["one text at a time"]["texts_per_cpu_second"], 2),
        "lost_on_shutdown": shutdown["accepted"] - shutdown["answered"],
        "overload_lost": rows["overload"]["failed"],
    }
    return {"figures": {"serve": serve}, "details": {"clients": clients, "loads": rows, "shutdown": shutdown}}


@contextmanager
def _server(pipeline: str, options: Sequence[str]) -> Iterator[str]:
    command = [sys.executable, "-m", "spacy_bga", "serve", pipeline, "--port", "0", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def _load(address: str, posts: Path, folder: Path, clients: int, seconds: int) -> dict[str, Any]:
    prefix = folder / "locust"
    run = ["--headless", "-u", str(clients), "-r", str(clients), "-t", f"{seconds}s", "-H", address]
    told = ["--csv", str(prefix), "--only-summary", "--loglevel", "ERROR"]
    file = str(Path(__file__).parent / "locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", file, *run, *told]
    subprocess.run(command, env={**os.environ, "POSTS": str(posts)}, stdout=subprocess.DEVNULL, check=False)
    with Path(f"{prefix}_stats.csv").open(encoding="utf8", newline="") as stats:
        by_name = {row["Name"]: row for row in csv.DictReader(stats)}
    row, refused = by_name["entities"], by_name.get("refused")
    return {
        "rps": round(float(row["Requests/s"]), 1),
        **{f"p{share}_ms": float(row[f"{share}%"]) for share in (50, 95, 99)},
        "answered": int(row["Request Count"]) - int(row["Failure Count"]),
        "failed": int(row["Failure Count"]),
        "refused": int(refused["Request Count"]) if refused else 0,
        "refused_p50_ms": float(refused["50%"]) if refused else None,
    }


def _metrics(address: str) -> dict[str, float]:
    lines = httpx.get(f"{address}/metrics", timeout=60).text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def _effort(address: str, before: float) -> dict[str, float]:
    """RETURNS (dict[str, float]): What the server tells of itself: "texts_per_cpu_second", without its start, and the
    mean "texts_per_batch"."""
    told = _metrics(address)
    texts = told["spacy_bga_texts_total"]
    return {
        "texts_per_cpu_second": round(texts / (told["process_cpu_seconds_total"] - before), 1),
        "texts_per_batch": round(texts / told["spacy_bga_batch_texts_count"], 1),
    }


def _end_under_load(pipeline: str, texts: Sequence[str], clients: int) -> dict[str, int]:
    """RETURNS (dict[str, int]): How many texts a server accepted that was ended under load, and how many answers came.

    The server is in this process, so that what it has counted can be read when it is gone."""
    app = build_application(Tagger(pipeline), Limits())
    answers: Counter[str] = Counter()
    with listen("127.0.0.1", 0) as place:
        address = f"http://127.0.0.1:{place.getsockname()[1]}/entities"
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, args=([place],))
        thread.start()

        def ask() -> None:
            while thread.is_alive():
                try:
                    status = httpx.post(address, json={"text": texts[sum(answers.values()) % len(texts)]}, timeout=60)
                    answers[str(status.status_code)] += 1
                except httpx.HTTPError as error:
                    answers[type(error).__name__] += 1

        asking = [threading.Thread(target=ask) for _ in range(clients)]
        for client in asking:
            client.start()
        while answers["200"] < 3 * clients:
            time.sleep(0.01)
        server.should_exit = True
        for client in [*asking, thread]:
            client.join()
    accepted = app.state.batcher._metrics.texts._value.get()
    return {"accepted": int(accepted), "answered": answers["200"]}
