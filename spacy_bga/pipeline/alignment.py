"""What an aligner generates for texts beside what is in their images: to see, and to measure, what it has learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from spacy.tokens import Doc, Span
from thinc.api import Model

from spacy_bga.aligner.encoding import Encoding
from spacy_bga.aligner.losses import direction, summarize
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.windows import TextBatch, Window
from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.bridge import collate_images, get_shim
from spacy_bga.pipeline.shim import BGAShim
from spacy_bga.pipeline.span_features import imagine_words
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.pipeline.visual_features import Source, VisualFeatures
from spacy_bga.pipeline.word_alignment import WordAlignment, match_words, to_numpy

BATCH = 64

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Alignment:
    """Generated and real visual features of texts with images, standardised if the aligner standardises them.

    places (np.ndarray): (P,), which of the given texts each of the P pairs is: one with an image that can be used.
    generated, real (np.ndarray): (P, N, m, d_v), at each of N BGA layers. valid (np.ndarray): (P, m) bool.
    kept_text, kept_visual (np.ndarray): (P, N), the share of tokens that the samplers keep.
    """

    places: np.ndarray
    generated: np.ndarray
    real: np.ndarray
    valid: np.ndarray
    kept_text: np.ndarray
    kept_visual: np.ndarray

    def similarity(self) -> np.ndarray:
        """How alike each text's generated features are to each image's.

        Cosine similarities of `summarize`d tokens, averaged over the BGA layers: what the contrastive term compares,
        and nothing that was learnt in order to retrieve.
        RETURNS (np.ndarray): (P, P), row i is a text, column i its own image.
        """
        valid = torch.from_numpy(self.valid)
        layers = []
        for number in range(self.generated.shape[1]):
            texts = summarize(torch.from_numpy(self.generated[:, number]), valid)
            images = summarize(torch.from_numpy(self.real[:, number]), valid)
            layers.append((texts @ images.T).numpy())
        return np.mean(layers, axis=0)


@dataclass(frozen=True)
class Pointers:
    """What spans of texts generate by themselves, beside the patches of their texts' images.

    places (np.ndarray): (P,), which of the given spans each is: one with wordpieces and an image that can be used.
    directions (np.ndarray): (P, N, d_v), the direction of the mean patch that it generates at each of N BGA layers, or
        with N = 1 of the mean of what its words generate.
    patches (np.ndarray): (P, N, rows, columns, d_v), the real ones, standardised if the aligner standardises them.
    """

    places: np.ndarray
    directions: np.ndarray
    patches: np.ndarray

    def maps(self) -> np.ndarray:
        """RETURNS (np.ndarray): (P, rows, columns), how alike each patch is to the span: cosines, averaged over the
        BGA layers."""
        patches = F.normalize(torch.from_numpy(self.patches), dim=-1)
        return torch.einsum("pnrcd,pnd->pnrc", patches, torch.from_numpy(self.directions)).mean(1).numpy()


def align(
    model: Model, docs: Sequence[Doc], images: Sequence[Sequence[Source]], features: VisualFeatures
) -> Alignment | WordAlignment | None:
    """Generate the visual features of texts, and find those of their images.

    docs (Sequence[Doc]): The texts. images (Sequence[Sequence[Source]]): The images of each.
    features (VisualFeatures): What turns images into features.
    RETURNS (Optional[Union[Alignment, WordAlignment]]): None if no text has an image that can be used. Of a long text,
        its first window. A `WordAlignment` if words generate by themselves, also where there are BGA layers beside.
    """
    aligner = get_shim(model).aligner
    parts = list(_batches(model, docs, images, features))
    if not parts:
        return None
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if aligner.words is None:
        return Alignment(*columns)
    places, generated, counts, patches, valid = columns
    return WordAlignment(places, generated, counts, patches, valid, aligner.config.word_temperature)


@torch.inference_mode()
def _batches(
    model: Model, docs: Sequence[Doc], images: Sequence[Sequence[Source]], features: VisualFeatures
) -> Iterator[Arrays]:
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    paired = [i for i in range(len(docs)) if images[i] and len(content_tokens(docs[i]))]
    for start in range(0, len(paired), BATCH):
        chosen = paired[start : start + BATCH]
        pieces = [shim.wordpieces.split_doc(docs[i], content_tokens(docs[i])) for i in chosen]
        windows = shim.wordpieces.windows(pieces)
        visual = collate_images(features, [images[i] for i in chosen], windows)
        if visual is not None:
            text, visual = shim.wordpieces.batch(pieces, windows).to(shim.device), visual.to(shim.device)
            places = np.array([chosen[windows[row][0]] for row in visual.rows])
            if aligner.words is not None:
                yield places, *match_words(aligner, text, visual)
            else:
                yield places, *_stages(aligner.encode(text, images=visual, tagged=False), visual.rows)


def _stages(encoding: Encoding, rows: torch.Tensor) -> Arrays:
    """The fields of an `Alignment` for one batch, but for the places."""
    generated, real, kept_text, kept_visual = [], [], [], []
    for stage in encoding.stages:
        assert stage.visual is not None
        text, visual = stage.text.select(rows), stage.visual
        generated.append(stage.generated[rows])
        real.append(visual.tokens)
        kept_text.append(text.kept.sum(1) / text.valid.sum(1))
        kept_visual.append(visual.kept.sum(1) / visual.valid.sum(1))
    stacked = (to_numpy(torch.stack(part, dim=1)) for part in (generated, real))
    ratios = (to_numpy(torch.stack(part, dim=1)) for part in (kept_text, kept_visual))
    return (*stacked, visual.valid.cpu().numpy(), *ratios)


@torch.inference_mode()
def imagine(model: Model, docs: Sequence[Doc]) -> np.ndarray:
    """What texts generate, without an image.

    docs (Sequence[Doc]): The texts.
    RETURNS (np.ndarray): (D, N, 2 d_v), the `summarize`d visual features at each of N BGA layers, of a long text in its
        first window; or (D, 1, d_v), the direction of the mean of what its words generate. Zeros for a text without.
    """
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    if aligner.words is not None:
        return imagine_words(model, [doc[:] for doc in docs])
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc)) for doc in docs]
    windows = [(place, window) for place, window in shim.wordpieces.windows(pieces) if window.start == 0]
    found = np.zeros((len(docs), aligner.config.n_bga_layers, 2 * aligner.config.vision_width), dtype=np.float32)
    for start in range(0, len(windows), BATCH):
        part = windows[start : start + BATCH]
        stages = aligner.encode(shim.wordpieces.batch(pieces, part).to(shim.device), tagged=False).stages
        found[[place for place, _ in part]] = _summaries([stage.generated for stage in stages])
    return found


def _summaries(generated: Sequence[torch.Tensor]) -> np.ndarray:
    """RETURNS (np.ndarray): (B, N, 2 d_v) the `summarize`d features (B, m, d_v) of N BGA layers."""
    everything = torch.ones(generated[0].shape[:2], dtype=torch.bool, device=generated[0].device)
    return to_numpy(torch.stack([summarize(features, everything) for features in generated], dim=1))


def imagine_spans(model: Model, spans: Sequence[Span]) -> np.ndarray:
    """What spans of texts generate by themselves, each read in its text, without an image.

    spans (Sequence[Span]): Such as entities.
    RETURNS (np.ndarray): (S, N, 2 d_v) or (S, 1, d_v), as `imagine` has it for texts; zeros for a span without
        wordpieces. Of a long text, the window in which the span begins.
    """
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    if aligner.words is not None:
        return imagine_words(model, spans)
    found = np.zeros((len(spans), aligner.config.n_bga_layers, 2 * aligner.config.vision_width), dtype=np.float32)
    for start in range(0, len(spans), BATCH):
        places, text, kept = _lay_out(shim, spans[start : start + BATCH])
        if places:
            with torch.inference_mode():
                stages = aligner.encode(text, tagged=False).stages
                generated = [aligner.generate(n, stage.text.tokens, kept) for n, stage in enumerate(stages)]
            found[start + np.array(places)] = _summaries(generated)
    return found


def point(
    model: Model, spans: Sequence[Span], images: Sequence[Sequence[Source]], features: VisualFeatures
) -> Pointers | None:
    """Generate visual features from spans alone, each read in its text, and find the patches of their images.

    spans (Sequence[Span]): Such as entities. images (Sequence[Sequence[Source]]): The images of each one's text.
    features (VisualFeatures): What turns images into features, patches among them.
    RETURNS (Optional[Pointers]): None if no span has wordpieces and an image that can be used. Of a long text, the
        window in which the span begins.
    """
    starts = range(0, len(spans), BATCH)
    batches = (_point(model, spans[i : i + BATCH], images[i : i + BATCH], features) for i in starts)
    parts = [
        (start + places, *rest) for start, part in zip(starts, batches, strict=True) if part for places, *rest in [part]
    ]
    return Pointers(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else None


@torch.inference_mode()
def _point(
    model: Model, spans: Sequence[Span], images: Sequence[Sequence[Source]], features: VisualFeatures
) -> Arrays | None:
    """The fields of `Pointers` for one batch."""
    shim = get_shim(model)
    aligner = shim.aligner.eval()
    chosen, text, kept = _lay_out(shim, spans)
    visual = features.collate([images[place] for place in chosen], range(len(chosen)))
    if visual is None:
        return None
    visual = visual.to(shim.device)
    places = np.array(chosen)[visual.rows.cpu().numpy()]
    if aligner.words is not None:
        patches, _ = aligner.patches(visual)
        return places, imagine_words(model, [spans[place] for place in places]), _on_grid(aligner, [patches])
    return places, *_pointers(aligner, aligner.encode(text, images=visual, tagged=False), kept, visual.rows)


def _lay_out(shim: BGAShim, spans: Sequence[Span]) -> tuple[list[int], TextBatch, torch.Tensor]:
    """RETURNS (tuple[list[int], TextBatch, Tensor]): Which of the spans have wordpieces; the windows (W, n) in which
    these begin; and which wordpieces of those are the span's (W, n), 0 or 1."""
    contents = [content_tokens(span.doc) for span in spans]
    pieces = [shim.wordpieces.split_doc(span.doc, c) for span, c in zip(spans, contents, strict=True)]
    inside = [
        np.isin(np.arange(len(p.ids)), p.places[((c >= span.start) & (c < span.end))[p.words]])
        for span, c, p in zip(spans, contents, pieces, strict=True)
    ]
    chosen: dict[int, Window] = {}
    for place, window in shim.wordpieces.windows(pieces):
        if inside[place][window.own_start : window.own_end].any():
            chosen.setdefault(place, window)
    text = shim.wordpieces.batch(pieces, list(chosen.items()))
    kept = torch.zeros(text.ids.shape)
    for row, (place, window) in enumerate(chosen.items()):
        kept[row, 1 : 1 + window.end - window.start] = torch.from_numpy(
            inside[place][window.start : window.end]
        ).float()
    return list(chosen), text.to(shim.device), kept.to(shim.device)


