"""The same application behind Ray Serve: the same answers and limits, and an orderly end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving.conftest import POSTS
from tests.serving.test_application import expected, httpx, spans

pytest.importorskip("ray", reason="needs the extra ray")


@pytest.mark.timeout(900)
def test_by_the_command(pipeline: str):
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    command = [sys.executable, "-m", "spacy_bga", "serve", pipeline, "--engine", "ray", "--port", str(port)]
    options = ["--max-text", "1000", "--max-body", "100000"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            address = next(line.split()[0] for line in lines if line.startswith("http://"))
            for text in POSTS:
                answer = httpx.post(f"{address}/entities", json={"text": text}, timeout=60)
                assert spans(answer.json()["entities"]) == expected(pipeline, text)
            assert httpx.post(f"{address}/entities", json={"text": "a" * 1001}).status_code == 422
            headers = {"Content-Type": "application/json"}
            assert httpx.post(f"{address}/entities", content=b" " * 100_001, headers=headers).status_code == 413
            with ThreadPoolExecutor(8) as pool:
                posts = [{"text": POSTS[0]}] * 40
                statuses = pool.map(lambda post: httpx.post(f"{address}/entities", json=post, timeout=60), posts)
                assert {answer.status_code for answer in statuses} == {200}
            assert "spacy_bga_texts_total" in httpx.get(f"{address}/metrics").text
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=300)
    assert process.returncode == 0
