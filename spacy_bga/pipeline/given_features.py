"""Visual features that are given, by the key that a document has in the place of its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from spacy_bga.aligner.given import GivenFeatures
from spacy_bga.aligner.visual import VisualBranch
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import Errors, ImageError
from spacy_bga.pipeline.unusable_images import OnMissing
from spacy_bga.pipeline.visual_features import Picture, Source, VisualFeatures

MOST_REMEMBERED = 10_000  # keys without features


class KeyedFeatures(VisualFeatures):
    """Visual features that somebody else has computed.

    branch (VisualBranch): The aligner's visual branch. file (FeatureFile): Where they are.
    on_missing (str): What to do about a key that isn't there, or whose features can't be used: "warn" and "ignore"
        leave it out, "error" raises.
    """

    def __init__(self, branch: VisualBranch, file: FeatureFile, *, on_missing: OnMissing = "warn"):
        super().__init__(branch, on_missing=on_missing)
        self.file = file

    def comes_from(self, given: str | None) -> bool:
        return given is not None and self.file.path == Path(given)

    def renew(self) -> KeyedFeatures:
        """RETURNS (KeyedFeatures): The same. What is remembered of keys that aren't there has a bound."""
        if len(self.unusable) > MOST_REMEMBERED:
            self.unusable.forget()
        return self

    def prepare(self, documents: Sequence[Sequence[Source]], *, progress: bool = False) -> None:
        """Tell of the keys that aren't there."""
        for picture in dict.fromkeys(p for sources in documents for p in self._pictures(sources)):
            try:
                self._check(picture.source)
            except ImageError as error:
                self.unusable.refuse(picture.source, error)
        self.unusable.tell()

    def load(self, pictures: Sequence[Picture]) -> Mapping[Picture, np.ndarray]:
        found = {}
        for picture in dict.fromkeys(pictures):
            try:
                tokens = torch.from_numpy(self.file.load(self._check(picture.source))).float()
                found[picture] = self.branch.given_features(tokens, crop=picture.is_crop).numpy()
            except ImageError as error:
                self.unusable.refuse(picture.source, error)
        return found

    def _check(self, source: Source) -> str:
        """RETURNS (str): The key. Raises an ImageError unless its features are there, and like those learnt from."""
        if isinstance(source, bytes):
            raise ImageError(Errors.B223.format(number=len(source)))
        shape = self.file.shape(source)
        layout = self.branch.encoder
        assert isinstance(layout, GivenFeatures)
        if self.file.grid != layout.grid or not layout.fits(shape):
            expected = describe(layout)
            raise ImageError(
                Errors.B221.format(key=source[:80], path=self.file.path, shape=list(shape), expected=expected)
            )
        return source


def describe(layout: GivenFeatures) -> str:
    """RETURNS (str): What given features of a layout are, for messages."""
    if layout.grid is None:
        return f"at most {layout.n_patches} tokens, {layout.width} wide, without a grid"
    rows, columns = layout.grid
    return f"{rows}x{columns} tokens on a grid, or one more, {layout.width} wide"
