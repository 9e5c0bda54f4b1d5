"""What pictures add to tagging: how well entities are found by where their names are known from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language

from spacy_bga.evaluation.bootstrap import Interval, middle_95, paired_bootstrap, precision_recall_f1, resample_totals
from spacy_bga.evaluation.judged import JudgedCorpus, JudgedEntity, judge_corpus, squeeze
from spacy_bga.evaluation.markdown import NONE, number, signed, table
from spacy_bga.evaluation.slices import known_entities
from spacy_bga.evaluation.tagging import load_pipeline, read_gold

Choose = Callable[[JudgedEntity], bool]
LABELS, PAIRS, NEVER, ALL = "seen with labels", "known from pictures alone", "never seen", "all"
TEXT_ONLY, BGA, SHUFFLED = "text alone", "BGA", "BGA, pictures shuffled"


def measure_uptake(
    pipelines: Mapping[str, str | Path], test: Path, *, train: Path, pairs: Path, resamples: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Score pipelines on entities whose names were labelled in training, on those that only image-text pairs showed, on
    those that neither did, and on all.

    pipelines (Mapping[str, Union[str, Path]]): The pipelines by `TEXT_ONLY`, which others are compared with, `BGA` and,
        if there is one, `SHUFFLED`. test (Path): Texts with entities. train (Path): The labelled texts of the training.
    pairs (Path): The image-text pairs of the training. resamples (int), seed (int): Of the intervals.
    RETURNS (dict): "rows", for each slice its "name", the gold "entities", and for each pipeline its "f1" and its 95 %
        interval "ci" from resampling texts, and "gain", the difference to text alone with its interval; "sentence",
        what that means, if there are both.
    RAISES (BGAError): There is no such pipeline or corpus, or nobody has annotated the test.
    """
    loaded = {name: load_pipeline(path) for name, path in pipelines.items()}
    corpora = {name: judge_corpus(nlp, test) for name, nlp in loaded.items()}
    nlp = next(iter(loaded.values()))
    slices = choose_slices(list(corpora.values()), nlp, train=train, pairs=pairs)
    rows = [
        {
            "name": name,
            "entities": int(next(iter(corpora.values())).counts(chosen)[:, 2].sum()),
            **_scores(corpora, chosen, resamples=resamples, seed=seed),
        }
        for name, chosen in slices.items()
    ]
    compared = TEXT_ONLY in pipelines and BGA in pipelines
    return {"rows": rows, "sentence": _sentence({row["name"]: row for row in rows}) if compared else ""}


def choose_slices(corpora: Sequence[JudgedCorpus], nlp: Language, *, train: Path, pairs: Path) -> dict[str, Choose]:
    """Tell entities apart by where their names are known from. A wrong entity is of the slice of its own words.

    corpora (Sequence[JudgedCorpus]): Whose entities. nlp (Language): A pipeline, whose tokenizer reads JSONL.
    train (Path): The labelled texts of the training. pairs (Path): Its image-text pairs.
    RETURNS (dict[str, Callable]): By slice, whether an entity is of it.
    """
    labelled = known_entities(read_gold(nlp, train)[0])
    texts = [doc.text for doc in read_gold(nlp, pairs)[0]]
    everything = "\n".join(map(squeeze, texts))
    names = {entity.text for corpus in corpora for entity in (*corpus.predicted, *corpus.gold)}
    paired = {name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", everything)}
    return {
        LABELS: lambda entity: entity.text in labelled,
        PAIRS: lambda entity: entity.text in paired - labelled,
        NEVER: lambda entity: entity.text not in paired | labelled,
        ALL: lambda entity: True,
    }


def _scores(corpora: Mapping[str, JudgedCorpus], chosen: Choose, *, resamples: int, seed: int) -> dict[str, Any]:
    counts = {name: corpus.counts(chosen) for name, corpus in corpora.items()}
    scores: dict[str, Any] = {}
    for name, own in counts.items():
        drawn = precision_recall_f1(resample_totals(own, resamples=resamples, seed=seed))[:, 2]
        score = {"f1": float(precision_recall_f1(own.sum(axis=0))[2]), "ci": middle_95(drawn)}
        if name != TEXT_ONLY and TEXT_ONLY in counts:
            score["gain"] = paired_bootstrap([own], [counts[TEXT_ONLY]], resamples=resamples, seed=seed)
        scores[name] = _rounded(score)
    return scores


def _rounded(score: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.round(value, 2).tolist() for name, value in score.items()}


def _sentence(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """RETURNS (str): What the numbers mean."""
    gain = Interval(*rows[ALL][BGA]["gain"])
    if not rows[PAIRS]["entities"]:
        return "No name of these texts is known from pictures alone, so that pictures have nothing to add."
    found = f"{rows[PAIRS][BGA]['f1']:.0f} F1 of the names that only pictures explain, where text alone reaches "
    found += f"{rows[PAIRS][TEXT_ONLY]['f1']:.0f}"
    if gain.low > 0:
        meaning = f"Pictures pay: BGA reaches {found}, and is {gain.mean:.1f} points ahead over all entities"
    elif gain.high < 0:
        meaning = f"Pictures do not pay here: BGA is {-gain.mean:.1f} points behind text alone over all entities"
    else:
        meaning = f"Over all entities, BGA and text alone differ by no more than chance ({signed(gain.mean, 1)} points)"
    if SHUFFLED not in rows[ALL] or gain.low <= 0:  # where nothing is gained, there is nothing to explain
        return f"{meaning}."
    control = Interval(*rows[ALL][SHUFFLED]["gain"])
    if control.low > 0:
        return f"{meaning}; with the pictures shuffled it is ahead as well, so that not all of it is the pictures."
    return f"{meaning}; with the pictures shuffled nothing is gained, so that it is the pictures that tell."


def uptake_table(measured: Mapping[str, Any]) -> str:
    """RETURNS (str): What `measure_uptake` returned, as a Markdown table and its sentence."""
    names = [name for name in (TEXT_ONLY, BGA, SHUFFLED) if name in measured["rows"][0]]
    rows = [
        [row["name"], row["entities"], *(_cell(row[name]) if row["entities"] else NONE for name in names)]
        for row in measured["rows"]
    ]
    return f"{table(['names', 'entities', *names], rows)}\n{measured['sentence']}\n"


def _cell(score: Mapping[str, Any]) -> str:
    low, high = score["ci"]
    return f"{number(score['f1'], 1)} [{number(low, 1)}, {number(high, 1)}]"
