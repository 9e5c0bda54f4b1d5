"""What the tagger reads of what the words of a text look like, while it learns and while it tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.aligner.windows import TextBatch, merge_wordpieces, pad_documents, sum_word_keys
from spacy_bga.aligner.word_memory import in_blocks
from spacy_bga.aligner.words import WordGenerator, WordReader

Context = Literal["generated", "zero", "swapped"]


class WordReading(nn.Module):
    """The part of the aligner that reads of words what they look like, beside the text's features."""

    words: WordGenerator | None
    reader: WordReader | None
    text_encoder: TextEncoder
    head: nn.Linear
    dropout: nn.Dropout
    context: Context

    @property
    def reads(self) -> bool:
        """Whether the tagger has a use for what words look like."""
        return self.words is not None and bool(self.words.trust)

    def forget(self) -> None:
        """Forget what is remembered from one text to the next: weights were written to, and PyTorch may not have
        counted that; see `WordMemory`."""
        if self.words is not None:
            self.words.memory.forget()

    def imagine(self, texts: Iterable[TextBatch]) -> Tensor:
        """RETURNS (Tensor): (tokens, d_v) what each word looks like, by itself. texts: as chunks of `tag`."""
        assert self.words is not None
        return self.words(self._embed_words(texts))

    def _embed_words(self, texts: Iterable[TextBatch]) -> Tensor:
        """RETURNS (Tensor): (tokens, e) the mean embedding of each word's wordpieces."""
        table = self.text_encoder.word_embeddings
        return merge_wordpieces((table(text.ids), text) for text in texts)

    def _draw_veiled(self, text: TextBatch, allowed: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """While training, the text encoder doesn't get to see some words of entities that pictures have shown, as many
        as pictures can stand in for: it shouldn't know by heart what is to be read. Of the others, nothing is read
        meanwhile: beside what is known by heart, little of it would be needed, and for a new name that is too little.

        RETURNS (tuple[Optional[Tensor], Optional[Tensor]]): (tokens,) bool, which words are hidden, and of which what
            they look like is read; None for none, and for all.
        """
        if self.words is None or not self.reads or not self.training:
            return None, None
        entities, mask = ~allowed[..., 0], pad_documents(allowed.new_zeros(text.n_tokens), text.lengths)[1]
        chosen = entities[mask] & self.words.knows(text.word_keys)
        veiled = chosen & (torch.rand_like(chosen, dtype=torch.float) < self.words.trust)
        return veiled, veiled | ~chosen

    def _read(self, texts: Sequence[TextBatch]) -> Tensor:
        """RETURNS (Tensor): (tokens, L) what the tagger reads of what words look like."""
        assert self.reader is not None
        if self._is_recalled:
            return self._recall(texts)[:, : self.head.out_features]
        return self.reader(self.dropout(self.imagined(texts)))

    @torch.no_grad()
    def imagined(self, texts: Sequence[TextBatch]) -> Tensor:
        """RETURNS (Tensor): (tokens, K) what there is to read of what words look like, as far as it is to be trusted.
        What they look like is for images to say, so that no gradient goes there."""
        assert self.words is not None
        if not self.reads:
            return self.words.axes.new_zeros(texts[0].n_tokens, self.words.axes.shape[1])
        if self._is_recalled:
            return self._recall(texts)[:, self.head.out_features :]
        return self._shown(self.words.components(self.imagine(texts), sum_word_keys(texts))) * self.words.trust

    @property
    def _is_recalled(self) -> bool:
        return self.context == "generated" and not self.training

    def _recall(self, texts: Sequence[TextBatch]) -> Tensor:
        """RETURNS (Tensor): (tokens, L + K) what the tagger reads of words, and beside it what it reads that from,
        which listeners get; see `WordMemory`."""
        assert self.words is not None
        assert self.reader is not None
        keys = sum_word_keys(texts)
        own = (self.reader.weight, self.text_encoder.word_embeddings.weight, *self.words.weights)
        return self.words.memory.recall(keys, own, partial(self._read_some, texts, keys))

    def _read_some(self, texts: Sequence[TextBatch], keys: Tensor, chosen: Tensor) -> Tensor:
        """RETURNS (Tensor): (M, L + K) the same of the chosen ones of the words (tokens,), bool. Nothing is generated
        for those without a picture: of them, nothing is read."""
        assert self.words is not None
        assert self.reader is not None
        pictured = chosen & self.words.knows(keys)
        axes = self.words.axes
        found = axes.new_zeros(len(keys), self.head.out_features + axes.shape[1])
        if pictured.any():
            read = partial(self._read_block, self.words, self.reader)
            embedded = self._embed_words(text.words(pictured) for text in texts)
            found[pictured] = in_blocks(read, embedded, keys[pictured]).to(axes)
        return found[chosen]

    def _read_block(self, words: WordGenerator, reader: WordReader, embedded: Tensor, keys: Tensor) -> Tensor:
        with torch.no_grad():
            components = words.components(words(embedded), keys) * words.trust
        return torch.cat([reader(components), components], dim=-1)

    def _shown(self, generated: Tensor) -> Tensor:
        if self.context == "zero":
            return torch.zeros_like(generated)
        if self.context == "swapped":
            return generated.roll(1, dims=0)
        return generated
