"""The cross-modal generator: the other modality's tokens out of the kept tokens of this one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_bga.aligner.activation import GELU
from spacy_bga.aligner.attention import join_heads, split_heads


class CrossModalGenerator(nn.Module):
    """One transformer decoder layer whose learned queries stand for the tokens to generate.

    Queries attend to each other, then to the kept tokens of the other modality (the memory), then pass a
    feed-forward layer; each step is followed by Add & Norm, as in Vaswani et al. 2017 (arXiv 1706.03762).

    n_queries (int): The most tokens it can generate.
    width (int): Width `d` of queries, memory and output.
    heads (int): Attention heads. hidden (int): Width of the feed-forward layer. dropout (float): Its rate.
    """

    def __init__(self, n_queries: int, width: int, *, heads: int, hidden: int, dropout: float = 0.1):
        super().__init__()
        self.width = width
        self.heads = heads
        self.queries = nn.Parameter(torch.randn(n_queries, width) * 0.02)
        self.self_in = nn.Linear(width, 3 * width)
        self.self_out = nn.Linear(width, width)
        self.self_norm = nn.LayerNorm(width)
        self.cross_query = nn.Linear(width, width)
        self.cross_memory = nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.cross_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, hidden), GELU(), nn.Linear(hidden, width))
        self.ffn_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, memory: Tensor, kept: Tensor, *, n_tokens: int | None = None) -> Tensor:
        """Generate the first `n_tokens` tokens of the other modality.

        memory (Tensor): (B, len, d) tokens to generate from.
        kept (Tensor): (B, len) how much each counts, by the sampler: 0 is dropped, at its own position.
        n_tokens (Optional[int]): How many tokens to generate; all queries if None.
        RETURNS (Tensor): (B, n_tokens, d).
        """
        queries = self._attended_queries()[:, :n_tokens]
        crossed = self._attend_memory(queries, memory, kept)
        hidden = self.cross_norm(queries + self.dropout(self.cross_out(crossed)))
        return self.ffn_norm(hidden + self.dropout(self.ffn(hidden)))

    def _attended_queries(self) -> Tensor:
        """RETURNS (Tensor): (1, q, d). Queries know no input, so that this is done once for a whole batch."""
        queries = self.queries.unsqueeze(0)
        query, key, value = (self._split(part) for part in self.self_in(queries).split(self.width, dim=-1))
        attended = join_heads(F.scaled_dot_product_attention(query, key, value))
        return self.self_norm(queries + self.dropout(self.self_out(attended)))

    def _attend_memory(self, queries: Tensor, memory: Tensor, kept: Tensor) -> Tensor:
        """RETURNS (Tensor): (B, n_tokens, d) what the queries (1, n_tokens, d) read from the memory."""
        query = self._split(self.cross_query(queries)) / (self.width // self.heads) ** 0.5
        if 2 * self.heads * query.shape[2] <= self.width:
            return self._read_with_few(query, memory, kept)
        key, value = (self._split(part) for part in self.cross_memory(memory).split(self.width, dim=-1))
        return join_heads(masked_softmax(query @ key.transpose(-1, -2), kept[:, None, None, :]) @ value)

    def _read_with_few(self, query: Tensor, memory: Tensor, kept: Tensor) -> Tensor:
        """The same, with what knows no input multiplied first: `q (W h) = (q W) h`, and `sum a (W h) = W sum a h`.

        With few queries that is a third of the work. The keys' bias adds as much to the score of every token, and the
        softmax forgets it.

        query (Tensor): (1, heads, q, d / heads), scaled. RETURNS (Tensor): (B, q, d).
        """
        batch, n_queries = memory.shape[0], query.shape[2]
        key_weight, value_weight = self.cross_memory.weight.view(2, self.heads, -1, self.width)  # (heads, d / heads, d)
        probes = (query[0] @ key_weight).flatten(0, 1)  # (heads * q, d)
        weights = masked_softmax((memory @ probes.T).transpose(1, 2), kept[:, None, :])
        read = (weights @ memory).view(batch, self.heads, n_queries, self.width)
        by_head = read.transpose(0, 1).flatten(1, 2)  # (heads, B * q, d): a head's weights are the same for a batch
        values = (by_head @ value_weight.transpose(-1, -2)).transpose(0, 1)  # (B * q, heads, d / heads)
        return values.reshape(batch, n_queries, self.width) + self.cross_memory.bias[self.width :]

    def _split(self, tokens: Tensor) -> Tensor:
        return split_heads(tokens, self.heads)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """A softmax weighed by a mask, `exp(s) * m / sum(exp(s) * m)`, that passes gradients to the mask.

    A boolean mask would cut the sampler off from every gradient. Scores are shifted by the largest kept one;
    those of dropped tokens, which only matter to the gradient, are capped so that none overflows.

    scores (Tensor): (..., len). mask (Tensor): broadcast to it, 0 or 1 in each place.
    RETURNS (Tensor): (..., len) weights that sum to 1, exactly 0 where the mask is 0.
    """
    dropped = mask.detach() == 0
    highest = scores.detach().masked_fill(dropped, -torch.inf).amax(-1, keepdim=True)
    shifted = (scores - torch.where(highest.isfinite(), highest, 0.0)).clamp(max=10.0)
    weights = shifted.exp() * mask
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)
