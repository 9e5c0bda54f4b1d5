"""Engines that run the exported text branch in place of torch, and the graph that they share."""

from __future__ import annotations

import importlib
import os
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.errors import BGAError, Errors, Warnings

Backend = Literal["torch", "onnx", "openvino", "auto"]
Precision = Literal["fp32", "bf16", "int8"]
Encode = Callable[[Tensor, Tensor], Tensor]  # ids (W, n) and mask (W, n) to features (W, n, d)

PRECISIONS = {"torch": ("fp32", "bf16"), "onnx": ("fp32", "int8"), "openvino": ("fp32",), "auto": ("fp32",)}
GRAPH_FILES = {"fp32": "graph.onnx", "int8": "graph.int8.onnx"}
# Up to so many wordpieces "auto" runs the graph: ONNX Runtime is faster with the few of a text or two, on every
# processor; with those of a batch, faster on one and slower on another.
FEW = 64
_building = threading.Lock()  # torch exports one graph at a time


class OnnxBackend:
    """ONNX Runtime on the CPU. graph (bytes): What `export_onnx` returned. threads (int): How many it may use."""

    def __init__(self, graph: bytes, *, threads: int):
        runtime = require("onnxruntime", backend="onnx")
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        (hidden,) = self._session.run(None, {"ids": ids.cpu().numpy(), "mask": mask.cpu().numpy()})
        return torch.from_numpy(hidden)


class OpenVinoBackend:
    """OpenVINO on the CPU. graph (bytes): What `export_onnx` returned. threads (int): How many it may use."""

    def __init__(self, graph: bytes, *, threads: int):
        core = require("openvino", backend="openvino").Core()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # never bf16 behind one's back, where the processor has it
        }
        self._lock = threading.Lock()  # a request is of one call at a time
        self._request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        with self._lock:
            self._request.infer({"ids": ids.cpu().numpy(), "mask": mask.cpu().numpy()}, share_inputs=True)
            return torch.from_numpy(self._request.get_output_tensor(0).data.copy())  # the next call writes there again


ENGINES: dict[str, Callable[..., Encode]] = {"onnx": OnnxBackend, "openvino": OpenVinoBackend}


