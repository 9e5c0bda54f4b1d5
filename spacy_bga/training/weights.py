"""The weights of a pipeline's components while they are trained: those of thinc's layers, and those of torch's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from spacy.language import Language
from thinc.api import Model, Optimizer, PyTorchShim
from thinc.shims.shim import Shim

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.shim import BGAShim

Tensors = dict[str, torch.Tensor]


def named_nodes(nlp: Language, frozen: Collection[str]) -> Iterator[tuple[str, Model]]:
    """Name the layers of all models so that another process, which builds the same ones, finds the same names.

    nlp (Language): The pipeline. frozen (Collection[str]): Components that aren't trained.
    YIELDS (tuple[str, Model]): "COMPONENT/NUMBER" and the layer.
    """
    for name, component in nlp.pipeline:
        model = getattr(component, "model", None)
        if name not in frozen and isinstance(model, Model):
            for number, node in enumerate(model.walk()):
                yield f"{name}/{number}", node


def read_weights(nlp: Language, frozen: Collection[str]) -> Tensors:
    """Read the weights as they are, not as they are saved: with what only training needs.

    nlp (Language): The pipeline. frozen (Collection[str]): Components that aren't trained.
    RETURNS (dict[str, Tensor]): By "LAYER/PARAMETER"; they may share memory with the models.
    """
    tensors: Tensors = {}
    for place, node in named_nodes(nlp, frozen):
        for name in node.param_names:
            if node.has_param(name):
                tensors[f"{place}/{name}"] = torch.from_numpy(node.ops.to_numpy(node.get_param(name)))
        for number, shim in enumerate(node.shims):
            tensors |= {f"{shim_place(place, number)}/{name}": t for name, t in _shim_state(shim).items()}
    return tensors


def load_weights(
    nlp: Language, frozen: Collection[str], optimizer: Optimizer, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Put weights back.

    nlp (Language): The pipeline. frozen (Collection[str]): Components that aren't trained.
    optimizer (Optimizer): spaCy's optimizer. tensors (Mapping[str, Tensor]): What `read_weights` returned.
    RAISES (ValueError, RuntimeError): They are those of another pipeline.
    """
    left = dict(tensors)
    for place, node in named_nodes(nlp, frozen):
        for name in node.param_names:
            if node.has_param(name):
                weights = left.pop(f"{place}/{name}", None)
                if weights is None or tuple(weights.shape) != node.get_param(name).shape:
                    raise ValueError(f"there are no fitting weights for {name} of {node.name} in {place}")
                array: Any = weights.numpy().copy()
                node.set_param(name, node.ops.asarray_f(array))
        for number, shim in enumerate(node.shims):
            prefix = f"{shim_place(place, number)}/"
            own = {name.removeprefix(prefix): left.pop(name) for name in list(left) if name.startswith(prefix)}
            _load_shim_state(shim, own, optimizer)
    if left:
        raise ValueError(f"there is no layer for {next(iter(left))}")


def read_attributes(nlp: Language, frozen: Collection[str]) -> dict[str, dict[str, Any]]:
    """RETURNS (dict[str, dict[str, Any]]): The numbers that each layer has as attributes, such as its dropout rate,
    which using it changes."""
    return {
        place: {key: value for key, value in node.attrs.items() if isinstance(value, int | float)}
        for place, node in named_nodes(nlp, frozen)
    }


def load_attributes(nlp: Language, frozen: Collection[str], attributes: Mapping[str, Mapping[str, Any]]) -> None:
    """Put back what `read_attributes` returned."""
    for place, node in named_nodes(nlp, frozen):
        node.attrs.update(attributes[place])


def shim_place(place: str, number: int) -> str:
    """RETURNS (str): The name of a torch module in a layer."""
    return f"{place}/shim{number}"


def _shim_state(shim: Shim) -> Tensors:
    if isinstance(shim, BGAShim):
        return shim.training_state()
    if isinstance(shim, PyTorchShim):
        return dict(shim._model.state_dict())
    raise BGAError(Errors.B677.format(kind=type(shim).__name__))


def _load_shim_state(shim: Shim, state: Tensors, optimizer: Optimizer) -> None:
    if isinstance(shim, BGAShim):
        shim.load_training_state(state, optimizer)
    elif isinstance(shim, PyTorchShim):
        shim._model.load_state_dict(state)
