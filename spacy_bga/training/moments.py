"""What thinc's optimizer has gathered: its moments, its averages, and how often each parameter was updated.

It knows parameters by numbers that are others in each process, so they are kept by the names of `named_nodes`.
The optimizer of a `bga_ner` is torch's own, see `BGAShim.training_state`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from spacy.language import Language
from thinc.api import Model, Optimizer, PyTorchShim

from spacy_bga.training.weights import Tensors, named_nodes, shim_place

KINDS = ("mom1", "mom2", "averages")


class Parameter(NamedTuple):
    """A parameter of thinc's optimizer.

    key (tuple[int, str]): What the optimizer knows it by. node (Model): The layer that it is in.
    clear (Callable[[], None]): Gives it a gradient of zeros.
    """

    key: tuple[int, str]
    node: Model
    clear: Callable[[], None]


def read_moments(nlp: Language, frozen: Collection[str], optimizer: Optimizer) -> tuple[Tensors, dict[str, int]]:
    """Read what the optimizer has gathered.

    nlp (Language): The pipeline. frozen (Collection[str]): Components that aren't trained.
    optimizer (Optimizer): thinc's optimizer.
    RETURNS (tuple[dict[str, Tensor], dict[str, int]]): By "KIND/PARAMETER"; and by parameter, how often it was updated.
    """
    tensors: Tensors = {}
    updates: dict[str, int] = {}
    for name, (key, node, _) in _parameters(nlp, frozen):
        if key in optimizer.nr_update:
            updates[name] = optimizer.nr_update[key]
        for kind in KINDS:
            if key in (gathered := getattr(optimizer, kind) or {}):
                tensors[f"{kind}/{name}"] = torch.from_numpy(node.ops.to_numpy(gathered[key]))
    return tensors, updates


def load_moments(
    nlp: Language,
    frozen: Collection[str],
    optimizer: Optimizer,
    tensors: Mapping[str, torch.Tensor],
    updates: Mapping[str, int],
) -> None:
    """Put back what `read_moments` returned.

    nlp (Language): The pipeline. frozen (Collection[str]): Components that aren't trained.
    optimizer (Optimizer): thinc's optimizer. tensors (Mapping[str, Tensor]), updates (Mapping[str, int]): As it was.
    RAISES (ValueError): They are those of another pipeline.
    """
    known = dict(_parameters(nlp, frozen))
    names = {name.partition("/")[2] for name in tensors}
    if not names | updates.keys() <= known.keys():
        raise ValueError(f"there is no parameter {min((names | updates.keys()) - known.keys())}")
    for name, number in updates.items():
        optimizer.nr_update[known[name].key] = number
        known[name].clear()  # thinc goes on updating what had a gradient once
    for name, tensor in tensors.items():
        kind, _, parameter = name.partition("/")
        key, node, _ = known[parameter]
        array: Any = tensor.numpy().copy()
        getattr(optimizer, kind)[key] = node.ops.asarray(array)


def _parameters(nlp: Language, frozen: Collection[str]) -> Iterator[tuple[str, Parameter]]:
    for place, node in named_nodes(nlp, frozen):
        for name in node.param_names:
            if node.has_param(name):
                yield f"{place}/{name}", Parameter((node.id, name), node, partial(_clear, node, name))
        for number, shim in enumerate(node.shims):
            if isinstance(shim, PyTorchShim):
                for name, tensor in shim._model.named_parameters():
                    clear = partial(_clear_torch, tensor)
                    yield f"{shim_place(place, number)}/{name}", Parameter((shim.id, name), node, clear)


def _clear(node: Model, name: str) -> None:
    node.set_grad(name, node.ops.xp.zeros_like(node.get_param(name)))


def _clear_torch(parameter: Any) -> None:
    parameter.grad = torch.zeros_like(parameter)
