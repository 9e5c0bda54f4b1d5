"""Where a training leaves its pipelines and its checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST

from spacy_bga.training.folders import locked, recover, replace_folder, storage

CHECKPOINT = "checkpoint"


class OutputFolder:
    """The folders `model-best`, `model-last` and `checkpoint`, each of them whole or absent at any moment.

    path (Path): The folder that holds them.
    """

    def __init__(self, path: Path):
        self.path = path
        self.best = path / DIR_MODEL_BEST
        self.last = path / DIR_MODEL_LAST
        self.checkpoint = path / CHECKPOINT

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folder, mend what a killed training has left, and keep other trainings out of it.

        RAISES (BGAError): It can't be written, or another training is at it.
        """
        with storage(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            for folder in (self.best, self.last, self.checkpoint):
                recover(folder)
            yield

    def save_last(self, write: Callable[[Path], object]) -> None:
        """Replace `model-last`. write (Callable[[Path], object]): Writes the pipeline into the folder it is given."""
        replace_folder(self.last, write)

    def save_best(self) -> None:
        """Make `model-best` a copy of `model-last`: to save a pipeline twice would cost more."""
        replace_folder(self.best, lambda new: shutil.copytree(self.last, new, dirs_exist_ok=True))
