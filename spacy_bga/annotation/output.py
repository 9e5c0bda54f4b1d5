"""The output: a file for each part, beside it a receipt, and in the end a manifest of all of them.

A part is done when its receipt is there. The receipt is written after the file, so that whatever a killed job has left
is either done or done again, with the same content in the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from spacy_bga.annotation.job import Job, Part
from spacy_bga.annotation.storage import Storage
from spacy_bga.errors import BGAError, Errors

JOB, RECEIPTS, MANIFEST = "_job.json", "_receipts", "_manifest.jsonl"  # readers of data sets pass over the underscore
Row = dict[str, Any]
"""A record as it is written: "id"; "spans", each with "start" and "end" in characters, "label", "text" and
"confidence"; and "error", which says why it could not be tagged, if it could not."""


class Output:
    """The output folder of a job. job (Job): The job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.storage = Storage(job.output)

    def begin(self, pipeline: str) -> None:
        """Note what is done here, or see that it is the same as before.

        pipeline (str): The digest of the pipeline.
        RAISES (BGAError): Something else was annotated in this folder.
        """
        job = self.job
        settings = {
            "pipeline": pipeline,
            "columns": vars(job.columns),
            "batch_size": job.batch_size,
            "part_rows": job.part_rows,
            "format": job.format,
        }
        if JOB not in self.storage.files():
            self.storage.write(JOB, json.dumps(settings, indent=1).encode())
            return
        with self.storage.open(JOB) as file:
            before = json.load(file)
        if changed := [name for name in settings if settings[name] != before.get(name)]:
            raise BGAError(Errors.B801.format(path=job.output, changed=", ".join(changed)))

    def write_part(self, part: Part, rows: Sequence[Row]) -> None:
        """Write a part, then its receipt. Raises an OSError if either can't be."""
        name = self._file(part)
        content = _to_parquet(rows, part.id_type) if self.job.format == "parquet" else _to_jsonl(rows)
        self.storage.write(name, content)
        failed = sum(row["error"] is not None for row in rows)
        receipt = {
            "file": name,
            "source": part.source,
            "bytes": part.size,
            "first": part.first,
            "rows": len(rows),
            "failed": failed,
        }
        self.storage.write(_receipt(part), json.dumps(receipt).encode())

    def done(self, parts: Iterable[Part]) -> dict[str, dict[str, Any]]:
        """Find what is done already.

        parts (Iterable[Part]): All parts of the job.
        RETURNS (dict[str, dict[str, Any]]): The receipts of those that are done, by the part's name.
        RAISES (BGAError): A file of the input is another one now.
        """
        there = self.storage.files()
        known = [part for part in parts if _receipt(part) in there and self._file(part) in there]
        receipts = [json.loads(data) for data in self.storage.read_all([_receipt(part) for part in known])]
        for part, receipt in zip(known, receipts, strict=True):
            if (receipt["bytes"], receipt["first"], receipt["rows"]) != (part.size, part.first, part.rows):
                raise BGAError(Errors.B802.format(source=part.source, path=self.job.output))
        return {part.name: receipt for part, receipt in zip(known, receipts, strict=True)}

    def finish(self, parts: Sequence[Part]) -> None:
        """Write the manifest, and remove what killed processes have left. parts (Sequence[Part]): All are done."""
        receipts = self.done(parts)
        lines = [json.dumps(receipts[part.name]) + "\n" for part in parts]
        self.storage.write(MANIFEST, "".join(lines).encode())
        self.storage.remove_halves()

    def _file(self, part: Part) -> str:
        return f"{part.name}.{self.job.format}"


def _receipt(part: Part) -> str:
    return f"{RECEIPTS}/{part.name}.json"


def _to_jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "replace")


def _to_parquet(rows: Sequence[Row], id_type: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    span = {
        "start": pa.int32(),
        "end": pa.int32(),
        "label": pa.string(),
        "text": pa.string(),
        "confidence": pa.float32(),
    }
    schema = pa.schema(
        {"id": pa.type_for_alias(id_type), "spans": pa.list_(pa.struct(list(span.items()))), "error": pa.string()}
    )
    ids = [str(row["id"]) if id_type == "string" else _whole(row["id"]) for row in rows]
    columns = [ids, [row["spans"] for row in rows], [row["error"] for row in rows]]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    stream = BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), stream)
    return stream.getvalue()


def _whole(id: Any) -> int | None:
    return id if isinstance(id, int) else None  # a missing one, among numbers
