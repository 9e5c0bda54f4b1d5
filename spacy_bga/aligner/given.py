"""Where a vision encoder would stand, if somebody else has computed the visual features."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from spacy_bga.aligner.ranges import MOST_VISUAL_TOKENS, Range
from spacy_bga.errors import BGAError, Errors

MODEL_TYPE = "given_features"
WIDTH, PATCHES = Range(1, 65536, whole=True), Range(1, MOST_VISUAL_TOKENS, whole=True)


class GivenFeatures(nn.Module):
    """What given features are like: for each picture the tokens (m, d_v) of its parts, and perhaps one of the whole.

    width (int): Their width `d_v`. n_patches (int): The most parts that a picture has.
    grid (Optional[tuple[int, int]]): Rows and columns of the parts, from the upper left corner row by row, if each
        picture has the same grid of them. None: parts in any number, such as regions, or words of a caption.
    """

    def __init__(self, width: int, n_patches: int, grid: tuple[int, int] | None = None):
        super().__init__()
        self.width = width
        self.n_patches = n_patches
        self.grid = grid

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GivenFeatures:
        """Read what `to_config` made. Raises a BGAError if it makes no sense."""
        width, n_patches, grid = (config.get(name) for name in ("hidden_size", "n_patches", "grid"))
        sides: tuple[Any, ...] = (
            (n_patches, 1) if grid is None else tuple(grid) if isinstance(grid, list | tuple) else ()
        )
        fits = len(sides) == 2 and all(side in PATCHES for side in sides)
        if width is None or width not in WIDTH or n_patches is None or not fits or prod(sides) != n_patches:
            raise BGAError(Errors.B105.format(error=f"the visual features are {str(dict(config))[:200]}"))
        return cls(width, n_patches, None if grid is None else (sides[0], sides[1]))

    def to_config(self) -> dict[str, Any]:
        """RETURNS (dict): What an aligner's configuration has for "vision"."""
        grid = None if self.grid is None else list(self.grid)
        return {"model_type": MODEL_TYPE, "hidden_size": self.width, "n_patches": self.n_patches, "grid": grid}

    def fits(self, shape: tuple[int, ...]) -> bool:
        """RETURNS (bool): Whether features of a picture (m, d_v) can be those of this layout."""
        n_tokens, width = shape
        if self.grid is not None:
            return width == self.width and n_tokens - self.n_patches in (0, 1)
        return width == self.width and 1 <= n_tokens <= self.n_patches

    def lay_out(self, tokens: Tensor) -> Tensor:
        """RETURNS (Tensor): (1 + p, d_v) the token of the whole picture, which is the mean if there is none, and those
        of its parts. tokens: (m, d_v)."""
        if self.grid is not None and len(tokens) > self.n_patches:
            return tokens
        return torch.cat([tokens.mean(0, keepdim=True), tokens])


def is_given(config: Mapping[str, Any] | None) -> bool:
    """RETURNS (bool): Whether an aligner's "vision" stands for given features."""
    return config is not None and config.get("model_type") == MODEL_TYPE
