"""Every image of the corpora, looked at once, by a few threads."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from spacy_bga.corpus.images import (
    MAX_PIXELS,
    SUFFIXES,
    MissingImageError,
    decode_image,
    image_digest,
    read_bytes,
    read_header,
    resolve_path,
)
from spacy_bga.corpus.pair_splits import perceptual_hash
from spacy_bga.errors import Errors, ImageError

Problem = Literal["missing", "refused", "huge", "broken"]
# Of perceptual hashing, and to see whether an image can be decoded, so many pixels a side are enough.
_GLANCE = 64
# Images in the air at once: what bounds the memory when documents carry encoded images.
_BATCH = 32


@dataclass
class Picture:
    """One image of the corpora.

    name (str): How documents name it. problem, message: Why it can't be used, if it can't.
    digest (bytes): Of its content. bits (np.ndarray | None): Its perceptual hash, packed.
    width, height (int), animated (bool): From its header. disguise (str): The format that it is, if not as named.
    counts (Counter[str]): How many documents of each split have it; first (dict[str, str]): The first of them.
    """

    name: str
    problem: Problem | None = None
    message: str = ""
    digest: bytes = b""
    bits: np.ndarray | None = None
    width: int = 0
    height: int = 0
    animated: bool = False
    disguise: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)


class Gallery:
    """Looks at images in a bounded number of threads. Content is never kept, only what was seen.

    perceptual (bool): Whether to hash what they look like, too; the extra `splits` does it.
    threads (int | None): How many at once; None: as many as there are processors, 4 at most.
    """

    def __init__(self, *, perceptual: bool | None = None, threads: int | None = None) -> None:
        self.perceptual = find_spec("imagehash") is not None if perceptual is None else perceptual
        self.threads = threads or min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
        self.pictures: dict[tuple[str, tuple[Path, ...]], Picture] = {}
        self._waiting: list[tuple[Picture, str | bytes, tuple[Path, ...]]] = []
        self._pool = ThreadPoolExecutor(self.threads)

    def add(self, image: str | bytes, roots: tuple[Path, ...], *, split: str, place: str) -> Picture:
        """Take in an image of a document. It is looked at when a few have come together, or by `close`.

        image (str | bytes): Its path or content. roots (tuple[Path, ...]): Where paths may be relative to.
        split (str): The document's split. place (str): Where the document is.
        RETURNS (Picture): The image.
        """
        name = image if isinstance(image, str) else f"encoded image {image_digest(image)[:12]}"
        picture = self.pictures.get((name, roots))
        if picture is None:
            picture = self.pictures[name, roots] = Picture(name)
            self._waiting.append((picture, image, roots))
        picture.counts[split] += 1
        picture.first.setdefault(split, place)
        if len(self._waiting) >= _BATCH:
            self._look()
        return picture

    def close(self) -> list[Picture]:
        """Look at what is left.

        RETURNS (list[Picture]): All images, in the order in which they came.
        """
        self._look()
        self._pool.shutdown()
        return list(self.pictures.values())

    def _look(self) -> None:
        for _ in self._pool.map(self._look_at, self._waiting):
            pass
        self._waiting.clear()

    def _look_at(self, task: tuple[Picture, str | bytes, Sequence[Path]]) -> None:
        picture, image, roots = task
        try:
            source = image if isinstance(image, bytes) else find(image, roots)
        except ImageError as error:
            picture.problem = "missing" if isinstance(error, MissingImageError) else "refused"
            picture.message = str(error)
            return
        try:
            self._examine(picture, source)
        except (ImageError, MemoryError, OSError) as error:
            picture.problem, picture.message = picture.problem or "broken", str(error)

    def _examine(self, picture: Picture, source: Path | bytes) -> None:
        header = read_header(source)
        picture.width, picture.height, picture.animated = header.width, header.height, header.animated
        claimed = SUFFIXES.get(source.suffix.lower()) if isinstance(source, Path) else None
        picture.disguise = header.format if claimed and claimed != header.format else ""
        if header.width * header.height > MAX_PIXELS:
            picture.problem = "huge"
            text = Errors.B306.format(source=picture.name, width=header.width, height=header.height, limit=MAX_PIXELS)
            picture.message = text
            return
        data = read_bytes(source)
        picture.digest = hashlib.sha256(data).digest()
        if self.perceptual:
            picture.bits = np.packbits(perceptual_hash(data))
        else:
            decode_image(data, size=_GLANCE)


def find(image: str, roots: Sequence[Path]) -> Path:
    """Find an image below the first root that has it.

    image (str): A relative path. roots (Sequence[Path]): At least one root.
    RETURNS (Path): The file.
    RAISES (ImageError): No root has it, or it may not be read.
    """
    for root in roots[:-1]:
        try:
            return resolve_path(image, root)
        except MissingImageError:
            continue
    return resolve_path(image, roots[-1])
