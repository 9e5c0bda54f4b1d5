"""What is read of what words look like, remembered from one text to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from spacy_bga.aligner.attention import eager_on_cpu

MOST = 2**14  # words; then all are forgotten
BLOCK = 8  # words that are read at once


class WordMemory:
    """What is read of words, by their `word_keys`, as long as the weights that it comes from rest.

    A word looks the same in every text, so that it need not be generated in each. Weights rest as long as no tensor is
    another one, and none was written to: PyTorch counts that. It does not count what a fused optimizer writes, which is
    why training forgets as well (`WordGenerator.train`, and the shim's `finish_update`). Who writes through `.data` has
    to `forget`.
    """

    def __init__(self) -> None:
        self._known: tuple[Any, dict[int, Tensor]] = (None, {})

    def forget(self) -> None:
        """Forget all words."""
        self._known = (None, {})

    def recall(self, keys: Tensor, weights: Sequence[Tensor], read: Callable[[Tensor], Tensor]) -> Tensor:
        """Look words up, and read those anew that are not known.

        keys (Tensor): (N,) the words' `word_keys`. weights (Sequence[Tensor]): All that depends on.
        read (Callable[[Tensor], Tensor]): Makes (M, L) of the chosen ones of the words (N,), bool.
        RETURNS (Tensor): (N, L).
        """
        if not may_remember(keys, weights):
            return read(torch.ones_like(keys, dtype=torch.bool))
        state = (
            torch.is_autocast_enabled("cpu"),
            *((tensor.data_ptr(), tensor._version, tensor.dtype) for tensor in weights),
        )
        if state != self._known[0] or len(self._known[1]) > MOST:
            self._known = (state, {})
        known = self._known[1]  # another thread may forget meanwhile
        words = keys.tolist()
        places = {word: place for place, word in enumerate(words) if word not in known}
        if places:
            chosen = torch.zeros_like(keys, dtype=torch.bool)
            chosen[list(places.values())] = True
            known.update(zip(keys[chosen].tolist(), read(chosen).unbind(), strict=True))
        return torch.stack([known[word] for word in words])


def may_remember(keys: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether it is quicker to remember, and known when to forget: tensors made in inference mode count no writes."""
    counted = not any(tensor.is_inference() for tensor in weights)
    return len(keys) > 0 and is_tagged_on_cpu(keys) and counted


def is_tagged_on_cpu(tensor: Tensor) -> bool:
    return torch.is_inference_mode_enabled() and eager_on_cpu(tensor)


def in_blocks(read: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Read words in blocks of one size where they may be remembered. How many rows a product of matrices has decides
    how its sums are rounded; what is remembered of a word may not depend on the words beside which it was first seen.

    read (Callable[..., Tensor]): Makes (BLOCK, L) of a block of each of the inputs.
    inputs (Tensor): (N, ...) each, at least one word.
    RETURNS (Tensor): (N, L).
    """
    number = len(inputs[0])
    if not is_tagged_on_cpu(inputs[0]):
        return read(*inputs)
    filled = (torch.cat([rows, rows[-1:].expand(-number % BLOCK, *rows.shape[1:])]) for rows in inputs)
    return torch.cat([read(*block) for block in zip(*(rows.split(BLOCK) for rows in filled), strict=True)])[:number]
