"""All that a training goes on from, as a folder of two files from which nothing is unpickled: JSON and safetensors."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from spacy.language import Language
from spacy.util import dict_to_dot
from thinc.api import Optimizer

from spacy_bga.errors import BGAError, Errors
from spacy_bga.training.batch_stream import BatchStream
from spacy_bga.training.folders import replace_folder
from spacy_bga.training.history import History, Row
from spacy_bga.training.moments import load_moments, read_moments
from spacy_bga.training.random_streams import Streams, read_streams, set_streams
from spacy_bga.training.weights import Tensors, load_attributes, load_weights, read_attributes, read_weights

FORMAT = 1
STATE_FILE, WEIGHTS_FILE, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"
# What may change between a training and its resumption: where things are, and how long it goes on.
CHANGEABLE = (
    "paths",
    "training.logger",
    "training.max_epochs",
    "training.max_steps",
    "training.optimizer.learn_rate",
    "training.patience",
)


@dataclass(frozen=True)
class Checkpoint:
    """A training, just after an evaluation.

    config (dict[str, Any]): The pipeline's config, its variables left as they are.
    history (list[Row]): The evaluations. batches (dict[str, Any]): The place in the data, see `BatchStream`.
    streams (dict[str, Any]): Where the random number generators are.
    attributes (dict[str, dict[str, Any]]): The numbers that layers have beside their weights.
    strings (list[str]): The vocabulary's, to which the evaluations that are not made again have added.
    updates (dict[str, int]): How often thinc's optimizer has updated each parameter.
    weights, moments (dict[str, Tensor]): The weights, and what thinc's optimizer has gathered.
    """

    config: dict[str, Any]
    history: list[Row]
    batches: dict[str, Any]
    streams: Streams
    attributes: dict[str, dict[str, Any]]
    strings: list[str]
    updates: dict[str, int]
    weights: Tensors
    moments: Tensors

    @classmethod
    def take(
        cls, nlp: Language, optimizer: Optimizer, frozen: Collection[str], history: History, batches: BatchStream
    ) -> Checkpoint:
        """RETURNS (Checkpoint): What is now; write it before any of it changes."""
        streams = read_streams()
        moments, updates = read_moments(nlp, frozen, optimizer)
        return cls(
            config=portable_config(nlp),
            history=history.rows,
            batches=batches.place,
            streams=streams,
            attributes=read_attributes(nlp, frozen),
            strings=list(nlp.vocab.strings),
            updates=updates,
            weights=read_weights(nlp, frozen),
            moments=moments,
        )

    def write(self, folder: Path) -> None:
        """Put the checkpoint into a folder, in the place of an earlier one. Raises a StorageError if it can't be."""
        replace_folder(folder, self._write)

    def _write(self, folder: Path) -> None:
        state = {
            "format": FORMAT,
            "config": self.config,
            "history": self.history,
            "batches": self.batches,
            "streams": self.streams,
            "attributes": self.attributes,
            "strings": self.strings,
            "updates": self.updates,
        }
        (folder / STATE_FILE).write_text(json.dumps(state), encoding="utf8")
        for name, tensors in ((WEIGHTS_FILE, self.weights), (MOMENTS_FILE, self.moments)):
            try:
                save_file(_independent(tensors), folder / name)
            except SafetensorError as error:  # a full disk is no OSError to it
                raise OSError(str(error)) from error

    @classmethod
    def read(cls, folder: Path) -> Checkpoint | None:
        """Read what `write` wrote. Nothing in it is executed.

        folder (Path): The folder.
        RETURNS (Optional[Checkpoint]): None if there is none.
        RAISES (BGAError): It can't be read.
        """
        if not folder.exists():
            return None
        try:
            state = json.loads((folder / STATE_FILE).read_text(encoding="utf8"))
            if state.pop("format") != FORMAT:
                raise ValueError("it is of another version of spacy_bga")
            # Not `load_file`: it would map the files, whose room on the disk was then not free when they are replaced.
            weights, moments = (load((folder / name).read_bytes()) for name in (WEIGHTS_FILE, MOMENTS_FILE))
            return cls(**state, weights=weights, moments=moments)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise BGAError(Errors.B674.format(path=folder, reason=error)) from error

    def check(self, nlp: Language, folder: Path) -> None:
        """Raises a BGAError if the pipeline is set up otherwise than the checkpoint's. folder (Path): Where that is."""
        before, now = dict_to_dot(self.config), dict_to_dot(portable_config(nlp))
        changed = [
            name
            for name in sorted(before.keys() | now.keys())
            if (name not in before or name not in now or before[name] != now[name])
            and not any(name == part or name.startswith(f"{part}.") for part in CHANGEABLE)
        ]
        if changed:
            raise BGAError(Errors.B673.format(path=folder, settings=", ".join(changed)))

    def restore(self, nlp: Language, optimizer: Optimizer, frozen: Collection[str]) -> None:
        """Make a pipeline, its optimizer and the random number generators what they were.

        nlp (Language): The pipeline, as newly initialized. optimizer (Optimizer): The optimizer, its schedules where
            they should be. frozen (Collection[str]): Components that aren't trained.
        RAISES (BGAError): The checkpoint is of another pipeline.
        """
        try:
            load_weights(nlp, frozen, optimizer, self.weights)
            load_attributes(nlp, frozen, self.attributes)
            load_moments(nlp, frozen, optimizer, self.moments, self.updates)
            set_streams(self.streams)
            for string in self.strings:
                nlp.vocab.strings.add(string)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise BGAError(Errors.B676.format(error=error)) from error


def portable_config(nlp: Language) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The pipeline's config as JSON gives it back."""
    return json.loads(json.dumps(nlp.config))


def _independent(tensors: Tensors) -> Tensors:
    """RETURNS (dict[str, Tensor]): On the CPU, and none of them sharing memory, as safetensors wants it."""
    seen: set[int] = set()
    found: Tensors = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        found[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return found
