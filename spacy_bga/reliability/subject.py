"""What a campaign tries: a trained pipeline, and the texts that it tags."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

Entity = tuple[int, int, str]
"""Its first character, the one behind its last, and its label."""

Answer = list[list[Entity]]
"""The entities of each text."""

STEPS = 80
"""Updates of the tiny pipeline: it then finds entities, and is sure of few."""

POSTS = 60
"""Texts that the tiny pipeline tags."""

ODD_TEXTS = (
    "",
    " ",
    "\n\t \n",
    "🏀",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽",
    "Zoë Kravitz à Zürich 🎬",
    "kevin",
    "#NBA @KDTrey5 https://t.co/x1y2z3",
    "凯文 杜兰特 joins the Warriors",
    "\u202eKevin Durant\u202c in Oakland\u200b!",
)
"""Texts unlike posts: empty, white space alone, emoji, no word that is known, other scripts, control characters."""


@dataclass(frozen=True)
class Subject:
    """pipeline (Path): Its folder. texts (list[str]): The texts."""

    pipeline: Path
    texts: list[str]


def find_subject(pipeline: Path | None, texts: Path | None, *, limit: int | None, work: Path) -> Subject:
    """Take what is given, or train a tiny pipeline and write posts of the embedded corpus' kind.

    pipeline (Optional[Path]): The pipeline's folder. texts (Optional[Path]): A .spacy file. Both or neither.
    limit (Optional[int]): The most texts; None: all. work (Path): A folder for what is made on the spot.
    RETURNS (Subject): What to try.
    RAISES (BGAError): One is missing, or can't be read.
    """
    from spacy_bga.benchmark.texts import read_texts, write_embedded_texts

    if (pipeline is None) != (texts is None):
        raise BGAError(Errors.B750)
    if pipeline is None or texts is None:
        pipeline, texts = train_tiny(work), work / "posts.spacy"
        write_embedded_texts(texts, POSTS)
    elif not (pipeline / "config.cfg").is_file():
        raise BGAError(Errors.B751.format(path=pipeline))
    return Subject(pipeline, [str(text) for text in read_texts(texts, limit)])


def train_tiny(work: Path) -> Path:
    """RETURNS (Path): A tiny pipeline that was trained for some seconds, with nothing in it but a `bga_ner`."""
    from spacy_bga.reliability.tiny_project import write_tiny_project
    from spacy_bga.training.train import train

    places = write_tiny_project(work / "project")
    schedule = {"training.max_steps": STEPS, "training.eval_frequency": STEPS}
    alone = {"nlp.pipeline": ["bga_ner"]}
    return train(work / "project" / "config.cfg", work / "trained", overrides={**places, **schedule, **alone})


def with_odd_ones(texts: list[str]) -> list[str]:
    """RETURNS (list[str]): The texts, `ODD_TEXTS`, and a document that is longer than any window."""
    return [*texts, *ODD_TEXTS, " ".join(texts[:60])]


def entities_of(doc: Doc) -> list[Entity]:
    """RETURNS (list[Entity]): The entities of a document."""
    return [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]


def tag(nlp: Language, texts: Iterable[str]) -> Answer:
    """RETURNS (Answer): The entities of each text, tagged one by one."""
    return [entities_of(nlp(text)) for text in texts]
