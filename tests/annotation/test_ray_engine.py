"""The same files by Ray as without, also if an actor, and then the driver, are killed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spacy_bga.annotation.annotate import annotate
from tests.annotation.test_annotate import _run, files_of, job_of, rows_of

pytest.importorskip("ray", reason="needs the extra ray")
psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.timeout(900)]


def below(pid: int) -> list[Any]:
    return psutil.Process(pid).children(recursive=True)


def actors(pid: int) -> list[Any]:
    return [process for process in below(pid) if _title(process).startswith("ray::MapWorker")]


def _title(process: Any) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def driver() -> Iterator[Callable[..., Any]]:
    """Starts jobs in processes of their own, and ends what they have started."""
    started: list[Any] = []

    def start(*arguments: Any) -> Any:
        process = multiprocessing.get_context("spawn").Process(target=_run, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_alive():
            for child in below(process.pid):
                child.kill()
            process.kill()
        process.join()


def wait_for(condition: Callable[[], Any], seconds: float = 300) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
    return found


def test_killed_actor_and_driver(
    pipeline: str, tmp_path: Path, write_posts: Callable[..., Path], driver: Callable[..., Any]
):
    source, folder = write_posts(4000), tmp_path / "killed"
    annotate(job_of(pipeline, source, tmp_path / "undisturbed", part_rows=40))
    job = job_of(pipeline, source, folder, part_rows=40)
    process = driver(job, 2, "ray")
    wait_for(lambda: list(folder.rglob("part-*.jsonl")) or not process.is_alive())
    victim = actors(process.pid)[0]
    victim.kill()
    before = len(list(folder.rglob("part-*.jsonl")))
    assert before < 100, "the actor was killed too late to matter"
    wait_for(lambda: not process.is_alive())
    assert process.exitcode == 0
    assert files_of(folder) == files_of(tmp_path / "undisturbed")
    assert len({row["id"] for row in rows_of(folder)}) == 4000
