"""How windows of different lengths lie in a tensor: side by side with padding, or one after the other without."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from spacy_bga.aligner.attention import all_true, attend, eager_on_cpu, masking_bias


class Padded:
    """Rows of windows as (W, n, d): what training, an exported graph and a GPU take.

    mask (Tensor): (W, n) bool, False on padding.
    """

    def __init__(self, mask: Tensor):
        self.mask = mask
        self._is_full: bool | None = None

    def pack(self, padded: Tensor) -> Tensor:
        """RETURNS (Tensor): Padded rows (W, n, d), as they lie here."""
        return padded

    def unpack(self, rows: Tensor) -> Tensor:
        """RETURNS (Tensor): Rows, as they lie here, padded (W, n, d)."""
        return rows

    def join(self, context: Tensor | None, rows: Tensor) -> Tensor:
        """RETURNS (Tensor): Each window's context (W, m, d) and its rows, so that both go through a layer at once."""
        return rows if context is None else torch.cat([context, rows], dim=1)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        n_context: int,
        gate: Tensor | None,
        heads: int,
        dropout: float,
    ) -> Tensor:
        """Each row attends to the rows of its window and to the window's context.

        query (Tensor): Rows. key, value (Tensor): Rows and contexts, by `join`.
        n_context (int): `m`, the tokens of each context; 0 for none.
        gate (Optional[Tensor]): (d,) how often what is read from the context is added; None: one softmax over both.
        heads (int): Attention heads. dropout (float): The probability of dropping an attention weight.
        RETURNS (Tensor): Rows, the heads side by side.
        """
        if gate is None or not n_context:
            return attend(query, key, value, heads=heads, bias=self._score_bias(n_context, query), dropout=dropout)
        shown, own = slice(n_context), slice(n_context, None)
        bias = self._score_bias(0, query)
        mixed = attend(query, key[:, own], value[:, own], heads=heads, bias=bias, dropout=dropout)
        return mixed + gate * attend(query, key[:, shown], value[:, shown], heads=heads, dropout=dropout)

    def _score_bias(self, n_context: int, query: Tensor) -> Tensor | None:
        """RETURNS (Optional[Tensor]): (W, m + n), what is added to the scores; None if every score stays as it is."""
        if self._is_full is None:  # asked once for all layers
            self._is_full = all_true(self.mask)
        if self._is_full:
            return None
        own = masking_bias(self.mask, query.dtype)
        return torch.cat([own.new_zeros(own.shape[0], n_context), own], dim=1) if n_context else own


class Packed(Padded):
    """Rows of windows as (N, d), padding left out: what tagging on a processor takes.

    Linear layers and norms take rows as they come. Only attention needs to know windows: those of a length that lie
    side by side attend together, and none is masked.

    mask (Tensor): (W, n) bool, False on padding.
    """

    def __init__(self, mask: Tensor):
        super().__init__(mask)
        self._places = mask.flatten().nonzero().squeeze(1)
        self._groups = [(length, len(list(group))) for length, group in groupby(mask.sum(1).tolist())]

    def pack(self, padded: Tensor) -> Tensor:
        return padded.flatten(0, 1).index_select(0, self._places)

    def unpack(self, rows: Tensor) -> Tensor:
        windows, longest = self.mask.shape
        padded = rows.new_zeros(windows * longest, rows.shape[-1])
        return padded.index_copy_(0, self._places, rows).unflatten(0, (windows, longest))

    def join(self, context: Tensor | None, rows: Tensor) -> Tensor:
        return rows if context is None else torch.cat([context.flatten(0, 1), rows])

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        n_context: int,
        gate: Tensor | None,
        heads: int,
        dropout: float,
    ) -> Tensor:
        n_shown = len(self.mask) * n_context
        shown = [part[:n_shown].unflatten(0, (-1, max(n_context, 1))) for part in (key, value)]
        mixed, row, window = [], n_shown, 0
        for length, number in self._groups:
            end = row + length * number
            own = [part[row:end].unflatten(0, (number, length)) for part in (key, value)]
            context = [part[window : window + number] for part in shown]
            queries = query[row - n_shown : end - n_shown].unflatten(0, (number, length))
            if n_context and gate is None:
                own = [torch.cat(parts, dim=1) for parts in zip(context, own, strict=True)]
            read = attend(queries, *own, heads=heads, dropout=dropout)
            if n_context and gate is not None:
                read = read + gate * attend(queries, *context, heads=heads, dropout=dropout)
            mixed.append(read.flatten(0, 1))
            row, window = end, window + number
        return torch.cat(mixed)


def arrange(mask: Tensor) -> Padded:
    """Choose how windows are to lie: packed where that saves time.

    A GPU would rather have few large operations, a traced graph must hold for windows of other lengths, and nothing
    that learns is worth a second way.

    mask (Tensor): (W, n) bool, False on padding.
    RETURNS (Padded): One of the two.
    """
    packs = eager_on_cpu(mask) and torch.is_inference_mode_enabled() and not all_true(mask)
    return Packed(mask) if packs else Padded(mask)
