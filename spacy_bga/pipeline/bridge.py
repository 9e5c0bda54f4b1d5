"""Where thinc meets torch: documents in, tags out; examples in, losses and their gradients out."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from spacy_bga.aligner.crf import CRF
from spacy_bga.aligner.given import is_given
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.visual import VisualBatch
from spacy_bga.aligner.windows import TextBatch, Window, pad_documents
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.features import ImageFeatures
from spacy_bga.pipeline.given_features import KeyedFeatures
from spacy_bga.pipeline.shared_features import BatchFeatures, join_features, shared_width
from spacy_bga.pipeline.shim import BGAShim
from spacy_bga.pipeline.tags import Tagging, allowed_tags, content_tokens, preset_mask, to_entities
from spacy_bga.pipeline.visual_features import Source, VisualFeatures

# Wordpieces at once: on a CPU the activations of so many stay in its caches (1.2 to 1.4 times as fast as 4,096).
# Without padding, chunks may be larger: windows of any lengths go together.
PADDED_WORDPIECES, PACKED_WORDPIECES, GPU_WORDPIECES = 512, 1024, 16384
DECODE_BATCH = 64  # documents whose tags are decoded at once
# Training allocates for backpropagation what a batch's width asks for: the fewer widths there are, the more of what was
# freed fits again, and the less the heap grows.
WIDTH_MULTIPLE = 8


@dataclass(frozen=True)
class TrainingBatch:
    """The examples of one step, as tensors.

    allowed (Tensor): (B, t, L) bool, the tags each token may have. windows (Sequence[tuple[int, Window]]): Those of the
    text. whole (bool): Whether listeners learn from its features, too.
    """

    text: TextBatch
    allowed: torch.Tensor
    images: VisualBatch | None
    windows: Sequence[tuple[int, Window]] = ()
    whole: bool = False


class Backward:
    """thinc's callback of a step: it adds the gradients.

    total (Tensor): The loss. features (Optional[Tensor]): (W, n, d) what listeners learn from.
    """

    def __init__(self, total: torch.Tensor, features: torch.Tensor | None):
        self.total = total
        self.features = features

    def __call__(self, scale: float = 1.0, d_features: torch.Tensor | None = None) -> None:
        """Go back once, from the loss and from the features.

        scale (float): What the loss is multiplied by. d_features (Optional[Tensor]): (W, n, d) their gradient.
        """
        ends: list[torch.Tensor] = []
        gradients: list[torch.Tensor | None] = []
        if self.total.requires_grad:
            ends.append(self.total * scale)
            gradients.append(None)
        if self.features is not None and self.features.requires_grad and d_features is not None:
            ends.append(self.features)
            gradients.append(d_features)
        if ends:
            torch.autograd.backward(ends, gradients)


def forward(model: Model, batch: TrainingBatch | Sequence[Doc], is_train: bool) -> tuple[Any, Callable[..., None]]:
    """thinc's forward function: the terms of the loss, and a callback that adds its gradients, scaled.

    batch (Union[TrainingBatch, Sequence[Doc]]): What `collate` makes; or documents, whose tags are predicted.
    """
    if not isinstance(batch, TrainingBatch):
        return predict_tags(model, batch, max_wordpieces=None, overwrite=False), lambda scale=1.0: None
    shim = get_shim(model)
    aligner = shim.aligner.train()
    device = shim.device
    images = None if batch.images is None else batch.images.to(device)
    with autocast(device, enabled=model.attrs["settings"].mixed_precision):
        text, allowed = batch.text.to(device), batch.allowed.to(device)
        losses, hidden = aligner.learn(text, allowed=allowed, images=images, whole=batch.whole)
    features = join_features(aligner, [text], [hidden])[0] if hidden is not None else None
    return {name: float(term.detach()) for name, term in losses.items()}, Backward(losses["total"], features)


def autocast(device: torch.device, *, enabled: bool) -> AbstractContextManager[None]:
    """RETURNS (ContextManager): One of products in bfloat16; unlike float16 it needs no scaled losses."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled else nullcontext()


def get_shim(model: Model) -> BGAShim:
    """RETURNS (BGAShim): What holds the aligner. Raises a BGAError if the model is of another architecture."""
    for shim in model.shims:
        if isinstance(shim, BGAShim):
            return shim
    raise BGAError(Errors.B202.format(name=model.name))


