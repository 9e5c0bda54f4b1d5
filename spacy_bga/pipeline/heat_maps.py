"""Heat maps: how alike the patches of an image are to what a span of its text generates, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from spacy.tokens import Span

from spacy_bga.aligner.model import BGAModel
from spacy_bga.pipeline.alignment import Pointers, grid_of, point
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim, image_features
from spacy_bga.pipeline.unusable_images import OnMissing
from spacy_bga.pipeline.visual_features import Source


@dataclass(frozen=True)
class HeatMap:
    """What a span is aligned with in an image.

    likeness (np.ndarray): (rows, columns), how alike each patch is to the span: a cosine.
    centres (np.ndarray): (rows, columns, 2), x and y of the patches' centres in parts of the image's width and height.
    """

    likeness: np.ndarray
    centres: np.ndarray

    @property
    def warmth(self) -> np.ndarray:
        """RETURNS (np.ndarray): (rows, columns), from 0 for the least alike patch to 1 for the most; see `warmth`."""
        return warmth(self.likeness)

    @property
    def best(self) -> tuple[float, float]:
        """RETURNS (tuple[float, float]): x and y of the most alike patch's centre, in parts of the image."""
        x, y = self.centres[np.unravel_index(self.likeness.argmax(), self.likeness.shape)]
        return float(x), float(y)


def can_point(component: BGANer) -> bool:
    """RETURNS (bool): Whether the component kept its visual branch, and its images have patches to point at."""
    if get_shim(component.model)._model is None:
        return False
    aligner = get_shim(component.model).aligner
    return aligner.visual is not None and aligner.visual.grid_shape is not None and aligner.config.visual_grid != 0


def find_heat_maps(component: BGANer, spans: Sequence[Span], images: Sequence[Sequence[Source]]) -> dict[int, HeatMap]:
    """Compare spans with the patches of their texts' images.

    component (BGANer): One that `can_point`. spans (Sequence[Span]): Such as entities.
    images (Sequence[Sequence[Source]]): The images of each one's text, paths or bytes. One that can't be read is left
        out without a word.
    RETURNS (dict[int, HeatMap]): By the place of the span among those given: those with wordpieces and an image.
    """
    pointers = point_at_images(component, spans, images, on_missing="ignore") if spans else None
    if pointers is None:
        return {}
    centres = cell_centres(get_shim(component.model).aligner)
    return {int(place): HeatMap(map_, centres) for place, map_ in zip(pointers.places, pointers.maps(), strict=True)}


def point_at_images(
    component: BGANer, spans: Sequence[Span], images: Sequence[Sequence[Source]], *, on_missing: OnMissing
) -> Pointers | None:
    """RETURNS (Optional[Pointers]): What spans generate, beside the patches of their texts' images; see `point`."""
    features = image_features(component.model, folder=component.feature_cache, on_missing=on_missing)
    assert features is not None
    return point(component.model, spans, images, features)


def warmth(likeness: np.ndarray) -> np.ndarray:
    """RETURNS (np.ndarray): The map stretched to go from 0 to 1: cosines of one span differ by little. Zeros for a
    constant one."""
    low, high = likeness.min(), likeness.max()
    return (likeness - low) / (high - low or 1)


def cell_centres(aligner: BGAModel) -> np.ndarray:
    """Where the patches are that the aligner sees.

    Pooling averages the encoder's patches into coarser cells, which overlap where the numbers don't divide; and the
    encoder leaves out what is less than a patch at the right and the lower margin.
    RETURNS (np.ndarray): (rows, columns, 2), x and y of the centres in parts of the image's width and height.
    RAISES (BGAError): There are no patches.
    """
    grid = grid_of(aligner)
    assert aligner.visual is not None
    branch = aligner.visual
    y, x = (_centres(n, of, side) for n, of, side in zip(grid, branch.grid_shape or grid, branch.cell, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1)


def _centres(n: int, n_patches: int, patch: float) -> np.ndarray:
    """RETURNS (np.ndarray): (n,), the centres of cells along one side, as torch's adaptive pooling cuts it."""
    cells = np.arange(n)
    first, last = cells * n_patches // n, -(-(cells + 1) * n_patches // n)
    return (first + last) / 2 * patch
