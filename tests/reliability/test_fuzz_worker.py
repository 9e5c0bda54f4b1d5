"""What must not happen is noticed: each of these inputs does one thing that the campaign is there to find."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from spacy_bga.errors import BGAError, Errors
from spacy_bga.reliability.fuzz import guard, worker
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import Broken, clear, expect, judge
from spacy_bga.reliability.fuzz.worker import Part, auditor, read_journal, run_part

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the campaign needs Linux")
SECRET = "secret.txt"


def try_inputs(attempt: Callable[[Any, int], str], tmp_path: Path, *, inputs: int = 5) -> Part:
    numbers = st.integers(0, 10**6)
    kind = Kind({"numbers": Form(numbers)}, lambda folder: folder, attempt)
    return run_part(kind, kind.forms["numbers"], tmp_path, number=1, inputs=inputs, journal=tmp_path / "journal")


def swallow(action: Callable[[], Any]) -> None:
    """As code does that takes every failure for an answer."""
    with suppress(Exception):
        action()


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getpid, ()


def test_answers_and_errors_are_counted(tmp_path: Path):
    def attempt(bench: Path, number: int) -> str:
        expect(bench == tmp_path, "another bench")
        return judge(lambda: None) if number % 2 else judge(lambda: (_ for _ in ()).throw(BGAError(Errors.B201)))

    part = try_inputs(attempt, tmp_path, inputs=40)
    assert (part.tried, part.problems) == (40, {})
    assert sum(part.outcomes.values()) == 40
    assert 1 < len(part.digests) <= 40
    assert not (tmp_path / "journal").exists()


def test_the_same_seed_draws_the_same_inputs(tmp_path: Path):
    first, second = (try_inputs(lambda bench, number: "answer", tmp_path, inputs=20) for _ in range(2))
    assert first.digests == second.digests


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (lambda: socket.create_connection(("127.0.0.1", 9)), "socket."),
        (lambda: socket.gethostbyname("localhost"), "socket.gethostbyname"),
        (lambda: subprocess.run([sys.executable, "-c", ""], check=False), "subprocess.Popen"),
        (lambda: os.system("true"), "os.system"),
        (lambda: pickle.loads(pickle.dumps(Payload())), "pickle.find_class"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda action: action(), swallow])
def test_what_no_input_may_bring_about(action: Callable[[], Any], told: str, wrap: Any, tmp_path: Path):
    part = try_inputs(lambda bench, number: wrap(action) or "answer", tmp_path)
    assert part.problems == {"forbidden": 5}
    assert told in part.examples[0]


def test_a_file_outside_of_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / SECRET).write_text("x", encoding="utf8")
    monkeypatch.setattr(auditor, "secret", str(tmp_path))
    part = try_inputs(lambda bench, number: swallow((bench / SECRET).read_text) or "answer", tmp_path)
    assert part.problems == {"forbidden": 5}
    assert SECRET in part.examples[0]


def test_the_auditor_is_silent_outside_of_an_input():
    assert pickle.loads(pickle.dumps(Payload())) == os.getpid()
    assert auditor.found == []


def test_an_unclear_error_costs_no_other_input(tmp_path: Path):
    def attempt(bench: Path, number: int) -> str:
        return str(1 // (number % 2))

    part = try_inputs(attempt, tmp_path, inputs=40)
    assert part.problems["unclear"] + part.outcomes["1"] == part.tried == 40
    assert part.examples[0].startswith("unclear: ZeroDivisionError")


def test_a_crash_ends_the_part_and_names_the_input(tmp_path: Path):
    part = try_inputs(lambda bench, number: os.kill(os.getpid(), signal.SIGKILL) or "answer", tmp_path)
    assert (part.tried, part.problems) == (1, {"crash": 1})
    assert part.examples[0].startswith(f"crash: the process ended with -{int(signal.SIGKILL)}\n")


def test_a_loop_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "CPU_LIMIT", 0.2)

    def attempt(bench: Path, number: int) -> str:
        while True:
            pass

    assert try_inputs(attempt, tmp_path).problems == {"time": 1}


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "WALL_LIMIT", 0.5)
    os.mkfifo(tmp_path / "pipe")
    start = time.monotonic()
    part = try_inputs(lambda bench, number: (bench / "pipe").read_text(), tmp_path)
    assert part.problems == {"time": 1}
    assert time.monotonic() - start < 60


def test_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "MEMORY_LIMIT", 50)
    part = try_inputs(lambda bench, number: str(len(bytearray(100 * 2**20)) > 0), tmp_path, inputs=3)
    assert part.problems == {"memory": 3}
    assert 99 <= part.largest < 200


def test_memory_without_end(tmp_path: Path):
    part = try_inputs(lambda bench, number: str(len(bytearray(2**34))), tmp_path, inputs=2)
    assert part.problems == {"unclear": 2}
    assert "MemoryError" in part.examples[0]


def test_a_torn_journal_is_read_as_far_as_it_goes(tmp_path: Path):
    lines = [{"digest": "a", "shown": "1"}, {"outcome": "answer", "seconds": 1.5, "memory": 7.0}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"digest": "b", "shown": "'the second'"}])
    (tmp_path / "journal").write_text(text, encoding="utf8")
    part = read_journal(tmp_path / "journal", -signal.SIGKILL)
    assert (part.tried, part.outcomes, part.problems) == (2, {"answer": 1}, {"crash": 1})
    assert (part.slowest, part.largest) == (1.5, 7.0)
    assert "the second" in part.examples[0]
    assert read_journal(tmp_path / "absent", 1).problems == {"crash": 1}


class TestVerdict:
    @pytest.mark.parametrize("error", [ValueError("[B201] looks like one"), KeyError("x"), UnicodeError("x")])
    def test_no_error_of_ours(self, error: Exception):
        with pytest.raises(Broken, match=type(error).__name__):
            clear(error)

    def test_a_message_without_a_code(self):
        with pytest.raises(Broken, match="without a code"):
            judge(lambda: clear(BGAError("Something is wrong.")))

    @pytest.mark.parametrize("text", ["\x1b[2J", "\u202e", "\ud800", "\r"])
    def test_a_message_that_drives_a_terminal(self, text: str):
        error = BGAError("[B201] ")
        error.args = (f"[B201] {text}",)
        with pytest.raises(Broken, match="with the character"):
            clear(error)

    def test_a_message_of_megabytes(self):
        error = BGAError("[B201] ")
        error.args = ("[B201] " + "x" * 10**6,)
        with pytest.raises(Broken, match="1,000,007 characters"):
            clear(error)
