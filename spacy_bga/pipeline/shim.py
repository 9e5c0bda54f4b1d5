"""The aligner inside a thinc model: thinc's shim, with our optimizer and safetensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import srsly
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from thinc.api import Optimizer
from thinc.shims.shim import Shim
from thinc.util import get_torch_default_device

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.layout import lay_out_for_training
from spacy_bga.aligner.model import BGAModel
from spacy_bga.errors import BGAError, Errors, reason
from spacy_bga.pipeline.backends import Backend, InferenceGraph, Precision
from spacy_bga.pipeline.listeners import UpdateQueue
from spacy_bga.pipeline.optimizer import GROUPS, TorchOptimizer
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer

TOKENIZER_FOLDER = "tokenizer"


class BGAShim(Shim):
    """Holds an aligner and its tokenizer, or neither before the component is initialized or loaded.

    rate_scales (Mapping[str, float]): See `TorchOptimizer`.
    save_visual_branch (bool): Whether what is saved can go on learning from images.
    """

    def __init__(self, *, rate_scales: Mapping[str, float] | None = None, save_visual_branch: bool = False):
        super().__init__(None)
        self.tokenizer: WordpieceTokenizer | None = None
        self.rate_scales = dict.fromkeys(GROUPS, 1.0) | dict(rate_scales or {})
        self.save_visual_branch = save_visual_branch
        self.is_loaded = False  # what is loaded goes on learning, what is initialized begins
        self.graph = InferenceGraph()
        self.updates = UpdateQueue()

    @property
    def aligner(self) -> BGAModel:
        """RETURNS (BGAModel): The aligner. Raises a BGAError if there is none yet."""
        if self._model is None:
            raise BGAError(Errors.B201)
        return self._model

    @property
    def wordpieces(self) -> WordpieceTokenizer:
        """RETURNS (WordpieceTokenizer): The tokenizer. Raises a BGAError if there is none yet."""
        if self.tokenizer is None:
            raise BGAError(Errors.B201)
        return self.tokenizer

    @property
    def device(self) -> torch.device:
        return self.aligner.head.weight.device

    def set_aligner(self, aligner: BGAModel, tokenizer: WordpieceTokenizer) -> None:
        """Take an aligner, onto the device that spaCy uses."""
        self._model = self._move(aligner, get_torch_default_device())
        self.tokenizer = tokenizer
        self.is_loaded = False
        self._optimizer = None
        self.graph.drop()
        self.updates = UpdateQueue()  # a step that waits is of the aligner before

    @staticmethod
    def _move(aligner: BGAModel, device: torch.device) -> BGAModel:
        if device.type != "cpu":  # the other layout is for processors
            lay_out_for_training(aligner)
        return aligner.to(device)

    def set_backend(self, backend: Backend, precision: Precision) -> None:
        """Choose what runs in place of the aligner's text branch; see `InferenceGraph`."""
        self.graph = InferenceGraph(backend, precision, at_rest=self.graph.at_rest)

    def set_rate_scales(self, scales: Mapping[str, float]) -> None:
        """Change some of what the learning rate is multiplied by. Raises a BGAError if a part is unknown."""
        for part in scales:
            if part not in self.rate_scales:
                raise BGAError(Errors.B205.format(part=part, known=", ".join(self.rate_scales)))
        self.rate_scales |= scales

    def reset_optimizer(self) -> None:
        """Forget the optimizer's state: the parameters are other ones now."""
        self._optimizer = None

    def _forget(self) -> None:
        self._model = self.tokenizer = self._optimizer = None
        self.graph.drop()
        self.updates = UpdateQueue()

    def prepare_update(self, dropout: float) -> None:
        """Freeze what has no learning rate, and set the dropout of the rest.

        dropout (float): Its rate.
        """
        self.updates.finish()
        self._get_optimizer()
        self.aligner.set_dropout(dropout)

    def _get_optimizer(self) -> TorchOptimizer:
        if self._optimizer is None:
            lay_out_for_training(self.aligner)
            self.aligner.bind_words()
            self._optimizer = TorchOptimizer(self.aligner, self.rate_scales, goes_on=self.is_loaded)
        return self._optimizer

    def finish_update(self, optimizer: Optimizer) -> None:
        if not self.updates.postpone(self._step, optimizer):
            self._step(optimizer)

    def _step(self, optimizer: Optimizer) -> None:
        self._get_optimizer().step(optimizer)
        self.aligner.forget()
        self.graph.drop()

    def training_state(self) -> dict[str, torch.Tensor]:
        """RETURNS (dict[str, Tensor]): All that training goes on from: "weights/NAME", those of the visual branch too,
        and "optimizer/NAME/PART"."""
        self.updates.finish()
        weights = {f"weights/{name}": tensor for name, tensor in self.aligner.state_dict().items()}
        return weights | {f"optimizer/{name}": part for name, part in self._get_optimizer().state().items()}

    def load_training_state(self, state: Mapping[str, torch.Tensor], optimizer: Optimizer) -> None:
        """Go on from what `training_state` returned.

        state (Mapping[str, Tensor]): Raises a ValueError or a RuntimeError if it doesn't fit the aligner.
        optimizer (Optimizer): spaCy's optimizer.
        """
        self.updates = UpdateQueue()  # a step that waits is of the weights before
        parts: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "optimizer": {}}
        for key, tensor in state.items():
            kind, _, name = key.partition("/")
            parts[kind][name] = tensor
        self.aligner.load_state_dict(parts["weights"])
        self._get_optimizer().load_state(parts["optimizer"], optimizer)
        self.graph.drop()

    def to_device(self, device_type: str, device_id: int) -> None:
        if self._model is not None:
            self._move(self._model, torch.device("cpu" if device_type == "cpu" else f"cuda:{device_id}"))
            self._optimizer = None  # its moments lie on the old device

    def to_bytes(self) -> bytes:
        self.updates.finish()
        if self._model is None:
            return srsly.msgpack_dumps({})
        keep = self.save_visual_branch
        message = {
            "config": self.aligner.saved_config(visual_branch=keep).to_json(),
            "weights": save(self.aligner.saved_state(visual_branch=keep), metadata={"format": "pt"}),
            "tokenizer": self.wordpieces.to_files(),
            "graph": self.graph.to_bytes(),
        }
        return srsly.msgpack_dumps(message)

    def from_bytes(self, data: bytes) -> BGAShim:
        message: dict[str, Any] = srsly.msgpack_loads(data)
        if not message:  # saved before it had weights
            self._forget()
            return self
        config = BGAConfig.from_json(message["config"])
        try:
            state = load(message["weights"])
        except SafetensorError as error:
            raise BGAError(Errors.B108.format(path="bytes", error=error)) from error
        tokenizer = WordpieceTokenizer.from_files(message["tokenizer"], **_windowing(config))
        self.set_aligner(BGAModel.from_state(config, state), tokenizer)
        self.is_loaded = True
        self.graph.from_bytes(message.get("graph", {}))
        return self

    def to_disk(self, path: Path | str) -> None:
        """Write a folder as `BGAModel.save_pretrained` does, with the tokenizer in a folder of its own."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        self.updates.finish()
        if self._model is None:
            return
        self.aligner.save_pretrained(path, visual_branch=self.save_visual_branch)
        folder = path / TOKENIZER_FOLDER
        folder.mkdir(exist_ok=True)
        for name, content in self.wordpieces.to_files().items():
            (folder / name).write_bytes(content)
        self.graph.to_disk(path)

    def from_disk(self, path: Path | str) -> BGAShim:
        """Read what `to_disk` wrote. Raises a BGAError that names the folder if it can't be read."""
        path = Path(path)
        with tell_of_folder(path):
            if not any(path.iterdir()):  # saved before it had weights
                self._forget()
            else:
                aligner = BGAModel.from_pretrained(path)
                tokenizer = WordpieceTokenizer.from_folder(path / TOKENIZER_FOLDER, **_windowing(aligner.config))
                self.set_aligner(aligner, tokenizer)
                self.is_loaded = True
                self.graph.from_disk(path)
        return self

    def check_labels(self, labels: Any, path: Path | str) -> None:
        """Raise a BGAError unless these are the aligner's labels: they are written twice, and tags are numbers."""
        own = [] if self._model is None else list(self.aligner.config.labels)
        if self._model is not None and labels != own:
            raise BGAError(Errors.B727.format(path=path, cfg=labels, config=own))


def _windowing(config: BGAConfig) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The settings of an aligner's tokenizer."""
    return {"window": config.window, "overlap": config.overlap, "of": config.wordpieces_of}


@contextmanager
def tell_of_folder(path: Path | str) -> Iterator[None]:
    """Make of any exception a BGAError that names the folder: spaCy, srsly, transformers and tokenizers have many."""
    try:
        yield
    except Exception as error:
        ours = isinstance(error, BGAError)
        if ours and str(path) in str(error):
            raise
        raise BGAError(Errors.B206.format(path=path, error=error if ours else reason(error))) from error
