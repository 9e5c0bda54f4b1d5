"""A folder of feature files that is written shard by shard, and can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save
from tqdm import tqdm

from spacy_bga.corpus.feature_file import SUFFIX, FeatureFile
from spacy_bga.errors import BGAError, Errors, ImageError, StorageError
from spacy_bga.whole_file import write_whole

MADE_BY = "made_by"  # the key of the metadata that says how features were computed
Features = Mapping[str, np.ndarray]


class ShardFolder:
    """A folder of feature files: each is there whole or not at all, whenever the writer was killed.

    path (Path): The folder, made if it isn't there. made_by (Mapping[str, Any]): What decides the features.
    RAISES (BGAError): It has features that were made by something else.
    """

    def __init__(self, path: Path, made_by: Mapping[str, Any]):
        self.path = path
        self.made_by = json.dumps(made_by, sort_keys=True)
        self.done: set[str] = set()
        self.grid: tuple[int, int] | None = None
        if path.exists() and not path.is_dir():
            raise BGAError(Errors.B383.format(path=path, other="it is a file"))
        files = sorted(path.glob(f"*{SUFFIX}"))
        if files:
            known = FeatureFile(path)
            self.done, self.grid = set(known), known.grid
        for file in files:
            with safe_open(file, framework="numpy") as opened:
                other = (opened.metadata() or {}).get(MADE_BY)
            if other != self.made_by:
                raise BGAError(Errors.B383.format(path=path, other=f"{file.name} was made by {other}"))

    def write(self, features: Features, grid: tuple[int, int] | None) -> None:
        """Write one more file.

        features (Mapping[str, np.ndarray]): (m, d_v) by key. grid (Optional[tuple[int, int]]): See `FeatureFile`.
        RAISES (StorageError): It can't be written.
        """
        if not features:
            return
        number = len(list(self.path.glob(f"*{SUFFIX}")))
        path = self.path / f"features-{number:05d}{SUFFIX}"
        metadata = {MADE_BY: self.made_by} | ({} if grid is None else {"grid": "{}x{}".format(*grid)})
        content = save({key: np.ascontiguousarray(array) for key, array in features.items()}, metadata=metadata)
        try:
            write_whole(path, content)
        except OSError as error:
            raise StorageError(Errors.B388.format(path=path, reason=error.strerror)) from error
        self.done.update(features)


def fill(
    folder: ShardFolder,
    keys: Sequence[str],
    load: Callable[[str], Any],
    encode: Callable[[list[Any]], list[np.ndarray]],
    *,
    grid: Callable[[], tuple[int, int] | None],
    batch: int,
    shard: int,
) -> list[str]:
    """Compute the features that a folder lacks.

    folder (ShardFolder): Where they go. keys (Sequence[str]): Of what to compute them.
    load (Callable[[str], Any]): Returns what a key stands for; an ImageError leaves it out.
    encode (Callable): Returns (m, d_v) of each of a list of what was loaded, float16.
    grid (Callable): Returns the grid of what was encoded. batch (int): How many are encoded at once.
    shard (int): How many go into a file.
    RETURNS (list[str]): What was wrong with those that were left out.
    """
    problems: list[str] = []
    left = [key for key in keys if key not in folder.done]
    bar = tqdm(total=len(keys), initial=len(keys) - len(left), desc="Visual features", unit="key", disable=None)
    with bar:
        for part in _parts(left, shard):
            features: dict[str, np.ndarray] = {}
            for some in _parts(part, batch):
                loaded = _load(some, load, problems)
                if loaded:
                    features |= zip(loaded, encode(list(loaded.values())), strict=True)
                bar.update(len(some))
            folder.write(features, grid())
    return problems


def _load(keys: Sequence[str], load: Callable[[str], Any], problems: list[str]) -> dict[str, Any]:
    found = {}
    for key in keys:
        try:
            found[key] = load(key)
        except ImageError as error:
            problems.append(str(error))
    return found


def _parts(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
