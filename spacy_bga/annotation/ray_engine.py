"""Parts on a cluster, or on the processors of one machine, by Ray Data. Nothing else imports Ray.

What goes through Ray is where parts begin and end; workers read the input and write the output themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from spacy_bga.annotation.annotator import Annotator
from spacy_bga.annotation.job import Job, Outcome, Part
from spacy_bga.ray_session import ray_session


class PartAnnotator:
    """An actor: one pipeline, which goes through part after part. job (Job): The job."""

    def __init__(self, job: Job) -> None:
        self._annotator = Annotator(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return asdict(self._annotator.annotate(Part(**row)))


def annotate_on_ray(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Outcome]:
    """Annotate parts. A worker that dies is replaced, and its part done again.

    job (Job): The job. parts (Sequence[Part]): What is left of it. workers (int): Actors, of one processor each.
    YIELDS (Outcome): What became of each part, in any order.
    RAISES (BGAError): Ray is not installed, or there is no such pipeline.
    """
    with ray_session(workers):
        import ray.data

        found = ray.data.from_items([asdict(part) for part in parts], override_num_blocks=len(parts)).map(
            PartAnnotator,  # type: ignore[arg-type]  # an actor of it, which is called
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
        )
        for row in found.iter_rows():
            yield Outcome(**row)
