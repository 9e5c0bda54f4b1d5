"""A record of the input: a text, or a document that is tokenized already, with its id and its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from spacy_bga.annotation.job import Columns
from spacy_bga.corpus.cells import is_empty
from spacy_bga.corpus.data_uri import decode_data_uri, is_data_uri
from spacy_bga.errors import ImageError

Source = str | bytes


@dataclass(frozen=True)
class Record:
    """One record.

    id (Any): As it was given; else its file and its number. text (str): Its text; empty if it has a `doc`.
    images (tuple[Union[str, bytes], ...]): Relative paths, or encoded images.
    doc (Optional[Doc]): The document. error (str): Why it can't be tagged, if it can't be read.
    """

    id: Any
    text: str = ""
    images: tuple[Source, ...] = ()
    doc: Doc | None = None
    error: str = ""


def parse_record(data: Any, fallback: str, columns: Columns) -> Record:
    """Read a row of a table, or an object of JSON.

    data (Any): The row. fallback (str): The id of a row without one. columns (Columns): What they are called.
    RETURNS (Record): The record; with an error, if the row can't be used.
    """
    if not isinstance(data, Mapping):
        return Record(fallback, error="it is no object")
    own = data.get(columns.id)
    id: str | int = fallback
    try:
        id = fallback if is_empty(own) else _parse_id(own, columns.id)
        text = data.get(columns.text)
        if not isinstance(text, str):
            raise ValueError(f"'{columns.text}' is not a string")
        return Record(id, text, _parse_images(data.get(columns.image), columns.image))
    except ValueError as error:
        return Record(id, error=str(error))


def _parse_id(value: Any, key: str) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"'{key}' is neither a string nor a whole number")
    str(value).encode()  # half of a character, which JSON can spell, is no UTF-8
    return value


def _parse_images(value: Any, key: str) -> tuple[Source, ...]:
    """RETURNS (tuple[Union[str, bytes], ...]): One image or several: paths, `data:` URIs, bytes, or what data sets of
    Hugging Face have, {"bytes": ..., "path": ...}."""
    values = value if isinstance(value, list) else [value]
    plain: list[Any] = [v.get("bytes") or v.get("path") if isinstance(v, Mapping) else v for v in values]
    images = [image for image in plain if not is_empty(image)]
    if not all(isinstance(image, str | bytes) for image in images):
        raise ValueError(f"'{key}' is neither an image nor a list of images")
    return tuple(map(_content, images))


def _content(image: Source) -> Source:
    if isinstance(image, bytes) or not is_data_uri(image):
        return image
    try:
        return decode_data_uri(image)
    except ImageError:
        return b""  # which the component tells of as of every image that it can't use
