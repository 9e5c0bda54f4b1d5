"""The page of real tweets and real photographs, made of docs/evidence/real.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from spacy_bga.evaluation.markdown import number, table

ARMS = {
    "text_only": "text alone",
    "self_training": "text alone, self-trained on the catalogue",
    "bga": "BGA",
    "bga_real": "BGA that sees the caption",
    "bga_shuffled": "BGA, shuffled",
}
TITLES = {
    "new_names_300": "coined names, 300 labels",
    "new_names_all": "coined names, all labels",
    "today_names_300": "the same names as they are, 300 labels",
    "today_names_all": "the same names as they are, all labels",
}
HEAD = """# Real posts and real photographs

Made by `python -m lab.real --evidence` from one file a run in docs/runs. F1 in percent on tweets of Twitter-2017, which
are tagged without any picture: mean over seeds, and the mean difference from text alone with its 95 % interval
(Student's t, over seeds).

## Names that no language model has read

Every name that a catalogue of 2,000 photographs, logos and flags shows is replaced by a coined one, in the tweets and
in the catalogue. The labels name one half of them; the F1 of *new names* is of the other half. Kinds, contexts and
pictures are real.
"""
CAPTIONS = """
## Captions of the tweets' own images

No vision encoder, but the token features of a caption that a model has written of each tweet's image, in one BGA layer.
Captions name people now and then: this is no measure of images.
"""
EYES = """
## Vision encoders

Image-text retrieval among {n} held-out pairs: how often the right one is among the first ten (chance: 2 %), from text
to image and back, both aligned with the same pairs.
"""


def render(evidence: Mapping[str, Any]) -> str:
    """RETURNS (str): The page. evidence (dict): What `lab.real` and `lab.captions` have found."""
    parts = [HEAD]
    rows = []
    for name, title in TITLES.items():
        found = evidence.get(name, {})
        for arm, label in ARMS.items():
            if runs := found.get(arm):
                cells = (_cell(found, arm, key) for key in ("f1_new", "f1_all"))
                rows.append([title, label, str(len(runs)), *cells])
    parts.append(table(["", "", "seeds", "new names", "all names"], rows))
    captions = [
        [f"{size} labels", label, str(len(found[arm])), _cell(found, arm, "f1")]
        for size in ("300", "all")
        if (found := evidence.get(f"captions_{size}"))
        for arm, label in ARMS.items()
        if found.get(arm)
    ]
    if captions:
        parts += [CAPTIONS, table(["", "", "seeds", "F1"], captions)]
    if eyes := evidence.get("encoders"):
        ways = [(part, way) for part in ("news", "tweets") for way in ("t2i", "i2t")]
        titles = ["", *(f"{part}, {'text to image' if way == 't2i' else 'image to text'}" for part, way in ways)]
        rows = [[eye["encoder"], *(number(eye[part][way]["r10"], 1) for part, way in ways)] for eye in eyes]
        parts += [EYES.format(n=eyes[0]["news"]["t2i"]["n"]), table(titles, rows)]
    return "\n".join(parts)


def _cell(found: Mapping[str, Sequence[Mapping[str, Any]]], arm: str, key: str) -> str:
    """RETURNS (str): The mean of an arm, and its mean difference from text alone over the seeds that both have."""
    scores = {run["seed"]: run[key] for run in found[arm]}
    alone = {run["seed"]: run[key] for run in found.get("text_only", ())}
    mean = number(fmean(scores.values()), 1) or ""
    differences = [score - alone[seed] for seed, score in scores.items() if seed in alone]
    if arm == "text_only" or not differences:
        return mean
    middle = fmean(differences)
    if len(differences) == 1:
        return f"{mean} ({middle:+.1f})"
    half = float(student.ppf(0.975, len(differences) - 1)) * stdev(differences) / len(differences) ** 0.5
    return f"{mean} ({middle:+.1f} [{middle - half:+.1f}, {middle + half:+.1f}])"
