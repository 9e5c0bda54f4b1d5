"""Multi-head attention over more keys than there are queries: what both encoders' opened layers share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Scaled dot-product attention of already projected queries, keys and values.

    Args:
        query: (B, q, d).
        key: (B, k, d).
        value: (B, k, d).
        heads: number of attention heads; divides d.
        bias: (B, k), added to the scores of every head and query before the softmax; gradients reach it.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, q, d), the heads side by side.
    """
    scores_bias = None if bias is None else bias[:, None, None, :].to(query.dtype)  # (B, 1, 1, k)
    mixed = functional.scaled_dot_product_attention(
        split_heads(query, heads),
        split_heads(key, heads),
        split_heads(value, heads),
        attn_mask=scores_bias,
        dropout_p=dropout,
        scale=(int(query.shape[-1]) // heads) ** -0.5,
    )
    return join_heads(mixed)


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """(B, len, d) -> (B, heads, len, d / heads)."""
    if torch.jit.is_tracing():
        return _SplitHeads.apply(tokens, heads)
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(B, heads, len, d / heads) -> (B, len, d)."""
    if torch.jit.is_tracing():
        return _JoinHeads.apply(tokens)
    return tokens.transpose(1, 2).flatten(2)


class _SplitHeads(torch.autograd.Function):
    """`split_heads` in an exported graph. ONNX has a sign for a size that stays as it is, 0; torch has none, and its
    exporter would have every size computed at every call."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, heads: int) -> Tensor:
        return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)

    @staticmethod
    def symbolic(graph: Any, tokens: Any, heads: int) -> Any:
        shape = graph.op("Constant", value_t=torch.tensor([0, 0, heads, -1]))
        return graph.op("Transpose", graph.op("Reshape", tokens, shape), perm_i=[0, 2, 1, 3])


class _JoinHeads(torch.autograd.Function):
    """`join_heads` in an exported graph, see `_SplitHeads`."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(graph: Any, tokens: Any) -> Any:
        shape = graph.op("Constant", value_t=torch.tensor([0, 0, -1]))
        return graph.op("Reshape", graph.op("Transpose", tokens, perm_i=[0, 2, 1, 3]), shape)


def masking_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a mask into an additive one: 0 where it is True, the lowest finite number elsewhere.

    Finite, because a row without a single True would be NaN after the softmax of minus infinities.

    Args:
        mask: (B, k) bool, True where a key may be attended to.
        dtype: that of the attention scores.

    Returns:
        (B, k).
    """
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def eager_on_cpu(tensor: Tensor) -> bool:
    """Whether what comes next may depend on a tensor's size and values: on a GPU these would have to be waited for, and
    what is traced or compiled must hold for others."""
    return tensor.device.type == "cpu" and not torch.jit.is_tracing() and not torch.compiler.is_compiling()


def all_true(mask: Tensor) -> bool:
    """Whether nothing is masked, so that the mask can be left out; False where asking costs more than it saves."""
    return eager_on_cpu(mask) and bool(mask.all())
