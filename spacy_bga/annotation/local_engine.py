"""Parts on one machine: in this process, or in several."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from spacy_bga.annotation.annotator import annotate_part
from spacy_bga.annotation.job import Job, Outcome, Part
from spacy_bga.errors import BGAError, Errors


def annotate_locally(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Outcome]:
    """Annotate parts.

    job (Job): The job. parts (Sequence[Part]): What is left of it. workers (int): Processes; 1: none but this one.
    YIELDS (Outcome): What became of each part, in any order.
    RAISES (BGAError): There is no such pipeline, or a worker was killed.
    """
    if workers == 1:
        yield from (annotate_part(job, part) for part in parts)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(annotate_part, job, part) for part in parts]):
                yield future.result()
        except BrokenProcessPool as error:
            raise BGAError(Errors.B803.format(path=job.output)) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Nobody else ends the workers of a process that is killed."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
