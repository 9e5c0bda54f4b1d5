"""What the tagger is to read of words' features: the principal components, of words that pictures have shown, as far as
they tell more of the labels than the words' own embeddings do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from spacy.training import Example
from thinc.api import Model
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.partial_correlation import partial_correlation, tells_more
from spacy_bga.aligner.windows import word_keys
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.shim import BGAShim
from spacy_bga.pipeline.tags import allowed_tags, content_tokens
from spacy_bga.pipeline.wordpieces import Pieces

MOST_WORDS = 5000  # that trust is judged by


@torch.no_grad()
def weigh_words(model: Model, examples: Sequence[Example], pictured: Sequence[bool]) -> tuple[float, int]:
    """Find the principal components of what words look like, each different one of these texts counted once, note
    which of them have pictures, and set how far those are trusted: by the partial correlation of their components with
    their labels, given their embeddings.

    examples (Sequence[Example]): The texts, with or without labels. pictured (Sequence[bool]): Whether each has an
        image. RETURNS (tuple[float, int]): The trust, from 0 to 1, and how many labelled words it was judged by.
    """
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    generator = aligner.words
    assert generator is not None
    vocabulary = _read_words(shim, examples, pictured)
    if not vocabulary:
        return 0.0, 0
    different = [np.frombuffer(word, dtype=np.int64).copy() for word in vocabulary]
    embedded = _embed(aligner.text_encoder.word_embeddings.weight, different)
    features = generator(embedded)
    counts = torch.from_numpy(np.stack(list(vocabulary.values()))).double()
    keys = torch.cat([_keys(Pieces(ids, np.arange(len(ids)), np.zeros_like(ids), 1)) for ids in different])
    keys = keys.to(shim.device)
    judged = (generator.knows(keys) & (counts.sum(1) > 0).to(shim.device)).nonzero().flatten()[:MOST_WORDS]
    counts = counts[judged.cpu()]
    shares = counts / counts.sum(1, keepdim=True)
    seen = embedded[judged].cpu()

    def fit(colouring: Tensor | None) -> Tensor:
        generator.fit(features, colouring=colouring)
        return generator.components(features[judged], keys[judged]).cpu()

    # Kinds are told by details that whitening has brought out, or by that in which images differ most: labels decide.
    shown, colouring = fit(None), _colouring(aligner)
    if colouring is not None:
        coloured = fit(colouring)
        shown = coloured if tells_more(coloured, shown, seen, shares) else fit(None)
    trust = partial_correlation(seen, shown, shares)
    generator.trust.fill_(trust)
    return trust, len(judged)


def _read_words(shim: BGAShim, examples: Sequence[Example], pictured: Sequence[bool]) -> dict[bytes, np.ndarray]:
    """RETURNS (dict[bytes, np.ndarray]): How often each word, by its wordpiece ids, has which label. Words of texts
    with an image are noted as pictured."""
    generator = shim.aligner.words
    assert generator is not None
    vocabulary: dict[bytes, np.ndarray] = {}
    for example, has_image in zip(examples, pictured, strict=True):
        pieces = shim.wordpieces.split_doc(example.predicted, content_tokens(example.predicted))
        if has_image:
            generator.note(_keys(pieces).to(shim.device))
        for ids, labels in zip(pieces.by_word(), _labels(example, shim.aligner.config.labels), strict=True):
            if len(ids):
                vocabulary[ids.tobytes()] = vocabulary.get(ids.tobytes(), 0) + labels
    return vocabulary


def _colouring(aligner: BGAModel) -> Tensor | None:
    """RETURNS (Optional[Tensor]): What undoes the whitening of features, see `WordGenerator.fit`."""
    standardizer = None if aligner.visual is None else aligner.visual.standardizer
    return None if standardizer is None else standardizer.colouring


def _labels(example: Example, labels: Sequence[str]) -> np.ndarray:
    """RETURNS (np.ndarray): (t, L) bool, the label of each content token; none outside of entities or where it is
    unknown."""
    tags = allowed_tags(example, labels)
    found = tags[:, 1:].reshape(len(tags), len(labels), 2).any(-1)
    return found & (~tags[:, 0] & (found.sum(-1) == 1))[:, None]


def _keys(pieces: Pieces) -> Tensor:
    return word_keys(torch.from_numpy(pieces.ids[pieces.places]), torch.from_numpy(pieces.words), pieces.n_words)


def _embed(table: Tensor, different: Iterable[np.ndarray]) -> Tensor:
    """RETURNS (Tensor): (N, e), the mean embedding of each word's wordpieces."""
    return torch.stack([table[torch.from_numpy(ids).to(table.device)].mean(0) for ids in different])