class InferenceGraph:
    """The exported text branch of an aligner, made when it is first needed, and this process's engine that runs it.

    backend (str): "torch", which needs no graph, "onnx" or "openvino"; or "auto": "onnx" for few wordpieces where that
        is possible at once, else "torch". precision (str): One of its `PRECISIONS`.
    at_rest (bool): Whether the aligner is as it was loaded. While it learns, "auto" makes no graph.
    """

    def __init__(self, backend: Backend = "torch", precision: Precision = "fp32", *, at_rest: bool = False):
        if backend not in PRECISIONS:
            raise BGAError(Errors.B212.format(name="backend", value=backend, known=", ".join(PRECISIONS)))
        if precision not in PRECISIONS[backend]:
            known = ", ".join(PRECISIONS[backend])
            raise BGAError(Errors.B213.format(precision=precision, backend=backend, known=known))
        self.backend = backend
        self.precision = precision
        self.at_rest = at_rest
        self.content: bytes | None = None
        self.used: Backend | None = None  # what the last texts were given to
        # By process: a fork inherits an engine whose threads it does not have, and must not even take it down.
        self._engines: dict[int, Encode | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_engines": {}}

    @property
    def engine(self) -> Backend:
        """RETURNS (str): What runs the graph."""
        return "onnx" if self.backend == "auto" else self.backend

    def encoder(self, aligner: BGAModel, n_wordpieces: int = 1) -> Encode | None:
        """RETURNS (Optional[Callable]): What to run in place of this aligner's text branch for so many wordpieces, or
        None: run that."""
        encode = self._encoder(aligner) if self._suits(aligner, n_wordpieces) else None
        self.used = "torch" if encode is None else self.engine
        return encode

    def _suits(self, aligner: BGAModel, n_wordpieces: int) -> bool:
        if self.backend == "torch" or aligner.context != "generated":  # the graph knows no other context
            return False
        return self.backend != "auto" or (n_wordpieces <= FEW and aligner.head.weight.device.type == "cpu")

    def _encoder(self, aligner: BGAModel) -> Encode | None:
        process = os.getpid()
        with _building:
            if process not in self._engines:
                self._engines[process] = self._try(aligner) if self.backend == "auto" else self._prepare(aligner)
            return self._engines[process]

    def build(self, aligner: BGAModel) -> None:
        """Make the graph now, and see that it runs; nothing for "torch". Raises a BGAError if it can't be."""
        if self.backend != "torch":
            with _building:
                self._engines[os.getpid()] = self._prepare(aligner.eval())

    def _try(self, aligner: BGAModel) -> Encode | None:
        """RETURNS (Optional[Callable]): As `encoder`; None if it can't be had, or only at a time when it isn't worth
        it. A graph that doesn't run is warned of, a package that isn't there is not."""
        if self.content is None and not self.at_rest:
            return None
        try:
            encode = self._prepare(aligner)
            encode(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool))
        except BGAError as error:
            if not isinstance(error.__cause__, ImportError):
                warnings.warn(Warnings.W217.format(error=error), stacklevel=2)
            return None
        return encode

    def _prepare(self, aligner: BGAModel) -> Encode:
        if self.content is None:
            self.content = self._export(aligner)
        return partial(self._run, self._start(self.content), aligner.text_encoder.width)

    def _run(self, engine: Encode, width: int, ids: Tensor, mask: Tensor) -> Tensor:
        """Run a graph, which need not be the aligner's: it is a file beside the weights."""
        try:
            hidden = engine(ids, mask)
        except Exception as error:  # each engine has exceptions of its own
            raise BGAError(Errors.B217.format(backend=self.engine, error=error)) from error
        if hidden.shape != (*ids.shape, width):
            shapes = f"it makes {list(hidden.shape)} of {list(ids.shape)} wordpieces"
            raise BGAError(Errors.B217.format(backend=self.engine, error=shapes))
        return hidden

    def _start(self, graph: bytes) -> Encode:
        try:
            # As many threads as torch, which has one in a worker process.
            return ENGINES[self.engine](graph, threads=torch.get_num_threads())
        except BGAError:
            raise
        except Exception as error:
            raise BGAError(Errors.B217.format(backend=self.engine, error=error)) from error

    def _export(self, aligner: BGAModel) -> bytes:
        from spacy_bga.aligner.export import export_onnx
        from spacy_bga.pipeline.quantization import quantize

        require("onnx", backend=self.engine)
        graph = export_onnx(aligner.eval())
        return quantize(graph) if self.precision == "int8" else graph

    def drop(self) -> None:
        """Forget the graph: the aligner is another one now."""
        self.content = None
        self.at_rest = False
        self._engines.pop(os.getpid(), None)

    @property
    def _files(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): What a file with its graph is called; nothing without a graph."""
        return () if self.backend == "torch" else (GRAPH_FILES[self.precision],)

    def to_bytes(self) -> dict[str, bytes]:
        """RETURNS (dict[str, bytes]): The graph by the name of its file, if there is one."""
        return {} if self.content is None else {GRAPH_FILES[self.precision]: self.content}

    def from_bytes(self, files: dict[str, bytes]) -> None:
        """Take what `to_bytes` returned; a graph of another precision than this one's is left alone."""
        self.drop()
        self.at_rest = True
        for name in self._files:
            self.content = files.get(name)

    def to_disk(self, folder: Path) -> None:
        """Write the graph into a folder, if there is one; and in any case leave no older one there."""
        files = self.to_bytes()
        for name in GRAPH_FILES.values():
            if name in files:
                (folder / name).write_bytes(files[name])
            else:
                (folder / name).unlink(missing_ok=True)

    def from_disk(self, folder: Path) -> None:
        """Read what `to_disk` wrote."""
        self.from_bytes({path.name: path.read_bytes() for path in folder.iterdir() if path.name in self._files})


def require(package: str, *, backend: Backend) -> ModuleType:
    """RETURNS (ModuleType): An optional package. Raises a BGAError that names the extra if it isn't installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise BGAError(Errors.B214.format(backend=backend, package=package)) from error