def predict_tags(
    model: Model,
    docs: Sequence[Doc],
    *,
    max_wordpieces: int | None,
    overwrite: bool,
    confidence: bool = False,
    images: Sequence[Sequence[Source]] = (),
    features: VisualFeatures | None = None,
    share: bool = False,
) -> list[Tagging]:
    """The best tags of each document. No image is looked at, unless there is a way from images to features.

    docs (Sequence[Doc]): Any documents. max_wordpieces (Optional[int]): The most that go through the encoder at once;
        None: as many as suit the device.
    overwrite (bool): Whether entities already on a document are ignored; else their tokens get no tag but O.
    confidence (bool): Whether to compute the posteriors of the entities; given the entities already there, if any.
    images (Sequence[Sequence[Source]]): The images of each, and features (Optional[VisualFeatures]) what turns them
        into features: the text then attends to the real features where there are any.
    share (bool): Whether others are to get the features of the text.
    RETURNS (list[Tagging]): What was found in each.
    """
    limit_worker_threads()
    shim = get_shim(model)
    aligner = shim.aligner
    if aligner.training:  # to say so to each of its modules takes time
        aligner.eval()
    contents = [content_tokens(doc) for doc in docs]
    pieces = [shim.wordpieces.split_doc(doc, content) for doc, content in zip(docs, contents, strict=True)]
    lengths = [doc.n_words for doc in pieces]
    if not sum(lengths) and not share:
        return [_nothing(confidence) for _ in docs]
    with torch.inference_mode(), autocast(shim.device, enabled=shim.graph.precision == "bf16"):
        encode = shim.graph.encoder(aligner, sum(len(doc.ids) for doc in pieces))
        padded = shim.device.type != "cpu" or encode is not None  # else the aligner packs windows, see `arrange`
        if max_wordpieces is None:
            max_wordpieces = most_wordpieces(shim.device, padded=padded)
        chunks = list(shim.wordpieces.chunks(pieces, max_wordpieces, padded=padded)) or [[]]
        texts = [shim.wordpieces.batch(pieces, windows) for windows in chunks]
        pictures = [collate_images(features, images, windows) for windows in chunks] if features is not None else ()
        heard: list[torch.Tensor] | None = [] if share else None
        emissions = aligner.tag(texts, pictures, encode=encode, heard=heard).float().cpu()
        shared = gather_features(shim, docs, chunks, texts, heard) if heard is not None else None
    taken = [preset_mask(doc, overwrite=overwrite)[content] for doc, content in zip(docs, contents, strict=True)]
    found = _decode(aligner, emissions, lengths, taken, confidence=confidence)
    if shared is None:
        return found
    return [replace(tagging, features=part) for tagging, part in zip(found, shared.docs, strict=True)]


def gather_features(
    shim: BGAShim,
    docs: Sequence[Doc],
    chunks: Sequence[Sequence[tuple[int, Window]]],
    texts: Sequence[TextBatch],
    hidden: Sequence[torch.Tensor],
    *,
    joined: bool = False,
) -> BatchFeatures:
    """RETURNS (BatchFeatures): What others get of documents whose windows went through the encoder in chunks. hidden
    (Sequence[Tensor]): (W, n, d) of each chunk, or with what words look like already `joined`."""
    aligner = shim.aligner
    if not joined:
        hidden = join_features(aligner, [text.to(shim.device) for text in texts], hidden)
    contents = [content_tokens(doc) for doc in docs]
    width = shared_width(aligner)
    return BatchFeatures(docs, contents, chunks, texts, hidden, width=width, wordpieces=shim.wordpieces)


def most_wordpieces(device: torch.device, *, padded: bool) -> int:
    """RETURNS (int): The most that suit a device at once."""
    if device.type != "cpu":
        return GPU_WORDPIECES
    return PADDED_WORDPIECES if padded else PACKED_WORDPIECES


def _decode(
    aligner: BGAModel, emissions: torch.Tensor, lengths: list[int], taken: list[np.ndarray], *, confidence: bool
) -> list[Tagging]:
    """Viterbi, over documents of like length together. taken: tokens that belong to an entity already."""
    rows = emissions.split(lengths)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found = [_nothing(confidence)] * len(lengths)
    for start in range(0, len(order), DECODE_BATCH):
        part = [i for i in order[start : start + DECODE_BATCH] if lengths[i]]
        if not part:
            continue
        sizes = tuple(lengths[i] for i in part)
        padded, mask = pad_documents(torch.cat([rows[i] for i in part]), sizes)
        allowed = None
        if any(taken[i].any() for i in part):
            blocked, _ = pad_documents(torch.from_numpy(np.concatenate([taken[i] for i in part])), sizes)
            allowed = torch.ones_like(padded, dtype=torch.bool)
            allowed[..., 1:] = ~blocked.unsqueeze(-1)  # O alone
        best = aligner.crf.viterbi(padded, mask, allowed).numpy()
        tags = [row[:size] for row, size in zip(best, sizes, strict=True)]
        posteriors = _posteriors(aligner.crf, padded, mask, allowed, tags) if confidence else [None] * len(tags)
        for i, ids, posterior in zip(part, tags, posteriors, strict=True):
            found[i] = Tagging(ids, posterior)
    return found


