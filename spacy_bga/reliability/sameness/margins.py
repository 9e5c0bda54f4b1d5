"""How close a pipeline's decisions are: what rounding would have to change before an entity does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spacy_bga.aligner.crf import CRF
from spacy_bga.pipeline.bridge import PACKED_WORDPIECES, get_shim
from spacy_bga.pipeline.tags import content_tokens

if TYPE_CHECKING:
    from spacy.language import Language

BATCH = 64
NEAR = 0.01


def measure_margins(nlp: Language, texts: list[str]) -> dict[str, Any]:
    """Compare what batches change in the scores of tags with what it takes to change a tag.

    nlp (Language): The pipeline. texts (list[str]): The texts.
    RETURNS (dict[str, Any]): "largest_difference", of a token's score of a tag between a text by itself and the same
        text in a batch; "smallest", margin of a text, and how many are "near", nearer than "nearness"; all "margins".
    """
    alone = [emissions(nlp, [text])[0] for text in texts]
    batched = [row for start in range(0, len(texts), BATCH) for row in emissions(nlp, texts[start : start + BATCH])]
    differences = [float((a - b).abs().max()) for a, b in zip(alone, batched, strict=True) if len(a)]
    crf = get_shim(_component(nlp).model).aligner.crf
    margins = [margin(crf, scores) if len(scores) else None for scores in alone]
    known = [value for value in margins if value is not None]
    return {
        "largest_difference": max(differences),
        "smallest": min(known),
        "nearness": NEAR,
        "near": sum(value < NEAR for value in known),
        "margins": margins,
    }


def emissions(nlp: Language, texts: Sequence[str]) -> list[Tensor]:
    """RETURNS (list[Tensor]): For each text (t, L), the scores of the tags of its content tokens, as in one batch."""
    shim = get_shim(_component(nlp).model)
    docs = [nlp.make_doc(text) for text in texts]
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc)) for doc in docs]
    lengths = [doc.n_words for doc in pieces]
    with torch.inference_mode():
        windows = shim.wordpieces.chunks(pieces, PACKED_WORDPIECES, padded=False)
        chunks = [shim.wordpieces.batch(pieces, chunk) for chunk in windows]
        if not chunks:
            return [torch.zeros(length, len(shim.aligner.crf.tags)) for length in lengths]
        return list(shim.aligner.eval().tag(chunks).float().cpu().split(lengths))


def margin(crf: CRF, scores: Tensor) -> float:
    """RETURNS (float): By how much the best tags of a document surpass the second best ones. The latter differ at some
    token, so they are among the best ones that may not have the best tag there.

    crf (CRF): The CRF. scores (Tensor): (t, L), with t > 0.
    """
    steps = len(scores)
    mask = torch.ones(steps, steps, dtype=torch.bool)
    best = crf.viterbi(scores[None], mask[:1])[0]
    rows = torch.arange(steps)
    allowed = torch.ones(steps, *scores.shape, dtype=torch.bool)
    allowed[rows, rows, best] = False
    others = crf.viterbi(scores.expand(steps, -1, -1), mask, allowed)
    others = others[others[rows, rows] != best]  # where BIO leaves no other tag, it stays
    return float(_total(crf, scores, best[None]) - _total(crf, scores, others).max())


def _total(crf: CRF, scores: Tensor, tags: Tensor) -> Tensor:
    """RETURNS (Tensor): (N,) the scores of sequences of tags (N, t), in double precision."""
    emitted = scores.double()[torch.arange(len(scores)), tags].sum(1)
    moved = crf.transitions.detach().double()[tags[:, :-1], tags[:, 1:]].sum(1)
    return emitted + moved + crf.start.detach().double()[tags[:, 0]] + crf.end.detach().double()[tags[:, -1]]


def _component(nlp: Language) -> Any:
    """RETURNS (BGANer): The pipeline's."""
    [name] = [name for name, factory in nlp.pipe_factories.items() if factory == "bga_ner"]
    return nlp.get_pipe(name)
