"""From an example's images to visual features: those of each picture, put at their places among those of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spacy_bga.aligner.visual import VisualBatch, VisualBranch
from spacy_bga.corpus.images import image_digest
from spacy_bga.pipeline.unusable_images import OnMissing, UnusableImages

Source = str | bytes
BATCH = 16  # images encoded at once: beyond it a CPU gains nothing


@dataclass(frozen=True)
class Picture:
    """An image (slot 0) or one of its object crops (slot 1, 2, ...): encoded, a path, or the key of given features."""

    source: Source
    slot: int

    @property
    def is_crop(self) -> bool:
        return self.slot > 0

    @property
    def place(self) -> tuple[str, bool]:
        """RETURNS (tuple[str, bool]): What it is remembered by, which holds on to no image."""
        name = self.source if isinstance(self.source, str) else image_digest(self.source)
        return name, self.is_crop


class VisualFeatures(ABC):
    """Visual features of the images of documents, wherever they come from.

    branch (VisualBranch): The aligner's visual branch.
    on_missing (str): What to do about an image that can't be read: "warn" and "ignore" leave it out, "error" raises.
    """

    def __init__(self, branch: VisualBranch, *, on_missing: OnMissing = "warn"):
        self.branch = branch
        self.unusable = UnusableImages(on_missing)

    def comes_from(self, given: str | None) -> bool:
        """RETURNS (bool): Whether they are those of a setting, the path of given features or None."""
        return True

    @abstractmethod
    def renew(self) -> VisualFeatures:
        """Prepare for images that may be anybody's, and of which there is no end. RETURNS (VisualFeatures): Itself."""

    @abstractmethod
    def prepare(self, documents: Sequence[Sequence[Source]], *, progress: bool = False) -> None:
        """Do what takes long, and only has to be done once.

        documents (Sequence[Sequence[Source]]): The images of each document: the whole one, then its crops.
        progress (bool): Whether to show a progress bar.
        """

    @abstractmethod
    def load(self, pictures: Sequence[Picture]) -> Mapping[Picture, np.ndarray]:
        """RETURNS (Mapping[Picture, np.ndarray]): (N, m, d_v) of those pictures that can be used. N may be 1: then each
        BGA layer gets the same."""

    def fit(self, documents: Sequence[Sequence[Source]]) -> None:
        """Learn what standardises the features of a frozen vision encoder. They are computed if they aren't cached.

        documents (Sequence[Sequence[Source]]): The images of each document; the same ones count once.
        """
        distinct = list({tuple(p.place for p in self._pictures(sources)): sources for sources in documents}.values())
        parts = (distinct[start : start + BATCH] for start in range(0, len(distinct), BATCH))
        batches = (self.collate(part, range(len(part))) for part in parts)
        self.branch.fit(batch for batch in batches if batch is not None)

    def collate(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        """The visual side of a batch.

        documents (Sequence[Sequence[Source]]): The images of each document. rows (Sequence[int]): The text window
            that each document pairs with its image.
        RETURNS (Optional[VisualBatch]): Of those documents whose whole image can be used; None if there are none.
        """
        batch = self._collate(documents, rows)
        self.unusable.tell()
        return batch

    def _collate(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        pictures = [self._pictures(sources) for sources in documents]
        loaded = self.load([p for of_document in pictures for p in of_document])
        chosen, features, valid = [], [], []
        for of_document, row in zip(pictures, rows, strict=True):
            found = {p.slot: loaded[p] for p in of_document if p in loaded}
            if 0 in found:
                tokens, there = self._place(found)
                chosen.append(row)
                features.append(tokens)
                valid.append(there)
        if not chosen:
            return None
        stacked = torch.from_numpy(np.stack(features, axis=1)).float()
        layers = len(self.branch.config.vision_layers)
        return VisualBatch(
            torch.tensor(chosen),
            features=stacked.expand(layers, -1, -1, -1),
            valid=torch.from_numpy(np.stack(valid)),
        )

    def _pictures(self, sources: Sequence[Source]) -> list[Picture]:
        return [Picture(s, slot) for slot, s in enumerate(sources[: 1 + self.branch.config.max_crops])]

    def _place(self, found: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Put the tokens of an image and its crops at their places: (N, m, d_v) and which are there (m,)."""
        branch = self.branch
        layers, _, width = found[0].shape
        tokens = np.zeros((layers, branch.n_tokens, width), dtype=found[0].dtype)
        valid = np.zeros(branch.n_tokens, dtype=bool)
        for slot, array in found.items():
            start = 0 if slot == 0 else branch.n_image_tokens + (slot - 1) * branch.n_crop_tokens
            tokens[:, start : start + array.shape[1]] = array
            valid[start : start + array.shape[1]] = True
        return tokens, valid
