"""From an example's images to visual features: decode, encode, and keep what a frozen encoder never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from spacy_bga.aligner.visual import VisualBatch, VisualBranch
from spacy_bga.corpus.images import decode_image, image_digest, to_pixels
from spacy_bga.errors import ImageError
from spacy_bga.pipeline.feature_cache import FeatureCache
from spacy_bga.pipeline.unusable_images import OnMissing, UnusableImages

Source = str | bytes
MOST_KEPT = 1024  # images whose features are remembered from one call to the next while tagging
BATCH = 16  # images encoded at once: beyond it a CPU gains nothing


@dataclass(frozen=True)
class Picture:
    """An image (slot 0) or one of its object crops (slot 1, 2, ...), encoded or as a path."""

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


class Key(NamedTuple):
    """What the features of a picture are kept by: the digest of its content, and how it is pooled."""

    digest: str
    is_crop: bool


class ImageFeatures:
    """Visual features of images.

    While the vision encoder is frozen they are computed once for each image content, and kept in a folder, or in
    memory if there is none; see `FeatureCache`. Half precision: its error is far below the encoder's own.

    branch (VisualBranch): The aligner's visual branch. folder (Optional[Path]): The cache.
    on_missing (str): What to do about an image that can't be read: "warn" and "ignore" leave it out, "error" raises.
    """

    def __init__(self, branch: VisualBranch, folder: Path | None = None, *, on_missing: OnMissing = "warn"):
        self.branch = branch
        self.unusable = UnusableImages(on_missing)
        self._cache = FeatureCache(branch, folder)
        self._keys: dict[tuple[str, bool], Key | None] = {}

    def renew(self) -> ImageFeatures:
        """Look at every file anew, since it may be another one under the same name, and keep the features of a bounded
        number of images.

        RETURNS (ImageFeatures): The same.
        """
        self._keys.clear()
        if len(self.unusable) > MOST_KEPT:
            self.unusable.forget()
        self._cache.trim(MOST_KEPT)
        return self

    def prepare(self, documents: Sequence[Sequence[Source]], *, progress: bool = False) -> None:
        """Compute the features that aren't cached yet.

        documents (Sequence[Sequence[Source]]): The images of each document: the whole one, then its crops.
        progress (bool): Whether to show a progress bar.
        """
        self._compute([(k, p) for k, p in self._keyed(documents).items() if self._load(k) is None], progress=progress)
        self.unusable.tell()

    def fit(self, documents: Sequence[Sequence[Source]]) -> None:
        """Learn what standardises the features of a frozen vision encoder. They are computed if they aren't cached.

        documents (Sequence[Sequence[Source]]): The images of each document; the same ones count once.
        """
        distinct = list({tuple(p.place for p in self._pictures(sources)): sources for sources in documents}.values())
        parts = (distinct[start : start + BATCH] for start in range(0, len(distinct), BATCH))
        batches = (self.collate(part, range(len(part))) for part in parts)
        self.branch.fit(batch for batch in batches if batch is not None)

    def _keyed(self, documents: Sequence[Sequence[Source]]) -> dict[Key, Picture]:
        """RETURNS (dict[str, Picture]): The documents' readable pictures, each content once, by where they are kept."""
        pictures = [p for sources in documents for p in self._pictures(sources)]
        return {key: p for p in pictures if (key := self._key(p)) is not None}

    def _compute(self, items: list[tuple[Key, Picture]], *, progress: bool = False) -> None:
        with tqdm(total=len(items), desc="Visual features", unit="image", disable=not (progress and items)) as bar:
            for start in range(0, len(items), BATCH):
                part = items[start : start + BATCH]
                for crop in (False, True):
                    self._encode([(key, p) for key, p in part if p.is_crop is crop], crop=crop)
                bar.update(len(part))

    def collate(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        """The visual side of a batch.

        documents (Sequence[Sequence[Source]]): The images of each document. rows (Sequence[int]): The text window
            that each document pairs with its image.
        RETURNS (Optional[VisualBatch]): Of those documents whose whole image can be used; None if there are none.
        """
        learns = self.branch.config.train_vision
        batch = self._collate_pixels(documents, rows) if learns else self._collate_features(documents, rows)
        self.unusable.tell()
        return batch

    def _collate_features(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        loaded = self._features(documents)
        chosen, features, valid = [], [], []
        for sources, row in zip(documents, rows, strict=True):
            keys = {p.slot: self._key(p) for p in self._pictures(sources)}
            found = {slot: array for slot, key in keys.items() if key and (array := loaded.get(key)) is not None}
            if 0 in found:
                tokens, there = self._place(found)
                chosen.append(row)
                features.append(tokens)
                valid.append(there)
        if not chosen:
            return None
        stacked = torch.from_numpy(np.stack(features, axis=1)).float()
        return VisualBatch(torch.tensor(chosen), features=stacked, valid=torch.from_numpy(np.stack(valid)))

    def _pictures(self, sources: Sequence[Source]) -> list[Picture]:
        return [Picture(s, slot) for slot, s in enumerate(sources[: 1 + self.branch.config.max_crops])]

    def _features(self, documents: Sequence[Sequence[Source]]) -> dict[Key, np.ndarray | None]:
        """RETURNS (dict[Key, Optional[np.ndarray]]): The features of each picture, computed if they weren't cached."""
        pictures = self._keyed(documents)
        loaded = {key: self._load(key) for key in pictures}
        missing = [(key, p) for key, p in pictures.items() if loaded[key] is None]
        self._compute(missing)
        return loaded | {key: self._load(key) for key, _ in missing}

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

    def _collate_pixels(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        pixels: list[np.ndarray] = []
        chosen: list[int] = []
        examples: list[int] = []
        slots: list[int] = []
        for sources, row in zip(documents, rows, strict=True):
            decoded = [(p.slot, array) for p in self._pictures(sources) if (array := self._pixels(p)) is not None]
            if decoded and decoded[0][0] == 0:
                for slot, array in decoded:
                    pixels.append(array)
                    examples.append(len(chosen))
                    slots.append(slot)
                chosen.append(row)
        if not chosen:
            return None
        return VisualBatch(
            torch.tensor(chosen),
            pixels=torch.from_numpy(np.stack(pixels)),
            examples=torch.tensor(examples),
            slots=torch.tensor(slots),
        )

    def _pixels(self, picture: Picture) -> np.ndarray | None:
        """RETURNS (Optional[np.ndarray]): (3, S, S), or None if the image can't be used."""
        config = self.branch.config
        try:
            image = decode_image(picture.source, size=config.image_size)
            return to_pixels(image, size=config.image_size, mean=config.image_mean, std=config.image_std)
        except ImageError as error:
            self.unusable.refuse(picture.source, error)
            return None

    def _key(self, picture: Picture) -> Key | None:
        """RETURNS (Optional[Key]): What the picture's features are kept by; None if it can't be read."""
        place = picture.place
        if place not in self._keys:
            try:
                self._keys[place] = Key(image_digest(picture.source), picture.is_crop)
            except ImageError as error:
                self.unusable.refuse(picture.source, error)
                self._keys[place] = None
        return self._keys[place]

    def _encode(self, pictures: list[tuple[Key, Picture]], *, crop: bool) -> None:
        decoded = [(key, p, self._pixels(p)) for key, p in pictures]
        usable = [(key, pixels) for key, _, pixels in decoded if pixels is not None]
        for _, p, pixels in decoded:
            if pixels is None:
                self._keys[p.place] = None
        if not usable:
            return
        device = next(self.branch.encoder.parameters()).device
        batch = torch.from_numpy(np.stack([pixels for _, pixels in usable])).to(device)
        features = self.branch.frozen_features(batch, crop=crop).cpu().numpy().astype(np.float16)
        for (key, _), array in zip(usable, features, strict=True):
            self._cache.save(key.digest, array, crop=crop)

    def _load(self, key: Key) -> np.ndarray | None:
        return self._cache.load(key.digest, crop=key.is_crop)
