"""What the text encoder made of documents, in the forms in which other components of a pipeline take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from thinc.api import Ragged, get_array_module, get_current_ops
from thinc.backends import get_array_ops
from thinc.util import torch2xp, xp2torch
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.windows import TextBatch, Window
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer


@dataclass(frozen=True)
class DocFeatures:
    """The features of one document, as `W` windows of `n` wordpieces each, special tokens included.

    ids (np.ndarray): (W, n) wordpiece ids. states (FloatsXd): (W, n, d) features, on the device of the aligner.
    places (np.ndarray): (P,) where in the flattened (W * n) windows each token's wordpieces are, token by token. Of
        overlapping windows, a wordpiece is taken from the one that sees more of what is around it.
    lengths (np.ndarray): (t,) how many wordpieces each token has. Some have none: white space, for one.
    tokenizer (PreTrainedTokenizerBase): Whose wordpieces they are.
    """

    ids: np.ndarray
    states: Any
    places: np.ndarray
    lengths: np.ndarray
    tokenizer: Any

    def token_vectors(self) -> Any:
        """RETURNS (Floats2d): (t, d) the mean of each token's wordpieces; zeros for a token without any."""
        ops = get_array_ops(self.states)
        flat = self.states.reshape(-1, self.states.shape[-1])
        if not len(self.places):
            return ops.alloc2f(len(self.lengths), flat.shape[1])
        return ops.reduce_mean(flat[ops.asarray(self.places)], ops.asarray1i(self.lengths))

    def gradient_of_vectors(self, d_vectors: Any) -> Any:
        """RETURNS (FloatsXd): (W, n, d) the gradient of the features, from that of `token_vectors` (t, d)."""
        ops = get_array_ops(self.states)
        windows, size, width = self.states.shape
        gradient = ops.alloc2f(windows * size, width)
        if not len(self.places):
            return gradient.reshape(self.states.shape)
        shares = ops.backprop_reduce_mean(ops.asarray2f(d_vectors), ops.asarray1i(self.lengths))
        ops.scatter_add(gradient, ops.asarray(self.places), shares)
        return gradient.reshape(self.states.shape)

    def transformer_data(self) -> Any:
        """RETURNS (TransformerData): What spacy-transformers puts into `doc._.trf_data`."""
        from spacy_transformers.data_classes import TransformerData, WordpieceBatch
        from transformers.utils import ModelOutput

        if not len(self.lengths):
            return TransformerData.empty()
        output = ModelOutput()
        output["last_hidden_state"] = self.states
        ids: Any = self.ids
        places: Any = self.places.astype("i")
        lengths: Any = self.lengths.astype("i")
        mask: Any = np.ones(ids.shape, dtype="f")
        wordpieces = WordpieceBatch(
            strings=[self.tokenizer.convert_ids_to_tokens(ids.tolist()) for ids in self.ids],
            input_ids=ids,
            attention_mask=mask,
            lengths=[self.ids.shape[1]] * len(self.ids),
            token_type_ids=None,
        )
        return TransformerData(wordpieces=wordpieces, model_output=output, align=Ragged(places, lengths))


