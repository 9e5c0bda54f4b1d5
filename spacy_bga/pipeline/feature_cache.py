"""Where the features of a frozen vision encoder are kept: in memory or in a folder, by all that decides them."""

from __future__ import annotations

import hashlib
import io
import os
import re
import uuid
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.aligner.visual import VisualBranch
from spacy_bga.errors import Warnings

CHECKSUM = 4  # bytes of a CRC-32 behind the array: enough to tell chance from content


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

    def shape(self, patches: tuple[int, int], width: int) -> tuple[int, int, int]:
        """RETURNS (tuple[int, int, int]): The shape (N, m, d_v) of a picture's features."""
        rows, columns = patches
        return len(self.layers), 1 + (rows * columns if self.grid is None else self.grid**2), width

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

    What a killed process leaves is whole, and what is damaged is noticed and made again. If the folder can't be
    written, as on a full disk, what is new is kept in memory.

    branch (VisualBranch): The visual branch. folder (Optional[Path]): None keeps everything in memory.
    """

    def __init__(self, branch: VisualBranch, folder: Path | None):
        self._branch = branch
        self._folder = folder / fingerprint(branch) if folder is not None else None
        self._is_unwritable = False
        self._memory: dict[tuple[Kind, str], np.ndarray] = {}
        self._kinds: list[Kind] = []
        if self._folder is not None and self._folder.is_dir():
            kinds = (Kind.from_name(path.name) for path in sorted(self._folder.iterdir()))
            self._kinds = [kind for kind in kinds if kind is not None]

    def load(self, digest: str, *, crop: bool) -> np.ndarray | None:
        """RETURNS (Optional[np.ndarray]): The features of an image, or of a crop; None if they aren't there."""
        wanted = self._kind(crop)
        found = self._memory.get((wanted, digest))
        if self._folder is None or found is not None:
            return found
        found = self._read(wanted, digest)
        patches = self._patches
        for kind in self._kinds:
            if found is not None:
                break
            if kind != wanted and kind.holds(wanted, patches):
                finer = self._read(kind, digest)
                found = None if finer is None else kind.select(finer, wanted, patches)
        return found

    def save(self, digest: str, array: np.ndarray, *, crop: bool) -> None:
        """Keep the features of an image, or of a crop."""
        kind = self._kind(crop)
        if self._folder is not None and not self._is_unwritable:
            try:
                write(self._path(kind, digest), array)
                return
            except OSError as error:
                self._is_unwritable = True
                warnings.warn(Warnings.W670.format(folder=self._folder, reason=error.strerror), stacklevel=2)
        self._memory[kind, digest] = array

    def trim(self, most: int) -> None:
        """Forget the oldest features in memory beyond so many."""
        for key in list(self._memory)[: max(0, len(self._memory) - most)]:
            del self._memory[key]

    def _read(self, kind: Kind, digest: str) -> np.ndarray | None:
        """RETURNS (Optional[np.ndarray]): None if they aren't there, or are damaged."""
        array = read(self._path(kind, digest))
        shape = kind.shape(self._patches, self._branch.opened.width)
        return array if array is not None and array.shape == shape else None

    @property
    def _patches(self) -> tuple[int, int]:
        return self._branch.opened.patch_grid(self._branch.config.image_size)

    def _kind(self, crop: bool) -> Kind:
        config = self._branch.config
        return Kind(config.vision_layers, config.crop_grid if crop else config.visual_grid)

    def _path(self, kind: Kind, digest: str) -> Path:
        assert self._folder is not None
        return self._folder / kind.name / digest[-2:] / f"{digest}.npy"


def write(path: Path, array: np.ndarray) -> None:
    """Write an array and its checksum, so that a run that is killed leaves a whole entry or none.

    path (Path): A .npy file, made with its folder. array (np.ndarray): The array.
    """
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    content = stream.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content + checksum(content))  # with the rights of any file: a cache may be shared
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path) -> np.ndarray | None:
    """Read what `write` wrote. An entry that was written without a checksum, by an older version, is read as it is.

    path (Path): The .npy file.
    RETURNS (Optional[np.ndarray]): None if it is absent or damaged: torn by a power cut, say.
    """
    try:
        content = path.read_bytes()
        stream = io.BytesIO(content)
        array = np.lib.format.read_array(stream, allow_pickle=False)
        return array if content[stream.tell() :] in (checksum(content[: stream.tell()]), b"") else None
    except Exception:  # of a damaged header, NumPy's parser says so in many ways
        return None


def checksum(content: bytes) -> bytes:
    """RETURNS (bytes): The CRC-32 of a file's content."""
    return zlib.crc32(content).to_bytes(CHECKSUM, "big")


def fingerprint(branch: VisualBranch) -> str:
    """RETURNS (str): A digest of the encoder's weights and of the preprocessing."""
    config = branch.config
    digest = hashlib.sha256(repr((config.image_size, config.image_mean, config.image_std)).encode("utf8"))
    for name, tensor in sorted(branch.opened.state_dict().items()):
        digest.update(name.encode("utf8"))
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
