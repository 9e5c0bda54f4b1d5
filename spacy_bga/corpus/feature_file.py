"""Files of visual features that somebody has computed: safetensors, each key a picture (or what stands for one)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from spacy_bga.errors import BGAError, Errors, ImageError, reason

SUFFIX = ".safetensors"
DTYPES = ("F16", "F32")  # as safetensors calls them


@dataclass(frozen=True)
class _Entry:
    """Where the features of a key are, and their shape."""

    path: Path
    shape: tuple[int, int]


class FeatureFile:
    """Features (m, d_v) by key, in a .safetensors file or in a folder of them. They are mapped into memory: what is not
    asked for is not read.

    The metadata of a file may declare the grid that the m parts lie on, as in `{"grid": "7x7"}`: rows and columns, from
    the upper left corner row by row. With one token more, the first stands for the whole picture.

    path (Path): The file or folder. Keys, shapes and types of all of it are checked.
    RAISES (BGAError): There is none, it can't be read, or something in it is no such feature.
    """

    def __init__(self, path: Path):
        self.path = path
        self.grid: tuple[int, int] | None = None
        self._open: dict[Path, Any] = {}
        self._entries: dict[str, _Entry] = {}
        files = [path] if path.is_file() else sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else []
        for number, file in enumerate(files):
            self._add(file, is_first=number == 0)
        if not self._entries:
            raise BGAError(Errors.B370.format(path=path))

    def __len__(self) -> int:
        """RETURNS (int): How many keys there are."""
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        """YIELDS (str): The keys."""
        return iter(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process, which opens the files by itself."""
        return {**vars(self), "_open": {}}

    @property
    def width(self) -> int:
        """RETURNS (int): The width `d_v` of all features."""
        return next(iter(self._entries.values())).shape[1]

    @property
    def n_patches(self) -> int:
        """RETURNS (int): How many parts a picture has, at most."""
        return prod(self.grid) if self.grid else max(entry.shape[0] for entry in self._entries.values())

    def shape(self, key: str) -> tuple[int, int]:
        """RETURNS (tuple[int, int]): (m, d_v). Raises an ImageError if there is no such key."""
        if key not in self._entries:
            raise ImageError(Errors.B222.format(key=key[:80], path=self.path, example=next(iter(self))[:80]))
        return self._entries[key].shape

    def load(self, key: str) -> np.ndarray:
        """RETURNS (np.ndarray): (m, d_v), float16 or float32. Raises an ImageError if they can't be used."""
        self.shape(key)
        path = self._entries[key].path
        try:
            features: np.ndarray = self._file(path).get_tensor(key)
        except Exception as error:  # the file was altered meanwhile
            raise ImageError(Errors.B371.format(path=path, reason=reason(error))) from error
        if not np.isfinite(features).all():
            raise ImageError(Errors.B377.format(key=key[:80], path=path))
        return features

    def _file(self, path: Path) -> Any:
        from safetensors import safe_open

        if path not in self._open:
            self._open[path] = safe_open(path, framework="numpy")
        return self._open[path]

    def _add(self, path: Path, *, is_first: bool) -> None:
        """Take in the keys of a file."""
        try:
            file = self._file(path)
            grid = parse_grid((file.metadata() or {}).get("grid"), path)
            found = {}
            for key in file.keys():  # noqa: SIM118 (it is no mapping)
                part = file.get_slice(key)
                found[key] = (part.get_dtype(), tuple(part.get_shape()))
        except BGAError:
            raise
        except Exception as error:  # safetensors has an exception of its own
            raise BGAError(Errors.B371.format(path=path, reason=reason(error))) from error
        if not is_first and grid != self.grid:
            raise BGAError(Errors.B374.format(path=path, grid=None if grid is None else "{}x{}".format(*grid)))
        self.grid = grid
        for key, (dtype, shape) in found.items():
            self._check(path, key, dtype, shape)
            self._entries[key] = _Entry(path, shape)

    def _check(self, path: Path, key: str, dtype: str, shape: tuple[int, ...]) -> None:
        if dtype not in DTYPES or len(shape) != 2 or not all(shape):
            raise BGAError(Errors.B372.format(path=path, key=key[:80], dtype=dtype, shape=list(shape)))
        if key in self._entries:
            raise BGAError(Errors.B376.format(path=path, place=self._entries[key].path, key=key[:80]))
        if self._entries and shape[1] != self.width:
            other, entry = next(iter(self._entries.items()))
            place = {"other": other[:80], "place": entry.path, "expected": entry.shape[1]}
            raise BGAError(Errors.B373.format(key=key[:80], path=path, width=shape[1], **place))
        if self.grid and shape[0] - prod(self.grid) not in (0, 1):
            rows, columns = self.grid
            sizes = {"rows": rows, "columns": columns, "patches": rows * columns, "more": rows * columns + 1}
            raise BGAError(Errors.B375.format(path=path, key=key[:80], tokens=shape[0], **sizes))


def holds_features(path: Path) -> bool:
    """RETURNS (bool): Whether a path is that of a .safetensors file, or of a folder of them."""
    return path.suffix == SUFFIX or any(path.glob(f"*{SUFFIX}"))


def parse_grid(value: str | None, path: Path) -> tuple[int, int] | None:
    """RETURNS (Optional[tuple[int, int]]): Rows and columns, of "7x7". path (Path): For the BGAError if it is none."""
    if value is None:
        return None
    rows, x, columns = value.partition("x")
    if not x or not all(re.fullmatch("[1-9][0-9]{0,3}", side) for side in (rows, columns)):
        raise BGAError(Errors.B374.format(path=path, grid=value[:80]))
    return int(rows), int(columns)
