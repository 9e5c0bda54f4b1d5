"""Where the features of a frozen vision encoder are kept: in memory or in a folder, by all that decides them."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.aligner.visual import VisualBranch


@dataclass(frozen=True)
class Kind:
    """Which states of the vision encoder are kept, and how they are pooled.

    layers (tuple[int, ...]): The layers that the states enter. grid (Optional[int]): See `VisionEncoder.pool_grid`.
    """

    layers: tuple[int, ...]
    grid: int | None

    @property
    def name(self) -> str:
        """RETURNS (str): The folder's name, such as "layers-10-11_grid-4"."""
        return f"layers-{'-'.join(map(str, self.layers))}_grid-{'all' if self.grid is None else self.grid}"

    @classmethod
    def from_name(cls, name: str) -> Kind | None:
        """RETURNS (Optional[Kind]): What `name` made a name of; None if it is another folder's."""
        match = re.fullmatch(r"layers-(\d+(?:-\d+)*)_grid-(all|\d+)", name)
        if match is None:
            return None
        grid = None if match[2] == "all" else int(match[2])
        return cls(tuple(int(layer) for layer in match[1].split("-")), grid)

    def holds(self, other: Kind, patches: tuple[int, int]) -> bool:
        """Whether features of another kind can be made of these: a coarser grid is the mean of a finer one.

        other (Kind): The other kind. patches (tuple[int, int]): Rows and columns of the encoder's own patch grid.
        RETURNS (bool): Whether it can. Where a grid doesn't divide the other, means of means are not the mean.
        """
        if not set(other.layers) <= set(self.layers):
            return False
        if self.grid is None or other.grid == 0 or self.grid == other.grid:
            return True
        if not self.grid or other.grid is None:
            return False
        return all(n % self.grid == 0 for n in patches) and self.grid % other.grid == 0

    def select(self, array: np.ndarray, other: Kind, patches: tuple[int, int]) -> np.ndarray:
        """RETURNS (np.ndarray): Features (N', m', d_v) of another kind that these (N, m, d_v) hold."""
        chosen = array[[self.layers.index(layer) for layer in other.layers]]
        if self.grid == other.grid:
            return chosen
        shape = patches if self.grid is None else (self.grid, self.grid)
        pooled = VisionEncoder.pool_grid(torch.from_numpy(chosen).float(), other.grid, shape=shape)
        return pooled.numpy().astype(array.dtype)


class FeatureCache:
    """Features (N, m, d_v) of pictures by the picture's digest.

    The folder of one encoder and one preprocessing has a folder for each `Kind`. What an earlier training kept of more
    layers or of a finer grid need not be computed again.

    branch (VisualBranch): The visual branch. folder (Optional[Path]): None keeps everything in memory.
    """

    def __init__(self, branch: VisualBranch, folder: Path | None):
        self._branch = branch
        self._folder = folder / fingerprint(branch) if folder is not None else None
        self._memory: dict[tuple[Kind, str], np.ndarray] = {}
        self._kinds: list[Kind] = []
        if self._folder is not None and self._folder.is_dir():
            kinds = (Kind.from_name(path.name) for path in sorted(self._folder.iterdir()))
            self._kinds = [kind for kind in kinds if kind is not None]

    def load(self, digest: str, *, crop: bool) -> np.ndarray | None:
        """RETURNS (Optional[np.ndarray]): The features of an image, or of a crop; None if they aren't there."""
        wanted = self._kind(crop)
        if self._folder is None:
            return self._memory.get((wanted, digest))
        found = read(self._path(wanted, digest))
        patches = self._branch.grid_shape
        for kind in self._kinds:
            if found is not None:
                break
            if kind != wanted and kind.holds(wanted, patches):
                finer = read(self._path(kind, digest))
                found = None if finer is None else kind.select(finer, wanted, patches)
        return found

    def save(self, digest: str, array: np.ndarray, *, crop: bool) -> None:
        """Keep the features of an image, or of a crop."""
        if self._folder is None:
            self._memory[self._kind(crop), digest] = array
            return
        path = self._path(self._kind(crop), digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.tmp")
        with temporary.open("wb") as file:  # with the rights of any file: a cache may be shared
            np.save(file, array, allow_pickle=False)
        os.replace(temporary, path)  # a run that is killed leaves whole entries or none

    def _kind(self, crop: bool) -> Kind:
        config = self._branch.config
        return Kind(config.vision_layers, config.crop_grid if crop else config.visual_grid)

    def _path(self, kind: Kind, digest: str) -> Path:
        assert self._folder is not None
        return self._folder / kind.name / digest[-2:] / f"{digest}.npy"


def read(path: Path) -> np.ndarray | None:
    """RETURNS (Optional[np.ndarray]): None if it is absent, or torn by a full disk: it is computed again."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def fingerprint(branch: VisualBranch) -> str:
    """RETURNS (str): A digest of the encoder's weights and of the preprocessing."""
    config = branch.config
    digest = hashlib.sha256(repr((config.image_size, config.image_mean, config.image_std)).encode("utf8"))
    for name, tensor in sorted(branch.encoder.state_dict().items()):
        digest.update(name.encode("utf8"))
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