def _pointers(aligner: BGAModel, encoding: Encoding, kept: torch.Tensor, rows: torch.Tensor) -> Arrays:
    """Directions and patches of the texts in these rows, of which only what is kept generates."""
    assert aligner.visual is not None
    directions, patches = [], []
    for number, stage in enumerate(encoding.stages):
        assert stage.visual is not None
        generated = aligner.generate(number, stage.text.tokens[rows], kept[rows])
        of_image = slice(1, aligner.visual.n_image_tokens)  # without [CLS], and without crops
        directions.append(direction(generated[:, of_image], stage.visual.valid[:, of_image].unsqueeze(-1)))
        patches.append(stage.visual.tokens[:, of_image])
    return to_numpy(torch.stack(directions, dim=1)), _on_grid(aligner, patches)


def _on_grid(aligner: BGAModel, patches: Sequence[torch.Tensor]) -> np.ndarray:
    """RETURNS (np.ndarray): (I, N, rows, columns, d_v) the image's own patches, the first of (I, p, d_v), N times."""
    rows, columns = grid_of(aligner)
    return to_numpy(torch.stack(list(patches), dim=1)[:, :, : rows * columns].unflatten(2, (rows, columns)))


def grid_of(aligner: BGAModel) -> tuple[int, int]:
    """RETURNS (tuple[int, int]): Rows and columns of the patches of an image, pooled; raises a BGAError without any."""
    branch = aligner.visual
    if branch is None:
        raise BGAError(Errors.B107)
    grid = aligner.config.visual_grid
    if grid == 0:
        raise BGAError(Errors.B208)
    if branch.grid_shape is None:
        raise BGAError(Errors.B209)
    return branch.grid_shape if grid is None else (grid, grid)


def recall_scores(found: Alignment | WordAlignment | None) -> dict[str, float | None]:
    """RETURNS (dict[str, Optional[float]]): `align_r10` and `align_r10_images`, what `BGANer.score` tells of them."""
    if found is None:
        return {"align_r10": None, "align_r10_images": None}
    similarity = found.similarity()
    return {"align_r10": recall(similarity, at=10), "align_r10_images": recall(similarity.T, at=10)}


def recall(similarity: np.ndarray, *, at: int) -> float:
    """RETURNS (float): The share of rows whose own column is among the `at` most alike ones, equals by middle rank."""
    own = np.diagonal(similarity)[:, None]
    ranks = 1 + (similarity > own).sum(axis=1) + ((similarity == own).sum(axis=1) - 1) / 2
    return float((ranks <= at).mean())
