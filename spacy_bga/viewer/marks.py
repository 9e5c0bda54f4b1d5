"""Entity marks: displaCy's renderer, with a template that tells also what displaCy doesn't know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from spacy.displacy import EntityRenderer
from spacy.tokens import Doc, Span

from spacy_bga.evaluation.comparison import Judgement, Verdict
from spacy_bga.viewer.colors import text_color

# displaCy's own, but for what is in classes of page.css. It escapes `text` alone; the rest is escaped here.
TEMPLATE = (
    '<mark class="entity{classes}" style="background: {bg}; color: {fg}"{attributes}>'
    '<span class="words">{text}</span> <span class="label">{label}</span>{notes}</mark>'
)
SIGNS = {
    Verdict.CORRECT: "✓",
    Verdict.WRONG_LABEL: "≠",
    Verdict.WRONG_BORDERS: "↔",
    Verdict.SPURIOUS: "✗",
    Verdict.MISSED: "✗",
    Verdict.UNKNOWN: "?",
}


@dataclass(frozen=True)
class Note:
    """What a mark tells of its entity beside the label.

    confidence (Optional[float]): From 0 to 1. judgement (Optional[Judgement]): How it compares with the other side.
    is_gold (bool): Whether it is a gold entity. attributes (dict[str, str]): Attributes of its element with which it
        points at its image; unescaped.
    """

    confidence: float | None = None
    judgement: Judgement | None = None
    is_gold: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


def render_marks(doc: Doc, notes: list[Note], colors: Mapping[str, str]) -> str:
    """Mark the entities of a document.

    doc (Doc): The document. notes (list[Note]): One for each of `doc.ents`.
    colors (Mapping[str, str]): The background of each label.
    RETURNS (str): HTML.
    """
    renderer = EntityRenderer({"template": TEMPLATE})
    ents = [_parsed(ent, note, colors[ent.label_]) for ent, note in zip(doc.ents, notes, strict=True)]
    direction = "rtl" if doc.vocab.writing_system.get("direction") == "rtl" else "ltr"
    return renderer.render([{"text": doc.text, "ents": ents, "settings": {"direction": direction}}])


def _parsed(ent: Span, note: Note, color: str) -> dict[str, object]:
    """RETURNS (dict): An entity as displaCy's renderer takes it."""
    judgement = note.judgement
    classes = (f" {judgement.verdict.name.lower()}" if judgement is not None else "") + (
        " points" if note.attributes else ""
    )
    params = {
        "label": escape(ent.label_ or "entity"),
        "bg": escape(color),
        "fg": text_color(color),
        "classes": classes,
        "attributes": "".join(f' {name}="{escape(value)}"' for name, value in note.attributes.items()),
        "notes": _confidence(note.confidence)
        + (_verdict(judgement, is_gold=note.is_gold) if judgement is not None else ""),
    }
    return {"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "params": params}


def _confidence(value: float | None) -> str:
    """RETURNS (str): A confidence as HTML; nothing if there is none."""
    if value is None or value != value:
        return ""
    return f' <span class="confidence"><span class="unseen">confidence </span>{100 * value:.0f} %</span>'


def _verdict(judgement: Judgement, *, is_gold: bool) -> str:
    """RETURNS (str): A verdict as HTML: a sign, and words, so that no colour is needed to tell it."""
    sign, words = SIGNS[judgement.verdict], judgement.verdict.value
    if judgement.verdict is Verdict.CORRECT:
        return (
            f' <span class="verdict"><span aria-hidden="true">{sign}</span><span class="unseen">{words}</span></span>'
        )
    labels = ", ".join(other.label_ or "entity" for other in judgement.others)
    if judgement.verdict is Verdict.WRONG_LABEL:
        words = f"found as {labels}" if is_gold else f"gold says {labels}"
    elif judgement.verdict is Verdict.WRONG_BORDERS and is_gold:
        words = "found with other borders"
    return f' <span class="verdict"><span aria-hidden="true">{sign}</span> {escape(words)}</span>'
