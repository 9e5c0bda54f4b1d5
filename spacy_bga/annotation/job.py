"""What is asked of a bulk annotation, and the parts that it is done in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal["parquet", "jsonl"]


@dataclass(frozen=True)
class Columns:
    """What the input calls its columns or keys. text, id, image (str): Those of each record."""

    text: str = "text"
    id: str = "id"
    image: str = "image"


@dataclass(frozen=True)
class Job:
    """A bulk annotation.

    pipeline (str): The folder or the package of a pipeline.
    input, output (str): Files and folders, local or by URL; every worker has to reach them by the same name.
    columns (Columns): What the input calls what. images (Optional[str]): The image root.
    batch_size (int): Texts that go through the pipeline together. part_rows (int): The most records of a part.
    format (str): "parquet" or "jsonl".
    """

    pipeline: str
    input: str
    output: str
    columns: Columns = Columns()
    images: str | None = None
    batch_size: int = 256
    part_rows: int = 10_000
    format: Format = "parquet"


@dataclass(frozen=True)
class Part:
    """Some consecutive records of one input file, annotated in one piece.

    source (str): The file, below the input folder. size (int): Its bytes.
    number (int): The part's, from 0, within the file. first, rows (int): Its first record, from 0, and how many.
    offset (int): Where it begins, in bytes, in formats of lines.
    id_type (str): How Arrow calls the type of its ids.
    """

    source: str
    size: int
    number: int
    first: int
    rows: int
    offset: int = 0
    id_type: str = "string"

    @property
    def name(self) -> str:
        """RETURNS (str): Its name, below the output folder, without an ending."""
        return f"{self.source}/part-{self.number:05}"


@dataclass(frozen=True)
class Outcome:
    """What became of a part.

    name (str): The part's. rows (int): Its records. failed (int): How many of them could not be tagged.
    problem (str): Why there is no part, if there is none: its file can't be read, or it can't be written itself.
    is_full (bool): Whether nothing can be written.
    """

    name: str
    rows: int = 0
    failed: int = 0
    problem: str = ""
    is_full: bool = False
