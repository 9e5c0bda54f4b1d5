"""Spans of texts as the mean of their words: of what these generate, or of the features that are tagged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from spacy.tokens import Span
from thinc.api import Model
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.windows import TextBatch, merge_wordpieces
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.pipeline.word_alignment import to_numpy

BATCH = 64

TokenFeatures = Callable[[BGAModel, TextBatch], Tensor]


def imagine_words(model: Model, spans: Sequence[Span]) -> np.ndarray:
    """RETURNS (np.ndarray): (S, 1, d_v), the direction of the mean feature that the words of each span generate; zeros
    for a span without wordpieces."""
    width = get_shim(model).aligner.config.vision_width
    means = _means(model, spans, lambda aligner, text: aligner.imagine([text]), width=width)
    return F.normalize(torch.from_numpy(means), dim=-1).unsqueeze(1).numpy()


def read_spans(model: Model, spans: Sequence[Span]) -> np.ndarray:
    """RETURNS (np.ndarray): (S, d), the mean of the text encoder's features, as they are tagged, over each span's
    tokens; zeros for a span without wordpieces."""
    width = get_shim(model).aligner.text_encoder.width
    return _means(model, spans, _tagged, width=width)


def _tagged(aligner: BGAModel, text: TextBatch) -> Tensor:
    return merge_wordpieces([(aligner.encode(text).hidden, text)])


@torch.inference_mode()
def _means(model: Model, spans: Sequence[Span], features: TokenFeatures, *, width: int) -> np.ndarray:
    """RETURNS (np.ndarray): (S, width) the means over each span's words that have wordpieces, read in its text.
    features (Callable[[BGAModel, TextBatch], Tensor]): Gives those of all tokens of a batch, (tokens, width)."""
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    found = np.zeros((len(spans), width), dtype=np.float32)
    for start in range(0, len(spans), BATCH):
        part = spans[start : start + BATCH]
        contents = [content_tokens(span.doc) for span in part]
        pieces = [shim.wordpieces.split_doc(span.doc, c) for span, c in zip(part, contents, strict=True)]
        windows = shim.wordpieces.windows(pieces)
        if not windows:
            continue
        text = shim.wordpieces.batch(pieces, windows).to(shim.device)
        owners = [
            np.where((c >= span.start) & (c < span.end), number, -1)
            for number, (span, c) in enumerate(zip(part, contents, strict=True))
        ]
        owner = torch.from_numpy(np.concatenate(owners)).to(shim.device)
        owner = owner.masked_fill(text.token_windows < 0, -1)  # what has no wordpieces has no features
        there, counts = owner[owner >= 0], owner[owner >= 0].bincount(minlength=len(part))
        tokens = features(aligner, text)[owner >= 0].float()
        totals = tokens.new_zeros(len(part), width).index_add(0, there, tokens)
        found[start : start + len(part)] = to_numpy(totals / counts.clamp(min=1).unsqueeze(1))
    return found