def _posteriors(
    crf: CRF, emissions: torch.Tensor, mask: torch.Tensor, allowed: torch.Tensor | None, tags: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """RETURNS (list[np.ndarray]): Of each document (entities,), the posteriors of the entities in its tags."""
    entities = [to_entities(ids) for ids in tags]
    places = [(row, *entity) for row, found in enumerate(entities) for entity in found]
    table = torch.tensor(places, dtype=torch.long).reshape(-1, 4)
    device = crf.start.device
    allowed = None if allowed is None else allowed.to(device)
    with torch.inference_mode():
        posteriors = crf.entity_posteriors(emissions.to(device), mask.to(device), table, allowed).cpu()
    return [part.numpy() for part in posteriors.split([len(found) for found in entities])]


def _nothing(confidence: bool) -> Tagging:
    return Tagging(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32) if confidence else None)


def collate(
    model: Model,
    examples: Sequence[Example],
    images: Sequence[Sequence[Source]],
    features: VisualFeatures | None,
    *,
    whole: bool = False,
) -> TrainingBatch | None:
    """Examples as tensors. One that has nothing to learn from, neither annotation nor a usable image, is left out.

    examples (Sequence[Example]): The examples. images (Sequence[Sequence[Source]]): The images of each.
    features (Optional[VisualFeatures]): What turns images into features; None to leave them alone.
    whole (bool): Whether all examples are kept, since listeners learn from them.
    RETURNS (Optional[TrainingBatch]): None if there is nothing to learn from.
    """
    shim = get_shim(model)
    allowed = [allowed_tags(example, shim.aligner.config.labels) for example in examples]
    annotated = [not tags.all() for tags in allowed]
    kept = [i for i in range(len(examples)) if whole or annotated[i] or (features is not None and images[i])]
    docs = [examples[i].predicted for i in kept]
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc)) for doc in docs]
    windows = shim.wordpieces.windows(pieces)
    if not windows:
        return None
    visual = None if features is None else collate_images(features, [images[i] for i in kept], windows)
    if visual is None and not any(annotated) and not whole:
        return None
    text = shim.wordpieces.batch(pieces, windows, multiple=1 if visual is None else WIDTH_MULTIPLE)
    tags = torch.from_numpy(np.concatenate([allowed[i] for i in kept]))
    return TrainingBatch(text, pad_documents(tags, text.lengths)[0], visual, windows, whole)


def collate_images(
    features: VisualFeatures, images: Sequence[Sequence[Source]], windows: Sequence[tuple[int, Window]]
) -> VisualBatch | None:
    """The visual side of a batch of windows: a document's image goes with its first one.

    features (VisualFeatures): What turns images into features. images (Sequence[Sequence[Source]]): Those of each
        document. windows (Sequence[tuple[int, Window]]): Which document each window is of, and the window.
    RETURNS (Optional[VisualBatch]): None if there is no image that can be used.
    """
    rows = {place: row for row, (place, window) in enumerate(windows) if window.start == 0 and images[place]}
    return features.collate([images[place] for place in rows], list(rows.values()))


def image_features(
    model: Model, *, folder: Path | None, on_missing: Any, known: VisualFeatures | None = None
) -> VisualFeatures | None:
    """RETURNS (Optional[VisualFeatures]): The aligner's way from images to features, or from keys to given ones; None
    for a text-only aligner.

    known (Optional[VisualFeatures]): That of before, which is kept unless the aligner is another one since.
    Raises a BGAError if the aligner was saved without its visual branch, or there is no file of given features.
    """
    aligner = get_shim(model).aligner
    path = model.attrs["settings"].visual_features
    if known is not None and known.branch is aligner.visual and known.comes_from(path):
        known.unusable.on_missing = on_missing
        return known
    if not aligner.config.sees:
        return None
    if aligner.visual is None:
        raise BGAError(Errors.B107)
    if not is_given(aligner.config.vision):
        return ImageFeatures(aligner.visual, folder, on_missing=on_missing)
    if path is None:
        raise BGAError(Errors.B219)
    return KeyedFeatures(aligner.visual, FeatureFile(Path(path)), on_missing=on_missing)


_MAIN_PROCESS = os.getpid()
_threads_limited = False


def limit_worker_threads() -> None:
    """One torch thread in a worker process.

    Torch's threads don't survive a fork: a worker that inherits a started pool waits for them forever. And several
    workers with a pool each are slower than with a thread each.
    """
    global _threads_limited
    if not _threads_limited and (os.getpid() != _MAIN_PROCESS or multiprocessing.parent_process() is not None):
        torch.set_num_threads(1)
        _threads_limited = True


def keep_threads() -> None:
    """Leave a worker process the threads that it has: whoever started it has chosen them."""
    global _threads_limited
    _threads_limited = True
