"""Has nothing been learnt, or is nothing taken up? What a linear probe reads from generated features, beside what the
pipeline itself makes of the same entities."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.evaluation.alignment import find_generating
from spacy_bga.evaluation.scores import percent

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc, Span

    from spacy_bga.aligner.model import BGAModel

COLUMNS = ("generated", "untrained", "text", "majority", "pipeline")
MARGIN = 0.05  # a difference that matters, beyond what chance explains
LEAST_UNSEEN = 20  # names to judge by; if fewer are unseen, all are taken
VERDICTS = {
    "nothing learnt": "Nothing was learnt that tells labels apart: {generated} % is about what the majority label "
    "({majority} %) or generators without any training ({untrained} %) give.",
    "learnt": "Something was learnt: {generated} %, where the majority label gives {majority} % and generators without "
    "any training {untrained} %. No tagger has been trained yet that could take it up.",
    "not taken up": "Something was learnt, but it is not taken up: labels can be read from what is generated in "
    "{generated} % (without any training {untrained} %), and the pipeline finds {pipeline} % of these entities with "
    "their borders and label.",
    "taken up": "What was learnt is taken up, or not needed: labels can be read from what is generated in "
    "{generated} % (without any training {untrained} %), and the pipeline finds {pipeline} % of these entities with "
    "their borders and label.",
}


def measure_probe(nlp: Language, train: Path, test: Path) -> dict[str, Any]:
    """Fit linear probes on the entities of one corpus, and see how often they give those of another their label.

    nlp (Language): A pipeline that generates visual features; its visual branch is not needed.
    train, test (Path): Texts with entities: .spacy files, folders of them, or JSONL.
    RETURNS (dict): "rows", for all entities of the test set, those of each label, and those whose words are an entity
        in the training set ("seen") or not: "n", and in percent how often the label is right by a probe on what the
        entity "generated", on what it generates by "untrained" generators, and on the "text"'s own features; by taking
        the "majority" label of the training set; and what the "pipeline" finds with its borders and label, None if it
        knows no labels. "judged_by", which row the "verdict", a key of `VERDICTS`, is judged by; "train", how many
        entities the probes have learnt from.
    RAISES (BGAError): The pipeline generates nothing, or a corpus has no entities of two labels.
    """
    from spacy_bga.evaluation.judged import squeeze
    from spacy_bga.evaluation.slices import known_entities
    from spacy_bga.evaluation.tagging import knows_labels, read_gold

    component = find_generating(nlp)
    learnt, asked = (read_gold(nlp, path)[0] for path in (train, test))
    for path, docs in ((train, learnt), (test, asked)):
        _check_labels(path, docs)
    spans, targets = _entities(learnt), _entities(asked)
    labels = np.array([span.label_ for span in targets])
    right = _probed(component.model, spans, targets)
    majority, _ = min(Counter(span.label_ for span in spans).items(), key=lambda item: (-item[1], item[0]))
    right["majority"] = labels == majority
    if knows_labels(nlp):
        right["pipeline"] = _found(nlp, asked, test)
    known = known_entities(learnt)
    names = np.array([squeeze(span.text) for span in targets])
    seen = np.array([name in known for name in names])
    rows = [_row("overall", "all", np.ones_like(seen), right)]
    rows += [_row("label", label, labels == label, right) for label in np.unique(labels).tolist()]
    rows += [_row("seen", name, chosen, right) for name, chosen in (("seen", seen), ("unseen", ~seen)) if chosen.any()]
    by_unseen = len(np.unique(names[~seen])) >= LEAST_UNSEEN
    chosen = ~seen if by_unseen else np.ones_like(seen)
    return {
        "rows": rows,
        "judged_by": "unseen" if by_unseen else "all",
        "verdict": judge({column: hits[chosen] for column, hits in right.items()}, names[chosen]),
        "train": len(spans),
    }


def judge(right: dict[str, np.ndarray], names: np.ndarray) -> str:
    """Choose what to say.

    right (dict[str, np.ndarray]): (n,) bool by `COLUMNS`, whether each entity's label is right; "pipeline" may be
        missing. names (np.ndarray): (n,) the entities' words: those of one name are right or wrong together.
    RETURNS (str): A key of `VERDICTS`.
    """

    def is_above(column: str) -> bool:
        """By a margin that matters, and by two standard errors of the difference, resting on the names."""
        differences = right["generated"].astype(np.float64) - right[column]
        mean = differences.mean()
        _, name = np.unique(names, return_inverse=True)
        error = np.sqrt((np.bincount(name, weights=differences - mean) ** 2).sum()) / len(differences)
        return bool(mean >= max(MARGIN, 2 * error))

    if not (is_above("majority") and is_above("untrained")):
        return "nothing learnt"
    if "pipeline" not in right:
        return "learnt"
    return "not taken up" if is_above("pipeline") else "taken up"


def table(measured: dict[str, Any]) -> str:
    """RETURNS (str): What `measure_probe` returned, for the console."""
    rows = measured["rows"]
    width = 2 + max(len(row["name"]) for row in rows)
    lines = [f"{'right, in %':<{max(width, 13)}}{'n':>6}" + "".join(f"{name:>11}" for name in COLUMNS)]
    for row in rows:
        cells = ("–" if row[name] is None else f"{row[name]:.2f}" for name in COLUMNS)
        lines.append(f"{row['name']:<{max(width, 13)}}{row['n']:>6}" + "".join(f"{cell:>11}" for cell in cells))
    (judged,) = (row for row in rows if row["name"] == measured["judged_by"] and row["group"] != "label")
    which = "unseen entities" if measured["judged_by"] == "unseen" else "entities"
    sentence = VERDICTS[measured["verdict"]].format(**judged)
    return "\n".join([*lines, "", f"Judged by {judged['n']} {which}. {sentence}"])


@contextmanager
def untrained(aligner: BGAModel) -> Iterator[None]:
    """Let an aligner generate by random weights for a while. What can be read then was in the text before: a name in
    its wordpieces, for one."""
    import torch

    from spacy_bga.aligner.model import BGAModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = BGAModel.from_config(aligner.config.replace(visual_branch=False)).to(aligner.head.weight.device)
    parts = ("words", "generators", "layers")
    own = {name: getattr(aligner, name) for name in parts}
    try:
        for name in parts:
            setattr(aligner, name, getattr(fresh, name))
        yield
    finally:
        for name, part in own.items():
            setattr(aligner, name, part)


def _probed(model: Any, train: Sequence[Span], test: Sequence[Span]) -> dict[str, np.ndarray]:
    """RETURNS (dict[str, np.ndarray]): By feature, whether a probe gives each test entity its label (n,), bool."""
    from spacy_bga.evaluation.linear_probe import fit_probe
    from spacy_bga.pipeline.alignment import imagine_spans
    from spacy_bga.pipeline.bridge import get_shim
    from spacy_bga.pipeline.span_features import read_spans

    labels = sorted({span.label_ for span in train})
    targets = np.array([labels.index(span.label_) for span in train])
    wanted = np.array([labels.index(span.label_) if span.label_ in labels else -1 for span in test])
    spans = [*train, *test]
    features = {"generated": imagine_spans(model, spans), "text": read_spans(model, spans)}
    with untrained(get_shim(model).aligner):
        features["untrained"] = imagine_spans(model, spans)
    right = {}
    for name, array in features.items():
        array = array.reshape(len(spans), -1)
        probe = fit_probe(array[: len(train)], targets, len(labels))
        right[name] = probe.predict(array[len(train) :]) == wanted
    return right


def _found(nlp: Language, gold: Sequence[Doc], path: Path) -> np.ndarray:
    """RETURNS (np.ndarray): (n,) bool, whether the pipeline finds each gold entity with its borders and label."""
    from spacy_bga.evaluation.comparison import Verdict, compare
    from spacy_bga.evaluation.tagging import tag_texts

    docs, problems = tag_texts(nlp, gold, None)
    if problems:
        warnings.warn(Warnings.W610.format(number=len(problems), path=path, first=problems[0]), stacklevel=2)
    found: list[bool] = []
    for doc, g in zip(docs, gold, strict=True):
        compared = None if doc is None else compare(doc, g)
        found += [compared is not None and compared.gold[i].verdict is Verdict.CORRECT for i in range(len(g.ents))]
    return np.array(found)


def _entities(docs: Sequence[Doc]) -> list[Span]:
    return [span for doc in docs for span in doc.ents]


def _check_labels(path: Path, docs: Sequence[Doc]) -> None:
    labels = sorted({span.label_ for span in _entities(docs)})
    if len(labels) < 2:
        raise BGAError(Errors.B528.format(path=path, labels=", ".join(labels) or "no entities at all"))


def _row(group: str, name: str, chosen: np.ndarray, right: dict[str, np.ndarray]) -> dict[str, Any]:
    """RETURNS (dict): The shares of some of the entities, in percent."""
    shares = {c: percent(float(right[c][chosen].mean())) if c in right else None for c in COLUMNS}
    return {"group": group, "name": name, "n": int(chosen.sum()), **shares}
