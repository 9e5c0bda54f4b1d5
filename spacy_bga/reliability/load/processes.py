"""A pipeline that was used, in other processes and threads: each has to find the same entities, and not to hang."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.reliability.subject import Answer, entities_of, tag

if TYPE_CHECKING:
    from spacy.language import Language

TIME_OUT = 300.0  # seconds: a deadlock
THREADS = 4


def try_processes(pipeline: Path, texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Use a pipeline with all of torch's threads, then hand it on. To be called in a fresh process.

    pipeline (Path): The pipeline's folder. texts (Sequence[str]): The texts.
    RETURNS (dict[str, dict[str, Any]]): For each way, "result": "same", "other entities" or "no answer", and "seconds".
    """
    import spacy
    import torch

    torch.set_num_threads(max(2, torch.get_num_threads()))  # whose threads don't survive a fork
    nlp = spacy.load(pipeline)
    expected = tag(nlp, texts)
    assert torch.get_num_threads() > 1, "a process that is no worker keeps its threads"
    ways: dict[str, Callable[[], Answer | None]] = {
        "a fork": lambda: _in_process("fork", nlp, texts),
        "a second fork": lambda: _in_process("fork", nlp, texts),
        "a spawned process": lambda: _in_process("spawn", nlp, texts),
        "a process of a fork server": lambda: _in_process("forkserver", nlp, texts),
        "a pool of threads": lambda: _in_threads(nlp, texts),
        "a fork while threads tag": lambda: _fork_beside_threads(nlp, texts),
        "two workers of nlp.pipe": lambda: [entities_of(doc) for doc in nlp.pipe(texts, n_process=2, batch_size=16)],
        "the process itself, afterwards": lambda: tag(nlp, texts),
    }
    found = {}
    for name, way in ways.items():
        started = time.monotonic()
        with warnings.catch_warnings():
            # Python 3.12 warns of forks of processes with threads
            warnings.simplefilter("ignore", DeprecationWarning)
            answer = way()
        result = "no answer" if answer is None else "same" if answer == expected else "other entities"
        found[name] = {"result": result, "seconds": round(time.monotonic() - started, 1)}
    return found


def _in_process(kind: str, nlp: Language, texts: Sequence[str]) -> Answer | None:
    """RETURNS (Optional[Answer]): What a child finds; None if it fails, or doesn't answer in time."""
    processes: Any = multiprocessing.get_context(kind)
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=_send, args=(sender, nlp, texts))
    child.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(TIME_OUT) else None
    except EOFError:  # it has ended without an answer
        return None
    finally:
        child.kill()
        child.join()


def _send(sender: Any, nlp: Language, texts: Sequence[str]) -> None:
    sender.send(tag(nlp, texts))


def _in_threads(nlp: Language, texts: Sequence[str]) -> Answer:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda text: entities_of(nlp(text)), texts))


def _fork_beside_threads(nlp: Language, texts: Sequence[str]) -> Answer | None:
    """RETURNS (Optional[Answer]): What a child finds that is forked while threads tag; None also if these find
    something else."""
    with ThreadPoolExecutor(THREADS) as pool:
        beside = [pool.submit(tag, nlp, [text]) for text in texts]
        answer = _in_process("fork", nlp, texts)
        return answer if [found for job in beside for found in job.result()] == answer else None
