"""Rows of Hugging Face `datasets`: tokens with tags, or texts, and pictures whose bytes lie in the rows themselves.

Needs the extra `datasets`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spacy_bga.corpus.cells import is_empty, parse_text
from spacy_bga.corpus.conll import Post
from spacy_bga.corpus.record import Record
from spacy_bga.errors import BGAError, Errors

PREFIX = "hf:"
_TOKENS, _TAGS, _TEXTS = ("tokens", "words"), ("ner_tags", "tags", "labels"), ("text", "caption", "sentence")
_IMAGES = ("image", "images", "img")
_SAVED, _SAVED_SPLITS = "dataset_info.json", "dataset_dict.json"


def is_hugging_face(source: Path) -> bool:
    """RETURNS (bool): Whether a path is Parquet, or a folder of it or of a saved data set."""
    if source.is_dir():
        return any((source / name).is_file() for name in (_SAVED, _SAVED_SPLITS)) or any(source.rglob("*.parquet"))
    return source.suffix.lower() == ".parquet"


class HuggingFaceRows:
    """The rows of one split.

    source (Path): A folder of `Dataset.save_to_disk`, a Parquet file, or a folder of them.
    RAISES (BGAError): The extra is not installed, there is no data set, or it has several splits or no texts.
    """

    def __init__(self, source: Path) -> None:
        if find_spec("datasets") is None:
            raise BGAError(Errors.B354)
        self.source = source
        rows = _open(source)
        self.tokens, self.tags = _first(rows, _TOKENS), _first(rows, _TAGS)
        self.text = _first(rows, _TEXTS)
        if self.tokens is None and self.text is None:
            raise BGAError(Errors.B355.format(path=source, reason=f"no column of texts among {rows.column_names}"))
        self.images = _image_columns(rows)
        self.rows = _undecoded(rows, self.images)
        self.names = None if self.tags is None else _tag_names(rows.features[self.tags])

    def tag_sequences(self) -> Iterator[list[str]]:
        """YIELDS (list[str]): The tags of each row that can be read."""
        if self.tokens is not None and self.tags is not None:
            for values in self.rows.select_columns([self.tags])[self.tags]:
                try:
                    yield self._tags(values or [])
                except ValueError:  # told where the row is read
                    continue

    def read(self, on_bad_row: Callable[[BGAError], None] | None) -> Iterator[Record | Post]:
        """Read the rows.

        on_bad_row (Callable | None): Called with the error of a row that can't be used. None: the error is raised.
        YIELDS (Record | Post): The rows; without tags they are not annotated.
        RAISES (BGAError): A row that can't be used.
        """
        for number, row in enumerate(self.rows, start=1):
            try:
                yield self._row(row, number)
            except ValueError as error:
                problem = BGAError(Errors.B322.format(path=self.source, line=number, reason=error, format="hf"))
                if on_bad_row is None:
                    raise problem from error
                on_bad_row(problem)

    def _row(self, row: dict[str, Any], number: int) -> Record | Post:
        images = tuple(image for column in self.images for image in _contents(row[column]))
        if self.tokens is None:
            return Record(parse_text(row[str(self.text)], str(self.text)), images, None, number)
        words = row[self.tokens] or ()
        if not all(isinstance(word, str) and word for word in words):
            raise ValueError("a token is empty, or no string")
        tags = [""] * len(words) if self.tags is None or row[self.tags] is None else self._tags(row[self.tags])
        if len(tags) != len(words):
            raise ValueError(f"it has {len(words)} tokens and {len(tags)} tags")
        text = None if self.text is None else row[self.text]
        text = text if isinstance(text, str) else None
        return Post(tuple(words), tuple(tags), None, number, images, text=text)

    def _tags(self, values: list[Any]) -> list[str]:
        """RETURNS (list[str]): Tags by name. -100, at which a training loop learns nothing, is no annotation."""
        if all(isinstance(value, str) for value in values):
            return list(values)
        if self.names is None:
            raise ValueError(f"'{self.tags}' has numbers, and no ClassLabel that names them")
        if not all(value == -100 or 0 <= value < len(self.names) for value in values):
            raise ValueError(f"'{self.tags}' has a number that its ClassLabel does not name")
        return ["" if value == -100 else self.names[value] for value in values]


def _open(source: Path) -> Any:
    import datasets

    reason: object = "there is no such file or folder"
    try:
        if (source / _SAVED_SPLITS).is_file():
            splits = ", ".join(sorted(path.parent.name for path in source.glob(f"*/{_SAVED}")))
            raise BGAError(
                Errors.B355.format(path=source, reason=f"it has the splits {splits}: name one, as in hf:{source}/train")
            )
        if (source / _SAVED).is_file():
            return datasets.load_from_disk(str(source))
        files = sorted(source.rglob("*.parquet")) if source.is_dir() else [source] if source.is_file() else []
        if files:
            with tempfile.TemporaryDirectory() as cache:
                return datasets.Dataset.from_parquet(list(map(str, files)), cache_dir=cache, keep_in_memory=True)
        reason = "it holds neither a saved data set nor Parquet" if source.exists() else reason
    except BGAError:
        raise
    except Exception as error:  # of pyarrow, of fsspec, of datasets itself
        reason = f"{type(error).__name__}: {error}"
    raise BGAError(Errors.B355.format(path=source, reason=reason))


def _first(rows: Any, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in rows.column_names), None)


def _image_columns(rows: Any) -> list[str]:
    """RETURNS (list[str]): The columns with pictures: by their type, or else by their name."""
    import datasets

    typed = [name for name, kind in rows.features.items() if isinstance(_item(kind), datasets.Image)]
    return typed or [name for name in _IMAGES if name in rows.column_names]


def _undecoded(rows: Any, columns: list[str]) -> Any:
    """The bytes as they are stored: a decoded picture would have to be encoded once more, and might be a bomb."""
    import datasets

    for name in columns:
        kind = rows.features[name]
        if isinstance(kind, datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))
        elif isinstance(_item(kind), datasets.Image):
            rows = rows.cast_column(name, type(kind)(datasets.Image(decode=False)))
    return rows


def _item(kind: Any) -> Any:
    """RETURNS (Any): The type of a list's items; another type itself."""
    return getattr(kind, "feature", kind)


def _tag_names(kind: Any) -> list[str] | None:
    return getattr(_item(kind), "names", None)


def _contents(value: Any) -> Iterator[str | bytes]:
    """YIELDS (str | bytes): The pictures of a cell: their bytes, or where these are absent, their paths."""
    for item in value if isinstance(value, list) else [value]:
        content = item.get("bytes") or item.get("path") if isinstance(item, dict) else item
        if isinstance(content, bytes):
            yield content
        elif not is_empty(content):
            yield str(content)
