"""Long documents: windows of wordpieces in, one row of features per token out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A stretch of a document's wordpieces, and the part of it whose features are used.

    start, end (int): The wordpieces that the encoder sees. own_start, own_end (int): Those that no neighbour sees
    with more context on its poorer side.
    """

    start: int
    end: int
    own_start: int
    own_end: int


def plan_windows(n_pieces: int, size: int, overlap: int) -> list[Window]:
    """Cover `n_pieces` wordpieces with windows; each wordpiece is owned by exactly one.

    n_pieces (int): Wordpieces of the document. size (int): The most of a window, special tokens not counted.
    overlap (int): Wordpieces shared by neighbours, at most half of `size`.
    RETURNS (list[Window]): Left to right; none for no wordpieces.
    """
    if n_pieces <= size:
        return [Window(0, n_pieces, 0, n_pieces)] if n_pieces else []
    starts = [*range(0, n_pieces - size, size - overlap), n_pieces - size]
    borders = [0]
    for left, right in pairwise(starts):
        borders.append((right + left + size) // 2)  # the middle of what the two share
    borders.append(n_pieces)
    return [Window(s, s + size, borders[i], borders[i + 1]) for i, s in enumerate(starts)]


@dataclass(frozen=True)
class TextBatch:
    """Documents as windows of wordpieces.

    ids (Tensor): (W, n) wordpiece ids of all windows. mask (Tensor): (W, n) bool, False at padding.
    places (Tensor): (P,) where each used wordpiece stands in the flattened (W * n) windows; as often as it is used.
    tokens (Tensor): (P,) which token of the batch, over all documents, each belongs to.
    lengths (tuple[int, ...]): Tokens of each document. A token may have no wordpiece, a wordpiece several tokens or
        none, a document no token.
    """

    ids: Tensor
    mask: Tensor
    places: Tensor
    tokens: Tensor
    lengths: tuple[int, ...]

    def to(self, device: torch.device) -> TextBatch:
        ids, mask, places, tokens = (t.to(device) for t in (self.ids, self.mask, self.places, self.tokens))
        return TextBatch(ids, mask, places, tokens, self.lengths)

    @property
    def n_tokens(self) -> int:
        return sum(self.lengths)

    @property
    def token_windows(self) -> Tensor:
        """(tokens,) the window that each token's last used wordpiece is in; -1 for a token without any."""
        windows = self.tokens.new_full((self.n_tokens,), -1)
        # The last one by its number: on a GPU, which of several assignments holds is left to chance.
        return windows.scatter_reduce(0, self.tokens, self.places // self.ids.shape[1], "amax")

    @property
    def word_keys(self) -> Tensor:
        """(tokens,) see `word_keys`; of all chunks that share documents, they have to be added."""
        return word_keys(self.ids.flatten()[self.places], self.tokens, self.n_tokens)

    def select(self, windows: Tensor) -> TextBatch:
        """RETURNS (TextBatch): Some windows (S,), to be encoded, without what tells whose they are."""
        return TextBatch(self.ids[windows], self.mask[windows], self.places[:0], self.tokens[:0], ())

    def words(self, tokens: Tensor) -> TextBatch:
        """RETURNS (TextBatch): The chosen tokens (tokens,), bool, numbered anew, and their wordpieces alone: for what
        looks at words one by one, as nothing of their neighbours is left."""
        chosen = tokens[self.tokens]
        ids = self.ids.flatten()[self.places[chosen]].unsqueeze(0)
        numbers = (tokens.cumsum(0) - 1)[self.tokens[chosen]]
        places = torch.arange(ids.shape[1], device=ids.device)
        return TextBatch(ids, torch.ones_like(ids, dtype=torch.bool), places, numbers, (int(tokens.sum()),))

    def hide(self, tokens: Tensor, mask_id: int) -> TextBatch:
        """RETURNS (TextBatch): The same with every wordpiece of the chosen tokens (tokens,), bool, replaced by one."""
        hidden = self.places[tokens[self.tokens]]
        ids = self.ids.flatten().index_fill(0, hidden, mask_id).view_as(self.ids)
        return replace(self, ids=ids)

    def windows_of(self, documents: Tensor) -> Tensor:
        """RETURNS (Tensor): The windows of the chosen documents (B,), bool; ascending."""
        counts = torch.tensor(self.lengths, device=documents.device)
        chosen = documents.repeat_interleave(counts)[self.tokens]
        return (self.places[chosen] // self.ids.shape[1]).unique()


def word_keys(ids: Tensor, tokens: Tensor, n_tokens: int) -> Tensor:
    """Number words by their wordpieces: equal words have equal numbers, and others hardly ever.

    ids (Tensor): (P,) wordpiece ids. tokens (Tensor): (P,) which token each is of. n_tokens (int): How many there are.
    RETURNS (Tensor): (tokens,) whole numbers from 0; the sum of two parts of a word's wordpieces is that of all.
    """
    mixed = (ids.long() * 2654435761) & 0xFFFFFFFF  # Knuth's multiplicative hash, and once more
    mixed = ((mixed ^ (mixed >> 15)) * 2246822519) & 0xFFFFFFFF
    return mixed.new_zeros(n_tokens).index_add_(0, tokens, mixed)


def sum_word_keys(texts: Sequence[TextBatch]) -> Tensor:
    """RETURNS (Tensor): (tokens,) the `word_keys` of documents whose windows come in chunks."""
    return sum((text.word_keys for text in texts[1:]), start=texts[0].word_keys)


def merge_wordpieces(parts: Iterable[tuple[Tensor, TextBatch]]) -> Tensor:
    """The mean of each token's wordpieces.

    parts (Iterable[tuple[Tensor, TextBatch]]): At least one: features (W, n, d), and the windows that they are of.
    RETURNS (Tensor): (tokens, d); zeros for a token without wordpieces.
    """
    totals: Tensor | None = None
    counts: Tensor | None = None
    for hidden, batch in parts:
        if totals is None or counts is None:
            totals = hidden.new_zeros(batch.n_tokens, hidden.shape[-1])
            counts = hidden.new_zeros(batch.n_tokens)
        totals.index_add_(0, batch.tokens, hidden.flatten(0, 1).index_select(0, batch.places))
        counts.index_add_(0, batch.tokens, torch.ones_like(batch.tokens, dtype=hidden.dtype))
    assert totals is not None
    assert counts is not None
    return totals / counts.clamp(min=1).unsqueeze(-1)


def pad_documents(flat: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Split rows of tokens into documents.

    flat (Tensor): (tokens, ...). lengths (tuple[int, ...]): Tokens of each of B documents.
    RETURNS (tuple[Tensor, Tensor]): (B, t, ...) padded with zeros, and the mask (B, t) bool.
    """
    if len(lengths) == 1:  # one document needs no padding
        return flat.unsqueeze(0), torch.ones(1, lengths[0], dtype=torch.bool, device=flat.device)
    counts = torch.tensor(lengths, dtype=torch.long, device=flat.device)
    longest = max(lengths, default=0)
    mask = torch.arange(longest, device=flat.device)[None, :] < counts[:, None]
    padded = flat.new_zeros(len(lengths), longest, *flat.shape[1:])
    padded[mask] = flat
    return padded, mask


def plan_chunks(widths: Sequence[int], limit: int, *, overhead: int | None = None) -> list[int]:
    """Cut windows, sorted by width, into chunks that cost the least.

    A chunk costs its wordpieces, padding included, and what it takes to start one, as much as `overhead` wordpieces.

    widths (Sequence[int]): Of each window, ascending. limit (int): The most wordpieces of a chunk of several windows,
        padding included. overhead (Optional[int]): None: an eighth of the limit.
    RETURNS (list[int]): Where each chunk ends.
    """
    overhead = limit // 8 if overhead is None else overhead
    ends = [i for i in range(1, len(widths) + 1) if i == len(widths) or widths[i] != widths[i - 1]]
    starts = [0, *ends]
    costs, origins = [0], [0]  # of the windows up to each start, and where the last cut before it lies
    for number, end in enumerate(ends):
        width = widths[end - 1]
        rows = max(limit // width, 1)
        options = [
            (costs[first] + (end - starts[first]) * width + -(-(end - starts[first]) // rows) * overhead, first)
            for first in range(number + 1)
        ]
        cost, first = min(options)
        costs.append(cost)
        origins.append(first)
    return _cuts(widths, starts, origins, limit)


def _cuts(widths: Sequence[int], starts: Sequence[int], origins: Sequence[int], limit: int) -> list[int]:
    """RETURNS (list[int]): Where each chunk ends, by `origins`, what is too large for one chunk cut into several."""
    cuts: list[int] = []
    last = len(origins) - 1
    while last:
        start, end = starts[origins[last]], starts[last]
        rows = max(limit // widths[end - 1], 1)
        cuts += range(end, start, -rows)
        last = origins[last]
    return cuts[::-1]


def fill_chunks(widths: Sequence[int], limit: int) -> list[int]:
    """Cut windows, sorted by width, into chunks that are as full as can be, for what is computed without padding.

    The little that is computed with it, of BGA layers, bounds a chunk as well: with padding it may be twice as large.

    widths (Sequence[int]): Of each window, ascending. limit (int): The most wordpieces of a chunk of several windows.
    RETURNS (list[int]): Where each chunk ends.
    """
    ends: list[int] = []
    start = total = 0
    for place, width in enumerate(widths):
        if place > start and (total + width > limit or (place + 1 - start) * width > 2 * limit):
            ends.append(place)
            start, total = place, 0
        total += width
    return [*ends, len(widths)] if widths else []
