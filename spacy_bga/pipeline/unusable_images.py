"""Images that can't be used: counted, and told of together."""

from __future__ import annotations

import warnings
from typing import Literal

from spacy_bga.corpus.images import image_digest
from spacy_bga.errors import ImageError, Warnings

OnMissing = Literal["warn", "error", "ignore"]


class UnusableImages:
    """Counts images that can't be used, each once, and warns of them with their number.

    There is one warning for all images of a corpus, or of a batch; and another when there are ten times as many.

    on_missing (str): What to do about them: "warn" and "ignore" leave them out, "error" raises.
    """

    def __init__(self, on_missing: OnMissing = "warn"):
        self.on_missing = on_missing
        self._names: set[str] = set()
        self._number = 0
        self._next = 1  # the number at which to warn
        self._untold: ImageError | None = None

    def __len__(self) -> int:
        """RETURNS (int): How many names are remembered."""
        return len(self._names)

    def refuse(self, source: str | bytes, error: ImageError) -> None:
        """Leave an image out, or raise the error, as `on_missing` says.

        source (Union[str, bytes]): The image. error (ImageError): Why it can't be used.
        """
        if self.on_missing == "error":
            raise error
        name = source if isinstance(source, str) else f"bytes {image_digest(source)[:12]}"
        if name not in self._names:
            self._names.add(name)
            self._number += 1
            self._untold = self._untold or error

    def tell(self) -> None:
        """Warn of what has been refused since the last time, if it is worth another warning."""
        first, self._untold = self._untold, None
        if first is not None and self.on_missing == "warn" and self._number >= self._next:
            self._next = 10 * self._number
            warnings.warn(Warnings.W201.format(number=self._number, error=first), stacklevel=3)

    def forget(self) -> None:
        """Forget the names, of which there may be no end, and keep their number."""
        self._names.clear()
