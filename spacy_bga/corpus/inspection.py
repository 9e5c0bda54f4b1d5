"""The images of a source, looked at once before anybody trains on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spacy_bga.corpus.data_uri import decode_data_uri, is_data_uri
from spacy_bga.corpus.images import SUFFIXES, MissingImageError, decode_image, image_digest, resolve_path, sniff_format
from spacy_bga.corpus.report import Tally
from spacy_bga.errors import ImageError

# Decoding at a fraction of the resolution still reads the whole file, so a truncated one is found all the same.
_GLANCE = 64


@dataclass(frozen=True)
class Verdict:
    """What is wrong with one image file. All None: nothing.

    kind (str | None): The report's field that counts it, if the image cannot be used.
    message (str): Why not.
    mislabelled (str | None): The type that it really has, if its name says another.
    """

    kind: str | None = None
    message: str = ""
    mislabelled: str | None = None


class ImageInspector:
    """Tells which images can be used. Each file is looked at once, however many texts refer to it.

    root (Path): The image root.
    tally (Tally): Where to count.
    decode (bool): Whether to look at the files. If not, paths are only checked for leading out of the root.
    """

    def __init__(self, root: Path, tally: Tally, *, decode: bool = True) -> None:
        self.root = root
        self.tally = tally
        self.decode = decode
        self._verdicts: dict[str, Verdict] = {}

    def usable(self, images: tuple[str | bytes, ...], place: str) -> list[str | bytes]:
        """Choose the images that can be used, and count them and the others.

        images (tuple[str | bytes, ...]): Relative paths, `data:` URIs or encoded images: the image, then its crops.
            Crops without their image are dropped.
        place (str): Where they were found, for messages.
        RETURNS (list[str | bytes]): Those that can be used; of a `data:` URI, what is in it.
        """
        usable: list[str | bytes] = []
        for i, given in enumerate(images):
            image, verdict = self._take(given)
            if verdict.kind is None:
                self.tally.counts["images"] += 1
                self.tally.image_files.add(image if isinstance(image, str) else image_digest(image))
                if verdict.mislabelled and isinstance(image, str):
                    self.tally.problem("images_mislabelled", f"{place}: {image} is {verdict.mislabelled} inside")
                usable.append(image)
                continue
            self.tally.problem(verdict.kind, f"{place}: {verdict.message}")
            if i == 0:
                break
        return usable

    def _take(self, image: str | bytes) -> tuple[str | bytes, Verdict]:
        """RETURNS (tuple[str | bytes, Verdict]): An image as documents keep it, and what is wrong with it."""
        try:
            if isinstance(image, str) and is_data_uri(image):
                image = decode_data_uri(image)
            if isinstance(image, bytes):
                if self.decode:
                    decode_image(image, size=_GLANCE)
                return image, Verdict()
        except ImageError as error:
            return "", Verdict("images_unreadable", str(error))
        return image, self._verdict(image)

    def _verdict(self, image: str) -> Verdict:
        if image not in self._verdicts:
            self._verdicts[image] = self._look(image)
        return self._verdicts[image]

    def _look(self, image: str) -> Verdict:
        try:
            path = resolve_path(image, self.root)
            if not self.decode:
                return Verdict()
            decode_image(path, size=_GLANCE)
            with path.open("rb") as file:
                actual = sniff_format(file.read(16))
        except MissingImageError as error:
            # Who asks for no look at the files may not have them here.
            return Verdict("images_missing", str(error)) if self.decode else Verdict()
        except (ImageError, OSError) as error:
            return Verdict("images_unreadable", str(error))
        claimed = SUFFIXES.get(path.suffix.lower())
        return Verdict(mislabelled=actual if claimed and actual != claimed else None)
