"""Whether weights that were read from somewhere are those of a configuration, before memory is taken for either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.errors import BGAError, Errors


def undrawn_weights() -> AbstractContextManager[None]:
    """RETURNS (ContextManager): One in which models are built without drawing their weights, which takes longer than to
    load them."""
    from transformers import modeling_utils

    if hasattr(modeling_utils, "no_init_weights"):
        return modeling_utils.no_init_weights()
    from transformers.initialization import no_init_weights

    return no_init_weights()


def check_weights(
    build: Callable[[], nn.Module], config: BGAConfig, state: Mapping[str, Tensor], *, source: str
) -> None:
    """Check that weights are of the shapes that a configuration asks for, and finite.

    A configuration of a few bytes may ask for any size; the weights are as large as their file. So the model is first
    built without memory, and built for good only if it is what the weights are.

    build (Callable[[], Module]): Builds the model. config (BGAConfig): Its configuration.
    state (Mapping[str, Tensor]): The weights. source (str): Where they come from, for messages.
    RAISES (BGAError): They differ, or one of the weights is infinite or no number.
    """
    layers = max(_layers(config.text), _layers(config.vision if config.visual_branch else None))
    if layers > len(state):  # to build so many would take for ever
        raise BGAError(Errors.B724.format(path=source, number=layers, tensors=len(state)))
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in build().state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            shapes = [list(shapes[name]) if name in shapes else "absent" for shapes in (expected, found)]
            error = f"{name} should be {shapes[0]}, but is {shapes[1]}"
            raise BGAError(Errors.B108.format(path=source, error=error))
    for name, tensor in state.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise BGAError(Errors.B725.format(path=source, name=name))


def _layers(encoder: Mapping[str, Any] | None) -> int:
    """RETURNS (int): The largest number that an encoder's configuration gives for layers of any kind."""
    numbers = [value for name, value in (encoder or {}).items() if "layers" in name and isinstance(value, int)]
    return max(numbers, default=0)


def _is_finite(tensor: Tensor) -> bool:
    # The sum is several times faster, and finite only if everything is; large weights may overflow it.
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())
