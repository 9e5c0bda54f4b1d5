"""GELU, computed in place while tagging."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spacy_bga.aligner.attention import eager_on_cpu

# From so many numbers on, oneDNN is the faster one (one thread).
LARGE = 2**16


class GELU(nn.Module):
    """The exact GELU, see `gelu`."""

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x)


def gelu(x: Tensor) -> Tensor:
    """The exact GELU of what nobody else needs: while tagging, it is overwritten. A second tensor of that size does not
    fit into a processor's cache beside the first.

    On a CPU PyTorch asks oneDNN, which makes code for each shape and keeps that of a thousand shapes: with texts of all
    lengths, memory would grow for hours. oneDNN is twice as fast as PyTorch's own kernel where there is much to do, and
    slower to start. Here it gets blocks of a power of two rows as long as they are large, and the other kernel the
    rest.

    x (Tensor): (..., d). RETURNS (Tensor): The same shape; while tagging, the same tensor.
    """
    if not torch.is_inference_mode_enabled() or torch.compiler.is_compiling():
        return functional.gelu(x)
    if not eager_on_cpu(x) or not x.is_contiguous():
        return torch.ops.aten.gelu_(x)
    rows = x.flatten(0, -2) if x.dim() > 1 else torch.atleast_2d(x)
    while rows.numel() >= LARGE:
        block, rows = rows.tensor_split([1 << len(rows).bit_length() - 1])
        torch.ops.aten.gelu_(block)
    torch.ops.aten.gelu_(rows.T)  # oneDNN takes nothing that is transposed, but a single row, which is one shape
    return x
