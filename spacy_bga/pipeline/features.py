"""Visual features of images: decode, encode, and keep what a frozen encoder never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from spacy_bga.aligner.visual import VisualBatch, VisualBranch
from spacy_bga.corpus.images import decode_image, image_digest, to_pixels
from spacy_bga.errors import ImageError
from spacy_bga.pipeline.feature_cache import FeatureCache
from spacy_bga.pipeline.unusable_images import OnMissing
from spacy_bga.pipeline.visual_features import BATCH, Picture, Source, VisualFeatures

MOST_KEPT = 1024  # images whose features are remembered from one call to the next while tagging


class Key(NamedTuple):
    """What the features of a picture are kept by: the digest of its content, and how it is pooled."""

    digest: str
    is_crop: bool


class ImageFeatures(VisualFeatures):
    """Visual features of images, by the aligner's own vision encoder.

    While the vision encoder is frozen they are computed once for each image content, and kept in a folder, or in
    memory if there is none; see `FeatureCache`. Half precision: its error is far below the encoder's own.

    branch (VisualBranch): The aligner's visual branch. folder (Optional[Path]): The cache.
    on_missing (str): What to do about an image that can't be read: "warn" and "ignore" leave it out, "error" raises.
    """

    def __init__(self, branch: VisualBranch, folder: Path | None = None, *, on_missing: OnMissing = "warn"):
        super().__init__(branch, on_missing=on_missing)
        self._encoder = branch.opened
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
        keyed = self._keyed([p for sources in documents for p in self._pictures(sources)])
        self._compute([(k, p) for k, p in keyed.items() if self._load(k) is None], progress=progress)
        self.unusable.tell()

    def _keyed(self, pictures: Sequence[Picture]) -> dict[Key, Picture]:
        """RETURNS (dict[str, Picture]): The readable pictures, each content once, by where they are kept."""
        return {key: p for p in pictures if (key := self._key(p)) is not None}

    def _compute(self, items: list[tuple[Key, Picture]], *, progress: bool = False) -> None:
        with tqdm(total=len(items), desc="Visual features", unit="image", disable=not (progress and items)) as bar:
            for start in range(0, len(items), BATCH):
                part = items[start : start + BATCH]
                for crop in (False, True):
                    self._encode([(key, p) for key, p in part if p.is_crop is crop], crop=crop)
                bar.update(len(part))

    def _collate(self, documents: Sequence[Sequence[Source]], rows: Sequence[int]) -> VisualBatch | None:
        learns = self.branch.config.train_vision
        return self._collate_pixels(documents, rows) if learns else super()._collate(documents, rows)

    def load(self, pictures: Sequence[Picture]) -> Mapping[Picture, np.ndarray]:
        keyed = self._keyed(pictures)
        loaded = {key: self._load(key) for key in keyed}
        missing = [(key, p) for key, p in keyed.items() if loaded[key] is None]
        self._compute(missing)
        loaded |= {key: self._load(key) for key, _ in missing}
        keys = {p: self._key(p) for p in pictures}
        return {p: array for p, key in keys.items() if key and (array := loaded.get(key)) is not None}

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
        device = next(self._encoder.parameters()).device
        batch = torch.from_numpy(np.stack([pixels for _, pixels in usable])).to(device)
        features = self.branch.frozen_features(batch, crop=crop).cpu().numpy().astype(np.float16)
        for (key, _), array in zip(usable, features, strict=True):
            self._cache.save(key.digest, array, crop=crop)

    def _load(self, key: Key) -> np.ndarray | None:
        return self._cache.load(key.digest, crop=key.is_crop)
