"""Multi-head attention over more keys than there are queries: what both encoders' opened layers share."""

from __future__ import annotations

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
    # Shapes are spelt out, widths as numbers: an exported graph would else compute them again at every call.
    batch, length, width = tokens.shape
    return tokens.view(batch, length, heads, int(width) // heads).transpose(1, 2)


def join_heads(tokens: Tensor) -> Tensor:
    """(B, heads, len, d / heads) -> (B, len, d)."""
    batch, heads, length, width = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, length, int(heads) * int(width))


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


def all_true(mask: Tensor) -> bool:
    """Whether nothing is masked, so that the mask can be left out; False where asking costs more than it saves.

    On a GPU the answer would have to be waited for, and a traced graph must hold for other masks as well.
    """
    if mask.device.type != "cpu" or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return bool(mask.all())
