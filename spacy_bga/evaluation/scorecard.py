"""Everything that is to be said of how good a pipeline is on a corpus, and of whether another one is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language

from spacy_bga.errors import Warnings
from spacy_bga.evaluation.bootstrap import middle_95, precision_recall_f1, resample_totals
from spacy_bga.evaluation.calibration import calibrate
from spacy_bga.evaluation.comparison import Verdict
from spacy_bga.evaluation.confusion import confusion
from spacy_bga.evaluation.judged import JudgedCorpus, judge_corpus
from spacy_bga.evaluation.provenance import portable, versions
from spacy_bga.evaluation.randomisation import randomisation_test
from spacy_bga.evaluation.slices import Slice, known_entities, make_slices
from spacy_bga.evaluation.tagging import choose_visual_context, load_pipeline, read_gold
from spacy_bga.pipeline.component_images import VisualContext

MEASURES = ("p", "r", "f1")


def evaluate(
    model: str | Path,
    corpus: Path,
    *,
    images: Path | None = None,
    visual_context: VisualContext | None = None,
    compare: str | Path | None = None,
    train: Path | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the entities of any spaCy pipeline on a corpus, and compare it with another one.

    model (Union[str, Path]): The pipeline's folder, or its package's name. corpus (Path): What to score it on.
    images (Optional[Path]): The image root of the corpus.
    visual_context (Optional[str]): What a `bga_ner` attends to: "generated" visual features, the "real" ones of the
        text's image, or "auto"; None: what its config says.
    compare (Optional[Union[str, Path]]): Another pipeline. train (Optional[Path]): What both were trained on, to tell
        entities that were seen there from others.
    resamples (int): How often to resample documents. seed (int): Of the resampling.
    RETURNS (dict[str, Any]): What `score_corpora` returns, and where it comes from.
    RAISES (BGAError): There is no such pipeline or corpus, nobody has annotated the corpus, or a pipeline lacks the
        visual branch that "real" needs.
    """
    nlp = load_pipeline(model)
    known = None if train is None else known_entities(read_gold(nlp, train)[0])
    corpora = {_name(model): _judge(nlp, corpus, images, visual_context)}
    if compare is not None:
        name = f"{_name(compare)} (2)" if _name(compare) in corpora else _name(compare)
        corpora[name] = _judge(load_pipeline(compare), corpus, images, visual_context)
    origin = {"corpus": portable(corpus), "train": None if train is None else portable(train)}
    origin["visual_context"] = visual_context
    return {**origin, **score_corpora(corpora, known=known, resamples=resamples, seed=seed), "versions": versions()}


def _judge(nlp: Language, corpus: Path, images: Path | None, visual_context: VisualContext | None) -> JudgedCorpus:
    looks = visual_context is None or choose_visual_context(nlp, visual_context)
    judged = judge_corpus(nlp, corpus, images=images)
    if not looks and visual_context != "generated":
        judged.notices.append(Warnings.W770.format(pipes=", ".join(nlp.pipe_names) or "none"))
    return judged


def score_corpora(
    corpora: Mapping[str, JudgedCorpus], *, known: Set[str] | None = None, resamples: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Score what one or two pipelines find in a corpus.

    corpora (Mapping[str, JudgedCorpus]): By the name of the pipeline. known (Optional[Set[str]]): See `make_slices`.
    resamples (int): How often to resample. seed (int): Of the resampling.
    RETURNS (dict[str, Any]): "documents", "annotated", "images"; "pipelines", by name, with their "scores" by group and
        slice, "confusion", "calibration" and "notices"; and "difference", of two, the first minus the second.
    """
    judged = list(corpora.values())
    slices = make_slices(judged, known=known)
    columns = np.concatenate([corpus.counts(part.chosen) for corpus in judged for part in slices], axis=1)
    shape = (len(judged), len(slices), 3)
    totals = columns.sum(axis=0).reshape(shape)
    resampled = resample_totals(columns, resamples=resamples, seed=seed).reshape(-1, *shape)
    pipelines = {
        name: {
            "scores": _group(slices, [_scores(resampled[:, n, s], totals[n, s]) for s in range(len(slices))]),
            "confusion": confusion(corpus),
            "calibration": calibration(corpus),
            "notices": corpus.notices,
        }
        for n, (name, corpus) in enumerate(corpora.items())
    }
    difference = None
    if len(judged) == 2:
        difference = _group(slices, [_measures(resampled[:, :, s], totals[:, s]) for s in range(len(slices))])
        tested = randomisation_test(judged[0].counts(), judged[1].counts(), shuffles=resamples, seed=seed)
        difference["overall"]["all"]["p_value"] = dict(zip(MEASURES, (round(p, 5) for p in tested), strict=True))
    return {
        "documents": len(judged[0].images),
        "annotated": judged[0].annotated,
        "images": sum(judged[0].images),
        "resamples": resamples,
        "seed": seed,
        "pipelines": pipelines,
        "difference": difference,
    }


def calibration(corpus: JudgedCorpus) -> dict[str, Any] | None:
    """RETURNS (Optional[dict[str, Any]]): What `calibrate` says of the predicted entities that have a confidence, with
    "without", the number of those that have none; None if none has one."""
    sure = [entity for entity in corpus.predicted if entity.confidence is not None]
    found = calibrate([e.confidence or 0.0 for e in sure], [e.verdict is Verdict.CORRECT for e in sure])
    return None if found is None else {**found, "without": len(corpus.predicted) - len(sure)}


def _scores(resampled: np.ndarray, totals: np.ndarray) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Counts, and the measures with their intervals. See `_measures`."""
    counts = dict(zip(("correct", "predicted", "gold"), map(int, totals), strict=True))
    return {**counts, **_measures(resampled[:, None], totals[None])}


def _measures(resampled: np.ndarray, totals: np.ndarray) -> dict[str, Any]:
    """Compute the measures of one system, or by how many points those of two differ, the first minus the second.

    resampled (np.ndarray): (resamples, systems, 3) counts. totals (np.ndarray): (systems, 3), those of the corpus.
    RETURNS (dict[str, Any]): "p", "r", "f1" in percent or points, and each with "_ci" its interval, of those resamples
        in which every system has an entity to find or found one; None if that isn't so in the corpus.
    """
    if not _any(totals).all():
        return {f"{name}{kind}": None for name in MEASURES for kind in ("", "_ci")}
    values = _apart(precision_recall_f1(totals)).tolist()
    usable = _apart(precision_recall_f1(resampled[_any(resampled).all(axis=-1)]))
    bounds = [[round(bound, 2) for bound in middle_95(column)] for column in usable.T]
    found = {name: round(value, 2) for name, value in zip(MEASURES, values, strict=True)}
    return found | {f"{name}_ci": pair for name, pair in zip(MEASURES, bounds, strict=True)}


def _apart(measures: np.ndarray) -> np.ndarray:
    """(..., systems, 3) -> (..., 3)"""
    return measures[..., 0, :] if measures.shape[-2] == 1 else measures[..., 0, :] - measures[..., 1, :]


def _any(totals: np.ndarray) -> np.ndarray:
    """(..., 3) -> (...), whether there is a predicted or a gold entity"""
    return totals[..., 1] + totals[..., 2] > 0


def _group(slices: Sequence[Slice], found: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for part, scores in zip(slices, found, strict=True):
        groups.setdefault(part.group, {})[part.name] = scores
    return groups


def _name(model: str | Path) -> str:
    """RETURNS (str): What a pipeline is called: outside of this folder by two parts, as many are `model-best`."""
    name = portable(model)
    return f".../{'/'.join(Path(model).parts[-2:])}" if name.startswith(".../") else name
