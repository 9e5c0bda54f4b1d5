"""A pretrained text layer in functional form: what its modules compute while tagging, without calling them.

A call of a module costs several microseconds, and transformers' layers are modules within modules, with a dropout each.
For a single text that is a good part of the time. Nothing is kept from one call to the next: weights are
read where they lie, so that whatever changes them is obeyed at once. Results are the same to the last bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import GELUActivation

from spacy_bga.aligner.activation import gelu
from spacy_bga.aligner.packing import Padded


def embed(embeddings: nn.Module, ids: Tensor, *, count_from: int | None) -> Tensor:
    """The input of the first layer: transformers' `Embeddings`.

    embeddings (Module): With `word_embeddings`, `position_embeddings`, `token_type_embeddings` and `LayerNorm`.
    ids (Tensor): (W, n) wordpiece ids. count_from (Optional[int]): The padding id, if positions are counted from it
        upwards and leave padding out, as RoBERTa's; None: they are those of the columns.
    RETURNS (Tensor): (W, n, e).
    """
    inside = parts(embeddings)
    tables = [inside[name] for name in ("word_embeddings", "token_type_embeddings", "position_embeddings")]
    if any(type(table) is not nn.Embedding for table in tables):
        return embeddings(input_ids=ids)
    words, types, positions = (table._parameters["weight"] for table in tables)
    if count_from is None:
        places = positions[: ids.shape[1]]
    else:
        seen = ids != count_from
        places = functional.embedding(seen.cumsum(1) * seen + count_from, positions)
    return norm(inside["LayerNorm"], functional.embedding(ids, words) + types[0] + places)


def layer(
    module: nn.Module, hidden: Tensor, windows: Padded, *, context: Tensor | None = None, gate: Tensor | None = None
) -> Tensor:
    """One pretrained layer: see `TextEncoder.layer`.

    module (Module): transformers' `Layer`. hidden (Tensor): Rows of windows. windows (Padded): How they lie.
    context (Optional[Tensor]): (W, m, d) more keys and values. gate (Optional[Tensor]): (d,) see `Padded.attend`.
    RETURNS (Tensor): Rows, as `hidden`.
    """
    inside = parts(module)
    attention = parts(inside["attention"])
    projections = parts(attention["self"])
    source = windows.join(context, hidden)
    mixed = windows.attend(
        linear(projections["query"], hidden),
        linear(projections["key"], source),
        linear(projections["value"], source),
        n_context=0 if context is None else context.shape[1],
        gate=gate,
        heads=attention["self"].num_attention_heads,
        dropout=0.0,
    )
    attended = add_and_norm(attention["output"], mixed, hidden)
    return add_and_norm(inside["output"], widen(inside["intermediate"], attended), attended)


def parts(module: nn.Module) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The modules within one, by name: that is quicker than to ask for an attribute."""
    return module._modules


def linear(module: nn.Module, x: Tensor) -> Tensor:
    """RETURNS (Tensor): (..., out) what a linear layer makes of x (..., in). One that was replaced, by a quantized or
    an adapted one, is called as it is."""
    if type(module) is not nn.Linear:
        return module(x)
    weights: Any = module._parameters
    return functional.linear(x, weights["weight"], weights["bias"])


def norm(module: nn.Module, x: Tensor) -> Tensor:
    """RETURNS (Tensor): x (..., d) after a layer norm."""
    if type(module) is not nn.LayerNorm:
        return module(x)
    weights = module._parameters
    return torch.layer_norm(x, module.normalized_shape, weights["weight"], weights["bias"], module.eps)


def add_and_norm(output: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    """Project, then Add & Norm: transformers' `SelfOutput` and `Output`.

    output (Module): With `dense` and `LayerNorm`. x (Tensor): (..., in). residual (Tensor): (..., d).
    RETURNS (Tensor): (..., d).
    """
    inside = parts(output)
    return norm(inside["LayerNorm"], linear(inside["dense"], x) + residual)


def widen(intermediate: nn.Module, hidden: Tensor) -> Tensor:
    """The first half of a feed-forward layer: transformers' `Intermediate`, but for the kernel of its activation.

    intermediate (Module): With `dense` and `intermediate_act_fn`. hidden (Tensor): (..., d).
    RETURNS (Tensor): (..., f).
    """
    inside = parts(intermediate)
    if isinstance(inside.get("intermediate_act_fn"), GELUActivation):
        return gelu(linear(inside["dense"], hidden))
    return intermediate(hidden)
