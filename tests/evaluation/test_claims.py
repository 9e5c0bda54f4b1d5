from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spacy_bga.evaluation.claims import claim


@pytest.fixture
def dead() -> str:
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def test_a_claim_lasts_as_long_as_its_context(tmp_path: Path):
    lock = tmp_path / "new" / "run.lock"
    with claim(lock) as ours:
        assert ours
        assert lock.read_text() == str(os.getpid())
    assert not lock.exists()
    with pytest.raises(KeyboardInterrupt), claim(lock):
        raise KeyboardInterrupt
    assert not lock.exists()


@pytest.mark.parametrize("content", [str(os.getppid()), ""])
def test_what_another_process_has_claimed_is_its_own(tmp_path: Path, content: str):
    lock = tmp_path / "run.lock"
    lock.write_text(content)
    with claim(lock) as ours:
        assert not ours
    assert lock.read_text() == content


def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path, dead: str):
    lock = tmp_path / "run.lock"
    for holder in (dead, str(os.getpid())):  # an id may come again after a restart
        lock.write_text(holder)
        with claim(lock) as ours:
            assert ours
        assert not list(tmp_path.iterdir())


def test_one_alone_takes_over(tmp_path: Path, dead: str):
    script = (
        "import sys, time; from pathlib import Path; from spacy_bga.evaluation.claims import claim\n"
        "sys.stdin.read()\n"
        "with claim(Path(sys.argv[1])) as ours: print(ours); time.sleep(1)"
    )
    lock = tmp_path / "run.lock"
    lock.write_text(dead)
    command = [sys.executable, "-c", script, str(lock)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    found: list[str] = []
    threads = [threading.Thread(target=lambda p=p: found.append(p.communicate()[0].strip())) for p in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["False", "False", "False", "True"]
