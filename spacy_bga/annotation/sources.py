"""The formats of input: each file is cut into parts in one pass, and a part is read without those before it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any, NamedTuple, Protocol

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.annotation.job import Columns, Part
from spacy_bga.annotation.records import Record, parse_record
from spacy_bga.corpus.json_items import parse_json


class Cut(NamedTuple):
    """first, rows (int): Of a part. offset (int): In bytes. id_type (str): As Arrow calls it."""

    first: int
    rows: int
    offset: int = 0
    id_type: str = "string"


class Reader(Protocol):
    """A format. Both methods raise what the libraries that read it raise, if a file is damaged."""

    def cut(self, file: IO[bytes], most: int, columns: Columns) -> Iterator[Cut]:
        """YIELDS (Cut): Parts of at most so many records."""

    def read(self, file: IO[bytes], part: Part, columns: Columns, vocab: Vocab) -> Iterator[Record]:
        """YIELDS (Record): The records of a part; those that can't be used have an error."""


class JsonLines:
    """JSONL: an object on a line; blank lines count for nothing."""

    def cut(self, file: IO[bytes], most: int, columns: Columns) -> Iterator[Cut]:
        return _cut_lines(_lines(file), most)

    def read(self, file: IO[bytes], part: Part, columns: Columns, vocab: Vocab) -> Iterator[Record]:
        file.seek(part.offset)
        lines = (line for line in file if line.strip())
        for number, line in enumerate(islice(lines, part.rows), start=part.first):
            fallback = f"{part.source}:{number}"
            try:
                data = parse_json(line.decode("utf-8-sig" if not number else "utf-8"))
            except (ValueError, RecursionError) as error:
                yield Record(fallback, error=f"it is no JSON: {error}")
            else:
                yield parse_record(data, fallback, columns)


class Csv:
    """CSV with a header, as Python's csv reads it; a quoted text may have several lines."""

    def cut(self, file: IO[bytes], most: int, columns: Columns) -> Iterator[Cut]:
        rows = _CsvRows(file)
        _check_columns(rows.read_header(), columns)
        return _cut_lines(((bool(row), end) for row, end in rows), most, start=rows.position)

    def read(self, file: IO[bytes], part: Part, columns: Columns, vocab: Vocab) -> Iterator[Record]:
        rows = _CsvRows(file)
        header = rows.read_header()
        rows.seek(part.offset)
        filled = (row for row, _ in rows if row)
        for number, row in enumerate(islice(filled, part.rows), start=part.first):
            yield parse_record(dict(zip(header, row, strict=False)), f"{part.source}:{number}", columns)


class Parquet:
    """Parquet, by Arrow; of an image column its bytes or paths."""

    def cut(self, file: IO[bytes], most: int, columns: Columns) -> Iterator[Cut]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        schema, total = table.schema_arrow, table.metadata.num_rows
        _check_columns(schema.names, columns)
        is_number = columns.id in schema.names and pa.types.is_integer(schema.field(columns.id).type)
        id_type = str(schema.field(columns.id).type) if is_number else "string"
        for first in range(0, total, most):
            yield Cut(first, min(most, total - first), id_type=id_type)

    def read(self, file: IO[bytes], part: Part, columns: Columns, vocab: Vocab) -> Iterator[Record]:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file)
        names = [name for name in (columns.text, columns.id, columns.image) if name in table.schema_arrow.names]
        groups, skipped = _row_groups(table, part)
        rows = (
            row
            for batch in table.iter_batches(batch_size=256, row_groups=groups, columns=names)
            for row in batch.to_pylist()
        )
        for number, row in enumerate(islice(rows, skipped, skipped + part.rows), start=part.first):
            yield parse_record(row, f"{part.source}:{number}", columns)


class SpacyDocs:
    """spaCy's own format, which is read as a whole: a file is one part. Ids are those of `Doc._.id`, if there are."""

    def cut(self, file: IO[bytes], most: int, columns: Columns) -> Iterator[Cut]:
        if rows := len(DocBin().from_bytes(file.read())):
            yield Cut(0, rows)

    def read(self, file: IO[bytes], part: Part, columns: Columns, vocab: Vocab) -> Iterator[Record]:
        for number, doc in enumerate(DocBin().from_bytes(file.read()).get_docs(vocab)):
            data: dict[Any, Any] = doc.user_data
            own = data.get(("._.", columns.id, None, None))
            yield Record(f"{part.source}:{number}" if own is None else own, doc=doc)


READERS: Mapping[str, Reader] = {
    ".jsonl": JsonLines(),
    ".ndjson": JsonLines(),
    ".csv": Csv(),
    ".parquet": Parquet(),
    ".spacy": SpacyDocs(),
}


def reader_of(name: str) -> Reader | None:
    """RETURNS (Optional[Reader]): What reads a file, by the ending of its name."""
    return READERS.get("." + name.rpartition(".")[2].lower())


def _check_columns(names: Sequence[str], columns: Columns) -> None:
    if columns.text not in names:
        raise ValueError(f"there is no column '{columns.text}' among {', '.join(names)}")


def _lines(file: IO[bytes]) -> Iterator[tuple[bool, int]]:
    """YIELDS (tuple[bool, int]): Of each line, whether there is something on it, and where it ends."""
    position = 0
    for line in file:
        position += len(line)
        yield bool(line.strip()), position


def _cut_lines(lines: Iterable[tuple[bool, int]], most: int, *, start: int = 0) -> Iterator[Cut]:
    first, rows = 0, 0
    for is_filled, end in lines:
        rows += is_filled
        if rows == most:
            yield Cut(first, rows, start)
            first, rows, start = first + rows, 0, end
    if rows:
        yield Cut(first, rows, start)


def _row_groups(table: Any, part: Part) -> tuple[list[int], int]:
    """RETURNS (tuple[list[int], int]): The row groups that a part lies in, and how many rows of them are before it."""
    groups: list[int] = []
    skipped = start = 0
    for group in range(table.metadata.num_row_groups):
        end = start + table.metadata.row_group(group).num_rows
        if end > part.first and start < part.first + part.rows:
            if not groups:
                skipped = part.first - start
            groups.append(group)
        start = end
    return groups, skipped


class _CsvRows:
    """Rows, and where each of them ends in the file. file (IO[bytes]): The file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.position = 0
        self._file = file
        # Bytes that are no UTF-8 become lone surrogates, which cost the row that has them and no other.
        csv.field_size_limit(2**31 - 1)
        self._rows = csv.reader(self._decoded())

    def read_header(self) -> list[str]:
        """RETURNS (list[str]): The names of the columns."""
        return [name.lstrip("\ufeff") for name in next(self._rows, [])]

    def seek(self, position: int) -> None:
        self._file.seek(position)
        self.position = position

    def __iter__(self) -> Iterator[tuple[list[str], int]]:
        for row in self._rows:
            yield row, self.position

    def _decoded(self) -> Iterator[str]:
        while line := self._file.readline():
            self.position += len(line)
            yield line.decode("utf-8", "surrogateescape")
