"""Alignment before anything is tagged: what a tagger is to read has to be there before it has learnt to do without."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import logger
from thinc.api import Model
from tqdm import tqdm

from spacy_bga.pipeline.bridge import collate_images, get_shim
from spacy_bga.pipeline.optimizer import parameter_group
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.pipeline.visual_features import Source, VisualFeatures
from spacy_bga.pipeline.word_evidence import weigh_words

BATCH = 32
RATE = 2e-3
DROPOUT = 0.1
PASSES = 20
LEAST_STEPS, MOST_STEPS = 600, 3000
_skipped = False


@contextmanager
def skipped() -> Iterator[None]:
    """Within it nothing is aligned: the weights of a checkpoint are about to take the place of these."""
    global _skipped
    _skipped = True
    try:
        yield
    finally:
        _skipped = False


def steps_for(pairs: int) -> int:
    """RETURNS (int): Updates for so many image-text pairs: 20 passes, within 600 to 3,000."""
    return min(max(PASSES * math.ceil(pairs / BATCH), LEAST_STEPS), MOST_STEPS)


def prepare_aligner(
    model: Model,
    examples: Sequence[Example],
    images: Sequence[Sequence[Source]],
    features: VisualFeatures | None,
    *,
    steps: int | None = None,
    is_aligned: bool = False,
) -> None:
    """Learn from images what words look like, unless that was learnt before, and find out what of it is to be read.

    examples (Sequence[Example]): The texts. images (Sequence[Sequence[Source]]): The images of each.
    features (Optional[VisualFeatures]): What turns images into features; None if there are none.
    steps (Optional[int]): How many updates; see `BGANer.initialize`. is_aligned (bool): Whether it was learnt before.
    """
    config = get_shim(model).aligner.config
    if _skipped:
        return
    docs = [example.predicted for example in examples]
    if features is not None:
        paired = [i for i in range(len(docs)) if images[i]]
        if steps is None:
            steps = 0 if is_aligned or config.train_vision or not config.words else steps_for(len(paired))
        if steps:
            with torch.random.fork_rng():  # what comes after is as it would be without
                pretrain(model, [docs[i] for i in paired], [images[i] for i in paired], features, steps=steps)
    if config.words and (features is not None or is_aligned):
        trust, judged = weigh_words(model, examples, [bool(sources) for sources in images])
        logger.info("What %d labelled words look like is trusted by %.2f", judged, trust)


def pretrain(
    model: Model, docs: Sequence[Doc], images: Sequence[Sequence[Source]], features: VisualFeatures, *, steps: int
) -> None:
    """Learn from image-text pairs alone. Both encoders stay as they are.

    docs (Sequence[Doc]): The texts. images (Sequence[Sequence[Source]]): The images of each; at least one.
    features (VisualFeatures): What turns images into features. steps (int): How many updates.
    """
    shim = get_shim(model)
    aligner = shim.aligner.train()
    aligner.set_dropout(DROPOUT)
    named = [(name, p) for name, p in aligner.named_parameters() if p.requires_grad]
    learnt = [p for name, p in named if parameter_group(name) == "generator"]
    optimizer = torch.optim.AdamW(learnt, lr=RATE, weight_decay=0.01)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup + 1))
    )
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc)) for doc in docs]
    order = _batches(len(docs))
    losses: list[float] = []
    with tqdm(total=steps, desc="Alignment", unit="step", leave=False, disable=None) as bar:
        for _ in range(steps):
            chosen = next(order)
            part = [pieces[i] for i in chosen]
            windows = shim.wordpieces.windows(part)
            visual = collate_images(features, [images[i] for i in chosen], windows)
            bar.update(1)
            if visual is None:  # no image of these can be read
                continue
            text = shim.wordpieces.batch(part, windows).to(shim.device)
            free = torch.ones(len(part), max(text.lengths), len(aligner.crf.tags), dtype=torch.bool, device=shim.device)
            loss = aligner(text, allowed=free, images=visual.to(shim.device))["total"]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
            bar.set_postfix(loss=f"{losses[-1]:.2f}")
    for _, parameter in named:
        parameter.grad = None
    shim.graph.drop()
    if losses:
        some = min(20, len(losses))
        first, last = sum(losses[:some]) / some, sum(losses[-some:]) / some
        logger.info("Aligned %d image-text pairs in %d steps: loss %.2f -> %.2f", len(docs), steps, first, last)


def _batches(number: int) -> Iterator[list[int]]:
    """YIELDS (list[int]): Places of a batch, each place once in a pass."""
    deck: list[int] = []
    size = min(BATCH, number)
    while True:
        if len(deck) < size:
            deck = torch.randperm(number).tolist()
        yield [deck.pop() for _ in range(size)]
