"""The random number generators that training draws from: Python's, NumPy's and torch's own ones."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

Streams = dict[str, Any]
"""The state of each generator by its name, as JSON can hold it."""


def read_streams() -> Streams:
    """RETURNS (dict[str, Any]): Where each generator is: "python", "numpy", "torch" and, on a GPU, "cuda"."""
    numpy_state: Any = np.random.get_state()
    _, key, *rest = numpy_state
    streams: Streams = {
        "python": random.getstate(),
        "numpy": [key.tobytes().hex(), *rest],
        "torch": _to_hex(torch.get_rng_state()),
    }
    if torch.cuda.is_available():
        streams["cuda"] = [_to_hex(state) for state in torch.cuda.get_rng_state_all()]
    return streams


def set_streams(streams: Streams) -> None:
    """Put generators where they were.

    streams (dict[str, Any]): What `read_streams` returned, or some of it.
    """
    if "python" in streams:
        version, state, gauss = streams["python"]
        random.setstate((version, tuple(state), gauss))
    if "numpy" in streams:
        key, *rest = streams["numpy"]
        np.random.set_state(("MT19937", np.frombuffer(bytes.fromhex(key), dtype=np.uint32), *rest))
    if "torch" in streams:
        torch.set_rng_state(_from_hex(streams["torch"]))
    if "cuda" in streams and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([_from_hex(state) for state in streams["cuda"]])


def _to_hex(state: torch.Tensor) -> str:
    return state.numpy().tobytes().hex()


def _from_hex(state: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8)
