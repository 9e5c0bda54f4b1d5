"""The stage-refined context sampler (SCS): which tokens have a counterpart in the other modality."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_bga.aligner.activation import GELU


class ContextSampler(nn.Module):
    """Keep the tokens (or patches) to generate from, and drop the rest.

    A token is judged by what it is and by what the tokens kept so far are together:

        logits = MLP_c([MLP_a(x) ; mean of MLP_b(x) weighted by the previous stage's mask])

    Dropping is from generation only: every token keeps its place in its own feature extractor.
    (BGA-MNER, arXiv 2308.02570, figure 2; the mean and the layer norm are ours.)

    width (int): Width `d` of the tokens.
    hidden (int): Width of the hidden layers.
    keep_ratio (float): The share of tokens that is kept before anything is learnt.
    temperature (float): Temperature of the Gumbel softmax.
    """

    def __init__(self, width: int, hidden: int, *, keep_ratio: float = 0.5, temperature: float = 1.0):
        super().__init__()
        self.temperature = temperature
        self.norm = nn.LayerNorm(width)
        self.local_mlp = nn.Sequential(nn.Linear(width, hidden), GELU())
        self.global_mlp = nn.Sequential(nn.Linear(width, hidden), GELU())
        self.output = nn.Sequential(nn.Linear(2 * hidden, hidden), GELU(), nn.Linear(hidden, 2))
        ratio = min(max(keep_ratio, 0.05), 0.95)
        with torch.no_grad():
            self.output[-1].bias.copy_(torch.tensor([0.0, math.log(ratio / (1 - ratio))]))  # type: ignore[operator]

    def forward(self, tokens: Tensor, valid: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Sample a mask, and say what would be kept without chance.

        tokens (Tensor): (B, len, d); the first one, [CLS], is always kept.
        valid (Tensor): (B, len) bool; False at padding, which is never kept.
        previous (Tensor): (B, len) the previous stage's mask; all ones at the first stage.
        RETURNS (tuple[Tensor, Tensor]): (B, len) of 0 and 1, twice. The mask: in training a sample that passes
            gradients straight through (Jang et al. 2017, arXiv 1611.01144), else the arg max. And the arg max, which
            passes them too.
        """
        logits = self.logits(tokens, valid, previous)
        hard = (logits[..., 1] >= logits[..., 0]).to(tokens.dtype)
        if not self.training:
            likeliest = keep_first(hard, valid)
            return likeliest, likeliest
        soft = logits.softmax(-1)[..., 1]
        sample = F.gumbel_softmax(logits, tau=self.temperature, hard=True)[..., 1]
        return keep_first(sample, valid), keep_first(hard - soft.detach() + soft, valid)

    def logits(self, tokens: Tensor, valid: Tensor, previous: Tensor) -> Tensor:
        """RETURNS (Tensor): (B, len, 2) scores of dropping and of keeping each token."""
        normed = self.norm(tokens)
        local = self.local_mlp(normed)
        weights = (previous * valid).unsqueeze(-1)
        pooled = (self.global_mlp(normed) * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1e-6)
        return self.output(torch.cat([local, pooled.expand_as(local)], dim=-1))


def keep_first(mask: Tensor, valid: Tensor) -> Tensor:
    """RETURNS (Tensor): The mask (B, len) with [CLS] kept and padding dropped."""
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    return torch.where(first, 1.0, mask) * valid


def ratio_loss(masks: Iterable[Tensor], valid: Tensor, target: float) -> Tensor:
    """The squared distance of each example's keep ratio from its target (DynamicViT, arXiv 2106.02034, eq. 8).

    masks (Iterable[Tensor]): (B, len) each: what was sampled, and the arg max. A sampler that keeps every token with
        the target's probability has the right ratio while it samples, and keeps all or nothing at inference.
    valid (Tensor): (B, len). target (float): The share of valid tokens to keep.
    RETURNS (Tensor): A scalar, the mean over the masks.
    """
    number = valid.sum(1).clamp(min=1)
    return torch.stack([(mask.sum(1) / number - target).square().mean() for mask in masks]).mean()
