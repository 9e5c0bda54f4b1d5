"""Workers forked after threads have tagged: none of them waits for a thread that it does not have.

A worker was reported once that span in the memory manager of MKL. Of 200 that were forked after 8 threads had tagged,
none did, with `MKL_DISABLE_FAST_MM=1` or without: `limit_worker_threads` leaves each of them one thread. The few here
are what a test has time for.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
import torch
from spacy.language import Language

from spacy_bga.pipeline import bridge
from tests.pipeline.conftest import POSTS, found

TEXTS = [text for text, _ in POSTS] * 4
FORKS = 6
PATIENCE = 60.0


def tag_in_threads(nlp: Language, *, n_threads: int) -> None:
    threads = [threading.Thread(target=lambda: list(nlp.pipe(TEXTS))) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait(pid: int) -> int | None:
    """RETURNS (int | None): The exit status of a process; None if it hung, and had to be killed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_threads_have_tagged(tagger: Language):
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        tag_in_threads(tagger, n_threads=8)
        for _ in range(FORKS):
            pid = os.fork()
            if pid == 0:
                right = [found(doc) for doc in tagger.pipe(TEXTS)] == [ents for _, ents in POSTS] * 4
                os._exit(0 if right and torch.get_num_threads() == 1 else 3)
            assert wait(pid) == 0
    finally:
        torch.set_num_threads(before)


def test_a_worker_of_spacys(tagger: Language):
    tag_in_threads(tagger, n_threads=4)
    assert [found(doc) for doc in tagger.pipe(TEXTS, n_process=2, batch_size=4)] == [ents for _, ents in POSTS] * 4
    assert not bridge._threads_limited  # the guard is the worker's own
