"""GELU, computed in place while tagging."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spacy_bga.aligner.attention import eager_on_cpu

# As many numbers take both as long.
LARGE = 2**16


class GELU(nn.GELU):
    """The exact GELU. While tagging its input is overwritten: a second tensor of that size does not fit into a
    processor's cache beside the first."""

    def forward(self, x: Tensor) -> Tensor:
        return gelu_(x) if torch.is_inference_mode_enabled() else super().forward(x)


def gelu_(x: Tensor) -> Tensor:
    """The exact GELU in place, without memory that grows with every new length of text.

    On a CPU PyTorch asks oneDNN, which makes code for each shape and keeps that of a thousand shapes. oneDNN is twice
    as fast as PyTorch's own kernel where there is much to do, and slower to start. Here it gets blocks of a power of
    two rows as long as they are large, and PyTorch's kernel the rest.

    x (Tensor): (..., d), contiguous. RETURNS (Tensor): The same one.
    """
    if not eager_on_cpu(x):
        return torch.ops.aten.gelu_(x)
    rows = torch.atleast_2d(x).flatten(0, -2)
    while rows.numel() >= LARGE:
        block, rows = rows.tensor_split([1 << len(rows).bit_length() - 1])
        torch.ops.aten.gelu_(block)
    torch.ops.aten.gelu_(rows.T)  # oneDNN takes nothing that is transposed
    return x
