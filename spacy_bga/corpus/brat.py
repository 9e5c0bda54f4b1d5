"""Brat's standoff format, https://brat.nlplab.org/standoff.html: a folder of NAME.txt with NAME.ann beside each.

T1	PER 0 13	Kawhi Leonard
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from spacy_bga.corpus.image_folder import ImageFolder
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.record import Record
from spacy_bga.errors import BGAError, Errors

TEXT, ANNOTATION = ".txt", ".ann"
# Labels have no spaces in brat; the places are one or more fragments.
_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")


def is_brat(source: Path) -> bool:
    """RETURNS (bool): Whether a path is a folder of brat's, or one of its texts."""
    if source.is_dir():
        return any(path.suffix == ANNOTATION for path in source.rglob(f"*{ANNOTATION}"))
    return source.suffix == TEXT and source.with_suffix(ANNOTATION).is_file()


def read_brat(source: Path, images: Path | None, on_bad_text: Callable[[BGAError], None] | None) -> Iterator[Record]:
    """Read the texts of a folder, and of those below it. A text's image has its name.

    source (Path): The folder, or one text.
    images (Path | None): The image root, with the same folders in it; None: the source.
    on_bad_text (Callable | None): Called with the error of a text that can't be used. None: the error is raised.
    YIELDS (Record): The texts; one without an .ann file is not annotated.
    RAISES (BGAError): A text that can't be used; the message names its file.
    """
    root = source if source.is_dir() else source.parent
    paths = sorted(source.rglob(f"*{TEXT}")) if source.is_dir() else [source]
    folder = ImageFolder(images or root)
    for path in paths:
        name = path.relative_to(root)
        found = folder.find(name.with_suffix("").as_posix())
        try:
            yield _read(path, name.as_posix(), () if found is None else (found,))
        except (ValueError, OSError) as error:
            problem = BGAError(Errors.B322.format(path=path, line=1, reason=error, format="brat"))
            if on_bad_text is None:
                raise problem from error
            on_bad_text(problem)


def _read(path: Path, name: str, images: tuple[str, ...]) -> Record:
    text = path.read_bytes().decode("utf-8")  # as bytes: brat counts a line end of Windows as two characters
    annotation = path.with_suffix(ANNOTATION)
    if not annotation.is_file():
        return Record(text, images, None, 1, name)
    spans: list[CharSpan] = []
    unknown: list[tuple[int, int]] = []
    remarks: list[tuple[str, str]] = []
    for number, line in enumerate(annotation.read_bytes().decode("utf-8-sig").splitlines(), start=1):
        if not line.startswith("T"):  # relations, events, attributes and notes are about entities
            continue
        match = _ENTITY.fullmatch(line)
        if match is None:
            raise ValueError(f"{annotation.name}, line {number}: {line[:60]!r} is no entity")
        places = [_place(fragment) for fragment in match[2].split(";")]
        if any(not 0 <= start < end <= len(text) for start, end in places):
            raise ValueError(f"{annotation.name}, line {number}: {match[2]} is outside of the text")
        if len(places) == 1:
            start, end = places[0]
            spans.append(CharSpan(start, end, match[1], match[3] or None))
        else:
            unknown += places
            what = f"discontinuous span: {(match[3] or match[2])[:60]!r} ({match[1]})"
            remarks.append(("discontinuous_spans", what))
    return Record(text, images, tuple(spans), 1, name, unknown=tuple(unknown), remarks=tuple(remarks))


def _place(fragment: str) -> tuple[int, int]:
    start, end = fragment.split()
    return int(start), int(end)
