"""What a worker does: it loads the pipeline once, and annotates part after part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from spacy.util import minibatch

from spacy_bga.annotation.job import Job, Outcome, Part
from spacy_bga.annotation.output import Output, Row
from spacy_bga.annotation.records import Record
from spacy_bga.annotation.sources import reader_of
from spacy_bga.annotation.storage import Storage
from spacy_bga.annotation.tagger import Tagger
from spacy_bga.errors import printable, reason


class Annotator:
    """A pipeline with the job that it is for. job (Job): The job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.output = Output(job)
        self.tagger = Tagger(job.pipeline, images=job.images)
        # An image that nobody looks at need not be read.
        self._columns = job.columns if self.tagger.looks_at_images else replace(job.columns, image="")

    def annotate(self, part: Part) -> Outcome:
        """Annotate a part, and write it. A record that can't be tagged is written with its error.

        part (Part): The part.
        RETURNS (Outcome): What became of it; an input that can't be read, and a full disk, are told of there.
        """
        try:
            rows = list(self._rows(part))
        except Exception as error:  # of pyarrow, msgpack, zlib, fsspec: for whatever is wrong with a file
            return Outcome(part.name, problem=f"{part.source}: {printable(reason(error))}")
        try:
            self.output.write_part(part, rows)
        except OSError as error:
            return Outcome(part.name, problem=f"{self.job.output}/{part.name}: {reason(error)}", is_full=True)
        return Outcome(part.name, len(rows), sum(row["error"] is not None for row in rows))

    def _rows(self, part: Part) -> Iterator[Row]:
        reader = reader_of(part.source)
        assert reader is not None  # or it would be no part
        nlp, count = self.tagger.nlp, 0
        with Storage(self.job.input).open(part.source) as file, nlp.memory_zone():
            records = reader.read(file, part, self._columns, nlp.vocab)
            for batch in minibatch(records, self.job.batch_size):
                yield from self._annotate(batch)
                count += len(batch)
        if count != part.rows:
            raise ValueError(f"of its records from {part.first} on there are {count} now, and were {part.rows} before")

    def _annotate(self, records: Sequence[Record]) -> Iterator[Row]:
        for record, found in zip(records, self.tagger.tag(records), strict=True):
            error = found if isinstance(found, str) else None
            yield {"id": record.id, "spans": [] if isinstance(found, str) else found, "error": error}


@cache
def _annotator(job: Job) -> Annotator:
    return Annotator(job)


def annotate_part(job: Job, part: Part) -> Outcome:
    """Annotate a part by the pipeline that this process has loaded for the job, or loads now. See `Annotator`."""
    return _annotator(job).annotate(part)