class BatchFeatures:
    """The features of a batch, put together for each of its documents.

    docs (Sequence[Doc]): The documents. contents (Sequence[np.ndarray]): Their `content_tokens`.
    chunks (Sequence[Sequence[tuple[int, Window]]]): The windows of each chunk of the batch, as
        `WordpieceTokenizer.chunks` has them. texts (Sequence[TextBatch]): The chunks.
    states (Sequence[Tensor]): (W, n, d) of each, by `join_features`. width (int): `d`.
    wordpieces (WordpieceTokenizer): Their tokenizer.
    """

    def __init__(
        self,
        docs: Sequence[Doc],
        contents: Sequence[np.ndarray],
        chunks: Sequence[Sequence[tuple[int, Window]]],
        texts: Sequence[TextBatch],
        states: Sequence[Tensor],
        *,
        width: int,
        wordpieces: WordpieceTokenizer,
    ):
        self._states = states
        self._width = width
        self._wordpieces = wordpieces
        self._rows: list[list[tuple[int, int]]] = [[] for _ in docs]  # chunk and row of each window
        for number, windows in enumerate(chunks):
            for row, (place, _) in enumerate(windows):
                self._rows[place].append((number, row))
        starts = [[window.start for _, window in windows] for windows in chunks]
        for rows in self._rows:
            rows.sort(key=lambda at: starts[at[0]][at[1]])
        self._pairs = [_pairs_of_rows(text) for text in texts]
        self._ids = [text.ids.cpu().numpy() for text in texts]
        self._sizes = [text.mask.sum(1).tolist() for text in texts]
        self._arrays: list[Any] = [torch2xp(part.detach().float()) for part in states]
        offsets = np.concatenate([[0], np.cumsum([len(content) for content in contents])])
        self.docs = [
            self._of_doc(len(doc), content, int(offsets[i]), rows)
            for i, (doc, content, rows) in enumerate(zip(docs, contents, self._rows, strict=True))
        ]

    def _of_doc(self, n_tokens: int, content: np.ndarray, offset: int, rows: list[tuple[int, int]]) -> DocFeatures:
        tokenizer = self._wordpieces.tokenizer
        lengths = np.zeros(n_tokens, dtype=np.int64)
        if not rows:  # nothing but white space, say; spacy-transformers needs a window nevertheless
            ids = np.array([[self._wordpieces.first_id, self._wordpieces.last_id]])
            states = get_current_ops().alloc3f(1, 2, self._width)
            return DocFeatures(ids, states, lengths[:0], lengths, tokenizer)
        size = self._sizes[rows[0][0]][rows[0][1]]  # the same for all windows of a document
        xp = get_array_module(self._arrays[0])
        states = xp.stack([self._arrays[chunk][row, :size] for chunk, row in rows])
        ids = np.stack([self._ids[chunk][row, :size] for chunk, row in rows])
        pairs = [self._pairs[chunk][row] for chunk, row in rows]
        places = np.concatenate([own + k * size for k, (own, _) in enumerate(pairs)])
        tokens = np.concatenate([owners for _, owners in pairs]) - offset
        order = np.argsort(tokens, kind="stable")
        lengths[content] = np.bincount(tokens, minlength=len(content))
        return DocFeatures(ids, states, places[order], lengths, tokenizer)

    def gradients(self, of_docs: Sequence[Any]) -> list[Tensor]:
        """Put together the gradient of all features.

        of_docs (Sequence[Optional[FloatsXd]]): (W, n, d) that of each document's; None for none.
        RETURNS (list[Tensor]): (W, n, d) that of each chunk.
        """
        found = [torch.zeros_like(part) for part in self._states]
        for rows, gradient in zip(self._rows, of_docs, strict=True):
            if gradient is None or not rows:
                continue
            moved = xp2torch(gradient)
            for k, (chunk, row) in enumerate(rows):
                found[chunk][row, : moved.shape[1]] += moved[k].to(found[chunk])
        return found


def join_features(aligner: BGAModel, texts: Sequence[TextBatch], hidden: Sequence[Tensor]) -> list[Tensor]:
    """The features of the text, and beside them what its words look like, if the tagger reads that, too.

    aligner (BGAModel): The aligner. texts (Sequence[TextBatch]): Chunks that hold whole documents together.
    hidden (Sequence[Tensor]): (W, n, d) the features of each.
    RETURNS (list[Tensor]): (W, n, d + K) of each; `K` is `word_components`, or 0 without `words`.
    """
    if aligner.words is None:
        return [part.float() for part in hidden]
    imagined = aligner.imagined(texts)
    joined = []
    for text, part in zip(texts, hidden, strict=True):
        beside = imagined.new_zeros(part.shape[0] * part.shape[1], imagined.shape[1])
        beside.index_add_(0, text.places, imagined[text.tokens])
        joined.append(torch.cat([part.float(), beside.float().view(*part.shape[:2], -1)], dim=-1))
    return joined


def shared_width(aligner: BGAModel) -> int:
    """RETURNS (int): The width of what `join_features` returns."""
    return aligner.text_encoder.width + (aligner.config.word_components if aligner.words is not None else 0)


def _pairs_of_rows(text: TextBatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """RETURNS (list[tuple[np.ndarray, np.ndarray]]): For each window the places of its used wordpieces in it, and whose
    they are."""
    width = text.ids.shape[1]
    places, tokens = text.places.cpu().numpy(), text.tokens.cpu().numpy()
    rows = places // max(width, 1)
    order = np.argsort(rows, kind="stable")
    cuts = np.searchsorted(rows[order], np.arange(1, len(text.ids)))
    return list(zip(np.split((places % max(width, 1))[order], cuts), np.split(tokens[order], cuts), strict=True))
